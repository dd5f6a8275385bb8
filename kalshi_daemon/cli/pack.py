"""`kalshi-daemon pack`: finished days into few files, and what is kept no longer goes. The daemon does it by itself."""

import argparse
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

from kalshi_daemon.artifacts.paths import ArtifactPaths
from kalshi_daemon.cli.common import Subparsers, load_written
from kalshi_daemon.cli.output import show
from kalshi_daemon.cli.running_daemons import alone
from kalshi_daemon.ground.clock import SystemClock
from kalshi_daemon.ground.errors import ExitCode, StateCorrupt
from kalshi_daemon.ground.new_york import eastern_day
from kalshi_daemon.ground.tables import Column, Table
from kalshi_daemon.ground.units import MEGABYTE
from kalshi_daemon.retention.packing import Piece, Work, pack, pending
from kalshi_daemon.retention.pruning import Pruned, prune
from kalshi_daemon.settings.model import Mode, Settings

_COLUMNS = (
    Column("day"),
    Column("what"),
    Column("files", right=True),
    Column("bytes before", right=True),
    Column("bytes packed", right=True),
)


def add_parser(subparsers: Subparsers) -> None:
    subparsers.add_parser(
        "pack",
        help="compress finished days and delete those past [retention]",
        description="Compresses the days before today (mode sim: every day), then deletes those past [retention]. A "
        "running daemon does both itself, so the command is refused while one runs. The order journal, its archives "
        "and the audit trail are never deleted. Exit code 1: a file could not be packed or deleted; it is named and "
        "left in place. Exit code 4: a daemon is running.",
    )


def run(args: argparse.Namespace) -> int:
    settings = load_written(args, "pack")
    today = eastern_day(SystemClock().now_ns())
    left: list[str] = []
    with alone(settings.mode_dir):
        # Simulated sessions have dates of their own, and their exchange is gone with the process.
        last = date.max if settings.mode is Mode.SIM else today - timedelta(days=1)
        packed = list(_packed(ArtifactPaths(settings.mode_dir), last, left))
        pruned = prune(settings.mode_dir, today, settings.retention)
    left += [one for one in pruned.left if one not in left]
    show(args, _data(packed, pruned, left), _table(settings, packed, pruned, left))
    return ExitCode.FAILURE if left else ExitCode.OK


def _packed(paths: ArtifactPaths, last: date, left: list[str]) -> Iterator[tuple[Work, Piece]]:
    for work in pending(paths, last.isoformat(), left):
        done = Piece()
        try:
            while True:
                piece = pack(paths, work)
                done.files += piece.files
                done.bytes_before += piece.bytes_before
                done.bytes_after = piece.bytes_after
                left += piece.left
                if not piece.more or not piece.files:
                    break
        except (OSError, StateCorrupt) as problem:
            left.append(str(problem))
        if done.files:
            yield work, done


def _data(packed: list[tuple[Work, Piece]], pruned: Pruned, left: list[str]) -> dict[str, Any]:
    return {
        "packed": [
            {"day": work.day, "what": work.what, "of": work.of, "files": done.files}
            | {"bytes_before": done.bytes_before, "bytes_after": done.bytes_after}
            for work, done in packed
        ],
        "removed": {
            "files": pruned.files,
            "bytes": pruned.bytes,
            "days": sorted({one.day for one in pruned.items if one.day}),
        },
        "bytes_remaining": pruned.bytes_remaining,
        "left": left,
    }


def _table(settings: Settings, packed: list[tuple[Work, Piece]], pruned: Pruned, left: list[str]) -> Table:
    rows = [
        (work.day, f"{work.what} {work.of}".strip(), str(done.files), str(done.bytes_before), str(done.bytes_after))
        for work, done in packed
    ]
    limits = settings.retention
    notes = [f"left as it is: {one}" for one in left]
    if pruned.files:
        notes.append(f"removed: {pruned.files} files, {pruned.bytes} bytes")
    total = pruned.bytes_remaining // MEGABYTE
    notes.append(f"{settings.mode_dir} holds {total} MB of {limits.megabytes_max} MB, {limits.days_max} days are kept")
    return Table(_COLUMNS, rows, notes=notes)
