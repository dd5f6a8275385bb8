"""The record of resolved forecasts on disk: one file of lines per New York day, only ever appended to.

    <mode_dir>/calibration/record/YYYY-MM-DD.jsonl

Lines wait here until `CalibrationStore` writes them, together with what was learnt, so that both are of one moment.
Bounds: LINES_MAX lines may wait, beyond that new ones are dropped and counted; a file takes BYTES_MAX bytes; the
newest DAYS_MAX files stay.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Final

import structlog

from kalshi_daemon.calibration.market_record import MarketRecord, Pending, Settled
from kalshi_daemon.calibration.resolving import Resolved
from kalshi_daemon.calibration.updater import RollingCalibration
from kalshi_daemon.domain.index import Index
from kalshi_daemon.domain.window import Session
from kalshi_daemon.ground.durable import append_lines
from kalshi_daemon.ground.errors import StateTooNew
from kalshi_daemon.ground.folders import entries
from kalshi_daemon.ground.units import Nanos
from kalshi_daemon.memory.record_rows import (
    VERSION,
    FixingRow,
    ForecastRow,
    MarketRow,
    NewerVersionError,
    Row,
    forecast_row,
    from_line,
    made_ns,
    sound,
    to_line,
)

FOLDER: Final = "record"
DAYS_MAX: Final = 400
LINES_MAX: Final = 20_000
"""Waiting: some hundred sessions of both indices, far more than a cold start's history brings at once."""
BYTES_MAX: Final = 16_000_000
"""Of one day's file; an ordinary session leaves some 0.2 MB."""

type Lines = Mapping[str, Sequence[bytes]]
"""Day -> lines."""
type Recomputed = Callable[[Nanos], bool]
"""Whether a forecast of this instant was made after the fact, from minutes that came later."""

log = structlog.get_logger()


class ForecastRecord:
    """Listens to the models and to the records against the market, and keeps lines until they are written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / FOLDER
        self._waiting: dict[str, list[bytes]] = {}
        self._count = 0
        self.dropped = 0
        """Lines that found no room, since the start."""
        self._dropped_said = 0

    def listen(self, model: RollingCalibration, recomputed: Recomputed) -> None:
        """OnResolved of this model's fixings."""
        model.on_resolved = partial(self._on_fixing, model, recomputed)

    def listen_to_market(self, index: Index, record: MarketRecord) -> None:
        """Keep each event of this record once it is resolved."""
        record.on_resolved = partial(self._on_event, index, record)

    def take(self) -> Lines:
        """What waits, handed over to be written."""
        taken, self._waiting, self._count = self._waiting, {}, 0
        if self.dropped > self._dropped_said:
            log.warning("forecast_record.lines_dropped", dropped=self.dropped, lines_max=LINES_MAX)
            self._dropped_said = self.dropped
        return taken

    def give_back(self, lines: Lines) -> None:
        """Lines that could not be written wait again, before newer ones."""
        newer = self.take()
        for part in (lines, newer):
            for day, rows in part.items():
                for line in rows:
                    self._keep(day, line)

    def _on_fixing(
        self,
        model: RollingCalibration,
        recomputed: Recomputed,
        session: Session,
        target_ns: Nanos,
        resolved: Sequence[Resolved],
    ) -> None:
        close = target_ns == session.close_ns
        all_live = True
        for one in resolved:
            live = not recomputed(made_ns(target_ns, one.taken.bucket))
            all_live &= live
            row = forecast_row(model.index, session.day, target_ns, one, close=close, live=live)
            if sound(row):
                self._keep(session.day, to_line(row))
        readings = model.watch.readings(model.monitor, (model.hour_layer, model.close_layer))
        mean, alarmed = model.monitor.mean, model.monitor.alarmed
        self._keep(
            session.day, to_line(FixingRow(model.index, session.day, target_ns, all_live, mean, alarmed, readings))
        )

    def _on_event(self, index: Index, record: MarketRecord, event: str, one: Pending, settled: Settled) -> None:
        mean, alarmed = record.monitor.mean, record.monitor.alarmed
        row = MarketRow(index, one.session, one.target_ns, event, mean, alarmed, settled, record.readings())
        self._keep(one.session, to_line(row))

    def _keep(self, day: str, line: bytes) -> None:
        if self._count >= LINES_MAX:
            self.dropped += 1
            return
        self._waiting.setdefault(day, []).append(line)
        self._count += 1


# On disk


def append(folder: Path, lines: Lines) -> dict[str, Sequence[bytes]]:
    """Add to the files, and let the oldest go; what could not be written. Blocking: call it in a thread."""
    left: dict[str, Sequence[bytes]] = {}
    for day, rows in lines.items():
        try:
            over = len(rows) - append_lines(folder / f"{day}.jsonl", rows, bytes_max=BYTES_MAX, lasting=True)
        except OSError as problem:
            log.error("forecast_record.not_written", day=day, problem=str(problem))  # noqa: TRY400 - the disk's words
            left[day] = rows
            continue
        if over:
            log.warning("forecast_record.full", day=day, dropped=over, bytes_max=BYTES_MAX)
    with suppress(OSError):
        for old in _days(folder)[:-DAYS_MAX]:
            old.unlink()
    return left


@dataclass(frozen=True, slots=True)
class Kept:
    """What the files hold about one index, each key once, by time."""

    forecasts: tuple[ForecastRow, ...]
    fixings: tuple[FixingRow, ...]
    markets: tuple[MarketRow, ...]
    unreadable: int
    """Lines of either index that were left out: torn, damaged, or of another version."""
    newer: StateTooNew | None = None
    """The first file with lines that a newer daemon wrote; they are left out."""


def _days(folder: Path) -> list[Path]:
    """The files, oldest first; none when the folder is not there. Raises OSError, named."""
    return [path for path in entries(folder) if path.name.endswith(".jsonl")]


def read_record(folder: Path, index: Index, first: date | None = None, last: date | None = None) -> Kept:
    """The record of an index from `first` to `last`. Never raises for what the files hold; OSError for the disk."""
    rows: dict[tuple[object, ...], Row] = {}
    unreadable, newer = 0, None
    for path in _days(folder):
        day = path.stem
        if (first is not None and day < first.isoformat()) or (last is not None and day > last.isoformat()):
            continue
        with path.open("rb") as file:
            for line in file:
                try:
                    row = from_line(line)
                except NewerVersionError as problem:
                    unreadable += 1
                    newer = newer or StateTooNew(str(path), "forecast record", problem.version, VERSION)
                    continue
                except ValueError:
                    unreadable += bool(line.strip())
                    continue
                if row.index == index:
                    rows[row.key] = row
    ordered = sorted(rows.values(), key=lambda row: row.target_ns)
    return Kept(
        tuple(row for row in ordered if isinstance(row, ForecastRow)),
        tuple(row for row in ordered if isinstance(row, FixingRow)),
        tuple(row for row in ordered if isinstance(row, MarketRow)),
        unreadable,
        newer,
    )
