"""Seeded traders that make the simulated market: competing makers, noise takers, takers who know more.

Makers quote around a fair value computed from an index value that is seconds old, with their own error in volatility;
noise takers have an opinion that is wrong by a Laplace error; informed takers know the true volatility and the present
index value, and hit whatever is mispriced by more than the taker fee (docs/reference/model.md 7.5). All of them act
through the same matching engine as the API account, in process, in simulated time, so a session is reproduced by its
seed.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from kalshi_daemon.domain.contract import Contract
from kalshi_daemon.domain.index import Index
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.units import MINUTE, POINT, SECOND, Count, Nanos, Price, lots

_CENT: Final = 100
_TAKER_RATE: Final = 0.07
_QUOTED_FROM: Final = 0.03
"""Makers leave the far tails alone."""


@dataclass(frozen=True, slots=True)
class Law:
    """Of a log return: its standard deviation, and its mean, which only the informed look at."""

    sigma: float
    drift: float = 0.0


class MarketAccess(Protocol):
    """What a trader may do: the world adapts the exchange to it."""

    def best(self, market_ticker: str) -> tuple[Price | None, Price | None]:
        """Best bid and ask on the YES scale; None for an empty side."""
        ...

    def rest(self, account: str, market_ticker: str, side: Side, price: Price, count: Count) -> str | None:
        """A post-only order; its id, or None when refused."""
        ...

    def take(self, account: str, market_ticker: str, side: Side, price: Price, count: Count) -> Count:
        """An immediate-or-cancel order; what it traded."""
        ...

    def cancel(self, account: str, order_id: str) -> None:
        """Cancel; silently nothing when it is gone."""
        ...

    def remaining(self, account: str, order_id: str) -> Count:
        """What still rests of an order; 0 when it is gone."""
        ...

    def traded(self) -> tuple[str, ...]:
        """Tickers of markets that have traded since this was asked last, in an order that the trades alone decide."""
        ...


@dataclass(frozen=True, slots=True)
class Ladder:
    """One event as traders see it."""

    index: Index
    contracts: tuple[Contract, ...]
    target_ns: Nanos
    trades_from_ns: Nanos
    lows: NDArray[np.float64] = field(repr=False)
    highs: NDArray[np.float64] = field(repr=False)

    @classmethod
    def of(cls, contracts: Sequence[Contract], target_ns: Nanos, trades_from_ns: Nanos) -> "Ladder":
        """The contracts of one fixing, by the intervals of points in which they pay."""
        lows = np.array([-np.inf if c.lowest is None else (c.lowest / POINT) - 0.005 for c in contracts])
        highs = np.array([np.inf if c.highest is None else (c.highest / POINT) + 0.005 for c in contracts])
        return cls(contracts[0].index, tuple(contracts), target_ns, trades_from_ns, lows, highs)

    def fair(self, value: float, sigma: float) -> NDArray[np.float64]:
        """P(YES) of every contract when ln(P_T / value) is normal with this standard deviation."""
        scale = value * max(sigma, 1e-7)
        below_high: NDArray[np.float64] = ndtr((self.highs - value) / scale)
        below_low: NDArray[np.float64] = ndtr((self.lows - value) / scale)
        return below_high - below_low


@dataclass(frozen=True, slots=True)
class TraderMix:
    """How many of whom, and how lively."""

    makers: int = 3
    strikes_per_maker: int = 14
    refresh_s: tuple[float, float] = (8.0, 20.0)
    delay_s: tuple[float, float] = (1.0, 4.0)
    half_spread: tuple[float, float] = (0.015, 0.035)
    requote_cents: int = 2
    maker_lots: tuple[int, int] = (10, 60)
    noise_per_minute: float = 4.0
    """Per event."""
    noise_error: float = 0.03
    noise_lots: tuple[int, int] = (1, 8)
    """Least, and one more than the most."""
    informed_per_minute: float = 1.5
    """How often an informed taker looks, per event."""
    vol_error: float = 0.1
    """Of the logarithm of a maker's standard deviation."""
    stale_width: float = 4.0
    """How wide a maker quotes for what the index may have done since its value: 0 not at all."""
    notice_s: tuple[float, float] | None = None
    """How long a maker takes to notice its fill; None: it never does."""
    pull_s: tuple[float, float] = (0.0, 0.0)
    """For how long it then leaves that side of that market alone."""
    improve_share: float = 0.0
    """How often a maker steps a tick in front of the best price rather than join it."""
    replace_share: float = 0.0
    """How often a maker cancels at a refresh what could have stayed."""
    noise_lots_spread: float = 0.0
    """0: sizes are even between the two of `noise_lots`. Else log-normal: its median the first, its most the second,
    this the standard deviation of the logarithm."""
    yes_bias: float = 0.0
    """By how much noise thinks YES worth more than it is."""
    longshot_bias: float = 0.0
    """By how much more it thinks a contract worth that hardly ever pays, and less one that nearly always does."""
    informed_delay_s: tuple[float, float] = (0.0, 0.0)
    """How old the index value is that an informed taker acts on; below 0: it is known before it is printed."""
    informed_lots: tuple[int, int] = (5, 6)
    """Least, and one more than the most."""


class Maker:
    """Quotes both sides of the strikes nearest the money, from an index value `delay_s` old."""

    def __init__(self, name: str, ladder: Ladder, mix: TraderMix, rng: np.random.Generator) -> None:
        self.name = name
        self._ladder = ladder
        self._mix = mix
        self._delay_ns = Nanos(int(rng.uniform(*mix.delay_s) * SECOND))
        self._half_spread = float(rng.uniform(*mix.half_spread))
        self._vol_error = float(np.exp(rng.normal(0.0, mix.vol_error)))
        self._lots = lots(int(rng.integers(*mix.maker_lots)))
        self._refresh_ns = int(rng.uniform(*mix.refresh_s) * SECOND)
        self._next_ns = int(ladder.trades_from_ns) + int(rng.integers(0, self._refresh_ns))
        self._resting: dict[tuple[str, Side], tuple[Price, str]] = {}

    def act(self, now_ns: Nanos, market: MarketAccess, value_at: Callable[[Nanos], float], law: Law) -> None:
        """Refresh when due. Leaves a minute before the fixing: nobody sensible rests into the print."""
        if now_ns < self._next_ns:
            return
        self._next_ns = int(now_ns) + self._refresh_ns
        left_ns = self._ladder.target_ns - now_ns
        if left_ns < MINUTE:
            self._pull_all(market)
            return
        fair = self._ladder.fair(value_at(Nanos(now_ns - self._delay_ns)), law.sigma * self._vol_error)
        stale = 0.4 * math.sqrt(self._delay_ns / left_ns)
        wanted: dict[tuple[str, Side], Price] = {}
        for position in nearest_money(fair, self._mix.strikes_per_maker):
            half = self._half_spread + self._mix.stale_width * stale * float(fair[position] * (1.0 - fair[position]))
            ticker = self._ladder.contracts[position].market_ticker
            bid = math.floor((fair[position] - half) * 100.0) * _CENT
            ask = math.ceil((fair[position] + half) * 100.0) * _CENT
            if bid >= _CENT:
                wanted[ticker, Side.BID] = Price(bid)
            if ask <= 99 * _CENT:
                wanted[ticker, Side.ASK] = Price(ask)
        self._move_to(wanted, market)

    def _move_to(self, wanted: dict[tuple[str, Side], Price], market: MarketAccess) -> None:
        slack = self._mix.requote_cents * _CENT
        for key, (price, order_id) in list(self._resting.items()):
            ideal = wanted.get(key)
            if ideal is None or abs(ideal - price) >= slack:
                market.cancel(self.name, order_id)
                del self._resting[key]
        for key, price in wanted.items():
            if key in self._resting:
                continue
            ticker, side = key
            best_bid, best_ask = market.best(ticker)
            # Join rather than cross: the venue would refuse a post-only order that trades.
            if side is Side.BID and best_ask is not None and price >= best_ask:
                continue
            if side is Side.ASK and best_bid is not None and price <= best_bid:
                continue
            placed = market.rest(self.name, ticker, side, price, self._lots)
            if placed is not None:
                self._resting[key] = (price, placed)

    def _pull_all(self, market: MarketAccess) -> None:
        for _price, order_id in self._resting.values():
            market.cancel(self.name, order_id)
        self._resting.clear()


class Takers:
    """Noise and informed flow of one event, arriving as two Poisson streams."""

    def __init__(self, name: str, ladder: Ladder, mix: TraderMix, rng: np.random.Generator) -> None:
        self.name = name
        self._ladder = ladder
        self._mix = mix
        self._rng = rng
        self._next_noise_ns = self._after(int(ladder.trades_from_ns), mix.noise_per_minute)
        self._next_informed_ns = self._after(int(ladder.trades_from_ns), mix.informed_per_minute)

    def _after(self, then_ns: int, per_minute: float) -> int:
        return then_ns + int(self._rng.exponential(MINUTE / per_minute))

    def act(self, now_ns: Nanos, market: MarketAccess, value_at: Callable[[Nanos], float], law: Law) -> None:
        """Send what is due by now: noise at its rate, and whoever has seen a price that pays."""
        if now_ns >= self._ladder.target_ns - SECOND:
            return
        while self._next_noise_ns <= now_ns:
            self._next_noise_ns = self._after(self._next_noise_ns, self._mix.noise_per_minute)
            self._noise(market, value_at(now_ns), law.sigma)
        while self._next_informed_ns <= now_ns:
            self._next_informed_ns = self._after(self._next_informed_ns, self._mix.informed_per_minute)
            self._informed(market, self._seen(now_ns, value_at) * math.exp(law.drift), law.sigma)

    def _seen(self, now_ns: Nanos, value_at: Callable[[Nanos], float]) -> float:
        """The value of the index, points, that the informed act on."""
        return value_at(now_ns)

    def _noise(self, market: MarketAccess, value: float, sigma: float) -> None:
        fair = self._ladder.fair(value, sigma)
        near = nearest_money(fair, self._mix.strikes_per_maker)
        if not near:
            return
        position = near[int(self._rng.integers(len(near)))]
        opinion = float(fair[position]) + float(self._rng.laplace(0.0, self._mix.noise_error))
        ticker = self._ladder.contracts[position].market_ticker
        best_bid, best_ask = market.best(ticker)
        size = lots(int(self._rng.integers(*self._mix.noise_lots)))
        if best_ask is not None and best_ask / POINT < opinion:
            market.take(self.name, ticker, Side.BID, best_ask, size)
        elif best_bid is not None and best_bid / POINT > opinion:
            market.take(self.name, ticker, Side.ASK, best_bid, size)

    def _informed(self, market: MarketAccess, value: float, sigma: float) -> None:
        fair = self._ladder.fair(value, sigma)
        for position in nearest_money(fair, self._mix.strikes_per_maker):
            ticker = self._ladder.contracts[position].market_ticker
            best_bid, best_ask = market.best(ticker)
            truth = float(fair[position])
            if best_ask is not None and truth - best_ask / POINT > taker_fee(best_ask):
                market.take(self.name, ticker, Side.BID, best_ask, lots(5))
            elif best_bid is not None and best_bid / POINT - truth > taker_fee(best_bid):
                market.take(self.name, ticker, Side.ASK, best_bid, lots(5))


def nearest_money(fair: NDArray[np.float64], most: int) -> list[int]:
    """Positions of the contracts worth quoting, nearest one half first, tails left out; at most `most`."""
    worth = np.flatnonzero((fair > _QUOTED_FROM) & (fair < 1.0 - _QUOTED_FROM))
    order = np.argsort(np.abs(fair[worth] - 0.5), kind="stable")[:most]
    return [int(position) for position in worth[order]]


def taker_fee(price: Price) -> float:
    """What a taker pays on a contract, dollars (docs/reference/venue.md 4)."""
    part = price / POINT
    return _TAKER_RATE * part * (1.0 - part)
