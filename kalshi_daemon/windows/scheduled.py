"""What the day's releases do to the variance of a session: the calendar's dates with the model's measured effects."""

from collections.abc import Mapping

from kalshi_daemon.calibration.constants import EventEffect
from kalshi_daemon.calibration.session_curve import VarianceEvent
from kalshi_daemon.domain.window import Session
from kalshi_daemon.windows.releases import MacroCalendar


class ReleaseEvents:
    """Callable as the calibration wants it: a session in, its events out.

    effects: by kind of release; a kind without one does nothing. A release of the same morning counts from its own
    minute on, so what 08:30 figures still do after the open is part of their effect.
    """

    def __init__(self, calendar: MacroCalendar, effects: Mapping[str, EventEffect]) -> None:
        self._calendar = calendar
        self._effects = effects

    def __call__(self, session: Session) -> tuple[VarianceEvent, ...]:
        return tuple(
            VarianceEvent(one.at_ns, self._effects[one.event])
            for one in self._calendar.events_for(session.day)
            if one.event in self._effects
        )
