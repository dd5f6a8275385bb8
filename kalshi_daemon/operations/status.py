"""One line that says how the daemon stands: for `kill -USR1` and whoever reads the log at night."""

from collections import Counter
from typing import Any

from kalshi_daemon.domain.window import Phase
from kalshi_daemon.ground.clock import age_ms
from kalshi_daemon.ground.units import Count, Nanos, format_count, format_dollars
from kalshi_daemon.state import DaemonState


def status_of(state: DaemonState, now_ns: Nanos) -> dict[str, Any]:
    """The fields of `daemon.status`: ages in milliseconds, money in dollars with four decimals, null where unknown."""
    phases = Counter(status.phase.value for status in state.windows.values())
    held = (abs(position.count) for position in state.ledger.positions.values() if not position.settled)
    ages = {
        index.value: None if known.last is None else age_ms(now_ns, known.last.event_ns)
        for index, known in state.index.items()
    }
    return {
        "armed": state.armed,
        "stopping": state.latch.reason or None,
        "kill_switch": state.kill_switch,
        "reconciled": state.reconciliation.agreed,
        "reconciled_problem": state.reconciliation.problem or None,
        "windows": dict(phases),
        "windows_open": sorted(t for t, status in state.windows.items() if status.phase is Phase.OPEN),
        "orders_live": len(state.live_orders()),
        "contracts_held": format_count(Count(sum(held))),
        "fills": state.ledger.fills_total,
        "pnl_today_dollars": format_dollars(state.ledger.realized_today),
        "pnl_week_dollars": format_dollars(state.ledger.realized_week),
        "in_dispute_dollars": format_dollars(state.ledger.disputed),
        "orders_quarantined": len(state.quarantined),
        "scans": state.counters.scans,
        "feed_connected": state.feed.connected,
        "feed_problem": state.feed.problem or None,
        "index_age_ms": ages,
        "stream_up": state.venue.stream_up,
    }
