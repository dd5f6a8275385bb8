"""Defects of the predecessor that this room must not repeat, by their number (docs/reference/predecessor.md 9)."""

import json

from kalshi_daemon.domain.order import Status
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.errors import InsufficientBalance
from kalshi_daemon.ground.units import MINUTE, SECOND, Nanos
from tests.orders.order_rig import EVENT, TARGET, WINDOW, drive, quote, quotes, spin, ticker


async def test_defect_11_ids_do_not_depend_on_what_the_order_says(rig):
    """The same bin at another price, or the same order again later, is a new order with a new id."""
    first = await rig.manager.place([quote(price=4200), quote(price=4300)])
    again = await rig.manager.place([quote(price=4200)])
    names = {order.client_order_id for order in (*first, *again)}
    assert len(names) == 3
    assert len(rig.venue.resting()) == 3


async def test_defect_11_order_ids_of_the_exchange_are_kept(rig):
    (order,) = await rig.manager.place([quote()])
    assert order.order_id == rig.venue.resting()[0].order_id
    assert rig.journal.order(order.client_order_id).order_id == order.order_id


async def test_defect_11_a_partial_batch_is_recorded_item_by_item(rig):
    rig.venue.script["create_item_1"].append(InsufficientBalance("create", 201, "insufficient_balance", ""))
    placed = await rig.manager.place(quotes(4))
    assert [order.status for order in placed] == [Status.RESTING, Status.REJECTED, Status.RESTING, Status.RESTING]
    assert [rig.journal.order(o.client_order_id).status for o in placed] == [order.status for order in placed]
    assert len(rig.venue.resting()) == 3


async def test_defect_12_cancel_all_is_done_and_verified_not_noted(rig):
    async with rig.running():
        await rig.manager.place(quotes(6))
        result = await drive(rig.clock, rig.manager.cancel_all("kill_switch", Nanos(rig.clock.now_ns() + 20 * SECOND)))
        assert result.verified
        assert rig.venue.resting() == []
        # and no later submission takes it back
        rig.state.latch.closed = True
        rig.clock.advance(2 * MINUTE)
        assert await rig.manager.place([quote()]) == ()


async def test_defect_12_the_cutoff_does_not_depend_on_a_scan(rig):
    """Called at the cutoff it cancels and verifies; were it never called, the orders' own expiry is the cutoff."""
    async with rig.running():
        rig.clock.set(Nanos(WINDOW.new_until_ns - SECOND))
        await rig.manager.place(quotes(3))
        rig.clock.set(WINDOW.cancel_at_ns)
        result = await drive(rig.clock, rig.manager.cancel_event(EVENT, "cutoff", WINDOW.gone_by_ns))
        assert result.verified
        assert rig.clock.now_ns() < WINDOW.gone_by_ns
    assert all(new.expires_ns <= WINDOW.gone_by_ns for batch in rig.sent("create") for new in batch)


async def test_defect_13_positions_and_losses_outlive_the_process_and_span_profiles(rig):
    async with rig.running():
        for profile in ("wide", "size"):
            (order,) = await rig.manager.place([quote(profile=profile)])
            rig.venue.trade(order.client_order_id, 100)
        await spin()
        assert rig.state.ledger.positions[ticker()].count == 200, "one position, whichever profile traded"
    again = rig.reborn()
    await drive(again.clock, again.manager.start())
    assert again.state.ledger.positions[ticker()].count == 200
    again.clock.set(Nanos(TARGET + 2 * MINUTE))
    async with again.running(started=False):
        again.venue.settle(ticker(), "no")
        await spin()
    third = again.reborn()
    await drive(third.clock, third.manager.start())
    assert third.state.ledger.realized_today == -8_400, "the day's loss is not forgotten by a restart"
    third.journal.close()


async def test_defect_14_profit_comes_from_fills_and_settlements_only(rig):
    """A quote's expected value moves nothing; its fill moves cash; only the settlement realises."""
    async with rig.running():
        (order,) = await rig.manager.place([quote(side=Side.ASK, price=6000)])
        assert (rig.state.ledger.realized_today, rig.state.ledger.positions) == (0, {})
        rig.venue.trade(order.client_order_id, 100)
        await spin()
        assert rig.state.ledger.realized_today == 0
        rig.clock.set(Nanos(TARGET + 2 * MINUTE))
        rig.venue.settle(ticker(), "yes")
        await spin()
        assert rig.state.ledger.realized_today == -4_000


async def test_defect_18_the_audit_is_a_trail_of_flat_lines_and_none_is_overwritten(rig):
    async with rig.running():
        (first, second) = await rig.manager.place([quote(contracts=2), quote(6805)])
        rig.venue.trade(first.client_order_id, 100)
        await spin()
        await rig.manager.cancel([first.client_order_id, second.client_order_id], "edge_lost")
        rig.clock.set(Nanos(TARGET + 2 * MINUTE))
        rig.venue.settle(ticker(), "yes")
        await spin()
    actions = [line["action"] for line in rig.audit]
    assert actions == [
        "place_intent",
        "place_intent",
        "ack",
        "ack",
        "fill",
        "cancel_intent",
        "cancel_intent",
        "cancel_ack",
        "cancel_ack",
        "settle",
    ]
    for line in rig.audit:
        assert line["timestamp"].endswith("Z")
        assert all(not isinstance(value, (dict, list)) for value in line.values())
        json.dumps(line)
    intent = rig.audit[0]
    assert (intent["side"], intent["price"], intent["count"], intent["probability"]) == ("bid", "0.4200", "2.00", 0.45)
    assert rig.audit[7]["order_id"] == first.order_id
    assert rig.audit[7]["reason"] == "edge_lost"
