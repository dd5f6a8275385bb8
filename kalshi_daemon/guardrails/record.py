"""Have the forecasts been right: the record of the model against what came, and against the market's own mids."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from kalshi_daemon.domain.forecast import Reading, Standing
from kalshi_daemon.domain.verdict import RefusalEffect, Verdict
from kalshi_daemon.ground.units import Nanos
from kalshi_daemon.guardrails.guard import Guard, Scope, WindowContext, answer, refuse
from kalshi_daemon.state import DaemonState


@dataclass(frozen=True, slots=True)
class ForecastRecord:
    """Refuse, and pull, while a monitor of the model's own resolved forecasts is outside its limits.

    A monitor that has too few forecasts closes nothing: only the evidence detectors speak from the first fixing on.
    No record at all is a refusal. It heals by itself, as forecasts go on being scored while nothing is quoted.
    """

    name: ClassVar[str] = "forecast_record"
    scope: ClassVar[Scope] = Scope.INDEX
    pulls: ClassVar[bool] = True

    def judge_window(self, state: DaemonState, context: WindowContext, now: Nanos) -> Verdict:
        view = state.calibration.get(context.window.series.index)
        return _judged(self, () if view is None else view.health(now).readings)


@dataclass(frozen=True, slots=True)
class MarketRecord:
    """Refuse, and pull, while the market's mids have been clearly better than our probabilities.

    Both are written down at the same instant and compared once the contracts are determined.
    """

    name: ClassVar[str] = "market_record"
    scope: ClassVar[Scope] = Scope.INDEX
    pulls: ClassVar[bool] = True

    def judge_window(self, state: DaemonState, context: WindowContext, _now: Nanos) -> Verdict:
        view = state.market_records.get(context.window.series.index)
        return _judged(self, () if view is None else view.readings())


def _judged(guard: Guard, readings: Sequence[Reading]) -> Verdict:
    """The first monitor that failed with its number and the limit it crossed; or how many there are and learn."""
    if not readings:
        return refuse(guard, None, "a record", closing=RefusalEffect.PULL, note="no record of forecasts")
    standings = [one.standing for one in readings]
    failed = [one for one, standing in zip(readings, standings, strict=True) if standing is Standing.ALERT]
    if not failed:
        judged = standings.count(Standing.OK)
        return answer(guard, f"{judged} of {len(readings)} monitors judged, none failed", "none failed", passed=True)
    worst = failed[0]
    assert worst.value is not None, "an alert has a value"
    limit = worst.low if worst.low is not None and not worst.value >= worst.low else worst.high
    names = ", ".join(f"{one.monitor} ({one.group})" for one in failed)
    return refuse(
        guard, worst.value, limit, worst.monitor, closing=RefusalEffect.PULL, note=f"{names}; n {worst.n:.0f}"
    )
