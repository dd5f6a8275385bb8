"""A job that takes a moment, and what a worker makes of it: importable by the workers of a cluster."""

import os
import threading
from collections.abc import Mapping
from datetime import date
from datetime import time as clock_time
from pathlib import Path

from kalshi_daemon.backtest.jobs import Job
from kalshi_daemon.backtest.results import SessionResult, WindowRow
from kalshi_daemon.settings.model import Settings
from kalshi_daemon.simulator.latency import Latency
from kalshi_daemon.simulator.world import WorldPlan

TOOK_S = 0.15


def jobs(count: int, edge: float = 0.0) -> list[Job]:
    settings = Settings.model_validate({"sim": {"regimes": {"x": {"vol_error": edge}}}})
    return [
        Job(f"s-{seed}", WorldPlan(seed, 1.0, date(2026, 11, 23), clock_time(10), clock_time(11)), settings, Latency())
        for seed in range(count)
    ]


def play(job: Job, _versions: Mapping[str, str]) -> SessionResult:
    """Leaves a line for each time it is played, with the process that did it."""
    threading.Event().wait(TOOK_S)
    folder = os.environ.get("TINY_FOLDER")
    if folder:
        with (Path(folder) / f"{job.name}.played").open("a") as file:
            file.write(f"{os.getpid()}\n")
    return result(job.name, job.world.seed / 10)


def result(name: str, edge: float, *, warm: bool = False) -> SessionResult:
    row = WindowRow(name, "KXINXU-26NOV23H1100", 1, 1.0, edge, edge, edge, 1.0, 60, 30, 1.0)
    return SessionResult(name, 1.0, (row,), edge, books_equal=True, cpu_s=TOOK_S, events=1, warm=warm)


def refuse(job: Job, _versions: Mapping[str, str]) -> SessionResult:
    raise ValueError(f"no {job.name} today")
