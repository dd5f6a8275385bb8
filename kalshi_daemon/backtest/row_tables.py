"""What a run found as parquet tables: a row a window, a day (session), a fill, an order."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from kalshi_daemon.backtest.measures import HORIZONS_S
from kalshi_daemon.backtest.results import SessionResult
from kalshi_daemon.ground.parquet import write_whole


@dataclass(frozen=True, slots=True)
class Run:
    """One side of a comparison, or the only one. `name`: ours or base."""

    name: str
    policy: str
    results: tuple[SessionResult, ...]


def write_tables(folder: Path, runs: Sequence[Run]) -> dict[str, str]:
    """Write `windows`, `days`, `fills` and `orders`.parquet into the folder; returns where each is. Raises OSError.

    A table without rows is not written, and one that was there is removed: it would be of another run.
    """
    written: dict[str, str] = {}
    for name, rows_of in _TABLES.items():
        path = folder / f"{name}.parquet"
        rows = [{"run": run.name, "policy": run.policy, **row} for run in runs for row in rows_of(run)]
        if rows:
            _write(path, rows)
            written[name] = str(path)
        else:
            path.unlink(missing_ok=True)
    return written


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    import pyarrow as pa  # noqa: PLC0415 - only who writes tables needs it

    write_whole(path, pa.Table.from_pylist(rows), draft=path.with_name(f".{path.name}.draft"))


def _windows(run: Run) -> Iterator[dict[str, Any]]:
    for result in run.results:
        for row in result.rows:
            yield {"law": result.law.value, **asdict(row), "worth_dollars": row.worth}


def _days(run: Run) -> Iterator[dict[str, Any]]:
    for result in run.results:
        edges = [row.edge_dollars for row in result.rows]
        yield {
            "session": result.session,
            "law": result.law.value,
            "warm": result.warm,
            "hours": result.hours,
            "windows": len(result.rows),
            "fills": sum(row.fills for row in result.rows),
            "contracts": sum(row.contracts for row in result.rows),
            "edge_dollars": None if None in edges else sum(edge for edge in edges if edge is not None),
            "believed_dollars": sum(row.believed_dollars for row in result.rows),
            "markout_30s_dollars": sum(row.markout_30s_dollars for row in result.rows),
            "markout_contracts": sum(row.markout_contracts for row in result.rows),
            "open_s": sum(row.open_s for row in result.rows),
            "quoting_s": sum(row.quoting_s for row in result.rows),
            "worst_case_max": max((row.worst_case_max for row in result.rows), default=0.0),
            "pnl_dollars": result.pnl_dollars,
            "books_equal": result.books_equal,
            "cpu_s": result.cpu_s,
            "events": result.events,
        }


def _fills(run: Run) -> Iterator[dict[str, Any]]:
    for result in run.results:
        for fill in result.fills:
            row = asdict(fill)
            markouts = row.pop("markouts")
            yield {"session": result.session, **row} | {f"markout_{s}s": markouts.get(s) for s in HORIZONS_S}


def _orders(run: Run) -> Iterator[dict[str, Any]]:
    return ({"session": result.session, **asdict(order)} for result in run.results for order in result.orders)


_TABLES: Final[dict[str, Callable[[Run], Iterator[dict[str, Any]]]]] = {
    "windows": _windows,
    "days": _days,
    "fills": _fills,
    "orders": _orders,
}
