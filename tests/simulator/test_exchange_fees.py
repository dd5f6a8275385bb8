"""Fee rounding: the venue's own worked examples, and the rows a quoter meets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshi_daemon.ground.units import Count, Price
from kalshi_daemon.simulator.exchange.sim_fees import (
    CENT,
    CENTICENT,
    FeeKind,
    FeeModel,
    FillFee,
    fee_max,
    fill_fee,
    trade_fee,
)

QUADRATIC = FeeModel()
HALF = FeeModel(FeeKind.QUADRATIC, 500_000)
MAKERS = FeeModel(FeeKind.QUADRATIC_WITH_MAKER_FEES)


@pytest.mark.parametrize(
    ("model", "price", "count", "taker", "micros"),
    [
        (QUADRATIC, 5200, 100, True, 17_500),  # 0.07 x 0.52 x 0.48 = 0.017472, observed as 0.0175
        (QUADRATIC, 5000, 100, True, 17_500),
        (QUADRATIC, 5000, 10_000, True, 1_750_000),
        (QUADRATIC, 100, 100, True, 700),  # 0.000693
        (QUADRATIC, 550, 100, True, 3_700),  # 0.07 x 0.055 x 0.945 = 0.00363825
        (QUADRATIC, 5200, 100, False, 0),
        (HALF, 5000, 100, True, 8_800),  # 0.00875
        (MAKERS, 5000, 100, False, 4_400),  # 0.0175 x 0.25 = 0.004375
        (MAKERS, 5000, 100, True, 17_500),
        (FeeModel(FeeKind.QUADRATIC_WITH_COMBO_MAKER_FEES), 5000, 100, False, 4_400),
    ],
)
def test_trade_fee_is_the_quadratic_rounded_up_to_a_hundredth_of_a_cent(model, price, count, taker, micros):
    assert trade_fee(model, Price(price), Count(count), taker=taker) == micros


def test_three_one_lot_fills_at_half_cents_match_the_venues_first_table():
    fees, accumulated = [], 0
    for _fill in range(3):
        fee = fill_fee(-55_000, 8_500, CENT, accumulated)
        accumulated = fee.accumulated
        fees.append((fee.rounding_fee, fee.rebate, fee.net, accumulated))
    assert fees == [(6_500, 0, 15_000, 6_500), (6_500, 10_000, 5_000, 3_000), (6_500, 0, 15_000, 9_500)]


def test_three_fractional_fills_match_the_venues_second_table():
    fees, accumulated = [], 0
    for _fill in range(3):
        fee = fill_fee(-150_000, 4_100, CENT, accumulated)
        accumulated = fee.accumulated
        fees.append((fee.net, accumulated))
    assert fees == [(10_000, 5_900), (0, 1_800), (10_000, 7_700)]


def test_three_fills_with_six_decimals_match_the_venues_third_table():
    accumulated, nets = 0, []
    for _fill in range(3):
        fee = fill_fee(-9_903, 500, CENT, accumulated)
        accumulated = fee.accumulated
        nets.append(fee.net)
    assert nets == [10_097, 97, 97]
    assert accumulated == 8_791  # 0.018791 in the table, before its last rebate of a cent


def test_a_whole_cent_maker_fill_of_a_direct_member_costs_nothing():
    assert fill_fee(-420_000, 0, CENTICENT, 0) == FillFee(0, 0, 0, 0)


@given(
    revenue=st.integers(-10_000_000, 10_000_000),
    fee=st.integers(0, 20_000).map(lambda n: n * 100),
    precision=st.sampled_from([CENT, CENTICENT]),
    accumulated=st.integers(0, CENT),
)
def test_balances_stay_on_their_grid_and_fees_are_never_negative(revenue, fee, precision, accumulated):
    found = fill_fee(revenue, fee, precision, accumulated)
    assert found.net >= 0
    assert (revenue - found.net) % precision == 0
    assert 0 <= found.rounding_fee < precision
    assert found.accumulated == accumulated + found.rounding_fee - found.rebate


@given(price=st.integers(1, 9_999), count=st.integers(1, 100_000))
def test_the_fee_reserved_covers_any_price(price, count):
    assert trade_fee(QUADRATIC, Price(price), Count(count), taker=True) <= fee_max(QUADRATIC, Count(count))
