import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import stdtr

from kalshi_daemon.calibration.constants_density import CLOSE_TABLES, HOUR_TABLES, LEVELS, ResidualTable
from kalshi_daemon.calibration.density import (
    CLOSE_FAMILY,
    HOUR_FAMILY,
    NODES,
    SPACING_LEAST,
    law_of,
    strictly_increasing,
)

FAMILIES = {"hour": HOUR_FAMILY, "close": CLOSE_FAMILY}
laws = st.builds(lambda name, h: FAMILIES[name].at(h), st.sampled_from(sorted(FAMILIES)), st.floats(0.01, 390.0))


@settings(deadline=None, max_examples=60)
@given(law=laws, points=st.lists(st.floats(-40.0, 40.0), min_size=2, max_size=30))
def test_the_cdf_rises_strictly_and_stays_a_probability(law, points):
    z = np.unique(np.round(points, 3))
    u = law.cdf(z)
    assert np.all((u > 0.0) & (u <= 1.0))
    inside = u < 1 - 1e-12
    assert np.all(np.diff(u[inside]) > 0.0)
    assert np.all(np.diff(u) >= 0.0)


@settings(deadline=None, max_examples=60)
@given(law=laws, u=st.lists(st.floats(1e-9, 1.0 - 1e-9), min_size=1, max_size=30))
def test_quantiles_invert_the_cdf(law, u):
    u = np.array(u)
    assert law.cdf(law.quantiles(u)) == pytest.approx(u, abs=1e-12)


@pytest.mark.parametrize("edge", [0.005, 0.995])
@pytest.mark.parametrize("horizon", [1.0, 2.0, 7.0, 55.0, 300.0])
def test_the_tail_meets_the_table_without_a_step(edge, horizon):
    law = HOUR_FAMILY.at(horizon)
    joint = law.quantiles(np.array([edge]))[0]
    around = law.cdf(joint + np.array([-1e-9, 0.0, 1e-9]))
    assert around == pytest.approx(edge, abs=1e-9)
    assert np.all(np.diff(around) > 0)


def test_the_tail_is_a_student_t():
    law = law_of(HOUR_TABLES[0])
    low = law.nodes[0]
    z = np.array([-5.0, -9.0])
    assert law.cdf(z) == pytest.approx(0.005 * stdtr(8.04, z / 0.8875) / stdtr(8.04, low / 0.8875))
    high = law.nodes[-1]
    upper = 1 - 0.005 * stdtr(8.04, -6.0 / 0.8875) / stdtr(8.04, -high / 0.8875)
    assert law.cdf(np.array([6.0])) == pytest.approx(upper)


def test_the_ends_of_the_line():
    law = CLOSE_FAMILY.at(30.0)
    assert law.cdf(np.array([-np.inf, np.inf])).tolist() == [0.0, 1.0]
    assert law.quantiles(np.array([0.0, 1.0])).tolist() == [-np.inf, np.inf]
    assert np.isnan(law.cdf(np.array([np.nan]))[0])


@pytest.mark.parametrize(
    "table", [*HOUR_TABLES, *CLOSE_TABLES], ids=lambda table: f"{table.sample}-{table.horizon_min}"
)
def test_table_entries_are_kept_wherever_the_table_rises(table):
    law = law_of(table)
    raw = np.array(table.quantiles)[2:-2]
    rises = np.concatenate(([True], np.diff(raw) > 0)) & np.concatenate((np.diff(raw) > 0, [True]))
    assert law.nodes[rises] == pytest.approx(raw[rises], abs=1e-9)
    assert np.all(np.diff(law.nodes) >= 0.999 * SPACING_LEAST)


def test_golden_one_hour_quantiles():
    # model.md 4.5: median +.073, 5 % / 95 % = -1.64 / +1.44 at 55 minutes.
    found = HOUR_FAMILY.at(55.0).quantiles(np.array([0.05, 0.5, 0.95]))
    assert found == pytest.approx([-1.6443, 0.073, 1.44], abs=0.006)


def test_between_two_horizons_quantiles_are_mixed_in_the_logarithm():
    h = 20.0
    weight = np.log(20 / 15) / np.log(30 / 15)
    near, far = HOUR_FAMILY.at(15.0), HOUR_FAMILY.at(30.0)
    u = np.array([0.1, 0.5, 0.73])
    by_hand = (1 - weight) * near.quantiles(u) + weight * far.quantiles(u)
    assert HOUR_FAMILY.at(h).quantiles(u) == pytest.approx(by_hand)
    assert HOUR_FAMILY.at(h).nu == pytest.approx((1 - weight) * 9.38 + weight * 7.22)


def test_outside_the_fitted_horizons_the_nearest_law_holds():
    assert HOUR_FAMILY.at(0.1) is HOUR_FAMILY.laws[0]
    assert CLOSE_FAMILY.at(385.0) is CLOSE_FAMILY.laws[-1]


def test_full_hours_and_closes_have_laws_of_their_own():
    u = np.array([0.05])
    assert HOUR_FAMILY.at(10.0).quantiles(u)[0] == pytest.approx(-1.6687)
    assert CLOSE_FAMILY.at(10.0).quantiles(u)[0] == pytest.approx(-1.8214)


def test_flat_runs_are_opened_up_between_their_neighbours():
    found = strictly_increasing([-1.0, 0.0, 0.0, 0.0, 1.0])
    assert found == pytest.approx([-1.0, -0.5, 0.0, 0.5, 1.0])


def test_flat_ends_and_close_neighbours_are_pushed_apart():
    found = strictly_increasing([0.0, 0.0, 1e-9, 2e-9])
    assert np.all(np.diff(found) >= 0.999 * SPACING_LEAST)
    assert strictly_increasing([1.0, 2.0, 2.0]) == pytest.approx([1.0, 1.5, 2.0])


@pytest.mark.parametrize("values", [[1.0, 0.0], [0.0, np.nan], [0.0, np.inf]])
def test_a_falling_or_infinite_table_is_refused(values):
    with pytest.raises(ValueError, match="quantile table"):
        strictly_increasing(values)


def test_a_one_sided_table_is_refused():
    with pytest.raises(ValueError, match="both sides"):
        law_of(ResidualTable(5.0, 10, 8.0, 1.0, tuple(0.1 + 0.01 * n for n in range(len(LEVELS)))))


def test_the_relative_square_has_mean_one_under_the_law():
    for law in (*HOUR_FAMILY.laws, *CLOSE_FAMILY.laws):
        z = law.quantiles((np.arange(20_000) + 0.5) / 20_000)
        assert np.mean([law.relative_square(float(one)) for one in z[::7]]) == pytest.approx(1.0, abs=0.01)
        assert law.relative_square(1e6) == law.relative_square(-30.0)


def test_nodes_are_the_inner_levels():
    assert NODES[0] == 0.005
    assert NODES[-1] == 0.995
    assert len(NODES) == 101
