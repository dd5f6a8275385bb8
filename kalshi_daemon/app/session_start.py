"""A run's log, and its first words with the exchange, for as long as it takes the machine's clock to be right.

A signature holds our time. While the clock is proven to be off, a refused one says nothing about the key, and ending
the process would only take the daemon away until a person comes: it waits, and says by how much the clock is wrong.
"""

from collections.abc import Awaitable, Callable
from typing import Final, Protocol

import structlog

from kalshi_daemon.ground.backoff import doubled
from kalshi_daemon.ground.clock import Clock
from kalshi_daemon.ground.errors import ClockSkewed
from kalshi_daemon.ground.units import MILLISECOND, SECOND, Nanos
from kalshi_daemon.operations.logging import LineSink, configure, log_path
from kalshi_daemon.settings.model import Settings

log = structlog.get_logger()

PAUSE_MIN: Final = Nanos(2 * SECOND)
PAUSE_MAX: Final = Nanos(30 * SECOND)
"""Between two tries: each is one request that the exchange refuses."""
PATIENCE_ASKED: Final = Nanos(90 * SECOND)
"""What a supervisor is asked to wait beyond now: a pause, and a whole first look after it."""


class Supervisor(Protocol):
    """Who must hear that a start takes long (`operations.notify`)."""

    def waiting(self, status: str, within: Nanos) -> None:
        """Say what the start waits for, and that it may take up to `within`."""
        ...


async def start_when_clock_agrees(start: Callable[[], Awaitable[None]], clock: Clock, supervisor: Supervisor) -> None:
    """`start()`, again and again while it ends in ClockSkewed. Raises whatever else it raises.

    Each try measures the skew anew, on the `Date` of the refusal itself.
    """
    began, pause = clock.mono_ns(), PAUSE_MIN
    while True:
        try:
            await start()
        except ClockSkewed as problem:
            log.error(  # noqa: TRY400 - the refusal is known to the last digit, a traceback adds nothing
                "daemon.clock_refused",
                skew_ms=problem.skew_ns // MILLISECOND,
                skew_ms_max=problem.skew_ns_max // MILLISECOND,
                waited_s=(clock.mono_ns() - began) // SECOND,
                again_in_s=pause // SECOND,
                message=str(problem),
            )
            ahead = "ahead of" if problem.skew_ns > 0 else "behind"
            supervisor.waiting(
                f"waiting: our clock is {abs(problem.skew_ns) // MILLISECOND} ms {ahead} the exchange's, "
                f"{problem.skew_ns_max // MILLISECOND} ms are allowed",
                PATIENCE_ASKED,
            )
        else:
            return
        await clock.sleep(pause)
        pause = Nanos(doubled(pause, 1, PAUSE_MAX))


def open_log(settings: Settings, clock: Clock, run_id: str, *, stdout: bool) -> LineSink:
    """The log of a run: the file that the settings ask for, and standard output."""
    path = log_path(settings.mode_dir) if settings.log.file else None
    return configure(
        clock,
        level=settings.log.level,
        stdout=stdout,
        path=path,
        bytes_max=settings.log.file_megabytes_max * 1024 * 1024,
        fields={"run_id": run_id, "mode": settings.mode.value},
    )
