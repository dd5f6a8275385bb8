from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_daemon.ground.new_york import eastern, eastern_clock, eastern_day, eastern_ns, eastern_zone, event_stamp
from kalshi_daemon.ground.units import HOUR, SECOND

DAYS = st.dates(date(2007, 4, 1), date(2040, 12, 31))
TIMES = st.times().filter(lambda at: not time(1) <= at < time(3))


def test_worked_instants():
    # 2026-11-23 16:00 EST is 21:00 UTC; epoch seconds by `date -u -d 2026-11-23T21:00:00 +%s`.
    assert eastern_ns(date(2026, 11, 23), time(16)) == 1_795_467_600 * SECOND
    # The CPI release of 2026-07-14 08:30 EDT, stamp taken from the release table of the market data.
    assert eastern_ns(date(2026, 7, 14), time(8, 30)) == 1_784_032_200 * SECOND


@settings(deadline=None, max_examples=200)
@given(DAYS, TIMES)
def test_there_and_back(day, at):
    ns = eastern_ns(day, at)
    assert eastern_day(ns) == day
    assert eastern(ns).replace(tzinfo=None) == datetime.combine(day, at)
    assert ns == round(datetime.combine(day, at, tzinfo=ZoneInfo("America/New_York")).timestamp() * 1e6) * 1_000


def test_a_day_with_a_clock_change_has_another_length():
    for day, hours in ((date(2026, 3, 8), 23), (date(2026, 11, 1), 25), (date(2026, 11, 2), 24)):
        noon = time(12)
        assert eastern_ns(day, noon) - eastern_ns(day - timedelta(days=1), noon) == hours * HOUR


def test_event_stamp_is_spelled_by_the_venues_rule():
    assert event_stamp(eastern_ns(date(2026, 9, 28), time(10))) == "26SEP28H1000"
    assert event_stamp(eastern_ns(date(2025, 11, 3), time(16))) == "25NOV03H1600"
    assert event_stamp(eastern_ns(date(2026, 1, 2), time(12, 30))) == "26JAN02H1230"


def test_clock_and_zone_for_people():
    assert eastern_clock(eastern_ns(date(2026, 7, 1), time(9, 35))) == "09:35:00"
    assert eastern_zone(eastern_ns(date(2026, 7, 1), time(9, 35))) == "EDT"
    assert eastern_zone(eastern_ns(date(2026, 12, 1), time(9, 35))) == "EST"
