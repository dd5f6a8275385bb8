"""Windows that are over, and our books against the exchange's to 1/10 000 dollar."""

from dataclasses import replace

import pytest

from kalshi_daemon.domain.events import FillEvent, MarketLifecycle
from kalshi_daemon.domain.order import Fill, Status
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.errors import StateCorrupt
from kalshi_daemon.ground.units import MINUTE, SECOND, Count, Dollars, Nanos
from kalshi_daemon.settings.model import OrderSettings
from tests.orders.order_rig import START, TARGET, Rig, drive, quote, spin, ticker


async def trade(rig, strike=6800, side=Side.BID, price=4200, contracts=1, fee=0):
    (order,) = await rig.manager.place([quote(strike, side, price, contracts)])
    rig.venue.trade(order.client_order_id, contracts * 100, fee=fee)
    await spin()


async def proven(rig):
    return await drive(rig.clock, rig.manager.books_equal())


async def test_books_that_cannot_be_written_are_not_equal_and_the_stop_goes_on(rig, monkeypatch):
    """A fill waits, the disk is full: the stop needs its summary and its exit code all the same."""
    await drive(rig.clock, rig.manager.start())
    (order,) = await rig.manager.place([quote()])

    def full(*_args, **_kwargs):
        raise StateCorrupt("journal.sqlite3", "disk is full")

    monkeypatch.setattr(rig.journal, "transaction", full)
    rig.venue.trade(order.client_order_id, 100)
    check = await proven(rig)
    assert not check.equal
    assert "disk is full" in check.detail


async def test_the_stream_settles_at_once_and_the_list_confirms_quietly(rig):
    async with rig.running():
        await trade(rig)
        rig.clock.set(Nanos(TARGET + 2 * MINUTE))
        rig.venue.settle(ticker(), "yes")
        await spin()
        assert rig.state.ledger.positions[ticker()].settled == "yes"
        assert rig.state.ledger.realized_today == 5_800
        await rig.pass_time(20)
    assert len(rig.said("settle")) == 1
    assert rig.sent("settlements")
    assert rig.journal.results_since(Nanos(0))[ticker()].revenue == 10_000


async def test_a_market_that_settles_twice_on_the_stream_is_settled_once(rig):
    async with rig.running():
        await trade(rig)
        rig.clock.set(Nanos(TARGET + 2 * MINUTE))
        for _ in range(2):
            rig.venue.emit(MarketLifecycle("settled", ticker(), rig.clock.now_ns(), result="yes"))
        await spin()
    assert len(rig.said("settle")) == 1
    assert rig.state.ledger.realized_today == 5_800


async def test_the_list_alone_settles_when_the_stream_is_silent(rig):
    async with rig.running():
        await trade(rig, side=Side.ASK)
        rig.clock.set(Nanos(TARGET + 2 * MINUTE))
        rig.venue.settle(ticker(), "yes", stream=False)
        await rig.pass_time(20)
    assert rig.state.ledger.realized_today == -5_800


async def test_a_settlement_listed_very_late_is_waited_for(rig):
    async with rig.running():
        await trade(rig)
        rig.venue.settlements_late = True
        rig.clock.set(Nanos(TARGET + MINUTE))
        rig.venue.settle(ticker(), "no", stream=False)
        await rig.pass_time(45 * 60, step_ms=5_000)
        assert rig.state.ledger.positions[ticker()].settled == ""
        assert rig.state.reconciliation.agreed, "paid out and not yet listed is no disagreement"
        asked = len(rig.sent("settlements"))
        assert asked < 110, "less often after a quarter of an hour"
        rig.venue.settlements_late = False
        await rig.pass_time(70, step_ms=1_000)
    assert rig.state.ledger.positions[ticker()].settled == "no"


async def test_nothing_is_asked_before_it_can_be_there_and_after_it_is(rig):
    async with rig.running():
        await trade(rig)
        rig.clock.set(Nanos(TARGET + 30 * SECOND))
        await rig.pass_time(10)
        assert rig.sent("settlements") == []
        rig.venue.settle(ticker(), "no")
        await rig.pass_time(60)
        asked = len(rig.sent("settlements"))
        assert asked
        await rig.pass_time(120, step_ms=1_000)
        assert len(rig.sent("settlements")) == asked


async def test_what_was_bought_and_sold_again_is_realised_after_the_fixing(rig):
    async with rig.running():
        await trade(rig, price=4000)
        await trade(rig, side=Side.ASK, price=4500)
        assert rig.state.ledger.realized_today == 0
        rig.clock.set(Nanos(TARGET + MINUTE))
        await rig.pass_time(2)
    assert rig.state.ledger.positions[ticker()].settled == "flat"
    assert rig.state.ledger.realized_today == 500


async def test_a_determined_result_is_not_booked_before_it_is_paid(rig):
    async with rig.running():
        await trade(rig)
        rig.manager._settler._bookkeeping.payments.determined(ticker(), "yes")
        await spin()
        assert rig.state.ledger.positions[ticker()].settled == ""


async def test_settlements_of_markets_we_never_traded_are_ignored(rig):
    async with rig.running():
        rig.venue.settle(ticker(), "yes")
        await spin()
        assert rig.state.ledger.positions == {}


async def test_a_listed_result_that_contradicts_the_stream_wins(rig):
    async with rig.running():
        await trade(rig)
        rig.clock.set(Nanos(TARGET + 2 * MINUTE))
        rig.venue.settle(ticker(), "yes")
        rig.venue.settled[0] = replace(rig.venue.settled[0], result="no", revenue=Dollars(0))
        await rig.pass_time(20)
    assert rig.state.ledger.positions[ticker()].settled == "no"
    assert rig.state.ledger.realized_today == -4_200


async def test_a_settlement_of_another_count_halts_with_both_numbers(rig):
    async with rig.running():
        await trade(rig)
        rig.clock.set(Nanos(TARGET + 2 * MINUTE))
        rig.venue.settle(ticker(), "yes", stream=False)
        rig.venue.settled[0] = replace(rig.venue.settled[0], yes_count=Count(300))
        await rig.pass_time(90, step_ms=500)
    assert not rig.state.reconciliation.agreed
    assert f"settlement of {ticker()}: ours 1.00, exchange 3.00" in rig.state.reconciliation.problem


async def test_settlements_survive_a_restart(rig):
    async with rig.running():
        await trade(rig)
        rig.clock.set(Nanos(TARGET + 2 * MINUTE))
        rig.venue.settle(ticker(), "yes")
        await rig.pass_time(20)
    again = rig.reborn()
    await drive(again.clock, again.manager.start())
    assert again.state.ledger.realized_today == 5_800
    assert again.state.ledger.positions[ticker()].settled == "yes"
    assert again.manager.summary().pnl == 0, "of an earlier life"
    again.journal.close()


async def test_what_was_paid_while_no_daemon_lived_is_not_expected_again(rig):
    async with rig.running():
        await trade(rig)
    rig.clock.set(Nanos(TARGET + 2 * MINUTE))
    rig.venue.settle(ticker(), "yes")
    again = rig.reborn()
    async with again.running():
        check = await proven(again)
    assert check.equal, check.detail
    assert check.exchange_pnl == 0, "the money came before this life"
    assert again.state.ledger.positions[ticker()].settled == "yes"
    again.journal.close()


async def test_cash_of_a_start_whose_settlements_cannot_be_read_is_not_compared(rig):
    async with rig.running():
        await trade(rig)
    again = rig.reborn()
    rig.venue.script["settlements"].append("lost")
    async with again.running():
        check = await proven(again)
    assert check.equal, check.detail
    assert check.exchange_pnl is None
    again.journal.close()


async def test_cash_of_a_start_beside_a_strangers_order_is_not_compared(rig):
    # A paused exchange takes no cancels: what the stranger's order holds back comes free in the middle of the session.
    by_hand = rig.venue.put_foreign(ticker(), price=100)
    rig.venue.closed.add(ticker())
    async with rig.running():
        assert rig.venue.resting(), "it outlived the start"
        rig.venue.end(rig.venue.orders_by_id[by_hand])
        check = await proven(rig)
    assert check.equal, check.detail
    assert check.exchange_pnl is None


async def test_cash_is_not_compared_while_an_order_rests_that_is_not_ours(tmp_path, clock, venue):
    rig = Rig(tmp_path, clock, venue, OrderSettings(scope="own"))
    async with rig.running():
        venue.put_foreign(ticker(), price=100)
        check = await proven(rig)
    assert check.equal, check.detail
    assert check.exchange_pnl is None
    rig.journal.close()


# --- proof ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scope", ["account", "own"])
async def test_a_whole_little_session_agrees_to_the_last_digit(tmp_path, clock, venue, scope):
    rig = Rig(tmp_path, clock, venue, OrderSettings(scope=scope))
    async with rig.running():
        await trade(rig, 6800, Side.BID, 4200, 2, fee=37)
        await trade(rig, 6805, Side.ASK, 3100, 1)
        await trade(rig, 6810, Side.BID, 4000)
        await trade(rig, 6810, Side.ASK, 4500)
        (left,) = await rig.manager.place([quote(6900)])
        await rig.manager.cancel([left.client_order_id], "edge_lost")
        clock.set(Nanos(TARGET + 2 * MINUTE))
        for strike, result in ((6800, "yes"), (6805, "yes"), (6810, "no")):
            venue.settle(ticker(strike), result)
        await rig.pass_time(20)
        check = await proven(rig)
        totals = rig.manager.summary()
    assert check.equal, check.detail
    assert check.pnl == check.exchange_pnl == 20_000 - 8_400 - 37 + (3_100 - 10_000) + 500 == venue.cash - 10_000_000
    assert (totals.fills, totals.contracts, totals.fees, totals.pnl) == (4, 500, 37, check.pnl)
    assert (totals.orders_placed, totals.orders_cancelled) == (5, 1)
    rig.journal.close()


async def test_open_positions_are_compared_too(rig):
    async with rig.running():
        await trade(rig, side=Side.ASK)
        check = await proven(rig)
    assert check.equal, check.detail
    assert (check.pnl, check.exchange_pnl) == (0, 0)


async def test_cash_that_moved_by_anything_else_is_named(rig):
    async with rig.running():
        await trade(rig)
        rig.venue.cash -= 1
        check = await proven(rig)
    assert not check.equal
    assert "cash: our fills and settlements leave 999.5800, exchange 999.5799" in check.detail


async def test_a_fee_that_differs_is_named(rig):
    async with rig.running():
        await trade(rig, fee=10)
        rig.venue.fills_made[0] = replace(rig.venue.fills_made[0], fee=Dollars(11))
        check = await proven(rig)
    assert not check.equal
    assert "fee 0.0010" in check.detail
    assert "fee 0.0011" in check.detail


async def test_a_fill_the_exchange_does_not_have_is_named(rig):
    async with rig.running():
        (order,) = await rig.manager.place([quote()])
        ghost = Fill("ghost", order.order_id, ticker(), Side.BID, order.price, Count(100), Dollars(0), False, START)
        rig.manager.on_event(FillEvent(ghost, START))
        rig.clock.advance(SECOND)
        check = await proven(rig)
    assert not check.equal
    assert "fill ghost" in check.detail


async def test_a_settlement_that_is_not_listed_is_named(rig):
    async with rig.running():
        await trade(rig)
        rig.clock.set(Nanos(TARGET + 2 * MINUTE))
        rig.venue.settlements_late = True
        rig.venue.settle(ticker(), "yes")
        await spin()
        check = await proven(rig)
    assert not check.equal
    assert f"settlement of {ticker()} is not listed" in check.detail


async def test_a_fill_missed_until_the_very_end_is_booked_by_the_proof(rig):
    async with rig.running():
        (order,) = await rig.manager.place([quote()])
        rig.venue.trade(order.client_order_id, 100, stream=False)
        check = await proven(rig)
    assert check.equal, check.detail
    assert rig.manager.summary().fills == 1
    assert rig.only().status is Status.FILLED


async def test_what_cannot_be_read_is_not_equal(rig):
    async with rig.running():
        rig.venue.down = True
        check = await proven(rig)
    assert not check.equal
    assert "not reachable" in check.detail


async def test_cash_is_not_compared_while_something_rests(rig):
    async with rig.running():
        await rig.manager.place([quote()])
        check = await proven(rig)
    assert check.equal
    assert check.exchange_pnl is None


async def test_reads_that_lag_are_asked_again(rig):
    async with rig.running():
        await trade(rig)
        honest = rig.venue.positions

        async def stale():
            rig.venue.positions = honest
            return []

        rig.venue.positions = stale
        check = await proven(rig)
    assert check.equal


async def test_a_life_stopped_before_it_was_ready_loads_its_journal_and_compares(rig):
    async with rig.running():
        await trade(rig)
        await trade(rig, 6805, contracts=2)
    rig.clock.set(Nanos(TARGET + 10 * MINUTE))
    rig.venue.settle(ticker(), "yes", stream=False)
    late = rig.reborn()
    late.manager.load()
    check = await proven(late)
    assert check.equal, check.detail
    assert late.state.ledger.positions[ticker()].settled == "yes", "it was paid while nobody lived"
    assert late.manager.summary().fills == 0, "those are an earlier life's"


async def test_a_life_whose_journal_was_never_loaded_claims_nothing(rig):
    check = await proven(rig)
    assert not check.equal
    assert check.detail == "the journal was not loaded"
