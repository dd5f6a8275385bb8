"""Jobs on dask.distributed: each result lands once under its own name, whatever becomes of workers and scheduler.

The client hands out a bounded number of jobs at a time and keeps every result as a file as soon as it arrives. What is
lost with a worker is played again elsewhere; when the scheduler goes, the client waits for it to come back, and hands
out again what has not landed. A file that is there is never played again, so a sweep that was stopped goes on.
"""

import contextlib
import importlib.util
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import dask
from distributed import Client, LocalCluster
from distributed.comm.core import CommClosedError

from kalshi_daemon.backtest.jobs import Job
from kalshi_daemon.backtest.results import SessionResult
from kalshi_daemon.backtest.sweep.versions import Versions, check_versions, versions
from kalshi_daemon.ground.errors import ConfigurationError

AHEAD: Final = 4
"""Jobs handed out for each worker: the next one is there when one ends, and little is lost with a scheduler."""
LOSSES_MAX: Final = 5
"""How many workers may die over one job before it is the job that is to blame."""
_LOST: Final = (OSError, TimeoutError, CommClosedError)
_PATIENCE_S: Final = 300.0
_CONNECT_S: Final = 10.0
_AGAIN_S: Final = 0.5
_LOOK_EVERY_S: Final = 0.02
_QUIET: Final = {
    "distributed.scheduler.allowed-failures": LOSSES_MAX,
    "distributed.comm.timeouts.connect": "10s",
    "distributed.admin.low-level-log-length": 100,
}
_LOUD: Final = ("distributed", "distributed.nanny", "distributed.worker", "distributed.scheduler", "tornado")
"""Loggers of the library: what they warn of is what this module is for, and is said by it."""


@dataclass(frozen=True, slots=True)
class Where:
    """`scheduler`: tcp://HOST:PORT of a cluster that runs; "": one on this machine, with `workers` processes."""

    scheduler: str = ""
    workers: int = 2
    patience_s: float = _PATIENCE_S
    """How long a scheduler may be away."""


@dataclass(slots=True)
class Progress:
    """What is shown while it lasts."""

    total: int
    done: int = 0
    workers: int = 0
    dashboard: str = ""
    played: dict[str, str] = field(default_factory=dict)
    """Result file -> session, of what this call has played."""


@dataclass(frozen=True, slots=True)
class Work:
    """What is done with a job: `play` by a worker that is told our versions, `keep` here, whole or not at all."""

    play: Callable[[Job, Versions], SessionResult]
    keep: Callable[[Path, SessionResult], None]


def play_all(jobs: Mapping[Path, Job], where: Where, tell: Callable[[Progress], None], work: Work) -> Progress:
    """Play what has not landed; `jobs` by the file of their result.

    Raises ConfigurationError: versions that differ, no scheduler, a job that cannot be played.
    """
    for name in _LOUD:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    progress = Progress(len(jobs))
    todo = {path: job for path, job in jobs.items() if not path.exists()}
    progress.done = progress.total - len(todo)
    tell(progress)
    lost_since: float | None = None
    pause = threading.Event()
    with dask.config.set(_QUIET), _cluster(where) as address:
        while todo:
            before = len(todo)
            try:
                with Client(address, timeout=_CONNECT_S, set_as_default=False) as client:
                    _play(client, todo, progress, tell, work)
            except _LOST as problem:
                now = time.monotonic()
                lost_since = now if lost_since is None or len(todo) < before else lost_since
                if now - lost_since > where.patience_s:
                    left = f"{len(todo)} of {progress.total} sessions are not played"
                    raise ConfigurationError(
                        "--scheduler",
                        f"{address} does not answer: {type(problem).__name__}; {left}",
                        "start it, and this sweep again: what has landed is kept",
                    ) from problem
                pause.wait(_AGAIN_S)
    return progress


@contextlib.contextmanager
def _cluster(where: Where) -> Iterator[str]:
    """The address of the scheduler; a cluster of this machine ends with the block."""
    if where.scheduler:
        yield where.scheduler
        return
    with LocalCluster(
        n_workers=where.workers,
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        memory_limit=0,
    ) as cluster:
        yield cluster.scheduler_address


def _play(
    client: Any,  # noqa: ANN401 - distributed has no types
    todo: dict[Path, Job],
    progress: Progress,
    tell: Callable[[Progress], None],
    work: Work,
) -> None:
    """Until nothing is left, or the scheduler is gone."""
    ours = versions()
    client.wait_for_workers(1, timeout=_CONNECT_S)
    check_versions(ours, client.run(versions))
    progress.dashboard = _dashboard(client)
    waiting = iter(list(todo.items()))
    handed: dict[Path, Any] = {}
    pause = threading.Event()
    while True:
        progress.workers = len(client.scheduler_info(n_workers=-1)["workers"])
        room = AHEAD * max(1, progress.workers) - len(handed)
        for _, (path, job) in zip(range(room), waiting, strict=False):
            handed[path] = client.submit(work.play, job, ours, key=path.stem, pure=True)
        if not handed:
            return
        while not (ended := [path for path, future in handed.items() if future.status != "pending"]):
            if client.status != "running":
                raise ConnectionError(f"the client is {client.status}")
            pause.wait(_LOOK_EVERY_S)
        for path in ended:
            future = handed.pop(path)
            result = _result(future, todo[path])
            work.keep(path, result)
            future.release()
            del todo[path]
            progress.played[path.name] = result.session
            progress.done += 1
        tell(progress)


def _result(future: Any, job: Job) -> SessionResult:  # noqa: ANN401 - as above
    """Raises OSError when the scheduler took it along, ConfigurationError for a job that cannot be played."""
    if future.status in {"cancelled", "lost"}:
        raise ConnectionError(f"{future.key}: {future.status}")
    problem = future.exception(timeout=_CONNECT_S)
    if problem is None:
        found: SessionResult = future.result(timeout=_CONNECT_S)
        return found
    if isinstance(problem, ConfigurationError):
        raise problem
    raise ConfigurationError(
        f"session {job.name}", f"cannot be played: {type(problem).__name__}: {problem}"
    ) from problem


def _dashboard(client: Any) -> str:  # noqa: ANN401 - as above
    """Where a browser sees the cluster; without bokeh its charts are not there, but its tables are."""
    link = str(client.dashboard_link)
    drawn = importlib.util.find_spec("bokeh") is not None
    return link if drawn else link.replace("/status", "/info/main/workers.html")
