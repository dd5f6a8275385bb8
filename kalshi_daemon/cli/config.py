"""`kalshi-daemon config`: the effective settings, redacted, with where each came from."""

import argparse

from kalshi_daemon.cli.common import Subparsers, load
from kalshi_daemon.cli.output import show
from kalshi_daemon.ground.errors import ExitCode
from kalshi_daemon.ground.tables import Column, Table
from kalshi_daemon.settings.loader import Credentials


def add_parser(subparsers: Subparsers) -> None:
    subparsers.add_parser(
        "config",
        help="print the effective settings and their sources, secrets redacted",
        description="Prints every setting in force and where it came from. Secrets are never shown.",
    )


def run(args: argparse.Namespace) -> int:
    from kalshi_daemon.app.named_parts import check_named_parts  # noqa: PLC0415 - policies: `--help` need not pay

    loaded = load(args, Credentials.NONE)
    check_named_parts(loaded.settings)
    rows = list(loaded.rows())
    data = [{"key": key, "value": value, "origin": origin} for key, value, origin in rows]
    columns = (Column("setting", style="bold"), Column("value"), Column("from", style="dim"))
    show(args, data, Table(columns, rows))
    return ExitCode.OK
