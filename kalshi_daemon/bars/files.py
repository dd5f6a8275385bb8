"""Bar files of two shapes, read into plain columns (the data folder's README says what each holds).

* the vendor's: `timestamp` (UTC, bar START), `open`, `high`, `low`, `close` as floats;
* scaled: `ts` (epoch seconds UTC, bar START) and int32 prices in 1/`price_scale` points (schema metadata).

Which index a file speaks for is read from its name, by the first word in it (letters only, any case) that is the name
of an index of the table or of one of its stand-ins: ES, and SPY with ten times its level, speak for SPX.

A future or an ETF is a stand-in: its returns are right, its level is near enough for a ladder to be built around it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from kalshi_daemon.domain.index import Index
from kalshi_daemon.domain.instruments import SHIPPED_INSTRUMENTS, Instruments
from kalshi_daemon.ground.errors import ConfigurationError
from kalshi_daemon.ground.named_files import check_regular
from kalshi_daemon.ground.new_york import NEW_YORK

if TYPE_CHECKING:
    import pyarrow as pa

type Values = NDArray[np.float64]

BAR_SECONDS: Final = (60, 300)
PRICES: Final = ("open", "high", "low", "close")
_SLACK: Final = 1e-9
_DAY_LOOK_SECONDS: Final = 1_800


@dataclass(frozen=True, slots=True, eq=False)
class Bars:
    """Bars of one index in time order. `start_s` are epoch seconds (UTC) of each bar's START."""

    path: Path
    index: Index
    bar_seconds: int
    start_s: NDArray[np.int64]
    open: Values
    high: Values
    low: Values
    close: Values

    def __len__(self) -> int:
        return len(self.start_s)

    def between(self, from_s: int, to_s: int) -> "Bars":
        """The bars that start in [from, to)."""
        first, last = np.searchsorted(self.start_s, (from_s, to_s))
        part = slice(int(first), int(last))
        opens, highs, lows, closes = (prices[part] for prices in (self.open, self.high, self.low, self.close))
        return Bars(self.path, self.index, self.bar_seconds, self.start_s[part], opens, highs, lows, closes)

    def days(self) -> tuple[str, ...]:
        """The New York dates that have bars, ascending; looked up once per half hour of bars, which is often enough."""
        looks = self.start_s[:: _DAY_LOOK_SECONDS // self.bar_seconds]
        return tuple(sorted({_date(int(second)) for second in looks}))


def index_of(path: Path, table: Instruments = SHIPPED_INSTRUMENTS) -> tuple[Index, float]:
    """The index a file name speaks for and the factor to its level. Raises ConfigurationError."""
    for word in _words(path):
        if word in table.bar_words:
            return table.bar_words[word]
    raise ConfigurationError(str(path), "the file name names no index", f"one of {', '.join(table.bar_words)}")


def _words(path: Path) -> Sequence[str]:
    return re.split(r"[^A-Z]+", path.stem.upper())


def names_index(path: Path, table: Instruments = SHIPPED_INSTRUMENTS) -> bool:
    """Whether the file's name speaks for any index."""
    return any(word in table.bar_words for word in _words(path))


def read_bars(path: Path, *, unnamed: Index | None = None, table: Instruments = SHIPPED_INSTRUMENTS) -> Bars:
    """Every bar of a file. Raises ConfigurationError naming the file: missing, truncated, wrong columns, bad bars.

    unnamed: what a file is taken for whose name speaks for no index, at its own level; None: it is refused.
    """
    index, factor = index_of(path, table) if unnamed is None or names_index(path, table) else (unnamed, 1.0)
    columns = _read_table(path)
    names = set(columns.column_names)
    if {"timestamp", *PRICES} <= names:
        start_s, scale = columns["timestamp"].to_numpy().astype("datetime64[s]").astype(np.int64), 1.0
    elif {"ts", *PRICES} <= names:
        start_s, scale = columns["ts"].to_numpy().astype(np.int64), _price_scale(path, columns)
    else:
        raise ConfigurationError(str(path), "no bars in it", "columns timestamp or ts, open, high, low, close")
    prices = [np.round(columns[name].to_numpy().astype(np.float64) / scale * factor, 8) for name in PRICES]
    order = np.argsort(start_s, kind="stable")
    start_s, prices = start_s[order], [column[order] for column in prices]
    _check(path, start_s, prices)
    return Bars(path, index, _bar_seconds(path, start_s), start_s, *prices)


def _read_table(path: Path) -> "pa.Table":
    import pyarrow as pa  # noqa: PLC0415 - only replays need it
    import pyarrow.parquet as pq  # noqa: PLC0415

    if path.exists():
        check_regular(path, str(path))  # a pipe would be waited for
    try:
        return pq.ParquetFile(path).read()
    except FileNotFoundError:
        raise ConfigurationError(str(path), "no such file") from None
    except (OSError, pa.ArrowException) as wrong:
        problem = str(wrong).splitlines()[0] if str(wrong) else type(wrong).__name__
        raise ConfigurationError(str(path), f"not a readable parquet file: {problem}", "is it truncated?") from None


def _price_scale(path: Path, table: "pa.Table") -> float:
    try:
        scale = int((table.schema.metadata or {})[b"price_scale"])
    except (KeyError, ValueError):
        raise ConfigurationError(str(path), "no price_scale in its metadata") from None
    if scale < 1:
        raise ConfigurationError(str(path), f"price_scale {scale} is not positive")
    return float(scale)


def _check(path: Path, start_s: NDArray[np.int64], prices: list[Values]) -> None:
    """Every bar must hold its open and close; no bar twice."""
    if not len(start_s):
        raise ConfigurationError(str(path), "it holds no bars")
    opens, highs, lows, closes = prices
    slack = _SLACK * np.abs(highs)
    good = (lows - slack <= np.minimum(opens, closes)) & (np.maximum(opens, closes) <= highs + slack) & (lows > 0)
    if not good.all():  # a NaN compares false and is found here too
        at = datetime.fromtimestamp(int(start_s[int(np.argmin(good))]), UTC).isoformat()
        raise ConfigurationError(str(path), f"the bar of {at} does not hold its own open and close")
    if np.any(np.diff(start_s) == 0):
        raise ConfigurationError(str(path), "two bars with the same start")


def _bar_seconds(path: Path, start_s: NDArray[np.int64]) -> int:
    """The commonest distance of neighbours."""
    gaps, counts = np.unique(np.diff(start_s), return_counts=True)
    seconds = int(gaps[int(np.argmax(counts))]) if len(gaps) else 0
    if seconds not in BAR_SECONDS:
        raise ConfigurationError(str(path), f"bars of {seconds} s", "1-minute or 5-minute bars")
    return seconds


def _date(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).astimezone(NEW_YORK).strftime("%Y-%m-%d")
