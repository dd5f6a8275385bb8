"""The kill switch: a file whose existence stops all quoting. `touch` is enough; `kill` writes reason and time.

What counts is existence, never content: an empty or unreadable file is engaged, and so is one that cannot be looked at.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, Final, Never

import orjson
import structlog

from kalshi_daemon.ground.clock import iso_utc
from kalshi_daemon.ground.durable import write_whole
from kalshi_daemon.ground.errors import ConfigurationError
from kalshi_daemon.ground.sight import PLAIN_SIGHT, Sight
from kalshi_daemon.ground.units import Nanos
from kalshi_daemon.state import DaemonState

POLL_S: Final = 0.5
"""Real seconds: the operator's hand is not in simulated time."""
_REASON_MAX: Final = 500
_BYTES_MAX: Final = 4_096


@dataclass(frozen=True, slots=True)
class KillSwitch:
    """What the file says. `reason` is for people; `since` is RFC 3339 or "" when the file does not tell."""

    engaged: bool
    reason: str = ""
    since: str = ""


def kill_switch_path(mode_dir: Path) -> Path:
    """The file whose presence stops all trading."""
    return mode_dir / "data" / "proc" / "state" / "kill_switch"


def read_kill_switch(path: Path) -> KillSwitch:
    """Look at the file. Never raises: what cannot be looked at is engaged."""
    try:
        with path.open("rb") as file:
            raw = file.read(_BYTES_MAX)
    except FileNotFoundError:
        return KillSwitch(engaged=False)
    except OSError as error:
        return KillSwitch(engaged=True, reason=f"{path} cannot be looked at: {error.strerror}")
    try:
        content: Any = orjson.loads(raw)
    except orjson.JSONDecodeError:
        content = {}
    if not isinstance(content, dict):
        content = {}
    return KillSwitch(engaged=True, reason=str(content.get("reason", "")), since=str(content.get("when", "")))


def engage(path: Path, reason: str, when_ns: Nanos) -> None:
    """Write the file, whole or not at all, and make it last. Raises ConfigurationError when it cannot be written."""
    content = orjson.dumps({"reason": reason[:_REASON_MAX], "when": iso_utc(when_ns)}) + b"\n"
    write_whole(path, content, "kill switch")


def release(path: Path) -> bool:
    """Remove the file. Returns whether it was there. Raises ConfigurationError when it cannot be removed."""
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise ConfigurationError(str(path), f"kill switch cannot be removed: {error.strerror}") from error
    return True


class KillSwitchWatch:
    """Owns `state.kill_switch`. `on_change` is called after the state was written, also for the first look."""

    def __init__(
        self,
        state: DaemonState,
        path: Path,
        *,
        on_change: Callable[[KillSwitch], None],
        sight: Sight = PLAIN_SIGHT,
    ) -> None:
        self._state = state
        self._path = path
        self._on_change = on_change
        self._sight = sight
        self._last: KillSwitch | None = None

    def look(self) -> KillSwitch:
        """One look, without waiting. The daemon takes it before anything else may be sent."""
        # Reading one small local file takes microseconds; a thread would only add a way to be late.
        found = KillSwitch(*self._sight.look("kill_switch", lambda: list(astuple(read_kill_switch(self._path)))))
        self._state.kill_switch = found.engaged
        before, self._last = self._last, found
        log = structlog.get_logger()
        if found.engaged and (before is None or not before.engaged):
            log.warning("kill_switch.engaged", reason=found.reason)
        elif before is not None and before.engaged and not found.engaged:
            log.info("kill_switch.released", reason=found.reason)
        if before is None:
            with suppress(OSError):  # its folder is there, so that a plain `touch` will do when it matters
                self._path.parent.mkdir(parents=True, exist_ok=True)
        if before is None or before.engaged != found.engaged:
            self._on_change(found)
        return found

    async def run(self) -> Never:
        """Look twice a second of real time, forever."""
        while True:
            self.look()
            await asyncio.sleep(POLL_S)
