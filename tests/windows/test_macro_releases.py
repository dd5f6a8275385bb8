import csv
from datetime import date, time, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kalshi_daemon.ground.new_york import eastern_ns
from kalshi_daemon.ground.units import DAY, HOUR, MINUTE, SECOND, Nanos
from kalshi_daemon.windows.releases import (
    SHIPPED_COMPLETE_UNTIL,
    MacroCalendar,
    Release,
    jobless_claims,
    release,
    shipped_releases,
)
from tests.support.data import data_dir

BEFORE, AFTER = Nanos(60 * SECOND), Nanos(300 * SECOND)
CALENDAR = MacroCalendar()
STATEMENT = eastern_ns(date(2026, 12, 9), time(14))


def test_an_fomc_afternoon_by_hand():
    assert [one.event for one in CALENDAR.events_for("2026-12-09")] == ["FOMC_STATEMENT", "FOMC_PRESS"]
    cases = [
        (-60 * SECOND - 1, ""),
        (-60 * SECOND, "FOMC_STATEMENT"),
        (0, "FOMC_STATEMENT"),
        (300 * SECOND, "FOMC_STATEMENT"),
        (300 * SECOND + 1, ""),
        (29 * MINUTE, "FOMC_PRESS"),
        (35 * MINUTE, "FOMC_PRESS"),
        (35 * MINUTE + 1, ""),
    ]
    for offset, event in cases:
        near = CALENDAR.release_near(Nanos(STATEMENT + offset), BEFORE, AFTER)
        assert (near.event if near else "") == event, offset


def test_the_nearest_of_two_releases_is_named():
    near = CALENDAR.release_near(Nanos(STATEMENT + 16 * MINUTE), Nanos(HOUR), Nanos(HOUR))
    assert near == Release(Nanos(STATEMENT + 30 * MINUTE), "FOMC_PRESS", "2026-12-09")


def test_events_of_a_day_include_weekly_claims_and_are_in_order():
    assert [one.event for one in CALENDAR.events_for(date(2026, 12, 10))] == ["CPI", "JOBLESS_CLAIMS"]
    assert CALENDAR.events_for("2026-11-23") == ()


def test_claims_come_on_thursdays_or_on_wednesday_before_a_holiday():
    assert jobless_claims(date(2026, 11, 19)) is not None
    assert jobless_claims(date(2026, 11, 26)) is None, "Thanksgiving"
    assert jobless_claims(date(2026, 11, 25)) is not None
    assert jobless_claims(date(2026, 11, 24)) is None
    for holiday in (date(2026, 1, 1), date(2025, 6, 19), date(2027, 11, 11)):
        assert jobless_claims(holiday) is None
        assert jobless_claims(holiday - timedelta(days=1)) is not None
    assert jobless_claims(date(2027, 11, 18)) == release("JOBLESS_CLAIMS", date(2027, 11, 18), time(8, 30))


@settings(deadline=None, max_examples=60)
@given(st.dates(date(2024, 1, 1), date(2030, 12, 20)))
def test_every_week_has_exactly_one_claims_report(day):
    monday = day - timedelta(days=day.weekday())
    assert len([n for n in range(7) if jobless_claims(monday + timedelta(days=n))]) == 1


def test_beyond_the_table_the_answer_is_a_release_named_exhausted_never_none():
    new_year = eastern_ns(date(2028, 1, 3), time(12))
    near = CALENDAR.release_near(new_year, BEFORE, AFTER)
    assert near is not None
    assert near.event == "calendar exhausted: FOMC_STATEMENT, FOMC_PRESS, FOMC_MINUTES"
    assert near.at_ns == new_year
    before = CALENDAR.release_near(eastern_ns(date(2020, 6, 1), time(12)), BEFORE, AFTER)
    assert before is not None
    assert before.event.startswith("calendar exhausted")


def test_a_morning_release_of_unknown_date_matters_only_when_felt_in_the_session():
    # The 08:30 lists end with 2026. With the default five minutes they cannot reach 09:30.
    january = eastern_ns(date(2027, 1, 12), time(12))
    assert CALENDAR.exhausted(january, AFTER) == ()
    assert CALENDAR.release_near(january, BEFORE, AFTER) is None
    assert CALENDAR.exhausted(january, Nanos(HOUR)) == ("CPI", "NFP")
    assert CALENDAR.exhausted(january, Nanos(HOUR - 1)) == ()


def test_the_operator_adds_releases_and_completes_lists():
    extra = release("CPI", date(2027, 1, 13), time(8, 30))
    surprise = release("EMERGENCY", date(2027, 1, 12), time(11))
    mine = MacroCalendar([extra, surprise], {"CPI": date(2027, 12, 31), "FOMC_PRESS": date(2020, 1, 1)})
    assert mine.events_for("2027-01-13") == (extra,)
    assert mine.exhausted(extra.at_ns, Nanos(HOUR)) == ("NFP",)
    assert mine.complete_until["FOMC_PRESS"] == SHIPPED_COMPLETE_UNTIL["FOMC_PRESS"], "an end never moves back"
    assert mine.release_near(surprise.at_ns, BEFORE, AFTER) == surprise


def test_an_operators_own_kind_with_an_end_is_exhausted_after_it():
    mine = MacroCalendar((), {"ISM": date(2026, 12, 31)})
    assert "ISM" in mine.exhausted(eastern_ns(date(2027, 2, 1), time(10)), AFTER)


@settings(deadline=None, max_examples=150)
@given(
    st.integers(int(eastern_ns(date(2025, 1, 1), time(0))), int(eastern_ns(date(2026, 12, 31), time(0)))),
    st.integers(0, int(DAY)),
    st.integers(0, int(HOUR) - 1),
)
@example(int(eastern_ns(date(2026, 12, 31), time(0))), int(DAY), 1)  # the day of the claims lies between both ends
def test_release_near_agrees_with_a_plain_search(now, before, after):
    day = date(2025, 1, 1)
    every = list(shipped_releases())
    while day <= date(2027, 1, 3):
        weekly = jobless_claims(day)
        every.extend([weekly] if weekly else [])
        day += timedelta(days=1)
    near = [one for one in every if one.at_ns - before <= now <= one.at_ns + after]
    found = CALENDAR.release_near(Nanos(now), Nanos(before), Nanos(after))
    if not near:
        assert found is None
    else:
        assert found is not None
        assert abs(found.at_ns - now) == min(abs(one.at_ns - now) for one in near)


def test_minutes_come_three_weeks_after_the_statement_unless_that_is_a_holiday():
    found = {one.day for one in shipped_releases() if one.event == "FOMC_MINUTES"}
    assert {"2021-01-06", "2025-01-08", "2024-11-26", "2025-12-30", "2026-12-30"} <= found
    assert not {"2024-11-28", "2025-12-31"} & found


def test_shipped_figures_are_weekdays_and_fomc_days_have_both_parts():
    statements = {one.day for one in shipped_releases() if one.event == "FOMC_STATEMENT"}
    assert statements == {one.day for one in shipped_releases() if one.event == "FOMC_PRESS"}
    for one in shipped_releases():
        assert date.fromisoformat(one.day).weekday() < 5
    for year in range(2021, 2028):
        assert len([day for day in statements if day.startswith(str(year))]) == 8


@pytest.mark.data
def test_shipped_figures_agree_with_the_collected_table():
    folder = data_dir()
    if folder is None:
        pytest.skip("market data not present (KALSHI_DAEMON_DATA)")
    kinds = ("CPI", "NFP", "FOMC_STATEMENT", "FOMC_PRESS")
    with (folder / "calendar" / "us_macro_releases_2021_2026.csv").open() as file:
        collected = {
            (row["event"], Nanos(int(row["ts_utc"]) * SECOND)) for row in csv.DictReader(file) if row["event"] in kinds
        }
    shipped = {(one.event, one.at_ns) for one in shipped_releases() if one.day < "2027" and one.event in kinds}
    assert shipped == collected


@settings(max_examples=60, deadline=None)
@given(
    start=st.integers(min_value=0, max_value=1460 * 24 * 60),
    steps=st.lists(
        st.one_of(st.integers(min_value=-90, max_value=90), st.integers(min_value=-3000, max_value=3000)), max_size=30
    ),
    offset_ns=st.sampled_from((-1, 0, 1)),
)
def test_an_answer_that_is_kept_is_the_one_a_new_calendar_gives(start, steps, offset_ns):
    calendar = MacroCalendar()
    at = eastern_ns(date(2024, 1, 2), time()) + start * MINUTE
    for step in (0, *steps):
        at += step * MINUTE
        asked = Nanos(at + offset_ns), BEFORE, AFTER
        found, fresh = calendar.release_near(*asked), MacroCalendar().release_near(*asked)
        assert found == fresh
        assert calendar.release_near(asked[0], Nanos(HOUR), Nanos(HOUR)) == MacroCalendar().release_near(
            asked[0], Nanos(HOUR), Nanos(HOUR)
        )
