"""What the manifests of a day say, folded one by one: windows, guards, budgets, and our fairs of chosen markets. Pure.

A guard counts as closed from a scan it refused until the next scan of the same profile and window, or the end of
quoting there: the scans are when it was asked, so the time closed is known to a scan's interval.
"""

import math
from collections.abc import Collection, Container, Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from kalshi_daemon.artifacts.manifest import InputsRow, LookRow, Manifest
from kalshi_daemon.digest.records import Fair, Interval, Pays, covered
from kalshi_daemon.domain.index import Index
from kalshi_daemon.domain.instruments import SHIPPED_INSTRUMENTS
from kalshi_daemon.domain.verdict import Verdict
from kalshi_daemon.ground.errors import MalformedField
from kalshi_daemon.ground.units import Level, Nanos, parse_level
from kalshi_daemon.kalshi.fields import timestamp

SCANS_MAX: Final = 50_000
"""Manifests folded into one digest: ten times a live day."""
BUDGETS: Final = ("daily_loss", "weekly_loss", "pal", "joint_tail")
RECORD_GUARDS: Final = ("forecast_record", "market_record", "calibration")
_SQRT_TAU: Final = math.sqrt(2.0 * math.pi)


@dataclass(slots=True)
class WindowScans:
    """One window as its scans saw it."""

    event: str
    series: str
    index: Index
    opens_ns: Nanos
    new_until_ns: Nanos
    target_ns: Nanos
    scans: int = 0
    proposed: int = 0
    accepted: int = 0


@dataclass(slots=True)
class GuardCount:
    """How often a guard refused, and what it measured last."""

    scans: int = 0
    quotes: int = 0
    forced: int = 0
    last: str = ""
    closed: list[Interval] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Peak:
    """The most a budget was used, as its guard measured it, in dollars."""

    guard: str
    measured: float
    limit: float
    at_ns: Nanos
    note: str


@dataclass(frozen=True, slots=True)
class _Verdict:
    """One guard's answer as the manifest has it. `use`: of a budget that was measured."""

    guard: str
    passed: bool
    forced: bool
    because: str
    use: Peak | None


class ScanDay:
    """The fold. `wanted`: markets whose fairs are kept; `ours`: the indices there are. Not thread-safe."""

    def __init__(self, wanted: Collection[str] = (), ours: Container[Index] = SHIPPED_INSTRUMENTS.indices) -> None:
        self._ours = ours
        self.windows: dict[str, WindowScans] = {}
        self.guards: dict[str, GuardCount] = {}
        self.fairs: dict[str, list[Fair]] = {ticker: [] for ticker in wanted}
        self.pays: dict[str, Pays] = {}
        self.peaks: dict[str, Peak] = {}
        self.plans: dict[str, Nanos] = {}
        """plan_id -> when the scan began."""
        self.unreadable = 0
        self.problem = ""
        """Of the first one that could not be read; of one that a newer daemon wrote before any other."""
        self.dropped = 0
        self._newer = False
        self._refused: dict[tuple[str, str], list[tuple[Nanos, tuple[str, ...]]]] = {}

    @property
    def scans(self) -> int:
        return len(self.plans)

    def add(self, manifest: Manifest) -> None:
        """Fold one manifest in, whole. Raises MalformedData for a value that says nothing, and folds nothing of it."""
        if len(self.plans) >= SCANS_MAX:
            self.dropped += 1
            return
        at, window = timestamp(manifest.generated_at, "generated_at"), self._window(manifest)
        verdicts = _verdicts(manifest.verdicts, at)
        looks = [_look(row, at, manifest.inputs) for row in manifest.looks]
        quotes = [(quote.accepted, _verdicts(quote.verdicts, at)) for quote in manifest.quotes]
        # From here on nothing can fail: a manifest counts whole or not at all.
        self.plans[manifest.plan_id] = at
        self.windows[window.event] = window
        for ticker, pays, fair in looks:
            if ticker in self.fairs:
                self.pays.setdefault(ticker, pays)
                if fair is not None:
                    self.fairs[ticker].append(fair)
        window.scans += 1
        window.proposed += len(quotes)
        window.accepted += sum(accepted for accepted, _verdicts in quotes)
        self._refused.setdefault((window.event, manifest.profile.name), []).append((at, self._judge(verdicts)))
        for _accepted, judged in quotes:
            self._judge(judged, of_quote=True)

    def note_unreadable(self, problem: str, *, newer: bool = False) -> None:
        """One manifest that could not be read, or not whole. `newer`: by this daemon, that is."""
        self.unreadable += 1
        if not self.problem or (newer and not self._newer):
            self.problem, self._newer = problem, newer

    def finish(self) -> None:
        """After the last manifest: sort, and turn refusals into the intervals a guard was closed."""
        for fairs in self.fairs.values():
            fairs.sort(key=lambda one: one.at_ns)
        for (event, _profile), refusals in self._refused.items():
            end = self.windows[event].new_until_ns
            refusals.sort()
            for (at, guards), (until, _next) in pairwise([*refusals, (end, ())]):
                for guard in guards:
                    self.guards[guard].closed.append((at, until))

    def closed_ns(self, guard: str, within: Interval) -> int:
        """For how long of a span the guard kept at least one window shut."""
        found = self.guards.get(guard)
        return 0 if found is None else covered(found.closed, within)

    def _window(self, manifest: Manifest) -> WindowScans:
        """The window of the manifest as known so far; a new one is not yet among `windows`."""
        row = manifest.window
        found = self.windows.get(row.event_ticker)
        if found is None:
            opens, until, target = (
                timestamp(text, name)
                for name, text in (("opens", row.opens), ("new_until", row.new_until), ("target", row.target))
            )
            index = _index(manifest.inputs.index, self._ours)
            found = WindowScans(row.event_ticker, manifest.series, index, opens, until, target)
        return found

    def _judge(self, verdicts: list[_Verdict], *, of_quote: bool = False) -> tuple[str, ...]:
        """Count refusals, keep the peaks of the budgets; returns the guards that closed."""
        closed: list[str] = []
        for verdict in verdicts:
            if verdict.use is not None and (not of_quote or verdict.passed):
                self._peak(verdict.use)  # what a refused quote would have used was not used
            if verdict.passed:
                continue
            count = self.guards.setdefault(verdict.guard, GuardCount())
            if verdict.forced:
                count.forced += 1
                continue
            count.quotes += of_quote
            count.scans += not of_quote
            count.last = verdict.because
            closed.append(verdict.guard)
        return tuple(closed)

    def _peak(self, use: Peak) -> None:
        before = self.peaks.get(use.guard)
        if before is None or use.measured > before.measured:
            self.peaks[use.guard] = use


def _verdicts(rows: Iterable[Verdict], at: Nanos) -> list[_Verdict]:
    return [_verdict(row, at) for row in rows]


def _verdict(row: Verdict, at: Nanos) -> _Verdict:
    """What a verdict says; `forced` counts only of one that did not pass."""
    use = None
    if row.guard in BUDGETS and isinstance(row.measured, int | float) and isinstance(row.limit, int | float):
        use = Peak(row.guard, float(row.measured), float(row.limit), at, row.note)
    return _Verdict(row.guard, row.passed, not row.passed and row.forced, row.note or row.numbers, use)


def _index(name: str, ours: Container[Index]) -> Index:
    if name not in ours:
        raise MalformedField("inputs.index", name, "an index of the table")
    return Index(name)


def _look(row: LookRow, at: Nanos, inputs: InputsRow) -> tuple[str, Pays, Fair | None]:
    pays = Pays(_level(row.pays_from), _level(row.pays_to))
    if inputs.level is None or inputs.sigma is None:
        raise MalformedField("inputs", None, "the level and sigma of a forecast")
    look = None if row.fair is None else Fair(at, row.fair, inputs.level, delta(pays, inputs.level, inputs.sigma))
    return row.market, pays, look


def delta(pays: Pays, level: float, sigma: float) -> float | None:
    """Change of P(YES) per index point, of a normal distribution with the forecast's own level and scale.

    level: points. sigma: of ln(P_T / P_t), so the distribution's standard deviation is level x sigma points. None when
    it is not known what pays, or the distribution has no width.
    """
    width = level * sigma
    if (pays.lowest is None and pays.highest is None) or not width > 0.0 or not math.isfinite(width):
        return None
    return _density(pays.lowest, level, width) - _density(pays.highest, level, width)


def _density(edge: Level | None, level: float, width: float) -> float:
    """Of the distribution at one end of the interval, per point; 0 for an open end."""
    if edge is None:
        return 0.0
    z = (edge / 10_000 - level) / width
    return math.exp(-0.5 * z * z) / (_SQRT_TAU * width)


def _level(text: str | None) -> Level | None:
    return None if text is None else parse_level(text)
