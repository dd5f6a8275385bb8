"""Our clock against the venue's, from stamps."""

from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_daemon.ground.units import MILLISECOND, SECOND, Nanos
from kalshi_daemon.kalshi.server_time import SAMPLE_LIFE, SAMPLES_MAX, SkewEstimator, date_header_ns

BASE = 1_763_908_200 * SECOND


def ask(estimator: SkewEstimator, ours_ahead: int, server_ns: int, *, trip: int = 40 * MILLISECOND, grid: int = SECOND):
    """The venue stamps in the middle of the trip, rounded down to its grid."""
    stamp = server_ns // grid * grid
    sent = server_ns + ours_ahead - trip // 2
    return estimator.observe(Nanos(sent), Nanos(sent + trip), Nanos(stamp), Nanos(grid))


def test_one_date_header_bounds_the_offset_to_half_a_second_and_half_a_trip():
    skew = ask(SkewEstimator(), 0, BASE + 300 * MILLISECOND)
    assert skew.uncertainty_ns == 520 * MILLISECOND
    assert abs(skew.offset_ns) <= skew.uncertainty_ns
    assert skew.round_trip_ns == 40 * MILLISECOND


def test_headers_at_other_fractions_of_the_second_narrow_it_to_the_trip():
    estimator = SkewEstimator()
    for step in range(20):
        skew = ask(estimator, 7 * SECOND, BASE + step * 1_050 * MILLISECOND)
    assert abs(skew.offset_ns - 7 * SECOND) <= 50 * MILLISECOND
    assert skew.uncertainty_ns <= 50 * MILLISECOND


def test_a_millisecond_stamp_decides_at_once():
    skew = ask(SkewEstimator(), -3 * SECOND, BASE + 123_456_789, grid=MILLISECOND)
    assert abs(skew.offset_ns + 3 * SECOND) <= 21 * MILLISECOND


def test_a_step_of_a_clock_forgets_what_came_before():
    estimator = SkewEstimator()
    ask(estimator, 0, BASE, grid=MILLISECOND)
    skew = ask(estimator, 10 * SECOND, BASE + SECOND, grid=MILLISECOND)
    assert abs(skew.offset_ns - 10 * SECOND) <= 21 * MILLISECOND


def test_old_samples_no_longer_count():
    estimator = SkewEstimator()
    exact = ask(estimator, 0, BASE, grid=MILLISECOND)
    later = ask(estimator, 0, BASE + SAMPLE_LIFE + SECOND)
    assert exact.uncertainty_ns < later.uncertainty_ns


def test_the_number_of_samples_is_bounded():
    estimator = SkewEstimator()
    for step in range(3 * SAMPLES_MAX):
        ask(estimator, 0, BASE + step * SECOND)
    assert len(estimator._samples) == SAMPLES_MAX


@settings(deadline=None, max_examples=100)
@given(
    ahead=st.integers(-60 * SECOND, 60 * SECOND),
    moments=st.lists(st.tuples(st.integers(0, 100 * SECOND), st.integers(0, SECOND)), min_size=1, max_size=10),
)
def test_the_truth_lies_within_the_uncertainty(ahead, moments):
    estimator = SkewEstimator()
    for moment, trip in sorted(moments):
        skew = ask(estimator, ahead, BASE + moment, trip=trip)
        assert abs(skew.offset_ns - ahead) <= skew.uncertainty_ns + 1


def test_date_headers_are_read_or_passed_over():
    assert date_header_ns("Sun, 23 Nov 2025 14:30:00 GMT") == BASE
    assert date_header_ns(None) is None
    assert date_header_ns("yesterday") is None
    assert date_header_ns("Sun, 23 Nov 2025 14:30:00 -0000") is None
