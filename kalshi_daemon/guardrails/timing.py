"""Is this the time to quote: the window's phase, the session calendar, and clocks that agree with the venues'."""

from dataclasses import dataclass
from typing import ClassVar, Final

from kalshi_daemon.domain.verdict import RefusalEffect, Verdict
from kalshi_daemon.domain.window import Phase
from kalshi_daemon.ground.units import MILLISECOND, Nanos, to_ms
from kalshi_daemon.guardrails.guard import Scope, SessionLookup, WindowContext, answer, refuse
from kalshi_daemon.state import DaemonState

VENUES: Final = ("kalshi", "index_feed")
"""The clocks ours is compared with."""

_MAY_REST: Final = frozenset({Phase.OPEN, Phase.HOLD})


@dataclass(frozen=True, slots=True)
class WindowOpen:
    """Refuse unless the window is open, both by the scheduler's word and by the clock now.

    Both are asked because the scheduler's word may be a moment old; the stricter one counts. In the hold phase resting
    quotes may stay, in any other they go.
    """

    name: ClassVar[str] = "window_phase"
    scope: ClassVar[Scope] = Scope.WINDOW
    pulls: ClassVar[bool] = True

    def judge_window(self, state: DaemonState, context: WindowContext, now: Nanos) -> Verdict:
        status = state.windows.get(context.window.event_ticker)
        wanted = Phase.OPEN.value
        if status is None:
            return refuse(
                self, None, wanted, closing=RefusalEffect.PULL, note="the scheduler does not know this window"
            )
        phases = (status.phase, context.window.phase_at(now), status.window.phase_at(now))
        worst = next((phase for phase in phases if phase not in _MAY_REST), None)
        if worst is not None:
            return refuse(self, worst.value, wanted, closing=RefusalEffect.PULL, note=status.reason)
        phase = Phase.HOLD if Phase.HOLD in phases else Phase.OPEN
        return answer(self, phase.value, wanted, passed=phase is Phase.OPEN, note="no new quotes this late")


@dataclass(frozen=True, slots=True)
class InSession:
    """Refuse outside the calendar's session of the window's own day.

    The predecessor scanned all night and on holidays, with prices half a day old (docs/reference/predecessor.md 9.2,
    9.3).
    """

    session_of: SessionLookup
    name: ClassVar[str] = "session_calendar"
    scope: ClassVar[Scope] = Scope.WINDOW
    pulls: ClassVar[bool] = True

    def judge_window(self, _state: DaemonState, context: WindowContext, now: Nanos) -> Verdict:
        window = context.window
        session = self.session_of(now)
        if session is None:
            note = "no session of the calendar contains this instant"
            return refuse(self, None, window.session, closing=RefusalEffect.PULL, note=note)
        if session.day != window.session or window.target_ns > session.close_ns:
            note = "the fixing does not belong to the session that is on"
            return refuse(self, session.day, window.session, closing=RefusalEffect.PULL, note=note)
        return answer(self, session.day, window.session, passed=True)


@dataclass(frozen=True, slots=True)
class ClocksAgree:
    """Refuse while our clock and a venue's differ by too much, measured on the venue's own stamps.

    The predecessor compared its clock with itself (docs/reference/predecessor.md 9.16). A venue never measured refuses.
    How old a measurement may be is bounded elsewhere: feed stamps by `feed_age`, Kalshi's by `exchange_status`, both
    read with them.
    """

    skew_max: Nanos
    name: ClassVar[str] = "clock_skew"
    scope: ClassVar[Scope] = Scope.ACCOUNT
    pulls: ClassVar[bool] = True

    def judge_window(self, state: DaemonState, _context: WindowContext, _now: Nanos) -> Verdict:
        limit = to_ms(self.skew_max)
        missing = [venue for venue in VENUES if venue not in state.skew]
        if missing:
            return refuse(self, None, limit, "ms", note=f"not measured yet: {', '.join(missing)}")
        worst = max(VENUES, key=lambda venue: abs(state.skew[venue].offset_ns))
        offset = state.skew[worst].offset_ns
        return answer(
            self,
            offset / MILLISECOND,
            limit,
            "ms",
            passed=abs(offset) <= self.skew_max,
            closing=RefusalEffect.PULL,
            note=f"our clock is {'ahead of' if offset > 0 else 'behind'} {worst}'s",
        )
