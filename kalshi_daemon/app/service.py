"""What a run shows and tells of itself to those outside of it, from its first moment to its last."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import structlog

from kalshi_daemon.ground.clock import Clock
from kalshi_daemon.ground.errors import DaemonError, ExitCode, leaves_of
from kalshi_daemon.operations.alerts import Alerts
from kalshi_daemon.operations.kill_switch import kill_switch_path
from kalshi_daemon.operations.logging import LineSink
from kalshi_daemon.operations.page import Shown, serve_page
from kalshi_daemon.operations.recent_events import RecentEvents
from kalshi_daemon.operations.status import DaemonStatus
from kalshi_daemon.operations.status_day import DayView
from kalshi_daemon.operations.status_forms import document
from kalshi_daemon.operations.status_socket import serve_status, to_bytes
from kalshi_daemon.settings.model import Mode, Settings
from kalshi_daemon.state import DaemonState

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Subject:
    """The run that is shown."""

    settings: Settings
    state: DaemonState
    sink: LineSink
    look: Callable[[], DaemonStatus]
    clock: Clock


@dataclass(slots=True)
class Ending:
    """How the run ended, for the last words."""

    code: ExitCode = ExitCode.FAILURE


@asynccontextmanager
async def serve(subject: Subject) -> AsyncIterator[Ending]:
    """Show and tell how the run stands, for as long as the context lasts.

    Its user says in `Ending` how it ended. Raises ConfigurationError for an address of an alert that is none.
    """
    ending = Ending()
    mode = subject.settings.mode.value
    alerts = Alerts(subject.settings.alerts, subject.state, subject.look, f"kalshi-daemon {mode}")
    events, day = RecentEvents(subject.clock.now_ns), DayView(subject.state)

    def hear(event: str, fields: Mapping[str, Any]) -> None:
        alerts.hear(event, fields)
        events.hear(event, fields)

    def whole() -> dict[str, Any]:
        """The one picture of the run: `status --json` and the page."""
        status = subject.look()
        return {**document(status), **day.document(status.now_ns), "events": events.rows()}

    subject.sink.hear = hear
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(serve_status(subject.settings.mode_dir, _answer(whole)))
        if subject.settings.mode is not Mode.SIM or subject.settings.page.sim:
            shown = Shown(subject.look, whole, kill_switch_path(subject.settings.mode_dir))
            await stack.enter_async_context(serve_page(subject.settings.page, shown))
        async with asyncio.TaskGroup() as group:
            telling = group.create_task(alerts.run(), name="alerts")
            try:
                yield ending
            except BaseException as died:
                ending.code = _code_of(died)
                raise
            finally:
                telling.cancel()
                await alerts.last_words(ending.code, subject.clock.now_ns())


def _code_of(died: BaseException) -> ExitCode:
    """What the process will say of an error, or of a group of them."""
    leaves = leaves_of(died) if isinstance(died, BaseExceptionGroup) else (died,)
    return next((leaf.exit_code for leaf in leaves if isinstance(leaf, DaemonError)), ExitCode.FAILURE)


def _answer(whole: Callable[[], dict[str, Any]]) -> Callable[[], bytes]:
    def answer() -> bytes:
        try:
            return to_bytes(whole())
        except Exception as problem:
            log.exception("status.failed", error=type(problem).__name__)
            return to_bytes({"error": type(problem).__name__})

    return answer
