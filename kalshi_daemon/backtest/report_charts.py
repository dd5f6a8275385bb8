"""The charts of a backtest's report: data alone, `research.drawing` makes pictures of them. Pure."""

import math
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Final

from kalshi_daemon.backtest.measures import HORIZONS_S
from kalshi_daemon.backtest.results import OrderRow, SessionResult
from kalshi_daemon.research.chart import Axis, Chart, Colour, padded
from kalshi_daemon.research.picture import NARROW, WIDE, Picture

type Sides = Sequence[Sequence[SessionResult]]
"""Ours, and the base when there is one."""

_HEIGHT: Final = 300.0
_COLOURS: Final = (Colour.BLUE, Colour.ORANGE)
_NAMES: Final = ("ours", "base")
_AHEAD: Final = (0.0, 10.0, 50.0, 100.0, 250.0, 500.0, 1_000.0)
"""Where a bar of the fill model begins, contracts ahead."""
_SESSIONS_DRAWN_MAX: Final = 40
_TICKS_MAX: Final = 12
_HUNDRED: Final = 100.0


def backtest_pictures(sides: Sides) -> tuple[Picture, ...]:
    """Every picture of the report, in its order; those of which there is nothing to draw are left out."""
    found = (_equity(sides), _markouts(sides), _inventory(sides[0]), _quoting(sides), _fill_model(sides[0]))
    return tuple(picture for picture in found if picture is not None)


def _equity(sides: Sides) -> Picture | None:
    curves = [list(accumulate((_worth(session) for session in side), initial=0.0)) for side in sides]
    settled = list(accumulate((session.pnl_dollars for session in sides[0]), initial=0.0))
    longest = max(map(len, curves))
    if longest < 2:  # noqa: PLR2004 - a line has two ends
        return None
    values = [value for curve in (*curves, settled) for value in curve]
    every = max(1, longest // _TICKS_MAX)
    ticks = tuple((float(number), f"{number}") for number in range(0, longest, every))
    x, y = Axis(0.0, longest - 1.0, "sessions", ticks=ticks), Axis(*padded(values), "dollars, sum so far")
    chart = Chart("Equity", x, y, WIDE, _HEIGHT)
    chart.level(0.0)
    for curve, colour, name in zip(curves, _COLOURS, _NAMES, strict=False):
        chart.line(list(enumerate(curve)), colour, f"{name}: worth of the fills")
    chart.line(list(enumerate(settled)), Colour.GREY, "ours: settled", faint=True)
    note = (
        "Worth: edge under the law of the index, or 30 s markouts where nobody knows it. Settled has its noise on top."
    )
    return Picture(chart, note)


def _markouts(sides: Sides) -> Picture | None:
    curves = [_markout_curve(side) for side in sides]
    known = [mean + sign * error for curve in curves for _, mean, error in curve for sign in (-1, 1)]
    if not known:
        return None
    places = {seconds: place for place, seconds in enumerate((0, *HORIZONS_S))}
    x = Axis(
        -0.4, len(places) - 0.6, "seconds after the fill", ticks=tuple((float(p), f"{s}") for s, p in places.items())
    )
    chart = Chart("Markouts", x, Axis(*padded([*known, 0.0]), "cents a contract, after fees"), NARROW, _HEIGHT)
    chart.level(0.0)
    for curve, colour, name in zip(curves, _COLOURS, _NAMES, strict=False):
        chart.line([(places[seconds], mean) for seconds, mean, _ in curve], colour)
        points = [(float(places[seconds]), mean) for seconds, mean, _ in curve]
        chart.dots(points, colour, name, [error for *_, error in curve])
    return Picture(chart, "Against the others' mid; at 0 the half-spread earned. Bars: a standard error, by window.")


def _markout_curve(side: Sequence[SessionResult]) -> list[tuple[int, float, float]]:
    """(seconds, mean, standard error clustered by window) in cents a contract."""
    found = []
    for seconds in (0, *HORIZONS_S):
        sums: dict[tuple[str, str], tuple[float, float]] = {}
        for session in side:
            for fill in session.fills:
                value = fill.half_spread if seconds == 0 else fill.markouts.get(seconds)
                if value is not None:
                    key = session.session, fill.event_ticker
                    before, count = sums.get(key, (0.0, 0.0))
                    sums[key] = before + value * fill.contracts, count + fill.contracts
        contracts = sum(count for _, count in sums.values())
        if contracts:
            mean = sum(value for value, _ in sums.values()) / contracts
            squares = sum((value - mean * count) ** 2 for value, count in sums.values())
            error = math.sqrt(squares * len(sums) / max(1, len(sums) - 1)) / contracts
            found.append((seconds, mean, error))
    return found


def _inventory(side: Sequence[SessionResult]) -> Picture | None:
    """Net contracts of each event, YES bought less sold, from its first fill to its last."""
    traded = [session for session in side if session.fills][:_SESSIONS_DRAWN_MAX]
    lines = [line for session in traded for line in _positions(session)]
    if not lines:
        return None
    minutes = [minute for line in lines for minute, _ in line]
    held = [count for line in lines for _, count in line]
    chart = Chart(
        "Inventory",
        Axis(*padded(minutes), "minutes since the session's first fill"),
        Axis(*padded([*held, 0.0]), "contracts, net"),
        NARROW,
        _HEIGHT,
    )
    chart.level(0.0)
    for line in lines:
        chart.line(line, Colour.BLUE, faint=True)
    return Picture(chart, f"A line an event: bought less sold, all strikes together. {len(traded)} sessions.")


def _positions(session: SessionResult) -> Iterable[list[tuple[float, float]]]:
    first = min(fill.at_ns for fill in session.fills)
    for event in dict.fromkeys(fill.event_ticker for fill in session.fills):
        own = [fill for fill in session.fills if fill.event_ticker == event]
        sums = accumulate(fill.sign * fill.contracts for fill in own)
        points: list[tuple[float, float]] = []
        before = 0.0
        for fill, after in zip(own, sums, strict=True):
            minute = (fill.at_ns - first) / 60e9
            points += [(minute, before), (minute, after)]
            before = after
        yield points


def _quoting(sides: Sides) -> Picture | None:
    """By the hour that the window settles at."""
    hours = sorted({_hour(row.event_ticker) for side in sides for session in side for row in session.rows})
    if not hours:
        return None
    ticks = tuple((place + 0.5, hour) for place, hour in enumerate(hours))
    x = Axis(0.0, float(len(hours)), "window, by the time it settles", ticks=ticks)
    chart = Chart("Quoting share", x, Axis(0.0, 100.0, "% of open seconds"), NARROW, _HEIGHT)
    for number, (side, colour, name) in enumerate(zip(sides, _COLOURS, _NAMES, strict=False)):
        bars = []
        for place, hour in enumerate(hours):
            rows = [row for session in side for row in session.rows if _hour(row.event_ticker) == hour]
            opened = sum(row.open_s for row in rows)
            left = place + 0.1 + 0.4 * number
            if opened:
                bars.append((left, left + 0.4, _HUNDRED * sum(row.quoting_s for row in rows) / opened))
        chart.bars(bars, colour, name)
    return Picture(chart, "Seconds with an order of ours resting in the window, of those it was open.")


def _hour(event_ticker: str) -> str:
    clock = event_ticker.rpartition("H")[2]
    return f"{clock[:2]}:{clock[2:]}"


def _fill_model(side: Sequence[SessionResult]) -> Picture | None:
    """How much of an order filled, by what stood ahead of it when it came."""
    orders = [order for session in side for order in session.orders]
    if not orders:
        return None
    groups = [[order for order in orders if _group(order) == place] for place in range(len(_AHEAD))]
    x = Axis(
        0.0,
        float(len(_AHEAD)),
        "contracts ahead when it came, from",
        ticks=tuple((float(place), f"{low:g}") for place, low in enumerate(_AHEAD)),
    )
    chart = Chart("Fill model", x, Axis(0.0, 100.0, "% of the contracts filled"), NARROW, _HEIGHT)
    bars = [
        (place + 0.1, place + 0.9, _HUNDRED * sum(one.filled for one in group) / sum(one.contracts for one in group))
        for place, group in enumerate(groups)
        if group
    ]
    chart.bars(bars, Colour.GREEN)
    return Picture(chart, f"{len(orders)} orders of ours that rested, however long they did.")


def _group(order: OrderRow) -> int:
    return sum(order.ahead >= low for low in _AHEAD) - 1


def _worth(session: SessionResult) -> float:
    return sum(row.worth for row in session.rows)
