"""Files of a recorded day, read and checked; docs/laboratory.md describes them.

`book_events_DATE.parquet`: what happened in the books. `INDEX_1hz_DATE.parquet`: values of the index as they were
seen. `markets_DATE.json`, which may be missing: which contracts the books were of.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray

from kalshi_daemon.domain.index import Index
from kalshi_daemon.domain.instruments import Instruments
from kalshi_daemon.ground.errors import ConfigurationError
from kalshi_daemon.ground.folders import entries
from kalshi_daemon.ground.named_files import check_regular

BOOKS: Final = re.compile(r"book_events_(\d{4}-\d{2}-\d{2})\.parquet")
EVENT_COLUMNS: Final = ("ts", "Operation", "OrderId", "Side", "Volume", "price_cents")
TICKER: Final = "Ticker"
INSERT, CANCEL, TRADE = "Insert", "Cancel", "Trade"
OPERATIONS: Final = (INSERT, CANCEL, TRADE)
SIDES: Final = ("B", "A")
_CENTS: Final = 100
_VOLUME_MAX: Final = 10_000_000
_FORM: Final = "docs/laboratory.md says what the columns are"
_AGAIN: Final = "copy it again: is it truncated?"


@dataclass(frozen=True, slots=True, eq=False)
class EventColumns:
    """A day's book events, column by column, in the order of the file."""

    at_ns: NDArray[np.int64]
    operation: list[str]
    order_id: list[int]
    bid: list[bool]
    volume: list[int]
    """Contracts."""
    cents: list[int]
    ticker: list[str] | None
    """None: the file is of one market and does not name it."""


@dataclass(frozen=True, slots=True)
class MarketRow:
    """A contract that the books were of. Bounds in points, both inclusive; None is no bound."""

    ticker: str
    index: str
    lowest: float | None
    highest: float | None
    settles: str = ""
    """HH:MM in New York; empty: at the close."""


def recorded_days(folder: Path) -> tuple[str, ...]:
    """The dates that have books, ascending. Raises ConfigurationError when there are none."""
    if not folder.is_dir():
        raise ConfigurationError(str(folder), "no such folder", "--books takes a folder of recorded days")
    found = sorted(match[1] for path in entries(folder) if (match := BOOKS.fullmatch(path.name)))
    if not found:
        raise ConfigurationError(str(folder), "no recorded day in it: no file book_events_DATE.parquet", _FORM)
    return tuple(found)


def read_events(path: Path) -> EventColumns:
    """Raises ConfigurationError with file, row and what is wrong."""
    table = _read(path)
    missing = [name for name in EVENT_COLUMNS if name not in table.column_names]
    if missing:
        raise ConfigurationError(str(path), f"no column {missing[0]}", _FORM)
    if not table.num_rows:
        raise ConfigurationError(str(path), "it holds no events", _AGAIN)
    at_ns = _stamps(path, table)
    operation, side = table["Operation"].to_pylist(), table["Side"].to_pylist()
    volume, cents, ids = (_whole(path, table, name) for name in ("Volume", "price_cents", "OrderId"))
    _check_words(path, "Operation", operation, OPERATIONS)
    _check_words(path, "Side", side, SIDES)
    _check_range(path, "Volume", volume, (1, _VOLUME_MAX))
    _check_range(path, "price_cents", cents, (1, _CENTS - 1))
    return EventColumns(
        at_ns=at_ns,
        operation=operation,
        order_id=ids.tolist(),
        bid=[word == "B" for word in side],
        volume=volume.tolist(),
        cents=cents.tolist(),
        ticker=table[TICKER].to_pylist() if TICKER in table.column_names else None,
    )


def read_values(path: Path, index: Index) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """When the index was seen, and where. Raises ConfigurationError with file, row and what is wrong."""
    table, column = _read(path), index.value.lower()
    for name in ("ts", column):
        if name not in table.column_names:
            raise ConfigurationError(str(path), f"no column {name}", _FORM)
    if not table.num_rows:
        raise ConfigurationError(str(path), "it holds no values", _AGAIN)
    values = table[column].to_numpy().astype(np.float64)
    good = np.isfinite(values) & (values > 0)
    if not good.all():
        row = int(np.argmin(good))
        raise ConfigurationError(f"{path}: row {row}", f"{column} {values[row]} is no level of an index", _AGAIN)
    return _stamps(path, table), values


def read_markets(path: Path, table: Instruments) -> tuple[MarketRow, ...]:
    """The contracts of a day; empty when the file is not there. Raises ConfigurationError."""
    if not path.exists():
        return ()
    check_regular(path, str(path))
    try:
        rows = tuple(MarketRow(**row) for row in orjson.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError) as problem:
        raise ConfigurationError(str(path), f"not a list of markets: {problem}", _FORM) from None
    for row in rows:
        bounds = (row.lowest, row.highest)
        if any(bound is not None and not isinstance(bound, (int, float)) for bound in bounds) or bounds == (None, None):
            raise ConfigurationError(f"{path}: {row.ticker}", f"bounds {bounds} are none", _FORM)
        if row.index not in table.rows:
            raise ConfigurationError(
                f"{path}: {row.ticker}", f"{row.index!r} is no index", f"one of {', '.join(table.indices)}"
            )
    return rows


def _read(path: Path) -> Any:  # noqa: ANN401 - pyarrow has no types
    import pyarrow as pa  # noqa: PLC0415 - only who plays recordings needs it
    import pyarrow.parquet as pq  # noqa: PLC0415

    if path.exists():
        check_regular(path, str(path))
    try:
        return pq.ParquetFile(path).read()
    except FileNotFoundError:
        raise ConfigurationError(str(path), "no such file", _FORM) from None
    except (OSError, pa.ArrowException) as wrong:
        problem = str(wrong).splitlines()[0] if str(wrong) else type(wrong).__name__
        raise ConfigurationError(str(path), f"not a readable parquet file: {problem}", _AGAIN) from None


def _stamps(path: Path, table: Any) -> NDArray[np.int64]:  # noqa: ANN401
    """Nanoseconds of the epoch, which never go back."""
    column = table["ts"]
    if column.null_count or not str(column.type).startswith("timestamp"):
        raise ConfigurationError(f"{path}: ts", f"{column.type}, or empty, is no time", _FORM)
    found: NDArray[np.int64] = column.to_numpy().astype("datetime64[ns]").astype(np.int64)
    back = np.diff(found) < 0
    if back.any():
        raise ConfigurationError(f"{path}: row {int(np.argmax(back)) + 1}", "time goes back", "sort it by ts")
    return found


def _whole(path: Path, table: Any, name: str) -> NDArray[np.int64]:  # noqa: ANN401
    column = table[name]
    if column.null_count or not str(column.type).startswith(("int", "uint")):
        raise ConfigurationError(f"{path}: {name}", f"{column.type}, or empty, is no whole number", _FORM)
    found: NDArray[np.int64] = column.to_numpy().astype(np.int64)
    return found


def _check_words(path: Path, name: str, found: list[object], known: tuple[str, ...]) -> None:
    row = next((row for row, word in enumerate(found) if word not in known), None)
    if row is not None:
        raise ConfigurationError(f"{path}: row {row}", f"{name} {found[row]!r} is none of {', '.join(known)}", _FORM)


def _check_range(path: Path, name: str, found: NDArray[np.int64], span: tuple[int, int]) -> None:
    bad = (found < span[0]) | (found > span[1])
    if bad.any():
        row = int(np.argmax(bad))
        raise ConfigurationError(
            f"{path}: row {row}", f"{name} {found[row]} is not between {span[0]} and {span[1]}", _AGAIN
        )
