"""What a second source says about a jump of an index. Pure: a jump and what the source knows in, an opinion out.

Two kinds of source: one that moves (the other index) sides with a move it has made too; one that knows a level (the
vendor's minute bar or snapshot, what the books imply, the listed ladder) sides with the value it is nearer to.
"""

from dataclasses import dataclass
from enum import Enum
from math import log
from typing import Final

from kalshi_daemon.ground.units import SECOND, Nanos

MOVE_SHARE_MIN: Final = 0.3
"""The least part of a move that the other index must have made too; the most is its reciprocal."""
FRESH_NS: Final = Nanos(5 * SECOND)
"""The other index's value may be this much older or newer than ours to speak about it."""
BAR_FRESH_NS: Final = Nanos(150 * SECOND)
"""A minute bar speaks for this long after its end; the next one but one should be there by then."""
SNAPSHOT_FRESH_NS: Final = Nanos(60 * SECOND)
"""A snapshot speaks for this long after its own stamp; it is asked for more often."""
BOOKS_LAG_NS: Final = Nanos(10 * SECOND)
"""Books follow the index: before this they do not speak against a jump."""

BOOKS_TOLERANCE: Final = 0.0075
"""Natural log. Where books put the index is right to half of this: they do not tell moves that are smaller."""


class Opinion(Enum):
    """What a witness says about a jump."""

    AGREES = "agrees"
    CONTRADICTS = "contradicts"
    SILENT = "silent"


@dataclass(frozen=True, slots=True)
class Jump:
    """From what is known to what is said now; points, both > 0."""

    known: float
    value: float

    @property
    def move(self) -> float:
        """Natural log."""
        return log(self.value / self.known)


@dataclass(frozen=True, slots=True)
class OutsideLevels:
    """What other than the feed knows about the level of an index now, points; None: no opinion."""

    ladder_middle: float | None = None
    """Middle of the listed strikes: right to the nearest few per cent."""
    books: float | None = None
    """Where the books put the median of the next fixing."""
    snapshot: tuple[Nanos, float] | None = None
    """What the vendor's REST side said last, with its own stamp."""


NOTHING_KNOWN: Final = OutsideLevels()


def by_move(jump: Jump, theirs: float) -> Opinion:
    """`theirs`: what the other index moved in the same time, natural log."""
    ours = jump.move
    if ours == 0.0:
        return Opinion.SILENT
    share = theirs / ours
    if share < MOVE_SHARE_MIN:  # also when they moved the other way
        return Opinion.CONTRADICTS
    return Opinion.AGREES if share <= 1.0 / MOVE_SHARE_MIN else Opinion.SILENT


def by_level(jump: Jump, level: float, tolerance: float) -> Opinion:
    """`level` in points, right to half of `tolerance` (a share): within it both can be meant, beyond it the nearer."""
    to_value, to_known = abs(log(jump.value / level)), abs(log(jump.known / level))
    if to_value <= min(tolerance, max(tolerance, abs(jump.move)) / 2.0):
        return Opinion.AGREES
    return Opinion.CONTRADICTS if to_known < to_value else Opinion.SILENT


def level_opinion(known: tuple[Nanos, float] | None, value: float, level: float, tolerance: float) -> Opinion:
    """As `by_level`: value and level in points, tolerance a natural log. With nothing known: right or wrong alone."""
    if known is None:
        return Opinion.AGREES if abs(log(value / level)) <= tolerance else Opinion.CONTRADICTS
    return by_level(Jump(known[1], value), level, tolerance)


def by_middle(value: float, middle: float, reach: float) -> Opinion:
    """The listed ladder knows no more than which instrument it is, and where it was when it was listed.

    `value` and `middle` in points, `reach` as a log ratio.
    """
    return Opinion.CONTRADICTS if abs(log(value / middle)) > reach else Opinion.SILENT
