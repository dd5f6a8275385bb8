"""A slice of the simulation for every run of the suite; `make simulate SEEDS=1000` is the whole of it.

KALSHI_DAEMON_SEEDS says how many seeds; a run of its own process, for the order of sets is part of a run.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SEEDS = int(os.environ.get("KALSHI_DAEMON_SEEDS", "15"))


def _simulate(*options: str) -> tuple[int, list[str]]:
    command = [sys.executable, "-m", "tests.simulation", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr[-2_000:]
    return done.returncode, done.stdout.splitlines()


@pytest.mark.simulated
@pytest.mark.timeout(180 + 20 * SEEDS)
def test_seeds_with_faults_and_crashes_break_no_promise_and_play_the_same_alone():
    code, lines = _simulate("--seeds", str(SEEDS), "--first-seed", "1", "--workers", "1", "--each")
    result = json.loads(lines[-1])
    assert result["violations"] == 0, "\n".join(lines)
    assert code == 0
    assert result["crashes"] >= SEEDS
    assert result["orders"] > SEEDS
    assert result["kinds"] >= min(20, 2 * SEEDS)
    _code, alone = _simulate("--seeds", "1", "--first-seed", str(SEEDS), "--each")
    assert alone[0].startswith(f"seed {SEEDS}: "), "after others and in a process of its own alike"
    assert alone[0] in lines
