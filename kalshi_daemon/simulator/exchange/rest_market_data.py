"""Public reads: exchange, series, events, markets, books, trades, candles (docs/reference/venue.md 2.1, 2.2)."""

import re
from collections.abc import Sequence
from typing import Final

from kalshi_daemon.domain.contract import MarketStatus
from kalshi_daemon.ground.units import DAY, MINUTE, Nanos
from kalshi_daemon.simulator.exchange.candles import CANDLES_MAX, CandleSpan, candles_json
from kalshi_daemon.simulator.exchange.instruments import EventSpec
from kalshi_daemon.simulator.exchange.listener import TradeRecord
from kalshi_daemon.simulator.exchange.order_terms import MARKET_NOT_FOUND, NOT_FOUND, bad_request
from kalshi_daemon.simulator.exchange.rate_buckets import COSTS, DEFAULT_COST
from kalshi_daemon.simulator.exchange.rest_call import PREFIX, Answer, Call, Json, Refused, Route, ok, page
from kalshi_daemon.simulator.exchange.sim_orders import SimMarket
from kalshi_daemon.simulator.exchange.wire import (
    SHARD,
    event_json,
    fee_change_json,
    market_json,
    orderbook_json,
    series_json,
    trade_json,
)
from kalshi_daemon.simulator.exchange.wire_text import rfc3339

_EVENTS_PAGE: Final = 200
_FILLED_IN: Final = re.compile(r"\{(\w+)\}")
_BOOKS_MAX: Final = 100
_DEPTH_MAX: Final = 100
_PERIODS: Final = (1, 60, 1_440)
_MARKET_FILTERS: Final[dict[str, frozenset[MarketStatus]]] = {
    "unopened": frozenset({MarketStatus.INITIALIZED}),
    "open": frozenset({MarketStatus.ACTIVE}),
    "paused": frozenset({MarketStatus.INACTIVE}),
    "closed": frozenset({MarketStatus.CLOSED, MarketStatus.DETERMINED}),
    "settled": frozenset({MarketStatus.FINALIZED}),
}


def _status(call: Call) -> Answer:
    """The top level is shard 0's."""
    rows = [_shard_json(call, SHARD), *(_shard_json(call, number) for number in sorted(call.exchange.venue.shards))]
    flags = {key: rows[0][key] for key in ("exchange_active", "trading_active", "intra_exchange_transfers_active")}
    return ok({**flags, "exchange_index_statuses": rows})


def _shard_json(call: Call, number: int) -> Json:
    exchange_active, trading_active = call.exchange.venue.flags(number)
    return {
        "exchange_index": number,
        "description": "default" if number == SHARD else f"shard {number}",
        "exchange_active": exchange_active,
        "trading_active": trading_active,
        "intra_exchange_transfers_active": True,
    }


def _schedule(call: Call) -> Answer:
    """Around the clock but Thursday's maintenance from 03:00 to 05:00 ET (docs/reference/venue.md 8)."""
    whole = [{"open_time": "00:00", "close_time": "00:00"}]
    thursday = [{"open_time": "00:00", "close_time": "03:00"}, {"open_time": "05:00", "close_time": "00:00"}]
    days = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
    week = {day: thursday if day == "thursday" else whole for day in days}
    start, end = rfc3339(Nanos(call.now_ns - 30 * DAY)), rfc3339(Nanos(call.now_ns + 365 * DAY))
    hours = {"start_time": start, "end_time": end, **week}
    return ok({"schedule": {"standard_hours": [hours], "maintenance_windows": []}})


def _user_data_timestamp(call: Call) -> Answer:
    return ok({"as_of_time": rfc3339(call.now_ns)})


def _endpoint_costs(_call: Call) -> Answer:
    """Paths as the venue writes them, `:order_id` for what is filled in (docs/reference/venue.md 10)."""
    rows = [
        {"method": method, "path": PREFIX + _FILLED_IN.sub(r":\1", path), "cost": cost}
        for (method, path), cost in COSTS.items()
    ]
    return ok({"default_cost": DEFAULT_COST, "endpoint_costs": rows})


def _series_json(call: Call, ticker: str) -> Json:
    catalogue = call.exchange.catalogue
    return series_json(catalogue.series[ticker], catalogue.series_fees[ticker], call.now_ns)


def _series(call: Call) -> Answer:
    ticker = call.path["series_ticker"]
    if ticker not in call.exchange.catalogue.series:
        raise Refused(NOT_FOUND)
    return ok({"series": _series_json(call, ticker)})


def _series_list(call: Call) -> Answer:
    rows = [_series_json(call, ticker) for ticker in call.exchange.catalogue.series]
    category, tags = call.text("category"), call.tickers("tags", 100)
    return ok(
        {
            "series": [
                row
                for row in rows
                if category in ("", *row["categories"]) and (not tags or set(tags) & set(row["tags"]))
            ]
        }
    )


def _fee_changes(call: Call) -> Answer:
    """Changes still to come; `show_historical` adds those in force."""
    wanted, past = call.text("series_ticker"), call.flag("show_historical")
    found = [
        change
        for change in call.exchange.catalogue.fee_changes
        if wanted in ("", change.series_ticker) and (past or change.scheduled_ns > call.now_ns)
    ]
    return ok({"series_fee_change_arr": [fee_change_json(change) for change in found]})


def _event_fee_changes(_call: Call) -> Answer:
    return ok({"event_fee_changes": [], "cursor": ""})


def _event_status(call: Call, event: EventSpec) -> str:
    statuses = {market.status(call.now_ns) for market in call.exchange.catalogue.by_event[event.ticker]}
    for name in ("open", "unopened", "closed"):
        if statuses & _MARKET_FILTERS[name] or (name == "open" and MarketStatus.INACTIVE in statuses):
            return name
    return "settled"


def _events(call: Call) -> Answer:
    catalogue = call.exchange.catalogue
    series, status, low = call.text("series_ticker"), call.text("status"), call.stamp("min_close_ts")
    updated = call.stamp("min_updated_ts")
    tickers = set(call.tickers("tickers", _EVENTS_PAGE))
    if status and status not in ("unopened", "open", "closed", "settled"):
        raise Refused(bad_request("invalid status filter"))
    found = [
        event
        for event in catalogue.events.values()
        if (not series or event.series_ticker == series)
        and (not tickers or event.ticker in tickers)
        and (not status or _event_status(call, event) == status)
        and (low is None or event.markets[0].close_ns >= low)
        and (updated is None or max(m.updated_ns for m in catalogue.by_event[event.ticker]) >= updated)
    ]
    shown, cursor = page(call, found, lambda event: _first(call, event).rank, most=_EVENTS_PAGE, default=_EVENTS_PAGE)
    nested = call.flag("with_nested_markets")
    body: Json = {"events": [_event_json(call, event, nested=nested) for event in shown], "cursor": cursor}
    return ok(body | {"milestones": []} if call.flag("with_milestones") else body)


def _first(call: Call, event: EventSpec) -> SimMarket:
    return call.exchange.catalogue.by_event[event.ticker][0]


def _event_json(call: Call, event: EventSpec, *, nested: bool) -> Json:
    catalogue = call.exchange.catalogue
    markets = [market_json(m, call.now_ns) for m in catalogue.by_event[event.ticker]] if nested else None
    return event_json(event, catalogue.event_fees.get(event.ticker), markets, _first(call, event).shard)


def _event(call: Call) -> Answer:
    """The top-level `markets` duplicate is always there; nested ones on request."""
    catalogue = call.exchange.catalogue
    event = catalogue.events.get(call.path["event_ticker"])
    if event is None:
        raise Refused(NOT_FOUND)
    nested = call.flag("with_nested_markets")
    markets = [] if nested else [market_json(m, call.now_ns) for m in catalogue.by_event[event.ticker]]
    return ok({"event": _event_json(call, event, nested=nested), "markets": markets})


def _markets(call: Call) -> Answer:
    status = call.text("status")
    if status and status not in _MARKET_FILTERS:
        raise Refused(bad_request("invalid status filter"))
    combos = call.text("mve_filter")
    if combos not in ("", "only", "exclude"):
        raise Refused(bad_request("invalid mve_filter"))
    spans = _time_filters(call, status)
    wanted = _MARKET_FILTERS.get(status)
    found = [
        market
        for market in ([] if combos == "only" else _candidates(call))
        if (wanted is None or market.status(call.now_ns) in wanted)
        and all(_within(_market_time(market, name), low, high) for name, (low, high) in spans.items())
    ]
    shown, cursor = page(call, found, lambda market: market.rank)
    return ok({"markets": [market_json(market, call.now_ns) for market in shown], "cursor": cursor})


_TIME_FILTERS: Final = {
    "created": ("", "unopened", "open"),
    "close": ("", "closed"),
    "settled": ("", "settled"),
    "updated": ("",),
}
"""Which status goes with which pair of timestamp filters (docs/reference/venue.md 2.2)."""
_GOES_WITH_UPDATED: Final = frozenset({"min_updated_ts", "mve_filter", "series_ticker", "limit", "cursor"})


def _time_filters(call: Call, status: str) -> dict[str, tuple[Nanos | None, Nanos | None]]:
    """The one pair that is asked for, by name; 400 for two pairs, or one that does not go with the other filters."""
    asked = {
        name: (call.stamp(f"min_{name}_ts"), None if name == "updated" else call.stamp(f"max_{name}_ts"))
        for name in _TIME_FILTERS
    }
    spans = {name: span for name, span in asked.items() if span != (None, None)}
    if len(spans) > 1:
        raise Refused(bad_request("timestamp filters are mutually exclusive"))
    for name in spans:
        if status not in _TIME_FILTERS[name]:
            raise Refused(bad_request(f"{name} timestamp filters do not go with status {status}"))
        if name == "updated" and (
            not _GOES_WITH_UPDATED.issuperset(call.query)
            or (call.text("series_ticker") and call.text("mve_filter") != "exclude")
        ):
            raise Refused(bad_request("min_updated_ts goes with mve_filter=exclude only"))
    return spans


def _market_time(market: SimMarket, name: str) -> Nanos | None:
    match name:
        case "created":
            return Nanos(market.spec.open_ns - MINUTE)
        case "close":
            return market.spec.close_ns
        case "settled":
            return market.settled_ns
        case _:
            return market.updated_ns


def _within(at_ns: Nanos | None, low: Nanos | None, high: Nanos | None) -> bool:
    return at_ns is not None and (low is None or at_ns >= low) and (high is None or at_ns <= high)


def _candidates(call: Call) -> Sequence[SimMarket]:
    """Markets by the ticker filters, in listing order."""
    catalogue = call.exchange.catalogue
    event, series = call.text("event_ticker"), call.text("series_ticker")
    tickers = call.tickers("tickers", 1_000)
    if tickers:
        found = [catalogue.markets[ticker] for ticker in tickers if ticker in catalogue.markets]
        found.sort(key=lambda market: market.rank)
    elif event:
        found = list(catalogue.by_event.get(event, ()))
    else:
        found = list(catalogue.markets.values())
    return [
        market
        for market in found
        if not call.exchange.archived(market)
        and (not event or market.spec.event_ticker == event)
        and (not series or market.spec.series_ticker == series)
    ]


def _known(call: Call, ticker: str) -> SimMarket:
    market = call.exchange.catalogue.markets.get(ticker)
    if market is None or call.exchange.archived(market):
        raise Refused(MARKET_NOT_FOUND)
    return market


def _market(call: Call) -> Answer:
    return ok({"market": market_json(_known(call, call.path["ticker"]), call.now_ns)})


def _orderbook(call: Call) -> Answer:
    """A `depth` of 0 or less means all levels."""
    depth = call.whole("depth", 0)
    assert depth is not None, "there is a default"
    if depth > _DEPTH_MAX:
        raise Refused(bad_request("depth must be at most 100"))
    return ok({"orderbook_fp": orderbook_json(_known(call, call.path["ticker"]).book, max(0, depth))})


def _orderbooks(call: Call) -> Answer:
    tickers = call.query.get("tickers", ())
    if not 1 <= len(tickers) <= _BOOKS_MAX:
        raise Refused(bad_request("tickers: between 1 and 100"))
    books = [{"ticker": t, "orderbook_fp": orderbook_json(_listed(call, t).book)} for t in tickers]
    return ok({"orderbooks": books})


def _listed(call: Call, ticker: str) -> SimMarket:
    """A market of a list: the venue documents no 404 where many are asked for, so one that is unknown is a 400."""
    market = call.exchange.catalogue.markets.get(ticker)
    if market is None:
        raise Refused(bad_request(f"unknown market {ticker[:200]}"))
    return market


def _trades(call: Call) -> Answer:
    """Newest first, of the last 50 000 that are not in the historical tier. There are no block trades here."""
    blocks = call.text("is_block_trade").lower()
    if blocks not in ("", "true", "false"):
        raise Refused(bad_request("invalid is_block_trade"))
    ticker, low, high = call.text("ticker"), call.stamp("min_ts"), call.stamp("max_ts")
    found = [
        trade
        for trade in (() if blocks == "true" else reversed(call.exchange.matcher.trades))
        if trade.at_ns >= call.exchange.archived_before_ns
        and (not ticker or trade.ticker == ticker)
        and (low is None or trade.at_ns >= low)
        and (high is None or trade.at_ns <= high)
    ]
    shown, cursor = page(call, found, _newest_trade)
    return ok({"trades": [trade_json(trade) for trade in shown], "cursor": cursor})


def _newest_trade(trade: TradeRecord) -> int:
    return -trade.rank


def _candle_span(call: Call) -> CandleSpan:
    low, high, period = call.stamp("start_ts"), call.stamp("end_ts"), call.whole("period_interval")
    if low is None or high is None or high < low or period is None or period < 1:
        raise Refused(bad_request("start_ts, end_ts and period_interval are required"))
    return CandleSpan(low, high, period, latest_before=call.flag("include_latest_before_start"))


def _candles(call: Call) -> Answer:
    market, span = _known(call, call.path["ticker"]), _candle_span(call)
    if market.spec.series_ticker != call.path["series_ticker"]:
        raise Refused(MARKET_NOT_FOUND)
    if span.period_min not in _PERIODS:
        raise Refused(bad_request("period_interval must be 1, 60 or 1440"))
    rows = candles_json(market, call.exchange.matcher.trades, span)
    return ok({"ticker": market.spec.ticker, "candlesticks": rows})


def _batch_candles(call: Call) -> Answer:
    """Any period of whole minutes, at most 10,000 candles in all."""
    tickers, span = call.tickers("market_tickers", _BOOKS_MAX), _candle_span(call)
    if not tickers:
        raise Refused(bad_request("market_tickers is required"))
    rows = [
        {"market_ticker": one, "candlesticks": candles_json(_listed(call, one), call.exchange.matcher.trades, span)}
        for one in tickers
    ]
    if sum(len(row["candlesticks"]) for row in rows) > CANDLES_MAX:
        raise Refused(bad_request("more than 10000 candlesticks"))
    return ok({"markets": rows})


MARKET_DATA_ROUTES: Final = (
    Route("GET", "/exchange/status", "exchange_status", _status, signed=False),
    Route("GET", "/exchange/schedule", "exchange_schedule", _schedule, signed=False),
    Route("GET", "/exchange/user_data_timestamp", "user_data_timestamp", _user_data_timestamp, signed=False),
    Route("GET", "/account/endpoint_costs", "endpoint_costs", _endpoint_costs, signed=False),
    Route("GET", "/series", "series_list", _series_list, signed=False),
    Route("GET", "/series/fee_changes", "series_fee_changes", _fee_changes, signed=False),
    Route("GET", "/series/{series_ticker}", "series", _series, signed=False),
    Route("GET", "/series/{series_ticker}/markets/{ticker}/candlesticks", "candles", _candles, signed=False),
    Route("GET", "/events", "events", _events, signed=False),
    Route("GET", "/events/fee_changes", "event_fee_changes", _event_fee_changes, signed=False),
    Route("GET", "/events/{event_ticker}", "event", _event, signed=False),
    Route("GET", "/markets", "markets", _markets, signed=False),
    Route("GET", "/markets/trades", "trades", _trades, signed=False),
    Route("GET", "/markets/orderbooks", "orderbooks", _orderbooks),
    Route("GET", "/markets/candlesticks", "batch_candles", _batch_candles, signed=False),
    Route("GET", "/markets/{ticker}", "market", _market, signed=False),
    Route("GET", "/markets/{ticker}/orderbook", "orderbook", _orderbook),
)
