"""`kalshi-daemon why TICKER`: the last decision about a market, guard by guard, with the numbers."""

import argparse
import contextlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kalshi_daemon.artifacts.decision import Decision, last_decision
from kalshi_daemon.artifacts.manifest import LookRow
from kalshi_daemon.artifacts.paths import ArtifactPaths
from kalshi_daemon.cli.common import Subparsers, load_written
from kalshi_daemon.cli.output import show
from kalshi_daemon.domain.order import Order, Status
from kalshi_daemon.ground.clock import iso_utc
from kalshi_daemon.ground.errors import DaemonError, ExitCode, StateCorrupt
from kalshi_daemon.ground.tables import Column, Table
from kalshi_daemon.ground.units import format_count
from kalshi_daemon.orders.journal import Journal, journal_path
from kalshi_daemon.settings.model import PROFILE_NAMES


class NoDecisionError(DaemonError):
    """No manifest of the mode holds the market."""

    exit_code = ExitCode.REFUSED

    def __init__(self, market_ticker: str, where: str) -> None:
        super().__init__(market_ticker, where)
        self.market_ticker = market_ticker
        self.where = where

    def __str__(self) -> str:
        return f"{self.where}: no scan looked at {self.market_ticker} (is it listed, and is --mode right?)"


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "why",
        help="explain the last decision on a market, guard by guard",
        description="Shows whether the last scan of a market quoted it and why, each guard with what it measured (from "
        "the newest manifest), and the current status of the order it sent (from the journal). Works whether or not "
        "the daemon is running. Exit code 4: no such decision; 1: files that may hold a newer one cannot be read.",
    )
    parser.add_argument("ticker", metavar="TICKER", help="market ticker, e.g. KXINXU-26NOV23H1200-T7844.9999")
    parser.add_argument(
        "--profile", choices=PROFILE_NAMES, help="only decisions of this profile (default: the newest of any)"
    )


def run(args: argparse.Namespace) -> int:
    settings = load_written(args, "why")
    paths = ArtifactPaths(settings.mode_dir)
    decision = last_decision(paths, args.ticker.strip().upper(), args.profile)
    if decision is None:
        raise NoDecisionError(args.ticker, str(paths.scans))
    now, order = _since(settings.mode_dir, decision)
    data = asdict(decision) | {"order_now": None if order is None else _order_json(order)}
    show(args, data, guards_table(decision, now))
    return ExitCode.FAILURE if decision.problems else ExitCode.OK


def _since(mode_dir: Path, decision: Decision) -> tuple[str, Order | None]:
    """What became of the order, for the headline, and as the journal has it. Never raises: it is an extra."""
    path = journal_path(mode_dir)
    if not decision.client_order_ids or not path.exists():
        return "", None
    try:
        with contextlib.closing(Journal.read(path)) as journal:
            found = [journal.order(name) for name in decision.client_order_ids]
    except StateCorrupt as problem:
        return f"; what became of it is not known: {problem}", None
    order = next((one for one in found if one is not None and one.market_ticker == decision.market), None)
    return ("; no longer in the journal", None) if order is None else (_standing(order), order)


def _standing(order: Order) -> str:
    """E.g. `; now canceled (edge_lost), 1.00 of 2.00 filled`."""
    reason = f" ({order.reason})" if order.reason else ""
    traded = f", {format_count(order.filled)} of {format_count(order.count)} filled"
    partly = traded if order.filled and order.status is not Status.FILLED else ""
    return f"; now {order.status.value}{reason}{partly}"


def _order_json(order: Order) -> dict[str, Any]:
    return {
        "client_order_id": order.client_order_id,
        "status": order.status.value,
        "reason": order.reason,
        "filled": format_count(order.filled),
        "updated": iso_utc(order.updated_ns),
    }


def guards_table(decision: Decision, now: str) -> Table:
    """Guard by guard. now: what became of the order, for the headline."""
    rows = [
        (
            verdict.guard,
            _number(verdict.measured),
            _number(verdict.limit),
            verdict.unit,
            "forced" if verdict.forced else "yes" if verdict.passed else "NO",
            verdict.note,
        )
        for verdict in decision.verdicts
    ]
    columns = (
        Column("guard"),
        Column("measured", right=True),
        Column("limit", right=True),
        Column("unit"),
        Column("passed"),
        Column("note"),
    )
    return Table(columns, rows, title=f"{decision.market}: {decision.headline}{now}", notes=_notes(decision))


def _notes(decision: Decision) -> tuple[str, ...]:
    head = f"scanned {decision.at} by profile {decision.profile}"
    look = decision.look
    book = () if look is None else (_priced(look),)
    means = (f"{look.outcome}: {decision.meaning}",) if look is not None and decision.meaning else ()
    packed = f", scan {decision.scan}" if decision.scan else ""
    unread = (f"not read: {problem}; a newer decision may be in it" for problem in decision.problems)
    return (head, *means, *book, f"manifest {decision.manifest}{packed}", *unread)


def _priced(look: LookRow) -> str:
    model, fair = _number(look.model_fair), _number(look.fair)
    return f"model {model}, fair {fair}, others bid {look.best_bid or 'none'}, ask {look.best_ask or 'none'}"


def _number(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
