"""The second budget over both ladders: mean loss in the worst twentieth of joint outcomes."""

from dataclasses import dataclass, replace
from math import ceil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_daemon.calibration.joint import joint_scenarios
from kalshi_daemon.calibration.predictive import PredictiveDistribution
from kalshi_daemon.calibration.recalibration import GRID, PitMap
from kalshi_daemon.domain.contract import Contract, StrikeType
from kalshi_daemon.domain.forecast import CalibrationHealth, Forecast, Minutes
from kalshi_daemon.domain.index import Index
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.units import POINT, Dollars, Level, Nanos, Price, lots
from kalshi_daemon.ladder.joint_tail import NODES, tail_loss
from kalshi_daemon.ladder.payoff import Holding, Profile, Resting, profiles, worst_case
from kalshi_daemon.settings.model import GuardSettings, Settings
from kalshi_daemon.state import DaemonState
from tests.calibration.support import RESIDUALS
from tests.guardrails.guard_rig import NOW, TARGET, TICKERS, ask_quote, chain_of, healthy, hold, window_of
from tests.support.instruments import DJI, INDICES, KXNASDAQ100U, PAIR, three

SPX = PredictiveDistribution(Index.SPX, NOW, TARGET, 6_820.0, 0.0025, 0.02, RESIDUALS.at(30.0), PitMap(GRID))
NDX = replace(SPX, index=Index.NDX, level=25_000.0, sigma=0.003)
LAWS = {Index.SPX: SPX, Index.NDX: NDX}
ONE = 10_000


def above(index: Index, strike: float, n: int = 0) -> Contract:
    return Contract(
        f"{index}-{strike}-{n}",
        "E",
        "S",
        index,
        StrikeType.GREATER_OR_EQUAL,
        Level(round(strike * POINT)),
        None,
        TARGET,
    )


def long(index: Index, strike: float, contracts: int, cost: float) -> Holding:
    contract = above(index, strike)
    return Holding(contract.market_ticker, contract, lots(contracts), Dollars(round(-cost * ONE)))


def loss(*holdings: Holding, rho: float = 0.9, distributions=LAWS, resting=()) -> float:
    return tail_loss(profiles(holdings, resting), distributions, rho, PAIR) / ONE


def test_golden_one_bet():
    # Ten at 0.50 each at the median: they lose 5 dollars half the time, so the worst twentieth is all loss.
    assert loss(long(Index.SPX, 6_820.0, 10, 5.0)) == pytest.approx(5.0)
    # Ten at 0.97 that pay 97.5 %: the worst 5 % lose 9.70 in half of them and win 0.30 in the others.
    sure = float(SPX.quantiles(np.array([0.025]))[0])
    assert loss(long(Index.SPX, sure, 10, 9.7)) == pytest.approx(0.5 * 9.7 - 0.5 * 0.3, abs=0.5)
    # What cannot lose more than a cent in the worst twentieth is no risk here, whatever its worst case.
    far = float(SPX.quantiles(np.array([1e-4]))[0])
    assert loss(long(Index.SPX, far, 10, 9.9)) == 0.0


def test_the_same_bet_on_both_is_nearly_twice_one_and_a_hedge_is_stressed():
    spx_low, ndx_low = (float(LAWS[index].quantiles(np.array([0.03]))[0]) for index in INDICES)
    one = loss(long(Index.SPX, spx_low, 10, 9.6))
    both = [long(Index.SPX, spx_low, 10, 9.6), long(Index.NDX, ndx_low, 10, 9.6)]
    assert loss(*both, rho=0.95) > 1.7 * one
    assert loss(*both, rho=0.95) > loss(*both, rho=0.0)
    # Long SPX, short NDX at the median, a dollar for the pair: it loses only when they part.
    hedge = [long(Index.SPX, 6_820.0, 10, 5.0), long(Index.NDX, 25_000.0, -10, -5.0)]
    assert loss(*hedge, rho=0.7) >= loss(*hedge, rho=0.98)


holdings = st.lists(
    st.builds(
        lambda index, z, n, cents: long(index, LAWS[index].level * (1 + 0.002 * z), n, n * cents / 100),
        st.sampled_from(INDICES),
        st.floats(-3.0, 3.0),
        st.integers(-20, 20).filter(bool),
        st.integers(1, 99),
    ),
    min_size=1,
    max_size=8,
)


@settings(deadline=None, max_examples=60)
@given(holdings, st.sampled_from([0.7, 0.8, 0.95]), st.sampled_from([LAWS, {}, {Index.NDX: NDX}]))
def test_it_never_exceeds_the_exact_worst_case_and_is_that_without_distributions(held, rho, distributions):
    exact = worst_case(held) / ONE
    assert 0.0 <= loss(*held, rho=rho, distributions=distributions) <= exact + 1e-4
    if not distributions:
        assert loss(*held, rho=rho, distributions=distributions) == exact


@settings(deadline=None, max_examples=40)
@given(holdings, st.sampled_from(Side), st.integers(1, 99), st.floats(-3.0, 3.0))
def test_an_order_more_never_lowers_it(held, side, price, z):
    contract = above(Index.SPX, 6_820.0 * (1 + 0.002 * z), n=1)
    order = Resting(contract.market_ticker, contract, side, Price(100 * price), lots(3))
    assert loss(*held, resting=(order,)) >= loss(*held)


def test_a_market_nobody_knows_counts_with_its_worst_case():
    held = Holding("GONE", None, lots(7), Dollars(-3 * ONE))
    assert loss(held) == 3.0


# The guard.


@dataclass
class Lawful:
    """A model with a distribution."""

    distribution: PredictiveDistribution

    def forecast(self, _now: Nanos, target_ns: Nanos) -> Forecast | None:
        return self.distribution if target_ns == self.distribution.target_ns else None

    def health(self, _now: Nanos) -> CalibrationHealth:
        raise NotImplementedError

    def minutes(self) -> Minutes | None:
        raise NotImplementedError


@dataclass
class Said:
    """A correlation that says what it is told."""

    cautious: tuple[float, float]
    value: float = 0.9


def lawful() -> DaemonState:
    state = healthy()
    state.calibration.update({index: Lawful(distribution) for index, distribution in LAWS.items()})
    return state


def test_both_indices_and_all_orders_are_one_sum_against_the_limit():
    state = lawful()
    nasdaq = window_of(KXNASDAQ100U)
    hold(state, TICKERS[4], 30, -15 * ONE)
    hold(state, f"{nasdaq.event_ticker}-T6820", -30, 14 * ONE)  # 25,000 is far above: it will lose 16
    verdict = ask_quote(state, "joint_tail")
    assert verdict.passed
    assert 31.0 <= float(verdict.measured or 0.0) <= 32.0
    tight = chain_of(Settings(guards=GuardSettings(joint_tail_dollars=30.0)))
    assert not ask_quote(state, "joint_tail", chain=tight).passed


def test_the_worse_of_the_learnt_and_the_stressed_correlation_counts():
    measured = {}
    for rhos in ((0.99, 0.99), (0.7, 0.7), (0.99, 0.7)):
        state = lawful()
        state.calibration[Index.NDX] = Lawful(replace(NDX, level=6_820.0))
        hold(state, TICKERS[4], 30, -15 * ONE)
        hold(state, f"{window_of(KXNASDAQ100U).event_ticker}-T6820", -30, 15 * ONE)
        state.correlations[PAIR] = Said(rhos)
        measured[rhos] = float(ask_quote(state, "joint_tail").measured or 0.0)
    assert measured[0.99, 0.7] == max(measured.values())
    assert measured[0.7, 0.7] > measured[0.99, 0.99], "a hedge is worth less when they part"


def test_books_never_compared_are_a_refusal():
    state = lawful()
    state.reconciliation.checked_ns = None
    verdict = ask_quote(state, "joint_tail")
    assert (verdict.passed, verdict.measured) == (False, None)


def with_a_third_index(group: str) -> DaemonState:
    """DJI is distributed as SPX is, and has a market at the same strike."""
    state = lawful()
    state.instruments = three(group)
    state.calibration[DJI] = Lawful(replace(SPX, index=DJI))
    like = state.venue.markets[TICKERS[4]]
    contract = replace(like.contract, market_ticker=ON_DJI, series_ticker="KXDJIH", index=DJI)
    state.venue.markets[ON_DJI] = replace(like, contract=contract)
    return state


ON_DJI = "KXDJIH-26NOV23H1100-T6820"


@pytest.mark.parametrize("group", ["", "large_caps"])
def test_a_third_index_is_added_and_hedges_nothing(group):
    """In a group of three the third has no partner: its correlation with the others is not learnt."""

    def measured(*, spx: int, dji: int) -> float:
        state = with_a_third_index(group)
        hold(state, TICKERS[4], spx, -spx * ONE // 2)
        hold(state, ON_DJI, dji, -dji * ONE // 2)
        return float(ask_quote(state, "joint_tail").measured or 0.0)

    none, one, other = measured(spx=0, dji=0), measured(spx=30, dji=0), measured(spx=0, dji=-30)
    assert one > none + 10.0
    assert other > none + 10.0
    assert measured(spx=30, dji=-30) == pytest.approx(one + other - none, abs=1e-3)


@settings(max_examples=25, deadline=None)
@given(holdings, st.integers(-20, 20), st.floats(-2.0, 2.0), st.integers(0, 2**32 - 1))
def test_no_dependence_of_a_third_index_exceeds_the_sum(held, contracts, z, seed):
    law = replace(SPX, index=DJI)
    third = profiles([long(DJI, law.level * (1 + 0.002 * z), contracts, contracts / 2)], ())
    pair = profiles(held, ())
    added = tail_loss(pair, LAWS, 0.8, PAIR) + tail_loss(third, {DJI: law}, 0.8, (DJI, DJI))
    both, alone = joint_scenarios(SPX, NDX, 0.8, NODES), law.quantiles(NODES.u)
    pnl = sum((paid(one, both[:, INDICES.index(one.index)]) for one in pair), np.zeros(len(both)))
    pnl = pnl + np.random.default_rng(seed).permutation(sum(paid(one, alone) for one in third))
    worst = np.sort(pnl)[: ceil(0.05 * len(pnl))]
    assert -float(worst.mean()) <= added + 2.0


def paid(profile: Profile, levels: np.ndarray) -> np.ndarray:
    cents = np.rint(levels * 100.0).astype(np.int64) * 100
    return np.array(profile.values)[np.searchsorted(np.array(profile.edges), cents, side="right")]
