"""`kalshi-daemon pack`: what the daemon does by itself, by hand."""

import json
import os
from datetime import date, timedelta

import pytest

from kalshi_daemon.cli.main import main
from kalshi_daemon.ground.errors import ExitCode
from kalshi_daemon.operations.lock import InstanceLock
from tests.retention.day_rig import SERIES, DayRig

LAST_YEAR = (date.today() - timedelta(days=300)).isoformat()  # noqa: DTZ011 - any day that is over


@pytest.fixture
def day(elsewhere):
    rig = DayRig(elsewhere / "state" / "sim")
    rig.scan("093500")
    rig.scan("093500", SERIES[1])
    rig.flush(34_500)
    rig.line()
    return rig


def test_days_are_packed_and_the_table_says_what_became_of_them(day, capsys):
    before = day.seen()
    assert main(["pack"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [line[:4] for line in lines[1:5]] == [
        ["2026-11-23", "audit", "1", lines[1][3]],
        ["2026-11-23", "index", "values", "SPX"],
        ["2026-11-23", "scans", "KXINXU", "1"],
        ["2026-11-23", "scans", "KXNASDAQ100U", "1"],
    ]
    assert " ".join(lines[-1]) == "state/sim holds 0 MB of 2000 MB, 400 days are kept"
    assert day.seen() == before
    assert len(day.files()) == 5, "four, and the lock"


def test_json_for_programs_and_nothing_left_to_do_the_second_time(day, capsys):
    assert main(["pack", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert sum(one["files"] for one in found["packed"]) == 4
    assert (found["left"], found["removed"]["files"]) == ([], 0)
    assert main(["pack", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["packed"] == []


def test_what_cannot_be_packed_is_named_and_the_exit_code_says_so(day, capsys):
    broken = day.scan("100000")
    broken.write_bytes(b"{")
    assert main(["pack"]) == 1
    out = capsys.readouterr().out
    assert "left as it is: state/sim/data/raw/kalshi/2026-11-23/100000/KXINXU/manifest.json" in out
    assert broken.exists()


def test_beside_a_running_daemon_it_is_refused(day, capsys):
    with InstanceLock(day.root, os.getpid()):
        assert main(["pack"]) == ExitCode.REFUSED, "nothing is wrong with the settings: not 78"
    assert "held by process" in capsys.readouterr().err
    assert len(day.files()) == 5


def test_of_real_days_today_is_left_alone(elsewhere, capsys, monkeypatch):
    monkeypatch.setenv("KALSHI_DAEMON_MODE", "demo")
    today = DayRig(elsewhere / "state" / "demo", (date.today() + timedelta(days=1)).isoformat())  # noqa: DTZ011 - not over
    past = DayRig(elsewhere / "state" / "demo", LAST_YEAR)
    loose = today.scan("093500"), past.scan("093500")
    assert main(["pack"]) == 0
    capsys.readouterr()
    assert [path.exists() for path in loose] == [True, False]
