"""The venue's and the vendor's messages by the oracle: frames, answers, listed objects, index values."""

from typing import Any, Final

from tests.fuzz import oracle as o

_SIDE: Final = o.among("bid", "ask")
_ORDER_STATUS: Final = o.among("resting", "canceled", "executed")
_ENVELOPE: Final = {"sid": o.maybe(o.whole), "seq": o.maybe(o.whole)}
_SEQUENCED: Final = {"sid": o.whole, "seq": o.whole}

FRAMES: Final[dict[str, dict[str, Any]]] = {
    "BookDelta": {
        "market_ticker": o.text, "price_dollars": o.price, "delta_fp": o.count, "side": o.among("yes", "no"),
        "client_order_id": o.optional_text,
    },
    "BookSnapshot": {"market_ticker": o.text},
    "FillEvent": {
        "trade_id": o.text, "order_id": o.text, "market_ticker": o.text, "book_side": _SIDE,
        "yes_price_dollars": o.price, "count_fp": o.size, "fee_cost": o.money, "is_taker": o.flag,
        "ts_ms": o.milliseconds, "post_position_fp": o.maybe(o.count), "client_order_id": o.optional_text,
    },
    "UserOrder": {
        "order_id": o.text, "ticker": o.text, "status": _ORDER_STATUS, "book_side": _SIDE,
        "yes_price_dollars": o.price, "initial_count_fp": o.size, "fill_count_fp": o.size,
        "remaining_count_fp": o.size, "last_updated_ts_ms": o.maybe(o.milliseconds),
        "client_order_id": o.optional_text,
    },
    "MarketLifecycle": {
        "market_ticker": o.text, "event_type": o.text, "close_ts": o.maybe(o.seconds), "result": o.optional_text,
        "settlement_value": o.maybe(o.price, ""),
    },
    "EventFeeUpdate": {
        "event_ticker": o.text, "fee_type_override": o.optional_text,
        "fee_multiplier_override": o.maybe(lambda value: o.number(value, 0.0, 1e6)),
    },
    "OrderGroupUpdate": {"event_type": o.text, "order_group_id": o.text},
}  # fmt: skip


def frame(raw: bytes, kind: str) -> None:
    """`kind`: the class of what the product made of the frame; control frames and ignored ones are free."""
    checks = FRAMES.get(kind)
    if checks is None:
        return
    outer = o.document(raw)
    book = kind in {"BookDelta", "BookSnapshot"}
    o.fields(outer, _SEQUENCED if book else _ENVELOPE)
    msg = o.fields(o.thing(outer).get("msg"), checks)
    if kind == "BookSnapshot":
        for key in ("yes_dollars_fp", "no_dollars_fp"):
            levels(msg.get(key) or [])
    if kind == "BookDelta" and msg.get("ts_ms") is not None:
        o.milliseconds(msg["ts_ms"])
    elif kind == "BookDelta":
        o.maybe(o.rfc3339, "")(msg.get("ts"))
    if kind == "UserOrder" and msg.get("last_updated_ts_ms") is None:
        o.milliseconds(msg.get("created_ts_ms"))


def levels(pairs: Any) -> None:
    """Each price once, with contracts."""
    o.must(isinstance(pairs, list), "no list")
    seen = set()
    for pair in pairs:
        o.must(isinstance(pair, list) and len(pair) == 2, "no pair")
        o.must(o.size(pair[1]) > 0, "an empty level")
        price = o.price(pair[0])
        o.must(price not in seen, "a level twice")
        seen.add(price)


ANSWERS: Final[dict[str, dict[str, Any]]] = {
    "remote_order": {
        "order_id": o.text, "ticker": o.text, "status": _ORDER_STATUS, "book_side": _SIDE,
        "yes_price_dollars": o.price, "initial_count_fp": o.size, "fill_count_fp": o.size,
        "remaining_count_fp": o.size, "expiration_time": o.maybe(o.rfc3339, ""),
        "subaccount_number": o.maybe(o.whole), "client_order_id": o.optional_text,
    },
    "fill": {
        "trade_id": o.text, "order_id": o.text, "book_side": _SIDE, "yes_price_dollars": o.price, "count_fp": o.size,
        "fee_cost": o.money, "is_taker": o.flag,
    },
    "position": {
        "ticker": o.text, "position_fp": o.count, "fees_paid_dollars": o.money, "realized_pnl_dollars": o.money,
    },
    "settlement": {
        "ticker": o.text, "event_ticker": o.text, "market_result": o.among("yes", "no", "scalar", "void"),
        "yes_count_fp": o.size, "no_count_fp": o.size, "revenue": o.cents, "fee_cost": o.money,
        "settled_time": o.rfc3339,
    },
    "balance": {"balance_dollars": o.money, "portfolio_value": o.cents},
    "exchange_status": {"exchange_active": o.flag, "trading_active": o.flag},
    "order_book": {},
    "create_ack": {
        "order_id": o.text, "fill_count": o.size, "remaining_count": o.size, "ts_ms": o.milliseconds,
        "client_order_id": o.optional_text,
    },
    "cancel_ack": {"order_id": o.text, "reduced_by": o.size, "ts_ms": o.milliseconds},
}  # fmt: skip


def answer(raw: bytes, kind: str) -> None:
    """A REST object that the codec `kind` has accepted."""
    obj = o.fields(o.document(raw), ANSWERS[kind])
    if kind == "fill":
        o.text(obj.get("ticker") or obj.get("market_ticker"))
        if obj.get("ts_ms") is not None:
            o.milliseconds(obj["ts_ms"])
        elif obj.get("created_time") is not None:
            o.rfc3339(obj["created_time"])
        else:
            o.seconds(obj.get("ts"))
    if kind == "order_book":
        for key in ("yes_dollars", "no_dollars"):
            levels(obj.get(key))


_STRIKES: Final = {
    "greater": ("floor_strike",), "greater_or_equal": ("floor_strike",), "less": ("cap_strike",),
    "less_or_equal": ("cap_strike",), "between": ("floor_strike", "cap_strike"),
}  # fmt: skip


def market(raw: bytes) -> None:
    """A listed market that became one of ours."""
    obj = o.fields(
        o.document(raw),
        {
            "ticker": o.text,
            "event_ticker": o.text,
            "close_time": o.rfc3339,
            "open_time": o.rfc3339,
            "result": o.among("", "yes", "no"),
            "status": o.text,
            "strike_type": o.among(*_STRIKES),
            "exchange_index": o.maybe(lambda value: o.whole(value, 0, 1_000_000)),
        },
    )
    o.must(str(obj["event_ticker"]).partition("-")[0] in {"KXINXU", "KXINX", "KXNASDAQ100U", "KXNASDAQ100"}, "not ours")
    for name in _STRIKES[obj["strike_type"]]:
        o.level(obj.get(name))
    bands = obj.get("price_ranges")
    o.must(isinstance(bands, list) and len(bands) > 0, "no grid")
    for band in bands or ():
        low, high, step = (o.price(o.thing(band).get(name)) for name in ("start", "end", "step"))
        o.must(low < high and step > 0, "no band")


def series(raw: bytes) -> None:
    """A series whose fees were read."""
    obj = o.fields(o.document(raw), {"fee_type": o.text})
    multiplier = obj.get("fee_multiplier")
    if isinstance(multiplier, str):
        o.decimal(multiplier, 9, 0, 1_000_000)
    else:
        o.number(multiplier, 0.0, 1e6)


_TICKERS: Final = {"I:SPX": "SPX", "I:NDX": "NDX"}


def _stamp(value: Any) -> int:
    """The vendor has sent integers as 12.0."""
    if isinstance(value, float):
        o.must(value.is_integer(), "no integer")
        value = int(value)
    o.milliseconds(value)
    return int(value)


def values(raw: bytes) -> list[tuple[str, str, int, float]]:
    """What may come out of a frame of the feed: (channel, index, stamp in ms, last price) of every item in order."""
    found = o.document(raw)
    allowed = []
    for item in found if isinstance(found, list) else [found]:
        try:
            one = _value(o.thing(item))
        except o.Refused:
            continue
        if one is not None:
            allowed.append(one)
    return allowed


def _value(item: Any) -> tuple[str, str, int, float] | None:
    kind = item.get("ev")
    index = _TICKERS.get(str(item.get("T" if kind == "V" else "sym")))
    if index is None:
        return None
    if kind == "V":
        o.points(item.get("val"))
        return "V", index, _stamp(item.get("t")), float(item["val"])
    if kind in ("A", "AM"):
        for name in ("o", "h", "l", "c"):
            o.points(item.get(name))
        o.must(item["l"] <= item["h"] * (1 + 1e-6), "low above high")
        start, end = _stamp(item.get("s")), _stamp(item.get("e"))
        o.must(start <= end, "ends before it starts")
        return str(kind), index, start, float(item["c"])
    return None
