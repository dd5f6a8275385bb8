"""Fills and settlements into the ledger and the journal, exactly once. Synchronous; owns `state.ledger`.

What counts as ours: with scope `account` every fill of our series on the subaccount (a hand-placed order's loss is a
loss too), with scope `own` the fills of orders in our journal; the others are kept only to explain the exchange's
positions. Markets of other series never enter: they are neither ours to trade nor ours to judge.
"""

from collections.abc import Collection, Iterable
from typing import Final

import structlog

from kalshi_daemon.domain.contract import FeeSchedule
from kalshi_daemon.domain.order import Fill, Order
from kalshi_daemon.ground.errors import StateCorrupt
from kalshi_daemon.ground.units import DAY, Count, Dollars, Nanos, format_count, format_dollars, format_price
from kalshi_daemon.ladder.payoff import FEES_WHEN_UNKNOWN
from kalshi_daemon.orders.booked import BookedFill, Inherited
from kalshi_daemon.orders.fill_checks import impossible_fill
from kalshi_daemon.orders.journal_archive import Moved, move_old
from kalshi_daemon.orders.ledger import Ledger, day_start, week_start
from kalshi_daemon.orders.order_store import OrderStore, event_of, in_table, series_of
from kalshi_daemon.orders.payments import Payments
from kalshi_daemon.orders.reconcile import Finding, Scope, compare_fills
from kalshi_daemon.orders.refused_fills import STREAM, RefusedFills, as_order
from kalshi_daemon.state import Position

log = structlog.get_logger()

KEPT: Final = Nanos(8 * DAY)
"""Settled markets stay in memory this long: the week's profit needs seven days."""


class Bookkeeping:
    """Our money. Nothing here waits."""

    def __init__(
        self,
        store: OrderStore,
        scope: Scope,
        archive_after_days: int,
        accepted: Collection[str] = (),
        dismissed: Collection[str] = (),
    ) -> None:
        """Trade ids that an operator names, of fills that cannot be.

        `accepted`: to be booked as the exchange lists them, whatever they say. `dismissed`: they never happened.
        """
        self._store = store
        self._scope = scope
        self._archive_after = Nanos(archive_after_days * DAY)
        self._accepted = frozenset(accepted)
        self._dismissed = frozenset(dismissed)
        self._told_dismissed: set[str] = set()
        self.ledger = Ledger()
        self.refused = RefusedFills(store.state)
        """Fills that cannot be."""
        self._strangers: dict[str, BookedFill] = {}
        """Scope `own`: fills of orders that are not ours, by trade id."""
        self._inherited: dict[str, Count] = {}
        self.payments = Payments(store, self.ledger, self.net, self._publish)
        self._day = Nanos(0)
        self.started_ns = Nanos(0)
        self._start = (Dollars(0), 0, Count(0))
        self._forgotten_pnl = 0
        store.on_id_learned = self.attribute

    def load(self) -> None:
        """Rebuild the ledger from the journal."""
        now = self._store.clock.now_ns()
        journal = self._store.journal
        self.archive()
        since = Nanos(now - KEPT)
        for held in journal.inherited(since):
            self._take_over(held)
        for booked in journal.fills_that_matter(since):
            self._count_in(booked)
        corrections = journal.corrections()
        for ticker, result in journal.results_since(since).items():
            for entry in (result, *corrections.get(ticker, ())):
                self.ledger.set_result(ticker, entry)
        self.started_ns = now
        self.payments.load()
        self._publish(now)
        ledger = self._store.state.ledger
        self._start = (ledger.fees_total, ledger.fills_total, ledger.contracts_total)

    def archive(self) -> None:
        """Move what ended long ago out of the journal. A disk that refuses is logged: nothing is lost by waiting."""
        now = self._store.clock.now_ns()
        try:
            moved = move_old(self._store.journal.path, now, Nanos(now - self._archive_after))
        except StateCorrupt as problem:
            log.warning("journal.not_archived", path=problem.path, problem=problem.problem)
        else:
            if moved != Moved(0, 0, 0):
                log.info("journal.archived", orders=moved.orders, fills=moved.fills, settlements=moved.settlements)

    # --- fills --------------------------------------------------------------------------------------------------------

    def book_fill(self, fill: Fill, source: str, place: str = STREAM) -> bool:
        """Book a fill once, whichever road it took. False when it was known, cannot be, or is of another series.

        One that cannot be waits (`refused`). `place`: the list that tells of it.
        """
        store = self._store
        series = series_of(fill.market_ticker, store.state)
        # The exchange's id first: it is what the lists tell of a fill. The name may be another order's all the same.
        order = store.find(None, fill.order_id) or store.find(fill.client_order_id, None)
        if order is None and series not in store.state.instruments.series:
            return False
        booked = BookedFill(fill, event_of(fill.market_ticker, store.state), series)
        named = store.find(fill.client_order_id, None)
        problem = self._impossible(booked, order)
        if problem:
            if fill.trade_id in self._dismissed:
                self._dismiss(fill, problem)
            else:
                self._refuse(booked, order, place, problem)
            return False
        with store.journal.transaction():
            if not store.journal.add_fill(booked, store.clock.now_ns()):
                return False
            if named is not None and order is not None and named.client_order_id != order.client_order_id:
                store.doubt(named, "FillSeen", f"a fill of {fill.order_id} carries its name")
            if order is not None:
                store.fill_booked(order, fill)
        self._count_in(booked)
        self.refused.forget(fill.trade_id)
        now = store.clock.now_ns()
        self._publish(now)
        order = store.find(fill.client_order_id, fill.order_id)
        facts = {"trade_id": fill.trade_id, "fee": format_dollars(fill.fee), "source": source}
        self._say_fill(fill, facts, None if order is None else order.client_order_id)
        store.on_change()
        return True

    def book_listed(self, fills: Iterable[Fill], source: str, place: str, told: Collection[str]) -> None:
        """Book the fills that a list has and we have not; `told` are the trade ids of the whole list."""
        for fill in sorted(fills, key=lambda f: (f.event_ns, f.trade_id)):
            self.book_fill(fill, source, place)
        self.refused.list_read(place, told, self._store.clock.now_ns())

    def _impossible(self, booked: BookedFill, order: Order | None) -> str:
        """Why a fill that is not known yet cannot be; "" when it can, or an operator has accepted it as it is."""
        fill, journal = booked.fill, self._store.journal
        if fill.trade_id in self._accepted and booked.series_ticker in self._store.state.instruments.series:
            return ""
        problem = impossible_fill(fill, order, journal.filled_total(fill.order_id), self._fees(booked, order))
        return problem if not problem or journal.fill(fill.trade_id) is None else ""

    def _fees(self, booked: BookedFill, order: Order | None) -> FeeSchedule | None:
        """The schedule a fill was charged by; None when nobody knows: strangers' orders of before the start too."""
        venue, series = self._store.state.venue, booked.series_ticker
        if series in venue.fee_alarm or booked.event_ticker in venue.event_fee_override:
            return None
        if order is None:
            return venue.fees.get(series) if booked.fill.event_ns >= self.started_ns else None
        return venue.fees.get(series, FEES_WHEN_UNKNOWN)

    def _dismiss(self, fill: Fill, problem: str) -> None:
        """An operator says that it never happened: it counts nowhere. Positions and cash still have to agree."""
        if fill.trade_id not in self._told_dismissed:
            self._told_dismissed.add(fill.trade_id)
            log.warning(
                "fill.dismissed",
                trade_id=fill.trade_id,
                order_id=fill.order_id,
                market=fill.market_ticker,
                problem=problem,
            )

    def _refuse(self, booked: BookedFill, order: Order | None, place: str, problem: str) -> None:
        fill, store = booked.fill, self._store
        now = store.clock.now_ns()
        like = as_order(fill, booked.event_ticker, booked.series_ticker, now)
        self.refused.add(fill, place, order, problem, like, now)
        if order is not None:
            store.doubt(order, "FillSeen", f"fill {fill.trade_id}: {problem}")
        elif place == STREAM:
            store.on_missed_fill()
        store.on_change()

    def attribute(self, order_id: str) -> None:
        """An order of ours has learned its exchange id: fills that came before count for it now."""
        order = self._store.find(None, order_id)
        if order is None:
            return
        early = [b.fill for b in self._strangers.values() if b.fill.order_id == order_id]
        for fill in early:
            self.ledger.add_fill(self._strangers.pop(fill.trade_id))
        if self._store.journal.filled_total(order_id) > order.filled:
            last = self._store.journal.fills_of(order_id)[-1].fill
            self._store.fill_booked(order, last)
        if early:
            self._publish(self._store.clock.now_ns())

    def missed(self, remote: Iterable[Fill], since_ns: Nanos, until_ns: Nanos) -> tuple[list[Fill], list[Finding]]:
        """The exchange's list against ours, our series only: what we lack, and what does not agree."""
        ours = {booked.fill.trade_id: booked.fill for booked in self._store.journal.fills_since(since_ns)}
        listed = [fill for fill in remote if self._may_be_ours(fill)]
        known = {fill.trade_id: fill for fill in listed if fill.trade_id not in ours}
        for trade_id in known:
            booked = self._store.journal.fill(trade_id)  # older than the range of ours, by a second's rounding
            if booked is not None:
                ours[trade_id] = booked.fill
        return compare_fills(ours, listed, since_ns, until_ns)

    def _may_be_ours(self, fill: Fill) -> bool:
        """Of our series, or of an order of ours whatever market it names."""
        return in_table(fill.market_ticker, self._store.state) or self._store.find(None, fill.order_id) is not None

    def _count_in(self, booked: BookedFill) -> None:
        if self._scope == "account" or self._store.find(None, booked.fill.order_id) is not None:
            self.ledger.add_fill(booked)
        else:
            self._strangers[booked.fill.trade_id] = booked

    def _say_fill(self, fill: Fill, facts: dict[str, str], client_order_id: str | None) -> None:
        self._store.audit(
            {
                "action": "fill",
                "client_order_id": client_order_id,
                "order_id": fill.order_id,
                "market": fill.market_ticker,
                "side": fill.side.value,
                "price": format_price(fill.price),
                "count": format_count(fill.count),
                "is_taker": fill.is_taker,
                **facts,
            }
        )
        log.info(
            "fill.booked",
            client_order_id=client_order_id,
            market=fill.market_ticker,
            side=fill.side.value,
            price=format_price(fill.price),
            count=format_count(fill.count),
            fee=format_dollars(fill.fee),
            is_taker=fill.is_taker,
            position=format_count(self.ledger.count(fill.market_ticker)),
            source=facts["source"],
        )

    # --- positions ----------------------------------------------------------------------------------------------------

    def net(self, market_ticker: str) -> Count:
        """The exchange's view of our position: ours plus what strangers on the account did."""
        foreign = sum(
            b.fill.side.sign * b.fill.count for b in self._strangers.values() if b.fill.market_ticker == market_ticker
        )
        held = self._inherited.get(market_ticker, Count(0)) if self._scope == "own" else Count(0)
        return Count(self.ledger.count(market_ticker) + foreign + held)

    def unsettled(self) -> dict[str, Count]:
        """Net counts of every market that has not settled."""
        tickers = {position.market_ticker for position in self.ledger.open_positions()}
        tickers |= {booked.fill.market_ticker for booked in self._strangers.values()}
        tickers |= set(self._inherited)
        return {ticker: self.net(ticker) for ticker in tickers if not self._is_settled(ticker)}

    def settled_lately(self, since_ns: Nanos) -> set[str]:
        """Markets whose result we booked as of `since_ns` or later: the exchange's lists may still show them open."""
        results = ((ticker, self.ledger.result(ticker)) for ticker in self.ledger.positions)
        return {ticker for ticker, result in results if result is not None and result.at_ns >= since_ns}

    def waiting(self, over: Collection[str]) -> list[Position]:
        """Positions held in markets that are over (event tickers) and have not settled."""
        return [p for p in self.ledger.open_positions() if p.event_ticker in over]

    def inherit(self, differences: dict[str, Count]) -> None:
        """First start ever: positions that no fill we can read explains."""
        state = self._store.state
        held = [
            Inherited(ticker, event_of(ticker, state), series_of(ticker, state), count)
            for ticker, count in differences.items()
        ]
        self._store.journal.inherit(held)
        for position in held:
            log.warning(
                "position.inherited",
                market=position.market_ticker,
                count=format_count(position.count),
                scope=self._scope,
            )
            self._take_over(position)
        self._publish(self._store.clock.now_ns())

    def _take_over(self, held: Inherited) -> None:
        self._inherited[held.market_ticker] = held.count
        if self._scope == "account":
            self.ledger.inherit(held)

    def _is_settled(self, market_ticker: str) -> bool:
        position = self.ledger.positions.get(market_ticker)
        return self.ledger.result(market_ticker) is not None if position is None else bool(position.settled)

    # --- totals -------------------------------------------------------------------------------------------------------

    def session(self) -> tuple[int, Count, Dollars, Dollars]:
        """(fills, contracts, fees, profit realised) since the start of this process."""
        ledger = self._store.state.ledger
        fees, fills, contracts = self._start
        return (
            ledger.fills_total - fills,
            Count(ledger.contracts_total - contracts),
            Dollars(ledger.fees_total - fees),
            Dollars(self._forgotten_pnl + self.ledger.realized(self.started_ns)),
        )

    def turn_of_day(self) -> None:
        """Publish anew after a New York midnight, and forget what is too old to matter."""
        now = self._store.clock.now_ns()
        if day_start(now) != self._day:
            self._publish(now)
            self.archive()

    def _publish(self, now: Nanos) -> None:
        if day_start(now) != self._day:
            self._day = day_start(now)
            before = Nanos(min(now - KEPT, week_start(now)))
            self._forgotten_pnl += self.ledger.realized(self.started_ns, before)
            self.ledger.forget_settled(before)
            self._strangers = {name: b for name, b in self._strangers.items() if b.fill.event_ns >= before}
        fresh = self.ledger.state(now, self.payments.disputed)
        shared = self._store.state.ledger
        shared.positions = fresh.positions
        shared.realized_today = fresh.realized_today
        shared.realized_week = fresh.realized_week
        shared.disputed = fresh.disputed
        shared.fees_total = fresh.fees_total
        shared.fills_total = fresh.fills_total
        shared.contracts_total = fresh.contracts_total
