"""A terminal that is drawn on without waiting for it: Ctrl-S holds up the drawing and nothing else."""

import io
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final

BYTES_MAX: Final = 1024 * 1024
"""Of what waits; more is left out."""

type WriteAll = Callable[[bytes], None]


class Screen(io.TextIOBase):
    """A text file for drawings: what was written since the last flush is handed to a thread as one piece.

    At most one piece is on its way. Whoever draws asks `idle` first and skips the drawing while it is not; a piece
    that is flushed all the same waits, joined to others. `write_all` may block and may raise OSError.
    """

    def __init__(self, write_all: WriteAll) -> None:
        super().__init__()
        self._write_all = write_all
        self._parts: list[str] = []
        self._waiting = b""
        self._busy = False
        self._ended = False
        self._changed = threading.Condition()
        # A daemon thread: one that hangs in a write to a stopped terminal must not hold up the exit of the process.
        self._thread = threading.Thread(target=self._run, name="screen", daemon=True)
        self._thread.start()

    @property
    def idle(self) -> bool:
        """Whether the terminal has taken everything."""
        with self._changed:
            return not (self._busy or self._waiting)

    def isatty(self) -> bool:
        """Yes: rich draws for a terminal."""
        return True

    def writable(self) -> bool:
        """Yes: it takes text."""
        return True

    def write(self, text: str, /) -> int:
        """Take a part of a picture; characters taken."""
        self._parts.append(text)
        return len(text)

    def flush(self) -> None:
        """Hand what was written to the thread; the oldest stays when a terminal does not read."""
        data = "".join(self._parts).encode("utf-8", "replace")
        self._parts.clear()
        if data:
            with self._changed:
                self._waiting = (self._waiting + data)[:BYTES_MAX]
                self._changed.notify()

    def end(self, within_s: float) -> bool:
        """Nothing is drawn from now on. Whether the terminal took the rest within that time."""
        self.flush()
        with self._changed:
            self._ended = True
            self._changed.notify()
        self._thread.join(within_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._busy = False
                while not (self._waiting or self._ended):
                    self._changed.wait()
                if not self._waiting:
                    return
                data, self._waiting, self._busy = self._waiting, b"", True
            # A terminal that is gone: the daemon goes on without its table.
            with suppress(OSError, ValueError):
                self._write_all(data)


def descriptor_writer(fd: int) -> WriteAll:
    """Writes past Python's buffers: a thread stuck inside their lock would break the exit."""

    def write_all(data: bytes) -> None:
        left = memoryview(data)
        while left:
            left = left[os.write(fd, left) :]

    return write_all
