"""Many sessions, in this process or in several; what is done stays done."""

import hashlib
import logging
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date, time
from pathlib import Path
from time import process_time
from typing import Any

import orjson
import structlog

from kalshi_daemon import __version__
from kalshi_daemon.backtest.latency import Latency
from kalshi_daemon.backtest.measures import SessionMeasures
from kalshi_daemon.backtest.regimes import regime
from kalshi_daemon.backtest.results import SessionResult, WindowRow, rows_of
from kalshi_daemon.backtest.session import SessionPlan, play
from kalshi_daemon.ground.durable import write_whole
from kalshi_daemon.ground.errors import ConfigurationError
from kalshi_daemon.ground.units import HOUR
from kalshi_daemon.settings.instruments import instruments_of
from kalshi_daemon.settings.model import Settings
from kalshi_daemon.simulator.world import World, WorldPlan
from kalshi_daemon.state import DaemonState


@dataclass(frozen=True, slots=True)
class Job:
    """One session to be played."""

    name: str
    world: WorldPlan
    settings: Settings
    latency: Latency


def made_up_jobs(
    settings: Settings, regime_name: str, *, hours: float, first_seed: int, day: date, latency: Latency
) -> list[Job]:
    """Sessions of one regime from `first_seed` on, until they make up `hours`; the last one ends early.

    Raises ConfigurationError.
    """
    mix, sim, table = regime(regime_name), settings.sim, instruments_of(settings.instruments)
    begin, end = _minute_of(sim.start), _minute_of(sim.until)
    left, jobs = round(hours * 60), list[Job]()
    while left > 0:
        minutes = max(1, min(left, end - begin))
        until = time(*divmod(begin + minutes, 60))
        seed = first_seed + len(jobs)
        world = WorldPlan(seed, 1.0, day, sim.start, until, mix=mix, table=table)
        jobs.append(Job(f"{regime_name}-{seed}", world, settings, latency))
        left -= minutes
    return jobs


def _minute_of(at: time) -> int:
    return at.hour * 60 + at.minute


def quiet() -> None:
    """In this process no log lines: those of a daemon that trades are its own; a backtest says what it found."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def play_job(job: Job) -> SessionResult:
    """Play and measure one."""
    began = process_time()
    kept: list[SessionMeasures] = []

    def watch(world: World, state: DaemonState) -> Callable[..., None]:
        kept.append(SessionMeasures(world, state))
        return kept[0].look

    played = play(SessionPlan(job.world, job.settings, job.latency), watch)
    measures, pnl = kept[0], played.summary.pnl_dollars
    assert pnl is not None, "the session was summed up"
    world = played.world
    return SessionResult(
        session=job.name,
        hours=(world.end_ns - world.start_ns) / HOUR,
        rows=rows_of(job.name, list(measures.windows.values()), measures.fills),
        pnl_dollars=float(pnl),
        books_equal=played.summary.books_equal,
        cpu_s=process_time() - began,
        events=played.events,
    )


def results(jobs: Sequence[Job], workers: int, folder: Path | None) -> Iterator[SessionResult]:
    """Each job's result, in order. `workers`: how many processes. With a folder, finished ones are kept there."""
    todo = [job for job in jobs if folder is None or not _file(folder, job).exists()]
    if workers <= 1 or len(todo) <= 1:
        yield from _joined(jobs, todo, map(play_job, todo), folder)
        return
    with multiprocessing.get_context("spawn").Pool(min(workers, len(todo)), initializer=quiet) as pool:
        yield from _joined(jobs, todo, pool.imap(play_job, todo), folder)


def _joined(
    jobs: Sequence[Job], todo: Sequence[Job], fresh: Iterator[SessionResult], folder: Path | None
) -> Iterator[SessionResult]:
    waiting = {job.name for job in todo}
    for job in jobs:
        if job.name in waiting:
            result = next(fresh)
            if folder is not None:
                write_whole(_file(folder, job), orjson.dumps(asdict(result)), "the result of a session")
            yield result
        else:
            assert folder is not None
            yield _read(_file(folder, job))


def _file(folder: Path, job: Job) -> Path:
    """Named after everything the result depends on: other settings are another file."""
    everything = f"{__version__} {job.world!r} {job.settings.model_dump_json()} {job.latency!r}"
    return folder / f"{job.name}-{hashlib.sha256(everything.encode()).hexdigest()[:12]}.json"


def _read(path: Path) -> SessionResult:
    try:
        kept: dict[str, Any] = orjson.loads(path.read_bytes())
        rows = tuple(WindowRow(**row) for row in kept.pop("rows"))
        return SessionResult(rows=rows, **kept)
    except (OSError, ValueError, TypeError, KeyError) as problem:
        raise ConfigurationError(
            str(path), f"is no result of a session: {problem}", "remove it: it is played again"
        ) from None
