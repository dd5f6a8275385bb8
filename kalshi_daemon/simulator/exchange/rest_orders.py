"""Order endpoints: V2 writes, order reads, order groups; legacy writes answer 410.

Source: docs/reference/venue.md 2.3, 2.4.
"""

from typing import Any, Final

import orjson

from kalshi_daemon.ground.units import MILLISECOND
from kalshi_daemon.simulator.exchange.order_intake import read_amend, read_create, read_decrease, read_group_limit
from kalshi_daemon.simulator.exchange.order_terms import (
    EXCHANGE_PAUSED,
    GROUP_NOT_FOUND,
    MARKET_NOT_FOUND,
    NOT_FOUND,
    OrderState,
    Refusal,
    bad_request,
)
from kalshi_daemon.simulator.exchange.rest_call import (
    Answer,
    Call,
    Json,
    Refused,
    Route,
    ok,
    page,
    read_place,
)
from kalshi_daemon.simulator.exchange.sim_orders import CancelReceipt, Receipt, SimOrder
from kalshi_daemon.simulator.exchange.wire import SHARD, amended_json, created_json, error_json, group_json, order_json
from kalshi_daemon.simulator.exchange.wire_text import count_text

_GONE: Final = Refusal(410, "deprecated_v1_order_endpoint", "Please switch to the V2 endpoints")
_EVENTS_MAX: Final = 10


def _create(call: Call) -> Answer:
    return Answer(201, created_json(_submitted(call, call.json())))


def _submitted(call: Call, body: Any) -> Receipt:  # noqa: ANN401 - JSON of a stranger
    """Routed by the ticker; a shard named all the same must be the market's."""
    spec = read_create(body)
    _check_shard(call, spec.ticker, read_place(call.exchange, body.get("subaccount"), body.get("exchange_index")))
    return _accepted(call.exchange.submit(call.member.name, spec))


def _check_shard(call: Call, ticker: str, shard: int | None) -> None:
    market = call.exchange.catalogue.markets.get(ticker)
    if market is not None and shard not in (None, market.shard):
        raise Refused(MARKET_NOT_FOUND)


def _check_route(call: Call, order_id: str, ticker: object, shard: int | None) -> None:
    """An order id alone, without the ticker that routes it, is looked for on shard 0."""
    order = call.member.orders.get(order_id)
    wanted = shard if shard is not None or ticker else 0
    if order is not None and wanted not in (None, order.market.shard):
        raise Refused(NOT_FOUND)


def _accepted(receipt: Receipt) -> Receipt:
    if receipt.refusal is not None:
        raise Refused(receipt.refusal)
    return receipt


def _batch_create(call: Call) -> Answer:
    """201 whatever the items say; each has its own error."""
    return Answer(201, {"orders": [_create_item(call, item) for item in _batch(call)]})


def _create_item(call: Call, item: Any) -> Json:  # noqa: ANN401 - JSON of a stranger
    try:
        return created_json(_submitted(call, item))
    except Refused as refused:
        named = item.get("client_order_id") if isinstance(item, dict) else None
        return {"client_order_id": named if isinstance(named, str) else "", "error": error_json(refused.refusal)}


def _batch(call: Call) -> list[Any]:
    orders = call.json().get("orders")
    if not isinstance(orders, list) or not orders:
        raise Refused(bad_request("orders: expected a list"))
    return orders


def batch_items(body: bytes) -> int:
    """How many orders a batch costs; an unreadable body costs one."""
    try:
        orders = orjson.loads(body).get("orders")
    except (orjson.JSONDecodeError, AttributeError):
        return 1
    return len(orders) if isinstance(orders, list) else 1


def _cancel(call: Call) -> Answer:
    _check_route(call, call.path["order_id"], call.text("market_ticker"), call.shard())
    receipt = call.exchange.cancel(call.member.name, call.path["order_id"])
    if receipt.refusal is not None:
        raise Refused(receipt.refusal)
    return ok(_canceled_json(receipt))


def _canceled_json(receipt: CancelReceipt) -> Json:
    order = receipt.order
    assert order is not None, "only live orders are canceled"
    return {
        "order_id": order.order_id,
        "client_order_id": order.client_order_id,
        "reduced_by": count_text(receipt.reduced_by),
        "ts_ms": receipt.at_ns // MILLISECOND,
    }


def _batch_cancel(call: Call) -> Answer:
    return ok({"orders": [_cancel_item(call, item) for item in _batch(call)]})


def _cancel_item(call: Call, item: Any) -> Json:  # noqa: ANN401 - JSON of a stranger
    order_id = item.get("order_id") if isinstance(item, dict) else None
    if not isinstance(order_id, str):
        raise Refused(bad_request("order_id: expected a string"))
    try:
        shard = read_place(call.exchange, item.get("subaccount"), item.get("exchange_index"))
        _check_route(call, order_id, item.get("market_ticker"), shard)
        receipt = call.exchange.cancel(call.member.name, order_id)
    except Refused as refused:
        return {"order_id": order_id, "reduced_by": "0.00", "error": error_json(refused.refusal)}
    if receipt.refusal is not None:
        return {"order_id": order_id, "reduced_by": "0.00", "error": error_json(receipt.refusal)}
    return _canceled_json(receipt)


def _cancel_all(call: Call) -> Answer:
    call.shard()
    if not call.exchange.venue.exchange_active:
        raise Refused(EXCHANGE_PAUSED)
    call.exchange.cancel_all(call.member.name)
    return Answer(204, None)


def _amend(call: Call) -> Answer:
    call.shard()
    body = call.json()
    change = read_amend(body)
    _check_shard(call, change.ticker, read_place(call.exchange, body.get("subaccount"), body.get("exchange_index")))
    order = call.member.orders.get(call.path["order_id"])
    resting = None if order is None else order.remaining
    return ok(amended_json(_accepted(call.exchange.amend(call.member.name, call.path["order_id"], change)), resting))


def _decrease(call: Call) -> Answer:
    body = call.json()
    by, to = read_decrease(body)
    place = read_place(call.exchange, body.get("subaccount"), body.get("exchange_index"))
    _check_route(call, call.path["order_id"], body.get("market_ticker"), call.shard() if place is None else place)
    receipt = call.exchange.decrease(call.member.name, call.path["order_id"], by=by, to=to)
    if receipt.refusal is not None or receipt.order is None:
        raise Refused(receipt.refusal or NOT_FOUND)
    return ok(
        {
            "order_id": receipt.order.order_id,
            "client_order_id": receipt.order.client_order_id,
            "remaining_count": count_text(receipt.order.remaining),
            "ts_ms": receipt.at_ns // MILLISECOND,
        }
    )


def _orders(call: Call) -> Answer:
    """Newest first. `min_ts`/`max_ts` filter by creation, in seconds."""
    shard = call.shard()
    ticker, events = call.text("ticker"), set(call.tickers("event_ticker", _EVENTS_MAX))
    status, low, high = call.text("status"), call.stamp("min_ts"), call.stamp("max_ts")
    if status and status not in [state.value for state in OrderState]:
        raise Refused(bad_request("invalid status filter"))
    if status == OrderState.RESTING and ticker:
        source = list(call.member.resting.get(ticker, {}).values())
    else:
        source = list(call.member.orders.values())
    found = [
        order
        for order in source
        if (not ticker or order.market.spec.ticker == ticker)
        and shard in (None, order.market.shard)
        and (not events or order.market.spec.event_ticker in events)
        and (not status or order.state == status)
        and (low is None or order.created_ns >= low)
        and (high is None or order.created_ns <= high)
    ]
    found.sort(key=_newest_first)
    shown, cursor = page(call, found, _newest_first)
    return ok({"orders": [order_json(order) for order in shown], "cursor": cursor})


def _newest_first(order: SimOrder) -> int:
    return -order.rank


def _own(call: Call) -> SimOrder:
    order = call.member.orders.get(call.path["order_id"])
    if order is None:
        raise Refused(NOT_FOUND)
    return order


def _order(call: Call) -> Answer:
    return ok({"order": order_json(_own(call))})


def _queue_position(call: Call) -> Answer:
    order = _own(call)
    if not order.booked:
        raise Refused(NOT_FOUND)
    return ok({"queue_position_fp": count_text(order.market.book.ahead_of(order))})


def _queue_positions(call: Call) -> Answer:
    tickers, event = set(call.tickers("market_tickers", 100)), call.text("event_ticker")
    if not tickers and not event:
        raise Refused(bad_request("market_tickers or event_ticker is required"))
    resting = [order for orders in call.member.resting.values() for order in orders.values()]
    return ok(
        {
            "queue_positions": [
                {
                    "order_id": order.order_id,
                    "market_ticker": order.market.spec.ticker,
                    "queue_position_fp": count_text(order.market.book.ahead_of(order)),
                }
                for order in resting
                if order.market.spec.ticker in tickers or order.market.spec.event_ticker == event
            ]
        }
    )


def _group_create(call: Call) -> Answer:
    body = call.json()
    shard = read_place(call.exchange, body.get("subaccount"), body.get("exchange_index")) or SHARD
    group = call.exchange.groups.create(call.member, read_group_limit(body), call.now_ns, shard)
    if isinstance(group, Refusal):
        raise Refused(group)
    return Answer(201, {"order_group_id": group.group_id, "subaccount": 0, "exchange_index": shard})


def _groups(call: Call) -> Answer:
    return ok({"order_groups": [group_json(group) for group in call.exchange.groups.of(call.member).values()]})


def _group(call: Call) -> Answer:
    desk = call.exchange.groups
    group = desk.of(call.member).get(call.path["order_group_id"])
    if group is None:
        raise Refused(GROUP_NOT_FOUND)
    body = group_json(group)
    del body["id"]
    body["orders"] = [order.order_id for order in desk.live_orders(group.group_id)]
    return ok(body)


def _done(refusal: Refusal | None) -> Answer:
    if refusal is not None:
        raise Refused(refusal)
    return ok({})


def _group_limit(call: Call) -> Answer:
    limit = read_group_limit(call.json())
    return _done(call.exchange.groups.set_limit(call.member, call.path["order_group_id"], limit, call.now_ns))


def _group_trigger(call: Call) -> Answer:
    return _done(call.exchange.groups.trigger(call.member, call.path["order_group_id"], call.now_ns))


def _group_reset(call: Call) -> Answer:
    return _done(call.exchange.groups.reset(call.member, call.path["order_group_id"], call.now_ns))


def _group_delete(call: Call) -> Answer:
    return _done(call.exchange.groups.delete(call.member, call.path["order_group_id"], call.now_ns))


def _legacy(_call: Call) -> Answer:
    raise Refused(_GONE)


_ORDERS: Final = "/portfolio/events/orders"
_GROUPS: Final = "/portfolio/order_groups"
_OLD: Final = "/portfolio/orders"
ORDER_ROUTES: Final = (
    Route("POST", _ORDERS, "create", _create),
    Route("POST", f"{_ORDERS}/batched", "batch_create", _batch_create, items=batch_items),
    Route("DELETE", f"{_ORDERS}/batched", "batch_cancel", _batch_cancel, items=batch_items),
    Route("DELETE", _ORDERS, "cancel_all", _cancel_all),
    Route("DELETE", f"{_ORDERS}/{{order_id}}", "cancel", _cancel),
    Route("POST", f"{_ORDERS}/{{order_id}}/amend", "amend", _amend),
    Route("POST", f"{_ORDERS}/{{order_id}}/decrease", "decrease", _decrease),
    Route("GET", _OLD, "orders", _orders),
    Route("GET", f"{_OLD}/queue_positions", "queue_positions", _queue_positions),
    Route("GET", f"{_OLD}/{{order_id}}", "order", _order),
    Route("GET", f"{_OLD}/{{order_id}}/queue_position", "queue_position", _queue_position),
    Route("POST", f"{_GROUPS}/create", "group_create", _group_create),
    Route("GET", _GROUPS, "groups", _groups),
    Route("GET", f"{_GROUPS}/{{order_group_id}}", "group", _group),
    Route("DELETE", f"{_GROUPS}/{{order_group_id}}", "group_delete", _group_delete),
    Route("PUT", f"{_GROUPS}/{{order_group_id}}/limit", "group_limit", _group_limit),
    Route("PUT", f"{_GROUPS}/{{order_group_id}}/trigger", "group_trigger", _group_trigger),
    Route("PUT", f"{_GROUPS}/{{order_group_id}}/reset", "group_reset", _group_reset),
    Route("POST", _OLD, "legacy", _legacy),
    Route("POST", f"{_OLD}/batched", "legacy", _legacy),
    Route("DELETE", f"{_OLD}/batched", "legacy", _legacy),
    Route("DELETE", f"{_OLD}/{{order_id}}", "legacy", _legacy),
    Route("POST", f"{_OLD}/{{order_id}}/amend", "legacy", _legacy),
    Route("POST", f"{_OLD}/{{order_id}}/decrease", "legacy", _legacy),
)
CANCELS: Final = frozenset({"cancel", "batch_cancel", "cancel_all"})
