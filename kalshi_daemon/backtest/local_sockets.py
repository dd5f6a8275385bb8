"""Websockets without sockets: frames that arrive after their delay, in order, and what the other side answers."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

import orjson

from kalshi_daemon.domain.index import Channel
from kalshi_daemon.ground.clock import ManualClock
from kalshi_daemon.ground.units import SECOND, Nanos
from kalshi_daemon.simulator.exchange.exchange import Exchange
from kalshi_daemon.simulator.exchange.ws_commands import CommandDesk
from kalshi_daemon.simulator.exchange.ws_server import StreamHub
from kalshi_daemon.simulator.exchange.ws_subscriptions import ERRORS, Subscription
from kalshi_daemon.simulator.feed.feed_server import events_at, first_due
from kalshi_daemon.simulator.feed.index_path import Paths

_CHANNELS: Final = {channel.value for channel in Channel}


class LocalSocket:
    """The client's end: the part of a websockets connection that our clients use."""

    def __init__(self, clock: ManualClock, delay: Callable[[], Nanos], obey: Callable[[str | bytes], None]) -> None:
        self._clock = clock
        self._delay = delay
        self._obey = obey
        self._frames: deque[tuple[int, bytes]] = deque()
        self._last_due = 0
        self._waiter: asyncio.Future[None] | None = None
        self.on_bytes: Callable[[], None] | None = None

    def push(self, frame: bytes) -> None:
        """The other side sends: it arrives after its delay, never before one that was sent earlier."""
        self._last_due = max(self._last_due, self._clock.now_ns() + self._delay())
        self._frames.append((self._last_due, frame))
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def recv(self, decode: bool | None = None) -> bytes:  # noqa: ARG002, FBT001 - websockets' signature
        """The next frame, once it is here."""
        while not self._frames:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        due, frame = self._frames[0]
        await self._clock.sleep_until(Nanos(due))
        self._frames.popleft()
        if self.on_bytes is not None:
            self.on_bytes()
        return frame

    async def send(self, message: str | bytes, text: bool | None = None) -> None:  # noqa: ARG002, FBT001 - as above
        """Obeyed after its delay."""
        later = asyncio.get_running_loop()
        later.call_later(self._delay() / SECOND, self._obey, message)

    async def ping(self) -> asyncio.Future[float]:
        """A pong that is here already."""
        pong: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        pong.set_result(0.0)
        return pong


class Dial:
    """`async with dial(url) as socket`, for whatever `opened` makes."""

    def __init__(self, opened: Callable[[], LocalSocket]) -> None:
        self._opened = opened

    def __call__(self, _url: str, **_options: object) -> "Dial":
        return self

    async def __aenter__(self) -> LocalSocket:
        return self._opened()

    async def __aexit__(self, *_problem: object) -> None:
        return None


class StreamSide:
    """The exchange's end of its stream: an outbox like that of a connection, without its wire."""

    def __init__(self, exchange: Exchange, hub: StreamHub, account_name: str, clock: ManualClock) -> None:
        self._exchange = exchange
        self._hub = hub
        self._clock = clock
        self.account_name = account_name
        self._desk: CommandDesk | None = None
        self._socket: LocalSocket | None = None
        self.sent = 0
        """Frames."""

    def opened(self, delay: Callable[[], Nanos]) -> LocalSocket:
        """A new connection; the one before is gone."""
        if self._desk is not None:
            self._desk.close()
        self._desk = CommandDesk(self._exchange, self._hub.board, self, keep_empty_sides=False)
        self._socket = LocalSocket(self._clock, delay, self._obey)
        return self._socket

    def push(self, frame: bytes, _subscription: Subscription | None) -> None:
        if self._socket is not None:
            self.sent += 1
            self._socket.push(frame)

    def overflowed(self, subscription: Subscription) -> None:
        """Cannot be: nothing waits here that is counted against a subscription."""
        raise AssertionError(ERRORS[25], subscription.sid)

    def _obey(self, message: str | bytes) -> None:
        self._exchange.enter()
        if self._desk is not None:
            self._desk.handle(message)


class FeedSide:
    """The vendor's end of the index feed: it greets, lets everybody in, acknowledges, and publishes every second."""

    def __init__(self, paths: Paths, clock: ManualClock) -> None:
        self._paths = paths
        self._clock = clock
        self._topics: set[str] = set()
        self._socket: LocalSocket | None = None
        self._next_ns = first_due(paths, clock.now_ns())
        self._last_ns = max(path.last_ns for path in paths.values())
        self.sent = 0
        """Frames."""

    def opened(self, delay: Callable[[], Nanos]) -> LocalSocket:
        """A new session: nothing is subscribed yet."""
        self._topics.clear()
        self._socket = LocalSocket(self._clock, delay, self._obey)
        self._say({"status": "connected", "message": "Connected Successfully"})
        return self._socket

    def publish(self, now_ns: Nanos) -> None:
        """Send what is due up to `now_ns`; nothing is sent twice, nothing is kept for later."""
        while self._next_ns <= min(now_ns, self._last_ns):
            second, self._next_ns = self._next_ns, Nanos(self._next_ns + SECOND)
            if self._socket is None or not self._topics:
                continue
            events = events_at(self._paths, second)
            wanted = [body for channel, index, body in events if f"{channel}.{index.feed_ticker}" in self._topics]
            if wanted:
                self.sent += 1
                self._socket.push(orjson.dumps(wanted))

    def _obey(self, message: str | bytes) -> None:
        command = orjson.loads(message)
        if command["action"] == "auth":
            self._say({"status": "auth_success", "message": "authenticated"})
            return
        topics = [topic for topic in command["params"].split(",") if topic.partition(".")[0] in _CHANNELS]
        self._topics.update(topics)
        self._say(*({"status": "success", "message": f"subscribed to: {topic}"} for topic in topics))

    def _say(self, *items: dict[str, str]) -> None:
        if self._socket is not None:
            self._socket.push(orjson.dumps([{"ev": "status", **item} for item in items]))
