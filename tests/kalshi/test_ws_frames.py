"""Websocket frames: commands as documented, events read strictly, NO levels on the right scale."""

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_daemon.domain.events import (
    BookDelta,
    BookSnapshot,
    EventFeeUpdate,
    FillEvent,
    MarketLifecycle,
    OrderGroupUpdate,
    UserOrder,
)
from kalshi_daemon.domain.order import Fill
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.errors import MalformedData, MissingField, UnknownValue
from kalshi_daemon.ground.units import SECOND, Count, Dollars, Nanos, Price, format_price
from kalshi_daemon.kalshi import ws_codec

AT = Nanos(123)


def decode(frame: dict, *, yes_scale: bool = False) -> ws_codec.Frame:
    return ws_codec.decode_frame(orjson.dumps(frame), AT, use_yes_price=yes_scale)


def snapshot(**msg) -> dict:
    return {"type": "orderbook_snapshot", "sid": 2, "seq": 5, "msg": {"market_ticker": "M", "market_id": "x", **msg}}


def delta(**msg) -> dict:
    base = {"market_ticker": "M", "market_id": "x", "price_dollars": "0.960", "delta_fp": "-54.00", "side": "yes"}
    return {"type": "orderbook_delta", "sid": 2, "seq": 6, "msg": {**base, **msg}}


# --- commands ---------------------------------------------------------------------------------------------------------


def test_commands_have_the_documented_shape():
    assert orjson.loads(ws_codec.subscribe_command(1, ["fill", "user_orders"])) == {
        "id": 1, "cmd": "subscribe", "params": {"channels": ["fill", "user_orders"]},
    }  # fmt: skip
    assert orjson.loads(ws_codec.update_command(3, 456, "get_snapshot", ["A"])) == {
        "id": 3, "cmd": "update_subscription",
        "params": {"sids": [456], "action": "get_snapshot", "market_tickers": ["A"]},
    }  # fmt: skip
    assert orjson.loads(ws_codec.unsubscribe_command(4, 9)) == {"id": 4, "cmd": "unsubscribe", "params": {"sids": [9]}}


@pytest.mark.parametrize("yes_scale", [True, False])
def test_the_scale_of_no_levels_is_always_written_out(yes_scale):
    command = orjson.loads(ws_codec.subscribe_books_command(2, ["A", "B"], use_yes_price=yes_scale))
    assert command["params"] == {
        "channels": ["orderbook_delta"], "market_tickers": ["A", "B"], "use_yes_price": yes_scale,
    }  # fmt: skip


# --- books ------------------------------------------------------------------------------------------------------------


def test_a_snapshot_complements_no_levels_unless_they_are_on_the_yes_scale():
    frame = snapshot(yes_dollars_fp=[["0.0800", "300.00"], ["0.2200", "333.00"]], no_dollars_fp=[["0.5400", "20.50"]])
    bids = ((Price(800), Count(30_000)), (Price(2_200), Count(33_300)))
    assert decode(frame).body == BookSnapshot(2, 5, "M", bids, ((Price(4_600), Count(2_050)),), AT)
    assert decode(frame, yes_scale=True).body == BookSnapshot(2, 5, "M", bids, ((Price(5_400), Count(2_050)),), AT)


def test_an_absent_side_is_empty_and_a_command_id_is_kept():
    body = decode(snapshot() | {"id": 127}).body
    assert body == BookSnapshot(2, 5, "M", (), (), AT, command_id=127)
    assert decode(snapshot(yes_dollars_fp=[]) | {"id": 0}).body == BookSnapshot(2, 5, "M", (), (), AT)


def test_a_delta_is_a_signed_change():
    body = decode(delta(ts="2022-11-22T20:44:01Z", ts_ms=1_669_149_841_000)).body
    assert body == BookDelta(2, 6, "M", Side.BID, Price(9_600), Count(-5_400), Nanos(1_669_149_841 * SECOND), AT)


def test_a_no_delta_moves_an_ask():
    body = decode(delta(side="no", price_dollars="0.3000", client_order_id="kd-1")).body
    assert isinstance(body, BookDelta)
    assert (body.side, body.price, body.event_ns, body.own_client_order_id) == (Side.ASK, 7_000, None, "kd-1")
    assert decode(delta(side="no", price_dollars="0.3000"), yes_scale=True).body.price == 3_000  # type: ignore[union-attr]  # a delta
    assert decode(delta(ts="2022-11-22T20:44:01.5Z")).body.event_ns == 1_669_149_841_500_000_000  # type: ignore[union-attr]  # a delta


@pytest.mark.parametrize(
    "frame",
    [
        delta(price_dollars=0.96), delta(delta_fp=-54), delta(side="bid"), delta(price_dollars="1.01"),
        delta(delta_fp="0.001"), delta(market_ticker=None), delta(ts_ms="1"), {**delta(), "seq": None},
        {**delta(), "sid": None}, {**delta(), "msg": None}, {**delta(), "msg": []}, {**delta(), "sid": "2"},
        snapshot(yes_dollars_fp=[["0.1"]]), snapshot(yes_dollars_fp=[["0.1", 5]]),
        snapshot(yes_dollars_fp={"0.1": "5"}),
        snapshot(no_dollars_fp=[["0.1", "0.00"]]), snapshot(no_dollars_fp=[[0.1, "1.00"]]), {"sid": 1}, {"type": 7},
    ],
)  # fmt: skip
def test_a_book_frame_that_says_something_else_is_malformed(frame):
    with pytest.raises(MalformedData):
        decode(frame)


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"null", b"heartbeat", b'"x"', b"\xff\xfe"])
def test_what_is_no_json_object_is_malformed(raw):
    with pytest.raises(MalformedData):
        ws_codec.decode_frame(raw, AT, use_yes_price=False)


LEVELS = st.dictionaries(st.integers(1, 9_999), st.integers(1, 10**6), max_size=20)


@settings(deadline=None, max_examples=60)
@given(yes=LEVELS, no=LEVELS)
def test_both_scales_describe_the_same_book(yes, no):
    def wire(levels: dict[int, int], *, flip: bool) -> list[list[str]]:
        return [
            [format_price(Price(10_000 - p if flip else p)), f"{c // 100}.{c % 100:02d}"] for p, c in levels.items()
        ]

    plain = decode(snapshot(yes_dollars_fp=wire(yes, flip=False), no_dollars_fp=wire(no, flip=False))).body
    unified = decode(
        snapshot(yes_dollars_fp=wire(yes, flip=False), no_dollars_fp=wire(no, flip=True)), yes_scale=True
    ).body
    assert plain == unified
    assert isinstance(plain, BookSnapshot)
    assert dict(plain.bids) == yes
    assert dict(plain.asks) == {10_000 - p: c for p, c in no.items()}


# --- private channels -------------------------------------------------------------------------------------------------

FILL_MSG = {
    "trade_id": "t", "order_id": "o", "client_order_id": "kd-1", "market_ticker": "M", "exchange_index": 0,
    "is_taker": False, "side": "yes", "action": "buy", "purchased_side": "no", "outcome_side": "no", "book_side": "ask",
    "yes_price_dollars": "0.750", "count_fp": "278.00", "fee_cost": "0.017500", "post_position_fp": "-500.00",
    "ts": 1_671_899_397, "ts_ms": 1_671_899_397_123, "subaccount": 3,
}  # fmt: skip


def test_a_fill_is_read_on_the_yes_scale_with_the_position_it_led_to():
    assert decode({"type": "fill", "sid": 13, "msg": FILL_MSG}).body == FillEvent(
        Fill("t", "o", "M", Side.ASK, Price(7_500), Count(27_800), Dollars(175), False,
             Nanos(1_671_899_397_123_000_000), "kd-1", Count(-50_000)),
        AT,
    )  # fmt: skip


@pytest.mark.parametrize(
    "key",
    [
        "trade_id",
        "order_id",
        "market_ticker",
        "is_taker",
        "book_side",
        "yes_price_dollars",
        "count_fp",
        "fee_cost",
        "ts_ms",
    ],
)
def test_a_fill_without_a_required_key_is_malformed(key):
    with pytest.raises(MissingField, match=key):
        decode({"type": "fill", "sid": 13, "msg": {k: v for k, v in FILL_MSG.items() if k != key}})


ORDER_MSG = {
    "order_id": "o", "user_id": "u", "ticker": "M", "status": "canceled", "side": "yes", "is_yes": True,
    "outcome_side": "yes", "book_side": "bid", "yes_price_dollars": "0.3500", "fill_count_fp": "1.00",
    "remaining_count_fp": "0.00", "initial_count_fp": "10.00", "taker_fill_cost_dollars": "0.0000",
    "maker_fill_cost_dollars": "0.3500", "taker_fees_dollars": "0.0000", "maker_fees_dollars": "0.0000",
    "client_order_id": "kd-1", "created_time": "2024-12-01T10:00:00Z", "created_ts_ms": 1_733_047_200_000,
    "last_updated_ts_ms": 1_733_047_201_000, "last_update_reason": "ExpiryCancel", "subaccount_number": 0,
}  # fmt: skip


def test_a_user_order_is_read_with_its_reason():
    assert decode({"type": "user_order", "sid": 22, "msg": ORDER_MSG}).body == UserOrder(
        "o", "kd-1", "M", "canceled", Side.BID, Price(3_500), Count(1_000), Count(100), Count(0),
        Nanos(1_733_047_201 * SECOND), AT, "ExpiryCancel",
    )  # fmt: skip
    fresh = {k: v for k, v in ORDER_MSG.items() if not k.startswith("last_")} | {"status": "resting"}
    body = decode({"type": "user_order", "sid": 22, "msg": fresh}).body
    assert isinstance(body, UserOrder)
    assert (body.event_ns, body.reason) == (1_733_047_200 * SECOND, "")
    with pytest.raises(UnknownValue):
        decode({"type": "user_order", "sid": 22, "msg": {**ORDER_MSG, "status": "pending"}})


def test_lifecycle_messages_set_only_what_they_carry():
    determined = {"event_type": "determined", "market_ticker": "M", "result": "yes", "settlement_value": "1.0000"}
    assert decode({"type": "market_lifecycle_v2", "sid": 1, "seq": 1, "msg": determined}).body == MarketLifecycle(
        "determined", "M", AT, result="yes", settlement_value=Price(10_000)
    )
    moved = {"event_type": "close_date_updated", "market_ticker": "M", "close_ts": 1_694_721_600}
    assert decode({"type": "market_lifecycle_v2", "sid": 1, "msg": moved}).body == MarketLifecycle(
        "close_date_updated", "M", AT, close_ns=Nanos(1_694_721_600 * SECOND)
    )
    lost = {"event_type": "determined", "market_ticker": "M", "result": "no", "settlement_value": "0.0000"}
    assert decode({"type": "market_lifecycle_v2", "sid": 1, "msg": lost}).body.settlement_value == 0  # type: ignore[union-attr]  # a lifecycle


def test_fee_overrides_are_set_and_cleared_but_never_guessed():
    msg = {"event_ticker": "E", "fee_type_override": "quadratic", "fee_multiplier_override": 1}
    assert decode({"type": "event_fee_update", "sid": 5, "msg": msg}).body == EventFeeUpdate("E", "quadratic", 1.0, AT)
    cleared = dict.fromkeys(("fee_type_override", "fee_multiplier_override")) | {"event_ticker": "E"}
    assert decode({"type": "event_fee_update", "sid": 5, "msg": cleared}).body == EventFeeUpdate("E", None, None, AT)
    with pytest.raises(MissingField):
        decode({"type": "event_fee_update", "sid": 5, "msg": {"event_ticker": "E", "fee_type_override": "flat"}})


def test_order_group_updates_are_read():
    msg = {"event_type": "triggered", "order_group_id": "g", "ts_ms": 1}
    frame = {"type": "order_group_updates", "sid": 21, "seq": 7, "msg": msg}
    assert decode(frame).body == OrderGroupUpdate("triggered", "g", AT)


# --- control ----------------------------------------------------------------------------------------------------------


def test_control_frames_keep_sid_and_seq_for_counting():
    assert decode({"id": 1, "type": "subscribed", "msg": {"channel": "fill", "sid": 4}}).body == ws_codec.Subscribed(
        1, "fill", 4
    )
    ok = decode({"id": 123, "sid": 456, "seq": 222, "type": "ok", "msg": {"market_tickers": ["A", "B"]}})
    assert (ok.sid, ok.seq, ok.body) == (456, 222, ws_codec.Ok(123, ("A", "B")))
    gone = decode({"id": 102, "sid": 2, "seq": 7, "type": "unsubscribed"})
    assert (gone.sid, gone.seq, gone.body) == (2, 7, ws_codec.Unsubscribed(102, 2))
    error = decode({"id": 0, "sid": 2, "seq": 8, "type": "error", "msg": {"code": 25, "msg": "overflow"}})
    assert (error.sid, error.seq, error.body) == (2, 8, ws_codec.StreamError(None, 2, 25, "overflow"))


def test_control_frames_with_less_or_more_in_them_are_read():
    assert decode({"id": 3, "type": "ok"}).body == ws_codec.Ok(3, None)
    assert decode({"id": 3, "type": "ok", "msg": [{"channel": "fill", "sid": 3}]}).body == ws_codec.Ok(3, None)
    error = {"type": "error", "msg": {"code": 16, "msg": "no", "market_ticker": "A", "market_tickers": ["B"]}}
    assert decode(error).body == ws_codec.StreamError(None, None, 16, "no", ("A", "B"))
    assert decode({"type": "ticker", "sid": 1, "msg": {}}).body == ws_codec.Ignored("ticker")
    assert decode({"type": "next_years_news"}).body == ws_codec.Ignored("next_years_news")
