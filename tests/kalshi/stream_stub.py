"""A tiny websocket exchange: answers commands as documented unless a test says otherwise."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus
from random import Random

import orjson
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from kalshi_daemon.domain.events import VenueEvent
from kalshi_daemon.ground.clock import Clock, SystemClock
from kalshi_daemon.ground.units import MILLISECOND
from kalshi_daemon.kalshi.stream import KalshiStream, StreamSink
from kalshi_daemon.settings.model import KalshiSettings
from tests.kalshi.rest_stub import SIGNER
from tests.kalshi.verifier import Verifier

PATH = "/trade-api/ws/v2"
BOOK_SID = 50


@dataclass(slots=True)
class Peer:
    """One connection as the server sees it."""

    socket: ServerConnection
    commands: list[dict] = field(default_factory=list)
    seq: int = 0
    listed: list[str] = field(default_factory=list)

    async def say(self, frame: dict | bytes) -> None:
        await self.socket.send(frame if isinstance(frame, bytes) else orjson.dumps(frame), text=True)

    async def book(self, kind: str, msg: dict, **envelope: object) -> None:
        self.seq += 1
        await self.say({"type": kind, "sid": BOOK_SID, "seq": self.seq, "msg": msg, **envelope})

    async def snapshot(self, ticker: str) -> None:
        await self.book("orderbook_snapshot", {"market_ticker": ticker, "yes_dollars_fp": [["0.4000", "1.00"]]})

    async def delta(self, ticker: str) -> None:
        msg = {"market_ticker": ticker, "price_dollars": "0.4000", "delta_fp": "1.00", "side": "yes"}
        await self.book("orderbook_delta", msg)

    async def answer(self, command: dict) -> None:
        """What a healthy venue says to a command."""
        params, number = command["params"], command["id"]
        if command["cmd"] == "subscribe":
            books = params["channels"] == ["orderbook_delta"]
            for sid, channel in enumerate(params["channels"], start=BOOK_SID if books else 1):
                await self.say({"id": number, "type": "subscribed", "msg": {"channel": channel, "sid": sid}})
            fresh = params["market_tickers"] if books else []
            self.listed = [*self.listed, *fresh]
        elif command["cmd"] == "unsubscribe":
            self.listed, fresh = [], []
            await self.book("unsubscribed", {}, id=number)
        elif params["action"] == "get_snapshot":
            fresh = params["market_tickers"]
        else:
            fresh = params["market_tickers"] if params["action"] == "add_markets" else []
            self.listed = [t for t in self.listed if t not in params["market_tickers"]] + fresh
            await self.book("ok", {"market_tickers": self.listed}, id=number)
        for ticker in fresh:
            await self.snapshot(ticker)


@dataclass(slots=True)
class Venue:
    """The server, the client under test, and what the client's sink heard."""

    stream: KalshiStream
    events: list[VenueEvent] = field(default_factory=list)
    peers: list[Peer] = field(default_factory=list)
    handshakes: list[str | None] = field(default_factory=list)
    refuse: int = 0
    """Answer so many handshakes with 401."""
    ahead_s: float = 0.0
    """How far the venue's clock, which its `Date` shows, is ahead of the client's."""
    deaf: bool = False
    """Read commands and say nothing."""

    def kinds(self) -> list[str]:
        return [type(event).__name__ for event in self.events]


@asynccontextmanager
async def venue(
    *, clock: Clock | None = None, deaf: bool = False, refuse: int = 0, ahead_s: float = 0.0
) -> AsyncIterator[Venue]:
    """Serve on a free loopback port and build a stream client for it; the test runs the client."""
    box: list[Venue] = []

    async def serve_one(socket: ServerConnection) -> None:
        peer = Peer(socket)
        box[0].peers.append(peer)
        with suppress(ConnectionClosed):
            async for raw in socket:
                command = orjson.loads(raw)
                peer.commands.append(command)
                if not box[0].deaf:
                    await peer.answer(command)

    def check(socket: ServerConnection, request: Request) -> Response | None:
        now_ms = (clock or SystemClock()).now_ns() // MILLISECOND
        verifier = Verifier(SIGNER.public_pem, "key-1", tolerance_ms=5_000)
        box[0].handshakes.append(verifier.problem(dict(request.headers.raw_items()), "GET", request.path, now_ms))
        if box[0].refuse:
            box[0].refuse -= 1
            response = socket.respond(HTTPStatus.UNAUTHORIZED, '{"error":{"code":"unauthorized","message":"no"}}')
            del response.headers["Date"]
            response.headers["Date"] = formatdate(now_ms / 1_000 + box[0].ahead_s, usegmt=True)
            return response
        return None

    async with serve(serve_one, "127.0.0.1", 0, process_request=check, ping_interval=None) as server:
        port = server.sockets[0].getsockname()[1]
        heard: list[VenueEvent] = []
        stream = KalshiStream(
            f"ws://127.0.0.1:{port}{PATH}",
            SIGNER,
            clock or SystemClock(),
            KalshiSettings(),
            StreamSink(heard.append),
            rng=Random(7),
        )
        box.append(Venue(stream, heard, deaf=deaf, refuse=refuse, ahead_s=ahead_s))
        yield box[0]


@asynccontextmanager
async def running(stream: KalshiStream) -> AsyncIterator[asyncio.Task]:
    """Run the client for the length of the block."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(stream.run())
        try:
            yield task
        finally:
            task.cancel()


async def eventually(ready: Callable[[], bool]) -> None:
    """Wait, in real time and bounded, for what the network brings about."""
    async with asyncio.timeout(10):
        while not ready():  # noqa: ASYNC110 - the other side is a socket, not ours to signal
            await asyncio.sleep(0.002)
