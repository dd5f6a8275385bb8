"""A history's bars are held against each other: one of another size is left out, a level that lasts is taken."""

import pytest

from kalshi_daemon.domain.index import Bar, Channel, Index
from kalshi_daemon.ground.units import MINUTE, SECOND, Nanos
from kalshi_daemon.index_feed.judged_bars import judged_bars

START = Nanos(1_795_446_000 * SECOND)
KNOWN = (START, 6_800.0)


def bar(minute: int, level: float, spread: float = 1.0) -> Bar:
    start = Nanos(START + minute * MINUTE)
    end = Nanos(start + MINUTE)
    return Bar(Index.SPX, Channel.MINUTE, level, level + spread, level - spread, level, start, end, end)


def test_plausible_bars_pass_unchanged():
    bars = [bar(minute, 6_800.0 + minute) for minute in range(30)]
    assert list(judged_bars(bars, 0.0075, KNOWN)) == bars
    assert list(judged_bars(bars, 0.0075)) == bars


@pytest.mark.parametrize("wrong", [25_000.0, 680.0, 0.0, 6_800.0 * 1.03])
@pytest.mark.parametrize("count", [1, 2])
def test_bars_of_another_size_are_left_out(wrong, count):
    bars = [bar(minute, 6_800.0) for minute in range(30)]
    bent = [bar(minute, wrong) if 10 <= minute < 10 + count else one for minute, one in enumerate(bars)]
    assert list(judged_bars(bent, 0.0075, KNOWN)) == [*bars[:10], *bars[10 + count :]]


def test_a_bar_with_an_extreme_of_another_size_is_left_out():
    bars = [bar(0, 6_800.0), bar(1, 6_800.0, spread=400.0), bar(2, 6_800.0)]
    assert list(judged_bars(bars, 0.0075, KNOWN)) == [bars[0], bars[2]]


def test_a_level_that_lasts_is_taken_with_its_first_bars():
    bars = [bar(minute, 6_800.0 if minute < 5 else 6_500.0) for minute in range(10)]
    assert list(judged_bars(bars, 0.0075, KNOWN)) == bars


def test_a_level_that_was_taken_on_its_agreement_is_taken_back_when_the_market_returns():
    bars = [bar(minute, 6_800.0) for minute in range(30)]
    bent = [bar(minute, 6_936.0) if 10 <= minute < 18 else one for minute, one in enumerate(bars)]
    assert judged_bars(bent, 0.0075, KNOWN) == [*bars[:10], *bars[18:]]


@pytest.mark.parametrize("ended", [True, False], ids=["after the last bar", "before the last bar"])
def test_a_price_that_is_believed_ends_what_a_history_repeats(ended):
    wrong = [bar(minute, 6_936.0) for minute in range(5)]
    rest = [] if ended else [bar(5, 6_800.0)]
    after = (Nanos(START + 5 * MINUTE + 20 * SECOND), 6_801.0)
    assert judged_bars([*wrong, *rest], 0.0075, KNOWN, after) == rest
    assert judged_bars(wrong, 0.0075, KNOWN) == wrong, "without it nobody can tell"
