"""The calendar beside the code says what the library says, and steps back when it cannot speak for it."""

from datetime import date, timedelta

import orjson
import pytest

from kalshi_daemon.ground.new_york import eastern_day
from kalshi_daemon.windows import calendar_file, sessions
from kalshi_daemon.windows.calendar_file import FILE, known_rows
from kalshi_daemon.windows.sessions import load_sessions, rows_of_the_library

WRITTEN = orjson.loads(FILE.read_bytes())
FIRST, LAST = date.fromisoformat(WRITTEN["first"]), date.fromisoformat(WRITTEN["last"])


def test_the_file_is_the_libraries_answer_to_the_nanosecond():
    rows = known_rows(FIRST, LAST)
    assert rows is not None, "the lock has another version than xnys.json: run scripts/write_calendar.py"
    assert rows == [row for row in rows_of_the_library(FIRST, LAST) if FIRST <= row[0] <= LAST]
    assert len(rows) == 7039


def test_a_start_does_not_ask_the_library(monkeypatch):
    monkeypatch.setattr(sessions, "rows_of_the_library", lambda *_: pytest.fail("asked"))
    table = load_sessions(date(2026, 11, 2), date(2027, 12, 31))
    assert [s.day for s in table.sessions if s.half_day] == ["2026-11-27", "2026-12-24", "2027-11-26"]
    assert eastern_day(table.end_ns) == date(2028, 1, 1)


@pytest.mark.parametrize("span", [(FIRST - timedelta(days=1), LAST), (FIRST, LAST + timedelta(days=1))])
def test_outside_its_years_it_knows_nothing(span):
    assert known_rows(*span) is None


def test_another_version_of_the_library_is_asked_itself(monkeypatch):
    monkeypatch.setattr(calendar_file, "version", lambda _: "4.99")
    assert known_rows(FIRST, LAST) is None
    monkeypatch.setattr(sessions, "rows_of_the_library", lambda *_: [])
    assert load_sessions(date(2026, 11, 23), date(2026, 11, 24)).sessions == ()
