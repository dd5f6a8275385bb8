"""What is done is kept under everything it depends on, and comes back as it was."""

from dataclasses import replace
from datetime import date, time

import pytest

from kalshi_daemon.backtest import runner
from kalshi_daemon.backtest.jobs import Job
from kalshi_daemon.backtest.measures import MeasuredFill
from kalshi_daemon.backtest.results import Law, OrderRow, SessionResult, WindowRow
from kalshi_daemon.backtest.runner import results
from kalshi_daemon.ground.units import Nanos
from kalshi_daemon.settings.loader import load_settings
from kalshi_daemon.simulator.latency import Latency
from kalshi_daemon.simulator.world import WorldPlan

WORLD = WorldPlan(1, 1.0, date(2026, 11, 23), time(14, 58), time(14, 59))
JOB = Job("one", WORLD, load_settings(None, {}, None, {}).settings, Latency())
FILL = MeasuredFill(Nanos(5), "E", "E-T1", -1, 0.4, 2.0, 0.0, None, 1.5, None, {5: 1.0, 300: -2.0})
RESULT = SessionResult(
    session="one",
    hours=0.5,
    rows=(WindowRow("one", "E", 1, 2.0, None, 0.03, 0.02, 2.0, 60, 30, 1.2),),
    pnl_dollars=0.8,
    books_equal=True,
    cpu_s=1.0,
    events=7,
    law=Law.NONE,
    fills=(FILL,),
    orders=(OrderRow("E-T1", Nanos(1), 4.0, 2.0, 2.0, 10.0),),
    notes=("a note",),
)


@pytest.fixture
def played(monkeypatch):
    found: list[str] = []

    def play(job):
        found.append(job.name)
        return RESULT

    monkeypatch.setattr(runner, "play_job", play)
    return found


def test_a_kept_result_is_the_one_that_was_played(played, tmp_path):
    assert list(results([JOB], 1, tmp_path)) == list(results([JOB], 1, tmp_path)) == [RESULT]
    assert played == ["one"]


def test_other_settings_and_other_data_are_played_anew(played, tmp_path):
    bars, kept = tmp_path / "SPX.parquet", tmp_path / "kept"
    kept.mkdir()
    one = replace(JOB, world=replace(WORLD, index_replay=(bars,)))
    bars.write_text("bars")
    for job in (one, one, replace(one, settings=load_settings(None, {}, None, {"pricing.k_vol": 2.0}).settings)):
        list(results([job], 1, kept))
    assert len(played) == 2
    bars.write_text("other bars")
    list(results([one], 1, kept))
    assert len(played) == 3
