"""A second opinion on the streamed books: the exchange's own book of one market at a time, over REST.

REST books carry no stamp and no number (docs/reference/venue.md 2.2), so the two cannot be laid side by side at an
instant. What can be compared are the levels that stood still: from SETTLE before the question to SETTLE after the
answer every change of the streamed book is noted, and a level that did not change in all that time has one count only,
which the answer must show. Reads that lag less than SETTLE and frames that are late by less cannot disagree. A book
that was voided or replaced meanwhile is not compared. One disagreement is a suspicion, two in a row are evidence.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import structlog

from kalshi_daemon.domain.book import Book
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.clock import Clock
from kalshi_daemon.ground.units import SECOND, Count, Nanos, Price, format_count, format_price
from kalshi_daemon.kalshi.api import MarketDataApi
from kalshi_daemon.kalshi.rest_codec import order_book
from kalshi_daemon.state import DaemonState
from kalshi_daemon.venue.books import Changes, Levels
from kalshi_daemon.venue.stream_care import BookCare

SETTLE: Final = Nanos(2 * SECOND)
"""Reads lag the matching engine, frames lag it too: by less than this, each."""
SECOND_LOOK: Final = Nanos(3 * SECOND)
"""A suspicion is looked at again after this."""
_SHOWN: Final = 3

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Comparison:
    """What one look showed. `differences` in words, with both numbers; `compared` levels could have differed."""

    compared: int
    differences: tuple[str, ...]

    @property
    def text(self) -> str:
        more = len(self.differences) - _SHOWN
        return "; ".join(self.differences[:_SHOWN]) + (f"; and {more} more" if more > 0 else "")


def compare(book: Book, theirs: tuple[Levels, Levels], changes: Changes) -> Comparison | None:
    """The streamed book against the exchange's, level by level, leaving out what moved. None: nothing can be said.

    `theirs` are bids and asks on the YES scale. Two empty books agree.
    """
    if changes.broken or not book.synced:
        return None
    compared, differences = 0, []
    moved = len(changes.levels)
    for side, ours, listed in ((Side.BID, book.bids, theirs[0]), (Side.ASK, book.asks, theirs[1])):
        for price in sorted({*ours, *listed}):
            if (side, price) in changes.levels:
                continue
            compared += 1
            if ours.get(price, 0) != listed.get(price, 0):
                differences.append(_say(side, price, ours, listed))
    return None if moved and not compared else Comparison(compared, tuple(differences))


def _say(side: Side, price: Price, ours: Mapping[Price, Count], theirs: Mapping[Price, Count]) -> str:
    mine, listed = (format_count(levels.get(price, Count(0))) for levels in (ours, theirs))
    return f"{side.value} {format_price(price)}: stream {mine}, exchange {listed}"


class RestCrossCheck:
    """Looks at one market per turn: those it closed, then in turns one with our orders and one of all."""

    def __init__(self, state: DaemonState, api: MarketDataApi, care: BookCare, clock: Clock) -> None:
        self._state = state
        self._api = api
        self._care = care
        self._clock = clock
        self._looked: dict[str, int] = {}
        self._turns = 0

    async def turn(self) -> None:
        """One look, two when the first does not agree. Raises what the API raises, and MalformedData."""
        ticker = self._next()
        if ticker is None:
            return
        first = await self._look(ticker)
        if first is None:
            return
        if not first.differences:
            self._care.agreed(ticker)
            return
        self._state.venue.streams.witness_suspicions += 1
        _log.warning("book.suspected", market=ticker, compared=first.compared, differences=first.text)
        await self._clock.sleep(SECOND_LOOK)
        second = await self._look(ticker)
        if second is None:
            return
        if second.differences:
            self._care.disagreed(ticker, f"the exchange's own book differs: {second.text}", second.compared)
        else:
            self._care.agreed(ticker)

    async def _look(self, ticker: str) -> Comparison | None:
        book = self._state.venue.books.get(ticker)
        if book is None or not book.synced:
            return None
        changes = self._care.keeper.watch(ticker)
        try:
            await self._clock.sleep(SETTLE)
            theirs = order_book(await self._api.orderbook(ticker))
            await self._clock.sleep(SETTLE)
        finally:
            self._care.keeper.unwatch(ticker)
        self._state.venue.streams.witness_looks += 1
        return compare(book, theirs, changes)

    def _next(self) -> str | None:
        """Whose turn it is: a closed one first, else the one not looked at for longest. None: there is no book."""
        books = self._state.venue.books
        self._looked = {ticker: turn for ticker, turn in self._looked.items() if ticker in books}
        in_sync = {ticker for ticker, book in books.items() if book.synced}
        closed = [ticker for ticker in self._care.closed_by_witness() if ticker in in_sync]
        ours = {order.market_ticker for order in self._state.live_orders()} & in_sync
        self._turns += 1
        choice = closed or (ours if self._turns % 2 else None) or in_sync
        if not choice:
            return None
        ticker = min(choice, key=lambda one: (self._looked.get(one, 0), one))
        self._looked[ticker] = self._turns
        return ticker
