import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_daemon.calibration.constants import EventEffect
from kalshi_daemon.calibration.session_curve import (
    VarianceEvent,
    adapted,
    curve_of,
    decaying,
    shaped,
)
from kalshi_daemon.ground.units import MINUTE, Nanos
from tests.calibration.support import BASE_CURVE, at, session

CURVE = curve_of(BASE_CURVE, session())
minutes = st.floats(0.0, 390.0)
FOMC = EventEffect(((0.0, 5.0, 17.55), (5.0, 30.0, 6.03), (30.0, 60.0, 7.25), (60.0, 120.0, 3.81)))


def test_a_regular_session_weighs_390_average_minutes():
    assert CURVE.minutes == 390
    assert CURVE.mass(0.0, 390.0) == pytest.approx(390.0, rel=1e-12)


def test_the_open_is_loud_the_middle_quiet_and_ten_o_clock_a_peak():
    assert CURVE.rates[0] > 3.0
    assert CURVE.rates[200] < 1.0
    assert CURVE.rates[30] > CURVE.rates[26]
    assert CURVE.rates[30] > CURVE.rates[36]


def test_the_fraction_of_a_minute_is_that_fraction_of_its_mass():
    assert CURVE.mass(100.25, 100.5) == pytest.approx(0.25 * CURVE.rates[100], rel=1e-12)
    by_hand = 0.5 * CURVE.rates[10] + CURVE.rates[11] + CURVE.rates[12] + 0.25 * CURVE.rates[13]
    assert CURVE.mass(10.5, 13.25) == pytest.approx(by_hand, rel=1e-12)


def test_a_nanosecond_keeps_its_digits():
    step = 1e-9 / 60
    assert CURVE.mass(389.5, 389.5 + step) == pytest.approx(step * CURVE.rates[389], rel=1e-3)


@settings(deadline=None, max_examples=100)
@given(a=minutes, b=minutes, c=minutes)
def test_mass_adds_up_and_never_falls(a, b, c):
    a, b, c = sorted((a, b, c))
    assert CURVE.mass(a, c) == pytest.approx(CURVE.mass(a, b) + CURVE.mass(b, c), abs=1e-9)
    assert CURVE.mass(a, b) >= 0.0
    assert CURVE.mass(b, a) == 0.0 or a == b


def test_outside_the_session_there_is_no_mass():
    assert CURVE.mass(-50.0, 0.0) == 0.0
    assert CURVE.mass(390.0, 500.0) == 0.0
    assert CURVE.mass(-5.0, 400.0) == CURVE.cumulative[-1]


def test_fomc_multiplies_the_minutes_after_14_00():
    with_event = curve_of(BASE_CURVE, session(), (VarianceEvent(at(270), FOMC),))
    ratio = np.array(with_event.rates) / np.array(CURVE.rates)
    assert ratio[:270] == pytest.approx(1.0)
    assert ratio[270:275] == pytest.approx(17.55)
    assert ratio[275:300] == pytest.approx(6.03)
    assert ratio[300:330] == pytest.approx(7.25)
    assert ratio[330:] == pytest.approx(3.81)
    assert with_event.mass(0, 390) == pytest.approx(float(np.sum(with_event.rates)))


def test_an_event_of_the_operator_jumps_and_dies_off():
    with_event = curve_of(BASE_CURVE, session(), (VarianceEvent(at(30), decaying(5.0, 10.0)),))
    ratio = np.array(with_event.rates) / np.array(CURVE.rates)
    assert ratio[:30] == pytest.approx(1.0)
    assert ratio[30] == pytest.approx(1 + 4 * 10 * (1 - math.exp(-0.1)))
    assert ratio[50] == pytest.approx(1 + 4 * 10 * (math.exp(-2.0) - math.exp(-2.1)))
    assert ratio[-1] < 1.001


def test_figures_from_before_the_open_act_with_what_is_left_of_them():
    with_event = curve_of(BASE_CURVE, session(), (VarianceEvent(at(-60), EventEffect(((60.0, 75.0, 1.5),), 10.0)),))
    ratio = np.array(with_event.rates) / np.array(CURVE.rates)
    assert ratio[:15] == pytest.approx(1.5)
    assert ratio[15] == pytest.approx(1 + 0.5 * 10 * (1 - math.exp(-0.1)))
    assert ratio[-1] < 1.001


def test_an_event_inside_a_minute_counts_from_its_second():
    with_event = curve_of(BASE_CURVE, session(), (VarianceEvent(at(30.25), EventEffect(((0.0, 1.0, 3.0),))),))
    assert with_event.rates[30] / CURVE.rates[30] == pytest.approx(1 + 0.75 * 2)
    assert with_event.rates[31] / CURVE.rates[31] == pytest.approx(1 + 0.25 * 2)


def test_overlapping_events_multiply():
    one = VarianceEvent(at(10), EventEffect(((0.0, 5.0, 2.0),)))
    both = curve_of(BASE_CURVE, session(), (one, one))
    assert both.rates[12] / CURVE.rates[12] == pytest.approx(4.0)


@pytest.mark.parametrize(
    "build",
    [
        lambda: EventEffect(()),
        lambda: EventEffect(((0.0, 5.0, -1.0),)),
        lambda: EventEffect(((5.0, 0.0, 2.0),)),
        lambda: EventEffect(((0.0, 5.0, math.nan),)),
        lambda: EventEffect(((0.0, 5.0, 2.0), (3.0, 8.0, 2.0))),
        lambda: decaying(2.0, math.inf),
    ],
)
def test_an_event_that_is_not_a_multiple_is_refused(build):
    with pytest.raises(ValueError, match="variance event"):
        build()


def test_a_half_day_keeps_its_morning_and_moves_the_end_effect_to_13_00():
    short = curve_of(BASE_CURVE, session(minutes=210), half_day=())
    assert short.rates[:120] == pytest.approx(BASE_CURVE[:120])
    assert short.rates[150:] == pytest.approx(BASE_CURVE[330:])
    between = np.array(short.rates[120:150])
    low, high = (
        np.minimum(BASE_CURVE[120:150], BASE_CURVE[300:330]),
        np.maximum(BASE_CURVE[120:150], BASE_CURVE[300:330]),
    )
    assert np.all((low <= between) & (between <= high))
    assert short.mass(0, 210) < 390


def test_what_was_measured_on_half_days_multiplies_their_minutes_and_no_others():
    steps = ((0.0, 30.0, 0.7), (205.0, 210.0, 1.2))
    plain, measured = (curve_of(BASE_CURVE, session(minutes=210), half_day=half) for half in ((), steps))
    ratio = np.array(measured.rates) / np.array(plain.rates)
    assert ratio.tolist() == pytest.approx([0.7] * 30 + [1.0] * 175 + [1.2] * 5)
    assert curve_of(BASE_CURVE, session(), half_day=steps).rates == CURVE.rates


@pytest.mark.parametrize("length", [0, 89, 391])
def test_no_curve_is_invented_for_a_strange_session(length):
    with pytest.raises(ValueError, match="no variance curve"):
        shaped(BASE_CURVE, length)


def test_a_curve_of_the_wrong_shape_is_refused():
    with pytest.raises(ValueError, match="shape"):
        shaped(np.ones(100), 390)


def test_one_day_bends_five_minutes_by_one_part_in_120_and_one_by_as_much_again_in_240():
    base = np.ones(390)
    day = base.copy()
    day[200] = 11.0
    after = adapted(base, day)
    day /= day.mean()
    assert after.mean() == pytest.approx(1.0)
    neighbours, minute = 1.0 + (day[200] - 1.0) / 5, day[200]
    expected = 1.0 + (neighbours - 1.0) / 120 + (minute - neighbours) / 240
    assert after[200] == pytest.approx(expected, abs=2e-4)
    assert after[[198, 202]] == pytest.approx(1.0 + (neighbours - 1.0) / 120 + (1.0 - neighbours) / 240, abs=2e-4)
    assert abs(after[100] - 1.0) < 0.001


def test_standing_peaks_stay_and_new_ones_are_learnt():
    truth = np.ones(390)
    truth[[30, 380, 389]] = 3.0
    truth /= truth.mean()
    kept = truth
    learnt = np.ones(390)
    for _ in range(1_000):
        kept, learnt = adapted(kept, 1e-6 * truth), adapted(learnt, 1e-6 * truth)
    assert kept == pytest.approx(truth), "no peak is washed into its neighbours"
    assert learnt[[30, 380, 389]] == pytest.approx(truth[[30, 380, 389]], rel=0.05)
    assert learnt[[28, 32, 382, 387]] == pytest.approx(truth[[28, 32, 382, 387]], rel=0.05)


def test_a_flat_day_pulls_towards_flat_and_a_dead_day_teaches_nothing():
    after = adapted(BASE_CURVE, np.full(390, 3.7))
    assert np.all(np.sign(after - BASE_CURVE)[:20] == np.sign(1.0 - BASE_CURVE)[:20])
    assert np.abs(after - 1.0).sum() < np.abs(BASE_CURVE - 1.0).sum()
    assert adapted(BASE_CURVE, np.zeros(390)) is BASE_CURVE


def test_one_jump_is_capped_at_thirty_average_minutes():
    day = np.full(390, 1e-9)
    day[50] = 1.0
    after = adapted(BASE_CURVE, day)
    assert after[50] < BASE_CURVE[50] + 30.0 / 5 / 120 + 30.0 * 4 / 5 / 240 + 0.01
    assert np.all(after > 0.9 * BASE_CURVE * (1.0 - 1.0 / 120)), "minutes beside it keep theirs"


def test_events_are_placed_by_their_own_clock_not_the_minute_index():
    shifted = session(1)
    event = VarianceEvent(Nanos(shifted.open_ns + 60 * MINUTE), EventEffect(((0.0, 1.0, 2.0),)))
    assert curve_of(BASE_CURVE, shifted, (event,)).rates[60] == pytest.approx(2 * CURVE.rates[60])
    assert curve_of(BASE_CURVE, session(0), (event,)).rates == CURVE.rates
