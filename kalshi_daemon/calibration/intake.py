"""Which prices are believed, and which days and nights count. Figures only the updater uses."""

from math import log
from typing import Final

from kalshi_daemon.domain.index import Bar
from kalshi_daemon.units import DAY, HOUR, MINUTE, SECOND, Nanos

NIGHT_LEAST: Final = Nanos(8 * HOUR)
"""No session opens sooner than this after a close, so the calendar is not asked about each late print."""
GAP_MOST: Final = Nanos(4 * DAY + 12 * HOUR)
"""A close longer ago than this is no longer last night's."""
CLOSE_AGE_MOST: Final = Nanos(60 * SECOND)
"""A day whose last price is older than this at the close has no closing price for the next morning's gap."""
OPEN_SEEN_WITHIN: Final = Nanos(5 * MINUTE)
"""A first price later than this after the open says nothing about the overnight gap."""
OPENING_AGE_MOST: Final = Nanos(30 * SECOND)
"""A price of the excluded first minute stands for 09:31 when it is at most this old then."""
DAY_COUNTS_FROM: Final = 0.8
"""Share of the session's variance mass a day must have shown to count as a day."""
JUMP_MOST: Final = 0.05
"""One price this far from the last, or from the last close, is taken for a misprint,"""
JUMP_REPEATS: Final = 3
"""unless so many in a row say the same,"""
JUMP_AGREE_MOST: Final = 0.02
"""each this close to the first of them: prices that disagree with one another confirm nothing."""
CALM_MOST: Final = 0.02
"""Two prices this close to the running minute's open are no misprint of each other."""


class Doubt:
    """Prices in a row too far from what is known to be believed at once.

    A market that has moved goes on saying so; an exchanged instrument, a lost digit and a zero say different things.
    """

    def __init__(self, run: int = 0) -> None:
        self.run = run
        """Prices in a row that agree with one another and not with what is known."""
        self.price: float | None = None
        """The first of them, points; None when there is none, or it came before a restart."""
        self.known = 0.0
        """What it was held against, points."""

    def believes(self, price: float, known: float) -> bool:
        """Whether a price counts, beside the last one that did; both in points, above 0."""
        if -JUMP_MOST < price / known - 1.0 < JUMP_MOST:
            return True
        if self.run and self.price is None:  # a memory keeps the count only: the price after it stands for the first
            self.price, self.known = price, known
        if self.price is None or abs(price / self.price - 1.0) > JUMP_AGREE_MOST:
            self.run, self.price, self.known = 1, price, known
            return False
        self.run += 1
        return self.run >= JUMP_REPEATS

    def clear(self) -> None:
        """A price was believed."""
        self.run, self.price = 0, None

    def alarms(self) -> tuple[str, ...]:
        """One, with both numbers, while a price waits to be confirmed."""
        return () if self.price is None else (f"unconfirmed value {self.price:g} against {self.known:g}",)


def plausible_range(bar: Bar, last: float) -> bool:
    """Whether a bar's extremes may be believed after this price; points, all > 0."""
    return log(bar.high / last) < JUMP_MOST and log(last / bar.low) < JUMP_MOST
