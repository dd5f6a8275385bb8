"""Reads a recording: its opening, then input by input. Damage costs the blocks it touches and is told."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kalshi_daemon.ground.clock import iso_utc
from kalshi_daemon.ground.errors import ConfigurationError
from kalshi_daemon.ground.folders import entries
from kalshi_daemon.ground.named_files import read_named
from kalshi_daemon.ground.units import Nanos
from kalshi_daemon.recording.blocks import FAMILY, MAGIC, Block, Damage, begins_as_recording, blocks
from kalshi_daemon.recording.entries import Input, Stamp, decoded, inputs
from kalshi_daemon.recording.opening import Opening, opening_of

SUFFIX: Final = ".recording"
BYTES_MAX: Final = 1_000_000_000
"""Of one recording: it is read whole. A live day is some 30 MB, and a run that never ends some weeks of them."""
_FOLDER: Final = "recordings"


@dataclass(frozen=True, slots=True)
class Gap:
    """Something is missing here. `after`: when the last input before it was taken; None before the first."""

    offset: int
    bytes: int
    after: Stamp | None
    torn: bool
    """It is the end of the file, as a kill leaves it."""

    def __str__(self) -> str:
        since = "before its first input" if self.after is None else f"after {iso_utc(Nanos(self.after.now_ns))}"
        what = "the last block is torn and left out" if self.torn else f"{self.bytes} bytes are damaged"
        return f"{what} (at byte {self.offset}, {since})"


def recordings_folder(mode_dir: Path) -> Path:
    """Where the recordings of a mode lie."""
    return mode_dir / _FOLDER


def recordings(mode_dir: Path) -> list[Path]:
    """The recordings of a mode, oldest first: their names begin with the time of their start. Raises OSError."""
    folder = recordings_folder(mode_dir)
    return [path for path in entries(folder) if path.suffix == SUFFIX]


class Recording:
    """An opened recording. Raises ConfigurationError for a file that cannot be read or is none of this form."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._content, _mode = read_named(path, BYTES_MAX, str(path), "no run of a day records as much")
        if not begins_as_recording(self._content):
            raise ConfigurationError(str(path), *_no_recording(self._content))
        first = next(blocks(self._content), None)
        whole = isinstance(first, Block) and first.number == 0
        try:
            self.opening: Opening = opening_of(first.raw if isinstance(first, Block) and whole else b"")
        except ValueError as wrong:
            said = f"{wrong if whole else 'its first block is damaged'}: there is nothing to begin with"
            raise ConfigurationError(str(path), said, "replay another one") from None
        self.start = Stamp(self.opening.now_ns, self.opening.real_ns)

    def read(self) -> Iterator[Input | Gap]:
        """Input by input, in order, with the gaps between them."""
        number, last = 1, None
        missing = False
        for found in blocks(self._content):
            if isinstance(found, Damage):
                yield Gap(found.offset, found.bytes, last, found.torn)
                missing = True
                continue
            if found.number == 0:
                continue
            if not found.follows and not missing:
                yield Gap(found.offset, 0, last, torn=False)
            missing = False
            try:
                for one in inputs(*decoded(found.raw), number):
                    yield one
                    number, last = one.number + 1, one.at
            except (ValueError, TypeError, IndexError):
                yield Gap(found.offset, len(found.raw), last, torn=False)
                missing = True

    @property
    def bytes(self) -> int:
        return len(self._content)


def _no_recording(content: bytes) -> tuple[str, str]:
    """What is wrong with a file that is none, and what to do."""
    line = content.partition(b"\n")[0][:60]
    if content.startswith(FAMILY):
        ours = MAGIC.decode().strip()
        return f"is a {line.decode('ascii', 'replace')!r}, this is of {ours!r}", "use the version that wrote it"
    if not content:
        return "is empty", "name a recording"
    return "is no recording of kalshi-daemon, or all of it is damaged", "name a recording"
