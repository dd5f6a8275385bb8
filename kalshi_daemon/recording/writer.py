"""Writes a recording: entries are taken on the loop, blocks are packed and written by one thread of its own.

A recording is there for afterwards: nothing waits for it, and nothing fails with it. Its first trouble (a disk that
refuses, one that is nearly full, one that does not keep up) ends it, is said once with its numbers, and what is on
disk by then can be read.
"""

import os
import queue
import threading
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Final

import structlog

from kalshi_daemon.ground.units import SECOND
from kalshi_daemon.recording.blocks import MAGIC, BlockChain
from kalshi_daemon.recording.entries import Entry, Stamp, joined, line_of

log = structlog.get_logger()

BLOCK_ENTRIES_MAX: Final = 4_000
BLOCK_BYTES_MAX: Final = 512 * 1024
"""Of payloads, before compression: whatever fills a block first closes it. Small, for until then it is memory."""
BLOCK_AGE_MAX: Final = 15 * SECOND
"""What a kill costs at most, and what is compressed as one while little happens."""
WAITING_BYTES_MAX: Final = 64 * 1024 * 1024
"""What a disk that is slow may be behind."""
_JOIN_WITHIN_S: Final = 3.0

type NoRoom = Callable[[int, Path], str]
"""Asked in the thread, before each block, with the bytes written and the folder: why nothing more should be; "" while
there is room. May raise OSError."""


class RecordingWriter:
    """`note_input` begins an input, `note` adds what followed from it; both return at once and never raise.

    path: its folder is made; no file may be there yet. opening: the content of the first block.
    """

    def __init__(self, path: Path, opening: bytes, at: Stamp, no_room: NoRoom = lambda _written, _folder: "") -> None:
        self.path = path
        self._no_room = no_room
        self._last = at
        self._base = at
        """The stamp of the last input before the block."""
        self._block_from = at
        self._entries: list[bytes] = []
        self._bytes = 0
        self._handed = 0
        """Bytes given to the thread; counted on the loop."""
        self._taken = 0
        """Of these, bytes it is done with; counted in the thread."""
        self._to_write: queue.SimpleQueue[tuple[bytes | tuple[Stamp, list[bytes]], int] | None] = queue.SimpleQueue()
        self.stopped = ""
        """Why nothing is recorded any more; "" while it is."""
        self._closing = False
        self.bytes_written = 0
        self.inputs = 0
        self._thread = threading.Thread(target=self._write_all, name="recording", daemon=True)
        self._to_write.put((opening, 0))
        self._thread.start()

    def note_input(self, at: Stamp, kind: str, detail: Entry, size_bytes: int = 0) -> None:  # noqa: ARG002 - as `Notes`
        """One input begins. size_bytes: of its payload, where that may be large."""
        if self.stopped:
            return
        full = self._bytes >= BLOCK_BYTES_MAX or len(self._entries) >= BLOCK_ENTRIES_MAX
        if full or at.real_ns - self._block_from.real_ns >= BLOCK_AGE_MAX:
            self._cut(at)
        elapsed_ns = at.now_ns - self._last.now_ns
        self._keep([elapsed_ns, at.real_ns - self._last.real_ns - elapsed_ns, kind, *detail])
        self._last = at
        self.inputs += 1

    def note(self, entry: Entry, size_bytes: int = 0) -> None:  # noqa: ARG002 - as `Notes`
        """What followed from the last input. size_bytes: as above."""
        if not self.stopped:
            self._keep(entry)

    def close(self) -> None:
        """Write what is left; waits for a disk only a little."""
        self._closing = True
        if not self.stopped:
            self._cut(self._last)
        self._to_write.put(None)
        self._thread.join(_JOIN_WITHIN_S)

    def abandon(self) -> None:
        """Write nothing more: what a kill does to it."""
        self.stopped = "abandoned"
        self._to_write.put(None)
        self._thread.join(_JOIN_WITHIN_S)

    def _keep(self, entry: Entry) -> None:
        """As text at once: many thousand small lists that live for a while would be looked through again and again."""
        try:
            line = line_of(entry)
        except (TypeError, ValueError) as problem:
            self._stop(f"no plain value: {problem}")
            return
        self._entries.append(line)
        self._bytes += len(line)

    def _cut(self, at: Stamp) -> None:
        """Hand a block to the thread; the next one begins."""
        waiting = self._handed - self._taken
        if waiting > WAITING_BYTES_MAX:
            self._stop(f"the disk is {waiting} bytes behind")
            return
        if self._entries:
            self._handed += self._bytes
            self._to_write.put(((self._base, self._entries), self._bytes))
        self._entries, self._bytes = [], 0
        self._base, self._block_from = self._last, at

    def _stop(self, why: str) -> None:
        if not self.stopped:
            self.stopped = why
            if self._closing:
                return  # the summary was the last line
            log.error("recording.stopped", problem=why, path=str(self.path), bytes_written=self.bytes_written)

    # -- the thread

    def _write_all(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(descriptor, "wb", buffering=0) as file:  # noqa: PTH123 - made with its rights by `os.open`
                self._put(file, MAGIC)
                self._write_blocks(file)
        except Exception as problem:  # noqa: BLE001 - whatever it is, trading does not hang on it
            self._stop(f"{type(problem).__name__}: {problem}")

    def _write_blocks(self, file: BinaryIO) -> None:
        chain = BlockChain()
        while (found := self._to_write.get()) is not None:
            content, size = found
            raw = content if isinstance(content, bytes) else joined(*content)
            if problem := self._no_room(self.bytes_written, self.path.parent):
                self._stop(problem)
                return
            self._put(file, chain.pack(raw))
            self._taken += size

    def _put(self, file: BinaryIO, content: bytes) -> None:
        left = memoryview(content)
        while left:
            left = left[file.write(left) :]
        self.bytes_written += len(content)
