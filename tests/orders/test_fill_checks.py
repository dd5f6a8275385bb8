"""What a fill can be: its order's terms, and a fee that the venue's rule can give."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshi_daemon.domain.contract import FeeSchedule, FeeType
from kalshi_daemon.domain.order import Fill
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.units import Count, Dollars, Nanos, Price
from kalshi_daemon.ladder.fees import maker_fee, taker_fee
from kalshi_daemon.orders.fill_checks import impossible_fill
from tests.orders.test_order_journal import NOW, order
from tests.support.fill_charge import Precision, charge_fill

FREE = FeeSchedule(FeeType.QUADRATIC, 1_000_000, NOW)
CHARGED = FeeSchedule(FeeType.QUADRATIC_WITH_MAKER_FEES, 1_000_000, NOW)


def fill_of(one, **changes):
    made = Fill(
        "t-1", "ex-1", one.market_ticker, one.side, one.price, Count(100), Dollars(0), is_taker=False, event_ns=NOW
    )
    return replace(made, **changes)


@given(
    side=st.sampled_from(Side),
    price=st.integers(1, 9_999).map(Price),
    parts=st.lists(st.integers(1, 100_000).map(Count), min_size=1, max_size=5),
    schedule=st.builds(FeeSchedule, st.sampled_from(FeeType), st.integers(0, 5_000_000), st.just(Nanos(0))),
    precision=st.sampled_from(Precision),
    taker=st.booleans(),
)
def test_what_the_venue_charges_is_never_refused(side, price, parts, schedule, precision, taker):
    """Every fill of an order, rounded as the venue rounds it, at its own price."""
    one = order(side=side, price=price, count=Count(sum(parts)), order_id="ex-1")
    filled, gathered = 0, 0
    for part in parts:
        rule = taker_fee if taker else maker_fee
        charge = charge_fill(
            side, price, part, rule(schedule, price, part), precision=precision, accumulated_micro=gathered
        )
        gathered = charge.accumulated_micro
        fee = Dollars(-(-charge.net_fee_micro // 100))  # as the codec reads it
        fill = fill_of(one, count=part, fee=fee, is_taker=taker)
        assert impossible_fill(fill, one, Count(filled), schedule) == ""
        filled += part


@pytest.mark.parametrize(
    ("changes", "schedule", "sound"),
    [
        ({"fee": Dollars(100)}, FREE, True),
        ({"fee": Dollars(101)}, FREE, False),
        ({"fee": Dollars(143)}, CHARGED, True),  # 0.0175 x 0.42 x 0.58 = 0.0043, and a cent
        ({"fee": Dollars(144)}, CHARGED, False),
        ({"fee": Dollars(271), "is_taker": True}, FREE, True),  # 0.07 x 0.42 x 0.58 = 0.0171
        ({"fee": Dollars(272), "is_taker": True}, FREE, False),
        ({"fee": Dollars(600)}, None, True),
        ({"fee": Dollars(601)}, None, False),
        ({"price": Price(4_100)}, FREE, False),
        ({"price": Price(4_100), "is_taker": True}, FREE, True),
        ({"price": Price(4_201), "is_taker": True}, FREE, False),
        ({"count": Count(301)}, FREE, False),
        ({"order_id": "ex-2"}, FREE, False),
        ({"side": Side.ASK}, FREE, False),
    ],
)
def test_terms_and_fees(changes, schedule, sound):
    one = order(side=Side.BID, price=Price(4_200), count=Count(300), order_id="ex-1")
    assert (impossible_fill(fill_of(one, **changes), one, Count(0), schedule) == "") is sound


def test_a_better_price_for_a_seller_is_a_higher_one():
    one = order(side=Side.ASK, price=Price(4_200), order_id="ex-1")
    assert impossible_fill(fill_of(one, price=Price(4_300), is_taker=True), one, Count(0), FREE) == ""
    assert impossible_fill(fill_of(one, price=Price(4_100), is_taker=True), one, Count(0), FREE) != ""


def test_a_strangers_fill_is_held_against_the_fees_alone():
    one = order(order_id="ex-1")
    assert impossible_fill(fill_of(one, count=Count(10_000), order_id="by-hand"), None, Count(0), FREE) == ""
    assert "fee" in impossible_fill(fill_of(one, fee=Dollars(200)), None, Count(0), FREE)
