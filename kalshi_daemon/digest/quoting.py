"""What was quoted on a day: windows, orders and their ends, guards that refused, and how much of each window. Pure."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from kalshi_daemon.digest.records import Interval, OrderRecord, Records, covered, ranked
from kalshi_daemon.digest.scans import RECORD_GUARDS, GuardCount, ScanDay, WindowScans
from kalshi_daemon.domain.order import Status
from kalshi_daemon.ground.units import Count, Nanos


@dataclass(frozen=True, slots=True)
class WindowQuoting:
    """One window: its scans, and how long at least one quote of ours rested between its opening and the last quote."""

    window: WindowScans
    orders: int
    filled: int
    open_ns: Nanos
    quoted_ns: Nanos

    @property
    def share(self) -> float | None:
        """Of the time it could be quoted so far."""
        return self.quoted_ns / self.open_ns if self.open_ns > 0 else None


@dataclass(frozen=True, slots=True)
class Refusal:
    """One guard. `closed_ns`: how long it kept at least one window shut, to a scan's interval."""

    guard: str
    count: GuardCount
    closed_ns: Nanos


@dataclass(frozen=True, slots=True)
class Quoting:
    """The quoting of a day."""

    scans: int
    placed: int
    """Orders the exchange has had: it answered with an id, or it showed them."""
    not_placed: Mapping[str, int]
    """Refused or never sent, by reason."""
    ends: Mapping[str, int]
    """Of the placed: status now -> orders."""
    cancelled_why: Mapping[str, int]
    placed_contracts: Count
    filled_contracts: Count
    filled_orders: int
    windows: tuple[WindowQuoting, ...]
    refusals: tuple[Refusal, ...]
    """Most refusing first."""

    @property
    def cancelled(self) -> int:
        """Placed orders that are cancelled now."""
        return self.ends.get(Status.CANCELED.value, 0)

    @property
    def fill_ratio(self) -> float | None:
        """Contracts traded of contracts placed."""
        return self.filled_contracts / self.placed_contracts if self.placed_contracts else None

    @property
    def alarms(self) -> tuple[Refusal, ...]:
        """Guards over the forecast's record that refused."""
        return tuple(one for one in self.refusals if one.guard in RECORD_GUARDS)


def quoting(records: Records, scans: ScanDay) -> Quoting:
    """How the day was quoted: orders, refusals, and what held quotes back."""
    orders = records.journal.orders
    placed = [one for one in orders if one.order.order_id is not None]
    refused = (one for one in orders if one.order.order_id is None and one.order.status is Status.REJECTED)
    ended = [one.order for one in placed if one.order.status is Status.CANCELED]
    day: Interval = (records.start_ns, min(records.end_ns, records.now_ns))
    refusals = [Refusal(name, count, Nanos(scans.closed_ns(name, day))) for name, count in scans.guards.items()]
    refusals.sort(key=lambda one: (-(one.count.scans + one.count.quotes), one.guard))
    windows = sorted(scans.windows.values(), key=lambda one: (one.target_ns, one.event))
    return Quoting(
        scans=scans.scans,
        placed=len(placed),
        not_placed=ranked(Counter(one.order.reason or "refused" for one in refused)),
        ends=ranked(Counter(one.order.status.value for one in placed)),
        cancelled_why=ranked(Counter(order.reason or "no reason" for order in ended)),
        placed_contracts=Count(sum(one.order.count for one in placed)),
        filled_contracts=Count(sum(one.order.filled for one in placed)),
        filled_orders=sum(one.order.filled > 0 for one in placed),
        windows=tuple(_window(window, placed, records.now_ns) for window in windows),
        refusals=tuple(refusals),
    )


def _window(window: WindowScans, placed: list[OrderRecord], now: Nanos) -> WindowQuoting:
    mine = [one for one in placed if one.order.event_ticker == window.event]
    span: Interval = (window.opens_ns, min(window.new_until_ns, now))
    return WindowQuoting(
        window=window,
        orders=len(mine),
        filled=sum(one.order.filled > 0 for one in mine),
        open_ns=Nanos(max(0, span[1] - span[0])),
        quoted_ns=Nanos(covered([_rested(one, now) for one in mine], span)),
    )


def _rested(one: OrderRecord, now: Nanos) -> Interval:
    """From when it was first known to rest to its end; a live one until its expiry, at most until now."""
    if one.rested_ns is None:
        return (0, 0)
    return (one.rested_ns, min(one.order.expires_ns, now) if one.ended_ns is None else one.ended_ns)
