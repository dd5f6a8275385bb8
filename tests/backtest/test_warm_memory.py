"""A daemon that had been there: what it remembers at the bell, of which days, and what that is good for."""

from dataclasses import replace
from datetime import date, time

import numpy as np
import pytest

from kalshi_daemon.backtest import runner, warm_memory
from kalshi_daemon.backtest.jobs import Job
from kalshi_daemon.backtest.runner import result_path
from kalshi_daemon.backtest.session import SessionPlan, play
from kalshi_daemon.ground.errors import ConfigurationError
from kalshi_daemon.memory.documents import decoded
from kalshi_daemon.settings.loader import load_settings
from kalshi_daemon.simulator.latency import Latency
from kalshi_daemon.simulator.world import WorldPlan
from tests.backtest.told_sigma import told

DAY = date(2026, 11, 23)
FRIDAY = "2026-11-20"
SETTINGS = load_settings(None, {}, None, {}).settings
WORLD = WorldPlan(9_101, 1.0, DAY, time(14, 58), time(14, 59))


@pytest.fixture(scope="module", autouse=True)
def few_days():
    """A dozen days instead of seventy."""
    patch = pytest.MonkeyPatch()
    patch.setattr(warm_memory, "SHARED_SESSIONS", 10)
    patch.setattr(warm_memory, "OWN_SESSIONS", 2)
    yield
    patch.undo()
    warm_memory._warm.cache_clear()
    warm_memory._shared.cache_clear()


def test_the_first_hour_is_told_less_narrow_by_who_remembers():
    """Five minutes before the first fixing: a cold start has no corrections yet."""
    means = {}
    for warm in (False, True):
        found = [one for seed in (9_101, 9_102) for one in told(SETTINGS, seed, warm=warm, fixings_min=(30,))]
        means[warm] = float(np.mean([one.log_ratio for one in found if one.lead_min == 5]))
    assert means[False] < -0.2
    assert means[False] + 0.08 < means[True] < 0.1


def test_the_last_day_that_is_remembered_is_the_one_before():
    found = warm_memory.warm_memory(SETTINGS, DAY, 9_101)
    for index, content in found.items():
        document = decoded(content)
        today = document["model"]["today"]
        assert document["model"]["index"] == index.value
        assert np.datetime64(today["session"][0], "ns").astype(str).startswith(FRIDAY)
        assert today["waiting"] == [], "a forecast of its own is scored at the fixing, or not at all"
        assert document["correlation"]["weight"] > 500


def test_it_is_the_same_in_every_process_and_another_for_another_seed():
    one = warm_memory.warm_memory(SETTINGS, DAY, 9_101)
    other = warm_memory.warm_memory(SETTINGS, DAY, 9_102)
    warm_memory._warm.cache_clear()
    assert warm_memory.warm_memory(SETTINGS, DAY, 9_101) == one
    assert one != other


def test_a_session_begins_with_it():
    memory = warm_memory.warm_memory(SETTINGS, DAY, WORLD.seed)
    for given, said in (({}, "cold: nothing was kept yet"), (memory, f"restored: last price {FRIDAY}T21:00:00")):
        played = play(SessionPlan(WORLD, SETTINGS, Latency(), given))
        begun = [view.health(played.world.end_ns).memory for view in played.state.calibration.values()]
        assert [one[: len(said)] for one in begun] == [said, said]


def test_a_job_says_whether_it_does_and_so_does_its_result(monkeypatch, tmp_path):
    given = []

    def seen(plan, _watch):
        given.append(plan.memory)
        return play(plan, _watch)

    monkeypatch.setattr(runner, "play", seen)
    cold = Job("one", WORLD, SETTINGS, Latency())
    warm = replace(cold, warm=True)
    assert [runner.play_job(job).warm for job in (cold, warm)] == [False, True]
    assert given == [{}, warm_memory.warm_memory(SETTINGS, DAY, WORLD.seed)]
    assert result_path(tmp_path, cold) != result_path(tmp_path, warm)


def test_a_day_without_a_session_is_refused():
    with pytest.raises(ConfigurationError, match="2026-11-22 is a weekend"):
        warm_memory.warm_memory(SETTINGS, date(2026, 11, 22), 1)
