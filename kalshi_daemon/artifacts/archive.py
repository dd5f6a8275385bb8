"""The worker's side of the writer: takes jobs, keeps the day's facts, writes files. Blocking; one thread at a time."""

import contextlib
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from kalshi_daemon.artifacts.files import (
    COLLISIONS_MAX,
    encode,
    write_unsynced,
)
from kalshi_daemon.artifacts.manifest import build_manifest
from kalshi_daemon.artifacts.markout_lines import markout_line
from kalshi_daemon.artifacts.monitors import GoNoGo, IndexRecord, MonitorBoard, Stop, WindowVerdicts
from kalshi_daemon.artifacts.paths import MANIFEST, ArtifactPaths, day_of
from kalshi_daemon.artifacts.report import DayFacts
from kalshi_daemon.artifacts.report_markdown import render
from kalshi_daemon.artifacts.session import SessionSummary
from kalshi_daemon.domain.markout import Markout
from kalshi_daemon.domain.monitor import Monitor
from kalshi_daemon.domain.order import Order
from kalshi_daemon.domain.quote import QuotePlan
from kalshi_daemon.domain.verdict import Judgement
from kalshi_daemon.ground.clock import iso_utc
from kalshi_daemon.ground.documents import read_document
from kalshi_daemon.ground.durable import append_lines
from kalshi_daemon.ground.errors import StateCorrupt, StateTooNew
from kalshi_daemon.ground.units import Nanos
from kalshi_daemon.state import Position

Json = dict[str, Any]

DAYS_KEPT: Final = 16
"""Reports (series and day) whose facts stay in memory; the one longest untouched is written and dropped first."""
MARKOUTS_KEPT: Final = 2_048
"""Lines of markouts that wait for a disk that refuses; beyond it the oldest are lost, and their fills count as
unknown."""


@dataclass(frozen=True, slots=True)
class AuditJob:
    """One line of the trail. `series` is "" for a line about no series."""

    day: str
    series: str
    entry: Json


@dataclass(frozen=True, slots=True)
class ScanJob:
    """One scan to write down."""

    plan: QuotePlan
    judgement: Judgement
    orders: tuple[Order, ...]


@dataclass(frozen=True, slots=True)
class PositionsJob:
    """The positions of one series now."""

    series: str
    positions: tuple[Position, ...]
    at_ns: Nanos


@dataclass(frozen=True, slots=True)
class SessionJob:
    """The session's summary."""

    day: str
    summary: SessionSummary


@dataclass(frozen=True, slots=True)
class MonitorJob:
    """A monitor of somebody else than a guard."""

    document: Monitor


@dataclass(frozen=True, slots=True)
class MarkoutJob:
    """What is known now of where the market went after a fill of ours."""

    markout: Markout


Job = MarkoutJob | MonitorJob | ScanJob | PositionsJob | SessionJob | WindowVerdicts | IndexRecord | Stop


@dataclass(slots=True)
class Written:
    """What became of a batch."""

    audits_left: list[AuditJob] = field(default_factory=list)
    """Lines that could not be appended, in order: to be tried again."""
    manifests: int = 0
    problems: list[str] = field(default_factory=list)
    """One sentence per file that could not be written; what they held beyond audit lines is kept for the next turn."""


class Archive:
    """Owns the facts. The writer calls `write` from a worker thread and never from two at once."""

    def __init__(self, paths: ArtifactPaths, *, run_id: str, mode: str) -> None:
        self._paths = paths
        self._run_id = run_id
        self._mode = mode
        self._facts: dict[tuple[str, str], DayFacts] = {}
        self._dirty: set[tuple[str, str]] = set()
        self._board = MonitorBoard()
        self._board_dirty = False
        self._session: SessionJob | None = None
        self._markouts: deque[MarkoutJob] = deque(maxlen=MARKOUTS_KEPT)
        self._now = Nanos(0)
        self.files_lock = threading.Lock()
        """Held while files are written: whoever packs or removes them waits for it."""

    def write(
        self, audits: Sequence[AuditJob], jobs: Sequence[Job], dropped: Mapping[str, int], now_ns: Nanos, *, whole: bool
    ) -> Written:
        """Take a batch in. `whole`: bring reports and monitors up to date too; go/no-go changes are written anyway.

        dropped: manifests that never got here, by series.
        """
        with self.files_lock:
            return self._write(audits, jobs, dropped, now_ns, whole=whole)

    def _write(
        self, audits: Sequence[AuditJob], jobs: Sequence[Job], dropped: Mapping[str, int], now_ns: Nanos, *, whole: bool
    ) -> Written:
        self._now = now_ns
        written = Written()
        self._append(audits, written)
        changed = False
        for job in jobs:
            changed |= self._take(job, written)
        for series, count in dropped.items():
            self._day(series, day_of(now_ns), written).manifests_dropped += count
        self._write_markouts(written)
        if self._board_dirty and (whole or changed):
            self._write_board(written)
        if whole:
            self._write_reports(written)
            self._write_session(written)
        return written

    def _take(self, job: Job, written: Written) -> bool:
        """Fold one job in; True when the go/no-go answer changed with it."""
        match job:
            case ScanJob():
                self._write_manifest(job, written)
                day = day_of(job.plan.made_ns)
                facts = self._day(job.plan.window.series.ticker, day, written)
                facts.note_scan(job.plan, job.judgement, self._run_id)
                return self._judged(WindowVerdicts(job.plan.window, job.judgement.plan_verdicts, job.plan.made_ns))
            case PositionsJob():
                facts = self._day(job.series, day_of(job.at_ns), written)
                facts.note_run(self._run_id, iso_utc(job.at_ns))
                facts.note_positions(job.positions, job.at_ns)
                return False
            case SessionJob():
                self._session = job
                return False
            case MarkoutJob():
                self._markouts.append(job)
                return False
            case MonitorJob():
                self._put(self._paths.monitor(job.document.name), encode(job.document), written)
                return False
            case WindowVerdicts():
                return self._judged(job)
            case IndexRecord():
                self._board.records[job.index] = job
                self._board_dirty = True
                return False
            case Stop():
                self._board.note_stop(job)
                self._board_dirty = True
                return True

    def _judged(self, seen: WindowVerdicts) -> bool:
        self._board_dirty = True
        return self._board.note(seen)

    def _append(self, audits: Sequence[AuditJob], written: Written) -> None:
        by_day: dict[str, list[AuditJob]] = {}
        for job in audits:
            by_day.setdefault(job.day, []).append(job)
        for day, lines in by_day.items():
            path = self._paths.audit(day)
            try:
                append_lines(path, [encode(line.entry, indent=False) for line in lines])
            except OSError as error:
                written.audits_left.extend(lines)
                written.problems.append(_sentence(path, error))
                continue
            for line in lines:
                if line.series:
                    self._day(line.series, day, written).note_audit(line.entry, self._run_id)

    def _write_markouts(self, written: Written) -> None:
        by_day: dict[str, list[bytes]] = {}
        for job in self._markouts:
            by_day.setdefault(day_of(job.markout.filled_ns), []).append(markout_line(job.markout, self._run_id))
        for day, lines in by_day.items():
            path = self._paths.markouts(day)
            try:
                append_lines(path, lines)
            except OSError as error:
                written.problems.append(_sentence(path, error))
                return
        self._markouts.clear()

    def _write_manifest(self, job: ScanJob, written: Written) -> None:
        manifest = build_manifest(job.plan, job.judgement, job.orders, run_id=self._run_id, mode=self._mode)
        content = encode(manifest, indent=False)  # tens of kilobytes, hundreds a day
        series, at_ns = job.plan.window.series.ticker, job.plan.made_ns
        folder = self._paths.scan_folder(at_ns, 0, series)
        try:
            for collision in range(COLLISIONS_MAX):
                folder = self._paths.scan_folder(at_ns, collision, series)
                folder.parent.mkdir(parents=True, exist_ok=True)
                try:
                    folder.mkdir()  # whoever makes the folder owns it: nothing is ever overwritten
                except FileExistsError:
                    continue
                write_unsynced(folder / MANIFEST, content)
                written.manifests += 1
                return
        except OSError as error:
            written.problems.append(_sentence(folder, error))
            return
        written.problems.append(f"{folder}: {COLLISIONS_MAX} scans of one series in one second")

    def _write_board(self, written: Written) -> None:
        go, monitors = self._board.documents(self._now)
        if not self._board.records:  # a run that never asked, e.g. stopped before it was ready, has nothing better
            with contextlib.suppress(OSError, StateCorrupt):
                go = replace(go, record=read_document(GoNoGo, self._paths.go_no_go).record)
        files: dict[Path, GoNoGo | Monitor] = {self._paths.go_no_go: go}
        files |= {self._paths.monitor(name): one for name, one in monitors.items()}
        fine = [self._put(path, encode(document), written) for path, document in files.items()]
        self._board_dirty = not all(fine)

    def _write_reports(self, written: Written) -> None:
        for key in sorted(self._dirty):
            self._write_report(key, written)

    def _write_report(self, key: tuple[str, str], written: Written) -> None:
        facts = self._facts[key]
        kept = self._put(self._paths.report_facts(*key), encode(facts, indent=False), written)
        shown = self._put(self._paths.report(*key), render(facts, iso_utc(self._now)).encode(), written)
        if kept and shown:
            self._dirty.discard(key)

    def _write_session(self, written: Written) -> None:
        job = self._session
        if job is None:
            return
        content = encode(job.summary)
        path = self._paths.session(job.day, self._run_id)
        if self._put(path, content, written) and self._put(self._paths.pilot_session, content, written):
            self._session = None

    def _put(self, path: Path, content: bytes, written: Written) -> bool:
        try:
            write_unsynced(path, content)
        except OSError as error:
            written.problems.append(_sentence(path, error))
            return False
        return True

    def _day(self, series: str, day: str, written: Written) -> DayFacts:
        """The facts of a day, taken up from an earlier run when there was one; marks the report as out of date."""
        key = (series, day)
        facts = self._facts.pop(key, None) or self._load(series, day, written)
        self._facts[key] = facts  # the youngest touched is last
        self._dirty.add(key)
        while len(self._facts) > DAYS_KEPT:
            oldest = next(iter(self._facts))
            if oldest in self._dirty:
                self._write_report(oldest, written)
            self._dirty.discard(oldest)
            del self._facts[oldest]
        return facts

    def _load(self, series: str, day: str, written: Written) -> DayFacts:
        path = self._paths.report_facts(series, day)
        try:
            return read_document(DayFacts, path)
        except FileNotFoundError:
            return DayFacts(series, day, self._mode)
        except (StateCorrupt, OSError) as problem:
            # The trail and the manifests still hold the day; the report says what it misses and goes on.
            written.problems.append(f"{path}: cannot be read back, kept aside: {problem}")
            aside = path.with_suffix(".newer.json" if isinstance(problem, StateTooNew) else ".broken.json")
            with contextlib.suppress(OSError):
                path.replace(aside)
            return DayFacts(series, day, self._mode, note=f"earlier facts of the day could not be read back: {aside}")


def _sentence(path: Path, error: OSError) -> str:
    return f"{path}: {error.strerror or type(error).__name__}"
