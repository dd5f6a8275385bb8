"""Websocket frames: commands out, events in. No IO (docs/reference/venue.md 5).

Every decoded frame is a VenueEvent or one of the control frames below. Levels of the NO side are complemented here and
only here, unless the subscription asked for the YES scale; a side whose key is absent is an empty side. Unknown frame
types become Ignored, so that a new message of the venue is not an outage; unknown keys are skipped.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from kalshi_daemon.domain.events import (
    BookDelta,
    BookSnapshot,
    EventFeeUpdate,
    FillEvent,
    MarketLifecycle,
    OrderGroupUpdate,
    UserOrder,
    VenueEvent,
)
from kalshi_daemon.domain.order import Fill
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.errors import MalformedData, MalformedField, UnknownValue
from kalshi_daemon.ground.units import Count, Nanos, Price, complement
from kalshi_daemon.kalshi import fields, rest_codec
from kalshi_daemon.kalshi.fields import Json

ORDERBOOK_CHANNEL: Final = "orderbook_delta"
PRIVATE_CHANNELS: Final = ("fill", "user_orders", "market_lifecycle_v2", "order_group_updates")
"""`event_fee_update` and `event_lifecycle` arrive on `market_lifecycle_v2`; they are no channels of their own."""

FEE_MULTIPLIER_MAX: Final = 1_000.0
"""Far beyond any fee the venue has charged; a number above it is none."""
ERROR_CHANNEL: Final = 10
ERROR_OVERFLOW: Final = 25
TERMINAL_ERRORS: Final = frozenset({ERROR_CHANNEL, ERROR_OVERFLOW})
"""The subscription is dead and must be made again."""
ERROR_TOO_MANY_REQUESTS: Final = 27


@dataclass(frozen=True, slots=True)
class Subscribed:
    """A channel was subscribed; carries no seq."""

    command_id: int | None
    channel: str
    sid: int


@dataclass(frozen=True, slots=True)
class Ok:
    """A command was carried out; `market_tickers` is the subscription's full list afterwards when it was sent."""

    command_id: int | None
    market_tickers: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Unsubscribed:
    """A subscription ended on our wish."""

    command_id: int | None
    sid: int


@dataclass(frozen=True, slots=True)
class StreamError:
    """An error frame; with a sid it belongs to a subscription, and its seq counts."""

    command_id: int | None
    sid: int | None
    code: int
    message: str
    market_tickers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ignored:
    """A frame we have no use for (ticker, trade, event_lifecycle, anything new)."""

    type: str


type ControlFrame = Subscribed | Ok | Unsubscribed | StreamError | Ignored


@dataclass(frozen=True, slots=True)
class Frame:
    """One decoded frame with the numbers of its envelope."""

    sid: int | None
    seq: int | None
    body: VenueEvent | ControlFrame


# --- commands ---------------------------------------------------------------------------------------------------------


def subscribe_command(command_id: int, channels: Sequence[str]) -> bytes:
    """Subscribe to channels that need no markets."""
    return _command(command_id, "subscribe", {"channels": list(channels)})


def subscribe_books_command(command_id: int, market_tickers: Sequence[str], *, use_yes_price: bool) -> bytes:
    """`use_yes_price` is always written out: the venue's default will flip (docs/reference/venue.md 5)."""
    params = {
        "channels": [ORDERBOOK_CHANNEL],
        "market_tickers": list(market_tickers),
        "use_yes_price": use_yes_price,
    }
    return _command(command_id, "subscribe", params)


def update_command(command_id: int, sid: int, action: str, market_tickers: Sequence[str]) -> bytes:
    """`action` is add_markets, delete_markets or get_snapshot."""
    params = {"sids": [sid], "action": action, "market_tickers": list(market_tickers)}
    return _command(command_id, "update_subscription", params)


def unsubscribe_command(command_id: int, sid: int) -> bytes:
    """End one subscription."""
    return _command(command_id, "unsubscribe", {"sids": [sid]})


def _command(command_id: int, cmd: str, params: Json) -> bytes:
    return orjson.dumps({"id": command_id, "cmd": cmd, "params": params})


# --- frames -----------------------------------------------------------------------------------------------------------


def any_ticker(_ticker: str) -> bool:
    """Every market is ours."""
    return True


def decode_frame(
    raw: bytes | str, recv_ns: Nanos, *, use_yes_price: bool, is_ours: Callable[[str], bool] = any_ticker
) -> Frame:
    """Decode one text frame received at `recv_ns`. Raises MalformedData; a frame is decoded whole or not at all.

    `is_ours` tells by its market or event ticker. Public news about markets that are not ours and cannot be read is
    Ignored: the lifecycle channel tells of every market of the venue, in whatever form theirs takes.
    """
    obj = fields.as_object(fields.loads(raw, "frame"), "frame")
    kind = fields.text(obj, "type", "frame")
    sid = fields.optional_integer(obj, "sid", "frame")
    seq = fields.optional_integer(obj, "seq", "frame")
    body: VenueEvent | ControlFrame
    if kind == "orderbook_delta":
        body = _delta(obj, sid, seq, recv_ns, yes_scale=use_yes_price)
    elif kind == "orderbook_snapshot":
        body = _snapshot(obj, sid, seq, recv_ns, yes_scale=use_yes_price)
    elif kind in _CONTROL:
        body = _CONTROL[kind](obj)
    elif kind in _EVENTS:
        body = _event(kind, _msg(obj), recv_ns, is_ours)
    else:
        body = Ignored(kind)
    return Frame(sid, seq, body)


def _event(kind: str, msg: Json, recv_ns: Nanos, is_ours: Callable[[str], bool]) -> VenueEvent | Ignored:
    try:
        return _EVENTS[kind](msg, recv_ns)
    except MalformedData:
        ticker = msg.get("market_ticker") or msg.get("event_ticker")
        if kind in _PUBLIC and isinstance(ticker, str) and not is_ours(ticker):
            return Ignored(kind)
        raise


def _msg(obj: Json) -> Json:
    return fields.as_object(fields.need(obj, "msg", "frame"), "frame.msg")


def _sequenced(sid: int | None, seq: int | None, where: str) -> tuple[int, int]:
    if sid is None or seq is None:
        raise MalformedField(where, (sid, seq), "a frame with sid and seq")
    return sid, seq


def _level_price(wire: object, where: str) -> Price:
    if not isinstance(wire, str):
        raise MalformedField(where, wire, "a decimal string")
    return fields.book_price(wire)


def _level_count(wire: object, where: str) -> Count:
    if not isinstance(wire, str):
        raise MalformedField(where, wire, "a decimal string")
    return fields.book_count(wire)


def _levels(msg: Json, key: str, *, flip: bool) -> tuple[tuple[Price, Count], ...]:
    levels: dict[Price, Count] = {}
    for pair in fields.as_array(msg.get(key) or [], key):
        if not isinstance(pair, list) or len(pair) != 2:  # noqa: PLR2004 - a level is [price, count]
            raise MalformedField(key, pair, "a [price, count] pair")
        price, count = _level_price(pair[0], key), _level_count(pair[1], key)
        if count <= 0 or price in levels:
            raise MalformedField(key, pair, "each price once, with contracts")
        levels[price] = count
    return tuple((complement(price) if flip else price, count) for price, count in levels.items())


def _snapshot(obj: Json, sid: int | None, seq: int | None, recv_ns: Nanos, *, yes_scale: bool) -> BookSnapshot:
    msg = _msg(obj)
    sid, seq = _sequenced(sid, seq, "orderbook_snapshot")
    return BookSnapshot(
        sid=sid,
        seq=seq,
        market_ticker=fields.identifier(msg, "market_ticker", "orderbook_snapshot"),
        bids=_levels(msg, "yes_dollars_fp", flip=False),
        asks=_levels(msg, "no_dollars_fp", flip=not yes_scale),
        recv_ns=recv_ns,
        command_id=fields.optional_integer(obj, "id", "orderbook_snapshot") or None,
    )


def _delta(obj: Json, sid: int | None, seq: int | None, recv_ns: Nanos, *, yes_scale: bool) -> BookDelta:
    msg = _msg(obj)
    sid, seq = _sequenced(sid, seq, "orderbook_delta")
    price = _level_price(fields.need(msg, "price_dollars", "orderbook_delta"), "orderbook_delta.price_dollars")
    outcome = fields.text(msg, "side", "orderbook_delta")
    if outcome == "yes":
        side = Side.BID
    elif outcome == "no":
        side = Side.ASK
        price = price if yes_scale else complement(price)
    else:
        raise UnknownValue("orderbook_delta.side", outcome, ("yes", "no"))
    return BookDelta(
        sid=sid,
        seq=seq,
        market_ticker=fields.identifier(msg, "market_ticker", "orderbook_delta"),
        side=side,
        price=price,
        delta=_level_count(fields.need(msg, "delta_fp", "orderbook_delta"), "orderbook_delta.delta_fp"),
        event_ns=_delta_time(msg),
        recv_ns=recv_ns,
        own_client_order_id=fields.optional_identifier(msg, "client_order_id", "orderbook_delta"),
    )


def _delta_time(msg: Json) -> Nanos | None:
    if msg.get("ts_ms") is not None:
        return fields.ms(msg, "ts_ms", "orderbook_delta")
    return fields.optional_time(msg, "ts", "orderbook_delta")


def _fill(msg: Json, recv_ns: Nanos) -> FillEvent:
    """`post_position_fp` is the venue's net position after this fill: authoritative (docs/reference/venue.md 5)."""
    fill = Fill(
        trade_id=fields.identifier(msg, "trade_id", "fill"),
        order_id=fields.identifier(msg, "order_id", "fill"),
        market_ticker=fields.identifier(msg, "market_ticker", "fill"),
        side=fields.book_side(msg, "fill"),
        price=fields.price(msg, "yes_price_dollars", "fill"),
        count=fields.size(msg, "count_fp", "fill"),
        fee=rest_codec.fee(msg, "fee_cost", "fill"),
        is_taker=fields.flag(msg, "is_taker", "fill"),
        event_ns=fields.ms(msg, "ts_ms", "fill"),
        client_order_id=fields.optional_identifier(msg, "client_order_id", "fill"),
        post_position=None if msg.get("post_position_fp") is None else fields.count(msg, "post_position_fp", "fill"),
    )
    return FillEvent(fill, recv_ns)


def _user_order(msg: Json, recv_ns: Nanos) -> UserOrder:
    status = fields.text(msg, "status", "user_order")
    if status not in rest_codec.ORDER_STATUSES:
        raise UnknownValue("user_order.status", status, rest_codec.ORDER_STATUSES)
    stamp = "created_ts_ms" if msg.get("last_updated_ts_ms") is None else "last_updated_ts_ms"
    return UserOrder(
        order_id=fields.identifier(msg, "order_id", "user_order"),
        client_order_id=fields.optional_identifier(msg, "client_order_id", "user_order") or "",
        market_ticker=fields.identifier(msg, "ticker", "user_order"),
        status=status,
        side=fields.book_side(msg, "user_order"),
        price=fields.price(msg, "yes_price_dollars", "user_order"),
        initial=fields.size(msg, "initial_count_fp", "user_order"),
        filled=fields.size(msg, "fill_count_fp", "user_order"),
        remaining=fields.size(msg, "remaining_count_fp", "user_order"),
        event_ns=fields.ms(msg, stamp, "user_order"),
        recv_ns=recv_ns,
        reason=fields.optional_text(msg, "last_update_reason", "user_order") or "",
    )


def _lifecycle(msg: Json, recv_ns: Nanos) -> MarketLifecycle:
    """Any event_type passes: consumers act on the ones they know. `settlement_value` is what a YES contract pays."""
    closes = msg.get("close_ts") is not None
    pays = msg.get("settlement_value")
    return MarketLifecycle(
        event_type=fields.text(msg, "event_type", "market_lifecycle_v2"),
        market_ticker=fields.identifier(msg, "market_ticker", "market_lifecycle_v2"),
        recv_ns=recv_ns,
        close_ns=fields.seconds(msg, "close_ts", "market_lifecycle_v2") if closes else None,
        result=fields.optional_text(msg, "result", "market_lifecycle_v2"),
        settlement_value=None if pays in (None, "") else fields.price(msg, "settlement_value", "market_lifecycle_v2"),
    )


def _event_fee(msg: Json, recv_ns: Nanos) -> EventFeeUpdate:
    """Null clears the override; both keys must be there, for an absent one says nothing."""
    for key in ("fee_type_override", "fee_multiplier_override"):
        if key not in msg:
            fields.need(msg, key, "event_fee_update")
    multiplier = msg["fee_multiplier_override"]
    return EventFeeUpdate(
        event_ticker=fields.identifier(msg, "event_ticker", "event_fee_update"),
        fee_type=fields.optional_text(msg, "fee_type_override", "event_fee_update"),
        fee_multiplier=None
        if multiplier is None
        else fields.number(msg, "fee_multiplier_override", "event_fee_update", high=FEE_MULTIPLIER_MAX),
        recv_ns=recv_ns,
    )


def _order_group(msg: Json, recv_ns: Nanos) -> OrderGroupUpdate:
    return OrderGroupUpdate(
        event_type=fields.text(msg, "event_type", "order_group_updates"),
        order_group_id=fields.identifier(msg, "order_group_id", "order_group_updates"),
        recv_ns=recv_ns,
    )


def _subscribed(obj: Json) -> Subscribed:
    msg = _msg(obj)
    return Subscribed(
        command_id=fields.optional_integer(obj, "id", "subscribed"),
        channel=fields.text(msg, "channel", "subscribed"),
        sid=fields.integer(msg, "sid", "subscribed"),
    )


def _ok(obj: Json) -> Ok:
    msg = obj.get("msg")
    listed = msg.get("market_tickers") if isinstance(msg, dict) else None
    tickers = None if listed is None else tuple(str(ticker) for ticker in fields.as_array(listed, "ok.market_tickers"))
    return Ok(fields.optional_integer(obj, "id", "ok"), tickers)


def _unsubscribed(obj: Json) -> Unsubscribed:
    return Unsubscribed(fields.optional_integer(obj, "id", "unsubscribed"), fields.integer(obj, "sid", "unsubscribed"))


def _error(obj: Json) -> StreamError:
    msg = _msg(obj)
    named: list[Any] = [msg.get("market_ticker"), *fields.as_array(msg.get("market_tickers") or [], "error")]
    return StreamError(
        # 0 and absent both mean "no command" (docs/reference/venue.md 5).
        command_id=fields.optional_integer(obj, "id", "error") or None,
        sid=fields.optional_integer(obj, "sid", "error"),
        code=fields.integer(msg, "code", "error"),
        message=str(msg.get("msg") or ""),
        market_tickers=tuple(ticker for ticker in named if isinstance(ticker, str)),
    )


_CONTROL: Final[dict[str, Callable[[Json], ControlFrame]]] = {
    "subscribed": _subscribed,
    "ok": _ok,
    "unsubscribed": _unsubscribed,
    "error": _error,
}
_EVENTS: Final[dict[str, Callable[[Json, Nanos], VenueEvent]]] = {
    "fill": _fill,
    "user_order": _user_order,
    "market_lifecycle_v2": _lifecycle,
    "event_fee_update": _event_fee,
    "order_group_updates": _order_group,
}
_PUBLIC: Final = frozenset({"market_lifecycle_v2", "event_fee_update"})
"""News about every market; what the other kinds say is about our account."""
