"""Which bar files speak for which trading day. Days without are named, not guessed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kalshi_daemon.bars.files import Bars, index_of, names_index, read_bars
from kalshi_daemon.domain.index import Index
from kalshi_daemon.domain.instruments import Instruments
from kalshi_daemon.domain.window import Session
from kalshi_daemon.ground.errors import ConfigurationError
from kalshi_daemon.ground.folders import files_below
from kalshi_daemon.ground.units import SECOND
from kalshi_daemon.simulator.feed.index_replay import uncovered

FILES_MAX: Final = 20_000
_NAMED_MAX: Final = 12
_FORM: Final = "bar files are named after their index: SPX-2026-11-23.parquet, ES1_1m_2024.parquet"


@dataclass(frozen=True, slots=True)
class BarDays:
    """Files by day, one for each index that has bars of it; and the days that have none, each with the reason."""

    files: Mapping[str, tuple[Path, ...]]
    without: Mapping[str, str]

    @property
    def missing(self) -> str:
        """The days without bars in one line; empty when there are none."""
        named = [f"{day} ({why})" for day, why in self.without.items()]
        more = f" and {len(named) - _NAMED_MAX} more" if len(named) > _NAMED_MAX else ""
        return ", ".join(named[:_NAMED_MAX]) + more


def bar_days(folder: Path, sessions: Sequence[Session], table: Instruments) -> BarDays:
    """Look up every session. Raises ConfigurationError: no such folder, no bar file, a damaged file, no day at all."""
    if not folder.exists():
        raise ConfigurationError(str(folder), "no such folder", "--data takes a folder of bar files")
    paths = [one for one in files_below(folder) if one.suffix == ".parquet"] if folder.is_dir() else [folder]
    named = [path for path in paths if names_index(path, table)]
    if not named:
        raise ConfigurationError(str(folder), "no bar file in it", _FORM)
    if len(named) > FILES_MAX:
        raise ConfigurationError(
            str(folder), f"{len(named)} bar files, more than {FILES_MAX}", "name a folder below it"
        )
    shelf = _Shelf(named, table)
    files: dict[str, tuple[Path, ...]] = {}
    without: dict[str, str] = {}
    for session in sessions:
        found = {index: shelf.find(index, session) for index in table.indices}
        chosen = tuple(path for path, _ in found.values() if path is not None)
        if chosen:
            files[session.day] = chosen
        else:
            without[session.day] = next((why for _, why in found.values() if why), "no bars")
    if not files:
        problem = BarDays(files, without).missing or "there is no trading day in it"
        raise ConfigurationError(str(folder), f"no bars of any of these days: {problem}", "name days that it has")
    return BarDays(files, without)


class _Shelf:
    """Files of each index; what was read last stays open, so that a year's file is read once for its days in order."""

    def __init__(self, paths: Sequence[Path], table: Instruments) -> None:
        self._table = table
        self._spans: dict[Index, list[tuple[int, int, Path]]] = {index: [] for index in table.indices}
        for path in paths:
            index, _factor = index_of(path, table)
            self._spans[index].append((*_span_of(path), path))
        for index, spans in self._spans.items():
            # The index itself before what stands in for it.
            spans.sort(key=lambda one: (index.value not in one[2].stem.upper(), one[2]))
        self._open: dict[Index, Bars] = {}

    def find(self, index: Index, session: Session) -> tuple[Path | None, str]:
        """The first file that covers a session; else None, and why the nearest one does not."""
        open_s, why = session.open_ns // SECOND, ""
        for first, last, path in self._spans[index]:
            if not first <= open_s + 3_600 or not open_s <= last:
                continue
            problem = uncovered(self._read(index, path), session)
            if not problem:
                return path, ""
            why = why or f"{path.name}: {problem}"
        return None, why

    def _read(self, index: Index, path: Path) -> Bars:
        bars = self._open.get(index)
        if bars is None or bars.path != path:
            bars = self._open[index] = read_bars(path, table=self._table)
        return bars


def _span_of(path: Path) -> tuple[int, int]:
    """The first and last start in a file, epoch seconds, by its own statistics; everything when it keeps none.

    Raises ConfigurationError for a file that is none.
    """
    import pyarrow as pa  # noqa: PLC0415 - as in bars.files
    import pyarrow.parquet as pq  # noqa: PLC0415

    try:
        metadata = pq.read_metadata(path)
    except (OSError, pa.ArrowException) as wrong:
        problem = str(wrong).splitlines()[0] if str(wrong) else type(wrong).__name__
        raise ConfigurationError(str(path), f"not a readable parquet file: {problem}", "is it truncated?") from None
    column = next((place for place, name in enumerate(metadata.schema.names) if name in {"ts", "timestamp"}), None)
    edges: list[int] = []
    for group in range(metadata.num_row_groups if column is not None else 0):
        kept = metadata.row_group(group).column(column).statistics
        if kept is None or not kept.has_min_max:
            return 0, 1 << 62
        edges += [_seconds(kept.min), _seconds(kept.max)]
    return (min(edges), max(edges)) if edges else (0, 1 << 62)


def _seconds(value: object) -> int:
    """Of a stamp or of epoch seconds."""
    stamp = getattr(value, "timestamp", None)
    return int(stamp()) if callable(stamp) else int(str(value))
