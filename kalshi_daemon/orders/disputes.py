"""Markets that have paid and are not final: which, and why. No IO.

A dispute begins when the exchange lists a market that has paid us as `disputed` or `amended`
(docs/reference/venue.md 2.2), or when the stream determines it again with another result. It ends when the listing no
longer says so, and when the list of settlements says what the stream said, the stream takes it back, or a day of the
list has not confirmed it. A market that is not listed any more stays as it was listed last, for a day at the most.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from kalshi_daemon.domain.contract import Market, MarketStatus
from kalshi_daemon.ground.units import DAY, Nanos
from kalshi_daemon.orders.journal_rows import DisputeRow
from kalshi_daemon.orders.ledger import Ledger

DISPUTED: Final = frozenset({MarketStatus.DISPUTED, MarketStatus.AMENDED})
CONTRADICTED_KEPT: Final = DAY
"""A second result that the list of settlements does not confirm for this long was a wrong message."""


STREAM: Final = "stream"
LISTING: Final = "listing"
"""Who said it: `DisputeRow.source`."""


@dataclass(frozen=True, slots=True)
class _Contradiction:
    result: str
    since_ns: Nanos


@dataclass(frozen=True, slots=True)
class _Status:
    status: str
    since_ns: Nanos
    seen_ns: Nanos
    """When it was listed so last; after a restart, when that was."""


class Disputes:
    """What the stream said against the ledger, and what the listing said last. Bounded by the markets of the ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._said: dict[str, _Contradiction] = {}
        self._statuses: dict[str, _Status] = {}

    def restore(self, rows: Iterable[DisputeRow], now_ns: Nanos) -> None:
        """Take over what an earlier life knew."""
        for row in rows:
            if row.source == STREAM:
                self._said[row.market_ticker] = _Contradiction(row.said, row.since_ns)
            else:
                self._statuses[row.market_ticker] = _Status(row.said, row.since_ns, now_ns)

    def rows(self) -> list[DisputeRow]:
        """What a later life must know."""
        said = [DisputeRow(ticker, STREAM, one.result, one.since_ns) for ticker, one in self._said.items()]
        listed = [DisputeRow(ticker, LISTING, one.status, one.since_ns) for ticker, one in self._statuses.items()]
        return sorted(said + listed, key=lambda row: (row.market_ticker, row.source))

    def determined(self, market_ticker: str, result: str, now_ns: Nanos) -> bool:
        """The stream named the result of a market; True when it contradicts what was paid."""
        booked = self._ledger.result(market_ticker)
        position = self._ledger.positions.get(market_ticker)
        if position is None or booked is None or not position.settled or not position.count:
            return False
        if booked.result == result:
            self._said.pop(market_ticker, None)
            return False
        known = self._said.get(market_ticker)
        if known is None or known.result != result:
            self._said[market_ticker] = _Contradiction(result, now_ns)
        return True

    def listed(self, market_ticker: str, result: str) -> None:
        """The list of settlements has the market with this result."""
        said = self._said.get(market_ticker)
        if said is not None and said.result == result:
            del self._said[market_ticker]

    def open(self, markets: Mapping[str, Market], now_ns: Nanos) -> dict[str, str]:
        """Market -> why its payment is not final, of those that have paid us."""
        self._said = {
            ticker: said
            for ticker, said in self._said.items()
            if now_ns - said.since_ns < CONTRADICTED_KEPT and ticker in self._ledger.positions
        }
        self._statuses = dict(self._listed_in_dispute(markets, now_ns))
        found = {ticker: f"listed as {one.status}" for ticker, one in self._statuses.items()}
        for ticker in self._paid():
            if ticker in self._said:
                paid = self._ledger.positions[ticker].settled
                found[ticker] = f"determined {self._said[ticker].result} after it had paid {paid}"
        return found

    def _listed_in_dispute(self, markets: Mapping[str, Market], now_ns: Nanos) -> Iterator[tuple[str, _Status]]:
        for ticker in self._paid():
            market, known = markets.get(ticker), self._statuses.get(ticker)
            if market is not None and market.status in DISPUTED:
                yield ticker, _Status(market.status.value, now_ns if known is None else known.since_ns, now_ns)
            elif market is None and known is not None and now_ns - known.seen_ns < CONTRADICTED_KEPT:
                yield ticker, known

    def _paid(self) -> Iterable[str]:
        return [ticker for ticker, one in self._ledger.positions.items() if one.settled and one.count]
