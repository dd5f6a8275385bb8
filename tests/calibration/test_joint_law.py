from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import stdtr

from kalshi_daemon.calibration.joint import (
    FLOOR,
    FREEDOM,
    PRIOR,
    STRESS,
    Correlation,
    ScenarioNodes,
    copula_points,
    joint_scenarios,
    lattice,
)
from kalshi_daemon.calibration.predictive import PredictiveDistribution
from kalshi_daemon.calibration.recalibration import GRID, PitMap
from kalshi_daemon.domain.index import Index
from tests.calibration.copula import copula_cdf, copula_log_density, joint_cdf
from tests.calibration.support import MONDAY_OPEN, RESIDUALS, at, bar, calendar, feed, model, session, tick

SPX = PredictiveDistribution(Index.SPX, MONDAY_OPEN, at(90), 6_800.0, 0.0025, 0.02, RESIDUALS.at(30.0), PitMap(GRID))
NDX = replace(SPX, index=Index.NDX, level=25_000.0, sigma=0.003)
NODES = ScenarioNodes.of(lattice(4_096))


def pairs(rho, count, seed=1, nu=None):
    """Minutes of a known correlation; Student t ones when nu is given."""
    rng = np.random.default_rng(seed)
    found = rng.multivariate_normal([0.0, 0.0], [[1.0, rho], [rho, 1.0]], count)
    return found if nu is None else found * np.sqrt(nu / rng.chisquare(nu, count))[:, None]


# The correlation.


@pytest.mark.parametrize("rho", [-0.5, 0.3, 0.8, 0.95])
@pytest.mark.parametrize("nu", [None, 5.0])
def test_a_known_correlation_is_found_within_its_error(rho, nu):
    found = []
    for seed in range(20):
        one = Correlation()
        for x, y in pairs(rho, 8_000, seed, nu) * [3e-4, 4e-4]:
            one.fold(x, y)
        found.append(one.value)
    # 3 sessions of half-life are worth 2 x 1170 / ln 2 minutes; tails make that fewer.
    error = (1.0 - rho**2) / np.sqrt(2.0 * 1_170.0 / np.log(2.0)) * (1.0 if nu is None else 1.7)
    assert np.mean(found) == pytest.approx(rho, abs=4.0 * error / np.sqrt(20) + 0.004)
    assert np.std(found) < 1.5 * error


def test_it_follows_a_change_with_its_half_life():
    one = Correlation()
    for x, y in pairs(0.95, 12_000):
        one.fold(x, y)
    for x, y in pairs(0.55, 1_170, seed=2):
        one.fold(x, y)
    assert one.value == pytest.approx(0.75, abs=0.03), "half way after three sessions"


def test_one_wild_minute_is_not_the_correlation():
    calm, hit = Correlation(), Correlation()
    for x, y in pairs(0.9, 3_000):
        calm.fold(x, y)
        hit.fold(x, y)
    hit.fold(80.0, -80.0)
    assert abs(hit.value - calm.value) < 0.05


def test_risk_floors_it_and_stresses_it():
    assert Correlation().value == PRIOR
    one = Correlation()
    for x, y in pairs(0.2, 6_000):
        one.fold(x, y)
    assert one.value < 0.3
    assert one.cautious == (FLOOR, STRESS)
    for x, y in pairs(0.97, 20_000):
        one.fold(x, y)
    assert one.cautious == (one.value, STRESS)
    assert one.value > 0.95


def test_it_reads_the_minutes_both_indices_were_watched_for():
    rng = np.random.default_rng(3)
    one, other = model(session(0), session(1)), model(session(0), session(1))
    found, by_hand = Correlation(), Correlation()
    levels = [6_800.0, 25_000.0]
    for minute in range(200):
        moves = rng.multivariate_normal([0, 0], [[1.0, 0.9], [0.9, 1.0]]) * 4e-4
        after = [level * float(np.exp(move)) for level, move in zip(levels, moves, strict=True)]
        one.on_bar(bar(minute, levels[0], max(levels[0], after[0]), min(levels[0], after[0]), after[0]))
        if minute not in {50, 51, 52}:
            other.on_bar(bar(minute, levels[1], max(levels[1], after[1]), min(levels[1], after[1]), after[1]))
        found.follow(one.today, other.today)
        assert one.today is not None
        if minute < 199 and minute not in {50, 51, 52}:
            root = np.sqrt(one.today.curve.rates[minute])
            by_hand.fold(float(moves[0] / root), float(moves[1] / root))
        levels = after
    assert found.weight == pytest.approx(by_hand.weight)
    assert found.value == pytest.approx(by_hand.value, abs=1e-9)
    again = found.snapshot()
    found.follow(one.today, other.today)
    assert found.snapshot() == again, "no minute twice"


def test_two_sessions_are_no_pair():
    one, other = model(session(0), session(1)), model(session(0), session(1))
    found = Correlation()
    found.follow(one.today, other.today)
    feed(one, [tick(n / 2, 6_800.0 + n) for n in range(10)])
    feed(other, [tick(n / 2, 6_800.0 + n, day=1) for n in range(10)])
    found.follow(one.today, other.today)
    assert found == Correlation()
    assert calendar(session(0))(at(0)) is not None


def test_it_comes_back_as_it_was():
    one = Correlation(open_ns=MONDAY_OPEN, minute=77)
    for x, y in pairs(0.9, 500):
        one.fold(x, y)
    assert Correlation.restored(one.snapshot()) == one


@pytest.mark.parametrize(
    "change",
    [{"cross": None}, {"weight": float("nan")}, {"first": -1.0}, {"cross": 1e9}, {"prior": "much"}, {"minute": True}],
)
def test_what_cannot_be_one_is_refused(change):
    one = Correlation()
    one.fold(1.0, 1.0)
    with pytest.raises(ValueError, match="correlation"):
        Correlation.restored({**one.snapshot(), **change})


# The copula.


@settings(deadline=None, max_examples=40)
@given(st.floats(0.002, 0.998), st.floats(0.002, 0.998), st.floats(-0.95, 0.99))
def test_the_copula_is_the_bivariate_student(u, v, rho):
    assert copula_cdf(u, v, rho) == pytest.approx(copula_cdf(v, u, rho), abs=2e-5)
    assert copula_cdf(u, v, rho) == pytest.approx(u - copula_cdf(u, 1.0 - v, -rho), abs=2e-5)


@settings(deadline=None, max_examples=25)
@given(st.floats(0.05, 0.95), st.floats(0.05, 0.95), st.floats(-0.9, 0.97))
def test_its_density_is_the_slope_of_its_cdf(u, v, rho):
    h = 0.01
    nodes, weights = np.polynomial.legendre.leggauss(12)
    squares = np.array([[u + h * a, v + h * b] for a in nodes for b in nodes])
    mass = (
        float(np.outer(weights, weights).ravel() @ np.exp(copula_log_density(squares[:, 0], squares[:, 1], rho)))
        * h
        * h
    )
    corners = [copula_cdf(u + a * h, v + b * h, rho) * a * b for a in (-1, 1) for b in (-1, 1)]
    assert sum(corners) == pytest.approx(mass, abs=4e-5)


def test_golden_copula():
    # Orthant probability of an elliptical distribution: 1/4 + asin(rho) / (2 pi).
    for rho in (-0.7, 0.0, 0.5, 0.95):
        assert copula_cdf(0.5, 0.5, rho) == pytest.approx(0.25 + np.arcsin(rho) / (2 * np.pi), abs=1e-6)
    assert copula_cdf(0.3, 1.0, 0.9) == 0.3
    assert copula_cdf(0.0, 0.4, 0.9) == 0.0


@pytest.mark.parametrize("rho", [0.7, 0.8, 0.95, 0.99])
def test_scenarios_have_both_distributions_and_the_copula_between_them(rho):
    points = copula_points(rho, NODES)
    for column in points.T:
        assert np.sort(column) == pytest.approx((np.arange(len(column)) + 0.5) / len(column), abs=0.008)
    levels = joint_scenarios(SPX, NDX, rho, NODES)
    for x, y in ((6_790.0, 24_900.0), (6_810.0, 25_050.0), (6_770.0, 24_850.0)):
        share = np.mean((levels[:, 0] <= x) & (levels[:, 1] <= y))
        assert share == pytest.approx(joint_cdf(SPX, NDX, (x, y), rho), abs=0.006)


@pytest.mark.parametrize("rho", [0.8, 0.95])
def test_both_beyond_covers_what_simulated_truth_does(rho):
    # A t walk of known correlation: the learnt correlation and the copula say how often both are beyond 1.64 sd.
    one = Correlation()
    truth = pairs(rho, 60_000, seed=4, nu=FREEDOM)
    for x, y in truth[:8_000]:
        one.fold(x, y)
    edge = stdtr(FREEDOM, -1.64)
    came = np.mean((truth[8_000:] <= -1.64).all(axis=1))
    error = np.sqrt(came / 52_000)
    assert copula_cdf(edge, edge, one.value) == pytest.approx(came, abs=4.0 * error + 0.02 * came)
    assert copula_cdf(edge, edge, one.value) > 3.0 * edge**2, "far from independent"


def test_nodes_are_the_same_every_time_and_checked():
    assert lattice(7).tolist() == lattice(9)[:7].tolist()
    assert np.all((lattice(5_000) > 0.0) & (lattice(5_000) < 1.0))
    for wrong in (np.array([[0.5, 1.0]]), np.array([0.5, 0.5]), np.array([[0.0, 0.2]])):
        with pytest.raises(ValueError, match="unit square"):
            ScenarioNodes.of(wrong)
    with pytest.raises(ValueError, match="two fixings"):
        joint_scenarios(SPX, replace(NDX, target_ns=at(150)), 0.9, NODES)
