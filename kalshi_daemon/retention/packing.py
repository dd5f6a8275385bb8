"""A finished day's many small files into few: scans per series, index values per index, the audit trail.

Each function does one bounded piece, in the same order: the pack is written beside the originals, fsynced, read back
and compared, put in its place, and only then are the originals removed. A kill at any point loses nothing: until the
pack is in its place the originals are all there, and from then on what lies in both forms is known to be the same (by
content) and read once. Packing again goes on from there. A file that cannot be read is left where it is, and named.

Nothing else may write the day meanwhile: the caller holds the instance lock, and in the daemon the writers' own.
"""

import gzip
import heapq
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import orjson

from kalshi_daemon.artifacts.paths import ArtifactPaths, is_day
from kalshi_daemon.artifacts.scan_files import LooseScan, StoredScan, folders, loose_scans, pack_path, read_pack
from kalshi_daemon.domain.index import Index
from kalshi_daemon.ground.durable import draft_of, replacing, sync_folder
from kalshi_daemon.ground.errors import StateCorrupt
from kalshi_daemon.ground.folders import entries, or_noted
from kalshi_daemon.index_feed.day_files import PARTS_KEY, day_file, digest_of, parts_of, recorded_days, recordings
from kalshi_daemon.index_feed.recorder import FOLDER

if TYPE_CHECKING:
    from typing import BinaryIO

    import pyarrow as pa

SCANS: Final = "scans"
AUDIT: Final = "audit"
VALUES: Final = "index values"
SCANS_A_PIECE: Final = 250
RECORDINGS_A_PIECE: Final = 400
_GZIP_LEVEL: Final = 6
_CHUNK: Final = 1 << 20


@dataclass(slots=True)
class Piece:
    """What one piece of work came to."""

    files: int = 0
    """Originals that are packed and gone."""
    bytes_before: int = 0
    """Of those."""
    bytes_after: int = 0
    """Of the pack they went into, whole."""
    more: bool = False
    """Whether the same is to be asked again."""
    left: list[str] = field(default_factory=list)
    """A sentence per file that stays as it is."""


@dataclass(frozen=True, slots=True)
class Work:
    """One thing of a finished day to pack. `what`: `audit`, or `scans` or `index values` with `of`, series or index."""

    day: str
    what: str
    of: str = ""


def pending(paths: ArtifactPaths, last: str, notes: list[str] | None = None) -> list[Work]:
    """What is not packed of the days up to `last` (YYYY-MM-DD), oldest first.

    A folder that cannot be read costs itself: it is named in `notes`. Without `notes` its OSError is raised.
    """
    found = [
        Work(day, SCANS, series)
        for day in or_noted(partial(folders, paths.scans), notes)
        if is_day(day) and day <= last
        for series in sorted({one.series for one in or_noted(partial(loose_scans, paths, day), notes)})
    ]
    for path in or_noted(partial(entries, paths.audit(last).parent), notes):
        if not path.name.endswith((".jsonl", ".jsonl.packing")):
            continue
        day = path.name.partition(".")[0].rpartition("_")[2]
        if is_day(day) and day <= last and path.name.startswith(paths.audit(day).name):
            found.append(Work(day, AUDIT))
    for day, folder in recorded_days(paths.root / "data" / "raw", notes):
        if day <= last:
            names = {one.index for one in or_noted(partial(recordings, folder), notes) if not one.whole}
            found += [Work(day, VALUES, index.value) for index in sorted(names)]
    return sorted(set(found), key=lambda one: (one.day, one.what, one.of))


def pack(paths: ArtifactPaths, work: Work) -> Piece:
    """One piece of a work. Raises OSError, StateCorrupt."""
    if work.what == AUDIT:
        return pack_audit(paths.audit(work.day))
    if work.what == SCANS:
        return pack_scans(paths, work.day, work.of)
    year, month, day = work.day.split("-")
    folder = paths.root / "data" / "raw" / year / month / day / FOLDER
    return pack_recordings(folder, year + month + day, Index(work.of))


# --- scans


def pack_scans(paths: ArtifactPaths, day: str, series: str) -> Piece:
    """Put up to SCANS_A_PIECE scans of a series into its pack of the day. Raises OSError, StateCorrupt (a pack)."""
    piece, pack = Piece(), pack_path(paths, day, series)
    draft_of(pack).unlink(missing_ok=True)
    found: list[tuple[LooseScan, StoredScan]] = []
    for loose in loose_scans(paths, day, series):
        if len(found) == SCANS_A_PIECE:
            piece.more = True
            break
        try:
            found.append((loose, loose.read()))
        except FileNotFoundError:
            _remove_folders(loose.path.parent)
        except (StateCorrupt, OSError) as problem:
            piece.left.append(str(problem))
    if not found:
        return piece
    held = {scan.identity for scan in read_pack(pack)} if pack.exists() else set()
    fresh = {scan.identity: scan for _, scan in found if scan.identity not in held}
    if fresh:
        _write_scans(pack, list(fresh.values()), held | set(fresh))
    piece.files, piece.bytes_after = len(found), pack.stat().st_size
    for loose, _ in found:
        piece.bytes_before += _remove(loose.path)
        _remove_folders(loose.path.parent)
    return piece


def _write_scans(pack: Path, fresh: list[StoredScan], wanted: set[bytes]) -> None:
    before = read_pack(pack) if pack.exists() else iter(())

    def check(draft: Path) -> None:
        found = [scan.identity for scan in read_pack(draft, named=pack)]
        if len(found) != len(wanted) or set(found) != wanted:
            raise StateCorrupt(str(draft), f"holds {len(found)} scans, {len(wanted)} were written")

    merged = heapq.merge(before, fresh, key=lambda one: one.place)
    with replacing(pack, check) as file:
        _compress(file, (scan.line for scan in merged))


def _remove_folders(folder: Path) -> None:
    """The folders of a scan once nothing is in them, and drafts of a kill with them."""
    with suppress(OSError):
        for draft in (one for one in entries(folder) if one.match(".*.tmp")):
            draft.unlink()
        folder.rmdir()
        folder.parent.rmdir()


# --- the audit trail


def audit_pack(path: Path) -> Path:
    """Where a day's audit trail is packed; `zcat` shows it."""
    return path.with_name(f"{path.name}.gz")


def pack_audit(path: Path) -> Piece:
    """Pack a day's trail. Raises OSError, StateCorrupt (a pack).

    The trail gets another name first: lines that come late make a new file, and are not taken for ones packed already.
    """
    pack, taken = audit_pack(path), path.with_name(f"{path.name}.packing")
    draft_of(pack).unlink(missing_ok=True)
    piece = Piece()
    if not taken.exists():
        if not path.exists():
            return piece
        path.rename(taken)
        sync_folder(path.parent)
    lines = taken.read_bytes()
    if lines and not lines.endswith(b"\n"):
        lines += b"\n"  # torn by a kill: it stays a line of its own
    before = _unpacked(pack) if pack.exists() else b""
    if lines and not before.endswith(lines):

        def check(draft: Path) -> None:
            if _unpacked(draft) != before + lines:
                raise StateCorrupt(str(draft), "is not what was written")

        with replacing(pack, check) as file:
            _compress(file, _chunks(before + lines))
    piece.files, piece.bytes_before = 1, _remove(taken)
    piece.bytes_after = pack.stat().st_size if pack.exists() else 0
    piece.more = path.exists()
    return piece


def _unpacked(path: Path) -> bytes:
    try:
        return gzip.decompress(path.read_bytes())
    except (gzip.BadGzipFile, EOFError, ValueError) as problem:
        raise StateCorrupt(str(path), f"is damaged: {problem}") from problem


def _chunks(content: bytes) -> Iterator[bytes]:
    return (content[at : at + _CHUNK] for at in range(0, len(content), _CHUNK))


# --- index values


def pack_recordings(folder: Path, day: str, index: Index) -> Piece:
    """Put up to RECORDINGS_A_PIECE flushes of an index into its file of the day (YYYYMMDD).

    Raises OSError, StateCorrupt (the day's file).
    """
    import pyarrow as pa  # noqa: PLC0415 - 90 ms and 40 MB that only readers need
    import pyarrow.parquet as pq  # noqa: PLC0415

    piece, target = Piece(), day_file(folder, day, index)
    draft_of(target).unlink(missing_ok=True)
    for torn in (one for one in entries(folder) if one.match(f".{day}T*_{index.value}*.tmp")):
        torn.unlink()
    flushes = [one.path for one in recordings(folder) if not one.whole and (one.day, one.index) == (day, index)]
    tables: list[pa.Table] = []
    held: dict[str, str] = {}
    if target.exists():
        try:
            held = parts_of(target)
            tables.append(pq.ParquetFile(target).read().replace_schema_metadata(None))
        except (ValueError, TypeError) as problem:
            raise StateCorrupt(str(target), f"cannot be read: {problem}") from problem
    sure: list[Path] = []
    fresh: dict[str, str] = {}
    for path in flushes:
        if len(sure) == RECORDINGS_A_PIECE:
            piece.more = True
            break
        try:
            digest = digest_of(path)
            if held.get(path.name) != digest:
                table = pq.ParquetFile(path).read().replace_schema_metadata(None)
                if tables and not table.schema.equals(tables[0].schema):
                    raise ValueError("has other columns than the day's others")  # noqa: TRY301 - named like the rest
                tables.append(table)
                fresh[path.name] = digest
            sure.append(path)
        except (OSError, ValueError) as problem:
            piece.left.append(f"{path}: {problem}")
    if not sure:
        return piece
    if fresh:
        # A flush that is packed and still lies there keeps its name in the file; one that is gone needs none.
        names = {name: digest for name, digest in held.items() if (folder / name).exists()} | fresh
        _write_recordings(target, pa.concat_tables(tables).unify_dictionaries().combine_chunks(), names)
    piece.files, piece.bytes_after = len(sure), target.stat().st_size
    piece.bytes_before = sum(_remove(path) for path in sure)
    return piece


def _write_recordings(target: Path, table: "pa.Table", names: dict[str, str]) -> None:
    import pyarrow.parquet as pq  # noqa: PLC0415

    def check(draft: Path) -> None:
        if parts_of(draft) != names or not _plain(pq.ParquetFile(draft).read()).equals(_plain(table)):
            raise StateCorrupt(str(draft), "is not what was written")

    with replacing(target, check) as file:
        pq.write_table(table.replace_schema_metadata({PARTS_KEY: orjson.dumps(names)}), file, compression="zstd")


def _plain(table: "pa.Table") -> "pa.Table":
    """Texts as texts: how a file numbers them is its own affair."""
    import pyarrow as pa  # noqa: PLC0415

    fields = [pa.field(one.name, pa.string()) if pa.types.is_dictionary(one.type) else one for one in table.schema]
    return table.cast(pa.schema(fields))


# --- both


def _compress(file: "BinaryIO", parts: Iterable[bytes]) -> None:
    with gzip.GzipFile("", "wb", _GZIP_LEVEL, file, mtime=0) as packed:
        for part in parts:
            packed.write(part)


def _remove(path: Path) -> int:
    """The bytes it had."""
    size = path.stat().st_size
    path.unlink()
    return size
