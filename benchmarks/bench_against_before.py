"""Commands of a trader's day against the commit of before, whole processes, in turns: one JSON line a figure.

help      `kalshi-daemon --help`: what every command pays
orders    `kalshi-daemon orders` of a state directory that a session left behind
session   20 simulated minutes with a fixing in them, from the first to the last line, daemon and exchange together
Each as CPU seconds (user and system, children too) and as seconds of the wall; medians of the rounds' ratios. A ratio
of at most 1 is no slower than before. Rounds alternate which of the two goes first, so that a busy machine slows both.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.before import COMMIT, ROOT, NoCommitError, installed

SPAN: Final = ("--mode", "sim", "--session-date", "2026-11-24", "--from", "13:45", "--until", "14:05", "--json")
TARGET: Final = 1.0


@dataclass(frozen=True, slots=True)
class Cost:
    """One process with its children, in seconds."""

    cpu_s: float
    wall_s: float


def cost(root: Path, arguments: Sequence[str]) -> Cost:
    """Run the command of the checkout at `root`. Raises CalledProcessError with its last words when it fails."""
    before, began = os.times(), time.perf_counter()
    done = subprocess.run(
        [root / ".venv/bin/kalshi-daemon", *arguments], cwd=root, capture_output=True, text=True, check=False
    )
    wall_s, after = time.perf_counter() - began, os.times()
    if done.returncode:
        raise subprocess.CalledProcessError(done.returncode, done.args, done.stdout[-500:], done.stderr[-500:])
    cpu_s = after.children_user - before.children_user + after.children_system - before.children_system
    return Cost(cpu_s, wall_s)


def compare(old: Path, arguments: dict[Path, Sequence[str]], rounds: int) -> tuple[float, float]:
    """Median ratios of today over before: CPU, wall."""
    cpu: list[float] = []
    wall: list[float] = []
    for number in range(rounds):
        costs = {root: cost(root, arguments[root]) for root in ((ROOT, old), (old, ROOT))[number % 2]}
        cpu.append(costs[ROOT].cpu_s / costs[old].cpu_s)
        wall.append(costs[ROOT].wall_s / costs[old].wall_s)
    return median(cpu), median(wall)


def tell(figure: str, ratio: float, rounds: int) -> None:
    line = {"figure": figure, "ratio": round(ratio, 3), "target": TARGET, "met": ratio <= TARGET, "n": rounds}
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(description=f"commands of today against {COMMIT}, measured in turns")
    parser.add_argument("--rounds", type=int, default=7, help="of the short commands")
    parser.add_argument("--sessions", type=int, default=3, help="rounds of the simulated session")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kalshi-daemon-before-") as name:
        folder = Path(name)
        (folder / "old").mkdir()
        try:
            old = installed(folder / "old")
        except NoCommitError as missing:
            sys.stderr.write(f"left out: {missing}\n")
            return 0
        states = {ROOT: folder / "state-today", old: folder / "state-before"}
        runs = {root: ("run", *SPAN, "--state-dir", str(state)) for root, state in states.items()}
        lists = {root: ("orders", "--mode", "sim", "--state-dir", str(state)) for root, state in states.items()}
        figures = (
            ("help", dict.fromkeys(states, ("--help",)), options.rounds),
            ("session", runs, options.sessions),
            ("orders", lists, options.rounds),
        )
        for figure, arguments, rounds in figures:
            cpu, wall = compare(old, arguments, rounds)
            tell(f"{figure}: CPU", cpu, rounds)
            tell(f"{figure}: wall", wall, rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
