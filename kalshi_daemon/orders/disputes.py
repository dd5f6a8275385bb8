"""Markets that have paid and are not final: which, and why. No IO.

A dispute begins when the exchange lists a market that has paid us as `disputed` or `amended` (kalshi.md section 2.2),
or when the stream determines it again with another result. It ends when the listing no longer says so, and when the
list of settlements says what the stream said, the stream takes it back, or a day of the list has not confirmed it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from kalshi_daemon.domain.contract import Market, MarketStatus
from kalshi_daemon.orders.ledger import Ledger
from kalshi_daemon.units import DAY, Nanos

DISPUTED: Final = frozenset({MarketStatus.DISPUTED, MarketStatus.AMENDED})
CONTRADICTED_KEPT: Final = DAY
"""A second result that the list of settlements does not confirm for this long was a wrong message."""


@dataclass(frozen=True, slots=True)
class _Contradiction:
    result: str
    since_ns: Nanos


class Disputes:
    """Remembers what the stream said against the ledger; the rest is looked up."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._said: dict[str, _Contradiction] = {}
        """By market: bounded by the markets of the ledger."""

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
        found = {}
        for ticker in self._paid():
            market, said = markets.get(ticker), self._said.get(ticker)
            if said is not None:
                found[ticker] = f"determined {said.result} after it had paid {self._ledger.positions[ticker].settled}"
            elif market is not None and market.status in DISPUTED:
                found[ticker] = f"listed as {market.status.value}"
        return found

    def _paid(self) -> Iterable[str]:
        return [ticker for ticker, one in self._ledger.positions.items() if one.settled and one.count]
