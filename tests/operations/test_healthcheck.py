import os
import subprocess
import sys

import pytest

from kalshi_daemon.ground.clock import SystemClock
from kalshi_daemon.ground.units import SECOND
from kalshi_daemon.operations.healthcheck import FRESH_S, HEARTBEAT_NAME, main


def beat(state_dir, mode: str, age_s: float) -> None:
    path = state_dir / mode / HEARTBEAT_NAME
    path.parent.mkdir(exist_ok=True)
    path.touch()
    when = SystemClock().now_ns() / SECOND - age_s
    os.utime(path, (when, when))


@pytest.mark.parametrize(("age_s", "code"), [(0.0, 0), (FRESH_S - 10, 0), (FRESH_S + 10, 1), (86_400.0, 1)])
def test_healthy_while_the_heartbeat_is_recent(tmp_path, age_s, code):
    beat(tmp_path, "live", age_s)
    assert main([str(tmp_path)]) == code


def test_the_most_recent_heartbeat_of_any_mode_counts(tmp_path):
    beat(tmp_path, "demo", 86_400.0)
    assert main([str(tmp_path)]) == 1
    beat(tmp_path, "live", 1.0)
    assert main([str(tmp_path)]) == 0


def test_no_heartbeat_is_not_healthy(tmp_path):
    assert main([str(tmp_path)]) == 1
    assert main([str(tmp_path / "absent")]) == 1
    (tmp_path / "sim").mkdir()
    (tmp_path / "sim" / "another-file").touch()
    assert main([str(tmp_path)]) == 1


@pytest.mark.parametrize("arguments", [[], ["one", "two"]])
def test_a_wrong_command_line_says_how_it_is_used(arguments, capsys):
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("usage: ")


def test_as_the_image_runs_it_the_code_is_the_exit_code(tmp_path):
    command = [sys.executable, "-m", "kalshi_daemon.operations.healthcheck", str(tmp_path)]
    assert subprocess.run(command, timeout=30, check=False).returncode == 1
    beat(tmp_path, "sim", 0.0)
    assert subprocess.run(command, timeout=30, check=False).returncode == 0
