"""A recorded day made by hand: an index that wanders about a bound of its bracket, and one bracket's book around it."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

DAY = "2023-04-10"
OPEN = datetime(2023, 4, 10, 13, 30, tzinfo=UTC)
CLOSE = datetime(2023, 4, 10, 20, 0, tzinfo=UTC)
BRACKET = {"ticker": "", "index": "SPX", "lowest": 4050, "highest": 4099.9999}
ROWS = ("ts", "Operation", "OrderId", "Side", "Volume", "price_cents")

type Row = tuple[datetime, str, int, str, int, int]


def index_values(level: float = 4_098.0, noise: float = 0.1) -> NDArray[np.float64]:
    steps = np.random.default_rng(1).normal(0.0, noise, 23_401)
    walk = np.cumsum(steps)
    found: NDArray[np.float64] = np.round(level + walk - walk[-600], 2)
    return found  # the level of ten minutes before the close


def write_recording(folder: Path, rows: list[Row], *, values: Any = None, markets: Any = (BRACKET,)) -> Path:
    """`markets` None leaves the file out."""
    folder.mkdir(parents=True, exist_ok=True)
    values = index_values() if values is None else values
    stamps = [OPEN + timedelta(seconds=second, milliseconds=300) for second in range(len(values))]
    pq.write_table(pa.table({"ts": stamps, "spx": values}), folder / f"SPX_1hz_{DAY}.parquet")
    columns = dict(zip(ROWS, zip(*rows, strict=True), strict=True))
    pq.write_table(
        pa.table({name: list(column) for name, column in columns.items()}), folder / f"book_events_{DAY}.parquet"
    )
    if markets is not None:
        (folder / f"markets_{DAY}.json").write_text(json.dumps(list(markets)))
    return folder


def before_close(seconds: float) -> datetime:
    return CLOSE - timedelta(seconds=seconds)


def insert(seconds: float, number: int, side: str, volume: int, cents: int) -> Row:
    return before_close(seconds), "Insert", number, side, volume, cents


def busy_book(bid: int, ask: int, seconds: int = 900) -> list[Row]:
    """A wide book from half past nine on, and from `seconds` before the close sellers and buyers of 30 each second."""
    rows: list[Row] = [(OPEN + timedelta(seconds=1), "Insert", 1, "B", 5_000, bid)]
    rows.append((OPEN + timedelta(seconds=1), "Insert", 2, "A", 5_000, ask))
    number = 3
    for second in range(seconds, 1, -1):
        rows += [insert(second + 0.5, number, "A", 30, bid), insert(second + 0.4, number + 1, "B", 30, bid)]
        rows += [insert(second + 0.3, number + 2, "B", 30, ask), insert(second + 0.2, number + 3, "A", 30, ask)]
        number += 4
    return rows
