"""Sigma is held against a level that no single minute can move."""

import math

import pytest

from kalshi_daemon.calibration.sigma_band import CLIP, SlowLevel, alarm_of
from kalshi_daemon.memory.documents import decoded, encoded, remember, restore
from kalshi_daemon.settings.model import CalibrationSettings
from tests.calibration.support import at, feed, model, path_of, session, tick, walk

MINUTE_VARIANCE = 0.01**2 / 390


def test_the_band_is_inclusive_and_says_both_numbers():
    assert alarm_of(36.0 * MINUTE_VARIANCE, MINUTE_VARIANCE, 0.3, 6.0) == ""
    assert alarm_of(0.0901 * MINUTE_VARIANCE, MINUTE_VARIANCE, 0.3, 6.0) == ""
    found = alarm_of(49.0 * MINUTE_VARIANCE, MINUTE_VARIANCE, 0.3, 6.0)
    assert found == "sigma 7 % a day against its slow level 1 %: 7.00 times, outside 0.3..6"
    assert alarm_of(0.04 * MINUTE_VARIANCE, MINUTE_VARIANCE, 0.3, 6.0).endswith("0.20 times, outside 0.3..6")


def test_it_follows_the_market_within_a_week_and_forgets_its_prior_at_once():
    slow = SlowLevel.cold(0.01)
    for _ in range(390):
        slow.fold(1.0, 4.0 * MINUTE_VARIANCE)
    assert slow.level == pytest.approx(4.0 * MINUTE_VARIANCE, rel=0.03)
    for _ in range(5 * 390):
        slow.fold(1.0, 16.0 * MINUTE_VARIANCE)
    assert 8.0 < slow.level / MINUTE_VARIANCE < 16.0


def test_two_halves_of_a_minute_are_the_minute():
    whole, halves = SlowLevel.of(MINUTE_VARIANCE, 900.0), SlowLevel.of(MINUTE_VARIANCE, 900.0)
    whole.fold(1.0, 2.0 * MINUTE_VARIANCE)
    halves.fold(0.5, 2.0 * MINUTE_VARIANCE)
    halves.fold(0.5, 2.0 * MINUTE_VARIANCE)
    assert (halves.num, halves.den) == pytest.approx((whole.num, whole.den))


def test_no_minute_moves_it_by_more_than_its_bounded_part():
    slow = SlowLevel.of(MINUTE_VARIANCE, 2_800.0)
    slow.fold(1.0, math.log(3.6) ** 2)
    assert slow.level / MINUTE_VARIANCE < 1.0 + CLIP / 2_800.0


@pytest.mark.parametrize("factor", [3.6, 0.1])
def test_a_wrong_value_that_was_learnt_closes_today_and_the_next_day(factor):
    one = feed(model(session(), session(1), session(2)), walk(390))
    level = path_of(one).last
    feed(one, walk(60, seed=2, day=1, level=level))
    feed(one, [tick(60.1, path_of(one).last * factor, day=1)])
    for minute in range(60, 390, 10):
        feed(one, walk(10, seed=minute, start=minute + 0.15, level=level, day=1))
        (alarm,) = (each for each in one.health(at(minute + 10, 1)).alarms if each != "jump")
        assert alarm.startswith("sigma ")
        assert "against its slow level " in alarm
    feed(one, walk(30, seed=9, day=2, level=level))
    assert one.health(at(30, 2)).alarms[0].startswith("sigma ")


def test_ordinary_days_raise_nothing():
    one = model(session(), session(1))
    for day in range(2):
        for minute in range(0, 390, 30):
            feed(one, walk(30, seed=minute + day, start=minute + 0.01, day=day))
            assert one.health(at(minute + 30, day)).alarms == ()


def test_the_slow_level_is_remembered_and_begins_anew_from_an_older_memory():
    settings = CalibrationSettings()
    one = feed(model(settings=settings), walk(100))
    again, older = model(settings=settings), model(settings=settings)
    document = decoded(encoded(remember(one)))
    restore(again, document)
    assert (again.slow.num, again.slow.den) == (one.slow.num, one.slow.den)
    del document["slow"]
    restore(older, document)
    assert older.slow.level == pytest.approx(one.variance.level_1950())
