from datetime import date, time

import pytest

from kalshi_daemon.domain.window import Session, Window
from kalshi_daemon.ground.new_york import eastern_ns
from kalshi_daemon.ground.units import HOUR, MINUTE, Nanos
from kalshi_daemon.settings.model import WindowSettings
from kalshi_daemon.state import VenueState
from kalshi_daemon.windows.table import Listing, agree, build_windows, listings
from tests.support.instruments import KXINX, KXINXU
from tests.windows.listings import put_listed

DAY = date(2026, 11, 27)


@pytest.fixture
def half_day() -> Session:
    return Session(DAY.isoformat(), eastern_ns(DAY, time(9, 30)), eastern_ns(DAY, time(13)), half_day=True)


@pytest.fixture
def window(half_day) -> Window:
    return build_windows(half_day, WindowSettings(), [KXINXU])[-1]


def judge(window, venue, session) -> str:
    return agree(window, listings([window], venue.events, venue.markets)[window.event_ticker], session)


def test_a_listed_event_that_closes_at_our_fixing_agrees(window, half_day):
    venue = VenueState()
    put_listed(venue, window)
    assert judge(window, venue, half_day) == ""


def test_an_event_that_is_not_listed_disagrees(window, half_day):
    assert judge(window, VenueState(), half_day) == (
        "KXINXU-26NOV27H1300 expected at 2026-11-27 13:00:00 ET, not listed"
    )


def test_an_event_without_a_readable_market_disagrees(window, half_day):
    venue = VenueState(events={window.event_ticker: ()})
    assert judge(window, venue, half_day) == "KXINXU-26NOV27H1300 is listed without a market we can read"
    venue.events[window.event_ticker] = ("KXINXU-26NOV27H1300-T1",)
    assert "without a market we can read" in judge(window, venue, half_day), "listed, but refused by discovery"


@pytest.mark.parametrize("shift", [Nanos(-HOUR), Nanos(-1)])
def test_a_market_that_closes_at_another_instant_disagrees_with_both_values(window, half_day, shift):
    venue = VenueState()
    put_listed(venue, window, Nanos(window.target_ns + shift))
    reason = judge(window, venue, half_day)
    assert reason.startswith("KXINXU-26NOV27H1300-T7844.9999 closes at 2026-11-27 12:")
    assert reason.endswith("expected 2026-11-27 13:00:00 ET")


def test_one_market_among_many_with_another_close_is_enough(window, half_day):
    venue = VenueState()
    put_listed(venue, window, Nanos(window.target_ns - MINUTE), event_ticker="KXINXU-26NOV27H1259")
    odd = venue.events.pop("KXINXU-26NOV27H1259")
    put_listed(venue, window)
    venue.events[window.event_ticker] += odd
    assert "KXINXU-26NOV27H1259-T7844.9999 closes at 2026-11-27 12:59:00 ET" in judge(window, venue, half_day)


def test_a_listing_beyond_our_close_means_the_exchange_believes_in_a_longer_day(window, half_day):
    venue = VenueState()
    put_listed(venue, window)
    put_listed(venue, window, eastern_ns(DAY, time(14)), event_ticker="KXINXU-26NOV27H1400")
    assert judge(window, venue, half_day) == (
        "calendar closes at 2026-11-27 13:00:00 ET, exchange lists KXINXU until 2026-11-27 14:00:00 ET"
    )


def test_events_of_other_days_other_series_and_half_hours_contradict_nothing(window, half_day):
    venue = VenueState()
    put_listed(venue, window)
    monday = date(2026, 11, 30)
    put_listed(venue, window, eastern_ns(monday, time(16)), event_ticker="KXINXU-26NOV30H1600")
    put_listed(venue, window, eastern_ns(DAY, time(10, 30)), event_ticker="KXINXU-26NOV27H1030")
    (close,) = build_windows(half_day, WindowSettings(), [KXINX])
    put_listed(venue, close, eastern_ns(DAY, time(16)), event_ticker="KXINX-26NOV27H1600")
    assert judge(window, venue, half_day) == ""
    assert "exchange lists KXINX until 2026-11-27 16:00:00 ET" in judge(close, venue, half_day)


def test_listings_know_nothing_when_nothing_is_listed(window):
    assert listings([window], {}, {}) == {window.event_ticker: Listing(None, None)}
    assert listings([], {"KXINXU-26NOV27H1300": ()}, {}) == {}


def test_the_latest_close_is_that_of_the_sessions_own_date(window):
    venue = VenueState()
    for hour, minute in ((11, 0), (13, 0), (12, 0)):
        at = eastern_ns(DAY, time(hour, minute))
        put_listed(venue, window, at, event_ticker=f"KXINXU-26NOV27H{hour}00")
    for other in (eastern_ns(date(2026, 11, 28), time(0)), Nanos(eastern_ns(DAY, time(0)) - 1)):
        put_listed(venue, window, other, event_ticker=f"KXINXU-{other}")
    found = listings([window], venue.events, venue.markets)[window.event_ticker]
    assert found.latest_close_ns == eastern_ns(DAY, time(13))
