"""Listed markets for tests: only the fields the windows room reads carry meaning."""

from kalshi_daemon.domain.contract import Contract, Market, MarketStatus, PriceBand, PriceGrid, StrikeType
from kalshi_daemon.domain.window import Window
from kalshi_daemon.ground.units import Level, Nanos, Price
from kalshi_daemon.state import VenueState


def a_market(event_ticker: str, window: Window, close_ns: Nanos, suffix: str = "T7844.9999") -> Market:
    contract = Contract(
        market_ticker=f"{event_ticker}-{suffix}",
        event_ticker=event_ticker,
        series_ticker=window.series.ticker,
        index=window.series.index,
        strike_type=StrikeType.GREATER_OR_EQUAL,
        lowest=Level(78_450_000),
        highest=None,
        settles_ns=close_ns,
    )
    grid = PriceGrid((PriceBand(Price(100), Price(9_900), Price(100)),))
    return Market(contract, grid, MarketStatus.ACTIVE, Nanos(0), close_ns, 0, "", "")


def put_listed(venue: VenueState, window: Window, close_ns: Nanos | None = None, event_ticker: str = "") -> None:
    """List one market of the window's event (or of another event of its series) and mark the listing as read."""
    event = event_ticker or window.event_ticker
    market = a_market(event, window, window.target_ns if close_ns is None else close_ns)
    venue.events[event] = (market.ticker,)
    venue.markets[market.ticker] = market
    venue.listing_read_ns[window.series.ticker] = Nanos(1)
