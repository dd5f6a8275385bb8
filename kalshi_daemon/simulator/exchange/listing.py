"""The ladders of one session as the exchange lists them in 2026 (docs/reference/venue.md 7).

Hourly ladders KXINXU (400 legs, 5 points apart) and KXNASDAQ100U (400, 10 apart) for every hour from 10:00, around
the multiple of 25 (100) points nearest the index level given; the hour of the close is coarser: 60 legs, 25 (100)
points apart (all 314 KXINXU events of 2026-02-17..04-21; NDX by a note of November 2025). 16:00 partitions KXINX
(25-point bins) and KXNASDAQ100 (100-point bins). A half day ends with H1300, and so does its close event; that its last
hour is the coarse one is unconfirmed for the real venue, as is the close event. On a holiday nothing is listed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cache
from typing import Final

from kalshi_daemon.domain.contract import StrikeType
from kalshi_daemon.domain.index import Cadence, Geometry, Index
from kalshi_daemon.domain.instruments import SHIPPED_INSTRUMENTS, Instruments
from kalshi_daemon.ground.new_york import NEW_YORK
from kalshi_daemon.ground.units import POINT, SECOND, Level, Nanos
from kalshi_daemon.simulator.exchange.instruments import EventSpec, Listing, MarketSpec, SeriesSpec
from kalshi_daemon.windows.sessions import load_sessions

_FIRST_HOUR: Final = 10
_MONTHS: Final = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_LOOK_BACK_DAYS: Final = 14
"""The session before lies within; the exchange has not been closed for so long since 1914."""


def specs_of(table: Instruments) -> tuple[SeriesSpec, ...]:
    """The series as the exchange describes them, in the order of the table."""
    found = []
    for series in table.series.values():
        name = table.rows[series.index].title
        kind, frequency = ("hourly", "hourly") if series.cadence is Cadence.HOURLY else ("close range", "daily")
        found.append(SeriesSpec(series.ticker, series.index, f"{name} {kind}", frequency, name))
    return tuple(found)


def geometry_of(table: Instruments) -> Mapping[str, Geometry]:
    """How each series cuts its index."""
    return {ticker: series.geometry for ticker, series in table.series.items()}


@dataclass(frozen=True, slots=True)
class SessionHours:
    """A trading day of the New York Stock Exchange: its date, the session before, and the hour it ends."""

    day: date
    previous: date
    close_hour: int


@cache
def session_hours(day: date) -> SessionHours | None:
    """The session of a date; None on weekends and holidays. Reads the calendar: call it before the loop starts."""
    table = load_sessions(day - timedelta(days=_LOOK_BACK_DAYS), day)
    session = table.session_on(day)
    if session is None:
        return None
    close = datetime.fromtimestamp(session.close_ns // SECOND, NEW_YORK)
    return SessionHours(day, date.fromisoformat(table.sessions[-2].day), close.hour)


def session_listing(
    day: date,
    spot: Mapping[Index, float],
    geometry: Mapping[str, Geometry] | None = None,
    table: Instruments = SHIPPED_INSTRUMENTS,
) -> Listing:
    """Everything listed for a date around the index levels before the open; no events on a holiday.

    geometry: other ladders than the table has.
    """
    hours, specs = session_hours(day), specs_of(table)
    if hours is None:
        return Listing(specs, ())
    last = hours.close_hour
    before, morning = new_york(hours.previous, time(16)), new_york(hours.day, time(3, 10))
    spans = [(before, new_york(hours.day, time(hour))) for hour in range(_FIRST_HOUR, last)]
    spans.append((morning, new_york(hours.day, time(last))))
    bins_open_ns = new_york(hours.day - timedelta(days=1), time(22, 30))
    return Listing(specs, tuple(events_of(spans, bins_open_ns, spot, geometry or geometry_of(table), table)))


def events_of(
    spans: Sequence[tuple[Nanos, Nanos]],
    bins_open_ns: Nanos,
    spot: Mapping[Index, float],
    geometry: Mapping[str, Geometry],
    table: Instruments = SHIPPED_INSTRUMENTS,
) -> list[EventSpec]:
    """Each hourly ladder for every (opening, target), the last being the close, and the partitions of the close.

    An hourly series begins with its first fixing.
    """
    ladders: list[EventSpec] = []
    partitions: list[EventSpec] = []
    for series in specs_of(table):
        row, shape = table.series[series.ticker], geometry[series.ticker]
        if row.cadence is Cadence.CLOSE:
            partitions.append(range_event(series, shape, spot[series.index], bins_open_ns, spans[-1][1]))
            continue
        centre = round(spot[series.index] / shape.anchor) * shape.anchor
        skipped = row.first_fixing.hour - _FIRST_HOUR
        for place, (opened, target) in enumerate(spans, 1):
            coarse = shape.closing if place == len(spans) else None
            if place > skipped:
                ladders.append(ladder_event(series, coarse or shape, centre, opened, target))
    return [*ladders, *partitions]


def ladder_event(series: SeriesSpec, shape: Geometry, spot: float, opens_ns: Nanos, target_ns: Nanos) -> EventSpec:
    """An above/below ladder: `greater_or_equal` legs every step, as many below the spot as above it."""
    ticker = event_ticker(series.ticker, target_ns)
    lowest = round(spot / shape.step) * shape.step - shape.legs // 2 * shape.step
    markets = []
    for place in range(shape.legs):
        floor = Level((lowest + place * shape.step) * POINT)
        words = f"{floor // POINT:,} or above"
        markets.append(
            market_spec(
                series,
                ticker,
                f"T{_plain(Level(floor - shape.epsilon))}",
                words,
                (StrikeType.GREATER_OR_EQUAL, floor, None),
                (opens_ns, target_ns),
            )
        )
    return _event(series, ticker, "DIRECNET", target_ns, markets)


def range_event(series: SeriesSpec, shape: Geometry, spot: float, opens_ns: Nanos, target_ns: Nanos) -> EventSpec:
    """A partition: inclusive `between` bins with a `less` and a `greater` tail, mutually exclusive.

    Bins run from a multiple of the step to 0.0001 (SPX) or 0.01 (NDX) below the next; the B-number is the middle.
    `spot` in points.
    """
    ticker = event_ticker(series.ticker, target_ns)
    bins = shape.legs - 2
    lowest = round(spot / shape.step) * shape.step - bins // 2 * shape.step
    highest = lowest + bins * shape.step
    span = (opens_ns, target_ns)
    bottom, top = Level(lowest * POINT), Level(highest * POINT - shape.epsilon)
    less = f"{_comma(Level(bottom - shape.epsilon))} or below"
    markets = [market_spec(series, ticker, f"T{lowest}", less, (StrikeType.LESS, None, bottom), span)]
    for start in range(lowest, highest, shape.step):
        floor, cap = Level(start * POINT), Level((start + shape.step) * POINT - shape.epsilon)
        words = f"{_comma(floor)} to {_comma(cap)}"
        suffix = f"B{start + shape.step // 2}"
        markets.append(market_spec(series, ticker, suffix, words, (StrikeType.BETWEEN, floor, cap), span))
    more = f"{highest:,} or above"
    markets.append(market_spec(series, ticker, f"T{_plain(top)}", more, (StrikeType.GREATER, top, None), span))
    return _event(series, ticker, "MECNET", target_ns, markets)


def event_ticker(series_ticker: str, target_ns: Nanos) -> str:
    """`KXINXU-26NOV23H1000`: date and time of the target in New York."""
    at = datetime.fromtimestamp(target_ns // SECOND, NEW_YORK)
    return f"{series_ticker}-{at:%y}{_MONTHS[at.month - 1]}{at:%d}H{at:%H%M}"


def new_york(day: date, at: time) -> Nanos:
    """A New York wall time as an instant."""
    return Nanos(int(datetime.combine(day, at, NEW_YORK).timestamp()) * SECOND)


def _event(
    series: SeriesSpec, ticker: str, collateral: str, target_ns: Nanos, markets: Sequence[MarketSpec]
) -> EventSpec:
    at = datetime.fromtimestamp(target_ns // SECOND, NEW_YORK)
    when = f"{at:%b} {at.day}, {at.year} at {at:%I:%M %p %Z}"
    title = f"{series.name} on {when}?"
    return EventSpec(ticker, series.ticker, series.index, title, f"On {when}", collateral, target_ns, tuple(markets))


def market_spec(
    series: SeriesSpec,
    event: str,
    suffix: str,
    words: str,
    strike: tuple[StrikeType, Level | None, Level | None],
    span: tuple[Nanos, Nanos],
) -> MarketSpec:
    """One market. `words` say when it pays; strike: its type and both bounds; span: when it opens, and its fixing."""
    kind, floor, cap = strike
    name = series.name
    return MarketSpec(
        ticker=f"{event}-{suffix}",
        event_ticker=event,
        series_ticker=series.ticker,
        index=series.index,
        title=f"Will the {name} be {words}?",
        yes_sub_title=words,
        rules=f"If the value of the {name} at the time of the event is {words}, then the market resolves to Yes.",
        strike_type=kind,
        floor=floor,
        cap=cap,
        open_ns=span[0],
        close_ns=span[1],
        settles_ns=span[1],
    )


def _plain(level: Level) -> str:
    whole, rest = divmod(level, POINT)
    return f"{whole}.{rest:04d}".rstrip("0").rstrip(".")


def _comma(level: Level) -> str:
    whole, rest = divmod(level, POINT)
    tail = f".{rest:04d}".rstrip("0").rstrip(".") if rest else ""
    return f"{whole:,}{tail}"
