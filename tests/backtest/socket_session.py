"""The same session with real sockets on loopback: time stands while anything is on the wire."""

import asyncio
import contextlib
import selectors
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from kalshi_daemon.app.clients import Endpoints
from kalshi_daemon.backtest.session import Played, Session, SessionPlan
from kalshi_daemon.backtest.virtual_time import VirtualTime
from kalshi_daemon.ground.clock import ManualClock
from kalshi_daemon.ground.units import SECOND, Nanos
from kalshi_daemon.kalshi.auth import generate_ed25519_pem, signer_from_pem
from kalshi_daemon.simulator.exchange.sim_server import ServerOptions, SimServer
from kalshi_daemon.simulator.latency import Delays
from kalshi_daemon.simulator.world import API_ACCOUNT, World, WorldPlan, start_of

KEY_ID = "key"
FEED_KEY = "backtest"
"""What a session in process gives the feed for a key."""


class WireFirst(selectors.DefaultSelector):
    """Time goes on once nothing is on the wire. On loopback what was written is there to be read at once."""

    def __init__(self, loop: "SocketLoop") -> None:
        super().__init__()
        self.loop = loop

    def select(self, timeout: float | None = None) -> Any:
        found = super().select(0)
        if not found and (timeout is None or timeout > 0):
            self.loop.jump(timeout)
        return found


class SocketLoop(VirtualTime, asyncio.SelectorEventLoop):
    """Virtual time, real sockets."""

    def __init__(self, start_ns: Any) -> None:
        VirtualTime.__init__(self, start_ns)
        asyncio.SelectorEventLoop.__init__(self, WireFirst(self))


class Late:
    """A websocket whose frames are handed on after their delay, in order; what it is asked to send likewise."""

    def __init__(self, inner: Any, clock: ManualClock, delay: Callable[[], Nanos]) -> None:
        self.inner = inner
        self._clock = clock
        self._delay = delay
        self._here: asyncio.Queue[tuple[int, Any]] = asyncio.Queue()

    async def pump(self) -> None:
        """Note when each frame came; the end of the connection is told in its turn."""
        while True:
            try:
                frame: Any = await self.inner.recv(decode=False)
            except ConnectionClosed as problem:
                frame = problem
            self._here.put_nowait((self._clock.now_ns() + self._delay(), frame))
            if isinstance(frame, ConnectionClosed):
                return

    async def recv(self, decode: bool | None = None) -> Any:
        due, frame = await self._here.get()
        await self._clock.sleep_until(Nanos(due))
        if isinstance(frame, ConnectionClosed):
            raise frame
        return frame

    async def send(self, message: Any, text: bool | None = None) -> None:
        def now() -> None:
            asyncio.get_running_loop().create_task(self.inner.send(message, text=text))

        asyncio.get_running_loop().call_later(self._delay() / SECOND, now)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class LateDial:
    """Dials as the client would."""

    def __init__(self, dial: Callable[..., Any], clock: ManualClock, delay: Callable[[], Nanos]) -> None:
        self._dial = dial
        self._late = clock, delay

    @contextlib.asynccontextmanager
    async def __call__(self, *args: Any, **options: Any) -> AsyncIterator[Late]:
        async with self._dial(*args, **options) as inner:
            late = Late(inner, *self._late)
            pump = asyncio.get_running_loop().create_task(late.pump())
            try:
                yield late
            finally:
                pump.cancel()


class LateHttp:
    """An aiohttp session whose requests and answers take their time."""

    def __init__(self, inner: aiohttp.ClientSession, clock: ManualClock, delay: Callable[[str], Nanos]) -> None:
        self._inner = inner
        self._clock = clock
        self._delay = delay

    @property
    def closed(self) -> bool:
        return self._inner.closed

    @contextlib.asynccontextmanager
    async def request(self, *args: Any, **options: Any) -> AsyncIterator[Any]:
        await self._clock.sleep(self._delay(args[0]))
        async with self._inner.request(*args, **options) as response:
            await self._clock.sleep(self._delay(args[0]))
            yield response


class SocketWires:
    """Servers of the simulator on loopback, the daemon's own clients at the other end."""

    events = 0

    def __init__(self, where: Endpoints, http: aiohttp.ClientSession, clock: ManualClock, delays: Delays) -> None:
        self.where = where
        self.http = LateHttp(http, clock, delays.request_ns)
        self.stream = LateDial(connect, clock, delays.stream_ns)
        self.feed = LateDial(connect, clock, delays.feed_ns)


def play_over_sockets(plan: SessionPlan, folder: Path) -> Played:
    assert isinstance(plan.world, WorldPlan), "recorded books are played in process alone"
    loop = SocketLoop(start_of(plan.world))
    try:
        return loop.run_until_complete(_play(plan, loop, folder))
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


async def _play(plan: SessionPlan, loop: SocketLoop, folder: Path) -> Played:
    assert isinstance(plan.world, WorldPlan)
    world = World(plan.world, loop.clock)
    server = SimServer(world.exchange, loop.clock, ServerOptions())
    pem = generate_ed25519_pem()
    signer = signer_from_pem(pem, KEY_ID)
    server.register_key(KEY_ID, signer.public_pem, API_ACCOUNT)
    urls = await server.start(0)
    feed_url = await world.feed.start(0)
    try:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(family=socket.AF_INET)) as http:
            wires = SocketWires(
                Endpoints(urls.rest_url, urls.ws_url, feed_url, signer),
                http,
                loop.clock,
                Delays(plan.latency, plan.world.seed),
            )
            return await Session(plan, world, wires, loop.clock, folder).run(None)
    finally:
        await server.aclose()
        await world.feed.aclose()
