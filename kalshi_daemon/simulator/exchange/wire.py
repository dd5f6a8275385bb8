"""REST objects as the exchange writes them (docs/reference/venue.md 9). Knows nothing of the client's codec."""

from collections.abc import Iterable
from typing import Any, Final

from kalshi_daemon.domain.contract import PriceGrid
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.units import DAY, MILLISECOND, MINUTE, PRICE_ONE, SECOND, Count, Nanos, format_level
from kalshi_daemon.simulator.exchange.catalogue import FeeChange
from kalshi_daemon.simulator.exchange.holdings import Holding, SettlementRecord
from kalshi_daemon.simulator.exchange.instruments import EventSpec, MarketSpec, SeriesSpec
from kalshi_daemon.simulator.exchange.listener import TradeRecord
from kalshi_daemon.simulator.exchange.order_groups import OrderGroup
from kalshi_daemon.simulator.exchange.order_terms import Refusal
from kalshi_daemon.simulator.exchange.sim_book import SimBook
from kalshi_daemon.simulator.exchange.sim_fees import CENT, FeeModel
from kalshi_daemon.simulator.exchange.sim_orders import Account, FillRecord, Receipt, SimMarket, SimOrder
from kalshi_daemon.simulator.exchange.wire_text import (
    average_text,
    count_text,
    fee_text,
    level_number,
    micros_text,
    price_text,
    rfc3339,
)

Json = dict[str, Any]
SHARD: Final = 0
"""exchange_index of everything but markets that were moved, and what happens in them."""
_CATEGORY: Final = "Financials"
_TERMS_URL: Final = "https://kalshi.com/regulatory/rulebook"


def outcome(side: Side) -> str:
    """`bid` is yes, `ask` is no, always."""
    return "yes" if side is Side.BID else "no"


def error_json(refusal: Refusal) -> Json:
    """The envelope of a refusal."""
    body = {"code": refusal.code, "message": refusal.message}
    return body | {"details": refusal.details} if refusal.details else body


def fee_numbers(fees: FeeModel) -> tuple[str, int | float]:
    """Fee type and multiplier as they are published: a whole number where it is one."""
    whole, rest = divmod(fees.multiplier_ppm, 1_000_000)
    return fees.kind.value, whole if rest == 0 else fees.multiplier_ppm / 1_000_000


def series_json(series: SeriesSpec, fees: FeeModel, updated_ns: Nanos) -> Json:
    """A series of `GET /series`."""
    kind, multiplier = fee_numbers(fees)
    return {
        "ticker": series.ticker,
        "frequency": series.frequency,
        "title": series.title,
        "category": _CATEGORY,
        "categories": [_CATEGORY],
        "tags": ["Indices"],
        "settlement_sources": [{"name": series.settlement_source, "url": "https://kalshi.com"}],
        "contract_url": _TERMS_URL,
        "contract_terms_url": _TERMS_URL,
        "fee_type": kind,
        "fee_multiplier": multiplier,
        "additional_prohibitions": [],
        "last_updated_ts": rfc3339(updated_ns),
        "exchange_index": SHARD,
    }


def fee_change_json(change: FeeChange) -> Json:
    """A planned change of fees."""
    kind, multiplier = fee_numbers(change.fees)
    return {
        "id": change.change_id,
        "series_ticker": change.series_ticker,
        "fee_type": kind,
        "fee_multiplier": multiplier,
        "scheduled_ts": rfc3339(change.scheduled_ns),
    }


def event_json(event: EventSpec, override: FeeModel | None, markets: list[Json] | None, shard: int = SHARD) -> Json:
    """An event, with its markets where they were asked for."""
    body: Json = {
        "event_ticker": event.ticker,
        "series_ticker": event.series_ticker,
        "title": event.title,
        "sub_title": event.sub_title,
        "collateral_return_type": event.collateral_return_type,
        "mutually_exclusive": event.mutually_exclusive,
        "category": _CATEGORY,
        "strike_date": rfc3339(event.settles_ns),
        "settlement_sources": [{"name": "Kalshi", "url": "https://kalshi.com"}],
        "exchange_index": shard,
    }
    if override is not None:
        body["fee_type_override"], body["fee_multiplier_override"] = fee_numbers(override)
    if markets is not None:
        body["markets"] = markets
    return body


def ranges_json(grid: PriceGrid) -> list[Json]:
    """The price bands of a market, in dollars."""
    return [
        {"start": price_text(band.start), "end": price_text(band.end), "step": price_text(band.step)}
        for band in grid.bands
    ]


def _static_market_json(market: SimMarket) -> dict[str, object]:
    spec = market.spec
    body: dict[str, object] = {
        "ticker": spec.ticker,
        "event_ticker": spec.event_ticker,
        "market_type": "binary",
        "title": spec.title,
        "subtitle": spec.yes_sub_title,
        "yes_sub_title": spec.yes_sub_title,
        "no_sub_title": spec.yes_sub_title,
        "created_time": rfc3339(Nanos(spec.open_ns - MINUTE)),
        "open_time": rfc3339(spec.open_ns),
        "close_time": rfc3339(spec.close_ns),
        "expected_expiration_time": rfc3339(Nanos(spec.close_ns + 5 * MINUTE)),
        "expiration_time": rfc3339(Nanos(spec.close_ns + 7 * DAY)),
        "latest_expiration_time": rfc3339(Nanos(spec.close_ns + 7 * DAY)),
        "settlement_timer_seconds": spec.settlement_timer_s,
        "can_close_early": True,
        "notional_value_dollars": "1.0000",
        "previous_yes_bid_dollars": "0.0000",
        "previous_yes_ask_dollars": "0.0000",
        "previous_price_dollars": "0.0000",
        "settlement_bounds_type": "default",
        "strike_type": spec.strike_type.value,
        "rules_primary": spec.rules,
        "rules_secondary": "",
        "price_level_structure": market.grid_label,
        "price_ranges": ranges_json(market.grid),
        "exchange_index": market.shard,
    }
    return body | strikes_json(spec)


def strikes_json(spec: MarketSpec) -> Json:
    """The strikes a market has; one that is open has no key."""
    strikes = {"floor_strike": spec.floor, "cap_strike": spec.cap}
    return {name: level_number(strike) for name, strike in strikes.items() if strike is not None}


def market_json(market: SimMarket, now_ns: Nanos) -> Json:
    """An empty side reads 0 bid or 1 ask with size 0.00, as captured from the venue."""
    if not market.static_json:
        market.static_json = _static_market_json(market)
    bid, bid_size, ask, ask_size = top_of(market.book)
    body: Json = dict(market.static_json)
    body["updated_time"] = rfc3339(market.updated_ns)
    body["status"] = market.status(now_ns).value
    body["yes_bid_dollars"] = price_text(bid)
    body["yes_bid_size_fp"] = count_text(bid_size)
    body["yes_ask_dollars"] = price_text(ask)
    body["yes_ask_size_fp"] = count_text(ask_size)
    body["no_bid_dollars"] = price_text(PRICE_ONE - ask)
    body["no_ask_dollars"] = price_text(PRICE_ONE - bid)
    body["last_price_dollars"] = price_text(market.last_price)
    body["volume_fp"] = body["volume_24h_fp"] = count_text(market.volume)
    body["open_interest_fp"] = count_text(market.open_interest)
    body["result"] = market.result
    body["expiration_value"] = "" if market.settlement_value is None else format_level(market.settlement_value)
    if market.settled_ns is not None:
        body["settlement_value_dollars"] = "1.0000" if market.result == "yes" else "0.0000"
        body["settlement_ts"] = rfc3339(market.settled_ns)
    return body


def top_of(book: SimBook[SimOrder]) -> tuple[int, int, int, int]:
    """Bid, its size, ask, its size; 0 and 1 dollar with size 0 for empty sides."""
    bid, ask = book.bids.best, book.asks.best
    return (
        0 if bid is None else bid,
        0 if bid is None else book.bids.levels[bid].total,
        PRICE_ONE if ask is None else ask,
        0 if ask is None else book.asks.levels[ask].total,
    )


def levels_json(
    book: SimBook[SimOrder], *, depth: int = 0, yes_prices: bool = False
) -> tuple[list[list[str]], list[list[str]]]:
    """YES bids and NO bids, each worst to best; NO prices are complements unless `yes_prices`."""
    yes = [[price_text(price), count_text(count)] for price, count in book.bids]
    no = [[price_text(price if yes_prices else PRICE_ONE - price), count_text(count)] for price, count in book.asks]
    return (yes[-depth:], no[-depth:]) if depth else (yes, no)


def orderbook_json(book: SimBook[SimOrder], depth: int = 0) -> Json:
    """Bids of both sides, best last; `depth` levels a side, 0 means all."""
    yes, no = levels_json(book, depth=depth)
    return {"yes_dollars": yes, "no_dollars": no}


def order_json(order: SimOrder) -> Json:
    """An order of `GET /portfolio/orders`."""
    side = outcome(order.side)
    body: Json = {
        "order_id": order.order_id,
        "user_id": order.account.user_id,
        "client_order_id": order.client_order_id,
        "ticker": order.market.spec.ticker,
        "side": side,
        "action": "buy",
        "outcome_side": side,
        "book_side": order.side.value,
        "type": "limit",
        "status": order.state.value,
        "yes_price_dollars": price_text(order.price),
        "no_price_dollars": price_text(PRICE_ONE - order.price),
        "fill_count_fp": count_text(order.filled),
        "remaining_count_fp": count_text(order.remaining),
        "initial_count_fp": count_text(order.initial),
        "taker_fill_cost_dollars": micros_text(order.taker_cost),
        "maker_fill_cost_dollars": micros_text(order.maker_cost),
        "taker_fees_dollars": micros_text(order.taker_fees),
        "maker_fees_dollars": micros_text(order.maker_fees),
        "created_time": rfc3339(order.created_ns),
        "last_update_time": rfc3339(order.updated_ns),
        "expiration_time": None if order.expires_ns is None else rfc3339(order.expires_ns),
        "self_trade_prevention_type": order.self_trade.value,
        "order_group_id": order.group_id,
        "cancel_order_on_pause": order.cancel_on_pause,
        "subaccount_number": 0,
        "exchange_index": order.market.shard,
    }
    return body


def created_json(receipt: Receipt) -> Json:
    """The flat answer of create; averages only when something filled."""
    order = receipt.order
    assert order is not None, "only accepted orders are answered"
    body: Json = {
        "order_id": order.order_id,
        "client_order_id": order.client_order_id,
        "fill_count": count_text(receipt.fill_count),
        "remaining_count": count_text(receipt.remaining),
        "ts_ms": receipt.at_ns // MILLISECOND,
    }
    if receipt.fill_count > 0:
        cost = receipt.fill_cost
        yes_cost = cost if order.side is Side.BID else PRICE_ONE * receipt.fill_count - cost
        body["average_fill_price"] = average_text(yes_cost, receipt.fill_count)
        body["average_fee_paid"] = average_text(receipt.fill_fees, receipt.fill_count)
    return body


def amended_json(receipt: Receipt, resting_before: Count | None) -> Json:
    """AmendOrderV2Response: what *this* amend filled and left; null where it changed nothing.

    Source: docs/reference/venue.md 2.3.
    """
    body = created_json(receipt)
    if receipt.fill_count == 0 and receipt.remaining == resting_before:
        body["fill_count"] = body["remaining_count"] = None
    body.setdefault("average_fill_price", None)
    body.setdefault("average_fee_paid", None)
    return body


def fill_json(fill: FillRecord) -> Json:
    """A fill of `GET /portfolio/fills`."""
    order = fill.order
    side = outcome(order.side)
    return {
        "fill_id": f"{fill.trade_id}-{order.order_id[-12:]}",
        "trade_id": fill.trade_id,
        "order_id": order.order_id,
        "ticker": order.market.spec.ticker,
        "market_ticker": order.market.spec.ticker,
        "side": side,
        "action": "buy",
        "outcome_side": side,
        "book_side": order.side.value,
        "count_fp": count_text(fill.count),
        "yes_price_dollars": price_text(fill.price),
        "no_price_dollars": price_text(PRICE_ONE - fill.price),
        "is_taker": fill.is_taker,
        "fee_cost": fee_text(fill.fee),
        "created_time": rfc3339(fill.at_ns),
        "ts": fill.at_ns // SECOND,
        "subaccount_number": 0,
        "exchange_index": order.market.shard,
    }


def trade_json(trade: TradeRecord) -> Json:
    """A public trade."""
    side = outcome(trade.taker_side)
    return {
        "trade_id": trade.trade_id,
        "ticker": trade.ticker,
        "count_fp": count_text(trade.count),
        "yes_price_dollars": price_text(trade.price),
        "no_price_dollars": price_text(PRICE_ONE - trade.price),
        "taker_side": side,
        "taker_outcome_side": side,
        "taker_book_side": trade.taker_side.value,
        "created_time": rfc3339(trade.at_ns),
        "is_block_trade": False,
    }


def position_json(held: Holding, shard: int = SHARD) -> Json:
    """A position of `GET /portfolio/positions`."""
    return {
        "ticker": held.ticker,
        "exchange_index": shard,
        "total_traded_dollars": micros_text(held.traded),
        "position_fp": count_text(held.count),
        "market_exposure_dollars": micros_text(held.cost),
        "realized_pnl_dollars": micros_text(held.realized),
        "fees_paid_dollars": micros_text(held.fees),
        "last_updated_ts": rfc3339(held.updated_ns),
    }


def event_positions_json(holdings: Iterable[Holding]) -> list[Json]:
    """One row per event, in order of appearance."""
    grouped: dict[str, list[Holding]] = {}
    for held in holdings:
        grouped.setdefault(held.event_ticker, []).append(held)
    return [
        {
            "event_ticker": ticker,
            "total_cost_dollars": micros_text(sum(h.traded for h in of)),
            "total_cost_shares_fp": count_text(Count(sum(h.volume for h in of))),
            "event_exposure_dollars": micros_text(sum(h.cost for h in of)),
            "realized_pnl_dollars": micros_text(sum(h.realized for h in of)),
            "fees_paid_dollars": micros_text(sum(h.fees for h in of)),
        }
        for ticker, of in grouped.items()
    ]


def settlement_json(paid: SettlementRecord, shard: int = SHARD) -> Json:
    """A settlement of `GET /portfolio/settlements`; `revenue` in cents."""
    return {
        "ticker": paid.ticker,
        "exchange_index": shard,
        "event_ticker": paid.event_ticker,
        "market_result": paid.result,
        "yes_count_fp": count_text(paid.yes_count),
        "yes_total_cost_dollars": micros_text(paid.yes_cost),
        "no_count_fp": count_text(paid.no_count),
        "no_total_cost_dollars": micros_text(paid.no_cost),
        "revenue": paid.revenue // CENT,
        "settled_time": rfc3339(paid.settled_ns),
        "fee_cost": micros_text(paid.fees),
        "value": 100 if paid.result == "yes" else 0,
    }


def balance_json(account: Account, portfolio_value: int, now_ns: Nanos, shard: int | None = None) -> Json:
    """Cents are truncated; `balance` is what is free, collateral of resting orders already taken off.

    All money is on shard 0 (collateral is per shard): another shard, asked for by its number, has none.
    `portfolio_value` in micro-dollars.
    """
    free = account.available if shard in (None, SHARD) else 0
    return {
        "balance": free // CENT,
        "balance_dollars": micros_text(free),
        "portfolio_value": portfolio_value // CENT if shard in (None, SHARD) else 0,
        "updated_ts": now_ns // SECOND,
        "balance_breakdown": [{"exchange_index": SHARD if shard is None else shard, "balance": micros_text(free)}],
    }


def group_json(group: OrderGroup) -> Json:
    """An order group."""
    return {
        "id": group.group_id,
        "contracts_limit_fp": count_text(group.limit),
        "is_auto_cancel_enabled": True,
        "exchange_index": group.shard,
    }
