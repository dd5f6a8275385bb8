"""New York dates and times as nanoseconds and back. Every rule of the venue and of the runbook is written in ET."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from kalshi_daemon.ground.units import SECOND, Nanos

NEW_YORK: Final = ZoneInfo("America/New_York")

_MONTHS: Final = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def eastern_ns(day: date, at: time) -> Nanos:
    """The instant of a New York wall time. Never used in the hour a clock change skips or repeats (01:00..03:00)."""
    since = datetime.combine(day, at, tzinfo=NEW_YORK) - _EPOCH
    return Nanos((since.days * 86_400 + since.seconds) * SECOND + since.microseconds * 1_000)


def eastern_midnights(day: date) -> tuple[Nanos, Nanos]:
    """A New York day as instants: its midnight, included, and the next one, not included."""
    return eastern_ns(day, time()), eastern_ns(day + timedelta(days=1), time())


def eastern(ns: Nanos) -> datetime:
    """The New York wall time of an instant, to the microsecond below."""
    return (_EPOCH + timedelta(microseconds=ns // 1_000)).astimezone(NEW_YORK)


def eastern_day(ns: Nanos) -> date:
    """The New York date of an instant."""
    return eastern(ns).date()


def eastern_clock(ns: Nanos) -> str:
    """HH:MM:SS in New York, for people."""
    return eastern(ns).strftime("%H:%M:%S")


def eastern_zone(ns: Nanos) -> str:
    """EST or EDT."""
    return eastern(ns).tzname() or ""


def event_stamp(ns: Nanos) -> str:
    """The date and hour inside an event ticker, ET: "26NOV23H1600" (docs/reference/venue.md 7)."""
    at = eastern(ns)
    # Month names are spelled here because strftime would follow the machine's locale.
    return f"{at:%y}{_MONTHS[at.month - 1]}{at:%d}H{at:%H%M}"
