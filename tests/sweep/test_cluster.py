"""Two workers over TCP: one is killed, the scheduler goes and comes back, and every result lands once."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("distributed", reason="the extra `sweep` is not installed")

from distributed import Client

from kalshi_daemon.backtest.runner import keep_result, read_result, result_path
from kalshi_daemon.backtest.sweep.cluster import Progress, Where, Work, play_all
from kalshi_daemon.backtest.sweep.versions import check_versions, versions
from kalshi_daemon.ground.errors import ConfigurationError
from tests.sweep import tiny

ROOT = Path(__file__).parents[2]
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(90),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.xdist_group("cluster"),  # one cluster for all, in their order
]


class Cluster:
    """A scheduler and its workers, each a process of its own on loopback."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{self.port}"
        self.processes: list[subprocess.Popen[bytes]] = []
        self.scheduler = self.start_scheduler()
        self.workers = [self.start_worker(), self.start_worker()]

    def _start(self, *arguments: str) -> subprocess.Popen[bytes]:
        environ = {**os.environ, "TINY_FOLDER": str(self.folder), "PYTHONPATH": str(ROOT)}
        with (self.folder / "cluster.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-W", "ignore", "-m", "distributed.cli." + arguments[0], *arguments[1:]],
                env=environ, cwd=ROOT, stdout=log, stderr=log,
            )  # fmt: skip
        self.processes.append(process)
        return process

    def start_scheduler(self) -> subprocess.Popen[bytes]:
        where = ("--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard", "--no-show")
        return self._start("dask_scheduler", *where)

    def start_worker(self) -> subprocess.Popen[bytes]:
        how = ("--no-nanny", "--nthreads", "1", "--no-dashboard", "--host", "127.0.0.1", "--death-timeout", "20")
        return self._start("dask_worker", self.address, *how, "--local-directory", str(self.folder))

    def close(self) -> None:
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.wait(10)

    def played(self) -> dict[str, list[str]]:
        """Session -> the processes that played it."""
        return {path.stem: path.read_text().split() for path in self.folder.glob("*.played")}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory) -> Iterator[Cluster]:
    """One for all: it starts slowly. The test that takes its scheduler away is the last."""
    with contextlib.closing(Cluster(tmp_path_factory.mktemp("cluster"))) as found:
        with Client(found.address, timeout=60, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=60)
        yield found


def files(jobs, out: Path):
    return {result_path(out, job): job for job in jobs}


def all_landed(jobs, out: Path) -> bool:
    files = {path.name for path in out.iterdir()}
    return files == {result_path(out, job).name for job in jobs} and all(
        read_result(result_path(out, job)) == tiny.result(job.name, job.world.seed / 10) for job in jobs
    )


def test_a_job_that_cannot_be_played_ends_the_sweep_with_its_name(cluster, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(ConfigurationError, match="session s-0: cannot be played: ValueError: no s-0 today"):
        play_all(files(tiny.jobs(1), out), Where(cluster.address), lambda _p: None, Work(tiny.refuse, keep_result))
    assert list(out.iterdir()) == []


def test_a_killed_worker_loses_nothing_and_what_landed_is_not_played_again(cluster, tmp_path):
    out, jobs = tmp_path / "out", tiny.jobs(24)
    out.mkdir()
    victim = cluster.workers[0]

    def tell(_progress: Progress) -> None:
        busy = any(str(victim.pid) in processes for processes in cluster.played().values())
        if busy and victim.poll() is None:
            os.kill(victim.pid, signal.SIGKILL)

    progress = play_all(files(jobs, out), Where(cluster.address), tell, Work(tiny.play, keep_result))
    assert victim.wait(10) == -signal.SIGKILL
    assert (progress.done, progress.total) == (24, 24)
    assert all_landed(jobs, out)
    before = {name: processes for name, processes in cluster.played().items() if name in {job.name for job in jobs}}
    assert {process for processes in before.values() for process in processes} == {str(w.pid) for w in cluster.workers}
    again = play_all(
        files([*jobs, *tiny.jobs(26)[24:]], out), Where(cluster.address), lambda _p: None, Work(tiny.play, keep_result)
    )
    assert (again.done, len(again.played)) == (26, 2)
    after = cluster.played()
    assert {name: after[name] for name in before} == before
    assert sum(len(processes) for processes in before.values()) <= 24 + 2, "only what the dead one held is played twice"


def test_a_scheduler_that_comes_back_loses_nothing(cluster, tmp_path):
    out, jobs = tmp_path / "out", tiny.jobs(20)
    out.mkdir()
    gone, gone_for = threading.Event(), threading.Event()

    def restart() -> None:
        gone.wait(60)
        cluster.scheduler.kill()
        for worker in cluster.workers:
            worker.kill()
        gone_for.wait(0.5)
        cluster.start_scheduler()
        cluster.start_worker()

    helper = threading.Thread(target=restart)
    helper.start()

    def tell(progress: Progress) -> None:
        if progress.done >= 4:
            gone.set()

    progress = play_all(files(jobs, out), Where(cluster.address, patience_s=60.0), tell, Work(tiny.play, keep_result))
    helper.join()
    assert progress.done == 20
    assert all_landed(jobs, out)


def test_nobody_there_is_one_sentence_with_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr("kalshi_daemon.backtest.sweep.cluster._CONNECT_S", 0.3)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ConfigurationError, match=r"does not answer.*3 of 3 sessions are not played"):
            play_all(
                files(tiny.jobs(3), tmp_path),
                Where(address, patience_s=0.5),
                lambda _p: None,
                Work(tiny.play, keep_result),
            )


def test_other_versions_are_refused_before_anything_is_played():
    ours = dict(versions())
    assert {"python", "kalshi_daemon", "source", "numpy", "distributed"} <= set(ours)
    check_versions(ours, {"tcp://w": dict(ours)})
    with pytest.raises(ConfigurationError, match=r"worker tcp://w: has numpy 1.0, this client"):
        check_versions(ours, {"tcp://v": dict(ours), "tcp://w": ours | {"numpy": "1.0"}})
    with pytest.raises(ConfigurationError, match="has source missing"):
        check_versions(ours, {"tcp://w": {name: one for name, one in ours.items() if name != "source"}})
