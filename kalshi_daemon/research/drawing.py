"""Charts drawn by matplotlib, as SVG text. The one module that loads it: the daemon and all numbers do without.

Equal charts give equal bytes under equal versions: no date, no chance, no settings of the machine. Text stays text, in
the widths of the font that matplotlib brings along; fonts of browsers are as wide or narrower, so nothing overlaps.
"""

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from io import StringIO
from math import isfinite, nan
from typing import Any, Final
from xml.sax.saxutils import escape

from matplotlib import style
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from kalshi_daemon.research.chart import Axis, Band, Bars, Chart, Colour, Dots, Line, Series

_PIXELS_PER_INCH: Final = 96.0
_POINTS_PER_PIXEL: Final = 72.0 / _PIXELS_PER_INCH
_TITLE: Final = 26.0
_RIGHT: Final = 24.0
_BOTTOM: Final = 44.0
_EDGE: Final = 4.0
_GAP: Final = 6.0
"""Room around the frame, in pixels: for the title, half a word of the last tick, the words below, and between parts."""
_FAINT: Final = 0.45
_STYLE: Final[dict[str, Any]] = {
    "font.sans-serif": ["DejaVu Sans", "sans-serif"],
    "font.size": 8.25,
    "text.parse_math": False,
    "text.color": Colour.INK.value,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlecolor": Colour.INK.value,
    "axes.labelsize": 9.0,
    "axes.labelcolor": Colour.GREY.value,
    "axes.edgecolor": Colour.GREY.value,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.unicode_minus": False,
    "axes.formatter.useoffset": False,
    "grid.color": Colour.RULE.value,
    "xtick.color": Colour.GREY.value,
    "ytick.color": Colour.GREY.value,
    "xtick.major.size": 0.0,
    "ytick.major.size": 0.0,
    "xtick.minor.size": 0.0,
    "ytick.minor.size": 0.0,
    "legend.frameon": False,
    "legend.borderpad": 0.0,
    "legend.borderaxespad": 0.4,
    "legend.handlelength": 1.6,
    "legend.columnspacing": 1.4,
    "legend.labelcolor": Colour.GREY.value,
    "lines.linewidth": 1.35,
    "lines.markersize": 4.8,
    "lines.solid_capstyle": "butt",
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "svg.fonttype": "none",
}
_NAMES: Final = re.compile(r' id="[A-Za-z0-9.]+_\d+"')
"""Of groups: each chart has the same, and nothing points at them. What is pointed at has no underscore."""
_UNSAID: Final = re.compile(r"\s*<metadata>.*?</metadata>", re.DOTALL)


def svg_of(chart: Chart) -> str:
    """One <svg> element with the chart's title for readers that do not see it."""
    figure = figure_of(chart)
    text = StringIO()
    with _styled(chart):
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    head, body = _UNSAID.sub("", _NAMES.sub("", text.getvalue())).partition("<svg ")[2].split(">", 1)
    return f'<svg role="img" {head}><title>{escape(chart.title)}</title>{body.strip()}'


def figure_of(chart: Chart) -> Figure:
    """The figure, laid out: title, legend in as many rows as it needs, frame."""
    with _styled(chart):
        figure = Figure(figsize=(chart.width / _PIXELS_PER_INCH, chart.height / _PIXELS_PER_INCH))
        axes = figure.add_subplot()
        _set_axis(chart.x, axes.set_xscale, axes.set_xlim, axes.set_xticks, axes.set_xlabel)
        _set_axis(chart.y, axes.set_yscale, axes.set_ylim, axes.set_yticks, axes.set_ylabel)
        axes.minorticks_off()
        samples = [(_draw(series, axes), series.label) for series in chart.series]
        _lay_out(figure, axes, chart, [(sample, label) for sample, label in samples if label])
    return figure


def _styled(chart: Chart) -> AbstractContextManager[None]:
    """The library's own defaults first: a matplotlibrc of the machine or the working directory has no say."""
    return style.context(["default", _STYLE | {"svg.hashsalt": chart.title}])


def _set_axis(
    axis: Axis,
    scale: Callable[..., Any],
    limits: Callable[..., Any],
    ticks: Callable[..., Any],
    label: Callable[..., Any],
) -> None:
    if axis.logarithmic:
        scale("log")
    if axis.ticks:
        shown = [(value, word) for value, word in axis.ticks if axis.low <= value <= axis.high]
        ticks([value for value, _ in shown], labels=[word for _, word in shown])
    limits(axis.low, axis.high)
    label(axis.label)


def _lay_out(figure: Figure, axes: Axes, chart: Chart, named: list[tuple[Artist, str]]) -> None:
    """Title, legend in as few rows as fit, frame. The library's own layout would draw each chart three times."""
    figure.subplots_adjust(left=0.0, right=1.0 - _RIGHT / chart.width, bottom=_BOTTOM / chart.height)
    words = axes.yaxis.get_tightbbox()
    assert words is not None, "every axis has a label"
    figure.subplots_adjust(left=(_EDGE - words.x0 * _PIXELS_PER_INCH / figure.dpi) / chart.width)
    height = 0.0
    if named:
        samples, labels = zip(*named, strict=True)
        for columns in range(len(named), 0, -1):
            legend = axes.legend(samples, labels, ncols=columns, loc="lower left", bbox_to_anchor=(0.0, 1.0))
            box = legend.get_window_extent()
            if box.x1 <= figure.bbox.width:
                break
        height = box.height * _PIXELS_PER_INCH / figure.dpi + _GAP
    figure.subplots_adjust(top=1.0 - (_TITLE + height) / chart.height)
    axes.set_title(chart.title, pad=(height + _GAP) * _POINTS_PER_PIXEL)


def _draw(series: Series, axes: Axes) -> Artist:
    """Draw one series, and return its sample for the legend."""
    match series:
        case Line():
            return _draw_line(series, axes)
        case Band():
            return _draw_band(series, axes)
        case Bars():
            return _draw_bars(series, axes)
        case Dots():
            return _draw_dots(series, axes)


def _draw_line(series: Line, axes: Axes) -> Artist:
    (line,) = axes.plot(
        *_columns(series.points, 2),
        color=series.colour.value,
        linestyle=(0, (4.0, 3.0)) if series.dashed else "-",
        alpha=_FAINT if series.faint else None,
    )
    return line


def _draw_band(series: Band, axes: Axes) -> Artist:
    known = [edge for edge in series.edges if all(map(isfinite, edge))]
    x, low, high = _columns(known, 3)
    axes.fill_between(x, low, high, color=series.colour.value, alpha=series.opacity, linewidth=0.0)
    return Patch(facecolor=series.colour.value, alpha=series.label_opacity, linewidth=0.0)


def _draw_bars(series: Bars, axes: Axes) -> Artist:
    known = [bar for bar in series.bars if all(map(isfinite, bar))]
    left, right, height = _columns(known, 3)
    widths = [end - start for start, end in zip(left, right, strict=True)]
    axes.bar(left, height, widths, align="edge", color=series.colour.value, alpha=_FAINT, edgecolor="none")
    return Patch(facecolor=series.colour.value, alpha=_FAINT, linewidth=0.0)


def _draw_dots(series: Dots, axes: Axes) -> Artist:
    x, y = _columns(series.points, 2)
    # An error that is none draws nothing, not even a dash.
    errors = [one if one > 0.0 and isfinite(one) else nan for one in series.errors]
    if errors:
        axes.errorbar(x, y, yerr=errors, fmt="none", ecolor=series.colour.value, elinewidth=0.9)
    (dots,) = axes.plot(x, y, color=series.colour.value, linestyle="", marker="o")
    return dots


def _columns(rows: Any, count: int) -> list[tuple[float, ...]]:  # noqa: ANN401 - tuples of that many
    return list(zip(*rows, strict=True)) or [() for _ in range(count)]
