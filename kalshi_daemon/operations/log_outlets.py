"""Where log lines go, without anybody waiting for them: one bounded queue and one thread per destination.

The loop only puts lines into queues. A full disk, a volume that is gone, a pipe that nobody reads and a terminal
stopped with Ctrl-S hold up their own thread and nothing else. At the bound the lowest severity is dropped first; what
was dropped is counted and said once lines flow again.
"""

import os
import select
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any, BinaryIO, Final, Protocol

from kalshi_daemon.ground.backoff import doubled

LINES_MAX: Final = 20_000
BYTES_MAX: Final = 16 * 1024 * 1024
"""Of one destination's queue: half an hour of a busy session's lines."""
BATCH_BYTES_MAX: Final = 1024 * 1024
RETRY_FIRST_S: Final = 0.5
RETRY_MAX_S: Final = 15.0
LOOK_EVERY_S: Final = 1.0
"""How often the file is looked for: one that was deleted or moved is opened anew."""

type Severity = int
type Notice = Callable[[str, Severity, Mapping[str, Any]], None]
"""Says something about a destination, on all of them: event, severity, fields."""

WARNING: Final[Severity] = 30
LEVEL_NAMES: Final[Mapping[Severity, str]] = {10: "debug", 20: "info", 30: "warning", 40: "error", 50: "critical"}


class LineQueue:
    """Lines by severity, in the order they came. Bounded in lines and bytes; never blocks, never raises."""

    def __init__(self, lines_max: int = LINES_MAX, bytes_max: int = BYTES_MAX) -> None:
        self._lines_max = lines_max
        self._bytes_max = bytes_max
        self._by_severity: dict[Severity, deque[tuple[int, bytes]]] = {}
        self._next = 0
        self.lines = 0
        self.bytes = 0
        self.dropped: dict[Severity, int] = {}
        """Since they were last told of."""

    def put(self, line: bytes, severity: Severity) -> None:
        """Take a line; beyond the bounds the least severe and oldest go first."""
        self._by_severity.setdefault(severity, deque()).append((self._next, line))
        self._next += 1
        self.lines += 1
        self.bytes += len(line)
        while self.lines > self._lines_max or self.bytes > self._bytes_max:
            self._drop()

    def take(self, bytes_max: int) -> list[bytes]:
        """The oldest lines, in order, up to about `bytes_max` (one line at least when there is one)."""
        taken: list[bytes] = []
        size = 0
        while self.lines and (not taken or size < bytes_max):
            severity = min(
                (level for level, held in self._by_severity.items() if held), key=lambda x: self._by_severity[x][0][0]
            )
            line = self._by_severity[severity].popleft()[1]
            self._forget(line)
            taken.append(line)
            size += len(line)
        return taken

    def _drop(self) -> None:
        """The oldest line of the lowest severity there is."""
        severity = min(level for level, held in self._by_severity.items() if held)
        self._forget(self._by_severity[severity].popleft()[1])
        self.dropped[severity] = self.dropped.get(severity, 0) + 1

    def _forget(self, line: bytes) -> None:
        self.lines -= 1
        self.bytes -= len(line)


class Destination(Protocol):
    """What an outlet's thread writes to. Every method may raise OSError or ValueError, and may block."""

    name: str

    def write(self, data: bytes) -> int:
        """Write whole lines from the start of `data`; returns how many bytes were taken."""
        ...

    def look(self) -> str:
        """Called about each second and before each batch: the event to tell of, or ""."""
        ...

    def reopen(self) -> None:
        """Begin anew at the same place, after a rotation by others."""
        ...

    def close(self) -> None:
        """Let go; nothing is written afterwards."""
        ...


class Outlet:
    """A destination with its queue and its thread. `put`, `reopen` and `stop` return at once."""

    def __init__(self, destination: Destination, notice: Notice, queue: LineQueue | None = None) -> None:
        self._destination = destination
        self._notice = notice
        self._queue = queue or LineQueue()
        self._changed = threading.Condition()
        self._reopen = True
        self._stopping = False
        self._pending = b""
        """Bytes of the batch being written that the destination has not taken yet."""
        self._failures = 0
        self._dropping = False
        self._thread = self._start()

    def _start(self) -> threading.Thread:
        # A daemon thread: one that hangs in a write to a dead disk must not hold up the exit of the process.
        thread = threading.Thread(target=self._run, name=f"log.{self._destination.name}", daemon=True)
        thread.start()
        return thread

    def put(self, line: bytes, severity: Severity) -> None:
        """Queue a line for the thread. Never waits for the destination."""
        with self._changed:
            if self._stopping:
                return
            self._queue.put(line, severity)
            self._changed.notify()
            begins = bool(self._queue.dropped) and not self._dropping
            self._dropping = self._dropping or begins
            waiting = {"lines": self._queue.lines, "bytes": self._queue.bytes}
        if begins:
            self._notice("log.output_stalled", WARNING, {"output": self._destination.name, **waiting})

    def reopen(self) -> None:
        """Close the file and open its path again, with the next lines (after an outside rotation)."""
        with self._changed:
            self._reopen = True
            self._changed.notify()

    def stop(self) -> None:
        """No lines are taken from now on; what is queued is still written. `join` waits for it."""
        with self._changed:
            self._stopping = True
            self._changed.notify()

    def join(self, within_s: float) -> bool:
        """Whether everything was written within that time; the thread is left to itself when not."""
        self._thread.join(max(0.0, within_s))
        return not self._thread.is_alive()

    def _run(self) -> None:
        while self._turn():
            pass
        with suppress(OSError, ValueError):
            self._destination.close()

    def _turn(self) -> bool:
        """One batch; False at the end. Nothing that the destination does gets out of here."""
        with self._changed:
            if not (self._pending or self._queue.lines or self._stopping or self._reopen):
                self._changed.wait(LOOK_EVERY_S)
            reopen, self._reopen = self._reopen, False
            self._pending = self._pending or b"".join(self._queue.take(BATCH_BYTES_MAX))
            if self._stopping and not (self._pending or reopen):
                return False
        try:
            if reopen:
                self._destination.reopen()
            self._tell(self._destination.look())
            if self._pending:
                self._pending = self._pending[self._destination.write(self._pending) :]
        except Exception as problem:  # noqa: BLE001 - a log must not be what ends the process
            return self._after(problem)
        self._flowing()
        return True

    def _after(self, problem: Exception) -> bool:
        """Say once that this destination is lost, and wait before the next try."""
        if isinstance(problem, BrokenPipeError | ValueError):
            self.stop()  # the reader is gone for good (`| head`); a file fails with neither
            return False
        self._failures += 1
        if self._failures == 1:
            self._notice("log.output_lost", WARNING, {"output": self._destination.name, "problem": str(problem)})
        with self._changed:
            if self._stopping:
                return False  # at the end nobody waits for a disk to get room again
            self._changed.wait(doubled(RETRY_FIRST_S, self._failures - 1, RETRY_MAX_S))
        return True

    def _flowing(self) -> None:
        if self._failures:
            self._failures = 0
            self._notice("log.output_restored", WARNING, {"output": self._destination.name})
        with self._changed:
            dropped, self._queue.dropped = self._queue.dropped, {}
            self._dropping = False
        if dropped:
            by_level = {LEVEL_NAMES.get(level, str(level)): count for level, count in sorted(dropped.items())}
            self._notice("log.lines_dropped", WARNING, {"output": self._destination.name, "dropped": by_level})

    def _tell(self, event: str) -> None:
        if event:
            self._notice(event, WARNING, {"output": self._destination.name})


class StreamOutput:
    """Standard output, written past Python's buffer: a thread stuck inside its lock would break the exit."""

    def __init__(self, stream: BinaryIO, name: str = "stdout") -> None:
        self.name = name
        self._stream = stream
        try:
            self._fd: int | None = stream.fileno()
        except (OSError, ValueError):
            self._fd = None

    def write(self, data: bytes) -> int:
        if self._fd is None:
            self._stream.write(data)
            self._stream.flush()
            return len(data)
        try:
            return os.write(self._fd, data)
        except BlockingIOError:  # somebody made our standard output non-blocking
            select.select([], [self._fd], [], LOOK_EVERY_S)
            return 0

    def look(self) -> str:
        return ""

    def reopen(self) -> None:
        return

    def close(self) -> None:
        return


class FileOutput:
    """A file that is rotated at its size limit, so at most two are kept: the path and `rotated`.

    A rotation that fails is tried again each second; the file may grow to twice its limit meanwhile, no further.
    """

    def __init__(self, path: Path, rotated: Path, bytes_max: int) -> None:
        self.name = "file"
        self._path = path
        self._rotated = rotated
        self._bytes_max = bytes_max
        self._fd: int | None = None
        self._identity: tuple[int, int] | None = None
        self._size = 0
        self._torn = False
        self._looked_s = 0.0
        self._unrotated: OSError | None = None
        self._unrotated_told = False

    def write(self, data: bytes) -> int:
        """Whole lines from the start of `data`, one at least, as many as the file may take. Raises OSError."""
        fd = self._open()
        if self._size >= 2 * self._bytes_max:
            assert self._unrotated is not None, "a file is rotated at its limit unless that fails"
            raise self._unrotated
        limit = self._bytes_max if self._size < self._bytes_max else 2 * self._bytes_max
        end = data.find(b"\n", min(limit - self._size, len(data)) - 1) + 1 or len(data)
        if self._torn:
            os.write(fd, b"\n")  # what a full disk took of the last line stands alone
            self._torn = False
        taken = os.write(fd, data[:end])
        self._size += taken
        if taken < end:
            self._torn = not data[:taken].endswith(b"\n")
            taken = data.rfind(b"\n", 0, taken) + 1  # a part of a line is written again, whole, once there is room
        if self._size >= self._bytes_max:
            self._rotate()
        return taken

    def look(self) -> str:
        """What happened to the file since the last look, as an event; "" when nothing did. Raises OSError."""
        now_s = monotonic()
        if self._fd is None or now_s - self._looked_s < LOOK_EVERY_S:
            return ""
        self._looked_s = now_s
        if self._unrotated is not None:
            self._rotate()
            failed = self._unrotated is not None
            told, self._unrotated_told = self._unrotated_told, failed
            return "log.rotation_failed" if failed and not told else ""
        try:
            at_path = self._path.stat()
        except FileNotFoundError:
            at_path = None
        if at_path is not None and (at_path.st_dev, at_path.st_ino) == self._identity:
            return ""
        self.reopen()
        return "log.file_replaced"

    def reopen(self) -> None:
        self.close()
        self._open()

    def close(self) -> None:
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)

    def _open(self) -> int:
        if self._fd is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
            facts = os.fstat(self._fd)
            self._identity = (facts.st_dev, facts.st_ino)
            self._size = facts.st_size
            self._looked_s = monotonic()
            if self._size >= self._bytes_max:
                self._rotate()
        return self._fd

    def _rotate(self) -> None:
        try:
            self._path.replace(self._rotated)
        except OSError as problem:
            self._unrotated = problem
            return
        self._unrotated = None
        self.reopen()
