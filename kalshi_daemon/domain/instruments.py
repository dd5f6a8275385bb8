"""The table of instruments: the indices, the exchange's series that settle on them, and how indices belong together.

Nothing else in the code names an index or a series: what is true of one alone is a column. The rows at the end are the
shipped ones; a configuration adds to them (`settings.instruments`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import time
from functools import cached_property
from pathlib import Path
from typing import Final

from kalshi_daemon.domain.index import Cadence, Geometry, Index, Series
from kalshi_daemon.ground.units import Level

type Pair = tuple[Index, Index]

TEN: Final = time(10)
"""The first fixing of an hourly series (docs/reference/venue.md 7: H1000..H1600, H1000..H1300 on half days)."""


@dataclass(frozen=True, slots=True)
class IndexRow:
    """One index of the table; `settings.instruments` says what each column means."""

    index: Index
    title: str
    level: float
    correlation_group: str
    constants_file: Path | None
    stand_ins: Mapping[str, float]
    """Word in a bar file's name -> factor to the level of the index."""
    volatility: float
    full_precision: bool


@dataclass(frozen=True)
class Instruments:
    """All rows. Both mappings keep the order of the table, the shipped rows first."""

    rows: Mapping[Index, IndexRow]
    series: Mapping[str, Series]
    """By ticker."""

    @cached_property
    def indices(self) -> tuple[Index, ...]:
        return tuple(self.rows)

    @cached_property
    def by_feed_ticker(self) -> Mapping[str, Index]:
        """The vendor's tickers."""
        return {index.feed_ticker: index for index in self.rows}

    @cached_property
    def bar_words(self) -> Mapping[str, tuple[Index, float]]:
        """Word in a bar file's name -> the index it speaks for, and the factor to its level."""
        found: dict[str, tuple[Index, float]] = {}
        for index, row in self.rows.items():
            found[index.value] = (index, 1.0)
            found.update({word: (index, factor) for word, factor in row.stand_ins.items()})
        return found

    @cached_property
    def pairs(self) -> tuple[Pair, ...]:
        """Those whose correlation is learnt: the indices of a group, two by two in the order of the table."""
        groups: dict[str, list[Index]] = {}
        for index, row in self.rows.items():
            if row.correlation_group:
                groups.setdefault(row.correlation_group, []).append(index)
        return tuple(pair for group in groups.values() for pair in zip(group[::2], group[1::2], strict=False))

    def pair_of(self, index: Index) -> Pair:
        """The pair an index is of; itself twice when it has no partner."""
        return next((pair for pair in self.pairs if index in pair), (index, index))

    def peers(self, index: Index) -> tuple[Index, ...]:
        """The other indices of its group, which move with it."""
        group = self.rows[index].correlation_group
        return tuple(
            other for other, row in self.rows.items() if group and other != index and row.correlation_group == group
        )

    def strike_step(self, index: Index) -> float:
        """Points between the finest strikes that settle on it. Raises ValueError when none do."""
        return float(min(one.geometry.step for one in self.series.values() if one.index == index))


_SPX, _NDX = Index("SPX"), Index("NDX")
_SPX_STEP, _NDX_STEP = Level(1), Level(100)
"""What a cap lies below the strike above it."""
_INDICES: Final = (
    IndexRow(_SPX, "S&P 500", 6_850.0, "large_caps", None, {"ES": 1.0, "SPY": 10.0}, 1.0, full_precision=False),
    IndexRow(_NDX, "Nasdaq-100", 25_200.0, "large_caps", None, {"NQ": 1.0, "QQQ": 41.0}, 1.35, full_precision=True),
)
_SERIES: Final = (
    Series("KXINXU", _SPX, Cadence.HOURLY, TEN, Geometry(5, 400, _SPX_STEP, Geometry(25, 60, _SPX_STEP))),
    Series("KXNASDAQ100U", _NDX, Cadence.HOURLY, TEN, Geometry(10, 400, _NDX_STEP, Geometry(100, 60, _NDX_STEP))),
    Series("KXINX", _SPX, Cadence.CLOSE, TEN, Geometry(25, 30, _SPX_STEP)),
    Series("KXNASDAQ100", _NDX, Cadence.CLOSE, TEN, Geometry(100, 30, _NDX_STEP)),
)
SHIPPED_INSTRUMENTS: Final = Instruments({row.index: row for row in _INDICES}, {one.ticker: one for one in _SERIES})
"""The table without a configuration."""
