"""Sessions in process: the daemon's own core trades, its books are the exchange's, and a seed says everything."""

from dataclasses import replace
from datetime import date, time

import pytest

from kalshi_daemon.backtest import runner
from kalshi_daemon.backtest.jobs import Job, made_up_jobs
from kalshi_daemon.backtest.runner import play_job, results
from kalshi_daemon.cli.session_options import REGIMES as NAMED
from kalshi_daemon.ground.errors import ConfigurationError
from kalshi_daemon.settings.loader import load_settings
from kalshi_daemon.simulator.latency import Latency
from kalshi_daemon.simulator.traders.regimes import REGIMES, regime
from kalshi_daemon.simulator.world import WorldPlan

DAY = date(2026, 11, 23)
SETTINGS = load_settings(
    None,
    {},
    None,
    {
        "calibration.ready_after_minutes": 0,
        "guards.sigma_books_ratio_max": 100,
        **{f"profiles.{name}.scan_every_s": 20 for name in ("wide", "size", "close")},
    },
).settings


def job(seed: int, name: str = "busy", begins: time = time(14, 53), until: time = time(15, 2)) -> Job:
    world = WorldPlan(seed, 1.0, DAY, begins, until, mix=regime(name))
    latency = Latency()
    return Job(f"{name}-{seed}", world, SETTINGS, latency)


@pytest.fixture(scope="module")
def played():
    return play_job(job(3))


def test_an_hour_s_end_is_quoted_filled_and_settled_with_equal_books(played):
    assert played.books_equal
    assert sum(row.fills for row in played.rows) > 0
    assert sum(row.quoting_s for row in played.rows) > 30
    assert played.events > 1_000


def test_a_seed_says_everything(played):
    again = play_job(job(3))
    assert again.rows == played.rows
    assert again.pnl_dollars == played.pnl_dollars
    assert again.events == played.events


@pytest.mark.parametrize(("hours", "ends"), [(0.5, ["09:55"]), (7.0, ["16:05", "09:45"])])
def test_hours_are_whole_sessions_and_the_rest_of_one(hours, ends):
    jobs = made_up_jobs(SETTINGS, "usual", hours=hours, first_seed=5, day=DAY, latency=Latency())
    worlds = [one.world for one in jobs if isinstance(one.world, WorldPlan)]
    assert [f"{world.until:%H:%M}" for world in worlds] == ends
    assert [world.seed for world in worlds] == list(range(5, 5 + len(ends)))


def test_several_processes_play_the_same_and_say_nothing(capfd):
    short = [job(seed, begins=time(14, 58), until=time(14, 59)) for seed in (1, 2)]
    (one, two) = results(short, 2, None)
    assert capfd.readouterr().out == "", "standard output is for the figures alone"
    assert [one.session, two.session] == ["busy-1", "busy-2"]
    assert replace(one, cpu_s=0.0) == replace(play_job(short[0]), cpu_s=0.0)


def test_what_is_done_is_not_played_again(played, tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "play_job", lambda _job: played)
    (first,) = results([job(3)], 1, tmp_path)
    monkeypatch.setattr(runner, "play_job", lambda _job: pytest.fail("played again"))
    (again,) = results([job(3)], 1, tmp_path)
    assert again == first == played
    (file,) = tmp_path.iterdir()
    file.write_bytes(b"{")
    with pytest.raises(ConfigurationError, match="is no result of a session"):
        list(results([job(3)], 1, tmp_path))


def test_the_names_of_the_command_are_those_of_the_table():
    assert tuple(REGIMES) == NAMED
    with pytest.raises(ConfigurationError, match="one of: efficient"):
        regime("calm")
