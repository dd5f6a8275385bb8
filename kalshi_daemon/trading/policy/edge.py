"""Policy `edge`: one side of a market, a fixed lot, wherever the better side has the edge it must have (`ladder`)."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from kalshi_daemon.domain.contract import MarketStatus
from kalshi_daemon.domain.order import Order
from kalshi_daemon.domain.quote import QuotePlan
from kalshi_daemon.ground.units import Nanos, Price, from_s
from kalshi_daemon.ladder.selection import ScanInputs, appraise, lost_edge, mids, propose
from kalshi_daemon.settings.model import GuardSettings, PricingSettings
from kalshi_daemon.trading.policy.picture import Picture
from kalshi_daemon.trading.policy.policy import Pulls, ScanRequest

NAME: Final = "edge"


@dataclass(frozen=True, slots=True)
class EdgeMemory:
    """(profile, market ticker) -> the others' mid at that profile's previous scan."""

    last_mids: Mapping[tuple[str, str], Price] = field(default_factory=lambda: MappingProxyType({}))


class EdgePolicy:
    """See `ladder.selection`, which holds the rules; this is what joins them to the loop."""

    name = NAME

    def __init__(self, pricing: PricingSettings, guards: GuardSettings) -> None:
        self._pricing = pricing
        self._book_age_ns_max = from_s(guards.book_age_s_max)

    def initial(self) -> EdgeMemory:
        return EdgeMemory()

    def plan(self, picture: Picture, request: ScanRequest, memory: EdgeMemory) -> tuple[QuotePlan, EdgeMemory]:
        forecast, fees = picture.forecast, picture.fees
        if forecast is None or fees is None:
            return _nothing(picture, request), memory
        name = request.profile.name
        plan = propose(
            ScanInputs(
                plan_id=request.plan_id,
                trigger=request.trigger,
                now_ns=picture.now_ns,
                profile=request.profile,
                window=picture.window,
                markets=tuple(market for market in picture.markets if market.ticker in picture.views),
                model=picture.model,
                forecast_level=forecast.level,
                forecast_sigma=forecast.sigma,
                calibration_error=forecast.calibration_error,
                views=picture.views,
                last_mids={ticker: mid for (profile, ticker), mid in memory.last_mids.items() if profile == name},
                own=picture.own,
                fees=fees,
                pricing=self._pricing,
                tick_age_ns=picture.tick_age_ns,
                book_age_ns_max=self._book_age_ns_max,
            )
        )
        return plan, EdgeMemory({**memory.last_mids, **mids(plan)})

    def review(self, picture: Picture, resting: Sequence[Order], memory: EdgeMemory) -> tuple[Pulls, EdgeMemory]:
        found = ((order, self._problem(picture, order)) for order in resting)
        return tuple((order, reason) for order, reason in found if reason), memory

    def forget(self, memory: EdgeMemory, listed: Collection[str]) -> EdgeMemory:
        return EdgeMemory({key: mid for key, mid in memory.last_mids.items() if key[1] in listed})

    def _problem(self, picture: Picture, order: Order) -> str:
        """Why a resting order should go, or ""."""
        forecast, fees, ticker = picture.forecast, picture.fees, order.market_ticker
        if forecast is None or fees is None:
            return "cannot_price"
        market = next((market for market in picture.markets if market.ticker == ticker), None)
        if market is None:
            return "not_listed"
        if market.status is not MarketStatus.ACTIVE:
            return "market_inactive"  # halted, or not understood: nothing new is quoted there either
        view = picture.views.get(ticker)
        if ticker in picture.doubted:
            return "doubtful_book"
        if view is None or not view.synced:
            return "stale_book"
        appraisal = appraise(
            market,
            picture.model[ticker],
            view,
            pricing=self._pricing,
            tau_ns=Nanos(picture.window.target_ns - picture.now_ns),
            tick_age_ns=picture.tick_age_ns,
            calibration_error=forecast.calibration_error,
        )
        return lost_edge(order, appraisal, fees, self._pricing.keep_edge_share)


def _nothing(picture: Picture, request: ScanRequest) -> QuotePlan:
    return QuotePlan(
        request.plan_id, request.profile, picture.window, picture.now_ns, (), (), (), (), 0.0, 0.0, request.trigger
    )
