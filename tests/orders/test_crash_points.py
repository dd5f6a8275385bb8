"""Kill the daemon at the points of the order path, start it again, and compare with the exchange.

Here every EFFECTS-th effect (write, request, answer) and every AWAITS-th point of all; `make crash-points` plays all.
"""

import asyncio
import inspect

import pytest

from kalshi_daemon.domain.order import Status
from kalshi_daemon.orders import placing
from tests.orders import fake_venue
from tests.orders.crash_points import STORIES, Counter, Killed, coroutines, counted, failures, points
from tests.orders.fake_venue import FakeVenue
from tests.orders.order_rig import quote, quotes, spin, ticker

EFFECTS = 3
AWAITS = 37


@pytest.mark.parametrize("name", STORIES)
@pytest.mark.timeout(300)
async def test_a_crash_at_any_effect_loses_nothing_and_doubles_nothing(tmp_path, name):
    whole = await points(STORIES[name], tmp_path / "whole")
    assert len(whole.effects) > 80
    moments = sorted({*whole.effects[::EFFECTS], *range(1, whole.count + 1, AWAITS)})
    assert await failures(STORIES[name], tmp_path, moments) == []


@pytest.mark.parametrize("name", STORIES)
async def test_a_story_has_the_same_points_every_time(tmp_path, name):
    once, again = [await points(STORIES[name], tmp_path / folder) for folder in ("once", "again")]
    assert (once.count, once.effects) == (again.count, again.effects)


async def test_the_stories_enter_every_coroutine_of_the_order_path(tmp_path):
    """A new one must find its way into a story, or its awaits are never tried."""
    entered = set()
    for name, play in STORIES.items():
        entered |= (await points(play, tmp_path / name)).entered
    ours = {code for code in coroutines() if code.co_filename != fake_venue.__file__}
    assert {code.co_qualname for code in ours - entered} == set()


def test_every_coroutine_of_the_order_path_is_counted():
    named = {code.co_qualname for code in coroutines()}
    assert {"Placer.place", "Placer._send", "Leases.turn.<locals>.work", "within.<locals>.guarded"} <= named
    asyncs = {f.__qualname__ for _name, f in inspect.getmembers(FakeVenue, inspect.iscoroutinefunction)}
    assert asyncs <= named
    assert "Placer.refusal" not in named, "only what can be suspended"
    assert placing.Placer.place.__code__ in coroutines()


async def test_from_the_point_on_nothing_is_written_or_sent(rig):
    """Otherwise the crash would not be one."""
    with counted(rig, Counter(1)):
        with pytest.raises(Killed):
            await rig.manager.place([quote()])
        with pytest.raises(Killed):
            rig.journal.set_cursor("fills", 1)
    assert rig.sent("create") == []
    assert rig.journal.cursor("fills") is None


async def test_awaits_and_effects_are_both_counted(rig):
    counter = Counter()
    with counted(rig, counter):
        await rig.manager.place([quote()])
    assert counter.count > len(counter.effects) > 10
    counted_so_far = counter.count
    await rig.manager.place([quote(7000)])
    assert counter.count == counted_so_far, "and nothing afterwards"


async def test_an_order_adopted_right_before_a_crash_is_still_sent_away(rig):
    """Taken into the journal, not yet cancelled: to the next life it must not look like a quote of its own."""
    rig.venue.put_foreign(ticker(7105), name=f"kd-{'0' * 16}-1")
    rig.venue.script["cancel"].append("hang")
    async with asyncio.TaskGroup() as group:
        starting = group.create_task(rig.manager.start())
        await spin()
        assert rig.only().profile == "adopted"
        starting.cancel()
    again = rig.reborn()
    async with again.running():
        await again.pass_time(3)
        assert rig.venue.resting() == []
        assert again.only().status is Status.CANCELED
    again.journal.close()


async def test_an_intent_that_was_never_sent_is_given_up_after_asking(rig):
    """The crash between the intent and the request: restart finds nothing there."""
    rig.venue.script["create"].append("hang")
    async with asyncio.TaskGroup() as group:
        task = group.create_task(rig.manager.place([quote()]))
        await spin()
        again = rig.reborn()  # the journal as a kill leaves it: intended, not answered
        async with again.running():
            assert again.only().status is Status.UNKNOWN
            await again.pass_time(15)
            assert again.only().status is Status.REJECTED
        again.journal.close()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(rig.manager._placer, "_record", lambda *_args: None)
            task.cancel()
            await spin()
    assert ticker() in again.only().market_ticker


async def test_an_order_sent_and_not_recorded_is_found_and_kept(rig, monkeypatch):
    """The crash between the exchange's taking and our recording."""
    rig.venue.listener = None
    honest = rig.venue._leave

    def dies(operation, fault):
        honest(operation, fault)
        raise Killed

    rig.venue._leave = dies
    monkeypatch.setattr(rig.manager._placer, "_record", lambda *_args: None)
    with pytest.raises(Killed):
        await rig.manager.place(quotes(2))
    rig.venue._leave = honest
    again = rig.reborn()
    async with again.running():
        assert {o.status for o in again.orders} == {Status.RESTING}
        assert len(again.orders) == 2
    again.journal.close()
