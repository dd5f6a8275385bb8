"""The websocket side: a hub that turns what the exchange tells into frames, and connections on aiohttp.

A frame's body is encoded once for all who hear it. A connection's frames are gathered while the loop is busy and
written to its transport in one piece; aiohttp's own writer is used only for pongs and the closing handshake.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import orjson
import structlog
from aiohttp import WSMsgType, web

from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.units import MILLISECOND, Count, Nanos, Price
from kalshi_daemon.simulator.exchange.exchange import Exchange
from kalshi_daemon.simulator.exchange.faults import Faults, StreamFaults
from kalshi_daemon.simulator.exchange.instruments import EventSpec
from kalshi_daemon.simulator.exchange.listener import LifecycleEvent, TradeRecord
from kalshi_daemon.simulator.exchange.order_groups import GroupEvent, OrderGroup
from kalshi_daemon.simulator.exchange.order_terms import Reason, Refusal
from kalshi_daemon.simulator.exchange.sim_auth import KeyRing, StampClock
from kalshi_daemon.simulator.exchange.sim_fees import FeeModel
from kalshi_daemon.simulator.exchange.sim_orders import Account, FillRecord, SimMarket, SimOrder
from kalshi_daemon.simulator.exchange.wire import error_json
from kalshi_daemon.simulator.exchange.wire_stream import (
    delta_msg,
    event_fee_msg,
    event_msg,
    fill_msg,
    group_msg,
    lifecycle_msg,
    position_msg,
    ticker_msg,
    trade_msg,
    user_order_msg,
)
from kalshi_daemon.simulator.exchange.wire_text import http_date
from kalshi_daemon.simulator.exchange.ws_commands import CommandDesk
from kalshi_daemon.simulator.exchange.ws_subscriptions import ERRORS, Subscription, Switchboard

PATH: Final = "/trade-api/ws/v2"
PING_S: Final = 10.0
"""The venue's cadence, in its own time; `ping_floor_s` bounds it in real time."""
_WRITE_MAX: Final = 4 * 1024 * 1024
"""Bytes the transport may hold back before frames wait with us (and count against their subscription)."""
_RETRY_S: Final = 0.005
_TEXT_FRAME: Final = 0x81
_PING_FRAME: Final = 0x89
_LENGTH_16: Final = 126
_LENGTH_64: Final = 127
_SHORT_MAX: Final = 125
_MEDIUM_MAX: Final = 0xFFFF

log = structlog.get_logger()


def frame_bytes(payload: bytes, opcode: int = _TEXT_FRAME) -> bytes:
    """A whole unmasked frame (RFC 6455 section 5.2)."""
    size = len(payload)
    if size <= _SHORT_MAX:
        return bytes((opcode, size)) + payload
    if size <= _MEDIUM_MAX:
        return bytes((opcode, _LENGTH_16)) + size.to_bytes(2) + payload
    return bytes((opcode, _LENGTH_64)) + size.to_bytes(8) + payload


class Connection:
    """One client's outbox. Written from the loop's thread only."""

    def __init__(
        self,
        account_name: str,
        transport: asyncio.Transport,
        loop: asyncio.AbstractEventLoop,
        faults: StreamFaults | None = None,
    ) -> None:
        self.account_name = account_name
        self.desk: CommandDesk | None = None
        self._transport = transport
        self._loop = loop
        self._faults = faults or StreamFaults()
        self._frames: deque[tuple[bytes, Subscription | None, float]] = deque()
        self._held_back: tuple[bytes, Subscription] | None = None
        self._flushing = False

    def push(self, frame: bytes, subscription: Subscription | None) -> None:
        """Queue a frame; one that may be poisoned is, before it is numbered."""
        if subscription is not None and self._faults.poisons:
            frame = self._poisoned(frame, subscription.channel)
        if subscription is None:
            self._queue(frame, None)
        elif subscription.channel in self._faults.muted:
            self._faults.affected += 1
        elif self._faults.swaps and self._held_back is None:
            self._faults.swaps -= 1
            self._held_back = frame, subscription
        else:
            self._queue(frame, subscription)
            if self._faults.duplicates:
                self._faults.duplicates -= 1
                self._faults.affected += 1
                self._queue(frame, subscription)
            if self._held_back is not None:
                late, self._held_back = self._held_back, None
                self._faults.affected += 1
                self._queue(*late)

    def _poisoned(self, frame: bytes, channel: str) -> bytes:
        for one in self._faults.poisons:
            if one.channel in ("", channel):
                changed = one.use(orjson.loads(frame))
                if changed is not None:
                    self._faults.affected += 1
                    self._faults.poisons[:] = [left for left in self._faults.poisons if left.times > 0]
                    return changed
        return frame

    def _queue(self, frame: bytes, subscription: Subscription | None) -> None:
        if subscription is not None:
            subscription.waiting += 1
        due_s = 0.0
        if self._faults.lag_s and subscription is not None:
            self._faults.affected += 1
            due_s = self._loop.time() + self._faults.lag_s
        self._frames.append((frame_bytes(frame), subscription, due_s))
        self._flush_soon()

    def ping(self) -> None:
        """Send a ping, as the exchange does every ten seconds."""
        self._frames.append((frame_bytes(b"heartbeat", _PING_FRAME), None, 0.0))
        self._flush_soon()

    def overflowed(self, subscription: Subscription) -> None:
        assert self.desk is not None, "a connection has its desk before its first subscription"
        self.desk.drop(subscription)
        subscription.control("error", None, {"code": 25, "msg": ERRORS[25]})
        log.warning("simulator.subscription_overflow", sid=subscription.sid, waiting=subscription.waiting)

    def abort(self) -> None:
        """Cut the line without a closing handshake."""
        self._transport.abort()

    def _flush_soon(self) -> None:
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        if self._transport.is_closing():
            self._frames.clear()
            return
        if self._transport.get_write_buffer_size() > _WRITE_MAX:
            self._loop.call_later(_RETRY_S, self._flush)
            return
        self._flushing = False
        chunks = []
        while self._frames:
            wait_s = self._frames[0][2] - self._loop.time()
            if wait_s > 0:
                self._flushing = True
                self._loop.call_later(wait_s, self._flush)
                break
            frame, subscription, _due_s = self._frames.popleft()
            chunks.append(frame)
            if subscription is not None:
                subscription.waiting -= 1
        self._transport.write(b"".join(chunks))


class StreamHub:
    """The exchange's listener, and the handler of websocket requests."""

    def __init__(
        self,
        exchange: Exchange,
        keys: KeyRing,
        faults: Faults,
        clocks: Sequence[StampClock],
        *,
        ping_every_s: float = PING_S,
        keep_empty_sides: bool = False,
    ) -> None:
        self.board = Switchboard()
        self.connections: set[Connection] = set()
        self._exchange = exchange
        self._keys = keys
        self._faults = faults
        self._clocks = tuple(clocks)
        self._ping_every_s = ping_every_s
        self._keep_empty_sides = keep_empty_sides
        self._dirty: dict[str, SimMarket] = {}

    # -- connections --------------------------------------------------------------------------------------------

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """GET /trade-api/ws/v2: signed like any request; every connection needs a key."""
        if self._faults.refuse_streams:
            dated = {"Date": http_date(self._exchange.now())}
            return web.Response(status=self._faults.refuse_streams, headers=dated)
        found = self._keys.check(request.headers, "GET", request.rel_url.raw_path, self._clocks)
        if isinstance(found, Refusal):
            dated = {"Date": http_date(self._exchange.now())}
            return web.json_response({"error": error_json(found)}, status=found.status, headers=dated)
        socket = web.WebSocketResponse(compress=False, autoping=True, max_msg_size=0)
        await socket.prepare(request)
        transport = request.transport
        if transport is None:
            return socket
        connection = Connection(found, transport, asyncio.get_running_loop(), self._faults.stream)
        desk = CommandDesk(
            self._exchange,
            self.board,
            connection,
            keep_empty_sides=self._keep_empty_sides,
            withholds=self._withholds,
        )
        connection.desk = desk
        self.connections.add(connection)
        asyncio.get_running_loop().call_later(self._ping_every_s, self._beat, connection)
        try:
            async for message in socket:
                if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                    self._exchange.enter()
                    desk.handle(message.data)
        finally:
            desk.close()
            self.connections.discard(connection)
        return socket

    def _beat(self, connection: Connection) -> None:
        """Ping now and again later, until the connection is gone."""
        if connection in self.connections:
            connection.ping()
            asyncio.get_running_loop().call_later(self._ping_every_s, self._beat, connection)

    def drop_connections(self) -> int:
        """Cut every websocket; returns how many."""
        cut = list(self.connections)
        for connection in cut:
            connection.abort()
        return len(cut)

    def skip_seq(self, channel: str, count: int = 1) -> int:
        """Leave out `count` numbers on every subscription of a channel; returns how many subscriptions."""
        subscriptions = self.board.of(channel)
        for subscription in subscriptions:
            subscription.skip += count
        return len(subscriptions)

    def say(self, channel: str, kind: str, msg: bytes) -> int:
        """A numbered data frame that nothing has caused, to every subscription of a channel; returns to how many."""
        subscriptions = list(self.board.of(channel))
        for subscription in subscriptions:
            subscription.send(kind, msg, self._exchange.now() // MILLISECOND)
        return len(subscriptions)

    # -- the exchange's listener --------------------------------------------------------------------------------

    def book_changed(
        self, market: SimMarket, side: Side, price: Price, delta: Count, now_ns: Nanos, cause: SimOrder
    ) -> None:
        if self.board.of("ticker"):
            self._ticker_soon(market)
        subscriptions = self.board.books(market.spec.ticker)
        if subscriptions is None or self._withholds(market.spec.ticker):
            return
        sending_ms = now_ns // MILLISECOND
        owner = cause.account.name if cause.client_order_id else None
        encoded: dict[tuple[bool, bool], bytes] = {}
        for subscription in list(subscriptions):
            key = (subscription.yes_prices, subscription.outbox.account_name == owner)
            msg = encoded.get(key)
            if msg is None:
                client_id = cause.client_order_id if key[1] else None
                msg = encoded[key] = delta_msg(
                    market, side, price, delta, now_ns, yes_prices=key[0], client_id=client_id
                )
            subscription.send("orderbook_delta", msg, sending_ms)

    def _withholds(self, ticker: str) -> bool:
        """Whether this market's next frame is lost on its way, number and all."""
        stream = self._faults.stream
        stream.affected += ticker in stream.withheld
        return ticker in stream.withheld

    def traded(self, market: SimMarket, trade: TradeRecord) -> None:
        self._publish("trade", "trade", trade.ticker, lambda: trade_msg(trade), trade.at_ns)
        if self.board.of("ticker"):
            self._ticker_soon(market)

    def filled(self, fill: FillRecord) -> None:
        order = fill.order
        self._private("fill", "fill", order.account, order.market.spec.ticker, lambda: fill_msg(fill), fill.at_ns)

    def order_changed(self, order: SimOrder, reason: Reason, now_ns: Nanos) -> None:
        ticker = order.market.spec.ticker
        self._private(
            "user_orders", "user_order", order.account, ticker, lambda: user_order_msg(order, reason, now_ns), now_ns
        )

    def position_changed(self, account: Account, market: SimMarket, now_ns: Nanos) -> None:
        ticker = market.spec.ticker
        self._private(
            "market_positions", "market_position", account, ticker, lambda: position_msg(account, market), now_ns
        )

    def market_changed(self, market: SimMarket, event: LifecycleEvent, now_ns: Nanos) -> None:
        kind = "market_lifecycle_v2"
        self._publish(kind, kind, market.spec.ticker, lambda: lifecycle_msg(market, event, now_ns), now_ns)

    def event_created(self, event: EventSpec) -> None:
        now = self._exchange.now()
        self._publish("market_lifecycle_v2", "event_lifecycle", "", lambda: event_msg(event), now)

    def event_fees_changed(self, event_ticker: str, fees: FeeModel | None) -> None:
        now = self._exchange.now()
        self._publish("market_lifecycle_v2", "event_fee_update", "", lambda: event_fee_msg(event_ticker, fees), now)

    def group_changed(self, account: Account, group: OrderGroup, event: GroupEvent, now_ns: Nanos) -> None:
        kind = "order_group_updates"
        self._private(kind, kind, account, "", lambda: group_msg(group, event, now_ns), now_ns)

    def _publish(self, channel: str, kind: str, ticker: str, encode: Callable[[], bytes], now_ns: Nanos) -> None:
        msg: bytes | None = None
        for subscription in list(self.board.of(channel)):
            if subscription.hears(ticker):
                msg = encode() if msg is None else msg
                subscription.send(kind, msg, now_ns // MILLISECOND)

    def _private(
        self, channel: str, kind: str, account: Account, ticker: str, encode: Callable[[], bytes], now_ns: Nanos
    ) -> None:
        subscriptions = self.board.private(channel, account.name, ticker)
        if subscriptions:
            msg = encode()
            for subscription in subscriptions:
                subscription.send(kind, msg, now_ns // MILLISECOND)

    def _ticker_soon(self, market: SimMarket) -> None:
        """Tickers are sent once per turn of the loop, however often the book moved in it."""
        if not self._dirty:
            asyncio.get_running_loop().call_soon(self._send_tickers)
        self._dirty[market.spec.ticker] = market

    def _send_tickers(self) -> None:
        dirty, self._dirty = self._dirty, {}
        now = self._exchange.now()
        for ticker, market in dirty.items():
            self._publish("ticker", "ticker", ticker, partial(ticker_msg, market, now), now)
