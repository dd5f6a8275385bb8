"""Tables for people, JSON for programs. On a terminal rich draws the table, into a pipe it is plain aligned text."""

import argparse
import sys
from collections.abc import Sequence

import orjson

from kalshi_daemon.cli.common import wants_json
from kalshi_daemon.ground.tables import Table, for_terminal, plain


def show(args: argparse.Namespace, data: object, *tables: Table) -> None:
    """Print `data` as JSON under --json, the tables otherwise. `data`: anything orjson takes, paths and dates too."""
    if wants_json(args):
        print(to_json(data))
    elif sys.stdout.isatty():
        _draw(tables)
    else:
        print("\n\n".join(plain(table) for table in tables))


def to_json(data: object) -> str:
    """Indented JSON; what JSON has no form for is written as text."""
    return orjson.dumps(data, default=str, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS).decode()


def _draw(tables: Sequence[Table]) -> None:
    from rich.console import Console  # noqa: PLC0415 - 0.2 s that pipes and --json need not pay
    from rich.text import Text  # noqa: PLC0415

    console = Console()
    for table in tables:
        console.print(for_terminal(table))
        for note in table.notes:
            console.print(Text(note))
