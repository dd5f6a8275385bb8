"""Several days in one process: the world goes on from day to day, and growth is a finding."""

from types import SimpleNamespace
from typing import Any

import pytest

from kalshi_daemon.domain.index import Index
from kalshi_daemon.ground.clock import ManualClock
from kalshi_daemon.ground.units import HOUR, SECOND, Nanos
from kalshi_daemon.simulator.feed.misprints import Event
from kalshi_daemon.simulator.world import WorldPlan
from tests.simulation.week import DAYS, FILES_A_DAY_MAX, LAST_FAULT_S, Bounds, DayMost, scenario_of
from tests.simulation.week_host import LongWorld
from tests.support.instruments import INDICES


@pytest.fixture(scope="module")
def world():
    scenario = scenario_of(1, 3, 240.0)
    plan = WorldPlan(
        seed=1, speed=1.0, session_date=DAYS[0], start=scenario.start, until=scenario.start.replace(hour=16)
    )
    return LongWorld(plan, ManualClock(Nanos(0)), DAYS[:3])


def test_every_day_begins_where_the_one_before_ended(world):
    for index in INDICES:
        for before, after in zip(world.days, world.days[1:], strict=False):
            assert after[index].previous_close == pytest.approx(before[index].values[-1], abs=0.01)
            assert abs(after[index].values[0] / before[index].values[-1] - 1.0) < 0.05
            night = Nanos(before[index].close_ns + 6 * HOUR)
            assert world.path(index, night) is before[index]
            assert world.path(index, after[index].open_ns) is after[index]
            assert world._value_at(index, after[index].open_ns) == after[index].values[0]


def test_every_day_has_its_ladders_around_its_own_level(world):
    events = world.exchange.catalogue.events.values()
    ladders = [event for event in events if event.series_ticker == "KXINXU"]
    assert len(ladders) == 3 * 7
    for day in world.days:
        path = day[Index.SPX]
        of_day = [event for event in ladders if path.open_ns < event.settles_ns <= path.close_ns]
        assert len(of_day) == 7
        for event in of_day:
            floors = [market.floor for market in event.markets if market.floor is not None]
            assert min(floors) < path.previous_close * 10_000 < max(floors)


def test_the_feed_is_silent_at_night_and_goes_on_in_the_morning(world):
    sent: list[list[Event]] = []
    feed, first, second = world.feed, world.days[0][Index.SPX], world.days[1][Index.SPX]
    feed._send_to_all = sent.append
    feed._next_ns = first.last_ns
    feed.publish(first.last_ns)
    assert len(sent) == 1
    feed.publish(Nanos(second.open_ns - SECOND))
    assert len(sent) == 1
    feed.publish(Nanos(second.open_ns + 2 * SECOND))
    assert len(sent) == 4
    value = next(payload for channel, index, payload in sent[1] if (channel, index) == ("V", Index.SPX))
    assert value["val"] == second.values[0]
    assert len(feed.history.sessions) == 2


def _stage(lives: int = 1) -> Any:
    return SimpleNamespace(daemon=SimpleNamespace(lives=lives))


@pytest.mark.parametrize(
    ("last", "said"),
    [
        (DayMost(11, 48, 500, 12.0), ""),
        (DayMost(14, 48, 500, 12.0), "descriptors: 11 on the first day, 14 on the last"),
        (DayMost(11, 53, 500, 12.0), "tasks: 48 on the first day, 53 on the last"),
        (DayMost(11, 48, 501 + FILES_A_DAY_MAX, 12.0), "65 more files after day 2"),
        (DayMost(11, 48, 500, 22.5), "10.5 MB more after day 2"),
    ],
)
def test_growth_is_a_finding(last, said):
    bounds = Bounds()
    bounds.days = [DayMost(11, 48, 500, 12.0), last]
    assert list(bounds.end(_stage())) == ([said] if said else [])


def test_a_second_life_is_a_finding():
    assert list(Bounds().end(_stage(lives=2))) == ["2 lives"]


def test_faults_lie_within_sessions_and_end_no_process():
    troubles = scenario_of(3, 5, 240.0).troubles
    assert len(troubles) > 5 * 60
    assert all(trouble.at_s % 86_400.0 < LAST_FAULT_S for trouble in troubles)
    assert {int(trouble.at_s // 86_400.0) for trouble in troubles} == set(range(5))
    assert not {"journal_full", "journal_deleted", "volume_full", "kill_switch"} & {t.kind for t in troubles}
