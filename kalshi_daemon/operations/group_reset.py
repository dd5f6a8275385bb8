"""A person's request to end a profile's halt: a small file per profile, for the daemon that runs or starts next.

The file names the halt it is about, by the instant it began. A request that outlived its halt (written twice, left over
from a crash) therefore never ends a later one that nobody has looked at.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final, Never

import orjson
import structlog

from kalshi_daemon.ground.clock import iso_utc
from kalshi_daemon.ground.durable import write_whole
from kalshi_daemon.ground.errors import MalformedField
from kalshi_daemon.ground.readers import integer, parse_json
from kalshi_daemon.ground.sight import PLAIN_SIGHT, Sight
from kalshi_daemon.ground.units import Nanos

POLL_S: Final = 0.5
"""Real seconds, as for the kill switch."""
_BYTES_MAX: Final = 4_096
_REASON_MAX: Final = 500

log = structlog.get_logger()


def request_path(mode_dir: Path, profile: str) -> Path:
    """The file by which a person asks to end the halt of a profile."""
    return mode_dir / "data" / "proc" / "state" / f"reset_group_{profile}"


def ask(path: Path, halted_ns: Nanos, reason: str, when_ns: Nanos) -> None:
    """Leave the request. Raises ConfigurationError when it cannot be written."""
    request = {"halted_ns": halted_ns, "reason": reason[:_REASON_MAX], "when": iso_utc(when_ns)}
    write_whole(path, orjson.dumps(request) + b"\n", "request")


def read_request(path: Path) -> Nanos | None:
    """Which halt is to be ended; None without a file. Raises OSError, and ValueError for a file that names no halt."""
    try:
        with path.open("rb") as file:
            raw = file.read(_BYTES_MAX)
    except FileNotFoundError:
        return None
    try:
        content = parse_json(raw, "the request")
        return Nanos(integer(content.get("halted_ns") if isinstance(content, dict) else None, "halted_ns"))
    except MalformedField as problem:
        raise ValueError(f"names no halt: {problem}") from None


class GroupResetWatch:
    """Hands requests to `reset(profile, halted_ns)`, which says whether the request is dealt with.

    Then the file goes.
    """

    def __init__(
        self,
        mode_dir: Path,
        profiles: Sequence[str],
        reset: Callable[[str, Nanos], Awaitable[bool]],
        sight: Sight = PLAIN_SIGHT,
    ) -> None:
        self._paths = {profile: request_path(mode_dir, profile) for profile in profiles}
        self._reset = reset
        self._sight = sight
        self._told: set[str] = set()

    async def look(self) -> None:
        """One look at every profile's file. Raises what `reset` raises."""
        for profile, path in self._paths.items():
            halted_ns, problem = self._sight.look(f"reset_group {profile}", partial(_seen, path))
            try:
                if problem:
                    self._tell(profile, problem)
                elif halted_ns is None:
                    self._told.discard(profile)
                elif await self._reset(profile, Nanos(halted_ns)):
                    path.unlink(missing_ok=True)
            except (OSError, ValueError) as refused:
                self._tell(profile, str(refused))

    def _tell(self, profile: str, problem: str) -> None:
        if profile not in self._told:
            path = str(self._paths[profile])
            log.error("order_group.reset_request_unreadable", path=path, problem=problem)
        self._told.add(profile)

    async def run(self) -> Never:
        """Look for such files twice a second, forever."""
        while True:
            await self.look()
            await asyncio.sleep(POLL_S)


def _seen(path: Path) -> tuple[Nanos | None, str]:
    """The halt that a request names, and what is wrong with the request."""
    try:
        return read_request(path), ""
    except (OSError, ValueError) as problem:
        return None, str(problem)
