"""The daemon's own client and codec against this exchange: two codecs written apart must agree on every byte."""

import asyncio
import random
from typing import Any

import aiohttp
import pytest

from kalshi_daemon.domain.book import Book
from kalshi_daemon.domain.events import (
    BookDelta,
    BookSnapshot,
    CancelAck,
    CreateAck,
    FillEvent,
    MarketLifecycle,
    OrderGroupUpdate,
    SequenceGap,
    StreamUp,
    UserOrder,
)
from kalshi_daemon.domain.order import NewOrder, OrderRef
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.errors import AlreadyExists, InsufficientBalance, MarketClosed, NotFound, PostOnlyCross
from kalshi_daemon.ground.units import MINUTE, Nanos, Price, lots
from kalshi_daemon.kalshi.auth import signer_from_pem
from kalshi_daemon.kalshi.rest import KalshiRest
from kalshi_daemon.kalshi.stream import KalshiStream, StreamSink
from kalshi_daemon.settings.model import KalshiSettings
from tests.simulator.exchange_kit import EVENT, OTHER, TARGET, TICKER, put
from tests.simulator.key_kit import ed25519_pair
from tests.simulator.server_kit import Venue

SIGNER = signer_from_pem(ed25519_pair()[0], "key")


@pytest.fixture
async def desk():
    async with Venue() as venue, aiohttp.ClientSession() as session:
        client = KalshiRest(venue.urls.rest_url, SIGNER, venue.clock, KalshiSettings(), session=session)
        await client.load_limits()
        yield venue, client


def new(client_order_id: str, cents: int = 42, contracts: int = 2, ticker: str = TICKER) -> NewOrder:
    expires = Nanos(TARGET - 2 * MINUTE)
    return NewOrder(client_order_id, ticker, Side.BID, Price(cents * 100), lots(contracts), expires)


async def test_rest_round_trip(desk):
    venue, client = desk
    status = await client.exchange_status()
    assert (status.exchange_active, status.trading_active) == (True, True)
    assert (await client.series("KXINXU"))["fee_type"] == "quadratic"
    assert [event["event_ticker"] for event in await client.events("KXINXU", "open")] == [EVENT]
    assert len(await client.markets(EVENT)) == 11

    put(venue.exchange, "bob", "ask", 50, 1)
    results = await client.create_orders([new("a"), new("b", 50), new("c", 41), new("d", 42, 90_000)])
    kinds = [type(result) for result in results]
    assert kinds == [CreateAck, PostOnlyCross, CreateAck, InsufficientBalance], results
    assert isinstance((await client.create_orders([new("a")]))[0], AlreadyExists)
    resting = await client.orders(status="resting")
    assert {order.client_order_id for order in resting} == {"a", "c"}
    assert all(order.expires_ns == TARGET - 2 * MINUTE for order in resting)

    put(venue.exchange, "bob", "ask", 42, 1)
    fills = await client.fills()
    assert [(fill.count, fill.price, fill.fee, fill.side) for fill in fills] == [(lots(1), 4200, 0, Side.BID)]
    assert [(p.market_ticker, p.count) for p in await client.positions()] == [(TICKER, lots(1))]
    assert (await client.balance()).cash == venue.api.available // 100

    ids = {order.client_order_id: order.order_id for order in resting}
    canceled = await client.cancel_orders([OrderRef(ids["a"], TICKER), OrderRef("unknown", TICKER)])
    assert isinstance(canceled[0], CancelAck)
    assert canceled[0].reduced_by == lots(1)
    assert isinstance(canceled[1], NotFound)
    await client.amend_order(
        new("c", 41), ids["c"], total_count=lots(2), price=Price(4100), expires_ns=Nanos(TARGET - 3 * MINUTE)
    )
    assert (await client.order(ids["c"])).expires_ns == TARGET - 3 * MINUTE
    group = await client.create_order_group(lots(5))
    assert [found["id"] for found in await client.order_groups()] == [group]
    await client.reset_order_group(group)
    await client.delete_order_group(group)
    await client.cancel_all()
    assert await client.orders(status="resting") == []

    venue.clock.set(TARGET)
    late = await client.create_orders([new("late")])
    assert isinstance(late[0], MarketClosed)
    venue.clock.set(TARGET + 5 * MINUTE)
    settled = await client.settlements()
    assert [(s.market_ticker, s.result, s.revenue) for s in settled] == [(TICKER, "yes", 10_000)]


class Ears:
    """The stream's sink: builds books, keeps the rest, lets a test wait for a condition."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.books = {ticker: Book(ticker) for ticker in (TICKER, OTHER)}
        self._changed = asyncio.Event()

    def __call__(self, event: Any) -> None:
        self.events.append(event)
        if isinstance(event, BookSnapshot):
            self.books[event.market_ticker].replace(dict(event.bids), dict(event.asks), event.recv_ns, event.recv_ns)
        elif isinstance(event, BookDelta):
            book = self.books[event.market_ticker]
            change = book.change_bid if event.side is Side.BID else book.change_ask
            assert change(event.price, event.delta, event.recv_ns, event.recv_ns)
        self._changed.set()

    async def until(self, condition) -> None:
        async with asyncio.timeout(5):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


@pytest.mark.parametrize("yes_prices", [False, True])
async def test_stream_round_trip(desk, yes_prices):
    venue, client = desk
    ears = Ears()
    settings = KalshiSettings(use_yes_price=yes_prices)
    stream = KalshiStream(venue.urls.ws_url, SIGNER, venue.clock, settings, StreamSink(ears), rng=random.Random(1))
    stream.want_books([TICKER, OTHER])
    async with asyncio.TaskGroup() as group:
        task = group.create_task(stream.run())
        await ears.until(lambda: ears.of(StreamUp) and all(book.synced for book in ears.books.values()))
        await client.create_order_group(lots(50))
        await client.create_orders([new("a", 42, 5), new("b", 30, 1, OTHER)])
        for cents in (60, 55, 70):
            put(venue.exchange, "bob", "ask", cents, 3)
        put(venue.exchange, "bob", "ask", 42, 2)
        venue.exchange.cancel_all("bob")
        await ears.until(lambda: not ears.books[TICKER].asks and len(ears.of(BookDelta)) >= 8)
        assert ears.books[TICKER].bids == dict(venue.exchange.book(TICKER).bids)
        assert ears.books[OTHER].bids == dict(venue.exchange.book(OTHER).bids)

        venue.server.hub.skip_seq("orderbook_delta")
        put(venue.exchange, "bob", "bid", 20, 1, ticker=OTHER)
        await ears.until(lambda: ears.of(SequenceGap) and ears.books[OTHER].bids.get(Price(2000)) == lots(1))

        venue.clock.set(TARGET)
        venue.exchange.run_until(Nanos(TARGET + 5 * MINUTE))
        await ears.until(lambda: any(e.event_type == "settled" for e in ears.of(MarketLifecycle)))
        task.cancel()
    fills = ears.of(FillEvent)
    assert [(f.fill.client_order_id, f.fill.count, f.fill.post_position) for f in fills] == [("a", lots(2), lots(2))]
    reasons = [(e.client_order_id, e.reason) for e in ears.of(UserOrder)]
    assert reasons == [("a", ""), ("b", ""), ("a", "Trade"), ("a", "ExpiryCancel"), ("b", "ExpiryCancel")]
    assert [e.event_type for e in ears.of(OrderGroupUpdate)] == ["created"]
    determined = [e for e in ears.of(MarketLifecycle) if e.event_type == "determined" and e.market_ticker == TICKER]
    assert determined[0].settlement_value == 10_000
