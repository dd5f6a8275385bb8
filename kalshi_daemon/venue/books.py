"""Books from stream events. Sync and pure in effect: the only thing written is the books handed in.

Rules (docs/reference/venue.md 5): one subscription (`sid`) carries many markets on one `seq` stream, so a gap voids all
of its books; deltas are dropped until a book's next snapshot; a level below zero means we lost the thread of that
market, and it is voided alone. So does a cross that outlives its instant: the venue reports one matching step level by
level, so real books cross for a moment between two deltas of equal stamp (18 times in 116,000 recorded deltas), and
only a cross that is still there at the next stamp is wrong. A book is never quoted on while it is crossed. Whoever
calls `apply` or `overdue` must ask for snapshots of the tickers they return.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from kalshi_daemon.domain.book import Book
from kalshi_daemon.domain.events import BookDelta, BookSnapshot, SequenceGap, StreamDown
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.units import SECOND, Count, Nanos, Price, format_count, format_price

CROSS_MAX: Final = SECOND
"""A cross may last this long by our receipt when no later stamp decides sooner."""

BookEvent = BookSnapshot | BookDelta | SequenceGap | StreamDown
Levels = Mapping[Price, Count]
_SHOWN: Final = 3


@dataclass(slots=True)
class Changes:
    """What happened to a book while somebody watched it."""

    levels: set[tuple[Side, Price]] = field(default_factory=set)
    """Levels that changed. Bounded by the prices of the market's grid."""
    broken: bool = False
    """It was voided or replaced as a whole."""


class BookKeeper:
    """Applies stream events to the books it was given. Only tickers that have a Book are followed."""

    def __init__(
        self, books: dict[str, Book], *, on_difference: Callable[[str, str], None] = lambda _ticker, _text: None
    ) -> None:
        """`on_difference(ticker, text)`: a snapshot of a book in sync was not equal to it."""
        self._books = books
        self._on_difference = on_difference
        self._sid_of: dict[str, int] = {}
        self._crossed: dict[str, tuple[Nanos | None, Nanos]] = {}
        """Books crossed just now: the venue's stamp and our receipt of the delta that did it."""
        self._watched: dict[str, Changes] = {}
        self.clock_ahead_ns = 0
        """Our clock minus the venue's: taken out of every lag."""
        self.lag_ns_max = Nanos(0)
        """The latest delta since somebody last set this to zero."""
        self.dropped = 0
        """Deltas not applied: their book was waiting for a snapshot, or is not followed."""
        self.voided = 0
        """Books voided by a gap, a negative level or a cross."""

    def apply(self, event: BookEvent) -> tuple[str, ...]:
        """Fold one event in; returns the tickers whose books need a snapshot because of it."""
        match event:
            case BookDelta():
                return self._delta(event)
            case BookSnapshot():
                return self._snapshot(event)
            case SequenceGap():
                return self._gap(event)
            case StreamDown():
                self.void_all()
                return ()  # a new session brings new sids and a snapshot of every book

    def overdue(self, now_ns: Nanos) -> tuple[str, ...]:
        """Void the books that have been crossed for longer than CROSS_MAX; returns their tickers."""
        late = [ticker for ticker, (_, recv_ns) in self._crossed.items() if now_ns - recv_ns > CROSS_MAX]
        return tuple(ticker for late_one in sorted(late) for ticker in self._void(self._books[late_one]))

    def watch(self, market_ticker: str) -> Changes:
        """Note every change of this book from now on; `unwatch` ends it. One watch per market."""
        return self._watched.setdefault(market_ticker, Changes())

    def unwatch(self, market_ticker: str) -> None:
        """Stop keeping the book of this market."""
        self._watched.pop(market_ticker, None)

    def void(self, market_ticker: str) -> None:
        """Believe this book no longer, until its next snapshot."""
        book = self._books.get(market_ticker)
        if book is not None and book.synced:
            self._void(book)

    def forget(self, market_tickers: Iterable[str]) -> None:
        """Drop books that are no longer followed."""
        for ticker in market_tickers:
            self._books.pop(ticker, None)
            self._sid_of.pop(ticker, None)
            self._crossed.pop(ticker, None)
            self._break_watch(ticker)

    def void_all(self) -> None:
        """The connection is gone: no book may be believed, and its sids mean nothing any more."""
        for book in self._books.values():
            book.synced = False
            self._break_watch(book.market_ticker)
        self._sid_of.clear()
        self._crossed.clear()

    def _snapshot(self, event: BookSnapshot) -> tuple[str, ...]:
        book = self._books.get(event.market_ticker)
        if book is None:
            return ()
        self._sid_of[event.market_ticker] = event.sid
        # One subscription, one order: between this frame and the one before it the book cannot have changed.
        same = book.synced and not (text := _difference(book, dict(event.bids), dict(event.asks)))
        if book.synced and not book.crossed and not same:
            self._on_difference(event.market_ticker, text)
        if not same:
            self._break_watch(event.market_ticker)
        # A snapshot carries no stamp of the venue: our receipt is the latest the book can be of.
        book.replace(dict(event.bids), dict(event.asks), event.recv_ns, event.recv_ns)
        self._crossed.pop(event.market_ticker, None)
        return self._void(book) if book.crossed else ()

    def _delta(self, event: BookDelta) -> tuple[str, ...]:
        book = self._books.get(event.market_ticker)
        if book is None or not book.synced:
            self.dropped += 1
            return ()
        crossed = self._crossed.get(event.market_ticker)
        if crossed is not None and _later(event, *crossed):
            return self._void(book)
        event_ns = book.event_ns
        if event.event_ns is not None:
            event_ns = event.event_ns
            book.lag_ns = Nanos(max(0, event.recv_ns - self.clock_ahead_ns - event_ns))
            self.lag_ns_max = max(self.lag_ns_max, book.lag_ns)
        if event.market_ticker in self._watched:
            self._watched[event.market_ticker].levels.add((event.side, event.price))
        change = book.change_bid if event.side is Side.BID else book.change_ask
        if not change(event.price, event.delta, event_ns, event.recv_ns):
            return self._void(book)
        if not book.crossed:
            if crossed is not None:
                del self._crossed[event.market_ticker]
        elif crossed is None:
            self._crossed[event.market_ticker] = (event.event_ns, event.recv_ns)
        return ()

    def _gap(self, event: SequenceGap) -> tuple[str, ...]:
        lost = sorted(ticker for ticker, sid in self._sid_of.items() if sid == event.sid and ticker in self._books)
        for ticker in lost:
            self._void(self._books[ticker])
        return tuple(lost)

    def _void(self, book: Book) -> tuple[str, ...]:
        book.synced = False
        self._crossed.pop(book.market_ticker, None)
        self._break_watch(book.market_ticker)
        self.voided += 1
        return (book.market_ticker,)

    def _break_watch(self, market_ticker: str) -> None:
        if market_ticker in self._watched:
            self._watched[market_ticker].broken = True


def _difference(book: Book, bids: Levels, asks: Levels) -> str:
    """What a snapshot shows otherwise than the book, in words; "" when they are equal."""
    found = [
        f"{side.value} {format_price(price)}: book {format_count(ours.get(price, Count(0)))}, "
        f"snapshot {format_count(theirs.get(price, Count(0)))}"
        for side, ours, theirs in ((Side.BID, book.bids, bids), (Side.ASK, book.asks, asks))
        for price in sorted({*ours, *theirs})
        if ours.get(price, 0) != theirs.get(price, 0)
    ]
    return "; ".join(found[:_SHOWN])


def _later(event: BookDelta, stamp_ns: Nanos | None, recv_ns: Nanos) -> bool:
    """Whether a delta belongs to a later instant of the venue than the one that crossed the book."""
    if event.event_ns is not None and stamp_ns is not None:
        return event.event_ns > stamp_ns
    return event.recv_ns - recv_ns > CROSS_MAX
