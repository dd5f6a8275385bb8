"""cancel_event and cancel_all: gone is what the exchange lists, or it is UNVERIFIED."""

import asyncio

import pytest

from kalshi_daemon.domain.order import Status
from kalshi_daemon.ground.errors import IllegalTransition, StateCorrupt
from kalshi_daemon.ground.units import MINUTE, SECOND, Nanos
from kalshi_daemon.settings.model import OrderSettings
from tests.orders.order_rig import EVENT, OTHER_EVENT, OTHER_WINDOW, Rig, drive, quote, quotes, spin


def own_rig(tmp_path, clock, venue):
    return Rig(tmp_path, clock, venue, OrderSettings(scope="own"))


async def stop(rig, seconds=20):
    began = rig.clock.now_ns()
    result = await drive(rig.clock, rig.manager.cancel_all("SIGTERM", Nanos(began + seconds * SECOND)), step_ms=20)
    return result, (rig.clock.now_ns() - began) / SECOND


def held_back(venue):
    """Creates reach the exchange, and are answered, once the event that is returned is set."""
    landing, honest = asyncio.Event(), venue.create_orders

    async def slow(orders):
        await landing.wait()
        return await honest(orders)

    venue.create_orders = slow
    return landing


async def fill_the_book(rig, number):
    for start in range(0, number, 50):
        await rig.manager.place([quote(5000 + 5 * (start + step)) for step in range(50)])
    assert len(rig.venue.resting()) == number


@pytest.mark.parametrize("scope", ["account", "own"])
async def test_two_hundred_orders_are_gone_and_verified_in_under_five_seconds(tmp_path, clock, venue, scope):
    rig = Rig(tmp_path, clock, venue, OrderSettings(scope=scope))
    async with rig.running():
        await fill_the_book(rig, 200)
        rig.venue.calls.clear()
        result, took = await stop(rig)
    assert result.verified
    assert result.remaining == 0
    assert rig.venue.resting() == []
    assert rig.state.live_orders() == ()
    assert took < 5
    assert len(rig.sent("cancel_all")) == (1 if scope == "account" else 0)
    looks = [argument for argument in rig.sent("orders") if argument == ("resting", None)]
    assert len(looks) >= 2
    rig.journal.close()


async def test_scope_account_also_clears_what_was_placed_by_hand(rig):
    rig.venue.put_foreign("KXNASDAQ100Y-26DEC31-T30000")
    result, _took = await stop(rig)
    assert result.verified
    assert rig.venue.resting() == []


async def test_scope_own_leaves_strangers_alone_and_is_verified_without_them(tmp_path, clock, venue):
    rig = own_rig(tmp_path, clock, venue)
    rig.venue.put_foreign("KXNASDAQ100Y-26DEC31-T30000")
    await rig.manager.place(quotes(3))
    result, _took = await stop(rig)
    assert result.verified
    assert [order.client_order_id for order in rig.venue.resting()] == [""]
    rig.journal.close()


async def test_a_dead_exchange_ends_in_unverified_at_the_deadline(rig):
    async with rig.running():
        await rig.manager.place(quotes(3))
        rig.venue.down = True
        result, took = await stop(rig, seconds=10)
    assert not result.verified
    assert result.remaining == 3
    assert "not reachable" in result.detail
    assert "expires at" in result.detail
    assert 9 < took < 10.5


async def test_an_exchange_that_refuses_cancels_ends_in_unverified(rig):
    async with rig.running():
        await rig.manager.place(quotes(4))
        rig.venue.cancels_refused = True
        result, took = await stop(rig, seconds=10)
    assert (result.verified, result.remaining) == (False, 4)
    assert took < 10.5
    assert len(rig.sent("orders")) < 60, "asked four times a second at most"


async def test_a_hanging_exchange_does_not_hold_the_stop(rig):
    async with rig.running():
        await rig.manager.place(quotes(2))
        rig.venue.script["cancel_all"].append("hang")
        result, took = await stop(rig, seconds=5)
    assert not result.verified
    assert took < 5.5


async def test_an_exchange_that_comes_back_in_time_is_verified(rig):
    async with rig.running():
        await rig.manager.place(quotes(3))
        rig.venue.down = True
        async with asyncio.TaskGroup() as group:
            task = group.create_task(rig.manager.cancel_all("SIGTERM", Nanos(rig.clock.now_ns() + 20 * SECOND)))
            await rig.pass_time(5)
            assert not task.done()
            rig.venue.down = False
            await rig.pass_time(2)
        assert task.result().verified


async def test_a_failed_mass_cancel_falls_back_on_batches(rig):
    async with rig.running():
        await rig.manager.place(quotes(12))
        rig.venue.script["cancel_all"].extend(["429"] * 50)
        result, took = await stop(rig)
    assert result.verified
    assert took < 3
    assert rig.sent("cancel")


async def test_a_create_on_the_wire_keeps_the_stop_from_being_verified(rig):
    """The order may still land after the exchange has listed nothing."""
    landing = held_back(rig.venue)
    async with asyncio.TaskGroup() as group:
        placing = group.create_task(rig.manager.place([quote()]))
        await spin()
        stopping = group.create_task(rig.manager.cancel_all("SIGTERM", Nanos(rig.clock.now_ns() + 20 * SECOND)))
        await rig.pass_time(3)
        assert not stopping.done()
        landing.set()
        await rig.pass_time(3)
        assert stopping.result().verified
        assert placing.done()
    assert rig.venue.resting() == []


async def test_a_stop_can_wait_for_the_answer_to_a_create_but_no_longer_than_it_wants(rig):
    landing = held_back(rig.venue)
    assert await rig.manager.answered(rig.clock.now_ns()), "nothing is on the wire"
    async with asyncio.TaskGroup() as group:
        placing = group.create_task(rig.manager.place([quote()]))
        await spin()
        assert not await drive(rig.clock, rig.manager.answered(Nanos(rig.clock.now_ns() + SECOND)))
        waiting = group.create_task(rig.manager.answered(Nanos(rig.clock.now_ns() + SECOND)))
        await spin()
        landing.set()
    assert waiting.result()
    assert placing.done()
    assert rig.only().status is Status.RESTING


async def test_an_unknown_create_is_resolved_or_outlived_before_zero_is_said(rig):
    rig.venue.listener = None
    rig.venue.script["create"].append("applied_lost")
    await rig.manager.place([quote()])
    (order_id,) = rig.venue.orders_by_id
    rig.venue.hidden.add(order_id)
    result, took = await stop(rig)
    assert rig.only().status is Status.REJECTED
    assert result.verified
    assert took >= 9.9, "the reads had ten seconds to show it"
    assert rig.venue.resting() == [], "and cancel-all had reached it anyway"


async def test_new_orders_wait_out_the_minute_after_a_mass_cancel(rig):
    """Newly placed orders may also be cancelled during the minute after."""
    await stop(rig)
    assert await rig.manager.place([quote()]) == ()
    rig.clock.advance(MINUTE)
    assert len(await rig.manager.place([quote()])) == 1


async def test_a_broken_journal_does_not_stop_the_stop(rig, monkeypatch):
    async with rig.running():
        await rig.manager.place(quotes(3))

        def full(*_args):
            raise StateCorrupt("journal.sqlite3", "disk is full")

        monkeypatch.setattr(rig.journal, "record_outcome", full)
        monkeypatch.setattr(rig.journal, "transaction", full)
        rig.venue.listener = None
        result, _took = await stop(rig)
    assert result.verified
    assert rig.venue.resting() == []


async def test_broken_books_do_not_stop_the_stop(rig):
    """The exchange shows our client id under a second order id: our books are worthless, its list is not."""
    await rig.manager.place([quote()])
    rig.venue.listener = None
    order = rig.venue.resting()[0]
    copy = rig.venue.put_foreign(order.ticker, name=order.client_order_id)
    rig.venue.script["cancel_all"].extend(["429"] * 50)
    result, _took = await stop(rig)
    assert copy in rig.venue.orders_by_id
    assert rig.venue.resting() == []
    assert result.verified


async def test_a_bug_in_our_books_does_not_stop_the_stop(rig, monkeypatch):
    await rig.manager.place(quotes(3))
    rig.venue.listener = None
    rig.venue.script["cancel_all"].extend(["429"] * 50)

    def bug(*_args):
        raise KeyError("bug")

    monkeypatch.setattr(rig.manager._store, "apply", bug)
    result, _took = await stop(rig)
    assert result.verified
    assert rig.venue.resting() == []


async def test_an_unarmed_stop_cancels_nothing_and_answers_for_its_own(rig):
    rig.venue.put_foreign("KXNASDAQ100Y-26DEC31-T30000")
    rig.state.armed = False
    result, _took = await stop(rig)
    assert result.verified
    assert rig.sent("cancel_all") == []
    assert rig.sent("cancel") == []


# --- one event --------------------------------------------------------------------------------------------------------


async def test_clearing_an_event_leaves_the_others_resting(rig):
    async with rig.running():
        await rig.manager.place([*quotes(4), *quotes(3, OTHER_WINDOW)])
        deadline = Nanos(rig.clock.now_ns() + 10 * SECOND)
        result = await drive(rig.clock, rig.manager.cancel_event(EVENT, "cutoff", deadline))
    assert result.verified
    assert {order.ticker.rpartition("-")[0] for order in rig.venue.resting()} == {OTHER_EVENT}
    assert {o.event_ticker for o in rig.state.live_orders()} == {OTHER_EVENT}
    assert rig.sent("cancel_all") == []


async def test_clearing_an_event_includes_what_was_placed_there_by_hand(rig):
    rig.venue.put_foreign(f"{EVENT}-T6799.9999")
    deadline = Nanos(rig.clock.now_ns() + 10 * SECOND)
    result = await drive(rig.clock, rig.manager.cancel_event(EVENT, "cutoff", deadline))
    assert result.verified
    assert rig.venue.resting() == []


async def test_clearing_retries_until_its_deadline_and_then_says_unverified(rig):
    async with rig.running():
        await rig.manager.place(quotes(2))
        rig.venue.cancels_refused = True
        began = rig.clock.now_ns()
        result = await drive(rig.clock, rig.manager.cancel_event(EVENT, "cutoff", Nanos(began + 10 * SECOND)))
    assert (result.verified, result.remaining) == (False, 2)
    assert (rig.clock.now_ns() - began) / SECOND < 10.5


async def test_a_deadline_in_the_past_still_gets_two_seconds(rig):
    await rig.manager.place(quotes(2))
    result = await drive(rig.clock, rig.manager.cancel_event(EVENT, "cutoff", Nanos(0)))
    assert result.verified


async def test_a_stale_list_delays_the_proof_and_does_not_break_it(rig):
    async with rig.running():
        await rig.manager.place(quotes(2))
        rig.venue.stale_resting = await rig.venue.orders(status="resting")
        async with asyncio.TaskGroup() as group:
            clearing = group.create_task(
                rig.manager.cancel_event(EVENT, "cutoff", Nanos(rig.clock.now_ns() + 10 * SECOND))
            )
            await rig.pass_time(2)
            assert not clearing.done()
            rig.venue.stale_resting = None
            await rig.pass_time(2)
        assert clearing.result().verified


async def test_an_illegal_transition_outside_the_stop_is_raised(rig):
    async with rig.running():
        await rig.manager.place([quote()])

        async def nonsense(*, status=None, market_ticker=None, min_ts_ns=None):
            raise IllegalTransition("kd", "resting", "nonsense")

        rig.venue.orders = nonsense
        with pytest.raises(IllegalTransition):
            await rig.manager.cancel_event(EVENT, "cutoff", Nanos(rig.clock.now_ns() + SECOND))


async def test_an_unknown_create_past_its_expiry_cannot_rest(rig):
    rig.venue.listener = None
    rig.venue.script["create"].append("lost")
    rig.clock.set(Nanos(OTHER_WINDOW.opens_ns + MINUTE))
    await rig.manager.place([quote(where=OTHER_WINDOW)])
    rig.clock.advance(Nanos(91 * SECOND))
    rig.venue.script["orders"].extend(["lost"])
    result = await drive(
        rig.clock, rig.manager.cancel_event(OTHER_EVENT, "cutoff", Nanos(rig.clock.now_ns() + 5 * SECOND))
    )
    assert result.verified
