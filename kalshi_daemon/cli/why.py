"""`kalshi-daemon why TICKER`: the last decision about a market, guard by guard, with the numbers."""

import argparse
from dataclasses import asdict
from typing import Any

from kalshi_daemon.artifacts.decision import Decision, last_decision
from kalshi_daemon.artifacts.paths import ArtifactPaths
from kalshi_daemon.cli.common import Subparsers, load
from kalshi_daemon.cli.output import Column, Table, show
from kalshi_daemon.errors import DaemonError, ExitCode
from kalshi_daemon.settings_loader import Credentials


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
        help="the last decision for a market, guard by guard",
        description="Prints whether the last scan that looked at a market quoted it and why, and every guard with what "
        "it measured, from the newest manifest. Works while the daemon runs and after. Exit code 4: no such decision.",
    )
    parser.add_argument("ticker", metavar="TICKER", help="market ticker, e.g. KXINXU-26NOV23H1200-T7844.9999")
    parser.add_argument("--profile", help="only decisions of this profile (default: the newest of any)")


def run(args: argparse.Namespace) -> int:
    settings = load(args, Credentials.NONE).settings
    paths = ArtifactPaths(settings.mode_dir)
    decision = last_decision(paths, args.ticker.strip().upper(), args.profile)
    if decision is None:
        raise NoDecisionError(args.ticker, str(paths.scans))
    show(args, asdict(decision), _guards(decision))
    return ExitCode.OK


def _guards(decision: Decision) -> Table:
    rows = [
        (
            str(verdict["guard"]),
            _number(verdict["measured"]),
            _number(verdict["limit"]),
            str(verdict["unit"]),
            "forced" if verdict["forced"] else "yes" if verdict["passed"] else "NO",
            str(verdict["note"]),
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
    return Table(columns, rows, title=f"{decision.market}: {decision.headline}", notes=_notes(decision))


def _notes(decision: Decision) -> tuple[str, ...]:
    head = f"scanned {decision.at} by profile {decision.profile}"
    look = decision.look
    book = () if look is None else (_priced(look),)
    return (head, *book, f"manifest {decision.manifest}")


def _priced(look: dict[str, Any]) -> str:
    model, fair = _number(look["model_fair"]), _number(look["fair"])
    return f"model {model}, fair {fair}, others bid {look['best_bid'] or 'none'}, ask {look['best_ask'] or 'none'}"


def _number(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
