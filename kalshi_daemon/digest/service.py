"""How the machine itself did on a day: runs, reconnects, delays, cutoffs, unknown outcomes. Pure, one log line a time.

Delays are nearest-rank percentiles of what was recorded: the journal's for orders, manifest and log for scans, the
recorder's for ticks. Nothing is estimated; what has no record is None.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

import numpy as np

from kalshi_daemon.digest.records import Interval, Json, Records, Tape, Unknown
from kalshi_daemon.digest.renamed_events import event_name
from kalshi_daemon.digest.scans import ScanDay
from kalshi_daemon.domain.index import Index
from kalshi_daemon.ground.errors import MalformedData
from kalshi_daemon.ground.units import MINUTE, Nanos
from kalshi_daemon.kalshi.fields import timestamp

RUNS_MAX: Final = 1_000
NAMES_MAX: Final = 64
"""Causes and event names told apart; beyond it they are counted under one name."""
RATE_LIMITED: Final = "rate limited"
"""What the error of a 429 (or of our own empty bucket) says."""
EVENTS: Final = frozenset({
    "daemon.ready", "stop.asked", "session.summary", "stop.unverified", "feed.session_opened",
    "feed.session_ended", "feed.evicted", "kalshi_stream.session_opened", "kalshi_stream.session_ended", "scan.done",
    "window.cutoff_verified", "window.cutoff_unverified", "kalshi_stream.measured",
})  # fmt: skip


@dataclass(slots=True)
class Run:
    """One process as its lines show it."""

    run_id: str
    first_ns: Nanos
    last_ns: Nanos
    ready: bool = False
    stop_reason: str = ""
    """"" when no line says why it ended: killed, or still running."""
    finished: bool = False
    """It wrote its summary."""


@dataclass(slots=True)
class Link:
    """One of the two streams we hold."""

    opened: int = 0
    reconnects: int = 0
    """Openings that were not the first of their process."""
    ends: Counter[str] = field(default_factory=Counter)
    down: list[Interval] = field(default_factory=list)
    _since: dict[str, Nanos] = field(default_factory=dict)

    @property
    def down_ns(self) -> int:
        """From each reported end to the next opening in the same run."""
        return sum(until - since for since, until in self.down)

    def open(self, run_id: str, at: Nanos, number: object) -> None:
        """`number`: which opening of its process it is, as logged. A process may be older than the day."""
        self.opened += 1
        self.reconnects += number != 1
        since = self._since.pop(run_id, None)
        if since is not None and len(self.down) < RUNS_MAX:
            self.down.append((since, at))

    def end(self, run_id: str, at: Nanos, cause: str) -> None:
        """A connection of this run ended, and why."""
        _count(self.ends, cause)
        if len(self._since) < RUNS_MAX:
            self._since.setdefault(run_id, at)


class ServiceLog:
    """The fold over a day's log lines, already parsed. `scans` gives the start of each scan by plan id."""

    def __init__(self, scans: ScanDay) -> None:
        self._scans = scans
        self.runs: dict[str, Run] = {}
        self.feed = Link()
        self.stream = Link()
        self.scan_ns: list[int] = []
        self.cutoffs_verified = 0
        self.cutoffs_unverified: list[str] = []
        self.early_ms: tuple[int, str] | None = None
        """The smallest, and its window."""
        self.stops_unverified = 0
        self.rate_limited = 0
        self.levels: Counter[str] = Counter()
        """Warnings and errors by event."""
        self.stream_lag_ms: list[int] = []
        self.lines = 0
        self.unreadable = 0

    def add(self, line: Json) -> None:
        """Fold one line in; one without the fields of ours is counted as unreadable."""
        try:
            at, event, run_id = timestamp(line["ts"], "ts"), event_name(str(line["event"])), str(line["run_id"])
        except (KeyError, MalformedData):
            self.unreadable += 1
            return
        self.lines += 1
        self._note_run(run_id, at)
        if line.get("level") in {"warning", "error"}:
            _count(self.levels, event)
            self.rate_limited += any(RATE_LIMITED in str(line.get(key, "")) for key in ("cause", "detail", "problem"))
        elif RATE_LIMITED in str(line.get("cause", "")):
            self.rate_limited += 1
        if event in EVENTS:
            self._take(event, line, run_id, at)

    def _note_run(self, run_id: str, at: Nanos) -> None:
        run = self.runs.get(run_id)
        if run is None:
            if len(self.runs) < RUNS_MAX:
                self.runs[run_id] = Run(run_id, at, at)
        else:
            run.first_ns, run.last_ns = min(run.first_ns, at), max(run.last_ns, at)

    def _take(self, event: str, line: Json, run_id: str, at: Nanos) -> None:
        link = self.feed if event.startswith("feed.") else self.stream
        match event:
            case "feed.session_opened" | "kalshi_stream.session_opened":
                link.open(run_id, at, line.get("session", line.get("connection")))
            case "feed.session_ended" | "feed.evicted" | "kalshi_stream.session_ended":
                link.end(run_id, at, str(line.get("cause", event)))
            case "scan.done":
                began = self._scans.plans.get(str(line.get("plan_id")))
                if began is not None and at >= began:
                    self.scan_ns.append(at - began)
            case "window.cutoff_verified":
                self._note_cutoff(line)
            case "window.cutoff_unverified":
                self.cutoffs_unverified.append(str(line.get("window", "")))
            case "stop.unverified":
                self.stops_unverified += 1
            case "kalshi_stream.measured":
                lag = line.get("lag_ms_max", line.get("lag_most_ms"))  # its name before 0.1.0
                if line.get("up") and isinstance(lag, int):
                    self.stream_lag_ms.append(lag)
            case _:
                self._note_life(event, line, run_id)

    def _note_cutoff(self, line: Json) -> None:
        self.cutoffs_verified += 1
        early = line.get("early_ms")
        if isinstance(early, int) and (self.early_ms is None or early < self.early_ms[0]):
            self.early_ms = (early, str(line.get("window", "")))

    def _note_life(self, event: str, line: Json, run_id: str) -> None:
        run = self.runs.get(run_id)
        if run is None:
            return
        if event == "daemon.ready":
            run.ready = True
        elif event == "stop.asked":
            run.stop_reason = run.stop_reason or str(line.get("reason", ""))
        else:
            run.finished = True
            run.stop_reason = str(line.get("stop_reason", "")) or run.stop_reason


@dataclass(frozen=True, slots=True)
class Delay:
    """Percentiles of a delay, in ns; None without a record."""

    n: int
    p50: int | None
    p99: int | None
    most: int | None


@dataclass(frozen=True, slots=True)
class TickFigures:
    """One index's ticks between the first opening of a window and the last fixing."""

    index: Index
    ticks: int
    delay: Delay
    silent_minutes: int | None
    """Whole minutes of that span without one tick; None when no window was scanned."""


@dataclass(frozen=True, slots=True)
class Service:
    """The machine's day."""

    log: ServiceLog
    up_ns: int
    """Of all runs together, each from its first line to its last."""
    ack: Delay
    cancel: Delay
    scan: Delay
    stream_lag_ms: Delay
    """The largest lag of each minute, in ms."""
    ticks: tuple[TickFigures, ...]
    unknown: tuple[Unknown, ...]
    """Longest first, unresolved ones before all."""

    @property
    def restarts(self) -> int:
        return max(0, len(self.log.runs) - 1)


def service(records: Records, scans: ScanDay, log: ServiceLog) -> Service:
    """How the daemon did its work that day: connections, answers, delays."""
    orders = records.journal.orders
    unknown = [one for order in orders for one in order.unknown]
    unknown.sort(key=lambda one: (one.took_ns is not None, -(one.took_ns or 0), one.client_order_id))
    spans = [(one.opens_ns, one.target_ns) for one in scans.windows.values()]
    span = (min(s for s, _t in spans), min(max(t for _s, t in spans), records.now_ns)) if spans else None
    tapes = records.tapes
    return Service(
        log=log,
        up_ns=sum(run.last_ns - run.first_ns for run in log.runs.values()),
        ack=delay([one.answer_ns for one in orders if one.answer_ns is not None]),
        cancel=delay([took for one in orders for took in one.cancel_ns]),
        scan=delay(log.scan_ns),
        stream_lag_ms=delay(log.stream_lag_ms),
        ticks=tuple(_ticks(index, tapes[index], span) for index in records.instruments.indices if index in tapes),
        unknown=tuple(unknown),
    )


def delay(values: Iterable[int]) -> Delay:
    """Nearest-rank percentiles: the smallest value that at least that share of all does not exceed."""
    found = sorted(values)
    if not found:
        return Delay(0, None, None, None)
    return Delay(len(found), _rank(found, 0.50), _rank(found, 0.99), found[-1])


def _rank(found: Sequence[int], share: float) -> int:
    return found[max(0, math.ceil(share * len(found)) - 1)]


def _ticks(index: Index, tape: Tape, span: Interval | None) -> TickFigures:
    inside = np.ones(len(tape.at_ns), dtype=bool)
    silent = None
    if span is not None:
        inside = (tape.at_ns >= span[0]) & (tape.at_ns < span[1])
        edges = np.arange(span[0], span[1] + 1, MINUTE)
        places = np.searchsorted(tape.at_ns, edges)
        silent = sum(int(first) == int(last) for first, last in pairwise(places))
    delays = [int(one) for one in tape.delay_ns[inside]]
    return TickFigures(index, len(delays), delay(delays), silent)


def _count(counts: Counter[str], name: str) -> None:
    counts[name if name in counts or len(counts) < NAMES_MAX else "(others)"] += 1
