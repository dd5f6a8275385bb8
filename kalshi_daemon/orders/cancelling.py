"""Orders off the book: single cancels, an event cleared and verified, everything cleared and verified.

A cancel that was wanted stays wanted: an order is PENDING_CANCEL until the exchange says how it ended, and is tried
again with growing pauses. Verified always means: the exchange's own list of resting orders came back without any of
them, twice, and no create is without its answer. Nothing here takes the creates' lock.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import structlog

from kalshi_daemon.domain.events import CancelAck, RemoteOrder
from kalshi_daemon.domain.order import Order, OrderRef, Status
from kalshi_daemon.ground.clock import iso_utc
from kalshi_daemon.ground.errors import IllegalTransition, StateCorrupt, VenueError
from kalshi_daemon.ground.units import MILLISECOND, MINUTE, SECOND, Nanos, format_count
from kalshi_daemon.kalshi.api import OrderApi, PortfolioApi
from kalshi_daemon.orders.ambiguity import FollowUp, Operation, rule
from kalshi_daemon.orders.deadlines import EXCHANGE_ERRORS, Backoff, DeadlinePassed, within
from kalshi_daemon.orders.ids import is_ours
from kalshi_daemon.orders.lifecycle import CancelAcked, CancelRefused, CancelSent
from kalshi_daemon.orders.order_store import OrderStore, event_of
from kalshi_daemon.orders.outcome_resolver import OutcomeResolver
from kalshi_daemon.orders.placing import Placer
from kalshi_daemon.orders.records import read_list
from kalshi_daemon.settings.model import OrderSettings

log = structlog.get_logger()

ZERO_LOOKS: Final = 2
"""How often in a row the exchange must list nothing."""
BETWEEN_LOOKS: Final = Nanos(50 * MILLISECOND)
AFTER_TROUBLE: Final = Nanos(250 * MILLISECOND)
EAGER_PASSES: Final = 3
"""After this many passes without a zero the exchange is asked less often: a list costs 10 of 200 tokens a second."""
SWEEP_MIN: Final = Nanos(2 * SECOND)
"""A deadline nearer than this is moved out to it: less cannot even ask."""
BLACKOUT: Final = MINUTE
"""After a cancel-all the venue may cancel new orders for a minute (docs/reference/venue.md 2.3)."""
_RETRY_FIRST_MS: Final = 250
_RETRY_MS_MAX: Final = 4_000


class VenueOrders(OrderApi, PortfolioApi, Protocol):
    """What the order path asks of the exchange."""


_FOREIGN: Final = "foreign"
_FOREIGN_AT_ONCE: Final = 10
"""Strangers' orders of one request: what a pull of ours may have to wait for."""
_OWN_FIRST_MAX: Final = SECOND
_OWN_FIRST_LOOK: Final = Nanos(10 * MILLISECOND)


@dataclass(frozen=True, slots=True)
class StopResult:
    """How a clearing ended. `remaining` counts what the exchange last showed, or what we must assume."""

    verified: bool
    remaining: int
    detail: str


@dataclass(slots=True)
class _Sweep:
    """One clearing under way."""

    event_ticker: str | None
    reason: str
    deadline_ns: Nanos
    mass_cancel_due: bool
    books_broken: bool = False
    passes: int = 0
    zeros: int = 0
    remaining: int = 0
    detail: str = "the exchange was not asked"


class Canceller:
    """Sends cancels, and does not believe them done before the exchange says so."""

    def __init__(
        self,
        store: OrderStore,
        api: VenueOrders,
        settings: OrderSettings,
        asker: OutcomeResolver,
        placer: Placer,
    ) -> None:
        self._store = store
        self._api = api
        self._settings = settings
        self._asker = asker
        self._placer = placer
        self._wanted: dict[str, str] = {}
        self._on_the_wire: set[str] = set()
        self._pauses = Backoff(_RETRY_FIRST_MS, _RETRY_MS_MAX)

    # --- single orders ------------------------------------------------------------------------------------------------

    async def cancel(self, client_order_ids: Iterable[str], reason: str) -> None:
        """Cancel these orders of ours. One without an exchange id yet is cancelled as soon as it has one."""
        ready: list[Order] = []
        for name in client_order_ids:
            order = self._store.state.orders.get(name)
            if order is None or not order.status.live:
                continue
            if order.order_id is None:
                self._wanted[name] = reason
            else:
                ready.append(order)
        await self._send(ready, reason)

    async def turn(self) -> None:
        """Cancels that are still owed: refused or lost ones, and requests whose order has got its id."""
        now = self._store.clock.now_ns()
        live = {order.client_order_id: order for order in self._store.live()}
        self._wanted = {name: reason for name, reason in self._wanted.items() if name in live}
        self._pauses.forget_all_but(set(live))
        owed = [
            order
            for name, order in live.items()
            if order.order_id is not None
            and (order.status is Status.PENDING_CANCEL or name in self._wanted)
            and self._pauses.due(name, now)
        ]
        if owed:
            await self._send(owed, "")

    async def _send(self, orders: Sequence[Order], reason: str) -> None:
        """One batched cancel; every result is applied on its own. Never raises for trouble with the exchange."""
        if not self._store.state.armed:
            return
        orders = [o for o in orders if o.client_order_id not in self._on_the_wire and o.order_id is not None]
        if not orders:
            return
        names = {order.client_order_id for order in orders}
        self._on_the_wire |= names
        now = self._store.clock.now_ns()
        with self._store.one_commit():
            for order in orders:
                name = order.client_order_id
                self._pauses.hold(name, now)
                if order.status in {Status.RESTING, Status.PENDING_CANCEL}:
                    self._store.apply(name, CancelSent(now, reason or self._wanted.pop(name, order.reason)))
        try:
            results: Sequence[CancelAck | Exception] = await self._api.cancel_orders(
                [ref_of(order) for order in orders]
            )
        except EXCHANGE_ERRORS as problem:
            results = [problem] * len(orders)
        finally:
            self._on_the_wire -= names
        if len(results) != len(orders):
            results = [VenueError(f"{len(results)} answers to {len(orders)} cancels")] * len(orders)
        with self._store.one_commit():
            for order, result in zip(orders, results, strict=True):
                self._take(order, result)

    def _take(self, order: Order, result: CancelAck | Exception) -> None:
        now, name = self._store.clock.now_ns(), order.client_order_id
        if isinstance(result, CancelAck):
            self._take_ack(order, result)
            return
        self._store.apply(name, CancelRefused(now, str(result)))
        if rule(Operation.CANCEL, result).ask is FollowUp.BY_ORDER_ID:
            self._asker.want(name)
        log.info("order.cancel_refused", client_order_id=name, market=order.market_ticker, cause=str(result))

    def _take_ack(self, order: Order, ack: CancelAck) -> None:
        """`reduced_by` is what was really removed (docs/reference/venue.md 8); nothing, or nonsense, means ask."""
        now, name = self._store.clock.now_ns(), order.client_order_id
        if ack.order_id != order.order_id or not 0 < ack.reduced_by <= order.count:
            self._store.apply(name, CancelRefused(now, f"answer about {ack.order_id}, reduced by {ack.reduced_by}"))
            self._asker.want(name)
            return
        after = self._store.apply(name, CancelAcked(now, ack.reduced_by))
        if after.filled + ack.reduced_by < after.count:
            self._store.on_missed_fill()
        log.info(
            "order.cancelled",
            client_order_id=name,
            market=order.market_ticker,
            reason=after.reason,
            reduced_by=format_count(ack.reduced_by),
            filled=format_count(after.filled),
        )

    async def cancel_listed(self, listed: Sequence[RemoteOrder], reason: str) -> None:
        """Cancel what the exchange lists and our books cannot (foreign orders, ghosts). Raises what the API raises."""
        if not listed or not self._store.state.armed:
            return
        log.warning(
            "order.listed_cancelled",
            count=len(listed),
            markets=len({remote.market_ticker for remote in listed}),
            first_order_id=listed[0].order_id,
            reason=reason,
        )
        for remote in listed:
            self._store.audit(
                {
                    "action": "cancel_intent",
                    "client_order_id": remote.client_order_id,
                    "order_id": remote.order_id,
                    "market": remote.market_ticker,
                    "reason": reason,
                }
            )
        refs = [OrderRef(remote.order_id, remote.market_ticker) for remote in listed]
        if reason != _FOREIGN:
            await self._api.cancel_orders(refs)
            return
        for first in range(0, len(refs), _FOREIGN_AT_ONCE):
            await self._own_first()
            await self._api.cancel_orders(refs[first : first + _FOREIGN_AT_ONCE])

    async def _own_first(self) -> None:
        """Strangers' orders wait while cancels of ours are on the wire: both draw on one budget of writes."""
        clock = self._store.clock
        until = clock.now_ns() + _OWN_FIRST_MAX
        while self._on_the_wire and clock.now_ns() < until:
            await clock.sleep(_OWN_FIRST_LOOK)

    # --- clearing -----------------------------------------------------------------------------------------------------

    async def cancel_event(self, event_ticker: str, reason: str, deadline_ns: Nanos) -> StopResult:
        """Cancel everything of one event and verify; nothing is placed in it meanwhile."""
        self._placer.events_closed[event_ticker] = reason
        try:
            return await self._clear(_Sweep(event_ticker, reason, deadline_ns, mass_cancel_due=False))
        finally:
            self._placer.events_closed.pop(event_ticker, None)

    async def cancel_all(self, reason: str, deadline_ns: Nanos) -> StopResult:
        """Cancel everything in scope and verify. Survives a dead exchange and a broken journal; always returns."""
        mass = self._settings.scope == "account" and self._store.state.armed
        self._store.tolerant = True
        try:
            return await self._clear(_Sweep(None, reason, deadline_ns, mass_cancel_due=mass))
        except Exception as problem:  # whatever it is: the steps after this one must run
            live = len(self._store.live())
            log.exception("cancel_all.failed", error=type(problem).__name__, live=live)
            return StopResult(verified=False, remaining=live, detail=f"{type(problem).__name__} while cancelling")
        finally:
            self._store.tolerant = False

    async def _clear(self, sweep: _Sweep) -> StopResult:
        clock = self._store.clock
        sweep.deadline_ns = Nanos(max(sweep.deadline_ns, clock.now_ns() + SWEEP_MIN))
        sweep.remaining = len(self._store.live(sweep.event_ticker))
        while True:
            pause = BETWEEN_LOOKS
            try:
                await within(clock, sweep.deadline_ns, self._pass(sweep))
            except DeadlinePassed:
                break
            except Exception as problem:  # noqa: BLE001 - the stop survives bugs too; elsewhere they are raised again
                self._after_failure(sweep, problem)
                pause = AFTER_TROUBLE
            sweep.passes += 1
            if sweep.zeros == 0 and sweep.passes >= EAGER_PASSES:
                pause = AFTER_TROUBLE
            if sweep.zeros >= ZERO_LOOKS:
                return StopResult(verified=True, remaining=0, detail="the exchange lists nothing resting, seen twice")
            if clock.now_ns() + pause >= sweep.deadline_ns:
                break
            await clock.sleep(pause)
        return self._unverified(sweep)

    def _after_failure(self, sweep: _Sweep, problem: Exception) -> None:
        """Trouble with the exchange: try again. A bug or a broken journal: the stop goes on without our books."""
        trouble = isinstance(problem, EXCHANGE_ERRORS) and not isinstance(problem, IllegalTransition | StateCorrupt)
        if not trouble and sweep.event_ticker is not None:
            raise problem
        sweep.zeros = 0
        sweep.detail = str(problem) or type(problem).__name__
        if trouble:
            event = "cancel_all.pass_failed" if sweep.event_ticker is None else "window.clearing_pass_failed"
            log.warning(event, event_ticker=sweep.event_ticker, problem=sweep.detail)
        else:
            sweep.books_broken = True
            log.error("cancel_all.bookkeeping_failed", error=type(problem).__name__, problem=sweep.detail)

    async def _pass(self, sweep: _Sweep) -> None:
        """Cancel, list, cancel what is listed. Raises what reads raise; a cancel's trouble shows in the list."""
        if sweep.mass_cancel_due:
            await self._mass_cancel(sweep)
        if not sweep.books_broken:
            await self._cancel_ours(sweep)
            await self._asker.ask([order for order in self._store.live(sweep.event_ticker) if _lost(order)])
        answer = await read_list(self._api.orders(status="resting"), self._store.state)
        listed = [remote for remote in answer.records if self._in_scope(remote, sweep)]
        if listed or answer.unreadable:
            sweep.zeros, sweep.remaining = 0, len(listed)
            sweep.detail = f"the exchange lists {len(listed)} resting"
            if answer.unreadable:  # one of them may rest: never a zero
                sweep.remaining += len(answer.unreadable)
                sweep.detail += f" and {len(answer.unreadable)} that cannot be read; {answer.unreadable[0].text}"
            await self._cancel_rest(listed, sweep)
            return
        if not sweep.books_broken:
            await self._close_unheard(sweep)
        unanswered = self._unanswered(sweep)
        sweep.zeros = 0 if unanswered else sweep.zeros + 1
        sweep.remaining = unanswered
        sweep.detail = f"{unanswered} creates have no answer yet" if unanswered else "the exchange lists nothing once"

    async def _mass_cancel(self, sweep: _Sweep) -> None:
        self._placer.blackout_until = Nanos(self._store.clock.now_ns() + BLACKOUT)
        self._store.audit({"action": "cancel_all_intent", "reason": sweep.reason})
        try:
            await self._api.cancel_all()
        except Exception as problem:  # noqa: BLE001 - a bug here must not keep the list from being asked for
            # It is asked again in the next pass: unlike the batches it also reaches what we do not know of.
            sweep.detail = str(problem) or type(problem).__name__
            log.warning("cancel_all.request_failed", error=type(problem).__name__, problem=str(problem))
        else:
            sweep.mass_cancel_due = False
            log.info("cancel_all.accepted", reason=sweep.reason)

    async def _cancel_ours(self, sweep: _Sweep) -> None:
        if sweep.event_ticker is None and self._settings.scope == "account" and not sweep.mass_cancel_due:
            return  # the mass cancel went through: the list decides what is left to do
        await self.cancel([order.client_order_id for order in self._store.live(sweep.event_ticker)], sweep.reason)

    async def _cancel_rest(self, listed: Sequence[RemoteOrder], sweep: _Sweep) -> None:
        live = [] if sweep.books_broken else self._store.live(sweep.event_ticker)
        known = {order.order_id: order for order in live if order.order_id}
        await self._send([known[r.order_id] for r in listed if r.order_id in known], sweep.reason)
        await self.cancel_listed([r for r in listed if r.order_id not in known], sweep.reason)

    async def _close_unheard(self, sweep: _Sweep) -> None:
        """Nothing rests any more: learn how ours ended, in one listing, unless the stream has told already."""
        ours = {order.order_id: order for order in self._store.live(sweep.event_ticker) if order.order_id}
        if not ours:
            return
        since = Nanos(min(order.created_ns for order in ours.values()) - MINUTE)
        try:
            listed = await self._api.orders(min_ts_ns=since)
        except EXCHANGE_ERRORS as problem:
            log.warning("cancel_all.ends_unknown", orders=len(ours), problem=str(problem))
            return
        with self._store.one_commit():
            for remote in listed:
                if remote.order_id in ours and remote.status != "resting":
                    self._asker.believe(remote, ours[remote.order_id])

    def _in_scope(self, remote: RemoteOrder, sweep: _Sweep) -> bool:
        if sweep.event_ticker is not None and event_of(remote.market_ticker, self._store.state) != sweep.event_ticker:
            return False
        # An unarmed daemon cancels nothing and answers only for its own orders.
        whole_account = self._settings.scope == "account" and self._store.state.armed
        return whole_account or is_ours(remote.client_order_id)

    def _unanswered(self, sweep: _Sweep) -> int:
        """Creates that may still turn into a resting order: on the wire, or unknown and not past their expiry."""
        now = self._store.clock.now_ns()
        return sum(
            1
            for order in self._store.live(sweep.event_ticker)
            if order.status in {Status.INTENDED, Status.IN_FLIGHT} or (_lost(order) and now < order.expires_ns)
        )

    def _unverified(self, sweep: _Sweep) -> StopResult:
        live = self._store.live(sweep.event_ticker)
        detail = sweep.detail
        if live:
            latest = iso_utc(max(order.expires_ns for order in live))
            detail += f"; {len(live)} live in our books, the last of them expires at {latest}"
        remaining = max(sweep.remaining, 0 if sweep.zeros else len(live))
        # A window's cutoff is no stop: whoever reads the log at night must not take the one for the other.
        event = "cancel_all.unverified" if sweep.event_ticker is None else "window.clearing_unverified"
        log.error(event, event_ticker=sweep.event_ticker, remaining=remaining, detail=detail)
        return StopResult(verified=False, remaining=remaining, detail=detail)


def _lost(order: Order) -> bool:
    """A create without an answer, and without an id to cancel it by."""
    return order.status is Status.UNKNOWN and order.order_id is None


def ref_of(order: Order) -> OrderRef:
    """How the exchange knows an order that has its id."""
    assert order.order_id is not None
    return OrderRef(order.order_id, order.market_ticker)
