"""`kalshi-daemon kill`: engage the kill switch. A running daemon sees it within half a second."""

import argparse

from kalshi_daemon.cli.common import Subparsers, load
from kalshi_daemon.cli.output import Column, Table, show
from kalshi_daemon.clock import SystemClock
from kalshi_daemon.errors import ExitCode
from kalshi_daemon.operations.kill_switch import engage, kill_switch_path
from kalshi_daemon.settings_loader import Credentials


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "kill",
        help="engage the kill switch: no new orders, everything resting is cancelled",
        description="Writes the kill switch file of the mode. The daemon stops ordering, cancels everything and goes "
        "on watching; `kalshi-daemon unkill` releases it. To cancel without a running daemon: cancel-all.",
    )
    parser.add_argument("--reason", default="by hand", help="written into the file and the log")


def run(args: argparse.Namespace) -> int:
    settings = load(args, Credentials.NONE).settings
    path = kill_switch_path(settings.mode_dir)
    engage(path, args.reason, SystemClock().now_ns())
    rows = ((settings.mode.value, "engaged", args.reason, str(path)),)
    columns = (Column("mode"), Column("kill switch", style="red"), Column("reason"), Column("file"))
    show(
        args, {"mode": settings.mode.value, "engaged": True, "reason": args.reason, "path": path}, Table(columns, rows)
    )
    return ExitCode.OK
