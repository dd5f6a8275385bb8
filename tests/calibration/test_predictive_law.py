from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_daemon.calibration.predictive import PredictiveDistribution, settled_sigma
from kalshi_daemon.calibration.recalibration import BUCKETS, Recalibration
from kalshi_daemon.domain.contract import Contract, StrikeType
from kalshi_daemon.domain.forecast import Forecast
from kalshi_daemon.domain.index import Index
from kalshi_daemon.ground.units import Level, Nanos
from tests.calibration.support import RESIDUALS, at


def skewed_layer():
    layer = Recalibration.fresh((1.0,) * BUCKETS)
    for n in range(300):
        layer.learn(4, 1.0, (n % 17) ** 2 / 300)
    return layer.at(30.0)


LAW = PredictiveDistribution(
    index=Index.SPX,
    asof_ns=at(90),
    target_ns=at(120),
    level=6_812.34,
    sigma=0.0025,
    calibration_error=0.02,
    residual=RESIDUALS.at(30.0),
    pit_map=skewed_layer().pit_map,
)
cents = st.integers(670_000, 692_000)


def contract(lowest, highest, strike_type=StrikeType.BETWEEN, index=Index.SPX):
    low = None if lowest is None else Level(lowest)
    high = None if highest is None else Level(highest)
    return Contract("T", "E", "KXINXU", index, strike_type, low, high, Nanos(at(120)))


def test_it_is_a_forecast():
    forecast: Forecast = LAW
    assert forecast.level == 6_812.34


@settings(deadline=None, max_examples=60)
@given(points=st.lists(st.floats(6_000.0, 7_600.0), min_size=2, max_size=20))
def test_the_cdf_never_falls(points):
    found = LAW.cdf(np.sort(np.array(points)))
    assert np.all(np.diff(found) >= 0)
    assert np.all((found >= 0) & (found <= 1))


@settings(deadline=None, max_examples=60)
@given(u=st.lists(st.floats(1e-6, 1 - 1e-6), min_size=1, max_size=20))
def test_quantiles_invert_the_cdf(u):
    assert LAW.cdf(LAW.quantiles(np.array(u))) == pytest.approx(np.array(u), abs=1e-9)


@settings(deadline=None, max_examples=60)
@given(strikes=st.lists(cents, min_size=1, max_size=40, unique=True))
def test_a_partition_holds_exactly_one_dollar(strikes):
    edges = sorted(100 * cent for cent in strikes)
    parts = [contract(None, edges[0] - 1, StrikeType.LESS)]
    parts += [contract(low, high - 1) for low, high in pairwise(edges)]
    parts.append(contract(edges[-1], None, StrikeType.GREATER_OR_EQUAL))
    assert LAW.probabilities(tuple(parts)).sum() == pytest.approx(1.0, abs=1e-9)


@settings(deadline=None, max_examples=60)
@given(strikes=st.lists(cents, min_size=2, max_size=40, unique=True))
def test_a_higher_strike_is_never_likelier(strikes):
    ladder = tuple(contract(100 * cent, None, StrikeType.GREATER_OR_EQUAL) for cent in sorted(strikes))
    assert np.all(np.diff(LAW.probabilities(ladder)) < 0)


@settings(deadline=None, max_examples=60)
@given(low=cents, width=st.integers(0, 5_000))
def test_the_five_strike_types_agree(low, width):
    first, last = 100 * low, 100 * (low + width)
    above = LAW.probability(contract(first, None, StrikeType.GREATER_OR_EQUAL))
    # `greater` 7844.9999 and `greater_or_equal` 7845 pay on the same settlement values.
    assert LAW.probability(contract(first - 1, None, StrikeType.GREATER)) == above
    assert LAW.probability(contract(None, first - 1, StrikeType.LESS)) == pytest.approx(1 - above, abs=1e-12)
    up_to = LAW.probability(contract(None, last, StrikeType.LESS_OR_EQUAL))
    assert LAW.probability(contract(first, last)) == pytest.approx(up_to - (1 - above), abs=1e-12)
    assert LAW.probability(contract(first, last + 99)) == LAW.probability(contract(first, last))


def test_the_edges_lie_half_a_cent_outside_the_settlement_grid():
    strike = 6_815.00
    assert LAW.probability(contract(68_150_000, None)) == pytest.approx(1 - LAW.cdf(np.array([strike - 0.005]))[0])
    assert LAW.probability(contract(None, 68_150_000)) == pytest.approx(LAW.cdf(np.array([strike + 0.005]))[0])
    one_cent = LAW.cdf(np.array([strike - 0.005, strike + 0.005]))
    assert LAW.probability(contract(68_150_000, 68_150_000)) == pytest.approx(one_cent[1] - one_cent[0])


def test_an_interval_between_two_grid_points_pays_nothing():
    assert LAW.probability(contract(68_150_001, 68_150_099)) == 0.0


def test_an_open_contract_always_pays():
    assert LAW.probability(contract(None, None)) == 1.0


def test_many_contracts_give_the_same_as_one_by_one():
    some = (
        contract(68_000_000, None),
        contract(None, 68_149_999),
        contract(68_100_000, 68_199_999),
        contract(None, None),
    )
    assert LAW.probabilities(some).tolist() == [LAW.probability(one) for one in some]
    assert LAW.probabilities(()).shape == (0,)


def test_a_contract_of_the_other_index_is_refused():
    with pytest.raises(ValueError, match="settles on NDX"):
        LAW.probability(contract(68_000_000, None, index=Index.NDX))


def test_golden_probability_without_a_map():
    plain = replace(LAW, pit_map=Recalibration.fresh().at(30.0).pit_map)
    z = np.log((6_820.0 - 0.005) / 6_812.34) / 0.0025
    assert plain.probability(contract(68_200_000, None)) == pytest.approx(1 - LAW.residual.cdf(np.array([z]))[0])
    assert 0.3 < plain.probability(contract(68_200_000, None)) < 0.4


def test_nothing_settles_at_or_below_zero_and_the_ends_are_the_line():
    assert LAW.cdf(np.array([-5.0, 0.0])) == pytest.approx([0.0, 0.0], abs=1e-12)
    assert LAW.quantiles(np.array([0.0, 1.0])).tolist() == [0.0, np.inf]


def test_scale_and_basis_add_up_in_variance():
    assert settled_sigma(4e-6, 1.21, 5e-5) == pytest.approx((1.21 * 4e-6 + 25e-10) ** 0.5)
    assert settled_sigma(0.0, 1.0, 5e-5) == pytest.approx(5e-5)
