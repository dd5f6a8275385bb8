"""What the predecessor got wrong about calibration, each as a test that would catch it again."""

import math

import numpy as np
import pytest

from tests.calibration.support import at, bar, day_of, feed, known, model, path_of, tick, walk

TEN, ELEVEN, CLOSE = at(30), at(90), at(390)


def test_defect_05_what_was_learnt_is_what_is_quoted():
    # Recalibration wrote files nobody read, behind caches nobody emptied. Here every tick changes the very next
    # distribution.
    one = feed(model(), walk(60, step_s=10))
    calm = known(one.forecast(at(60), ELEVEN))
    rng = np.random.default_rng(8)
    level = calm.level
    for n in range(1, 61):
        level *= math.exp(rng.normal(0, 8e-4))
        one.on_tick(tick(60 + n / 12, level))
        distribution = known(one.forecast(at(60 + n / 12), at(150)))
        assert distribution.level == level
    assert known(one.forecast(at(65), ELEVEN)).sigma > 1.5 * calm.sigma
    assert one.health(at(65)).last_update_ns == at(65)


def test_defect_06_a_bar_is_known_at_its_end():
    # Bars are stamped by their start: the 12:00 bar ends at 12:01 and must neither settle 12:00 nor be known then.
    one = model()
    level = 6_800.0
    for m in range(30):
        one.on_bar(bar(m, level, level + 1, level - 1, level))
    assert path_of(one).last_ns == TEN, "the bar that starts at 09:59 ends at 10:00"
    before = known(one.forecast(TEN, ELEVEN))
    one.on_bar(bar(30, level, level + 40, level, level + 40))
    assert path_of(one).last_ns == at(31)
    assert before.level == level
    scored = one.hour_layer
    assert scored.scale_weight[0] == 1.0
    assert scored.scale_sum[0] == 0.0, "10:00 settled at the price of 10:00:00, not at the close of the 10:00 bar"


def test_defect_06_the_horizon_is_not_shifted_by_a_minute():
    one = feed(model(), walk(88, step_s=10))
    scale = one.hour_layer.at(2.0).scale_squared
    variance = one._current(day_of(one), path_of(one)).variance(2.0, sum(day_of(one).curve.rates[88:90]))
    assert known(one.forecast(at(88), ELEVEN)).sigma ** 2 == pytest.approx(scale * variance, rel=1e-9)


@pytest.mark.parametrize("target", [ELEVEN, CLOSE])
def test_defect_07_sigma_goes_to_zero_with_the_square_root_of_time(target):
    # A floor on the residual deviation kept the last three minutes as wide as the third.
    minute = (target - at(0)) / 60e9
    one = feed(model(), walk(minute - 1, step_s=10))
    now = at(minute - 1)
    whole = known(one.forecast(now, target)).sigma
    last = path_of(one).last
    for seconds in (30, 10, 1, 0.01):
        at_ns = at(minute - seconds / 60)
        one.on_tick(tick(minute - seconds / 60, last))
        sigma = known(one.forecast(at_ns, target)).sigma
        layer = one.close_layer if target == CLOSE else one.hour_layer
        mass = seconds / 60 * day_of(one).curve.rates[int(minute) - 1]
        variance = layer.at(seconds / 60).scale_squared * known(one._view).variance(seconds / 60, mass)
        assert sigma == pytest.approx(math.sqrt(variance), rel=1e-6)
        assert sigma <= 1.05 * whole * math.sqrt(seconds / 60)
    assert sigma < 0.02 * whole


def test_defect_07_one_point_from_the_strike_with_a_second_to_go_is_almost_certain():
    one = feed(model(), walk(89, step_s=10))
    one.on_tick(tick(90 - 1 / 60, path_of(one).last))
    distribution = known(one.forecast(at(90 - 1 / 60), ELEVEN))
    below, above = distribution.cdf(np.array([distribution.level - 2.5, distribution.level + 2.5]))
    assert below < 0.001
    assert above > 0.999
