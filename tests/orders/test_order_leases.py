"""No order rests longer than its lease without a daemon that lives, knows it, and has open guards."""

import pytest

from kalshi_daemon.domain.order import Status
from kalshi_daemon.ground.units import MINUTE, SECOND, Nanos
from kalshi_daemon.settings.model import OrderSettings
from tests.orders.order_rig import EVENT, START, WINDOW, Rig, quote, quotes, spin

LEASE = 90 * SECOND


def expiry(rig):
    return rig.venue.named(rig.only().client_order_id).expires_ns


async def test_a_healthy_daemon_keeps_its_orders_and_their_place_in_the_queue(rig):
    async with rig.running():
        (placed,) = await rig.manager.place([quote()])
        for _ in range(20):
            await rig.pass_time(30, step_ms=500)
            left = expiry(rig) - rig.clock.now_ns()
            assert LEASE // 3 <= left <= LEASE
        assert rig.only().order_id == placed.order_id
        assert rig.only().status is Status.RESTING
    for _order_id, total, price, _expires in rig.sent("amend"):
        assert (total, price) == (placed.count, placed.price)


async def test_renewals_cost_little(rig):
    """Every profile full is 16 orders; under 20 % of Basic's 100 tokens a second, at 10 tokens each."""
    async with rig.running():
        await rig.manager.place(quotes(16))
        rig.venue.calls.clear()
        await rig.pass_time(450, step_ms=500)
    assert len(rig.sent("amend")) * 10 / 450 < 0.2 * 100


async def test_an_order_never_outlives_its_window(rig):
    async with rig.running():
        rig.clock.set(Nanos(WINDOW.new_until_ns - MINUTE))
        await rig.manager.place([quote()])
        await rig.pass_time(195, step_ms=500)
        assert expiry(rig) == WINDOW.gone_by_ns
        sent = len(rig.sent("amend"))
        await rig.pass_time(20, step_ms=500)
        assert len(rig.sent("amend")) == sent, "nothing to gain any more"


def close_latch(rig):
    rig.state.latch.closed = True


def disarm(rig):
    rig.state.armed = False


def kill(rig):
    rig.state.kill_switch = True


def close_guards(rig):
    rig.renewing = False


def lose_window(rig):
    del rig.state.windows[EVENT]


@pytest.mark.parametrize("close", [close_latch, disarm, kill, close_guards, lose_window])
async def test_renewal_stops_the_moment_something_closes(rig, close):
    async with rig.running():
        await rig.manager.place([quote()])
        await rig.pass_time(60, step_ms=500)
        assert rig.sent("amend")
        close(rig)
        sent = len(rig.sent("amend"))
        await rig.pass_time(120, step_ms=500)
        assert len(rig.sent("amend")) == sent
    assert rig.only().status is Status.EXPIRED
    assert rig.venue.resting() == []


async def test_a_dead_daemons_orders_are_gone_within_the_lease(rig):
    async with rig.running():
        await rig.manager.place(quotes(4))
        await rig.pass_time(100, step_ms=500)
        assert len(rig.venue.resting()) == 4
    rig.clock.advance(Nanos(LEASE))
    assert rig.venue.resting() == []


async def test_an_amend_without_an_answer_counts_with_the_later_expiry_and_is_tried_again(rig):
    async with rig.running():
        await rig.manager.place([quote()])
        rig.venue.script["amend"].append("lost")
        await rig.pass_time(46, step_ms=500)
        assert len(rig.sent("amend")) == 1
        assert rig.only().expires_ns > START + LEASE, "for risk the later one"
        assert expiry(rig) == START + LEASE
        await rig.pass_time(3)
        assert len(rig.sent("amend")) == 2, "for renewing the earlier one"
        assert expiry(rig) > START + LEASE
        await rig.pass_time(10)
        assert len(rig.sent("amend")) == 2


async def test_a_partly_filled_order_is_renewed_with_its_whole_count(rig):
    """Any other total would resize it, and cost it its place in the queue."""
    async with rig.running():
        (order,) = await rig.manager.place([quote(contracts=2)])
        rig.venue.trade(order.client_order_id, 100)
        await rig.pass_time(50, step_ms=500)
        assert rig.only().filled == 100
        assert expiry(rig) > START + LEASE
    assert {total for _order_id, total, _price, _expires in rig.sent("amend")} == {200}


@pytest.mark.parametrize("fault", ["429", "unreachable"])
async def test_an_amend_that_did_not_happen_is_tried_again(rig, fault):
    async with rig.running():
        await rig.manager.place([quote()])
        rig.venue.script["amend"].extend([fault] * 3)
        await rig.pass_time(70, step_ms=500)
        assert expiry(rig) > START + LEASE


async def test_an_amend_that_finds_no_order_asks_what_became_of_it(rig):
    rig.venue.listener = None
    async with rig.running():
        (order,) = await rig.manager.place([quote()])
        rig.venue.trade(order.client_order_id, 100, stream=False)
        await rig.pass_time(50, step_ms=500)
    assert rig.only().status is Status.FILLED
    assert rig.state.ledger.fills_total == 1


async def test_renewals_stop_when_the_exchange_is_down_and_the_order_expires(rig):
    async with rig.running():
        await rig.manager.place([quote()])
        rig.venue.down = True
        await rig.pass_time(100, step_ms=500)
        assert len(rig.sent("amend")) < 20, "with growing pauses"
        rig.venue.down = False
        await rig.pass_time(10, step_ms=500)
    assert rig.only().status is Status.EXPIRED


async def test_renewed_expiries_survive_a_restart(rig):
    async with rig.running():
        await rig.manager.place([quote()])
        await rig.pass_time(60, step_ms=500)
        known = rig.only().expires_ns
        await spin()
    assert rig.journal.live_orders()[0].expires_ns == known > START + LEASE


async def test_many_orders_are_renewed_before_a_third_of_the_lease_is_left(tmp_path, clock, venue):
    rig = Rig(tmp_path, clock, venue, OrderSettings(lease_s=60.0))
    async with rig.running():
        for start in range(0, 150, 50):
            await rig.manager.place([quote(5000 + 5 * (start + step)) for step in range(50)])
        for _ in range(6):
            await rig.pass_time(20, step_ms=500)
            least = min(o.expires_ns for o in venue.resting()) - clock.now_ns()
            assert least >= 20 * SECOND
    rig.journal.close()


async def test_an_order_that_ended_while_others_were_renewed_does_not_come_back(rig, monkeypatch):
    amended = []
    real = rig.venue.amend_order

    async def amend(order, order_id, **change):
        await real(order, order_id, **change)
        amended.append(order.client_order_id)
        if len(amended) == 6:  # four at a time: the first is done, the last still under way
            rig.venue.end(rig.venue.named(amended[0]))
            await spin()

    monkeypatch.setattr(rig.venue, "amend_order", amend)
    async with rig.running():
        await rig.manager.place(quotes(6))
        await rig.pass_time(60, step_ms=500)
        assert rig.state.orders[amended[0]].status is Status.CANCELED
        assert amended[0] not in {order.client_order_id for order in rig.state.live_orders()}
