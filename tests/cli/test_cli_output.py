import argparse
import json
import sys
from datetime import date
from pathlib import Path

from kalshi_daemon.cli.output import show
from kalshi_daemon.ground.tables import Column, Table, clean

TABLE = Table(
    (Column("market"), Column("count", right=True)),
    (("KXINXU-26NOV23H1000-T7844.9999", "2.00"), ("short", "10.00")),
    title="resting",
    notes=("2 orders",),
)


def test_piped_tables_are_aligned_text(capsys):
    show(argparse.Namespace(), {}, TABLE)
    assert capsys.readouterr().out == (
        "resting\n"
        "market                          count\n"
        "KXINXU-26NOV23H1000-T7844.9999   2.00\n"
        "short                           10.00\n"
        "2 orders\n"
    )


def test_json_is_the_data_and_not_the_table(capsys):
    show(argparse.Namespace(json=True), {"path": Path("/x"), "day": date(2026, 11, 23), 1: (2,)}, TABLE)
    assert json.loads(capsys.readouterr().out) == {"path": "/x", "day": "2026-11-23", "1": [2]}


def test_text_from_outside_cannot_move_the_cursor_or_style_itself(capsys, monkeypatch):
    hostile = "\x1b[31mred\r\n[bold]x[/bold]"
    assert clean(hostile) == "?[31mred??[bold]x[/bold]"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    show(argparse.Namespace(), {}, Table((Column("a", style="green"),), ((hostile,),), title="t", notes=("[n]",)))
    out = capsys.readouterr().out
    assert "?[31mred??[bold]x[/bold]" in out
    assert "\x1b[31mred" not in out
    assert "[n]" in out


def test_several_tables_are_kept_apart(capsys):
    show(argparse.Namespace(), {}, TABLE, TABLE)
    assert capsys.readouterr().out.count("2 orders\n") == 2
