"""Brings an archive of minute bars up to what was asked for: only what is not there, or was not over, is asked again.

One request a calendar month and index, a few at most for what is missing in it. Every day is written as soon as its
month has come, so that a run that was broken off goes on where it was.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Final, Protocol

from kalshi_daemon.bars.archive import minutes_of, missing_of, path_of, readable, stored, write_day
from kalshi_daemon.domain.index import Index
from kalshi_daemon.domain.window import Session
from kalshi_daemon.ground.clock import Clock
from kalshi_daemon.ground.units import MINUTE, Nanos
from kalshi_daemon.index_feed.history import History

LATE_PRINTS: Final = Nanos(15 * MINUTE)
"""Bars after the close that are kept: the fixing is not the official close, and replays play both."""
OVER_AFTER: Final = Nanos(60 * MINUTE)
"""A day asked for this long after its close is final, also on a plan that is a quarter of an hour behind."""

KEPT, WRITTEN, PARTIAL, EMPTY = "kept", "written", "partial", "empty"


@dataclass(frozen=True, slots=True)
class DayResult:
    """What became of one session of one index."""

    index: Index
    day: str
    outcome: str
    """`kept` was there, `written` is whole, `partial` is not over yet, `empty` has no bars worth a file."""
    bars: int
    """In the session."""
    missing: int
    """Minutes of the session the vendor has no bar for, so far."""
    delayed: bool = False


class Past(Protocol):
    """Who knows the minutes of the past: `index_feed.history.HistoryClient`."""

    async def minute_bars(self, index: Index, from_ns: Nanos, to_ns: Nanos) -> History:
        """Every minute bar that starts in [from, to] and is over."""
        ...


async def backfill(
    past: Past, index: Index, sessions: Sequence[Session], root: Path, clock: Clock, *, again: bool = False
) -> AsyncIterator[DayResult]:
    """Every session in turn, the ones of a month together. `again`: also those that are there.

    Sessions must have opened. Raises HistoryRefused, HistoryUnavailable, OSError; what was yielded is on disk.
    """
    for _, group in groupby(sessions, key=lambda session: session.day[:7]):
        month = list(group)
        wanted = []
        for session in month:
            there = None if again else stored(path_of(root, index, session.day))
            if there is not None and there.final:
                bars = minutes_of(session) - there.missing
                yield DayResult(index, session.day, KEPT, bars, there.missing)
            else:
                wanted.append(session)
        if not wanted:
            continue
        asked_ns = clock.now_ns()
        until = Nanos(wanted[-1].close_ns + LATE_PRINTS - MINUTE)
        found = await past.minute_bars(index, wanted[0].open_ns, until)
        for session in wanted:
            yield _put(root, index, session, found, over=asked_ns >= session.close_ns + OVER_AFTER)


def _put(root: Path, index: Index, session: Session, found: History, *, over: bool) -> DayResult:
    bars = [bar for bar in found.bars if session.open_ns <= bar.start_ns < session.close_ns + LATE_PRINTS]
    missing = missing_of(session, bars)
    inside = minutes_of(session) - missing
    if not readable([bar for bar in bars if bar.start_ns < session.close_ns]):
        return DayResult(index, session.day, EMPTY, inside, missing, found.delayed)
    write_day(path_of(root, index, session.day), bars, final=over, missing=missing)
    return DayResult(index, session.day, WRITTEN if over else PARTIAL, inside, missing, found.delayed)
