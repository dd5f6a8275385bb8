"""A fill that the exchange's list misprints: not booked, counted, said, and booked once when the list is right."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from kalshi_daemon.domain.contract import FeeSchedule, FeeType
from kalshi_daemon.domain.order import Fill
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.clock import ManualClock
from kalshi_daemon.ground.units import Count, Dollars, Nanos, Price
from kalshi_daemon.guardrails.exposure import Exposure
from kalshi_daemon.orders.refused_fills import REFUSED_MAX
from kalshi_daemon.settings.model import OrderSettings
from tests.orders.fake_venue import FakeVenue
from tests.orders.order_rig import START, Rig, drive, quote, spin, ticker

FREE = FeeSchedule(FeeType.QUADRATIC, 1_000_000, START)
MISPRINTS = [
    {"price": Price(100)},
    {"price": Price(4_300)},
    {"count": Count(1_200)},
    {"fee": Dollars(101)},
    {"side": Side.ASK},
    {"market_ticker": ticker(6900)},
    {"market_ticker": "KXBTCD-26NOV2311-T90000"},
]


def look(rig):
    rig.manager._reconciler._next = Nanos(0)


async def traded(rig, misprint, *, stream=False):
    """An order of ours of which one contract trades; the lists tell it wrong."""
    rig.state.venue.fees["KXINXU"] = FREE
    (order,) = await rig.manager.place([quote()])
    await rig.pass_time(3)
    fill = rig.venue.trade(order.client_order_id, 100, stream=stream)
    rig.venue.misprinted[fill.trade_id] = replace(fill, **misprint)
    return order, fill


@pytest.mark.parametrize("misprint", MISPRINTS)
@pytest.mark.parametrize("told", [True, False], ids=["order_told", "order_silent"])
async def test_it_waits_until_the_list_is_right_and_counts_meanwhile(rig, misprint, told):
    async with rig.running():
        order, fill = await traded(rig, misprint)
        if told:
            rig.venue.tell(rig.venue.named(order.client_order_id), "Trade")
        cursor = rig.journal.cursor("fills")
        with capture_logs() as logs:
            look(rig)
            await rig.pass_time(20)
        assert rig.journal.fill(fill.trade_id) is None
        assert rig.state.ledger.positions == {}
        assert not rig.state.reconciliation.agreed
        assert f"fill {fill.trade_id} of order {order.order_id} cannot be" in rig.state.reconciliation.problem
        assert set(rig.state.quarantined) == {order.client_order_id}
        assert Exposure.of(rig.state).market_loss(order.market_ticker) >= Dollars(4_200)
        assert Exposure.of(rig.state).market_loss(misprint.get("market_ticker", order.market_ticker)) > 0
        assert len([line for line in logs if line["event"] == "fill.not_booked"]) == 1
        assert rig.journal.cursor("fills") == cursor, "it is listed again however long that takes"
        rig.venue.misprinted.clear()
        await rig.pass_time(30)
        booked = rig.journal.fill(fill.trade_id)
        assert booked is not None
        assert replace(booked.fill, post_position=None) == fill
        assert rig.state.ledger.positions[order.market_ticker].count == 100
        assert rig.state.reconciliation.agreed, rig.state.reconciliation.problem
        assert (rig.state.refused_fills, rig.state.quarantined) == ({}, {})
        check = await drive(rig.clock, rig.manager.books_equal())
    assert check.equal, check.detail


async def test_it_comes_back_after_a_restart(rig):
    async with rig.running():
        order, fill = await traded(rig, {"count": Count(1_200)})
        look(rig)
        await rig.pass_time(3)
    again = rig.reborn()
    again.state.venue.fees["KXINXU"] = FREE
    await drive(again.clock, again.manager.start())
    assert not again.state.reconciliation.agreed
    assert set(again.state.refused_fills) == {fill.trade_id}
    assert set(again.state.quarantined) == {order.client_order_id}
    assert again.journal.fill(fill.trade_id) is None
    again.journal.close()


async def test_one_that_the_list_tells_no_more_was_none(rig):
    async with rig.running():
        (order,) = await rig.manager.place([quote()])
        phantom = Fill(
            "t-9", order.order_id, order.market_ticker, Side.ASK, order.price, Count(100), Dollars(0),
            is_taker=False, event_ns=rig.clock.now_ns(),
        )  # fmt: skip
        rig.venue.misprinted["t-9"] = phantom
        look(rig)
        await rig.pass_time(3)
        assert not rig.state.reconciliation.agreed
        rig.venue.misprinted.clear()
        await rig.pass_time(30)
        assert rig.state.reconciliation.agreed
        assert (rig.state.refused_fills, rig.state.quarantined) == ({}, {})


async def test_one_of_the_stream_alone_is_a_rumour_that_counts_for_half_a_minute(rig):
    async with rig.running():
        stranger = Fill(
            "t-9", "ex-77", ticker(), Side.BID, Price(4_000), Count(100), Dollars(9_000), is_taker=True,
            event_ns=rig.clock.now_ns(),
        )  # fmt: skip
        assert rig.manager._bookkeeping.book_fill(stranger, "stream") is False
        await rig.pass_time(3)
        assert set(rig.state.refused_fills) == {"t-9"}
        assert rig.state.reconciliation.agreed
        await rig.pass_time(95, step_ms=500)
        assert rig.state.refused_fills == {}


async def test_one_that_an_operator_names_is_booked_as_it_is_listed(tmp_path, clock, venue):
    first = Rig(tmp_path, clock, venue)
    async with first.running():
        _order, fill = await traded(first, {"price": Price(4_100)})
        look(first)
        await first.pass_time(3)
        assert not first.state.reconciliation.agreed
    first.settings = OrderSettings(fills_accepted=(fill.trade_id,))
    rig = first.reborn()
    async with rig.running():
        await rig.pass_time(30)
        booked = rig.journal.fill(fill.trade_id)
        assert booked is not None
        assert booked.fill.price == 4_100
        assert rig.state.reconciliation.agreed, rig.state.reconciliation.problem
    rig.journal.close()


def phantom_of(order, now_ns):
    """A fill at another price than its order's, that nobody ever made."""
    return Fill(
        "t-9", order.order_id, order.market_ticker, order.side, Price(4_100), Count(100), Dollars(0), is_taker=False,
        event_ns=now_ns,
    )  # fmt: skip


async def test_one_that_an_operator_dismisses_counts_nowhere(tmp_path, clock, venue):
    first = Rig(tmp_path, clock, venue)
    async with first.running():
        first.state.venue.fees["KXINXU"] = FREE
        (order,) = await first.manager.place([quote()])
        venue.misprinted["t-9"] = phantom_of(order, clock.now_ns())
        look(first)
        await first.pass_time(3)
        assert "if it never happened, in orders.fills_dismissed" in first.state.reconciliation.problem
    first.settings = OrderSettings(fills_dismissed=("t-9",))
    rig = first.reborn()
    with capture_logs() as logs:
        async with rig.running():
            await rig.pass_time(30)
            look(rig)
            await rig.pass_time(30)
            assert rig.state.reconciliation.agreed, rig.state.reconciliation.problem
            assert (rig.state.refused_fills, rig.state.quarantined) == ({}, {})
            assert rig.journal.fill("t-9") is None
            assert rig.state.ledger.positions == {}
            assert rig.journal.cursor("fills") > 0, "read on from there"
            check = await drive(rig.clock, rig.manager.books_equal())
    assert check.equal, check.detail
    assert [line["trade_id"] for line in logs if line["event"] == "fill.dismissed"] == ["t-9"], "once"
    rig.journal.close()


async def test_a_real_one_that_is_dismissed_keeps_the_guard_shut_and_one_that_can_be_is_booked(tmp_path, clock, venue):
    first = Rig(tmp_path, clock, venue)
    async with first.running():
        _order, fill = await traded(first, {"price": Price(4_100)})
        look(first)
        await first.pass_time(3)
    first.settings = OrderSettings(fills_dismissed=(fill.trade_id,))
    rig = first.reborn()
    async with rig.running():
        await rig.pass_time(30)
        assert not rig.state.reconciliation.agreed
        assert "position" in rig.state.reconciliation.problem
        venue.misprinted.clear()
        await rig.pass_time(30)
        assert rig.journal.fill(fill.trade_id) is not None
        assert rig.state.reconciliation.agreed, rig.state.reconciliation.problem
    rig.journal.close()


async def test_one_of_an_orders_own_list_waits_too(rig):
    async with rig.running():
        order, fill = await traded(rig, {"fee": Dollars(5_000)})
        rig.venue.tell(rig.venue.named(order.client_order_id), "Trade")
        await spin()
        honest = rig.venue.fills

        async def by_order_alone(*, min_ts_ns=None, order_id=None):
            return await honest(min_ts_ns=min_ts_ns, order_id=order_id) if order_id else []

        rig.venue.fills = by_order_alone
        look(rig)
        with capture_logs() as logs:
            await rig.pass_time(10)
        assert not any(line["event"] == "order.released" for line in logs), "its order describes itself well enough"
        assert rig.journal.fill(fill.trade_id) is None
        assert f"fill {fill.trade_id}" in rig.state.reconciliation.problem
        rig.venue.misprinted.clear()
        await rig.pass_time(10)
        assert rig.journal.fill(fill.trade_id) is not None
        assert rig.state.refused_fills == {}


async def test_a_list_full_of_nonsense_is_bounded(rig):
    async with rig.running():
        (order,) = await rig.manager.place([quote()])
        wrong = Fill(
            "t", order.order_id, order.market_ticker, Side.ASK, order.price, Count(100), Dollars(0), is_taker=False,
            event_ns=rig.clock.now_ns(),
        )  # fmt: skip
        rig.venue.misprinted = {f"t-{n}": replace(wrong, trade_id=f"t-{n}") for n in range(REFUSED_MAX + 50)}
        look(rig)
        await rig.pass_time(1)
        assert len(rig.state.refused_fills) == REFUSED_MAX
        assert not rig.state.reconciliation.agreed
        rig.venue.misprinted.clear()
        await rig.pass_time(1)


BENT = st.fixed_dictionaries(
    {},
    optional={
        "price": st.integers(1, 9_999).map(Price),
        "count": st.integers(1, 500).map(Count),
        "fee": st.integers(0, 20_000).map(Dollars),
        "side": st.sampled_from(Side),
        "market_ticker": st.sampled_from([ticker(), ticker(6805), "KXBTCD-26NOV2311-T90000"]),
        "is_taker": st.booleans(),
    },
)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["list", "stream"]), BENT), max_size=5), st.integers(1, 2))
async def test_whatever_is_told_of_a_fill_nothing_is_booked_twice_or_counted_less(tmp_path_factory, told, parts):
    clock = ManualClock(START)
    rig = Rig(tmp_path_factory.mktemp("told"), clock, FakeVenue(clock))
    rig.state.venue.fees["KXINXU"] = FREE
    books = rig.manager._bookkeeping
    (order,) = await rig.manager.place([quote(contracts=2)])
    assert order.order_id is not None
    fills = [rig.venue.trade(order.client_order_id, 100, stream=False) for _ in range(parts)]
    owed, cheaper = 4_200 * parts, False
    for road, bent in told:
        wrong = [replace(fill, **bent) for fill in fills]
        if road == "list":
            books.book_listed(wrong, "list", "list", {fill.trade_id for fill in wrong})
        else:
            books.book_fill(wrong[0], "stream")
        cheaper |= "price" in bent and bent.get("is_taker", False)  # a taker's may be, and is believed
        assert cheaper or Exposure.of(rig.state).worst_loss >= owed
        for booked in rig.journal.fills_of(order.order_id):
            assert (booked.fill.market_ticker, booked.fill.side) == (order.market_ticker, order.side)
            assert booked.fill.price == order.price or booked.fill.is_taker
            assert booked.fill.price <= order.price
        assert rig.journal.filled_total(order.order_id) <= order.count
    books.book_listed(fills, "list", "list", {fill.trade_id for fill in fills})
    booked_fills = {booked.fill.trade_id: booked.fill for booked in rig.journal.fills_of(order.order_id)}
    assert len(booked_fills) <= parts
    # A misprint that could have been was believed: what it left no room for is refused, and told.
    believed = any(booked_fills.get(fill.trade_id, fill).count != fill.count for fill in fills)
    assert believed or rig.state.refused_fills == {}
    if believed:
        assert set(booked_fills) | set(rig.state.refused_fills) >= {fill.trade_id for fill in fills}
    rig.journal.close()
