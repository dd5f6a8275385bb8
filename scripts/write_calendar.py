"""Writes kalshi_daemon/windows/xnys.json from the installed exchange_calendars: run after its version was raised."""

import sys
from datetime import UTC, date, datetime, time, timedelta
from importlib.metadata import version
from zoneinfo import ZoneInfo

import orjson

from kalshi_daemon.windows.calendar_file import FILE, PACKAGE, REGULAR_CLOSE, REGULAR_OPEN
from kalshi_daemon.windows.sessions import rows_of_the_library

FIRST, LAST = date(2008, 1, 1), date(2035, 12, 31)
_NEW_YORK = ZoneInfo("America/New_York")
_SATURDAY = 5


def main() -> int:
    """Write the file; refuses a calendar whose days do not open at 9:30, which the file has no word for."""
    rows = [row for row in rows_of_the_library(FIRST, LAST) if FIRST <= row[0] <= LAST]
    late = [str(day) for day, open_ns, _ in rows if _clock(open_ns) != REGULAR_OPEN]
    if late:
        print(f"write_calendar: days that do not open at {REGULAR_OPEN}: {', '.join(late)}", file=sys.stderr)
        return 1
    sessions = {day for day, _, _ in rows}
    weekdays = (day for n in range((LAST - FIRST).days + 1) if (day := FIRST + timedelta(days=n)).weekday() < _SATURDAY)
    document = {
        "package": PACKAGE,
        "version": version(PACKAGE),
        "calendar": "XNYS",
        "first": FIRST.isoformat(),
        "last": LAST.isoformat(),
        "closed": [day.isoformat() for day in weekdays if day not in sessions],
        "early_closes": {
            day.isoformat(): _clock(close_ns).strftime("%H:%M")
            for day, _, close_ns in rows
            if _clock(close_ns) != REGULAR_CLOSE
        },
    }
    FILE.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    print(f"{FILE}: {len(rows)} sessions, {len(document['closed'])} weekdays closed, version {document['version']}")
    return 0


def _clock(ns: int) -> time:
    return datetime.fromtimestamp(ns / 1e9, UTC).astimezone(_NEW_YORK).time()


if __name__ == "__main__":
    sys.exit(main())
