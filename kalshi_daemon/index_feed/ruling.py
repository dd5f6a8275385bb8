"""What the judge of index values (`plausibility`) is given as limits, and what it says."""

from dataclasses import dataclass
from enum import Enum

from kalshi_daemon.domain.index import Tick
from kalshi_daemon.units import Nanos


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
    """From what was known, as a share; 0 when nothing was."""
    limit: float
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


@dataclass(frozen=True, slots=True)
class PlausibilityLimits:
    """jump_min is a share of the value. values_min: agreeing values that a jump, or a new day, needs at least."""

    jump_min: float
    values_min: int
    confirm_ns: Nanos
