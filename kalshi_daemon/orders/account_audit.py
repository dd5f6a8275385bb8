"""Our books against the exchange's own, to 1/10 000 dollar: what the end of a session and anybody in doubt asks."""

from dataclasses import dataclass
from typing import Final

import structlog

from kalshi_daemon.ground.units import SECOND, Dollars, Nanos, format_dollars
from kalshi_daemon.kalshi.api import PortfolioApi
from kalshi_daemon.orders.bookkeeping import KEPT, Bookkeeping
from kalshi_daemon.orders.deadlines import EXCHANGE_ERRORS
from kalshi_daemon.orders.ledger import FLAT
from kalshi_daemon.orders.order_store import OrderStore, in_table
from kalshi_daemon.orders.reconcile import Finding, compare_balance, compare_fills, compare_positions, disagreements
from kalshi_daemon.orders.reconciling import Reconciler
from kalshi_daemon.orders.records import read_list
from kalshi_daemon.orders.refused_fills import LIST
from kalshi_daemon.orders.settling import Settler

log = structlog.get_logger()

TRIES: Final = 5
"""Reads lag writes: a difference is looked at again, this often, before it is one."""
BETWEEN_TRIES: Final = SECOND
_SHOWN: Final = 3


@dataclass(frozen=True, slots=True)
class SessionTotals:
    """What this process has done since its start. Money in 1/10 000 dollar, contracts in 1/100."""

    orders_placed: int
    orders_cancelled: int
    fills: int
    contracts: int
    fees: Dollars
    pnl: Dollars
    """Realised by settlement."""


@dataclass(frozen=True, slots=True)
class BooksCheck:
    """The answer, with the numbers behind it."""

    equal: bool
    detail: str
    pnl: Dollars
    """Realised since the start, by our ledger."""
    exchange_pnl: Dollars | None
    """The same by the exchange's cash: its change since the start, without what open positions tie up; None when the
    cash cannot be compared (something rests, or rested when the session began)."""


class AccountAudit:
    """Holds the cash and ledger of a moment when nothing rested, to compare a later one with."""

    def __init__(
        self, store: OrderStore, bookkeeping: Bookkeeping, api: PortfolioApi, reconciler: Reconciler, settler: Settler
    ) -> None:
        self._store = store
        self._bookkeeping = bookkeeping
        self._api = api
        self._reconciler = reconciler
        self._settler = settler
        self._cash: Dollars | None = None
        self._all_shards = False
        self._ledger_cash = Dollars(0)
        self._open_cash = Dollars(0)

    async def begin(self) -> None:
        """Remember cash and ledger of the start, if nothing rests: resting orders hold balance back, a stranger's too.

        Positions of an earlier life may have been paid, or paid otherwise than before, while nobody looked. That money
        is in the cash already and would be expected once more when it is booked: cash counts only when a look at the
        settlements right after it books nothing. Never raises for trouble with the exchange: cash is then not compared.
        """
        for _ in range(TRIES):
            if self._store.live():
                return
            ledger = self._bookkeeping.ledger
            held = any(position.count for position in ledger.open_positions())
            try:
                if strangers := await self._resting():
                    log.warning("cash.start_unknown", problem=f"the exchange lists {strangers} resting")
                    return
                await self._reconciler.read_balance()
                cash, before = self._reconciler.cash, ledger.exchange_cash()
                balance, self._all_shards = cash.known(), cash.all_shards
                if held or ledger.paid_since() is not None:
                    await self._settler.read(Nanos(self._bookkeeping.started_ns - KEPT))
            except EXCHANGE_ERRORS as problem:
                log.warning("cash.start_unknown", problem=str(problem))
                return
            if balance is not None and ledger.exchange_cash() == before:
                self._cash, self._ledger_cash, self._open_cash = balance.cash, before, ledger.tied_up()
                return

    async def books_equal(self) -> BooksCheck:
        """Compare fills, settlements, positions, fees and cash. Raises nothing: what cannot be read is not equal."""
        check = self.not_compared("not compared")
        for tried in range(TRIES):
            if tried:
                await self._store.clock.sleep(BETWEEN_TRIES)
            try:
                if self._store.state.reconciliation.checked_ns is None:
                    await self._reconciler.look()
                check = await self._compare()
            except EXCHANGE_ERRORS as problem:
                check = self.not_compared(str(problem))
            if check.equal:
                break
        return check

    def not_compared(self, why: str) -> BooksCheck:
        """The answer when there is nothing to compare with: not equal."""
        return BooksCheck(equal=False, detail=why, pnl=self._bookkeeping.session()[3], exchange_pnl=None)

    async def _compare(self) -> BooksCheck:
        books, store = self._bookkeeping, self._store
        findings = await self._reconciler.read_fills()
        since = Nanos(books.started_ns - SECOND)
        # A position from before the start may have been paid before it, or otherwise than it was.
        earlier = any(position.count for position in books.ledger.positions.values())
        await self._settler.read(Nanos(books.started_ns - KEPT) if earlier else since)
        findings += await self._fills(since)
        findings += self._settler.findings()
        answer = await read_list(self._api.positions(), store.state)
        findings += answer.findings
        positions = [p for p in answer.records if in_table(p.market_ticker, store.state)]
        unsettled = books.unsettled()
        settled = {p.market_ticker for p in positions} - set(unsettled)
        findings += compare_positions(unsettled, positions, {t for t in settled if books.ledger.result(t) is not None})
        strangers = await self._resting()
        await self._reconciler.read_balance()
        cash_findings, exchange_pnl = ([], None) if strangers else self._compare_cash()
        findings += cash_findings
        disputes = disagreements(findings)
        missing = self._unlisted()
        texts = [*disputes.values(), *(f"settlement of {ticker} is not listed" for ticker in missing)]
        fills, _contracts, fees, pnl = books.session()
        detail = "; ".join(texts[:_SHOWN]) or (
            f"{fills} fills, fees {format_dollars(fees)}, profit {format_dollars(pnl)}"
            + ("" if exchange_pnl is None else f", by the exchange's cash {format_dollars(exchange_pnl)}")
        )
        return BooksCheck(equal=not texts, detail=detail, pnl=pnl, exchange_pnl=exchange_pnl)

    async def _resting(self) -> int:
        """How many orders the exchange lists on the account. Raises what the API raises."""
        return len(await self._api.orders(status="resting"))

    async def _fills(self, since: Nanos) -> list[Finding]:
        """Every fill of the session on both sides, one by one: price, count and fee."""
        ours = {booked.fill.trade_id: booked.fill for booked in self._store.journal.fills_since(since)}
        listed = await read_list(self._api.fills(min_ts_ns=since), self._store.state)
        theirs = [f for f in listed.records if in_table(f.market_ticker, self._store.state) and f.event_ns >= since]
        missed, findings = compare_fills(ours, theirs, since, self._store.clock.now_ns())
        for fill in missed:
            self._bookkeeping.book_fill(fill, "list", LIST)
        return findings + listed.findings + self._bookkeeping.refused.findings()

    def _unlisted(self) -> list[str]:
        """Markets settled since the start, with a position, that the exchange's list does not have."""
        return [
            ticker
            for ticker, position in self._bookkeeping.ledger.positions.items()
            if position.settled
            and position.settled != FLAT
            and position.count
            and (result := self._bookkeeping.ledger.result(ticker)) is not None
            and result.at_ns >= self._bookkeeping.started_ns
            and ticker not in self._settler.listed
        ]

    def _compare_cash(self) -> tuple[list[Finding], Dollars | None]:
        cash = self._reconciler.cash
        cash.note_shards()
        balance = cash.known()
        if balance is None or self._cash is None or self._store.live() or cash.all_shards != self._all_shards:
            return [], None
        ledger = self._bookkeeping.ledger
        by_others = cash.moved
        expected = Dollars(self._cash + ledger.exchange_cash() - self._ledger_cash + by_others)
        moved = balance.cash - self._cash - by_others
        return compare_balance(expected, balance.cash), Dollars(moved - (ledger.tied_up() - self._open_cash))

    def totals(self) -> SessionTotals:
        """The session's numbers so far, by our own books."""
        fills, contracts, fees, pnl = self._bookkeeping.session()
        counters = self._store.state.counters
        return SessionTotals(counters.orders_placed, counters.orders_cancelled, fills, contracts, fees, pnl)
