"""What is looked at before money is at stake: each line a verdict with its numbers, and what to do when it is not fine.

Pure but for the files that `local` looks at. What asks the exchange and the feed is `cli.doctor`.
"""

import shlex
import sqlite3
import stat
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Final
from urllib.parse import quote

from kalshi_daemon.ground.errors import ExitCode
from kalshi_daemon.ground.units import MEGABYTE, MILLISECOND, Nanos
from kalshi_daemon.index_feed.snapshot import SnapshotValue
from kalshi_daemon.operations.disk_watch import Level, Room, level_of, room_of
from kalshi_daemon.operations.lock import running_daemon
from kalshi_daemon.orders.journal import journal_path
from kalshi_daemon.orders.journal_file import DAEMON_VERSION
from kalshi_daemon.settings.model import Mode, RetentionSettings, Settings

UNIT: Final = Path("/etc/systemd/system/kalshi-daemon.service")
SYSTEMD_RUNS: Final = Path("/run/systemd/system")
_OTHERS_MAY: Final = stat.S_IRWXO | stat.S_IWGRP
_MAY_WRITE: Final = stat.S_IWOTH | stat.S_IWGRP
_SLOW_TIER_WRITES_PER_S: Final = 10
_WEIGHTS: Final = (10_000, 100, 1)
_RELEASES_DAYS_WARNED: Final = 30


class CheckVerdict(StrEnum):
    """How a check came out, the best first."""

    PASS = "PASS"  # noqa: S105 - a verdict
    WARN = "WARN"
    """It trades, and something is to be looked after."""
    FAIL = "FAIL"
    """It would not trade, or not safely."""


@dataclass(frozen=True, slots=True)
class Check:
    """One line of `doctor`."""

    name: str
    verdict: CheckVerdict
    detail: str
    remedy: str = ""
    exit_code: ExitCode = ExitCode.FAILURE
    """Of the process when this one fails."""


def passed(name: str, detail: str) -> Check:
    """Nothing to do."""
    return Check(name, CheckVerdict.PASS, detail)


def warned(name: str, detail: str, remedy: str) -> Check:
    """Look after it."""
    return Check(name, CheckVerdict.WARN, detail, remedy)


def failed(name: str, detail: str, remedy: str, exit_code: ExitCode = ExitCode.FAILURE) -> Check:
    """Do not trade like this."""
    return Check(name, CheckVerdict.FAIL, detail, remedy, exit_code)


def exit_code_of(checks: tuple[Check, ...]) -> ExitCode:
    """0 without a FAIL; else configuration (78) before reachability (69) before anything else (1)."""
    codes = {one.exit_code for one in checks if one.verdict is CheckVerdict.FAIL}
    order = (ExitCode.CONFIG, ExitCode.UNREACHABLE, ExitCode.FAILURE)
    return next((code for code in order if code in codes), ExitCode.OK)


def clock_check(skew_ns: Nanos | None, skew_ns_max: Nanos) -> Check:
    """Our clock against the exchange's, by the stamp of its answer; None: it did not answer."""
    if skew_ns is None:
        return warned("clock", "not measured: the exchange did not answer", "see the line `exchange`")
    detail = f"{skew_ns // MILLISECOND} ms against the exchange's, {skew_ns_max // MILLISECOND} allowed"
    if abs(skew_ns) > skew_ns_max:
        return failed("clock", detail, "timedatectl set-ntp true, and wait for `synchronized: yes`")
    return passed("clock", detail)


def feed_check(values: Mapping[str, SnapshotValue], wanted: tuple[str, ...]) -> Check:
    """What the vendor's snapshot says of the plan: every index, and in real time."""
    missing = [name for name in wanted if name not in values]
    delayed = [name for name, one in values.items() if one.delayed]
    if missing:
        words = f"the plan gives no value of {', '.join(missing)}"
        return failed("feed", words, "the vendor's indices plan that includes them", ExitCode.CONFIG)
    if delayed:
        words = f"{', '.join(delayed)}: delayed by a quarter of an hour"
        return failed("feed", words, "a plan with real-time indices", ExitCode.CONFIG)
    return passed("feed", f"real time, {', '.join(wanted)}")


def limits_check(tier: str, write_per_s: int) -> Check:
    """The account's tier and write tokens a second (docs/reference/venue.md 3)."""
    detail = f"tier {tier or 'not named'}, {write_per_s} write tokens a second"
    if write_per_s < _SLOW_TIER_WRITES_PER_S:
        return warned("limits", detail, "few: see docs/reference/venue.md 2.3 for the next tier")
    return passed("limits", detail)


def calendar_check(end: date, today: date) -> Check:
    """Whether the trading calendar reaches the year's end. end: its last day."""
    detail = f"sessions are known until {end}"
    if end < today:
        return failed("calendar", detail, "update exchange-calendars: uv pip install -U exchange-calendars")
    if end < date(today.year, 12, 31):
        return warned("calendar", detail, "update exchange-calendars before then")
    return passed("calendar", detail)


def releases_check(ends: Mapping[str, date], today: date) -> Check:
    """Whether the lists of releases that reach into the session go on. ends: by kind, the last day its list covers."""
    if not ends:
        return passed("releases", "no kind of release reaches into the session")
    kind, end = min(ends.items(), key=lambda one: (one[1], one[0]))
    detail = f"lists reach {end} ({kind})"
    remedy = "list later ones in macro.calendar (docs/operations.md, `Weekly chores`)"
    if end < today:
        return failed("releases", f"{detail}: the guard macro is closed", remedy)
    if end <= today + timedelta(days=_RELEASES_DAYS_WARNED):
        return warned("releases", f"{detail}: {(end - today).days} days left", remedy)
    return passed("releases", detail)


def local(settings: Settings) -> Iterator[Check]:
    """What this machine alone can tell. Never raises for a file."""
    yield _state_check(settings.mode_dir)
    yield _disk_check(settings.state_dir, settings.retention)
    yield version_check(journal_path(settings.mode_dir))
    yield unit_check(UNIT, SYSTEMD_RUNS)
    yield _alerts_check(settings)
    pid = running_daemon(settings.mode_dir)
    yield passed("daemon", "none runs" if pid is None else f"process {pid} runs: kalshi-daemon status")


def _state_check(mode_dir: Path) -> Check:
    """Of the mode's directory: that others may neither write nor read it."""
    try:
        mode = mode_dir.stat().st_mode
    except FileNotFoundError:
        return passed("state", f"{mode_dir} is not there yet: a first start makes it")
    except OSError as problem:
        remedy = "run as the user that owns the state directory"
        return failed("state", f"{mode_dir}: {problem.strerror}", remedy, ExitCode.CONFIG)
    parent = stat.S_IMODE(mode_dir.parent.stat().st_mode)
    if others := mode & parent & _OTHERS_MAY:
        words = f"{mode_dir.parent} has mode {parent:04o}: others may {'change' if others & _MAY_WRITE else 'read'} it"
        return warned("state", words, f"chmod 700 {shlex.quote(str(mode_dir.parent))}")
    return passed("state", f"{mode_dir}, mode {stat.S_IMODE(mode):04o}")


def _disk_check(state_dir: Path, limits: RetentionSettings) -> Check:
    there = next((folder for folder in (state_dir, *state_dir.absolute().parents) if folder.is_dir()), Path("/"))
    try:
        room = room_of(there)
    except OSError as problem:
        return failed("disk", f"{there}: {problem.strerror}", "look at the volume: df, dmesg")
    return disk_check(room, limits)


def disk_check(room: Room, limits: RetentionSettings) -> Check:
    """The room left against the limits that the daemon itself goes by."""
    level = level_of(room, limits, Level.UNREAD)
    inodes = "" if room.free_inodes is None else f", {room.free_inodes} inodes"
    detail = f"{room.free_bytes // MEGABYTE} MB free{inodes}"
    remedy = "make room; `kalshi-daemon pack`, retention.days_max"
    if level is Level.SHORT:
        return failed("disk", f"{detail}: the guard disk_free is closed", remedy)
    return warned("disk", f"{detail}: little", remedy) if level is Level.LOW else passed("disk", detail)


def version_check(journal: Path) -> Check:
    """That no newer daemon has written the order journal."""
    if not journal.is_file():
        return passed("version", "no state yet")
    try:
        with closing(
            sqlite3.connect(f"file:{quote(str(journal.absolute()))}?mode=ro", uri=True, timeout=1.0)
        ) as opened:
            (wrote,) = opened.execute("PRAGMA user_version").fetchone()
    except sqlite3.Error as problem:
        return failed("version", f"{journal}: {problem}", "docs/operations.md, `Failure modes`")
    if wrote > DAEMON_VERSION:
        words = f"{journal} was written by {_version(wrote)}, this is {_version(DAEMON_VERSION)}"
        return failed("version", words, "use that version, or a newer one", ExitCode.CONFIG)
    return passed("version", f"state of {_version(wrote)}, this is {_version(DAEMON_VERSION)}")


def _version(number: int) -> str:
    parts = []
    for weight in _WEIGHTS:
        part, number = divmod(number, weight)
        parts.append(str(part))
    return ".".join(parts)


def unit_check(unit: Path, systemd_runs: Path) -> Check:
    """That the unit is there and as shipped in what safety stands on."""
    if not systemd_runs.is_dir():
        return passed("unit", "systemd does not run here")
    try:
        text = unit.read_text()
    except OSError as problem:
        words = f"{unit}: {problem.strerror}"
        return warned("unit", words, "docs/operations.md, `Install under systemd`")
    needed = ("Type=notify", "WatchdogSec=", "TimeoutStopSec=", "RestartPreventExitStatus=", "OnFailure=")
    missing = [one for one in needed if f"\n{one}" not in text]
    if missing:
        return warned("unit", f"{unit} lacks {', '.join(missing)}", "install deploy/kalshi-daemon.service anew")
    return passed("unit", f"{unit}")


def _alerts_check(settings: Settings) -> Check:
    count = len(settings.alerts.targets.get_secret_value().split())
    if count:
        return passed("alerts", f"{count} targets: kalshi-daemon alert test")
    if settings.mode is Mode.LIVE:
        return warned("alerts", "nobody is told", "alerts.targets (docs/operations.md, `Alerts`)")
    return passed("alerts", "no targets")
