"""What a run shows of itself to those outside of it, from its first moment to its last."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import structlog

from kalshi_daemon.operations.status import DaemonStatus
from kalshi_daemon.operations.status_forms import document
from kalshi_daemon.operations.status_socket import serve_status, to_bytes
from kalshi_daemon.settings.model import Settings

log = structlog.get_logger()


@asynccontextmanager
async def serve(settings: Settings, look: Callable[[], DaemonStatus]) -> AsyncIterator[None]:
    """Answer those who ask how the run stands, for as long as the context lasts. `look` says it."""

    def answer() -> bytes:
        try:
            return to_bytes(document(look()))
        except Exception as problem:
            log.exception("status.failed", error=type(problem).__name__)
            return to_bytes({"error": type(problem).__name__})

    async with serve_status(settings.mode_dir, answer):
        yield
