"""Defects of the predecessor that the wire must not repeat (docs/reference/predecessor.md 9)."""

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_daemon.domain.events import BookSnapshot, CreateAck
from kalshi_daemon.domain.order import NewOrder, OrderRef
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.clock import ManualClock
from kalshi_daemon.ground.errors import AlreadyExists, NotFound, OrderOutcomeUnknown
from kalshi_daemon.ground.units import SECOND, Count, Nanos, Price, complement
from kalshi_daemon.kalshi import rest_codec, ws_codec
from kalshi_daemon.kalshi.server_time import ServerClock
from tests.kalshi.rest_stub import exchange, reply
from tests.kalshi.test_rest_bodies_and_answers import FILL, ORDER
from tests.kalshi.test_rest_client_failures import created

T0 = Nanos(1_795_446_000 * SECOND)


@settings(deadline=None, max_examples=60)
@given(side=st.sampled_from(list(Side)), price=st.integers(1, 9_999), count=st.integers(1, 10**6))
def test_defect_10_every_create_is_post_only_on_the_yes_book_with_its_direction(side, price, count):
    body = rest_codec.create_body(NewOrder("c", "M", side, Price(price), Count(count), T0), 0)
    assert body["post_only"] is True
    assert body["side"] == side.value
    assert body["price"] == f"0.{price:04d}"  # a YES price for both sides: V2 complements nothing
    assert not {"action", "type", "yes_price", "no_price"} & body.keys()


@pytest.mark.parametrize(
    ("legacy_side", "legacy_action"), [("yes", "buy"), ("yes", "sell"), ("no", "buy"), ("no", "sell")]
)
@pytest.mark.parametrize("book_side", ["bid", "ask"])
def test_defect_10_the_direction_of_orders_and_fills_is_book_side_whatever_legacy_fields_say(
    legacy_side, legacy_action, book_side
):
    legacy = {"side": legacy_side, "action": legacy_action, "book_side": book_side}
    assert rest_codec.remote_order(ORDER | legacy).side is Side(book_side)
    assert rest_codec.fill(FILL | legacy).side is Side(book_side)


def test_defect_10_a_no_bid_is_complemented_exactly_once():
    msg = {"market_ticker": "M", "yes_dollars_fp": [["0.3000", "1.00"]], "no_dollars_fp": [["0.6500", "1.00"]]}
    raw = orjson.dumps({"type": "orderbook_snapshot", "sid": 1, "seq": 1, "msg": msg})
    body = ws_codec.decode_frame(raw, T0, use_yes_price=False).body
    assert isinstance(body, BookSnapshot)
    assert body.asks == ((complement(Price(6_500)), Count(100)),)
    assert body.bids[0][0] < body.asks[0][0]


async def test_defect_11_ids_survive_the_wire_and_a_partial_batch_is_told_item_by_item():
    items = [
        created("mine-2"),
        {"client_order_id": "mine-1", "error": {"code": "order_already_exists", "message": "order already exists"}},
    ]

    async def handler(_):
        return reply({"orders": items}, 201)

    async with exchange(handler) as stub:
        wanted = [NewOrder(f"mine-{n}", "M", Side.BID, Price(4_200), Count(100), T0) for n in (1, 2, 3)]
        first, second, third = await stub.client.create_orders(wanted)
        sent = stub.seen[0].json["orders"]
        assert [item["client_order_id"] for item in sent] == ["mine-1", "mine-2", "mine-3"]
        assert isinstance(first, AlreadyExists)
        assert isinstance(second, CreateAck)
        assert (second.client_order_id, second.order_id) == ("mine-2", "o-mine-2")
        assert isinstance(third, OrderOutcomeUnknown)
        assert len(stub.seen) == 1  # nothing is sent again here, whatever the answer


async def test_defect_11_a_cancel_that_names_another_order_is_no_cancel_of_ours():
    async def handler(_):
        return reply({"orders": [{"order_id": "another", "reduced_by": "1.00", "ts_ms": 1_795_446_000_000}]})

    async with exchange(handler) as stub:
        (result,) = await stub.client.cancel_orders([OrderRef("mine", "M")])
        assert isinstance(result, OrderOutcomeUnknown)
        assert not isinstance(result, NotFound)


async def test_defect_16_skew_is_measured_against_the_venue_s_stamps():
    """Our clock runs 7 s ahead of the server's Date: the callback must say so. The old check compared it to itself."""
    heard: list[int] = []
    clock = ManualClock(Nanos(T0 + 7 * SECOND))

    async def handler(_):
        return reply({"exchange_active": True, "trading_active": True}, Date="Mon, 23 Nov 2026 15:00:00 GMT")

    server_clock = ServerClock(on_measured=lambda offset, _: heard.append(offset))
    async with exchange(handler, clock=clock, server_clock=server_clock) as stub:
        await stub.client.exchange_status()
        assert abs(heard[-1] - 7 * SECOND) <= SECOND // 2
        clock.advance(Nanos(20 * SECOND))
        await stub.client.exchange_status()
        assert abs(heard[-1] - 27 * SECOND) <= SECOND // 2


async def test_defect_16_an_answer_without_a_stamp_says_nothing():
    heard: list[int] = []

    async def handler(_):
        return reply({"exchange_active": True, "trading_active": True}, Date="some day")

    async with exchange(handler, server_clock=ServerClock(on_measured=lambda offset, _: heard.append(offset))) as stub:
        await stub.client.exchange_status()
        assert heard == []
