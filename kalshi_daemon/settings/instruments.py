"""Rows of the table of instruments that are configured; the shipped ones stand in `domain.instruments`.

`[instruments.indices.NAME]` and `[instruments.series.TICKER]` add rows, or stand instead of a shipped one of the same
name.
"""

from datetime import time
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field

from kalshi_daemon.domain.index import Cadence, Geometry, Index, Series
from kalshi_daemon.domain.instruments import SHIPPED_INSTRUMENTS, TEN, IndexRow, Instruments
from kalshi_daemon.ground.units import POINT, Level
from kalshi_daemon.settings.section import Section

INDICES_MAX: Final = 8
"""Each is a model to feed at every tick, and two or three topics of the vendor."""
SERIES_MAX: Final = 24

type IndexName = Annotated[str, Field(pattern=r"^[A-Za-z]{1,10}$")]
type SeriesTicker = Annotated[str, Field(pattern=r"^[A-Za-z0-9]{1,20}$")]
type StandIn = Annotated[str, Field(pattern=r"^[A-Z]{1,10}( x [1-9][0-9]{0,3})?$")]


class IndexSettings(Section):
    """A cash index of the New York session. Its name is the vendor's, whose ticker is `I:` and the name."""

    title: str = Field("", max_length=40, pattern=r"^[ -~]*$")
    """What the exchange and reports call it; empty: its name."""
    level: float = Field(ge=1.0, le=1_000_000.0)
    """About where it stands, in points: made-up sessions begin there, and stand-ins are scored as if they stood there.
    Nothing that trades reads it."""
    correlation_group: str = Field("", max_length=40, pattern=r"^[a-z0-9_]*$")
    """Indices of a group move together: they bear witness for each other's values, and two by two, in the order of the
    table, their joint loss is counted under the correlation learnt. Empty: alone, its own loss is added."""
    constants_file: Path | None = None
    """Fitted constants of this index alone, written by `calibrate`; None: those of `calibration.constants_file`."""
    stand_ins: tuple[StandIn, ...] = Field((), max_length=10)
    """Words in names of bar files that stand in for it, with the factor to its level: "ES", "SPY x 10"."""
    volatility: float = Field(1.0, ge=0.05, le=20.0)
    """How much more than SPX it moves in a made-up session."""
    full_precision: bool = False
    """Whether the vendor publishes it with all digits, not two decimals (docs/reference/feed.md 1.5)."""


class SeriesSettings(Section):
    """A series of the exchange. Strikes, grids and fees of what is traded are read from the venue, never from here."""

    index: IndexName
    """The index that settles it."""
    cadence: Literal["hourly", "close"]
    """A fixing each full hour of the session, or one at the close."""
    first_fixing: time = TEN
    """The first fixing of an hourly series, New York: a full hour."""
    step: int = Field(ge=1, le=10_000)
    """Points between strikes, as the forecast's record scores them and the simulated exchange lists them."""
    legs: int = Field(400, ge=4, le=1_000)
    """Markets of one simulated event."""
    closing_step: int = Field(0, ge=0, le=10_000)
    """Points between strikes in the hour of the close, where that ladder is another one; 0: it is not."""
    closing_legs: int = Field(60, ge=4, le=1_000)
    cap_below: float = Field(0.01, ge=0.0001, le=1.0)
    """Points between the cap of a simulated market and the strike above it: 0.0001 or 0.01 at the exchange."""


class InstrumentsSettings(Section):
    """Rows that are added to the shipped ones, or stand instead of one of the same name."""

    indices: dict[IndexName, IndexSettings] = Field(default_factory=dict, max_length=INDICES_MAX)
    series: dict[SeriesTicker, SeriesSettings] = Field(default_factory=dict, max_length=SERIES_MAX)


def instruments_of(settings: InstrumentsSettings) -> Instruments:
    """The table: the shipped rows and the configured ones, whose contradictions are refused at loading."""
    rows = dict(SHIPPED_INSTRUMENTS.rows)
    for name, row in settings.indices.items():
        index = Index(name.upper())
        rows[index] = _index(index, row)
    series = dict(SHIPPED_INSTRUMENTS.series)
    for ticker, one in settings.series.items():
        series[ticker.upper()] = _series(ticker.upper(), one)
    return Instruments(rows, series)


def _index(index: Index, row: IndexSettings) -> IndexRow:
    words = [one.partition(" x ") for one in row.stand_ins]
    return IndexRow(
        index=index,
        title=row.title or index.value,
        level=row.level,
        correlation_group=row.correlation_group,
        constants_file=row.constants_file,
        stand_ins={word: float(factor or 1) for word, _, factor in words},
        volatility=row.volatility,
        full_precision=row.full_precision,
    )


def _series(ticker: str, row: SeriesSettings) -> Series:
    below = Level(round(row.cap_below * POINT))
    closing = Geometry(row.closing_step, row.closing_legs, below) if row.closing_step else None
    geometry = Geometry(row.step, row.legs, below, closing)
    return Series(ticker, Index(row.index.upper()), Cadence(row.cadence), row.first_fixing, geometry)


HOURLY_SERIES: Final = tuple(t for t, one in SHIPPED_INSTRUMENTS.series.items() if one.cadence is Cadence.HOURLY)
CLOSE_SERIES: Final = tuple(t for t, one in SHIPPED_INSTRUMENTS.series.items() if one.cadence is Cadence.CLOSE)
"""What the profiles quote unless they are told otherwise."""
