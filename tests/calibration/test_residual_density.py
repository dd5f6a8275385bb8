from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import gamma, stdtr

from kalshi_daemon.calibration.density import (
    HORIZONS_MIN,
    NODES,
    Shape,
    distribution_of,
    family_of,
    shape_at,
)
from tests.calibration.support import FIRST_CONSTANTS, RESIDUALS

distributions = st.builds(RESIDUALS.at, st.floats(0.01, 390.0))
shapes = st.builds(Shape, st.floats(-0.5, 0.5), st.floats(0.3, 1.5), st.floats(0.3, 1.5), st.floats(2.5, 30.0))


def by_hand(shape: Shape, z: float) -> float:
    """The density of constants_density's docstring, in its own parameters g and s."""
    g, s = (shape.above / shape.below) ** 0.5, (shape.above * shape.below) ** 0.5
    k = g if z < shape.location else 1 / g
    nu, t = shape.nu, k * (z - shape.location) / s
    student = gamma((nu + 1) / 2) / gamma(nu / 2) / (nu * np.pi) ** 0.5 * (1 + t * t / nu) ** (-(nu + 1) / 2)
    return float(2 / (g + 1 / g) / s * student)


@settings(deadline=None, max_examples=60)
@given(distribution=distributions, points=st.lists(st.floats(-40.0, 40.0), min_size=2, max_size=30))
def test_the_cdf_rises_strictly_and_stays_a_probability(distribution, points):
    z = np.unique(np.round(points, 3))
    u = distribution.cdf(z)
    assert np.all((u > 0.0) & (u <= 1.0))
    inside = u < 1 - 1e-12
    assert np.all(np.diff(u[inside]) > 0.0)
    assert np.all(np.diff(u) >= 0.0)


@settings(deadline=None, max_examples=60)
@given(distribution=distributions, u=st.lists(st.floats(1e-9, 1.0 - 1e-9), min_size=1, max_size=30))
def test_quantiles_invert_the_cdf(distribution, u):
    u = np.array(u)
    assert distribution.cdf(distribution.quantiles(u)) == pytest.approx(u, abs=1e-12)


@settings(deadline=None, max_examples=40)
@given(shape=shapes, z=st.floats(-6.0, 6.0))
def test_the_cdf_of_a_shape_is_the_integral_of_its_density(shape, z):
    places = sorted({-60.0, z, min(z, shape.location)})
    area = sum(quad(lambda y: by_hand(shape, y), a, b)[0] for a, b in pairwise(places))
    tail = quad(lambda y: by_hand(shape, y), -np.inf, -60.0)[0]
    assert shape.cdf(np.array([z]))[0] == pytest.approx(area + tail, abs=1e-6)
    assert shape.cdf(shape.quantiles(np.array([0.01, 0.3, 0.5, 0.99]))) == pytest.approx([0.01, 0.3, 0.5, 0.99])


@settings(deadline=None, max_examples=40)
@given(h=st.sampled_from(HORIZONS_MIN), z=st.floats(-9.0, 9.0))
def test_the_table_follows_its_shape(h, z):
    shape, distribution = shape_at(h), distribution_of(shape_at(h))
    at = np.array([z])
    assert distribution.cdf(at) == pytest.approx(shape.cdf(at), abs=4e-4)
    assert distribution.log_density(at)[0] == pytest.approx(
        np.log(by_hand(shape, z)), abs=0.25 if abs(z) > 1.3 else 0.04
    )


@pytest.mark.parametrize("edge", [1e-12, 0.005, 0.995])
@pytest.mark.parametrize("horizon", [1.0, 2.0, 7.0, 55.0, 300.0])
def test_the_tail_meets_the_table_without_a_step(edge, horizon):
    distribution = RESIDUALS.at(horizon)
    joint = distribution.quantiles(np.array([edge]))[0]
    around = distribution.cdf(joint + np.array([-1e-9, 0.0, 1e-9]))
    assert around == pytest.approx(edge, rel=1e-6, abs=1e-9 * (edge > 1e-3))
    assert np.all(np.diff(around) > 0)


@settings(deadline=None, max_examples=60)
@given(
    distribution=distributions,
    z=st.lists(st.floats(-400.0, 400.0) | st.just(np.inf) | st.just(-np.inf), min_size=1, max_size=30),
)
def test_the_table_alone_is_the_cdf_up_to_1e_12(distribution, z):
    at = np.array(z)
    assert np.max(np.abs(distribution.tabulated(at) - distribution.cdf(at))) <= 1.001e-12


def test_the_tail_is_a_student_t():
    shape = Shape(0.1, 0.9, 0.8, 8.0)
    distribution = distribution_of(shape)
    z = np.array([-5.0, -9.0, -25.0, -90.0])
    truth = 2 * 0.9 / 1.7 * stdtr(8.0, (z - 0.1) / 0.9)
    assert distribution.cdf(z) == pytest.approx(truth, rel=2e-3), "a table in the tail, entries 10 % apart"
    assert distribution.cdf(z[3:]) == pytest.approx(truth[3:], rel=1e-6), "beyond it the function itself"
    assert truth[3] < 1e-12 < truth[2]
    assert distribution.cdf(np.array([6.0])) == pytest.approx(
        1 - 2 * 0.8 / 1.7 * stdtr(8.0, (0.1 - 6.0) / 0.8), abs=1e-6
    )


def test_the_ends_of_the_line():
    distribution = RESIDUALS.at(30.0)
    assert distribution.cdf(np.array([-np.inf, np.inf])).tolist() == [0.0, 1.0]
    assert distribution.quantiles(np.array([0.0, 1.0])).tolist() == [-np.inf, np.inf]
    assert np.isnan(distribution.cdf(np.array([np.nan]))[0])


def test_golden_one_hour_quantiles():
    # docs/reference/model.md 4.5: median +.073, 5 % / 95 % = -1.64 / +1.44 at 55 minutes, read off 8,352 residuals.
    found = family_of(FIRST_CONSTANTS.residual).at(55.0).quantiles(np.array([0.05, 0.5, 0.95]))
    assert found == pytest.approx([-1.64, 0.073, 1.44], abs=0.03)


def test_golden_shape_at_the_origin():
    # exp of the constants: s = .8368, g = .8981; below = s / g, above = s g.
    shape = shape_at(15.0, FIRST_CONSTANTS.residual)
    assert shape.location == 0.15908
    assert shape.nu == pytest.approx(8.8067, rel=1e-4)
    assert shape.below == pytest.approx(0.93181, rel=1e-4)
    assert shape.above == pytest.approx(0.75152, rel=1e-4)


def test_between_two_horizons_quantiles_are_mixed_in_the_logarithm():
    h = 18.0
    weight = np.log(18 / 15) / np.log(22 / 15)
    near, far = RESIDUALS.at(15.0), RESIDUALS.at(22.0)
    u = np.array([0.1, 0.5, 0.73])
    mixed = (1 - weight) * near.quantiles(u) + weight * far.quantiles(u)
    assert RESIDUALS.at(h).quantiles(u) == pytest.approx(mixed)
    assert RESIDUALS.at(h).shape.nu == pytest.approx((1 - weight) * near.shape.nu + weight * far.shape.nu)
    assert RESIDUALS.at(h).quantiles(u) == pytest.approx(distribution_of(shape_at(h)).quantiles(u), abs=1e-3)


def test_outside_the_fitted_horizons_the_nearest_distribution_holds():
    assert RESIDUALS.at(0.1) is RESIDUALS.distributions[0]
    assert RESIDUALS.at(389.99).shape.nu == pytest.approx(RESIDUALS.distributions[-1].shape.nu, rel=1e-3)
    assert shape_at(0.2) == shape_at(1.0)
    assert shape_at(900.0) == shape_at(390.0)
    assert RESIDUALS.at(500.0) is RESIDUALS.distributions[-1]


def test_a_longer_horizon_leans_further_up():
    medians = np.array([float(distribution.quantiles(np.array([0.5]))[0]) for distribution in RESIDUALS.distributions])
    assert np.all(np.diff(medians[np.array(HORIZONS_MIN) >= 5.0]) > 0.0)
    assert np.all((medians > -0.01) & (medians < 0.16))


@pytest.mark.parametrize("values", [(0.0, 0.0, 1.0, 8.0), (0.0, 1.0, -1.0, 8.0), (0.0, 1.0, 1.0, 2.0)])
def test_a_shape_without_a_variance_is_refused(values):
    with pytest.raises(ValueError, match="positive scales"):
        Shape(*values)


def test_a_one_sided_distribution_is_refused():
    with pytest.raises(ValueError, match="both tails"):
        distribution_of(Shape(0.0, 0.001, 1.0, 8.0))


def test_the_relative_square_has_mean_one_under_the_distribution():
    for distribution in RESIDUALS.distributions:
        z = distribution.quantiles((np.arange(20_000) + 0.5) / 20_000)
        assert np.mean([distribution.relative_square(float(one)) for one in z[::7]]) == pytest.approx(1.0, abs=0.01)
        assert distribution.relative_square(1e6) == distribution.relative_square(-30.0)


def test_nodes_run_from_tail_to_tail():
    assert NODES[0] == pytest.approx(1e-12)
    assert NODES[-1] == pytest.approx(1.0 - 1e-12, abs=1e-15)
    assert {0.005, 0.0075, 0.9925} < set(NODES.tolist())
    assert np.all(np.isin(np.round(np.arange(0.05, 0.96, 0.05), 6), NODES)), "the online map bends at entries only"
    assert np.all(np.diff(NODES) > 0)
    assert 0.5 in NODES
