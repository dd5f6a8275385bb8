"""A backtest as one HTML page: its figures, and charts inside it; nothing is loaded from anywhere."""

from collections.abc import Mapping
from html import escape
from typing import Any, Final

from kalshi_daemon.backtest.report_charts import Sides, backtest_pictures
from kalshi_daemon.research.report_page import charts_of, document_of, table_of

_HEADINGS: Final = (("figure", "docs/laboratory.md says what each means"), ("ours", ""), ("base", ""))
_LISTED: Final = ("notes", "tables", "base", "report")
"""What is no figure of one side."""


def report_page(data: Mapping[str, Any], sides: Sides) -> str:
    """The page. `data`: what `--json` prints. Raises ConfigurationError when charts cannot be drawn."""
    base = data.get("base") or {}
    headings = _HEADINGS if base else _HEADINGS[:2]
    names = [name for name in data if name not in _LISTED]
    rows = [(name, _cell(data[name]), *((_cell(base.get(name, "")),) if base else ())) for name in names]
    notes = "".join(f'<p class="soft">{escape(str(note))}</p>' for note in data.get("notes", ()))
    sessions = sum(map(len, sides))
    return document_of(
        "Backtest",
        f'<h1>Backtest</h1><p class="soft">{sessions} sessions</p>{notes}'
        f"<h2>Figures</h2>{table_of(headings, rows)}<h2>Pictures</h2>{charts_of(backtest_pictures(sides))}",
    )


def _cell(value: object) -> str:
    return "-" if value is None else f"{value:,.4g}" if isinstance(value, float) else str(value)
