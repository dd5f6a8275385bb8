"""The daemon's own digest: written once after each session it saw, and again at its stop. Never in anybody's way.

It is made in a thread, from files, with a bound on the time; whatever goes wrong is one warning. A thread that is told
to give up does so at the next file, so that the process never waits for it.
"""

import asyncio
import threading
from datetime import date
from pathlib import Path
from typing import Final, Never

import structlog

from kalshi_daemon.digest.making import NoSuchDay, Source, digest_of, write_digest
from kalshi_daemon.ground.clock import Clock
from kalshi_daemon.ground.new_york import eastern_day
from kalshi_daemon.ground.units import HOUR, MINUTE, Nanos
from kalshi_daemon.windows.sessions import SessionTable

AFTER_CLOSE: Final = Nanos(30 * MINUTE)
"""After a session's close: most settlements are there then; the digest of the stop has the late ones."""
AT_STOP_WITHIN_S: Final = 3.0
"""Real time a stop gives it: with everything before, the shutdown sequence stays within the unit's 45 s."""
AFTER_SESSION_WITHIN_S: Final = 120.0
_LOOK_EVERY: Final = HOUR

log = structlog.get_logger()


class _GivenUpError(Exception):
    """The bound was reached."""


class DigestKeeper:
    """The task is cancelled before `at_stop`; a thread it left behind gives up, and the next one waits for that."""

    def __init__(self, source: Source, clock: Clock, sessions: SessionTable) -> None:
        self._source = source
        self._clock = clock
        self._sessions = sessions
        self._first_day = eastern_day(clock.now_ns())
        self._one_writer = threading.Lock()

    async def run(self) -> Never:
        """Write the digest of each session, AFTER_CLOSE its end."""
        while True:
            now = self._clock.now_ns()
            due = (Nanos(session.close_ns + AFTER_CLOSE) for session in self._sessions.sessions)
            coming = next((at for at in due if at > now), None)
            await self._clock.sleep_until(Nanos(now + _LOOK_EVERY) if coming is None else coming)
            if coming is not None:
                await self._write(eastern_day(coming), AFTER_SESSION_WITHIN_S)

    async def at_stop(self) -> None:
        """Write the digest of the last day with anything in it, if this process has lived in that day. Never raises."""
        await self._write(None, AT_STOP_WITHIN_S)

    async def _write(self, day: date | None, within_s: float) -> None:
        give_up = threading.Event()
        work = asyncio.get_running_loop().run_in_executor(None, self._make, day, give_up)
        try:
            async with asyncio.timeout(within_s):
                log.info("digest.written", page=str(await asyncio.shield(work)))
        except TimeoutError:
            log.warning("digest.not_written", problem=f"not done within {within_s:g} s; kalshi-daemon digest makes it")
        except NoSuchDay as nothing:
            log.debug("digest.empty", why=str(nothing))
        except Exception as problem:  # noqa: BLE001 - a report: nothing it dies of may reach the trading or the stop
            log.warning("digest.not_written", problem=f"{type(problem).__name__}: {problem}")
        finally:
            give_up.set()
            work.add_done_callback(_retrieve_exception)

    def _make(self, day: date | None, give_up: threading.Event) -> Path:
        """In the thread. Raises NoSuchDay also for a day that was over before this process began."""

        def go_on() -> None:
            if give_up.is_set():
                raise _GivenUpError

        with self._one_writer:
            go_on()
            now, first = self._clock.now_ns(), self._first_day
            made = digest_of(self._source, day, now, go_on, with_service=True, not_before=first)
            go_on()
            return write_digest(self._source.paths, made)


def _retrieve_exception(work: "asyncio.Future[Path]") -> None:
    """What a thread dies of after its bound has been said already."""
    if not work.cancelled():
        work.exception()
