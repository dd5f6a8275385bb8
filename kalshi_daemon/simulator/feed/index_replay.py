"""Real bars played back one value a second.

Inside each bar the values start at its open, touch its high and its low, end at its close and never leave [low, high];
what happens in between is a seeded bridge. A bar that STARTS at t speaks for the seconds t .. t + length - 1, so the
value at a fixing is the first one of the bar that starts there, and the close of the bar before it is the second
before (a bar's label is its start, never the moment its close is known).

At the close's instant the last session bar's close is repeated: a 16:00 bar holds late prints, not the fixing.
Seconds whose bar is missing carry the last value on, flat, and are counted by the bar.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from kalshi_daemon.bars.files import Bars, read_bars
from kalshi_daemon.domain.index import Index
from kalshi_daemon.domain.instruments import SHIPPED_INSTRUMENTS, IndexRow, Instruments
from kalshi_daemon.domain.window import Session
from kalshi_daemon.ground.errors import ConfigurationError
from kalshi_daemon.ground.units import SECOND
from kalshi_daemon.simulator.feed.index_path import (
    AFTER_HOURS_S,
    IndexPath,
    Values,
    as_published,
    late_prints,
    session_seconds,
)
from kalshi_daemon.simulator.feed.index_synthetic import CORRELATION

MISSING_SHARE_MAX: Final = 0.2
"""More of the session's bars missing than this is not a session."""
EDGE_BARS_MISSING_MAX: Final = 5
"""Bars that may be missing at the open or at the close."""
_RANGE_OF_WALK: Final = 1.6
"""Expected range of a random walk of n steps of sd s is about 1.6 s sqrt(n)."""
_LOCAL_MINUTES: Final = 10

Calendar = Callable[[str], Session | None]
"""The session of a New York date (YYYY-MM-DD); None when there is none."""


@dataclass(frozen=True, slots=True, eq=False)
class Replay:
    """All paths of one real session."""

    session: Session
    paths: dict[Index, IndexPath]
    missing: dict[Index, int]
    """Bars of the session that the file does not have, of the indices that came from files."""
    synthesised: tuple[Index, ...]
    """Indices no file was given for: made from the first that has one, with correlation 0.9."""


def load_replay(
    files: Sequence[Path],
    calendar: Calendar,
    *,
    day: str | None = None,
    seed: int = 0,
    table: Instruments = SHIPPED_INSTRUMENTS,
) -> Replay:
    """Read bar files and bridge one session of them.

    day: YYYY-MM-DD in New York; None takes the last session that every file covers.
    Raises ConfigurationError naming the file or day: unreadable, no index in the name, two files of one index,
    no session that day, bars that do not cover the session.
    """
    if not files:
        raise ConfigurationError("sim.index_replay", "no bar file given")
    found = [read_bars(path, table=table) for path in files]
    by_index = {bars.index: bars for bars in found}
    if len(by_index) < len(found):
        names = ", ".join(bars.path.name for bars in found)
        raise ConfigurationError("sim.index_replay", f"several files of one index: {names}", "give one per index")
    session = _choose(by_index, calendar, day)
    rng = np.random.default_rng([seed, int(session.day.replace("-", ""))])
    paths: dict[Index, IndexPath] = {}
    missing: dict[Index, int] = {}
    for index in table.indices:  # a fixed order, so that the seed means the same whichever order the files came in
        if index in by_index:
            paths[index], missing[index] = bridge_session(by_index[index], session, rng, table.rows[index])
    absent = tuple(index for index in table.indices if index not in paths)
    for index in absent:
        source = next(iter(paths.values()))
        paths[index] = _companion(table.rows[index], source, table.rows[source.index], rng)
    return Replay(session, paths, missing, absent)


def bridge_session(bars: Bars, session: Session, rng: np.random.Generator, row: IndexRow) -> tuple[IndexPath, int]:
    """The path of one index over one session, and how many of its bars are missing. Raises ConfigurationError."""
    problem = uncovered(bars, session)
    if problem:
        raise ConfigurationError(str(bars.path), f"does not cover the session of {session.day}: {problem}")
    open_s, close_s = session.open_ns // SECOND, session.close_ns // SECOND
    inside = bars.between(open_s, close_s)
    values = _lay_out(inside, open_s, close_s, float(inside.open[0]), rng)
    late = bars.between(close_s, close_s + AFTER_HOURS_S)
    last = float(values[-1])
    if len(late):
        after = _lay_out(late, close_s, close_s + AFTER_HOURS_S, last, rng)
        after[0] = last  # the fixing is the last print of the session
    else:
        after = np.concatenate(([last], late_prints(last, rng, AFTER_HOURS_S - 1)))
    values = np.concatenate((values, after, after[-1:]))
    before = bars.between(0, open_s)
    previous = float(before.close[-1]) if len(before) else float(inside.open[0])
    expected = -(-(close_s - open_s) // bars.bar_seconds)
    path = IndexPath(bars.index, session, previous, as_published(row, values))
    return path, expected - len(inside)


def uncovered(bars: Bars, session: Session) -> str:
    """Why these bars are not this session; "" when they are."""
    open_s, close_s = session.open_ns // SECOND, session.close_ns // SECOND
    inside = bars.between(open_s, close_s)
    expected = -(-(close_s - open_s) // bars.bar_seconds)
    if not len(inside):
        return "it has no bar in it"
    slack = EDGE_BARS_MISSING_MAX * bars.bar_seconds
    late, early = int(inside.start_s[0]) - open_s, close_s - int(inside.start_s[-1]) - bars.bar_seconds
    if late > slack:
        return f"the first bar comes {late // 60} min after the open"
    if early > slack:
        return f"the last bar ends {early // 60} min before the close"
    if expected - len(inside) > MISSING_SHARE_MAX * expected:
        return f"{expected - len(inside)} of {expected} bars are missing"
    return ""


def bridge_bar(prices: tuple[float, float, float, float], count: int, rng: np.random.Generator) -> Values:
    """`count` values from open to close that touch high and low and stay inside. prices: open, high, low, close."""
    first, high, low, last = prices
    assert count >= 4, "room for open, high, low and close"  # noqa: PLR2004 - one place for each of the four
    anchors = {0: first, count - 1: last}
    extremes = [value for value, met in ((high, max(first, last)), (low, min(first, last))) if value != met]
    for place, value in zip(rng.choice(np.arange(1, count - 1), len(extremes), replace=False), extremes, strict=True):
        anchors[int(place)] = value
    places = sorted(anchors)
    values = np.empty(count)
    step = (high - low) / (_RANGE_OF_WALK * np.sqrt(count))
    for left, right in itertools.pairwise(places):
        span = right - left
        walk = np.concatenate(([0.0], np.cumsum(rng.normal(0.0, 1.0, span)))) * step
        line = np.linspace(0.0, 1.0, span + 1)
        values[left : right + 1] = anchors[left] + (anchors[right] - anchors[left]) * line + walk - line * walk[-1]
    values = _fold(values, low, high)
    for place, value in anchors.items():
        values[place] = value
    return values


def _fold(values: Values, low: float, high: float) -> Values:
    """Reflect at both ends until inside; a flat bar stays flat."""
    width = high - low
    if width <= 0:
        return np.full_like(values, low)
    phase = np.mod(values - low, 2 * width)
    folded: Values = np.clip(low + np.where(phase > width, 2 * width - phase, phase), low, high)
    return folded


def _lay_out(bars: Bars, from_s: int, to_s: int, before: float, rng: np.random.Generator) -> Values:
    """One value for every second of [from, to): each bar bridged, gaps carried on flat from `before`."""
    values = np.full(to_s - from_s, np.nan)
    for start, *prices in zip(bars.start_s, bars.open, bars.high, bars.low, bars.close, strict=True):
        at = int(start) - from_s
        part = bridge_bar((prices[0], prices[1], prices[2], prices[3]), bars.bar_seconds, rng)
        values[at : at + len(part)] = part[: len(values) - at]
    known = ~np.isnan(values)
    last_known = np.maximum.accumulate(np.where(known, np.arange(len(values)), -1))
    filled: Values = np.where(last_known >= 0, values[last_known], before)
    return filled


def _companion(row: IndexRow, source: IndexPath, source_row: IndexRow, rng: np.random.Generator) -> IndexPath:
    """The index no file was given for: its own noise runs in step with the source's volatility of the last minutes.

    One-minute returns correlate by CORRELATION; it moves more than the source by the ratio of their volatilities.
    """
    seconds = session_seconds(source.session)
    beta = row.volatility / source_row.volatility
    logs = np.log(source.values[: seconds + 1])
    window = np.ones(_LOCAL_MINUTES) / _LOCAL_MINUTES
    minute_sd = np.sqrt(np.convolve(np.diff(logs[::60]) ** 2, window, mode="same"))
    noise = rng.standard_normal(seconds) * np.repeat(minute_sd, 60)[:seconds] / np.sqrt(60)
    steps = beta * (CORRELATION * np.diff(logs) + np.sqrt(1 - CORRELATION**2) * noise)
    gap = beta * float(logs[0] - np.log(source.previous_close))
    values = row.level * np.exp(gap + np.concatenate(([0.0], np.cumsum(steps))))
    values = np.concatenate((values, late_prints(float(values[-1]), rng, AFTER_HOURS_S)))
    return IndexPath(row.index, source.session, row.level, as_published(row, values))


def _choose(by_index: dict[Index, Bars], calendar: Calendar, day: str | None) -> Session:
    if day is not None:
        session = calendar(day)
        if session is None:
            raise ConfigurationError("sim.session_date", f"{day} is not a trading day")
        return session
    common = set.intersection(*(set(bars.days()) for bars in by_index.values()))
    refused = "they have no day in common"
    for candidate in sorted(common, reverse=True):
        session = calendar(candidate)
        if session is None:
            continue
        problems = {bars.path.name: uncovered(bars, session) for bars in by_index.values()}
        refused = next((f"{name}: {candidate}: {problem}" for name, problem in problems.items() if problem), "")
        if not refused:
            return session
    names = ", ".join(str(bars.path) for bars in by_index.values())
    raise ConfigurationError(names, f"no whole session in it ({refused})")
