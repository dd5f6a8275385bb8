"""`kalshi-daemon status`: how the running daemon of a mode stands, asked over its socket."""

import argparse

from kalshi_daemon.cli.common import Subparsers, load_written, wants_json
from kalshi_daemon.cli.output import show
from kalshi_daemon.cli.running_daemons import running_daemons
from kalshi_daemon.ground.errors import ExitCode, UnknownValue
from kalshi_daemon.operations.status_forms import SCHEMA, tables
from kalshi_daemon.operations.status_socket import NoDaemon, ask_status


def add_parser(subparsers: Subparsers) -> None:
    subparsers.add_parser(
        "status",
        help="show how the running daemon stands: does it quote, and if not why",
        description="Asks the daemon that runs on the state directory in the mode of the settings in effect here: "
        "whether it quotes and if not why, windows, resting orders, positions, budgets, ages, last alerts. Exit code 4 "
        "when none runs, 1 when one runs and gives no answer within 5 s.",
    )


def run(args: argparse.Namespace) -> int:
    settings = load_written(args, "status")
    try:
        found = ask_status(settings.mode_dir)
    except NoDaemon as none:
        others = running_daemons(settings).notes()[1:]
        raise NoDaemon("; ".join((str(none), *others))) from None
    if found.get("schema") != SCHEMA and not wants_json(args):
        raise UnknownValue("schema of the daemon's status", found.get("schema"), (str(SCHEMA),))
    shown = () if wants_json(args) else tables(found)
    show(args, found, *(table for table in shown if table.rows))
    return ExitCode.OK
