"""The picture of the moment that a scan or a look at resting quotes starts from: state in, ladder's inputs out."""

from kalshi_daemon.domain.contract import Market, MarketStatus
from kalshi_daemon.domain.forecast import Forecast
from kalshi_daemon.domain.index import Index
from kalshi_daemon.domain.order import Order
from kalshi_daemon.domain.quote import Profile, QuotePlan
from kalshi_daemon.domain.window import Window
from kalshi_daemon.ground.units import Nanos, from_s
from kalshi_daemon.index_feed.witnesses import NOTHING_KNOWN, OutsideLevels
from kalshi_daemon.ladder.implied import books_distribution, ladder_middle
from kalshi_daemon.ladder.selection import ScanInputs, appraise, lost_edge, propose
from kalshi_daemon.settings.model import GuardSettings, PricingSettings
from kalshi_daemon.state import DaemonState
from kalshi_daemon.venue.books import BookView, own_excluded


def markets_of(state: DaemonState, window: Window) -> tuple[Market, ...]:
    """The window's listed markets that could be parsed."""
    tickers = state.venue.events.get(window.event_ticker, ())
    return tuple(state.venue.markets[ticker] for ticker in tickers if ticker in state.venue.markets)


def forecast_of(state: DaemonState, window: Window, now: Nanos) -> Forecast | None:
    """The distribution of the window's index at its fixing; None while calibration has nothing to say."""
    view = state.calibration.get(window.series.index)
    return None if view is None else view.forecast(now, window.target_ns)


def plan_of(
    state: DaemonState,
    pricing: PricingSettings,
    guards: GuardSettings,
    profile: Profile,
    window: Window,
    now: Nanos,
    plan_id: str,
    trigger: str,
) -> QuotePlan:
    """What the profile would like to rest in the window now, before any guard. Empty when there is nothing to price."""
    forecast = forecast_of(state, window, now)
    fees = state.venue.fees.get(window.series.ticker)
    own = state.live_orders()
    if forecast is None or fees is None:
        return _nothing(profile, window, now, plan_id, trigger)
    views = views_of(state, window, own)
    markets = tuple(market for market in markets_of(state, window) if market.ticker in views)
    probabilities = forecast.probabilities(tuple(market.contract for market in markets))
    return propose(
        ScanInputs(
            plan_id=plan_id,
            trigger=trigger,
            now_ns=now,
            profile=profile,
            window=window,
            markets=markets,
            model={market.ticker: float(p) for market, p in zip(markets, probabilities, strict=True)},
            forecast_level=forecast.level,
            forecast_sigma=forecast.sigma,
            calibration_error=forecast.calibration_error,
            views=views,
            last_mids={ticker: mid for (name, ticker), mid in state.last_mid.items() if name == profile.name},
            own=own,
            fees=fees,
            pricing=pricing,
            tick_age_ns=tick_age(state, window, now),
            book_age_ns_max=from_s(guards.book_age_s_max),
        )
    )


def edge_lost(
    state: DaemonState, pricing: PricingSettings, window: Window, orders: list[Order], now: Nanos
) -> list[tuple[Order, str]]:
    """Which of these resting orders no longer pay for their risk, and why. All of them when they cannot be priced."""
    forecast = forecast_of(state, window, now)
    fees = state.venue.fees.get(window.series.ticker)
    if forecast is None or fees is None:
        return [(order, "cannot_price") for order in orders]
    own = state.live_orders()
    age = tick_age(state, window, now)
    known = [(order, state.venue.markets.get(order.market_ticker)) for order in orders]
    listed = [(order, market) for order, market in known if market is not None]
    found = [(order, "not_listed") for order, market in known if market is None]
    probabilities = forecast.probabilities(tuple(market.contract for _order, market in listed))
    for (order, market), probability in zip(listed, probabilities, strict=True):
        if market.status is not MarketStatus.ACTIVE:
            found.append((order, "market_inactive"))  # halted, or not understood: nothing new is quoted there either
            continue
        book = state.venue.books.get(order.market_ticker)
        if book is None or not book.synced or book.doubt:
            found.append((order, "doubtful_book" if book is not None and book.synced else "stale_book"))
            continue
        appraisal = appraise(
            market,
            float(probability),
            own_excluded(book, own),
            pricing=pricing,
            tau_ns=Nanos(window.target_ns - now),
            tick_age_ns=age,
            calibration_error=forecast.calibration_error,
        )
        reason = lost_edge(order, appraisal, fees, pricing.keep_edge_share)
        if reason:
            found.append((order, reason))
    return found


def views_of(state: DaemonState, window: Window, own: tuple[Order, ...]) -> dict[str, BookView]:
    """The followed books of a window without our own orders."""
    tickers = state.venue.events.get(window.event_ticker, ())
    return {ticker: own_excluded(state.venue.books[ticker], own) for ticker in tickers if ticker in state.venue.books}


def tick_age(state: DaemonState, window: Window, now: Nanos) -> Nanos:
    """Now minus the index value's own time, computed now. A day when there is no value: nothing pays for that."""
    last = state.index[window.series.index].last
    return Nanos(86_400 * 10**9) if last is None else Nanos(max(0, now - last.event_ns))


def outside_levels(state: DaemonState, pricing: PricingSettings, index: Index, now: Nanos) -> OutsideLevels:
    """What the venue says about the level of an index: its next fixing's ladder, and the median of that one's books."""
    ahead = [
        status.window
        for status in state.windows.values()
        if status.window.series.index is index and status.window.target_ns > now
    ]
    if not ahead:
        return NOTHING_KNOWN
    event = min(ahead, key=lambda window: window.target_ns).event_ticker
    implied = books_distribution(state, event, pricing)
    return OutsideLevels(ladder_middle(state, event), None if implied is None else implied.median)


def _nothing(profile: Profile, window: Window, now: Nanos, plan_id: str, trigger: str) -> QuotePlan:
    return QuotePlan(plan_id, profile, window, now, (), (), (), (), 0.0, 0.0, trigger)
