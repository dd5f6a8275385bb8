"""The whole suite in three parts, as `make test` runs it; at the end what each took, of the clock and of processors.

Side by side: what keeps no time of the machine's, a worker a processor. Processes: tests that start whole programs and
wait for them most of the time. Alone: what keeps time with the machine's clock, one by one, with nothing beside it.

With --together the first two run at once: the side-by-side part at low priority, so that programs under test get a
processor when they want one and the rest is what would lie idle. The output of the processes is shown when both are
through. A part that fails ends the suite after those that run beside it.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import IO

SIDE_BY_SIDE = "not e2e and not alone"
PROCESSES = "e2e and not alone"
ALONE = "alone"
PROCESSES_AT_A_TIME = 2
PROCESSES_AT_A_TIME_TOGETHER = 3
NICENESS = 10
KEEP_BYTE_CODE = {"PYTHONDONTWRITEBYTECODE": ""}
"""Every worker reads 900 files: compiling them anew takes each ten seconds of a processor."""


class Part:
    """One run of pytest."""

    def __init__(self, name: str, command: Sequence[str], *, output: IO[bytes] | None = None) -> None:
        self.name = name
        self.output = output
        self._began = time.monotonic()
        into = None if output is None else subprocess.STDOUT
        self._process = subprocess.Popen(command, stdout=output, stderr=into, env=os.environ | KEEP_BYTE_CODE)
        self.code: int | None = None
        self.took_s = self.cpu_s = 0.0

    def wait(self) -> int:
        """The exit code. Waits on when interrupted: pytest hears of it too, and has something to clear away."""
        while self.code is None:
            with suppress(KeyboardInterrupt):
                _pid, status, used = os.wait4(self._process.pid, 0)
                self.code = self._process.returncode = os.waitstatus_to_exitcode(status)
                self.took_s, self.cpu_s = time.monotonic() - self._began, used.ru_utime + used.ru_stime
        return self.code

    def interrupt(self) -> None:
        """As Ctrl-C does."""
        if self.code is None:
            self._process.send_signal(signal.SIGINT)

    def show(self) -> None:
        """What it has printed, where that was kept."""
        if self.output is not None:
            self.output.seek(0)
            sys.stdout.buffer.write(self.output.read())
            sys.stdout.buffer.flush()


def pytest_of(marks: str, *options: str) -> list[str]:
    """The command of a part."""
    return [sys.executable, "-m", "pytest", "-q", "-m", marks, *options]


def side_by_side() -> list[str]:
    return pytest_of(SIDE_BY_SIDE, "-n", "auto", "--dist", "worksteal")


def processes(at_a_time: int) -> list[str]:
    return pytest_of(PROCESSES, "-n", str(at_a_time), "--dist", "loadgroup")


@contextmanager
def stopped_by_sigterm(parts: Sequence[Part]) -> Iterator[None]:
    """Ctrl-C reaches every process of the terminal; SIGTERM this one alone, which passes it on."""
    before = signal.signal(signal.SIGTERM, lambda *_: [part.interrupt() for part in parts])
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def one(name: str, command: Sequence[str]) -> list[Part]:
    """Run a part by itself."""
    part = Part(name, command)
    with stopped_by_sigterm([part]):
        part.wait()
    return [part]


def both(first: Sequence[str], second: Sequence[str]) -> list[Part]:
    """Run two at once, the first at low priority and visible, the second shown afterwards."""
    with tempfile.TemporaryFile() as kept:
        parts = [
            Part("side by side", ["nice", "-n", str(NICENESS), *first]),
            Part("processes", second, output=kept),
        ]
        with stopped_by_sigterm(parts):
            for part in parts:
                part.wait()
        parts[1].show()
    return parts


def steps(*, together: bool) -> Iterator[list[Part]]:
    """What runs at once, step by step."""
    if together:
        yield both(side_by_side(), processes(PROCESSES_AT_A_TIME_TOGETHER))
    else:
        yield one("side by side", side_by_side())
        yield one("processes", processes(PROCESSES_AT_A_TIME))
    yield one("alone", pytest_of(ALONE))


def run(parts: Iterable[list[Part]]) -> int:
    """Take the steps until a part fails: then 1, otherwise 0. Says what each took."""
    began, lines, failed = time.monotonic(), [], False
    for at_once in parts:
        lines += [f"{part.name}: {part.took_s:.0f} s, {part.cpu_s:.0f} s of processors" for part in at_once]
        failed = any(part.code != 0 for part in at_once)
        if failed:
            break
    print("; ".join([*lines, f"in all {time.monotonic() - began:.0f} s"]))
    return int(failed)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    # A shell that starts us in the background has it ignored, and so would have every process that we start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    parser.add_argument("--together", action="store_true", help="run whole processes beside the rest")
    return run(steps(together=parser.parse_args().together))


if __name__ == "__main__":
    sys.exit(main())
