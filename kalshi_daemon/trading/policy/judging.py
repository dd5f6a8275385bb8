"""What policies have in common: a plan of nothing, and whether a resting order can be priced at all. Pure."""

from collections.abc import Mapping

from kalshi_daemon.domain.contract import MarketStatus
from kalshi_daemon.domain.order import Order
from kalshi_daemon.domain.quote import QuotePlan
from kalshi_daemon.ground.units import Nanos, Price
from kalshi_daemon.ladder.selection import Appraisal, ScanInputs, appraise
from kalshi_daemon.settings.model import PricingSettings
from kalshi_daemon.trading.policy.picture import Picture
from kalshi_daemon.trading.policy.policy import ScanRequest


def nothing_to_plan(picture: Picture, request: ScanRequest) -> QuotePlan:
    """The plan while there is no forecast or no fee schedule."""
    return QuotePlan(
        request.plan_id, request.profile, picture.window, picture.now_ns, (), (), (), (), 0.0, 0.0, request.trigger
    )


def scan_inputs(
    picture: Picture,
    request: ScanRequest,
    last_mids: Mapping[tuple[str, str], Price],
    pricing: PricingSettings,
    book_age_ns_max: Nanos,
) -> ScanInputs | None:
    """What a scan of the picture's window looks at; None while there is no forecast or no fee schedule.

    `last_mids`: the others' mids at the previous scans, by profile and market ticker; those of other profiles are left
    out.
    """
    forecast, fees, name = picture.forecast, picture.fees, request.profile.name
    if forecast is None or fees is None:
        return None
    return ScanInputs(
        plan_id=request.plan_id,
        trigger=request.trigger,
        now_ns=picture.now_ns,
        profile=request.profile,
        window=picture.window,
        markets=picture.followed,
        model=picture.model,
        forecast_level=forecast.level,
        forecast_sigma=forecast.sigma,
        calibration_error=forecast.calibration_error,
        views=picture.views,
        last_mids={ticker: mid for (profile, ticker), mid in last_mids.items() if profile == name},
        own=picture.own,
        fees=fees,
        pricing=pricing,
        tick_age_ns=picture.tick_age_ns,
        book_age_ns_max=book_age_ns_max,
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
