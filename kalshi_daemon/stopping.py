"""How the daemon learns that it has to stop: one latch, whoever asks."""

import asyncio
import signal

import structlog

from kalshi_daemon.clock import Clock
from kalshi_daemon.state import Latch

log = structlog.get_logger()


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
        """Block new orders at once, then wake whoever waits for the stop."""
        if self._ended:
            return
        if self._latch.closed:
            log.warning("stop.asked_again", reason=reason, first_reason=self._latch.reason)
            return
        self._latch.reason = reason
        self._latch.closed_ns = self._clock.now_ns()
        self._latch.closed = True
        log.info("stop.asked", reason=reason)
        self._asked.set()

    def end(self) -> None:
        """Nothing is said from here on: the next line of the log is its last."""
        self._ended = True

    async def wait(self) -> None:
        await self._asked.wait()

    def listen(self, loop: asyncio.AbstractEventLoop) -> None:
        """SIGTERM and SIGINT ask for a stop. SIGHUP too: a lost terminal must not leave a deaf process behind."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, self.ask, signal.Signals(number).name)
