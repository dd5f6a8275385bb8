import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshi_daemon.ground import units
from kalshi_daemon.ground.errors import MalformedField
from kalshi_daemon.ground.units import Count, Dollars, Level, Price

prices = st.integers(0, 10_000).map(Price)
counts = st.integers(-10_000_000, 10_000_000).map(Count)
amounts = st.integers(-(10**12), 10**12).map(Dollars)


@given(prices)
def test_a_price_survives_the_wire(price):
    assert units.parse_price(units.format_price(price)) == price


@given(counts)
def test_a_count_survives_the_wire(count):
    assert units.parse_count(units.format_count(count)) == count


@given(amounts)
def test_an_amount_survives_the_wire(amount):
    assert units.parse_dollars(units.format_dollars(amount)) == amount


@pytest.mark.parametrize(
    ("text", "price"), [("0.42", 4200), ("0.4200", 4200), ("0.420000", 4200), ("1", 10_000), ("0.0001", 1), ("0", 0)]
)
def test_prices_of_the_wire(text, price):
    assert units.parse_price(text) == price


@pytest.mark.parametrize("text", ["0.42001", "1.0001", "-0.01", "", "x", "NaN", "Infinity", 0.42, 42, None, True])
def test_what_is_not_a_price_is_refused_by_name(text):
    with pytest.raises(MalformedField, match="yes_price"):
        units.parse_price(text, "yes_price")


@pytest.mark.parametrize(("text", "fee"), [("0.017500", 175), ("0.002625", 27), ("0", 0), ("0.000001", 1)])
def test_fees_finer_than_our_unit_are_rounded_up_like_the_venue_does(text, fee):
    assert units.parse_dollars_ceil(text) == fee


@pytest.mark.parametrize(
    ("number", "level"),
    [(7844.9999, 78_449_999), (7845, 78_450_000), ("29599.99", 295_999_900), (11830.28178808306, 118_302_818)],
)
def test_levels_are_ten_thousandths_of_a_point(number, level):
    assert units.parse_level(number) == level


@pytest.mark.parametrize("number", [0, -1, True, None, "abc", float("nan"), float("inf"), [1]])
def test_what_is_not_a_level_is_refused(number):
    with pytest.raises(MalformedField):
        units.parse_level(number)


@given(prices, st.integers(0, 100_000).map(Count))
def test_floor_and_ceiling_differ_by_at_most_one_unit(price, count):
    low, high = units.cost_floor(price, count), units.cost_ceil(price, count)
    assert low <= price * count / 100 <= high
    assert high - low <= 1
    if count % 100 == 0:
        assert low == high


@given(prices, st.integers(0, 1_000))
def test_yes_and_no_of_whole_contracts_cost_one_dollar_together(price, contracts):
    count = units.lots(contracts)
    both = units.cost_floor(price, count) + units.cost_floor(units.complement(price), count)
    assert both == contracts * units.DOLLAR


def test_configured_amounts_are_rounded_down():
    assert units.dollars_from_float(50.0) == 500_000
    assert units.dollars_from_float(0.00019) == 1
    assert units.price_from_float(0.05) == 500
    assert units.format_level(Level(78_449_999)) == "7845.00"
    assert units.from_ms(5) == 5_000_000
    assert units.to_ms(units.from_s(1.5)) == 1_500
    assert units.to_s(units.MINUTE) == 60.0
