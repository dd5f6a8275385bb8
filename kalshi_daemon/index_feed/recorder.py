"""What arrived, kept: one parquet file per index and flush, written off the loop.

    <mode_dir>/data/raw/YYYY/MM/DD/polygon_index/<YYYYMMDDTHHMMSS>_<SPX|NDX>.parquet    (New York date and time)

A file appears whole or not at all: it is written under a temporary name in the same folder, fsynced, then renamed. A
process killed at any moment leaves at worst a `.tmp` file, which readers ignore. A name already taken (a session
simulated twice) gets `_1`, `_2`, ...; nothing is overwritten.

Bounds: at most ROWS_MAX rows per index wait for a flush. Beyond that the oldest are kept, new ones are dropped and
counted, and the next flush says so. A flush that fails (disk full) keeps its rows for the next one within that bound.

What the feed's judge did not believe (`plausibility`) is kept too, with `believed` false; a value that is believed
later has a second row that says so. A `retracted` row takes back the believed ticks of its index before it, from
`start_ns` to `event_ns`. Whoever learns from a recording uses what is believed and not taken back.

Bars that the vendor's history gave for what was missed are rows of a kind of their own (`missed`), in the folder of the
day they came.
"""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, Never

import structlog

from kalshi_daemon.domain.index import Bar, Channel, Index, Tick
from kalshi_daemon.domain.instruments import SHIPPED_INSTRUMENTS
from kalshi_daemon.ground.clock import Clock
from kalshi_daemon.ground.durable import sync_folder
from kalshi_daemon.ground.new_york import NEW_YORK
from kalshi_daemon.ground.off_loop import settle_when_done
from kalshi_daemon.ground.parquet import write_whole
from kalshi_daemon.ground.units import SECOND, Nanos, from_s

if TYPE_CHECKING:
    import pyarrow as pa

ROWS_MAX: Final = 100_000
"""Rows of one index that may wait: hours of V and A at one a second each."""
NAMES_MAX: Final = 10_000
"""Files of one index within one second of New York time; beyond it the flush fails and is tried again later."""
FOLDER: Final = "polygon_index"
_TICK, _BAR, _MISSED, _RETRACTED = "tick", "bar", "missed", "retracted"

log = structlog.get_logger()


@dataclass(slots=True)
class Columns:
    """Rows of one index by column; `open`, `high`, `low`, `start_ns` are None for ticks, `value` is a bar's close."""

    kind: list[str] = field(default_factory=list)
    channel: list[str] = field(default_factory=list)
    event_ns: list[int] = field(default_factory=list)
    """A tick's stamp, a bar's end."""
    recv_ns: list[int] = field(default_factory=list)
    value: list[float] = field(default_factory=list)
    open: list[float | None] = field(default_factory=list)
    high: list[float | None] = field(default_factory=list)
    low: list[float | None] = field(default_factory=list)
    start_ns: list[int | None] = field(default_factory=list)
    believed: list[bool] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.kind)

    def add_tick(self, tick: Tick, *, believed: bool = True) -> None:
        """One row for a value."""
        self._add(_TICK, tick, tick.event_ns, tick.value, believed=believed)
        self.open.append(None)
        self.high.append(None)
        self.low.append(None)
        self.start_ns.append(None)

    def add_bar(self, bar: Bar, kind: str = _BAR, *, believed: bool = True) -> None:
        """One row for a bar."""
        self._add(kind, bar, bar.end_ns, bar.close, believed=believed)
        self.open.append(bar.open)
        self.high.append(bar.high)
        self.low.append(bar.low)
        self.start_ns.append(bar.start_ns)

    def add_retraction(self, index: Index, from_ns: Nanos, to_ns: Nanos, now_ns: Nanos) -> None:
        """One row that says: the values with stamps in [from, to] were wrong."""
        self.add_tick(Tick(index, Channel.VALUE, 0.0, to_ns, now_ns), believed=False)
        self.kind[-1], self.start_ns[-1] = _RETRACTED, from_ns

    def _add(self, kind: str, event: Tick | Bar, event_ns: Nanos, value: float, *, believed: bool) -> None:
        self.kind.append(kind)
        self.channel.append(event.channel.value)
        self.event_ns.append(event_ns)
        self.recv_ns.append(event.recv_ns)
        self.value.append(value)
        self.believed.append(believed)

    def followed_by(self, newer: "Columns", rows_max: int) -> tuple["Columns", int]:
        """These rows, then the newer ones, cut at `rows_max`; and how many of the newest fell off."""
        joined = Columns(*(getattr(self, name) + getattr(newer, name) for name in COLUMN_NAMES))
        over = max(0, len(joined) - rows_max)
        return (Columns(*(getattr(joined, name)[:rows_max] for name in COLUMN_NAMES)) if over else joined), over


COLUMN_NAMES: Final = ("kind", "channel", "event_ns", "recv_ns", "value", "open", "high", "low", "start_ns", "believed")


class Recorder:
    """Buffers what the feed delivers and flushes it on the clock. `on_tick` and `on_bar` only append."""

    def __init__(
        self,
        mode_dir: Path,
        clock: Clock,
        *,
        flush_every_s: float,
        rows_max: int = ROWS_MAX,
        indices: Iterable[Index] = SHIPPED_INSTRUMENTS.indices,
    ) -> None:
        self._root = mode_dir / "data" / "raw"
        self._clock = clock
        self._every_ns = from_s(flush_every_s)
        self._rows_max = rows_max
        self._buffers = {index: Columns() for index in indices}
        self._writing = asyncio.Lock()
        self.dropped = 0
        """Rows that found no room, since the start."""
        self._dropped_said = 0

    def on_tick(self, tick: Tick) -> None:
        """Keep a value that is believed."""
        if self._has_room(tick.index):
            self._buffers[tick.index].add_tick(tick)

    def on_bar(self, bar: Bar) -> None:
        """Keep a bar that is believed."""
        if self._has_room(bar.index):
            self._buffers[bar.index].add_bar(bar)

    def on_withheld(self, event: Tick | Bar) -> None:
        """Keep what is not believed, marked as such."""
        if self._has_room(event.index):
            columns = self._buffers[event.index]
            if isinstance(event, Tick):
                columns.add_tick(event, believed=False)
            else:
                columns.add_bar(event, believed=False)

    def on_retracted(self, index: Index, from_ns: Nanos, to_ns: Nanos) -> None:
        """Values with these stamps, both included, were believed and are wrong."""
        if self._has_room(index):
            self._buffers[index].add_retraction(index, from_ns, to_ns, self._clock.now_ns())

    def on_missed_bar(self, bar: Bar) -> None:
        """Keep a bar that was asked for afterwards, marked as such."""
        if self._has_room(bar.index):
            self._buffers[bar.index].add_bar(bar, _MISSED)

    async def run(self) -> Never:
        """Flush every `flush_every_s`, and once more when cancelled."""
        try:
            while True:
                await self._clock.sleep(self._every_ns)
                await self.flush()
        finally:
            await self.flush()

    async def flush(self) -> tuple[Path, ...]:
        """Write what waits; the paths written. Never raises for the disk: it logs and keeps the rows.

        Cancelled while a thread writes, it waits for that write to end before it lets the cancellation through.
        """
        async with self._writing:
            taken = {index: columns for index, columns in self._buffers.items() if len(columns)}
            if not taken:
                return ()
            for index in taken:
                self._buffers[index] = Columns()
            write = asyncio.get_running_loop().run_in_executor(
                None, write_files, self._root, self._clock.now_ns(), taken
            )
            await settle_when_done(write, lambda done: self._settle(taken, done))
            return tuple(_written(write).values())

    def _settle(self, taken: Mapping[Index, Columns], write: asyncio.Future[dict[Index, Path]]) -> None:
        """Give back what was not written, in front of what came meanwhile, and say what was lost."""
        failed = write.exception()
        written = {} if failed is not None else write.result()
        if isinstance(failed, OSError):
            log.error("recorder.flush_failed", problem=str(failed))
        for index, columns in taken.items():
            if index not in written:
                self._buffers[index], lost = columns.followed_by(self._buffers[index], self._rows_max)
                self.dropped += lost
        if self.dropped > self._dropped_said:
            log.warning("recorder.rows_dropped", dropped=self.dropped, rows_max=self._rows_max)
            self._dropped_said = self.dropped

    def _has_room(self, index: Index) -> bool:
        if len(self._buffers[index]) < self._rows_max:
            return True
        self.dropped += 1
        return False


def folder_of(root: Path, at_ns: Nanos) -> Path:
    """`<root>/YYYY/MM/DD/polygon_index` of the New York date."""
    return root / _new_york(at_ns).strftime("%Y/%m/%d") / FOLDER


def _written(write: asyncio.Future[dict[Index, Path]]) -> dict[Index, Path]:
    """What a flush has written: nothing when the disk refused. Raises what else went wrong."""
    return {} if isinstance(write.exception(), OSError) else write.result()


def write_files(root: Path, at_ns: Nanos, columns: Mapping[Index, Columns]) -> dict[Index, Path]:
    """Write one file per index; the paths. Blocking: call it in a thread. Raises OSError when nothing was written.

    When one index fails after another succeeded, what succeeded is returned, so that it is not written twice.
    """
    folder = folder_of(root, at_ns)
    folder.mkdir(parents=True, exist_ok=True)
    stem = _new_york(at_ns).strftime("%Y%m%dT%H%M%S")
    written: dict[Index, Path] = {}
    for index, rows in columns.items():
        try:
            written[index] = _write_whole(folder, f"{stem}_{index.value}", _table(index, rows))
        except OSError:
            if not written:
                raise
    return written


def _table(index: Index, rows: Columns) -> "pa.Table":
    import pyarrow as pa  # noqa: PLC0415 - imported by the first flush, in its thread

    text, whole, real = pa.dictionary(pa.int8(), pa.string()), pa.int64(), pa.float64()
    kinds = (text, text, whole, whole, real, real, real, real, whole, pa.bool_())
    types = dict(zip(COLUMN_NAMES, kinds, strict=True))
    arrays = {"index": pa.array([index.value] * len(rows), text)}
    arrays.update({name: pa.array(getattr(rows, name), kind) for name, kind in types.items()})
    return pa.table(arrays)


def _write_whole(folder: Path, stem: str, table: "pa.Table") -> Path:
    path = _free_name(folder, stem)
    write_whole(path, table, draft=folder / f".{path.name}.tmp")
    sync_folder(folder)
    return path


def _free_name(folder: Path, stem: str) -> Path:
    """The first name not taken. One process per mode directory (instance lock), so nothing can take it in between."""
    for number in range(NAMES_MAX):
        path = folder / (f"{stem}_{number}.parquet" if number else f"{stem}.parquet")
        if not path.exists():
            return path
    raise FileExistsError(f"{folder / stem}: {NAMES_MAX} files of one second")


def _new_york(at_ns: Nanos) -> datetime:
    return datetime.fromtimestamp(at_ns // SECOND, UTC).astimezone(NEW_YORK)
