"""`kalshi-daemon kill`: engage the kill switch. A running daemon sees it within half a second."""

import argparse

from kalshi_daemon.cli.common import Subparsers, check_state_dir, load
from kalshi_daemon.cli.output import show
from kalshi_daemon.cli.running_daemons import running_daemons
from kalshi_daemon.ground.clock import SystemClock
from kalshi_daemon.ground.errors import ExitCode
from kalshi_daemon.ground.tables import Column, Table
from kalshi_daemon.operations.kill_switch import engage, kill_switch_path
from kalshi_daemon.settings.loader import Credentials


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "kill",
        help="engage the kill switch: cancel all resting orders, send no new ones",
        description="Writes the kill switch file of the mode. The daemon stops quoting, cancels everything and keeps "
        "running; `kalshi-daemon unkill` releases it. Mode and state directory come from the settings in effect here; "
        "the output says whether a daemon is running there. To cancel without a running daemon use cancel-all.",
    )
    parser.add_argument("--reason", default="by hand", help="reason, written to the file and the log")


def run(args: argparse.Namespace) -> int:
    check_state_dir(args, "kill")
    settings = load(args, Credentials.NONE).settings
    path = kill_switch_path(settings.mode_dir)
    engage(path, args.reason, SystemClock().now_ns())
    found = running_daemons(settings)  # only now: one that starts meanwhile finds the file
    rows = ((settings.mode.value, "engaged", args.reason, str(path.absolute())),)
    columns = (Column("mode"), Column("kill switch", style="red"), Column("reason"), Column("file"))
    data = {
        "mode": settings.mode.value,
        "engaged": True,
        "reason": args.reason,
        "path": path.absolute(),
        "daemon_pid": found.pid,
        "other_daemons": found.others,
    }
    show(args, data, Table(columns, rows, notes=found.notes(absent="the switch holds for the next start")))
    return ExitCode.OK
