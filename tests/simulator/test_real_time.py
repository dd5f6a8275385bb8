"""The session around the present instant."""

import argparse
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshi_daemon.cli import simulate_exchange
from kalshi_daemon.domain.index import Index
from kalshi_daemon.ground.errors import ConfigurationError
from kalshi_daemon.ground.new_york import NEW_YORK
from kalshi_daemon.ground.units import HOUR, MINUTE, SECOND, Nanos
from kalshi_daemon.simulator.time.real_time import listing_until, session_around
from tests.support.instruments import GEOMETRY

SPOT = {Index.SPX: 6_850.3, Index.NDX: 25_204.0}


@given(st.integers(1_767_225_600, 1_830_297_600))
def test_the_next_full_hour_is_a_fixing_whatever_the_instant(second):
    now = Nanos(second * SECOND)
    session = session_around(now)
    assert 30 * MINUTE <= now - session.open_ns < 90 * MINUTE
    assert session.close_ns - session.open_ns == 390 * MINUTE, "as long as a trading day"
    assert session.day == datetime.fromtimestamp(second, NEW_YORK).date().isoformat()


def test_what_is_listed_runs_from_the_next_hour_to_the_close():
    now = Nanos(1_796_000_000 * SECOND)
    session = session_around(now)
    events = listing_until(session, SPOT, GEOMETRY).events
    hourly = [event for event in events if event.series_ticker == "KXINXU"]
    assert [(event.settles_ns - now) // HOUR for event in hourly] == [0, 1, 2, 3, 4, 5]
    assert [len(event.markets) for event in hourly] == [400] * 5 + [60]
    assert len({event.ticker for event in events}) == len(events) == 14
    assert all(market.open_ns <= now < market.close_ns for event in events for market in event.markets)
    assert [event.settles_ns for event in events[-2:]] == [session.close_ns] * 2


@pytest.mark.parametrize(
    "more",
    [["--speed", "2"], ["--session-date", "2026-11-23"], ["--from", "10:00"], ["--hold", "1"], ["--until", "15:00"]],
)
def test_the_machines_clock_leaves_no_choice_of_day_and_speed(more):
    parser = argparse.ArgumentParser()
    simulate_exchange.add_parser(parser.add_subparsers())
    with pytest.raises(ConfigurationError, match=more[0]) as caught:
        simulate_exchange.run(parser.parse_args(["simulate-exchange", "--real-clock", *more]))
    assert "--real-clock" in str(caught.value)
