"""One wrong value is never believed; a market that really moves is believed within seconds."""

from math import exp, sqrt
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshi_daemon.domain.index import Bar, Channel, Index, Tick
from kalshi_daemon.ground.units import MINUTE, SECOND, Nanos
from kalshi_daemon.index_feed.plausibility import PlausibleValues
from kalshi_daemon.index_feed.ruling import PlausibilityLimits, Ruling, Word
from kalshi_daemon.index_feed.witnesses import OutsideLevels

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


# Witnesses


def sure(value: float = SPX) -> PlausibleValues:
    """Values that nobody doubts, up to second -1."""
    return PlausibleValues(LIMITS, (Nanos(START - SECOND), value))


def minute_bar(values: PlausibleValues, second: float, close: float) -> None:
    """A minute that ended at `second` and says `close`."""
    end = Nanos(START + int(second * SECOND))
    values.note_bar(Bar(Index.SPX, Channel.MINUTE, close, close, close, close, Nanos(end - MINUTE), end, end))


def in_step(values: PlausibleValues, other: PlausibleValues, first: int, last: int, value: float) -> list[Ruling]:
    """Seconds first..last-1 of a value, while the other index stands by its own."""
    rulings = []
    for second in range(first, last):
        rulings.append(values.judge(tick(second, value), (other,)))
        other.judge(tick(second + 0.3, NDX * (1 + 1e-5 * (second % 2)), Index.NDX), (values,))
    return rulings


def test_a_contradiction_weighs_more_than_the_time():
    """One per cent off and frozen, while the other index moves on: half a minute changes nothing, nor does a day."""
    values, other = sure(), sure(NDX)
    rulings = in_step(values, other, 0, 3_000, SPX * 1.01)
    assert {each.word for each in rulings} == {Word.WITHHELD}
    assert rulings[-1].against == "other_index"
    assert in_step(values, other, 3_000, 3_001, SPX)[0].reason == "returned"


def test_as_many_who_agree_outweigh_a_contradiction_only_after_ten_minutes():
    values, other = sure(), sure(NDX)
    rulings = []
    for second in range(700):
        if second % 60 == 2:
            minute_bar(values, second - 2, SPX * 1.01)
        rulings += in_step(values, other, second, second + 1, SPX * 1.01)
    believed = [n for n, each in enumerate(rulings) if each.word is Word.BELIEVED]
    assert believed[0] == 600
    assert (rulings[600].reason, rulings[600].doubtful) == ("time", True)


def test_a_minute_bar_contradicts_what_began_well_before_its_end():
    values = sure()
    said = [values.judge(tick(second, SPX * 1.01), ()) for second in range(20)]
    minute_bar(values, 18, SPX * 1.0003)
    said += [values.judge(tick(second, SPX * 1.01), ()) for second in range(20, 120)]
    assert {each.word for each in said} == {Word.WITHHELD}
    assert said[-1].against == "minute_bar"


@pytest.mark.parametrize(
    ("books", "word"), [(SPX * 1.01, Word.BELIEVED), (SPX * 1.0005, Word.WITHHELD), (None, Word.BELIEVED)]
)
def test_the_books_speak_for_a_jump_and_against_one(books, word):
    values = PlausibleValues(LIMITS, (Nanos(START - SECOND), SPX), lambda: OutsideLevels(books=books))
    said = [values.judge(tick(second, SPX * 1.01), ()) for second in range(60)]
    assert said[-1].word is word
    assert (said[2].reason == "books") is (books == SPX * 1.01)


@pytest.mark.parametrize("wrong", [NDX, SPX / 10, SPX * 1.2])
@pytest.mark.parametrize("known", [None, (Nanos(START - 17 * 3_600 * SECOND), SPX)], ids=["cold", "close"])
def test_the_listed_ladder_says_which_instrument_a_first_value_is_of(wrong, known):
    values = PlausibleValues(LIMITS, known, lambda: OutsideLevels(ladder_middle=SPX * 1.03))
    said = [values.judge(tick(second, wrong), ()) for second in range(120)]
    assert {each.word for each in said} == {Word.WITHHELD}
    assert said[-1].against == "ladder"
    assert values.judge(tick(120, SPX), ()).word is Word.WITHHELD
    assert [values.judge(tick(121 + n, SPX), ()).word for n in range(2)][-1] is Word.BELIEVED


# What was believed on time alone


def test_a_jump_believed_on_time_alone_is_taken_back_when_the_market_returns():
    values = sure()
    rulings = [values.judge(tick(second, SPX * 1.01), ()) for second in range(40)]
    assert (rulings[30].reason, rulings[30].doubtful, values.in_doubt) == ("time", True, True)
    back = [values.judge(tick(40 + second, SPX * 1.0002), ()) for second in range(3)]
    assert [each.word for each in back] == [Word.WITHHELD] * 2 + [Word.BELIEVED]
    assert (back[-1].reason, back[-1].settled) == ("returned", True)
    assert back[-1].retracted == (tick(0, 1.0).event_ns, tick(39, 1.0).event_ns)
    assert not values.in_doubt


def test_a_stretch_in_doubt_is_withheld_again_when_a_minute_bar_says_otherwise():
    values = PlausibleValues(LIMITS, (Nanos(START - 17 * 3_600 * SECOND), SPX))
    rulings = [values.judge(tick(second, SPX * 1.01), ()) for second in range(61)]
    assert (rulings[2].reason, rulings[2].doubtful) == ("first", True)
    minute_bar(values, 60, SPX * 1.0005)
    ruling = values.judge(tick(61, SPX * 1.01), ())
    assert (ruling.word, ruling.against) == (Word.WITHHELD, "minute_bar")
    assert ruling.retracted == (tick(0, 1.0).event_ns, tick(60, 1.0).event_ns)
    assert values.judge(tick(62, SPX * 1.01), ()).word is Word.WITHHELD, "agreeing with itself is not enough"
    true = [values.judge(tick(63 + second, SPX * 1.0005), ()) for second in range(3)]
    assert true[-1].word is Word.BELIEVED


def test_the_first_minute_bar_of_a_day_settles_its_first_values():
    values = PlausibleValues(LIMITS, (Nanos(START - 17 * 3_600 * SECOND), SPX))
    for second in range(61):
        values.judge(tick(second, SPX * 1.01), ())
    minute_bar(values, 60, SPX * 1.0101)
    assert values.judge(tick(61, SPX * 1.01), ()).settled


def test_a_day_of_misprints_does_not_become_a_new_day():
    values = sure()
    for second in range(900):
        assert (
            values.judge(tick(second, SPX * (1.01 + 0.1 * (second % 2))), (warm(NDX, Index.NDX),)).word is Word.WITHHELD
        )


# --- the vendor's snapshot


def seen(snapshot: tuple[float, float]) -> PlausibleValues:
    """Values of a day that nobody doubts, up to second -10; then a snapshot: the second of its stamp, and its value."""
    told = [OutsideLevels()]
    values = PlausibleValues(LIMITS, None, lambda: told[0])
    for second in range(-700, 0, 10):
        values.judge(tick(second, SPX + second % 20 / 1_000), ())
    told[0] = OutsideLevels(snapshot=(Nanos(START + int(snapshot[0] * SECOND)), snapshot[1]))
    return values


def reasons(values: PlausibleValues, level: float, seconds: int, others: tuple[PlausibleValues, ...] = ()) -> list[str]:
    return [values.judge(tick(second, level), others).reason for second in range(seconds)]


@given(factor=st.floats(0.05, 20.0).filter(lambda f: abs(f - 1.0) > 0.02), at=st.floats(0.0, 2.0))
def test_a_jump_that_the_snapshot_shares_is_believed_without_waiting(factor, at):
    assert reasons(seen((at, SPX * factor)), SPX * factor, 5).index("snapshot") == 2


@given(factor=st.floats(0.05, 20.0).filter(lambda f: abs(f - 1.0) > 0.02), at=st.integers(0, 30))
def test_a_jump_that_the_snapshot_contradicts_is_not_believed_on_time_alone(factor, at):
    values = seen((at, SPX))
    assert not any(reasons(values, SPX * factor, at + 60)[at:])
    assert values.judge(tick(at + 61, SPX * 1.0005), ()).reason == "returned"


@pytest.mark.parametrize("stamp", [-1.0, -900.0, 200.0], ids=["before the jump", "a delayed plan", "of the future"])
@pytest.mark.parametrize("level", [SPX, SPX * 1.02], ids=["known", "said"])
def test_a_snapshot_whose_stamp_is_not_fresh_says_nothing(stamp, level):
    assert reasons(seen((stamp, level)), SPX * 1.02, 40).index("time") == 30


def test_a_snapshot_is_held_against_the_value_of_its_own_instant():
    """A market that goes on falling while the answer is on its way is not contradicted by it."""
    values = seen((1.0, SPX * 0.97))
    found = [values.judge(tick(second, SPX * (0.98 - 0.005 * second)), ()).reason for second in range(4)]
    assert "snapshot" in found


def test_a_snapshot_alone_does_not_outweigh_the_other_index():
    other = warm(NDX, Index.NDX)
    values = seen((1.0, SPX * 1.02))
    for second in range(40):
        other.judge(tick(second, NDX, Index.NDX), ())
        assert values.judge(tick(second, SPX * 1.02), (other,)).word is Word.WITHHELD
