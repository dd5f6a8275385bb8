"""In a calm market less is far than in a wild one; what comes back step by step has not returned."""

from math import exp, sqrt

import numpy as np
import pytest

from kalshi_daemon.domain.index import Channel, Index, Tick
from kalshi_daemon.ground.units import SECOND, Nanos
from kalshi_daemon.index_feed.calm import CALM_MIN, VALUES_MAX, VALUES_MIN, UsualStep
from kalshi_daemon.index_feed.plausibility import PlausibleValues
from kalshi_daemon.index_feed.ruling import PlausibilityLimits, Word
from kalshi_daemon.index_feed.witnesses import OutsideLevels

START = 1_795_446_000
LIMITS = PlausibilityLimits(jump_min=0.0075, values_min=3, confirm_ns=Nanos(30 * SECOND))
SPX = 6_800.0


def walked(share_a_day: float, seconds: int, every_s: int = 1, seed: int = 3) -> list[tuple[Nanos, float]]:
    steps = np.random.default_rng(seed).normal(0.0, share_a_day * sqrt(every_s / 23_400), seconds // every_s)
    return [(Nanos((START + n * every_s) * SECOND), SPX * exp(x)) for n, x in enumerate(np.cumsum(steps).tolist())]


def least_far(values, jump_min=0.0075) -> float:
    usual = UsualStep()
    for at_ns, value in values:
        usual.add(at_ns, value)
    return usual.least_far(jump_min)


@pytest.mark.parametrize(
    ("share_a_day", "every_s", "wanted"),
    [(0.005, 1, 0.0025), (0.015, 1, 0.0039), (0.015, 5, 0.0039), (0.05, 1, 0.0075)],
)
def test_it_follows_the_market_between_its_two_ends_however_often_values_come(share_a_day, every_s, wanted):
    assert least_far(walked(share_a_day, 600, every_s)) == pytest.approx(wanted, rel=0.15)


def test_too_few_values_and_a_smaller_limit_leave_the_limit():
    assert least_far(walked(0.005, VALUES_MIN)) == 0.0075
    assert least_far(walked(0.005, VALUES_MIN + 1)) == CALM_MIN
    assert least_far(walked(0.005, 600), 0.002) == 0.002
    assert least_far(walked(0.005, 600, 20)) == 0.0075, "fifteen in five minutes"


def test_an_hour_ago_is_forgotten_and_beginning_again_knows_the_given_values_alone():
    values = walked(0.05, 600)
    calm = [(Nanos(at_ns + 700 * SECOND), value) for at_ns, value in walked(0.005, VALUES_MAX + 1)]
    assert least_far([*values, *calm]) == CALM_MIN
    usual = UsualStep()
    for at_ns, value in values:
        usual.add(at_ns, value)
    usual.begin_again(calm)
    assert usual.least_far(0.0075) == CALM_MIN


def test_no_single_step_makes_a_calm_market_wild():
    values = walked(0.005, 300)
    bent = [*values[:150], *((at_ns, value * exp(0.007)) for at_ns, value in values[150:])]
    assert least_far(bent) < 0.004


# --- through the judge


def tick(second: float, value: float) -> Tick:
    at = Nanos(int((START + second) * SECOND))
    return Tick(Index.SPX, Channel.VALUE, value, at, at)


class Judged:
    """A judge that has watched five calm minutes, and a snapshot that tells the truth if it is there."""

    def __init__(self, *, snapshot: bool) -> None:
        self.true = SPX
        self.now = 0.0
        self.snapshot = snapshot
        self.values = PlausibleValues(LIMITS, None, self.outside)
        for at_ns, value in walked(0.005, 300):
            self.values.judge(Tick(Index.SPX, Channel.VALUE, value, at_ns, at_ns), ())
            self.true = value

    def outside(self) -> OutsideLevels:
        told = (Nanos(int((START + self.now) * SECOND)), self.true)
        return OutsideLevels(snapshot=told if self.snapshot else None)

    def words(self, first_s: int, values) -> list[Word]:
        found = []
        for n, (true, value) in enumerate(values):
            self.now, self.true = 300.0 + first_s + n, true
            found.append(self.values.judge(tick(self.now, value), ()).word)
        return found


@pytest.mark.parametrize("factor", [1.003, 0.997, 1.007])
def test_values_a_little_off_in_a_calm_market_are_withheld_for_as_long_as_a_witness_contradicts(factor):
    judged = Judged(snapshot=True)
    level = judged.true
    assert set(judged.words(0, [(level, level * factor)] * 300)) == {Word.WITHHELD}
    assert judged.words(300, [(level, level)])[0] is Word.BELIEVED, "the return"


def test_values_that_come_near_what_was_known_step_by_step_are_no_return():
    """The market moves towards a source that is 1 % off: what it says is then near the last value, and as wrong."""
    judged = Judged(snapshot=True)
    level = judged.true
    path = [level * exp(-0.009 * min(1.0, n / 200)) for n in range(300)]
    assert set(judged.words(0, [(true, true * exp(0.01)) for true in path])) == {Word.WITHHELD}
    assert judged.words(300, [(path[-1], path[-1])] * 4)[-1] is Word.BELIEVED


def test_a_true_jump_that_comes_back_in_steps_is_believed_when_nobody_contradicts():
    judged = Judged(snapshot=False)
    level = judged.true
    words = judged.words(0, [(0.0, level * exp(0.009 - 0.0001 * n)) for n in range(40)])
    assert words.index(Word.BELIEVED) <= 30
