from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from kalshi_daemon.domain.index import Index
from kalshi_daemon.domain.order import Status
from kalshi_daemon.domain.window import Phase
from kalshi_daemon.ground.units import SECOND, Count, Nanos
from kalshi_daemon.orders.cancelling import StopResult
from kalshi_daemon.state import Position
from kalshi_daemon.trading.inputs import tick_age
from kalshi_daemon.trading.rescans import GUARDS_OPENED
from tests.guardrails import guard_rig
from tests.trading.trader_rig import Rig


@pytest.fixture
def rig():
    return Rig()


async def test_a_window_is_scanned_when_it_opens_and_then_on_the_timer(rig):
    async with rig.running():
        rig.phase(Phase.OPEN)
        await rig.pass_time(1)
        assert rig.scans() == ["window_open"]
        assert 1 <= len(rig.live()) <= 4
        await rig.pass_time(178)
        assert rig.scans() == ["window_open"]
        await rig.pass_time(3)
        assert rig.scans() == ["window_open", "timer"]
    plan, judgement = rig.state.decisions["wide", rig.event]
    assert (plan.trigger, plan.window.event_ticker) == ("timer", rig.event), "the last one is kept"
    assert len(judgement.quotes) == len(plan.quotes)
    assert rig.state.counters.scans == 2
    assert rig.state.counters.windows_scanned == {rig.event}


async def test_what_is_remembered_of_other_sessions_windows_goes_when_the_next_window_opens(rig):
    async with rig.running():
        rig.phase(Phase.OPEN)
        await rig.pass_time(1)
        assert rig.trader.memory.last_mids
        (_profile, gone), *_others = rig.trader.memory.last_mids
        del rig.state.venue.markets[gone]
        tables = (rig.trader._due, rig.trader._scanned, rig.trader._triggers, rig.state.decisions)
        for table in tables:
            table["wide", "GONE"] = table.get(("wide", rig.event), 0)
        rig.trader._closed.add("GONE")
        known = dict(rig.trader._scanned)
        rig.phase(Phase.OPEN)
        await rig.pass_time(1)
        for table in tables:
            assert ("wide", "GONE") not in table
        assert rig.trader._scanned.keys() == known.keys() - {("wide", "GONE")}, "what is on is not forgotten"
        assert "GONE" not in rig.trader._closed
        assert all(market in rig.state.venue.markets for _profile, market in rig.trader.memory.last_mids)


async def test_a_quote_that_lost_its_edge_is_pulled_at_once_and_the_window_rescanned(rig):
    async with rig.running():
        rig.phase(Phase.OPEN)
        await rig.pass_time(6)
        before = {order.client_order_id for order in rig.live()}
        rig.model.level += 40.0
        rig.others_agree()
        rig.trader.on_tick(Index.SPX)
        await rig.run_dry()
        pulled = {name for names, reason in rig.notes.cancelled if reason == "edge_lost" for name in names}
        assert pulled
        assert pulled <= before
        assert "edge_lost" in rig.scans()


async def test_a_tick_of_one_index_looks_at_the_windows_of_that_index_alone(rig):
    async with rig.running():
        rig.phase(Phase.OPEN)
        await rig.pass_time(6)
        assert rig.live()
        rig.model.level += 40.0
        rig.others_agree()
        rig.trader.on_tick(Index.NDX)
        await rig.run_dry()
        assert rig.notes.cancelled == []
        await rig.pass_time(1)
        assert rig.notes.cancelled, "each second everything is looked at"


async def test_lost_edges_do_not_make_it_scan_without_a_pause(rig):
    async with rig.running():
        rig.phase(Phase.OPEN)
        await rig.pass_time(1)
        for second in range(20):
            rig.model.level += 25.0 if second % 2 else -25.0
            await rig.pass_time(1)
        lost = [trigger for trigger in rig.scans() if trigger == "edge_lost"]
        assert len(lost) <= 20 / 5 + 1


async def test_a_stale_feed_pulls_what_rests_and_is_said_once(rig):
    with capture_logs() as logs:
        async with rig.running():
            rig.phase(Phase.OPEN)
            await rig.pass_time(2)
            assert rig.live()
            await rig.pass_time(10, fresh=False)
            assert not rig.live()
            assert any(reason.startswith("guard:feed_age") for _names, reason in rig.notes.cancelled)
            assert rig.notes.monitored
            await rig.pass_time(1)
    closed = [e for e in logs if e["event"] == "guard.refused" and e["guard"] == "feed_age" and e["profile"] == ""]
    opened = [e for e in logs if e["event"] == "guard.opened" and e["guard"] == "feed_age" and e["profile"] == ""]
    assert len(closed) <= 2
    assert closed[0]["measured"] > closed[0]["limit"]
    assert len(opened) <= 1


async def test_a_model_without_a_word_leaves_a_manifest_and_pulls(rig):
    async with rig.running():
        rig.phase(Phase.OPEN)
        await rig.pass_time(2)
        rig.model.silent = True
        await rig.pass_time(1)
        assert not rig.live()
        await rig.pass_time(10)
        plan, judgement, orders = rig.notes.manifests[-1]
        assert plan.quotes == ()
        assert orders == ()
        assert judgement.accepted == ()


async def test_the_cutoff_cancels_and_verifies_once(rig):
    async with rig.running():
        rig.phase(Phase.OPEN)
        await rig.pass_time(2)
        rig.phase(Phase.CUTOFF)
        await rig.pass_time(5)
        assert rig.notes.events_cancelled == [(rig.event, "cutoff", rig.window.gone_by_ns)]
        assert not rig.live()
    assert rig.state.counters.resting_after_cutoff_max == 0


async def test_an_unverified_cutoff_is_loud_counted_and_tried_again(rig):
    rig.notes.answers = [StopResult(verified=False, remaining=3, detail="no answer")]
    with capture_logs() as logs:
        async with rig.running():
            rig.phase(Phase.CUTOFF)
            await rig.pass_time(3)
            assert len(rig.notes.events_cancelled) == 2
    assert rig.state.counters.resting_after_cutoff_max == 3
    assert [e["log_level"] for e in logs if e["event"] == "window.cutoff_unverified"] == ["error"]


async def test_a_window_that_is_shut_with_quotes_is_cleared(rig):
    async with rig.running():
        rig.phase(Phase.OPEN)
        await rig.pass_time(2)
        rig.phase(Phase.SHUT)
        await rig.pass_time(2)
        assert [reason for _event, reason, _by in rig.notes.events_cancelled] == ["shut"]


async def test_the_kill_switch_cancels_everything_without_ending_the_task(rig):
    async with rig.running():
        rig.phase(Phase.OPEN)
        await rig.pass_time(2)
        rig.state.kill_switch = True
        rig.trader.on_kill_switch(engaged=True)
        await rig.pass_time(2)
        assert rig.notes.all_cancelled == ["kill_switch"]
        assert not rig.live()
        rig.state.kill_switch = False
        rig.trader.on_kill_switch(engaged=False)
        await rig.pass_time(181)
        assert rig.live(), "released, it quotes again at the next scan"


async def test_leases_are_renewed_only_while_no_guard_wants_the_order_gone(rig):
    async with rig.running():
        rig.phase(Phase.OPEN)
        await rig.pass_time(2)
        order = rig.live()[0]
        assert rig.trader.may_stay()(order)
        rig.phase(Phase.HOLD)
        assert rig.trader.may_stay()(order)
        rig.phase(Phase.CUTOFF)
        assert not rig.trader.may_stay()(order)
        rig.phase(Phase.OPEN)
        rig.state.kill_switch = True
        assert not rig.trader.may_stay()(order)
        rig.state.kill_switch = False
        rig.state.latch.closed = True
        assert not rig.trader.may_stay()(order)


async def test_an_event_is_over_once_nothing_of_ours_in_it_is_unpaid(rig):
    position = Position("M", rig.event, "KXINXU", Count(100))
    rig.state.ledger.positions["M"] = position
    async with rig.running():
        rig.phase(Phase.SETTLING)
        await rig.pass_time(2)
        assert rig.settled == []
        position.settled = "yes"
        rig.trader.on_orders_changed()
        await rig.run_dry()
        assert rig.settled[0] == rig.event


async def test_progress_is_reported_while_the_feed_is_silent(rig):
    async with rig.running():
        await rig.pass_time(10, fresh=False)
    assert rig.progress >= 10, "the watchdog is fed by the loop's own beat"


async def test_nothing_is_cancelled_twice_while_a_cancel_is_under_way(rig):
    async with rig.running():
        rig.phase(Phase.OPEN)
        await rig.pass_time(2)
        for name, order in list(rig.state.orders.items()):
            rig.state.orders[name] = type(order)(
                **{slot: getattr(order, slot) for slot in order.__slots__} | {"status": Status.PENDING_CANCEL}
            )
        rig.model.silent = True
        await rig.pass_time(3)
        assert rig.notes.cancelled == []


def test_the_age_of_a_missing_value_pays_for_nothing(rig):
    rig.state.index[Index.SPX].last = None
    assert tick_age(rig.state, rig.window, rig.clock.now_ns()) >= Nanos(86_400 * SECOND)


async def test_guards_that_close_while_a_scan_cancels_hold_its_quotes(rig):
    """Found by simulation: a cancel's answer took four seconds, and quotes judged before it were sent after it."""
    async with rig.running():
        rig.phase(Phase.OPEN)
        await rig.pass_time(179)
        before = rig.notes.made
        cancel = rig.notes.cancel

        async def slowly(names, reason):
            await cancel(names, reason)
            if reason == "replaced":
                rig.clock.advance(Nanos(4 * SECOND))

        rig.notes.cancel = slowly
        rig.model.level += 2.0
        rig.others_agree()
        await rig.pass_time(3)
    replaced = [names for names, reason in rig.notes.cancelled if reason == "replaced"]
    assert replaced, "the scan had something to cancel first"
    # The guard opens again in the same moment, which is a scan of its own, with its own look at the guards.
    afterwards = [placed for plan, _, placed in rig.notes.manifests if plan.trigger == GUARDS_OPENED]
    assert rig.notes.made == before + sum(len(placed) for placed in afterwards)
    assert not [placed for _, judgement, placed in rig.notes.manifests if judgement.closed and placed]
    replacing = next((judgement, placed) for plan, judgement, placed in rig.notes.manifests if plan.cancel)
    assert "feed_age" in {verdict.guard for verdict in replacing[0].closed}
    assert replacing[1] == ()


def test_the_last_look_before_an_intent_asks_every_window_guard(rig):
    rig.phase(Phase.OPEN)
    rig.fresh()
    quote = guard_rig.quote_of()
    assert rig.trader.closed_guard(quote) == ""
    rig.clock.advance(Nanos(3 * SECOND))
    assert rig.trader.closed_guard(quote) == "feed_age"
    rig.fresh()
    assert rig.trader.closed_guard(guard_rig.quote_of(profile="unheard of")) == "window_phase"
    rig.state.windows.clear()
    assert rig.trader.closed_guard(quote) == "window_phase"


async def test_what_a_scan_saw_is_compared_with_the_mids_once_the_contracts_are_determined(rig):
    rig.others_agree(half_cents=4)
    async with rig.running():
        rig.phase(Phase.OPEN)
        await rig.pass_time(1)
        (pending,) = rig.state.market_records[Index.SPX].pending.values()
        compared = {pair.market_ticker for pairs in pending.marks.values() for pair in pairs}
        assert compared
        assert rig.notes.recorded[Index.SPX]
        for ticker in compared:
            rig.state.venue.markets[ticker] = replace(rig.state.venue.markets[ticker], result="no")
        rig.clock.advance(Nanos(30 * 60 * SECOND))
        rig.phase(Phase.SETTLING)
        await rig.pass_time(1)
    assert rig.state.market_records[Index.SPX].pending == {}
    gains = {one.group: one for one in rig.state.market_records[Index.SPX].readings() if "log" in one.monitor}
    assert gains["middle"].n == 1.0
