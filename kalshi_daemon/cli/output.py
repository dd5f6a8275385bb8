"""Tables for people, JSON for programs. On a terminal rich draws the table, into a pipe it is plain aligned text."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

import orjson

from kalshi_daemon.cli.common import wants_json


@dataclass(frozen=True, slots=True)
class Column:
    """A heading; numbers align right. `style` is rich's, e.g. "green", and is ignored in plain text."""

    heading: str
    right: bool = False
    style: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """Text cells, one row per line; `notes` follow the table."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]
    title: str = ""
    notes: Sequence[str] = field(default_factory=tuple)


def show(args: argparse.Namespace, data: object, *tables: Table) -> None:
    """Print `data` as JSON under --json, the tables otherwise. `data`: anything orjson takes, paths and dates too."""
    if wants_json(args):
        print(to_json(data))
    elif sys.stdout.isatty():
        _draw(tables)
    else:
        print("\n\n".join(plain(table) for table in tables))


def to_json(data: object) -> str:
    return orjson.dumps(data, default=str, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS).decode()


def plain(table: Table) -> str:
    """Aligned text without colours or lines, one row per line."""
    rows = [tuple(clean(cell) for cell in row) for row in table.rows]
    headings = tuple(column.heading for column in table.columns)
    widths = [max(len(cell) for cell in cells) for cells in zip(headings, *rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        padded = (
            cell.rjust(width) if column.right else cell.ljust(width)
            for cell, width, column in zip(cells, widths, table.columns, strict=True)
        )
        return "  ".join(padded).rstrip()

    title = [table.title] if table.title else []
    return "\n".join([*title, line(headings), *(line(row) for row in rows), *table.notes])


def clean(cell: str) -> str:
    """A cell without control characters: exchange text must not move the cursor or break a line."""
    return "".join(char if char.isprintable() else "?" for char in cell)


def _draw(tables: Sequence[Table]) -> None:
    from rich import box  # noqa: PLC0415 - 0.2 s that pipes and --json need not pay
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table as Drawn  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console()
    for table in tables:
        drawn = Drawn(title=Text(table.title) if table.title else None, box=box.SIMPLE_HEAD, title_justify="left")
        for column in table.columns:
            drawn.add_column(
                Text(column.heading), justify="right" if column.right else "left", style=column.style or None
            )
        for row in table.rows:
            drawn.add_row(*(Text(clean(cell)) for cell in row))
        console.print(drawn)
        for note in table.notes:
            console.print(Text(note))
