"""Websocket frames as the exchange writes them: message bodies here, sid and seq put on later.

Source: docs/reference/venue.md 5.

The body of a frame is encoded once and shared by every subscriber.
"""

from typing import Any

import orjson

from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.units import MILLISECOND, PRICE_ONE, SECOND, Count, Nanos, Price
from kalshi_daemon.simulator.exchange.instruments import EventSpec
from kalshi_daemon.simulator.exchange.listener import LifecycleEvent, TradeRecord
from kalshi_daemon.simulator.exchange.order_groups import GroupEvent, OrderGroup
from kalshi_daemon.simulator.exchange.order_terms import OrderState, Reason
from kalshi_daemon.simulator.exchange.sim_fees import FeeModel
from kalshi_daemon.simulator.exchange.sim_orders import Account, FillRecord, SimMarket, SimOrder
from kalshi_daemon.simulator.exchange.wire import (
    SHARD,
    fee_numbers,
    levels_json,
    outcome,
    ranges_json,
    strikes_json,
    top_of,
)
from kalshi_daemon.simulator.exchange.wire_text import (
    count_text,
    fee_text,
    micros_text,
    price_text,
    rfc3339,
)

Json = dict[str, Any]


def envelope(kind: str, sid: int, seq: int | None, msg: bytes, sending_ms: int, command_id: int | None) -> bytes:
    """A whole frame around an encoded body. `seq` None for channels that are not sequenced."""
    head = f'{{"type":"{kind}","sid":{sid}'
    if command_id:
        head = f'{{"id":{command_id},"type":"{kind}","sid":{sid}'
    numbered = head if seq is None else f'{head},"seq":{seq}'
    return f'{numbered},"sending_ts_ms":{sending_ms},"msg":'.encode() + msg + b"}"


def snapshot_msg(market: SimMarket, *, yes_prices: bool, keep_empty: bool) -> bytes:
    """All levels; the key of an empty side is absent unless `keep_empty`."""
    yes, no = levels_json(market.book, yes_prices=yes_prices)
    body: Json = {"market_ticker": market.spec.ticker, "market_id": market.market_id}
    if yes or keep_empty:
        body["yes_dollars_fp"] = yes
    if no or keep_empty:
        body["no_dollars_fp"] = no
    return orjson.dumps(body)


def delta_msg(
    market: SimMarket, side: Side, price: Price, delta: Count, now_ns: Nanos, *, yes_prices: bool, client_id: str | None
) -> bytes:
    """A signed change of one level. `client_id` is given only to the account that caused it."""
    if side is Side.BID:
        name, shown = "yes", int(price)
    else:
        name, shown = "no", int(price) if yes_prices else PRICE_ONE - price
    body = (
        f'{{"market_ticker":"{market.spec.ticker}","market_id":"{market.market_id}",'
        f'"price_dollars":"{price_text(shown)}","delta_fp":"{count_text(delta)}","side":"{name}",'
        f'"ts":"{rfc3339(now_ns)}","ts_ms":{now_ns // MILLISECOND}'
    )
    if client_id is None:
        return f"{body}}}".encode()
    return f'{body},"client_order_id":'.encode() + orjson.dumps(client_id) + b',"subaccount":0}'


def ticker_msg(market: SimMarket, now_ns: Nanos) -> bytes:
    """Channel `ticker`."""
    bid, bid_size, ask, ask_size = top_of(market.book)
    body: Json = {
        "market_ticker": market.spec.ticker,
        "market_id": market.market_id,
        "price_dollars": price_text(market.last_price),
        "yes_bid_dollars": price_text(bid),
        "yes_ask_dollars": price_text(ask),
        "yes_bid_size_fp": count_text(bid_size),
        "yes_ask_size_fp": count_text(ask_size),
        "last_trade_size_fp": count_text(market.last_count),
        "volume_fp": count_text(market.volume),
        "open_interest_fp": count_text(market.open_interest),
        "dollar_volume": market.dollar_volume // 1_000_000,
        "dollar_open_interest": market.open_interest // 100,
        "ts": now_ns // SECOND,
        "ts_ms": now_ns // MILLISECOND,
        "time": rfc3339(now_ns),
    }
    return orjson.dumps(body)


def trade_msg(trade: TradeRecord) -> bytes:
    """Channel `trade`."""
    side = outcome(trade.taker_side)
    body: Json = {
        "trade_id": trade.trade_id,
        "market_ticker": trade.ticker,
        "yes_price_dollars": price_text(trade.price),
        "no_price_dollars": price_text(PRICE_ONE - trade.price),
        "count_fp": count_text(trade.count),
        "taker_side": side,
        "taker_outcome_side": side,
        "taker_book_side": trade.taker_side.value,
        "is_block_trade": False,
        "ts": trade.at_ns // SECOND,
        "ts_ms": trade.at_ns // MILLISECOND,
    }
    return orjson.dumps(body)


def fill_msg(fill: FillRecord) -> bytes:
    """Channel `fill`."""
    order = fill.order
    side = outcome(order.side)
    body: Json = {
        "trade_id": fill.trade_id,
        "order_id": order.order_id,
        "market_ticker": order.market.spec.ticker,
        "exchange_index": order.market.shard,
        "is_taker": fill.is_taker,
        "side": side,
        "action": "buy",
        "purchased_side": side,
        "outcome_side": side,
        "book_side": order.side.value,
        "yes_price_dollars": price_text(fill.price),
        "count_fp": count_text(fill.count),
        "fee_cost": fee_text(fill.fee),
        "post_position_fp": count_text(fill.post_position),
        "ts": fill.at_ns // SECOND,
        "ts_ms": fill.at_ns // MILLISECOND,
        "subaccount": 0,
    }
    if order.client_order_id:
        body["client_order_id"] = order.client_order_id
    return orjson.dumps(body)


def user_order_msg(order: SimOrder, reason: Reason, now_ns: Nanos) -> bytes:
    """Channel `user_orders`."""
    side = outcome(order.side)
    body: Json = {
        "order_id": order.order_id,
        "user_id": order.account.user_id,
        "ticker": order.market.spec.ticker,
        "status": order.state.value,
        "side": side,
        "is_yes": order.side is Side.BID,
        "outcome_side": side,
        "book_side": order.side.value,
        "yes_price_dollars": price_text(order.price),
        "fill_count_fp": count_text(order.filled),
        "remaining_count_fp": count_text(order.remaining if order.state is OrderState.RESTING else Count(0)),
        "initial_count_fp": count_text(order.initial),
        "taker_fill_cost_dollars": micros_text(order.taker_cost),
        "maker_fill_cost_dollars": micros_text(order.maker_cost),
        "taker_fees_dollars": micros_text(order.taker_fees),
        "maker_fees_dollars": micros_text(order.maker_fees),
        "client_order_id": order.client_order_id,
        "self_trade_prevention_type": order.self_trade.value,
        "created_time": rfc3339(order.created_ns),
        "created_ts_ms": order.created_ns // MILLISECOND,
        "last_update_time": rfc3339(now_ns),
        "last_updated_ts_ms": now_ns // MILLISECOND,
        "subaccount_number": 0,
        "exchange_index": order.market.shard,
        "last_update_reason": reason.value,
    }
    if order.group_id:
        body["order_group_id"] = order.group_id
    if order.expires_ns is not None:
        body["expiration_time"] = rfc3339(order.expires_ns)
        body["expiration_ts_ms"] = order.expires_ns // MILLISECOND
    return orjson.dumps(body)


def position_msg(account: Account, market: SimMarket) -> bytes:
    """Channel `market_positions`."""
    held = account.holding(market.spec.ticker, market.spec.event_ticker)
    body: Json = {
        "user_id": account.user_id,
        "market_ticker": market.spec.ticker,
        "position_fp": count_text(held.count),
        "position_cost_dollars": micros_text(held.cost),
        "realized_pnl_dollars": micros_text(held.realized),
        "fees_paid_dollars": micros_text(held.fees),
        "position_fee_cost_dollars": micros_text(held.open_fees),
        "volume_fp": count_text(held.volume),
        "subaccount": 0,
    }
    return orjson.dumps(body)


def lifecycle_msg(market: SimMarket, event: LifecycleEvent, now_ns: Nanos) -> bytes:
    """Channel `market_lifecycle_v2`: a market."""
    spec = market.spec
    body: Json = {"event_type": event.value, "market_ticker": spec.ticker}
    match event:
        case LifecycleEvent.CREATED:
            body |= {
                "exchange_index": market.shard,
                "open_ts": spec.open_ns // SECOND,
                "close_ts": spec.close_ns // SECOND,
                "additional_metadata": _metadata(market),
                **_grid(market),
            }
        case LifecycleEvent.DETERMINED:
            body |= {
                "result": market.result,
                "determination_ts": now_ns // SECOND,
                "settlement_value": "1.0000" if market.result == "yes" else "0.0000",
            }
        case LifecycleEvent.SETTLED:
            body["settled_ts"] = now_ns // SECOND
        case LifecycleEvent.ACTIVATED | LifecycleEvent.DEACTIVATED:
            body["is_deactivated"] = market.inactive
        case LifecycleEvent.PRICE_LEVEL_STRUCTURE_UPDATED:
            body |= _grid(market)
    return orjson.dumps(body)


def _grid(market: SimMarket) -> Json:
    return {"price_level_structure": market.grid_label, "price_ranges": ranges_json(market.grid)}


def _metadata(market: SimMarket) -> Json:
    spec = market.spec
    body: Json = {
        "name": spec.title,
        "title": spec.title,
        "yes_sub_title": spec.yes_sub_title,
        "no_sub_title": spec.yes_sub_title,
        "rules_primary": spec.rules,
        "rules_secondary": "",
        "can_close_early": True,
        "event_ticker": spec.event_ticker,
        "expected_expiration_ts": spec.close_ns // SECOND,
        "strike_type": spec.strike_type.value,
    }
    return body | strikes_json(spec)


def event_msg(event: EventSpec) -> bytes:
    """Channel `market_lifecycle_v2`: a new event."""
    body: Json = {
        "event_ticker": event.ticker,
        "exchange_index": SHARD,
        "title": event.title,
        "subtitle": event.sub_title,
        "collateral_return_type": event.collateral_return_type,
        "series_ticker": event.series_ticker,
        "strike_date": event.settles_ns // SECOND,
    }
    return orjson.dumps(body)


def event_fee_msg(event_ticker: str, fees: FeeModel | None) -> bytes:
    """Channel `market_lifecycle_v2`: fees of an event."""
    kind, multiplier = (None, None) if fees is None else fee_numbers(fees)
    return orjson.dumps(
        {"event_ticker": event_ticker, "fee_type_override": kind, "fee_multiplier_override": multiplier}
    )


def group_msg(group: OrderGroup, event: GroupEvent, now_ns: Nanos) -> bytes:
    """Channel `order_group_updates`."""
    body: Json = {
        "event_type": event.value,
        "order_group_id": group.group_id,
        "ts_ms": now_ns // MILLISECOND,
    }
    if event in (GroupEvent.CREATED, GroupEvent.LIMIT_UPDATED):
        body["contracts_limit_fp"] = count_text(group.limit)
    return orjson.dumps(body)
