"""Days as the daemon leaves them, what readers see of them, and a disk on which the process dies at a chosen step."""

import gzip
import os
import stat
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import date
from pathlib import Path
from unittest.mock import patch

import orjson
import pyarrow.parquet as pq

from kalshi_daemon.artifacts.files import encode, write_unsynced
from kalshi_daemon.artifacts.paths import MANIFEST, ArtifactPaths
from kalshi_daemon.artifacts.scan_files import scans_of_day
from kalshi_daemon.domain.index import Channel, Index, Tick
from kalshi_daemon.ground.durable import append_lines
from kalshi_daemon.ground.new_york import eastern_midnights
from kalshi_daemon.ground.units import SECOND, Nanos
from kalshi_daemon.index_feed.day_files import read_recordings
from kalshi_daemon.index_feed.recorder import Columns, folder_of, write_files
from kalshi_daemon.retention.packing import pack, pending
from tests.support.instruments import INDICES

DAY = "2026-11-23"
MIDNIGHT = eastern_midnights(date(2026, 11, 23))[0]
SERIES = ("KXINXU", "KXNASDAQ100U")


class DayRig:
    """One day below `root`; every scan, tick and line has a number of its own."""

    def __init__(self, root: Path, day: str = DAY) -> None:
        self.root, self.day, self.paths = root, day, ArtifactPaths(root)
        self.midnight = eastern_midnights(date.fromisoformat(day))[0]
        self.made = 0

    def scan(self, name: str, series: str = SERIES[0], **more: object) -> Path:
        self.made += 1
        names = (name, *(f"{name[:6]}_{number}" for number in range(1, 100)))
        places = (self.paths.scans / self.day / one / series for one in names)
        path = next(one for one in places if not one.exists()) / MANIFEST  # as the writer does
        write_unsynced(path, encode({"plan_id": f"p{self.made}", **more}, indent=False))
        return path

    def flush(self, second: int, index: Index = Index.SPX, rows: int = 2) -> Path:
        columns = Columns()
        for _ in range(rows):
            self.made += 1
            at = Nanos(self.midnight + second * SECOND + self.made)
            columns.add_tick(Tick(index, Channel.VALUE, float(self.made), at, at))
        return write_files(self.root / "data" / "raw", Nanos(self.midnight + second * SECOND), {index: columns})[index]

    def line(self) -> None:
        self.made += 1
        append_lines(self.paths.audit(self.day), [encode({"number": self.made}, indent=False)])

    # --- what readers see

    def plans(self) -> list[str]:
        reader = scans_of_day(self.paths, self.day)
        found = [str(orjson.loads(scan.content)["plan_id"]) for scan in reader]
        assert reader.problems == []
        return found

    def values(self) -> list[float]:
        folder = folder_of(self.root / "data" / "raw", self.midnight)
        found = read_recordings(
            folder, lambda path: pq.ParquetFile(path).read()["value"].to_pylist(), lambda: None, INDICES
        )
        assert found.unreadable == 0
        return sorted(value for parts in found.parts.values() for part in parts for value in part)

    def lines(self) -> list[int]:
        """Of the pack, of what is on its way into it unless it is there, and of what is not packed."""
        path = self.paths.audit(self.day)
        packed = path.with_name(f"{path.name}.gz")
        taken = path.with_name(f"{path.name}.packing")
        content = gzip.decompress(packed.read_bytes()) if packed.exists() else b""
        if taken.exists() and not content.endswith(taken.read_bytes()):
            content += taken.read_bytes()
        content += path.read_bytes() if path.exists() else b""
        return [orjson.loads(line)["number"] for line in content.splitlines()]

    def seen(self) -> tuple[Counter[str], list[float], list[int]]:
        return Counter(self.plans()), self.values(), self.lines()

    def pack(self) -> list[str]:
        """All there is to pack; what was left."""
        left: list[str] = []
        for work in pending(self.paths, self.day):
            while True:
                piece = pack(self.paths, work)
                left += piece.left
                if not piece.more or not piece.files:
                    break
        return left

    def files(self) -> list[Path]:
        return sorted(path for path in self.root.rglob("*") if path.is_file())


class KilledError(BaseException):
    """The process is gone: nothing it meant to do afterwards happens."""


@contextmanager
def killed_at(step: int) -> Iterator[Callable[[], bool]]:
    """Every change of the disk is a step, and fsync is one; at the given one, and from then on, nothing happens.

    What was being written then is cut in half. Yields whether that step was reached.
    """
    taken = 0

    def guarded(real: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object, **named: object) -> object:
            nonlocal taken
            taken += 1
            if taken > step:
                if real is fsync and taken == step + 1:
                    descriptor = args[0]
                    assert isinstance(descriptor, int)
                    found = os.fstat(descriptor)
                    if stat.S_ISREG(found.st_mode):
                        os.ftruncate(descriptor, found.st_size // 2)
                raise KilledError
            return real(*args, **named)

        return call

    fsync = os.fsync
    with ExitStack() as stack:
        for name in ("unlink", "replace", "rename", "rmdir"):
            stack.enter_context(patch.object(Path, name, guarded(getattr(Path, name))))
        stack.enter_context(patch.object(os, "fsync", guarded(fsync)))
        with suppress(KilledError):
            yield lambda: taken > step
