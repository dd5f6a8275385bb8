"""Where a life's log lines go: a file on a volume that may be full, and a pipe that may not be read. No threads.

The outlets are the daemon's own; what their threads do is done here, four times a second, between any two steps.
"""

import errno
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kalshi_daemon.operations.log_outlets import FileOutput, LineQueue, Notice, Outlet, Severity
from kalshi_daemon.operations.logging import LineSink, _line, log_path, rotated_path

LINES_MAX = 60
"""Small, so that a fault of seconds reaches the bound."""
BYTES_MAX = 64 * 1024
_FILE_BYTES_MAX = 64 * 1024 * 1024
_TURNS_MAX = 50
Hear = Callable[[str, Mapping[str, Any]], None]


class Volume:
    """The state of both destinations, whichever life writes."""

    def __init__(self) -> None:
        self.full = False
        self.unread = False
        self.refused = 0
        """Writes that found no room."""
        self.held_back = 0
        """Turns in which lines waited for a reader."""
        self.waited_for: list[str] = []
        """What wrote to a pipe that nobody read, and would still hang there."""


class CountedQueue(LineQueue):
    """Knows how many lines were dropped in all, and whether one was dropped before a lesser one."""

    def __init__(self) -> None:
        super().__init__(LINES_MAX, BYTES_MAX)
        self.dropped_total = 0
        self.unfair = 0

    def _drop(self) -> None:
        held = {level for level, lines in self._by_severity.items() if lines}
        before = dict(self.dropped)
        super()._drop()
        self.dropped_total += 1
        (severity,) = [level for level, times in self.dropped.items() if times != before.get(level, 0)]
        self.unfair += severity > min(held)


class _File(FileOutput):
    def __init__(self, path: Path, volume: Volume) -> None:
        super().__init__(path, rotated_path(path), _FILE_BYTES_MAX)
        self._volume = volume
        self.lines = 0

    def write(self, data: bytes) -> int:
        if self._volume.full:
            self._volume.refused += 1
            raise OSError(errno.ENOSPC, "No space left on device")
        taken = super().write(data)
        self.lines += data[:taken].count(b"\n")
        return taken


class _Pipe:
    name = "stdout"

    def __init__(self, volume: Volume) -> None:
        self._volume = volume
        self.lines = 0

    def write(self, data: bytes) -> int:
        if self._volume.unread:
            self._volume.waited_for.append("a line was written to a pipe that nobody reads")
        self.lines += data.count(b"\n")
        return len(data)

    def look(self) -> str:
        return ""

    def reopen(self) -> None:
        return

    def close(self) -> None:
        return


class _NoWaiting(threading.Condition):
    """Nobody else is there to be waited for."""

    def wait(self, timeout: float | None = None) -> bool:
        del timeout
        return True


class SteppedOutlet(Outlet):
    """An outlet whose thread is whoever calls `turns`."""

    def __init__(self, destination: _File | _Pipe, notice: Notice) -> None:
        self.lines = CountedQueue()
        self.destination = destination
        self.offered = 0
        super().__init__(destination, notice, self.lines)
        self._changed = _NoWaiting()

    def _start(self) -> threading.Thread:
        return threading.Thread(target=self._run, name="never started")

    def put(self, line: bytes, severity: Severity) -> None:
        self.offered += not self._stopping
        super().put(line, severity)

    def turns(self) -> None:
        failures = self._failures
        for _ in range(_TURNS_MAX):
            if not (self._pending or self.lines.lines or self._reopen) or self._failures > failures:
                return
            self._turn()

    @property
    def unaccounted(self) -> int:
        """Lines neither written nor waiting nor counted as dropped."""
        waiting = self.lines.lines + self._pending.count(b"\n")
        return self.offered - self.destination.lines - waiting - self.lines.dropped_total


class SteppedSink(LineSink):
    """The sink of one life. `on_resolved` is told what it says of itself."""

    def __init__(self, folder: Path, volume: Volume, on_resolved: Hear) -> None:
        def render(event: str, _severity: Severity, fields: Mapping[str, Any]) -> bytes:
            self.told_dropped += sum(fields["dropped"].values()) if event == "log.lines_dropped" else 0
            on_resolved(event, fields)
            return _line({"event": event, **fields})

        super().__init__(stdout=False, path=None, bytes_max=1, render=render)
        self.told_dropped = 0
        """Lines that it has said were dropped."""
        self._volume = volume
        self.file = self._file = SteppedOutlet(_File(log_path(folder / "sim"), volume), self._notice)
        self.pipe = self._stdout = SteppedOutlet(_Pipe(volume), self._notice)

    def pump(self) -> None:
        """What both threads do in a moment. A thread that hangs in a write does nothing."""
        self.file.turns()
        if self._volume.unread:
            self._volume.held_back += bool(self.pipe.lines.lines)
        else:
            self.pipe.turns()
