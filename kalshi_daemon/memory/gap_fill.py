"""Asks the vendor's history for the minutes that were missed. One task.

Two kinds: what the feed did not send, asked for after every session it opens; and what it sent but nobody believed, or
that was believed and taken back, asked for once values are believed again. Of the second kind the minute in which they
are is asked for too, when it is over: the values of its other part tell less of its range than its bar.

A cold model is given the sessions before this one, too. What the vendor cannot or will not give stays an unobserved
gap, with one warning: quoting depends on the feed's guards, never on this.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Never, Protocol

import structlog

from kalshi_daemon.domain.index import Bar, Index, Tick
from kalshi_daemon.domain.window import Session
from kalshi_daemon.ground.clock import Clock, iso_utc
from kalshi_daemon.ground.errors import HistoryRefused, HistoryUnavailable
from kalshi_daemon.ground.units import MINUTE, SECOND, Nanos
from kalshi_daemon.index_feed.history import History
from kalshi_daemon.index_feed.judged_bars import judged_bars
from kalshi_daemon.memory.gap_replay import HOLE_MIN, CorrelationReplay, GapReplay, Span, missed_span

SETTLE: Final = Nanos(5 * SECOND)
"""A minute's bar may come this much after its end."""
ROUNDS: Final = 3
"""Times a gap is asked for while its newest bar, or any answer, is missing."""
ROUND_PAUSE: Final = Nanos(10 * SECOND)
HIDDEN_MIN: Final = Nanos(15 * SECOND)
"""A pause between two believed values within one session of the feed that is longer hides something."""

log = structlog.get_logger()


class Past(Protocol):
    """Who knows the minutes of the past: `index_feed.history.HistoryClient`."""

    async def minute_bars(self, index: Index, from_ns: Nanos, to_ns: Nanos) -> History:
        """Every minute bar that starts in [from, to] and is over. Raises HistoryRefused, HistoryUnavailable."""
        ...


class GapFiller:
    """`on_session` is called when a feed session opens, before its first price; `on_tick` before a price is taken."""

    def __init__(
        self,
        replays: Mapping[Index, GapReplay],
        past: Past,
        sessions: Sequence[Session],
        clock: Clock,
        *,
        warm_up_sessions: int,
        jump_min: float = 0.0075,
        together: CorrelationReplay | None = None,
    ) -> None:
        """`sessions` by time; a model without any memory is given the last `warm_up_sessions` before now.

        `jump_min`: a bar further away than this share, or than an index moves in the time, is not believed at once.
        """
        self._replays = replays
        self._past = past
        self._sessions = sessions
        self._clock = clock
        self._warm_up = warm_up_sessions
        self._jump_min = jump_min
        self._together = together
        self.on_bar: Callable[[Bar], None] = lambda _bar: None
        """Told of every bar that history gave, once it was given to a model."""
        self._wake = asyncio.Event()
        self._off = False
        self._hidden: set[Index] = set()
        """Whose open gap is one of withheld or wrong values."""
        self.filled = 0
        """Minutes given to the models since the start, all indices together."""

    def on_session(self) -> None:
        """The feed is back: ask for what it missed."""
        self._open(self._replays)

    def on_tick(self, tick: Tick) -> None:
        """A believed value, before its model takes it: what hid the time before, if long, is asked for."""
        replay = self._replays[tick.index]
        last_ns = replay.model.last_seen_ns
        if last_ns is None or tick.event_ns - last_ns <= HIDDEN_MIN:
            return
        if replay.armed() and replay.resumed_ns is None:
            return  # the feed itself was away
        session = next((one for one in self._sessions if one.open_ns <= tick.event_ns <= one.close_ns), None)
        if session is not None and tick.event_ns - max(last_ns, session.open_ns) > HIDDEN_MIN:
            self._on_hidden(tick.index)

    def on_unlearnt(self, index: Index, to_ns: Nanos) -> None:
        """Prices up to this one were taken out of what was learnt; those after it were not."""
        last_ns = self._replays[index].model.last_seen_ns
        if last_ns is not None and last_ns > to_ns:
            self._on_hidden(index)

    def _on_hidden(self, index: Index) -> None:
        if not self._off:
            self._hidden.add(index)
            self._open((index,))

    def _open(self, indices: Iterable[Index]) -> None:
        """A gap of these begins or goes on; nothing once history has refused."""
        if self._off:
            return
        for index in indices:
            self._replays[index].arm()
        if self._together is not None:
            self._together.arm()
        self._wake.set()

    async def run(self) -> Never:
        """Fill gaps as they open, forever. Never raises for trouble with the vendor."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            problems: dict[str, str] = {}
            for index, replay in self._replays.items():
                try:
                    await self._fill(index, replay)
                except HistoryRefused as refused:
                    self._off = True
                    problems[index.value] = str(refused)
                except (HistoryUnavailable, ValueError) as problem:
                    problems[index.value] = str(problem)
                finally:
                    replay.drop()
                    self._hidden.discard(index)
            if self._together is not None and not any(replay.armed() for replay in self._replays.values()):
                self._together.drop()
            if problems:
                log.warning("calibration.gap_not_filled", **problems, asks_again=not self._off)

    async def _fill(self, index: Index, replay: GapReplay) -> None:
        """Ask until the newest missed minute is there, ROUNDS times at most; a new gap meanwhile starts anew."""
        turn, arms = 0, 0
        while replay.armed():
            turn, arms = (turn + 1, arms) if replay.arms == arms else (1, replay.arms)
            await self._settle(index, replay)
            span = self._span(index, replay) if replay.armed() else None
            if span is None:
                break
            found: History | None = None
            try:
                found = await self._past.minute_bars(index, span.from_ns, Nanos(span.to_ns - MINUTE))
            except HistoryUnavailable:
                if turn >= ROUNDS:
                    raise
            enough = found is not None and (turn >= ROUNDS or _complete(found, span))
            if found is not None and enough and replay.armed() and replay.arms == arms:
                self._heal(index, replay, span, found)
                return
            await self._clock.sleep(ROUND_PAUSE)
        if replay.overflowed:
            raise HistoryUnavailable(f"of {index.value}", "too many prices came while it was asked for")

    def _heal(self, index: Index, replay: GapReplay, span: Span, found: History) -> None:
        warming_up = replay.since_ns is None
        known = replay.known
        bars = judged_bars(found.bars, self._jump_min, known, replay.resumed)
        if len(bars) < len(found.bars):
            log.warning("calibration.bars_refused", index=index.value, refused=len(found.bars) - len(bars))
        used = replay.heal(bars, parts=index in self._hidden)
        self.filled += used
        if self._together is not None:
            self._together.healed()
        for bar in bars:
            self.on_bar(bar)
        say = log.info if found.bars or warming_up else log.warning
        say(
            "calibration.gap_filled" if found.bars else "calibration.gap_without_bars",
            index=index.value,
            gap_from=iso_utc(span.from_ns),
            gap_to=iso_utc(span.to_ns),
            minutes=span.minutes,
            missing=span.minutes - sum(span.from_ns <= bar.start_ns < span.to_ns for bar in found.bars),
            used=used,
            delayed=found.delayed,
        )

    async def _settle(self, index: Index, replay: GapReplay) -> None:
        """Wait until prices should have begun again, and until the newest missed minute should have its bar."""
        if replay.resumed_ns is None:
            await self._clock.sleep(SETTLE)
        now = self._missed_until(index, replay)
        await self._clock.sleep_until(Nanos(now - now % MINUTE + SETTLE))

    def _missed_until(self, index: Index, replay: GapReplay) -> Nanos:
        """What ended until here was missed; for values that were hidden, the minute that was running is part of it."""
        resumed = replay.resumed_ns
        if resumed is None:
            return self._clock.now_ns()
        return Nanos(resumed + MINUTE - 1) if index in self._hidden else resumed

    def _span(self, index: Index, replay: GapReplay) -> Span | None:
        """From the last price before the gap to the first one after it, or to now."""
        resumed, since = replay.resumed_ns, replay.since_ns
        until = self._missed_until(index, replay)
        if resumed is not None and since is not None and resumed - since <= HOLE_MIN:
            return None
        if since is None:
            known = [session for session in self._sessions if session.open_ns < until]
            past = (
                [session for session in known if session.close_ns <= until][-self._warm_up :] if self._warm_up else []
            )
            running = [session for session in known if until < session.close_ns]
            return missed_span([*past, *running], Nanos(0), until)
        return missed_span(self._sessions, since, until)


def _complete(found: History, span: Span) -> bool:
    """Whether there is nothing to wait for: the newest bar is there, or a delayed plan says it cannot be."""
    return found.delayed or bool(found.bars and found.bars[-1].end_ns >= span.to_ns)
