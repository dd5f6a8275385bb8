"""From a state directory to a digest, and from a digest to its files. Blocking: in a thread when a loop runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from kalshi_daemon.artifacts.files import encode, write_unsynced
from kalshi_daemon.artifacts.paths import ArtifactPaths
from kalshi_daemon.digest.digest import Digest, make_digest
from kalshi_daemon.digest.document import document
from kalshi_daemon.digest.reading import (
    GoOn,
    fold_log,
    fold_manifests,
    last_day,
    open_journals,
    read_forecast,
    read_journal,
    read_markouts,
    read_tapes,
)
from kalshi_daemon.digest.records import JournalDay, Records, Tape
from kalshi_daemon.digest.scans import ScanDay
from kalshi_daemon.digest.sections import markdown
from kalshi_daemon.digest.service import ServiceLog
from kalshi_daemon.domain.index import Index
from kalshi_daemon.domain.instruments import SHIPPED_INSTRUMENTS, Instruments
from kalshi_daemon.ground.errors import DaemonError, ExitCode
from kalshi_daemon.ground.new_york import eastern_midnights
from kalshi_daemon.ground.units import Nanos
from kalshi_daemon.orders.journal import journal_path


class NoSuchDay(DaemonError):  # noqa: N818 - errors are nouns: the tree's rule
    """There is nothing to make a digest of."""

    exit_code = ExitCode.REFUSED

    def __init__(self, where: str, why: str) -> None:
        super().__init__(where, why)
        self.where = where
        self.why = why

    def __str__(self) -> str:
        return f"{self.where}: {self.why}"


@dataclass(frozen=True, slots=True)
class Source:
    """Where and how a daemon wrote. `root`: the mode's directory. `whole_account`: scope `account` of the settings."""

    root: Path
    mode: str
    whole_account: bool
    instruments: Instruments = SHIPPED_INSTRUMENTS

    @property
    def paths(self) -> ArtifactPaths:
        return ArtifactPaths(self.root)


def digest_of(
    source: Source,
    day: date | None,
    now_ns: Nanos | None,
    go_on: GoOn,
    *,
    with_service: bool,
    not_before: date = date.min,
) -> Digest:
    """The digest of a day; None: the last one with anything in the journal. Raises NoSuchDay, StateCorrupt.

    now_ns: what is later than this has not happened yet; None: the last instant of the day that was recorded, for
    simulated days, which have clocks of their own. not_before: an earlier day counts as none.
    """
    notes: list[str] = []
    path = journal_path(source.root)
    try:
        with open_journals(source.root, notes) as journals:
            found = day or last_day(journals, source.paths)
            if found is None:
                raise NoSuchDay(str(path), "is empty, and nothing was scanned: there is no day to sum up")
            if found < not_before:
                raise NoSuchDay(str(path), f"nothing since {not_before}, the last day is {found}")
            journal = read_journal(journals, found, whole_account=source.whole_account, go_on=go_on)
    except FileNotFoundError:
        raise NoSuchDay(str(path), "no journal: nothing ever ran in this mode and state directory") from None
    if not _is_day(source, found, journal):
        raise NoSuchDay(str(path), f"nothing of {found}: no order, fill, settlement or scan (is --mode right?)")
    held = {line.market_ticker for line in journal.statement.positions}
    wanted = {one.booked.fill.market_ticker for one in journal.fills} | held
    scans = ScanDay(wanted, source.instruments.indices)
    fold_manifests(source.paths, found, scans, go_on)
    tapes = read_tapes(source.root, found, notes, go_on, source.instruments.indices)
    log = ServiceLog(scans) if with_service else None
    if log is not None:
        fold_log(source.root, found, log, notes, go_on)
    if scans.unreadable or scans.dropped:
        which = f"; first: {scans.problem}" if scans.problem else ""
        notes.append(f"{scans.unreadable} manifests cannot be read, {scans.dropped} were too many{which}")
    forecast = read_forecast(source.paths, found, notes)
    markouts = read_markouts(source.paths, found, notes, go_on)
    start, end = eastern_midnights(found)
    records = Records(
        day=found,
        start_ns=start,
        end_ns=end,
        now_ns=_last_instant(journal, scans, tapes, log, start) if now_ns is None else now_ns,
        mode=source.mode,
        journal=journal,
        tapes=tapes,
        forecast=forecast,
        notes=tuple(notes),
        instruments=source.instruments,
        markouts=markouts,
    )
    return make_digest(records, scans, log)


def write_digest(paths: ArtifactPaths, digest: Digest) -> Path:
    """Write both files, each whole or not at all; returns the page. Raises OSError."""
    day = digest.records.day.isoformat()
    write_unsynced(paths.digest(day), encode(document(digest)))
    page = paths.digest_page(day)
    write_unsynced(page, markdown(digest).encode())
    return page


def _last_instant(
    journal: JournalDay, scans: ScanDay, tapes: Mapping[Index, Tape], log: ServiceLog | None, start: Nanos
) -> Nanos:
    found = [start, *scans.plans.values(), *(int(tape.at_ns[-1]) for tape in tapes.values())]
    found += [one.order.updated_ns for one in journal.orders]
    found += [line.settled_ns for line in journal.statement.settled if line.settled_ns is not None]
    if log is not None:
        found += [run.last_ns for run in log.runs.values()]
    return Nanos(max(found))


def _is_day(source: Source, day: date, journal: JournalDay) -> bool:
    statement = journal.statement
    return (
        bool(journal.orders or statement.fills or statement.settled) or (source.paths.scans / day.isoformat()).is_dir()
    )
