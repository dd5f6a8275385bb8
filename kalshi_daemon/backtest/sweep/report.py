"""A finished sweep as JSON, as tables and as a chart. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from kalshi_daemon.backtest.results import SessionResult, figures
from kalshi_daemon.backtest.sweep.comparison import Comparison
from kalshi_daemon.ground.tables import Column, Table
from kalshi_daemon.research.chart import Axis, Chart, Colour, padded

Cells = Mapping[tuple[str, str], Sequence[SessionResult]]
"""(regime, variant) -> the results of its sessions."""
_CLEAR = 0.05


def document(cells: Cells, comparisons: Sequence[Comparison], progress: Any, how: str) -> dict[str, Any]:  # noqa: ANN401
    """`progress`: of the cluster."""
    return {
        "sessions": progress.total,
        "played": len(progress.played),
        "kept_from_before": progress.total - len(progress.played),
        "workers": progress.workers,
        "dashboard": progress.dashboard or None,
        "method": how,
        "cells": [
            {"regime": regime, "variant": variant, **figures(results)} for (regime, variant), results in cells.items()
        ],
        "comparisons": [asdict(one) for one in comparisons],
    }


def tables(cells: Cells, comparisons: Sequence[Comparison], how: str) -> list[Table]:
    """What every cell earned, and how the variants differ."""
    shown = ("edge_dollars_per_hour", "edge_cents", "edge_cents_se", "markout_30s_cents", "fills", "worst_hour")
    rows = [
        (regime, variant, *(_number(figures(results)[name]) for name in shown))
        for (regime, variant), results in cells.items()
    ]
    found = [_table("Sweep", ("regime", "variant", *shown), rows)]
    if comparisons:
        columns = ("regime", "variant", "against", "sessions", "difference $/h", "95 %", "t", "p", "p (Holm)")
        lines = [
            (one.regime, one.variant, one.base, str(one.sessions), _number(one.difference), _interval(one),
             _number(one.t), _number(one.p), _number(one.p_adjusted))
            for one in comparisons
        ]  # fmt: skip
        found.append(_table("Differences", columns, lines, (how,)))
    return found


def chart_of(comparisons: Sequence[Comparison]) -> Chart:
    """Every difference with its 95 % interval; those that stand after Holm in green. In the order of the table."""
    known = [one for one in comparisons if one.low is not None and one.high is not None]
    low, high = padded([0.0, *(one.low or 0.0 for one in known), *(one.high or 0.0 for one in known)])
    ticks = tuple((float(place), f"{one.regime}: {one.variant}") for place, one in enumerate(known, start=1))
    chart = Chart(
        "Against the first variant, paired by session",
        Axis(0.5, max(1.5, len(known) + 0.5), "variant", ticks=ticks),
        Axis(low, high, "edge, dollars an hour"),
        width=max(560.0, 120.0 * len(known)),
    )
    chart.level(0.0)
    for clear, colour, label in ((True, Colour.GREEN, "stands (Holm, 5 %)"), (False, Colour.GREY, "may be chance")):
        chosen = [
            (float(place), one)
            for place, one in enumerate(known, start=1)
            if ((one.p_adjusted or 0.0) < _CLEAR) is clear
        ]
        if chosen:
            errors = [one.high - one.difference for _, one in chosen if one.high is not None]
            chart.dots([(place, one.difference) for place, one in chosen], colour, label, errors)
    return chart


def _table(title: str, names: tuple[str, ...], rows: Sequence[tuple[str, ...]], notes: tuple[str, ...] = ()) -> Table:
    texts = {"regime", "variant", "against", "95 %"}
    return Table(tuple(Column(name, right=name not in texts) for name in names), tuple(rows), title, notes)


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, int | float) else "-"


def _interval(one: Comparison) -> str:
    return "-" if one.low is None or one.high is None else f"{one.low:.4g} to {one.high:.4g}"
