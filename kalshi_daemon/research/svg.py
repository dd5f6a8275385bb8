"""A small writer of SVG charts: values in, text out. No fonts, scripts or links; colours are CSS variables of the page.

Coordinates of data are floats in the chart's own units; pixels appear only here. Everything drawn is clipped to the
frame, so that an outlier cannot paint over a label.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from math import ceil, floor, isfinite, log10
from typing import Final

type Points = Sequence[tuple[float, float]]

LEFT: Final = 62.0
RIGHT: Final = 24.0
TOP: Final = 52.0
BOTTOM: Final = 44.0
_NAMESPACE: Final = "http://www.w3.org/2000/svg"
_TEXT: Final = 6.4
"""Width of one character of 11 px text: an estimate on the wide side."""


@dataclass(frozen=True, slots=True)
class Axis:
    """One direction of a chart. Raises ValueError for a range without length or a log axis that reaches zero.

    `ticks` fixes the marks and their words; without them round values are chosen.
    """

    low: float
    high: float
    label: str
    logarithmic: bool = False
    ticks: tuple[tuple[float, str], ...] = ()
    unit: str = ""

    def __post_init__(self) -> None:
        """Refuse what has no place for anything."""
        if not (isfinite(self.low) and isfinite(self.high) and self.low < self.high):
            raise ValueError(f"an axis from {self.low} to {self.high}")
        if self.logarithmic and self.low <= 0.0:
            raise ValueError("a logarithmic axis starts above zero")

    def share(self, value: float) -> float:
        """Where a value stands, 0 at the low end and 1 at the high one; beyond them outside 0..1."""
        if self.logarithmic:
            return (log10(max(value, 1e-300)) - log10(self.low)) / (log10(self.high) - log10(self.low))
        return (value - self.low) / (self.high - self.low)

    def marks(self) -> tuple[tuple[float, str], ...]:
        return self.ticks or tuple((value, f"{text}{self.unit}") for value, text in round_marks(self.low, self.high))


def round_marks(low: float, high: float, wanted: int = 6) -> tuple[tuple[float, str], ...]:
    """At most about `wanted` round values within low..high (1, 2 or 5 times a power of ten apart) and their text."""
    rough = (high - low) / wanted
    power = 10.0 ** floor(log10(rough))
    step = next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= rough * (1.0 - 1e-9))
    digits = max(0, -floor(log10(step) + 1e-9))
    first = ceil(low / step - 1e-9)
    count = floor(high / step + 1e-9) - first + 1
    values = (step * (first + n) for n in range(count))
    return tuple((value, f"{value + 0.0 if abs(value) > step / 1e6 else 0.0:.{digits}f}") for value in values)


def padded(values: Sequence[float], share: float = 0.06) -> tuple[float, float]:
    """A range that holds every finite value with a margin; (0, 1) when there are none."""
    known = [value for value in values if isfinite(value)]
    if not known:
        return 0.0, 1.0
    low, high = min(known), max(known)
    room = share * (high - low) or max(abs(high), 1.0) * share
    return low - room, high + room


@dataclass(slots=True)
class Chart:
    """Draw in order, then `text()`. Styles are class names: c1..c4, muted, band, band2."""

    title: str
    x: Axis
    y: Axis
    width: float = 560.0
    height: float = 320.0
    _drawn: list[str] = field(default_factory=list)
    _legend: list[tuple[str, str, str]] = field(default_factory=list)

    def line(self, points: Points, style: str, label: str = "", *, dashed: bool = False) -> None:
        """Through the points in order; a point that is not finite breaks the line."""
        for part in _stretches(points):
            shape = " ".join(f"{self._x(x):.1f},{self._y(y):.1f}" for x, y in part)
            dash = ' stroke-dasharray="5 4"' if dashed else ""
            self._drawn.append(f'<polyline class="line {style}" points="{shape}"{dash}/>')
        self._note(label, style, "dash" if dashed else "line")

    def area(
        self, points: Sequence[tuple[float, float, float]], style: str, label: str = "", over: Sequence[str] = ()
    ) -> None:
        """Between (x, low) and (x, high). over: styles of the areas it lies on, whose colours shine through."""
        known = [one for one in points if all(isfinite(value) for value in one)]
        if known:
            edge = [(x, high) for x, _, high in known] + [(x, low) for x, low, _ in reversed(known)]
            shape = " ".join(f"{self._x(x):.1f},{self._y(y):.1f}" for x, y in edge)
            self._drawn.append(f'<polygon class="{style}" points="{shape}"/>')
        self._note(label, " ".join((*over, style)), "box")

    def bars(self, bars: Sequence[tuple[float, float, float]], style: str, label: str = "") -> None:
        """(from, to, height) each, standing on zero or on the lower end of the axis."""
        ground = self._y(min(max(0.0, self.y.low), self.y.high))
        for low, high, value in bars:
            if not isfinite(value):
                continue
            left, right, top = self._x(low), self._x(high), self._y(value)
            size = f'width="{max(right - left - 1.0, 0.5):.1f}" height="{abs(ground - top):.1f}"'
            self._drawn.append(f'<rect class="fill {style}" x="{left:.1f}" y="{min(top, ground):.1f}" {size}/>')
        self._note(label, style, "box")

    def points(self, points: Points, style: str, label: str = "", errors: Sequence[float] = ()) -> None:
        """Dots, with a vertical bar of plus and minus `errors` when given (as many as points)."""
        for (x, y), error in zip(points, errors or [0.0] * len(points), strict=True):
            if not (isfinite(x) and isfinite(y)):
                continue
            at = f"{self._x(x):.1f}"
            if error > 0.0 and isfinite(error):
                ends = f'y1="{self._y(y - error):.1f}" y2="{self._y(y + error):.1f}"'
                self._drawn.append(f'<line class="line thin {style}" x1="{at}" x2="{at}" {ends}/>')
            self._drawn.append(f'<circle class="fill {style}" cx="{at}" cy="{self._y(y):.1f}" r="3.2"/>')
        self._note(label, style, "dot")

    def level(self, value: float, label: str = "") -> None:
        """A dashed line across the whole frame."""
        self.line([(self.x.low, value), (self.x.high, value)], "muted", label, dashed=True)

    def text(self) -> str:
        """The chart as one <svg> element, with its title for readers that do not see it."""
        name = "clip" + "".join(char for char in self.title.lower() if char.isalnum())
        inner = f'x="{LEFT}" y="{TOP}" width="{self.width - LEFT - RIGHT}" height="{self.height - TOP - BOTTOM}"'
        size = f'width="{self.width:.0f}" height="{self.height:.0f}"'
        return "\n".join(
            (
                f'<svg {size} viewBox="0 0 {self.width:.0f} {self.height:.0f}" xmlns="{_NAMESPACE}" role="img">',
                f"<title>{escape(self.title)}</title>",
                f'<clipPath id="{name}"><rect {inner}/></clipPath>',
                f'<text class="title" x="{LEFT}" y="18">{escape(self.title)}</text>',
                *self._legend_text(),
                *self._grid(),
                f'<g clip-path="url(#{name})">',
                *self._drawn,
                "</g>",
                f'<rect class="frame" {inner}/>',
                "</svg>",
            )
        )

    def _grid(self) -> list[str]:
        found = []
        bottom, right = self.height - BOTTOM, self.width - RIGHT
        for value, text in self.x.marks():
            if 0.0 <= self.x.share(value) <= 1.0:
                across = f"{self._x(value):.1f}"
                found.append(f'<line class="grid" x1="{across}" x2="{across}" y1="{TOP}" y2="{bottom}"/>')
                found.append(
                    f'<text class="tick" text-anchor="middle" x="{across}" y="{bottom + 15}">{escape(text)}</text>'
                )
        for value, text in self.y.marks():
            if 0.0 <= self.y.share(value) <= 1.0:
                at = self._y(value)
                found.append(f'<line class="grid" x1="{LEFT}" x2="{right}" y1="{at:.1f}" y2="{at:.1f}"/>')
                found.append(
                    f'<text class="tick" text-anchor="end" x="{LEFT - 6}" y="{at + 3.5:.1f}">{escape(text)}</text>'
                )
        middle = (LEFT + right) / 2.0
        found.append(
            f'<text class="axis" text-anchor="middle" x="{middle:.0f}" y="{self.height - 8}">'
            f"{escape(self.x.label)}</text>"
        )
        centre = (TOP + bottom) / 2.0
        found.append(
            f'<text class="axis" text-anchor="middle" transform="translate(13 {centre:.0f}) rotate(-90)">'
            f"{escape(self.y.label)}</text>"
        )
        return found

    def _legend_text(self) -> list[str]:
        """One row below the title; an entry that does not fit any more is cut off the row, never drawn over another."""
        found, at = [], LEFT
        for label, style, kind in self._legend:
            if at + 22.0 + _TEXT * len(label) > self.width:
                break
            found.append(_swatch(kind, style, at))
            found.append(f'<text class="tick" x="{at + 22.0:.0f}" y="40">{escape(label)}</text>')
            at += 22.0 + _TEXT * len(label) + 14.0
        return found

    def _note(self, label: str, style: str, kind: str) -> None:
        if label:
            self._legend.append((label, style, kind))

    def _x(self, value: float) -> float:
        return LEFT + self.x.share(value) * (self.width - LEFT - RIGHT)

    def _y(self, value: float) -> float:
        return self.height - BOTTOM - self.y.share(value) * (self.height - TOP - BOTTOM)


def _swatch(kind: str, style: str, at: float) -> str:
    if kind == "dot":
        return f'<circle class="fill {style}" cx="{at + 9:.0f}" cy="36" r="3.2"/>'
    if kind == "box":
        layers = ((one, "" if one.startswith("band") else "fill ") for one in style.split())
        place = f'x="{at + 2:.0f}" y="31" width="14" height="10"'
        return "".join(f'<rect class="{fill}{one}" {place}/>' for one, fill in layers)
    dash = ' stroke-dasharray="5 4"' if kind == "dash" else ""
    return f'<line class="line {style}" x1="{at:.0f}" x2="{at + 18:.0f}" y1="36" y2="36"{dash}/>'


def _stretches(points: Points) -> list[list[tuple[float, float]]]:
    found: list[list[tuple[float, float]]] = [[]]
    for x, y in points:
        if isfinite(x) and isfinite(y):
            found[-1].append((x, y))
        elif found[-1]:
            found.append([])
    return [part for part in found if len(part) > 1]
