"""Bars of a history, judged by the same rule as the values of the feed. Pure."""

from collections import deque
from collections.abc import Iterable, Iterator
from math import sqrt
from typing import Final

from kalshi_daemon.domain.index import Bar, Tick
from kalshi_daemon.index_feed.plausibility import JUMP_CAP, JUMP_RATE, PlausibleValues, within
from kalshi_daemon.index_feed.ruling import PlausibilityLimits
from kalshi_daemon.units import MINUTE, SECOND, Nanos

AGREE_NS: Final = Nanos(2 * MINUTE)
"""A level that a history jumps to is believed when its bars agree on it for this long: three of a minute."""
_WAITING_MAX: Final = 1_200


def judged_bars(bars: Iterable[Bar], jump_min: float, known: tuple[Nanos, float] | None = None) -> Iterator[Bar]:
    """The bars that may be believed, in their order: each is held against those before it and within itself.

    `known`: the last price before them. `jump_min`: as for values, a share. What follows an implausible bar is withheld
    until the market returns, or for AGREE_NS while it agrees; what is left withheld at the end is not given.
    """
    values = PlausibleValues(PlausibilityLimits(jump_min, 1, AGREE_NS), known)
    waiting: deque[Bar] = deque(maxlen=_WAITING_MAX)
    for bar in bars:
        reach = max(jump_min, JUMP_RATE * sqrt((bar.end_ns - bar.start_ns) / SECOND))
        if bar.close <= 0.0 or not within(bar, bar.close, bar.close, min(JUMP_CAP, reach)):
            continue
        waiting.append(bar)
        ruling = values.judge(Tick(bar.index, bar.channel, bar.close, bar.end_ns, bar.recv_ns), ())
        believed = {tick.event_ns for tick in ruling.ticks}
        if believed:
            yield from (one for one in waiting if one.end_ns in believed)
            waiting.clear()
