"""What may go once it is old or too much, and what goes first. `choose` is pure; the rest is blocking.

Only what is named here can go: a day's scans, its index values, its reports, a rotated log, an earlier run of the
built-in exchange, and before all of these a finished recording: it is there to be replayed, the others to be read.
Everything else stays for ever, whatever the limits say: the order journal with its archives and the audit trail (what a
tax return is made from), what the forecast has learnt and its record, backfilled bars, the switches, and whatever a
person put there. Days that are not over stay too.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Final

from kalshi_daemon.artifacts.paths import MANIFEST, ArtifactPaths, is_day, scan_order
from kalshi_daemon.artifacts.scan_files import PACK_SUFFIX, folders
from kalshi_daemon.ground.folders import files_below, or_noted
from kalshi_daemon.ground.units import MEGABYTE
from kalshi_daemon.index_feed.day_files import recorded_days
from kalshi_daemon.operations.logging import log_path, rotated_path
from kalshi_daemon.orders.journal import journal_path
from kalshi_daemon.orders.journal_archive import earlier_runs
from kalshi_daemon.recording.reader import recordings
from kalshi_daemon.settings.model import Mode, RetentionSettings

_TAIL_BYTES: Final = 64 * 1024
_STAMP: Final = b'{"ts":"'


@dataclass(frozen=True, slots=True)
class Item:
    """What goes together. `day`: YYYY-MM-DD; "" for what has none and goes first, for its size only."""

    day: str
    kind: str
    paths: tuple[Path, ...]
    bytes: int


@dataclass(slots=True)
class Pruned:
    """What went, and what could not."""

    items: list[Item] = field(default_factory=list)
    files: int = 0
    bytes: int = 0
    left: list[str] = field(default_factory=list)
    bytes_remaining: int = 0


def choose(
    items: Sequence[Item], bytes_total: int, today: date, limits: RetentionSettings, *, simulated: bool = False
) -> list[Item]:
    """What goes, oldest first: what is older than `days_max`, then as much as brings the total to `megabytes_max`.

    bytes_total: of everything below the mode's directory, also of what never goes. simulated: the dates of simulated
    sessions say nothing about their age; every other day is over, and only the total counts.
    """
    oldest, now = (today - timedelta(days=limits.days_max)).isoformat(), today.isoformat()
    finished = [one for one in items if one.day < now or (simulated and one.day != now)]
    chosen = []
    for one in sorted(finished, key=lambda one: (one.day, one.kind)):
        too_old = bool(one.day) and one.day < oldest and not simulated
        if too_old or bytes_total > limits.megabytes_max * MEGABYTE:
            chosen.append(one)
            bytes_total -= one.bytes
    return chosen


def prune(mode_dir: Path, today: date, limits: RetentionSettings) -> Pruned:
    """Let go what `choose` says. Never raises for a file or folder that resists: it is named, once."""
    pruned = Pruned()
    total = size_of(mode_dir, pruned.left)
    for one in choose(inventory(mode_dir, pruned.left), total, today, limits, simulated=_simulated(mode_dir)):
        before = pruned.bytes
        for path in one.paths:
            try:
                size = path.lstat().st_size
                path.unlink()
            except FileNotFoundError:
                continue
            except OSError as problem:
                pruned.left.append(f"{path}: {problem.strerror}")
                continue
            pruned.files += 1
            pruned.bytes += size
        if pruned.bytes > before:
            pruned.items.append(one)
        for folder in {path.parent for path in one.paths}:
            _remove_empty(folder, mode_dir)
    pruned.left = list(dict.fromkeys(pruned.left))
    pruned.bytes_remaining = total - pruned.bytes
    return pruned


def inventory(mode_dir: Path, notes: list[str] | None = None) -> list[Item]:
    """Everything that may ever go.

    A folder that cannot be read costs itself: it is named in `notes`. Without `notes` its OSError is raised.
    """
    paths = ArtifactPaths(mode_dir)
    raw = mode_dir / "data" / "raw"
    found: list[tuple[str, str, Sequence[Path]]] = [
        *((day, "scans", or_noted(partial(_scans, paths.scans / day), notes)) for day in _days(paths.scans, notes)),
        *((day, "index values", or_noted(partial(_files, one), notes)) for day, one in recorded_days(raw, notes)),
        *((day, "reports", files) for day, files in _reports(paths, notes).items()),
        *_rotated_log(rotated_path(log_path(mode_dir))),
    ]
    finished = or_noted(partial(recordings, mode_dir), notes)[:-1]  # the newest may still be written
    found += [("", "recording", (one,)) for one in finished]
    if _simulated(mode_dir):  # elsewhere nobody makes such folders, and a journal is a journal
        runs = or_noted(partial(earlier_runs, journal_path(mode_dir)), notes)
        found += [("", "earlier run", files_below(one, notes)) for one in runs]
    return [Item(day, kind, tuple(files), sum(_size(one) for one in files)) for day, kind, files in found if files]


def size_of(folder: Path, notes: list[str] | None = None) -> int:
    """Bytes of all files below a folder; a link counts as itself. `notes`: see `inventory`."""
    return sum(_size(path) for path in files_below(folder, notes))


def _simulated(mode_dir: Path) -> bool:
    return mode_dir.name == Mode.SIM.value


def _scans(folder: Path) -> tuple[Path, ...]:
    packed = [one for one in _files(folder) if one.name.endswith(PACK_SUFFIX)]
    loose = [
        folder / scan / series / MANIFEST
        for scan in folders(folder)
        if scan_order(scan) is not None
        for series in folders(folder / scan)
    ]
    return (*packed, *(one for one in loose if one.is_file()))


def _reports(paths: ArtifactPaths, notes: list[str] | None) -> dict[str, list[Path]]:
    """By day: the reports with what they are made from, digests with their markouts, summaries of sessions."""
    reports, facts = paths.root / "reports", paths.root / "data" / "proc" / "reports"
    artifacts = reports / "_artifacts"

    def files(folder: Path) -> Sequence[Path]:
        return or_noted(partial(_files, folder), notes)

    tops = [top / one for top in (reports, facts) for one in or_noted(partial(folders, top), notes)]
    named = [
        *((path, path.stem) for top in tops for path in files(top)),
        *((path, path.stem.removesuffix("-digest")) for path in files(reports)),
        *((path, path.stem.removeprefix("digest_")) for path in files(artifacts)),
        *((path, path.stem) for path in files(paths.markouts("").parent)),
        *((path, path.name.partition("_")[0]) for path in files(artifacts / "sessions")),
    ]
    found: dict[str, list[Path]] = {}
    for path, day in named:
        if is_day(day):
            found.setdefault(day, []).append(path)
    return found


def _rotated_log(path: Path) -> Iterator[tuple[str, str, tuple[Path, ...]]]:
    """Of the day of its last line; nothing when that cannot be told."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
            tail = file.read()
    except OSError:
        return
    at = tail.rfind(_STAMP)
    day = tail[at + len(_STAMP) :][:10].decode("ascii", "replace") if at >= 0 else ""
    if is_day(day):
        yield day, "log", (path,)


def _days(folder: Path, notes: list[str] | None) -> list[str]:
    return [one for one in or_noted(partial(folders, folder), notes) if is_day(one)]


def _files(folder: Path) -> tuple[Path, ...]:
    try:
        with os.scandir(folder) as entries:
            return tuple(Path(one.path) for one in entries if one.is_file(follow_symlinks=False))
    except (FileNotFoundError, NotADirectoryError):
        return ()


def _size(path: Path) -> int:
    with suppress(OSError):
        return path.lstat().st_size
    return 0


def _remove_empty(folder: Path, stop: Path) -> None:
    """The folder and those above it, as far as they are empty, below `stop`."""
    with suppress(OSError):
        while folder != stop and stop in folder.parents:
            folder.rmdir()
            folder = folder.parent
