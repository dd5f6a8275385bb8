"""`python -m tests.simulation.week --days 5`: one daemon over several trading days under faults, nights included.

What must not grow is counted all the way: descriptors, tasks, files and bytes of the state directory, objects.
At the end the books are compared, and every promise of the other simulations is held too. Ends with one line of JSON.
"""

import argparse
import asyncio
import gc
import json
import os
import random
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from kalshi_daemon.settings.instruments import HOURLY_SERIES
from tests.simulation.disk_troubles import DISK
from tests.simulation.play import Onlooker, play
from tests.simulation.scenario import Scenario, Trouble
from tests.simulation.stage import Stage
from tests.simulation.troubles import KINDS
from tests.simulation.week_host import WeekHost

DAYS = tuple(date(2026, 11, 30).replace(month=month, day=day) for month, day in
             ((11, 30), (12, 1), (12, 2), (12, 3), (12, 4)))  # fmt: skip
DAY_S = 86_400.0
BEFORE_OPEN_MIN = 45
"""From the start of the play to the first fixing, at 10:00."""
FIRST_FAULT_S, LAST_FAULT_S = 20 * 60.0, 6.5 * 3_600.0
"""Of a day, from the time of day at which the play starts: 09:35 to 15:45."""
ENDS_S = 7.25 * 3_600.0
"""Of the last day: 16:30, when everything is paid."""
SAMPLE_S = 300.0
FILES_A_DAY_MAX, MB_A_DAY_MAX = 64, 10.0
GROWTH_MAX = {"descriptors": 2, "tasks": 4}
"""What the last day may have more of than the first one had, at most."""
_HEAVY = (*DISK, "kill_switch")
_LIGHT = tuple(kind for kind in KINDS if kind not in _HEAVY or kind in {"log_full", "output_stalled"})
"""Faults that end no process."""


@dataclass(slots=True)
class DayMost:
    """The most of a day."""

    descriptors: int = 0
    tasks: int = 0
    files: int = 0
    megabytes: float = 0.0
    objects: int = 0


class Bounds(Onlooker):
    """Counts, by day."""

    name: ClassVar[str] = "bounds"

    def __init__(self) -> None:
        self.days: list[DayMost] = []
        self._next_s = 0.0

    def look(self, stage: Stage) -> Iterable[str]:
        if stage.now_s < self._next_s:
            return ()
        self._next_s = stage.now_s + SAMPLE_S
        while len(self.days) <= int(stage.now_s // DAY_S):
            self.days.append(DayMost())
        most, state = self.days[-1], stage.daemon.folder
        files = [path for path in state.rglob("*") if path.is_file()] if state is not None else []
        most.descriptors = max(most.descriptors, len(os.listdir("/proc/self/fd")))  # noqa: PTH208 - a count
        most.tasks = max(most.tasks, len(asyncio.all_tasks(stage.loop)))
        most.files = max(most.files, len(files))
        most.megabytes = max(most.megabytes, round(sum(_size(path) for path in files) / 2**20, 2))
        most.objects = max(most.objects, len(gc.get_objects()))
        return ()

    def end(self, stage: Stage) -> Iterable[str]:
        if stage.daemon.lives != 1:
            yield f"{stage.daemon.lives} lives"
        if len(self.days) < 2:
            return
        first, last = self.days[0], self.days[-1]
        for what, most in GROWTH_MAX.items():
            if getattr(last, what) > getattr(first, what) + most:
                yield f"{what}: {getattr(first, what)} on the first day, {getattr(last, what)} on the last"
        for number, (before, after) in enumerate(zip(self.days, self.days[1:], strict=False), start=2):
            if after.files - before.files > FILES_A_DAY_MAX:
                yield f"{after.files - before.files} more files after day {number}"
            if after.megabytes - before.megabytes > MB_A_DAY_MAX:
                yield f"{after.megabytes - before.megabytes:.1f} MB more after day {number}"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def scenario_of(seed: int, days: int, fault_every_s: float) -> Scenario:
    """One life from Monday morning to the last day's settlement; faults in every session but its last minutes."""
    rng = random.Random(f"week-{seed}")
    troubles = []
    for day in range(days):
        at_s = FIRST_FAULT_S
        while (at_s := at_s + rng.expovariate(1.0 / fault_every_s)) < LAST_FAULT_S:
            troubles.append(Trouble(day * DAY_S + at_s, rng.choice(_LIGHT), rng.uniform(2.0, 60.0)))
    return Scenario(
        seed=seed,
        session=DAYS[0],
        hour=10,
        minutes_before=BEFORE_OPEN_MIN,
        series=HOURLY_SERIES,
        lease_s=90.0,
        reconcile_every_s=60.0,
        scan_every_s=30.0,
        daily_loss_dollars=50.0,
        latency_s=(0.001, 0.02),
        troubles=tuple(troubles),
        deaths=(),
        ends_s=(days - 1) * DAY_S + ENDS_S,
        record=True,
    )


def run(seed: int, days: int, fault_every_s: float) -> dict[str, Any]:
    """Play it; the result line."""
    from tests.simulation.batch import prepare  # noqa: PLC0415 - not before the hash seed is set

    prepare()
    bounds, began = Bounds(), time.perf_counter()
    host = partial(WeekHost, days=DAYS[:days])
    outcome = play(seed, scenario=scenario_of(seed, days, fault_every_s), onlooker=bounds, exchange=host)
    return {
        "days": days,
        "violations": len(outcome.violations),
        "found": outcome.violations,
        "faults": dict(sorted(outcome.faults.items())),
        "orders": outcome.orders,
        "fills": outcome.fills,
        "lives": outcome.lives,
        "simulated_s": round(outcome.simulated_s),
        "most_by_day": [asdict(day) for day in bounds.days],
        "wall_s": round(time.perf_counter() - began, 1),
    }


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.week", description=__doc__)
    parser.add_argument("--days", type=int, default=len(DAYS), choices=range(1, len(DAYS) + 1))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fault-every", type=float, default=240.0, metavar="S", help="mean time between faults")
    options = parser.parse_args(argv)
    if os.environ.get("PYTHONHASHSEED") != "0":
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, [sys.executable, "-m", "tests.simulation.week", *(argv or sys.argv[1:])])
    line = run(options.seed, options.days, options.fault_every)
    sys.stdout.write(json.dumps(line) + "\n")
    return 1 if line["violations"] else 0


if __name__ == "__main__":
    sys.exit(main())
