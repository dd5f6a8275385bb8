"""A recorded day, put together: session, index, contracts, and what happened in their books."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kalshi_daemon.backtest.recorded.bracket import CLEARLY, MIDS_MIN, infer_bracket
from kalshi_daemon.backtest.recorded.day_files import MarketRow, read_events, read_markets, read_values
from kalshi_daemon.backtest.recorded.reconstruction import tape_of
from kalshi_daemon.backtest.recorded.tape import TapeEvent, TapeKind
from kalshi_daemon.domain.contract import StrikeType
from kalshi_daemon.domain.index import Cadence, Index
from kalshi_daemon.domain.instruments import Instruments
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.domain.window import Session
from kalshi_daemon.ground.errors import ConfigurationError
from kalshi_daemon.ground.units import DOLLAR, MINUTE, POINT, SECOND, Level, Nanos
from kalshi_daemon.simulator.exchange.instruments import EventSpec, Listing, MarketSpec, SeriesSpec
from kalshi_daemon.simulator.exchange.listing import event_ticker, market_spec, new_york, specs_of
from kalshi_daemon.simulator.feed.index_path import AFTER_HOURS_S, IndexPath, session_seconds
from kalshi_daemon.windows.sessions import load_sessions

_FORM: Final = "docs/laboratory.md says what belongs in it"
_GAP_S_MAX: Final = 60
"""An index that is not seen for so long was not recorded."""
_LATE_MINUTES_MAX: Final = 60
_EACH_ALONE: Final = "DIRECNET"
"""Not as a partition: the daemon quotes no range event whose other ranges it cannot see, and they were not recorded."""
_OLD_TIMES: Final = 2
"""Brackets of 2023 were twice as wide as those of 2026."""
_BELOW_NEXT: Final = Level(1)
"""Between the cap of a bracket and the next one's floor."""
_LISTED_BEFORE: Final = Nanos(24 * 60 * MINUTE)


@dataclass(frozen=True, slots=True, eq=False)
class RecordedDay:
    """Everything of one day. `known_from_ns`: since when both index and books are known."""

    session: Session
    paths: Mapping[Index, IndexPath]
    listing: Listing
    events: tuple[TapeEvent, ...]
    known_from_ns: Nanos
    notes: tuple[str, ...]


def read_day(folder: Path, day: str, table: Instruments) -> RecordedDay:
    """Read one day of a folder. Raises ConfigurationError with the place and what to do."""
    session = _session(folder, day)
    columns = read_events(folder / f"book_events_{day}.parquet")
    given = read_markets(folder / f"markets_{day}.json", table)
    names = {row.index for row in given}
    wanted = [index for index in table.indices if (index.value in names if given else _values(folder, index, day))]
    if not wanted:
        raise ConfigurationError(str(folder), f"no index values of {day}: no file INDEX_1hz_{day}.parquet", _FORM)
    seen = {index: read_values(folder / f"{index.value}_1hz_{day}.parquet", index) for index in wanted}
    paths = {index: _path(index, session, folder, *seen[index]) for index in wanted}
    notes: tuple[str, ...] = ()
    if not given:
        given, notes = _inferred(folder, session, tuple(tape_of(columns, columns.ticker, "")), paths, table)
    markets = _markets(given, session, table, f"{folder}/markets_{day}.json")
    renamed = None if columns.ticker is None else _renamed(columns.ticker, markets, folder, day)
    tape = tuple(tape_of(columns, renamed, next(iter(markets.values())).ticker))
    listing = Listing(specs_of(table), _events(list(markets.values())))
    first = max(int(columns.at_ns[0]), *(int(at[0]) for at, _ in seen.values()), int(session.open_ns))
    return RecordedDay(session, paths, listing, tape, Nanos(first), notes)


def _session(folder: Path, day: str) -> Session:
    when = date.fromisoformat(day)
    session = load_sessions(when, when).session_on(when)
    if session is None:
        raise ConfigurationError(f"{folder}/book_events_{day}.parquet", f"{day} is not a trading day", "remove it")
    return session


def _values(folder: Path, index: Index, day: str) -> bool:
    return (folder / f"{index.value}_1hz_{day}.parquet").exists()


def _path(
    index: Index, session: Session, folder: Path, at_ns: NDArray[np.int64], values: NDArray[np.float64]
) -> IndexPath:
    """A value for each second: the last one that was seen. Before the first there is none, and nobody plays then."""
    place, open_ns, close_ns = f"{folder}/{index.value}_1hz_{session.day}.parquet", session.open_ns, session.close_ns
    inside = at_ns[(at_ns >= open_ns) & (at_ns <= close_ns + SECOND)]
    if not len(inside) or inside[0] > open_ns + _LATE_MINUTES_MAX * MINUTE:
        raise ConfigurationError(place, f"no values in the first {_LATE_MINUTES_MAX} min of the session", _FORM)
    gaps = np.diff(np.concatenate((inside, [int(close_ns)])))
    longest = int(np.argmax(gaps))
    if gaps[longest] > _GAP_S_MAX * SECOND:
        at = datetime.fromtimestamp(int(inside[longest]) // SECOND, UTC).isoformat()
        problem = f"no values for {int(gaps[longest]) // SECOND} s from {at}"
        raise ConfigurationError(place, problem, f"leave the day out: at most {_GAP_S_MAX} s may be missing")
    seconds = int(open_ns) + np.arange(session_seconds(session) + AFTER_HOURS_S + 1) * int(SECOND)
    rows = np.maximum(np.searchsorted(at_ns, seconds, side="right") - 1, 0)
    return IndexPath(index, session, float(values[0]), values[rows])


def _inferred(
    folder: Path,
    session: Session,
    tape: Sequence[TapeEvent],
    paths: Mapping[Index, IndexPath],
    table: Instruments,
) -> tuple[tuple[MarketRow, ...], tuple[str, ...]]:
    """The one bracket that the prices fit. Raises ConfigurationError when there is not one."""
    place, fix = f"{folder}/markets_{session.day}.json", f"write it: {_FORM}"
    if len({event.ticker for event in tape}) > 1 or len(paths) > 1:
        raise ConfigurationError(place, "no such file, and the books are of several markets or indices", fix)
    ((index, path),) = paths.items()
    steps = {one.geometry.step for one in table.series.values() if one.index == index and one.cadence is Cadence.CLOSE}
    widths = sorted({width for step in steps for width in (step, _OLD_TIMES * step)})
    fit = infer_bracket(_mids(tape, path), widths)
    if fit is None or fit.ratio < CLEARLY:
        least = f"fewer than {MIDS_MIN} minutes with a mid" if fit is None else "the prices fit several brackets"
        raise ConfigurationError(place, f"no such file, and which contract it was cannot be told: {least}", fix)
    highest = (Level((fit.lowest + fit.width) * POINT) - _BELOW_NEXT) / POINT
    note = (
        f"{session.day}: the recording names no contract; its prices fit {index.value} {fit.lowest} to {highest} "
        f"(rms {fit.rms_cents:.1f} cents, the next bracket {fit.ratio:.1f} times the squares)"
    )
    return (MarketRow(tape[0].ticker, index.value, fit.lowest, highest),), (note,)


def _mids(tape: Sequence[TapeEvent], path: IndexPath) -> list[tuple[float, float, float]]:
    """Once a minute: index value, share of the session left, mid in dollars."""
    depth: dict[Side, dict[int, int]] = {Side.BID: {}, Side.ASK: {}}
    found, due = [], 0
    length = path.close_ns - path.open_ns
    for event in tape:
        if event.at_ns >= due and depth[Side.BID] and depth[Side.ASK] and event.at_ns < path.close_ns:
            due = event.at_ns + MINUTE
            mid = (max(depth[Side.BID]) + min(depth[Side.ASK])) / 2 / DOLLAR
            found.append((path.value_at(event.at_ns), (path.close_ns - event.at_ns) / length, mid))
        level = depth[event.side]
        there = level.get(event.price, 0) + (event.count if event.kind is TapeKind.ADD else -event.count)
        if there > 0:
            level[event.price] = there
        else:
            level.pop(event.price, None)
    return found


def _markets(rows: Sequence[MarketRow], session: Session, table: Instruments, place: str) -> dict[str, MarketSpec]:
    """The listed markets, by the name that the recording has for each. Raises ConfigurationError."""
    series, found = {one.ticker: one for one in specs_of(table)}, dict[str, MarketSpec]()
    for row in rows:
        index, target = Index(row.index), _instant(row, session, place)
        cadence = Cadence.CLOSE if target == session.close_ns else Cadence.HOURLY
        known = [one.ticker for one in table.series.values() if one.index == index and one.cadence is cadence]
        if not known:
            raise ConfigurationError(f"{place}: {row.ticker}", f"no {cadence.value} series of {index.value}", _FORM)
        if row.ticker in found:
            raise ConfigurationError(f"{place}: {row.ticker}", "stands there twice", _FORM)
        found[row.ticker] = _market(row, series[known[0]], event_ticker(known[0], target), target)
    return found


def _events(markets: Sequence[MarketSpec]) -> tuple[EventSpec, ...]:
    by_event: dict[str, list[MarketSpec]] = {}
    for market in markets:
        by_event.setdefault(market.event_ticker, []).append(market)
    return tuple(
        EventSpec(
            ticker, own[0].series_ticker, own[0].index, "As recorded", "", _EACH_ALONE, own[0].settles_ns, (*own,)
        )
        for ticker, own in by_event.items()
    )


def _instant(row: MarketRow, session: Session, place: str) -> Nanos:
    if not row.settles:
        return session.close_ns
    try:
        target = new_york(date.fromisoformat(session.day), time.fromisoformat(row.settles))
    except ValueError:
        raise ConfigurationError(f"{place}: {row.ticker}", f"settles {row.settles!r} is no HH:MM", _FORM) from None
    if not session.open_ns < target <= session.close_ns:
        raise ConfigurationError(f"{place}: {row.ticker}", f"settles {row.settles} is outside the session", _FORM)
    return target


def _market(row: MarketRow, series: SeriesSpec, event: str, target: Nanos) -> MarketSpec:
    floor = None if row.lowest is None else Level(round(row.lowest * POINT))
    cap = None if row.highest is None else Level(round(row.highest * POINT))
    if floor is None:
        kind, suffix, words = StrikeType.LESS_OR_EQUAL, f"T{row.highest:g}", f"{row.highest:,} or below"
    elif cap is None:
        kind, suffix, words = StrikeType.GREATER_OR_EQUAL, f"T{row.lowest:g}", f"{row.lowest:,} or above"
    else:
        kind, suffix = StrikeType.BETWEEN, f"B{(floor + cap + 1) // 2 // POINT}"
        words = f"{row.lowest:,} to {row.highest:,}"
    return market_spec(series, event, suffix, words, (kind, floor, cap), (Nanos(target - _LISTED_BEFORE), target))


def _renamed(names: Sequence[str], markets: Mapping[str, MarketSpec], folder: Path, day: str) -> list[str]:
    unknown = next((name for name in names if name not in markets), None)
    if unknown is not None:
        raise ConfigurationError(f"{folder}/markets_{day}.json", f"no market {unknown!r}, which has book events", _FORM)
    return [markets[name].ticker for name in names]
