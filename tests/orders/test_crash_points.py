"""Kill the daemon at every write and every request of the order path, start it again, and compare with the exchange."""

import asyncio
from contextlib import suppress

import pytest

from kalshi_daemon.clock import ManualClock
from kalshi_daemon.domain.order import Status
from kalshi_daemon.orders.journal import Journal
from kalshi_daemon.units import Nanos
from tests.orders.fake_venue import FakeVenue
from tests.orders.order_rig import START, Rig, drive, quote, quotes, spin, ticker


class Killed(BaseException):
    """The process is gone: nothing of ours runs after it."""


def kill_at(rig, monkeypatch, moment):
    """Count every journal write and every request, before and after; die at the `moment`-th."""
    count = 0

    def step():
        nonlocal count
        count += 1
        if 0 < moment <= count:
            raise Killed  # and whatever still runs of it writes and sends nothing any more

    plain = Journal._do

    def write(self, sql, values=()):
        if self is rig.journal:
            step()
        return plain(self, sql, values)

    enter, leave = rig.venue._enter, rig.venue._leave

    async def entering(operation, argument):
        step()
        return await enter(operation, argument)

    def leaving(operation, fault):
        step()
        leave(operation, fault)

    monkeypatch.setattr(Journal, "_do", write)
    monkeypatch.setattr(rig.venue, "_enter", entering)
    monkeypatch.setattr(rig.venue, "_leave", leaving)
    return lambda: count


async def little_life(rig):
    """Place, trade in part, cancel, trade out: every kind of write of the order path."""
    first = await rig.manager.place(quotes(3))
    await rig.manager.place([quote(7000, contracts=2)])
    await spin()
    rig.manager._take_waiting()
    venue = rig.venue
    venue.trade(venue.resting()[-1].client_order_id, 100)
    venue.trade(venue.resting()[0].client_order_id, 100)
    rig.manager._take_waiting()
    await rig.manager.cancel([order.client_order_id for order in first], "edge_lost")
    rig.manager._take_waiting()


async def steps_of_a_life(rig, monkeypatch):
    taken = kill_at(rig, monkeypatch, 0)
    await drive(rig.clock, rig.manager.start())
    await little_life(rig)
    monkeypatch.undo()
    return taken()


async def survive(rig, monkeypatch, moment):
    """One life that ends at `moment`, and the next."""
    taken = kill_at(rig, monkeypatch, moment)
    with suppress(Killed, BaseExceptionGroup):
        await drive(rig.clock, rig.manager.start())
        await little_life(rig)
    assert taken() >= moment, "this life was not cut short"
    monkeypatch.undo()
    sent = [new.client_order_id for batch in rig.sent("create") for new in batch]
    again = rig.reborn()
    async with again.running():
        await again.pass_time(20, step_ms=500)
        venue = rig.venue
        # our view of open orders is the exchange's
        resting = {order.client_order_id for order in venue.resting()}
        assert {o.client_order_id for o in again.state.live_orders()} == resting, moment
        assert not any(o.status is Status.UNKNOWN for o in again.orders), moment
        # no fill missed, none twice
        assert again.state.ledger.fills_total == len(venue.fills_made), moment
        for market, count in venue.held.items():
            assert again.state.ledger.positions[market].count == count, moment
        assert again.state.reconciliation.agreed, (moment, again.state.reconciliation.problem)
        # nothing sent twice, and nothing sent without an intent on disk
        assert len(set(sent)) == len(sent), moment
        assert all(again.journal.order(name) is not None for name in sent), moment
        # and the new life trades on with ids of its own
        placed = await again.manager.place([quote(7100)])
        assert [o.status for o in placed] == [Status.RESTING], moment
        assert placed[0].client_order_id not in sent, moment
        result = await drive(again.clock, again.manager.cancel_all("SIGTERM", Nanos(again.clock.now_ns() + 20 * 10**9)))
        assert result.verified, (moment, result.detail)
        assert venue.resting() == []
    again.journal.close()


async def test_a_crash_at_every_write_and_request_loses_nothing_and_doubles_nothing(tmp_path, monkeypatch):
    def new(name):
        clock = ManualClock(START)
        return Rig(tmp_path / name, clock, FakeVenue(clock))

    whole = new("whole")
    steps = await steps_of_a_life(whole, monkeypatch)
    whole.journal.close()
    assert steps > 40
    for moment in range(1, steps + 1):
        await survive(new(f"life-{moment}"), monkeypatch, moment)


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
