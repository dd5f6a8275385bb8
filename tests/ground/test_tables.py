"""One table, three forms: Markdown that nothing breaks, aligned text, and what a terminal is given."""

from pathlib import Path

import pytest
from rich.console import Console

import kalshi_daemon
from kalshi_daemon.ground.tables import Column, Table, clean, for_terminal, markdown, markdown_section, plain

TABLE = Table(
    (Column("market"), Column("count", right=True)),
    (("KXINXU", "2.00"), ("short", "10.00")),
    title="resting",
    notes=("2 orders", "as of 10:00"),
)


def test_markdown_is_a_table_below_its_title():
    assert markdown(TABLE) == "| market | count |\n|---|---:|\n| KXINXU | 2.00 |\n| short | 10.00 |\n"
    assert markdown_section(TABLE) == f"## resting\n\n{markdown(TABLE)}\n2 orders\n\nas of 10:00\n\n"


def test_markdown_cells_cannot_break_their_table():
    hostile = Table((Column("a|b"), Column("")), (("x | y\n| z", "\x1b[0m"),), "t", ("one\ntwo",))
    assert markdown(hostile).splitlines() == ["| a\\|b |   |", "|---|---|", "| x \\| y \\| z |  [0m |"]
    assert markdown_section(hostile).endswith("\n\none two\n\n")


def test_aligned_text():
    assert plain(TABLE).splitlines() == [
        "resting",
        "market  count",
        "KXINXU   2.00",
        "short   10.00",
        "2 orders",
        "as of 10:00",
    ]
    assert plain(Table((Column("a"), Column("b")), ())) == "a  b", "an empty table is its headings"


@pytest.mark.parametrize("ruled", [True, False])
def test_a_terminal_is_given_the_same_cells_aligned_the_same_way(ruled):
    console = Console(width=60, color_system=None)
    with console.capture() as captured:
        console.print(for_terminal(Table(TABLE.columns, TABLE.rows, row_styles=("bold", "dim")), ruled=ruled))
    lines = [line.rstrip() for line in captured.get().splitlines() if line.strip(" ─")]
    assert [line.split() for line in lines] == [["market", "count"], ["KXINXU", "2.00"], ["short", "10.00"]]
    assert len({len(line) for line in lines}) == 1, "numbers end in one column"
    assert ("─" in captured.get()) is ruled


def test_a_row_has_its_style_on_a_terminal():
    drawn = for_terminal(Table(TABLE.columns, TABLE.rows, row_styles=("bold", "dim")))
    assert [row.style for row in drawn.rows] == ["bold", "dim"]


def test_text_from_outside_moves_no_cursor():
    hostile = "\x1b[31mred\r\n[bold]x[/bold]"
    assert clean(hostile) == "?[31mred??[bold]x[/bold]"
    console = Console(width=60, color_system=None)
    with console.capture() as captured:
        console.print(for_terminal(Table((Column("a"),), ((hostile,),))))
    assert "?[31mred??[bold]x[/bold]" in captured.get()


def test_no_other_module_draws_the_lines_of_a_table():
    root = Path(kalshi_daemon.__file__).parent
    marks = ('"|---', "'|---", '---|"', "---|'", "' | '.join", '" | ".join', ".add_row(", ".add_column(")
    found = [
        f"{path.relative_to(root)}: {mark}"
        for path in sorted(root.rglob("*.py"))
        for mark in marks
        if path != root / "ground" / "tables.py" and mark in path.read_text()
    ]
    assert found == []
