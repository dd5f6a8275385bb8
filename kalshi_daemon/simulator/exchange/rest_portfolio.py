"""Portfolio reads (docs/reference/venue.md 2.5). They never lag here: `user_data_timestamp` is now."""

from typing import Final

from kalshi_daemon.ground.units import PRICE_ONE
from kalshi_daemon.simulator.exchange.exchange import Exchange
from kalshi_daemon.simulator.exchange.holdings import Holding, SettlementRecord
from kalshi_daemon.simulator.exchange.order_terms import bad_request
from kalshi_daemon.simulator.exchange.rest_call import Answer, Call, Refused, Route, ok, page
from kalshi_daemon.simulator.exchange.sim_fees import CENT
from kalshi_daemon.simulator.exchange.sim_orders import Account, FillRecord
from kalshi_daemon.simulator.exchange.wire import (
    SHARD,
    balance_json,
    event_positions_json,
    fill_json,
    position_json,
    settlement_json,
)
from kalshi_daemon.simulator.exchange.wire_text import micros_text

_TICKERS_MAX: Final = 100


def portfolio_value(exchange: Exchange, account: Account) -> int:
    """Micro-dollars the open positions would fetch at the last trade (at cost where nothing traded)."""
    total = 0
    for ticker, held in account.holdings.items():
        last = exchange.catalogue.markets[ticker].last_price
        if held.count:
            own = last if held.count > 0 else PRICE_ONE - last
            total += own * abs(held.count) if last else held.cost
    return total


def _shard(call: Call, ticker: str) -> int:
    return call.exchange.catalogue.markets[ticker].shard


def _balance(call: Call) -> Answer:
    value = portfolio_value(call.exchange, call.member)
    return ok(balance_json(call.member, value, call.now_ns, call.shard()))


def _positions(call: Call) -> Answer:
    """Unsettled markets ever traded by default; `count_filter=position` keeps open ones."""
    shard = call.shard()
    ticker, event = call.text("ticker"), call.text("event_ticker")
    status = call.text("settlement_status") or "unsettled"
    if status not in ("unsettled", "settled", "all"):
        raise Refused(bad_request("invalid settlement_status"))
    filters = call.tickers("count_filter", 2)
    if not set(filters) <= {"position", "total_traded"}:
        raise Refused(bad_request("invalid count_filter"))
    found = [
        held
        for held in call.member.holdings.values()
        if (not ticker or held.ticker == ticker)
        and shard in (None, _shard(call, held.ticker))
        and (not event or held.event_ticker == event)
        and (status == "all" or held.settled == (status == "settled"))
        and (not filters or ("position" in filters and held.count) or ("total_traded" in filters and held.traded))
    ]
    ranks = {held.ticker: call.exchange.catalogue.markets[held.ticker].rank for held in found}

    def rank(held: Holding) -> int:
        return ranks[held.ticker]

    found.sort(key=rank)
    shown, cursor = page(call, found, rank)
    return ok(
        {
            "market_positions": [position_json(held, _shard(call, held.ticker)) for held in shown],
            "event_positions": event_positions_json(shown),
            "cursor": cursor,
        }
    )


def _fills(call: Call) -> Answer:
    """Newest first."""
    shard = call.shard()
    tickers, order_id = set(call.tickers("ticker", _TICKERS_MAX)), call.text("order_id")
    low, high = call.stamp("min_ts"), call.stamp("max_ts")
    found = [
        fill
        for fill in reversed(call.member.fills)
        if (not tickers or fill.order.market.spec.ticker in tickers)
        and shard in (None, fill.order.market.shard)
        and (not order_id or fill.order.order_id == order_id)
        and (low is None or fill.at_ns >= low)
        and (high is None or fill.at_ns <= high)
    ]
    shown, cursor = page(call, found, _newest_fill)
    return ok({"fills": [fill_json(fill) for fill in shown], "cursor": cursor})


def _newest_fill(fill: FillRecord) -> int:
    return -fill.rank


def _settlements(call: Call) -> Answer:
    """Newest first."""
    shard = call.shard()
    ticker, event = call.text("ticker"), call.text("event_ticker")
    low, high = call.stamp("min_ts"), call.stamp("max_ts")
    found = [
        paid
        for paid in reversed(call.member.settlements)
        if (not ticker or paid.ticker == ticker)
        and shard in (None, _shard(call, paid.ticker))
        and (not event or paid.event_ticker == event)
        and (low is None or paid.settled_ns >= low)
        and (high is None or paid.settled_ns <= high)
    ]
    shown, cursor = page(call, found, _newest_settlement)
    return ok({"settlements": [settlement_json(paid, _shard(call, paid.ticker)) for paid in shown], "cursor": cursor})


def _newest_settlement(paid: SettlementRecord) -> int:
    return -paid.rank


def _resting_value(call: Call) -> Answer:
    """What resting orders would cost if all filled; their collateral here."""
    reserved = call.member.reserved
    return ok(
        {
            "total_resting_order_value": reserved // CENT,
            "resting_order_value_breakdown": [{"exchange_index": SHARD, "balance": micros_text(reserved)}],
        }
    )


def _subaccount_balances(call: Call) -> Answer:
    row = {
        "subaccount_number": 0,
        "exchange_index": SHARD,
        "balance": micros_text(call.member.available),
        "updated_ts": call.now_ns // 1_000_000_000,
    }
    return ok({"subaccount_balances": [row]})


def _netting(_call: Call) -> Answer:
    return ok({"netting_configs": [{"subaccount_number": 0, "enabled": False, "exchange_index": SHARD}]})


PORTFOLIO_ROUTES: Final = (
    Route("GET", "/portfolio/balance", "balance", _balance),
    Route("GET", "/portfolio/positions", "positions", _positions),
    Route("GET", "/portfolio/fills", "fills", _fills),
    Route("GET", "/portfolio/settlements", "settlements", _settlements),
    Route("GET", "/portfolio/summary/total_resting_order_value", "resting_value", _resting_value),
    Route("GET", "/portfolio/subaccounts/balances", "subaccount_balances", _subaccount_balances),
    Route("GET", "/portfolio/subaccounts/netting", "netting", _netting),
)
