"""A window that could not be quoted is scanned as soon as it can be, and not more often than is good for it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_daemon.domain.window import Phase
from kalshi_daemon.ground.units import SECOND, Nanos
from kalshi_daemon.trading.rescans import BOOKS_SYNCED, GUARDS_OPENED, Rescans
from tests.trading.trader_rig import Rig

KEY = ("wide", "E")
APART = Nanos(5 * SECOND)


@pytest.fixture
def rig():
    return Rig()


async def test_a_guard_that_opens_is_followed_by_a_scan_within_a_second(rig):
    rig.state.kill_switch = True
    async with rig.running():
        rig.phase(Phase.OPEN)
        await rig.pass_time(60)
        assert rig.scans() == ["window_open"], "what is closed is not scanned again and again"
        assert not rig.live()
        rig.state.kill_switch = False
        await rig.pass_time(1)
        assert rig.scans() == ["window_open", GUARDS_OPENED]
        assert rig.live()
        await rig.pass_time(170)
        assert rig.scans() == ["window_open", GUARDS_OPENED], "and the timer starts anew"


async def test_books_that_come_after_the_first_scan_are_scanned_within_a_second(rig):
    books = rig.state.venue.books
    for book in books.values():
        book.synced = False
    async with rig.running():
        rig.phase(Phase.OPEN)
        await rig.pass_time(30)
        assert rig.scans() == ["window_open"]
        assert not rig.live()
        for book in books.values():
            book.synced = True
        await rig.pass_time(1)
        assert rig.scans() == ["window_open", BOOKS_SYNCED]
        assert rig.live()


async def test_books_alone_do_not_make_it_scan_behind_a_closed_guard(rig):
    rig.state.kill_switch = True
    books = rig.state.venue.books
    for book in books.values():
        book.synced = False
    async with rig.running():
        rig.phase(Phase.OPEN)
        await rig.pass_time(10)
        for book in books.values():
            book.synced = True
        await rig.pass_time(60)
        assert rig.scans() == ["window_open"]


async def test_a_flapping_guard_does_not_make_it_scan_without_a_pause(rig):
    async with rig.running():
        rig.phase(Phase.OPEN)
        await rig.pass_time(1)
        for second in range(60):
            rig.state.kill_switch = second % 2 == 0
            # A lost edge makes scans of its own, which find the guard closed.
            rig.model.level += 25.0 if second % 4 < 2 else -25.0
            await rig.pass_time(1)
        driven = [trigger for trigger in rig.scans() if trigger == GUARDS_OPENED]
        assert len(driven) <= 60 / 5 + 1


async def test_the_same_seconds_give_the_same_scans(rig):
    """Nothing but the clock decides: a second rig told the same does the same."""

    async def played(one):
        one.state.kill_switch = True
        async with one.running():
            one.phase(Phase.OPEN)
            await one.pass_time(7)
            one.state.kill_switch = False
            await one.pass_time(20)
            return [(plan.trigger, plan.made_ns) for plan, _judgement, _orders in one.notes.manifests]

    assert await played(rig) == await played(Rig())


@pytest.mark.parametrize(("before", "after", "due"), [(0, 40, True), (20, 40, True), (40, 40, False), (40, 20, False)])
def test_only_more_books_than_before_are_a_reason(before, after, due):
    rescans = Rescans(APART)
    rescans.scanned(KEY, "timer", Nanos(0), closed=(), books_usable=before)
    found = rescans.trigger(KEY, Nanos(SECOND), after, lambda _: True)
    assert found == (BOOKS_SYNCED if due else "")


def test_a_window_never_scanned_has_nothing_to_repeat():
    assert Rescans(APART).trigger(KEY, Nanos(0), 40, lambda _: True) == ""


def test_windows_that_are_over_are_forgotten():
    rescans = Rescans(APART)
    rescans.scanned(KEY, GUARDS_OPENED, Nanos(0), closed=("latch",), books_usable=0)
    rescans.forget({"E"})
    assert rescans.trigger(KEY, Nanos(10 * SECOND), 0, lambda _: True) == GUARDS_OPENED
    rescans.forget(set())
    assert not rescans._found
    assert not rescans._driven


@settings(deadline=None, max_examples=200)
@given(turns=st.lists(st.tuples(st.booleans(), st.integers(0, 5), st.booleans()), max_size=120))
def test_event_driven_scans_keep_their_distance_and_miss_nothing(turns):
    """(guards open, usable books, a timer's scan falls due) second by second."""
    rescans, found = Rescans(APART), None
    driven: list[Nanos] = []
    for second, (guards_open, books, timer) in enumerate(turns):
        now = Nanos(second * SECOND)
        trigger = "timer" if timer else rescans.trigger(KEY, now, books, lambda _: guards_open)  # noqa: B023 - asked here
        missed = found is not None and guards_open and (found[0] or books > found[1])
        if trigger in {GUARDS_OPENED, BOOKS_SYNCED}:
            assert missed, "a scan that could find nothing new"
            assert not driven or now - driven[-1] >= APART
            driven.append(now)
        elif not timer:
            assert not missed or (driven and now - driven[-1] < APART), "waited for the timer although it could quote"
        if trigger:
            rescans.scanned(KEY, trigger, now, closed=() if guards_open else ("latch",), books_usable=books)
            found = (not guards_open, books)
