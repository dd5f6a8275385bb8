import math

import numpy as np
import pytest

from kalshi_daemon.calibration.monitor import JUMP_PAUSE, THRESHOLD, JumpMonitor, RecordMonitor, likelihood_ratios
from kalshi_daemon.calibration.recalibration import BUCKETS, Recalibration
from kalshi_daemon.ground.units import SECOND, Nanos
from tests.calibration.support import RESIDUALS

LAW = RESIDUALS.at(50.0)
IDENTITY = Recalibration.fresh((1.0,) * BUCKETS).at(50.0).pit_map
SIGMA = 0.002


def ratios(count, width, seed):
    """LR of published distributions of sigma SIGMA when the truth is `width` times as wide."""
    u = np.random.default_rng(seed).uniform(size=count)
    moves = width * SIGMA * LAW.quantiles(u)
    return [likelihood_ratios(float(move), SIGMA, LAW, IDENTITY, SIGMA) for move in moves]


def test_the_ratio_is_fair_while_the_distribution_is_right():
    # E[LR] = 1 under the published distribution: integrate over a fine grid of its quantiles.
    z = LAW.quantiles((np.arange(4_000) + 0.5) / 4_000)
    found = [likelihood_ratios(float(SIGMA * one), SIGMA, LAW, IDENTITY, SIGMA) for one in z]
    assert np.mean(found, axis=0) == pytest.approx(1.0, abs=0.03)


def test_a_right_model_is_left_alone_for_a_season():
    for seed in range(5):
        monitor = RecordMonitor()
        for ratio in ratios(400, 1.0, seed):
            monitor.learn(ratio)
        assert not monitor.alarmed


@pytest.mark.parametrize(("width", "fixings"), [(2.0, 60), (0.5, 60)])
def test_a_wrong_width_is_noticed(width, fixings):
    monitor = RecordMonitor()
    for ratio in ratios(fixings, width, 3):
        monitor.learn(ratio)
    assert monitor.alarmed


def test_an_alarm_lasts_until_the_next_session():
    monitor = RecordMonitor()
    monitor.learn((3 * THRESHOLD, 0.0, 0.0))
    monitor.learn((0.0,) * 3)
    assert monitor.alarmed
    monitor.next_session()
    assert monitor == RecordMonitor()


def test_evidence_is_carried_over_a_quiet_night():
    monitor = RecordMonitor()
    monitor.learn((10.0, 1.0, 0.5))
    monitor.next_session()
    assert monitor.evidence == (10.0, 1.0, 0.5)


def test_an_impossible_move_alarms_at_once():
    monitor = RecordMonitor()
    monitor.learn(likelihood_ratios(1e9, 1e-9, LAW, IDENTITY, SIGMA))
    assert monitor.alarmed


def test_a_jump_silences_for_twenty_seconds_and_counts_once_a_minute():
    jumps = JumpMonitor()
    jumps.watch(Nanos(0), 0.5)
    assert not jumps.active(Nanos(0)), "not armed before the first minute is over"
    jumps.arm(1e-6)
    jumps.watch(Nanos(10 * SECOND), 5.9e-3)
    assert not jumps.active(Nanos(10 * SECOND))
    jumps.watch(Nanos(11 * SECOND), -6.1e-3)
    assert jumps.active(Nanos(11 * SECOND))
    jumps.watch(Nanos(25 * SECOND), -7e-3)
    assert jumps.active(Nanos(11 * SECOND + JUMP_PAUSE - 1))
    assert not jumps.active(Nanos(11 * SECOND + JUMP_PAUSE)), "the same move does not count twice"
    assert math.isinf(jumps.limit)
