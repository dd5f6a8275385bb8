"""No order is written down while any guard is closed: every guard is asked again at that very instant.

A second opinion on the few that matter most is worked out here, without the chain.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import ClassVar

from kalshi_daemon.app.core import profiles_of
from kalshi_daemon.app.daemon import DaemonRun
from kalshi_daemon.domain.order import Order
from kalshi_daemon.domain.window import Phase
from kalshi_daemon.ground.units import MILLISECOND
from kalshi_daemon.guardrails.chain import Chain, build_chain
from kalshi_daemon.windows.macro import load_macro_calendar
from tests.simulation.checkers.checker import Checker
from tests.simulation.stage import Stage


@lru_cache(maxsize=1)
def _chain_of(life: DaemonRun) -> Chain:
    """All guards, built a second time from the same settings."""
    assert life.components is not None
    settings, sessions = life.components.settings, life.components.core.sessions
    release_near = load_macro_calendar(settings.macro).release_near
    return build_chain(settings, session_of=sessions.session_of, release_near=release_near)


class GuardsOpen(Checker):
    name: ClassVar[str] = "guards"

    def intent(self, stage: Stage, life: DaemonRun, order: Order) -> Iterable[str]:
        components = life.components
        assert components is not None, "somebody made the intent"
        state, now = life.state, stage.daemon_clock.now_ns()
        status = state.windows.get(order.event_ticker)
        if status is None:
            yield f"{order.client_order_id} is of a window nobody knows"
            return
        profile = next(profile for profile in profiles_of(components.settings) if profile.name == order.profile)
        for verdict in _chain_of(life).judge_window(state, profile, status.window, now):
            # The intent itself is part of the state by now; what may be lost is judged by `losses`.
            if not verdict.allows and verdict.guard not in {"daily_loss", "weekly_loss", "balance"}:
                yield f"{order.client_order_id} was made while {verdict.guard} was closed ({verdict.note})"
        tick = state.index[status.window.series.index].last
        limit = components.settings.guards.feed_age_soft_ms * MILLISECOND
        closed = {
            "latch": state.latch.closed,
            "kill switch": state.kill_switch,
            "books": not state.reconciliation.agreed,
            "phase": status.phase is not Phase.OPEN or not status.window.opens_ns <= now < status.window.new_until_ns,
            "feed": tick is None or now - tick.event_ns > limit,
        }
        for name, shut in closed.items():
            if shut:
                yield f"{order.client_order_id} was made in spite of: {name}"
