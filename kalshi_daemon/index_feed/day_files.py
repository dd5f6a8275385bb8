"""The index values of a day as they lie on disk: the recorder's files, or one file per index of a finished day.

    polygon_index/<YYYYMMDDTHHMMSS>_<SPX|NDX>[_n].parquet    one flush, while its day lasts
    polygon_index/<YYYYMMDD>_<SPX|NDX>.parquet               a finished day

A day's file names the flushes it was made of, with a checksum of each, in its metadata. While a day is being packed,
and after a crash in the middle, such a flush may still lie beside it; its rows are in the day's file and count once.
Blocking.
"""

import re
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Final

import orjson

from kalshi_daemon.domain.index import Index
from kalshi_daemon.ground.folders import entries, or_noted
from kalshi_daemon.index_feed.recorder import FOLDER

PARTS_KEY: Final = b"kalshi_daemon.parts"
_NAME: Final = re.compile(r"(?P<day>[0-9]{8})(?P<time>T[0-9]{6})?_(?P<index>[A-Z]{1,10})(?P<number>_[0-9]+)?\.parquet")
_DATE_PARTS: Final = (re.compile("[0-9]{4}"), re.compile("[0-9]{2}"), re.compile("[0-9]{2}"))
_TRIES_MAX: Final = 5


@dataclass(frozen=True, slots=True)
class Recording:
    """One file. `day`: YYYYMMDD; `whole`: of a whole day, not of a flush."""

    path: Path
    index: Index
    day: str
    whole: bool


@dataclass(frozen=True, slots=True)
class Recorded[T]:
    """What was read of the files of a day, per index in the order of their names, and how many could not be."""

    parts: Mapping[Index, list[T]]
    unreadable: int


def recordings(folder: Path) -> list[Recording]:
    """The files of a day's folder that hold index values, in the order of writing: a day's file, then flushes.

    None when there is no folder. Raises OSError, named, for one that cannot be read.
    """
    found: list[tuple[tuple[bool, str, int], Recording]] = []
    for path in entries(folder):
        match = _NAME.fullmatch(path.name)
        if match is not None:
            place = (match["time"] is not None, f"{match['day']}{match['time']}", int((match["number"] or "_0")[1:]))
            found.append((place, Recording(path, Index(match["index"]), match["day"], match["time"] is None)))
    return [one for _, one in sorted(found, key=lambda one: (*one[0], one[1].path.name))]


def recorded_days(raw: Path, notes: list[str] | None = None) -> Iterator[tuple[str, Path]]:
    """The days with a folder of index values below `<mode_dir>/data/raw`: YYYY-MM-DD and the folder.

    A folder that cannot be read is named in `notes` and left out; without `notes` its OSError is raised.
    """
    found = [raw]
    for name in _DATE_PARTS:
        below = (one for folder in found for one in or_noted(partial(entries, folder), notes))
        found = [one for one in below if name.fullmatch(one.name)]
    for day in found:
        if any(one.name == FOLDER for one in or_noted(partial(entries, day), notes)):
            yield "-".join(day.parts[-3:]), day / FOLDER


def day_file(folder: Path, day: str, index: Index) -> Path:
    """`day`: YYYYMMDD."""
    return folder / f"{day}_{index.value}.parquet"


def digest_of(path: Path) -> str:
    """A checksum of a file. Raises OSError."""
    return sha256(path.read_bytes()).hexdigest()


def parts_of(path: Path) -> dict[str, str]:
    """The flushes a day's file was made of: name -> checksum. Raises OSError, ValueError, TypeError."""
    import pyarrow.parquet as pq  # noqa: PLC0415 - 90 ms and 40 MB that only readers need

    found = orjson.loads((pq.read_schema(path).metadata or {}).get(PARTS_KEY, b"{}"))
    if not isinstance(found, dict):
        raise TypeError(f"{path}: its metadata does not name its parts")
    return {str(name): str(digest) for name, digest in found.items()}


def read_recordings[T](
    folder: Path, read: Callable[[Path], T], go_on: Callable[[], None], ours: Container[Index]
) -> Recorded[T]:
    """Read the files of a day and of these indices so that each row counts once, also while the day is being packed.

    read: one file; an OSError, ValueError, KeyError or TypeError is a file that cannot be read (pyarrow's own are).
    Raises OSError for a folder that cannot be read.
    """
    for _ in range(_TRIES_MAX):
        try:
            return _read(folder, read, go_on, ours)
        except FileNotFoundError:
            continue  # packed since it was listed: the list has changed
    raise FileNotFoundError(f"{folder}: its files change while they are read")


def _read[T](folder: Path, read: Callable[[Path], T], go_on: Callable[[], None], ours: Container[Index]) -> Recorded[T]:
    parts: dict[Index, list[T]] = {}
    inside: dict[str, str] = {}
    unreadable = 0
    for one in recordings(folder):
        go_on()
        if one.index not in ours:
            continue
        try:
            if one.path.name in inside and digest_of(one.path) == inside[one.path.name]:
                continue
            named, rows = parts_of(one.path) if one.whole else {}, read(one.path)
            inside |= named  # only now: a day's file that cannot be read speaks for nothing
            parts.setdefault(one.index, []).append(rows)
        except FileNotFoundError:
            raise
        except (OSError, ValueError, KeyError, TypeError):
            unreadable += 1
    return Recorded(parts, unreadable)
