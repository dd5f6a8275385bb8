"""The charts of a calibration report, from its figures. Each answers one question, which its note says."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Final, Protocol

from kalshi_daemon.research.report_figures import PIT_BINS, BucketMap, FanDay, Figures, ProbabilityBin, Spread
from kalshi_daemon.research.score import CLOSE, HOURLY, ScoreRow
from kalshi_daemon.research.svg import Axis, Chart, padded

_Z95: Final = 1.96
_HOURS: Final = tuple((30.0 + 60.0 * n, f"{10 + n}:00") for n in range(7))
_SESSION_MIN: Final = 390.0
_MONTH_LABELS_MOST: Final = 12
_UNMARKED_MIN: Final = 45
_NARROW: Final = 376.0
"""Three in a row of the page."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A chart, and in a sentence what it should look like when all is well."""

    svg: str
    note: str


def pictures(figures: Figures) -> tuple[Picture, ...]:
    return (
        curve_picture(figures.shipped_curve, figures.curve, figures.realised_curve),
        spreads_picture(figures.spreads),
        *(pit_picture(horizon, counts) for horizon, counts in figures.pits.items()),
        reliability_picture(figures.reliability),
        _by_horizon(figures.rows, "crps"),
        _by_horizon(figures.rows, "log"),
        _by_month(figures, "crps"),
        _by_month(figures, "log"),
        maps_picture(figures.maps),
        scales_picture(figures.maps),
        _fan(figures.fan),
    )


def curve_picture(
    shipped: Sequence[float], adapted: Sequence[float], realised: Sequence[tuple[float, float]]
) -> Picture:
    x = Axis(0.0, _SESSION_MIN, "New York time", ticks=_HOURS)
    top = max([value for _, value in realised] + list(adapted[5:])) * 1.08
    chart = Chart("Session curve: variance of a minute, mean 1", x, Axis(0.0, top, "times the session's mean"))
    if realised:
        chart.points(realised, "c2", "realised, 5 minutes")
    chart.line([(n + 0.5, value) for n, value in enumerate(shipped)], "muted", "shipped", dashed=True)
    chart.line([(n + 0.5, value) for n, value in enumerate(adapted)], "c1", "adapted by the last day")
    if not realised:
        return Picture(chart.text(), "What the days of this record have bent of the shipped curve.")
    return Picture(
        chart.text(),
        "Dots should scatter around the line. The first minutes may leave the frame; releases stand out at 10:00.",
    )


def spreads_picture(spreads: Iterable[Spread]) -> Picture:
    known = tuple(spreads)
    values = [value for one in known for value in (one.forecast_bp, one.realised_bp + _Z95 * one.realised_se_bp)]
    x = horizons_axis(known)
    low = min(min(one.forecast_bp, one.realised_bp) for one in known)
    top = max(values) * 1.25
    marks = tuple((float(v), f"{v}") for v in (1, 2, 5, 10, 20, 50, 100, 200, 500))
    y = Axis(low * 0.8, top, "root mean square move, basis points", logarithmic=True, ticks=marks)
    chart = Chart("Sigma by minutes to the fixing", x, y)
    for target, style, name in ((HOURLY, "c1", "hours"), (CLOSE, "c2", "close")):
        own = sorted((one for one in known if one.target == target), key=lambda one: one.horizon_min)
        if not own:
            continue
        chart.line([(one.horizon_min, one.forecast_bp) for one in own], style, f"{name}: forecast")
        errors = [_Z95 * one.realised_se_bp for one in own]
        chart.points([(one.horizon_min, one.realised_bp) for one in own], style, "realised", errors)
    return Picture(
        chart.text(), "Dots on their lines: moves came as large as they were forecast. Bars are 95 % intervals."
    )


def pit_picture(horizon: int, counts: tuple[int, ...]) -> Picture:
    n, bins = sum(counts), len(counts)
    share = 1.0 / bins
    half = _Z95 * sqrt(share * (1.0 - share) / n) / share
    heights = [bins * count / n for count in counts]
    y = Axis(0.0, max(1.3, *heights) * 1.12, "density", ticks=())
    x = Axis(0.0, 1.0, "probability that was given to less than what came")
    chart = Chart(f"PIT, {horizon} minutes to full hours (n = {n})", x, y, width=_NARROW, height=280.0)
    chart.bars([(k * share, (k + 1) * share, value) for k, value in enumerate(heights)], "pale")
    chart.level(1.0)
    chart.line([(0.0, 1.0 - half), (1.0, 1.0 - half)], "c2", "95 % of the bins of a right law lie between")
    chart.line([(0.0, 1.0 + half), (1.0, 1.0 + half)], "c2")
    return Picture(chart.text(), "Flat is right; high edges mean too narrow, a hump too wide, a slope a bias.")


def reliability_picture(bins: Sequence[ProbabilityBin]) -> Picture:
    unit = Axis(0.0, 1.0, "probability said"), Axis(0.0, 1.0, "share that settled at or above")
    chart = Chart("Reliability of strike probabilities", *unit, width=_NARROW, height=380.0)
    chart.line([(0.0, 0.0), (1.0, 1.0)], "muted", "perfect", dashed=True)
    chart.points([(one.said, one.came) for one in bins], "c1", "ten bins, 95 %", [_Z95 * one.came_se for one in bins])
    return Picture(
        chart.text(), "Strikes as listed, five or ten points apart, all horizons. Dots belong on the diagonal."
    )


def _by_horizon(rows: tuple[ScoreRow, ...], which: str) -> Picture:
    def figure(row: ScoreRow) -> tuple[float, float]:
        if which == "crps":
            return row.crps_ratio_ewma, row.crps_ratio_ewma_se
        return row.log_gain_ewma, row.log_gain_ewma_se

    even = 1.0 if which == "crps" else 0.0
    # A close is forecast once a day: its intervals may leave the frame rather than flatten everything else.
    widths = [(figure(row), 1.0 if row.target == HOURLY else 0.25) for row in rows]
    edges = [value + sign * share * _Z95 * error for (value, error), share in widths for sign in (-1, 1)]
    x = horizons_axis(rows)
    title, label = (
        ("CRPS by horizon: ratio to the tuned EWMA", "ratio, below 1 is better")
        if which == "crps"
        else ("Log gain by horizon over the tuned EWMA", "nats per forecast, above 0 is better")
    )
    chart = Chart(title, x, Axis(*padded([*edges, even]), label))
    chart.level(even)
    for target, style, name, shift in ((HOURLY, "c1", "full hours", 0.96), (CLOSE, "c2", "close", 1.04)):
        own = [row for row in rows if row.target == target]
        places = [(row.horizon_min * shift, figure(row)[0]) for row in own]
        chart.points(places, style, f"{name}, 95 %", [_Z95 * figure(row)[1] for row in own])
    return Picture(chart.text(), "Errors are clustered by day. The dashed line is the baseline itself.")


def _by_month(figures: Figures, which: str) -> Picture:
    months = figures.months
    crps = which == "crps"
    found = [(one.crps_ratio, one.crps_ratio_se) if crps else (one.log_gain, one.log_gain_se) for one in months]
    even = 1.0 if crps else 0.0
    edges = [value + sign * _Z95 * error for value, error in found for sign in (-1, 1)]
    every = -(-len(months) // _MONTH_LABELS_MOST)
    marks = tuple((float(n), one.month) for n, one in enumerate(months) if n % every == 0)
    x = Axis(-0.5, len(months) - 0.5, "month", ticks=marks)
    title = (
        "CRPS by month: ratio to the tuned EWMA, hourly" if crps else "Log gain by month over the tuned EWMA, hourly"
    )
    label = "ratio, below 1 is better" if crps else "nats per forecast, above 0 is better"
    chart = Chart(title, x, Axis(*padded([*edges, even]), label), width=1140.0, height=300.0)
    chart.level(even)
    places = [(float(n), value) for n, (value, _) in enumerate(found)]
    chart.points(places, "c1", "all horizons up to 55 minutes, 95 %", [_Z95 * error for _, error in found])
    return Picture(chart.text(), "A month far on the wrong side by more than its bar deserves a look.")


def maps_picture(maps: Sequence[BucketMap]) -> Picture:
    shown = [one for one in maps if one.horizon_min in {2.0, 10.0, 30.0, 55.0}]
    moved = [knot - n / PIT_BINS for one in shown for n, knot in enumerate(one.knots)]
    low, high = padded([*moved, -0.02, 0.02])
    chart = Chart(
        "Recalibration maps at the end: W(u) - u",
        Axis(0.0, 1.0, "u: probability by the frozen law"),
        Axis(low, high, "probability added"),
    )
    chart.level(0.0)
    for one, style in zip(shown, ("c1", "c2", "c3", "c4"), strict=False):
        points = [(n / PIT_BINS, knot - n / PIT_BINS) for n, knot in enumerate(one.knots)]
        chart.line(points, style, f"{one.horizon_min:.0f} min")
    return Picture(
        chart.text(), "Near zero: the frozen law needed little help. What it adds below it takes away above."
    )


def scales_picture(maps: Sequence[BucketMap]) -> Picture:
    low, high = padded([*(one.scale for one in maps), 0.95, 1.05])
    x = Axis(
        1.7, 430.0, "minutes to the fixing", logarithmic=True, ticks=tuple((m, f"{m:.0f}") for m in _centres(maps))
    )
    chart = Chart("Online scale at the end", x, Axis(low, high, "c, a factor on sigma"))
    chart.level(1.0)
    chart.points([(one.horizon_min, one.scale) for one in maps], "c1", "full hours")
    return Picture(chart.text(), "Above 1: the moves that were resolved were larger than the frozen model said.")


def _fan(fan: FanDay) -> Picture:
    levels = [level for _, level in fan.path] + [
        level for one in fan.fans for _, levels in one.steps for level in levels
    ]
    low, high = padded(levels, 0.04)
    x = Axis(0.0, max(minute for minute, _ in fan.path), "New York time", ticks=_HOURS)
    chart = Chart(
        f"Fans of {fan.day}: what each hour was given", x, Axis(low, high, "points"), width=1140.0, height=440.0
    )
    for number, one in enumerate(fan.fans):
        outer = [(minute, levels[0], levels[-1]) for minute, levels in one.steps]
        inner = [(minute, levels[1], levels[-2]) for minute, levels in one.steps]
        chart.area(outer, "band", "5-95 %" if number == 0 else "")
        chart.area(inner, "band2", "25-75 %" if number == 0 else "")
        chart.line(
            [(minute, levels[2]) for minute, levels in one.steps], "muted", "median" if not number else "", dashed=True
        )
    chart.line(fan.path, "c1", "the index")
    return Picture(
        chart.text(), "Each fan was made at its left end with nothing later known. One end in ten lies outside."
    )


class Horizon(Protocol):
    """What has a horizon."""

    @property
    def horizon_min(self) -> int: ...


def horizons_axis(rows: Sequence[Horizon]) -> Axis:
    """Minutes to the fixing from 2 to the longest; 45 leaves its word to its neighbours, which it would touch."""
    found = sorted({row.horizon_min for row in rows})
    marks = tuple((float(h), f"{h}") for h in found if h != _UNMARKED_MIN)
    return Axis(1.7, 1.2 * found[-1], "minutes to the fixing", logarithmic=True, ticks=marks)


def _centres(maps: Iterable[object]) -> tuple[float, ...]:
    return tuple(m for m in (2.0, 5.0, 10.0, 15.0, 30.0, 55.0, 120.0, 240.0, 360.0) if maps)
