"""Sequence numbers: gaps, repeats, restarts."""

from hypothesis import given
from hypothesis import strategies as st

from kalshi_daemon.domain.events import SequenceGap
from kalshi_daemon.ground.units import Nanos
from kalshi_daemon.kalshi.sequence import REPEATS_MAX, Order, SequenceTracker

T = Nanos(1)


def test_any_first_number_is_accepted_and_then_each_next_one():
    tracker = SequenceTracker()
    tracker.start(4)
    assert [tracker.observe(4, seq, T) for seq in (900, 901, 902)] == [Order.NEXT] * 3


def test_a_gap_names_what_was_expected_and_counting_goes_on_from_there():
    tracker = SequenceTracker()
    tracker.start(4)
    tracker.observe(4, 10, T)
    assert tracker.observe(4, 13, T) == SequenceGap(sid=4, expected=11, got=13, recv_ns=T)
    assert tracker.observe(4, 14, T) is Order.NEXT
    assert tracker.gaps == 1


def test_a_number_that_was_passed_is_dropped_and_counted():
    tracker = SequenceTracker()
    tracker.start(4)
    tracker.observe(4, 10, T)
    tracker.observe(4, 12, T)
    assert tracker.observe(4, 11, T) is Order.REPEATED
    assert tracker.observe(4, 12, T) is Order.REPEATED
    assert tracker.observe(4, 13, T) is Order.NEXT
    assert tracker.dropped == 2


def test_sids_are_counted_apart_and_a_new_subscription_starts_anew():
    tracker = SequenceTracker()
    tracker.start(1)
    tracker.start(2)
    assert tracker.observe(1, 5, T) is Order.NEXT
    assert tracker.observe(2, 50, T) is Order.NEXT
    tracker.start(1)
    assert tracker.observe(1, 1, T) is Order.NEXT
    assert tracker.observe(2, 51, T) is Order.NEXT
    tracker.stop(1)
    assert not tracker.follows(1)
    assert tracker.follows(2)
    tracker.clear()
    assert not tracker.follows(2)


def test_a_count_that_was_restarted_is_noticed_instead_of_dropping_for_ever():
    tracker = SequenceTracker()
    tracker.start(1)
    tracker.observe(1, 10_000, T)
    verdicts = [tracker.observe(1, seq, T) for seq in range(1, REPEATS_MAX + 2)]
    assert verdicts[:-1] == [Order.REPEATED] * REPEATS_MAX
    assert isinstance(verdicts[-1], SequenceGap)
    assert tracker.observe(1, REPEATS_MAX + 2, T) is Order.NEXT


@given(st.lists(st.integers(1, 40), min_size=1, max_size=60))
def test_a_gap_is_reported_exactly_when_numbers_were_skipped(numbers):
    tracker = SequenceTracker()
    tracker.start(1)
    highest = None
    for number in numbers:
        verdict = tracker.observe(1, number, T)
        if highest is None or number == highest + 1:
            assert verdict is Order.NEXT
        elif number > highest:
            assert verdict == SequenceGap(1, highest + 1, number, T)
        else:
            assert verdict is Order.REPEATED
        highest = number if highest is None else max(highest, number)
