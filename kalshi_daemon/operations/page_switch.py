"""Kill and unkill as the page asks for them: the kill switch's file, written as the commands of these names do.

Only a page of ours may ask. A browser tells where a request comes from (`Origin`): that must be the host that was
asked. The body is JSON, which no form of another page can send, and holds the word that a person typed.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import structlog
from aiohttp import web

from kalshi_daemon.ground.clock import SystemClock
from kalshi_daemon.ground.errors import ConfigurationError, MalformedField
from kalshi_daemon.ground.readers import parse_json
from kalshi_daemon.operations.kill_switch import engage, release

KILL: Final = "kill"
UNKILL: Final = "unkill"
_REASON: Final = "from the page"

log = structlog.get_logger()


class PageSwitch:
    """`path` is the kill switch's file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def kill(self, request: web.Request) -> web.Response:
        """Engage it: the daemon cancels everything and sends nothing new."""
        return await self._turn(request, KILL, partial(engage, self._path, _REASON, SystemClock().now_ns()))

    async def unkill(self, request: web.Request) -> web.Response:
        """Release it."""
        return await self._turn(request, UNKILL, partial(release, self._path))

    async def _turn(self, request: web.Request, word: str, work: Callable[[], object]) -> web.Response:
        refusal = refusal_of(request)
        if refusal is not None:
            return refusal
        if (await _body(request)).get("word") != word:
            return web.Response(status=400, text=f"wanted: the word {word}\n")
        try:
            await asyncio.to_thread(work)  # it waits for the disk
        except ConfigurationError as problem:
            log.warning("page.switch_failed", word=word, problem=str(problem))
            return web.Response(status=500, text=f"{problem}\n")
        log.warning("page.switch_turned", word=word, peer=request.remote or "")
        return web.json_response({"engaged": word == KILL})


def refusal_of(request: web.Request) -> web.Response | None:
    """Why a request that changes something is not taken; None when it is one of our own page."""
    if request.content_type != "application/json":
        return web.Response(status=415, text="wanted: application/json\n")
    try:
        host = urlsplit(request.headers.get("Origin", "")).netloc
    except ValueError:
        host = ""
    if not host or host.lower() != request.headers.get("Host", "").lower():
        return web.Response(status=403, text="asked for by another page than this one\n")
    if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
        return web.Response(status=403, text="asked for by another page than this one\n")
    return None


async def _body(request: web.Request) -> dict[str, Any]:
    """The JSON object that was sent; empty when it is none."""
    try:
        found = parse_json((await request.read()).decode("utf-8", "replace"), "body")
    except MalformedField:
        return {}
    return found if isinstance(found, dict) else {}
