"""go_no_go.json, a monitor per guard and one per figure of the forecasts' record, from what decided, never from files.

A guard's monitor is OK when every window passed, NO_DATA when a refusing guard had nothing to measure, ALERT otherwise.
The record's monitors (`record_*`, docs/monitors.md) carry value, n and limits of each index and group; they fail
through the guards `forecast_record` and `market_record`. `go` is false while any window guard refuses, also one that an
override let through: NO-GO stays red beside `quoting: true`, and `forced` names what was overridden. After the latch
has closed no window is judged any more: the board is told of it (`Stop`), and what it says from then on is that verdict
in every window, beside the last word of the other guards.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, ClassVar

from pydantic import AliasChoices, Field

from kalshi_daemon.domain.forecast import Reading, Standing
from kalshi_daemon.domain.index import Index
from kalshi_daemon.domain.monitor import Monitor
from kalshi_daemon.domain.verdict import Verdict
from kalshi_daemon.domain.window import Window
from kalshi_daemon.ground.clock import iso_utc
from kalshi_daemon.ground.units import Nanos


@dataclass(frozen=True, slots=True)
class WindowVerdicts:
    """What the window guards said about one window, and when."""

    window: Window
    verdicts: tuple[Verdict, ...]
    judged_ns: Nanos


@dataclass(frozen=True, slots=True)
class Stop:
    """The latch has closed: what its guard says now, of every window."""

    verdict: Verdict
    at_ns: Nanos


@dataclass(frozen=True, slots=True)
class IndexRecord:
    """What the monitors of one index's forecasts read, and when they were asked."""

    index: Index
    readings: tuple[Reading, ...]
    asked_ns: Nanos


@dataclass(frozen=True, slots=True)
class ReadingLine:
    """One figure of the forecasts' record with its limits, as documents show it."""

    status: Standing
    value: float | None
    n: float
    n_min: Annotated[float, Field(validation_alias=AliasChoices("n_min", "n_least"))]
    """`n_least` before 0.1.0."""
    low: float | None
    high: float | None


type RecordOfIndex = dict[str, ReadingLine | str]
"""figure.group -> its reading, and beside them `asked_at`: when the record was asked, UTC."""


@dataclass(frozen=True, slots=True)
class WindowAnswer:
    """What the window guards said of one window, in short."""

    go: bool
    quoting: bool
    refusing: tuple[str, ...]
    judged_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GoNoGo:
    """The document `go_no_go.json`. `go` is false while any guard refuses, `quoting` true while a window may quote."""

    WHAT: ClassVar[str] = "go/no-go"
    SCHEMA: ClassVar[int] = 1

    schema: int = SCHEMA
    go: bool
    quoting: bool
    reasons: tuple[str, ...]
    forced: tuple[str, ...]
    """Guards that were overridden."""
    windows: dict[str, WindowAnswer]
    """By event."""
    generated_at: str
    record: dict[str, RecordOfIndex] = field(default_factory=dict)
    """By index."""


@dataclass(slots=True)
class MonitorBoard:
    """The latest verdicts of every window that has not fixed yet. Bounded by the windows of a session."""

    latest: dict[str, WindowVerdicts] = field(default_factory=dict)
    records: dict[Index, IndexRecord] = field(default_factory=dict)
    stop: Stop | None = None

    def note(self, seen: WindowVerdicts) -> bool:
        """Take in a judgement and forget windows past their fixing; True when the go/no-go answer changed."""
        before = _state_of(self.latest)
        self.latest[seen.window.event_ticker] = seen
        self.latest = {
            event: one for event, one in self.latest.items() if one.window.target_ns > seen.judged_ns or one is seen
        }
        return _state_of(self.latest) != before

    def note_stop(self, stop: Stop) -> None:
        """The last word on every window that has not fixed yet."""
        self.stop = stop
        self.latest = {
            event: replace(one, verdicts=_with(one.verdicts, stop.verdict))
            for event, one in self.latest.items()
            if one.window.target_ns > stop.at_ns
        }

    def documents(self, now_ns: Nanos) -> tuple[GoNoGo, dict[str, Monitor]]:
        """The go/no-go answer and the monitors by name."""
        at = iso_utc(now_ns)
        stopped = None if self.stop is None else self.stop.verdict
        go = replace(go_no_go(self.latest, at, stopped), record=record_summary(self.records))
        return go, monitors(self.latest, at, stopped) | record_monitors(self.records, at)


def go_no_go(latest: Mapping[str, WindowVerdicts], generated_at: str, stopped: Verdict | None = None) -> GoNoGo:
    """The answer without the record; no window judged yet is NO-GO, not GO.

    stopped: the closed latch, which is said first, as "stopped: SIGTERM"; None while the daemon works.
    """
    refusals = [(event, verdict) for event, one in latest.items() for verdict in one.verdicts if not verdict.passed]
    reasons = dict.fromkeys(f"{v.guard}: {_say(v)}" for _event, v in refusals if v is not stopped)
    if stopped is not None:
        reasons = {f"stopped: {stopped.note}": None} | reasons
    closed = {event for event, verdict in refusals if not verdict.allows}
    return GoNoGo(
        go=bool(latest) and not refusals,
        quoting=any(event not in closed for event in latest),
        reasons=tuple(reasons) if latest or stopped else ("no window judged yet",),
        forced=tuple(sorted({verdict.guard for _event, verdict in refusals if verdict.forced})),
        windows={
            event: WindowAnswer(
                go=all(verdict.passed for verdict in one.verdicts),
                quoting=event not in closed,
                refusing=tuple(verdict.guard for verdict in one.verdicts if not verdict.passed),
                judged_at=iso_utc(one.judged_ns),
            )
            for event, one in latest.items()
        },
        generated_at=generated_at,
    )


def monitors(
    latest: Mapping[str, WindowVerdicts], generated_at: str, stopped: Verdict | None = None
) -> dict[str, Monitor]:
    """One monitor per guard over all windows; the latch's own is there without any once it has closed."""
    by_guard: dict[str, dict[str, Verdict]] = {}
    for event, one in latest.items():
        for verdict in one.verdicts:
            by_guard.setdefault(verdict.guard, {})[event] = verdict
    said = {guard: list(verdicts.values()) for guard, verdicts in by_guard.items()}
    if stopped is not None:
        by_guard.setdefault(stopped.guard, {})
        said[stopped.guard] = [stopped]
    return {
        guard: Monitor(
            name=guard,
            status=status_of(said[guard]),
            metrics=dict(verdicts),
            message="; ".join(dict.fromkeys(_say(v) for v in said[guard] if not v.passed)),
            generated_at=generated_at,
        )
        for guard, verdicts in by_guard.items()
    }


def record_monitors(records: Mapping[Index, IndexRecord], generated_at: str) -> dict[str, Monitor]:
    """One monitor per figure, named `record_<figure>`, over both indices and all groups of horizons."""
    by_name: dict[str, dict[str, Reading]] = {}
    for index, record in records.items():
        for one in record.readings:
            by_name.setdefault(one.monitor, {})[f"{index.value}.{one.group}"] = one
    return {
        f"record_{name}": Monitor(
            name=f"record_{name}",
            status=_worst(readings.values()),
            metrics={place: _line(one) for place, one in readings.items()},
            message="; ".join(
                f"{place} {_text(one.value)} outside {_text(one.low)}..{_text(one.high)}, n {one.n:.0f}"
                for place, one in readings.items()
                if one.standing is Standing.ALERT
            ),
            generated_at=generated_at,
        )
        for name, readings in by_name.items()
    }


def record_summary(records: Mapping[Index, IndexRecord]) -> dict[str, RecordOfIndex]:
    """By index: what its record says."""
    return {
        index.value: {
            **{f"{one.monitor}.{one.group}": _line(one) for one in record.readings},
            "asked_at": iso_utc(record.asked_ns),
        }
        for index, record in records.items()
    }


def _line(one: Reading) -> ReadingLine:
    return ReadingLine(one.standing, one.value, round(one.n, 1), one.n_min, one.low, one.high)


def _worst(readings: Iterable[Reading]) -> Standing:
    """ALERT before OK before NO_DATA: what can be judged speaks for a monitor while the rest of it still learns."""
    found = {one.standing for one in readings}
    return next((one for one in (Standing.ALERT, Standing.OK) if one in found), Standing.LEARNING)


def status_of(verdicts: Sequence[Verdict]) -> Standing:
    """The worst of them; refusing without a measurement is NO_DATA, unless another measured and refused."""
    refused = [verdict for verdict in verdicts if not verdict.passed]
    if not refused:
        return Standing.OK if verdicts else Standing.LEARNING
    return Standing.ALERT if any(verdict.measured is not None for verdict in refused) else Standing.LEARNING


def _with(verdicts: tuple[Verdict, ...], one: Verdict) -> tuple[Verdict, ...]:
    """The verdicts with this one in its guard's place, or after them."""
    if all(verdict.guard != one.guard for verdict in verdicts):
        return (*verdicts, one)
    return tuple(one if verdict.guard == one.guard else verdict for verdict in verdicts)


def _say(verdict: Verdict) -> str:
    return f"{verdict.numbers} ({verdict.note})" if verdict.note else verdict.numbers


def _text(value: float | str | None) -> str:
    if value is None:
        return "no data"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _state_of(latest: Mapping[str, WindowVerdicts]) -> set[tuple[str, str, bool]]:
    return {(event, v.guard, v.allows) for event, one in latest.items() for v in one.verdicts if not v.passed}
