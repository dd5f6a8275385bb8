"""A calibration report as one HTML page: style, table and charts inside, nothing loaded from anywhere."""

from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import Final

from kalshi_daemon.domain.index import Index
from kalshi_daemon.domain.instruments import SHIPPED_INSTRUMENTS
from kalshi_daemon.ground.errors import ConfigurationError
from kalshi_daemon.research.chart import Chart, Colour
from kalshi_daemon.research.picture import Picture
from kalshi_daemon.research.report_charts import pictures
from kalshi_daemon.research.report_figures import Figures
from kalshi_daemon.research.score import ScoreRow

_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1d2330; --soft: #667085; --page: #ffffff; --card: #ffffff; --rule: #e4e7ec;
  --c1: #1f6fb2; --c2: #d9730d; --c3: #2a8f5b; --c4: #9a4fb5; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ef; --soft: #98a2b3; --page: #12151c; --card: #191d26;
  --rule: #2c3340; --c1: #6cb1ee; --c2: #f2a65a; --c3: #6fcf9a; --c4: #cf96e6;
  --band0: #6cb1ee1f; --band: #6cb1ee33; --band2: #6cb1ee59; } }
body { margin: 0; padding: 24px; background: var(--page); color: var(--ink); font: 14px/1.45 system-ui, sans-serif; }
main { max-width: 1200px; margin: 0 auto; }
h1 { font-size: 22px; margin: 0 0 4px; } h2 { font-size: 16px; margin: 28px 0 10px; } p { margin: 4px 0; }
.soft, figcaption { color: var(--soft); } figcaption { font-size: 12px; padding: 2px 8px 6px; contain: inline-size; }
.charts { display: flex; flex-wrap: wrap; gap: 14px; align-items: flex-start; }
figure { margin: 0; background: var(--card); border: 1px solid var(--rule); border-radius: 6px; padding: 8px 4px 2px;
  max-width: 100%; box-sizing: border-box; }
svg { display: block; max-width: 100%; height: auto; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 3px 10px; text-align: right; border-bottom: 1px solid var(--rule); white-space: nowrap; }
th { font-weight: 600; color: var(--soft); } td:first-child, th:first-child { text-align: left; }
tr.alert td { color: var(--c2); font-weight: 600; }
"""
VARIABLES: Final = {
    Colour.INK: "--ink",
    Colour.GREY: "--soft",
    Colour.RULE: "--rule",
    Colour.BLUE: "--c1",
    Colour.ORANGE: "--c2",
    Colour.GREEN: "--c3",
    Colour.PURPLE: "--c4",
}
"""What the colours of a drawn chart are called on the page, where they follow the reader's light or dark theme."""
HEADINGS: Final = (
    ("target", ""),
    ("min", "minutes to the fixing"),
    ("n", "forecasts"),
    ("CRPS bp", "mean score, basis points"),
    ("/ flat", "ratio to the 60-day Gaussian; below 1 is better"),
    ("/ EWMA", "ratio to the tuned EWMA x session curve; below 1 is better"),
    ("+-", "standard error, clustered by day"),
    ("log gain", "nats per forecast over the EWMA; above 0 is better"),
    ("+-", "standard error, clustered by day"),
    ("t CRPS", "Diebold-Mariano; negative is better"),
    ("t log", "Diebold-Mariano; positive is better"),
    ("PIT KS", "distance of the PIT from uniform"),
    ("90 %", "of fixings inside the central 90 %"),
    ("99 %", "of fixings inside the central 99 %"),
)


def page_of(figures: Figures, *, plots: bool = True) -> str:
    """The whole page. plots False leaves the table alone."""
    instrument = "the index itself" if figures.cash else "a future or fund in the index's place"
    return document_of(
        f"Forecast of {figures.index}, {figures.first} to {figures.last}",
        f"<h1>Forecast of the {escape(name_of(figures.index))}</h1>"
        f'<p class="soft">{figures.first} to {figures.last}, {figures.days} sessions, '
        f"bars of {figures.bar_seconds} s of {instrument}. "
        f"Walk-forward: every forecast was made before any later bar was seen; {escape(figures.constants)}.</p>"
        f"<h2>Scores</h2>{table_of(HEADINGS, map(cells_of, figures.rows))}"
        + (f"<h2>Pictures</h2>{charts_of(pictures(figures))}" if plots else ""),
    )


def name_of(index: str) -> str:
    """The index as people call it."""
    row = SHIPPED_INSTRUMENTS.rows.get(Index(index))
    return index if row is None else row.title


def document_of(title: str, body: str) -> str:
    """A page of this body, with the style in it."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body><main>{body}</main></body></html>\n"
    )


def charts_of(shown: Iterable[Picture]) -> str:
    """Raises ConfigurationError as `drawer` does."""
    draw = drawer()
    figures = (
        f"<figure>{_themed(draw(one.chart))}<figcaption>{escape(one.note)}</figcaption></figure>" for one in shown
    )
    return f'<div class="charts">{"".join(figures)}</div>'


def drawer(without: str = "") -> Callable[[Chart], str]:
    """What makes SVG of a chart. `without`: the option of the command that needs no charts.

    Raises ConfigurationError, with the command that installs the library, when it is not there.
    """
    try:
        from kalshi_daemon.research.drawing import svg_of  # noqa: PLC0415 - half a second, of an optional extra
    except ModuleNotFoundError as problem:
        if (problem.name or "").partition(".")[0] != "matplotlib":
            raise
        fix = "sh scripts/setup report" + (f", or {without}" if without else "")
        raise ConfigurationError("charts", "matplotlib is not installed", fix) from None
    return svg_of


def _themed(svg: str) -> str:
    for colour, variable in VARIABLES.items():
        svg = svg.replace(colour, f"var({variable})")
    return svg


def table_of(headings: Sequence[tuple[str, str]], rows: Iterable[Sequence[str]]) -> str:
    """headings: word and hint. Cells are text."""
    head = "".join(f'<th title="{escape(hint)}">{escape(text)}</th>' for text, hint in headings)
    body = "".join(
        ('<tr class="alert">' if "ALERT" in row else "<tr>")
        + "".join(f"<td>{escape(cell)}</td>" for cell in row)
        + "</tr>"
        for row in rows
    )
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def cells_of(row: ScoreRow) -> tuple[str, ...]:
    """A row as text, in the order of HEADINGS."""
    return (
        row.target,
        f"{row.horizon_min}",
        f"{row.n}",
        f"{row.crps_bp:.2f}",
        f"{row.crps_ratio_flat:.4f}",
        f"{row.crps_ratio_ewma:.4f}",
        f"{row.crps_ratio_ewma_se:.4f}",
        f"{row.log_gain_ewma:+.4f}",
        f"{row.log_gain_ewma_se:.4f}",
        f"{row.dm_t_crps:+.1f}",
        f"{row.dm_t_log:+.1f}",
        f"{row.pit_ks:.4f}",
        f"{row.cover90:.1f}",
        f"{row.cover99:.1f}",
    )
