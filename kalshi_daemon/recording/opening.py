"""The first block of a recording: all that a run stood on before anything reached it.

Settings without secrets, versions, the bytes its ids and its jitter are drawn from, and the files it read at its
start: the order journal, what the models remember, what the settings name.
"""

import base64
import platform
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson

from kalshi_daemon import __version__
from kalshi_daemon.settings.model import Settings

_FILE_BYTES_MAX: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Opening:
    """See above. `clock`: what `ground.clock.StampedClock` is made with."""

    versions: dict[str, str]
    mode: str
    run_id: str
    entropy: str
    """16 bytes, hexadecimal."""
    now_ns: int
    real_ns: int
    clock: dict[str, Any]
    options: dict[str, Any]
    where: dict[str, str]
    """Addresses and the name of the key; for the log, and for what is asked of them."""
    end_ns: int | None
    settings: dict[str, Any]
    state: dict[str, str]
    """Files of the mode's directory: path below it -> content, base64."""
    named: dict[str, str]
    """Files that settings name: path as it stands there -> content, base64."""

    def packed(self) -> bytes:
        """As JSON."""
        return orjson.dumps(asdict(self))


def opening_of(raw: bytes) -> Opening:
    """The other way. Raises ValueError for what is no opening."""
    try:
        found = orjson.loads(raw)
        return Opening(**{one.name: found[one.name] for one in fields(Opening)})
    except (KeyError, TypeError, ValueError) as problem:
        raise ValueError(f"no opening: {problem}") from None


def versions() -> dict[str, str]:
    """What the same inputs need to give the same decisions: our version, and those of whoever computes."""
    return {
        "kalshi-daemon": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "machine": platform.machine(),
    }


def settings_without_secrets(settings: Settings) -> dict[str, Any]:
    """As JSON values; a secret is the stars that stand for it."""
    found: dict[str, Any] = settings.model_dump(mode="json")
    found["kalshi"] |= {"key_id": "recorded", "private_key_path": None}
    return found


def state_files(mode_dir: Path, journal: Path, memory: Sequence[Path]) -> dict[str, str]:
    """The files a run reads at its start, as they are now; what is not there is left out.

    memory: what the models remember. Raises OSError, sqlite3.Error, and ValueError for a file that is too long.
    """
    found = {path: path.read_bytes() for path in memory if path.is_file()}
    if journal.is_file():
        found[journal] = _journal(journal)
    for path, content in found.items():
        if len(content) > _FILE_BYTES_MAX:
            raise ValueError(f"{path} has {len(content)} bytes, {_FILE_BYTES_MAX} are the most")
    return {
        path.relative_to(mode_dir).as_posix(): base64.b64encode(content).decode() for path, content in found.items()
    }


def _journal(path: Path) -> bytes:
    """A database with what its write-ahead log holds."""
    with (
        closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as found,
        closing(sqlite3.connect(":memory:")) as copy,
    ):
        found.backup(copy)
        return copy.serialize()


def named_files(settings: Settings) -> dict[str, str]:
    """The files that settings name and a run reads. Raises OSError."""
    return {str(path): base64.b64encode(path.read_bytes()).decode() for path in named_paths(settings) if path.is_file()}


def named_paths(settings: Settings) -> Iterator[Path]:
    """Of the macro calendar and of constants."""
    rows = settings.instruments.indices.values()
    for path in (settings.macro.calendar, settings.calibration.constants_file, *(row.constants_file for row in rows)):
        if path is not None:
            yield path


def unpack(files: Mapping[str, str], folder: Path) -> dict[str, Path]:
    """Write what an opening holds below a folder; where each is. Raises OSError, and ValueError for a path outside."""
    found = {}
    for name, content in files.items():
        path = (folder / name.lstrip("/")).resolve()
        if not path.is_relative_to(folder.resolve()):
            raise ValueError(f"{name} leads out of the folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(content))
        found[name] = path
    return found
