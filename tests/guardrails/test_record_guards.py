"""The guards of the record: missing refuses, learning passes, a failed monitor pulls and is named with its numbers."""

from dataclasses import replace

import pytest

from kalshi_daemon.domain.forecast import CalibrationHealth, Reading, Standing
from kalshi_daemon.domain.index import Index
from kalshi_daemon.domain.verdict import RefusalEffect
from tests.guardrails.guard_rig import (
    GOOD,
    NOW,
    WIDE,
    WINDOW,
    FixedCalibration,
    FixedRecord,
    chain_of,
    healthy,
    window_of,
)
from tests.support.instruments import KXNASDAQ100U

WIDE_RMS = Reading("rms_z", "near", 1.5, 400.0, 150.0, low=0.8, high=1.22)
LOW_GAIN = Reading("log_gain", "hour", -0.08, 400.0, 150.0, low=-0.04)


def state_with(*readings: Reading, guard: str):
    state = healthy()
    if guard == "market_record":
        state.market_records[Index.SPX] = FixedRecord(readings)
    else:
        health = CalibrationHealth(ready=True, last_update_ns=NOW, minutes_seen=120.0, readings=readings)
        state.calibration[Index.SPX] = FixedCalibration(health)
    return state


def asked(state, guard: str, window=WINDOW):
    (found,) = (one for one in chain_of().judge_window(state, WIDE, window, NOW) if one.guard == guard)
    return found


GUARDS = pytest.mark.parametrize("guard", ["forecast_record", "market_record"])


@GUARDS
def test_monitors_inside_their_limits_pass(guard):
    assert asked(state_with(GOOD, guard=guard), guard).passed


@GUARDS
def test_a_failed_monitor_pulls_and_shows_its_number_and_the_limit_it_crossed(guard):
    verdict = asked(state_with(GOOD, WIDE_RMS, LOW_GAIN, guard=guard), guard)
    assert not verdict.allows
    assert verdict.closing is RefusalEffect.PULL
    assert (verdict.measured, verdict.limit, verdict.unit) == (1.5, 1.22, "rms_z")
    assert verdict.note == "rms_z (near), log_gain (hour); n 400"
    assert asked(state_with(LOW_GAIN, guard=guard), guard).limit == -0.04


@GUARDS
def test_too_few_forecasts_close_nothing(guard):
    young = replace(WIDE_RMS, n=149.0)
    verdict = asked(state_with(young, guard=guard), guard)
    assert verdict.passed
    assert verdict.measured == "0 of 1 monitors judged, none failed"


@GUARDS
def test_no_record_at_all_refuses(guard):
    verdict = asked(state_with(guard=guard), guard)
    assert not verdict.passed
    assert verdict.measured is None
    gone = healthy()
    gone.calibration.clear()
    gone.market_records.clear()
    assert asked(gone, guard).measured is None


@GUARDS
def test_the_other_index_s_record_is_not_asked(guard):
    assert asked(state_with(WIDE_RMS, guard=guard), guard, window_of(KXNASDAQ100U)).passed


@GUARDS
def test_resting_quotes_are_asked_about_too(guard):
    state = state_with(WIDE_RMS, guard=guard)
    verdicts = chain_of().judge_resting(state, "wide", WINDOW, NOW)
    assert guard in [one.guard for one in verdicts if not one.allows and one.closing is RefusalEffect.PULL]


@pytest.mark.parametrize(
    ("value", "standing"),
    [
        (0.8, Standing.OK),
        (1.22, Standing.OK),
        (0.79, Standing.ALERT),
        (1.23, Standing.ALERT),
        (float("nan"), Standing.ALERT),
        (None, Standing.LEARNING),
    ],
)
def test_limits_are_inclusive_and_what_is_no_number_is_an_alert(value, standing):
    assert replace(WIDE_RMS, value=value).standing is standing
