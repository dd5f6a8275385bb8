"""From measured sessions to the figures of a run. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from kalshi_daemon.backtest.measures import MeasuredFill, MeasuredWindow

_CENTS = 100.0


@dataclass(frozen=True, slots=True)
class WindowRow:
    """One window of one session: the unit that errors are clustered by."""

    session: str
    """Seed or date."""
    event_ticker: str
    fills: int
    contracts: float
    edge_dollars: float
    believed_dollars: float
    markout_30s_dollars: float
    markout_contracts: float
    """Contracts whose 30 s markout is known."""
    open_s: int
    quoting_s: int
    worst_case_max: float


@dataclass(frozen=True, slots=True)
class SessionResult:
    """One session's windows, and what it took to play them."""

    session: str
    hours: float
    rows: tuple[WindowRow, ...]
    pnl_dollars: float
    """Settled, after fees."""
    books_equal: bool
    cpu_s: float
    events: int
    """Frames and answers that reached the core."""


def rows_of(session: str, windows: Sequence[MeasuredWindow], fills: Sequence[MeasuredFill]) -> tuple[WindowRow, ...]:
    """A row for every window that was open or filled."""
    found = []
    for window in windows:
        own = [fill for fill in fills if fill.event_ticker == window.event_ticker]
        marked = [fill for fill in own if 30 in fill.markouts]  # noqa: PLR2004 - seconds
        found.append(
            WindowRow(
                session=session,
                event_ticker=window.event_ticker,
                fills=len(own),
                contracts=sum(fill.contracts for fill in own),
                edge_dollars=sum(fill.edge * fill.contracts for fill in own) / _CENTS,
                believed_dollars=sum((fill.believed or 0.0) * fill.contracts for fill in own) / _CENTS,
                markout_30s_dollars=sum(fill.markouts[30] * fill.contracts for fill in marked) / _CENTS,
                markout_contracts=sum(fill.contracts for fill in marked),
                open_s=window.open_s,
                quoting_s=window.quoting_s,
                worst_case_max=window.worst_case_max,
            )
        )
    return tuple(found)


def figures(results: Sequence[SessionResult]) -> dict[str, float | int | None]:
    """What `backtest --json` prints. Cents are a contract, None where there is none; an hour is one of the session."""
    rows = [row for result in results for row in result.rows]
    hours = sum(result.hours for result in results)
    contracts = sum(row.contracts for row in rows)
    edge = sum(row.edge_dollars for row in rows)
    marked = sum(row.markout_contracts for row in rows)
    by_hour = [sum(row.edge_dollars for row in hour) for hour in _hours(rows)]
    opened = sum(row.open_s for row in rows)
    return {
        "windows": len(rows),
        "hours": round(hours, 3),
        "fills": sum(row.fills for row in rows),
        "contracts": round(contracts, 2),
        "edge_dollars_per_hour": _ratio(edge, hours),
        "edge_cents": _ratio(_CENTS * edge, contracts),
        "edge_cents_se": _error(rows, contracts),
        "believed_cents": _ratio(_CENTS * sum(row.believed_dollars for row in rows), contracts),
        "markout_30s_cents": _ratio(_CENTS * sum(row.markout_30s_dollars for row in rows), marked),
        "sd_per_hour": _sd(by_hour),
        "worst_hour": round(min(by_hour), 4) if by_hour else None,
        "worst_case_max": round(max((row.worst_case_max for row in rows), default=0.0), 4),
        "quoting_share": _ratio(sum(row.quoting_s for row in rows), opened),
        "pnl_dollars": round(sum(result.pnl_dollars for result in results), 4),
        "books_equal": sum(result.books_equal for result in results),
        "sessions": len(results),
        "cpu_s": round(sum(result.cpu_s for result in results), 2),
        "events": sum(result.events for result in results),
    }


def paired(results: Sequence[SessionResult], base: Sequence[SessionResult]) -> dict[str, float | None]:
    """Edge of one run against another on the same sessions, window by window: difference an hour, ratio, t."""
    ours, theirs = _by_window(results), _by_window(base)
    differences = [ours.get(key, 0.0) - theirs.get(key, 0.0) for key in sorted(ours.keys() | theirs.keys())]
    hours = sum(result.hours for result in results)
    total, total_base = sum(ours.values()), sum(theirs.values())
    sd = _sd(differences)
    error = None if sd is None else sd * math.sqrt(len(differences))
    return {
        "ratio": _ratio(total, total_base),
        "difference": _ratio(total - total_base, hours),
        "t": None if not error else round(sum(differences) / error, 3),
    }


def _by_window(results: Sequence[SessionResult]) -> dict[tuple[str, str], float]:
    return {(row.session, row.event_ticker): row.edge_dollars for result in results for row in result.rows}


def _hours(rows: Sequence[WindowRow]) -> list[list[WindowRow]]:
    """Windows that settle at one instant of one session are one hour: both indices, hourly and close."""
    found: dict[tuple[str, str], list[WindowRow]] = {}
    for row in rows:
        found.setdefault((row.session, row.event_ticker.rpartition("-")[2]), []).append(row)
    return list(found.values())


def _ratio(part: float, whole: float) -> float | None:
    return round(part / whole, 4) if whole else None


def _sd(values: Sequence[float]) -> float | None:
    """Of the sample; None for fewer than two."""
    if len(values) < 2:  # noqa: PLR2004
        return None
    mean = sum(values) / len(values)
    return round(math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1)), 4)


def _error(rows: Sequence[WindowRow], contracts: float) -> float | None:
    """Standard error of the mean edge a contract, cents, clustered by window (ratio estimator)."""
    if not contracts or len(rows) < 2:  # noqa: PLR2004
        return None
    mean = sum(row.edge_dollars for row in rows) / contracts
    squares = sum((row.edge_dollars - mean * row.contracts) ** 2 for row in rows)
    return round(_CENTS * math.sqrt(squares * len(rows) / (len(rows) - 1)) / contracts, 4)
