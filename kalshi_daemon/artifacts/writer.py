"""The artifacts task: takes what happened from the loop, writes it in one worker thread.

Bounds, and what happens at them:

* `scans_max` scans (manifest, counts, verdicts) wait; beyond that new scans are dropped whole, counted and reported;
* audit lines are never dropped: when `audits_max` wait because the disk does not take them, `audit` raises
  StateCorrupt, which stops the daemon (what cannot be recorded is not done);
* positions, monitors, markouts and the session summary count among the scans' places but are never dropped for room.

Manifests and audit lines are written as they come. Reports and monitors are brought up to date every SIDE_FILES_EVERY,
the latter at once when the go/no-go answer changes, and all of it by `drain`.
"""

import asyncio
import threading
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Final, Never

import structlog

from kalshi_daemon.artifacts.archive import (
    Archive,
    AuditJob,
    Job,
    MarkoutJob,
    MonitorJob,
    PositionsJob,
    ScanJob,
    SessionJob,
    Written,
)
from kalshi_daemon.artifacts.monitors import IndexRecord, Stop, WindowVerdicts
from kalshi_daemon.artifacts.paths import ArtifactPaths, day_of
from kalshi_daemon.artifacts.session import SessionTotals, build_session
from kalshi_daemon.domain.forecast import Reading
from kalshi_daemon.domain.index import Index
from kalshi_daemon.domain.markout import Markout
from kalshi_daemon.domain.monitor import Monitor
from kalshi_daemon.domain.order import Order
from kalshi_daemon.domain.quote import QuotePlan
from kalshi_daemon.domain.verdict import Judgement, Verdict
from kalshi_daemon.domain.window import Window
from kalshi_daemon.ground.clock import Clock, iso_utc
from kalshi_daemon.ground.errors import StateCorrupt
from kalshi_daemon.ground.off_loop import in_thread
from kalshi_daemon.ground.units import SECOND, Nanos
from kalshi_daemon.guardrails.permission import LatchOpen
from kalshi_daemon.state import DaemonState, Position

SCANS_MAX: Final = 1_024
AUDITS_MAX: Final = 200_000
BATCH_MAX: Final = 128
"""Jobs and audit lines per turn of the thread, so that a stop never waits long for one."""
SIDE_FILES_EVERY: Final = Nanos(30 * SECOND)

log = structlog.get_logger()


class ArtifactWriter:
    """Everything but `run` and `drain` is synchronous, quick and never touches the disk.

    root: the mode's directory. run_id: names this process's session, unique per start.
    """

    def __init__(
        self,
        root: Path,
        clock: Clock,
        *,
        run_id: str,
        mode: str,
        scans_max: int = SCANS_MAX,
        audits_max: int = AUDITS_MAX,
    ) -> None:
        self.paths = ArtifactPaths(root)
        self._clock = clock
        self._run_id = run_id
        self._mode = mode
        self._scans_max = scans_max
        self._audits_max = audits_max
        self._archive = Archive(self.paths, run_id=run_id, mode=mode)
        self._jobs: deque[Job] = deque()
        self._audits: deque[AuditJob] = deque()
        self._dropped: Counter[str] = Counter()
        self._records: dict[Index, tuple[Reading, ...]] = {}
        self._wake = asyncio.Event()
        self._writing = asyncio.Lock()
        self._whole_due = False
        self._problems: frozenset[str] = frozenset()
        self.manifests_written = 0
        self.manifests_dropped = 0

    @property
    def files_lock(self) -> threading.Lock:
        """Held by the thread while it writes; never to be waited for on the loop."""
        return self._archive.files_lock

    # -- taking in

    def manifest(self, plan: QuotePlan, judgement: Judgement, orders: Sequence[Order]) -> None:
        """One scan: its manifest, its place in the report, its verdicts on the monitors. Accepted or refused."""
        if len(self._jobs) >= self._scans_max:
            self._dropped[plan.window.series.ticker] += 1
            self.manifests_dropped += 1
            if self.manifests_dropped.bit_count() == 1:  # the 1st, 2nd, 4th, 8th...: loud without flooding
                log.error("artifacts.manifests_dropped", dropped=self.manifests_dropped, waiting=len(self._jobs))
            return
        self._take(ScanJob(plan, judgement, tuple(orders)))

    def audit(self, entry: Mapping[str, Any]) -> None:
        """One line of the audit trail. Adds mode, run_id and, when missing, the time. Raises StateCorrupt at the bound.

        The line belongs to the New York day of the clock now; its series is `series`, else the market's first part.
        """
        now = self._clock.now_ns()
        if len(self._audits) >= self._audits_max:
            path = self.paths.audit(day_of(now))
            raise StateCorrupt(str(path), f"audit trail cannot be written, {len(self._audits)} lines wait")
        line = {"timestamp": iso_utc(now), "mode": self._mode, "run_id": self._run_id, **entry}
        series = entry.get("series") or str(entry.get("market") or "").partition("-")[0]
        self._audits.append(AuditJob(day_of(now), str(series), line))
        self._wake.set()

    def monitors(self, window: Window, verdicts: Sequence[Verdict]) -> None:
        """Verdicts on a window outside a scan, e.g. at a look at resting quotes."""
        self._take(WindowVerdicts(window, tuple(verdicts), self._clock.now_ns()))

    def record(self, index: Index, readings: tuple[Reading, ...]) -> None:
        """What the monitors of one index's forecasts read now; an answer that is the last one again costs nothing."""
        if self._records.get(index) != readings:
            self._records[index] = readings
            self._take(IndexRecord(index, readings, self._clock.now_ns()))

    def monitor(self, document: Monitor) -> None:
        """A monitor that is no guard's. The last one stands."""
        self._take(MonitorJob(document))

    def markout(self, one: Markout) -> None:
        """A fill of ours, each time that more is known of where the market went after it."""
        self._take(MarkoutJob(one))

    def report(self, state: DaemonState) -> None:
        """The positions of every series now, for the reports, and the closed latch on the monitors: at the end.

        After a stop is asked for nothing is scanned, so no verdict of a window would ever tell of it.
        """
        now = self._clock.now_ns()
        if state.latch.closed:
            self._take(Stop(LatchOpen().judge(state.latch), now))
        by_series: dict[str, list[Position]] = {}
        for position in state.ledger.positions.values():
            by_series.setdefault(position.series_ticker, []).append(_copy(position))
        for series, positions in by_series.items():
            self._take(PositionsJob(series, tuple(positions), now))

    def session(self, totals: SessionTotals) -> None:
        """The summary of this session so far; the last call before the end stands."""
        now = self._clock.now_ns()
        day = day_of(now)
        made = build_session(totals, run_id=self._run_id, mode=self._mode, day=day, now_ns=now)
        self._take(SessionJob(day, made))

    def _take(self, job: Job) -> None:
        self._jobs.append(job)
        self._wake.set()

    # -- writing

    async def run(self) -> Never:
        """Write until cancelled. A disk that refuses is logged and tried again; it never ends the task."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._beat(), name="artifacts.beat")
            while True:
                await self._wake.wait()
                self._wake.clear()
                written = await self._turn(whole=self._whole_due)
                if self._jobs or (self._audits and not written.audits_left):
                    self._wake.set()  # lines the disk refused wait for the next beat or the next event

    async def drain(self) -> int:
        """Write everything that waits, reports and monitors included. Returns the audit lines the disk did not take.

        May be called while `run` runs, or after it was cancelled. Ends: each turn takes a batch or gives up.
        """
        refused = False
        while True:
            last = len(self._jobs) <= BATCH_MAX and (refused or len(self._audits) <= BATCH_MAX)
            refused = bool((await self._turn(whole=last)).audits_left)
            if last and not self._jobs and (refused or not self._audits):
                return len(self._audits)

    async def _beat(self) -> Never:
        while True:
            await self._clock.sleep(SIDE_FILES_EVERY)
            self._whole_due = True
            self._wake.set()

    async def _turn(self, *, whole: bool) -> Written:
        """One batch through the thread. Cancelled meanwhile, it lets the thread finish before it passes that on."""
        async with self._writing:
            audits = list(islice(self._audits, BATCH_MAX))
            jobs = [self._jobs.popleft() for _ in range(min(BATCH_MAX, len(self._jobs)))]
            dropped, self._dropped = self._dropped, Counter()
            if whole:
                self._whole_due = False
            now = self._clock.now_ns()
            work = partial(self._archive.write, audits, jobs, dropped, now, whole=whole)
            return await in_thread(work, lambda done: self._settle(audits, done.result()))

    def _settle(self, audits: Sequence[AuditJob], written: Written) -> None:
        """Take the written lines out of the queue; those the disk refused stay first, in order."""
        for _ in audits:
            self._audits.popleft()
        self._audits.extendleft(reversed(written.audits_left))
        self.manifests_written += written.manifests
        problems = frozenset(written.problems)
        for problem in sorted(problems - self._problems):
            log.error("artifacts.not_written", problem=problem, audit_lines_waiting=len(self._audits))
        self._problems = problems


def _copy(position: Position) -> Position:
    """As it is now: the ledger goes on while the thread reads."""
    return Position(
        position.market_ticker,
        position.event_ticker,
        position.series_ticker,
        position.count,
        position.cash,
        position.fees,
        position.settled,
        position.traded,
    )
