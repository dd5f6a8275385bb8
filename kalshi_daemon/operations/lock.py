"""One instance per mode and state directory: an advisory lock on `<mode_dir>/daemon.lock`, which holds the pid.

The kernel drops the lock with the process, however it ends, so a lock file left behind never blocks a start. The file
itself is never removed: removing it would let two processes lock two different files of the same name.
"""

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from kalshi_daemon.ground.errors import ConfigurationError, InstanceAlreadyRunning

LOCK_NAME: Final = "daemon.lock"
_PID_BYTES_MAX: Final = 32


class InstanceLock:
    """Held from `acquire` to `release` (or as a context manager). Raises InstanceAlreadyRunning naming the holder."""

    def __init__(self, mode_dir: Path, pid: int) -> None:
        self.path = mode_dir / LOCK_NAME
        self._pid = pid
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Raises InstanceAlreadyRunning, or ConfigurationError when the directory cannot be written."""
        assert self._descriptor is None, "acquired twice"
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise ConfigurationError("state_dir", f"{self.path} cannot be opened: {error.strerror}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            holder = holder_of(self.path)
            who = f"process {holder}" if holder else "another process"
            raise InstanceAlreadyRunning(
                str(self.path), f"held by {who}", "one instance per mode and state directory; stop it, or --state-dir"
            ) from None
        except OSError as error:  # a file system without locks: two instances could not see each other
            os.close(descriptor)
            raise ConfigurationError("state_dir", f"{self.path} cannot be locked: {error.strerror}") from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{self._pid}\n".encode(), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        """Idempotent."""
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.release()


def holder_of(path: Path) -> int | None:
    """The pid written in a lock file; None when there is none (nobody, or not written yet)."""
    try:
        with path.open("rb") as file:
            text = file.read(_PID_BYTES_MAX).strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None


def running_daemon(mode_dir: Path) -> int | None:
    """The pid of the daemon that holds this mode's lock; None when there is none.

    The lock is tried (shared, for an instant) only where a pid is written: a daemon that ended in order clears it, so
    this can get in the way of a start only in the same instant after a crash.
    """
    path = mode_dir / LOCK_NAME
    pid = holder_of(path)
    if pid is None:
        return None
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return pid  # held, or it cannot be told: then there is one
    return None
