"""Whether an index value may be believed. Pure: values in, a ruling out.

A value of the right shape may be of another instrument, lack a digit, or come from a source that stands still. So each
is held against what is known: the value before, and at the start of a day the last close. A value further away than an
index moves in the time between is withheld, together with what follows it, until

* the market returns to where it was: what was withheld were misprints, and is let go; or
* VALUES_MIN values over RUN_MIN_NS agree with each other and a second witness moved the same way: the other index, or
  the vendor's own minute bar; or
* they have agreed for `confirm_ns`, witness or none: real markets do not wait for ours.

The first values of a day are withheld until they agree, wherever they are: nothing else vouches for them.

How far is far: JUMP_RATE per square root of a second, seven standard deviations of the wildest openings of March 2020
(0.034 % per square root of a second), at least `jump_min`, at most JUMP_CAP, the exchange's own limit before it halts.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from math import log, sqrt
from typing import Final

from kalshi_daemon.domain.index import Bar, Tick
from kalshi_daemon.units import MINUTE, SECOND, Nanos

JUMP_RATE: Final = 0.0024
JUMP_CAP: Final = 0.10
NEW_DAY_AFTER_NS: Final = Nanos(10 * MINUTE)
"""A value this long after the one before is the first of a day, or after an outage as long."""
RUN_MIN_NS: Final = Nanos(2 * SECOND)
WITNESS_SHARE: Final = 0.3
"""The least part of a move that the other index must have made too."""
_HISTORY: Final = 600
_WITHHELD_MAX: Final = 600


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
    """Why withheld values are believed now: `returned`, `first`, `other_index`, `minute_bar`, `time`; "" for others."""


@dataclass(frozen=True, slots=True)
class PlausibilityLimits:
    """jump_min is a share of the value. values_min: agreeing values that a jump, or a new day, needs at least."""

    jump_min: float
    values_min: int
    confirm_ns: Nanos


class PlausibleValues:
    """The values of one index, judged in the order of their stamps."""

    def __init__(self, limits: PlausibilityLimits, known: tuple[Nanos, float] | None = None) -> None:
        """`known`: the last value of an earlier life or day, with its time."""
        self._limits = limits
        self._believed: deque[tuple[Nanos, float]] = deque([known] if known else [], maxlen=_HISTORY)
        self._withheld: deque[Tick] = deque(maxlen=_WITHHELD_MAX)
        self._bar: Bar | None = None

    def judge(self, tick: Tick, others: Sequence["PlausibleValues"]) -> Ruling:
        """Rule on a value that is later than all before. `others` are the other indices' values."""
        move, limit = self._from_known(tick)
        new_day = not self._believed or tick.event_ns - self._believed[-1][0] > NEW_DAY_AFTER_NS
        if not new_day and move <= limit:
            misprints = len(self._withheld)
            self._withheld.clear()
            return self._believe((tick,), move, limit, misprints, "returned" if misprints else "")
        if self._withheld and not self._follows(self._withheld[-1], tick):
            self._withheld.clear()
        self._withheld.append(tick)
        reason = self._confirmed(others, in_reach=move <= limit)
        if not reason:
            return Ruling(Word.WITHHELD, (), move, limit)
        ticks = tuple(self._withheld)
        self._withheld.clear()
        return self._believe(ticks, move, limit, 0, reason)

    def note_bar(self, bar: Bar) -> None:
        """A minute of the vendor's own sums: a witness of its own."""
        self._bar = bar

    def latest(self) -> float | None:
        """The newest value, believed or not."""
        if self._withheld:
            return self._withheld[-1].value
        return self._believed[-1][1] if self._believed else None

    def believed_before(self, at_ns: Nanos) -> float | None:
        """The last value believed before an instant."""
        return next((value for stamp, value in reversed(self._believed) if stamp < at_ns), None)

    def _from_known(self, tick: Tick) -> tuple[float, float]:
        if not self._believed:
            return 0.0, JUMP_CAP
        at_ns, value = self._believed[-1]
        # The time of a move ends where it was withheld: standing still does not make a misprint likelier.
        until_ns = self._withheld[0].event_ns if self._withheld else tick.event_ns
        return abs(log(tick.value / value)), self._reach(until_ns - at_ns)

    def _reach(self, elapsed_ns: int) -> float:
        return min(JUMP_CAP, max(self._limits.jump_min, JUMP_RATE * sqrt(max(0, elapsed_ns) / SECOND)))

    def _follows(self, before: Tick, tick: Tick) -> bool:
        return abs(log(tick.value / before.value)) <= self._reach(tick.event_ns - before.event_ns)

    def _confirmed(self, others: Sequence["PlausibleValues"], *, in_reach: bool) -> str:
        """Why what is withheld may be believed; "" when it may not."""
        first, last = self._withheld[0], self._withheld[-1]
        span_ns = last.event_ns - first.event_ns
        if self._limits.values_min > 1 and (len(self._withheld) < self._limits.values_min or span_ns < RUN_MIN_NS):
            return ""
        if in_reach:
            return "first"
        if any(self._moved_with(other, first, last) for other in others):
            return "other_index"
        bar = self._bar
        if bar is not None and bar.end_ns > first.event_ns and bar.low <= last.value <= bar.high:
            return "minute_bar"
        return "time" if span_ns >= self._limits.confirm_ns else ""

    def _moved_with(self, other: "PlausibleValues", first: Tick, last: Tick) -> bool:
        if not self._believed:
            return False
        known_ns, known = self._believed[-1]
        then, now = other.believed_before(Nanos(max(known_ns + 1, first.event_ns))), other.latest()
        if then is None or now is None:
            return False
        ours, theirs = log(last.value / known), log(now / then)
        return ours * theirs > 0.0 and WITNESS_SHARE <= theirs / ours <= 1.0 / WITNESS_SHARE

    def _believe(self, ticks: tuple[Tick, ...], move: float, limit: float, misprints: int, reason: str) -> Ruling:
        self._believed.extend((tick.event_ns, tick.value) for tick in ticks)
        return Ruling(Word.BELIEVED, ticks, move, limit, misprints, reason)
