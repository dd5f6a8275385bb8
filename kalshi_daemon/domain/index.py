"""The two indices and the four series that settle on them."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from kalshi_daemon.ground.units import Nanos


class Index(StrEnum):
    """A cash index. The vendor's ticker is `I:` plus the name."""

    SPX = "SPX"
    NDX = "NDX"

    @property
    def feed_ticker(self) -> str:
        return f"I:{self.value}"


INDEX_OF_FEED_TICKER: Final = {index.feed_ticker: index for index in Index}
"""The vendor's tickers."""


class Cadence(StrEnum):
    """When a series has a fixing: each hour 10:00..16:00 ET, or once at the close."""

    HOURLY = "hourly"
    CLOSE = "close"


@dataclass(frozen=True, slots=True)
class Series:
    """One Kalshi series. Geometry, fees and grids are read from the venue, never from here."""

    ticker: str
    index: Index
    cadence: Cadence


KXINXU: Final = Series("KXINXU", Index.SPX, Cadence.HOURLY)
KXNASDAQ100U: Final = Series("KXNASDAQ100U", Index.NDX, Cadence.HOURLY)
KXINX: Final = Series("KXINX", Index.SPX, Cadence.CLOSE)
KXNASDAQ100: Final = Series("KXNASDAQ100", Index.NDX, Cadence.CLOSE)
SERIES: Final = {series.ticker: series for series in (KXINXU, KXNASDAQ100U, KXINX, KXNASDAQ100)}


class Channel(StrEnum):
    """The vendor's topics for indices: value, second aggregate, minute aggregate."""

    VALUE = "V"
    SECOND = "A"
    MINUTE = "AM"


@dataclass(frozen=True, slots=True)
class Tick:
    """One index value. `event_ns` is the vendor's stamp, `recv_ns` our wall clock on receipt."""

    index: Index
    channel: Channel
    value: float
    event_ns: Nanos
    recv_ns: Nanos


@dataclass(frozen=True, slots=True)
class Bar:
    """An aggregate (A or AM) of the vendor. `end_ns` is when it enters the model, `start_ns` is its upsert key."""

    index: Index
    channel: Channel
    open: float
    high: float
    low: float
    close: float
    start_ns: Nanos
    end_ns: Nanos
    recv_ns: Nanos
