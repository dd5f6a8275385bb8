"""Start, the slow timer, and every reconnect: adopt, cancel, ask, or say with both numbers that it does not agree."""

import pytest

from kalshi_daemon.domain.events import FillEvent, StreamDown, StreamUp
from kalshi_daemon.domain.order import Fill, Status
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.errors import AuthFailed, MalformedField, StateCorrupt, VenueUnreachable
from kalshi_daemon.ground.units import HOUR, SECOND, Count, Dollars, Nanos, Price
from kalshi_daemon.orders import manager as managers
from kalshi_daemon.orders import order_store as store
from kalshi_daemon.orders.journal import Journal
from kalshi_daemon.settings.model import OrderSettings
from tests.orders.order_rig import START, Rig, drive, quote, quotes, spin, ticker


async def start(rig):
    await drive(rig.clock, rig.manager.start())


async def test_nothing_is_agreed_before_the_first_look(rig):
    assert not rig.state.reconciliation.agreed
    await start(rig)
    assert rig.state.reconciliation.agreed
    assert rig.state.reconciliation.problem == ""
    assert rig.state.reconciliation.checked_ns is not None
    assert rig.state.balance is not None
    assert rig.state.balance.cash == 10_000_000


async def test_a_restart_adopts_what_the_journal_knows(rig):
    before = await rig.manager.place(quotes(3))
    again = rig.reborn()
    await start(again)
    assert {o.client_order_id: o.status for o in again.orders} == {o.client_order_id: Status.RESTING for o in before}
    assert again.sent("cancel") == again.sent("cancel_all") == []
    assert again.state.counters.orders_placed == 0
    again.journal.close()


async def test_a_lost_journal_adopts_and_then_cancels_what_carries_our_ids(rig, tmp_path):
    await rig.manager.place(quotes(2))
    rig.venue.listener = None
    lost = Rig(tmp_path / "elsewhere", rig.clock, rig.venue)
    await start(lost)
    assert lost.venue.resting() == []
    assert {o.status for o in lost.orders} == {Status.CANCELED}
    assert {o.profile for o in lost.orders} == {"adopted"}
    assert len(lost.said("adopt")) == 2
    lost.journal.close()


async def test_foreign_orders_are_cancelled_in_scope_account(rig):
    rig.venue.put_foreign("KXNASDAQ100Y-26DEC31-T30000")
    await start(rig)
    assert rig.venue.resting() == []
    assert [line["reason"] for line in rig.said("cancel_intent")] == ["foreign"]
    assert rig.state.reconciliation.agreed


async def test_foreign_orders_are_left_alone_in_scope_own_and_while_unarmed(tmp_path, clock, venue):
    for scope, armed in (("own", True), ("account", False)):
        rig = Rig(tmp_path / scope, clock, venue, OrderSettings(scope=scope))
        rig.state.armed = armed
        rig.venue.put_foreign("KXNASDAQ100Y-26DEC31-T30000")
        await start(rig)
        assert rig.venue.resting()
        assert rig.sent("cancel") == []
        assert rig.state.reconciliation.agreed
        rig.journal.close()


async def test_the_timer_looks_once_a_minute(rig):
    async with rig.running():
        rig.venue.calls.clear()
        await rig.pass_time(301, step_ms=500)
    assert 5 <= len(rig.sent("positions")) <= 6


async def test_a_reconnect_looks_at_once(rig):
    async with rig.running():
        await rig.pass_time(5)
        rig.venue.calls.clear()
        rig.manager.on_event(StreamDown(rig.clock.now_ns(), "closed"))
        rig.manager.on_event(StreamUp(rig.clock.now_ns()))
        await rig.pass_time(2)
    assert len(rig.sent("positions")) == 1


async def test_fills_lost_by_the_stream_are_read_from_the_list(rig):
    async with rig.running():
        (order,) = await rig.manager.place([quote(contracts=2)])
        rig.venue.trade(order.client_order_id, 100, stream=False)
        rig.venue.trade(order.client_order_id, 100, stream=False)
        await rig.pass_time(65, step_ms=500)
    assert rig.only().status is Status.FILLED
    assert rig.state.ledger.fills_total == 2
    assert rig.state.ledger.positions[ticker()].count == 200


async def test_one_fill_by_both_roads_counts_once(rig):
    async with rig.running():
        (order,) = await rig.manager.place([quote(contracts=2)])
        rig.venue.trade(order.client_order_id, 100, trade_id="t-1")
        await rig.pass_time(65, step_ms=500)
        for event in (rig.venue.fills_made[0],) * 3:
            rig.manager.on_event(FillEvent(event, rig.clock.now_ns()))
        await spin()
    assert rig.state.ledger.fills_total == 1
    assert rig.only().filled == 100
    assert len(rig.said("fill")) == 1


async def test_a_strangers_fill_listed_late_is_found_by_the_cursor_alone(rig):
    """No order of ours tells that something is missing: only reading the last minutes again does."""
    async with rig.running():
        rig.venue.put_foreign(ticker(), name="by-hand")
        fill = rig.venue.trade("by-hand", 100, stream=False)
        rig.venue.hidden.add(fill.trade_id)
        await rig.pass_time(150, step_ms=500)
        rig.venue.hidden.clear()
        await rig.pass_time(65, step_ms=500)
    assert rig.state.ledger.positions[ticker()].count == 100


async def test_a_fill_listed_late_is_still_found(rig):
    """The list may show it minutes after it happened: the cursor reads five minutes again."""
    async with rig.running():
        (order,) = await rig.manager.place([quote(contracts=2)])
        fill = rig.venue.trade(order.client_order_id, 100, stream=False)
        rig.venue.hidden.add(fill.trade_id)
        await rig.pass_time(150, step_ms=500)
        assert rig.state.ledger.fills_total == 0
        rig.venue.hidden.clear()
        await rig.pass_time(65, step_ms=500)
    assert rig.state.ledger.fills_total == 1


async def test_a_position_mismatch_is_a_disagreement_with_both_numbers_and_clears_by_agreement(rig):
    async with rig.running():
        rig.venue.held[ticker()] = 300
        await rig.pass_time(70, step_ms=500)
        shared = rig.state.reconciliation
        assert not shared.agreed
        assert shared.problem == f"position in {ticker()}: ours 0.00, exchange 3.00"
        rig.venue.held.clear()
        await rig.pass_time(5)
        assert shared.agreed
        assert shared.problem == ""


async def test_one_odd_look_is_no_disagreement(rig):
    """Reads lag: the second look decides."""
    async with rig.running():
        honest = rig.venue.positions

        async def once():
            rig.venue.positions = honest
            rig.venue.held[ticker()] = 300
            try:
                return await honest()
            finally:
                rig.venue.held.clear()

        rig.venue.positions = once
        rig.manager.on_event(StreamUp(rig.clock.now_ns()))
        for _ in range(20):
            await rig.pass_time(0.25)
            assert rig.state.reconciliation.agreed
        assert rig.venue.positions == honest, "the odd look was taken"


async def test_a_listed_order_with_other_terms_is_a_disagreement(rig):
    async with rig.running():
        await rig.manager.place([quote()])
        rig.venue.resting()[0].price = Price(4300)
        rig.renewing = False
        await rig.pass_time(70, step_ms=500)
        assert not rig.state.reconciliation.agreed
        assert "at 0.4200" in rig.state.reconciliation.problem
        assert "at 0.4300" in rig.state.reconciliation.problem


async def test_a_ghost_is_cancelled_again(rig):
    """Ended in our books, resting there: a cancel was answered and did not hold."""
    async with rig.running():
        (order,) = await rig.manager.place([quote()])
        await rig.manager.cancel([order.client_order_id], "edge_lost")
        rig.venue.named(order.client_order_id).status = "resting"
        rig.renewing = False
        await rig.pass_time(62, step_ms=500)
    assert rig.venue.resting() == []
    assert rig.only().status is Status.CANCELED


async def test_an_order_thought_refused_that_rests_lives_again_and_is_cancelled(rig):
    rig.venue.listener = None
    async with rig.running():
        rig.venue.script["create"].append("applied_lost")
        await rig.manager.place([quote()])
        (order_id,) = rig.venue.orders_by_id
        rig.venue.hidden.add(order_id)
        await rig.pass_time(20, step_ms=500)
        assert rig.only().status is Status.REJECTED
        rig.venue.hidden.clear()
        await rig.pass_time(60, step_ms=500)
    assert rig.only().status is Status.CANCELED
    assert rig.only().reason == "thought_refused"
    assert rig.venue.resting() == []


async def test_an_order_that_vanished_from_the_list_is_asked_about(rig):
    async with rig.running():
        (order,) = await rig.manager.place([quote()])
        rig.venue.end(rig.venue.named(order.client_order_id), "HaltCancel", stream=False)
        await rig.pass_time(65, step_ms=500)
    assert rig.only().status is Status.CANCELED
    assert rig.only().reason == "at_exchange"


async def test_open_orders_are_never_dropped_by_fill_arithmetic(rig):
    """Pain: a reconciler that filters working orders by its fills loses them."""
    async with rig.running():
        (order,) = await rig.manager.place([quote(contracts=2)])
        rig.venue.trade(order.client_order_id, 100, stream=False)
        rig.venue.hidden.add(rig.venue.fills_made[0].trade_id)
        await rig.pass_time(80, step_ms=500)
        assert rig.only().status is Status.RESTING
        assert rig.only().filled == 100
        assert "its fills add up to 0.00" in rig.state.reconciliation.problem
        rig.venue.hidden.clear()
        await rig.pass_time(5)
        assert rig.state.reconciliation.agreed


async def test_trouble_with_the_exchange_keeps_the_last_word_and_asks_again(rig):
    async with rig.running():
        await rig.pass_time(2)
        checked = rig.state.reconciliation.checked_ns
        rig.venue.down = True
        await rig.pass_time(120, step_ms=500)
        assert rig.state.reconciliation.checked_ns < checked + 62 * SECOND, "its age tells the guards"
        rig.venue.down = False
        await rig.pass_time(5)
        assert rig.state.reconciliation.checked_ns > checked + 60 * SECOND


async def test_positions_of_the_first_start_are_inherited_at_their_worst(rig):
    rig.venue.held[ticker()] = 300
    rig.venue.held["KXNASDAQ100Y-26DEC31-T30000"] = 500
    await start(rig)
    assert rig.state.reconciliation.agreed
    position = rig.state.ledger.positions[ticker()]
    assert (position.count, position.cash) == (300, -30_000)
    assert list(rig.state.ledger.positions) == [ticker()], "other series are not ours to judge"
    again = rig.reborn()
    await start(again)
    assert again.state.reconciliation.agreed
    assert again.state.ledger.positions[ticker()].count == 300
    again.journal.close()


async def test_fills_of_the_last_days_explain_positions_of_a_first_start(rig):
    rig.venue.put_foreign(ticker(), name="by-hand")
    rig.venue.trade("by-hand", 100)
    await start(rig)
    assert rig.state.ledger.positions[ticker()].cash == -3_000


async def test_scope_own_keeps_strangers_fills_out_of_the_ledger_but_not_out_of_positions(tmp_path, clock, venue):
    rig = Rig(tmp_path, clock, venue, OrderSettings(scope="own"))
    venue.put_foreign(ticker(), name="by-hand")
    async with rig.running():
        (order,) = await rig.manager.place([quote()])
        venue.trade("by-hand", 100)
        venue.trade(order.client_order_id, 100)
        await rig.pass_time(65, step_ms=500)
        assert rig.state.ledger.positions[ticker()].count == 100
        assert rig.state.ledger.fills_total == 1
        assert rig.state.reconciliation.agreed
    again = rig.reborn()
    await start(again)
    assert again.state.ledger.fills_total == 1
    assert again.state.reconciliation.agreed
    again.journal.close()


async def test_a_fill_that_comes_before_its_order_is_known_counts_once_it_is(tmp_path, clock, venue):
    rig = Rig(tmp_path, clock, venue, OrderSettings(scope="own"))
    async with rig.running():
        venue.listener = None
        venue.script["create"].append("applied_lost")
        (order,) = await rig.manager.place([quote(contracts=2)])
        fill = venue.trade(order.client_order_id, 100, stream=False)
        rig.manager.on_event(FillEvent(fill, clock.now_ns()))
        await spin()
        assert rig.state.ledger.fills_total == 0
        await rig.pass_time(2)
        assert rig.state.ledger.fills_total == 1
        assert rig.only().filled == 100
    rig.journal.close()


async def test_fills_of_other_series_are_none_of_our_business(rig):
    async with rig.running():
        other = Fill("t", "ex-9", "KXHIGHNY-26NOV23-T50", Side.BID, Price(1), Count(1), Dollars(0), False, START)
        rig.manager.on_event(FillEvent(other, START))
        await spin()
    assert rig.state.ledger.fills_total == 0


# --- start under trouble ----------------------------------------------------------------------------------------------


async def test_start_waits_for_the_exchange_and_then_says_why_not(rig):
    rig.venue.down = True
    with pytest.raises(ExceptionGroup) as caught:
        await drive(rig.clock, rig.manager.start())
    assert caught.group_contains(VenueUnreachable)
    assert rig.clock.now_ns() - START >= 29 * SECOND
    assert not rig.state.reconciliation.agreed


async def test_start_survives_a_short_outage(rig):
    rig.venue.script["orders"].extend(["lost", "unreachable"])
    await start(rig)
    assert rig.state.reconciliation.agreed


@pytest.mark.parametrize("operation", ["orders", "fills", "positions", "balance"])
async def test_start_survives_an_answer_that_says_nothing(rig, operation):
    rig.venue.script[operation].append(MalformedField(operation, b"<html>", "JSON"))
    await start(rig)
    assert not rig.venue.script[operation], "it was asked"
    assert rig.state.reconciliation.agreed


async def test_wrong_credentials_end_the_start_at_once(rig):
    rig.venue.script["orders"].append(AuthFailed("orders", 401, "unauthorized", ""))
    with pytest.raises(ExceptionGroup) as caught:
        await drive(rig.clock, rig.manager.start())
    assert caught.group_contains(AuthFailed)
    assert rig.clock.now_ns() == START


async def test_start_returns_on_a_confirmed_disagreement_and_the_guards_stay_shut(rig):
    await start(rig)
    rig.venue.held[ticker()] = 300
    again = rig.reborn()
    await start(again)
    assert not again.state.reconciliation.agreed
    assert "ours 0.00, exchange 3.00" in again.state.reconciliation.problem
    again.journal.close()


async def test_an_unreadable_journal_ends_the_start(tmp_path):
    path = tmp_path / "journal.sqlite3"
    path.write_text("nonsense" * 1000)
    with pytest.raises(StateCorrupt):
        Journal.open(path, START)


# --- the stream -------------------------------------------------------------------------------------------------------


async def test_too_many_waiting_events_are_replaced_by_the_lists(rig, monkeypatch):
    monkeypatch.setattr(managers, "EVENTS_MAX", 3)
    (order,) = await rig.manager.place([quote(contracts=2)])
    rig.manager._events = type(rig.manager._events)(maxlen=3)
    fill = rig.venue.trade(order.client_order_id, 100)
    for _ in range(10):
        rig.manager.on_event(StreamUp(rig.clock.now_ns()))
    async with rig.running():
        await rig.pass_time(3)
    assert rig.state.ledger.fills_total == 1
    assert fill.trade_id


async def test_a_position_that_does_not_match_the_fills_own_word_starts_a_look(rig):
    async with rig.running():
        (order,) = await rig.manager.place([quote(contracts=2)])
        await rig.pass_time(5)
        rig.venue.trade(order.client_order_id, 100, stream=False)
        rig.venue.calls.clear()
        rig.venue.trade(order.client_order_id, 50)
        await rig.pass_time(2)
    assert rig.sent("positions")
    assert rig.state.ledger.fills_total == 2


async def test_a_stranger_on_the_stream_is_dealt_with_at_once(rig):
    async with rig.running():
        await rig.pass_time(5)
        order_id = rig.venue.put_foreign("KXNASDAQ100Y-26DEC31-T30000")
        rig.venue.tell(rig.venue.orders_by_id[order_id])
        await rig.pass_time(2)
    assert rig.venue.resting() == []


async def test_memory_of_ended_orders_is_bounded(rig, monkeypatch):
    monkeypatch.setattr(store, "ENDED_KEPT", 5)
    async with rig.running():
        for _ in range(3):
            placed = await rig.manager.place(quotes(5))
            await rig.manager.cancel([o.client_order_id for o in placed], "x")
        assert len(rig.state.orders) == 5
        first = rig.journal.orders_since(Nanos(0), 100)[-1]
        late = rig.venue.orders_by_id[first.order_id]
        late.status = "resting"
        rig.venue.trade(late.client_order_id, 50)
        await spin()
        assert rig.state.ledger.fills_total == 1, "a late fill finds its order in the journal"
        assert rig.journal.order(first.client_order_id).filled == 50


async def test_a_new_day_publishes_anew(rig):
    async with rig.running():
        (order,) = await rig.manager.place([quote()])
        rig.venue.trade(order.client_order_id, 100)
        rig.venue.settle(ticker(), "no")
        await spin()
        assert rig.state.ledger.realized_today == -4_200
        rig.clock.advance(Nanos(14 * HOUR))
        await rig.pass_time(1)
        assert rig.state.ledger.realized_today == 0
        assert rig.state.ledger.realized_week == -4_200
        assert rig.changes > 0
