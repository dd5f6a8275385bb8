"""How markets ended, into ledger and journal: results of the stream at once, listed settlements, and their corrections.

What was booked is never rewritten: the exchange's list may contradict it, and then a correction is booked beside it, as
of now. The stream may contradict it too: then the market is in dispute until the list has spoken.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

import structlog

from kalshi_daemon.domain.order import Settlement
from kalshi_daemon.ground.units import Count, Dollars, Nanos, format_count, format_dollars
from kalshi_daemon.orders.booked import Result
from kalshi_daemon.orders.disputes import Disputes
from kalshi_daemon.orders.journal_rows import DisputeRow
from kalshi_daemon.orders.ledger import FLAT, Ledger
from kalshi_daemon.orders.order_store import OrderStore
from kalshi_daemon.orders.reconcile import Act, Finding, compare_settlement
from kalshi_daemon.state import Position

log = structlog.get_logger()

CORRECTIONS_MAX: Final = 20
"""Of one market; a list that changes more often is not believed any more and keeps the reconciliation guard shut."""


class Payments:
    """Results of the markets we hold. Nothing here waits. `net`: the exchange's view of a position of ours.

    `publish` shows the ledger's new totals as of an instant.
    """

    def __init__(
        self, store: OrderStore, ledger: Ledger, net: Callable[[str], Count], publish: Callable[[Nanos], None]
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._net = net
        self._publish = publish
        self._determined: dict[str, str] = {}
        self._disputes = Disputes(ledger)
        self._kept: list[DisputeRow] = []
        """As the journal has them."""
        self.disputed: dict[str, str] = {}
        """Market -> why what it has paid is not final."""
        self.unsteady: dict[str, Finding] = {}
        """Markets whose listed settlement changes too often to be followed."""

    def load(self) -> None:
        """Take the disputes of earlier lives over; the ledger is there already."""
        self._kept = self._store.journal.disputes()
        self._disputes.restore(self._kept, self._store.clock.now_ns())
        self.look_at_disputes()

    def _keep_disputes(self) -> None:
        rows = self._disputes.rows()
        if rows != self._kept:
            self._store.guarded(lambda: self._store.journal.replace_disputes(rows))
            self._kept = rows

    def determined(self, market_ticker: str, result: str) -> bool:
        """The market's result is known; it may still be disputed, so nothing is booked before `settled`.

        True when the market has paid by another one: the exchange's list is to be asked.
        """
        if market_ticker not in self._ledger.positions:
            return False
        self._determined[market_ticker] = result
        contradicts = self._disputes.determined(market_ticker, result, self._store.clock.now_ns())
        self._keep_disputes()
        return contradicts

    def settled(self, market_ticker: str, result: str | None, at_ns: Nanos) -> bool:
        """The market has paid. Books its result at once; our own settlement may be listed much later.

        A market that had paid by another result is in dispute: only the exchange's list can correct it. True when the
        list should be asked.
        """
        result = result or self._determined.pop(market_ticker, "")
        position = self._ledger.positions.get(market_ticker)
        if position is None or result not in {"yes", "no"}:
            return False
        contradicts = self._disputes.determined(market_ticker, result, at_ns)
        self._keep_disputes()
        if contradicts:
            return True
        entry = Result(result, at_ns)
        return not self._ledger.corrects(market_ticker, entry) and self._book_result(position, entry, "stream")

    def book_settlement(self, settlement: Settlement) -> list[Finding]:
        """Book a listed settlement; returns what does not agree with our position. Other series are left alone."""
        position = self._ledger.positions.get(settlement.market_ticker)
        if position is None:
            return []
        known = self._ledger.result(settlement.market_ticker)
        result = Result(settlement.result, settlement.settled_ns, settlement.revenue)
        self._disputes.listed(settlement.market_ticker, settlement.result)
        self._keep_disputes()
        self.unsteady.pop(settlement.market_ticker, None)
        if known is not None and self._ledger.corrects(settlement.market_ticker, result):
            if self._ledger.corrections(settlement.market_ticker) >= CORRECTIONS_MAX:
                self.unsteady[settlement.market_ticker] = _unsteady(settlement, known)
                return []
            self._correct(position, settlement, known)
        elif known is None or (known.result, known.revenue) != (result.result, result.revenue):
            self._store.journal.add_settlement(settlement, self._store.clock.now_ns())
            if self._ledger.set_result(settlement.market_ticker, result):
                if known is None or known.result != settlement.result:
                    self._settled(position, result, "list")
                self._publish(self._store.clock.now_ns())
        return compare_settlement(settlement, self._net(settlement.market_ticker))

    def _correct(self, position: Position, settlement: Settlement, known: Result) -> None:
        """The exchange lists a settlement otherwise than it was booked: an entry beside the first, as of now."""
        now, ticker = self._store.clock.now_ns(), settlement.market_ticker
        before = self._ledger.profit(ticker) or Dollars(0)
        self._store.journal.add_correction(settlement, known, now)
        self._ledger.set_result(ticker, Result(settlement.result, now, settlement.revenue))
        after = self._ledger.profit(ticker) or Dollars(0)
        self._publish(now)
        facts = {
            "market": ticker,
            "result": settlement.result,
            "previous_result": known.result,
            "count": format_count(position.count),
            "profit": format_dollars(after),
            "previous_profit": format_dollars(before),
            "difference": format_dollars(Dollars(after - before)),
        }
        self._audit("correct", position, {"event": position.event_ticker, **facts})
        state = self._store.state.ledger
        log.error(
            "settlement.corrected",
            **facts,
            corrections=self._ledger.corrections(ticker),
            realized_today=format_dollars(state.realized_today),
            realized_week=format_dollars(state.realized_week),
        )
        self._store.on_change()

    def look_at_disputes(self) -> None:
        """Count what markets in dispute have paid as it is worse; said when a dispute begins and when it ends."""
        now = self._store.clock.now_ns()
        found = self._disputes.open(self._store.state.venue.markets, now)
        self._keep_disputes()
        if found == self.disputed:
            return
        before, self.disputed = self.disputed, found
        self._publish(now)
        for ticker in found.keys() - before.keys():
            at_risk = format_dollars(self._ledger.at_risk(ticker))
            log.error("settlement.disputed", market=ticker, why=found[ticker], at_risk=at_risk)
        for ticker in before.keys() - found.keys():
            profit = self._ledger.profit(ticker)
            result = self._ledger.result(ticker)
            log.warning(
                "settlement.dispute_ended",
                market=ticker,
                result=None if result is None else result.result,
                profit=None if profit is None else format_dollars(profit),
            )
        self._store.on_change()

    def close_flat(self, market_tickers: Iterable[str], at_ns: Nanos) -> None:
        """Realise what was bought and sold again before the fixing: the exchange lists no settlement for it."""
        for ticker in market_tickers:
            position = self._ledger.positions[ticker]
            if position.count == 0 and not position.settled:
                self._book_result(position, Result(FLAT, at_ns), "flat")

    def _book_result(self, position: Position, result: Result, source: str) -> bool:
        if not self._ledger.set_result(position.market_ticker, result):
            return False
        now = self._store.clock.now_ns()
        self._store.journal.add_result(position.market_ticker, position.event_ticker, result, now)
        self._settled(position, result, source)
        return True

    def _settled(self, position: Position, result: Result, source: str) -> None:
        self._publish(self._store.clock.now_ns())
        profit = self._ledger.profit(position.market_ticker)
        facts = {
            "market": position.market_ticker,
            "event": position.event_ticker,
            "result": result.result,
            "count": format_count(position.count),
            "profit": None if profit is None else format_dollars(profit),
            "fees": format_dollars(position.fees),
            "source": source,
        }
        self._audit("settle", position, facts)
        # structlog keeps `event` for the line's own name.
        log.info("position.settled", **{f"{key}_ticker" if key == "event" else key: v for key, v in facts.items()})
        self._store.on_change()

    def _audit(self, action: str, position: Position, facts: Mapping[str, object]) -> None:
        """With what the series has brought today by now: the reports' profit of the day is the ledger's."""
        today = self._ledger.realized_today(position.series_ticker, self._store.clock.now_ns())
        self._store.audit({"action": action, **facts, "series_profit_today": format_dollars(today)})


def _unsteady(settlement: Settlement, known: Result) -> Finding:
    text = (
        f"settlement of {settlement.market_ticker}: corrected {CORRECTIONS_MAX} times, now {known.result} in our books"
        f" and {settlement.result} at the exchange"
    )
    return Finding(Act.DISAGREE, f"unsteady:{settlement.market_ticker}", text)
