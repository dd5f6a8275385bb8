"""What policies have in common: a plan of nothing, and whether a resting order can be priced at all. Pure."""

from kalshi_daemon.domain.contract import MarketStatus
from kalshi_daemon.domain.order import Order
from kalshi_daemon.domain.quote import QuotePlan
from kalshi_daemon.ground.units import Nanos
from kalshi_daemon.ladder.selection import Appraisal, appraise
from kalshi_daemon.settings.model import PricingSettings
from kalshi_daemon.trading.policy.picture import Picture
from kalshi_daemon.trading.policy.policy import ScanRequest


def nothing_to_plan(picture: Picture, request: ScanRequest) -> QuotePlan:
    """The plan while there is no forecast or no fee schedule."""
    return QuotePlan(
        request.plan_id, request.profile, picture.window, picture.now_ns, (), (), (), (), 0.0, 0.0, request.trigger
    )


def unpriced(picture: Picture, order: Order, pricing: PricingSettings) -> Appraisal | str:
    """What the market of a resting order is worth now, or in one word why nobody can say (`ladder.outcomes`)."""
    forecast, ticker = picture.forecast, order.market_ticker
    if forecast is None or picture.fees is None:
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
    return appraise(
        market,
        picture.model[ticker],
        view,
        pricing=pricing,
        tau_ns=Nanos(picture.window.target_ns - picture.now_ns),
        tick_age_ns=picture.tick_age_ns,
        calibration_error=forecast.calibration_error,
    )
