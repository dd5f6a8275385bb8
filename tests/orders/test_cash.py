"""Cash that moved by something else than our fills and settlements: a disagreement first, accepted when it stands."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from kalshi_daemon.domain.order import VenuePosition
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.clock import ManualClock
from kalshi_daemon.ground.units import MINUTE, SECOND, Count, Dollars, Nanos
from kalshi_daemon.orders.cash import ACCEPTED_AFTER
from kalshi_daemon.settings.model import OrderSettings
from tests.orders.fake_venue import FakeVenue
from tests.orders.order_rig import START, TARGET, Rig, drive, quote, spin, ticker

ACCEPTED_S = ACCEPTED_AFTER // SECOND


async def look(rig, times=1):
    for _ in range(times):
        await rig.pass_time(61, step_ms=500)


async def trade(rig, strike=6800, side=Side.BID, price=4200, contracts=1, fee=0):
    (order,) = await rig.manager.place([quote(strike, side, price, contracts)])
    rig.venue.trade(order.client_order_id, contracts * 100, fee=fee)
    await spin()


def events(logs, name):
    return [line for line in logs if line["event"] == name]


@pytest.mark.parametrize("by", [-123_400, 500, -100])
async def test_cash_that_moves_while_nothing_rests_shuts_the_guard_with_both_numbers(rig, by):
    async with rig.running():
        await trade(rig, fee=7)
        await look(rig, 2)
        assert rig.state.reconciliation.agreed
        rig.venue.cash += by
        await look(rig, 2)
        assert not rig.state.reconciliation.agreed
        expected = (rig.venue.cash - by) / 10_000
        problem = f"cash: our fills and settlements leave {expected:.4f}, exchange {rig.venue.cash / 10_000:.4f}"
        assert rig.state.reconciliation.problem == problem
        rig.venue.cash -= by
        await rig.pass_time(5)
        assert rig.state.reconciliation.agreed


async def test_a_deposit_or_withdrawal_does_not_stop_trading_for_ever(rig):
    async with rig.running():
        await trade(rig)
        await look(rig, 2)
        rig.venue.cash -= 5_000_000
        with capture_logs() as logs:
            await look(rig, 2)
            assert not rig.state.reconciliation.agreed
            await rig.pass_time(ACCEPTED_S + 5, step_ms=1_000)
            assert rig.state.reconciliation.agreed
            await look(rig, 3)
            assert rig.state.reconciliation.agreed, "the new figure is the one to hold it against"
        (line,) = events(logs, "cash.moved")
        assert line["amount"] == "-500.0000"
        rig.venue.cash -= 200
        await look(rig, 2)
        assert not rig.state.reconciliation.agreed, "and the next one is noticed too"
        rig.venue.cash += 200
        await rig.pass_time(5)
        check = await drive(rig.clock, rig.manager.books_equal())
    assert check.equal, check.detail
    assert check.pnl == check.exchange_pnl == 0


async def test_a_difference_that_does_not_stand_still_is_not_accepted(rig):
    async with rig.running():
        await look(rig, 2)
        with capture_logs() as logs:
            for _ in range(4):
                rig.venue.cash -= 10_000
                await rig.pass_time(ACCEPTED_S // 2, step_ms=1_000)
        assert not rig.state.reconciliation.agreed
        assert events(logs, "cash.moved") == []


async def test_nothing_is_accepted_while_anything_else_disagrees(rig):
    async with rig.running():
        await trade(rig)
        await look(rig, 2)
        rig.venue.held[ticker()] += 100
        rig.venue.cash -= 4_200
        await rig.pass_time(2 * ACCEPTED_S, step_ms=2_000)
        assert not rig.state.reconciliation.agreed
        assert "cash: " in rig.state.reconciliation.problem
        assert "position in" in rig.state.reconciliation.problem


async def test_an_amended_settlement_explains_the_cash_and_is_found_by_it(rig):
    """The list is read again at once, long before its own turn."""
    async with rig.running():
        await trade(rig)
        rig.clock.set(Nanos(TARGET + 2 * MINUTE))
        rig.venue.settle(ticker(), "yes")
        await look(rig, 4)
        rig.venue.settled[0] = replace(rig.venue.settled[0], result="no", revenue=Dollars(0))
        rig.venue.cash -= 10_000
        await rig.pass_time(70, step_ms=500)
        assert rig.state.ledger.realized_today == -4_200
        await rig.pass_time(150, step_ms=500)
        assert rig.state.reconciliation.agreed
        assert rig.manager._reconciler.cash.moved == 0


async def test_what_rests_makes_room_and_no_more_than_that(rig):
    async with rig.running():
        await look(rig)
        await rig.manager.place([quote()])
        await look(rig, 2)
        assert rig.state.reconciliation.agreed
        rig.venue.cash -= 5_000
        await look(rig, 2)
        assert rig.state.reconciliation.agreed, "a contract that rests may cost a dollar"
        rig.venue.cash -= 5_000
        await look(rig, 2)
        assert not rig.state.reconciliation.agreed


async def test_cash_is_not_compared_on_an_account_that_trades_other_series_too(rig):
    async with rig.running():
        await look(rig, 2)
        honest = rig.venue.positions

        async def with_others():
            return [*await honest(), VenuePosition("KXBTC-26NOV23-T1", Count(100), Dollars(0), Dollars(0))]

        rig.venue.positions = with_others
        rig.venue.cash -= 50_000
        await look(rig, 2)
        assert rig.state.reconciliation.agreed


async def test_in_a_shared_account_cash_is_not_ours_to_explain(tmp_path, clock, venue):
    rig = Rig(tmp_path, clock, venue, OrderSettings(scope="own"))
    async with rig.running():
        await look(rig, 2)
        venue.cash -= 50_000
        await look(rig, 2)
        assert rig.state.reconciliation.agreed
    rig.journal.close()


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["bid", "ask", "rest", "cancel", "silent", "wait"]),
        st.sampled_from([6800, 6805]),
        st.integers(1, 3),
        st.integers(0, 40),
    ),
    max_size=8,
)


@settings(max_examples=15, deadline=None)
@given(STEPS)
async def test_whatever_we_trade_ourselves_is_never_a_difference(tmp_path_factory, steps):
    clock = ManualClock(START)
    rig = Rig(tmp_path_factory.mktemp("cash"), clock, FakeVenue(clock))
    async with rig.running():
        for kind, strike, contracts, fee in steps:
            if kind in {"bid", "ask", "silent"}:
                side = Side.ASK if kind == "ask" else Side.BID
                orders = await rig.manager.place([quote(strike, side, 4_300, contracts)])
                for order in orders:
                    rig.venue.trade(order.client_order_id, contracts * 100, fee=fee, stream=kind != "silent")
            elif kind == "rest":
                await rig.manager.place([quote(strike, Side.BID, 4_000, contracts)])
            elif kind == "cancel":
                await rig.manager.cancel([order.client_order_id for order in rig.orders], "edge_lost")
            await look(rig)
            assert rig.state.reconciliation.agreed, rig.state.reconciliation.problem
        clock.set(Nanos(TARGET + 2 * MINUTE))
        for strike in (6800, 6805):
            rig.venue.settle(ticker(strike), "yes")
        await look(rig, 4)
        assert rig.state.reconciliation.agreed, rig.state.reconciliation.problem
    rig.journal.close()
