"""The scans of a day as they lie on disk, loose or packed. Whoever reads manifests does it here.

    <date>/<HHMMSS[_n]>/<SERIES>/manifest.json    one scan, while its day lasts
    <date>/<SERIES>.jsonl.gz                      the scans of a finished day, a line each, in the order of the folders

A line is the manifest as it was, with two keys in front: `scan`, the name of the folder it lay in, and `written_ns`,
when it was written. gzip, because every machine has `zcat` and `zgrep`, and every Python reads it.

While a day is being packed, and after a crash in the middle, a scan may lie in both forms; it is one scan: what is
equal in name, series and content is seen once. A manifest that is packed and removed while somebody reads is found in
the pack. Blocking.
"""

import gzip
import heapq
import os
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import orjson

from kalshi_daemon.artifacts.manifest import Manifest
from kalshi_daemon.artifacts.paths import MANIFEST, ArtifactPaths, scan_order
from kalshi_daemon.ground.documents import parse_document, parse_object
from kalshi_daemon.ground.errors import StateCorrupt
from kalshi_daemon.ground.folders import or_noted

Json = dict[str, Any]

PACK_SUFFIX: Final = ".jsonl.gz"
CONTENT_BYTES_MAX: Final = 16 * 1024 * 1024
"""Of one scan; an ordinary manifest has 9 000 bytes, one of a full ladder some hundred thousand."""
_LINE_BYTES_MAX: Final = CONTENT_BYTES_MAX + 1_000
_HEAD: Final = re.compile(rb'\{"scan":"([0-9_]{6,14})","written_ns":([0-9]{1,19})([,}])')


@dataclass(frozen=True, slots=True)
class StoredScan:
    """One scan as a file holds it."""

    name: str
    """Of its folder, HHMMSS or HHMMSS_n."""
    series: str
    written_ns: int
    path: Path
    """Of the manifest, or of the pack that holds it."""
    content: bytes
    """One JSON object on one line, without the keys a pack adds."""

    @property
    def order(self) -> tuple[str, int, str]:
        return (*(scan_order(self.name) or ("", 0)), self.series)

    @property
    def place(self) -> tuple[tuple[str, int, str], int]:
        """How scans of a day follow one another; of one name, that of an earlier session first."""
        return self.order, self.written_ns

    @property
    def age(self) -> tuple[int, tuple[str, int, str]]:
        """The greater, the newer: when it was written, and of one instant the later name."""
        return self.written_ns, self.order

    @property
    def identity(self) -> bytes:
        """Equal for the same scan in either form, and for nothing else."""
        return sha256(b"\0".join((self.name.encode(), self.series.encode(), self.content))).digest()

    @property
    def line(self) -> bytes:
        """As a pack holds it."""
        return b'{"scan":"%s","written_ns":%d%s\n' % (self.name.encode(), self.written_ns, _rest(self.content))

    def manifest(self) -> Manifest:
        """Raises StateTooNew, or StateCorrupt naming the file and the field."""
        return parse_document(Manifest, self.content, self.path)


@dataclass(frozen=True, slots=True)
class LooseScan:
    """Where a manifest should lie; a crash leaves its folder empty."""

    name: str
    series: str
    path: Path

    @property
    def order(self) -> tuple[str, int, str]:
        return (*(scan_order(self.name) or ("", 0)), self.series)

    def read(self) -> StoredScan:
        """Raises FileNotFoundError, StateCorrupt when it is not a JSON object, another OSError."""
        with self.path.open("rb") as file:
            content, written_ns = file.read(CONTENT_BYTES_MAX + 1).strip(), os.fstat(file.fileno()).st_mtime_ns
        if len(content) > CONTENT_BYTES_MAX:
            raise StateCorrupt(str(self.path), f"is longer than {CONTENT_BYTES_MAX} bytes")
        found = parse_object(content, self.path)
        if not found or b"\n" in content or b"\r" in content:
            content = orjson.dumps(found)  # on one line, and with one way to say nothing
        return StoredScan(self.name, self.series, max(0, written_ns), self.path, content)

    def written_ns(self) -> int:
        """When it was written. Raises OSError."""
        return self.path.stat().st_mtime_ns


def loose_scans(paths: ArtifactPaths, day: str, series: str | None = None) -> list[LooseScan]:
    """The day's manifests that are not packed, in the order of their folders; of one series, or of all."""
    found = [
        LooseScan(scan, one, paths.scans / day / scan / one / MANIFEST)
        for scan in folders(paths.scans / day)
        if scan_order(scan) is not None
        for one in folders(paths.scans / day / scan)
        if series in {None, one}
    ]
    return sorted(found, key=lambda one: one.order)


def pack_path(paths: ArtifactPaths, day: str, series: str) -> Path:
    """`series`: as one path component (`safe_name`)."""
    return paths.scans / day / f"{series}{PACK_SUFFIX}"


def packs(paths: ArtifactPaths, day: str) -> list[Path]:
    """The packs of a day."""
    try:
        with os.scandir(paths.scans / day) as entries:
            names = sorted(one.name for one in entries if one.is_file() and one.name.endswith(PACK_SUFFIX))
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [paths.scans / day / name for name in names if not name.startswith(".")]


def read_pack(path: Path, *, named: Path | None = None) -> Iterator[StoredScan]:
    """Every scan of a pack, in order. Raises FileNotFoundError, StateCorrupt naming the file, another OSError.

    named: the pack it is going to be, where `path` is a draft.
    """
    series = (named or path).name.removesuffix(PACK_SUFFIX)
    try:
        with gzip.open(path, "rb") as file:
            number = 0
            while line := file.readline(_LINE_BYTES_MAX):
                number += 1
                yield _stored(line, series, path, number)
    except (gzip.BadGzipFile, EOFError, zlib.error) as problem:
        raise StateCorrupt(str(path), f"is damaged after scan {number}: {problem}") from problem


def scans_of_day(paths: ArtifactPaths, day: str) -> "ScanReader":
    """Every scan of the day once, in the order of the folders' names."""
    return ScanReader(paths, day)


class ScanReader:
    """Iterate once; `problems` then holds a sentence per file that could not be read, or not whole."""

    def __init__(self, paths: ArtifactPaths, day: str) -> None:
        self._paths = paths
        self._day = day
        self._seen: set[bytes] = set()
        self._gone: set[tuple[str, str]] = set()
        self.problems: list[str] = []

    def __iter__(self) -> Iterator[StoredScan]:
        # Loose ones are listed before a pack is opened: what is packed meanwhile is missing there and looked for again.
        loose = or_noted(lambda: loose_scans(self._paths, self._day), self.problems)
        packed = or_noted(lambda: packs(self._paths, self._day), self.problems)
        sources = [self._loose(loose), *(self._packed(path) for path in packed)]
        yield from self._once(heapq.merge(*sources, key=lambda one: one.place))
        if self._gone:
            again = (one for path in packs(self._paths, self._day) for one in self._packed(path))
            yield from self._once(one for one in again if (one.name, one.series) in self._gone)

    def _once(self, scans: Iterator[StoredScan]) -> Iterator[StoredScan]:
        for one in scans:
            identity = one.identity
            if identity not in self._seen:
                self._seen.add(identity)
                yield one

    def _loose(self, found: Sequence[LooseScan]) -> Iterator[StoredScan]:
        for one in found:
            try:
                yield one.read()
            except FileNotFoundError:
                self._gone.add((one.name, one.series))
            except (StateCorrupt, OSError) as problem:
                self.problems.append(str(problem))

    def _packed(self, path: Path) -> Iterator[StoredScan]:
        try:
            yield from read_pack(path)
        except FileNotFoundError:
            return
        except (StateCorrupt, OSError) as problem:
            self.problems.append(str(problem))


def folders(path: Path) -> list[str]:
    """The names of the folders in a folder; none when it is not there."""
    try:
        with os.scandir(path) as entries:
            return [one.name for one in entries if one.is_dir()]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _stored(line: bytes, series: str, path: Path, number: int) -> StoredScan:
    head = _HEAD.match(line)
    if head is None or not line.endswith(b"}\n"):
        raise StateCorrupt(str(path), f"line {number} is not a packed scan")
    rest = line[head.end() - 1 : -1]
    content = b"{" + (rest[1:] if rest.startswith(b",") else rest)
    return StoredScan(head[1].decode(), series, int(head[2]), path, content)


def _rest(content: bytes) -> bytes:
    """What follows the keys in front: the object's own keys, or its end."""
    return b"}" if content == b"{}" else b"," + content[1:]
