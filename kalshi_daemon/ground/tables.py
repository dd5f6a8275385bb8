"""Tables of text cells: Markdown for files, aligned text for pipes, rich's drawing for a terminal.

The same table goes everywhere; who makes one decides about words and digits, never about lines and widths.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table as TerminalTable


@dataclass(frozen=True, slots=True)
class Column:
    """A heading; numbers align right. `style` is rich's, e.g. "green", and is seen on a terminal alone."""

    heading: str
    right: bool = False
    style: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """Text cells, one row per line; `notes` follow the table. `row_styles` are rich's, one per row, or none at all."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]
    title: str = ""
    notes: Sequence[str] = ()
    row_styles: Sequence[str] = ()


def markdown(table: Table) -> str:
    """The table for a reader or a renderer, without title and notes; ends with a line feed.

    Cells hold Markdown, but cannot break the table: a bar is escaped, a control character is a space.
    """
    ruler = f"|{'|'.join('---:' if column.right else '---' for column in table.columns)}|"
    lines = (_markdown_row(column.heading or " " for column in table.columns), ruler, *map(_markdown_row, table.rows))
    return "\n".join(lines) + "\n"


def markdown_section(table: Table) -> str:
    """The table below its title as a heading, and its notes as paragraphs; ends with an empty line."""
    notes = "".join(f"\n{_markdown_cell(note)}\n" for note in table.notes)
    return f"## {table.title}\n\n{markdown(table)}{notes}\n"


def plain(table: Table) -> str:
    """Title, aligned text without colours or lines, one row per line, and notes."""
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


def for_terminal(table: Table, *, ruled: bool = True) -> "TerminalTable":
    """What a rich console prints, notes left out. ruled False: without the line below the headings."""
    from rich import box  # noqa: PLC0415 - 0.2 s that pipes, logs and --json need not pay
    from rich.table import Table as TerminalTable  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    drawn = TerminalTable(
        title=Text(table.title) if table.title else None,
        title_justify="left",
        box=box.SIMPLE_HEAD if ruled else None,
        padding=(0, 1) if ruled else (0, 2),
        header_style="bold",
    )
    for column in table.columns:
        drawn.add_column(Text(column.heading), justify="right" if column.right else "left", style=column.style or None)
    for at, row in enumerate(table.rows):
        drawn.add_row(*(Text(clean(cell)) for cell in row), style=table.row_styles[at] if table.row_styles else None)
    return drawn


def clean(cell: str) -> str:
    """A cell without control characters: text from outside must not move the cursor or break a line."""
    return "".join(char if char.isprintable() else "?" for char in cell)


def _markdown_row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(map(_markdown_cell, cells))} |"


def _markdown_cell(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text).replace("|", "\\|")
