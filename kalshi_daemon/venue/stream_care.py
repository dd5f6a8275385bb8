"""Keeps the streamed books believable: finds the streams that lie, and has them put right (docs/order-safety.md).

Synchronous; the monitor hands it events and calls `freshen` every few seconds. A ping proves that a connection lives,
never that a market does: only frames of the market itself count. One that is silent is asked for a snapshot; if none
comes, its book is given up. A snapshot of a book in sync must be equal to it, for both are in one order on one
connection.
"""

from collections.abc import Collection, Iterable
from typing import Any, Final

import structlog

from kalshi_daemon.domain.book import Book
from kalshi_daemon.domain.events import BookDelta, BooksLost, BookSnapshot, SequenceGap, StreamDown
from kalshi_daemon.domain.forecast import Standing
from kalshi_daemon.domain.monitor import Monitor
from kalshi_daemon.ground.clock import Clock, iso_utc
from kalshi_daemon.ground.units import MINUTE, Nanos, from_s, to_ms
from kalshi_daemon.kalshi.api import StreamControl
from kalshi_daemon.state import DaemonState
from kalshi_daemon.venue.books import BookKeeper
from kalshi_daemon.venue.suspicions import Evidence, Suspicions

SNAPSHOT_PATIENCE: Final = from_s(5.0)
"""A book may wait this long for a snapshot before it is asked for (again)."""
SNAPSHOTS_MAX: Final = 100
"""Snapshots asked for at a time; the rest wait for the next upkeep."""
SILENCE_GRACE: Final = from_s(10.0)
"""How long a silent market may leave our question unanswered before its book is given up."""
REJECTS_MAX: Final = 3
"""So many post-only rejects in a market within REJECTS_WITHIN: its subscription is made again."""
REJECTS_WITHIN: Final = MINUTE
_POST_ONLY: Final = "the exchange would not rest an order that does not cross the book we see"

_log = structlog.get_logger()


class BookCare:
    """Owns the books, their doubts and `state.venue.streams`."""

    def __init__(
        self,
        state: DaemonState,
        stream: StreamControl,
        clock: Clock,
        *,
        silence: Nanos,
        lag_max: Nanos,
    ) -> None:
        self._state = state
        self._venue = state.venue
        self._stream = stream
        self._clock = clock
        self._silence = silence
        self._lag_max = lag_max
        self._doubts = Suspicions(state.venue)
        self.keeper = BookKeeper(state.venue.books, on_difference=self._snapshot_disagreed)
        self._asked_ns: dict[str, Nanos] = {}
        self._probed_ns: dict[str, Nanos] = {}
        """Books in sync whose snapshot was asked for, and when."""
        self._rejects: dict[str, list[Nanos]] = {}

    # --- what is followed ---------------------------------------------------------------------------------------------

    def follow(self, market_tickers: Iterable[str]) -> None:
        """Take these books in; the subscription brings the first snapshot by itself."""
        now = self._clock.now_ns()
        for ticker in market_tickers:
            self._venue.books[ticker] = Book(ticker)
            self._asked_ns[ticker] = now

    def forget(self, market_tickers: Iterable[str]) -> None:
        """Drop books that are no longer followed."""
        gone = list(market_tickers)
        self.keeper.forget(gone)
        self._doubts.forget(gone)
        for ticker in gone:
            for table in (self._asked_ns, self._probed_ns, self._rejects):
                table.pop(ticker, None)

    # --- what arrives -------------------------------------------------------------------------------------------------

    def on_event(self, event: BookSnapshot | BookDelta | SequenceGap | BooksLost | StreamDown) -> None:
        """Fold one event of the stream into the books."""
        if isinstance(event, BooksLost):
            for ticker in event.market_tickers:
                self.keeper.void(ticker)
                self._probed_ns.pop(ticker, None)
            return
        lost = self.keeper.apply(event)
        match event:
            case BookDelta():
                book = self._venue.books.get(event.market_ticker)
                if book is not None and book.doubt and book.lag_ns <= self._lag_max:
                    self._doubts.take_back(event.market_ticker, Evidence.LATE)
                self._ask(lost, event.recv_ns)
            case BookSnapshot():
                self._take_snapshot(event)
                self._ask(lost, event.recv_ns)
            case SequenceGap():
                # The stream asks for these snapshots itself; the upkeep asks again for those that never come.
                self._asked_ns.update(dict.fromkeys(lost, event.recv_ns))
                self._venue.streams.gaps += 1
                _log.warning(
                    "book.frames_missed", sid=event.sid, expected=event.expected, got=event.got, books=len(lost)
                )
            case StreamDown():
                self._probed_ns.clear()

    def _take_snapshot(self, event: BookSnapshot) -> None:
        book = self._venue.books.get(event.market_ticker)
        if book is None:
            return
        asked = self._probed_ns.pop(event.market_ticker, None)
        # A snapshot has no stamp; it cannot be later than the time since it was asked for.
        book.lag_ns = Nanos(0) if asked is None else Nanos(max(0, event.recv_ns - asked))
        if book.doubt:
            self._doubts.take_back(event.market_ticker, Evidence.POST_ONLY)
            if book.lag_ns <= self._lag_max:
                self._doubts.take_back(event.market_ticker, Evidence.LATE)

    def _snapshot_disagreed(self, market_ticker: str, text: str) -> None:
        self._venue.streams.snapshots_disagreed += 1
        _log.error("book.snapshot_disagreed", market=market_ticker, differences=text)

    def on_post_only_reject(self, market_ticker: str) -> None:
        """The exchange would not rest an order of ours: its book is not the one we see. Look again before quoting."""
        now = self._clock.now_ns()
        streams = self._venue.streams
        streams.post_only_rejects += 1
        if not self._doubts.add(market_ticker, Evidence.POST_ONLY, _POST_ONLY):
            return
        rejects = [at for at in self._rejects.get(market_ticker, []) if now - at <= REJECTS_WITHIN]
        self._rejects[market_ticker] = [*rejects, now]
        again = len(rejects) + 1 >= REJECTS_MAX
        _log.warning("order.post_only_rejected", market=market_ticker, rejects=len(rejects) + 1, resubscribed=again)
        if again:
            self._rejects.pop(market_ticker)
            self._resubscribe(market_ticker, now)
        else:
            self._asked_ns.pop(market_ticker, None)
            self._ask((market_ticker,), now)

    # --- the witness --------------------------------------------------------------------------------------------------

    def agreed(self, market_ticker: str) -> None:
        """The exchange's own book agrees with the streamed one."""
        if self._doubts.take_back(market_ticker, Evidence.WITNESS):
            _log.info("book.cross_check_agreed", market=market_ticker)

    def disagreed(self, market_ticker: str, text: str, compared: int) -> None:
        """It did not, twice: the market is closed until it does, and its subscription is made again.

        `compared`: how many levels were looked at.
        """
        self._venue.streams.witness_disagreements += 1
        _log.error("book.cross_check_disagreed", market=market_ticker, compared=compared, differences=text)
        self._doubts.add(market_ticker, Evidence.WITNESS, text)
        self._resubscribe(market_ticker, self._clock.now_ns())

    def closed_by_witness(self) -> list[str]:
        """The markets that wait for a look that agrees."""
        return self._doubts.of_kind(Evidence.WITNESS)

    def _resubscribe(self, market_ticker: str, now: Nanos) -> None:
        self.keeper.void(market_ticker)
        self._probed_ns.pop(market_ticker, None)
        self._asked_ns[market_ticker] = now
        self._stream.resubscribe((market_ticker,))

    # --- upkeep -------------------------------------------------------------------------------------------------------

    def freshen(self) -> None:
        """Ask for the snapshots that are due: books out of sync, late ones, silent ones. Give up the deaf."""
        now = self._clock.now_ns()
        skew = self._state.skew.get("kalshi")
        self.keeper.clock_ahead_ns = 0 if skew is None else skew.offset_ns
        due = list(self.keeper.overdue(now))
        silent: list[str] = []
        for ticker, book in self._venue.books.items():
            if not book.synced:
                due.append(ticker)
            elif self._probed_ns.get(ticker, now) + SILENCE_GRACE < now and book.recv_ns < self._probed_ns[ticker]:
                silent.append(ticker)
            elif book.lag_ns > self._lag_max:
                self._doubts.add(ticker, Evidence.LATE, f"its last frame came {to_ms(book.lag_ns)} ms late")
                due.append(ticker)
            elif now - book.recv_ns >= self._silence or self._doubts.holds(ticker, Evidence.POST_ONLY):
                due.append(ticker)
        if silent:
            self._give_up(silent, now)
        if self._venue.stream_up:
            self._ask([*due, *silent], now)
        self._count()

    def _give_up(self, tickers: list[str], now: Nanos) -> None:
        oldest = min(self._venue.books[ticker].recv_ns for ticker in tickers)
        self._venue.streams.markets_silent += len(tickers)
        for ticker in tickers:
            self._probed_ns.pop(ticker, None)
            self.keeper.void(ticker)
        _log.warning("book.silent", books=len(tickers), first=tickers[0], silent_ms=to_ms(Nanos(now - oldest)))

    def _ask(self, tickers: Collection[str], now_ns: Nanos) -> None:
        """Ask for snapshots, at most once per book and SNAPSHOT_PATIENCE, at most SNAPSHOTS_MAX at a time."""
        if not tickers:
            return
        due = {t for t in tickers if now_ns - self._asked_ns.get(t, Nanos(0)) >= SNAPSHOT_PATIENCE}
        chosen = sorted(due, key=lambda ticker: (self._asked_ns.get(ticker, 0), ticker))[:SNAPSHOTS_MAX]
        if not chosen:
            return
        books = self._venue.books
        for ticker in chosen:
            self._asked_ns[ticker] = now_ns
            book = books.get(ticker)
            if book is not None and book.synced and book.recv_ns >= self._probed_ns.get(ticker, Nanos(0)):
                self._probed_ns[ticker] = now_ns  # something came since the last question: this is a new one
        lost = [ticker for ticker in chosen if ticker not in books or not books[ticker].synced]
        if lost:
            _log.warning("book.snapshots_requested", books=len(lost), first=lost[0])
        self._stream.request_snapshots(chosen)

    def _count(self) -> None:
        streams = self._venue.streams
        streams.repeated = self._stream.repeated
        streams.books_voided = self.keeper.voided
        streams.deltas_dropped = self.keeper.dropped
        streams.lag_ns_max = self.keeper.lag_ns_max
        streams.markets_lagging = len(self._doubts.of_kind(Evidence.LATE))

    def report(self) -> dict[str, Any]:
        """The figures of docs/order-safety.md, for the log and for the monitors; the worst lag starts anew."""
        self._count()
        self.keeper.lag_ns_max = Nanos(0)
        streams, books = self._venue.streams, self._venue.books.values()
        return {
            "up": self._venue.stream_up,
            "books": len(self._venue.books),
            "in_sync": sum(book.synced for book in books),
            "doubted": len(streams.doubted),
            "gaps": streams.gaps,
            "repeated": streams.repeated,
            "books_voided": streams.books_voided,
            "deltas_dropped": streams.deltas_dropped,
            "markets_silent": streams.markets_silent,
            "lag_ms_max": to_ms(streams.lag_ns_max),
            "markets_lagging": streams.markets_lagging,
            "snapshots_disagreed": streams.snapshots_disagreed,
            "post_only_rejects": streams.post_only_rejects,
            "witness_looks": streams.witness_looks,
            "witness_suspicions": streams.witness_suspicions,
            "witness_disagreements": streams.witness_disagreements,
        }


def stream_monitor(state: DaemonState, figures: dict[str, Any], now: Nanos) -> Monitor:
    """The monitor document `streams`: ALERT while the stream is down, a book is out of sync or doubted."""
    doubted = state.venue.streams.doubted
    troubled = not figures["up"] or bool(doubted) or figures["in_sync"] < figures["books"]
    return Monitor(
        name="streams",
        status=Standing.ALERT if troubled else Standing.OK,
        metrics=figures,
        message="; ".join(f"{ticker}: {why}" for ticker, why in sorted(doubted.items())[:10]),
        generated_at=iso_utc(now),
    )
