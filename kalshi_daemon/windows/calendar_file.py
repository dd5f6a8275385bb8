"""The exchange calendar as a file beside the code: what `exchange_calendars` says, read without it.

The library costs a second and 65 MB at each start (pandas). Its answer for the years below is kept in `xnys.json` with
the version it came from, and stands for the library as long as that very version is installed: an upgrade that knows a
new closing is asked itself. `scripts/write_calendar.py` writes the file, a test holds it equal to the library.
"""

from datetime import date, time, timedelta
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import orjson

from kalshi_daemon.ground.new_york import eastern_ns
from kalshi_daemon.ground.units import Nanos

PACKAGE: Final = "exchange-calendars"
FILE: Final = Path(__file__).with_name("xnys.json")
REGULAR_OPEN: Final = time(9, 30)
REGULAR_CLOSE: Final = time(16, 0)
_SATURDAY: Final = 5

type SessionRow = tuple[date, Nanos, Nanos]
"""A New York date with its open and close in nanoseconds UTC."""


def known_rows(first: date, last: date) -> list[SessionRow] | None:
    """The sessions from `first` to `last`, both included; None where the file does not speak for the library.

    That is: another version is installed than the file came from, or the span leaves the file's years.
    """
    try:
        installed = version(PACKAGE)
    except PackageNotFoundError:
        return None
    document = orjson.loads(FILE.read_bytes())
    in_years = document["first"] <= first.isoformat() <= last.isoformat() <= document["last"]
    if installed != document["version"] or not in_years:
        return None
    closed, early = frozenset(document["closed"]), document["early_closes"]
    days = (first + timedelta(days=n) for n in range((last - first).days + 1))
    return [
        (day, eastern_ns(day, REGULAR_OPEN), eastern_ns(day, _close(early.get(day.isoformat()))))
        for day in days
        if day.weekday() < _SATURDAY and day.isoformat() not in closed
    ]


def _close(early: str | None) -> time:
    return REGULAR_CLOSE if early is None else time.fromisoformat(early)
