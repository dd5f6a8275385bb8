"""A chart as data: axes, and what is drawn between them. `drawing` makes a picture of it; nothing here loads a library.

Values are in the axes' own units. A point that is not finite is not drawn: it breaks a line.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from math import isfinite

type Points = Sequence[tuple[float, float]]


class Colour(StrEnum):
    """Everything drawn has one of these, as on a white page. A report's page has one of each for dark themes."""

    INK = "#1d2330"
    GREY = "#667085"
    RULE = "#e4e7ec"
    BLUE = "#1f6fb2"
    ORANGE = "#d9730d"
    GREEN = "#2a8f5b"
    PURPLE = "#9a4fb5"


@dataclass(frozen=True, slots=True)
class Axis:
    """One direction of a chart. Raises ValueError for a range without length or a log axis that reaches zero.

    `ticks` fixes the marks and their words; without them round values are chosen.
    """

    low: float
    high: float
    label: str
    """With the unit."""
    logarithmic: bool = False
    ticks: tuple[tuple[float, str], ...] = ()

    def __post_init__(self) -> None:
        """Refuse what has no place for anything."""
        if not (isfinite(self.low) and isfinite(self.high) and self.low < self.high):
            raise ValueError(f"an axis from {self.low} to {self.high}")
        if self.logarithmic and self.low <= 0.0:
            raise ValueError("a logarithmic axis starts above zero")


@dataclass(frozen=True, slots=True)
class Line:
    """Through the points in order."""

    points: tuple[tuple[float, float], ...]
    colour: Colour
    label: str = ""
    dashed: bool = False
    faint: bool = False


@dataclass(frozen=True, slots=True)
class Band:
    """Between (x, low) and (x, high)."""

    edges: tuple[tuple[float, float, float], ...]
    colour: Colour
    opacity: float
    label: str = ""
    label_opacity: float = 0.0
    """Of the sample in the legend: with that of the bands it lies on, which shine through."""


@dataclass(frozen=True, slots=True)
class Bars:
    """(from, to, height) each, standing on zero."""

    bars: tuple[tuple[float, float, float], ...]
    colour: Colour
    label: str = ""


@dataclass(frozen=True, slots=True)
class Dots:
    """With a vertical bar of plus and minus `errors` when given (as many as points)."""

    points: tuple[tuple[float, float], ...]
    colour: Colour
    label: str = ""
    errors: tuple[float, ...] = ()


type Series = Line | Band | Bars | Dots


@dataclass(slots=True)
class Chart:
    """Series are drawn in the order they were added. Width and height in CSS pixels (1/96 inch)."""

    title: str
    x: Axis
    y: Axis
    width: float = 560.0
    height: float = 320.0
    series: list[Series] = field(default_factory=list)

    def line(
        self, points: Points, colour: Colour, label: str = "", *, dashed: bool = False, faint: bool = False
    ) -> None:
        """Add a line through these points, in the units of the axes."""
        self.series.append(Line(tuple(points), colour, label, dashed, faint))

    def level(self, value: float) -> None:
        """A dashed grey line across the whole frame. `value` in the unit of the upright axis."""
        self.line([(self.x.low, value), (self.x.high, value)], Colour.GREY, dashed=True)

    def band(
        self,
        edges: Sequence[tuple[float, float, float]],
        colour: Colour,
        opacity: float,
        label: str = "",
        label_opacity: float = 0.0,
    ) -> None:
        """Add a shaded band of (x, low, high). `opacity` and `label_opacity` from 0 to 1."""
        self.series.append(Band(tuple(edges), colour, opacity, label, label_opacity or opacity))

    def bars(self, bars: Sequence[tuple[float, float, float]], colour: Colour, label: str = "") -> None:
        """Add bars of (from, to, height), in the units of the axes."""
        self.series.append(Bars(tuple(bars), colour, label))

    def dots(self, points: Points, colour: Colour, label: str = "", errors: Sequence[float] = ()) -> None:
        """Raises ValueError unless there are as many errors as points, or none."""
        if errors and len(errors) != len(points):
            raise ValueError(f"{len(points)} points with {len(errors)} errors")
        self.series.append(Dots(tuple(points), colour, label, tuple(errors)))


def padded(values: Sequence[float], share: float = 0.06) -> tuple[float, float]:
    """A range that holds every finite value with a margin; (0, 1) when there are none."""
    known = [value for value in values if isfinite(value)]
    if not known:
        return 0.0, 1.0
    low, high = min(known), max(known)
    room = share * (high - low) or max(abs(high), 1.0) * share
    return low - room, high + room
