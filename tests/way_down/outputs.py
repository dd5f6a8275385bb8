"""A daemon as a process, one of its outputs in trouble; what it says is read from the other."""

import contextlib
import errno
import fcntl
import json
import os
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

from tests.e2e.quick import QUICK
from tests.support.processes import START_S, WAIT_S, Json, environment, pause

LOG: Final = Path("sim/logs/kalshi_daemon.jsonl")
_PIPE_BYTES: Final = 4_096
_LOGS_BYTES: Final = 512 * 1024
_STATE_BYTES: Final = 16 * 1024 * 1024
_XOFF: Final = b"\x13"
_ENV: Final = QUICK | {
    "KALSHI_DAEMON_LOG__LEVEL": "debug",
    # Its volumes are small from the start: it must quote on them all the same.
    "KALSHI_DAEMON_RETENTION__DISK_FREE_SOFT_MEGABYTES_MIN": "1",
    "KALSHI_DAEMON_RETENTION__DISK_FREE_HARD_MEGABYTES_MIN": "1",
    "KALSHI_DAEMON_RETENTION__DISK_FREE_SOFT_INODES_MIN": "1",
    "KALSHI_DAEMON_RETENTION__DISK_FREE_HARD_INODES_MIN": "1",
}


class Subject:
    """`kalshi-daemon run` with its standard output wherever the trouble wants it; `lines` are what can be read."""

    def __init__(self, argv: list[str], state: Path, folder: Path, **where: Any) -> None:
        program = [*argv, sys.executable, "-m", "kalshi_daemon", "run", "--state-dir", str(state)]
        self.popen = subprocess.Popen(
            [*program, "--connect", where.pop("connect")], cwd=folder, env=environment(_ENV), **where
        )
        self.log = state / LOG

    def lines(self) -> list[Json]:
        """Whole lines of the log file so far."""
        try:
            data = self.log.read_bytes()
        except OSError:
            return []
        return [json.loads(line) for line in data[: data.rfind(b"\n") + 1].splitlines() if line]

    def count(self, name: str) -> int:
        return sum(line["event"] == name for line in self.lines())

    def more(self, name: str, than: int = 0, within_s: float = WAIT_S) -> None:
        """Wait until that event was said more often than that."""
        deadline = time.monotonic() + within_s
        while (seen := self.count(name)) <= than:
            assert self.popen.poll() is None, f"{name}: it ended with {self.popen.returncode}\n{self.tail()}"
            assert time.monotonic() < deadline, f"{name}: {seen} times within {within_s:g} s\n{self.tail()}"
            pause(0.05)

    def tail(self) -> str:
        return "\n".join(json.dumps(line)[:400] for line in self.lines()[-12:])

    def kill(self) -> None:
        if self.popen.poll() is None:
            self.popen.kill()
            self.popen.wait(10)


class Trouble(Protocol):
    """One kind of trouble, once: `begin` starts the daemon with all well, `strike` makes the trouble."""

    name: str
    codes: frozenset[int]
    """Exit codes that the documents name for a stop in this trouble, with an exchange that answers."""
    stops_by_itself: bool

    def begin(self, folder: Path, connect: str) -> Subject: ...

    def strike(self, subject: Subject) -> None: ...

    def end(self) -> None: ...


class HeardSubject(Subject):
    """Standard output is read; the file is in trouble."""

    def __init__(self, state: Path, folder: Path, connect: str) -> None:
        super().__init__([], state, folder, connect=connect, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self._heard: list[bytes] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.popen.stdout is not None, "asked for"
        self._heard.extend(iter(self.popen.stdout.readline, b""))

    def lines(self) -> list[Json]:
        if self.popen.poll() is not None:
            self._reader.join(10)
        return [json.loads(line) for line in tuple(self._heard)]


class FullVolume:
    """A volume of its own that gets full while quoting: the logs, or all of the state. Needs root for the mount.

    `anywhere`: without root the log file's place is taken by a link to /dev/full, which refuses each write alike.
    """

    stops_by_itself: bool

    def __init__(self, name: str, *, below: str, size: int, anywhere: bool, codes: frozenset[int]) -> None:
        self.name = name
        self.codes = codes
        self.stops_by_itself = not anywhere
        self._below = below
        self._size = size
        self._anywhere = anywhere
        self._mounted: Path | None = None

    def begin(self, folder: Path, connect: str) -> Subject:
        place = folder / "state" / self._below
        place.mkdir(parents=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={self._size}", "way-down", str(place)]
        if os.geteuid() == 0 and subprocess.run(command, check=False, capture_output=True).returncode == 0:
            self._mounted = place
        elif not self._anywhere:
            raise NotPossible(f"{self.name}: needs root, for a volume of its own")
        return HeardSubject(folder / "state", folder, connect)

    def strike(self, subject: Subject) -> None:
        if self._mounted is None:
            subject.log.unlink()
            subject.log.symlink_to("/dev/full")
            subject.more("log.output_lost")
            return
        fill(self._mounted / "filler")
        if not self.stops_by_itself:
            subject.more("log.output_lost")

    def end(self) -> None:
        if self._mounted is not None:
            subprocess.run(["umount", "-l", str(self._mounted)], check=True)
            self._mounted = None


class UnreadPipe:
    """Standard output and standard error are one small pipe that nobody ever reads."""

    name = "output_unread"
    codes = frozenset({0})
    stops_by_itself = False

    def begin(self, folder: Path, connect: str) -> Subject:
        self._read_end, write_end = os.pipe()
        fcntl.fcntl(write_end, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        try:
            return Subject([], folder / "state", folder, connect=connect, stdout=write_end, stderr=write_end)
        finally:
            os.close(write_end)

    def strike(self, subject: Subject) -> None:
        said = sum(len(json.dumps(line)) for line in subject.lines())
        assert said > 2 * _PIPE_BYTES, f"the pipe is full long since: {said} bytes said"

    def end(self) -> None:
        os.close(self._read_end)


class Terminal:
    """A terminal with the table on it: stopped with Ctrl-S, or closed."""

    codes = frozenset({0})
    stops_by_itself = False

    def __init__(self, name: str, *, closed: bool) -> None:
        self.name = name
        self._closed = closed
        self._master: int | None = None
        self._shown = 0
        self._stop = threading.Event()

    def begin(self, folder: Path, connect: str) -> Subject:
        self._master, slave = os.openpty()
        termios.tcsetwinsize(slave, (40, 160))
        try:
            # A session of its own with this as its terminal, so that closing it sends SIGHUP as in life.
            ends = {"stdin": slave, "stdout": slave, "stderr": slave}
            subject = Subject(["setsid", "--ctty"], folder / "state", folder, connect=connect, **ends)
        finally:
            os.close(slave)
        self._reader = threading.Thread(target=self._read, args=(self._master,), daemon=True)
        self._reader.start()
        return subject

    def _read(self, master: int) -> None:
        os.set_blocking(master, False)
        while not self._stop.is_set():
            try:
                self._shown += len(os.read(master, 65_536))
            except BlockingIOError:
                self._stop.wait(0.02)
            except OSError:
                return

    def strike(self, subject: Subject) -> None:
        assert self._master is not None, "begun"
        assert self._shown > 0, "a table was drawn"
        if self._closed:
            hangups = subject.count("log.reopened")
            self.end()
            subject.more("log.reopened", hangups)
            return
        os.write(self._master, _XOFF)
        pause(0.5)
        shown = self._shown
        pause(1.0)
        assert self._shown == shown, "nothing gets through a stopped terminal"

    def end(self) -> None:
        self._stop.set()
        if self._master is not None:
            self._reader.join(5)
            os.close(self._master)
            self._master = None


class NotPossible(Exception):  # noqa: N818 - not an error: why a kind is left out here
    """This machine cannot make that trouble."""


def fill(path: Path) -> None:
    """Write until the volume takes no more, down to the last byte."""
    with path.open("ab", buffering=0) as filler:
        for size in (65_536, 4_096, 1):
            with contextlib.suppress(OSError):
                while True:
                    filler.write(b"x" * size)
    with contextlib.suppress(OSError), path.with_name("last").open("wb", buffering=0) as last:
        assert last.write(b"x") == 0, errno.errorcode[errno.ENOSPC]


TROUBLES: Final[Mapping[str, Callable[[], Trouble]]] = {
    "logs_full": lambda: FullVolume(
        "logs_full", below="sim/logs", size=_LOGS_BYTES, anywhere=True, codes=frozenset({0})
    ),
    "state_full": lambda: FullVolume(
        # 1: the journal took no intent, which ends the life; 0: SIGTERM came first.
        "state_full",
        below="sim",
        size=_STATE_BYTES,
        anywhere=False,
        codes=frozenset({0, 1}),
    ),
    "output_unread": UnreadPipe,
    "terminal_stopped": lambda: Terminal("terminal_stopped", closed=False),
    "terminal_closed": lambda: Terminal("terminal_closed", closed=True),
}

__all__ = ["START_S", "TROUBLES", "NotPossible", "Subject", "Trouble"]
