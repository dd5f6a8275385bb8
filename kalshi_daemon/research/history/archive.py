"""One parquet file an event and kind, in folders any reader of partitions knows.

    <root>/kind=trades/series=KXINXU/year=2026/month=11/KXINXU-26NOV23H1500.parquet

Times are UTC; prices dollars on the YES scale, counts contracts. The file's own metadata says whether the event was
over when it was asked for (`final`): what is final is not asked for again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from kalshi_daemon.ground.parquet import write_whole
from kalshi_daemon.ground.units import MICROSECOND
from kalshi_daemon.kalshi.history_codec import PRICES, QUOTES

if TYPE_CHECKING:
    import pyarrow as pa

_FINAL: Final = b"final"
_ROWS: Final = b"rows"


class Kind(StrEnum):
    """What is kept of an event."""

    MARKETS = "markets"
    TRADES = "trades"
    CANDLES = "candles"


_TIME, _REAL, _TEXT, _FLAG = "time", "real", "text", "flag"
_COLUMNS: Final[Mapping[Kind, Mapping[str, str]]] = {
    Kind.MARKETS: {
        "ticker": _TEXT,
        "event_ticker": _TEXT,
        "status": _TEXT,
        "strike_type": _TEXT,
        "floor_strike": _REAL,
        "cap_strike": _REAL,
        "open_time": _TIME,
        "close_time": _TIME,
        "settlement_time": _TIME,
        "result": _TEXT,
        "expiration_value": _TEXT,
        "volume": _REAL,
        "open_interest": _REAL,
    },
    Kind.TRADES: {
        "trade_id": _TEXT,
        "ticker": _TEXT,
        "time": _TIME,
        "price": _REAL,
        "contracts": _REAL,
        "taker_side": _TEXT,
        "block": _FLAG,
    },
    Kind.CANDLES: {
        "ticker": _TEXT,
        "end_time": _TIME,
        **{f"{side}_{name}": _REAL for side in ("yes_bid", "yes_ask") for name in QUOTES},
        **{f"price_{name}": _REAL for name in PRICES},
        "volume": _REAL,
        "open_interest": _REAL,
    },
}


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """What a file says about itself."""

    final: bool
    rows: int


def path_of(root: Path, kind: Kind, event_ticker: str, day: str, period_min: int) -> Path:
    """Where an event of `day` (YYYY-MM-DD) lies. `period_min`: of candles, in minutes; each has a folder of its own."""
    year, month, _ = day.split("-")
    name = f"{kind.value}-{period_min}min" if kind is Kind.CANDLES else kind.value
    series = event_ticker.partition("-")[0]
    return root / f"kind={name}" / f"series={series}" / f"year={year}" / f"month={month}" / f"{event_ticker}.parquet"


def stored(path: Path) -> StoredEvent | None:
    """What is there; None for no file, and for one that is none of ours or damaged: it is asked for again."""
    import pyarrow as pa  # noqa: PLC0415 - 90 ms that only archives need
    import pyarrow.parquet as pq  # noqa: PLC0415

    try:
        found = pq.ParquetFile(path).metadata.metadata or {}
        return StoredEvent(found[_FINAL] == b"1", int(found[_ROWS]))
    except (OSError, pa.ArrowException, KeyError, ValueError):
        return None


def write_event(path: Path, kind: Kind, rows: Sequence[Mapping[str, Any]], *, final: bool) -> None:
    """Write the rows of one event, replacing what was there. Times in rows are nanoseconds. Raises OSError."""
    import pyarrow as pa  # noqa: PLC0415

    columns = {name: _column([row[name] for row in rows], form) for name, form in _COLUMNS[kind].items()}
    marks = {_FINAL: b"1" if final else b"0", _ROWS: str(len(rows)).encode()}
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table(columns).replace_schema_metadata(marks)
    write_whole(path, table, draft=path.with_name(f".{path.name}.draft"))


def _column(values: Sequence[Any], form: str) -> "pa.Array":
    import pyarrow as pa  # noqa: PLC0415

    if form == _TIME:
        micros = [None if value is None else value // MICROSECOND for value in values]
        return pa.array(micros, pa.timestamp("us", tz="UTC"))
    return pa.array(values, {_REAL: pa.float64(), _TEXT: pa.string(), _FLAG: pa.bool_()}[form])
