"""Whether an index value may be believed. Pure: values in, a ruling out. The one judge of values and of bars.

A value of the right shape may be of another instrument, lack a digit, or come from a source that stands still. So each
is held against what is known: the value before, and at the start of a day the last close. A value further away than an
index moves in the time between is withheld, together with what follows it, until

* the market returns to where it was: what was withheld were misprints, and is let go; or
* `values_min` values over RUN_MIN_NS agree with each other and more witnesses say the same than the contrary: the other
  index, the vendor's own minute bar or snapshot, the books, the listed ladder; or
* they have agreed for `confirm_ns` and no witness speaks against them: real markets do not wait for ours. A witness who
  contradicts weighs more than the time: only an equal number who agree, for TIE_NS, outweighs it.

The first values of a day are withheld until they agree, wherever they are.

What is believed without the other index or the books is in doubt for DOUBT_NS at most: whoever learns from it keeps
what was learnt before. When the market returns to where it was before, or the witnesses come to say otherwise, the
stretch is taken back.

How far is far: JUMP_RATE per square root of a second, seven standard deviations of the wildest openings of March 2020
(0.034 % per square root of a second), at least `jump_min`, at most JUMP_CAP, the exchange's own limit before it halts.
In a calm market less than `jump_min` is far (`calm`).
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from math import log, sqrt
from typing import Final

from kalshi_daemon.domain.index import Bar, Tick
from kalshi_daemon.domain.jumps import JUMP_CAP
from kalshi_daemon.ground.units import MINUTE, SECOND, Nanos
from kalshi_daemon.index_feed.calm import CALM_MIN, UsualStep
from kalshi_daemon.index_feed.ruling import Doubt, PlausibilityLimits, Ruling, Word
from kalshi_daemon.index_feed.witnesses import (
    BAR_FRESH_NS,
    BOOKS_LAG_NS,
    BOOKS_TOLERANCE,
    FRESH_NS,
    NOTHING_KNOWN,
    SNAPSHOT_FRESH_NS,
    Jump,
    Opinion,
    OutsideLevels,
    by_middle,
    by_move,
    level_opinion,
)

JUMP_RATE: Final = 0.0024
NEW_DAY_AFTER_NS: Final = Nanos(10 * MINUTE)
"""A value this long after the one before is the first of a day, or after an outage as long."""
RUN_MIN_NS: Final = Nanos(2 * SECOND)
TIE_NS: Final = Nanos(10 * MINUTE)
"""How long values must agree when as many witnesses speak for them as against them."""
DOUBT_NS: Final = Nanos(10 * MINUTE)
STAND_NS: Final = Nanos(3 * MINUTE)
"""A jump from a day's unconfirmed first values that has stood for this long was none: those were wrong."""
_HISTORY: Final = 1_200
_WITHHELD_MAX: Final = 900
_SETTLING: Final = frozenset({"other_index", "books"})
"""Witnesses that do not live on the vendor's own values of this index."""
_UNCONFIRMED: Final = "unconfirmed"
"""Stands for a day's first values that nobody vouches for: no witness, but as good as one against them."""


def _nothing() -> OutsideLevels:
    return NOTHING_KNOWN


class PlausibleValues:
    """The values of one index, judged in the order of their stamps."""

    def __init__(
        self,
        limits: PlausibilityLimits,
        known: tuple[Nanos, float] | None = None,
        outside: Callable[[], OutsideLevels] = _nothing,
    ) -> None:
        """`known`: the last value of an earlier life or day, with its time. `outside` is asked only while in doubt."""
        self._limits = limits
        self._believed: deque[tuple[Nanos, float]] = deque([known] if known else [], maxlen=_HISTORY)
        self._changed_ns = known[0] if known else Nanos(0)
        """Stamp of the last believed value that differed from the one before."""
        self._withheld: deque[Tick] = deque(maxlen=_WITHHELD_MAX)
        self._apart_ns: Nanos | None = None
        """Stamp of the first value withheld since the last one believed."""
        self._doubt: Doubt | None = None
        self._under: Doubt | None = None
        """A day's first values, still in doubt themselves when what followed them came into doubt."""
        self._bar: Bar | None = None
        self._steps = UsualStep()
        self._outside = outside

    def judge(self, tick: Tick, others: Sequence["PlausibleValues"]) -> Ruling:
        """Rule on a value that is later than all before. `others` are the other indices' values."""
        move, limit = self._from_known(tick)
        new_day = self._new_day(tick)
        if not new_day and abs(move) <= limit and not self._goes_on(tick):
            return self._near(tick, others, move, limit)
        if self._withheld and not self._follows(self._withheld[-1], tick):
            self._withheld.clear()
        self._withheld.append(tick)
        if self._apart_ns is None:
            self._apart_ns = tick.event_ns
        agrees, against = self._votes(tick.value, others)
        reason = self._confirmed(agrees, against, in_reach=new_day and abs(move) <= limit)
        if not reason:
            return Ruling(Word.WITHHELD, (), move, limit, against=", ".join(against))
        return self._confirm(reason, move, limit)

    def note_bar(self, bar: Bar) -> None:
        """A minute of the vendor's own sums: a witness of its own."""
        self._bar = bar

    def believes_bar(self, bar: Bar) -> bool:
        """Whether all of a bar's prices are near the values believed in its time."""
        inside, before = [], None
        limit = self._limits.jump_min
        for stamp, value in reversed(self._believed):
            if stamp < bar.start_ns:
                before = stamp, value
                break
            if stamp <= bar.end_ns:
                inside.append(value)
        if not inside:
            if before is None:
                return False
            inside, limit = [before[1]], self._reach(bar.end_ns - before[0])
        return within(bar, min(inside), max(inside), limit)

    def latest(self) -> tuple[Nanos, float] | None:
        """The newest value with its stamp, believed or not."""
        if self._withheld:
            return self._withheld[-1].event_ns, self._withheld[-1].value
        return self._believed[-1] if self._believed else None

    def believed_before(self, at_ns: Nanos) -> float | None:
        """The last value believed before an instant; the oldest kept when it is longer ago than is kept. In points."""
        found = next((value for stamp, value in reversed(self._believed) if stamp < at_ns), None)
        return self._believed[0][1] if found is None and len(self._believed) == _HISTORY else found

    @property
    def in_doubt(self) -> bool:
        """Whether the values believed last lack an independent witness."""
        return self._doubt is not None

    # How far

    def _new_day(self, tick: Tick) -> bool:
        # A value that is withheld for long does not become the first of a day by that.
        at_ns = tick.event_ns if self._apart_ns is None else self._apart_ns
        return not self._believed or at_ns - self._believed[-1][0] > NEW_DAY_AFTER_NS

    def _from_known(self, tick: Tick) -> tuple[float, float]:
        """The move from what is known, negative when down, and the most it may be either way; natural logs."""
        if not self._believed:
            return 0.0, JUMP_CAP
        at_ns, value = self._believed[-1]
        # The time of a move ends where it was withheld: standing still does not make a misprint likelier.
        until_ns = tick.event_ns if self._apart_ns is None else self._apart_ns
        return log(tick.value / value), self._reach(until_ns - at_ns)

    def _reach(self, elapsed_ns: int) -> float:
        return _reach(elapsed_ns, self._steps.least_far(self._limits.jump_min))

    def _goes_on(self, tick: Tick) -> bool:
        """Whether a value that is near what is known is no return: what is withheld has come to it step by step."""
        if not self._withheld:
            return False
        last = self._withheld[-1]
        step = JUMP_RATE * sqrt(max(1.0, (tick.event_ns - last.event_ns) / SECOND))
        return abs(log(tick.value / last.value)) <= step

    def _follows(self, before: Tick, tick: Tick) -> bool:
        limit = _reach(tick.event_ns - before.event_ns, self._limits.jump_min)
        return abs(log(tick.value / before.value)) <= limit

    # Believing

    def _near(self, tick: Tick, others: Sequence["PlausibleValues"], move: float, limit: float) -> Ruling:
        """A value within reach of the last: believed, unless the stretch it continues turns out to be wrong."""
        misprints = len(self._withheld)
        self._withheld.clear()
        self._apart_ns = None
        doubt, retracted = self._doubt, None
        if doubt is not None:
            agrees, against = self._votes(tick.value, others)
            if len(against) > len(agrees):
                return self._withdraw(tick, doubt, against)
            age_ns = tick.event_ns - doubt.from_ns
            if self._under is not None and (agrees or age_ns >= STAND_NS):
                retracted = self._drop_under(self._under, doubt)
            elif age_ns > DOUBT_NS or (agrees if doubt.first else _SETTLING & {*agrees}):
                self._doubt = self._under = None
        self._believe((tick,))
        return Ruling(
            Word.BELIEVED,
            (tick,),
            move,
            limit,
            misprints,
            "returned" if misprints else "",
            settled=doubt is not None and self._doubt is None,
            retracted=retracted,
        )

    def _confirm(self, reason: str, move: float, limit: float) -> Ruling:
        """What was withheld is believed now.

        What that makes of a stretch before it that is in doubt: nothing when the other index moved too, or after an
        outage; else it was wrong, when the market is back where it was or jumps once more. A day's first values are
        wrong when a level speaks for what follows them, or when that has stood long enough (`_near`).
        """
        ticks, doubt = tuple(self._withheld), self._doubt
        known, first = (self._believed[-1] if self._believed else None), self._new_day(ticks[0])
        retracted, vouched = None, reason in _SETTLING
        if doubt is not None and reason == "first":
            self._doubt = self._under = None  # after so long a silence nobody can tell any more
        elif doubt is not None and doubt.first and reason == "time":
            self._under, self._doubt = doubt, None
        elif doubt is not None and reason != "other_index":
            retracted = doubt.from_ns, self._believed[-1][0]
            self._take_back(doubt)
            known, first = doubt.known, doubt.first
            self._doubt = None
            if (
                reason == "returned"
                and known is not None
                and abs(log(ticks[-1].value / known[1])) <= self._limits.jump_min
            ):
                self._doubt, self._under = self._under, None
                vouched = True
        if self._doubt is None and not vouched:
            apart_ns = ticks[0].event_ns if self._apart_ns is None else self._apart_ns
            self._doubt = Doubt(ticks[0].event_ns, known, first, apart_ns if doubt is None else doubt.apart_ns)
        self._withheld.clear()
        self._apart_ns = None
        self._believe(ticks)
        return Ruling(
            Word.BELIEVED,
            ticks,
            move,
            limit,
            reason=reason,
            doubtful=doubt is None and self._doubt is not None,
            settled=doubt is not None and self._doubt is None,
            retracted=retracted,
        )

    def _withdraw(self, tick: Tick, doubt: Doubt, against: Sequence[str]) -> Ruling:
        """The witnesses have come to say otherwise: the stretch is withheld, and what was known before it is known."""
        retracted = doubt.from_ns, self._believed[-1][0]
        stretch = self._take_back(doubt)
        self._doubt, self._under = self._under, None
        self._withheld.extend(Tick(tick.index, tick.channel, value, at, at) for at, value in stretch)
        self._withheld.append(tick)
        self._apart_ns = doubt.apart_ns
        move, limit = self._from_known(tick)
        return Ruling(
            Word.WITHHELD,
            (),
            move,
            limit,
            against=", ".join(against),
            settled=self._doubt is None,
            retracted=retracted,
        )

    def _drop_under(self, under: Doubt, doubt: Doubt) -> tuple[Nanos, Nanos]:
        """A day's first values were wrong: what follows them is the first now."""
        kept = [one for one in self._believed if not under.from_ns <= one[0] < doubt.from_ns]
        last_ns = max(one[0] for one in self._believed if one[0] < doubt.from_ns)
        self._believed = deque(kept, maxlen=_HISTORY)
        self._steps.begin_again(kept)
        self._doubt, self._under = replace(under, from_ns=doubt.from_ns), None
        return under.from_ns, last_ns

    def _take_back(self, doubt: Doubt) -> list[tuple[Nanos, float]]:
        """Know only what was known before the stretch in doubt; gives the stretch."""
        stretch = [one for one in self._believed if one[0] >= doubt.from_ns]
        while self._believed and self._believed[-1][0] >= doubt.from_ns:
            self._believed.pop()
        if not self._believed and doubt.known is not None:
            self._believed.append(doubt.known)
        self._steps.begin_again(self._believed)
        return stretch

    def _believe(self, ticks: Iterable[Tick]) -> None:
        for tick in ticks:
            if not self._believed or tick.value != self._believed[-1][1]:
                self._changed_ns = tick.event_ns
            self._believed.append((tick.event_ns, tick.value))
            self._steps.add(tick.event_ns, tick.value)

    def _confirmed(self, agrees: Sequence[str], against: Sequence[str], *, in_reach: bool) -> str:
        """Why what is withheld may be believed; "" when it may not."""
        first, last = self._withheld[0], self._withheld[-1]
        span_ns = last.event_ns - first.event_ns
        if self._limits.values_min > 1 and (len(self._withheld) < self._limits.values_min or span_ns < RUN_MIN_NS):
            return ""
        if self._returns(last):
            return "returned"
        if len(agrees) > len(against):
            return agrees[0]
        if in_reach and not against:
            return "first"
        if against:
            wait_ns = STAND_NS if _UNCONFIRMED in agrees else TIE_NS
            return "time" if len(agrees) == len(against) and span_ns >= wait_ns else ""
        return "time" if span_ns >= self._limits.confirm_ns else ""

    def _returns(self, last: Tick) -> bool:
        """Whether the market is back where it was before a jump that nobody vouched for."""
        doubt = self._doubt
        if doubt is None or doubt.first or doubt.known is None:
            return False
        at_ns, value = doubt.known
        return abs(log(last.value / value)) <= self._reach(last.event_ns - at_ns)

    # Witnesses

    def _votes(self, value: float, others: Sequence["PlausibleValues"]) -> tuple[list[str], list[str]]:
        """Who agrees with the newest value and who contradicts it, by name."""
        found = {**self._moves(value, others), **self._levels(value)}
        by_word = {word: [name for name, said in found.items() if said is word] for word in Opinion}
        doubt = self._doubt
        if self._withheld and doubt is not None and doubt.first and "other_index" in by_word[Opinion.CONTRADICTS]:
            # What is known is itself unconfirmed: either may be wrong, so that is a tie and no more.
            by_word[Opinion.AGREES].append(_UNCONFIRMED)
        return by_word[Opinion.AGREES], by_word[Opinion.CONTRADICTS]

    def _moves(self, value: float, others: Sequence["PlausibleValues"]) -> dict[str, Opinion]:
        if self._withheld:
            known = self._believed[-1] if self._believed else None
            if known is None or self._new_day(self._withheld[-1]):
                return {}  # any move over night
            # What stands still tells nothing: their move counts from our last change.
            since_ns = min(Nanos(max(known[0] + 1, self._withheld[0].event_ns)), Nanos(self._changed_ns + FRESH_NS))
            now_ns = self._withheld[-1].event_ns
        else:
            doubt = self._doubt
            if doubt is None or doubt.first or doubt.known is None or self._under is not None:
                return {}  # from last night's close, or from a level that is in doubt itself: any move
            known, since_ns, now_ns = doubt.known, doubt.from_ns, self._believed[-1][0]
        for other in others:
            then, latest = other.believed_before(since_ns), other.latest()
            if then is not None and latest is not None and abs(latest[0] - now_ns) <= FRESH_NS:
                return {"other_index": by_move(Jump(known[1], value), log(latest[1] / then))}
        return {}

    def _levels(self, value: float) -> dict[str, Opinion]:
        known = self._doubt.known if self._doubt is not None and not self._withheld else self._last_known()
        started_ns = self._withheld[0].event_ns if self._withheld else self._doubt.from_ns if self._doubt else Nanos(0)
        now_ns = self._withheld[-1].event_ns if self._withheld else self._believed[-1][0]
        found: dict[str, Opinion] = {}
        tolerance, outside, bar = self._limits.jump_min, self._outside(), self._bar
        if known is not None:  # a small jump is held against the vendor's own levels more closely
            tolerance = max(min(CALM_MIN, tolerance), min(tolerance, abs(log(value / known[1])) / 2.0))
        if bar is not None and started_ns + RUN_MIN_NS <= bar.end_ns and now_ns - bar.end_ns <= BAR_FRESH_NS:
            then = self._value_at(bar.end_ns)
            if then is not None:
                found["minute_bar"] = level_opinion(known, then, bar.close, tolerance)
        if outside.books is not None:
            said = level_opinion(known, value, outside.books, self._limits.jump_min)
            if known is not None and abs(log(value / known[1])) <= BOOKS_TOLERANCE:
                said = Opinion.SILENT  # too near to each other for books to tell
            if said is Opinion.AGREES or now_ns - started_ns >= BOOKS_LAG_NS:
                found["books"] = said
        if outside.snapshot is not None:
            at_ns, level = outside.snapshot
            then = self._value_at(at_ns)
            if then is not None and started_ns <= at_ns and -FRESH_NS <= now_ns - at_ns <= SNAPSHOT_FRESH_NS:
                found["snapshot"] = level_opinion(known, then, level, tolerance)
        if outside.ladder_middle is not None:
            found["ladder"] = by_middle(value, outside.ladder_middle, JUMP_CAP)
        return found

    def _last_known(self) -> tuple[Nanos, float] | None:
        return self._believed[-1] if self._believed else None

    def _value_at(self, at_ns: Nanos) -> float | None:
        """The last value of the stretch in question at an instant."""
        if self._withheld:
            return next((tick.value for tick in reversed(self._withheld) if tick.event_ns <= at_ns), None)
        return self.believed_before(Nanos(at_ns + 1))


def _reach(elapsed_ns: int, least: float) -> float:
    """The most a value may have moved in the time, natural log; `least`: however short that is."""
    return min(JUMP_CAP, max(least, JUMP_RATE * sqrt(max(0, elapsed_ns) / SECOND)))


def within(bar: Bar, low: float, high: float, limit: float) -> bool:
    """Whether a bar's prices lie at most `limit` (natural log) beyond low..high."""
    prices = (bar.open, bar.high, bar.low, bar.close)
    return min(prices) > 0.0 and log(max(prices) / high) <= limit and log(low / min(prices)) <= limit
