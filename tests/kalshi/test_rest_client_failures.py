"""The REST client against a server that fails in every way it knows."""

import asyncio
import socket
from itertools import count

import orjson
import pytest
from aiohttp import web

from kalshi_daemon.domain.events import CancelAck, CreateAck
from kalshi_daemon.domain.order import NewOrder, OrderRef
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.clock import ManualClock, SystemClock
from kalshi_daemon.ground.errors import (
    AlreadyExists,
    AuthFailed,
    ConfigurationError,
    DaemonError,
    MalformedData,
    MissingField,
    NotFound,
    OrderOutcomeUnknown,
    PostOnlyCross,
    RateLimited,
    VenueRejected,
    VenueUnavailable,
    VenueUnreachable,
)
from kalshi_daemon.ground.units import MILLISECOND, SECOND, Count, Nanos, Price
from kalshi_daemon.kalshi.rest import PAGES_MAX, KalshiRest
from kalshi_daemon.kalshi.server_time import ServerClock
from kalshi_daemon.kalshi.transport import WriteGate, open_session
from kalshi_daemon.settings.model import KalshiSettings
from tests.kalshi.rest_stub import ROOT, SIGNER, exchange, hang_up, reply, until
from tests.kalshi.test_rest_bodies_and_answers import FILL, ORDER
from tests.kalshi.verifier import Verifier

QUICK = KalshiSettings(read_timeout_ms=300, write_timeout_ms=200)
T0 = Nanos(1_795_446_000 * SECOND)


def orders(number: int) -> list[NewOrder]:
    return [NewOrder(f"c{n}", "M", Side.BID, Price(4_200), Count(100), T0) for n in range(number)]


def refs(number: int) -> list[OrderRef]:
    return [OrderRef(f"o{n}", "M") for n in range(number)]


def created(client_order_id: str, n: int = 0) -> dict:
    return {
        "order_id": f"o-{client_order_id}", "client_order_id": client_order_id,
        "fill_count": "0.00", "remaining_count": "1.00", "ts_ms": 1_795_446_000_000 + n,
    }  # fmt: skip


def answering(value: object, status: int = 200, **headers: str):
    async def handler(_: web.Request) -> web.Response:
        return reply(value, status, **headers)

    return handler


async def accept_batch(request: web.Request) -> web.Response:
    """Takes every create and cancel of a batch."""
    items = orjson.loads(await request.read())["orders"]
    if request.method == "POST":
        return reply({"orders": [created(item["client_order_id"]) for item in items]}, 201)
    return reply(
        {"orders": [{"order_id": i["order_id"], "reduced_by": "1.00", "ts_ms": 1_795_446_000_000} for i in items]}
    )


# --- requests ---------------------------------------------------------------------------------------------------------


async def test_requests_are_signed_over_the_path_that_arrives():
    async with exchange(answering({"order": ORDER | {"order_id": "a/b?c"}})) as stub:
        await stub.client.order("a/b?c")
        (seen,) = stub.seen
        assert seen.path_qs == f"{ROOT}/portfolio/orders/a%2Fb%3Fc"
        now_ms = SystemClock().now_ns() // MILLISECOND
        verifier = Verifier(SIGNER.public_pem, "key-1", tolerance_ms=5_000)
        assert verifier.problem(seen.headers, "GET", seen.path_qs, now_ms) is None


async def test_every_request_names_the_subaccount_and_lists_ask_for_full_pages():
    pages = {"fills": [], "orders": [], "market_positions": [], "settlements": [], "cursor": "", "order_groups": []}
    balance = {"balance": 1, "balance_dollars": "0.0100", "portfolio_value": 0, "updated_ts": 1}
    async with exchange(answering(pages | balance), settings=KalshiSettings(subaccount=7)) as stub:
        await stub.client.orders(status="resting", market_ticker="M", min_ts_ns=Nanos(5 * SECOND + 1))
        await stub.client.fills(order_id="o", min_ts_ns=Nanos(9 * SECOND))
        await stub.client.positions()
        await stub.client.settlements()
        await stub.client.balance()
        await stub.client.order_groups()
        await stub.client.cancel_all()
        await stub.client.reset_order_group("g")
        await stub.client.delete_order_group("g")
        assert stub.targets == [
            "GET /portfolio/orders?status=resting&ticker=M&min_ts=5&limit=1000&subaccount=7",
            "GET /portfolio/fills?order_id=o&min_ts=9&limit=1000&subaccount=7",
            "GET /portfolio/positions?limit=1000&subaccount=7",
            "GET /portfolio/settlements?limit=1000&subaccount=7",
            "GET /portfolio/balance?exchange_index=0&subaccount=7",
            "GET /portfolio/order_groups?subaccount=7",
            "DELETE /portfolio/events/orders?subaccount=7",
            "PUT /portfolio/order_groups/g/reset?subaccount=7",
            "DELETE /portfolio/order_groups/g?subaccount=7",
        ]


async def test_public_reads_are_not_signed_and_envelopes_are_opened():
    answers = {"series": {"ticker": "S"}, "events": [{"event_ticker": "E"}], "markets": [{"ticker": "M"}], "cursor": "",
               "orderbook_fp": {"yes_dollars": []}, "exchange_active": True, "trading_active": True}  # fmt: skip
    async with exchange(answering(answers), signer=None) as stub:
        assert await stub.client.series("S") == {"ticker": "S"}
        assert await stub.client.events("S", "open") == [{"event_ticker": "E"}]
        assert await stub.client.markets("E") == [{"ticker": "M"}]
        assert (await stub.client.exchange_status()).trading_active
        assert all("KALSHI-ACCESS-KEY" not in seen.headers for seen in stub.seen)
        with pytest.raises(ConfigurationError, match="orderbook must be signed"):
            await stub.client.orderbook("M")
        with pytest.raises(ConfigurationError, match="cancel_all"):
            await stub.client.cancel_all()
        assert stub.targets[-1] == "GET /exchange/status"
    async with exchange(answering(answers)) as stub:
        assert await stub.client.orderbook("M") == {"yes_dollars": []}
        assert "KALSHI-ACCESS-KEY" in stub.seen[0].headers


async def test_fills_positions_settlements_and_groups_are_decoded():
    settlement = {"ticker": "M", "event_ticker": "E", "market_result": "no", "yes_count_fp": "0.00",
                  "no_count_fp": "1.00", "revenue": 100, "fee_cost": "0",
                  "settled_time": "2026-11-23T15:00:00Z"}  # fmt: skip
    position = {"ticker": "M", "position_fp": "1.00", "realized_pnl_dollars": "0", "fees_paid_dollars": "0"}
    answers = {"fills": [FILL], "orders": [ORDER], "market_positions": [position], "settlements": [settlement],
               "cursor": "", "order_groups": [{"id": "g", "is_auto_cancel_enabled": True}]}  # fmt: skip
    async with exchange(answering(answers)) as stub:
        assert [fill.trade_id for fill in await stub.client.fills()] == ["t-1"]
        assert [order.order_id for order in await stub.client.orders()] == ["o-1"]
        assert [p.count for p in await stub.client.positions()] == [100]
        assert [s.result for s in await stub.client.settlements()] == ["no"]
        assert [g["id"] for g in await stub.client.order_groups()] == ["g"]


async def test_a_group_is_created_with_its_limit():
    async with exchange(answering({"order_group_id": "g-1", "subaccount": 0}, 201)) as stub:
        assert await stub.client.create_order_group(Count(1_500)) == "g-1"
        assert stub.seen[0].json == {"contracts_limit_fp": "15.00", "subaccount": 0}
    async with exchange(answering({}, 201)) as stub:
        with pytest.raises(OrderOutcomeUnknown):
            await stub.client.create_order_group(Count(1_500))


@pytest.mark.parametrize(
    "url", ["https://x.test/", "https://x.test/trade-api/v1", "ftp://x.test/trade-api/v2", "x/trade-api/v2"]
)
async def test_a_base_url_that_is_not_the_api_is_refused(url):
    async with open_session() as session:
        with pytest.raises(ConfigurationError, match="rest_url"):
            KalshiRest(url, SIGNER, SystemClock(), KalshiSettings(), session=session)


# --- nothing left -----------------------------------------------------------------------------------------------------


def dead_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


@pytest.mark.parametrize("host", ["127.0.0.1", "no-such-host.invalid"])
async def test_what_cannot_be_reached_did_not_happen(host):
    async with open_session() as session:
        url = f"http://{host}:{dead_port()}{ROOT}"
        client = KalshiRest(url, SIGNER, SystemClock(), QUICK, session=session)
        with pytest.raises(VenueUnreachable):
            await client.create_orders(orders(1))
        with pytest.raises(VenueUnreachable):
            await client.balance()
        assert client.in_flight == 0


async def test_a_closed_session_sends_nothing():
    session = open_session()
    client = KalshiRest(f"http://127.0.0.1:1{ROOT}", SIGNER, SystemClock(), QUICK, session=session)
    await session.close()
    with pytest.raises(VenueUnreachable, match="closed"):
        await client.cancel_all()


async def test_a_read_only_client_sends_no_write():
    async with exchange(accept_batch, writes=WriteGate(read_only=True)) as stub:
        writes = [
            stub.client.create_orders(orders(1)),
            stub.client.cancel_orders(refs(1)),
            stub.client.amend_order(orders(1)[0], "o", total_count=Count(1), price=Price(1), expires_ns=T0),
            stub.client.cancel_all(),
            stub.client.create_order_group(Count(1)),
            stub.client.reset_order_group("g"),
            stub.client.delete_order_group("g"),
        ]
        for write in writes:
            with pytest.raises(DaemonError, match="read-only client"):
                await write
        assert stub.seen == []


async def test_a_malformed_order_stops_the_batch_before_the_first_byte():
    async with exchange(accept_batch) as stub:
        bad = NewOrder("c", "M", Side.BID, Price(0), Count(100), T0)
        with pytest.raises(MalformedData):
            await stub.client.create_orders([*orders(20), bad])
        assert stub.seen == []


# --- writes without a trustworthy answer ------------------------------------------------------------------------------


async def never(_: web.Request) -> web.Response:
    await asyncio.Event().wait()
    raise AssertionError


async def dropped(request: web.Request) -> web.Response:
    return hang_up(request)


async def dropped_midway(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(status=201, headers={"Content-Length": "500"})
    await response.prepare(request)
    await response.write(b'{"orders":[')
    assert request.transport is not None
    request.transport.abort()
    return response


UNKNOWN = {
    "timeout": never,
    "dropped": dropped,
    "dropped midway": dropped_midway,
    "500": answering({"error": {"code": "internal_error"}}, 500),
    "503": answering({"error": {"code": "exchange_unavailable"}}, 503),
    "redirect": answering({}, 302, Location="/elsewhere"),
    "408": answering({}, 408),
    "no json": answering("<html>", 201),
    "not the schema": answering({"order": {}}, 201),
    "a proxy's 404": answering("no such page", 404),
}


@pytest.mark.parametrize("handler", UNKNOWN.values(), ids=UNKNOWN.keys())
async def test_a_write_without_a_trustworthy_answer_is_unknown_and_sent_once(handler):
    async with exchange(handler, settings=QUICK) as stub:
        with pytest.raises(OrderOutcomeUnknown):
            await stub.client.create_orders(orders(2))
        assert len(stub.seen) == 1
        with pytest.raises(OrderOutcomeUnknown):
            await stub.client.cancel_orders(refs(2))
        assert len(stub.seen) == 2
        assert stub.client.in_flight == 0


async def test_an_unknown_outcome_says_how_long_it_was_waited_for():
    async with exchange(never, settings=QUICK) as stub:
        with pytest.raises(OrderOutcomeUnknown) as caught:
            await stub.client.create_orders(orders(1))
        assert 150 <= caught.value.waited_ms <= 2_000
        assert stub.client.in_flight == 0


async def test_a_delete_on_a_kept_connection_that_died_is_not_sent_twice():
    """aiohttp repeats PUT and DELETE on its own when a pooled connection is dead."""
    numbers = count()

    async def dies_second(request: web.Request) -> web.Response:
        return hang_up(request) if next(numbers) else web.Response(status=204)

    async with exchange(dies_second) as stub:
        await stub.client.cancel_all()
        with pytest.raises(OrderOutcomeUnknown):
            await stub.client.cancel_all()
        assert len(stub.seen) == 2


async def test_an_amend_answer_about_another_order_is_unknown():
    async with exchange(answering({"order_id": "z", "ts_ms": 1_795_446_000_000})) as stub:
        with pytest.raises(OrderOutcomeUnknown, match="asked about"):
            await stub.client.amend_order(orders(1)[0], "o", total_count=Count(100), price=Price(4_200), expires_ns=T0)


async def test_an_amend_sends_the_whole_order_and_accepts_its_answer():
    async with exchange(answering({"order_id": "o", "remaining_count": "1.00", "ts_ms": 1_795_446_000_000})) as stub:
        await stub.client.amend_order(orders(1)[0], "o", total_count=Count(100), price=Price(4_200), expires_ns=T0)
        assert stub.targets == ["POST /portfolio/events/orders/o/amend?subaccount=0"]
        assert stub.seen[0].json["expiration_time"] == 1_795_446_000


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, {"error": {"code": "invalid_order", "details": "post only cross"}}, PostOnlyCross),
        (401, {"error": {"code": "unauthorized"}}, AuthFailed),
        (403, {"code": "forbidden"}, AuthFailed),
        (409, {"error": {"code": "order_already_exists"}}, AlreadyExists),
        (410, {"error": {"code": "deprecated_v1_order_endpoint"}}, VenueRejected),
        (404, {"error": {"code": "not_found"}}, NotFound),
    ],
)
async def test_a_refused_batch_raises_its_kind(status, body, kind):
    async with exchange(answering(body, status)) as stub:
        with pytest.raises(kind):
            await stub.client.create_orders(orders(2))


async def test_429_is_rate_limited_and_holds_back_creates_but_not_cancels():
    numbers = count()

    async def refuses_first(request: web.Request) -> web.Response:
        return await accept_batch(request) if next(numbers) else reply({"error": "too many requests"}, 429)

    clock = ManualClock(T0)
    async with exchange(refuses_first, clock=clock) as stub:
        with pytest.raises(RateLimited):
            await stub.client.create_orders(orders(1))
        assert [type(r) for r in await stub.client.cancel_orders(refs(3))] == [CancelAck] * 3
        async with asyncio.TaskGroup() as group:
            held = group.create_task(stub.client.create_orders(orders(1)))
            await until(lambda: bool(clock._sleepers._heap))
            assert len(stub.seen) == 2
            clock.advance(Nanos(SECOND))
        assert [type(r) for r in held.result()] == [CreateAck]


async def test_results_of_a_batch_are_typed_one_by_one():
    items = [
        created("c0"),
        {"client_order_id": "c1", "error": {"code": "invalid_order", "details": "post only cross"}},
        {"client_order_id": "c2", "error": {"code": "internal_error"}},
        {**created("c3"), "fill_count": 0},
        created("somebody else"),
    ]
    async with exchange(answering({"orders": items}, 201)) as stub:
        results = await stub.client.create_orders(orders(5))
        kinds = [CreateAck, PostOnlyCross, OrderOutcomeUnknown, OrderOutcomeUnknown, OrderOutcomeUnknown]
        assert [type(r) for r in results] == kinds


async def test_results_of_cancels_are_typed_one_by_one():
    items = [
        {"order_id": "o1", "reduced_by": "0.00", "error": {"code": "not_found", "message": "not found"}},
        {"order_id": "o0", "client_order_id": "c", "reduced_by": "0.40", "ts_ms": 1_795_446_000_000},
    ]
    async with exchange(answering({"orders": items})) as stub:
        first, second = await stub.client.cancel_orders(refs(2))
        assert first == CancelAck("o0", Count(40), T0)
        assert isinstance(second, NotFound)
        assert stub.seen[0].json["orders"][0] == {"order_id": "o0", "market_ticker": "M", "subaccount": 0}


# --- batches and tokens -----------------------------------------------------------------------------------------------


async def test_batches_are_split_to_fit_the_bucket_and_wait_for_refill():
    clock = ManualClock(T0)
    async with exchange(accept_batch, clock=clock) as stub:
        async with asyncio.TaskGroup() as group:
            sending = group.create_task(stub.client.create_orders(orders(14)))
            while not sending.done():
                await until(lambda: sending.done() or bool(clock._sleepers._heap))
                clock.advance(Nanos(100 * MILLISECOND))
        assert [len(seen.json["orders"]) for seen in stub.seen] == [6, 6, 2]
        assert [r.client_order_id for r in sending.result() if isinstance(r, CreateAck)] == [f"c{n}" for n in range(14)]
        assert clock.now_ns() - T0 >= 800 * MILLISECOND  # 14 x 10 tokens, 60 at once, 100 a second


async def test_cancels_leave_in_what_fits_now():
    clock = ManualClock(T0)
    async with exchange(accept_batch, clock=clock) as stub:
        await stub.client.create_orders(orders(6))
        async with asyncio.TaskGroup() as group:
            sending = group.create_task(stub.client.cancel_orders(refs(60)))
            await until(lambda: bool(clock._sleepers._heap))
            while not sending.done():
                clock.advance(Nanos(200 * MILLISECOND))
                await until(lambda: sending.done() or bool(clock._sleepers._heap))
        assert [len(seen.json["orders"]) for seen in stub.seen] == [6, 20, 10, 10, 10, 10]
        assert all(isinstance(r, CancelAck) for r in sending.result())


async def test_tokens_that_do_not_come_in_time_are_rate_limited_and_nothing_is_sent():
    clock = ManualClock(T0)
    async with exchange(accept_batch, clock=clock, settings=QUICK) as stub:
        await stub.client.create_orders(orders(6))
        with pytest.raises(RateLimited):
            await stub.client.create_orders(orders(6))
        assert len(stub.seen) == 1


async def test_after_a_part_failed_later_parts_of_a_create_are_not_sent():
    numbers = count()

    async def second_fails(request: web.Request) -> web.Response:
        return await accept_batch(request) if next(numbers) != 1 else reply({}, 500)

    async with exchange(second_fails) as stub:
        results = await stub.client.create_orders(orders(13))
        kinds = [CreateAck] * 6 + [OrderOutcomeUnknown] * 6 + [VenueUnreachable]
        assert [type(r) for r in results] == kinds
        assert len(stub.seen) == 2


async def test_a_first_part_of_unknown_outcome_does_not_hide_behind_the_unsent_rest():
    async with exchange(answering({}, 500)) as stub:
        results = await stub.client.create_orders(orders(7))
        assert [type(r) for r in results] == [OrderOutcomeUnknown] * 6 + [VenueUnreachable]


async def test_a_part_of_cancels_that_failed_does_not_stop_the_next():
    numbers = count()

    async def first_fails(request: web.Request) -> web.Response:
        return await accept_batch(request) if next(numbers) else reply({}, 500)

    async with exchange(first_fails) as stub:
        results = await stub.client.cancel_orders(refs(60))
        assert [type(r) for r in results] == [OrderOutcomeUnknown] * 50 + [CancelAck] * 10


async def test_cancels_give_up_after_two_parts_in_a_row():
    async with exchange(answering({}, 500)) as stub:
        with pytest.raises(OrderOutcomeUnknown):
            await stub.client.cancel_orders(refs(120))
        assert len(stub.seen) == 2


async def test_creates_that_were_stopped_while_waiting_for_tokens_are_not_sent():
    clock = ManualClock(T0)
    allowed = [True]
    async with exchange(accept_batch, clock=clock, writes=WriteGate(may_create=lambda: allowed[0])) as stub:
        async with asyncio.TaskGroup() as group:
            sending = group.create_task(stub.client.create_orders(orders(8)))
            await until(lambda: bool(clock._sleepers._heap))
            allowed[0] = False
            clock.advance(Nanos(100 * MILLISECOND))  # long before there are tokens
            async with asyncio.timeout(2):
                await asyncio.wait((sending,))
        kinds = [type(r) for r in sending.result()]
        assert kinds == [CreateAck] * 6 + [VenueUnreachable] * 2
        assert len(stub.seen) == 1
        await stub.client.cancel_orders(refs(1))
        assert len(stub.seen) == 2


async def test_a_cancel_does_not_queue_behind_creates_that_wait_for_tokens():
    clock = ManualClock(T0)
    async with exchange(accept_batch, clock=clock) as stub, asyncio.TaskGroup() as group:
        waiting = group.create_task(stub.client.create_orders(orders(8)))
        await until(lambda: bool(clock._sleepers._heap))
        async with asyncio.timeout(2):
            (ack,) = await stub.client.cancel_orders(refs(1))
        assert isinstance(ack, CancelAck)
        assert not waiting.done()
        clock.advance(Nanos(SECOND))


async def test_limits_are_loaded_from_the_account():
    limits = {"usage_tier": "x", "grants": [], "read": {"refill_rate": 9, "bucket_capacity": 99},
              "write": {"refill_rate": 300, "bucket_capacity": 600}}  # fmt: skip
    costs = {"default_cost": 10, "endpoint_costs": []}
    async with exchange(answering(limits | costs)) as stub:
        await stub.client.load_limits()
        assert stub.targets == ["GET /account/limits", "GET /account/endpoint_costs"]
        assert (stub.client.limiter.read.capacity, stub.client.limiter.write.refill_per_s) == (99, 300)


@pytest.mark.parametrize(
    "handler",
    [dropped, answering({}, 500), answering({"read": {}}), answering("not JSON at all"), answering({}, 429)],
    ids=["dropped", "500", "fields missing", "no JSON", "429"],
)
async def test_limits_that_cannot_be_read_leave_the_basic_tiers(handler):
    async with exchange(handler) as stub:
        await stub.client.load_limits()
        assert (stub.client.limiter.read.refill_per_s, stub.client.limiter.write.refill_per_s) == (200, 100)


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_key_is_not_taken_for_unread_limits(status):
    async with exchange(answering({"error": {"code": "unauthorized"}}, status)) as stub:
        with pytest.raises(AuthFailed):
            await stub.client.load_limits()


# --- reads ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("handler", [dropped, answering({}, 500), answering("x", 404)], ids=["dropped", "500", "404"])
async def test_a_read_is_tried_again_and_then_unavailable(handler):
    async with exchange(handler) as stub:
        with pytest.raises(VenueUnavailable):
            await stub.client.balance()
        assert len(stub.seen) == 3


async def test_a_read_that_works_the_second_time_is_fine():
    numbers = count()

    async def second_works(_: web.Request) -> web.Response:
        return reply({"order": ORDER}) if next(numbers) else reply({"error": "too many requests"}, 429)

    async with exchange(second_works) as stub:
        assert (await stub.client.order("o-1")).order_id == "o-1"
        assert len(stub.seen) == 2


async def test_a_read_ends_at_its_deadline():
    async with exchange(never, settings=QUICK) as stub:
        with pytest.raises(VenueUnavailable, match="TimeoutError"):
            await stub.client.balance()
        assert len(stub.seen) == 1


async def test_only_the_exchange_s_own_404_means_not_found():
    async with exchange(answering({"error": {"code": "not_found", "message": "not found"}}, 404)) as stub:
        with pytest.raises(NotFound):
            await stub.client.order("o")
        assert len(stub.seen) == 1


async def test_a_read_that_says_something_else_is_malformed():
    async with exchange(answering({"order": {"order_id": "o"}})) as stub:
        with pytest.raises(MalformedData):
            await stub.client.order("o")
        with pytest.raises(MalformedData):
            await stub.client.order("p")
        with pytest.raises(MissingField):
            await stub.client.orders()
        with pytest.raises(MalformedData):
            await stub.client.order("")


async def test_an_answer_without_end_is_not_read(monkeypatch):
    monkeypatch.setattr("kalshi_daemon.kalshi.transport.BODY_BYTES_MAX", 1_000)
    async with exchange(answering({"x": "y" * 2_000}), settings=QUICK) as stub:
        with pytest.raises(VenueUnavailable, match="longer"):
            await stub.client.balance()


STATUS_DOWN = {"exchange_active": False, "trading_active": False}
STATUS_UP = {"exchange_active": True, "trading_active": True}


async def test_a_503_with_a_status_in_it_closes_and_never_opens_the_exchange():
    async with exchange(answering(STATUS_DOWN, 503)) as stub:
        assert not (await stub.client.exchange_status()).exchange_active
    async with exchange(answering(STATUS_UP, 503)) as stub:
        with pytest.raises(VenueUnavailable):
            await stub.client.exchange_status()
    async with exchange(answering({}, 503)) as stub:
        with pytest.raises(VenueUnavailable):
            await stub.client.exchange_status()
    async with exchange(answering({}, 200)) as stub:
        with pytest.raises(MissingField):
            await stub.client.exchange_status()


# --- pages ------------------------------------------------------------------------------------------------------------


async def test_every_page_is_read_in_order():
    async def pages(request: web.Request) -> web.Response:
        at = int(request.query.get("cursor", "0"))
        return reply({"markets": [{"ticker": f"M{at}"}], "cursor": str(at + 1) if at < 4 else ""})

    async with exchange(pages) as stub:
        assert [m["ticker"] for m in await stub.client.markets("E")] == [f"M{n}" for n in range(5)]
        assert stub.targets[1] == "GET /markets?event_ticker=E&limit=1000&cursor=1"


async def test_pages_that_go_round_in_circles_end_in_an_error():
    async with exchange(answering({"markets": [], "cursor": "again"})) as stub:
        with pytest.raises(MalformedData, match="not given before"):
            await stub.client.markets("E")
        assert len(stub.seen) == 2


async def test_pages_without_end_end_in_an_error(monkeypatch):
    monkeypatch.setattr("kalshi_daemon.kalshi.rest.PAGES_MAX", 5)
    numbers = count()

    async def endless(_: web.Request) -> web.Response:
        return reply({"markets": [], "cursor": f"n{next(numbers)}"})

    async with exchange(endless) as stub:
        with pytest.raises(MalformedData, match="at most 5 pages"):
            await stub.client.markets("E")
        assert len(stub.seen) == 5
    assert PAGES_MAX == 200


async def test_a_list_without_its_end_marked_is_not_complete():
    async with exchange(answering({"orders": [], "market_positions": []})) as stub:
        with pytest.raises(MissingField, match="cursor"):
            await stub.client.orders()
        assert await stub.client.positions() == []
    async with exchange(answering({"orders": None, "cursor": ""})) as stub:
        assert await stub.client.orders() == []


# --- the venue's clock ------------------------------------------------------------------------------------------------


async def test_engine_stamps_of_writes_are_heard_to_the_millisecond():
    heard: list[tuple[int, int]] = []
    clock = ManualClock(Nanos(T0 + 3 * SECOND))

    async with exchange(
        answering({"orders": [created("c0")]}, 201, Date="Mon, 23 Nov 2026 15:00:00 GMT"),
        clock=clock,
        server_clock=ServerClock(on_measured=lambda offset, trip: heard.append((offset, trip))),
    ) as stub:
        await stub.client.create_orders(orders(1))
        offset, trip = heard[-1]
        assert abs(offset - 3 * SECOND) <= MILLISECOND
        assert trip == 0
