"""What a running daemon serves over HTTP, in its own loop: /metrics, /healthz, /readyz.

This machine alone may ask, unless a token is set: the `Host` of a request must be one of this machine's names, so that
no web page opened in a browser here can ask in another name. A port that is taken is said and costs nothing else.
"""

import hmac
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

import structlog
from aiohttp import web

from kalshi_daemon.operations.metrics import CONTENT_TYPE, exposition, registry_of
from kalshi_daemon.operations.status import DaemonStatus
from kalshi_daemon.settings.rules import is_loopback, page_address
from kalshi_daemon.settings.service import PageSettings

REQUESTS_MAX: Final = 20
"""At once; more are answered 503."""
_SHUTDOWN_S: Final = 0.5
_HEAD_BYTES_MAX: Final = 8_190

log = structlog.get_logger()

type Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Page:
    """The answers. `look` says how the run stands."""

    def __init__(self, look: Callable[[], DaemonStatus], token: str) -> None:
        self._look = look
        self._token = token
        self._registry = registry_of(look)
        self._open = 0

    def application(self) -> web.Application:
        """Routes behind one gate."""
        made = web.Application(middlewares=[self._gate], client_max_size=1024)
        made.router.add_get("/metrics", self._metrics)
        made.router.add_get("/healthz", self._healthz)
        made.router.add_get("/readyz", self._readyz)
        return made

    @web.middleware
    async def _gate(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        self._open += 1
        try:
            answer = await handler(request)
        except web.HTTPException:
            raise
        except Exception as problem:
            log.exception("page.failed", path=request.path, error=type(problem).__name__)
            answer = web.Response(status=500, text="failed; see the log\n")
        finally:
            self._open -= 1
        answer.headers["Cache-Control"] = "no-store"
        answer.headers["X-Content-Type-Options"] = "nosniff"
        return answer

    def _refusal(self, request: web.Request) -> web.Response | None:
        if self._open >= REQUESTS_MAX:
            return web.Response(status=503, text="too many at once\n")
        if self._token:
            said = request.headers.get("Authorization", "").encode("utf-8", "replace")
            if not hmac.compare_digest(said, f"Bearer {self._token}".encode()):
                headers = {"WWW-Authenticate": "Bearer"}
                return web.Response(status=401, text="wanted: Authorization: Bearer TOKEN\n", headers=headers)
        elif not is_loopback(_host_name(request.headers.get("Host", ""))):
            return web.Response(status=403, text="asked for by a name that is not this machine's\n")
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
        """200 while books agree and it is not on its way down."""
        status = self._look()
        fine = status.facts.ready and status.reconciled and not status.stopping
        problem = status.stopping or status.reconciled_problem or "starting"
        return web.Response(status=200 if fine else 503, text="ready\n" if fine else f"{problem}\n")


def _host_name(host: str) -> str:
    """The name in a Host header, without its port and brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


@asynccontextmanager
async def serve_page(settings: PageSettings, look: Callable[[], DaemonStatus]) -> AsyncIterator[str]:
    """Serve for as long as the context lasts; yields the address, "" when nothing is served."""
    address = page_address(settings.bind)
    if address is None:
        yield ""
        return
    page = Page(look, settings.token.get_secret_value())
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
        await runner.cleanup()
