"""The charts of a calibration report, from its figures. Each answers one question, which its note says."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Final

import numpy as np

from kalshi_daemon.research.chart import Axis, Chart, Colour, padded
from kalshi_daemon.research.fan_charts import fan_picture
from kalshi_daemon.research.picture import HOURS, NARROW, SESSION_MIN, WIDE, Z95, Picture
from kalshi_daemon.research.report_figures import PIT_BINS, BucketMap, Figures, Month, ProbabilityBin, Spread
from kalshi_daemon.research.score import CLOSE, HOURLY, ScoreRow

_LABEL_WIDTH: Final = 95.0
_LABEL_STEPS: Final = (1, 2, 3, 6, 12)
"""Every how many dots of a row one has its word: of months, what a year is made of."""
_UNMARKED_MIN: Final = 45
_CLUSTERED: Final = "Errors are clustered by day. The dashed line is the baseline itself."
_TARGETS: Final = ((HOURLY, Colour.BLUE, "full hours"), (CLOSE, Colour.ORANGE, "close"))


def pictures(figures: Figures) -> tuple[Picture, ...]:
    """Every picture of the report on bars, in its order."""
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
    """Variance by minute of the session, as a multiple of its mean: shipped, adapted, realised."""
    x = Axis(0.0, SESSION_MIN, "time, New York (ET)", ticks=HOURS)
    top = max([value for _, value in realised] + list(adapted[5:])) * 1.08
    chart = Chart("Session curve: intraday variance", x, Axis(0.0, top, "variance of a minute / session mean"))
    chart.line([(n + 0.5, value) for n, value in enumerate(shipped)], Colour.GREY, "shipped", dashed=True)
    chart.line([(n + 0.5, value) for n, value in enumerate(adapted)], Colour.BLUE, "adapted by the last day")
    if realised:
        chart.dots(realised, Colour.ORANGE, "realised, 5 minutes")
    if not realised:
        most = max(abs(new / old - 1.0) for new, old in zip(adapted, shipped, strict=True))
        return Picture(chart, f"The days of this record have changed a minute of it by {most:.0%} at most.")
    return Picture(
        chart,
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
    y = Axis(low * 0.8, top, "RMS move, bp", logarithmic=True, ticks=marks)
    chart = Chart("Sigma by minutes to the fixing", x, y)
    # Dots of the two stand a little apart, so that one's bar does not hide the other's.
    for target, colour, name, shift in ((HOURLY, Colour.BLUE, "hours", 0.97), (CLOSE, Colour.ORANGE, "close", 1.03)):
        own = sorted((one for one in known if one.target == target), key=lambda one: one.horizon_min)
        if not own:
            continue
        chart.line([(one.horizon_min, one.forecast_bp) for one in own], colour, f"{name} forecast")
        errors = [Z95 * one.realised_se_bp for one in own]
        chart.dots([(shift * one.horizon_min, one.realised_bp) for one in own], colour, f"{name} realised", errors)
    note = "Dots on their lines: moves came as large as they were forecast. Bars are 95 % intervals."
    return (Picture(chart, note),)


def pit_picture(horizon: int, counts: tuple[int, ...]) -> Picture:
    """Histogram of the PIT at one `horizon`, in minutes."""
    n, bins = sum(counts), len(counts)
    share = 1.0 / bins
    half = Z95 * sqrt(share * (1.0 - share) / n) / share
    heights = [bins * count / n for count in counts]
    y = Axis(0.0, max(1.3, 1.0 + half, *heights) * 1.12, "density, 1 is calibrated")
    x = Axis(0.0, 1.0, "PIT: forecast CDF at the outcome")
    chart = Chart(f"PIT, {horizon} minutes to full hours (n = {n})", x, y, width=NARROW, height=280.0)
    chart.bars([(k * share, (k + 1) * share, value) for k, value in enumerate(heights)], Colour.BLUE)
    chart.level(1.0)
    chart.line([(0.0, 1.0 - half), (1.0, 1.0 - half)], Colour.ORANGE, "95 % band if calibrated")
    chart.line([(0.0, 1.0 + half), (1.0, 1.0 + half)], Colour.ORANGE)
    return Picture(chart, "Flat is right; high edges mean too narrow, a hump too wide, a slope a bias.")


def reliability_picture(bins: Sequence[ProbabilityBin]) -> Picture:
    """What was said against what came, in ten bins of probability."""
    axes = unit_axis("forecast probability"), unit_axis("share settled YES")
    chart = Chart("Reliability of strike probabilities", *axes, width=NARROW, height=380.0)
    chart.line([(0.0, 0.0), (1.0, 1.0)], Colour.GREY, "perfect", dashed=True)
    chart.dots(
        [(one.said, one.came) for one in bins], Colour.BLUE, "ten bins, 95 % CI", [Z95 * one.came_se for one in bins]
    )
    return Picture(chart, "Strikes as listed, five or ten points apart, all horizons. Dots belong on the diagonal.")


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
    for target, colour, name in _TARGETS:
        own = [(horizon, value, error) for one, horizon, value, error in dots if one == target and error > 0.0]
        if not own:
            continue
        edges = [value + sign * Z95 * error for _, value, error in own for sign in (-1, 1)]
        x = horizons_axis([horizon for horizon, _, _ in own])
        y = Axis(*padded([*edges, what.even]), what.label)
        chart = Chart(f"{what.name} by horizon, {name}: {what.against} {baseline}", x, y)
        chart.level(what.even)
        errors = [Z95 * error for _, _, error in own]
        chart.dots([(float(horizon), value) for horizon, value, _ in own], colour, f"{name}, 95 % CI", errors)
        found.append(Picture(chart, note))
    return tuple(found)


def _points(rows: Iterable[ScoreRow], which: str) -> list[Dot]:
    if which == "crps":
        return [(row.target, row.horizon_min, row.crps_ratio_ewma, row.crps_ratio_ewma_se) for row in rows]
    return [(row.target, row.horizon_min, row.log_gain_ewma, row.log_gain_ewma_se) for row in rows]


def by_period_pictures(periods: Sequence[Month], unit: str, baseline: str) -> tuple[Picture, Picture]:
    """Full hours of all horizons together, period by period. unit: day or month."""
    note = f"A {unit} far on the wrong side by more than its bar deserves a look."
    name = "all horizons up to 55 minutes, 95 % CI"
    crps = [(one.month, one.crps_ratio, one.crps_ratio_se) for one in periods]
    gains = [(one.month, one.log_gain, one.log_gain_se) for one in periods]
    first, second = (
        Picture(
            row_of_dots(f"{what.name} by {unit}, full hours: {what.against} {baseline}", what, found, unit, name),
            note,
        )
        for what, found in ((CRPS, crps), (LOG_GAIN, gains))
    )
    return first, second


def row_of_dots(
    title: str, what: Measure, found: Sequence[tuple[str, float, float]], unit: str, name: str, width: float = WIDE
) -> Chart:
    """One dot for each (word, value, error), and the dashed line they are compared with. `width` in pixels."""
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
    chart.dots(dots, Colour.BLUE, name, [Z95 * error for _, _, error in found])
    return chart


def maps_picture(maps: Sequence[BucketMap]) -> Picture:
    """What online recalibration adds to the CDF, by horizon."""
    shown = [one for one in maps if one.horizon_min in {2.0, 10.0, 30.0, 55.0}]
    moved = [knot - n / PIT_BINS for one in shown for n, knot in enumerate(one.knots)]
    low, high = padded([*moved, -0.02, 0.02])
    chart = Chart(
        "Recalibration maps at the end",
        Axis(0.0, 1.0, "u: CDF of the frozen distribution"),
        Axis(low, high, "probability added, W(u) - u"),
    )
    chart.level(0.0)
    for one, colour in zip(shown, (Colour.BLUE, Colour.ORANGE, Colour.GREEN, Colour.PURPLE), strict=False):
        points = [(n / PIT_BINS, knot - n / PIT_BINS) for n, knot in enumerate(one.knots)]
        chart.line(points, colour, f"{one.horizon_min:.0f} min")
    return Picture(
        chart, "Near zero: the frozen distribution needed little help. What it adds below it takes away above."
    )


def scales_picture(maps: Sequence[BucketMap]) -> Picture:
    """The factor that online recalibration puts on sigma, by horizon."""
    low, high = padded([*(one.scale for one in maps), 0.95, 1.05])
    x = horizons_axis(round(one.horizon_min) for one in maps)
    chart = Chart("Online scale at the end", x, Axis(low, high, "factor on sigma"))
    chart.level(1.0)
    chart.dots([(one.horizon_min, one.scale) for one in maps], Colour.BLUE, "full hours")
    return Picture(chart, "Above 1: the moves that were resolved were larger than the frozen model said.")


def unit_axis(label: str) -> Axis:
    """From 0 to 1, with room for the dots that stand on either."""
    return Axis(-0.02, 1.02, label)


def horizons_axis(horizons: Iterable[int]) -> Axis:
    """Minutes to the fixing from 2 to the longest; 45 leaves its word to its neighbours, which it would touch."""
    found = sorted(set(horizons))
    marks = tuple((float(h), f"{h}") for h in found if h != _UNMARKED_MIN)
    return Axis(1.7, 1.2 * found[-1], "minutes to fixing", logarithmic=True, ticks=marks)
