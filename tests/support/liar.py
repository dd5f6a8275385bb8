"""A man in the middle on loopback: passes everything between a daemon and the simulator on, except what it changes.

It serves the simulator's `/hello` with its own addresses in it, so that `run --connect {liar.url}` goes through it.
Answers of the exchange can be edited, and frames of exchange and feed can be slipped in between the real ones.
"""

import asyncio
import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import aiohttp
from aiohttp import web

from tests.support.processes import Simulator

Json = dict[str, Any]
Edit = Callable[[str, Json], Json]
_HOP_BY_HOP = {"host", "content-length", "transfer-encoding", "connection", "content-encoding"}


def _truth(_path: str, body: Json) -> Json:
    return body


class Liar:
    """`edit(path, body)` sees every JSON answer of the exchange; paths start behind /trade-api/v2."""

    def __init__(self, sim: Simulator, edit: Edit) -> None:
        self._sim = sim
        self._edit = edit
        self._sockets: dict[str, set[web.WebSocketResponse]] = {"feed": set(), "exchange": set()}
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self.host = ""
        self.thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    def say(self, whom: str, text: str) -> int:
        """Send a frame to every client of `feed` or `exchange` as if it came from there; returns to how many."""
        assert self._loop is not None

        async def there() -> int:
            sockets = tuple(self._sockets[whom])
            for socket in sockets:
                await socket.send_str(text)
            return len(sockets)

        return asyncio.run_coroutine_threadsafe(there(), self._loop).result(10)

    def start(self) -> None:
        self.thread.start()
        assert self._ready.wait(10), "the liar did not start"

    def stop(self) -> None:
        if self._loop is not None and self._stop is not None and self.thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self.thread.join(10)

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        app = web.Application(client_max_size=16 * 1024 * 1024)
        app.router.add_get("/hello", self._hello)
        app.router.add_get("/indices", self._feed)
        app.router.add_get("/trade-api/ws/v2", self._stream)
        app.router.add_route("*", "/trade-api/v2/{rest:.*}", self._forward)
        async with aiohttp.ClientSession(auto_decompress=True) as self._client:
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self.host = f"127.0.0.1:{runner.addresses[0][1]}"
            self._ready.set()
            await self._stop.wait()
            await runner.cleanup()

    async def _hello(self, _request: web.Request) -> web.Response:
        async with self._client.get(f"{self._sim.admin_url}/hello") as answer:
            hello = await answer.json()
        return web.json_response(
            hello
            | {
                "rest_url": f"{self.url}/trade-api/v2",
                "ws_url": f"ws://{self.host}/trade-api/ws/v2",
                "feed_url": f"ws://{self.host}/indices",
            }
        )

    async def _forward(self, request: web.Request) -> web.StreamResponse:
        target = self._sim.ready["rest_url"].removesuffix("/trade-api/v2") + request.raw_path
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP_BY_HOP}
        body = await request.read()
        async with self._client.request(request.method, target, headers=headers, data=body) as answer:
            raw = await answer.read()
            if raw and "json" in answer.content_type:
                raw = json.dumps(self._edit(request.path.removeprefix("/trade-api/v2"), json.loads(raw))).encode()
            kept = {name: value for name, value in answer.headers.items() if name.lower() not in _HOP_BY_HOP}
            return web.Response(status=answer.status, body=raw, headers=kept)

    async def _feed(self, request: web.Request) -> web.StreamResponse:
        return await self._pass("feed", request, self._sim.ready["feed_url"], {})

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        signed = {name: value for name, value in request.headers.items() if name.upper().startswith("KALSHI-")}
        return await self._pass("exchange", request, self._sim.ready["ws_url"], signed)

    async def _pass(self, whom: str, request: web.Request, url: str, headers: dict[str, str]) -> web.StreamResponse:
        async with self._client.ws_connect(url, headers=headers, max_msg_size=0) as there:
            here = web.WebSocketResponse(max_msg_size=0, timeout=0.5)
            await here.prepare(request)
            self._sockets[whom].add(here)
            try:
                async with asyncio.TaskGroup() as group:
                    down = group.create_task(_pump(there, here))
                    await _pump(here, there)
                    down.cancel()
            finally:
                self._sockets[whom].discard(here)
        return here


async def _pump(
    source: aiohttp.ClientWebSocketResponse | web.WebSocketResponse,
    sink: aiohttp.ClientWebSocketResponse | web.WebSocketResponse,
) -> None:
    async for message in source:
        if message.type is aiohttp.WSMsgType.TEXT:
            await sink.send_str(message.data)
        elif message.type is aiohttp.WSMsgType.BINARY:
            await sink.send_bytes(message.data)
    with contextlib.suppress(ConnectionError):
        await sink.close()


@contextlib.contextmanager
def liar(sim: Simulator, edit: Edit = _truth) -> Iterator[Liar]:
    found = Liar(sim, edit)
    found.start()
    try:
        yield found
    finally:
        found.stop()
