"""The daemons that run on a state directory: what to say of them, and work that must not be done beside one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kalshi_daemon.ground.errors import DaemonError, ExitCode, InstanceAlreadyRunning
from kalshi_daemon.operations.lock import InstanceLock, running_daemon
from kalshi_daemon.settings.model import Mode, Settings


class DaemonRuns(DaemonError):  # noqa: N818 - errors are nouns: the tree's rule
    """Another process holds the lock: what was asked for is not done beside it. Nothing is wrong with the settings."""

    exit_code = ExitCode.REFUSED


@contextmanager
def alone(mode_dir: Path) -> Iterator[None]:
    """Hold the lock of a mode for the work of a command. Raises DaemonRuns naming the holder."""
    lock = InstanceLock(mode_dir, os.getpid())
    try:
        lock.acquire()
    except InstanceAlreadyRunning as held:
        raise DaemonRuns(str(held)) from None
    try:
        yield
    finally:
        lock.release()


@dataclass(frozen=True, slots=True)
class RunningDaemons:
    """The daemons of one state directory as their locks tell."""

    pid: int | None
    """Of the mode in hand; None: none runs, or it runs on another state directory."""
    others: dict[str, int]
    """The other modes' daemons: mode -> pid. They look at a file of their own."""

    def notes(self, *, absent: str = "") -> tuple[str, ...]:
        """What people are told; `absent` follows where no daemon of the mode runs."""
        own = (
            "no daemon of this mode and state directory runs"
            if self.pid is None
            else f"a daemon of this mode runs (process {self.pid})"
        )
        tail = f": {absent}" if self.pid is None and absent else ""
        others = (f"a daemon of mode {mode} runs (process {pid}): --mode {mode}" for mode, pid in self.others.items())
        return (f"{own}{tail}", *others)


def running_daemons(settings: Settings) -> RunningDaemons:
    """Look at the locks of every mode in the state directory. Never raises."""
    found = {mode.value: running_daemon(settings.state_dir / mode.value) for mode in Mode if mode is not settings.mode}
    others = {mode: pid for mode, pid in found.items() if pid is not None}
    return RunningDaemons(running_daemon(settings.mode_dir), others)
