"""Cancels that are retried until the exchange says how the order ended."""

import asyncio
from types import SimpleNamespace

import pytest
from structlog.testing import capture_logs

from kalshi_daemon.domain.events import CancelAck
from kalshi_daemon.domain.order import Status
from kalshi_daemon.ground.units import Count
from tests.orders.order_rig import quote, quotes, spin


async def resting(rig, number=1):
    return [order.client_order_id for order in await rig.manager.place(quotes(number))]


async def test_a_cancel_is_journalled_before_and_after(rig):
    async with rig.running():
        (name,) = await resting(rig)
        await rig.manager.cancel([name], "edge_lost")
    assert rig.only().status is Status.CANCELED
    assert rig.only().reason == "edge_lost"
    assert [event for _at, event, _status, _detail in rig.journal.history(name)] == [
        "Intended",
        "Acked",
        "CancelSent",
        "CancelAcked",
    ]
    assert rig.state.counters.orders_cancelled == 1


async def test_many_cancels_travel_in_one_batch(rig):
    async with rig.running():
        names = await resting(rig, 8)
        await rig.manager.cancel(names, "replaced")
    assert len(rig.sent("cancel")) == 1
    assert rig.state.live_orders() == ()


@pytest.mark.parametrize("fault", ["unreachable", "429", "lost"])
async def test_a_cancel_that_failed_is_tried_again_until_it_worked(rig, fault):
    async with rig.running():
        (name,) = await resting(rig)
        rig.venue.script["cancel"].extend([fault, fault])
        await rig.manager.cancel([name], "edge_lost")
        assert rig.only().status is Status.PENDING_CANCEL
        await rig.pass_time(3)
    assert rig.only().status is Status.CANCELED
    assert len(rig.sent("cancel")) == 3


async def test_a_cancel_that_worked_but_was_not_answered_is_found_out(rig):
    rig.venue.listener = None
    async with rig.running():
        (name,) = await resting(rig)
        rig.venue.script["cancel"].append("applied_lost")
        await rig.manager.cancel([name], "edge_lost")
        await rig.pass_time(2)
    assert rig.only().status is Status.CANCELED


async def test_news_of_a_cancel_that_comes_before_its_answer_keeps_why_we_asked(rig):
    """The stream gives no reason for what its owner asked for; nobody but us took the order out of the book."""
    async with rig.running():
        (name,) = await resting(rig)
        rig.venue.script["cancel"].append("applied_lost")
        with capture_logs() as lines:
            await rig.manager.cancel([name], "edge_lost")
            await rig.pass_time(2)
    assert (rig.only().status, rig.only().reason) == (Status.CANCELED, "edge_lost")
    assert [event for _at, event, _status, _detail in rig.journal.history(name)][-1] == "ReportedCanceled"
    assert not [line for line in lines if line.get("reason") == "at_exchange"]


async def test_log_lines_of_orders_tell_prices_and_counts_as_the_exchange_does(rig):
    """One form in every line, or whoever joins orders to fills is wrong by 10,000."""
    async with rig.running():
        with capture_logs() as lines:
            (name,) = await resting(rig)
            await rig.manager.cancel([name], "edge_lost")
    told = {line["event"]: line for line in lines}
    assert {key: told["order.acked"][key] for key in ("price", "count", "filled")} == {
        "price": "0.4200", "count": "1.00", "filled": "0.00",
    }  # fmt: skip
    assert (told["order.cancelled"]["reduced_by"], told["order.cancelled"]["filled"]) == ("1.00", "0.00")


async def test_a_cancel_that_lost_the_race_to_a_fill(rig):
    """404 on cancel: executed already. Asked by id, and the fill comes from the exchange's list."""
    async with rig.running():
        (name,) = await resting(rig)
        rig.venue.trade(name, 100, stream=False)
        await rig.manager.cancel([name], "edge_lost")
        await rig.pass_time(4)
    assert rig.only().status is Status.FILLED
    assert rig.state.ledger.positions[rig.only().market_ticker].count == 100


async def test_a_partial_fill_before_the_cancel_shows_in_reduced_by_and_is_fetched(rig):
    async with rig.running():
        (order,) = await rig.manager.place([quote(contracts=2)])
        rig.venue.trade(order.client_order_id, 100, stream=False)
        await rig.manager.cancel([order.client_order_id], "edge_lost")
        assert rig.only().status is Status.CANCELED
        assert rig.only().filled == 0
        await rig.pass_time(3)
    assert rig.only().filled == 100
    assert rig.state.ledger.fills_total == 1


async def test_a_fill_may_arrive_after_the_cancel_was_acknowledged(rig):
    async with rig.running():
        (order,) = await rig.manager.place([quote(contracts=2)])
        held: list = []
        rig.venue.listener = held.append
        rig.venue.trade(order.client_order_id, 100)
        await rig.manager.cancel([order.client_order_id], "edge_lost")
        for event in held:
            rig.manager.on_event(event)
        await spin()
        assert rig.only().status is Status.CANCELED
        assert rig.only().filled == 100
        assert rig.state.ledger.fills_total == 1


async def test_an_order_without_an_answer_is_cancelled_once_it_has_its_id(rig):
    rig.venue.listener = None
    rig.venue.script["create"].append("applied_lost")
    async with rig.running():
        (order,) = await rig.manager.place([quote()])
        await rig.manager.cancel([order.client_order_id], "guard:feed_age")
        assert rig.sent("cancel") == []
        await rig.pass_time(2)
    assert rig.only().status is Status.CANCELED
    assert rig.only().reason == "guard:feed_age"


@pytest.mark.parametrize("answer", [("other", 100), (None, 0), (None, 101)])
async def test_a_cancel_answer_that_cannot_be_right_is_not_believed(rig, answer):
    async with rig.running():
        (name,) = await resting(rig)
        honest = rig.venue.cancel_orders

        async def wrong(refs):
            rig.venue.cancel_orders = honest
            return [CancelAck(answer[0] or refs[0].order_id, Count(answer[1]), rig.clock.now_ns())]

        rig.venue.cancel_orders = wrong
        await rig.manager.cancel([name], "edge_lost")
        assert rig.only().status is Status.PENDING_CANCEL
        await rig.pass_time(2)
    assert rig.only().status is Status.CANCELED
    assert rig.venue.resting() == []


async def test_too_few_cancel_answers_mean_no_answer(rig):
    async with rig.running():
        names = await resting(rig, 2)
        honest = rig.venue.cancel_orders

        async def short(refs):
            rig.venue.cancel_orders = honest
            return []

        rig.venue.cancel_orders = short
        await rig.manager.cancel(names, "edge_lost")
        assert {order.status for order in rig.orders} == {Status.PENDING_CANCEL}
        await rig.pass_time(2)
    assert {order.status for order in rig.orders} == {Status.CANCELED}


async def test_cancels_do_not_wait_behind_creates(rig):
    async with rig.running():
        names = await resting(rig, 2)
        rig.venue.script["create"].append("hang")
        async with asyncio.TaskGroup() as group:
            stuck = group.create_task(rig.manager.place([quote(7000)]))
            await spin()
            await rig.manager.cancel(names, "edge_lost")
            assert [o.status for o in rig.orders if o.client_order_id in names] == [Status.CANCELED] * 2
            stuck.cancel()


async def test_strangers_and_ended_orders_are_skipped(rig):
    async with rig.running():
        (name,) = await resting(rig)
        await rig.manager.cancel([name], "one")
        rig.venue.calls.clear()
        await rig.manager.cancel([name, "somebody-else"], "two")
    assert rig.sent("cancel") == []
    assert rig.only().reason == "one"


async def test_an_order_that_expired_without_a_word_is_asked_about(rig):
    rig.venue.listener = None
    rig.renewing = False
    async with rig.running():
        await resting(rig)
        await rig.pass_time(100, step_ms=500)
    assert rig.only().status is Status.EXPIRED


async def test_an_expired_order_is_not_given_up_while_the_exchange_cannot_be_asked(rig):
    rig.venue.listener = None
    rig.renewing = False
    async with rig.running():
        (name,) = await resting(rig)
        rig.venue.trade(name, 100, stream=False)
        rig.venue.down = True
        await rig.pass_time(150, step_ms=500)
        assert rig.only().status is Status.RESTING
        rig.venue.down = False
        await rig.pass_time(10, step_ms=500)
    assert rig.only().status is Status.FILLED


async def test_an_expired_order_the_exchange_forgot_has_lapsed(rig):
    rig.venue.listener = None
    rig.renewing = False
    async with rig.running():
        await resting(rig)
        await rig.pass_time(50, step_ms=500)
        rig.venue.orders_by_id.clear()
        await rig.pass_time(30, step_ms=500)
        assert rig.only().status is Status.RESTING, "an authenticated 404 before the expiry ends nothing"
        await rig.pass_time(30, step_ms=500)
    assert rig.only().status is Status.EXPIRED


async def test_an_unarmed_manager_sends_no_cancel(rig):
    async with rig.running():
        (name,) = await resting(rig)
        rig.state.armed = False
        await rig.manager.cancel([name], "edge_lost")
    assert rig.sent("cancel") == []


async def test_a_pull_does_not_queue_behind_two_hundred_cancels_of_strangers(rig):
    async with rig.running():
        (name,) = await resting(rig)
        market = "KXNASDAQ100Y-26DEC31-T30000"
        ids = [rig.venue.put_foreign(market, name=f"by-hand-{n}") for n in range(200)]
        strangers = [SimpleNamespace(order_id=one, client_order_id="", market_ticker=market) for one in ids]
        with capture_logs() as lines:
            async with asyncio.TaskGroup() as group:
                swept = group.create_task(rig.manager._canceller.cancel_listed(strangers, "foreign"))
                await asyncio.sleep(0)
                await rig.manager.cancel([name], "edge_lost")
                assert rig.only().status is Status.CANCELED
                assert not swept.done(), "the pull is through while strangers' orders are still being cancelled"
                for _ in range(100):
                    await rig.pass_time(0.25)
                    if swept.done():
                        break
    requests = [[ref.order_id for ref in refs] for refs in rig.sent("cancel")]
    own = requests.index([rig.only().order_id])
    assert own <= 1, "at most one request of strangers' orders goes before a pull"
    assert max(len(one) for one in requests) <= 10
    assert sum(len(one) for one in requests) == 201
    said = [line for line in lines if line["event"] == "order.listed_cancelled"]
    assert [(line["count"], line["markets"]) for line in said] == [(200, 1)]
    assert rig.venue.resting() == []
