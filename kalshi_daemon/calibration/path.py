"""The price path of one session, minute by minute, from ticks or bars (docs/reference/model.md 4.1).

Minute m covers (open + m, open + m + 1]: a tick on a boundary closes the minute that ends there. Bars count at their
END; what a vendor calls the 12:00 bar is known at 12:01. Memory is fixed: one price and one squared return per minute.
"""

from dataclasses import dataclass, field
from math import inf, isnan, log, nan
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kalshi_daemon.ground.units import MINUTE, Nanos

Floats = NDArray[np.float64]

SILENCE_MAX: Final = MINUTE
"""A longer pause between two prices is a gap: the path in between was not watched."""
_INSIDE: Final = 1.0 - 1e-9
"""Rounding never puts a price into the band that is on its edge."""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of the session that is over. Times in minutes after the open."""

    start: float
    end: float
    log_range: float
    """ln(high / low), the opening price of the span included."""
    log_return: float
    watched: bool
    """False for a gap: only its two ends are known."""

    @property
    def long(self) -> bool:
        """Longer than the minutes ticks are gathered in: a gap, or a bar of several minutes."""
        return self.end - self.start > 1.0


@dataclass(slots=True)
class SessionPath:
    """Today from the first valid print on. Prices in points, > 0."""

    open_ns: Nanos
    first: float
    first_ns: Nanos
    last: float
    last_ns: Nanos
    span_start_ns: Nanos
    span_end_ns: Nanos
    """The next minute boundary after the span's start."""
    span_open: float
    high: float
    low: float
    boundaries: Floats
    """Price at each minute boundary, shape (minutes + 1,); NaN where the day had not begun yet."""
    squares: Floats
    """Squared log return of each whole watched minute, shape (minutes,); NaN where not watched in full."""
    watched_min: float = 0.0
    """Minutes watched in spans that are over."""
    calm_until_ns: Nanos = field(default=Nanos(0), init=False)
    """Up to here a price within the calm band changes nothing but the running minute. See `settle`."""
    calm_low: float = field(default=inf, init=False)
    calm_high: float = field(default=-inf, init=False)

    @classmethod
    def begin(cls, open_ns: Nanos, minutes: int, at_ns: Nanos, price: float) -> "SessionPath":
        """The day starts with `price` at `at_ns` >= open_ns."""
        boundaries = np.full(minutes + 1, nan)
        path = cls(
            open_ns=open_ns,
            first=price,
            first_ns=at_ns,
            last=price,
            last_ns=at_ns,
            span_start_ns=at_ns,
            span_end_ns=at_ns,
            span_open=price,
            high=price,
            low=price,
            boundaries=boundaries,
            squares=np.full(minutes, nan),
        )
        path._start_span(at_ns, price)
        return path

    def minutes_at(self, at_ns: Nanos) -> float:
        """Minutes after the open."""
        return (at_ns - self.open_ns) / MINUTE

    def tick(self, at_ns: Nanos, price: float) -> tuple[Span, ...]:
        """Take a price later than the last one; gives the spans it completed (none, one, or two around a gap)."""
        done = () if at_ns <= self.span_end_ns else self._roll(at_ns, price)
        if price > self.high:
            self.high = price
        elif price < self.low:
            self.low = price
        self.last = price
        self.last_ns = at_ns
        return done

    def calm(self, at_ns: Nanos, price: float) -> bool:
        """Take a price that needs no closer look; False: it was not taken.

        Nearly every tick: later than the last, inside the running minute, nothing due, no jump. What `tick` would do
        with it is done here (tests compare the two).
        """
        if not (self.last_ns < at_ns <= self.calm_until_ns and self.calm_low < price < self.calm_high):
            return False
        if price > self.high:
            self.high = price
        elif price < self.low:
            self.low = price
        self.last = price
        self.last_ns = at_ns
        return True

    def settle(self, move: float, due_ns: Nanos) -> None:
        """Say which next prices need no closer look: strictly within `move` (relative) of the running minute's open.

        They must come before the minute is over and not after `due_ns`. Two prices of the band lie less than
        2 `move` / (1 - `move`) apart; while the last price is outside, none is calm.
        """
        reach = _INSIDE * move * self.span_open
        self.calm_low, self.calm_high = self.span_open - reach, self.span_open + reach
        until = min(self.span_end_ns, due_ns)
        self.calm_until_ns = until if self.calm_low < self.last < self.calm_high else Nanos(0)

    def bar(self, at_ns: Nanos, price: float, high: float, low: float) -> tuple[Span, ...]:
        """Take a bar longer than a minute that begins at the last price and ends now: one span, watched.

        No minute of it is known by itself, so none teaches the curve; its minute boundaries keep the price
        before it. `price`, `high` and `low` in points.
        """
        top, bottom = max(high, price, self.last), min(low, price, self.last)
        return self._leap(at_ns, price, log(top / bottom), watched=True)

    def stretch(self, start_ns: Nanos, end_ns: Nanos, high: float, low: float) -> None:
        """Use a bar's extremes when the bar lies inside the running span; doing it twice changes nothing.

        `high` and `low` in points.
        """
        if start_ns >= self.span_start_ns and end_ns <= self.span_end_ns:
            self.high = max(self.high, high)
            self.low = min(self.low, low)

    def running(self) -> Span | None:
        """The unfinished span up to the last price; None while it has no length."""
        if self.last_ns <= self.span_start_ns:
            return None
        return self._span(self.last_ns)

    def finish(self) -> tuple[Span, ...]:
        """The day is over: the running span as the last one."""
        span = self.running()
        return () if span is None else (self._close(span),)

    def watched_so_far(self) -> float:
        """Minutes watched today, the running one included."""
        return self.watched_min + (self.last_ns - self.span_start_ns) / MINUTE

    def return_over(self, minutes: int) -> float:
        """Log return to the last price from the last boundary at least `minutes` ago, or from the first price."""
        index = (self.last_ns - self.open_ns) // MINUTE - minutes
        then = float(self.boundaries[index]) if index >= 0 else nan
        return log(self.last / (self.first if isnan(then) else then))

    def _roll(self, at_ns: Nanos, price: float) -> tuple[Span, ...]:
        if at_ns - self.last_ns <= SILENCE_MAX:
            done = self._close(self._span(self.span_end_ns))
            self._start_span(self.span_end_ns, self.last)
            return (done,)
        return self._leap(at_ns, price, abs(log(price / self.last)), watched=False)

    def _leap(self, at_ns: Nanos, price: float, log_range: float, *, watched: bool) -> tuple[Span, ...]:
        """From the last price to this one in one span of any length, after what was left of the running minute."""
        running = self.running()
        done = () if running is None else (self._close(running),)
        leapt = Span(self.minutes_at(self.last_ns), self.minutes_at(at_ns), log_range, log(price / self.last), watched)
        if watched:
            self.watched_min += leapt.end - leapt.start
        after, before = -((self.open_ns - self.last_ns) // MINUTE), (at_ns - self.open_ns) // MINUTE
        self.boundaries[after : before + 1] = self.last
        self._start_span(at_ns, price)
        self.last = price
        self.last_ns = at_ns
        return (*done, leapt)

    def _span(self, end_ns: Nanos) -> Span:
        return Span(
            self.minutes_at(self.span_start_ns),
            self.minutes_at(end_ns),
            log(self.high / self.low),
            log(self.last / self.span_open),
            watched=True,
        )

    def _close(self, span: Span) -> Span:
        self.watched_min += span.end - span.start
        minute = int(span.start)
        if span.start == minute and span.end == minute + 1:
            self.squares[minute] = span.log_return**2
        return span

    def _start_span(self, at_ns: Nanos, price: float) -> None:
        whole, part = divmod(at_ns - self.open_ns, MINUTE)
        if part == 0:
            self.boundaries[whole] = price
        self.span_start_ns = at_ns
        self.span_end_ns = Nanos(self.open_ns + (whole + 1) * MINUTE)
        self.span_open = self.high = self.low = price
