"""The fits find what simulated data were made with."""

from dataclasses import replace

import numpy as np
import pytest

from kalshi_daemon.calibration.constants import ResidualFigures
from kalshi_daemon.calibration.constants_file import SHIPPED
from kalshi_daemon.calibration.density import shape_at
from kalshi_daemon.research.effects import (
    EDGES_MIN,
    effects_of,
    event_multipliers,
    half_day_multipliers,
    measured,
    steps_of,
    surprises_of,
)
from kalshi_daemon.research.fitting import curve_fit, packed, shape_fit, unpacked, variance_fit
from kalshi_daemon.research.harvest import Harvest, variances
from kalshi_daemon.windows.releases import CPI, FOMC_STATEMENT, JOBLESS_CLAIMS, NFP

HORIZONS = np.array([2.0, 5.0, 15.0, 45.0, 120.0])
COUNT = 20_000


def made_with(constants, seed: int = 3) -> Harvest:
    """Forecast rows whose moves follow the constants' own distribution."""
    rng = np.random.default_rng(seed)
    horizon = rng.choice(HORIZONS, COUNT)
    blank = Harvest(
        day=np.arange(COUNT) // 20,
        horizon_min=horizon,
        half_day=np.zeros(COUNT, dtype=np.bool_),
        x=np.zeros(COUNT),
        log_anchor=np.log(1e-7 * horizon) + rng.normal(0, 0.5, COUNT),
        features=rng.normal(0, 0.3, (COUNT, 12)),
        probes=np.full((COUNT // 20, 2), np.nan),
    )
    z = np.empty(COUNT)
    for one in HORIZONS:
        at = horizon == one
        z[at] = shape_at(float(one), constants.residual).quantiles(rng.uniform(size=int(at.sum())))
    return replace(blank, x=z * np.sqrt(variances(blank, constants)))


EVERY = np.ones(COUNT, dtype=np.bool_)


def test_coefficients_pack_and_unpack_in_the_order_of_the_design():
    back = unpacked(packed(SHIPPED.variance))
    assert back.intercept == SHIPPED.variance.intercept
    assert back.level == SHIPPED.variance.level
    assert back.by_log_horizon == SHIPPED.variance.by_log_horizon


def test_the_variance_fit_finds_the_truth_from_a_wrong_start():
    truth = SHIPPED.variance
    wrong = unpacked(packed(truth) + 0.3)
    found = variance_fit(made_with(SHIPPED), EVERY, wrong, SHIPPED.residual, ridge=1.0)
    assert found.intercept == pytest.approx(truth.intercept, abs=0.04)
    assert found.level == pytest.approx(truth.level, abs=0.12)
    assert found.by_log_horizon == pytest.approx(truth.by_log_horizon, abs=0.12)


def test_a_strong_ridge_stays_with_the_reference():
    wrong = unpacked(packed(SHIPPED.variance) + 0.3)
    found = variance_fit(made_with(SHIPPED), EVERY, wrong, SHIPPED.residual, ridge=1e9)
    assert packed(found) == pytest.approx(packed(wrong), abs=1e-3)


def test_the_shape_fit_finds_the_distribution_the_residuals_were_drawn_from():
    truth = ResidualFigures((0.25, 0.05, 0.0), (-0.1, 0.0, 0.0), (-0.2, 0.0, 0.0), (1.7, 0.0, 0.0))
    material = made_with(replace(SHIPPED, residual=truth))
    found = shape_fit(material, EVERY, variances(material, SHIPPED), SHIPPED.residual)
    for horizon in (2.0, 15.0, 120.0):
        fitted, real = shape_at(horizon, found), shape_at(horizon, truth)
        u = np.array([0.01, 0.1, 0.5, 0.9, 0.99])
        assert fitted.quantiles(u) == pytest.approx(real.quantiles(u), rel=0.08, abs=0.05)


def test_the_curve_keeps_a_spike_and_smooths_the_rest():
    rng = np.random.default_rng(5)
    truth = np.ones(390)
    truth[30], truth[389] = 3.0, 2.5
    truth *= 390 / truth.sum()
    squares = rng.chisquare(1, (900, 390)) * truth * np.exp(rng.normal(0, 0.5, (900, 1)))
    found = curve_fit(squares, np.ones(900, dtype=np.bool_))
    assert found.mean() == pytest.approx(1.0)
    assert found[[30, 389]] == pytest.approx(truth[[30, 389]], rel=0.12)
    assert np.std(found[100:300] / truth[100:300]) < 0.04, "a raw mean of 900 days has 0.05"


def days_of(count: int, which: slice) -> np.ndarray:
    found = np.zeros(count, dtype=np.bool_)
    found[which] = True
    return found


def test_a_multiplier_is_measured_against_other_days():
    rng = np.random.default_rng(9)
    ratios = 0.7 * rng.chisquare(1, (1_000, 390))
    kind = days_of(1_000, slice(3, None, 10))
    ratios[kind, 270:290] *= 6.0
    loud, quiet = measured(ratios, kind, ~kind, (0, 20, 60), 270)
    assert loud.measured == pytest.approx(6.0, rel=0.12)
    assert abs(loud.measured - 6.0) < 4 * loud.error
    assert quiet.measured == pytest.approx(1.0, abs=0.1)
    assert 1.0 < loud.shrunk <= loud.measured
    assert loud.days == 100


def test_few_days_say_little_and_fewer_nothing():
    rng = np.random.default_rng(9)
    ratios = rng.chisquare(1, (400, 390))
    kind = days_of(400, slice(0, 90, 10))
    ratios[kind, :5] *= np.exp(rng.normal(1.0, 1.5, (9, 1)))
    (few,) = measured(ratios, kind, ~kind, (0, 5), 0)
    assert abs(np.log(few.shrunk)) < 0.9 * abs(np.log(few.measured))
    assert measured(ratios, days_of(400, slice(0, 70, 10)), ~kind, (0, 5), 0) == ()


def test_kinds_are_told_apart_and_half_days_keep_out_of_it():
    rng = np.random.default_rng(4)
    count = 1_200
    numbers = np.arange(count)
    kinds = {kind: numbers % 12 == at for at, kind in enumerate(EDGES_MIN)}
    kinds[JOBLESS_CLAIMS] |= kinds[CPI]
    half = numbers % 40 == 7
    press = numbers % 24 == 0
    squares = 1e-7 * rng.chisquare(1, (count, 390))
    squares[kinds[CPI], :30] *= 2.0
    squares[kinds[FOMC_STATEMENT] & press, 300:390] *= 5.0
    squares[half] *= 0.6
    squares[half, 210:] = np.nan
    found = surprises_of(squares, np.full((count, 2), 1e-7), np.ones(390), half)
    events = event_multipliers(found, kinds, press)
    assert events[CPI][0].measured == pytest.approx(2.0, rel=0.15)
    assert events[JOBLESS_CLAIMS][0].measured == pytest.approx(1.0, abs=0.1), "days with CPI are not counted"
    assert events[NFP][0].measured == pytest.approx(1.0, abs=0.1)
    assert events[FOMC_STATEMENT][-1].measured == pytest.approx(5.0, rel=0.15), "days without a conference left out"
    assert [round(one.measured, 1) for one in half_day_multipliers(found)[:8]] == pytest.approx([0.6] * 8, abs=0.11)
    effects = effects_of(events)
    assert effects[CPI].steps == steps_of(events[CPI])
    assert effects[CPI].steps[0][:2] == (60.0, 65.0), "minutes after 08:30"
