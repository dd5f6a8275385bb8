"""The submit path: what is sent, what is not, and what becomes of each answer."""

import asyncio
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from kalshi_daemon.domain.events import CreateAck, UserOrder
from kalshi_daemon.domain.order import Status
from kalshi_daemon.ground.errors import (
    AlreadyExists,
    IllegalTransition,
    OrderOutcomeUnknown,
    PostOnlyCross,
    VenueRejected,
)
from kalshi_daemon.ground.units import SECOND, Count, Nanos
from kalshi_daemon.orders.ids import is_ours
from kalshi_daemon.orders.lifecycle import Acked
from tests.orders.order_rig import START, WINDOW, drive, quote, quotes, spin, ticker


async def test_a_quote_becomes_a_resting_order_that_expires_with_its_lease(rig):
    async with rig.running():
        (order,) = await rig.manager.place([quote()])
    assert order.status is Status.RESTING
    assert is_ours(order.client_order_id)
    assert order.expires_ns == START + 90 * SECOND
    assert rig.venue.named(order.client_order_id).expires_ns == order.expires_ns
    assert rig.state.counters.orders_placed == 1
    assert [line["action"] for line in rig.audit] == ["place_intent", "ack"]


async def test_no_order_outlives_its_window(rig):
    async with rig.running():
        rig.clock.set(Nanos(WINDOW.new_until_ns - SECOND))
        rig.state.windows.clear()
        (order,) = await rig.manager.place([quote()])
        assert order.expires_ns == WINDOW.new_until_ns - SECOND + 90 * SECOND
    rig.settings = rig.settings.model_copy(update={"lease_s": 600.0})
    late = rig.reborn()
    (order,) = await late.manager.place([quote(6805)])
    assert order.expires_ns == WINDOW.gone_by_ns
    late.journal.close()


def shut_latch(rig):
    rig.state.latch.closed = True


def disarm(rig):
    rig.state.armed = False


def pull_kill_switch(rig):
    rig.state.kill_switch = True


def after_new_quotes(rig):
    rig.clock.set(WINDOW.new_until_ns)


@pytest.mark.parametrize("close", [shut_latch, disarm, pull_kill_switch, after_new_quotes])
async def test_a_closed_submit_path_sends_nothing_and_writes_nothing(rig, close):
    close(rig)
    assert await rig.manager.place([quote()]) == ()
    assert rig.venue.calls == []
    assert rig.journal.live_orders() == []


async def test_the_latch_closing_between_two_batches_stops_the_second(rig):
    rig.venue.before_create = lambda: shut_latch(rig)
    placed = await rig.manager.place(quotes(15))
    assert len(placed) == rig.settings.batch_max == 10
    assert len(rig.sent("create")) == 1


async def test_the_intent_is_on_disk_before_the_request_leaves(rig):
    seen = []
    rig.venue.before_create = lambda: seen.extend(rig.journal.live_orders())
    await rig.manager.place([quote()])
    assert [order.status for order in seen] == [Status.INTENDED]


@pytest.mark.parametrize(
    ("fault", "status", "reason"),
    [
        ("unreachable", Status.REJECTED, "unreachable"),
        ("429", Status.REJECTED, "rate_limited"),
        ("lost", Status.UNKNOWN, ""),
        ("applied_lost", Status.UNKNOWN, ""),
        (VenueRejected("create", 400, "invalid_parameters", ""), Status.REJECTED, "invalid_parameters"),
    ],
)
async def test_what_the_answer_to_a_whole_batch_means(rig, fault, status, reason):
    rig.venue.listener = None
    rig.venue.script["create"].append(fault)
    (order,) = await rig.manager.place([quote()])
    assert order.status is status
    if reason:
        assert order.reason == reason
    assert rig.journal.order(order.client_order_id).status is status


async def test_a_timeout_is_never_a_reject_and_nothing_is_sent_again(rig):
    rig.venue.listener = None
    rig.venue.script["create"].append("applied_lost")
    async with rig.running():
        (order,) = await rig.manager.place([quote()])
        assert order.status is Status.UNKNOWN
        assert order in rig.state.live_orders()
        await rig.pass_time(1)
    assert rig.only().status is Status.RESTING
    assert rig.only().order_id == rig.venue.resting()[0].order_id
    assert len(rig.sent("create")) == 1


async def test_an_order_that_never_arrived_is_given_up_only_after_patience(rig):
    rig.venue.script["create"].append("lost")
    async with rig.running():
        await rig.manager.place([quote()])
        await rig.pass_time(9)
        assert rig.only().status is Status.UNKNOWN
        await rig.pass_time(6)
    assert rig.only().status is Status.REJECTED
    assert rig.only().reason == "not_found"
    assert rig.journal.live_orders() == []


async def test_an_order_the_reads_do_not_show_yet_is_not_given_up(rig):
    """Portfolio reads lag the engine: the first looks find nothing."""
    rig.venue.listener = None
    rig.venue.script["create"].append("applied_lost")
    async with rig.running():
        await rig.manager.place([quote()])
        (order_id,) = rig.venue.orders_by_id
        rig.venue.hidden.add(order_id)
        await rig.pass_time(6)
        assert rig.only().status is Status.UNKNOWN
        rig.venue.hidden.clear()
        await rig.pass_time(6)
    assert rig.only().status is Status.RESTING


async def test_unanswered_asking_is_never_taken_for_not_found(rig):
    """Only an authenticated answer counts: while the exchange is down nothing is concluded."""
    rig.venue.script["create"].append("lost")
    async with rig.running():
        await rig.manager.place([quote()])
        rig.venue.down = True
        await rig.pass_time(60, step_ms=500)
        assert rig.only().status is Status.UNKNOWN


async def test_many_unknown_orders_are_found_in_one_listing(rig):
    rig.venue.listener = None
    rig.venue.script["create"].append("applied_lost")
    async with rig.running():
        await rig.manager.place(quotes(8))
        rig.venue.calls.clear()
        await rig.pass_time(1)
    assert {order.status for order in rig.orders} == {Status.RESTING}
    assert rig.sent("orders").count((None, None)) == 1


async def test_each_item_of_a_batch_has_its_own_outcome(rig):
    rig.venue.listener = None
    rig.venue.script["create_item_1"].append(PostOnlyCross("create", 201, "invalid_order", "", "post only cross"))
    rig.venue.script["create_item_2"].append("applied_lost")
    rig.venue.script["create_item_3"].append(AlreadyExists("create", 409, "order_already_exists", ""))
    rig.venue.script["create_item_4"].append("dead_on_arrival")
    placed = await rig.manager.place(quotes(5))
    assert [order.status for order in placed] == [
        Status.RESTING,
        Status.REJECTED,
        Status.UNKNOWN,
        Status.UNKNOWN,
        Status.CANCELED,
    ]
    assert placed[1].reason == "post_only_cross"
    assert placed[4].reason == "canceled_on_arrival"
    assert [rig.journal.order(order.client_order_id) for order in placed] == list(placed)


async def test_too_few_answers_make_the_whole_batch_unknown(rig):
    async def short(orders):
        return [CreateAck(orders[0].client_order_id, "ex-1", Count(0), orders[0].count, START)]

    rig.venue.create_orders = short
    placed = await rig.manager.place(quotes(2))
    assert {order.status for order in placed} == {Status.UNKNOWN}


async def test_an_answer_about_another_order_is_no_answer(rig):
    async def mixed_up(orders):
        return [CreateAck("kd-0000000000000000-9", "ex-1", Count(0), orders[0].count, START)]

    rig.venue.create_orders = mixed_up
    (order,) = await rig.manager.place([quote()])
    assert order.status is Status.UNKNOWN


async def test_a_place_that_is_cancelled_mid_request_leaves_unknown_orders(rig):
    rig.venue.script["create"].append("hang")
    async with asyncio.TaskGroup() as group:
        task = group.create_task(rig.manager.place(quotes(2)))
        await spin()
        task.cancel()
    assert {order.status for order in rig.orders} == {Status.UNKNOWN}
    assert {order.status for order in rig.journal.live_orders()} == {Status.UNKNOWN}


async def test_an_impossible_answer_to_one_item_does_not_lose_the_others(rig):
    """More traded than was asked for: nothing of it is taken over, the order is unknown and asked about."""

    async def doubled(orders):
        return [CreateAck(o.client_order_id, f"ex-{i}", Count(o.count * 2 * (i == 1)), o.count, START)
                for i, o in enumerate(orders)]  # fmt: skip

    rig.venue.create_orders = doubled
    await rig.manager.place(quotes(3))
    first, broken, third = rig.journal.live_orders()
    assert (first.status, third.status) == (Status.RESTING, Status.RESTING)
    assert (broken.status, broken.order_id, broken.filled) == (Status.UNKNOWN, None, 0)
    assert set(rig.state.quarantined) == {broken.client_order_id}


async def test_a_bug_in_one_item_does_not_lose_the_others(rig, monkeypatch):
    """A bug of ours is raised, after the other outcomes are written down."""
    apply = rig.manager._store.apply

    def buggy(name, event, detail=None):
        if isinstance(event, Acked) and name.endswith("-2"):
            raise IllegalTransition(name, "resting", "Sent")
        return apply(name, event, detail)

    monkeypatch.setattr(rig.manager._store, "apply", buggy)
    with pytest.raises(IllegalTransition):
        await rig.manager.place(quotes(3))
    first, _broken, third = rig.journal.live_orders()
    assert (first.status, third.status) == (Status.RESTING, Status.RESTING)


async def lied_to(rig, orders, order_id):
    """The answer to creates, each applied, with this order id instead of its own."""
    answers = await type(rig.venue).create_orders(rig.venue, orders)
    await spin()  # the stream is heard before the answer
    return [replace(answer, order_id=order_id(answer)) for answer in answers]


async def test_an_answer_with_the_id_of_another_order_of_ours_is_about_nobody(rig):
    """Not the other order's news either; the exchange is asked, and says which id it has."""
    async with rig.running():
        rig.venue.listener = None
        (first,) = await rig.manager.place([quote()])
        rig.venue.create_orders = lambda orders: lied_to(rig, orders, lambda _answer: first.order_id)
        with capture_logs() as lines:
            (second,) = await rig.manager.place([quote(6805)])
        assert second.status is Status.UNKNOWN
        assert second.order_id is None
        assert rig.state.orders[first.client_order_id] == first
        (said,) = [line for line in lines if line["event"] == "order.unknown"]
        assert said["cause"] == f"answered as {first.order_id}, which is {first.client_order_id}"
        await rig.pass_time(30)
    asked = rig.state.orders[second.client_order_id]
    assert asked.status is Status.RESTING
    assert asked.order_id == rig.venue.named(second.client_order_id).order_id


async def test_an_answer_with_the_id_of_an_order_of_an_earlier_life_is_about_nobody(rig):
    async with rig.running():
        (first,) = await rig.manager.place([quote()])
        rig.venue.end(rig.venue.named(first.client_order_id))
        await spin()
    late = rig.reborn()
    await drive(late.clock, late.manager.start())
    assert late.state.orders == {}
    late.venue.create_orders = lambda orders: lied_to(late, orders, lambda _answer: first.order_id)
    (second,) = await late.manager.place([quote(6805)])
    assert second.status is Status.UNKNOWN
    late.journal.close()


async def test_an_answer_that_contradicts_the_stream_changes_nothing(rig):
    async with rig.running():
        rig.venue.create_orders = lambda orders: lied_to(rig, orders, lambda _answer: "00000000-0000-4000-8000-1")
        with capture_logs() as lines:
            await rig.manager.place([quote()])
        order = rig.only()
        assert order.status is Status.RESTING
        assert order.order_id == rig.venue.named(order.client_order_id).order_id
        said = [line["event"] for line in lines if line["event"].startswith("order.")]
        assert said == ["order.quarantined", "order.answer_lost"]


async def test_the_stream_may_be_faster_than_the_answer(rig):
    async with rig.running():
        rig.venue.script["create"].append("applied_lost")
        await rig.manager.place([quote()])
        await spin()
        order = rig.only()
        assert order.status is Status.RESTING
        assert order.order_id == rig.venue.resting()[0].order_id
        assert rig.state.counters.orders_placed == 1


async def test_nothing_is_placed_where_an_event_is_being_cleared(rig):
    rig.venue.down = True
    async with asyncio.TaskGroup() as group:
        group.create_task(drive(rig.clock, rig.manager.cancel_event(WINDOW.event_ticker, "cutoff", START)))
        await spin(2)
        assert await rig.manager.place([quote()]) == ()
    assert rig.sent("create") == []
    rig.venue.down = False
    assert len(await rig.manager.place([quote()])) == 1


async def test_ids_are_never_reused_over_many_orders(rig):
    for _ in range(5):
        await rig.manager.place(quotes(10))
    names = [new.client_order_id for batch in rig.sent("create") for new in batch]
    assert len(set(names)) == 50


async def test_orders_carry_what_the_quote_was_made_of(rig):
    (order,) = await rig.manager.place([quote(profile="size", contracts=2)])
    assert (order.market_ticker, order.event_ticker, order.series_ticker) == (ticker(), WINDOW.event_ticker, "KXINXU")
    assert (order.profile, order.count, order.fair, order.required_edge) == ("size", 200, 0.45, 0.02)


async def test_a_guard_that_closes_between_two_batches_holds_the_second(rig):
    """Found by simulation: guards answered once per scan, and an answer that took seconds lay before the send."""
    rig.settings = rig.settings.model_copy(update={"batch_max": 2})
    rig = rig.reborn()
    create = rig.venue.create_orders

    async def create_and_close(orders):
        answers = await create(orders)
        rig.closed_guard = "feed_age"
        return answers

    rig.venue.create_orders = create_and_close
    with capture_logs() as logs:
        placed = await drive(rig.clock, rig.manager.place(quotes(4)))
    assert len(placed) == 2
    assert len(rig.journal.live_orders()) == 2
    assert [line["reason"] for line in logs if line["event"] == "order.not_sent"] == ["guard_feed_age"] * 2
    rig.journal.close()


async def test_an_order_that_would_have_crossed_is_evidence_against_its_book(rig):
    crossed: list[str] = []
    rig.manager._placer.on_crossed = crossed.append
    async with rig.running():
        rig.venue.script["create_item_1"].append(PostOnlyCross("create", 201, "invalid_order", "", "post only cross"))
        await rig.manager.place(quotes(3))
    assert crossed == [ticker(6805)]


async def test_so_is_one_that_was_taken_and_then_cancelled_for_it(rig):
    crossed: list[str] = []
    rig.manager._on_crossed = crossed.append
    async with rig.running():
        (order,) = await rig.manager.place([quote()])
        now = rig.clock.now_ns()
        for _ in range(2):  # told twice, it happened once
            rig.manager.on_event(
                UserOrder(
                    order.order_id, order.client_order_id, order.market_ticker, "canceled", order.side, order.price,
                    order.count, Count(0), Count(0), now, now, "PostOnlyCrossCancel",
                )
            )  # fmt: skip
        await spin()
    assert crossed == [order.market_ticker]
    assert rig.only().status is Status.CANCELED


async def test_an_order_the_stream_has_shown_before_its_answer_was_lost_is_not_called_refused(rig):
    honest = rig.venue.create_orders

    async def lost(orders):
        await honest(orders)
        await spin()
        raise OrderOutcomeUnknown("create", "time-out", 4_000)

    rig.venue.create_orders = lost
    async with rig.running():
        with capture_logs() as logs:
            (order,) = await rig.manager.place([quote()])
    assert order.status is Status.RESTING
    said = [line for line in logs if line["event"].startswith("order.")]
    assert [(line["event"], line["status"]) for line in said if "status" in line] == [("order.answer_lost", "resting")]
    assert not any(line["event"] == "order.refused" for line in said)
