"""The charts of a calibration report, from its figures. Each answers one question, which its note says."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Final

import numpy as np

from kalshi_daemon.research.fan_charts import fan_picture
from kalshi_daemon.research.picture import HOURS, NARROW, SESSION_MIN, WIDE, Z95, Picture
from kalshi_daemon.research.report_figures import PIT_BINS, BucketMap, Figures, Month, ProbabilityBin, Spread
from kalshi_daemon.research.score import CLOSE, HOURLY, ScoreRow
from kalshi_daemon.research.svg import Axis, Chart, padded

_LABEL_WIDTH: Final = 95.0
_LABEL_STEPS: Final = (1, 2, 3, 6, 12)
"""Every how many dots of a row one has its word: of months, what a year is made of."""
_UNMARKED_MIN: Final = 45
_CLUSTERED: Final = "Errors are clustered by day. The dashed line is the baseline itself."
_TARGETS: Final = ((HOURLY, "c1", "full hours"), (CLOSE, "c2", "close"))


def pictures(figures: Figures) -> tuple[Picture, ...]:
    return (
        curve_picture(figures.shipped_curve, figures.curve, figures.realised_curve),
        *spreads_pictures(figures.spreads),
        *(pit_picture(horizon, counts) for horizon, counts in figures.pits.items()),
        reliability_picture(figures.reliability),
        *by_horizon_pictures(_points(figures.rows, "crps"), CRPS, "the tuned EWMA", _CLUSTERED),
        *by_horizon_pictures(_points(figures.rows, "log"), LOG_GAIN, "the tuned EWMA", _CLUSTERED),
        *by_period_pictures(figures.months, "month", "the tuned EWMA"),
        maps_picture(figures.maps),
        scales_picture(figures.maps),
        fan_picture(figures.fan),
    )


def curve_picture(
    shipped: Sequence[float], adapted: Sequence[float], realised: Sequence[tuple[float, float]]
) -> Picture:
    x = Axis(0.0, SESSION_MIN, "New York time", ticks=HOURS)
    top = max([value for _, value in realised] + list(adapted[5:])) * 1.08
    chart = Chart("Session curve: variance of a minute, mean 1", x, Axis(0.0, top, "times the session's mean"))
    chart.line([(n + 0.5, value) for n, value in enumerate(shipped)], "muted", "shipped", dashed=True)
    chart.line([(n + 0.5, value) for n, value in enumerate(adapted)], "c1", "adapted by the last day")
    if realised:
        chart.points(realised, "c2", "realised, 5 minutes")
    if not realised:
        most = max(abs(new / old - 1.0) for new, old in zip(adapted, shipped, strict=True))
        return Picture(chart.text(), f"The days of this record have changed a minute of it by {most:.0%} at most.")
    return Picture(
        chart.text(),
        "Dots should scatter around the line. The first minutes may leave the frame; releases stand out at 10:00.",
    )


def spreads_pictures(spreads: Iterable[Spread]) -> tuple[Picture, ...]:
    """One picture. A horizon whose moves were nought, as of one forecast alone they may be, is left to the table."""
    known = tuple(one for one in spreads if one.realised_bp > 0.0)
    if not known:
        return ()
    values = [value for one in known for value in (one.forecast_bp, one.realised_bp + Z95 * one.realised_se_bp)]
    x = horizons_axis(one.horizon_min for one in known)
    low = min(min(one.forecast_bp, one.realised_bp) for one in known)
    top = max(values) * 1.25
    marks = tuple((float(v), f"{v}") for v in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500))
    y = Axis(low * 0.8, top, "root mean square move, basis points", logarithmic=True, ticks=marks)
    chart = Chart("Sigma by minutes to the fixing", x, y)
    # Dots of the two stand a little apart, so that one's bar does not hide the other's.
    for target, style, name, shift in ((HOURLY, "c1", "hours", 0.97), (CLOSE, "c2", "close", 1.03)):
        own = sorted((one for one in known if one.target == target), key=lambda one: one.horizon_min)
        if not own:
            continue
        chart.line([(one.horizon_min, one.forecast_bp) for one in own], style, f"{name} forecast")
        errors = [Z95 * one.realised_se_bp for one in own]
        chart.points([(shift * one.horizon_min, one.realised_bp) for one in own], style, f"{name} realised", errors)
    note = "Dots on their lines: moves came as large as they were forecast. Bars are 95 % intervals."
    return (Picture(chart.text(), note),)


def pit_picture(horizon: int, counts: tuple[int, ...]) -> Picture:
    n, bins = sum(counts), len(counts)
    share = 1.0 / bins
    half = Z95 * sqrt(share * (1.0 - share) / n) / share
    heights = [bins * count / n for count in counts]
    y = Axis(0.0, max(1.3, 1.0 + half, *heights) * 1.12, "density", ticks=())
    x = Axis(0.0, 1.0, "probability that was given to less than what came")
    chart = Chart(f"PIT, {horizon} minutes to full hours (n = {n})", x, y, width=NARROW, height=280.0)
    chart.bars([(k * share, (k + 1) * share, value) for k, value in enumerate(heights)], "pale")
    chart.level(1.0)
    chart.line([(0.0, 1.0 - half), (1.0, 1.0 - half)], "c2", "95 % of the bins of a right distribution lie between")
    chart.line([(0.0, 1.0 + half), (1.0, 1.0 + half)], "c2")
    return Picture(chart.text(), "Flat is right; high edges mean too narrow, a hump too wide, a slope a bias.")


def reliability_picture(bins: Sequence[ProbabilityBin]) -> Picture:
    axes = unit_axis("probability said"), unit_axis("share that settled at or above")
    chart = Chart("Reliability of strike probabilities", *axes, width=NARROW, height=380.0)
    chart.line([(0.0, 0.0), (1.0, 1.0)], "muted", "perfect", dashed=True)
    chart.points([(one.said, one.came) for one in bins], "c1", "ten bins, 95 %", [Z95 * one.came_se for one in bins])
    return Picture(
        chart.text(), "Strikes as listed, five or ten points apart, all horizons. Dots belong on the diagonal."
    )


type Dot = tuple[str, int, float, float]
"""(target, minutes to the fixing, value, its standard error)."""


@dataclass(frozen=True, slots=True)
class Measure:
    """What is shown by horizon, by period or by day."""

    name: str
    against: str
    """How it is set against a baseline."""
    label: str
    even: float
    """What a baseline no better and no worse gives."""


CRPS: Final = Measure("CRPS", "ratio to", "ratio, below 1 is better", 1.0)
LOG_GAIN: Final = Measure("Log gain", "over", "nats per forecast, above 0 is better", 0.0)


def by_horizon_pictures(dots: Sequence[Dot], what: Measure, baseline: str, note: str) -> tuple[Picture, ...]:
    """Full hours and closes apart: a close is forecast once a day, its errors would flatten what the hours say.

    A value without an error, of one day or fixing alone, is left to the table.
    """
    found = []
    for target, style, name in _TARGETS:
        own = [(horizon, value, error) for one, horizon, value, error in dots if one == target and error > 0.0]
        if not own:
            continue
        edges = [value + sign * Z95 * error for _, value, error in own for sign in (-1, 1)]
        x = horizons_axis([horizon for horizon, _, _ in own])
        y = Axis(*padded([*edges, what.even]), what.label)
        chart = Chart(f"{what.name} by horizon, {name}: {what.against} {baseline}", x, y)
        chart.level(what.even)
        errors = [Z95 * error for _, _, error in own]
        chart.points([(float(horizon), value) for horizon, value, _ in own], style, f"{name}, 95 %", errors)
        found.append(Picture(chart.text(), note))
    return tuple(found)


def _points(rows: Iterable[ScoreRow], which: str) -> list[Dot]:
    if which == "crps":
        return [(row.target, row.horizon_min, row.crps_ratio_ewma, row.crps_ratio_ewma_se) for row in rows]
    return [(row.target, row.horizon_min, row.log_gain_ewma, row.log_gain_ewma_se) for row in rows]


def by_period_pictures(periods: Sequence[Month], unit: str, baseline: str) -> tuple[Picture, Picture]:
    """Full hours of all horizons together, period by period. unit: day or month."""
    note = f"A {unit} far on the wrong side by more than its bar deserves a look."
    name = "all horizons up to 55 minutes, 95 %"
    crps = [(one.month, one.crps_ratio, one.crps_ratio_se) for one in periods]
    gains = [(one.month, one.log_gain, one.log_gain_se) for one in periods]
    first, second = (
        Picture(
            row_of_dots(
                f"{what.name} by {unit}, full hours: {what.against} {baseline}", what, found, unit, name
            ).text(),
            note,
        )
        for what, found in ((CRPS, crps), (LOG_GAIN, gains))
    )
    return first, second


def row_of_dots(
    title: str, what: Measure, found: Sequence[tuple[str, float, float]], unit: str, name: str, width: float = WIDE
) -> Chart:
    """One dot for each (word, value, error), and the dashed line they are compared with."""
    # One wild day must not flatten the others: the frame holds every dot, but of the longest bars only as much as four
    # in five have.
    values = [value for _, value, _ in found] + [what.even]
    reach = float(np.quantile([Z95 * error for _, _, error in found], 0.8))
    edges = [value + sign * min(Z95 * error, reach) for _, value, error in found for sign in (-1, 1)]
    most = max(1, int(width / _LABEL_WIDTH))
    every = next((step for step in _LABEL_STEPS if len(found) <= most * step), -(-len(found) // most))
    marks = tuple((float(n), word) for n, (word, _, _) in enumerate(found) if n % every == 0)
    x = Axis(-0.5, len(found) - 0.5, unit, ticks=marks)
    chart = Chart(title, x, Axis(*padded([*edges, *values]), what.label), width, 300.0)
    chart.level(what.even)
    dots = [(float(n), value) for n, (_, value, _) in enumerate(found)]
    chart.points(dots, "c1", name, [Z95 * error for _, _, error in found])
    return chart


def maps_picture(maps: Sequence[BucketMap]) -> Picture:
    shown = [one for one in maps if one.horizon_min in {2.0, 10.0, 30.0, 55.0}]
    moved = [knot - n / PIT_BINS for one in shown for n, knot in enumerate(one.knots)]
    low, high = padded([*moved, -0.02, 0.02])
    chart = Chart(
        "Recalibration maps at the end: W(u) - u",
        Axis(0.0, 1.0, "u: probability by the frozen distribution"),
        Axis(low, high, "probability added"),
    )
    chart.level(0.0)
    for one, style in zip(shown, ("c1", "c2", "c3", "c4"), strict=False):
        points = [(n / PIT_BINS, knot - n / PIT_BINS) for n, knot in enumerate(one.knots)]
        chart.line(points, style, f"{one.horizon_min:.0f} min")
    return Picture(
        chart.text(), "Near zero: the frozen distribution needed little help. What it adds below it takes away above."
    )


def scales_picture(maps: Sequence[BucketMap]) -> Picture:
    low, high = padded([*(one.scale for one in maps), 0.95, 1.05])
    x = horizons_axis(round(one.horizon_min) for one in maps)
    chart = Chart("Online scale at the end", x, Axis(low, high, "c, a factor on sigma"))
    chart.level(1.0)
    chart.points([(one.horizon_min, one.scale) for one in maps], "c1", "full hours")
    return Picture(chart.text(), "Above 1: the moves that were resolved were larger than the frozen model said.")


def unit_axis(label: str) -> Axis:
    """From 0 to 1, with room for the dots that stand on either."""
    return Axis(-0.02, 1.02, label)


def horizons_axis(horizons: Iterable[int]) -> Axis:
    """Minutes to the fixing from 2 to the longest; 45 leaves its word to its neighbours, which it would touch."""
    found = sorted(set(horizons))
    marks = tuple((float(h), f"{h}") for h in found if h != _UNMARKED_MIN)
    return Axis(1.7, 1.2 * found[-1], "minutes to the fixing", logarithmic=True, ticks=marks)
