"""What an index and a series are. Which there are says the table in `instruments`."""

import re
from dataclasses import dataclass
from datetime import time
from enum import StrEnum
from typing import ClassVar, Final, Self

from kalshi_daemon.ground.units import Level, Nanos

_NAME: Final = re.compile(r"[A-Z]{1,10}", re.ASCII)


class Index(str):
    """A cash index, by its name at the vendor, whose ticker is `I:` and the name.

    Any well-formed name is one; whether it is one of ours says the table.
    """

    SPX: ClassVar["Index"]
    NDX: ClassVar["Index"]
    __slots__ = ()

    def __new__(cls, name: object) -> Self:
        """Raises ValueError for what cannot be a name."""
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ValueError(f"{str(name)[:20]!r} is not the name of an index")
        return super().__new__(cls, name)

    @property
    def value(self) -> str:
        """The name as plain text."""
        return str(self)

    @property
    def feed_ticker(self) -> str:
        return f"I:{self}"


def index_of_ticker(ticker: str) -> Index | None:
    """The index of a vendor's ticker; None for what is no index's."""
    kind, _, name = ticker.partition(":")
    return Index(name) if kind == "I" and _NAME.fullmatch(name) else None


Index.SPX, Index.NDX = Index("SPX"), Index("NDX")


class Cadence(StrEnum):
    """When a series has a fixing: each full hour of the session, or once at the close."""

    HOURLY = "hourly"
    CLOSE = "close"


@dataclass(frozen=True, slots=True)
class Geometry:
    """How a series cuts its index. What is traded is read from the venue; this is for scores and the simulated one."""

    step: int
    """Whole points between strikes."""
    legs: int
    """Markets of an event."""
    epsilon: Level
    """A cap lies this far below the strike above it; T-tickers of hourly ladders carry the strike minus this."""
    closing: "Geometry | None" = None
    """The ladder of the hour of the close, where it is another one."""

    @property
    def anchor(self) -> int:
        """Ladders are laid around a multiple of this many points."""
        return self.step if self.closing is None else self.closing.step


@dataclass(frozen=True, slots=True)
class Series:
    """One Kalshi series."""

    ticker: str
    index: Index
    cadence: Cadence
    first_fixing: time
    """Of an hourly one, New York."""
    geometry: Geometry


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
