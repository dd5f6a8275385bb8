"""The forms of a `DaemonStatus`: a document for programs, fields of a log line, tables for people."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from kalshi_daemon.domain.window import Phase
from kalshi_daemon.ground.clock import iso_utc
from kalshi_daemon.ground.tables import Column, Table
from kalshi_daemon.ground.units import format_count, format_dollars, format_price
from kalshi_daemon.operations.status import DaemonStatus, IndexStanding

SCHEMA: Final = 1
PHASE_STYLE: Final = {
    Phase.OPEN: "bold green",
    Phase.HOLD: "yellow",
    Phase.CUTOFF: "red",
    Phase.SHUT: "bold red",
    Phase.SETTLED: "dim",
    Phase.UPCOMING: "dim",
    Phase.SETTLING: "cyan",
}


def log_fields(status: DaemonStatus) -> dict[str, Any]:
    """The fields of `daemon.status`: ages in milliseconds, money in dollars with four decimals, null where unknown."""
    return {
        "ready": status.facts.ready,
        "armed": status.armed,
        "quoting": status.quoting,
        "why_not": list(status.why_not),
        "stopping": status.stopping or None,
        "kill_switch": status.kill_switch,
        "reconciled": status.reconciled,
        "reconciled_problem": status.reconciled_problem or None,
        "windows": dict(Counter(one.phase.value for one in status.windows)),
        "windows_open": sorted(one.event_ticker for one in status.windows if one.phase is Phase.OPEN),
        "orders_live": status.resting_total,
        "contracts_held": format_count(status.contracts_held),
        "fills": status.fills,
        "pnl_today_dollars": format_dollars(status.pnl_today),
        "pnl_week_dollars": format_dollars(status.pnl_week),
        "in_dispute_dollars": format_dollars(status.disputed),
        "orders_quarantined": status.quarantined,
        "scans": status.scans,
        "feed_connected": status.feed_connected,
        "feed_problem": status.feed_problem or None,
        "index_age_ms": {name: one.age_ms for name, one in status.indices.items()},
        "stream_up": status.stream_up,
    }


def document(status: DaemonStatus) -> dict[str, Any]:
    """What `status --json` prints: money and counts as text of the wire's form, ages in ms, null where unknown."""
    facts = status.facts
    return {
        "schema": SCHEMA,
        "at": iso_utc(status.now_ns),
        "version": facts.version,
        "run_id": facts.run_id,
        "mode": facts.mode,
        "ready": facts.ready,
        "armed": status.armed,
        "stopping": status.stopping or None,
        "kill_switch": status.kill_switch,
        "quoting": status.quoting,
        "why_not": list(status.why_not),
        **_guards_and_windows(status),
        **_ours(status),
        "reconciled": status.reconciled,
        "reconciled_problem": status.reconciled_problem or None,
        "groups_halted": dict(status.halted),
        "feed_connected": status.feed_connected,
        "feed_problem": status.feed_problem or None,
        "stream_up": status.stream_up,
        "disk_free_bytes": status.disk_free_bytes,
        "progressing": status.progressing,
        "indices": {
            name: {"value": one.value, "age_ms": one.age_ms, "withheld": one.withheld}
            for name, one in status.indices.items()
        },
        "ages": dict(status.ages),
        "counters": {
            "scans": status.scans,
            "orders_placed": status.orders_placed,
            "orders_cancelled": status.orders_cancelled,
        },
        "alerts": [
            {
                "at": iso_utc(one.at_ns),
                "kind": one.kind,
                "subject": one.subject,
                "severity": one.severity.value,
                "text": one.text,
            }
            for one in status.alerts
        ],
    }


def _guards_and_windows(status: DaemonStatus) -> dict[str, Any]:
    return {
        "guards_closed": [
            {
                "guard": one.guard,
                "measured": one.measured,
                "limit": one.limit,
                "unit": one.unit,
                "closing": one.closing,
                "note": one.note,
                "windows": list(one.windows),
                "since": iso_utc(one.since_ns),
            }
            for one in status.closed
        ],
        "guards_passing": [
            {
                "guard": one.guard,
                "measured": one.measured,
                "limit": one.limit,
                "unit": one.unit,
                "note": one.note,
                "window": window,
            }
            for window, one in status.passing
        ],
        "windows": [
            {
                "event_ticker": one.event_ticker,
                "index": one.index,
                "phase": one.phase.value,
                "reason": one.reason,
                "opens": iso_utc(one.opens_ns),
                "fixing": iso_utc(one.target_ns),
                "quoting": one.quoting,
                "guards_closed": list(one.closed),
                "resting": one.resting,
                "filled": format_count(one.filled),
                "held": format_count(one.held),
            }
            for one in status.windows
        ],
    }


def _ours(status: DaemonStatus) -> dict[str, Any]:
    """Orders, positions and money."""
    return {
        "resting_total": status.resting_total,
        "resting": [
            {
                "market": one.market_ticker,
                "event_ticker": one.event_ticker,
                "profile": one.profile,
                "side": one.side.value,
                "price": format_price(one.price),
                "remaining": format_count(one.leaves),
                "filled": format_count(one.filled),
                "status": one.status.value,
                "client_order_id": one.client_order_id,
                "expires": iso_utc(one.expires_ns),
            }
            for one in status.resting
        ],
        "positions_total": status.positions_total,
        "positions": [
            {
                "market": one.market_ticker,
                "event_ticker": one.event_ticker,
                "contracts": format_count(one.count),
                "cash_dollars": format_dollars(one.cash),
                "fees_dollars": format_dollars(one.fees),
            }
            for one in status.positions
        ],
        "contracts_held": format_count(status.contracts_held),
        "fills": status.fills,
        "fees_dollars": format_dollars(status.fees),
        "pnl_dollars": format_dollars(status.pnl_today),
        "pnl_week_dollars": format_dollars(status.pnl_week),
        "in_dispute_dollars": format_dollars(status.disputed),
        "orders_quarantined": status.quarantined,
        "budgets": {
            name: {
                "lost_dollars": format_dollars(one.lost),
                "used_dollars": format_dollars(one.used),
                "limit_dollars": format_dollars(one.limit),
                "used_percent": one.used_percent,
            }
            for name, one in status.budgets.items()
        },
    }


# -- tables, also of a document that came over the socket: `status` of another version may know fewer keys


def tables(found: Mapping[str, Any]) -> tuple[Table, ...]:
    """What `status` prints for people of a `document`."""
    return (_standing(found), _windows(found), _budgets(found), _alerts(found))


def _standing(found: Mapping[str, Any]) -> Table:
    quoting = "yes" if found["quoting"] else "no"
    rows = [
        ("mode", f"{found['mode']}{'' if found['armed'] else ', not armed'}"),
        ("quoting", quoting),
        *(("" if at else "why not", reason) for at, reason in enumerate(found["why_not"])),
        ("resting", f"{found['resting_total']} orders"),
        ("positions", f"{found['positions_total']} markets, {found['contracts_held']} contracts"),
        ("settled PnL", f"${found['pnl_dollars']} today, ${found['pnl_week_dollars']} this week"),
        ("fills", f"{found['fills']}, fees ${found['fees_dollars']}"),
        ("books agree", "yes" if found["reconciled"] else f"no: {found['reconciled_problem']}"),
        *((f"group of {profile}", f"halted: {why}") for profile, why in found["groups_halted"].items()),
        *((name, IndexStanding(**one).text) for name, one in found["indices"].items()),
    ]
    columns = (Column(""), Column(found["at"]))
    return Table(columns, [(name, str(value)) for name, value in rows])


_WINDOW_COLUMNS: Final = (
    Column("window"),
    Column("phase"),
    *(Column(name, right=True) for name in ("resting", "filled", "position")),
    Column("guards closed"),
)


def _windows(found: Mapping[str, Any]) -> Table:
    rows = [
        (
            one["event_ticker"],
            one["phase"],
            str(one["resting"]),
            one["filled"],
            one["held"],
            ", ".join(one["guards_closed"]),
        )
        for one in found["windows"]
    ]
    return Table(_WINDOW_COLUMNS, rows, row_styles=[PHASE_STYLE.get(one[1], "") for one in rows])


def _budgets(found: Mapping[str, Any]) -> Table:
    columns = (Column("budget"), *(Column(name, right=True) for name in ("used $", "limit $", "%")))
    rows = [
        (name, one["used_dollars"], one["limit_dollars"], str(one["used_percent"]))
        for name, one in found["budgets"].items()
    ]
    return Table(columns, rows)


def _alerts(found: Mapping[str, Any]) -> Table:
    columns = (Column("alert at"), Column("severity"), Column("what"))
    return Table(columns, [(one["at"], one["severity"], one["text"]) for one in found["alerts"]])


def window_table(status: DaemonStatus) -> Table:
    """The windows as the terminal's table shows them."""
    rows = [
        (one.event_ticker, one.phase.value, str(one.resting), f"{one.filled / 100:g}", f"{one.held / 100:g}")
        for one in status.windows
    ]
    return Table(_WINDOW_COLUMNS[:5], rows, row_styles=[PHASE_STYLE[one.phase] for one in status.windows])
