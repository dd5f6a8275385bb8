"""Words of the exchange that cannot be: none is believed, nothing ends, and the exposure is never smaller."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from kalshi_daemon.domain.events import CreateAck, FillEvent, UserOrder
from kalshi_daemon.domain.order import Fill, Status
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.clock import ManualClock
from kalshi_daemon.ground.units import SECOND, Count, Dollars, Nanos, Price
from kalshi_daemon.guardrails.exposure import ExposureMemo
from kalshi_daemon.orders.lifecycle import (
    Acked,
    CancelAcked,
    CancelRefused,
    Disowned,
    FillSeen,
    NotFoundAuthenticated,
    OutcomeUnknown,
    Rejected,
    ReportedCanceled,
    ReportedExecuted,
    ReportedResting,
    Sent,
    impossible,
)
from kalshi_daemon.orders.placing import Placer
from kalshi_daemon.orders.quarantine import QUARANTINED_MAX
from kalshi_daemon.settings.model import OrderSettings
from tests.orders.fake_venue import FakeVenue
from tests.orders.order_rig import START, Rig, quote, quotes, spin, ticker


def said(logs, event):
    return [line for line in logs if line["event"] == event]


def word(rig, order, **changes):
    """A `user_order` frame about an order of ours."""
    now = rig.clock.now_ns()
    frame = UserOrder(
        order.order_id, order.client_order_id, order.market_ticker, "resting", order.side, order.price, order.count,
        order.filled, order.leaves, now, now, "",
    )  # fmt: skip
    rig.venue.emit(replace(frame, **changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"filled": Count(300)},
        {"order_id": "ex-999"},
        {"status": "executed", "filled": Count(101)},
        {"status": "canceled", "filled": Count(500)},
        {"market_ticker": ticker(9000)},
        {"side": Side.ASK},
    ],
)
async def test_an_impossible_word_quarantines_the_order_until_the_exchange_agrees(rig, changes):
    async with rig.running():
        (order,) = await rig.manager.place([quote()])
        await rig.pass_time(3)
        resting = rig.only()
        with capture_logs() as logs:
            word(rig, resting, **changes)
            await spin()
            assert rig.only() == resting, "nothing of it is taken over"
            (extra,) = rig.state.quarantined.values()
            assert (extra.count, extra.leaves, extra.status) == (order.count, order.count, Status.UNKNOWN)
            word(rig, resting, **changes)
            await spin()
            (line,) = said(logs, "order.quarantined")
            assert (line["client_order_id"], line["status"]) == (order.client_order_id, "resting")
            await rig.pass_time(5)
        assert rig.state.quarantined == {}, "asked, and described as we have it"
        assert len(said(logs, "order.released")) == 1
        assert rig.only() == resting
    assert [event for _at, event, _status, _detail in rig.journal.history(order.client_order_id)][-1] == "Quarantined"


@pytest.mark.parametrize(
    "misprint",
    [
        {"price": Price(100)},
        {"count": Count(1_200)},
        {"fee": Dollars(50_000)},
        {"side": Side.ASK},
        {"market_ticker": ticker(6900)},
        {"order_id": "ex-999"},
    ],
)
async def test_a_fill_that_its_order_cannot_have_is_booked_as_the_list_has_it(rig, misprint):
    async with rig.running():
        (order,) = await rig.manager.place([quote()])
        await rig.pass_time(3)
        fill = rig.venue.trade(order.client_order_id, 100, stream=False)
        wrong = replace(fill, client_order_id=order.client_order_id, **misprint)
        rig.manager.on_event(FillEvent(wrong, rig.clock.now_ns()))
        await spin()
        assert rig.journal.fill(fill.trade_id) is None
        assert set(rig.state.quarantined) == {order.client_order_id}
        await rig.pass_time(5)
        booked = rig.journal.fill(fill.trade_id)
        assert booked is not None
        assert (booked.fill.price, booked.fill.count, booked.fill.fee) == (order.price, Count(100), fill.fee)
        with capture_logs() as logs:
            rig.manager.on_event(FillEvent(wrong, rig.clock.now_ns()))
            await spin()
        assert said(logs, "order.quarantined") == [], "known by then: not looked at again"
        await rig.pass_time(20)
        assert rig.state.quarantined == {}
        assert rig.state.reconciliation.agreed


async def test_an_order_in_quarantine_is_not_renewed(rig):
    async with rig.running():
        await rig.manager.place([quote()])
        await rig.pass_time(3)
        order = rig.only()
        rig.venue.down = True
        word(rig, order, filled=Count(300))
        await rig.pass_time(2)
        rig.venue.script["orders"].extend(["lost"] * 500)
        rig.venue.script["order"].extend(["lost"] * 500)
        rig.venue.down = False
        await rig.pass_time(90)
        assert rig.sent("amend") == []
        assert rig.only().expires_ns == order.expires_ns
        rig.venue.script.clear()
        await rig.pass_time(40)
        assert rig.state.quarantined == {}
        assert rig.only().status is Status.EXPIRED


async def test_a_create_answered_with_another_orders_id_is_unknown_and_found(rig):
    honest = rig.venue.create_orders

    async def lying(orders):
        await honest(orders)
        return [CreateAck(o.client_order_id, "ex-1", Count(0), o.count, START) for o in orders]

    async with rig.running():
        (first,) = await rig.manager.place([quote()])
        assert first.order_id == "ex-1"
        rig.venue.listener = None  # no frame tells the truth
        rig.venue.create_orders = lying
        (second,) = await rig.manager.place([quote(6805)])
        assert (second.status, second.order_id) == (Status.UNKNOWN, None)
        assert set(rig.state.quarantined) == {second.client_order_id}
        await rig.pass_time(10)
        found = rig.state.orders[second.client_order_id]
        assert (found.status, found.order_id) == (Status.RESTING, "ex-2")
        assert rig.state.orders[first.client_order_id].order_id == "ex-1"
        assert rig.state.quarantined == {}


async def test_a_create_answered_with_a_strangers_id_is_disowned_and_found(tmp_path, clock, venue):
    rig = Rig(tmp_path, clock, venue, OrderSettings(scope="own"))
    stranger = venue.put_foreign(ticker(6900), price=100, name="by-hand")
    honest = venue.create_orders

    async def lying(orders):
        await honest(orders)
        return [CreateAck(o.client_order_id, stranger, Count(0), o.count, START) for o in orders]

    venue.create_orders = lying
    async with rig.running():
        venue.listener = None
        (order,) = await rig.manager.place([quote()])
        assert order.order_id == stranger, "nobody can know better yet"
        await rig.pass_time(3)
        rig.manager._look_soon()
        await rig.pass_time(20, step_ms=500)
        found = rig.only()
        assert (found.status, found.order_id) == (Status.RESTING, venue.named(order.client_order_id).order_id)
        assert rig.state.quarantined == {}
        assert not any(ref.order_id == stranger for refs in rig.sent("cancel") for ref in refs)
    rig.journal.close()


async def test_a_fill_that_carries_another_orders_name_is_booked_and_doubts_that_order(rig):
    async with rig.running():
        first, second = await rig.manager.place(quotes(2))
        fill = Fill(
            "t-1", first.order_id, first.market_ticker, Side.BID, first.price, Count(100), Dollars(0),
            is_taker=False, event_ns=rig.clock.now_ns(), client_order_id=second.client_order_id,
        )  # fmt: skip
        rig.manager.on_event(FillEvent(fill, rig.clock.now_ns()))
        await spin()
        assert rig.state.orders[first.client_order_id].filled == 100
        assert rig.state.orders[second.client_order_id].filled == 0
        assert set(rig.state.quarantined) == {second.client_order_id}


async def test_a_second_order_under_the_name_of_an_ended_one_is_cancelled(rig):
    async with rig.running():
        (order,) = await rig.manager.place([quote()])
        await rig.manager.cancel([order.client_order_id], "edge_lost")
        await rig.pass_time(3)
        twin = rig.venue.put_foreign(order.market_ticker, name=order.client_order_id)
        await rig.pass_time(65, step_ms=500)
        assert rig.venue.orders_by_id[twin].status == "canceled"


@pytest.mark.parametrize("known", [True, False])
async def test_a_list_with_an_id_or_a_name_twice_ends_nothing(rig, known):
    async with rig.running():
        (order,) = await rig.manager.place([quote()])
        await rig.pass_time(3)
        twin = rig.venue.put_foreign(ticker(6900), name="kd-00112233445566aa-7")
        listed = await rig.venue.orders(status="resting")
        if known:
            listed[-1] = replace(listed[-1], order_id=order.order_id)
        rig.venue.stale_resting = [*listed, listed[-1]]
        rig.manager._look_soon()
        await rig.pass_time(3)
        if known:
            assert order.client_order_id in rig.state.quarantined
        else:
            assert len([o for o in rig.orders if o.order_id == twin]) == 1
        rig.venue.stale_resting = None
        await rig.pass_time(5)


async def test_an_ended_order_in_quarantine_is_let_go_when_the_exchange_lists_nothing_of_its_name(rig):
    async with rig.running():
        (order,) = await rig.manager.place([quote()])
        await rig.manager.cancel([order.client_order_id], "edge_lost")
        rig.venue.hidden.add(order.order_id)
        word(rig, rig.only(), order_id="ex-999")
        await rig.pass_time(60, step_ms=500)
        assert set(rig.state.quarantined) == {order.client_order_id}
        await rig.pass_time(130, step_ms=1_000)
        assert rig.state.quarantined == {}


async def test_an_exchange_that_says_the_impossible_of_many_orders_shuts_the_guard(rig):
    async with rig.running():
        rig.venue.script["order"].extend(["lost"] * 10_000)
        orders = await rig.manager.place([quote(6000 + 5 * n) for n in range(QUARANTINED_MAX + 1)])
        await rig.pass_time(3)
        rig.venue.stale_resting = []
        for order in orders:
            word(rig, rig.state.orders[order.client_order_id], filled=Count(300))
        await rig.pass_time(6)
        assert "what cannot be of 51 orders" in rig.state.reconciliation.problem


# --- whatever the exchange says ---------------------------------------------------------------------------------------

IDS = st.sampled_from(["ex-1", "ex-2", "ex-3", "ex-9"])
COUNTS = st.integers(0, 400).map(Count)
LATER = Nanos(START + 60 * SECOND)
WORDS = st.one_of(
    st.builds(Acked, st.just(LATER), IDS, COUNTS, COUNTS),
    st.builds(Rejected, st.just(LATER), st.just("no")),
    st.builds(ReportedResting, st.just(LATER), IDS, COUNTS),
    st.builds(ReportedExecuted, st.just(LATER), IDS, COUNTS),
    st.builds(ReportedCanceled, st.just(LATER), IDS, COUNTS),
    st.builds(FillSeen, st.just(LATER), IDS, COUNTS),
    st.builds(CancelAcked, st.just(LATER), COUNTS),
    st.builds(CancelRefused, st.just(LATER), st.just("404")),
    st.builds(NotFoundAuthenticated, st.just(LATER), st.just(START), st.just(Nanos(SECOND))),
    st.builds(Disowned, st.just(LATER), st.just("another's")),
    st.builds(OutcomeUnknown, st.just(LATER), st.just("time-out")),
)


def may_cost(rig):
    """What the worst case counts, by order."""
    parts: dict[str, int] = {}
    for where in (rig.state.live_orders(), rig.state.unbooked.values(), rig.state.quarantined.values()):
        for order in where:
            parts[order.client_order_id] = parts.get(order.client_order_id, 0) + order.leaves
    return parts


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), WORDS), max_size=20), st.lists(st.booleans(), min_size=3, max_size=3))
async def test_no_sequence_of_words_raises_or_makes_the_exposure_smaller_by_what_cannot_be(
    tmp_path_factory, words, sent
):
    clock = ManualClock(START)
    rig = Rig(tmp_path_factory.mktemp("words"), clock, FakeVenue(clock))
    store = rig.manager._store
    orders = Placer._intend(rig.manager._placer, [quote(6800 + 5 * n, contracts=2) for n in range(3)])
    for order, on_the_wire in zip(orders, sent, strict=True):
        if on_the_wire:
            store.apply(order.client_order_id, Sent(START))
    memo = ExposureMemo()
    for which, event in words:
        name = orders[which].client_order_id
        before, counted = rig.state.orders[name], may_cost(rig).get(name, 0)
        if isinstance(event, (Disowned, OutcomeUnknown)) and before.status in {Status.INTENDED, Status.REJECTED}:
            continue  # our own doing, which we do not do then
        cannot_be = store.impossible(before, event)
        after = store.apply(name, event)
        if cannot_be:
            assert (after.filled, after.order_id) == (before.filled, before.order_id)
            assert after.status.live or not before.status.live
            assert may_cost(rig)[name] >= max(counted, before.count)
        assert impossible(before, event) == "" or cannot_be
        assert len(memo.of(rig.state).resting) == sum(one.leaves > 0 for one in _parts(rig))
    ids = [order.order_id for order in rig.state.orders.values() if order.order_id is not None]
    assert len(ids) == len(set(ids)), "no id of the exchange belongs to two orders"
    assert {o.client_order_id: o for o in rig.journal.orders_since(Nanos(0), 10)} == {
        name: rig.state.orders[name] for name in (o.client_order_id for o in orders)
    } or any(order.status is Status.IN_FLIGHT for order in rig.state.orders.values())
    rig.journal.close()


def _parts(rig):
    return [*rig.state.live_orders(), *rig.state.unbooked.values(), *rig.state.quarantined.values()]


@pytest.mark.parametrize("price", [Price(4_100), Price(4_200)])
async def test_a_price_that_somebody_changed_by_hand_does_not_keep_an_end_from_being_believed(rig, price):
    async with rig.running():
        (order,) = await rig.manager.place([quote()])
        await rig.pass_time(3)
        theirs = rig.venue.orders_by_id[order.order_id]
        theirs.price = price
        rig.venue.end(theirs, stream=False)
        await rig.pass_time(70, step_ms=500)
        assert rig.only().status is Status.CANCELED
