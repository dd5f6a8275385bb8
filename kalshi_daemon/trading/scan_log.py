"""What the decision loop says of itself: one line a scan, and a line when a guard closes or opens again."""

from collections.abc import Container

import structlog

from kalshi_daemon.domain.order import Order
from kalshi_daemon.domain.quote import QuotePlan
from kalshi_daemon.domain.verdict import Judgement, Verdict
from kalshi_daemon.domain.window import Window
from kalshi_daemon.ground.units import MILLISECOND, Nanos
from kalshi_daemon.orders.cancelling import StopResult

log = structlog.get_logger()


def say_scan(plan: QuotePlan, judgement: Judgement, placed: tuple[Order, ...]) -> None:
    """One line for a scan, whatever came of it."""
    log.info(
        "scan.done",
        plan_id=plan.plan_id,
        profile=plan.profile.name,
        window=plan.window.event_ticker,
        trigger=plan.trigger,
        index_level=round(plan.forecast_level, 2),
        sigma_bp=round(plan.forecast_sigma * 1e4, 2),
        looked=len(plan.looks),
        proposed=len(plan.quotes),
        accepted=len(judgement.accepted),
        placed=len(placed),
        kept=len(plan.keep),
        cancelled=len(plan.cancel),
        closed_guards=[verdict.guard for verdict in judgement.closed],
    )


class RefusalLog:
    """Which guards were closed at the last look, by (profile or kind of look, event ticker)."""

    def __init__(self) -> None:
        self._closed: dict[tuple[str, str], tuple[str, ...]] = {}

    def forget(self, windows: Container[str]) -> None:
        """Drop windows that are over."""
        for key in [key for key in self._closed if key[1] not in windows]:
            del self._closed[key]

    def say(self, key: tuple[str, str], refused: tuple[Verdict, ...], window: Window, profile: str) -> bool:
        """A closed guard is logged when it closes and when it opens again, with the numbers, not at every look.

        Returns whether anything changed since the last look.
        """
        names = tuple(verdict.guard for verdict in refused)
        before = self._closed.get(key, ())
        if names == before:
            return False
        self._closed[key] = names
        for verdict in refused:
            if verdict.guard not in before:
                log.warning(
                    "guard.refused",
                    guard=verdict.guard,
                    window=window.event_ticker,
                    profile=profile,
                    measured=verdict.measured,
                    limit=verdict.limit,
                    unit=verdict.unit,
                    closing=verdict.closing.value,
                    note=verdict.note,
                )
        for guard in before:
            if guard not in names:
                log.info("guard.opened", guard=guard, window=window.event_ticker, profile=profile)
        return True


def say_killed(result: StopResult) -> None:
    """What came of cancelling everything because of the kill switch."""
    level = log.warning if result.verified else log.error
    level(
        "kill_switch.verified" if result.verified else "kill_switch.unverified",
        remaining=result.remaining,
        detail=result.detail,
    )


def say_cutoff(window: Window, result: StopResult, now: Nanos) -> None:
    """What came of cancelling a window's quotes at its cutoff."""
    level = log.info if result.verified else log.error
    level(
        "window.cutoff_verified" if result.verified else "window.cutoff_unverified",
        window=window.event_ticker,
        remaining=result.remaining,
        detail=result.detail,
        early_ms=(window.gone_by_ns - now) // MILLISECOND,
    )
