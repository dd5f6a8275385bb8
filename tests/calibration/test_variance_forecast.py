import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_daemon.calibration.constants import FEATURES
from kalshi_daemon.calibration.constants_file import SHIPPED
from kalshi_daemon.calibration.variance import (
    PARKINSON,
    Conditions,
    DailyState,
    Observation,
    RangeRatio,
    VarianceForecast,
    VarianceState,
    features,
    forecast_of,
    observed,
    unobserved,
)
from tests.calibration.support import FIRST_CONSTANTS

HALF_LIVES = (3, 10, 30, 90, 390, 1950, 8580, 90)
V0 = 0.01**2 / 390
CALM = Conditions(195.0, 0.0, 0.0, 0.0, 0.01)

values = st.floats(1e-9, 1e-4)
lengths = st.floats(1e-3, 1.0)

FLAT = (0.0, 0.0, 0.0)


def test_a_cold_start_is_the_prior_and_weighs_three_minutes():
    state = VarianceState.cold(0.01)
    assert state.levels() == pytest.approx(V0)
    state.fold(Observation(1.0, 4 * V0, 2 * V0))
    for k, half_life in enumerate(HALF_LIVES):
        lam = 2 ** (-1 / half_life)
        x = 2 * V0 if k == 7 else 4 * V0
        assert state.levels()[k] == pytest.approx((3 * lam * V0 + x) / (3 * lam + 1), rel=1e-12)


def test_golden_two_minutes_of_the_ten_minute_state():
    state = VarianceState.cold(0.01)
    state.fold(Observation(1.0, 1e-6, 1e-6))
    state.fold(Observation(1.0, 3e-6, 2e-6))
    lam = 2 ** (-1 / 10)
    num = lam * (lam * 3 * V0 + 1e-6) + 3e-6
    den = lam * (lam * 3 + 1) + 1
    assert state.num[1] == pytest.approx(num, rel=1e-12)
    assert state.den[1] == pytest.approx(den, rel=1e-12)


@settings(deadline=None, max_examples=60)
@given(parts=st.lists(lengths, min_size=1, max_size=8), x=values, xr=values)
def test_parts_of_a_minute_add_up_to_the_whole(parts, x, xr):
    total = sum(parts)
    pieces, whole = VarianceState.cold(0.01), VarianceState.cold(0.01)
    for part in parts:
        pieces.fold(Observation(part, x, xr))
    whole.fold(Observation(total, x, xr))
    assert pieces.num == pytest.approx(whole.num, rel=1e-9)
    assert pieces.den == pytest.approx(whole.den, rel=1e-9)


@settings(deadline=None, max_examples=30)
@given(x=values, xr=values, w=lengths)
def test_the_running_span_is_shown_but_not_kept(x, xr, w):
    state = VarianceState.cold(0.01)
    before = state.levels()
    shown = state.levels(Observation(w, x, xr))
    assert state.levels().tolist() == before.tolist()
    state.fold(Observation(w, x, xr))
    assert state.levels().tolist() == shown.tolist()


def test_a_frozen_feed_cannot_drive_a_state_to_zero():
    state = VarianceState.cold(0.01)
    for _ in range(5_000):
        state.fold(Observation(1.0, 0.0, 0.0))
    assert np.all(state.levels() >= 1e-3 * V0)
    assert math.isfinite(forecast_of(state.levels(), CALM).variance(15.0, 10.0))


def test_parkinson_of_a_minute():
    seen = observed(1.0, 2.0, 0.001, 0.0005, 1.2)
    assert seen.ranged == pytest.approx(1.2 * 0.001**2 / (4 * math.log(2)) / 2)
    assert seen.squared == pytest.approx(0.0005**2 / 2)


def test_a_gap_counts_as_one_minute_of_news_and_the_rest_as_usual():
    usual, squared = 2e-7, 9e-4**2
    seen = unobserved(20.0, 16.0, 9e-4, usual)
    assert seen.ranged == seen.squared == pytest.approx((squared / 16.0 + 19 * usual) / 20)
    assert seen.length_min == 20.0


def test_the_range_ratio_learns_what_the_index_is_like():
    ratio = RangeRatio()
    assert ratio.value == 1.0
    for _ in range(200):
        ratio.fold(1.0, 1.3e-7, 1.0e-7)
    kept = 2 ** (-200 / 1950)
    weight = sum(2 ** (-n / 1950) for n in range(200))
    prior = 200 * kept * 1.3e-7
    assert ratio.value == pytest.approx((weight * 1.3e-7 + prior) / (weight * 1.0e-7 + prior), rel=1e-9)
    for _ in range(4_000):
        ratio.fold(1.0, 1.3e-7, 1.0e-7)
    assert ratio.value == pytest.approx(1.3, abs=0.01)


@pytest.mark.parametrize(("squared", "ranged", "clip"), [(9e-7, 1e-7, 1.5), (1e-8, 1e-7, 0.7)])
def test_the_range_ratio_is_clipped(squared, ranged, clip):
    ratio = RangeRatio()
    for _ in range(5_000):
        ratio.fold(1.0, squared, ranged)
    assert ratio.value == clip


def test_no_variance_yet_leaves_the_ratio_at_one():
    ratio = RangeRatio()
    ratio.fold(1.0, 0.0, 0.0)
    assert ratio.value == 1.0


def test_golden_features():
    levels = np.array([4, 3, 2, 1.5, 1.2, 1.1, 0.9, 1.8]) * 1e-7
    found = features(levels, Conditions(60.0, 0.7, -0.02, 0.004, 0.01))
    by_hand = [
        math.log(4 / 2),
        math.log(3 / 2),
        math.log(2 / 1.5),
        math.log(1.5 / 1.2),
        math.log(1.2 / 1.1),
        math.log(1.1 / 0.9),
        0.7 * math.exp(-1),
        -2.0,
        0.0,
        0.0,
        60 / 390 - 0.5,
        math.log(1.8 / 1.5),
    ]
    assert found == pytest.approx(by_hand)
    assert len(FEATURES) == len(found) == len(SHIPPED.variance.level) == len(SHIPPED.variance.by_log_horizon)


def test_returns_are_clipped():
    low = features(np.full(8, 1e-7), Conditions(60.0, 0.0, -0.5, -0.5, 0.01))
    high = features(np.full(8, 1e-7), Conditions(60.0, 0.0, 0.5, 0.5, 0.01))
    assert low[[7, 8, 9]].tolist() == [-4.0, 0.0, -3.0]
    assert high[[7, 8, 9]].tolist() == [0.0, 4.0, 0.0]


def test_golden_variance():
    levels = np.array([4, 3, 2, 1.5, 1.2, 1.1, 0.9, 1.8]) * 1e-7
    today = Conditions(60.0, 0.7, -0.02, -0.004, 0.01)
    b = [0.07038, 0.45097, 0.72132, 0.25306, 0.12374, -0.11221, 0.02032, -0.08835, -0.00113, -0.33978, 0.05811, 0.30462]
    c = [-0.00983, -0.05148, -0.0818, 0.0066, -0.0186, 0.0117, -0.00036, -0.00831, 0.0003, -0.00677, -0.07639, -0.00772]
    f = features(levels, today).tolist()
    lh = math.log(45 / 15)
    exponent = -0.03192 + 0.03208 * lh - 0.00903 * lh**2
    exponent += sum(x * y for x, y in zip(b, f, strict=True)) + lh * sum(x * y for x, y in zip(c, f, strict=True))
    anchor = 1.5e-7**0.5 * 1.2e-7**0.3 * 1.1e-7**0.2
    assert forecast_of(levels, today, FIRST_CONSTANTS.variance).variance(45.0, 38.0) == pytest.approx(
        anchor * 38.0 * math.exp(exponent), rel=1e-12
    )


def test_the_exponent_is_clipped():
    assert VarianceForecast(1e-7, 50.0, 0.0, FLAT).variance(15.0, 10.0) == pytest.approx(1e-6 * math.exp(3))
    assert VarianceForecast(1e-7, -50.0, 0.0, FLAT).variance(15.0, 10.0) == pytest.approx(1e-6 * math.exp(-3))


def test_below_a_minute_the_one_minute_rate_holds():
    view = forecast_of(np.full(8, 2e-7), CALM)
    one = view.variance(1.0, 1.0)
    for h in (0.5, 0.1, 1e-4):
        assert view.variance(h, h) == pytest.approx(h * one, rel=1e-12)


def test_the_daily_sd_is_the_five_day_state_until_a_day_was_seen():
    daily = DailyState()
    assert daily.daily_sd(2.5e-7) == pytest.approx(math.sqrt(390 * 2.5e-7))
    daily.fold_variance(1e-4)
    daily.fold_variance(4e-4)
    kept = 2 ** (-1 / 22)
    assert daily.daily_sd(2.5e-7) == pytest.approx(math.sqrt((kept * 1e-4 + 4e-4) / (kept + 1)))


def test_the_gap_is_judged_by_earlier_gaps():
    daily = DailyState()
    assert daily.gap_feature(0.01) == 0.0
    assert daily.gap_feature(None) == 0.0
    daily.fold_gap(0.004)
    assert daily.gap_feature(None) == 0.0
    assert daily.gap_feature(0.004) == pytest.approx(0.0)
    assert daily.gap_feature(0.012) == pytest.approx(math.log((9 + 0.1) / 1.1))
    assert daily.gap_feature(0.0) == pytest.approx(math.log(0.1 / 1.1))


def test_one_squared_return_of_a_long_bar_weighs_one_minute():
    minute = observed(1.0, 1.0, 1e-3, 1e-3, 1.0)
    bar = observed(5.0, 5.0, 2e-3, 3e-3, 1.1)
    assert minute.squared == pytest.approx(1e-6)
    assert bar.ranged == pytest.approx(1.1 * PARKINSON * 4e-6 / 5.0)
    assert bar.squared == pytest.approx(0.2 * 9e-6 / 5.0 + 0.8 * bar.ranged)
