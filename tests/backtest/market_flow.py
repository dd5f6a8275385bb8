"""Measure the simulated crowds beside recorded books, and write the table of docs/laboratory.md anew.

    .venv/bin/python -m tests.backtest.market_flow [--sessions 8] [--regimes noise]

Recorded books are read where they lie (KALSHI_DAEMON_DATA, or ../shared/data); where they are absent the column that is
there stays as it is, and that is said.
"""

import argparse
import multiprocessing
import os
import re
import statistics
import sys
from collections.abc import Callable
from datetime import date, time
from pathlib import Path
from typing import Final

from kalshi_daemon.simulator.traders.regimes import REGIMES, regime
from tests.backtest.flow import Flow
from tests.backtest.flow_sources import recorded_flow, simulated_flow

DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "laboratory.md"
BEGIN, END = "<!-- flow: begin -->\n", "<!-- flow: end -->\n"
DAYS: Final = ("2023-04-10", "2023-04-13")
_DAY: Final = date(2026, 11, 23)
_SPAN: Final = (time(11, 50), time(13, 2))
"""Two fixings' last hours, the crowd's first ten minutes among them."""
Cell = Callable[[Flow], float | None]
ROWS: Final[tuple[tuple[str, int, Cell, str], ...]] = (
    ("spread, cents, by time", 2, lambda f: f.spread_cents, "books"),
    ("contracts at the touch, median by time", 0, lambda f: f.touch_contracts, "books"),
    ("trades an hour and market", 0, lambda f: f.trades_per_hour, "books"),
    ("contracts an hour and market", 0, lambda f: f.contracts_per_hour, "books"),
    ("contracts a trade, median", 0, lambda f: f.size_median, "books"),
    ("contracts a trade, mean", 0, lambda f: f.size_mean, "books"),
    ("contracts a trade, 95 %", 0, lambda f: f.size_95, "books"),
    ("trades of takers who knew, share", 2, lambda f: f.informed_share, "not to be seen"),
    ("trades with the index moved against the maker within 3 s", 2, lambda f: f.against_share, "books, index"),
    ("trades with it moved for the maker", 2, lambda f: f.with_share, "books, index"),
    ("cancels a trade", 1, lambda f: f.cancels_per_trade, "books"),
    ("placed in front of the best price, share", 2, lambda f: f.in_front_share, "books"),
    ("cancels on the side hit within 2 s, over usual", 2, lambda f: f.pulled, "books"),
    ("half-spread earned, cents", 2, lambda f: f.half_spread.cents, "books"),
    ("makers' result after 5 s, cents", 2, lambda f: f.after_5s.cents, "books"),
    ("makers' result after 30 s, cents", 2, lambda f: f.after_30s.cents, "books"),
    ("makers' result after 300 s, cents", 2, lambda f: f.after_300s.cents, "books"),
)
ERRORS: Final = {
    "half-spread earned, cents": lambda f: f.half_spread.error,
    "makers' result after 5 s, cents": lambda f: f.after_5s.error,
    "makers' result after 30 s, cents": lambda f: f.after_30s.error,
    "makers' result after 300 s, cents": lambda f: f.after_300s.error,
}
"""Of a recorded day; those of a regime come from its sessions."""


def one_session(job: tuple[str, int]) -> Flow:
    name, seed = job
    return simulated_flow(regime(name), seed, _DAY, *_SPAN)


def data_folder() -> Path:
    named = os.environ.get("KALSHI_DAEMON_DATA")
    return (Path(named) if named else DOCUMENT.parents[2] / "shared" / "data") / "kalshi_inx_2023"


def simulated_cell(flows: list[Flow], name: str, digits: int, cell: Cell) -> str:
    values = [value for flow in flows if (value := cell(flow)) is not None]
    if not values:
        return "-"
    mean = statistics.fmean(values)
    if name not in ERRORS or len(values) < 2:
        return f"{mean:,.{digits}f}"
    return f"{mean:+.2f} +- {statistics.stdev(values) / len(values) ** 0.5:.2f}"


def recorded_cell(flow: Flow, name: str, digits: int, cell: Cell) -> str:
    value = cell(flow)
    if value is None:
        return "-"
    return f"{value:+.2f} +- {ERRORS[name](flow):.2f}" if name in ERRORS else f"{value:,.{digits}f}"


def table(simulated: dict[str, list[Flow]], kept: dict[str, list[str]], recorded: dict[str, list[str]]) -> str:
    """Rows by figure. `kept`: the cells that stand, for regimes that were not measured; `recorded`: of the days."""
    head = ["figure", *(f"`{name}`" for name in REGIMES), *(f"real {day}" for day in DAYS), "source"]
    lines = [head, ["---"] * len(head)]
    for name, digits, cell, source in ROWS:
        own = [
            simulated_cell(simulated[one], name, digits, cell) if one in simulated else kept[name][place]
            for place, one in enumerate(REGIMES)
        ]
        lines.append([name, *own, *recorded.get(name, ["-"] * len(DAYS)), source])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def kept_cells(text: str) -> dict[str, list[str]]:
    """Of the table as it stands: figure -> its cells."""
    rows = [line.strip("| \n").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return {row[0]: row[1:-1] for row in rows}


def recorded_cells(text: str) -> dict[str, list[str]]:
    """From the books; where they are absent, as the document has them."""
    folder = data_folder()
    if not all((folder / f"book_events_{day}.parquet").exists() for day in DAYS):
        print(f"{folder}: no recorded books here; their columns stay as they are", file=sys.stderr)  # noqa: T201 - a command
        return {name: cells[-len(DAYS) :] for name, cells in kept_cells(text).items()}
    flows = [recorded_flow(folder, day) for day in DAYS]
    return {name: [recorded_cell(flow, name, digits, cell) for flow in flows] for name, digits, cell, _ in ROWS}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sessions", type=int, default=8, help="made-up sessions of each regime (%(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="processes (%(default)s)")
    parser.add_argument("--regimes", nargs="*", choices=REGIMES, default=list(REGIMES), help="columns (all)")
    args = parser.parse_args()
    document = DOCUMENT.read_text()
    found = re.search(f"{BEGIN}(.*?){END}", document, re.DOTALL)
    assert found is not None, "docs/laboratory.md has a place for the table"
    recorded = recorded_cells(found[1])
    jobs = [(name, seed) for name in args.regimes for seed in range(1, args.sessions + 1)]
    with multiprocessing.get_context("spawn").Pool(args.workers) as pool:
        flows = pool.map(one_session, jobs, chunksize=1)
    simulated = {name: [flow for job, flow in zip(jobs, flows, strict=True) if job[0] == name] for name in args.regimes}
    DOCUMENT.write_text(
        document[: found.start(1)] + table(simulated, kept_cells(found[1]), recorded) + document[found.end(1) :]
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
