"""What the judge of index values (`plausibility`) is given as limits, and what it says."""

from dataclasses import dataclass
from enum import Enum
from math import copysign, expm1

from kalshi_daemon.domain.index import Tick
from kalshi_daemon.ground.units import Nanos


class Word(Enum):
    """What is to be done with a value."""

    BELIEVED = "believed"
    WITHHELD = "withheld"


@dataclass(frozen=True, slots=True)
class Ruling:
    """The word on a value, and the ticks that may now be used, oldest first: it and those withheld before it."""

    word: Word
    ticks: tuple[Tick, ...]
    move: float
    """From what was known, natural log, negative when down; 0 when nothing was."""
    limit: float
    """The most it may be either way, natural log."""
    misprints: int = 0
    """Values withheld before that are let go with this one."""
    reason: str = ""
    """Why withheld values are believed now: `returned`, `first`, a witness, or `time`; "" for others."""
    against: str = ""
    """Witnesses that speak against a withheld value."""
    retracted: tuple[Nanos, Nanos] | None = None
    """Stamps of the first and last value that were believed and are found wrong; looked at first."""
    settled: bool = False
    """Nothing is in doubt any more."""
    doubtful: bool = False
    """With these ticks something is: what was learnt before them is to be kept."""

    @property
    def move_share(self) -> float:
        """The move as a share of what was known: -0.9 is a tenth of it, 9.0 ten times as much."""
        return expm1(self.move)

    @property
    def limit_share(self) -> float:
        """The most it may be, the way it went, as a share of what was known."""
        return abs(expm1(copysign(self.limit, self.move)))


@dataclass(frozen=True, slots=True)
class PlausibilityLimits:
    """Natural log of the value over the known one: a `jump_min` of 0.0075 is 0.753 % up and 0.747 % down.

    values_min: agreeing values that a jump, or a new day, needs at least.
    """

    jump_min: float
    values_min: int
    confirm_ns: Nanos


@dataclass(frozen=True, slots=True)
class Doubt:
    """A stretch believed without an independent witness."""

    from_ns: Nanos
    known: tuple[Nanos, float] | None
    """What was known before it."""
    first: bool
    """It began with the first value of a day: any move from the last close is possible, so only levels can settle."""
    apart_ns: Nanos
    """When values first were too far from what was known."""
