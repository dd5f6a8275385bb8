"""Bars of a history, judged by the same rule as the values of the feed. Pure."""

from collections import deque
from collections.abc import Iterable
from math import sqrt
from typing import Final

from kalshi_daemon.domain.index import Bar, Tick
from kalshi_daemon.domain.jumps import JUMP_CAP
from kalshi_daemon.ground.units import MINUTE, SECOND, Nanos
from kalshi_daemon.index_feed.plausibility import JUMP_RATE, PlausibleValues, within
from kalshi_daemon.index_feed.ruling import PlausibilityLimits

AGREE_NS: Final = Nanos(2 * MINUTE)
"""A level that a history jumps to is believed when its bars agree on it for this long: three of a minute."""
_WAITING_MAX: Final = 1_200


def judged_bars(
    bars: Iterable[Bar],
    jump_min: float,
    known: tuple[Nanos, float] | None = None,
    after: tuple[Nanos, float] | None = None,
) -> list[Bar]:
    """The bars that may be believed, in their order: each is held against those before it and within itself.

    `known`: the last price before them, `after`: a price that is believed, at its time among them. `jump_min`: as for
    values, a share. What follows an implausible bar is withheld until the market returns, or for AGREE_NS while it
    agrees; what is left withheld at the end is not given. A level that was taken on its agreement alone is taken back
    when the market returns: a vendor's history may repeat the misprints of its feed.
    """
    judge = _Judge(PlausibleValues(PlausibilityLimits(jump_min, 1, AGREE_NS), known))
    for bar in bars:
        if after is not None and bar.end_ns > after[0]:
            judge.hold(Tick(bar.index, bar.channel, after[1], after[0], after[0]))
            after = None
        reach = max(jump_min, JUMP_RATE * sqrt((bar.end_ns - bar.start_ns) / SECOND))
        if bar.close <= 0.0 or not within(bar, bar.close, bar.close, min(JUMP_CAP, reach)):
            continue
        judge.waiting.append(bar)
        judge.hold(Tick(bar.index, bar.channel, bar.close, bar.end_ns, bar.recv_ns))
    if after is not None and judge.newest is not None:
        judge.hold(Tick(judge.newest.index, judge.newest.channel, after[1], after[0], after[0]))
    return judge.believed


class _Judge:
    """The bars believed so far, and those that wait."""

    def __init__(self, values: PlausibleValues) -> None:
        self._values = values
        self.waiting: deque[Bar] = deque(maxlen=_WAITING_MAX)
        self.believed: list[Bar] = []

    @property
    def newest(self) -> Bar | None:
        if self.waiting:
            return self.waiting[-1]
        return self.believed[-1] if self.believed else None

    def hold(self, tick: Tick) -> None:
        """Take the close of the bar that waits last, or a price of its own."""
        ruling = self._values.judge(tick, ())
        if ruling.retracted is not None:
            from_ns, to_ns = ruling.retracted
            self.believed = [bar for bar in self.believed if not from_ns <= bar.end_ns <= to_ns]
        stamps = {one.event_ns for one in ruling.ticks}
        if stamps:
            self.believed += [bar for bar in self.waiting if bar.end_ns in stamps]
            self.waiting.clear()
