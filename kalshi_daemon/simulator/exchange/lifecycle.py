"""A market after listing: swept at close, determined by one print, settled after its timer.

Also keeps the record of what API accounts had resting from the cutoff on.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from functools import partial
from typing import Final

from kalshi_daemon.domain.index import Index
from kalshi_daemon.ground.units import MINUTE, SECOND, Count, Level, Nanos
from kalshi_daemon.simulator.exchange.agenda import Agenda, Turn
from kalshi_daemon.simulator.exchange.catalogue import Catalogue
from kalshi_daemon.simulator.exchange.holdings import SettlementRecord
from kalshi_daemon.simulator.exchange.instruments import SWEEP_DELAY, EventSpec, pays
from kalshi_daemon.simulator.exchange.listener import LifecycleEvent
from kalshi_daemon.simulator.exchange.matching import Matcher
from kalshi_daemon.simulator.exchange.order_terms import Reason
from kalshi_daemon.simulator.exchange.sim_orders import Account, SimMarket

IndexValue = Callable[[Index, Nanos], float]
"""The index level last printed at or before an instant (contract terms: a single print, no averaging)."""

DETERMINATION_DELAY: Final = Nanos(65 * SECOND)
"""From close to determination; with the 60 s timer this is the measured median of 127 s (docs/reference/venue.md 7)."""
CUTOFF_BEFORE: Final = Nanos(2 * MINUTE)


def settlement_level(value: float) -> Level:
    """The published value: two decimals, halves away from zero."""
    return Level(int(Decimal(repr(value)).quantize(Decimal("0.01"), ROUND_HALF_UP) * 10_000))


@dataclass(slots=True)
class CutoffRecord:
    """How many orders an API account had resting in one event around its cutoff."""

    account: str
    event_ticker: str
    target_ns: Nanos
    cutoff_ns: Nanos
    at_cutoff: int
    most_after: int
    """Most at any instant from the cutoff to the close."""
    at_target: int | None = None


class Lifecycle:
    """Owns `cutoffs`; everything else it changes through the matcher and the accounts."""

    def __init__(
        self,
        catalogue: Catalogue,
        accounts: Mapping[str, Account],
        matcher: Matcher,
        agenda: Agenda,
        index_value: IndexValue,
        *,
        cutoff_before_ns: Nanos,
        determination_delay_ns: Nanos,
    ) -> None:
        self._catalogue = catalogue
        self._accounts = accounts
        self._matcher = matcher
        self._agenda = agenda
        self._index_value = index_value
        self._cutoff_before_ns = cutoff_before_ns
        self._determination_delay_ns = determination_delay_ns
        self.cutoffs: dict[tuple[str, str], CutoffRecord] = {}
        self.settlement_holds: dict[str, Nanos] = {}
        """Event ticker -> extra delay of its determination (manual review); set before its close."""
        self.disputes: dict[str, Nanos] = {}
        """Event ticker -> when its dispute ends; it is not settled before."""

    def schedule(self, event: EventSpec, now_ns: Nanos) -> None:
        """Put an event's later life on the agenda. Events already over at `now_ns` are settled by the next run."""
        close = event.markets[0].close_ns
        cutoff = Nanos(max(now_ns, event.settles_ns - self._cutoff_before_ns))
        self._agenda.add(cutoff, Turn.RECORD, partial(self._record_cutoff, event))
        self._agenda.add(event.settles_ns, Turn.RECORD, partial(self._record_target, event))
        self._agenda.add(Nanos(close + SWEEP_DELAY), Turn.SWEEP, partial(self._sweep, event))
        self._agenda.add(Nanos(close + self._determination_delay_ns), Turn.DETERMINE, partial(self._determine, event))

    def resting_changed(self, account: Account, event_ticker: str) -> None:
        """Note a new resting order: after the cutoff the most of them counts."""
        record = self.cutoffs.get((account.name, event_ticker))
        if record is not None:
            record.most_after = max(record.most_after, account.resting_by_event[event_ticker])

    def _members(self) -> Iterable[Account]:
        return (account for account in self._accounts.values() if account.keeps_history)

    def _record_cutoff(self, event: EventSpec, now_ns: Nanos) -> None:
        for account in self._members():
            resting = account.resting_by_event[event.ticker]
            self.cutoffs[account.name, event.ticker] = CutoffRecord(
                account.name, event.ticker, event.settles_ns, now_ns, resting, resting
            )

    def _record_target(self, event: EventSpec, _now_ns: Nanos) -> None:
        for account in self._members():
            record = self.cutoffs.get((account.name, event.ticker))
            if record is not None:
                record.at_target = account.resting_by_event[event.ticker]

    def _sweep(self, event: EventSpec, now_ns: Nanos) -> None:
        for market in self._catalogue.by_event[event.ticker]:
            for order in list(market.book.orders()):
                self._matcher.cancel(order, Reason.CLOSE, now_ns)

    def _determine(self, event: EventSpec, now_ns: Nanos) -> None:
        hold = self.settlement_holds.pop(event.ticker, None)
        if hold is not None:
            self._agenda.add(Nanos(now_ns + hold), Turn.DETERMINE, partial(self._determine, event))
            return
        value = settlement_level(self._index_value(event.index, event.settles_ns))
        for market in self._catalogue.by_event[event.ticker]:
            market.determined_ns = now_ns
            market.updated_ns = now_ns
            market.settlement_value = value
            market.result = "yes" if pays(market.spec, value) else "no"
            self._matcher.listener.market_changed(market, LifecycleEvent.DETERMINED, now_ns)
        timer = Nanos(event.markets[0].settlement_timer_s * SECOND)
        self._agenda.add(Nanos(now_ns + timer), Turn.SETTLE, partial(self._settle, event))

    def _settle(self, event: EventSpec, now_ns: Nanos) -> None:
        until = self.disputes.pop(event.ticker, now_ns)
        if until > now_ns:
            self.disputes[event.ticker] = until
            self._agenda.add(until, Turn.SETTLE, partial(self._settle, event))
            return
        for market in self._catalogue.by_event[event.ticker]:
            market.disputed = False
            market.settled_ns = now_ns
            market.updated_ns = now_ns
            for account in self._accounts.values():
                self._pay(account, market, now_ns)
            self._matcher.listener.market_changed(market, LifecycleEvent.SETTLED, now_ns)

    def _pay(self, account: Account, market: SimMarket, now_ns: Nanos) -> None:
        held = account.holdings.get(market.spec.ticker)
        if held is None or held.settled:
            return
        count, cost = held.count, held.cost
        revenue = held.settle(yes=market.result == "yes")
        held.updated_ns = now_ns
        account.cash += revenue
        if not account.keeps_history or count == 0:
            return
        long = count > 0
        account.settlements.append(
            SettlementRecord(
                rank=len(account.settlements) + 1,
                ticker=market.spec.ticker,
                event_ticker=market.spec.event_ticker,
                result=market.result,
                yes_count=Count(max(0, count)),
                yes_cost=cost if long else 0,
                no_count=Count(max(0, -count)),
                no_cost=0 if long else cost,
                revenue=revenue,
                fees=held.fees,
                settled_ns=now_ns,
            )
        )
        self._matcher.listener.position_changed(account, market, now_ns)
