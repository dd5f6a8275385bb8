"""Is what we see the market: the index value's age, a value that no longer moves, the model, and the macro calendar."""

from dataclasses import dataclass, field
from typing import ClassVar

from kalshi_daemon.domain.verdict import RefusalEffect, Verdict
from kalshi_daemon.domain.window import Window
from kalshi_daemon.ground.units import HOUR, MILLISECOND, MINUTE, Nanos, to_s
from kalshi_daemon.guardrails.guard import ReleaseLookup, Scope, WindowContext, answer, refuse
from kalshi_daemon.ladder.implied import ImpliedDistributions
from kalshi_daemon.settings.model import PricingSettings
from kalshi_daemon.state import CalibrationView, DaemonState
from kalshi_daemon.windows.releases import EXHAUSTED


@dataclass(frozen=True, slots=True)
class FeedAge:
    """Refuse while the index value is older than its limit, by the vendor's own stamp and the clock now.

    Soft: no new quotes. Pull: resting ones go too. In the last minute before the fixing one strict limit does both.
    The predecessor accepted values 13 hours old, and read ages that a file had stored days before
    (docs/reference/predecessor.md 9.3, 9.4). A stamp further in our future than clocks may differ is no measurement.
    """

    soft: Nanos
    pull: Nanos
    final_minute: Nanos
    skew_max: Nanos
    name: ClassVar[str] = "feed_age"
    scope: ClassVar[Scope] = Scope.WINDOW
    pulls: ClassVar[bool] = True

    def judge_window(self, state: DaemonState, context: WindowContext, now: Nanos) -> Verdict:
        final = context.window.target_ns - now <= MINUTE
        limit = min(self.soft, self.final_minute) if final else self.soft
        pull = limit if final else self.pull
        unit, shown = "ms", limit / MILLISECOND
        index = context.window.series.index
        last = state.index[index].last
        if last is None:
            return refuse(self, None, shown, unit, closing=RefusalEffect.PULL, note=f"no value of {index.value} yet")
        age = now - last.event_ns
        if age < -self.skew_max:
            note = f"{index.value} is stamped in the future"
            return refuse(self, age / MILLISECOND, shown, unit, closing=RefusalEffect.PULL, note=note)
        return answer(
            self,
            age / MILLISECOND,
            shown,
            unit,
            passed=age <= limit,
            closing=RefusalEffect.PULL if age > pull else RefusalEffect.HOLD,
            note=f"{index.value} is stale" + (", final minute" if final else ""),
        )


@dataclass(frozen=True, slots=True)
class IndexPlausible:
    """Refuse, and pull, while the newest value of an index is too far from what was known to be believed.

    Whether it is a misprint or a crash, what rests was priced for another level.
    """

    name: ClassVar[str] = "index_plausible"
    scope: ClassVar[Scope] = Scope.INDEX
    pulls: ClassVar[bool] = True

    def judge_window(self, state: DaemonState, context: WindowContext, _now: Nanos) -> Verdict:
        index = context.window.series.index
        withheld = state.index[index].withheld
        if withheld is not None:
            known = "nothing" if withheld.known is None else f"{withheld.known:g}"
            note = f"{index.value} says {withheld.value:g} after {known}: withheld until it is confirmed"
            if withheld.against:
                note += f", contradicted by {withheld.against}"
            measured, limit = withheld.move, withheld.limit
            return answer(self, measured, limit, "share", passed=False, closing=RefusalEffect.PULL, note=note)
        if state.index[index].last is None:
            return refuse(self, None, None, "share", closing=RefusalEffect.PULL, note=f"no value of {index.value} yet")
        return answer(self, 0.0, None, "share", passed=True)


@dataclass(frozen=True, slots=True)
class FeedMoving:
    """Refuse, and pull, while an index repeats one value although its stamps advance.

    A cash index of hundreds of stocks changes nearly every second. If the other index still moves, this one's source is
    frozen; if neither moves, the market is halted or the whole feed frozen. What rests is priced for a value nobody
    knows to hold. The limit is the feed's pull age: a value repeated that long tells as little as one that is that old.
    """

    still_max: Nanos
    name: ClassVar[str] = "feed_frozen"
    scope: ClassVar[Scope] = Scope.INDEX
    pulls: ClassVar[bool] = True

    def judge_window(self, state: DaemonState, context: WindowContext, now: Nanos) -> Verdict:
        index = context.window.series.index
        limit = self.still_max / MILLISECOND
        changed = state.index[index].changed_ns
        if changed is None:
            return refuse(self, None, limit, "ms", note=f"{index.value} has not changed yet")
        others = (state.index[other].changed_ns for other in state.instruments.peers(index))
        moving = any(other is not None and now - other <= self.still_max for other in others)
        still = now - changed
        return answer(
            self,
            still / MILLISECOND,
            limit,
            "ms",
            passed=still <= self.still_max,
            closing=RefusalEffect.PULL,
            note=f"{index.value} repeats one value" + (" while the other index moves" if moving else ""),
        )


@dataclass(frozen=True, slots=True)
class ModelHealthy:
    """Refuse, and pull, unless the rolling model of the index is warm, fresh and without alarms.

    The predecessor's recalibration wrote files that quoting never read (docs/reference/predecessor.md 9.5); here the
    live model is asked. Its sigma must not be far from what the ladder's books imply either; books that say nothing are
    no reason to refuse.
    """

    age_max: Nanos
    books_ratio: tuple[float, float]
    """Sigma of the forecast over that of the books: least and most."""
    pricing: PricingSettings
    distributions: ImpliedDistributions = field(default_factory=ImpliedDistributions, compare=False, repr=False)
    name: ClassVar[str] = "calibration"
    scope: ClassVar[Scope] = Scope.WINDOW
    pulls: ClassVar[bool] = True

    def judge_window(self, state: DaemonState, context: WindowContext, now: Nanos) -> Verdict:
        index = context.window.series.index
        limit = to_s(self.age_max)
        view = state.calibration.get(index)
        if view is None:
            return refuse(self, None, limit, "s", closing=RefusalEffect.PULL, note=f"no model of {index.value}")
        health = view.health(now)
        if health.last_update_ns is None:
            return refuse(
                self, None, limit, "s", closing=RefusalEffect.PULL, note=f"model of {index.value} never updated"
            )
        age = Nanos(now - health.last_update_ns)
        problem = ", ".join(health.alarms)
        if not problem and not health.ready:
            problem = f"warming up: {health.minutes_seen:.2f} minutes of today seen"
        problem = problem or self._against_books(state, view, context.window, now)
        fresh = age <= self.age_max
        return answer(
            self,
            to_s(age),
            limit,
            "s",
            passed=fresh and not problem,
            closing=RefusalEffect.PULL,
            note=problem or f"model of {index.value} is stale",
        )

    def _against_books(self, state: DaemonState, view: CalibrationView, window: Window, now: Nanos) -> str:
        """Both sigmas when they are too far apart; "" when they are not, or one is missing."""
        forecast = view.forecast(now, window.target_ns)
        implied = (
            None if forecast is None else self.distributions.distribution(state, window.event_ticker, self.pricing)
        )
        if forecast is None or implied is None:
            return ""
        low, high = self.books_ratio
        ratio = forecast.sigma / implied.sigma
        if low <= ratio <= high:
            return ""
        both = f"sigma {forecast.sigma:.3%} to the fixing, the books imply {implied.sigma:.3%}"
        return f"{both}: {ratio:.3g} times, outside {low:g}..{high:g}"


@dataclass(frozen=True, slots=True)
class MacroFresh:
    """Refuse around macro releases, and while a configured macro feed file is missing or old.

    `force_gate_pass` is this guard's override and touches nothing else: the predecessor's blanket override existed
    because macro files blocked everything, and it silenced the feed's age too (docs/reference/predecessor.md 9.15).
    Inside a release's blackout resting quotes are pulled; a stale file or a calendar that has ended holds.
    """

    age_max: tuple[tuple[str, Nanos], ...]
    """(feed name, greatest age of its file)."""
    blackout_before: Nanos
    blackout_after: Nanos
    skew_max: Nanos
    release_near: ReleaseLookup
    name: ClassVar[str] = "macro"
    scope: ClassVar[Scope] = Scope.ACCOUNT
    pulls: ClassVar[bool] = True

    def judge_window(self, state: DaemonState, _context: WindowContext, now: Nanos) -> Verdict:
        near = self.release_near(now, self.blackout_before, self.blackout_after)
        forced = state.force_gate_pass
        if near is not None:
            ended = near.event.startswith(EXHAUSTED)
            closing = RefusalEffect.HOLD if ended else RefusalEffect.PULL
            away = None if ended else to_s(Nanos(near.at_ns - now))
            limit = f"-{to_s(self.blackout_after):g}..{to_s(self.blackout_before):g}"
            return _force(refuse(self, away, limit, "s to release", closing=closing, note=near.event), forced=forced)
        for feed, most in self.age_max:
            hours = round(most / HOUR, 3)
            written = state.macro.feed_read_ns.get(feed)
            if written is None:
                return _force(refuse(self, None, hours, "h", note=f"macro feed {feed}: no file"), forced=forced)
            age = now - written
            if not -self.skew_max <= age <= most:
                verdict = refuse(self, round(age / HOUR, 3), hours, "h", note=f"macro feed {feed}: not fresh")
                return _force(verdict, forced=forced)
        return answer(self, "no release near, feeds fresh", "no release near, feeds fresh", passed=True)


def _force(refusal: Verdict, *, forced: bool) -> Verdict:
    """The refusal with its numbers, marked as let through when the override is on."""
    return Verdict(
        refusal.guard,
        passed=False,
        measured=refusal.measured,
        limit=refusal.limit,
        unit=refusal.unit,
        closing=refusal.closing,
        forced=forced,
        note=refusal.note,
    )
