"""REST bodies against the venue's shapes, and answers read strictly."""

from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_daemon.domain.events import Balance, CancelAck, CreateAck, ExchangeStatus, RemoteOrder
from kalshi_daemon.domain.order import Fill, NewOrder, OrderRef, Settlement, VenuePosition
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.errors import MalformedData, MalformedField, MissingField, PartlyUnreadable, UnknownValue
from kalshi_daemon.ground.units import SECOND, Count, Dollars, Nanos, Price, parse_count, parse_price
from kalshi_daemon.kalshi import fields, rest_codec

T0 = Nanos(1_795_446_000 * SECOND)  # 2026-11-23T15:00:00Z

# Hand-made after the venue's schemas (docs/reference/venue.md 9); every key a real answer has, legacy ones included.
ORDER = {
    "order_id": "o-1", "user_id": "u", "client_order_id": "kd-1-1", "ticker": "KXINXU-26NOV23H1100-T6849.9999",
    "side": "yes", "action": "sell", "outcome_side": "no", "book_side": "ask", "type": "limit", "status": "resting",
    "yes_price_dollars": "0.4200", "no_price_dollars": "0.5800", "fill_count_fp": "1.50", "remaining_count_fp": "8.50",
    "initial_count_fp": "10.00", "taker_fill_cost_dollars": "0.0000", "maker_fill_cost_dollars": "0.6300",
    "taker_fees_dollars": "0.0000", "maker_fees_dollars": "0.0000", "created_time": "2026-11-23T15:00:00Z",
    "expiration_time": "2026-11-23T15:58:00Z", "order_group_id": "", "subaccount_number": 3, "exchange_index": 0,
}  # fmt: skip
FILL = {
    "fill_id": "f", "trade_id": "t-1", "exchange_index": 0, "order_id": "o-1", "ticker": "M", "market_ticker": "M",
    "side": "no", "action": "buy", "outcome_side": "no", "book_side": "ask", "count_fp": "2.00",
    "yes_price_dollars": "0.4200", "no_price_dollars": "0.5800", "is_taker": False, "fee_cost": "0.000050",
    "created_time": "2026-11-23T15:00:00.25Z", "subaccount_number": 0,
}  # fmt: skip
NEW = NewOrder("kd-1-1", "M", Side.ASK, Price(4_200), Count(200), Nanos(T0 + 999_999_999), order_group_id="g")


def test_a_create_says_everything_a_maker_order_must_say():
    assert rest_codec.create_body(NEW, 3) == {
        "ticker": "M",
        "client_order_id": "kd-1-1",
        "side": "ask",
        "count": "2.00",
        "price": "0.4200",
        "time_in_force": "good_till_canceled",
        "expiration_time": 1_795_446_000,
        "self_trade_prevention_type": "taker_at_cross",
        "post_only": True,
        "cancel_order_on_pause": True,
        "subaccount": 3,
        "order_group_id": "g",
    }


def test_without_a_group_the_key_is_absent():
    body = rest_codec.create_body(NewOrder("c", "M", Side.BID, Price(1), Count(1), T0), 0)
    assert "order_group_id" not in body
    assert (body["price"], body["count"]) == ("0.0001", "0.01")


@pytest.mark.parametrize(
    "order",
    [
        NewOrder("c", "M", Side.BID, Price(0), Count(100), T0),
        NewOrder("c", "M", Side.BID, Price(10_000), Count(100), T0),
        NewOrder("c", "M", Side.BID, Price(4_200), Count(0), T0),
        NewOrder("c", "M", Side.BID, Price(4_200), Count(-100), T0),
        NewOrder("c", "M", Side.BID, Price(4_200), Count(100), Nanos(0)),
        NewOrder("", "M", Side.BID, Price(4_200), Count(100), T0),
        NewOrder("c" * 65, "M", Side.BID, Price(4_200), Count(100), T0),
        NewOrder("c d", "M", Side.BID, Price(4_200), Count(100), T0),
        NewOrder("cé", "M", Side.BID, Price(4_200), Count(100), T0),
        NewOrder("c", "", Side.BID, Price(4_200), Count(100), T0),
    ],
)
def test_an_order_that_must_not_be_sent_has_no_body(order):
    with pytest.raises(MalformedData):
        rest_codec.create_body(order, 0)


@settings(deadline=None, max_examples=100)
@given(price=st.integers(1, 9_999), count=st.integers(1, 10**7), side=st.sampled_from(list(Side)))
def test_prices_and_counts_round_trip_through_the_wire(price, count, side):
    body = rest_codec.create_body(NewOrder("c", "M", side, Price(price), Count(count), T0), 0)
    assert (parse_price(body["price"]), parse_count(body["count"]), Side(body["side"])) == (price, count, side)


def test_cancels_name_market_and_subaccount():
    body = rest_codec.cancel_batch_body([OrderRef("o-1", "M"), OrderRef("o-2", "N")], 5)
    assert body == {
        "orders": [
            {"order_id": "o-1", "market_ticker": "M", "subaccount": 5},
            {"order_id": "o-2", "market_ticker": "N", "subaccount": 5},
        ]
    }
    with pytest.raises(MissingField):
        rest_codec.cancel_batch_body([OrderRef("o-1", "")], 0)


def test_an_amend_carries_the_total_count_and_its_own_id():
    assert rest_codec.amend_body(NEW, Count(300), Price(4_100), Nanos(T0 + 61 * SECOND)) == {
        "ticker": "M",
        "side": "ask",
        "price": "0.4100",
        "count": "3.00",
        "client_order_id": "kd-1-1",
        "expiration_time": 1_795_446_061,
    }
    with pytest.raises(MalformedField):
        rest_codec.amend_body(NEW, Count(300), Price(4_100), Nanos(0))


def test_a_group_has_a_positive_limit():
    assert rest_codec.order_group_body(Count(1_500), 2) == {"contracts_limit_fp": "15.00", "subaccount": 2}
    with pytest.raises(MalformedField):
        rest_codec.order_group_body(Count(0), 2)


# --- answers to writes ------------------------------------------------------------------------------------------------

CREATED = {
    "order_id": "o-1",
    "client_order_id": "c",
    "fill_count": "0.50",
    "remaining_count": "1.50",
    "ts_ms": 1_795_446_000_017,
}


def test_a_create_answer_is_read_and_must_be_about_our_order():
    assert rest_codec.create_ack(CREATED, "c") == CreateAck("c", "o-1", Count(50), Count(150), Nanos(T0 + 17_000_000))
    assert rest_codec.create_ack({**CREATED, "client_order_id": None}, "c").order_id == "o-1"
    with pytest.raises(MalformedField):
        rest_codec.create_ack(CREATED, "other")


@pytest.mark.parametrize("key", ["order_id", "fill_count", "remaining_count", "ts_ms"])
def test_a_create_answer_without_a_required_key_is_malformed(key):
    with pytest.raises(MissingField, match=key):
        rest_codec.create_ack({k: v for k, v in CREATED.items() if k != key}, "c")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("fill_count", 0),
        ("ts_ms", "1795446000017"),
        ("ts_ms", 17),
        ("ts_ms", True),
        ("fill_count", "-1.00"),
        ("order_id", 7),
    ],
)
def test_a_create_answer_of_other_types_is_malformed(key, value):
    with pytest.raises(MalformedField, match=key):
        rest_codec.create_ack({**CREATED, key: value}, "c")


def test_a_cancel_answer_must_be_about_the_order_asked_about():
    answer = {"order_id": "o-1", "client_order_id": "c", "reduced_by": "1.50", "ts_ms": 1_795_446_000_017}
    assert rest_codec.cancel_ack(answer, "o-1") == CancelAck("o-1", Count(150), Nanos(T0 + 17_000_000))
    with pytest.raises(MalformedField, match="o-2"):
        rest_codec.cancel_ack(answer, "o-2")


def test_items_are_paired_by_the_id_they_carry():
    a, b = {"order_id": "a", "n": 1}, {"order_id": "b", "n": 2}
    assert rest_codec.pair_items(["a", "b"], [b, a], "order_id") == [a, b]


def test_items_without_an_id_count_by_position_only_when_the_length_is_right():
    ok, nameless = {"order_id": "a"}, {"error": {}, "order_id": ""}
    assert rest_codec.pair_items(["a", "b"], [ok, nameless], "order_id") == [ok, nameless]
    assert rest_codec.pair_items(["a", "b", "c"], [ok, nameless], "order_id") == [ok, None, None]


def test_an_item_that_speaks_of_another_order_or_twice_of_one_counts_for_nobody():
    assert rest_codec.pair_items(["a"], [{"order_id": "z"}], "order_id") == [None]
    assert rest_codec.pair_items(["a", "b"], [{"order_id": "a"}, {"order_id": "a"}], "order_id") == [None, None]
    assert rest_codec.pair_items(["a"], [{"order_id": 7}], "order_id") == [None]


def test_creates_that_share_an_order_id_are_answered_for_nobody():
    ack = {"fill_count": "0.00", "remaining_count": "1.00", "ts_ms": 1_795_446_000_017}
    items = [ack | {"client_order_id": name, "order_id": order} for name, order in (("a", "o"), ("b", "o"), ("c", "p"))]
    first, second, third = rest_codec.pair_items(["a", "b", "c"], items, "client_order_id")
    for item, name in ((first, "a"), (second, "b")):
        assert item is not None
        with pytest.raises(MissingField, match="order_id"):
            rest_codec.create_ack(item, name)
    assert third is not None
    assert rest_codec.create_ack(third, "c").order_id == "p"


@settings(deadline=None, max_examples=60)
@given(st.lists(st.text("abcdef", min_size=1, max_size=3), unique=True, max_size=8), st.randoms())
def test_any_order_of_items_pairs_up(ids, rng):
    items = [{"order_id": name} for name in ids]
    shuffled = items[:]
    rng.shuffle(shuffled)
    assert rest_codec.pair_items(ids, shuffled, "order_id") == items


# --- answers to reads -------------------------------------------------------------------------------------------------


def test_an_order_is_read_with_its_direction_from_book_side_alone():
    assert rest_codec.remote_order(ORDER) == RemoteOrder(
        order_id="o-1",
        client_order_id="kd-1-1",
        market_ticker="KXINXU-26NOV23H1100-T6849.9999",
        status="resting",
        side=Side.ASK,
        price=Price(4_200),
        initial=Count(1_000),
        filled=Count(150),
        remaining=Count(850),
        expires_ns=Nanos(T0 + 58 * 60 * SECOND),
        subaccount=3,
    )


def test_an_order_placed_by_hand_has_no_client_id_and_no_expiry():
    order = rest_codec.remote_order(
        {**ORDER, "client_order_id": "", "expiration_time": None, "subaccount_number": None}
    )
    assert (order.client_order_id, order.expires_ns, order.subaccount) == ("", None, None)


@pytest.mark.parametrize(
    "key",
    [
        "order_id",
        "ticker",
        "status",
        "book_side",
        "yes_price_dollars",
        "fill_count_fp",
        "remaining_count_fp",
        "initial_count_fp",
    ],
)
def test_an_order_without_a_required_key_is_malformed(key):
    with pytest.raises(MissingField, match=key):
        rest_codec.remote_order({k: v for k, v in ORDER.items() if k != key})


@pytest.mark.parametrize(
    ("key", "value"),
    [("status", "pending"), ("book_side", "yes"), ("yes_price_dollars", 0.42), ("yes_price_dollars", "0.42001"),
     ("yes_price_dollars", "1.2"), ("fill_count_fp", "0.005"), ("expiration_time", "soon"), ("subaccount_number", "3")],
)  # fmt: skip
def test_an_order_with_an_impossible_value_is_malformed(key, value):
    with pytest.raises(MalformedData):
        rest_codec.remote_order({**ORDER, key: value})


def test_a_fill_is_read_and_its_fee_rounded_up():
    assert rest_codec.fill(FILL) == Fill(
        trade_id="t-1", order_id="o-1", market_ticker="M", side=Side.ASK, price=Price(4_200), count=Count(200),
        fee=Dollars(1), is_taker=False, event_ns=Nanos(T0 + SECOND // 4),
    )  # fmt: skip


def test_a_fill_takes_the_best_time_it_finds():
    assert rest_codec.fill({**FILL, "ts_ms": 1_795_446_000_005}).event_ns == T0 + 5_000_000
    bare = {k: v for k, v in FILL.items() if k != "created_time"}
    assert rest_codec.fill({**bare, "ts": 1_795_446_005}).event_ns == T0 + 5 * SECOND
    with pytest.raises(MissingField):
        rest_codec.fill(bare)
    assert rest_codec.fill({k: v for k, v in FILL.items() if k != "ticker"}).market_ticker == "M"


def test_a_position_keeps_its_sign_and_rounds_against_us():
    obj = {"ticker": "M", "exchange_index": 0, "total_traded_dollars": "0.4200", "position_fp": "-1.00",
           "market_exposure_dollars": "0.4200", "realized_pnl_dollars": "-0.100050", "fees_paid_dollars": "0.000010",
           "last_updated_ts": "2026-11-23T15:00:00Z"}  # fmt: skip
    assert rest_codec.position(obj) == VenuePosition("M", Count(-100), Dollars(1), Dollars(-1_001))
    assert rest_codec.position({**obj, "realized_pnl_dollars": "0.100050"}).realized_pnl == 1_000
    assert rest_codec.position({**obj, "realized_pnl_dollars": "-0.1000"}).realized_pnl == -1_000


def test_a_settlement_pays_in_cents():
    obj = {"ticker": "M", "exchange_index": 0, "event_ticker": "E", "market_result": "yes", "yes_count_fp": "1.00",
           "yes_total_cost_dollars": "0.4200", "no_count_fp": "0.00", "no_total_cost_dollars": "0.0000", "revenue": 100,
           "settled_time": "2026-11-23T15:00:00Z", "fee_cost": "0.0000", "value": 100}  # fmt: skip
    assert rest_codec.settlement(obj) == Settlement(
        "M", "E", "yes", Count(100), Count(0), Dollars(10_000), Dollars(0), T0
    )
    with pytest.raises(UnknownValue):
        rest_codec.settlement({**obj, "market_result": ""} | {"market_result": "maybe"})
    with pytest.raises(MalformedField):
        rest_codec.settlement({**obj, "revenue": "1.00"})


def test_cash_is_the_exact_amount_not_the_truncated_cents():
    obj = {"balance": 10_012, "balance_dollars": "100.1299", "portfolio_value": 250, "updated_ts": 1}
    assert rest_codec.balance(obj, T0) == Balance(Dollars(1_001_299), Dollars(25_000), T0)
    assert rest_codec.balance({**obj, "balance_dollars": "100.129999"}, T0).cash == 1_001_299
    with pytest.raises(MissingField):
        rest_codec.balance({"balance": 10_012, "portfolio_value": 0}, T0)


def test_the_exchange_is_up_only_when_our_shard_is_up_too():
    up = {"exchange_active": True, "trading_active": True}
    shards = [{"exchange_index": 2, "exchange_active": False, "trading_active": False},
              {"exchange_index": 0, "exchange_active": True, "trading_active": False}]  # fmt: skip
    assert rest_codec.exchange_status(up, T0) == ExchangeStatus(True, True, T0)
    assert rest_codec.exchange_status({**up, "exchange_index_statuses": shards[:1]}, T0).trading_active
    assert not rest_codec.exchange_status({**up, "exchange_index_statuses": shards}, T0).trading_active
    far = [{"exchange_index": 1, "exchange_active": True}, {"exchange_index": 3, **up}, shards[0]]
    status = rest_codec.exchange_status({**up, "exchange_index_statuses": far}, T0)
    assert [status.of_shard(n) for n in range(5)] == [(True, True), (True, False), (False, False), (True, True), None]
    down = rest_codec.exchange_status(
        {"exchange_active": True, "trading_active": False, "exchange_index_statuses": far}, T0
    )
    assert down.of_shard(3) == (True, False)
    assert rest_codec.exchange_status({**up, "exchange_index_statuses": None}, T0).exchange_active
    with pytest.raises(MissingField):
        rest_codec.exchange_status({"exchange_active": True}, T0)
    with pytest.raises(MalformedField):
        rest_codec.exchange_status({"exchange_active": 1, "trading_active": True}, T0)


@pytest.mark.parametrize("key", list(FILL))
def test_extra_keys_are_skipped_and_missing_optional_ones_do_not_matter(key):
    needed = {
        "trade_id",
        "order_id",
        "book_side",
        "count_fp",
        "yes_price_dollars",
        "is_taker",
        "fee_cost",
        "created_time",
    }
    reduced = {k: v for k, v in FILL.items() if k != key} | {"news": {"of": ["tomorrow"]}}
    if key in needed:
        with pytest.raises(MissingField):
            rest_codec.fill(reduced)
    else:
        assert rest_codec.fill(reduced).trade_id == "t-1"


# --- single fields ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("2026-11-23T15:00:00Z", T0),
        ("2026-11-23T10:00:00-05:00", T0),
        ("2026-11-23T15:00:00.000236Z", T0 + 236_000),
        ("2026-11-23T15:00:00.1234567891Z", T0 + 123_456_789),
        ("2020-01-01T00:00:00.5Z", 1_577_836_800 * SECOND + SECOND // 2),
    ],
)
def test_times_are_read_to_the_nanosecond(text, ns):
    assert fields.timestamp(text, "t") == ns


@pytest.mark.parametrize(
    "text", ["2026-11-23T15:00:00", "2026-11-23", "2026-13-23T15:00:00Z", "2026-11-23 15:00:00Z", 7, None]
)
def test_times_without_an_offset_or_sense_are_refused(text):
    with pytest.raises(MalformedField):
        fields.timestamp(text, "t")


def test_the_readers_tell_missing_from_mistyped():
    number = partial(fields.number, high=5.0)
    assert number({"a": 1}, "a", "x") == 1.0
    for reader, wrong in (
        (number, "1"),
        (number, True),
        (number, 5.5),
        (number, float("nan")),
        (fields.integer, -1),
        (fields.text, "x" * 2_001),
        (fields.identifier, "a b"),
        (fields.flag, 1),
        (fields.integer, 1.0),
        (fields.text, ""),
    ):
        with pytest.raises(MissingField):
            reader({}, "a", "x")
        with pytest.raises(MalformedField):
            reader({"a": wrong}, "a", "x")
    with pytest.raises(MalformedField):
        fields.optional_text({"a": 7}, "a", "x")
    with pytest.raises(MalformedField):
        fields.as_object([], "x")
    with pytest.raises(MalformedField):
        fields.as_array({}, "x")
    with pytest.raises(MalformedField):
        fields.loads(b"{", "x")
    with pytest.raises(PartlyUnreadable, match=r"1 of 2 records cannot be read; orders\[1\]"):
        fields.each([ORDER, {}], rest_codec.remote_order, "orders")
