"""Fees as the venue rounds them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_daemon.domain.contract import FeeSchedule, FeeType
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.units import Count, Dollars, Nanos, Price
from kalshi_daemon.ladder.fees import maker_fee, taker_fee
from tests.support.fill_charge import Precision, charge_fill

QUADRATIC = FeeSchedule(FeeType.QUADRATIC, 1_000_000, Nanos(0))
MAKER = FeeSchedule(FeeType.QUADRATIC_WITH_MAKER_FEES, 1_000_000, Nanos(0))
HALF = FeeSchedule(FeeType.QUADRATIC, 500_000, Nanos(0))


@pytest.mark.parametrize(
    ("schedule", "price", "count", "fee"),
    [
        (QUADRATIC, 5_200, 100, 175),  # 1 @ .52: .07 * .2496 = .017472 -> 0.0175
        (QUADRATIC, 5_000, 10_000, 17_500),  # 100 @ .50: 1.75
        (QUADRATIC, 5_000, 100, 175),
        (QUADRATIC, 1_000, 100, 63),
        (QUADRATIC, 100, 1, 1),  # a hundredth of a contract at a cent still pays the least unit
        (HALF, 5_000, 10_000, 8_750),
        (MAKER, 5_000, 10_000, 17_500),
    ],
)
def test_taker_rows(schedule, price, count, fee):
    assert taker_fee(schedule, Price(price), Count(count)) == fee


@pytest.mark.parametrize(
    ("schedule", "price", "count", "fee"),
    [
        (QUADRATIC, 5_000, 10_000, 0),
        (QUADRATIC, 4_200, 30, 0),
        (MAKER, 5_000, 10_000, 4_375),  # 100 @ .50: .0175 * 25 = 0.4375
        (MAKER, 5_500, 100, 44),  # .0175 * .2475 = .00433125 -> 0.0044
    ],
)
def test_maker_rows(schedule, price, count, fee):
    assert maker_fee(schedule, Price(price), Count(count)) == fee


@pytest.mark.parametrize(
    ("price", "count", "trade_fee", "rows"),
    [
        # (rounding, rebate, net fee, balance change) in millionths of a dollar: the venue's own worked examples.
        (550, 100, 85, [(6_500, 0, 15_000, -70_000), (6_500, 10_000, 5_000, -60_000), (6_500, 0, 15_000, -70_000)]),
        (5_000, 30, 41, [(5_900, 0, 10_000, -160_000), (5_900, 10_000, 0, -150_000), (5_900, 0, 10_000, -160_000)]),
        (3_301, 3, 5, [(9_597, 0, 10_097, -20_000), (9_597, 10_000, 97, -10_000), (9_597, 10_000, 97, -10_000)]),
    ],
)
def test_cent_precision_rounds_and_rebates_as_the_venue_documents(price, count, trade_fee, rows):
    accumulated = 0
    for rounding, rebate, net, change in rows:
        charge = charge_fill(
            Side.BID,
            Price(price),
            Count(count),
            Dollars(trade_fee),
            precision=Precision.CENT,
            accumulated_micro=accumulated,
        )
        got = (charge.rounding_micro, charge.rebate_micro, charge.net_fee_micro, charge.balance_change_micro)
        assert got == (rounding, rebate, net, change)
        accumulated = charge.accumulated_micro


def test_a_whole_contract_of_a_direct_member_is_never_rounded():
    charge = charge_fill(Side.ASK, Price(5_200), Count(100), Dollars(0))
    assert (charge.rounding_micro, charge.net_fee_micro, charge.balance_change_micro) == (0, 0, -480_000)


prices = st.integers(1, 9_999).map(Price)
fills = st.lists(st.tuples(prices, st.integers(1, 5_000), st.booleans()), min_size=1, max_size=30)


@given(side=st.sampled_from(Side), precision=st.sampled_from(Precision), rows=fills, ppm=st.integers(0, 3_000_000))
@settings(max_examples=150, deadline=None)
def test_fees_are_never_negative_and_the_books_add_up(side, precision, rows, ppm):
    schedule = FeeSchedule(FeeType.QUADRATIC_WITH_MAKER_FEES, ppm, Nanos(0))
    accumulated = rounding = rebates = 0
    for price, count, taker in rows:
        fee = (taker_fee if taker else maker_fee)(schedule, price, Count(count))
        charge = charge_fill(side, price, Count(count), fee, precision=precision, accumulated_micro=accumulated)
        paid = (price if side is Side.BID else 10_000 - price) * count
        assert charge.net_fee_micro >= 0
        assert charge.balance_change_micro == -paid - charge.net_fee_micro
        assert charge.balance_change_micro % precision == 0
        assert 0 <= charge.rounding_micro < precision
        accumulated = charge.accumulated_micro
        rounding += charge.rounding_micro
        rebates += charge.rebate_micro
    assert accumulated == rounding - rebates >= 0


@given(price=prices, count=st.integers(1, 100_000), ppm=st.integers(0, 3_000_000), parts=st.integers(1, 5))
@settings(max_examples=150, deadline=None)
def test_a_fee_is_rounded_up_by_less_than_a_unit_and_splitting_never_makes_it_cheaper(price, count, ppm, parts):
    schedule = FeeSchedule(FeeType.QUADRATIC, ppm, Nanos(0))
    whole = taker_fee(schedule, price, Count(count))
    exact = ppm / 1e6 * 0.07 * (count / 100) * (price / 1e4) * (1 - price / 1e4) * 1e4
    assert exact - 1e-6 <= whole < exact + 1 + 1e-6
    assert taker_fee(schedule, Price(10_000 - price), Count(count)) == whole
    split = sum(taker_fee(schedule, price, Count(count)) for _ in range(parts))
    assert split >= taker_fee(schedule, price, Count(count * parts))
