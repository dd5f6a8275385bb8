"""What is asked of one event's listing at every look, worked out again only when listing or books have changed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from kalshi_daemon.domain.book import Book
from kalshi_daemon.domain.contract import Market
from kalshi_daemon.ground.versioned import VersionedDict

_EVENTS_KEPT: Final = 64
"""More than are listed at one time."""


@dataclass(frozen=True, slots=True)
class EventListing:
    """One event: its markets in the order of the listing, those whose books are followed, its shards but 0."""

    versions: tuple[int, int, int]
    markets: tuple[Market, ...]
    followed: tuple[tuple[Market, Book], ...]
    far_shards: tuple[int, ...]


class ByEvent:
    """Guards ask several times a second, and a ladder has 400 legs: an answer stands until one of the dicts changes."""

    def __init__(self) -> None:
        self._found: dict[str, EventListing] = {}

    def of(
        self,
        event_ticker: str,
        events: Mapping[str, tuple[str, ...]],
        markets: Mapping[str, Market],
        books: Mapping[str, Book],
    ) -> EventListing:
        """The event as these three say now; each of them counts its changes (VersionedDict)."""
        assert isinstance(events, VersionedDict)
        assert isinstance(markets, VersionedDict)
        assert isinstance(books, VersionedDict)
        versions = (events.version, markets.version, books.version)
        kept = self._found.get(event_ticker)
        if kept is not None and kept.versions == versions:
            return kept
        listed = tuple(markets[ticker] for ticker in events.get(event_ticker, ()) if ticker in markets)
        followed = tuple((market, books[market.ticker]) for market in listed if market.ticker in books)
        shards = tuple(sorted({market.exchange_index or 0 for market in listed} - {0}))
        found = self._found[event_ticker] = EventListing(versions, listed, followed, shards)
        if len(self._found) > _EVENTS_KEPT:
            del self._found[next(iter(self._found))]
        return found
