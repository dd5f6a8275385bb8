"""A tiny exchange for one test: routes answered by plain functions, every request kept."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
import orjson
from aiohttp import web

from kalshi_daemon.ground.clock import Clock, SystemClock
from kalshi_daemon.kalshi.auth import Signer, generate_ed25519_pem, signer_from_pem
from kalshi_daemon.kalshi.rest import KalshiRest
from kalshi_daemon.kalshi.transport import open_session
from kalshi_daemon.settings.model import KalshiSettings

SIGNER = signer_from_pem(generate_ed25519_pem(), "key-1")
ROOT = "/trade-api/v2"

type Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(slots=True)
class Seen:
    """One request as it arrived."""

    method: str
    path_qs: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self):
        return orjson.loads(self.body)


@dataclass(slots=True)
class Stub:
    """The server's side: what it was asked, and the client that asks."""

    client: KalshiRest
    seen: list[Seen] = field(default_factory=list)
    url: str = ""

    @property
    def targets(self) -> list[str]:
        return [f"{seen.method} {seen.path_qs.removeprefix(ROOT)}" for seen in self.seen]


def reply(value: object, status: int = 200, **headers: str) -> web.Response:
    return web.Response(body=orjson.dumps(value), status=status, headers=headers, content_type="application/json")


@asynccontextmanager
async def exchange(
    handler: Handler,
    *,
    settings: KalshiSettings | None = None,
    clock: Clock | None = None,
    signer: Signer | None = SIGNER,
    **options,
) -> AsyncIterator[Stub]:
    """Serve `handler` for every path on a free loopback port, with a KalshiRest pointed at it."""
    seen: list[Seen] = []

    async def keep(request: web.Request) -> web.StreamResponse:
        seen.append(Seen(request.method, request.path_qs, dict(request.headers), await request.read()))
        return await handler(request)

    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", keep)
    runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]  # the server runs
    url = f"http://127.0.0.1:{port}{ROOT}"
    session = open_session()
    client = KalshiRest(url, signer, clock or SystemClock(), settings or KalshiSettings(), session=session, **options)
    try:
        yield Stub(client, seen, url)
    finally:
        await session.close()
        await runner.cleanup()


async def until(ready: Callable[[], bool], turns: int = 20_000) -> None:
    """Let the loop run until `ready`; fails after so many turns instead of hanging."""
    for _ in range(turns):
        if ready():
            return
        await asyncio.sleep(0)
    raise AssertionError("did not happen")


def hang_up(request: web.Request) -> web.Response:
    """Close the connection without an answer."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


def connector_of(session: aiohttp.ClientSession) -> aiohttp.TCPConnector:
    assert isinstance(session.connector, aiohttp.TCPConnector)
    return session.connector
