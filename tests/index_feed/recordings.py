"""Reads back what the recorder wrote."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.parquet as pq

from kalshi_daemon.domain.index import Bar, Channel, Index, Tick


@dataclass
class Recording:
    """What files hold, in their order. `missed`: bars the vendor's history gave for what the feed did not deliver."""

    ticks: list[Tick] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)
    missed: list[Bar] = field(default_factory=list)


def read_files(paths: Iterable[Path]) -> Recording:
    found = Recording()
    for path in paths:
        for row in pq.ParquetFile(path).read().to_pylist():
            index, channel = Index(row["index"]), Channel(row["channel"])
            if row["kind"] == "tick":
                found.ticks.append(Tick(index, channel, row["value"], row["event_ns"], row["recv_ns"]))
                continue
            first, high, low, last = (row[name] for name in ("open", "high", "low", "value"))
            bar = Bar(index, channel, first, high, low, last, row["start_ns"], row["event_ns"], row["recv_ns"])
            {"bar": found.bars, "missed": found.missed}[row["kind"]].append(bar)
    return found


def read_folder(folder: Path) -> Recording:
    """Every parquet file of a folder, by name."""
    return read_files(sorted(folder.glob("*.parquet")))
