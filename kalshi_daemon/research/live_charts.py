"""The charts of a live report, from its figures. Those a report on bars has too are drawn by `report_charts`."""

from collections.abc import Sequence
from math import sqrt
from typing import Final

from kalshi_daemon.calibration.monitor import THRESHOLD
from kalshi_daemon.research.chart import Axis, Chart, Colour
from kalshi_daemon.research.fan_charts import recorded_pictures
from kalshi_daemon.research.live_figures import Evidence, LiveFigures, LiveRow, MarketFigures
from kalshi_daemon.research.picture import NARROW, WIDE, Z95, Picture
from kalshi_daemon.research.report_charts import (
    CRPS,
    LOG_GAIN,
    Dot,
    Measure,
    by_horizon_pictures,
    by_period_pictures,
    curve_picture,
    horizons_axis,
    maps_picture,
    pit_picture,
    reliability_picture,
    row_of_dots,
    scales_picture,
    spreads_pictures,
    unit_axis,
)
from kalshi_daemon.research.score import HOURLY

_LABELS_MAX: Final = 10
_COVERAGE_FROM: Final = 30
"""Forecasts of a horizon; of fewer a share of 90 % says nothing."""
_OVER_MIDS: Final = Measure("Log gain", "over", "nats per event, above 0 is better", 0.0)
_GAUSSIAN: Final = "The dashed line is the Gaussian itself, made of one volatility at the same instant."


def live_pictures(figures: LiveFigures) -> tuple[Picture, ...]:
    """Every picture of the live report, in its order."""
    market, learnt = figures.market, figures.learnt
    unit = "month" if figures.by_month else "day"
    return (
        _evidence(figures),
        *(by_period_pictures(figures.periods, unit, "the plain Gaussian") if len(figures.periods) > 1 else ()),
        *by_horizon_pictures(_dots(figures.rows, "crps"), CRPS, "the plain Gaussian", _GAUSSIAN),
        *by_horizon_pictures(_dots(figures.rows, "log"), LOG_GAIN, "the plain Gaussian", _GAUSSIAN),
        *spreads_pictures(figures.spreads),
        *((_coverage(figures.rows),) if max(row.n for row in figures.rows) >= _COVERAGE_FROM else ()),
        *(pit_picture(horizon, counts) for horizon, counts in figures.pits.items()),
        *((reliability_picture(figures.reliability),) if figures.reliability else ()),
        *((_market_reliability(market), _market_gains(market, unit)) if market is not None else ()),
        *((curve_picture(learnt.shipped_curve, learnt.curve, ()),) if learnt is not None else ()),
        *((maps_picture(learnt.maps), scales_picture(learnt.maps)) if learnt is not None and learnt.maps else ()),
        *recorded_pictures(figures.day),
    )


def _evidence(figures: LiveFigures) -> Picture:
    both = (*figures.evidence, *figures.market_evidence)
    positive = [one.value for one in both if one.value > 0.0]
    low, high = min([0.1, *positive]) / 1.5, max([2.0 * THRESHOLD, *positive]) * 1.5
    powers = (1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0, 1e4, 1e6, 1e8)
    ticks = (*((power, f"{power:g}") for power in powers), (THRESHOLD, f"{THRESHOLD:g}"))
    most = max([one.place for one in both], default=0)
    every = -(-len(figures.days) // _LABELS_MAX)
    marks = tuple((float(place), day) for n, (place, day) in enumerate(figures.days) if n % every == 0)
    x = Axis(-0.5, most + 0.5, "fixings in order", ticks=marks)
    chart = Chart(
        "Evidence against the forecasts",
        x,
        Axis(low, high, "e-value, log scale", logarithmic=True, ticks=ticks),
        WIDE,
        320.0,
    )
    chart.line([(-0.5, THRESHOLD), (most + 0.5, THRESHOLD)], Colour.PURPLE, "alarm", dashed=True)
    for series, colour, name in (
        (figures.evidence, Colour.BLUE, "against the model's distribution"),
        (figures.market_evidence, Colour.ORANGE, "for the market's mids"),
    ):
        if series:
            _path(chart, series, colour, name)
    return Picture(
        chart,
        "Around 1 nothing speaks for a baseline. At the line the guard closes for the session; a right forecast "
        "crosses it once a year at most.",
    )


def _path(chart: Chart, series: Sequence[Evidence], colour: Colour, name: str) -> None:
    places = [(float(one.place), one.value if one.value > 0.0 else float("nan")) for one in series]
    chart.line(places, colour)
    chart.dots([point for point, one in zip(places, series, strict=True) if not one.alarmed], colour, name)
    alarmed = [point for point, one in zip(places, series, strict=True) if one.alarmed]
    if alarmed:
        chart.dots(alarmed, Colour.PURPLE, "alarmed")


def _dots(rows: Sequence[LiveRow], which: str) -> list[Dot]:
    if which == "crps":
        return [(row.target, row.horizon_min, row.crps_ratio, row.crps_ratio_se) for row in rows]
    return [(row.target, row.horizon_min, row.log_gain, row.log_gain_se) for row in rows]


def _coverage(rows: Sequence[LiveRow]) -> Picture:
    def error(row: LiveRow, nominal: float) -> float:
        return Z95 * 100.0 * sqrt(nominal * (1.0 - nominal) / row.n)

    own = [row for row in rows if row.target == HOURLY] or list(rows)
    low = min([row.cover90 for row in own] + [90.0 - 1.2 * error(row, 0.9) for row in own])
    chart = Chart(
        "Coverage of the central 90 and 99 %, full hours",
        horizons_axis(row.horizon_min for row in own),
        Axis(max(0.0, low - 2.0), 101.0, "fixings inside, %"),
    )
    for nominal, colour, shift in ((0.9, Colour.BLUE, 0.97), (0.99, Colour.ORANGE, 1.03)):
        chart.level(100.0 * nominal)
        places = [
            (row.horizon_min * shift, row.cover90 if nominal < 0.95 else row.cover99)  # noqa: PLR2004 - which one
            for row in own
        ]
        chart.dots(places, colour, f"{100 * nominal:.0f} %", [error(row, nominal) for row in own])
    return Picture(chart, "A bar is what chance does to a right distribution: it should reach its line.")


def _market_reliability(market: MarketFigures) -> Picture:
    axes = unit_axis("forecast probability"), unit_axis("share settled YES")
    chart = Chart("Ours and the market's mids", *axes, width=NARROW, height=380.0)
    chart.line([(0.0, 0.0), (1.0, 1.0)], Colour.GREY, "perfect", dashed=True)
    for bins, colour, name in ((market.ours, Colour.BLUE, "ours, 95 % CI"), (market.mids, Colour.ORANGE, "mids")):
        chart.dots([(one.said, one.came) for one in bins], colour, name, [Z95 * one.came_se for one in bins])
    return Picture(chart, "Contracts with a two-sided book, at the same instants. Dots belong on the diagonal.")


def _market_gains(market: MarketFigures, unit: str) -> Picture:
    found = [(one.name, one.log_gain, one.log_gain_se) for one in market.periods]
    chart = row_of_dots(
        "Log gain over the market's mids",
        _OVER_MIDS,
        found,
        f"{unit}, all looks before a fixing",
        "mean of an event's contracts, 95 % CI",
        560.0,
    )
    return Picture(chart, "A market that knows a little more, down to -0.02, is expected and paid for by the edge.")
