"""The macro watch: the operator's release list, and how old the configured feed files are.

Only ages of files are watched here, never their contents: the file's last write stands for the feed's last refresh. The
age itself is computed by the guard when it asks.
"""

import csv
from collections.abc import Mapping
from datetime import date, time
from functools import partial
from pathlib import Path
from typing import Final, Never

import structlog

from kalshi_daemon.ground.clock import Clock
from kalshi_daemon.ground.errors import ConfigurationError
from kalshi_daemon.ground.named_files import read_named
from kalshi_daemon.ground.sight import PLAIN_SIGHT, Sight
from kalshi_daemon.ground.units import SECOND, Nanos
from kalshi_daemon.settings.model import MacroSettings
from kalshi_daemon.state import DaemonState
from kalshi_daemon.windows.releases import MacroCalendar, Release, release

__all__ = ["MacroCalendar", "MacroWatch", "Release", "load_macro_calendar"]

LOOK_EVERY: Final = Nanos(30 * SECOND)
_END_PREFIX: Final = "END_OF_"
_ROWS_MAX: Final = 10_000
_BYTES_MAX: Final = 10_000_000
_COLUMNS: Final = ("date", "time_et", "event")


def load_macro_calendar(settings: MacroSettings) -> MacroCalendar:
    """The shipped table plus the operator's CSV, read once at start.

    The CSV has a header with at least date,time_et,event (more columns are ignored). A row whose event is
    `END_OF_<KIND>` (time left empty) says that the file lists every release of that kind up to that date. Raises
    ConfigurationError naming file and line.
    """
    path = settings.calendar
    if path is None:
        return MacroCalendar()
    try:
        content, _mode = read_named(path, _BYTES_MAX, "macro.calendar", "split or trim it")
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        problem = f"{path} cannot be read: not UTF-8 text"
        raise ConfigurationError("macro.calendar", problem, "save it as UTF-8") from error
    rows = csv.DictReader(text.splitlines())
    missing = [column for column in _COLUMNS if column not in (rows.fieldnames or ())]
    if missing:
        raise ConfigurationError(f"{path}:1", f"columns missing: {', '.join(missing)}", "header: date,time_et,event")
    extra: list[Release] = []
    ends: dict[str, date] = {}
    for row in rows:
        if rows.line_num > _ROWS_MAX:
            raise ConfigurationError(f"{path}:{rows.line_num}", f"more than {_ROWS_MAX} lines", "split or trim it")
        _add_row(row, f"{path}:{rows.line_num}", extra, ends)
    return MacroCalendar(extra, ends)


def _add_row(row: Mapping[str, str | None], where: str, extra: list[Release], ends: dict[str, date]) -> None:
    event = (row["event"] or "").strip()
    try:
        day = date.fromisoformat((row["date"] or "").strip())
        if event.startswith(_END_PREFIX):
            ends[event.removeprefix(_END_PREFIX)] = day
            return
        at = time.fromisoformat((row["time_et"] or "").strip())
    except ValueError:
        raise ConfigurationError(where, "not a release", "e.g. 2027-01-13,08:30,CPI") from None
    if not event or at.tzinfo is not None:
        raise ConfigurationError(where, "not a release", "e.g. 2027-01-13,08:30,CPI (New York time, no offset)")
    extra.append(release(event, day, at))


class MacroWatch:
    """Owns `state.macro`. Looks at the files' times off the loop, every 30 s; a file that cannot be seen is None."""

    def __init__(self, state: DaemonState, clock: Clock, settings: MacroSettings, sight: Sight = PLAIN_SIGHT) -> None:
        self._sight = sight
        self._state = state
        self._clock = clock
        self._paths = {name: feed.path for name, feed in sorted(settings.feeds.items())}
        self._seen: dict[str, bool] = {}

    async def run(self) -> Never:
        """Look at the release feeds' files every 30 s, forever."""
        log = structlog.get_logger()
        while True:
            # Without configured feeds nothing can block, and simulated time need not wait for a thread.
            look = partial(modified_times, self._paths)
            found = await self._sight.look_in_thread("macro_feeds", look) if self._paths else {}
            self._state.macro.feed_read_ns = found
            self._state.macro.checked_ns = self._clock.now_ns()
            for name, at_ns in found.items():
                if self._seen.get(name) != (at_ns is not None):
                    self._seen[name] = at_ns is not None
                    log.info("macro_feed.changed", feed=name, present=at_ns is not None, written_ns=at_ns)
            await self._clock.sleep(LOOK_EVERY)


def modified_times(paths: Mapping[str, Path]) -> dict[str, Nanos | None]:
    """Last write time of each file; None where it is missing, unreadable or not a file."""
    return {name: _modified(path) for name, path in paths.items()}


def _modified(path: Path) -> Nanos | None:
    try:
        return Nanos(path.stat().st_mtime_ns) if path.is_file() else None
    except OSError:
        return None
