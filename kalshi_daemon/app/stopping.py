"""How the daemon learns that it has to stop: one latch, whoever asks."""

import asyncio
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import structlog

from kalshi_daemon.ground.clock import Clock
from kalshi_daemon.state import Latch

log = structlog.get_logger()

_HEARD: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)


class StopSignal:
    """Collects the first reason to stop; later ones are logged and change nothing.

    In particular a second SIGTERM or Ctrl-C does not skip the cancelling: it is already under way and bounded.
    """

    def __init__(self, latch: Latch, clock: Clock) -> None:
        self._latch = latch
        self._clock = clock
        self._asked = asyncio.Event()
        self._ended = False

    @property
    def reason(self) -> str:
        return self._latch.reason

    def ask(self, reason: str) -> None:
        """Block new orders at once, then wake whoever waits for the stop, then say so: nothing stands in between."""
        if self._ended:
            return
        first = not self._latch.closed
        if first:
            self._latch.closed = True
            self._latch.reason = reason
            self._asked.set()
            self._latch.closed_ns = self._clock.now_ns()
            log.info("stop.asked", reason=reason)
        else:
            log.warning("stop.asked_again", reason=reason, first_reason=self._latch.reason)

    @property
    def ended(self) -> bool:
        return self._ended

    def end(self) -> None:
        """Nothing is said from here on: the next line of the log is its last."""
        self._ended = True

    async def wait(self) -> None:
        """Until somebody asks to stop."""
        await self._asked.wait()


def listen(
    loop: asyncio.AbstractEventLoop,
    stop: StopSignal,
    *,
    reopen_log: Callable[[], None],
    say_status: Callable[[], None],
    ask: Callable[[str], None] | None = None,
) -> None:
    """Signals: SIGTERM and SIGINT stop; SIGHUP reopens the log file; SIGUSR1 writes a status line.

    ask: takes the reason of a stop; None: `stop` itself.

    SIGHUP never stops: it is what service managers and log rotation send to a daemon, and a stop that ends with 0 would
    stay down. A daemon whose terminal is gone goes on; SIGTERM stops it.

    The handlers outlive the loop: a loop that closes puts its own back to the default, and a signal that comes between
    the verified stop and the exit would end the process without its exit code. `deafen` follows.
    """
    told = stop.ask if ask is None else ask
    work: dict[signal.Signals, Callable[[], None]] = {
        signal.SIGTERM: lambda: told("SIGTERM"),
        signal.SIGINT: lambda: told("SIGINT"),
        signal.SIGHUP: reopen_log,
        signal.SIGUSR1: say_status,
    }

    def hand_over(number: int, _frame: object) -> None:
        if not stop.ended:
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(work[signal.Signals(number)])

    for number in _HEARD:
        signal.signal(number, hand_over)
        signal.siginterrupt(number, False)


def deafen() -> None:
    """From here on no signal but SIGKILL ends the process: it is on its way out with its own exit code."""
    for number in _HEARD:
        signal.signal(number, signal.SIG_IGN)
