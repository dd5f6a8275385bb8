"""What a market's flow looks like, by the same sums for recorded books and for the simulated crowd. Pure.

Fed in order of time with what stands on top of each book, what is placed, cancelled and traded. Prices in cents on the
YES scale, sizes in contracts. A maker's result is its price against the mid later on; half-spread earned and what
follows add up to it.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np

from kalshi_daemon.digest.means import ratio_error
from kalshi_daemon.ground.units import HOUR, SECOND, Nanos

HORIZONS_S: Final = (5, 30, 300)
BEFORE_S: Final = 3
"""How far back is looked for the index move that a trade followed."""
PULLED_S: Final = 2
"""How soon after a trade a cancel on its side counts as one that follows it."""
_CLUSTER_NS: Final = 15 * 60 * SECOND
"""Errors are clustered by market and quarter of an hour."""


class Top(NamedTuple):
    """Best prices and what stands there."""

    bid: float
    bid_size: float
    ask: float
    ask_size: float

    @property
    def mid(self) -> float:
        return (self.bid + self.ask) / 2


@dataclass(frozen=True, slots=True)
class Trade:
    """One taker's order as far as it traded at once. `sign`: 1 when the taker bought YES."""

    at_ns: Nanos
    market: str
    sign: int
    price: float
    contracts: float
    mid_before: float | None
    informed: bool | None = None
    """Whether the taker knew; None: nobody can say."""


@dataclass(slots=True)
class _Market:
    """One book's history."""

    at: list[int] = field(default_factory=list)
    tops: list[Top | None] = field(default_factory=list)
    cancels: dict[int, list[int]] = field(default_factory=lambda: {1: [], -1: []})
    """Instants by side of the book: 1 bids, -1 asks."""

    def top_at(self, at_ns: int) -> Top | None:
        place = bisect_right(self.at, at_ns) - 1
        return self.tops[place] if place >= 0 else None


class FlowTally:
    """`index_at(market, ns)`: the index. `rises(market, ns)`: whether YES gains when it rises. None: not known."""

    def __init__(self, index_at: Callable[[str, int], float | None], rises: Callable[[str, int], bool | None]) -> None:
        self._index_at = index_at
        self._rises = rises
        self._markets: defaultdict[str, _Market] = defaultdict(_Market)
        self.trades: list[Trade] = []
        self.placed = 0
        self.in_front = 0
        """Placed at a better price than the best one."""
        self.cancelled = 0

    def top(self, at_ns: Nanos, market: str, top: Top | None) -> None:
        """What stands on top from now on; None: not two-sided."""
        kept = self._markets[market]
        if not kept.tops or kept.tops[-1] != top:
            kept.at.append(int(at_ns))
            kept.tops.append(top)

    def place(self, sign: int, price: float, top: Top | None) -> None:
        """An order that rests; `sign` 1 for a bid."""
        self.placed += 1
        if top is not None:
            self.in_front += price > top.bid if sign > 0 else price < top.ask

    def cancel(self, at_ns: Nanos, market: str, sign: int) -> None:
        """One that no longer does."""
        self.cancelled += 1
        self._markets[market].cancels[sign].append(int(at_ns))

    def trade(self, one: Trade) -> None:
        """A taker."""
        self.trades.append(one)

    def figures(self, until_ns: Nanos) -> "Flow":
        """All sums. Raises ValueError when nothing was ever two-sided."""
        spreads: list[tuple[float, float]] = []
        depths: list[tuple[float, float]] = []
        for kept in self._markets.values():
            for top, start, end in zip(kept.tops, kept.at, [*kept.at[1:], int(until_ns)], strict=True):
                if top is not None and end > start:
                    spreads.append((top.ask - top.bid, end - start))
                    depths += [(top.bid_size, end - start), (top.ask_size, end - start)]
        hours = sum(weight for _, weight in spreads) / HOUR
        if not hours:
            raise ValueError("nothing was ever two-sided")
        sizes = np.array([one.contracts for one in self.trades] or [0.0])
        known = [one.informed for one in self.trades if one.informed is not None]
        against = [side for one in self.trades if (side := self._against(one)) is not None]
        return Flow(
            market_hours=hours,
            spread_cents=sum(value * weight for value, weight in spreads) / (hours * HOUR),
            touch_contracts=_weighted_median(depths),
            trades_per_hour=len(self.trades) / hours,
            contracts_per_hour=float(sizes.sum()) / hours,
            size_median=float(np.median(sizes)),
            size_mean=float(sizes.mean()),
            size_95=float(np.quantile(sizes, 0.95)),
            informed_share=sum(known) / len(known) if known else None,
            against_share=sum(side < 0 for side in against) / len(against) if against else None,
            with_share=sum(side > 0 for side in against) / len(against) if against else None,
            cancels_per_trade=self.cancelled / max(1, len(self.trades)),
            in_front_share=self.in_front / max(1, self.placed),
            pulled=self._pulled(hours),
            half_spread=self._result(0),
            **{f"after_{horizon}s": self._result(horizon) for horizon in HORIZONS_S},
        )

    def _against(self, one: Trade) -> int | None:
        """-1: the index had moved against the maker, 1: for it, 0: not at all. None: not known."""
        rises = self._rises(one.market, int(one.at_ns))
        now = self._index_at(one.market, int(one.at_ns))
        before = self._index_at(one.market, int(one.at_ns) - BEFORE_S * SECOND)
        if rises is None or now is None or before is None:
            return None
        return int(np.sign(now - before)) * (1 if rises else -1) * -one.sign

    def _pulled(self, hours: float) -> float:
        """Cancels on the side that was hit soon after a trade, over those of any such stretch."""
        seen = 0
        for one in self.trades:
            times = self._markets[one.market].cancels[-one.sign]
            seen += bisect_right(times, one.at_ns + PULLED_S * SECOND) - bisect_right(times, int(one.at_ns))
        usual = self.cancelled / 2 / (hours * 3_600) * PULLED_S
        return seen / len(self.trades) / usual if self.trades and usual else 0.0

    def _result(self, horizon_s: int) -> "Result":
        """Of all makers, weighted by contracts; 0: against the mid just before."""
        clusters: dict[tuple[str, int], list[float]] = {}
        for one in self.trades:
            mid = one.mid_before
            if horizon_s:
                top = self._markets[one.market].top_at(int(one.at_ns) + horizon_s * SECOND)
                mid = None if top is None else top.mid
            if mid is None or one.mid_before is None:
                continue
            sums = clusters.setdefault((one.market, int(one.at_ns) // _CLUSTER_NS), [0.0, 0.0])
            sums[0] += one.contracts
            sums[1] += one.contracts * -one.sign * (mid - one.price)
        contracts = sum(count for count, _ in clusters.values())
        total = sum(value for _, value in clusters.values())
        return Result(total / contracts if contracts else 0.0, ratio_error(clusters.values()) or 0.0)


class Result(NamedTuple):
    """Cents a contract, and its standard error."""

    cents: float
    error: float


@dataclass(frozen=True, slots=True)
class Flow:
    """The figures of one market, or of many alike. Cents, contracts, an hour of one two-sided market."""

    market_hours: float
    spread_cents: float
    """Weighted by time."""
    touch_contracts: float
    """Median by time, of either side."""
    trades_per_hour: float
    contracts_per_hour: float
    size_median: float
    size_mean: float
    size_95: float
    informed_share: float | None
    against_share: float | None
    """Of the trades before which the index had moved against the maker within BEFORE_S."""
    with_share: float | None
    cancels_per_trade: float
    in_front_share: float
    pulled: float
    half_spread: Result
    after_5s: Result
    after_30s: Result
    after_300s: Result


def _weighted_median(pairs: Sequence[tuple[float, float]]) -> float:
    values = np.array([value for value, _ in pairs])
    weights = np.array([weight for _, weight in pairs], dtype=float)
    order = np.argsort(values, kind="stable")
    total = np.cumsum(weights[order])
    return float(values[order][int(np.searchsorted(total, total[-1] / 2))])
