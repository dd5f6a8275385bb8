"""What a running daemon serves over HTTP, in its own loop: the page, /metrics, /healthz, /readyz.

This machine alone may ask, unless a token is set: the `Host` of a request must be one of this machine's names, so that
no web page opened in a browser here can ask in another name. A token is wanted for all but /healthz, as `Bearer` or as
the password of `Basic`, which a browser asks for by itself. A port that is taken is said and costs nothing else.
"""

import binascii
import hmac
from base64 import b64decode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import structlog
from aiohttp import web

from kalshi_daemon.operations.metrics import CONTENT_TYPE, exposition, registry_of
from kalshi_daemon.operations.page_files import PageFiles
from kalshi_daemon.operations.page_frames import Frames, FrameStream
from kalshi_daemon.operations.page_switch import PageSwitch
from kalshi_daemon.operations.status import DaemonStatus
from kalshi_daemon.settings.rules import is_loopback, page_address
from kalshi_daemon.settings.service import PageSettings

REQUESTS_MAX: Final = 20
"""At once; more are answered 503."""
_SHUTDOWN_S: Final = 0.5
_HEAD_BYTES_MAX: Final = 8_190
_BODY_BYTES_MAX: Final = 1_024
_UNGUARDED: Final = "/healthz"
"""Asked for by machines that know no token; it says nothing of the account."""
_EVENTS: Final = "/events"
HEADERS: Final = {
    "Content-Security-Policy": "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Of every answer: nothing from elsewhere, nothing inline, in no frame."""

log = structlog.get_logger()

type Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Shown:
    """What is shown of a run."""

    look: Callable[[], DaemonStatus]
    """How it stands."""
    document: Callable[[], dict[str, Any]]
    """The same for programs, with the day: what the page shows."""
    kill_switch: Path
    """The switch's file."""


class Page:
    """The answers."""

    def __init__(self, shown: Shown, token: str) -> None:
        self._look = shown.look
        self._token = token.encode()
        self._registry = registry_of(shown.look)
        self._open = 0
        self._files = PageFiles()
        self._switch = PageSwitch(shown.kill_switch)
        self.stream = FrameStream(Frames(shown.document))

    def application(self) -> web.Application:
        """Routes behind one gate."""
        made = web.Application(middlewares=[self._gate], client_max_size=_BODY_BYTES_MAX)
        made.on_response_prepare.append(_add_headers)
        made.router.add_get("/", self._files.index)
        made.router.add_get("/page/{name:.+}", self._files.file)
        made.router.add_get(_EVENTS, self.stream.answer)
        made.router.add_post("/kill", self._switch.kill)
        made.router.add_post("/unkill", self._switch.unkill)
        made.router.add_get("/metrics", self._metrics)
        made.router.add_get("/healthz", self._healthz)
        made.router.add_get("/readyz", self._readyz)
        return made

    @web.middleware
    async def _gate(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        if request.path == _EVENTS:  # stays open for as long as somebody looks; the stream counts its readers
            return await handler(request)
        self._open += 1
        try:
            return await handler(request)
        except web.HTTPException:
            raise
        except Exception as problem:
            log.exception("page.failed", path=request.path, error=type(problem).__name__)
            return web.Response(status=500, text="failed; see the log\n")
        finally:
            self._open -= 1

    def _refusal(self, request: web.Request) -> web.Response | None:
        if self._open >= REQUESTS_MAX:
            return web.Response(status=503, text="too many at once\n")
        if self._token:
            if request.path != _UNGUARDED and not hmac.compare_digest(token_in(request), self._token):
                headers = {"WWW-Authenticate": 'Basic realm="kalshi-daemon: any name, the token", charset="UTF-8"'}
                return web.Response(status=401, text="wanted: Authorization: Bearer TOKEN\n", headers=headers)
        elif not is_loopback(_host_name(request.headers.get("Host", ""))):
            return web.Response(status=403, text="asked for by a name that is not this machine's\n")
        if (
            request.headers.get("Sec-Fetch-Site") == "cross-site"
            and request.headers.get("Sec-Fetch-Mode") != "navigate"
        ):
            return web.Response(status=403, text="asked for by another page\n")
        return None

    async def _metrics(self, _request: web.Request) -> web.Response:
        return web.Response(body=exposition(self._registry), headers={"Content-Type": CONTENT_TYPE})

    async def _healthz(self, _request: web.Request) -> web.Response:
        """200 while the decision loop turns."""
        status = self._look()
        age_ms = status.facts.progress_age_ms
        said = "never" if age_ms is None else f"{age_ms} ms ago"
        return web.Response(status=200 if status.progressing else 503, text=f"last turn {said}\n")

    async def _readyz(self, _request: web.Request) -> web.Response:
        """200 while books agree and it is not shutting down."""
        status = self._look()
        fine = status.facts.ready and status.reconciled and not status.stopping
        problem = status.stopping or status.reconciled_problem or "starting"
        return web.Response(status=200 if fine else 503, text="ready\n" if fine else f"{problem}\n")


async def _add_headers(_request: web.Request, answer: web.StreamResponse) -> None:
    for name, value in HEADERS.items():
        answer.headers[name] = value
    answer.headers.setdefault("Cache-Control", "no-store")


def token_in(request: web.Request) -> bytes:
    """The token that a request carries: a bearer's, or the password of a browser's; empty when there is none."""
    kind, _, said = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return said.strip().encode("utf-8", "replace")
    if kind.lower() != "basic":
        return b""
    try:
        return b64decode(said.encode("ascii"), validate=True).partition(b":")[2]
    except (UnicodeEncodeError, binascii.Error):
        return b""


def _host_name(host: str) -> str:
    """The name in a Host header, without its port and brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


@asynccontextmanager
async def serve_page(settings: PageSettings, shown: Shown) -> AsyncIterator[str]:
    """Serve for as long as the context lasts; yields the address, "" when nothing is served."""
    address = page_address(settings.bind)
    if address is None:
        yield ""
        return
    try:
        page = Page(shown, settings.token.get_secret_value())
    except OSError as problem:
        log.warning("page.not_served", bind=settings.bind, problem=f"its files cannot be read: {problem.strerror}")
        yield ""
        return
    runner = web.AppRunner(
        page.application(),
        access_log=None,
        handle_signals=False,
        shutdown_timeout=_SHUTDOWN_S,
        keepalive_timeout=15.0,
        max_line_size=_HEAD_BYTES_MAX,
        max_field_size=_HEAD_BYTES_MAX,
    )
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, *address, reuse_address=True).start()
        except OSError as problem:
            log.warning("page.not_served", bind=settings.bind, problem=problem.strerror or str(problem))
            yield ""
            return
        host, port = runner.addresses[0][:2]
        served = f"http://{f'[{host}]' if ':' in host else host}:{port}/"
        log.info("page.served", url=served)
        yield served
    finally:
        page.stream.end()
        await runner.cleanup()
