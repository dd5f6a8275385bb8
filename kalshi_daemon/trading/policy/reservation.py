"""Policy `reservation`: both sides of a market, each asked for what it costs to be filled there (docs/policy.md).

What a side must earn is the contract's own edge, moved by inventory (`ladder.reservation`), by how fills have gone
(markouts), by where the index has just moved, and by how far our volatility is from the books'.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kalshi_daemon.domain.contract import Contract, Market
from kalshi_daemon.domain.forecast import Forecast
from kalshi_daemon.domain.index import Index
from kalshi_daemon.domain.markout import Markout
from kalshi_daemon.domain.order import Order
from kalshi_daemon.domain.quote import QuotePlan, Side
from kalshi_daemon.ground.units import (
    CONTRACT,
    POINT,
    PRICE_ONE,
    SECOND,
    SETTLEMENT_STEP,
    Nanos,
    Price,
    dollars_from_float,
    from_s,
)
from kalshi_daemon.ladder.fair import believable_mid
from kalshi_daemon.ladder.implied import implied_distribution
from kalshi_daemon.ladder.reservation import reservation
from kalshi_daemon.ladder.selection import Appraisal, lost_edge, mids
from kalshi_daemon.ladder.two_sided import Room, SideTerms, propose_both
from kalshi_daemon.settings.model import GuardSettings, PricingSettings, ReservationSettings
from kalshi_daemon.trading.policy.judging import nothing_to_plan, scan_inputs, unpriced
from kalshi_daemon.trading.policy.picture import Picture
from kalshi_daemon.trading.policy.policy import Pulls, ScanRequest

NAME: Final = "reservation"
Floats = NDArray[np.float64]

_MOMENTUM: Final = Nanos(3 * SECOND)
"""How far back the index's move is measured: real makers' fills went bad within it (docs/reference/model.md 7)."""
_MOMENTUM_AGE: Final = Nanos(6 * SECOND)
"""A value older than this says nothing about the last seconds."""
_FILLS_WITHIN: Final = Nanos(10 * SECOND)
_SPAN_30_S: Final = 1
_NUDGE: Final = 0.05
"""Share of a standard deviation that the index is moved by to see which way a contract goes."""
_VOL_ERROR_MAX: Final = 1.0
_HALF_STEP: Final = SETTLEMENT_STEP // 2

Levels = tuple[tuple[Nanos, float], ...]
Way = tuple[Index, int]
"""An index, and 1 for what gains when it rises, -1 for what gains when it falls."""


@dataclass(frozen=True, slots=True)
class ReservationMemory:
    """What is remembered between looks."""

    last_mids: Mapping[tuple[str, str], Price] = field(default_factory=lambda: MappingProxyType({}))
    """(profile, market ticker) -> the others' mid at that profile's previous scan."""
    levels: Mapping[Index, Levels] = field(default_factory=lambda: MappingProxyType({}))
    """The index over the last seconds, oldest first."""
    paused: Mapping[Way, Nanos] = field(default_factory=lambda: MappingProxyType({}))
    """Until when nothing is offered that way, because fills have come one way."""


class ReservationPolicy:
    """Pure, as every policy: what it remembers comes in and is handed back."""

    name = NAME

    def __init__(self, pricing: PricingSettings, guards: GuardSettings, own: ReservationSettings) -> None:
        self._pricing = pricing
        self._book_age_ns_max = from_s(guards.book_age_s_max)
        self._own = own
        self.requote_ns: Nanos | None = from_s(own.requote_s)

    def initial(self) -> ReservationMemory:
        return ReservationMemory()

    def plan(
        self, picture: Picture, request: ScanRequest, memory: ReservationMemory
    ) -> tuple[QuotePlan, ReservationMemory]:
        forecast, markets = picture.forecast, picture.followed
        if forecast is None:
            return nothing_to_plan(picture, request), memory
        pricing = self._pricing_now(picture, markets, forecast)
        inputs = scan_inputs(picture, request, memory.last_mids, pricing, self._book_age_ns_max)
        if inputs is None:
            return nothing_to_plan(picture, request), memory
        moves = _Moves.of(markets, picture, forecast, memory.levels.get(forecast.index, ()))
        memory = self._seen(picture, forecast, moves, memory)
        room = Room(picture.holdings, picture.offered, dollars_from_float(self._own.fixing_loss_dollars))
        plan = propose_both(inputs, self._terms(picture, markets, forecast, moves, memory), room)
        return plan, replace(memory, last_mids={**memory.last_mids, **mids(plan)})

    def review(
        self, picture: Picture, resting: Sequence[Order], memory: ReservationMemory
    ) -> tuple[Pulls, ReservationMemory]:
        forecast = picture.forecast
        if forecast is None:
            return tuple((order, "cannot_price") for order in resting), memory
        moves = _Moves.of(picture.followed, picture, forecast, memory.levels.get(forecast.index, ()))
        memory = self._seen(picture, forecast, moves, memory)
        loading = self._adverse(picture.markouts)
        found = []
        for order in resting:
            reason = self._problem(picture, order, moves, memory, loading)
            if reason:
                found.append((order, reason))
        return tuple(found), memory

    def forget(self, memory: ReservationMemory, listed: Collection[str]) -> ReservationMemory:
        kept = {key: mid for key, mid in memory.last_mids.items() if key[1] in listed}
        return replace(memory, last_mids=kept)  # the rest is of seconds, by index, and goes by itself

    def _problem(
        self, picture: Picture, order: Order, moves: "_Moves", memory: ReservationMemory, loading: float
    ) -> str:
        """Why a resting order should go, or ""."""
        found = unpriced(picture, order, self._pricing)
        if isinstance(found, str):
            return found
        ticker, side = order.market_ticker, order.side
        closed = self._closed(picture, ticker, side, moves, memory)
        if closed:
            return closed
        fees = picture.fees
        assert fees is not None, "an order was priced"
        asked = found.required + loading + self._momentum(ticker, side, moves)
        return lost_edge(order, Appraisal(found.fair, found.model_fair, asked), fees, self._pricing.keep_edge_share)

    # -- what a side is asked for

    def _terms(
        self,
        picture: Picture,
        markets: Sequence[Market],
        forecast: Forecast,
        moves: "_Moves",
        memory: ReservationMemory,
    ) -> dict[tuple[str, Side], SideTerms]:
        contracts = [market.contract for market in markets]
        found = reservation(contracts, forecast, picture.holdings, picture.offered, self._own.bank_dollars)
        loading = self._adverse(picture.markouts)
        terms = {}
        for market, raised in zip(markets, (found.price - found.fair).tolist(), strict=True):
            for side in Side:
                terms[market.ticker, side] = SideTerms(
                    shift=-side.sign * raised,
                    loading=loading + self._momentum(market.ticker, side, moves),
                    closed=self._closed(picture, market.ticker, side, moves, memory),
                )
        return terms

    def _closed(self, picture: Picture, ticker: str, side: Side, moves: "_Moves", memory: ReservationMemory) -> str:
        left = picture.window.target_ns - picture.now_ns
        if left <= from_s(self._own.reduce_only_s) and picture.inventory.get(ticker, 0) * side.sign >= 0:
            return "last_minutes"
        way = picture.window.series.index, side.sign * moves.direction(ticker)
        return "one_way_fills" if memory.paused.get(way, 0) > picture.now_ns else ""

    def _momentum(self, ticker: str, side: Side, moves: "_Moves") -> float:
        """How far the index of the last seconds has moved the fair value against this side, a share of it."""
        return self._own.momentum_share * max(0.0, -side.sign * moves.gained(ticker))

    def _adverse(self, markouts: Sequence[Markout]) -> float:
        """What fills have lost against the others' mid within half a minute, dollars a contract, shrunk towards 0."""
        lost = contracts = 0.0
        for one in markouts:
            later = one.mids[_SPAN_30_S]
            if later is not None and one.mid_at_fill is not None:
                lost -= one.side.sign * (later - one.mid_at_fill) / PRICE_ONE * (one.count / CONTRACT)
                contracts += one.count / CONTRACT
        return max(0.0, lost / (contracts + self._own.markout_prior_fills))

    def _pricing_now(self, picture: Picture, markets: Sequence[Market], forecast: Forecast) -> PricingSettings:
        """Our volatility may be as wrong as it is far from the books'."""
        quoted: list[tuple[Contract, float]] = []
        for market in markets:
            mid = believable_mid(picture.views[market.ticker], self._pricing)
            if mid is not None:
                quoted.append((market.contract, mid))
        implied = implied_distribution(quoted)
        if implied is None:
            return self._pricing
        apart = min(abs(math.log(forecast.sigma / implied.sigma)), _VOL_ERROR_MAX)
        return self._pricing.model_copy(update={"vol_error": max(self._pricing.vol_error, apart)})

    # -- what is remembered

    def _seen(
        self, picture: Picture, forecast: Forecast, moves: "_Moves", memory: ReservationMemory
    ) -> ReservationMemory:
        now, index = picture.now_ns, forecast.index
        levels = tuple(one for one in memory.levels.get(index, ()) if now - one[0] <= _MOMENTUM_AGE)
        if not levels or levels[-1][1] != forecast.level:
            levels = (*levels, (now, forecast.level))
        paused = {way: until for way, until in memory.paused.items() if until > now}
        ways = [
            one.side.sign * moves.direction(one.market_ticker)
            for one in picture.markouts
            if now - one.filled_ns <= _FILLS_WITHIN and one.market_ticker in moves.places
        ]
        for way in (1, -1):
            if ways.count(way) >= self._own.one_way_fills and ways.count(way) > ways.count(-way):
                paused[index, way] = Nanos(now + from_s(self._own.one_way_pause_s))
        return replace(memory, levels={**memory.levels, index: levels}, paused=paused)


@dataclass(frozen=True, slots=True)
class _Moves:
    """How the probabilities of some contracts go with the index."""

    places: Mapping[str, int]
    up: NDArray[np.int64]
    """1 where a higher index makes YES likelier, else -1."""
    lately: Floats
    """How much likelier YES is than at the level of some seconds ago; 0 while that is not known."""

    @classmethod
    def of(cls, markets: Sequence[Market], picture: Picture, forecast: Forecast, levels: Levels) -> "_Moves":
        contracts = [market.contract for market in markets]
        low = np.array([-np.inf if c.lowest is None else (c.lowest - _HALF_STEP) / POINT for c in contracts])
        high = np.array([np.inf if c.highest is None else (c.highest + _HALF_STEP) / POINT for c in contracts])
        before = next((one for at, one in reversed(levels) if picture.now_ns - at >= _MOMENTUM), forecast.level)
        nudge, moved = _NUDGE * forecast.sigma * forecast.level, forecast.level - before
        count = len(contracts)
        asked = (low, low - nudge, low + moved), (high, high - nudge, high + moved)
        found = _paying(forecast, np.concatenate(asked[0]), np.concatenate(asked[1]))
        now, nudged, then = found[:count], found[count : 2 * count], found[2 * count :]
        up = np.where(nudged >= now, 1, -1)
        places = {market.ticker: place for place, market in enumerate(markets)}
        return cls(places, up, now - then)

    def direction(self, ticker: str) -> int:
        """Whether YES gains when the index rises, 1 or -1; 1 for a market that is not among them."""
        place = self.places.get(ticker)
        return 1 if place is None else int(self.up[place])

    def gained(self, ticker: str) -> float:
        """How much likelier YES is than some seconds ago; 0 for a market that is not among them."""
        place = self.places.get(ticker)
        return 0.0 if place is None else float(self.lately[place])


def _paying(forecast: Forecast, low: Floats, high: Floats) -> Floats:
    """Probability of a settlement between the edges; shape (n,) each."""
    edges = np.concatenate((low, high))
    finite = np.isfinite(edges)
    below = np.where(edges > 0.0, 1.0, 0.0)
    below[finite] = forecast.cdf(edges[finite])
    found: Floats = below[len(low) :] - below[: len(low)]
    return found
