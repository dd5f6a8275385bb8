"""From measured sessions to the figures of a run. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from kalshi_daemon.backtest.measures import HORIZONS_S, MeasuredFill, MeasuredWindow
from kalshi_daemon.digest.means import ratio_error
from kalshi_daemon.ground.units import Nanos

_CENTS: Final = 100.0
_MARKOUT_S: Final = 30
"""The horizon that stands for the edge where there is no law."""


class Law(StrEnum):
    """What is known of the distribution that the index was drawn from."""

    EXACT = "exact"
    """Of made-up paths."""
    ESTIMATE = "estimate"
    """Of days played back: made of what had happened so far."""
    NONE = "none"
    """Of recorded books: the market's own markouts stand for the edge."""


@dataclass(frozen=True, slots=True)
class WindowRow:
    """One window of one session: the unit that errors are clustered by. Dollars are sums over its fills, after fees."""

    session: str
    """Seed or date."""
    event_ticker: str
    fills: int
    contracts: float
    edge_dollars: float | None
    """None where there is no law."""
    believed_dollars: float
    markout_30s_dollars: float
    markout_contracts: float
    """Contracts whose 30 s markout is known."""
    open_s: int
    quoting_s: int
    worst_case_max: float
    believed_contracts: float | None = None
    """Contracts of which it is known what was believed at the fill; None, of an older result: all of them."""

    @property
    def worth(self) -> float:
        """Dollars: its edge, or its markouts where there is no law."""
        return self.markout_30s_dollars if self.edge_dollars is None else self.edge_dollars


@dataclass(frozen=True, slots=True)
class OrderRow:
    """One order that rested: what stood ahead of it when it came, and what became of it."""

    market_ticker: str
    created_ns: Nanos
    rested_s: float
    contracts: float
    filled: float
    ahead: float
    """Contracts at its price or better, when it was first seen."""


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
    law: Law = Law.EXACT
    fills: tuple[MeasuredFill, ...] = ()
    orders: tuple[OrderRow, ...] = ()
    notes: tuple[str, ...] = field(default=())
    warm: bool = False
    """Whether the daemon had learnt from earlier days when it began."""


def rows_of(session: str, windows: Sequence[MeasuredWindow], fills: Sequence[MeasuredFill]) -> tuple[WindowRow, ...]:
    """A row for every window that was open or filled."""
    found = []
    for window in windows:
        own = [fill for fill in fills if fill.event_ticker == window.event_ticker]
        marked = [fill for fill in own if _MARKOUT_S in fill.markouts]
        edges = [fill.edge * fill.contracts for fill in own if fill.edge is not None]
        beliefs = [(fill.believed, fill.contracts) for fill in own if fill.believed is not None]
        found.append(
            WindowRow(
                session=session,
                event_ticker=window.event_ticker,
                fills=len(own),
                contracts=sum(fill.contracts for fill in own),
                edge_dollars=sum(edges) / _CENTS if len(edges) == len(own) and window.has_law else None,
                believed_dollars=sum(believed * contracts for believed, contracts in beliefs) / _CENTS,
                markout_30s_dollars=sum(fill.markouts[_MARKOUT_S] * fill.contracts for fill in marked) / _CENTS,
                markout_contracts=sum(fill.contracts for fill in marked),
                open_s=window.open_s,
                quoting_s=window.quoting_s,
                worst_case_max=window.worst_case_max,
                believed_contracts=sum(contracts for _, contracts in beliefs),
            )
        )
    return tuple(found)


def figures(results: Sequence[SessionResult]) -> dict[str, float | int | str | None]:
    """What `backtest --json` prints. Cents are a contract, None where there is none; an hour is one of the session.

    Without a law there is no edge: its keys are None, and what is said of hours is said of the 30 s markouts.
    """
    rows = [row for result in results for row in result.rows]
    hours = sum(result.hours for result in results)
    contracts = sum(row.contracts for row in rows)
    law = law_of(results)
    edge = None if law is Law.NONE else sum(row.worth for row in rows)
    marked = sum(row.markout_contracts for row in rows)
    told = sum(row.contracts if row.believed_contracts is None else row.believed_contracts for row in rows)
    by_hour = [sum(row.worth for row in hour) for hour in _hours(rows)]
    opened = sum(row.open_s for row in rows)
    return {
        "windows": len(rows),
        "hours": round(hours, 3),
        "fills": sum(row.fills for row in rows),
        "contracts": round(contracts, 2),
        "law": law.value,
        "memory": memory_of(results),
        "measured_by": "markout_30s" if edge is None else "edge",
        "edge_dollars_per_hour": None if edge is None else _ratio(edge, hours),
        "edge_cents": None if edge is None else _ratio(_CENTS * edge, contracts),
        "edge_cents_se": None if edge is None else _error(rows),
        "believed_cents": _ratio(_CENTS * sum(row.believed_dollars for row in rows), told),
        "markout_30s_cents": _ratio(_CENTS * sum(row.markout_30s_dollars for row in rows), marked),
        "markout_30s_cents_se": _error(rows, markouts=True),
        **{
            f"markout_{horizon}s_cents": _mean_markout(results, horizon)
            for horizon in HORIZONS_S
            if horizon != _MARKOUT_S
        },
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
    """One run against another on the same sessions, window by window: difference an hour, ratio, t.

    Of the edge, or of the 30 s markouts where there is no law (`measured_by`).
    """
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
    return {(row.session, row.event_ticker): row.worth for result in results for row in result.rows}


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


def law_of(results: Sequence[SessionResult]) -> Law:
    """The least that is known in any of them."""
    return next((law for law in (Law.NONE, Law.ESTIMATE) if any(one.law == law for one in results)), Law.EXACT)


def memory_of(results: Sequence[SessionResult]) -> str:
    """How the daemon began them: warm, cold, or some of them so and some so."""
    found = {"warm" if result.warm else "cold" for result in results}
    return found.pop() if len(found) == 1 else "mixed"


def _mean_markout(results: Sequence[SessionResult], horizon_s: int) -> float | None:
    known = [
        (value * fill.contracts, fill.contracts)
        for result in results
        for fill in result.fills
        if (value := fill.markouts.get(horizon_s)) is not None
    ]
    return _ratio(sum(value for value, _ in known), sum(contracts for _, contracts in known))


def _error(rows: Sequence[WindowRow], *, markouts: bool = False) -> float | None:
    """Standard error of the mean worth (or markout) a contract, cents, clustered by window; None below two with fills.

    A window without fills says nothing of what a contract is worth: counted, it would make one window look certain.
    """
    sums = (
        (row.markout_contracts, row.markout_30s_dollars) if markouts else (row.contracts, row.worth) for row in rows
    )
    error = ratio_error((contracts, value) for contracts, value in sums if contracts)
    return None if error is None else round(_CENTS * error, 4)
