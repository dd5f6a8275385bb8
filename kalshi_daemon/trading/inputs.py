"""The picture of the moment that a scan or a look at resting quotes starts from: state in, ladder's inputs out."""

from collections.abc import Callable, Collection
from typing import Final

from kalshi_daemon.domain.forecast import Forecast
from kalshi_daemon.domain.index import Index
from kalshi_daemon.domain.markout import Markout
from kalshi_daemon.domain.window import Window
from kalshi_daemon.ground.units import Nanos
from kalshi_daemon.guardrails.exposure import Exposure
from kalshi_daemon.index_feed.witnesses import NOTHING_KNOWN, OutsideLevels
from kalshi_daemon.ladder.implied import books_distribution, ladder_middle
from kalshi_daemon.settings.model import PricingSettings
from kalshi_daemon.state import DaemonState
from kalshi_daemon.trading.markouts import OthersPrices, others_prices
from kalshi_daemon.trading.policy.picture import Picture

_NO_EXPOSURE: Final = Exposure((), ())


def forecast_of(state: DaemonState, window: Window, now: Nanos) -> Forecast | None:
    """The distribution of the window's index at its fixing; None while calibration has nothing to say."""
    view = state.calibration.get(window.series.index)
    return None if view is None else view.forecast(now, window.target_ns)


def picture_of(
    state: DaemonState,
    window: Window,
    now: Nanos,
    *,
    markouts: tuple[Markout, ...] = (),
    tickers: Collection[str] | None = None,
    exposure_of: Callable[[DaemonState], Exposure] = Exposure.of,
) -> Picture:
    """What a policy is shown of a window; `tickers` are the markets it is about, None means every followed one.

    `exposure_of` sums up what is held and offered; whoever has done so already keeps it (`ExposureMemo`).
    Looks at resting quotes come with every tick and are about a few of some hundred markets: those alone are read.
    """
    venue, books, own = state.venue, state.venue.books, state.live_orders()
    if tickers is None:
        markets = tuple(market for market in venue.listed(window.event_ticker) if market.ticker in books)
    else:
        markets = tuple(venue.markets[ticker] for ticker in tickers if ticker in venue.markets)
    forecast = forecast_of(state, window, now)
    model: dict[str, float] = {}
    if forecast is not None:
        probabilities = forecast.probabilities(tuple(market.contract for market in markets))
        model = {market.ticker: float(p) for market, p in zip(markets, probabilities, strict=True)}
    exposure = exposure_of(state) if tickers is None else _NO_EXPOSURE
    followed = [market.ticker for market in markets if market.ticker in books]
    return Picture(
        now_ns=now,
        window=window,
        markets=markets,
        views={ticker: state.others_view(books[ticker]) for ticker in followed},
        doubted=frozenset(ticker for ticker in followed if books[ticker].synced and books[ticker].doubt),
        forecast=forecast,
        model=model,
        fees=venue.fees.get(window.series.ticker),
        own=own,
        inventory={t: held.count for t, held in state.ledger.positions.items() if held.count and not held.settled},
        holdings=exposure.holdings,
        offered=exposure.resting,
        markouts=markouts,
        tick_age_ns=tick_age(state, window, now),
    )


def prices_of_others(state: DaemonState, market_ticker: str) -> OthersPrices | None:
    """The others' mid and microprice now; None where the book is not believed or not two-sided."""
    book = state.venue.books.get(market_ticker)
    if book is None or not book.synced or book.doubt:
        return None
    return others_prices(state.others_view(book))


def tick_age(state: DaemonState, window: Window, now: Nanos) -> Nanos:
    """Now minus the index value's own time, computed now. A day when there is no value: nothing pays for that."""
    last = state.index[window.series.index].last
    return Nanos(86_400 * 10**9) if last is None else Nanos(max(0, now - last.event_ns))


def outside_levels(state: DaemonState, pricing: PricingSettings, index: Index, now: Nanos) -> OutsideLevels:
    """What the venue says about the level of an index: its next fixing's ladder, and the median of that one's books."""
    ahead = [
        status.window
        for status in state.windows.values()
        if status.window.series.index == index and status.window.target_ns > now
    ]
    if not ahead:
        return NOTHING_KNOWN
    event = min(ahead, key=lambda window: window.target_ns).event_ticker
    implied = books_distribution(state, event, pricing)
    return OutsideLevels(ladder_middle(state, event), None if implied is None else implied.median)
