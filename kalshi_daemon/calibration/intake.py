"""Which days, nights and extremes count. Figures only the updater uses; `index_feed.plausibility` judges values."""

from math import log
from typing import Final

from kalshi_daemon.domain.index import Bar
from kalshi_daemon.domain.jumps import JUMP_CAP
from kalshi_daemon.ground.units import DAY, HOUR, MINUTE, SECOND, Nanos

NIGHT_MIN: Final = Nanos(8 * HOUR)
"""No session opens sooner than this after a close, so the calendar is not asked about each late print."""
GAP_MAX: Final = Nanos(4 * DAY + 12 * HOUR)
"""A close longer ago than this is no longer last night's."""
CLOSE_AGE_MAX: Final = Nanos(60 * SECOND)
"""A day whose last price is older than this at the close has no closing price for the next morning's gap."""
OPEN_SEEN_WITHIN: Final = Nanos(5 * MINUTE)
"""A first price later than this after the open says nothing about the overnight gap."""
OPENING_AGE_MAX: Final = Nanos(30 * SECOND)
"""A price of the excluded first minute stands for 09:31 when it is at most this old then."""
DAY_COUNTS_FROM: Final = 0.8
"""Share of the session's variance mass a day must have shown to count as a day."""
CALM_MAX: Final = 0.02
"""Two prices this close to the running minute's open are no misprint of each other."""


def plausible_range(bar: Bar, last: float) -> bool:
    """Whether a bar's extremes may be believed after this price; points, all > 0. `last` is that price."""
    return log(bar.high / last) < JUMP_CAP and log(last / bar.low) < JUMP_CAP
