"""The summary of a session: one file per run, and a copy of the last one as docs/reference/predecessor.md 5 has it."""

from dataclasses import dataclass, fields
from typing import Any, ClassVar

from kalshi_daemon import __version__
from kalshi_daemon.ground.clock import iso_utc
from kalshi_daemon.ground.units import Nanos


@dataclass(frozen=True, kw_only=True)
class _Head:
    """Who, which day and when."""

    schema: int = 1
    session_id: str
    run_id: str
    mode: str
    session_date: str
    """New York."""
    generated_at: str
    daemon_version: str = ""
    """The version that wrote it; "" in files of before 0.1.0."""


@dataclass(frozen=True, kw_only=True)
class SessionTotals:
    """What a session came to: the fields of the log event `session.summary`. Null is what is not known, never 0."""

    windows_scanned: int
    scans: int
    orders_placed: int
    orders_cancelled: int
    fills: int | None
    contracts: str | None
    fees_dollars: str | None
    pnl_dollars: str | None
    exchange_pnl_dollars: str | None
    """By the exchange's own record; null where it did not answer."""
    books_equal: bool
    books_detail: str
    resting_at_end: int | None
    resting_after_cutoff_max: int
    verified: bool
    """The exchange confirmed that nothing rests."""

    @property
    def log_fields(self) -> dict[str, Any]:
        return {one.name: getattr(self, one.name) for one in fields(SessionTotals)}


@dataclass(frozen=True, kw_only=True)
class SessionSummary(SessionTotals, _Head):
    """The document `pilot_session.json`, and one for each session."""

    WHAT: ClassVar[str] = "session summary"
    SCHEMA: ClassVar[int] = 1


def build_session(totals: SessionTotals, *, run_id: str, mode: str, day: str, now_ns: Nanos) -> SessionSummary:
    """The totals with who, which day and when in front."""
    return SessionSummary(
        daemon_version=__version__,
        session_id=f"{mode}-{day}-{run_id}",
        run_id=run_id,
        mode=mode,
        session_date=day,
        generated_at=iso_utc(now_ns),
        **totals.log_fields,
    )
