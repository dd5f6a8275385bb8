"""One stop of a real daemon whose outputs are in trouble, under a storm of signals; judged by the exchange's record."""

import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.processes import START_S, Processes, pause
from tests.way_down.outputs import TROUBLES, Subject, Trouble

STORMS: Final = ("none", "SIGTERM", "SIGHUP")
LADDER_MAX_S: Final = 20.0 + 10.0 + 5.0 + 1.0 + 4.0
"""Cancelling and verifying, comparing the books, files, the last lines; and a start of the interpreter's end."""
_EVERY_S: Final = 0.005
_STORM_S: Final = 2.0
_AFTER_STRIKE_SCANS: Final = 2


@dataclass(frozen=True, slots=True)
class Stop:
    """What was seen of one."""

    trouble: str
    storm: str
    code: int
    took_s: float
    signals: int
    resting_before: int
    problems: tuple[str, ...]


def play(trouble_name: str, storm: str, folder: Path) -> Stop:
    """Start, quote, make trouble, stop. Raises NotPossible where the machine cannot; AssertionError for a bound."""
    folder.mkdir(parents=True)
    trouble = TROUBLES[trouble_name]()
    processes = Processes(folder)
    subject: Subject | None = None
    try:
        sim = processes.simulator("--from", "13:10", "--until", "15:59", "--speed", "1").wait_ready()
        subject = trouble.begin(folder, sim.admin_url)
        subject.more("daemon.ready", within_s=START_S)
        sim.until_truth(lambda truth: len(truth["resting"]) >= 2, "something rests")
        trouble.strike(subject)
        if not trouble.stops_by_itself:
            _still_works(subject)
        resting = len(sim.resting())
        signals, took_s = _stop(subject, storm)
        code = subject.popen.returncode
        left = sim.resting()
        problems = [f"{len(left)} rest after the end"] if left else []
        problems += _judge(trouble, subject, code, took_s)
        return Stop(trouble_name, storm, code, took_s, signals, resting, tuple(problems))
    finally:
        if subject is not None:
            subject.kill()
        trouble.end()
        processes.close()


def _still_works(subject: Subject) -> None:
    """Quoting goes on, and SIGUSR1 is answered."""
    subject.more("scan.done", subject.count("scan.done") + _AFTER_STRIKE_SCANS - 1)
    subject.popen.send_signal(signal.SIGUSR1)
    subject.more("daemon.status")


def _stop(subject: Subject, storm: str) -> tuple[int, float]:
    """How many signals were sent, and the seconds from the first SIGTERM to the end."""
    with _storm(subject, storm) as sent:
        if storm == "SIGHUP" and subject.popen.poll() is None:
            pause(_STORM_S)  # it lives on, and the storm goes on while it stops
        began = time.monotonic()
        if subject.popen.poll() is None:
            subject.popen.send_signal(signal.SIGTERM)
        try:
            subject.popen.wait(LADDER_MAX_S)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"runs {LADDER_MAX_S:g} s after SIGTERM\n{subject.tail()}") from None
        took_s = time.monotonic() - began
    return len(sent), took_s


@contextmanager
def _storm(subject: Subject, storm: str) -> Iterator[list[int]]:
    """Signals every few milliseconds until the process is gone."""
    sent: list[int] = []
    over = threading.Event()

    def blow() -> None:
        while not over.wait(_EVERY_S) and subject.popen.poll() is None:
            number = signal.Signals[storm]
            subject.popen.send_signal(number)
            sent.append(number)

    thread = threading.Thread(target=blow, daemon=True)
    if storm != "none":
        thread.start()
    try:
        yield sent
    finally:
        over.set()
        if storm != "none":
            thread.join()


def _judge(trouble: Trouble, subject: Subject, code: int, took_s: float) -> list[str]:
    lines = subject.lines()
    names = [line["event"] for line in lines]
    problems = []
    if code not in trouble.codes:
        problems.append(f"exit code {code}, documented {sorted(trouble.codes)}")
    if took_s > LADDER_MAX_S:
        problems.append(f"took {took_s:.1f} s")
    if names[-1:] != ["session.summary"]:
        problems.append(f"the last line is {names[-1:]}")
    elif not (lines[-1]["verified"] and lines[-1]["resting_at_end"] == 0):
        problems.append(f"not verified: {lines[-1]}")
    if "stop.verified" not in names:
        problems.append("no stop.verified")
    died = [line for line in lines if line["event"] == "daemon.task_died"]
    problems += [f"a task died: {line.get('error')} {line.get('message')}" for line in died]
    return problems
