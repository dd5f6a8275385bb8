"""The quick ways of the model against its plain ones."""

import math
import subprocess
import sys
from copy import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_daemon.calibration.path import SessionPath
from kalshi_daemon.calibration.predictive import LadderMemo, PredictiveDistribution, lower_edges, upper_edges
from kalshi_daemon.calibration.recalibration import (
    _SMOOTHER,
    BINS,
    BUCKETS,
    GRID,
    MAP_MASS_MIN,
    MAP_PRIOR_WEIGHT,
    PitMap,
    Recalibration,
)
from kalshi_daemon.domain.contract import Contract, StrikeType
from kalshi_daemon.domain.index import Channel, Index, Tick
from kalshi_daemon.ground.units import POINT, Level, Nanos
from tests.calibration.support import MONDAY_OPEN, RESIDUALS, at, day_of, distribution_at, memory, model, path_of

# Ticks. `settle` says which prices need no closer look; without it each one takes the long way.

steps = st.tuples(
    st.sampled_from([0.05, 0.3, 0.3, 0.3, 1.0, 7.0]),  # minutes on, after rounding to the boundary when whole
    st.sampled_from([0.0, 1e-4, -2e-4, 3e-4, -0.004, 0.011, 0.019, -0.019, -0.035, 0.048, 0.3]),
    st.booleans(),
)


@settings(deadline=None, max_examples=150)
@given(st.lists(steps, min_size=1, max_size=80), st.floats(0.0, 300.0))
def test_the_quick_way_of_a_tick_equals_the_long_one(moves, start):
    quick, long = model(), model()
    minute, price = start, 6_800.0
    with pytest.MonkeyPatch.context() as patch:
        for pause, move, whole in [(0.0, 0.0, False), *moves]:
            minute = math.floor(minute + pause + 1.0) if whole else minute + pause
            if minute > 389.0:
                break
            price *= math.exp(move)
            seen = Tick(Index.SPX, Channel.VALUE, price, at(minute), at(minute))
            quick.on_tick(seen)
            patch.setattr(SessionPath, "settle", lambda *_args: None)
            long.on_tick(seen)
            patch.undo()
            price = path_of(quick).last
            assert (memory(quick), quick.refused) == (memory(long), long.refused)
            assert quick.health(at(minute)) == long.health(at(minute))
            assert day_of(quick).jumps == day_of(long).jumps
            assert day_of(quick).next_item == day_of(long).next_item
    assert distribution_at(quick, min(minute, 389), at(390)).sigma == (
        distribution_at(long, min(minute, 389), at(390)).sigma
    )


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 0.0, -6_800.0])
def test_no_impossible_price_is_taken_quickly(value):
    one = model()
    for n in range(4):
        one.on_tick(Tick(Index.SPX, Channel.VALUE, 6_800.0 + n, at(10 + n / 60), at(10 + n / 60)))
    before = memory(one)
    one.on_tick(Tick(Index.SPX, Channel.VALUE, value, at(10.1), at(10.1)))
    assert memory(one) == before
    assert one.refused == 1


def test_most_ticks_are_quick():
    one, quick = model(), 0
    rng = np.random.default_rng(3)
    price = 6_800.0
    for second in range(1_200):
        price *= math.exp(rng.normal(0.0, 7e-5))
        now = at(5 + second / 60)
        quick += one.today is not None and copy(path_of(one)).calm(now, price)
        one.on_tick(Tick(Index.SPX, Channel.VALUE, price, now, now))
    assert quick >= 1_200 * 59 / 60 - 2


# Prices.


def contract(n: int, low: float | None, high: float | None) -> Contract:
    lowest, highest = (None if end is None else Level(round(end * POINT)) for end in (low, high))
    return Contract(f"T{n}", "E", "KXINXU", Index.SPX, StrikeType.BETWEEN, lowest, highest, at(390))


ends = st.one_of(st.none(), st.floats(3_000.0, 14_000.0).map(lambda v: round(v, 2)))


@settings(deadline=None, max_examples=100)
@given(
    st.lists(st.tuples(ends, ends), max_size=40),
    st.floats(1e-5, 0.05),
    st.floats(0.5, 390.0),
    st.lists(st.floats(0.2, 3.0), min_size=BINS, max_size=BINS),
)
def test_a_ladder_is_priced_like_its_contracts_one_by_one(pairs, sigma, horizon, masses):
    knots = np.concatenate(([0.0], np.cumsum(masses) / np.sum(masses)))
    knots[-1] = 1.0
    distribution = PredictiveDistribution(
        Index.SPX, MONDAY_OPEN, at(390), 6_800.0, sigma, 0.02, RESIDUALS.at(horizon), PitMap(knots)
    )
    ladder = tuple(contract(n, low, high) for n, (low, high) in enumerate(pairs))
    found = distribution.probabilities(ladder)
    for priced, (low, high) in zip(found, pairs, strict=True):
        edges = np.array([0.0, np.inf])
        if low is not None:
            edges[0] = lower_edges(np.array([round(low * POINT)]))[0]
        if high is not None:
            edges[1] = upper_edges(np.array([round(high * POINT)]))[0]
        plain = [distribution.cdf(edges[:1])[0], 1.0 if high is None else distribution.cdf(edges[1:])[0]]
        assert priced == pytest.approx(max(0.0, plain[1] - plain[0]), abs=1e-11)


def test_the_memo_never_mistakes_one_ladder_for_another():
    memo = LadderMemo(most=2)
    one = tuple(contract(n, 6_800.0 + n, None) for n in range(3))
    other = (one[0], contract(1, 7_000.0, None), one[2])
    assert memo.edges(one) is memo.edges((one[0], *one[1:]))
    assert memo.edges(other).log_edges.tolist() != memo.edges(one).log_edges.tolist()
    again = tuple(contract(n, 6_800.0 + n, None) for n in range(3))
    assert memo.edges(again).log_edges.tolist() == memo.edges(one).log_edges.tolist()
    for n in range(10):
        memo.edges((contract(n, 5_000.0 + n, None),))
    assert len(memo._kept) <= 2


def test_contracts_of_two_indices_are_no_ladder():
    mixed = (contract(0, 6_800.0, None), Contract("N", "E", "S", Index.NDX, StrikeType.BETWEEN, None, None, Nanos(0)))
    with pytest.raises(ValueError, match="NDX and SPX"):
        LadderMemo().edges(mixed)


# The online map.


def plain_map(layer: Recalibration, left: int, right: int, weight: float) -> np.ndarray:
    seen = (1.0 - weight) * layer.histogram[left] + weight * layer.histogram[right]
    masses = np.maximum(1.0 / BINS + _SMOOTHER @ seen / (MAP_PRIOR_WEIGHT + seen.sum()), MAP_MASS_MIN / BINS)
    return np.concatenate(([0.0], np.cumsum(masses / masses.sum())))


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), st.floats(2.0, 350.0), st.sampled_from([1.0, 30.0, 3_000.0]))
def test_the_map_of_two_buckets_is_that_of_the_mixed_histogram(seed, horizon, weight):
    rng = np.random.default_rng(seed)
    layer = Recalibration.fresh((1.0,) * BUCKETS)
    layer.histogram[:] = weight * rng.dirichlet(np.full(BINS, 0.3), BUCKETS)
    centres = np.log([2.0, 5.0, 10.0, 15.0, 30.0, 45.0, 55.0, 120.0, 240.0, 360.0])
    right = max(1, int(np.searchsorted(centres, np.log(horizon))))
    share = (np.log(horizon) - centres[right - 1]) / (centres[right] - centres[right - 1])
    knots = layer.at(horizon).pit_map.knots
    assert knots == pytest.approx(plain_map(layer, right - 1, right, share), abs=1e-12)
    assert (knots[0], knots[-1]) == (0.0, 1.0)
    assert np.all(np.diff(knots) > 0.0)


def test_what_is_learnt_is_in_the_next_map():
    layer = Recalibration.fresh((1.0,) * BUCKETS)
    assert layer.at(15.0).pit_map.knots == pytest.approx(GRID)
    layer.learn(3, 4.0, 0.97)
    learnt = layer.at(15.0)
    assert learnt.pit_map.knots[-2] < GRID[-2]
    assert learnt.scale_squared > 1.0
    layer.next_session()
    assert layer.at(15.0).scale_squared < learnt.scale_squared


# The process.


def test_the_running_daemon_does_not_load_scipy_stats():
    code = "import sys, kalshi_daemon.cli.main, kalshi_daemon.app.daemon, kalshi_daemon.app.assembly; "
    code += "print([name for name in sys.modules if name.startswith('scipy.stats')])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert said.stdout.strip() == "[]"
