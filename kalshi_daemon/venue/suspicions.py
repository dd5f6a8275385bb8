"""Why a book is not believed although it is in sync. Pure in effect: writes the books' `doubt` and `doubted`, no more.

Each kind of evidence is taken back by what disproves it and by nothing else: a late frame by a timely one, a post-only
reject by a fresh snapshot, a witness by the next look that agrees.
"""

from collections.abc import Iterable
from enum import StrEnum

from kalshi_daemon.state import VenueState


class Evidence(StrEnum):
    """What speaks against a book."""

    WITNESS = "witness"
    """The exchange's own book over REST did not agree, twice."""
    POST_ONLY = "post_only"
    """The exchange refused to rest an order that does not cross the book we see."""
    LATE = "late"
    """Its last frame came later than allowed."""


class Suspicions:
    """Owns `state.venue.streams.doubted` and every book's `doubt`. Bounded by the books followed."""

    def __init__(self, venue: VenueState) -> None:
        self._venue = venue
        self._found: dict[str, dict[Evidence, str]] = {}

    def add(self, market_ticker: str, kind: Evidence, text: str) -> bool:
        """Note evidence against a book that is followed; False when it was known, or nothing follows the market."""
        if market_ticker not in self._venue.books:
            return False
        found = self._found.setdefault(market_ticker, {})
        new = kind not in found
        found[kind] = text
        self._show(market_ticker)
        return new

    def take_back(self, market_ticker: str, kind: Evidence) -> bool:
        """The evidence was disproved; True when there was some."""
        found = self._found.get(market_ticker, {})
        if kind not in found:
            return False
        del found[kind]
        self._show(market_ticker)
        return True

    def holds(self, market_ticker: str, kind: Evidence) -> bool:
        """Whether there is evidence of this kind against a market's book."""
        return kind in self._found.get(market_ticker, {})

    def of_kind(self, kind: Evidence) -> list[str]:
        """The markets this kind speaks against, the oldest first."""
        return [ticker for ticker, found in self._found.items() if kind in found]

    def forget(self, market_tickers: Iterable[str]) -> None:
        """These books are no longer followed."""
        for ticker in market_tickers:
            self._found.pop(ticker, None)
            self._venue.streams.doubted.pop(ticker, None)

    def _show(self, market_ticker: str) -> None:
        found = self._found[market_ticker]
        text = "; ".join(found[kind] for kind in Evidence if kind in found)
        book = self._venue.books.get(market_ticker)
        if book is not None:
            book.doubt = text
        if text:
            self._venue.streams.doubted[market_ticker] = text
        else:
            del self._found[market_ticker]
            self._venue.streams.doubted.pop(market_ticker, None)
