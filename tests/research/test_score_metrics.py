"""Scores and their errors, against closed forms, against quadrature and against another library."""

from math import erf, inf, log, pi, sqrt

import numpy as np
import pytest
import scoringrules
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtri

from kalshi_daemon.calibration.predictive import PredictiveDistribution
from kalshi_daemon.calibration.recalibration import BINS, PitMap
from kalshi_daemon.calibration.scores import crps_of_quantiles
from kalshi_daemon.domain.index import Index
from kalshi_daemon.ground.units import Nanos
from kalshi_daemon.research import metrics
from tests.calibration.support import RESIDUALS

MAPS = {
    "plain": PitMap(np.linspace(0.0, 1.0, BINS + 1)),
    "bent": PitMap(np.linspace(0.0, 1.0, BINS + 1) ** 1.2),
}


def distribution(horizon: float = 55.0, sigma: float = 0.004, which: str = "plain") -> PredictiveDistribution:
    return PredictiveDistribution(
        Index.SPX, Nanos(0), Nanos(1), 6_000.0, sigma, 0.01, RESIDUALS.at(horizon), MAPS[which]
    )


@pytest.mark.parametrize("z", [-8.0, -2.5, -0.3, 0.0, 0.05, 1.0, 3.0, 9.0])
@pytest.mark.parametrize("which", ["plain", "bent"])
@pytest.mark.parametrize("horizon", [2.0, 300.0])
def test_crps_of_a_distribution_is_the_integral_of_its_squared_error(z, which, horizon):
    one = distribution(which=which, horizon=horizon)
    x = z * one.sigma
    fixing = 6_000.0 * np.exp(x)

    places = np.linspace(-60.0 * one.sigma, 60.0 * one.sigma, 1_200_001)
    error = one.cdf(6_000.0 * np.exp(places)) - (places >= x)
    whole = float(np.sum(np.square(error))) * (places[1] - places[0])
    crps, _, pit = metrics.distribution_scores(one, fixing)
    assert crps == pytest.approx(whole, rel=5e-4)
    assert pit == one.cdf(np.array([fixing]))[0]


def test_crps_of_a_distribution_agrees_with_the_library_s_quantile_score():
    one = distribution(which="bent")
    levels = (np.arange(20_000) + 0.5) / 20_000
    forecast = np.log(one.quantiles(levels) / 6_000.0)
    for x in (-0.012, -0.001, 0.0005, 0.009):
        theirs = float(scoringrules.crps_quantile(x, forecast, levels))
        ours, _, _ = metrics.distribution_scores(one, 6_000.0 * np.exp(x))
        assert ours == pytest.approx(theirs, rel=1e-3)


def test_gaussian_scores_agree_with_the_library():
    rng = np.random.default_rng(3)
    x, sigma = rng.normal(size=200), rng.uniform(0.2, 3.0, 200)
    assert metrics.gaussian_crps(x, sigma) == pytest.approx(scoringrules.crps_normal(x, 0.0, sigma), rel=1e-10)
    assert -metrics.gaussian_log_score(x, sigma) == pytest.approx(scoringrules.logs_normal(x, 0.0, sigma), rel=1e-10)


def test_brier_agrees_with_the_library():
    rng = np.random.default_rng(4)
    p = rng.uniform(size=100)
    y = (rng.uniform(size=100) < p).astype(float)
    assert metrics.brier(p, y) == pytest.approx(scoringrules.brier_score(y, p))


def test_crps_is_the_integral_of_brier_over_all_thresholds():
    one = distribution()
    x = 0.0015
    thresholds = np.linspace(-0.2, 0.2, 400_001)
    p = one.cdf(6_000.0 * np.exp(thresholds))
    total = float(np.sum(metrics.brier(p, (x <= thresholds).astype(float)))) * (thresholds[1] - thresholds[0])
    assert metrics.distribution_scores(one, 6_000.0 * np.exp(x))[0] == pytest.approx(total, rel=1e-3)


@given(st.floats(-7.0, 7.0), st.floats(0.0005, 0.02), st.sampled_from(sorted(MAPS)))
@settings(max_examples=60, deadline=None)
def test_the_log_score_is_the_slope_of_the_cdf(z, sigma, which):
    one = distribution(sigma=sigma, which=which)
    x = z * sigma
    nodes = one.residual.nodes * sigma
    step = 1e-6 * sigma
    if np.min(np.abs(nodes - x)) < 2 * step:
        return
    edges = 6_000.0 * np.exp(np.array([x - step, x + step]))
    low, high = one.cdf(edges)
    _, score, _ = metrics.distribution_scores(one, 6_000.0 * np.exp(x))
    if high - low > 1e-13:
        assert score == pytest.approx(log((high - low) / (2.0 * step)), abs=0.02)


def test_gaussian_crps_of_quantiles_beyond_either_end():
    levels = np.linspace(0.001, 0.999, 2_001)
    quantiles = ndtri(levels)
    for x in (-9.0, 9.0):
        exact = x * erf(x / sqrt(2.0)) + 2.0 * np.exp(-x * x / 2.0) / sqrt(2.0 * pi) - 1.0 / sqrt(pi)
        assert crps_of_quantiles(quantiles, levels, x) == pytest.approx(exact, rel=1e-3)


def test_ks_distance_of_a_worked_case():
    # Empirical cdf 1/2 after .2 and 1 after .4: it is .6 above the diagonal at .4.
    assert metrics.ks_distance(np.array([0.4, 0.2])) == pytest.approx(0.6)
    assert metrics.ks_distance(np.array([0.9])) == pytest.approx(0.9)
    with pytest.raises(ValueError, match="no forecasts"):
        metrics.ks_distance(np.array([]))


def test_coverage_counts_the_middle():
    pits = np.array([0.04, 0.06, 0.5, 0.94, 0.97, 0.999])
    assert metrics.coverage(pits, 0.9) == pytest.approx(3 / 6)
    assert metrics.coverage(pits, 0.99) == pytest.approx(5 / 6)


def test_errors_are_clustered_by_day():
    # Two days, each with two equal values: they count as two observations, not four.
    mean, error = metrics.clustered_mean(np.array([1.0, 1.0, 3.0, 3.0]), np.array([5, 5, 9, 9]))
    assert mean == 2.0
    assert error == pytest.approx(1.0)
    assert metrics.diebold_mariano(np.array([1.0, 1.0, 3.0, 3.0]), np.array([5, 5, 9, 9])) == pytest.approx(2.0)


def test_one_day_has_no_error_and_no_t():
    assert metrics.clustered_mean(np.array([1.0, 3.0]), np.array([7, 7])) == (2.0, 0.0)
    assert np.isnan(metrics.diebold_mariano(np.array([1.0, 3.0]), np.array([7, 7])))


def test_the_error_of_a_ratio_by_simulation():
    rng = np.random.default_rng(8)
    clusters = np.arange(400)
    found, errors = [], []
    for _ in range(300):
        bottom = rng.gamma(4.0, 1.0, 400)
        top = 0.9 * bottom + rng.normal(0.0, 0.5, 400)
        ratio, error = metrics.ratio_error(top, bottom, clusters)
        found.append(ratio)
        errors.append(error)
    assert np.mean(found) == pytest.approx(0.9, abs=0.002)
    assert np.mean(errors) == pytest.approx(np.std(found), rel=0.1)


def test_a_distribution_far_off_scores_finite():
    crps, score, pit = metrics.distribution_scores(distribution(), 6_000.0 * np.exp(-0.5))
    assert crps == pytest.approx(0.5, rel=0.02)
    assert -inf < score < -20.0
    assert 0.0 <= pit < 1e-6
