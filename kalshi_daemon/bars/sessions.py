"""Sessions of bars, from one file or a folder of the shared format, as plain arrays per day.

A folder is read whole (every `*.parquet` below it whose name speaks for the index). Different bars at the same instant
are refused: two instruments mixed into one series would score neither. Bars outside a session, the print at
16:00 included, are left out: the close of the last bar is the level at the close.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kalshi_daemon.bars.files import PRICES, Bars, index_of, names_index, read_bars
from kalshi_daemon.domain.index import Bar, Channel, Index, Tick
from kalshi_daemon.domain.instruments import SHIPPED_INSTRUMENTS, Instruments
from kalshi_daemon.domain.window import Session
from kalshi_daemon.ground.clock import iso_utc
from kalshi_daemon.ground.errors import ConfigurationError
from kalshi_daemon.ground.folders import FIX, files_below, is_there
from kalshi_daemon.ground.new_york import eastern_day
from kalshi_daemon.ground.units import SECOND, Nanos
from kalshi_daemon.windows.sessions import load_sessions

type Floats = NDArray[np.float64]
type Counts = NDArray[np.int64]

BAD_DAYS: Final = frozenset({"2024-05-30"})
"""Left out of cash files: the vendor's bars of that day are broken (README of the shared data)."""
COVER_MIN: Final = 0.95
"""Share of the session's bars a day must have to count as a whole day for the baselines."""


@dataclass(frozen=True, slots=True, eq=False)
class Day:
    """The bars of one session, in order of time. Arrays of shape (n,), prices in points."""

    session: Session
    bar_seconds: int
    start_s: Counts
    open: Floats
    high: Floats
    low: Floats
    close: Floats

    @property
    def slots(self) -> int:
        """Bars a complete session would have."""
        return (self.session.close_ns - self.session.open_ns) // (self.bar_seconds * SECOND)

    def prices(self) -> Floats:
        """The level at every bar boundary, shape (slots + 1,); NaN where no bar ends there.

        [0] is the first open, when a bar starts at the bell.
        """
        found = np.full(self.slots + 1, np.nan)
        ends = (self.start_s - self.session.open_ns // SECOND) // self.bar_seconds + 1
        found[ends] = self.close
        if len(ends) and ends[0] == 1:
            found[0] = self.open[0]
        return found

    def bars(self, index: Index) -> Iterator[Bar]:
        """The bars as the feed would deliver them: each is known at its END."""
        columns = (self.start_s, self.open, self.high, self.low, self.close)
        for start, opened, high, low, close in zip(*(column.tolist() for column in columns), strict=True):
            start_ns = Nanos(start * SECOND)
            end_ns = Nanos(start_ns + self.bar_seconds * SECOND)
            yield Bar(index, Channel.MINUTE, opened, high, low, close, start_ns, end_ns, end_ns)

    def bell(self, index: Index) -> Tick | None:
        """The opening price at the bell, None when the first bar starts later."""
        at = self.session.open_ns
        if not len(self.start_s) or int(self.start_s[0]) * SECOND != at:
            return None
        return Tick(index, Channel.VALUE, float(self.open[0]), at, at)


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Every session with bars, ascending, and what kind of instrument they are of."""

    index: Index
    days: tuple[Day, ...]
    cash: bool
    """The index itself, not a future or a fund that stands in for it."""
    bar_seconds: int
    files: tuple[str, ...] = ()
    """Names of the files it was read from."""
    table: Instruments = SHIPPED_INSTRUMENTS
    """With the row of its index."""

    def until(self, last: date) -> "Sample":
        """The days up to `last`, included. Raises ConfigurationError when there are none."""
        days = tuple(day for day in self.days if day.session.day <= last.isoformat())
        if not days:
            raise ConfigurationError(f"until {last}", "no bars so early")
        return replace(self, days=days)

    def between(self, first: date, last: date) -> list[Day]:
        """The days of a span, both ends included. Raises ConfigurationError when no bar is of any of them."""
        found = [day for day in self.days if first.isoformat() <= day.session.day <= last.isoformat()]
        if not found:
            known = f"the bars are of {self.days[0].session.day} .. {self.days[-1].session.day}"
            raise ConfigurationError(f"{first} .. {last}", "nothing to score in this span", known)
        return found


def read_sample(path: Path, index: Index, table: Instruments = SHIPPED_INSTRUMENTS) -> Sample:
    """All bars of `index` at `path`. Raises ConfigurationError naming the file: unreadable, mixed, or nothing there.

    A file whose name speaks for no index is taken for a stand-in of this one; of a folder only when all are such files.
    The same bar in two files, as where a longer file was dropped beside a shorter one, counts once.
    """
    found = [read_bars(file, unnamed=index, table=table) for file in _files(path, index, table)]
    lengths = {bars.bar_seconds for bars in found}
    if len(lengths) > 1:
        raise ConfigurationError(str(path), f"bars of {sorted(lengths)} s side by side", "one length at a time")
    cash = {_is_cash(bars.path, table) for bars in found}
    if len(cash) > 1:
        raise ConfigurationError(str(path), "the index and a stand-in side by side", "one instrument at a time")
    starts, columns = _joined(path, found)
    first, last = (eastern_day(Nanos(int(starts[at]) * SECOND)) for at in (0, -1))
    seconds = lengths.pop()
    is_cash = cash.pop()
    days = []
    for session in load_sessions(first, last).sessions:
        low, high = np.searchsorted(starts, (session.open_ns // SECOND, session.close_ns // SECOND))
        if low == high or (is_cash and session.day in BAD_DAYS):
            continue
        part = slice(int(low), int(high))
        days.append(Day(session, seconds, starts[part], *(column[part] for column in columns)))
    if not days:
        raise ConfigurationError(str(path), f"no bars of {index} inside a session")
    return Sample(index, tuple(days), is_cash, seconds, tuple(bars.path.name for bars in found), table)


def indices_at(path: Path, table: Instruments = SHIPPED_INSTRUMENTS) -> frozenset[Index]:
    """Those that file names there speak for. Raises ConfigurationError when nothing is there, or it cannot be read."""
    if not _is_there(path):
        raise ConfigurationError(str(path), "no such file or folder")
    files = _parquet(path) if path.is_dir() else [path]
    return frozenset(index_of(file, table)[0] for file in files if names_index(file, table))


def _parquet(folder: Path) -> Sequence[Path]:
    """Raises ConfigurationError for a folder in it that cannot be read: bars would be missing without a word."""
    try:
        return [file for file in files_below(folder) if file.suffix == ".parquet"]
    except OSError as problem:
        raise _unreadable(problem) from problem


def _is_there(path: Path) -> bool:
    try:
        return is_there(path)
    except OSError as problem:
        raise _unreadable(problem) from problem


def _unreadable(problem: OSError) -> ConfigurationError:
    return ConfigurationError(str(problem.filename), f"cannot be read: {problem.strerror}", FIX)


def _files(path: Path, index: Index, table: Instruments) -> Sequence[Path]:
    if not _is_there(path) or not path.is_dir():
        if names_index(path, table) and index_of(path, table)[0] != index:
            raise ConfigurationError(str(path), f"its name does not speak for {index}")
        return (path,)
    every = _parquet(path)
    named = [file for file in every if names_index(file, table)]
    files = [file for file in named if index_of(file, table)[0] == index] if named else every
    if not files:
        raise ConfigurationError(str(path), f"no bar file of {index} in this folder")
    return files


def _is_cash(file: Path, table: Instruments) -> bool:
    """Whether a name is that of an index itself; every other word stands in for one."""
    names = {index.value for index in table.rows}
    return any(word in names for word in file.stem.upper().replace("-", "_").split("_"))


def _joined(path: Path, found: Sequence[Bars]) -> tuple[Counts, tuple[Floats, Floats, Floats, Floats]]:
    starts = np.concatenate([bars.start_s for bars in found])
    prices = np.stack([np.concatenate([getattr(bars, name) for bars in found]) for name in PRICES])
    order = np.argsort(starts, kind="stable")
    starts, prices = starts[order], prices[:, order]
    again = np.concatenate(([False], np.diff(starts) == 0))
    differ = np.flatnonzero(again[1:] & np.any(prices[:, 1:] != prices[:, :-1], axis=0))
    if len(differ):
        names = ", ".join(bars.path.name for bars in found[:4])
        when = iso_utc(Nanos(int(starts[differ[0]]) * SECOND))
        raise ConfigurationError(
            str(path), f"two different bars that start at {when} in {names}", "one instrument at a time"
        )
    opens, highs, lows, closes = prices[:, ~again]
    return starts[~again], (opens, highs, lows, closes)
