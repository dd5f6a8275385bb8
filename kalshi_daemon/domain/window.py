"""A window: one fixing of one series, and the edges between which it may be quoted."""

from dataclasses import dataclass
from enum import StrEnum

from kalshi_daemon.domain.index import Series
from kalshi_daemon.ground.units import HOUR, Nanos


class Phase(StrEnum):
    """Where a window stands. `SHUT` is the calendar and the exchange disagreeing: never quoted."""

    UPCOMING = "upcoming"
    OPEN = "open"
    """New quotes allowed."""
    HOLD = "hold"
    """No new quotes; resting ones may stay."""
    CUTOFF = "cutoff"
    """Everything is being cancelled, then verified gone."""
    SETTLING = "settling"
    """The fixing has passed; waiting for the venue's result."""
    SETTLED = "settled"
    SHUT = "shut"


@dataclass(frozen=True, slots=True)
class Window:
    """Edges in order: opens <= new_until <= cancel_at < gone_by < target.

    opens_ns      first quotes (never before 09:35 ET, and not before the previous fixing of the series)
    new_until_ns  last instant for new quotes (T-5 min: the 55-minute cutoff of docs/reference/predecessor.md 2)
    cancel_at_ns  cancelling starts
    gone_by_ns    verified gone (T-2 min by default); also the latest expiry any order may carry
    target_ns     the fixing
    """

    series: Series
    event_ticker: str
    session: str
    """The session date in New York, YYYY-MM-DD."""
    opens_ns: Nanos
    new_until_ns: Nanos
    cancel_at_ns: Nanos
    gone_by_ns: Nanos
    target_ns: Nanos

    def phase_at(self, now_ns: Nanos) -> Phase:
        """The phase by the clock alone; the scheduler adds SHUT and SETTLED."""
        if now_ns < self.opens_ns:
            return Phase.UPCOMING
        if now_ns < self.new_until_ns:
            return Phase.OPEN
        if now_ns < self.cancel_at_ns:
            return Phase.HOLD
        if now_ns < self.target_ns:
            return Phase.CUTOFF
        return Phase.SETTLING


@dataclass(frozen=True, slots=True)
class WindowStatus:
    """A window and what the scheduler last decided about it."""

    window: Window
    phase: Phase
    reason: str = ""
    """Why it is SHUT, with both sides' values; "" otherwise."""


@dataclass(frozen=True, slots=True)
class Session:
    """One day of the exchange calendar (XNYS). `close_ns` is 13:00 ET on half days."""

    day: str
    """YYYY-MM-DD, New York."""
    open_ns: Nanos
    close_ns: Nanos
    half_day: bool

    @property
    def full_hours(self) -> tuple[Nanos, ...]:
        """Each full hour after the open, the close among them where it is one. New York's are UTC's too."""
        return tuple(map(Nanos, range(self.open_ns // HOUR * HOUR + HOUR, self.close_ns + 1, HOUR)))
