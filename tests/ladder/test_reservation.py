"""Reservation prices against the growth they are the optimum of, and what must hold whatever is held."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_daemon.domain.index import Index
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.units import Count, Dollars, Nanos, Price
from kalshi_daemon.ladder.payoff import Holding, Resting
from kalshi_daemon.ladder.reservation import reservation
from tests.ladder.scan_samples import TARGET, above, below, between
from tests.trading.trader_rig import BellForecast

FORECAST = BellForecast(Index.SPX, Nanos(TARGET - 1), TARGET, 6_850.0, 12.0)
EVENT = "KXINXU-26NOV23H1100"
LADDER = [above(strike) for strike in range(6_820, 6_885, 5)]
BINS = [between(low, low + 10, event=EVENT) for low in range(6_820, 6_880, 10)]
MARKETS = st.sampled_from([*LADDER, *BINS, below(6_850)])
BANK = 40.0


def held(contract, contracts, price):
    return Holding(contract.market_ticker, contract, Count(100 * contracts), Dollars(-contracts * price))


positions = st.lists(
    st.builds(held, MARKETS, st.integers(-4, 4), st.integers(500, 9_500)), max_size=6
)  # fmt: skip


def price_of(contract, holdings=(), resting=(), bank=BANK):
    return float(reservation([contract], FORECAST, holdings, resting, bank).price[0])


def test_with_nothing_held_it_is_the_fair_value_and_the_masses_are_one():
    found = reservation([*LADDER, *BINS], FORECAST, (), (), BANK)
    assert found.masses.sum() == pytest.approx(1.0, abs=1e-12)
    assert found.price == pytest.approx(found.fair, abs=1e-12)
    want = [0.5 * math.erfc((strike - 0.005 - 6_850.0) / 12.0 / math.sqrt(2)) for strike in range(6_820, 6_885, 5)]
    assert found.fair[: len(LADDER)] == pytest.approx(want, abs=1e-12)


def test_one_long_contract_by_hand():
    """Up pays half the time: wealth 40.5 or 39.5 after a fair bet of a dollar, so up is worth .5/40.5 of the whole."""
    even = above(6_850)
    mass = float(reservation([even], FORECAST, (), (), BANK).fair[0])
    up, down = mass / (BANK + 0.5), (1.0 - mass) / (BANK - 0.5)
    assert price_of(even, [held(even, 1, 5_000)]) == pytest.approx(up / (up + down), abs=1e-12)


@settings(deadline=None, max_examples=80)
@given(positions, MARKETS)
def test_it_is_where_a_little_more_neither_adds_to_nor_takes_from_expected_log_growth(holdings, contract):
    levels = np.round(np.arange(6_750.0, 6_950.0, 0.01), 2)
    edges = np.concatenate((levels - 0.005, [levels[-1] + 0.005]))
    masses = np.diff(FORECAST.cdf(edges[::1]))
    scaled = np.round(levels * 10_000).astype(np.int64)

    def pays(one):
        low = -1 if one.lowest is None else one.lowest
        high = 10**12 if one.highest is None else one.highest
        return (scaled >= low) & (scaled <= high)

    wealth = BANK + sum((one.cash + 100 * one.count * pays(one.contract)) / 10_000 for one in holdings)
    wealth = np.maximum(wealth, 0.05 * BANK)
    price = price_of(contract, holdings)
    marginal = float((masses * (pays(contract) - price) / wealth).sum() / (masses / wealth).sum())
    assert abs(marginal) < 1e-6


@settings(deadline=None, max_examples=80)
@given(positions, MARKETS, st.integers(1, 3), st.integers(3_000, 7_000))
def test_it_falls_with_every_contract_bought(holdings, contract, more, paid):
    before = price_of(contract, holdings)
    after = price_of(contract, [*holdings, held(contract, more, paid)])
    assert after <= before + 1e-12


@settings(deadline=None, max_examples=60)
@given(positions)
def test_a_contract_and_its_opposite_are_worth_a_dollar_together(holdings):
    assert price_of(above(6_850), holdings) + price_of(below(6_850), holdings) == pytest.approx(1.0, abs=1e-12)


@settings(deadline=None, max_examples=60)
@given(st.integers(-4, 4), st.sampled_from([5, 10, 15, 20]), st.integers(3_000, 7_000))
def test_it_is_symmetric_when_the_line_is_turned_round(count, away, paid):
    right = price_of(above(6_850 + away), [held(above(6_850 + away), count, paid)])
    mirrored = below(6_850 - away)
    # A bell is symmetric but for the settlement grid: one ladder holds its strike, the other stops a cent below.
    assert right == pytest.approx(price_of(mirrored, [held(mirrored, count, paid)]), abs=1e-3)


def test_orders_count_where_a_fill_of_them_would_lose():
    bid = Resting("M", above(6_850), Side.BID, Price(5_000), Count(400))
    plain, beside = price_of(above(6_850)), price_of(above(6_850), (), [bid])
    assert beside < plain, "below the strike the bid would lose: a dollar is worth more there, and less above"


def test_what_settles_elsewhere_is_left_out():
    other = above(6_850, index=Index.NDX)
    later = above(6_850, settles=Nanos(TARGET + 1))
    assert price_of(above(6_850), [held(other, 4, 5_000), held(later, 4, 5_000)]) == price_of(above(6_850))


def test_a_loss_beyond_the_bank_still_gives_a_price():
    found = price_of(above(6_850), [held(above(6_850), 400, 9_000)])
    assert 0.0 < found < 0.2
