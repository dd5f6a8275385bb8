"""The sessions of the exchange calendar (XNYS) as a small plain table.

`exchange_calendars` is read once, with an explicit end, and never touched again: its pandas objects are slow to ask and
its default end is silent (docs/reference/feed.md 5). For the years of `calendar_file` it is not even imported. Beyond
`end_ns` the table knows nothing, and nothing is traded there.
"""

import warnings
from bisect import bisect_right
from collections.abc import Sequence
from datetime import date, time, timedelta
from itertools import pairwise

from kalshi_daemon.domain.window import Session
from kalshi_daemon.ground.errors import ConfigurationError
from kalshi_daemon.ground.new_york import eastern_day, eastern_ns
from kalshi_daemon.ground.units import Nanos
from kalshi_daemon.windows.calendar_file import REGULAR_CLOSE, SessionRow, known_rows

_MARGIN = timedelta(days=10)
"""The library refuses spans without any session, so a long week-end is asked for with room on both sides."""


class SessionTable:
    """Sessions in order of time, between `start_ns` and `end_ns`. Immutable."""

    def __init__(self, sessions: Sequence[Session], *, start_ns: Nanos, end_ns: Nanos) -> None:
        assert all(a.close_ns < b.open_ns for a, b in pairwise(sessions)), "sessions overlap"
        self.sessions = tuple(sessions)
        self.start_ns = start_ns
        """Midnight ET before the first day the table speaks for."""
        self.end_ns = end_ns
        """Midnight ET after the last day the table speaks for; from here on nothing is traded."""
        self._opens = [session.open_ns for session in self.sessions]
        self._by_day = {session.day: session for session in self.sessions}

    def covers(self, ns: Nanos) -> bool:
        """Whether the table knows about this instant at all; False must be read as a refusal, not as a holiday."""
        return self.start_ns <= ns < self.end_ns

    def session_of(self, ns: Nanos) -> Session | None:
        """The session containing this instant: open <= ns < close. None outside, on holidays and beyond the table."""
        at = bisect_right(self._opens, ns) - 1
        if at < 0 or not self.covers(ns):
            return None
        session = self.sessions[at]
        return session if ns < session.close_ns else None

    def session_on(self, day: date | str) -> Session | None:
        """The session of a New York date, or None on a day without one (or beyond the table)."""
        return self._by_day.get(day if isinstance(day, str) else day.isoformat())

    def next_session(self, ns: Nanos) -> Session | None:
        """The first session that opens strictly after this instant, or None when the table ends before it."""
        at = bisect_right(self._opens, ns)
        return self.sessions[at] if at < len(self.sessions) else None

    def current_or_next(self, ns: Nanos, linger_ns: Nanos) -> Session | None:
        """The first session whose close plus `linger_ns` lies after this instant: the one to look at now."""
        for session in self.sessions[max(0, bisect_right(self._opens, ns) - 1) :]:
            if ns < session.close_ns + linger_ns:
                return session
        return None

    def holidays(self, first: date, last: date) -> tuple[date, ...]:
        """Weekdays without a session from `first` to `last`, inclusive, as far as the table reaches."""
        days = (first + timedelta(days=n) for n in range((last - first).days + 1))
        return tuple(
            day
            for day in days
            if day.weekday() < 5 and self.session_on(day) is None and self.covers(eastern_ns(day, time(12)))  # noqa: PLR2004 - Monday..Friday
        )


def load_sessions(first: date, last: date) -> SessionTable:
    """Read the calendar from `first` to `last`, both included (New York dates).

    Takes a millisecond where `calendar_file` speaks for the library, else about a second (pandas): call it before the
    loop starts. Raises ConfigurationError when the span is reversed or the calendar cannot give it.
    """
    if last < first:
        raise ConfigurationError("calendar", f"{first} .. {last} is not a span of days", "the first day comes first")
    rows = known_rows(first, last)
    if rows is None:
        rows = rows_of_the_library(first, last)
    return SessionTable(
        tuple(_session(day, open_ns, close_ns) for day, open_ns, close_ns in rows if first <= day <= last),
        start_ns=eastern_ns(first, time(0)),
        end_ns=eastern_ns(last + timedelta(days=1), time(0)),
    )


def load_sessions_ahead(now_ns: Nanos, days: int) -> SessionTable:
    """The table a daemon starts with: from three weeks back (what a model may have missed) to `days` ahead."""
    today = eastern_day(now_ns)
    return load_sessions(today - timedelta(days=21), today + timedelta(days=days))


def rows_of_the_library(first: date, last: date) -> list[SessionRow]:
    """What `exchange_calendars` itself says of these days (and some around them).

    Raises ConfigurationError when it cannot give the span.
    """
    import exchange_calendars  # noqa: PLC0415 - 0.7 s and 65 MB: only for those whom the file does not serve

    try:
        # Deprecation notices of pandas inside the library are not ours to act on.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            calendar = exchange_calendars.get_calendar(
                "XNYS", start=(first - _MARGIN).isoformat(), end=(last + _MARGIN).isoformat()
            )
            schedule = calendar.schedule
    except (ValueError, OverflowError, exchange_calendars.errors.CalendarError) as error:
        raise ConfigurationError("calendar", f"XNYS cannot give {first} .. {last}: {_first_line(error)}") from error
    return [
        (day.date(), Nanos(int(row_open.value)), Nanos(int(row_close.value)))
        for day, row_open, row_close in zip(schedule.index, schedule["open"], schedule["close"], strict=True)
    ]


def _session(day: date, open_ns: Nanos, close_ns: Nanos) -> Session:
    return Session(day.isoformat(), open_ns, close_ns, half_day=close_ns < eastern_ns(day, REGULAR_CLOSE))


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0][:160]
