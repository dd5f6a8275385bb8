"""Many sessions, in this process or in several; what is done stays done."""

import gc
import hashlib
import logging
import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import cache, partial
from pathlib import Path
from time import process_time
from typing import Any

import orjson
import structlog

from kalshi_daemon import __version__
from kalshi_daemon.backtest.jobs import Job, inputs_of
from kalshi_daemon.backtest.measures import MeasuredFill, SessionMeasures
from kalshi_daemon.backtest.order_measures import OrderMeasures
from kalshi_daemon.backtest.recorded.recorded_world import RecordedPlan, RecordedWorld
from kalshi_daemon.backtest.results import Law, OrderRow, SessionResult, WindowRow, rows_of
from kalshi_daemon.backtest.session import SessionPlan, play
from kalshi_daemon.backtest.sweep.versions import Versions, check_versions, versions
from kalshi_daemon.backtest.warm_memory import Memory, warm_memory
from kalshi_daemon.ground.durable import write_whole
from kalshi_daemon.ground.errors import ConfigurationError
from kalshi_daemon.ground.units import HOUR, Nanos
from kalshi_daemon.simulator.world import World
from kalshi_daemon.state import DaemonState


def quiet() -> None:
    """In this process no log lines: those of a daemon that trades are its own; a backtest says what it found."""
    _spare_collector()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


@cache
def _spare_collector() -> None:
    """Keep what was imported out of every later collection; once, or the rubbish of each session were kept as well."""
    gc.freeze()


def play_job(job: Job) -> SessionResult:
    """Play and measure one."""
    began = process_time()
    kept: list[tuple[SessionMeasures, OrderMeasures]] = []

    def watch(world: World | RecordedWorld, state: DaemonState) -> Callable[[Nanos], None]:
        measures, orders = SessionMeasures(world, state), OrderMeasures(world)
        kept.append((measures, orders))

        def look(now_ns: Nanos) -> None:
            measures.look(now_ns)
            orders.look()

        return look

    played = play(SessionPlan(job.world, job.settings, job.latency, _memory(job)), watch)
    (measures, orders), pnl = kept[0], played.summary.pnl_dollars
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
        law=_law(world),
        warm=job.warm,
        fills=tuple(measures.fills),
        orders=orders.rows(),
        notes=job.notes + (world.day.notes if isinstance(world, RecordedWorld) else ()),
    )


def play_checked(job: Job, wanted: Versions) -> SessionResult:
    """The same in a worker of a cluster, which may have come late: raises ConfigurationError if its code is another."""
    check_versions(wanted, {"of this session": versions()})
    quiet()
    return play_job(job)


def _memory(job: Job) -> Memory:
    """What the daemon of a session begins with."""
    world = job.world
    if not job.warm or isinstance(world, RecordedPlan) or world.session_date is None:
        return {}
    return warm_memory(job.settings, world.session_date, world.seed)


def _law(world: World | RecordedWorld) -> Law:
    if isinstance(world, RecordedWorld):
        return Law.NONE
    return Law.EXACT if all(path.law is not None for path in world.paths.values()) else Law.ESTIMATE


def results(jobs: Sequence[Job], workers: int, folder: Path | None) -> Iterator[SessionResult]:
    """Each job's result, in order. `workers`: how many processes. With a folder, finished ones are kept there.

    Each is kept by who played it, at once: whatever ends the run costs no more than the sessions that were under way.
    """
    todo = [job for job in jobs if folder is None or not result_path(folder, job).exists()]
    play_one = partial(_play_and_keep, folder=folder)
    if workers <= 1 or len(todo) <= 1:
        yield from _joined(jobs, todo, map(play_one, todo), folder)
        return
    with multiprocessing.get_context("spawn").Pool(min(workers, len(todo)), initializer=_start_worker) as pool:
        yield from _joined(jobs, todo, pool.imap(play_one, todo), folder)


def _start_worker() -> None:
    """A Ctrl-C reaches every process of the terminal: the first one stops the others."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    quiet()


def _play_and_keep(job: Job, folder: Path | None) -> SessionResult:
    result = play_job(job)
    if folder is not None:
        keep_result(result_path(folder, job), result)
    return result


def keep_result(path: Path, result: SessionResult) -> None:
    """Whole or not at all; again is the same. Raises ConfigurationError."""
    write_whole(path, orjson.dumps(asdict(result), option=orjson.OPT_NON_STR_KEYS), "the result of a session")


def _joined(
    jobs: Sequence[Job], todo: Sequence[Job], fresh: Iterator[SessionResult], folder: Path | None
) -> Iterator[SessionResult]:
    waiting = {job.name for job in todo}
    for job in jobs:
        if job.name in waiting:
            yield next(fresh)
        else:
            assert folder is not None
            yield read_result(result_path(folder, job))


def result_path(folder: Path, job: Job) -> Path:
    """Named after everything the result depends on: other settings, or other data, are another file."""
    inputs = [(path, path.stat()) for path in inputs_of(job)]
    data = [(str(path), found.st_size, found.st_mtime_ns) for path, found in inputs]
    everything = f"{__version__} {job.world!r} {job.settings.model_dump_json()} {job.latency!r} {data} {job.warm}"
    return folder / f"{job.name}-{hashlib.sha256(everything.encode()).hexdigest()[:12]}.json"


def _fill(row: dict[str, Any]) -> MeasuredFill:
    markouts = {int(seconds): value for seconds, value in row.pop("markouts").items()}
    return MeasuredFill(**row, markouts=markouts)


def read_result(path: Path) -> SessionResult:
    """As `keep_result` wrote it. Raises ConfigurationError naming the file."""
    try:
        kept: dict[str, Any] = orjson.loads(path.read_bytes())
        kept["rows"] = tuple(WindowRow(**row) for row in kept["rows"])
        kept["fills"] = tuple(_fill(row) for row in kept["fills"])
        kept["orders"] = tuple(OrderRow(**row) for row in kept["orders"])
        kept["law"], kept["notes"] = Law(kept["law"]), tuple(kept["notes"])
        return SessionResult(**kept)
    except (OSError, ValueError, TypeError, KeyError) as problem:
        raise ConfigurationError(
            str(path), f"is no result of a session: {problem}", "remove it: it is played again"
        ) from None
