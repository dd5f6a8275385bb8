"""A gap that is filled leaves the model where a feed without the gap would have brought it."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_daemon.calibration.joint import Correlation
from kalshi_daemon.domain.index import Bar, Channel, Index, Tick
from kalshi_daemon.ground.units import MINUTE, SECOND, Nanos
from kalshi_daemon.memory.documents import encoded, remember
from kalshi_daemon.memory.gap_replay import (
    EVENTS_MAX,
    HOLE_MIN,
    CorrelationReplay,
    GapReplay,
    Span,
    missed_span,
)
from kalshi_daemon.settings.model import CalibrationSettings
from tests.calibration.support import at, distribution_at, feed, known, model, session, tick, walk

DAYS = (session(0), session(1), session(2))
MONDAY, TUESDAY = DAYS[0], DAYS[1]
SECONDS: list[Tick] = walk(391, seed=4, step_s=1)
"""Monday, a price a second."""


def fresh():
    return model(*DAYS, settings=CalibrationSettings())


def minutes(ticks: list[Tick], first: int, last: int) -> list[Bar]:
    """The bars of minutes first..last-1 after the open, of prices a second apart that begin there."""
    found = []
    for minute in range(first, last):
        part = [one.value for one in ticks[60 * minute : 60 * minute + 60]]
        if part:
            prices = (part[0], max(part), min(part), part[-1])
            found.append(Bar(Index.SPX, Channel.MINUTE, *prices, at(minute), at(minute + 1), at(minute + 1)))
    return found


def between(start: float, end: float) -> list[Tick]:
    first, last = (-(-(at(minute) - at(0)) // SECOND) for minute in (start, end))
    return SECONDS[first:last]


def state(one) -> bytes:
    return encoded(remember(one))


def broken(*holes: tuple[float, float], until: float) -> GapReplay:
    """Lived through Monday with holes, armed at the end of each."""
    replay = GapReplay(fresh())
    start = 0.0
    for begin, end in holes:
        for one in between(start, begin):
            replay.on_tick(one)
        replay.arm()
        start = end
    for one in between(start, until):
        replay.on_tick(one)
    return replay


def test_what_was_missed_is_taken_in_order_bit_for_bit():
    replay = broken((40.3, 52.25), until=60)
    gapped = distribution_at(replay.model, 60, at(90))
    used = replay.heal(minutes(SECONDS, 40, 60))
    assert used == 12, "minutes 40..51; live prices speak for themselves afterwards"
    assert not replay.armed()
    reference = feed(fresh(), between(0, 40.3))
    for one in minutes(SECONDS, 40, 52):
        reference.on_bar(one)
    feed(reference, between(52.25, 60))
    assert state(replay.model) == state(reference)
    assert distribution_at(replay.model, 60, at(90)).sigma != gapped.sigma


def test_a_healed_model_is_near_the_one_that_never_missed_a_price():
    replay = broken((40.3, 52.25), until=60)
    replay.heal(minutes(SECONDS, 40, 60))
    steady = feed(fresh(), between(0, 60))
    mine, theirs = (distribution_at(one, 60, at(90)) for one in (replay.model, steady))
    assert mine.level == theirs.level
    assert mine.sigma == pytest.approx(theirs.sigma, rel=0.005), "a minute bar lacks what a second shows at its edges"
    seen = [one.health(at(60)).minutes_seen for one in (replay.model, steady)]
    assert seen[0] == pytest.approx(seen[1], abs=1e-6), "every minute counts as watched again"
    left = broken((40.3, 52.25), until=60).model
    assert left.health(at(60)).minutes_seen < seen[1] - 11


def test_readiness_heals_by_itself_after_a_start_in_the_session():
    replay = GapReplay(fresh())
    replay.arm()
    for one in between(50.2, 50.6):
        replay.on_tick(one)
    assert not replay.model.health(at(50.6)).ready
    replay.heal(minutes(SECONDS, 0, 50))
    assert replay.model.health(at(50.6)).ready
    assert replay.model.health(at(50.6)).minutes_seen > 49


def test_two_holes_are_healed_together():
    replay = broken((40.3, 45.1), (50.5, 57.2), until=60)
    replay.heal(minutes(SECONDS, 40, 57))
    reference = feed(fresh(), between(0, 40.3))
    for one in minutes(SECONDS, 40, 45):
        reference.on_bar(one)
    feed(reference, between(45.1, 50.5))
    for one in minutes(SECONDS, 50, 57):
        reference.on_bar(one)
    feed(reference, between(57.2, 60))
    assert state(replay.model) == state(reference)


def test_missing_bars_leave_their_minutes_unobserved():
    replay = broken((40.0, 52.25), until=60)
    bars = [one for one in minutes(SECONDS, 40, 52) if one.start_ns not in {at(44), at(45), at(46)}]
    replay.heal(bars)
    assert replay.model.health(at(60)).minutes_seen == pytest.approx(59 - 3, abs=0.1)


def test_a_gap_over_night_is_filled_too():
    replay = broken((380, 390), until=391)
    tuesday = walk(6, seed=9, day=1, step_s=1, level=SECONDS[-1].value)
    replay.arm()
    for one in tuesday[120:]:
        replay.on_tick(one)
    late = [one for one in minutes(SECONDS, 380, 390) if one.start_ns >= at(380)]
    early = [
        Bar(Index.SPX, Channel.MINUTE, one.open, one.high, one.low, one.close, at(n, 1), at(n + 1, 1), at(n + 1, 1))
        for n, one in enumerate(minutes([tick((t.event_ns - at(0, 1)) / MINUTE, t.value) for t in tuesday], 0, 2))
    ]
    used = replay.heal([*late, *early])
    assert used == 12
    assert known(replay.model.closing)[0] == MONDAY.close_ns, "the close was seen after all"
    assert known(replay.model.today).gap_feature == 0.0, "the first gap ever: nothing to compare it with"
    assert replay.model.daily.gap_den == 1.0
    assert replay.model.health(at(6, 1)).minutes_seen == pytest.approx(5, abs=0.05)


def test_without_prices_since_everything_there_is_is_taken():
    replay = broken((40.3, 60), until=60)
    assert replay.heal(minutes(SECONDS, 40, 55)) == 15
    assert replay.model.last_seen_ns == at(55)


@settings(max_examples=25, deadline=None)
@given(begin=st.floats(5, 30), length=st.floats(0.2, 15), arms=st.integers(1, 3))
def test_without_bars_or_after_a_drop_the_model_is_as_it_was(begin, length, arms):
    replay, plain = broken((begin, begin + length), until=50), broken((begin, begin + length), until=50)
    for _ in range(arms):
        replay.arm()
    before = state(plain.model)
    assert replay.heal([]) == 0
    assert state(replay.model) == before
    plain.drop()
    assert state(plain.model) == before


@settings(max_examples=20, deadline=None)
@given(begin=st.integers(5 * 60, 20 * 60), length=st.integers(6, 900), more=st.integers(0, 300))
def test_healed_minutes_are_watched_minutes_wherever_the_gap_lies(begin, length, more):
    start, end, until = begin / 60, (begin + length) / 60, (begin + length + more) / 60 + 0.1
    replay = broken((start, end), until=until)
    replay.heal(minutes(SECONDS, 0, int(end)))
    seen = replay.model.health(at(until)).minutes_seen
    steady = feed(fresh(), between(0, until)).health(at(until)).minutes_seen
    assert seen == pytest.approx(steady, abs=1e-6)


def test_a_short_pause_is_no_hole():
    replay = broken((40.0, 40.0 + HOLE_MIN / MINUTE / 2), until=45)
    before = state(replay.model)
    assert replay.heal(minutes(SECONDS, 38, 45)) == 0
    assert state(replay.model) == before


def test_too_much_while_the_gap_is_open_gives_it_up():
    replay = broken((10, 12), until=12.1)
    for one in between(12.1, 12.1 + (EVENTS_MAX + 10) / 60):
        replay.on_tick(one)
    assert replay.overflowed
    assert not replay.armed()
    assert replay._since == []


def test_live_bars_are_kept_and_taken_again():
    replay, reference = broken((40.0, 44.5), until=46), feed(fresh(), between(0, 40.0))
    live = minutes(SECONDS, 45, 46)[0]
    replay.on_bar(live)
    for one in minutes(SECONDS, 40, 44):
        reference.on_bar(one)
    feed(reference, between(44.5, 46))
    reference.on_bar(live)
    replay.heal(minutes(SECONDS, 40, 44))
    assert state(replay.model) == state(reference)


@pytest.mark.parametrize(
    ("since", "until", "span"),
    [
        (at(40.5), at(40.9), None),
        (at(40.5), at(41.2), Span(at(40), at(41), 1)),
        (at(41), at(45.9), Span(at(41), at(45), 4)),
        (at(380.5), at(2, 1), Span(at(380), at(2, 1), 12)),
        (at(390), at(-10, 1), None),
        (at(390), at(0.5, 1), None),
        (at(-30), at(3), Span(at(0), at(3), 3)),
        (at(389, 0), at(1, 2), Span(at(389), at(1, 2), 1 + 390 + 1)),
        (at(100), at(50), None),
    ],
)
def test_golden_missed_minutes(since, until, span):
    assert missed_span(DAYS, since, until) == span


def test_ticks_of_these_tests_are_a_second_apart():
    gaps = np.diff([one.event_ns for one in SECONDS])
    assert set(gaps) == {SECOND}
    assert Nanos(TUESDAY.open_ns) == at(0, 1)


def other_index(one: Bar) -> Bar:
    """A second index that moves a tenth more."""
    return replace(one, open=one.open**1.1, high=one.high**1.1, low=one.low**1.1, close=one.close**1.1)


def both_live(first: GapReplay, second: GapReplay, correlation: Correlation, start: float, end: float) -> None:
    for one in between(start, end):
        first.on_tick(one)
        second.on_tick(replace(one, value=one.value**1.1))
        correlation.follow(first.model.today, second.model.today)


def test_the_correlation_looks_again_at_the_minutes_a_gap_had_hidden():
    """Both indices miss twelve minutes; healed one after the other, they are as if neither had."""
    first, second, correlation = GapReplay(fresh()), GapReplay(fresh()), Correlation()
    together = CorrelationReplay([(correlation, (first.model, second.model))])
    both_live(first, second, correlation, 0, 40.3)
    for one in (first, second, together):
        one.arm()
    both_live(first, second, correlation, 52.25, 60)
    gapped = correlation.weight
    bars = minutes(SECONDS, 40, 52)
    first.heal(bars)
    together.healed()
    assert correlation.weight == gapped, "of one index alone nothing can be said"
    second.heal([other_index(one) for one in bars])
    together.healed()
    together.drop()
    steady = Correlation()
    both_live(GapReplay(fresh()), GapReplay(fresh()), steady, 0, 60)
    assert steady.weight > gapped + 11
    assert correlation.weight == pytest.approx(steady.weight)
    assert correlation.minute == steady.minute
    assert correlation.value == pytest.approx(steady.value, abs=2e-3)
    before = correlation.snapshot()
    together.healed()
    assert correlation.snapshot() == before, "dropped: nothing to go back to"


def test_what_was_gone_through_again_is_known():
    replay = broken((40.3, 52.25), until=60)
    assert not replay.recomputed(at(45))
    replay.heal(minutes(SECONDS, 40, 52))
    assert [replay.recomputed(at(minute)) for minute in (39, 45, 55, 61)] == [False, True, True, False]


# Prices that were wrong


def doubted(until: float = 30.5) -> GapReplay:
    """Monday, its second 1 200 to 1 229 one per cent off and believed."""
    replay = GapReplay(fresh())
    for one in between(0, 20):
        replay.on_tick(one)
    replay.doubt()
    for one in between(20, 20.5):
        replay.on_tick(replace(one, value=one.value * 1.01))
    for one in between(20.5, until):
        replay.on_tick(one)
    return replay


WRONG = (Nanos(at(20)), Nanos(at(20.5) - SECOND))


def test_wrong_prices_are_taken_out_bit_for_bit():
    replay = doubted()
    assert replay.retract(*WRONG)
    replay.settle()
    reference = feed(feed(fresh(), between(0, 20)), between(20.5, 30.5))
    assert state(replay.model) == state(reference)
    assert replay.confirmed is None
    assert replay.recomputed(at(20.2))


def test_what_is_written_down_meanwhile_is_what_was_known_before():
    replay = doubted()
    assert replay.confirmed == remember(feed(fresh(), between(0, 20)))
    replay.settle()
    assert replay.confirmed is None


def test_a_gap_within_a_doubt_is_healed_and_the_wrong_prices_still_go():
    replay = doubted(until=25)
    replay.arm()
    for one in between(27.25, 30.5):
        replay.on_tick(one)
    bars = minutes(SECONDS, 25, 30)
    assert replay.heal(bars) == 2
    assert not replay.armed()
    assert replay.retract(*WRONG)
    reference = feed(feed(fresh(), between(0, 20)), between(20.5, 25))
    for missed in bars[:2]:
        reference.on_bar(missed)
    feed(reference, between(27.25, 30.5))
    assert replay.model.last_seen_ns == reference.last_seen_ns
    healed, wanted = (distribution_at(one, 30.5, at(90)) for one in (replay.model, reference))
    assert healed.sigma == pytest.approx(wanted.sigma, rel=0.02)
    assert healed.level == wanted.level


def test_too_much_after_wrong_prices_is_said_and_the_model_goes_on():
    replay = doubted(until=20.5 + EVENTS_MAX / 60 + 1)
    assert replay.confirmed is None
    before = state(replay.model)
    assert not replay.retract(*WRONG)
    assert state(replay.model) == before
