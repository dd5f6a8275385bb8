"""A model that was without prices for a while, or took wrong ones, put together again. Pure.

Prices never wait: after a gap the model goes on with them at once, the gap unobserved. Meanwhile what it knew before
the gap and what came since are kept. When the missed minutes arrive, the model is put back to before the gap and takes
everything in order: the minutes, then the prices since. It ends where a feed that had never broken off would have
brought it, to the resolution of a minute bar.

The same for prices that are believed without a witness: what was known before them is kept, and when they are found
wrong the model is put back and takes everything but them. Both may be open at once; the older one's beginning is kept.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from kalshi_daemon.calibration.joint import Correlation
from kalshi_daemon.calibration.updater import RollingCalibration
from kalshi_daemon.domain.index import Bar, Tick
from kalshi_daemon.domain.window import Session
from kalshi_daemon.ground.units import MINUTE, SECOND, Nanos
from kalshi_daemon.memory.documents import Document, remember, restore

EVENTS_MAX: Final = 5_000
"""Prices and bars kept while a gap is open: more than half an hour of V, A and AM. Beyond it the gap stays."""
HOLE_MIN: Final = Nanos(5 * SECOND)
"""A pause shorter than this between two live prices is no hole: no bar is looked for."""
SPANS_MAX: Final = 32
"""Healed gaps that are remembered; more than a day has."""
FOREVER: Final = Nanos(2**63 - 1)


@dataclass(frozen=True, slots=True)
class Span:
    """Minutes of sessions for which the model has no prices."""

    from_ns: Nanos
    """Start of the first missed minute."""
    to_ns: Nanos
    minutes: int


class GapReplay:
    """Stands between the feed and one model.

    `arm` when prices may have been missed, then `heal` or `drop`; `doubt` when they may be wrong, then `retract` or
    `settle`.
    """

    def __init__(self, model: RollingCalibration) -> None:
        self.model = model
        self.arms = 0
        """Times it was armed: a gap within a gap is seen by the one who asks for bars."""
        self.overflowed = False
        """Whether the last gap was given up because too much came while it was open."""
        self._gap = False
        self._in_doubt = False
        self._before: Document | None = None
        self._since: list[Tick | Bar] = []
        self._resumed: tuple[Nanos, float] | None = None
        self._again: deque[tuple[Nanos, Nanos]] = deque(maxlen=SPANS_MAX)
        """First and last instant that were gone through again, heal by heal."""

    def armed(self) -> bool:
        """Whether a gap is open."""
        return self._gap and self._before is not None

    @property
    def confirmed(self) -> Document | None:
        """What was known before the prices in doubt; None while none are."""
        return self._before if self._in_doubt else None

    @property
    def since_ns(self) -> Nanos | None:
        """The last price before the gap; None when there was none ever. Only while armed."""
        assert self._before is not None, "armed"
        last = self._before["last_seen_ns"]
        return None if last is None else Nanos(last)

    @property
    def known(self) -> tuple[Nanos, float] | None:
        """The last price before the gap, of its day or the close before, with its time. Only while armed."""
        assert self._before is not None, "armed"
        path = (self._before["today"] or {}).get("path")
        found = self._before["closing"] if path is None else (path["last_ns"], path["last"])
        return None if found is None else (Nanos(found[0]), found[1])

    @property
    def resumed_ns(self) -> Nanos | None:
        """When live prices began again after the last time it was armed; None while there are none."""
        return None if self._resumed is None else self._resumed[0]

    @property
    def resumed(self) -> tuple[Nanos, float] | None:
        """The first price of them, with its time."""
        return self._resumed

    def recomputed(self, at_ns: Nanos) -> bool:
        """Whether a forecast of this instant was made after the fact, when a gap was healed."""
        return any(first <= at_ns <= last for first, last in self._again)

    def arm(self) -> None:
        """From here on prices may have been missed. Armed already: the older gap stays open too."""
        self.arms += 1
        self._resumed = None
        self._gap = True
        self._keep_from_here()

    def drop(self) -> None:
        """The gap stays as it is."""
        self._gap = False
        self._forget()

    def doubt(self) -> None:
        """From here on prices may be wrong. In doubt already: the older one stays open."""
        self._in_doubt = True
        self._keep_from_here()

    def settle(self) -> None:
        """They were not."""
        self._in_doubt = False
        self._forget()

    def retract(self, from_ns: Nanos, to_ns: Nanos) -> bool:
        """Take the prices of [from, to] out of what was learnt; those kept stay in doubt until `settle`.

        False: it could not be done, because too much has come since, or the model cannot be put back.
        """
        before, kept = self._before, [one for one in self._since if not _touches(one, from_ns, to_ns)]
        if before is None or not self._in_doubt:
            return False
        try:
            restore(self.model, before)
        except ValueError:
            return False
        self._since = kept
        self._again.append((from_ns, to_ns))
        for event in kept:
            self._take(event)
        return True

    def on_tick(self, tick: Tick) -> None:
        """Teach the model a value, and keep it in case a gap has to be put together again."""
        self._keep(tick)
        self.model.on_tick(tick)

    def on_bar(self, bar: Bar) -> None:
        """Teach the model a bar, and keep it in case a gap has to be put together again."""
        self._keep(bar)
        self.model.on_bar(bar)

    def heal(self, bars: Sequence[Bar], *, parts: bool = False) -> int:
        """Take what was missed, by time; returns how many bars were used. Not armed any more afterwards.

        `parts`: also the bar of a minute in which prices began again, after them: its extremes are of the whole.
        Raises ValueError, with the model as it is, when it cannot be put back.
        """
        before, since, live = self._before, self._since, self._resumed is not None
        assert before is not None, "armed"
        self.drop()
        if not bars:
            return 0
        if self._in_doubt:
            self._since = sorted([*bars, *since], key=_ends)  # a bar after the ticks of its minute
        restore(self.model, before)
        since_ns = Nanos(before["last_seen_ns"] or 0)
        self._again.append((since_ns, FOREVER))
        used, left, unseen_ns = 0, iter(bars), Nanos(0)
        waiting = next(left, None)
        for event in since:
            begins, last_ns = _begins(event), self.model.last_seen_ns
            if last_ns is None or begins - last_ns > HOLE_MIN:
                unseen_ns = begins if parts else Nanos(begins - begins % MINUTE)
            while waiting is not None and waiting.end_ns <= begins:
                if waiting.start_ns < unseen_ns:
                    used += self._missed(waiting)
                waiting = next(left, None)
            self._take(event)
        while waiting is not None and not live:
            used += self._missed(waiting)
            waiting = next(left, None)
        self._again[-1] = since_ns, self.model.last_seen_ns or since_ns
        return used

    def _keep_from_here(self) -> None:
        if self._before is None:
            self._before, self._since, self.overflowed = remember(self.model), [], False

    def _forget(self) -> None:
        if not (self._gap or self._in_doubt):
            self._before, self._since = None, []

    def _keep(self, event: Tick | Bar) -> None:
        if self._before is None:
            return
        if self._resumed is None:
            self._resumed = (event.event_ns, event.value) if isinstance(event, Tick) else (event.start_ns, event.open)
        self._since.append(event)
        if len(self._since) > EVENTS_MAX:
            self._gap = self._in_doubt = False
            self._forget()
            self.overflowed = True

    def _missed(self, bar: Bar) -> bool:
        """Take a bar unless the model is beyond it."""
        last_ns = self.model.last_seen_ns
        if last_ns is not None and bar.end_ns <= last_ns:
            return False
        self.model.on_bar(bar)
        return True

    def _take(self, event: Tick | Bar) -> None:
        if isinstance(event, Tick):
            self.model.on_tick(event)
        else:
            self.model.on_bar(event)


class CorrelationReplay:
    """Lets correlations look again at the minutes of the running session that a gap had hidden from them.

    Minutes of earlier sessions are not made up for: what forgets by halves in three sessions, is taken for 0.8 at the
    least and is stressed to 0.7 where it matters, does not miss them.
    """

    def __init__(self, together: Sequence[tuple[Correlation, tuple[RollingCalibration, RollingCalibration]]]) -> None:
        self._together = together
        self._before: Sequence[Correlation] | None = None

    def arm(self) -> None:
        """From here on prices may have been missed. Armed already: the older gap stays open too."""
        if self._before is None:
            self._before = [replace(correlation) for correlation, _ in self._together]

    def drop(self) -> None:
        """Nothing is in doubt any more: forget how it was before."""
        self._before = None

    def healed(self) -> None:
        """One of the models was put together again: follow all anew from before the gap."""
        if self._before is None:
            return
        for (correlation, (one, other)), before in zip(self._together, self._before, strict=True):
            correlation.go_back(before)
            correlation.follow(one.today, other.today)


def _touches(event: Tick | Bar, from_ns: Nanos, to_ns: Nanos) -> bool:
    return _begins(event) <= to_ns and _ends(event) >= from_ns


def _ends(event: Tick | Bar) -> Nanos:
    return event.event_ns if isinstance(event, Tick) else event.end_ns


def _begins(event: Tick | Bar) -> Nanos:
    return event.event_ns if isinstance(event, Tick) else event.start_ns


def missed_span(sessions: Iterable[Session], since_ns: Nanos, until_ns: Nanos) -> Span | None:
    """The whole minutes of sessions that ended in (since, until]; None when there are none.

    The minute in which the prices broke off is one of them: its bar says what came after.
    """
    first, last, minutes = None, Nanos(0), 0
    for session in sessions:
        start = max(session.open_ns, since_ns - (since_ns - session.open_ns) % MINUTE)
        end = min(session.close_ns, until_ns - (until_ns - session.open_ns) % MINUTE)
        if start < end:
            first = Nanos(start) if first is None else first
            last = Nanos(end)
            minutes += (end - start) // MINUTE
    return None if first is None else Span(first, last, minutes)
