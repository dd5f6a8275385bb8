import csv
from datetime import date, time, timedelta

import pytest

from kalshi_daemon.domain.window import Session
from kalshi_daemon.ground.errors import ConfigurationError
from kalshi_daemon.ground.new_york import eastern_day, eastern_ns
from kalshi_daemon.ground.units import HOUR, MINUTE, SECOND, Nanos
from kalshi_daemon.windows.sessions import SessionTable, load_sessions, load_sessions_ahead
from tests.support.data import data_dir

HALF_DAYS_2025_2027 = ["2025-07-03", "2025-11-28", "2025-12-24", "2026-11-27", "2026-12-24", "2027-11-26"]
HOLIDAYS_2026_2027 = [
    "2026-01-01",
    "2026-01-19",
    "2026-02-16",
    "2026-04-03",
    "2026-05-25",
    "2026-06-19",
    "2026-07-03",
    "2026-09-07",
    "2026-11-26",
    "2026-12-25",
    "2027-01-01",
    "2027-01-18",
    "2027-02-15",
    "2027-03-26",
    "2027-05-31",
    "2027-06-18",
    "2027-07-05",
    "2027-09-06",
    "2027-11-25",
    "2027-12-24",
]


def at(day: str, hour: int, minute: int = 0) -> Nanos:
    return eastern_ns(date.fromisoformat(day), time(hour, minute))


def test_holidays_and_half_days_of_two_years(sessions):
    half = [s.day for s in sessions.sessions if s.half_day and "2025" <= s.day < "2028"]
    assert half == HALF_DAYS_2025_2027
    found = sessions.holidays(date(2026, 1, 1), date(2027, 12, 31))
    assert [day.isoformat() for day in found] == HOLIDAYS_2026_2027


def test_every_session_opens_at_0930_and_closes_at_1600_or_1300(sessions):
    for session in sessions.sessions:
        assert session.open_ns == at(session.day, 9, 30)
        assert session.close_ns == at(session.day, 13 if session.half_day else 16)


def test_defect_02_nothing_outside_sessions_overnight_and_on_holidays(sessions):
    # The predecessor traded at 04:28 and 18:58 ET, and did nothing on Veterans Day, when the exchange is open.
    assert sessions.session_of(at("2025-11-14", 4, 28)) is None
    assert sessions.session_of(at("2025-11-13", 18, 58)) is None
    assert sessions.session_of(at("2025-11-15", 12)) is None, "Saturday"
    assert sessions.session_of(at("2026-11-26", 12)) is None, "Thanksgiving"
    assert sessions.session_of(at("2026-11-27", 13, 0)) is None, "half day, 13:00"
    for veterans_day in ("2025-11-11", "2026-11-11", "2027-11-11"):
        found = sessions.session_of(at(veterans_day, 12))
        assert found is not None
        assert found.day == veterans_day


def test_a_session_contains_its_open_and_not_its_close(sessions):
    open_ns, close_ns = at("2026-11-23", 9, 30), at("2026-11-23", 16)
    assert sessions.session_of(Nanos(open_ns - 1)) is None
    assert sessions.session_of(open_ns) is not None
    assert sessions.session_of(Nanos(close_ns - 1)) is not None
    assert sessions.session_of(close_ns) is None


def test_every_hour_of_four_years_is_in_the_session_of_its_date_or_in_none(sessions):
    by_day = {session.day: session for session in sessions.sessions}
    ns = sessions.start_ns
    while ns < sessions.end_ns:
        session = by_day.get(eastern_day(ns).isoformat())
        inside = session is not None and session.open_ns <= ns < session.close_ns
        assert sessions.session_of(ns) == (session if inside else None)
        ns = Nanos(ns + 30 * MINUTE)


def test_next_session_is_strictly_later(sessions):
    thanksgiving_eve = at("2026-11-25", 17)
    found = sessions.next_session(thanksgiving_eve)
    assert found is not None
    assert found.day == "2026-11-27"
    first = sessions.session_on("2026-11-27")
    assert sessions.next_session(first.open_ns).day == "2026-11-30"
    assert sessions.next_session(sessions.sessions[-1].open_ns) is None


def test_current_or_next_lingers_after_the_close(sessions):
    close = at("2026-11-25", 16)
    assert sessions.current_or_next(Nanos(close + HOUR), Nanos(3 * HOUR)).day == "2026-11-25"
    assert sessions.current_or_next(Nanos(close + 3 * HOUR), Nanos(3 * HOUR)).day == "2026-11-27"
    assert sessions.current_or_next(at("2026-11-25", 5), Nanos(0)).day == "2026-11-25"
    assert sessions.current_or_next(sessions.end_ns, Nanos(0)) is None


def test_beyond_the_end_the_table_knows_nothing():
    short = load_sessions(date(2026, 11, 23), date(2026, 11, 24))
    assert short.session_of(at("2026-11-24", 12)) is not None
    assert not short.covers(at("2026-11-25", 0))
    assert short.session_of(at("2026-11-25", 12)) is None, "a regular Wednesday, but not in the table"
    assert short.holidays(date(2026, 11, 23), date(2026, 11, 30)) == (), "unknown days are not holidays"
    # A session object inside the list but past the end is refused all the same.
    whole = short.sessions
    cut = SessionTable(whole, start_ns=short.start_ns, end_ns=Nanos(whole[1].open_ns + SECOND))
    assert cut.session_of(Nanos(whole[1].open_ns + 2 * SECOND)) is None


def test_a_span_without_sessions_is_an_empty_table():
    for day in (date(2026, 11, 26), date(2026, 11, 28)):
        table = load_sessions(day, day)
        assert table.sessions == ()
        assert table.session_of(eastern_ns(day, time(12))) is None
        assert table.next_session(table.start_ns) is None


def test_the_daemons_table_reaches_back_three_weeks_and_ahead_as_configured():
    table = load_sessions_ahead(at("2026-11-23", 9), 400)
    assert table.start_ns == at("2026-11-02", 0)
    assert eastern_day(table.end_ns) == date(2026, 11, 23) + timedelta(days=401)


def test_impossible_spans_are_configuration_errors():
    with pytest.raises(ConfigurationError, match="not a span of days"):
        load_sessions(date(2026, 11, 24), date(2026, 11, 23))
    for year in (2300, 9999):
        with pytest.raises(ConfigurationError, match="XNYS cannot give"):
            load_sessions(date(year, 12, 1), date(year, 12, 31))


def test_overlapping_sessions_are_a_bug():
    one = Session("2026-11-23", at("2026-11-23", 9, 30), at("2026-11-23", 16), half_day=False)
    with pytest.raises(AssertionError):
        SessionTable((one, one), start_ns=Nanos(0), end_ns=at("2026-11-24", 0))


@pytest.mark.data
def test_calendar_agrees_with_the_collected_one():
    folder = data_dir()
    if folder is None:
        pytest.skip("market data not present (KALSHI_DAEMON_DATA)")
    calendar = folder / "calendar"
    with (calendar / "nyse_full_holidays_2008_2027.csv").open() as file:
        holidays = {date.fromisoformat(line.strip()) for line in file if line[:1].isdigit()}
    with (calendar / "nyse_early_closes_2008_2027.csv").open() as file:
        early = {row["date"]: row["close_et"] for row in csv.DictReader(file)}
    table = load_sessions(date(2008, 1, 1), date(2027, 12, 31))
    assert set(table.holidays(date(2008, 1, 1), date(2027, 12, 31))) == holidays
    assert {s.day for s in table.sessions if s.half_day} == set(early)
    assert set(early.values()) == {"13:00"}
