"""One wrong value is never believed; a market that really moves is believed within seconds."""

from math import exp, sqrt
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshi_daemon.domain.index import Bar, Channel, Index, Tick
from kalshi_daemon.index_feed.plausibility import PlausibilityLimits, PlausibleValues, Word
from kalshi_daemon.units import MINUTE, SECOND, Nanos

START = Nanos(1_795_446_000 * SECOND)
LIMITS = PlausibilityLimits(jump_min=0.0075, values_min=3, confirm_ns=Nanos(30 * SECOND))
SPX, NDX = 6_800.0, 25_000.0


def tick(second: float, value: float, index: Index = Index.SPX) -> Tick:
    at = Nanos(START + int(second * SECOND))
    return Tick(index, Channel.VALUE, value, at, at)


def warm(value: float = SPX, index: Index = Index.SPX) -> PlausibleValues:
    """Values that are known up to second -1."""
    values = PlausibleValues(LIMITS)
    for second in range(-60, 0):
        values.judge(tick(second, value, index), ())
    return values


def test_the_first_values_of_a_day_are_believed_once_they_agree():
    values = PlausibleValues(LIMITS, (Nanos(START - 17 * 3_600 * SECOND), SPX))
    assert [values.judge(tick(second, SPX * 1.01), ()).word for second in range(2)] == [Word.WITHHELD] * 2
    ruling = values.judge(tick(2, SPX * 1.01), ())
    assert (ruling.word, ruling.reason, len(ruling.ticks)) == (Word.BELIEVED, "first", 3)


@pytest.mark.parametrize("wrong", [NDX, SPX / 10, SPX * 10, 1.0, SPX * 1.2], ids=str)
def test_a_first_value_that_is_not_the_last_closes_is_withheld_and_the_truth_is_believed(wrong):
    values = PlausibleValues(LIMITS, (Nanos(START - 17 * 3_600 * SECOND), SPX))
    assert all(values.judge(tick(second, wrong), ()).word is Word.WITHHELD for second in range(10))
    rulings = [values.judge(tick(10 + second, SPX * 1.002), ()) for second in range(3)]
    assert rulings[-1].word is Word.BELIEVED
    assert {each.value for each in rulings[-1].ticks} == {SPX * 1.002}


@pytest.mark.parametrize("wrong", [NDX, SPX / 10, SPX * 1.01, SPX * 0.99, 1.0], ids=str)
@pytest.mark.parametrize("times", [1, 2, 3, 20])
def test_misprints_teach_nothing_and_the_next_true_value_is_believed_at_once(wrong, times):
    values = warm()
    for second in range(times):
        assert values.judge(tick(second, wrong), (warm(NDX, Index.NDX),)).word is Word.WITHHELD
    ruling = values.judge(tick(times, SPX * 1.0005), ())
    assert (ruling.word, ruling.misprints, ruling.reason) == (Word.BELIEVED, times, "returned")
    assert [each.value for each in ruling.ticks] == [SPX * 1.0005]


def test_three_values_in_a_row_that_disagree_are_not_believed():
    values = warm()
    for second, value in enumerate([NDX, 1.0, SPX * 10, SPX / 10, SPX * 3] * 20):
        assert values.judge(tick(second, value), ()).word is Word.WITHHELD


def test_a_crash_that_both_indices_show_is_believed_after_three_values():
    spx, ndx = warm(), warm(NDX, Index.NDX)
    words = []
    for second in range(4):
        words.append(spx.judge(tick(second, SPX * 0.98), (ndx,)).word)
        ndx.judge(tick(second + 0.5, NDX * 0.978, Index.NDX), (spx,))
    assert words[:2] == [Word.WITHHELD] * 2
    assert Word.BELIEVED in words, "within four seconds"


def test_a_jump_the_minute_bar_shares_is_believed():
    values = warm()
    for second in range(3):
        assert values.judge(tick(second, SPX * 1.02), ()).word is Word.WITHHELD
    at = Nanos(START + 3 * SECOND)
    values.note_bar(Bar(Index.SPX, Channel.MINUTE, SPX, SPX * 1.021, SPX, SPX * 1.02, Nanos(at - MINUTE), at, at))
    assert values.judge(tick(4, SPX * 1.02), ()).reason == "minute_bar"


def test_a_jump_nobody_shares_is_believed_after_the_time_it_takes():
    values = warm()
    reasons = [values.judge(tick(second, SPX * 1.02), ()).reason for second in range(40)]
    assert reasons.index("time") == 30


@given(
    seed=st.integers(0, 2**32),
    script=st.lists(st.tuples(st.integers(0, 300), st.floats(0.05, 20.0)), max_size=40),
)
def test_whatever_misprints_come_only_true_values_are_ever_believed(seed, script):
    """A market at 40 % a year, one value a second; wrong ones at least 1 % away are scattered in between."""
    rng, values, level = Random(seed), warm(), SPX
    wrong = {second: factor for second, factor in script if abs(factor - 1.0) > 0.01}
    believed: dict[float, None] = {}
    true: set[float] = {SPX}
    for second in range(300):
        level *= exp(rng.gauss(0.0, 0.40 / sqrt(252 * 23_400)))
        true.add(level)
        for shown in ([level * wrong[second]] if second in wrong else []) + [level]:
            stamp = second if shown == level else second - 0.5
            believed |= {each.value: None for each in values.judge(tick(stamp, shown), ()).ticks}
    assert set(believed) <= true
    assert level in believed


@pytest.mark.parametrize("yearly", [0.15, 0.8, 1.6])
def test_a_market_that_really_moves_is_hardly_ever_withheld(yearly):
    """1.6 a year is March 2020: at most one value in a thousand waits, and none longer than ten seconds."""
    rng, spx, ndx, a, b = Random(7), warm(), warm(NDX, Index.NDX), SPX, NDX
    withheld, run, longest = 0, 0, 0
    for second in range(20_000):
        common = rng.gauss(0.0, yearly / sqrt(252 * 23_400))
        a, b = a * exp(common), b * exp(1.2 * common)
        held = spx.judge(tick(second, a), (ndx,)).word is Word.WITHHELD
        ndx.judge(tick(second + 0.3, b, Index.NDX), (spx,))
        withheld, run = withheld + held, run + 1 if held else 0
        longest = max(longest, run)
    assert withheld <= 20
    assert longest <= 10
