"""Waits double and are bounded."""

from hypothesis import given
from hypothesis import strategies as st

from kalshi_daemon.ground.backoff import doubled


@given(first=st.integers(1, 10**9), wait_max=st.integers(10**9, 10**12))
def test_waits_start_at_the_first_double_and_stay_at_the_greatest(first, wait_max):
    waits = [doubled(first, failures, wait_max) for failures in (0, 1, 2, 29, 10_000)]
    assert waits[:3] == [first, min(2 * first, wait_max), min(4 * first, wait_max)]
    assert waits == sorted(waits)
    assert waits[-1] == min(first << 30, wait_max)


def test_seconds_stay_seconds():
    assert [doubled(0.5, failures, 30.0) for failures in (0, 3, 9)] == [0.5, 4.0, 30.0]
