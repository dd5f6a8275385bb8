"""Markets on another shard: its status and cash decide, groups do not reach it, and what is not known stays shut."""

from dataclasses import replace

import pytest

from kalshi_daemon.domain.events import Balance, ExchangeStatus
from kalshi_daemon.domain.order import Status
from kalshi_daemon.ground.errors import VenueUnavailable
from kalshi_daemon.ground.units import SECOND, Dollars, Nanos
from kalshi_daemon.settings.model import OrderSettings
from tests.guardrails.guard_rig import NOW, TICKER, WINDOW, ask_window, healthy
from tests.orders.order_rig import FAR, Rig, drive, move_market, quote, spin


def far_state(cash=1_000 * 10_000, *, groups=False):
    """A healthy state whose window has a market on shard 3, of which status and cash are known."""
    state = healthy()
    state.venue.markets[TICKER] = replace(state.venue.markets[TICKER], exchange_index=FAR)
    state.venue.status = ExchangeStatus(True, True, NOW, ((FAR, True, True),))
    state.shard_balances[FAR] = Balance(Dollars(cash), Dollars(0), NOW)
    state.order_groups.required = groups
    return state


def test_a_far_shard_that_is_read_and_open_may_be_traded_on():
    state = far_state()
    for guard in ("exchange_status", "balance", "order_group"):
        assert ask_window(state, guard).passed, guard


def test_a_far_shard_whose_cash_is_not_known_stays_shut_and_says_so():
    state = far_state()
    del state.shard_balances[FAR]
    verdict = ask_window(state, "exchange_status")
    assert not verdict.passed
    assert verdict.note == "a market of the event is on shard 3, whose cash is not read"
    state.shard_balances[1] = Balance(Dollars(10_000_000), Dollars(0), NOW)
    assert not ask_window(state, "balance").passed


def test_the_poorest_shard_of_the_event_decides():
    state = far_state(cash=-10_000)
    verdict = ask_window(state, "balance")
    assert (verdict.passed, verdict.measured, verdict.note) == (False, -1.0, "not enough cash on shard 3")
    state = far_state(cash=10**12)
    assert ask_window(state, "balance").measured == 1_000.0, "shard 0 has less"


def test_the_cash_of_a_far_shard_grows_old_too():
    state = far_state(cash=500 * 10_000)
    state.shard_balances[FAR] = replace(state.shard_balances[FAR], read_ns=Nanos(NOW - 10_000 * SECOND))
    assert ask_window(state, "balance").note == "balance on shard 3 is too old"


def test_groups_do_not_span_shards():
    verdict = ask_window(far_state(groups=True), "order_group")
    assert not verdict.passed
    assert "groups do not span shards" in verdict.note


async def test_the_cash_of_the_shards_of_our_windows_is_read_and_forgotten_with_them(rig):
    move_market(rig)
    rig.venue.far_cash[FAR] = 777
    async with rig.running():
        assert rig.state.shard_balances[FAR].cash == 777
        assert rig.state.balance.cash == 10_000_000
        move_market(rig, shard=0)
        await rig.pass_time(61, step_ms=500)
        assert rig.state.shard_balances == {}
        assert set(rig.sent("balance")) == {0, FAR, None}


async def test_a_shard_whose_cash_cannot_be_read_costs_its_own_windows_only(rig):
    move_market(rig)
    rig.venue.far_cash[FAR] = 777
    async with rig.running():
        honest = rig.venue.balance

        async def broken(exchange_index=0):
            if exchange_index:
                raise VenueUnavailable("balance", 503, "down")
            return await honest(exchange_index)

        rig.venue.balance = broken
        await rig.pass_time(61, step_ms=500)
        assert rig.state.shard_balances == {}
        assert rig.state.reconciliation.agreed


async def test_an_order_on_a_far_shard_joins_no_group_of_shard_0(tmp_path, clock, venue):
    rig = Rig(tmp_path, clock, venue)
    move_market(rig)
    async with rig.running():
        assert await rig.manager.place([quote()]) == ()
        rig.state.order_groups.required = False
        (order,) = await rig.manager.place([quote()])
        assert order.status is Status.RESTING
        assert rig.sent("create")[-1][0].order_group_id is None
        (near,) = await rig.manager.place([quote(6805)])
        assert near.status is Status.RESTING
        assert rig.sent("create")[-1][0].order_group_id == "group-wide"
    rig.journal.close()


async def far_trade(rig):
    """One contract of 0.42 on the far shard, paid from its money."""
    await rig.pass_time(61, step_ms=500)
    (order,) = await rig.manager.place([quote()])
    rig.venue.trade(order.client_order_id, 100)
    await spin()
    rig.venue.cash += 4_200
    rig.venue.far_cash[FAR] -= 4_200


async def test_the_cash_of_all_shards_is_compared_once_a_market_is_on_another(tmp_path, clock, venue):
    rig = Rig(tmp_path, clock, venue, OrderSettings(groups="off"))
    venue.far_cash[FAR] = 100_000
    move_market(rig)
    async with rig.running():
        await far_trade(rig)
        venue.cash, venue.far_cash[FAR] = venue.cash - 50_000, venue.far_cash[FAR] + 50_000  # moved by the exchange
        await rig.pass_time(150, step_ms=500)
        assert rig.state.reconciliation.agreed, rig.state.reconciliation.problem
        check = await drive(clock, rig.manager.books_equal())
        assert check.equal, check.detail
        venue.far_cash[FAR] -= 700
        await rig.pass_time(150, step_ms=500)
        assert "cash of all shards: our fills and settlements leave 1009.5800" in rig.state.reconciliation.problem
    rig.journal.close()


async def test_a_market_that_moves_to_another_shard_begins_the_comparison_anew(rig):
    rig.venue.far_cash[FAR] = 100_000
    async with rig.running():
        await rig.pass_time(61, step_ms=500)
        move_market(rig)
        await rig.pass_time(61, step_ms=500)
        assert rig.state.reconciliation.agreed
        check = await drive(rig.clock, rig.manager.books_equal())
        assert (check.equal, check.exchange_pnl) == (True, None), "begun with another sum"
        rig.venue.far_cash[FAR] += 900
        await rig.pass_time(150, step_ms=500)
        assert "exchange 1010.0900" in rig.state.reconciliation.problem


async def test_cash_of_all_shards_that_cannot_be_read_is_not_compared(rig):
    move_market(rig)
    rig.venue.far_cash[FAR] = 100_000
    async with rig.running():
        honest = rig.venue.balance

        async def broken(exchange_index=0):
            if exchange_index is None:
                raise VenueUnavailable("balance", 503, "down")
            return await honest(exchange_index)

        rig.venue.balance = broken
        rig.venue.far_cash[FAR] += 900
        await rig.pass_time(150, step_ms=500)
        assert rig.state.reconciliation.agreed


@pytest.mark.parametrize("event", [WINDOW.event_ticker, "KXINXU-NONE"])
def test_a_market_that_names_no_shard_is_on_shard_0(event):
    assert healthy().venue.far_shards(event) == []
    assert healthy().venue.shard_of("unlisted") == 0
