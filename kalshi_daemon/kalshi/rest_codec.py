"""REST bodies: our orders as V2 requests, the venue's answers as values. No IO (docs/reference/venue.md 2.3-2.5, 9).

Prices and counts travel as decimal strings; JSON numbers there are refused by the venue and by us. Directions are read
from `book_side` alone. Prices are always on the YES scale: V2 has one YES-denominated book, nothing is complemented.
"""

import re
from collections.abc import Sequence
from typing import Any, Final

from kalshi_daemon.domain.events import Balance, CancelAck, CreateAck, ExchangeStatus, RemoteOrder
from kalshi_daemon.domain.order import Fill, NewOrder, OrderRef, Settlement, VenuePosition
from kalshi_daemon.ground.errors import MalformedField, MissingField, UnknownValue
from kalshi_daemon.ground.units import (
    PRICE_ONE,
    SECOND,
    Count,
    Dollars,
    Nanos,
    Price,
    complement,
    format_count,
    format_price,
    parse_dollars_ceil,
    parse_dollars_floor,
)
from kalshi_daemon.kalshi import fields
from kalshi_daemon.kalshi.fields import Json

ORDER_STATUSES: Final = ("resting", "canceled", "executed")
MARKET_RESULTS: Final = ("yes", "no", "scalar", "void")
_CLIENT_ORDER_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_HOME_SHARD: Final = 0
"""Index series live on exchange shard 0; collateral is per shard (docs/reference/venue.md 2.5, 7)."""


# --- requests ---------------------------------------------------------------------------------------------------------


def create_body(order: NewOrder, subaccount: int) -> Json:
    """One CreateOrderV2Request. Raises MalformedField on an order that must not be sent.

    Always good till cancelled with an expiry, post_only, cancelled on a pause, and `taker_at_cross`: when it would meet
    an order of ours, the newcomer dies and the resting one stays. `exchange_index` is left out: the venue routes by
    ticker (since 2026-08-27).
    """
    if order.expires_ns < SECOND:
        raise MalformedField("expires_ns", order.expires_ns, "a time on the wire's one-second grid")
    body: Json = {
        "ticker": _ticker(order.market_ticker),
        "client_order_id": _client_order_id(order.client_order_id),
        "side": order.side.value,
        "count": _wire_count(order.count),
        "price": _wire_price(order.price),
        "time_in_force": "good_till_canceled",
        "expiration_time": order.expires_ns // SECOND,
        "self_trade_prevention_type": "taker_at_cross",
        "post_only": True,
        "cancel_order_on_pause": True,
        "subaccount": subaccount,
    }
    if order.order_group_id is not None:
        body["order_group_id"] = order.order_group_id
    return body


def create_batch_body(orders: Sequence[NewOrder], subaccount: int) -> Json:
    """The body of a batched create. Raises MalformedField."""
    return {"orders": [create_body(order, subaccount) for order in orders]}


def cancel_batch_body(orders: Sequence[OrderRef], subaccount: int) -> Json:
    """A batched cancel; the ticker makes the venue route each cancel, an order id alone would mean shard 0."""
    return {
        "orders": [
            {"order_id": order.order_id, "market_ticker": _ticker(order.market_ticker), "subaccount": subaccount}
            for order in orders
        ]
    }


def amend_body(order: NewOrder, total_count: Count, price: Price, expires_ns: Nanos) -> Json:
    """An AmendOrderV2Request: `count` is the total fillable, filled plus wanted remainder.

    Source: docs/reference/venue.md 2.3. Raises MalformedField.
    """
    if expires_ns < SECOND:
        raise MalformedField("expires_ns", expires_ns, "a time on the wire's one-second grid")
    return {
        "ticker": _ticker(order.market_ticker),
        "side": order.side.value,
        "price": _wire_price(price),
        "count": _wire_count(total_count),
        "client_order_id": _client_order_id(order.client_order_id),
        "expiration_time": expires_ns // SECOND,
    }


def order_group_body(contracts_limit: Count, subaccount: int) -> Json:
    """The body of the create of a group. Raises MalformedField for a limit of nought."""
    if contracts_limit <= 0:
        raise MalformedField("contracts_limit", contracts_limit, "a positive count")
    return {"contracts_limit_fp": format_count(contracts_limit), "subaccount": subaccount}


# --- answers to writes ------------------------------------------------------------------------------------------------


def create_ack(obj: Json, client_order_id: str) -> CreateAck:
    """A create answer, single or batch item. Raises MalformedData, also when it names another client order id."""
    echoed = fields.optional_identifier(obj, "client_order_id", "create")
    if echoed is not None and echoed != client_order_id:
        raise MalformedField("create.client_order_id", echoed, f"the one that was sent, {client_order_id}")
    return CreateAck(
        client_order_id=client_order_id,
        order_id=fields.identifier(obj, "order_id", "create"),
        filled=fields.size(obj, "fill_count", "create"),
        remaining=fields.size(obj, "remaining_count", "create"),
        event_ns=fields.ms(obj, "ts_ms", "create"),
    )


def cancel_ack(obj: Json, order_id: str) -> CancelAck:
    """A cancel answer. Raises MalformedData, also when it describes another order (docs/reference/venue.md 8)."""
    echo_of_order(obj, order_id, "cancel")
    return CancelAck(
        order_id=order_id,
        reduced_by=fields.size(obj, "reduced_by", "cancel"),
        event_ns=fields.ms(obj, "ts_ms", "cancel"),
    )


def echo_of_order(obj: Json, order_id: str, where: str) -> None:
    """Raise MalformedData unless the answer is about `order_id`."""
    echoed = fields.identifier(obj, "order_id", where)
    if echoed != order_id:
        raise MalformedField(f"{where}.order_id", echoed, f"the order asked about, {order_id}")


def pair_items(wanted: Sequence[str], items: Sequence[Json], key: str) -> list[Json | None]:
    """The item of a batch answer for each id asked for, or None where none can be told for certain.

    Items are matched by the id they carry. An item without an id (an error may have none) counts by its position, and
    only when the answer has as many items as the request. An id that appears twice counts for nobody, the key's as well
    as the exchange's order id.
    """
    if key != "order_id":
        items = [_without_shared_ids(item, items) for item in items]
    carried = [item.get(key) or None for item in items]
    by_id = {name: item for name, item in zip(carried, items, strict=True) if isinstance(name, str)}
    same_length = len(items) == len(wanted)
    paired: list[Json | None] = []
    for position, name in enumerate(wanted):
        if name in by_id:
            paired.append(by_id[name] if carried.count(name) == 1 else None)
        else:
            paired.append(items[position] if same_length and carried[position] is None else None)
    return paired


def _without_shared_ids(item: Json, items: Sequence[Json]) -> Json:
    """An item as it is, or without its order id when another item has the same: two orders cannot share one.

    Whoever decodes it then lacks the order id, and the outcome is unknown: nobody can say whose the id is.
    """
    name = item.get("order_id")
    shared = name not in (None, "") and sum(other.get("order_id") == name for other in items) > 1
    return {key: value for key, value in item.items() if key != "order_id"} if shared else item


# --- answers to reads -------------------------------------------------------------------------------------------------


def remote_order(obj: Json) -> RemoteOrder:
    """An order of `GET /portfolio/orders`. Raises UnknownValue and MalformedField."""
    status = fields.text(obj, "status", "order")
    if status not in ORDER_STATUSES:
        raise UnknownValue("order.status", status, ORDER_STATUSES)
    return RemoteOrder(
        order_id=fields.identifier(obj, "order_id", "order"),
        # Empty for orders placed by hand: still ours to see, so not an error.
        client_order_id=fields.optional_identifier(obj, "client_order_id", "order") or "",
        market_ticker=fields.identifier(obj, "ticker", "order"),
        status=status,
        side=fields.book_side(obj, "order"),
        price=fields.price(obj, "yes_price_dollars", "order"),
        initial=fields.size(obj, "initial_count_fp", "order"),
        filled=fields.size(obj, "fill_count_fp", "order"),
        remaining=fields.size(obj, "remaining_count_fp", "order"),
        expires_ns=fields.optional_time(obj, "expiration_time", "order"),
        subaccount=fields.optional_integer(obj, "subaccount_number", "order"),
    )


def fill(obj: Json) -> Fill:
    """A fill of `GET /portfolio/fills`; it names no client order id (removed 2026-03), join on `order_id`."""
    return Fill(
        trade_id=fields.identifier(obj, "trade_id", "fill"),
        order_id=fields.identifier(obj, "order_id", "fill"),
        market_ticker=fields.identifier(obj, "ticker" if obj.get("ticker") else "market_ticker", "fill"),
        side=fields.book_side(obj, "fill"),
        price=fields.price(obj, "yes_price_dollars", "fill"),
        count=fields.size(obj, "count_fp", "fill"),
        fee=fee(obj, "fee_cost", "fill"),
        is_taker=fields.flag(obj, "is_taker", "fill"),
        event_ns=_fill_time(obj),
    )


def _fill_time(obj: Json) -> Nanos:
    if obj.get("ts_ms") is not None:
        return fields.ms(obj, "ts_ms", "fill")
    if obj.get("created_time") is not None:
        return fields.time_at(obj, "created_time", "fill")
    return fields.seconds(obj, "ts", "fill")


def position(obj: Json) -> VenuePosition:
    """A market position; the count is signed, + YES and - NO."""
    return VenuePosition(
        market_ticker=fields.identifier(obj, "ticker", "position"),
        count=fields.count(obj, "position_fp", "position"),
        fees=fee(obj, "fees_paid_dollars", "position"),
        realized_pnl=dollars_floor(obj, "realized_pnl_dollars", "position"),
    )


def settlement(obj: Json) -> Settlement:
    """A settlement; `revenue` is one of the few amounts that stayed in integer cents (docs/reference/venue.md 6).

    Raises UnknownValue and MalformedField.
    """
    result = fields.text(obj, "market_result", "settlement")
    if result not in MARKET_RESULTS:
        raise UnknownValue("settlement.market_result", result, MARKET_RESULTS)
    return Settlement(
        market_ticker=fields.identifier(obj, "ticker", "settlement"),
        event_ticker=fields.identifier(obj, "event_ticker", "settlement"),
        result=result,
        yes_count=fields.size(obj, "yes_count_fp", "settlement"),
        no_count=fields.size(obj, "no_count_fp", "settlement"),
        revenue=Dollars(fields.cents(obj, "revenue", "settlement")),
        fee=fee(obj, "fee_cost", "settlement"),
        settled_ns=fields.time_at(obj, "settled_time", "settlement"),
    )


def balance(obj: Json, read_ns: Nanos) -> Balance:
    """Cash and portfolio value of the answer; the request asks for our shard. `balance` in cents is truncated."""
    return Balance(
        cash=dollars_floor(obj, "balance_dollars", "balance"),
        portfolio_value=Dollars(fields.cents(obj, "portfolio_value", "balance")),
        read_ns=read_ns,
    )


def exchange_status(obj: Json, read_ns: Nanos) -> ExchangeStatus:
    """The exchange and its shards. Top level is shard 0; a listed shard 0 may only close it further.

    Of another shard a flag that is absent or not a boolean counts as closed: it must not cost shard 0 its answer.
    """
    exchange_active = fields.flag(obj, "exchange_active", "exchange_status")
    trading_active = fields.flag(obj, "trading_active", "exchange_status")
    others: dict[int, tuple[bool, bool]] = {}
    for item in fields.as_array(obj.get("exchange_index_statuses") or [], "exchange_status.exchange_index_statuses"):
        shard = fields.as_object(item, "exchange_status.exchange_index_statuses")
        number = fields.integer(shard, "exchange_index", "exchange_index_status")
        if number == _HOME_SHARD:
            exchange_active = exchange_active and fields.flag(shard, "exchange_active", "exchange_index_status")
            trading_active = trading_active and fields.flag(shard, "trading_active", "exchange_index_status")
            continue
        flags = shard.get("exchange_active") is True, shard.get("trading_active") is True
        before = others.get(number, (True, True))
        others[number] = flags[0] and before[0], flags[1] and before[1]
    rows = tuple((number, *flags) for number, flags in sorted(others.items()))
    return ExchangeStatus(exchange_active, trading_active, read_ns, rows)


# --- amounts ----------------------------------------------------------------------------------------------------------


def fee(obj: Json, key: str, where: str) -> Dollars:
    """A fee of up to six decimals, rounded up to 1/10 000 dollar: never less than what was charged."""
    return parse_dollars_ceil(fields.need(obj, key, where), f"{where}.{key}")


def dollars_floor(obj: Json, key: str, where: str) -> Dollars:
    """An amount of up to six decimals, rounded down to 1/10 000 dollar: never more than there is."""
    return parse_dollars_floor(fields.need(obj, key, where), f"{where}.{key}")


def _wire_price(value: Price) -> str:
    if not 0 < value < PRICE_ONE:
        raise MalformedField("price", value, "a price strictly between 0 and 1 dollar")
    return format_price(value)


def _wire_count(value: Count) -> str:
    if value <= 0:
        raise MalformedField("count", value, "a positive count")
    return format_count(value)


def _client_order_id(value: str) -> str:
    if not _CLIENT_ORDER_ID.fullmatch(value):
        raise MalformedField("client_order_id", value, "1 to 64 of A-Z a-z 0-9 _ -")
    return value


def _ticker(value: Any) -> str:  # noqa: ANN401 - whatever a caller managed to put there
    if not isinstance(value, str) or not value:
        raise MissingField("market_ticker", "request")
    return value


def order_book(obj: Json) -> tuple[dict[Price, Count], dict[Price, Count]]:
    """Bids and asks of a REST book on the YES scale: `yes_dollars` and `no_dollars`, bids both.

    Source: docs/reference/venue.md 2.2.

    NO levels are in NO prices here whatever the websocket was asked for. Raises MalformedData.
    """
    bids, nos = (_book_side(obj, key) for key in ("yes_dollars", "no_dollars"))
    return bids, {complement(price): count for price, count in nos.items()}


def _book_side(obj: Json, key: str) -> dict[Price, Count]:
    levels: dict[Price, Count] = {}
    for pair in fields.as_array(fields.need(obj, key, "orderbook"), f"orderbook.{key}"):
        if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(part, str) for part in pair):  # noqa: PLR2004 - a level is [price, count]
            raise MalformedField(f"orderbook.{key}", pair, "a [price, count] pair of strings")
        price, count = fields.book_price(pair[0]), fields.book_count(pair[1])
        if count <= 0 or price in levels:
            raise MalformedField(f"orderbook.{key}", pair, "each price once, with contracts")
        levels[price] = count
    return levels
