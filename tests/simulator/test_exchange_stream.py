"""The websocket over a real socket: acks, numbering, snapshots and deltas, private channels, error codes, faults."""

import asyncio
from typing import Any

import aiohttp
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.units import MINUTE, SECOND, Count, Nanos, Price, lots
from kalshi_daemon.simulator.exchange.order_terms import OrderSpec
from kalshi_daemon.simulator.exchange.sim_fees import FeeKind, FeeModel
from kalshi_daemon.simulator.exchange.sim_orders import SimOrder
from kalshi_daemon.simulator.exchange.sim_server import ServerOptions
from kalshi_daemon.simulator.exchange.ws_commands import CommandDesk
from kalshi_daemon.simulator.exchange.ws_server import Connection, frame_bytes
from kalshi_daemon.simulator.exchange.ws_subscriptions import FRAMES_MAX, Subscription, Switchboard
from tests.simulator.exchange_kit import EVENT, OTHER, TARGET, TICKER, put, small_exchange
from tests.simulator.server_kit import ORDERS, Venue
from tests.support.instruments import SPECS

THIRD = f"{EVENT}-T6859.9999"


@pytest.fixture
async def venue():
    async with Venue() as found:
        yield found


class Client:
    """Sends commands, gathers frames."""

    def __init__(self, socket: Any) -> None:
        self.socket = socket
        self._ids = 0

    async def send(self, cmd: str, **params: Any) -> int:
        self._ids += 1
        await self.socket.send_str(orjson.dumps({"id": self._ids, "cmd": cmd, "params": params}).decode())
        return self._ids

    async def frame(self) -> Any:
        async with asyncio.timeout(5):
            message = await self.socket.receive()
            while message.type is aiohttp.WSMsgType.PING:
                message = await self.socket.receive()
        assert message.type is aiohttp.WSMsgType.TEXT, message
        return orjson.loads(message.data)

    async def frames(self, count: int) -> list[Any]:
        return [await self.frame() for _frame in range(count)]

    async def subscribe(self, *channels: str, **params: Any) -> list[int]:
        """Sids in the order of the channels; frames after the acks stay to be read."""
        await self.send("subscribe", channels=list(channels), **params)
        return [(await self.frame())["msg"]["sid"] for _channel in channels]


async def test_acks_come_first_then_one_snapshot_per_market(venue):
    put(venue.exchange, "bob", "bid", 42, 3)
    async with venue.connect() as socket:
        client = Client(socket)
        await client.send("subscribe", channels=["orderbook_delta"], market_tickers=[TICKER, OTHER])
        ack, first, second = await client.frames(3)
    assert ack == {"id": 1, "type": "subscribed", "msg": {"channel": "orderbook_delta", "sid": 1}}
    assert (first["type"], first["sid"], first["seq"]) == ("orderbook_snapshot", 1, 1)
    assert first["msg"]["market_ticker"] == TICKER
    assert first["msg"]["yes_dollars_fp"] == [["0.4200", "3.00"]]
    assert "no_dollars_fp" not in first["msg"], "the key of an empty side is absent"
    assert (second["seq"], set(second["msg"])) == (2, {"market_ticker", "market_id"})
    assert first["sending_ts_ms"] == venue.clock.now_ns() // 1_000_000


async def test_empty_sides_can_be_sent_for_strict_clients():
    async with Venue(ServerOptions(keep_empty_sides=True)) as venue, venue.connect() as socket:
        client = Client(socket)
        await client.subscribe("orderbook_delta", market_ticker=TICKER)
        snapshot = await client.frame()
    assert (snapshot["msg"]["yes_dollars_fp"], snapshot["msg"]["no_dollars_fp"]) == ([], [])


@pytest.mark.parametrize(("flag", "price"), [(False, "0.3000"), (True, "0.7000")])
async def test_no_levels_come_in_no_prices_unless_yes_prices_are_asked_for(venue, flag, price):
    put(venue.exchange, "bob", "ask", 70, 1)
    async with venue.connect() as socket:
        client = Client(socket)
        await client.subscribe("orderbook_delta", market_ticker=TICKER, use_yes_price=flag)
        snapshot = await client.frame()
        assert snapshot["msg"]["no_dollars_fp"] == [[price, "1.00"]]
        put(venue.exchange, "bob", "ask", 70, 2)
        delta = (await client.frame())["msg"]
        assert (delta["price_dollars"], delta["delta_fp"], delta["side"]) == (price, "2.00", "no")


async def test_control_frames_count_in_the_numbering(venue):
    async with venue.connect() as socket:
        client = Client(socket)
        sid = (await client.subscribe("orderbook_delta", market_tickers=[TICKER]))[0]
        assert (await client.frame())["seq"] == 1
        added = await client.send("update_subscription", sids=[sid], action="add_markets", market_tickers=[OTHER])
        ok, snapshot = await client.frames(2)
        assert ok == {"id": added, "type": "ok", "sid": sid, "seq": 2, "msg": {"market_tickers": [TICKER, OTHER]}}
        assert (snapshot["type"], snapshot["seq"], snapshot["msg"]["market_ticker"]) == ("orderbook_snapshot", 3, OTHER)
        put(venue.exchange, "bob", "bid", 40, 1, ticker=OTHER)
        delta = await client.frame()
        assert (delta["type"], delta["seq"]) == ("orderbook_delta", 4)
        asked = await client.send("update_subscription", sid=sid, action="get_snapshot", market_tickers=[OTHER])
        again = await client.frame()
        assert (again["id"], again["seq"], again["msg"]["yes_dollars_fp"]) == (asked, 5, [["0.4000", "1.00"]])
        await client.send("update_subscription", sids=[sid], action="delete_markets", market_tickers=[OTHER])
        ok = await client.frame()
        assert (ok["seq"], ok["msg"]["market_tickers"]) == (6, [TICKER])
        put(venue.exchange, "bob", "bid", 41, 1, ticker=OTHER)
        put(venue.exchange, "bob", "bid", 41, 1, ticker=TICKER)
        assert (await client.frame())["msg"]["market_ticker"] == TICKER, "deleted markets are silent"
        listed = await client.send("list_subscriptions")
        answer = await client.frame()
        assert answer == {"id": listed, "type": "ok", "msg": [{"channel": "orderbook_delta", "sid": sid}]}
        gone = await client.send("unsubscribe", sids=[sid])
        assert await client.frame() == {"id": gone, "type": "unsubscribed", "sid": sid, "seq": 8}
        put(venue.exchange, "bob", "bid", 39, 1, ticker=TICKER)
        await client.send("list_subscriptions")
        assert (await client.frame())["msg"] == []


async def test_subscribing_again_merges_markets_into_one_sid(venue):
    async with venue.connect() as socket:
        client = Client(socket)
        first = await client.subscribe("orderbook_delta", market_ticker=TICKER)
        await client.frame()
        second = await client.subscribe("orderbook_delta", market_tickers=[TICKER, OTHER])
        assert first == second
        snapshot = await client.frame()
        assert (snapshot["msg"]["market_ticker"], snapshot["seq"]) == (OTHER, 2)


async def test_only_the_owner_sees_its_client_order_id_on_a_delta(venue):
    async with venue.connect() as socket:
        client = Client(socket)
        await client.subscribe("orderbook_delta", market_ticker=TICKER)
        await client.frame()
        put(venue.exchange, "bob", "bid", 40, 1, client_order_id="his")
        assert "client_order_id" not in (await client.frame())["msg"]
        await venue.create("mine:/+")
        delta = (await client.frame())["msg"]
        assert (delta["client_order_id"], delta["subaccount"], delta["delta_fp"]) == ("mine:/+", 0, "2.00")
        put(venue.exchange, "bob", "ask", 42, 1, client_order_id="hit")
        assert "client_order_id" not in (await client.frame())["msg"], "the taker caused it"


async def test_a_fill_is_told_on_every_channel_that_hears_it(venue):
    async with venue.connect() as socket:
        client = Client(socket)
        channels = ("trade", "fill", "user_orders", "market_positions")
        sids = dict(zip(await client.subscribe(*channels), channels, strict=True))
        order_id = await venue.create("mine", count="3", expiration_time=TARGET // SECOND, order_group_id="")
        created = await client.frame()
        assert (created["type"], created["msg"]["status"], created["msg"]["last_update_reason"]) == (
            "user_order",
            "resting",
            "",
        )
        assert (created["msg"]["ticker"], created["msg"]["expiration_ts_ms"]) == (TICKER, TARGET // 1_000_000)
        assert "seq" not in created
        put(venue.exchange, "bob", "ask", 42, 1)
        got = {sids[frame["sid"]]: frame for frame in await client.frames(4)}
        fill, trade = got["fill"]["msg"], got["trade"]["msg"]
        assert got["trade"]["seq"] == 1
        assert fill["trade_id"] == trade["trade_id"]
        assert (fill["order_id"], fill["client_order_id"], fill["is_taker"]) == (order_id, "mine", False)
        assert (fill["post_position_fp"], fill["fee_cost"], fill["book_side"]) == ("1.00", "0.000000", "bid")
        assert (trade["taker_book_side"], trade["taker_outcome_side"]) == ("ask", "no")
        order = got["user_orders"]["msg"]
        assert (order["status"], order["remaining_count_fp"], order["last_update_reason"]) == (
            "resting",
            "2.00",
            "Trade",
        )
        assert order["maker_fill_cost_dollars"] == "0.4200"
        position = got["market_positions"]["msg"]
        assert (position["position_fp"], position["position_cost_dollars"]) == ("1.00", "0.4200")
        await venue.ask("DELETE", f"{ORDERS}/{order_id}")
        gone = (await client.frame())["msg"]
        assert (gone["status"], gone["remaining_count_fp"]) == ("canceled", "0.00")


async def test_changes_of_an_order_carry_their_reason(venue):
    async with venue.connect() as socket:
        client = Client(socket)
        await client.subscribe("user_orders", market_tickers=[TICKER])
        order_id = await venue.create("a", count="9", expiration_time=venue.clock.now_ns() // SECOND + 30)
        await venue.create("elsewhere", ticker=OTHER)
        await venue.ask("POST", f"{ORDERS}/{order_id}/decrease", {"reduce_by": "1"})
        change = {"ticker": TICKER, "side": "bid", "price": "0.4100", "count": "8"}
        await venue.ask("POST", f"{ORDERS}/{order_id}/amend", change)
        venue.clock.advance(31 * SECOND)
        venue.exchange.run_until(venue.clock.now_ns())
        frames = [frame["msg"] for frame in await client.frames(4)]
        assert [msg["last_update_reason"] for msg in frames] == ["", "Decrease", "Amend", "ExpiryCancel"]
        assert {msg["ticker"] for msg in frames} == {TICKER}, "filtered by market"
        assert frames[2]["yes_price_dollars"] == "0.4100"


async def test_nobody_hears_another_members_private_frames(venue):
    async with venue.connect() as socket:
        client = Client(socket)
        await client.subscribe("fill", "user_orders", "market_positions", "order_group_updates")
        put(venue.exchange, "bob", "bid", 42, 1)
        venue.exchange.groups.create(venue.exchange.accounts["bob"], lots(5), venue.clock.now_ns())
        await client.send("list_subscriptions")
        assert (await client.frame())["type"] == "ok"


async def test_lifecycle_from_determination_to_settlement(venue):
    await venue.create("a", count="1")
    put(venue.exchange, "bob", "ask", 42, 1)
    async with venue.connect() as socket:
        client = Client(socket)
        lifecycle, positions = await client.subscribe(
            "market_lifecycle_v2", "market_positions", market_tickers=[TICKER]
        )
        venue.exchange.run_until(Nanos(TARGET + 5 * MINUTE))
        frames = await client.frames(2 * 17 + 1)
        told = [(f["sid"], f["msg"]) for f in frames if f["msg"]["market_ticker"] == TICKER]
        assert [msg.get("event_type", "position") for _sid, msg in told] == ["determined", "position", "settled"]
        assert (told[0][0], told[1][0]) == (lifecycle, positions)
        determined = told[0][1]
        assert (determined["result"], determined["settlement_value"]) == ("yes", "1.0000")
        assert determined["determination_ts"] == TARGET // SECOND + 65
        assert told[1][1]["position_fp"] == "0.00"
        assert told[1][1]["realized_pnl_dollars"] == "0.5800"
        assert told[2][1] == {"event_type": "settled", "market_ticker": TICKER, "settled_ts": TARGET // SECOND + 125}
        seqs = [f["seq"] for f in frames if f["sid"] == lifecycle]
        assert seqs == list(range(1, 35)), "every market, tickers are ignored, one numbering"


async def test_other_lifecycle_frames(venue):
    async with venue.connect() as socket:
        client = Client(socket)
        await client.subscribe("market_lifecycle_v2")
        venue.exchange.venue.deactivate([TICKER])
        venue.exchange.venue.activate([TICKER])
        venue.exchange.venue.change_grid(TICKER, venue.exchange.catalogue.markets[TICKER].grid, "linear_cent")
        venue.exchange.venue.change_event_fees(EVENT, FeeModel(FeeKind.QUADRATIC, 500_000))
        venue.exchange.venue.change_event_fees(EVENT, None)
        frames = await client.frames(5)
        assert [f["msg"].get("is_deactivated") for f in frames[:2]] == [True, False]
        assert frames[2]["msg"]["price_ranges"] == [{"start": "0.0000", "end": "1.0000", "step": "0.0100"}]
        assert [(f["type"], f["msg"]["fee_multiplier_override"]) for f in frames[3:]] == [
            ("event_fee_update", 0.5),
            ("event_fee_update", None),
        ]


async def test_new_markets_are_announced(venue):
    from kalshi_daemon.domain.index import Geometry  # noqa: PLC0415
    from kalshi_daemon.ground.units import HOUR, Level  # noqa: PLC0415
    from kalshi_daemon.simulator.exchange.instruments import Listing  # noqa: PLC0415
    from kalshi_daemon.simulator.exchange.listing import range_event  # noqa: PLC0415

    later = range_event(SPECS[3], Geometry(100, 4, Level(100)), 25_200.0, venue.clock.now_ns(), Nanos(TARGET + HOUR))
    async with venue.connect() as socket:
        client = Client(socket)
        await client.subscribe("market_lifecycle_v2")
        venue.exchange.list_markets(Listing(SPECS, (later,)))
        event, *markets = await client.frames(5)
        assert (event["type"], event["msg"]["collateral_return_type"]) == ("event_lifecycle", "MECNET")
        assert {m["msg"]["event_type"] for m in markets} == {"created"}
        middle = markets[1]["msg"]
        assert middle["additional_metadata"]["strike_type"] == "between"
        assert middle["close_ts"] == (TARGET + HOUR) // SECOND


async def test_order_group_updates(venue):
    async with venue.connect() as socket:
        client = Client(socket)
        await client.subscribe("order_group_updates")
        _status, made = await venue.ask("POST", "/portfolio/order_groups/create", {"contracts_limit": 5})
        await venue.ask("PUT", f"/portfolio/order_groups/{made['order_group_id']}/trigger")
        created, triggered = await client.frames(2)
        assert (created["seq"], created["msg"]["event_type"], created["msg"]["contracts_limit_fp"]) == (
            1,
            "created",
            "5.00",
        )
        assert (triggered["seq"], triggered["msg"]["event_type"]) == (2, "triggered")


async def test_tickers_are_sent_once_per_turn(venue):
    async with venue.connect() as socket:
        client = Client(socket)
        await client.subscribe("ticker", market_tickers=[TICKER], send_initial_snapshot=True)
        first = await client.frame()
        assert (first["type"], first["msg"]["yes_ask_dollars"]) == ("ticker", "1.0000")
        put(venue.exchange, "bob", "bid", 40, 1)
        put(venue.exchange, "bob", "bid", 42, 2)
        put(venue.exchange, "bob", "bid", 30, 2, ticker=OTHER)
        moved = await client.frame()
        assert (moved["msg"]["yes_bid_dollars"], moved["msg"]["yes_bid_size_fp"]) == ("0.4200", "2.00")
        await client.send("list_subscriptions")
        assert (await client.frame())["type"] == "ok"


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("not json", 1),
        ("[]", 1),
        ('{"id":1,"cmd":"shout","params":{}}', 5),
        ('{"id":1,"cmd":["x"],"params":{}}', 5),
        ('{"id":1,"cmd":"subscribe"}', 2),
        ('{"id":1,"cmd":"subscribe","params":{}}', 3),
        ('{"id":1,"cmd":"subscribe","params":{"channels":["quotes"]}}', 8),
        ('{"id":1,"cmd":"subscribe","params":{"channels":["orderbook_delta"]}}', 14),
        ('{"id":1,"cmd":"subscribe","params":{"channels":["fill"],"market_tickers":"X"}}', 11),
        ('{"id":1,"cmd":"subscribe","params":{"channels":["fill"],"market_ticker":"X","market_tickers":["Y"]}}', 11),
        ('{"id":1,"cmd":"unsubscribe","params":{}}', 4),
        ('{"id":1,"cmd":"unsubscribe","params":{"sids":[9]}}', 7),
        ('{"id":1,"cmd":"update_subscription","params":{"action":"add_markets"}}', 12),
        ('{"id":1,"cmd":"update_subscription","params":{"sids":[1,2],"action":"add_markets"}}', 12),
        ('{"id":1,"cmd":"update_subscription","params":{"sids":[9],"action":"add_markets"}}', 7),
        ('{"id":1,"cmd":"update_subscription","params":{"sid":1}}', 15),
        ('{"id":1,"cmd":"update_subscription","params":{"sid":1,"action":"get_snapshot","market_ticker":"X"}}', 13),
        ('{"id":1,"cmd":"update_subscription","params":{"sid":1,"action":"add_markets"}}', 14),
        ('{"id":1,"cmd":"subscribe","params":{"channels":["user_orders"],"market_ticker":"NONE"}}', 11),
    ],
)
async def test_command_errors(venue, command, code):
    async with venue.connect() as socket:
        client = Client(socket)
        await client.subscribe("fill")
        await socket.send_str(command)
        frame = await client.frame()
        while frame["type"] == "subscribed":
            frame = await client.frame()
        assert (frame["type"], frame["msg"]["code"]) == ("error", code)


async def test_the_handshake_is_signed(venue):
    session = aiohttp.ClientSession()
    try:
        with pytest.raises(aiohttp.WSServerHandshakeError) as failed:
            await session.ws_connect(venue.urls.ws_url)
        assert failed.value.status == 401
        venue.server.faults.refuse_streams = 503
        with pytest.raises(aiohttp.WSServerHandshakeError) as failed:
            await session.ws_connect(venue.urls.ws_url)
        assert failed.value.status == 503
    finally:
        await session.close()


async def test_pings_say_heartbeat():
    async with Venue(ServerOptions(speed=1_000.0, ping_floor_s=0.01)) as venue, venue.connect() as socket:
        async with asyncio.timeout(5):
            message = await socket.receive()
        assert (message.type, message.data) == (aiohttp.WSMsgType.PING, b"heartbeat")


async def test_connections_can_be_cut_and_numbers_skipped(venue):
    async with venue.connect() as socket:
        client = Client(socket)
        await client.subscribe("orderbook_delta", market_ticker=TICKER)
        await client.frame()
        _status, done = await venue.admin("POST", "/faults", {"skip_seq": {"channel": "orderbook_delta"}})
        assert done["skipped"] == 1
        put(venue.exchange, "bob", "bid", 40, 1)
        assert (await client.frame())["seq"] == 3
        _status, done = await venue.admin("POST", "/faults", {"drop_streams": True})
        assert done["dropped"] == 1
        async with asyncio.timeout(5):
            message = await socket.receive()
        assert message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.ERROR)
    put(venue.exchange, "bob", "bid", 40, 1)


# -- without sockets --------------------------------------------------------------------------------------------


class Memory:
    """An outbox that keeps everything."""

    account_name = "ann"

    def __init__(self) -> None:
        self.frames: list[Any] = []

    def push(self, frame: bytes, subscription: Subscription | None) -> None:
        self.frames.append(orjson.loads(frame))

    def overflowed(self, subscription: Subscription) -> None:
        raise AssertionError


def apply_frames(frames: list[Any]) -> dict[str, dict[str, dict[str, float]]]:
    """What a client builds from snapshots and deltas; checks the numbering on the way."""
    books: dict[str, dict[str, dict[str, float]]] = {}
    for number, frame in enumerate([f for f in frames if "seq" in f], start=1):
        assert frame["seq"] == number
        msg = frame["msg"]
        if frame["type"] == "orderbook_snapshot":
            books[msg["market_ticker"]] = {
                side: {price: float(count) for price, count in msg.get(f"{side}_dollars_fp", [])}
                for side in ("yes", "no")
            }
        elif frame["type"] == "orderbook_delta":
            level = books[msg["market_ticker"]][msg["side"]]
            level[msg["price_dollars"]] = round(level.get(msg["price_dollars"], 0.0) + float(msg["delta_fp"]), 2)
            if level[msg["price_dollars"]] == 0:
                del level[msg["price_dollars"]]
            assert all(count > 0 for count in level.values())
    return books


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["ann", "bob", "cat"]),
            st.sampled_from(list(Side)),
            st.integers(30, 70),
            st.integers(1, 900),
            st.sampled_from([TICKER, OTHER]),
            st.integers(0, 3),
        ),
        max_size=60,
    )
)
def test_snapshots_and_deltas_rebuild_the_book_exactly(steps):
    from kalshi_daemon.simulator.exchange.faults import Faults  # noqa: PLC0415
    from kalshi_daemon.simulator.exchange.sim_auth import KeyRing  # noqa: PLC0415
    from kalshi_daemon.simulator.exchange.ws_server import StreamHub  # noqa: PLC0415

    exchange, _clock = small_exchange(cash=10_000)
    hub = StreamHub(exchange, KeyRing(), Faults(), ())
    exchange.set_listener(hub)
    memory = Memory()
    desk = CommandDesk(exchange, hub.board, memory, keep_empty_sides=False)
    put(exchange, "bob", "bid", 20, 5)
    desk.handle(
        orjson.dumps(
            {"id": 1, "cmd": "subscribe", "params": {"channels": ["orderbook_delta"], "market_tickers": [TICKER]}}
        )
    )
    made: list[SimOrder] = []
    for number, (name, side, cents, size, ticker, act) in enumerate(steps):
        if number == 10:
            params = {"sid": 1, "action": "add_markets", "market_tickers": [OTHER, THIRD]}
            desk.handle(orjson.dumps({"id": 2, "cmd": "update_subscription", "params": params}))
        if act == 0 and made:
            order = made[cents % len(made)]
            exchange.cancel(order.account.name, order.order_id)
        elif act == 1 and made:
            order = made[cents % len(made)]
            exchange.decrease(order.account.name, order.order_id, by=Count(size))
        else:
            receipt = exchange.submit(name, OrderSpec(ticker, side, Price(cents * 100), Count(size)))
            if receipt.order is not None:
                made.append(receipt.order)
    for ticker, book in apply_frames(memory.frames).items():
        core = exchange.book(ticker)
        assert book["yes"] == {f"0.{price:04d}": count / 100 for price, count in core.bids}
        assert book["no"] == {f"0.{10_000 - price:04d}": count / 100 for price, count in core.asks}


class StuckTransport:
    """A transport whose peer does not read."""

    def __init__(self) -> None:
        self.held = 1 << 30
        self.written = b""
        self.closed = False

    def is_closing(self) -> bool:
        return self.closed

    def get_write_buffer_size(self) -> int:
        return self.held

    def write(self, data: bytes) -> None:
        self.written += data

    def abort(self) -> None:
        self.closed = True


async def test_a_client_that_does_not_read_loses_its_subscription_with_error_25():
    exchange, _clock = small_exchange()
    board = Switchboard()
    transport: Any = StuckTransport()
    connection = Connection("ann", transport, asyncio.get_running_loop())
    desk = CommandDesk(exchange, board, connection, keep_empty_sides=False)
    connection.desk = desk
    desk.handle(b'{"id":1,"cmd":"subscribe","params":{"channels":["trade"]}}')
    subscription = board.of("trade")[0]
    for _frame in range(FRAMES_MAX + 3):
        for listed in list(board.of("trade")):
            listed.send("trade", b"{}", 0)
    assert board.of("trade") == []
    assert desk.subscriptions == {}
    transport.held = 0
    for _turn in range(3):
        await asyncio.sleep(0.006)  # the flush is retried in real time
    assert subscription.waiting == 0
    text = transport.written.rpartition(b'{"type":"error"')[2]
    assert orjson.loads(b'{"type":"error"' + text)["msg"]["code"] == 25
    connection.abort()
    connection.push(b"{}", None)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not transport.written.endswith(b"\x81\x02{}")


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
def test_frames_are_headed_as_the_rfc_says(size):
    frame = frame_bytes(b"x" * size)
    head = {0: 2, 125: 2, 126: 4, 65_535: 4, 65_536: 10}[size]
    assert len(frame) == head + size
    assert frame[0] == 0x81
    short = frame[1]
    stated = short if short < 126 else int.from_bytes(frame[2:head])
    assert stated == size
