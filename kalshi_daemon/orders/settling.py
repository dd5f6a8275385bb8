"""Windows that are over: results into the ledger, from the stream at once, from the exchange's list for certain."""

from typing import Final

import structlog

from kalshi_daemon.domain.events import MarketLifecycle
from kalshi_daemon.domain.order import Settlement
from kalshi_daemon.ground.errors import UnreadableRecord
from kalshi_daemon.ground.units import DAY, MINUTE, SECOND, Nanos
from kalshi_daemon.kalshi.api import PortfolioApi
from kalshi_daemon.orders.bookkeeping import KEPT, Bookkeeping
from kalshi_daemon.orders.deadlines import EXCHANGE_ERRORS
from kalshi_daemon.orders.ledger import FLAT
from kalshi_daemon.orders.order_store import OrderStore, in_table
from kalshi_daemon.orders.reconcile import Finding, compare_settlement
from kalshi_daemon.orders.records import read_list, unreadable_findings

log = structlog.get_logger()

ASK_AFTER: Final = Nanos(45 * SECOND)
"""After the fixing: the fastest settlement seen takes longer (median 127 s, docs/reference/venue.md 7)."""
ASK_EVERY: Final = Nanos(15 * SECOND)
SLOW_AFTER: Final = Nanos(15 * MINUTE)
"""A settlement held back longer than this (2.6 % of events) is asked for less often."""
ASK_SLOWLY: Final = MINUTE
WATCH_EVERY: Final = Nanos(10 * MINUTE)
"""How often what has been paid is read again; a market in dispute, or just corrected, every ASK_EVERY."""
_LOOK_BACK: Final = Nanos(2 * MINUTE)


class Settler:
    """Polls `GET /portfolio/settlements` while a position of ours is over and not confirmed there."""

    def __init__(self, store: OrderStore, bookkeeping: Bookkeeping, api: PortfolioApi) -> None:
        self._store = store
        self._bookkeeping = bookkeeping
        self._api = api
        self._next = Nanos(0)
        self._next_watch = Nanos(0)
        self._watched = Nanos(0)
        self._unreadable: dict[str, tuple[Nanos, UnreadableRecord]] = {}
        """Settlements that may be ours and could not be read, and since when the list was asked for that had them."""
        self.listed: dict[str, Settlement] = {}
        """By market: what the exchange has listed since the start, for markets we held."""

    def on_lifecycle(self, event: MarketLifecycle) -> None:
        """A market message of the stream; only markets we have traded matter."""
        payments = self._bookkeeping.payments
        if event.event_type == "determined" and event.result:
            if payments.determined(event.market_ticker, event.result):
                self._next_watch = Nanos(0)
        elif event.event_type == "settled" and payments.settled(event.market_ticker, event.result, event.recv_ns):
            self._next = self._next_watch = Nanos(0)

    def soon(self) -> None:
        """Read what has been paid again at the next turn, but not twice within ASK_EVERY."""
        self._next_watch = Nanos(min(self._next_watch, self._watched + ASK_EVERY))

    async def turn(self) -> None:
        """Close what was flat, ask for what is due. Never raises for trouble with the exchange."""
        self._bookkeeping.turn_of_day()
        self._bookkeeping.payments.look_at_disputes()
        if await self._watch():
            self._bookkeeping.payments.look_at_disputes()
        now = self._store.clock.now_ns()
        over = self._over(now)
        self._bookkeeping.payments.close_flat(
            [p.market_ticker for p in self._bookkeeping.waiting(over) if p.event_ticker in self._store.state.windows],
            now,
        )
        waiting = self._unconfirmed(over)
        if not (waiting or self._unreadable) or now < self._next:
            return
        since = min(self._target(event, now) for event in waiting.values()) if waiting else now
        self._next = Nanos(now + (ASK_EVERY if now - since < SLOW_AFTER else ASK_SLOWLY))
        try:
            await self.read(Nanos(min([since - _LOOK_BACK, *(asked for asked, _ in self._unreadable.values())])))
        except EXCHANGE_ERRORS as problem:
            log.warning("settlement.read_failed", waiting=len(waiting), problem=str(problem))

    async def _watch(self) -> bool:
        """Read the settlements of all markets in memory again: what was paid may have been paid otherwise since.

        Whether it was time to.
        """
        now, first = self._store.clock.now_ns(), self._bookkeeping.ledger.paid_since()
        if first is None or now < self._next_watch:
            return False
        pause, self._watched = ASK_EVERY, now
        try:
            corrected = await self.read(Nanos(first - _LOOK_BACK))
        except EXCHANGE_ERRORS as problem:
            log.warning("settlement.read_failed", waiting=0, problem=str(problem))
        else:
            pause = ASK_EVERY if corrected or self._bookkeeping.payments.disputed else WATCH_EVERY
        self._next_watch = Nanos(now + pause)
        return True

    async def read(self, since_ns: Nanos) -> bool:
        """Book every settlement listed since then that can be read, remember the others; whether any was corrected.

        Raises what the API raises.
        """
        listed = await read_list(self._api.settlements(min_ts_ns=since_ns), self._store.state)
        self._unreadable = {key: kept for key, kept in self._unreadable.items() if kept[0] < since_ns}
        for record in listed.unreadable:
            if not record.market_ticker or record.market_ticker in self._bookkeeping.ledger.positions:
                self._unreadable[record.place] = (since_ns, record)
        before = self._bookkeeping.ledger.corrected
        for settlement in listed.records:
            if not in_table(settlement.market_ticker, self._store.state):
                continue
            if settlement.market_ticker in self._bookkeeping.ledger.positions:
                self.listed[settlement.market_ticker] = settlement
                for finding in self._bookkeeping.payments.book_settlement(settlement):
                    log.error("settlement.disagreed", text=finding.text)
        oldest = self._store.clock.now_ns() - KEPT
        self.listed = {ticker: s for ticker, s in self.listed.items() if s.settled_ns >= oldest}
        return self._bookkeeping.ledger.corrected != before

    def findings(self) -> list[Finding]:
        """Listed settlements that do not agree with what we held, as of now."""
        found = unreadable_findings([record for _, record in self._unreadable.values()])
        found += self._bookkeeping.payments.unsteady.values()
        for ticker, settlement in self.listed.items():
            found += compare_settlement(settlement, self._bookkeeping.net(ticker))
        return found

    def _over(self, now: Nanos) -> set[str]:
        """Events past their fixing by ASK_AFTER, or of another session than the one on."""
        windows = self._store.state.windows
        return {
            position.event_ticker
            for position in self._bookkeeping.ledger.positions.values()
            if position.event_ticker not in windows
            or now >= windows[position.event_ticker].window.target_ns + ASK_AFTER
        }

    def _unconfirmed(self, over: set[str]) -> dict[str, str]:
        """Market -> event of positions that are over and whose settlement the exchange has not listed yet."""
        found: dict[str, str] = {}
        for ticker, position in self._bookkeeping.ledger.positions.items():
            result = self._bookkeeping.ledger.result(ticker)
            confirmed = result is not None and (result.revenue is not None or result.result == FLAT)
            if position.event_ticker in over and position.count and not (confirmed and position.settled):
                found[ticker] = position.event_ticker
        return found

    def _target(self, event_ticker: str, now: Nanos) -> Nanos:
        status = self._store.state.windows.get(event_ticker)
        return Nanos(now - DAY) if status is None else status.window.target_ns
