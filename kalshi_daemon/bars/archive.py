"""Minute bars of the vendor on disk: one parquet file per index and session, in folders any reader of partitions knows.

    <root>/index=I:SPX/year=2025/month=01/SPX-2025-01-02.parquet
    timestamp (UTC, bar START), open, high, low, close

The file's own metadata says whether the day was over when it was asked for (`final`). A file appears whole or not at
all. A day whose minutes no reader could tell from other bars (fewer than two in a row) is not written.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

from kalshi_daemon.domain.index import Bar, Index
from kalshi_daemon.domain.window import Session
from kalshi_daemon.ground.parquet import write_whole
from kalshi_daemon.ground.units import MICROSECOND, MINUTE

_FINAL: Final = b"final"
_MISSING: Final = b"missing"


@dataclass(frozen=True, slots=True)
class StoredDay:
    """What a file says about itself."""

    final: bool
    """It was asked for after the day was over: there is nothing to come."""
    missing: int
    """Minutes of the session without a bar."""


def path_of(root: Path, index: Index, day: str) -> Path:
    """Where the session of `day` (YYYY-MM-DD) lies."""
    year, month, _ = day.split("-")
    folder = root / f"index={index.feed_ticker}" / f"year={year}" / f"month={month}"
    return folder / f"{index.value}-{day}.parquet"


def stored(path: Path) -> StoredDay | None:
    """What is there; None for no file, and for one that is none of ours or damaged: it is asked for again."""
    import pyarrow as pa  # noqa: PLC0415 - 90 ms that only archives need
    import pyarrow.parquet as pq  # noqa: PLC0415

    try:
        found = pq.ParquetFile(path).metadata.metadata or {}
        return StoredDay(found[_FINAL] == b"1", int(found[_MISSING]))
    except (OSError, pa.ArrowException, KeyError, ValueError):
        return None


def minutes_of(session: Session) -> int:
    """Bars a complete session would have."""
    return (session.close_ns - session.open_ns) // MINUTE


def missing_of(session: Session, bars: Sequence[Bar]) -> int:
    """Minutes of the session without a bar."""
    return minutes_of(session) - sum(session.open_ns <= bar.start_ns < session.close_ns for bar in bars)


def readable(bars: Sequence[Bar]) -> bool:
    """Whether a reader can see that these are minute bars: one minute is their commonest distance."""
    gaps = Counter(later.start_ns - bar.start_ns for bar, later in pairwise(bars))
    return bool(gaps) and gaps[MINUTE] == max(gaps.values())


def write_day(path: Path, bars: Sequence[Bar], *, final: bool, missing: int) -> None:
    """Write one day, replacing what was there. `bars` by start, readable. Raises OSError.

    `missing`: minutes without a bar.
    """
    import pyarrow as pa  # noqa: PLC0415

    columns = {
        "timestamp": pa.array([bar.start_ns // MICROSECOND for bar in bars], pa.timestamp("us", tz="UTC")),
        **{
            name: pa.array([getattr(bar, name) for bar in bars], pa.float64())
            for name in ("open", "high", "low", "close")
        },
    }
    table = pa.table(columns).replace_schema_metadata(
        {_FINAL: b"1" if final else b"0", _MISSING: str(missing).encode()}
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, table, draft=path.with_name(f".{path.name}.draft"))
