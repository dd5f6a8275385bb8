import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_daemon.calibration.recalibration import BUCKET_CENTRES_MIN, BUCKETS, CASH_SCALE_PRIOR, Recalibration

ONES = (1.0,) * BUCKETS


def test_a_cold_start_on_cash_is_wider_than_the_model():
    layer = Recalibration.fresh()
    assert layer.at(1.0).scale_squared == pytest.approx(1.10)
    assert layer.at(55.0).scale_squared == pytest.approx(1.15)
    assert layer.scale_squared(0) == CASH_SCALE_PRIOR[0]


def test_without_data_the_map_is_the_identity():
    u = np.linspace(0, 1, 41)
    correction = Recalibration.fresh(ONES).at(30.0)
    assert correction.pit_map.apply(u) == pytest.approx(u)
    assert correction.pit_map.invert(u) == pytest.approx(u)
    assert correction.scale_squared == 1.0
    assert correction.concentration == 400.0


def test_golden_scale():
    layer = Recalibration.fresh(ONES)
    for square in (2.0, 0.5, 4.0):
        layer.learn(4, square, 0.5)
    assert layer.scale_squared(4) == pytest.approx((50 + 6.5) / 53)
    layer.next_session()
    kept = 2 ** (-1 / 120)
    assert layer.scale_squared(4) == pytest.approx((50 + 6.5 * kept) / (50 + 3 * kept))


def test_golden_map():
    """One PIT in the lowest bin. Its polynomials of degree 1..4 have these shares of an indicator of that bin."""
    layer = Recalibration.fresh(ONES)
    layer.learn(0, 1.0, 0.01)
    masses = np.diff(layer.at(2.0).pit_map.knots)
    middles = np.arange(-19, 20, 2) / 20
    legendre = [np.polynomial.Legendre.basis(n)(middles) for n in range(1, 5)]
    basis: list[np.ndarray] = [np.full(20, 20**-0.5)]
    for one in legendre:  # orthogonal over the twenty middles, by hand
        rest = one - sum(np.dot(one, other) * other for other in basis)
        basis.append(rest / np.linalg.norm(rest))
    smooth = sum(other[0] * other for other in basis[1:])
    assert masses == pytest.approx(0.05 + smooth / 151)
    layer.next_session()
    kept = 2 ** (-1 / 120)
    assert np.diff(layer.at(2.0).pit_map.knots) == pytest.approx(0.05 + kept * smooth / (150 + kept))


def test_even_pits_leave_the_map_alone():
    layer = Recalibration.fresh(ONES)
    for n in range(2_000):
        layer.learn(0, 1.0, (n + 0.5) / 2_000)
    u = np.linspace(0.0, 1.0, 21)
    assert layer.at(2.0).pit_map.apply(u) == pytest.approx(u, abs=1e-12)


def test_a_lasting_bias_is_corrected_nearly_in_full():
    """PITs of density 2u: the right map is u^2."""
    layer = Recalibration.fresh(ONES)
    for n in range(3_000):
        layer.learn(0, 1.0, ((n + 0.5) / 3_000) ** 0.5)
    u = np.linspace(0.0, 1.0, 21)
    assert layer.at(2.0).pit_map.apply(u) == pytest.approx(u**2, abs=0.025)


def test_single_bins_do_not_get_in():
    """A comb of full and empty bins is noise no smooth map can follow."""
    layer = Recalibration.fresh(ONES)
    for n in range(3_000):
        layer.learn(0, 1.0, (2 * (n % 10) + (n % 10) % 2 + 0.5) / 20)
    assert np.count_nonzero(layer.histogram[0]) == 10
    u = np.linspace(0.0, 1.0, 21)
    assert layer.at(2.0).pit_map.apply(u) == pytest.approx(u, abs=0.02)


def test_no_bin_is_ever_emptied():
    layer = Recalibration.fresh(ONES)
    for _ in range(5_000):
        layer.learn(0, 1.0, 0.5)
    masses = np.diff(layer.at(2.0).pit_map.knots)
    assert masses.min() > 0.005
    assert layer.at(2.0).pit_map.slope(np.array([0.0, 0.03, 0.5, 1.0])) == pytest.approx(
        20 * masses[np.array([0, 0, 10, 19])]
    )


def test_only_its_own_bucket_learns():
    layer = Recalibration.fresh(ONES)
    layer.learn(2, 9.0, 0.0)
    assert layer.at(10.0).scale_squared > 1.0
    assert layer.at(5.0).scale_squared == 1.0
    assert layer.at(15.0).scale_squared == 1.0


@settings(deadline=None, max_examples=60)
@given(
    pits=st.lists(st.floats(0.0, 1.0), max_size=200),
    h=st.floats(0.001, 400.0),
    u=st.lists(st.floats(0.0, 1.0), min_size=1, max_size=20),
)
def test_the_map_rises_strictly_from_zero_to_one_and_inverts(pits, h, u):
    layer = Recalibration.fresh(ONES)
    for n, pit in enumerate(pits):
        layer.learn(n % BUCKETS, 1.0, pit)
    pit_map = layer.at(h).pit_map
    assert pit_map.knots[0] == 0.0
    assert pit_map.knots[-1] == 1.0
    assert np.all(np.diff(pit_map.knots) > 0)
    assert pit_map.invert(pit_map.apply(np.array(u))) == pytest.approx(u, abs=1e-12)


@settings(deadline=None, max_examples=60)
@given(edge=st.sampled_from((2.0, 3.0, 5.0, 7.0, 10.0, 15.0, 30.0, 40.0, 45.0, 55.0, 120.0, 180.0, 240.0, 360.0)))
def test_no_correction_jumps_with_the_clock(edge):
    layer = Recalibration.fresh(ONES)
    for bucket in range(BUCKETS):
        for n in range(100):
            layer.learn(bucket, 0.2 + bucket, (n % 10) / 20 if bucket % 2 else 1 - (n % 10) / 20)
    before, after = layer.at(edge * (1 - 1e-9)), layer.at(edge * (1 + 1e-9))
    assert before.scale_squared == pytest.approx(after.scale_squared, rel=1e-6)
    assert before.pit_map.knots == pytest.approx(after.pit_map.knots, abs=1e-6)


def test_at_a_centre_the_bucket_speaks_alone():
    layer = Recalibration.fresh(ONES)
    for bucket, centre in enumerate(BUCKET_CENTRES_MIN):
        layer.learn(bucket, float(bucket), 0.5)
        assert layer.at(centre).scale_squared == pytest.approx(layer.scale_squared(bucket))


def test_the_standard_error_falls_with_what_was_seen():
    layer = Recalibration.fresh(ONES)
    assert layer.at(30.0).standard_error() == pytest.approx(math.sqrt(0.25 / 401))
    assert layer.at(30.0).standard_error(0.1) == pytest.approx(math.sqrt(0.09 / 401))
    for n in range(600):
        layer.learn(4, 1.0, (n % 20) / 20)
    assert layer.at(30.0).standard_error() == pytest.approx(math.sqrt(0.25 / 1001))


def test_a_distribution_that_is_too_narrow_is_widened():
    layer = Recalibration.fresh(ONES)
    for _ in range(300):
        layer.next_session()
        for _ in range(6):
            layer.learn(4, 1.44, 0.5)
    assert layer.scale_squared(4) == pytest.approx(1.44, rel=0.03)
    assert layer.scale_weight[4] < 6 * 120 / math.log(2) + 6


@pytest.mark.parametrize("prior", [(1.0,) * 9, (*(1.0,) * 9, 0.0), (math.nan,) * 10])
def test_a_prior_that_is_not_one_positive_factor_per_bucket_is_refused(prior):
    with pytest.raises(ValueError, match="scale prior"):
        Recalibration.fresh(prior)
