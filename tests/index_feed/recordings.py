"""Reads back what the recorder wrote."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.parquet as pq

from kalshi_daemon.domain.index import Bar, Channel, Index, Tick


@dataclass
class Recording:
    """What files hold and may be learnt from, in their order.

    `missed`: bars the vendor's history gave for what the feed did not deliver. `withheld`: what was not believed.
    """

    ticks: list[Tick] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)
    missed: list[Bar] = field(default_factory=list)
    withheld: list[Tick | Bar] = field(default_factory=list)


def read_files(paths: Iterable[Path]) -> Recording:
    found = Recording()
    for path in paths:
        for row in pq.ParquetFile(path).read().to_pylist():
            index, channel = Index(row["index"]), Channel(row["channel"])
            believed = row.get("believed", True)
            if row["kind"] == "retracted":
                wrong = range(row["start_ns"], row["event_ns"] + 1)
                found.ticks = [one for one in found.ticks if one.index != index or one.event_ns not in wrong]
                continue
            if row["kind"] == "tick":
                tick = Tick(index, channel, row["value"], row["event_ns"], row["recv_ns"])
                (found.ticks if believed else found.withheld).append(tick)
                continue
            first, high, low, last = (row[name] for name in ("open", "high", "low", "value"))
            bar = Bar(index, channel, first, high, low, last, row["start_ns"], row["event_ns"], row["recv_ns"])
            if not believed:
                found.withheld.append(bar)
                continue
            {"bar": found.bars, "missed": found.missed}[row["kind"]].append(bar)
    return found


def read_folder(folder: Path) -> Recording:
    """Every parquet file of a folder, by name."""
    return read_files(sorted(folder.glob("*.parquet")))
