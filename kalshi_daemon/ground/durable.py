"""Files that must be whole or absent, also after a power cut."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from kalshi_daemon.ground.errors import ConfigurationError


def write_whole(path: Path, content: bytes, what: str) -> None:
    """Write a file, whole or not at all, and make it last. Raises ConfigurationError, naming `what`.

    For what must outlive a power cut; what is merely advice is written by `artifacts.files.write_unsynced`.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            file.write(content)
    except OSError as error:
        raise ConfigurationError(str(path), f"{what} cannot be written: {error.strerror}") from error


def place_for(path: Path, what: str, state_dir: Path | None = None) -> Path:
    """Where a file that an operator names may be written: the file a link leads to, never the daemon's own.

    state_dir: what lies below it is the daemon's. Raises ConfigurationError for that, and for what is no regular file:
    a device would be replaced by one.
    """
    try:
        place = path.resolve()
        other = place.exists() and not place.is_file()
        ours = state_dir is not None and place.is_relative_to(state_dir.resolve())
    except OSError as error:
        raise ConfigurationError(str(path), f"{what} cannot be written: {error.strerror}") from error
    if ours:
        problem = f"lies in the state directory: {what} would take the place of the daemon's own files"
        raise ConfigurationError(str(path), problem, "a path outside of it")
    if other:
        raise ConfigurationError(str(path), f"is no regular file: {what} would take its place", "the path of a file")
    return place


@contextmanager
def replacing(path: Path, check: Callable[[Path], None] | None = None) -> Iterator[BinaryIO]:
    """Write what replaces `path`: into a draft beside it, which takes its place once it is on disk and was checked.

    check: reads the draft back and raises when it is not what was meant. Whatever is raised, here or in the body,
    `path` is as it was; after the body it lasts, name included. Raises OSError and what `check` raises.
    """
    draft = draft_of(path)
    try:
        with draft.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if check is not None:
            check(draft)
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def append_lines(path: Path, lines: Sequence[bytes], *, bytes_max: int | None = None, lasting: bool = False) -> int:
    """Add whole lines, each with its end; how many found room in a file of `bytes_max`.

    A last line that a crash has torn is closed first, so that it stays alone. lasting: on disk when it returns. Raises
    OSError; then the file is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b", buffering=0) as file:  # a buffer would write again what was refused, at the closing
        size = file.seek(0, os.SEEK_END)
        torn = size > 0 and (file.seek(size - 1), file.read(1))[1] != b"\n"
        room, kept = size + torn, 0
        while kept < len(lines) and (bytes_max is None or room + len(lines[kept]) <= bytes_max):
            room += len(lines[kept])
            kept += 1
        try:
            left = memoryview((b"\n" if torn else b"") + b"".join(lines[:kept]))
            while left:
                left = left[file.write(left) :]
            if lasting:
                os.fsync(file.fileno())
        except OSError:
            with suppress(OSError):
                os.ftruncate(file.fileno(), size)
            raise
    return kept


def draft_of(path: Path) -> Path:
    """Where `replacing` writes; one that is there without a writer is what a kill left."""
    return path.with_name(f".{path.name}.draft")


def sync_folder(folder: Path) -> None:
    """Make the names in a folder last. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
