"""Traders as real books show them: makers that notice their fills, pull and step in front; takers of all sizes.

The figures behind their numbers are in docs/laboratory.md, measured on real books by the same code.
"""

from collections.abc import Callable, Collection
from typing import Final

import numpy as np

from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.units import POINT, SECOND, Count, Nanos, Price, lots
from kalshi_daemon.simulator.traders.traders import (
    Ladder,
    Law,
    Maker,
    MarketAccess,
    Takers,
    TraderMix,
    nearest_money,
    taker_fee,
)

_TICK: Final = 100
_SIDES: Final = (Side.BID, Side.ASK)
INFORMED: Final = "-informed"
"""How the accounts of those end who know."""
Place = tuple[str, Side]
"""One side of one market."""


class AlertMaker(Maker):
    """A maker that notices its fills after a while, pulls what they hit, and steps in front of others now and then."""

    def __init__(self, name: str, ladder: Ladder, mix: TraderMix, rng: np.random.Generator) -> None:
        super().__init__(name, ladder, mix, rng)
        assert mix.notice_s is not None, "a crowd that never notices has other makers"
        self._rng = np.random.default_rng(int(rng.integers(2**63)))
        self._notice_ns = int(rng.uniform(*mix.notice_s) * SECOND)
        self._known: dict[str, Count] = {}
        """Order -> what rested of it when it was looked at last."""
        self._noticed: list[tuple[int, Place]] = []
        self._shut: dict[Place, int] = {}
        """Until when a side is left alone."""
        self._now = 0

    def on_trades(self, now_ns: Nanos, tickers: Collection[str], market: MarketAccess) -> None:
        """These markets have traded: was it with us? It is known once the news has come."""
        for ticker in tickers:
            for side in _SIDES:
                held = self._resting.get((ticker, side))
                if held is None:
                    continue
                left = market.remaining(self.name, held[1])
                if left < self._known.get(held[1], self._lots):
                    self._known[held[1]] = left
                    self._noticed.append((now_ns + self._notice_ns, (ticker, side)))

    def act(self, now_ns: Nanos, market: MarketAccess, value_at: Callable[[Nanos], float], law: Law) -> None:
        """Pull what was hit once that is known, then refresh when due."""
        self._now = int(now_ns)
        while self._noticed and self._noticed[0][0] <= now_ns:
            place = self._noticed.pop(0)[1]
            self._shut[place] = self._now + int(self._rng.uniform(*self._mix.pull_s) * SECOND)
            held = self._resting.pop(place, None)
            if held is not None:
                self._known.pop(held[1], None)
                market.cancel(self.name, held[1])
        super().act(now_ns, market, value_at, law)

    def _move_to(self, wanted: dict[Place, Price], market: MarketAccess) -> None:
        self._shut = {place: until for place, until in self._shut.items() if until > self._now}
        for place, (_price, order_id) in list(self._resting.items()):
            if self._rng.random() < self._mix.replace_share:
                market.cancel(self.name, order_id)
                del self._resting[place]
        found = {
            place: price if place in self._resting else self._in_front(place, price, market)
            for place, price in wanted.items()
            if place not in self._shut
        }
        super()._move_to(found, market)
        self._known = {order_id: self._known.get(order_id, self._lots) for _price, order_id in self._resting.values()}

    def _in_front(self, place: Place, price: Price, market: MarketAccess) -> Price:
        """A tick in front of the best price that we would have joined, now and then, where there is room."""
        bid, ask = market.best(place[0])
        if bid is None or ask is None or ask - bid <= _TICK or self._rng.random() >= self._mix.improve_share:
            return price
        if place[1] is Side.BID:
            return Price(bid + _TICK) if price == bid else price
        return Price(ask - _TICK) if price == ask else price


class FlowTakers(Takers):
    """Noise of all sizes that likes YES and longshots; informed takers who are late by their reaction, or early."""

    def __init__(self, name: str, ladder: Ladder, mix: TraderMix, rng: np.random.Generator) -> None:
        super().__init__(name, ladder, mix, rng)
        self._informed_name = f"{name}{INFORMED}"

    @property
    def accounts(self) -> tuple[str, ...]:
        return self.name, self._informed_name

    def _seen(self, now_ns: Nanos, value_at: Callable[[Nanos], float]) -> float:
        """That of a reaction ago; with a negative one, of what is not printed yet."""
        delay_ns = int(self._rng.uniform(*self._mix.informed_delay_s) * SECOND)
        return value_at(Nanos(min(now_ns - delay_ns, self._ladder.target_ns)))

    def _noise(self, market: MarketAccess, value: float, sigma: float) -> None:
        mix, rng = self._mix, self._rng
        fair = self._ladder.fair(value, sigma)
        near = nearest_money(fair, mix.strikes_per_maker)
        if not near:
            return
        position = near[int(rng.integers(len(near)))]
        worth = float(fair[position])
        opinion = (
            worth + mix.yes_bias + mix.longshot_bias * (1.0 - 2.0 * worth) + float(rng.laplace(0.0, mix.noise_error))
        )
        ticker = self._ladder.contracts[position].market_ticker
        bid, ask = market.best(ticker)
        size = self._size()
        if ask is not None and ask / POINT < opinion:
            market.take(self.name, ticker, Side.BID, ask, size)
        elif bid is not None and bid / POINT > opinion:
            market.take(self.name, ticker, Side.ASK, bid, size)

    def _size(self) -> Count:
        low, high = self._mix.noise_lots
        if self._mix.noise_lots_spread == 0.0:
            return lots(int(self._rng.integers(low, high)))
        return lots(max(1, min(high, round(low * float(np.exp(self._rng.normal(0.0, self._mix.noise_lots_spread)))))))

    def _informed(self, market: MarketAccess, value: float, sigma: float) -> None:
        fair = self._ladder.fair(value, sigma)
        for position in nearest_money(fair, self._mix.strikes_per_maker):
            ticker = self._ladder.contracts[position].market_ticker
            bid, ask = market.best(ticker)
            truth = float(fair[position])
            size = lots(int(self._rng.integers(*self._mix.informed_lots)))
            if ask is not None and truth - ask / POINT > taker_fee(ask):
                market.take(self._informed_name, ticker, Side.BID, ask, size)
            elif bid is not None and bid / POINT - truth > taker_fee(bid):
                market.take(self._informed_name, ticker, Side.ASK, bid, size)
