"""The historical tier: what settled, or traded, before the cutoff, and is on the live side no more.

Source: docs/reference/venue.md 2.2. `Exchange.archived_before_ns` is the cutoff of everything here.
"""

from typing import Any, Final

from kalshi_daemon.simulator.exchange.candles import CandleSpan, candles_json
from kalshi_daemon.simulator.exchange.order_terms import MARKET_NOT_FOUND, bad_request
from kalshi_daemon.simulator.exchange.rest_call import Answer, Call, Refused, Route, ok, page
from kalshi_daemon.simulator.exchange.sim_orders import SimMarket
from kalshi_daemon.simulator.exchange.wire import market_json, trade_json
from kalshi_daemon.simulator.exchange.wire_text import rfc3339

_PERIODS: Final = (1, 60, 1_440)
_SUFFIX: Final = "_dollars"
_TICKERS_MAX: Final = 1_000
_FILTERS: Final = ("tickers", "event_ticker", "series_ticker")


def _cutoff(call: Call) -> Answer:
    at = rfc3339(call.exchange.archived_before_ns)
    names = ("market_settled_ts", "trades_created_ts", "orders_updated_ts", "market_positions_last_updated_ts")
    return ok(dict.fromkeys(names, at))


def _markets(call: Call) -> Answer:
    """One filter at a time."""
    if sum(bool(call.text(name)) for name in _FILTERS) > 1:
        raise Refused(bad_request("filters are mutually exclusive"))
    tickers = set(call.tickers("tickers", _TICKERS_MAX))
    event, series = call.text("event_ticker"), call.text("series_ticker")
    found = [
        market
        for market in call.exchange.catalogue.markets.values()
        if call.exchange.archived(market)
        and (not tickers or market.spec.ticker in tickers)
        and event in ("", market.spec.event_ticker)
        and series in ("", market.spec.series_ticker)
    ]
    shown, cursor = page(call, found, lambda market: market.rank)
    return ok({"markets": [market_json(market, call.now_ns) for market in shown], "cursor": cursor})


def _archived(call: Call) -> SimMarket:
    market = call.exchange.catalogue.markets.get(call.path["ticker"])
    if market is None or not call.exchange.archived(market):
        raise Refused(MARKET_NOT_FOUND)
    return market


def _market(call: Call) -> Answer:
    return ok({"market": market_json(_archived(call), call.now_ns)})


def _candles(call: Call) -> Answer:
    """As those of the live side, under shorter names."""
    market = _archived(call)
    low, high, period = call.stamp("start_ts"), call.stamp("end_ts"), call.whole("period_interval")
    if low is None or high is None or high < low or period not in _PERIODS:
        raise Refused(bad_request("start_ts, end_ts and a period_interval of 1, 60 or 1440 are required"))
    assert period is not None, "one of the three"
    rows = candles_json(market, call.exchange.matcher.trades, CandleSpan(low, high, period))
    return ok({"ticker": market.spec.ticker, "candlesticks": [_shorter(row) for row in rows]})


def _shorter(row: dict[str, Any]) -> dict[str, Any]:
    prices = {
        side: {name.removesuffix(_SUFFIX): value for name, value in row[side].items()}
        for side in ("yes_bid", "yes_ask", "price")
    }
    counts = {"volume": row["volume_fp"], "open_interest": row["open_interest_fp"]}
    return {"end_period_ts": row["end_period_ts"], **prices, **counts}


def _trades(call: Call) -> Answer:
    """Newest first."""
    ticker, low, high = call.text("ticker"), call.stamp("min_ts"), call.stamp("max_ts")
    found = [
        trade
        for trade in reversed(call.exchange.matcher.trades)
        if trade.at_ns < call.exchange.archived_before_ns
        and ticker in ("", trade.ticker)
        and (low is None or trade.at_ns >= low)
        and (high is None or trade.at_ns <= high)
    ]
    shown, cursor = page(call, found, lambda trade: -trade.rank)
    return ok({"trades": [trade_json(trade) for trade in shown], "cursor": cursor})


HISTORY_ROUTES: Final = (
    Route("GET", "/historical/cutoff", "historical_cutoff", _cutoff, signed=False),
    Route("GET", "/historical/markets", "historical_markets", _markets, signed=False),
    Route("GET", "/historical/trades", "historical_trades", _trades, signed=False),
    Route("GET", "/historical/markets/{ticker}", "historical_market", _market, signed=False),
    Route("GET", "/historical/markets/{ticker}/candlesticks", "historical_candles", _candles, signed=False),
)
