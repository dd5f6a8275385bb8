"""A memory made of bars is the one the daemon would have, and never costs one that is there."""

import json
import os
from datetime import date

import pytest
import structlog

from kalshi_daemon.bars.sessions import read_sample
from kalshi_daemon.cli.main import main
from kalshi_daemon.domain.index import Index
from kalshi_daemon.ground.clock import ManualClock
from kalshi_daemon.ground.errors import ExitCode
from kalshi_daemon.ground.units import HOUR, MINUTE, Nanos
from kalshi_daemon.memory.documents import remember
from kalshi_daemon.memory.models import models_of
from kalshi_daemon.memory.store import CalibrationStore, Keeping, memory_path
from kalshi_daemon.operations.lock import InstanceLock
from kalshi_daemon.research.releases import research_calendar
from kalshi_daemon.settings.model import Settings
from kalshi_daemon.windows.sessions import load_sessions
from tests.calibration.support import known
from tests.research.synthetic import write_days
from tests.support.instruments import PAIR

FIRST, LAST = date(2026, 11, 9), date(2026, 11, 20)


@pytest.fixture(scope="module")
def bars(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bars")
    write_days(folder / "I_SPX_x.parquet", FIRST, LAST)
    write_days(folder / "I_NDX_x.parquet", FIRST, LAST, seed=1, sd=0.012)
    return folder


def learn(bars, state, *more: str) -> int:
    return main(["learn", "--mode", "sim", "--state-dir", str(state), "--data", str(bars), *more])


def started(state, *, days_later: int = 0):
    """What a daemon recalls that starts on the morning after the last bars, or so many days later."""
    sessions = load_sessions(date(2026, 10, 26), date(2027, 1, 15))
    opens = known(sessions.session_on("2026-11-23")).open_ns
    models = models_of(Settings(), sessions, research_calendar())
    store = CalibrationStore(
        state / "sim",
        ManualClock(Nanos(opens - HOUR + days_later * 24 * HOUR)),
        models,
        sessions,
        Keeping(3, 120, MINUTE),
    )
    store.recall()
    return store, models


def test_a_daemon_goes_on_from_it_as_if_it_had_watched_the_bars(bars, tmp_path, capsys):
    assert learn(bars, tmp_path, "--json") == ExitCode.OK
    printed = json.loads(capsys.readouterr().out)
    assert printed["SPX"]["sessions"] == printed["NDX"]["sessions"] == 10
    assert (printed["SPX"]["first"], printed["SPX"]["last"]) == ("2026-11-09", "2026-11-20")
    weight = printed["SPX"]["resolved_weight"]
    assert weight == round(weight, 1) > 0.0
    store, models = started(tmp_path)
    watched = models_of(Settings(), load_sessions(FIRST, LAST), research_calendar())
    for index, model in watched.items():
        for day in read_sample(bars, index).days:
            model.on_tick(known(day.bell(index)))
            for bar in day.bars(index):
                model.on_bar(bar)
        assert known(model.today).waiting, "for a price after the last fixing"
        known(model.today).waiting.clear()
        assert store.recollections[index].restored_ns is not None
        assert store.recollections[index].sessions_missed == 0
        assert remember(models[index]) == remember(model)
    assert store.correlations[PAIR].weight > 0.0
    assert store.correlations[PAIR].value > 0.95, "one seed, one path"


def test_a_start_weeks_later_has_what_ages_in_months(bars, tmp_path):
    assert learn(bars, tmp_path) == ExitCode.OK
    with structlog.testing.capture_logs():
        store, models = started(tmp_path, days_later=21)
    assert store.recollections[Index.SPX].restored_ns is None
    assert models[Index.SPX].hour_layer.scale_weight.sum() > 0.0
    assert models[Index.SPX].last_seen_ns is None


def test_bars_that_are_not_there_are_one_line(tmp_path, capsys):
    assert learn(tmp_path / "nowhere", tmp_path) == ExitCode.CONFIG
    printed = capsys.readouterr()
    assert "no such file or folder" in printed.err
    assert printed.err.count("\n") == 1


def test_only_the_last_sessions_are_fed(bars, tmp_path, capsys):
    assert learn(bars, tmp_path, "--sessions", "3", "--json") == ExitCode.OK
    assert json.loads(capsys.readouterr().out)["SPX"]["first"] == "2026-11-18"


def test_a_memory_that_is_there_is_not_lost_by_mistake(bars, tmp_path, capsys):
    path = memory_path(tmp_path / "sim", Index.SPX)
    path.parent.mkdir(parents=True)
    path.write_text("dear to somebody")
    assert learn(bars, tmp_path) == ExitCode.REFUSED
    assert "--replace" in capsys.readouterr().err
    assert path.read_text() == "dear to somebody"
    assert not memory_path(tmp_path / "sim", Index.NDX).exists()
    assert learn(bars, tmp_path, "--replace") == ExitCode.OK
    (aside,) = path.parent.glob("SPX.json.replaced-*")
    assert aside.read_text() == "dear to somebody"
    assert f"SPX: the memory before it is kept as {aside}" in capsys.readouterr().out
    assert not list(path.parent.glob("NDX.json.replaced-*")), "there was none"
    assert started(tmp_path)[0].recollections[Index.SPX].restored_ns is not None


def test_bars_of_one_index_leave_the_others_memory_alone(bars, tmp_path, capsys):
    other = memory_path(tmp_path / "sim", Index.NDX)
    other.parent.mkdir(parents=True)
    other.write_text("dear to somebody")
    assert learn(bars / "I_SPX_x.parquet", tmp_path, "--sessions", "2") == ExitCode.OK
    assert "NDX: no bars, its memory is as it was" in capsys.readouterr().out
    assert other.read_text() == "dear to somebody"
    assert memory_path(tmp_path / "sim", Index.SPX).exists()


def test_a_running_daemon_is_not_written_under(bars, tmp_path, capsys):
    with InstanceLock(tmp_path / "sim", os.getpid()):
        assert learn(bars, tmp_path) == ExitCode.REFUSED
    assert "held by" in capsys.readouterr().err
    assert not memory_path(tmp_path / "sim", Index.SPX).exists()


@pytest.mark.parametrize(
    ("name", "more", "code", "problem"),
    [
        ("NQ_x", (), ExitCode.CONFIG, "not the index itself"),
        ("bars", (), ExitCode.CONFIG, "no bar file that names an index"),
        ("I_SPX_x", ("--sessions", "0"), ExitCode.USAGE, "not within"),
    ],
)
def test_bad_requests_are_one_line(tmp_path, capsys, name, more, code, problem):
    (tmp_path / "in").mkdir()
    write_days(tmp_path / "in" / f"{name}.parquet", LAST, LAST)
    assert learn(tmp_path / "in", tmp_path, *more) == code
    printed = capsys.readouterr()
    assert problem in printed.err
    assert printed.err.count("\n") == 1
    assert not (tmp_path / "sim" / "calibration").exists()
