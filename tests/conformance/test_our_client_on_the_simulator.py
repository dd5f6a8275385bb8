"""Our REST and websocket clients against the simulated exchange, which has a codec of its own.

Two codecs written apart must agree on every message of a quote's life: what one of them gets wrong shows here.
"""

import asyncio
from contextlib import asynccontextmanager
from itertools import pairwise
from random import Random

import pytest

from kalshi_daemon.domain.book import Book
from kalshi_daemon.domain.events import BookDelta, BookSnapshot, CancelAck, CreateAck, FillEvent, UserOrder
from kalshi_daemon.domain.order import NewOrder, OrderRef
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.clock import ManualClock
from kalshi_daemon.ground.errors import AlreadyExists, AuthFailed, NotFound, PostOnlyCross
from kalshi_daemon.ground.units import MINUTE, SECOND, Count, Nanos, Price
from kalshi_daemon.kalshi.auth import signer_from_pem
from kalshi_daemon.kalshi.rest import KalshiRest
from kalshi_daemon.kalshi.server_time import ServerClock
from kalshi_daemon.kalshi.stream import KalshiStream, StreamSink
from kalshi_daemon.kalshi.transport import open_session
from kalshi_daemon.settings.model import KalshiSettings
from kalshi_daemon.simulator.exchange.sim_server import SimServer
from tests.kalshi.stream_stub import eventually, running
from tests.simulator.exchange_kit import EVENT, OTHER, START, TARGET, TICKER, put, small_exchange
from tests.simulator.key_kit import ed25519_pair, rsa_pair

pytestmark = pytest.mark.conformance


class Bench:
    """A quiet exchange with `ann` behind our clients and `bob` in process; time is set by the test."""

    rest: KalshiRest
    stream: KalshiStream

    def __init__(self, pair, *, use_yes_price: bool = False) -> None:
        self.clock = ManualClock(START)
        self.exchange, self._hand = small_exchange()
        self.server = SimServer(self.exchange, self.clock)
        private, public = pair
        self.signer = signer_from_pem(private, "key-1")
        self.server.register_key("key-1", public, "ann")
        self.settings = KalshiSettings(use_yes_price=use_yes_price)
        self.events: list = []
        self.skews: list[int] = []

    def advance(self, ns: int) -> None:
        self.clock.advance(Nanos(ns))
        self._hand.set(self.clock.now_ns())
        self.exchange.run_until(self.clock.now_ns())

    def of(self, kind: type) -> list:
        return [event for event in self.events if isinstance(event, kind)]


@asynccontextmanager
async def bench(pair=None, **options):
    desk = Bench(pair or ed25519_pair(), **options)
    urls = await desk.server.start()
    async with open_session() as session:
        desk.rest = KalshiRest(
            urls.rest_url, desk.signer, desk.clock, desk.settings,
            session=session, server_clock=ServerClock(on_measured=lambda offset, _trip: desk.skews.append(offset)),
        )  # fmt: skip
        desk.stream = KalshiStream(
            urls.ws_url, desk.signer, desk.clock, desk.settings, StreamSink(desk.events.append), rng=Random(1)
        )
        try:
            yield desk
        finally:
            await desk.server.aclose()


def quote(number: int, side: Side, cents: int, ticker: str = TICKER) -> NewOrder:
    expires = Nanos(TARGET - 2 * MINUTE)
    return NewOrder(f"kd-{number}", ticker, side, Price(cents * 100), Count(200), expires)


@pytest.mark.parametrize("pair", [ed25519_pair, rsa_pair])
async def test_a_quote_s_life_over_rest(pair):
    async with bench(pair()) as desk:
        rest = desk.rest
        await rest.load_limits()
        put(desk.exchange, "bob", "ask", 60, 5)
        acks = await rest.create_orders([quote(1, Side.BID, 40), quote(2, Side.ASK, 70), quote(3, Side.BID, 65)])
        assert [type(ack) for ack in acks] == [CreateAck, CreateAck, PostOnlyCross]
        assert [type(r) for r in await rest.create_orders([quote(1, Side.BID, 41)])] == [AlreadyExists]
        first, second, _ = acks
        assert isinstance(first, CreateAck)
        assert isinstance(second, CreateAck)
        resting = {order.client_order_id: order for order in await rest.orders(status="resting")}
        assert (resting["kd-1"].side, resting["kd-1"].price, resting["kd-1"].remaining) == (Side.BID, 4_000, 200)
        assert (resting["kd-2"].side, resting["kd-2"].price) == (Side.ASK, 7_000)
        assert resting["kd-1"].expires_ns == TARGET - 2 * MINUTE
        moved = Nanos(TARGET - 3 * MINUTE)
        await rest.amend_order(
            quote(1, Side.BID, 40), first.order_id, total_count=Count(200), price=Price(4_000), expires_ns=moved
        )
        assert (await rest.order(first.order_id)).expires_ns == moved

        put(desk.exchange, "bob", "ask", 40, 1)
        (fill,) = await rest.fills()
        assert (fill.order_id, fill.side, fill.price, fill.count, fill.fee, fill.is_taker) == (
            first.order_id, Side.BID, 4_000, 100, 0, False,
        )  # fmt: skip
        assert [(p.market_ticker, p.count) for p in await rest.positions()] == [(TICKER, 100)]
        before = await rest.balance()
        assert before.cash > 0

        refs = [OrderRef(first.order_id, TICKER), OrderRef(second.order_id, TICKER), OrderRef("nobody", TICKER)]
        cancels = await rest.cancel_orders(refs)
        assert [type(c) for c in cancels] == [CancelAck, CancelAck, NotFound]
        assert [c.reduced_by for c in cancels if isinstance(c, CancelAck)] == [100, 200]
        assert await rest.orders(status="resting") == []
        assert {o.client_order_id for o in await rest.orders(status="canceled")} == {"kd-1", "kd-2"}
        with pytest.raises(NotFound):
            await rest.order("nobody")
        assert all(abs(offset) <= SECOND for offset in desk.skews)
        assert desk.skews


async def test_listings_groups_cancel_all_and_settlements_over_rest():
    async with bench() as desk:
        rest = desk.rest
        assert (await rest.exchange_status()).trading_active
        assert (await rest.series("KXINXU"))["fee_type"] == "quadratic"
        assert EVENT in [event["event_ticker"] for event in await rest.events("KXINXU", "open")]
        assert len(await rest.markets(EVENT)) == 11
        put(desk.exchange, "bob", "ask", 60, 5)
        book = await rest.orderbook(TICKER)
        assert book["no_dollars"] == [["0.4000", "5.00"]]

        group = await rest.create_order_group(Count(500))
        assert [g["id"] for g in await rest.order_groups()] == [group]
        await rest.reset_order_group(group)
        await rest.delete_order_group(group)
        assert await rest.order_groups() == []

        await rest.create_orders([quote(1, Side.BID, 40), quote(2, Side.BID, 30, OTHER)])
        put(desk.exchange, "bob", "ask", 40, 2)
        await rest.cancel_all()
        assert await rest.orders(status="resting") == []
        desk.advance(TARGET - desk.clock.now_ns() + 10 * MINUTE)
        (settled,) = await rest.settlements()
        assert (settled.market_ticker, settled.result, settled.yes_count, settled.revenue) == (
            TICKER,
            "yes",
            200,
            20_000,
        )


@pytest.mark.parametrize("use_yes_price", [False, True])
async def test_books_fills_and_orders_over_the_stream(use_yes_price):
    async with bench(use_yes_price=use_yes_price) as desk:
        put(desk.exchange, "bob", "ask", 60, 5)
        desk.stream.want_books([TICKER, OTHER])
        async with running(desk.stream):
            await eventually(lambda: len(desk.of(BookSnapshot)) == 2)
            (ack,) = await desk.rest.create_orders([quote(1, Side.BID, 40)])
            assert isinstance(ack, CreateAck)
            put(desk.exchange, "bob", "bid", 10, 3)
            put(desk.exchange, "bob", "ask", 40, 1)
            await desk.rest.cancel_orders([OrderRef(ack.order_id, TICKER)])
            await eventually(lambda: [e.status for e in desk.of(UserOrder)][-1:] == ["canceled"])
            await eventually(lambda: bool(desk.of(FillEvent)))

            fill = desk.of(FillEvent)[0].fill
            assert (fill.order_id, fill.client_order_id, fill.side) == (ack.order_id, "kd-1", Side.BID)
            assert (fill.price, fill.count, fill.post_position, fill.fee) == (4_000, 100, 100, 0)
            assert [f.trade_id for f in await desk.rest.fills()] == [fill.trade_id]
            assert [(e.status, e.filled) for e in desk.of(UserOrder)] == [
                ("resting", 0), ("resting", 100), ("canceled", 100),
            ]  # fmt: skip

            own = [event for event in desk.of(BookDelta) if event.own_client_order_id is not None]
            assert {event.own_client_order_id for event in own} == {"kd-1"}
            book = rebuilt(desk, TICKER)
            assert (dict(book.bids), dict(book.asks)) == ({1_000: 300}, {6_000: 500})
            numbers = [e.seq for e in desk.events if isinstance(e, (BookSnapshot, BookDelta))]
            assert all(later == earlier + 1 for earlier, later in pairwise(numbers))

            desk.stream.request_snapshots([TICKER])
            await eventually(lambda: len(desk.of(BookSnapshot)) == 3)
            fresh = desk.of(BookSnapshot)[-1]
            assert (dict(fresh.bids), dict(fresh.asks)) == (dict(book.bids), dict(book.asks))

            session = desk.stream._session
            assert session is not None
            for wanted in ([OTHER], []):
                desk.stream.want_books(wanted)
                await eventually(lambda: session._active == set(wanted))  # noqa: B023 - awaited here
            desk.stream.want_books([TICKER])
            await eventually(lambda: len(desk.of(BookSnapshot)) == 4)


def rebuilt(desk: Bench, ticker: str) -> Book:
    book = Book(ticker)
    for event in desk.events:
        if isinstance(event, BookSnapshot) and event.market_ticker == ticker:
            book.replace(dict(event.bids), dict(event.asks), Nanos(0), event.recv_ns)
        elif isinstance(event, BookDelta) and event.market_ticker == ticker:
            change = book.change_bid if event.side is Side.BID else book.change_ask
            assert change(event.price, event.delta, Nanos(0), event.recv_ns)
    return book


async def test_a_key_the_exchange_does_not_know_is_refused_on_both_ways():
    async with bench() as desk:
        desk.server.keys.register("key-1", rsa_pair()[1], "ann")
        with pytest.raises(AuthFailed):
            await desk.rest.balance()
        async with asyncio.TaskGroup() as group:
            task = group.create_task(_refused(desk.stream))
            while not task.done():
                await asyncio.sleep(0.005)
                desk.advance(SECOND)
        assert task.result().status == 401


async def _refused(stream: KalshiStream) -> AuthFailed:
    try:
        await stream.run()
    except AuthFailed as error:
        return error
