import math

import numpy as np
import pytest

from kalshi_daemon.calibration.path import SessionPath
from tests.calibration.support import MONDAY_OPEN, at


def begun(minute=0.0, price=100.0):
    return SessionPath.begin(MONDAY_OPEN, 390, at(minute), price)


def test_a_minute_is_over_when_a_later_price_comes():
    path = begun()
    assert path.tick(at(0.5), 101.0) == ()
    assert path.tick(at(0.75), 99.0) == ()
    assert path.tick(at(1.0), 100.5) == (), "a price on the boundary still belongs to the minute that ends there"
    (span,) = path.tick(at(1.001), 100.6)
    assert (span.start, span.end, span.watched) == (0.0, 1.0, True)
    assert span.log_range == pytest.approx(math.log(101 / 99))
    assert span.log_return == pytest.approx(math.log(100.5 / 100))
    assert path.boundaries[:2].tolist() == [100.0, 100.5]
    assert path.squares[0] == pytest.approx(math.log(1.005) ** 2)


def test_the_next_minute_starts_at_the_last_price():
    path = begun()
    path.tick(at(0.9), 102.0)
    path.tick(at(1.1), 103.0)
    running = path.running()
    assert running is not None
    assert (running.start, running.end) == (1.0, pytest.approx(1.1))
    assert running.log_range == pytest.approx(math.log(103 / 102))


def test_a_day_may_begin_inside_a_minute():
    path = begun(10.25)
    assert path.running() is None
    assert path.finish() == ()
    path.tick(at(10.5), 101.0)
    (span,) = path.tick(at(11.2), 102.0)
    assert (span.start, span.end) == (10.25, 11.0)
    assert np.isnan(path.boundaries[10])
    assert np.isnan(path.squares[10]), "a part of a minute is no minute"


def test_one_minute_of_silence_is_no_gap():
    path = begun()
    path.tick(at(0.5), 101.0)
    (span,) = path.tick(at(1.5), 102.0)
    assert span.watched


def test_a_gap_is_one_span_of_its_whole_length():
    path = begun()
    path.tick(at(0.25), 101.0)
    first, gap = path.tick(at(7.5), 105.0)
    assert (first.start, first.end, first.watched) == (0.0, 0.25, True)
    assert (gap.start, gap.end, gap.watched) == (0.25, 7.5, False)
    assert gap.log_return == pytest.approx(math.log(105 / 101))
    assert path.boundaries[1:8].tolist() == [101.0] * 7, "what was known at those minutes"
    assert path.watched_so_far() == pytest.approx(0.25)
    path.tick(at(7.75), 106.0)
    assert path.watched_so_far() == pytest.approx(0.5)


def test_a_gap_that_ends_on_a_boundary_leaves_a_whole_minute():
    path = begun()
    (gap,) = path.tick(at(5.0), 101.0)
    assert (gap.start, gap.end) == (0.0, 5.0)
    assert path.boundaries[5] == 101.0
    (span,) = path.tick(at(5.5), 102.0) or path.tick(at(6.5), 102.0)
    assert (span.start, span.end) == (5.0, 6.0)


def test_the_thirty_minute_return():
    path = begun()
    for minute in range(1, 60):
        path.tick(at(minute), 100.0 + minute)
    path.tick(at(59.5), 170.0)
    assert path.return_over(30) == pytest.approx(math.log(170 / 129))
    young = begun(50.0)
    young.tick(at(55.0), 103.0)
    assert young.return_over(30) == pytest.approx(math.log(1.03)), "from the first price while there is no older one"
    early = begun()
    early.tick(at(5.0), 104.0)
    assert early.return_over(30) == pytest.approx(math.log(1.04))


def test_a_bars_extremes_count_once_and_only_in_the_running_minute():
    path = begun()
    path.tick(at(0.5), 101.0)
    path.stretch(at(0), at(1), 103.0, 99.0)
    path.stretch(at(0), at(1), 103.0, 99.0)
    assert (path.high, path.low) == (103.0, 99.0)
    path.tick(at(1.5), 101.0)
    path.stretch(at(0), at(1), 120.0, 80.0)
    assert (path.high, path.low) == (101.0, 101.0)


def test_the_day_ends_with_its_running_minute():
    path = begun()
    path.tick(at(389.5), 101.0)
    path.tick(at(390.0), 102.0)
    (span,) = path.finish()
    assert (span.start, span.end) == (389.5, 390.0)


def test_a_bar_of_five_minutes_is_watched_time_with_its_range():
    path = begun(5.0)
    (span,) = path.bar(at(10), 101.0, 103.0, 99.5)
    assert (span.start, span.end, span.watched, span.long) == (5.0, 10.0, True, True)
    assert span.log_range == pytest.approx(math.log(103 / 99.5))
    assert span.log_return == pytest.approx(math.log(1.01))
    assert path.watched_so_far() == 5.0
    assert np.isnan(path.squares).all(), "none of its minutes is known by itself"
    (ahead,) = path.bar(at(15), 99.0, 100.5, 99.2)
    assert ahead.log_range == pytest.approx(math.log(101 / 99)), "both ends count when the bar forgot them"
    path.tick(at(15.5), 99.5)
    running = path.running()
    assert running is not None
    assert (running.start, running.log_return) == (15.0, pytest.approx(math.log(99.5 / 99)))


def test_a_long_bar_ends_the_running_minute_first():
    path = begun()
    path.tick(at(0.5), 101.0)
    first, long = path.bar(at(5.5), 103.0, 104.0, 100.0)
    assert (first.start, first.end, first.watched) == (0.0, 0.5, True)
    assert (long.start, long.end) == (0.5, 5.5)
    assert path.watched_so_far() == 5.5


def test_a_gap_that_starts_on_a_boundary_keeps_that_boundary():
    path = begun()
    path.tick(at(5.0), 103.0)
    path.tick(at(35.2), 104.0)
    assert path.boundaries[5] == 103.0
    assert path.return_over(30) == pytest.approx(math.log(104 / 103))
