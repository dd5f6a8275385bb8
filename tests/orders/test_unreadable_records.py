"""A record of the exchange's lists that cannot be read: the guard stays shut with its words until it can be."""

import pytest

from kalshi_daemon.domain.order import Settlement, Status
from kalshi_daemon.ground.errors import UnreadableRecord
from kalshi_daemon.ground.units import SECOND, Count, Dollars, Nanos
from tests.orders.order_rig import EVENT, TARGET, drive, quotes, ticker

OURS = ticker()
FOREIGN = "KXBTCD-26NOV2311-T90000"


def bad(name, market=OURS, problem="fill.count_fp: 'NaN' is not a decimal string"):
    return [UnreadableRecord(f"{name} trade_id t-9", market, problem)]


@pytest.mark.parametrize("name", ["orders", "fills", "positions"])
async def test_one_keeps_the_books_unreconciled_with_its_words_until_it_can_be_read(rig, name):
    rig.venue.unreadable[name] = bad(name)
    await drive(rig.clock, rig.manager.start())  # not an end of the daemon, at a start neither
    assert not rig.state.reconciliation.agreed
    assert rig.state.reconciliation.checked_ns is not None
    assert "count_fp: 'NaN' is not a decimal string" in rig.state.reconciliation.problem
    assert ticker() in rig.state.reconciliation.problem
    rig.venue.unreadable.clear()
    async with rig.running(started=False):
        await rig.pass_time(10)
    assert rig.state.reconciliation.agreed


@pytest.mark.parametrize("name", ["orders", "fills", "positions"])
async def test_it_shuts_at_the_first_look_that_shows_it(rig, name):
    async with rig.running():
        assert rig.state.reconciliation.agreed
        rig.venue.unreadable[name] = bad(name, "")
        rig.manager._reconciler._next = Nanos(0)
        await rig.pass_time(1)
        assert not rig.state.reconciliation.agreed
        await rig.pass_time(120, step_ms=500)
        assert not rig.state.reconciliation.agreed


@pytest.mark.parametrize("name", ["fills", "positions", "settlements", "orders"])
async def test_one_of_a_market_that_is_not_ours_costs_nothing(rig, name):
    rig.venue.unreadable[name] = bad(name, FOREIGN)
    async with rig.running():
        await rig.pass_time(90, step_ms=500)
        assert rig.state.reconciliation.agreed


async def test_a_fill_that_could_not_be_read_is_booked_once_it_can_be(rig):
    (order,) = await rig.manager.place(quotes(1))
    async with rig.running():
        fill = rig.venue.trade(order.client_order_id, 100, stream=False)
        rig.venue.hidden.add(fill.trade_id)
        rig.venue.unreadable["fills"] = bad("fills")
        since = rig.journal.cursor("fills")
        await rig.pass_time(900, step_ms=2_000)  # beyond the overlap in which listed fills are read again
        assert rig.journal.cursor("fills") == since
        assert not rig.state.reconciliation.agreed
        rig.venue.hidden.clear()
        rig.venue.unreadable.clear()
        await rig.pass_time(10)
        assert rig.journal.fill(fill.trade_id) is not None
        assert rig.state.ledger.positions[order.market_ticker].count == 100


async def test_sound_fills_beside_it_are_booked(rig):
    (order,) = await rig.manager.place(quotes(1))
    async with rig.running():
        rig.venue.unreadable["fills"] = bad("fills")
        fill = rig.venue.trade(order.client_order_id, 100, stream=False)
        await rig.pass_time(65, step_ms=500)
        assert rig.journal.fill(fill.trade_id) is not None
        assert not rig.state.reconciliation.agreed


async def test_positions_of_before_are_taken_over_whole_or_not_yet(rig):
    rig.venue.held[ticker(6800)] = 300
    rig.venue.unreadable["positions"] = bad("positions", ticker(6805))
    await drive(rig.clock, rig.manager.start())
    assert not rig.state.reconciliation.agreed
    rig.venue.unreadable.clear()
    rig.venue.held[ticker(6805)] = -200
    async with rig.running(started=False):
        await rig.pass_time(10)
    assert rig.state.reconciliation.agreed
    assert {t: p.count for t, p in rig.state.ledger.positions.items()} == {ticker(6800): 300, ticker(6805): -200}


async def test_a_settlement_that_cannot_be_read_is_asked_for_until_it_can_be(rig):
    (order,) = await rig.manager.place(quotes(1))
    async with rig.running():
        rig.venue.trade(order.client_order_id, 100)
        rig.clock.advance(Nanos(TARGET + 60 * SECOND - rig.clock.now_ns()))
        rig.venue.unreadable["settlements"] = bad("settlements", order.market_ticker)
        await rig.pass_time(130, step_ms=500)
        assert not rig.state.reconciliation.agreed
        assert "NaN" in rig.state.reconciliation.problem
        rig.venue.unreadable.clear()
        settled = Settlement(
            order.market_ticker, EVENT, "yes", Count(100), Count(0), Dollars(10_000), Dollars(0), rig.clock.now_ns()
        )
        rig.venue.settled.append(settled)
        rig.venue.held.clear()
        await rig.pass_time(200, step_ms=500)
        assert rig.state.reconciliation.agreed


async def test_a_stop_is_not_verified_while_a_listed_order_cannot_be_read(rig):
    await rig.manager.place(quotes(2))
    rig.venue.unreadable["orders"] = bad("orders")
    stopped = await drive(rig.clock, rig.manager.cancel_all("test", Nanos(rig.clock.now_ns() + 5 * SECOND)))
    assert not stopped.verified
    assert "cannot be read" in stopped.detail
    assert rig.venue.resting() == []


async def test_an_unknown_create_is_found_beside_it_and_never_taken_for_refused(rig):
    rig.venue.script["create"].append("applied_lost")
    rig.venue.listener = None
    found, missing = await rig.manager.place(quotes(2))
    assert found.status is missing.status is Status.UNKNOWN
    rig.venue.unreadable["orders"] = bad("orders")
    rig.venue.hidden.add(rig.venue.named(missing.client_order_id).order_id)
    async with rig.running():
        await rig.pass_time(30, step_ms=500)
        statuses = {o.client_order_id: o.status for o in rig.orders}
        assert statuses[found.client_order_id] is Status.RESTING
        assert statuses[missing.client_order_id] is Status.UNKNOWN
