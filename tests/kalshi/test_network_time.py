import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshi_daemon.ground.clock import ManualClock
from kalshi_daemon.ground.units import MILLISECOND, SECOND, Nanos
from kalshi_daemon.kalshi.network_time import NetworkTime
from kalshi_daemon.kalshi.stream_session import SNAPSHOT_ASKS, SNAPSHOT_TIMEOUT

SPEED = 400.0


class HeldClock(ManualClock):
    """A simulated clock of 400 times life's speed, held up as a test says."""

    def real_seconds(self, duration_ns):
        return duration_ns / SECOND / SPEED


def test_at_lifes_speed_it_is_the_loops_time():
    time = NetworkTime(ManualClock(Nanos(7)), 100.0)
    assert [time.read(at) for at in (100.0, 100.5, 103.0)] == [0, SECOND // 2, 3 * SECOND]


def test_a_clock_that_runs_takes_it_along_and_one_that_stands_does_not_stop_it():
    clock = HeldClock(Nanos(0))
    time = NetworkTime(clock, 0.0)
    clock.advance(Nanos(4 * SECOND))
    assert time.read(0.01) == 4 * SECOND
    assert time.read(0.11) == 4 * SECOND + 100 * MILLISECOND, "the exchange was busy, not silent"
    assert time.read(60.11) == pytest.approx(64.1 * SECOND), "but one that never answers is noticed"


def test_an_exchange_busy_for_a_tenth_of_a_second_has_not_refused_a_snapshot():
    """At this speed 40 s of simulated time would have passed: more than a snapshot is asked for."""
    busy_s = 0.1
    assert busy_s * SPEED * SECOND > (SNAPSHOT_ASKS + 1) * SNAPSHOT_TIMEOUT
    time = NetworkTime(HeldClock(Nanos(0)), 0.0)
    assert time.read(busy_s) < SNAPSHOT_TIMEOUT


@given(st.lists(st.tuples(st.floats(0.0, 1.0), st.integers(-SECOND, 400 * SECOND)), max_size=20))
def test_it_never_runs_backwards_nor_faster_than_its_clock_may(steps):
    clock = HeldClock(Nanos(0))
    time, real_s, before = NetworkTime(clock, 0.0), 0.0, 0
    for lived_s, ran_ns in steps:
        clock.advance(Nanos(ran_ns))  # a manual clock takes no step back
        real_s += lived_s
        now = time.read(real_s)
        assert before <= now <= before + SPEED * (lived_s * SECOND + 2)
        before = now
