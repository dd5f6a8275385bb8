"""How the run stands, once a second, for all readers of the page's event stream: written once, whoever reads.

A frame is the document in two forms: whole, for who has none, and what changed since the frame before, for who has
that. Nothing is kept for a reader but the number of the frame it has: one that takes a frame too slowly is given the
newest whole one next, whatever it missed, and one that takes none for WRITE_WITHIN_S is let go.
"""

import asyncio
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final

import orjson
import structlog
from aiohttp import web

EVERY_S: Final = 1.0
"""Real seconds between two frames."""
READERS_MAX: Final = 32
WRITE_WITHIN_S: Final = 10.0
"""Real time in which a reader takes a frame, before it is let go."""
BUFFER_BYTES_MAX: Final = 256 * 1024
"""Held for one reader by us, and about as much again by the kernel."""
_HEADERS: Final = {"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
_RETRY: Final = b"retry: 2000\n\n"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Frame:
    """One instant, as it goes over the wire. Numbers rise by one."""

    number: int
    whole: bytes
    changed: bytes

    def after(self, number: int) -> bytes:
        """What a reader is sent that has the frame of this number."""
        return self.changed if number == self.number - 1 else self.whole


class Frames:
    """Makes a frame when somebody asks and the last is older than EVERY_S; without readers it costs nothing."""

    def __init__(self, document: Callable[[], Mapping[str, Any]], now_s: Callable[[], float] = monotonic) -> None:
        self._document = document
        self._now_s = now_s
        self._parts: dict[str, bytes] = {}
        self._last: Frame | None = None
        self._made_s = 0.0
        self._problem = ""

    def current(self) -> Frame:
        """The frame of this second. Never raises: what cannot be made is said in its place."""
        now_s = self._now_s()
        if self._last is None or now_s - self._made_s >= EVERY_S:
            self._last, self._made_s = self._make(0 if self._last is None else self._last.number + 1), now_s
        return self._last

    @property
    def next_in_s(self) -> float:
        """Real seconds until there is another."""
        return max(0.0, self._made_s + EVERY_S - self._now_s())

    def _make(self, number: int) -> Frame:
        try:
            found = {name: orjson.dumps(value, default=str) for name, value in self._document().items()}
        except Exception as problem:
            said = type(problem).__name__
            if said != self._problem:
                log.exception("page.failed", path="/events", error=said)
            self._problem, self._parts = said, {}
            failed = _event(b"failed", number, {"error": orjson.dumps(said)})
            return Frame(number, failed, failed)
        self._problem = ""
        whole = _event(b"whole", number, found)
        changed = {name: part for name, part in found.items() if self._parts.get(name) != part}
        after_problem = not self._parts
        self._parts = found
        return Frame(number, whole, whole if after_problem else _event(b"changed", number, changed))


def _event(kind: bytes, number: int, parts: Mapping[str, bytes]) -> bytes:
    data = b",".join(orjson.dumps(name) + b":" + part for name, part in parts.items())
    return b"event: %b\nid: %d\ndata: {%b}\n\n" % (kind, number, data)


class FrameStream:
    """The readers. `end` lets all of them go at once."""

    def __init__(self, frames: Frames) -> None:
        self._frames = frames
        self._ended = asyncio.Event()
        self.readers = 0

    def end(self) -> None:
        """The run is over."""
        self._ended.set()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Send frames until the reader goes, stalls, or the run ends; 503 for one too many."""
        if self.readers >= READERS_MAX:
            return web.Response(status=503, text="too many readers\n", headers={"Retry-After": "10"})
        self.readers += 1
        response = web.StreamResponse(headers=_HEADERS)
        try:
            _bound(request)
            await response.prepare(request)
            await self._feed(response)
        except TimeoutError:
            log.info("page.reader_lost", waited_s=WRITE_WITHIN_S)
            if request.transport is not None:
                request.transport.abort()
        except ConnectionError:
            pass  # gone: nothing to say
        finally:
            self.readers -= 1
        return response

    async def _feed(self, response: web.StreamResponse) -> None:
        has: int | None = None
        await response.write(_RETRY)
        while not self._ended.is_set():
            frame = self._frames.current()
            async with asyncio.timeout(WRITE_WITHIN_S):
                await response.write(frame.whole if has is None else frame.after(has))
            has = frame.number
            with suppress(TimeoutError):
                async with asyncio.timeout(self._frames.next_in_s + 0.001):
                    await self._ended.wait()


def _bound(request: web.Request) -> None:
    """What waits for this reader stays within BUFFER_BYTES_MAX here, and about as much in the kernel."""
    transport = request.transport
    if not isinstance(transport, asyncio.Transport):
        return
    transport.set_write_buffer_limits(high=BUFFER_BYTES_MAX // 4)
    found = transport.get_extra_info("socket")
    if found is not None:
        with suppress(OSError):
            found.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES_MAX // 2)
