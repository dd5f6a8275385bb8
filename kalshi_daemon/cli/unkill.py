"""`kalshi-daemon unkill`: release the kill switch."""

import argparse

from kalshi_daemon.cli.common import Subparsers, check_state_dir, load
from kalshi_daemon.cli.output import show
from kalshi_daemon.cli.running_daemons import running_daemons
from kalshi_daemon.ground.errors import ExitCode
from kalshi_daemon.ground.tables import Column, Table
from kalshi_daemon.operations.kill_switch import kill_switch_path, release
from kalshi_daemon.settings.loader import Credentials


def add_parser(subparsers: Subparsers) -> None:
    subparsers.add_parser(
        "unkill",
        help="release the kill switch",
        description="Removes the kill switch file of the mode. Exit code 0 if it was engaged, 4 if not.",
    )


def run(args: argparse.Namespace) -> int:
    check_state_dir(args, "unkill")
    settings = load(args, Credentials.NONE).settings
    path = kill_switch_path(settings.mode_dir)
    was = release(path)
    found = running_daemons(settings)
    columns = (Column("mode"), Column("kill switch"), Column("file"))
    rows = ((settings.mode.value, "released" if was else "was not engaged", str(path.absolute())),)
    data = {
        "mode": settings.mode.value,
        "engaged": False,
        "was_engaged": was,
        "path": path.absolute(),
        "daemon_pid": found.pid,
        "other_daemons": found.others,
    }
    show(args, data, Table(columns, rows, notes=found.notes()))
    return ExitCode.OK if was else ExitCode.REFUSED
