"""What cannot be read is counted by name: said at once, then one figure a minute, none lost."""

from collections import Counter
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from kalshi_daemon.ground.units import MINUTE, SECOND
from kalshi_daemon.ground.unreadable import NAMES_MAX, UnreadableRate, UnreadableRates


def test_the_first_is_said_at_once_and_the_others_once_a_minute_with_their_rate():
    rates = UnreadableRates()
    assert rates.note("A", 0) == [UnreadableRate("A", 1, 1)]
    for second in range(1, 60):
        assert rates.note("A", second * SECOND) == []
    assert rates.note("A", MINUTE) == [UnreadableRate("A", 60, 60)]
    assert rates.due(2 * MINUTE - 1) == []
    assert rates.due(2 * MINUTE) == [UnreadableRate("A", 61, 1)]
    assert rates.due(3 * MINUTE) == rates.due(9 * MINUTE) == []
    assert rates.note("A", 10 * MINUTE) == [UnreadableRate("A", 62, 1)], "a new beginning is said at once again"


def test_names_do_not_hide_each_other():
    rates = UnreadableRates()
    assert rates.note("A", 0) == [UnreadableRate("A", 1, 1)]
    assert rates.note("B", 1) == [UnreadableRate("B", 1, 1)]
    assert rates.note("A", 2) == []
    assert rates.due(MINUTE) == [UnreadableRate("A", 2, 2)]


def test_a_single_one_is_not_said_twice():
    rates = UnreadableRates()
    rates.note("A", 0)
    assert rates.due(MINUTE) == []


def test_ever_new_names_are_counted_together():
    rates = UnreadableRates()
    said = [one for n in range(1_000) for one in rates.note(f"M{n}", n)]
    assert len(said) == NAMES_MAX + 1
    assert rates.due(2 * MINUTE) == [UnreadableRate("", 1_000 - NAMES_MAX, 1_000 - NAMES_MAX)]


@given(st.lists(st.tuples(st.sampled_from("AB"), st.integers(0, 40 * SECOND)), max_size=200))
def test_nothing_is_lost_and_no_name_is_said_more_than_once_a_minute(steps):
    rates, now, seen = UnreadableRates(), 0, Counter[str]()
    said: list[tuple[int, UnreadableRate]] = []
    for name, step in steps:
        now += step
        seen[name] += 1
        said += [(now, one) for one in rates.note(name, now)]
    said += [(now + MINUTE, one) for one in rates.due(now + MINUTE)]
    for name in "AB":
        mine = [(at, one) for at, one in said if one.name == name]
        assert (mine[-1][1].count if mine else 0) == seen[name], "the last figure knows of all"
        assert all(later - sooner >= MINUTE for (sooner, _), (later, _) in pairwise(mine))
