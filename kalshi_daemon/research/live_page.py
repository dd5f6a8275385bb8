"""A live report as one HTML page of its own: what the daemon forecast, what came, and what its monitors made of it."""

from html import escape
from typing import Final

from kalshi_daemon.calibration.market_record import SPANS_MIN
from kalshi_daemon.domain.forecast import Reading, Standing
from kalshi_daemon.ground.new_york import eastern
from kalshi_daemon.ground.units import Nanos
from kalshi_daemon.research.fan_charts import what_is_missing
from kalshi_daemon.research.live_charts import live_pictures
from kalshi_daemon.research.live_figures import Alarm, Gains, LiveFigures, LiveRow
from kalshi_daemon.research.report_page import charts_of, document_of, name_of, table_of

HEADINGS: Final = (
    ("target", "full hours hold the close as the last of them; `close` is the close alone"),
    ("min", "minutes to the fixing"),
    ("n", "forecasts"),
    ("CRPS bp", "mean score, basis points"),
    ("/ plain", "ratio to the plain Gaussian made at the same instant; below 1 is better"),
    ("+-", "standard error"),
    ("log gain", "nats per forecast over the plain Gaussian; above 0 is better"),
    ("+-", "standard error"),
    ("PIT KS", "distance of the PIT from uniform"),
    ("KS 95 %", "what 95 % of right models of so many forecasts stay below"),
    ("90 %", "of fixings inside the central 90 %"),
    ("99 %", "of fixings inside the central 99 %"),
    ("rms z", "moves against sigma, capped at three; 1 is right"),
)
_KS_FROM: Final = 20
"""Forecasts from which on the bound of the PIT's distance means anything."""
_MONITORS: Final = (
    ("figure", "docs/monitors.md"),
    ("group", "near 2 to 10 minutes, hour 15 to 55, long more"),
    ("value", "after the last fixing of the record"),
    ("limits", ""),
    ("n", "forecasts behind it, older ones count less"),
    ("least n", "fewer say nothing"),
    ("status", ""),
)
_ALARMS: Final = (
    ("figure", ""),
    ("group", ""),
    ("from", "the fixing after which it stood first, New York"),
    ("to", "the last such fixing"),
    ("worst", ""),
    ("limits", ""),
)
_MARKET: Final = (
    ("minutes before", "of the fixing; the first look in each span counts"),
    ("n", "events"),
    ("log gain", "nats per event over the mids; above 0 is better"),
    ("+-", "standard error"),
    ("Brier gain", "of the mids minus ours; above 0 is better"),
    ("+-", "standard error"),
)


def live_page_of(figures: LiveFigures, *, plots: bool = True) -> str:
    """The whole page. plots False leaves the tables alone."""
    title = f"Live forecasts of {figures.index}, {figures.first} to {figures.last}"
    body = (
        f"<h1>Live forecasts of the {escape(name_of(figures.index))}</h1>"
        f'<p class="soft">{escape(span_of(figures))}</p>'
        f"<p><b>{escape(verdict_of(figures))}</b></p>"
        f"<h2>Alarms</h2>{_alarms(figures)}"
        f"<h2>Scores</h2>{table_of(HEADINGS, map(row_cells, figures.rows))}"
        '<p class="soft">Errors are clustered by session, by fixing while there are fewer than five sessions. '
        "One forecast per fixing and horizon.</p>"
        f"<h2>Against the market</h2>{_market(figures)}"
        + (f"<h2>Pictures</h2>{_without_a_day(figures)}{charts_of(live_pictures(figures))}" if plots else "")
        + f"<h2>Monitors after the last fixing</h2>{table_of(_MONITORS, map(reading_cells, figures.readings))}"
        + f'<p class="soft">{escape(_learnt(figures))}</p>'
    )
    return document_of(title, body)


def span_of(figures: LiveFigures) -> str:
    """What the record holds, in a sentence or two."""
    days = figures.first if figures.first == figures.last else f"{figures.first} to {figures.last}"
    sessions = "1 session" if figures.sessions == 1 else f"{figures.sessions} sessions"
    again = f", {figures.again} made again from minutes that came later" if figures.again else ""
    torn = f" {figures.unreadable} lines could not be read and are left out." if figures.unreadable else ""
    return f"{days}, {sessions}. {figures.live} forecasts made as prices came{again}.{torn}"


def verdict_of(figures: LiveFigures) -> str:
    """What the monitors said last, in a sentence."""
    failing = [f"{one.monitor} {one.group}" for one in figures.readings if one.standing is Standing.ALERT]
    learning = sum(one.standing is Standing.LEARNING for one in figures.readings)
    judged = len(figures.readings) - learning
    waiting = f"; {learning} have too few forecasts to say anything" if learning else ""
    if failing:
        return f"Outside the limits: {', '.join(failing)}; {judged} figures were judged{waiting}."
    return f"Nothing outside the limits; {judged} figures were judged{waiting}."


def row_cells(row: LiveRow) -> tuple[str, ...]:
    """A row as text, in the order of HEADINGS."""
    return (
        row.target,
        f"{row.horizon_min}",
        f"{row.n}",
        f"{row.crps_bp:.2f}",
        f"{row.crps_ratio:.4f}",
        _error(row.crps_ratio_se),
        f"{row.log_gain:+.4f}",
        _error(row.log_gain_se),
        f"{row.pit_ks:.4f}",
        f"{row.pit_ks_max:.4f}" if row.n >= _KS_FROM else "-",
        f"{row.cover90:.1f}",
        f"{row.cover99:.1f}",
        f"{row.rms_z:.3f}",
    )


def reading_cells(one: Reading) -> tuple[str, ...]:
    """A figure with its limits as the cells of a table."""
    status = {Standing.LEARNING: "too few"}.get(one.standing, one.standing.value)
    value = "-" if one.value is None else f"{one.value:.4g}"
    return one.monitor, one.group, value, _limits(one.low, one.high), f"{one.n:.0f}", f"{one.n_min:.0f}", status


def _alarm_cells(one: Alarm) -> tuple[str, ...]:
    until = "still" if one.open else _when(one.last_ns)
    return one.monitor, one.group, _when(one.first_ns), until, f"{one.worst:.4g}", _limits(one.low, one.high)


def _gain_cells(one: Gains) -> tuple[str, ...]:
    gains = (f"{one.log_gain:+.4f}", _error(one.log_gain_se), f"{one.brier_gain:+.4f}", _error(one.brier_gain_se))
    least, most = SPANS_MIN[one.name]
    return f"{one.name}, {most:.0f} to {least:.0f}", f"{one.n}", *gains


def _alarms(figures: LiveFigures) -> str:
    if not figures.alarms:
        return "<p>None: no figure was outside its limits after any fixing of the record.</p>"
    return table_of(_ALARMS, map(_alarm_cells, figures.alarms))


def _market(figures: LiveFigures) -> str:
    if figures.market is None:
        return "<p>No event with a two-sided book has had its results yet.</p>"
    return table_of(_MARKET, map(_gain_cells, figures.market.spans))


def _without_a_day(figures: LiveFigures) -> str:
    return "" if figures.day.path else f"<p>{escape(what_is_missing(figures.day))}</p>"


def _learnt(figures: LiveFigures) -> str:
    if figures.learnt is None:
        return "No memory of the model could be read: the page lacks its session curve and its recalibration."
    return f"Session curve and recalibration as the model had saved them at {_when(figures.learnt.saved_ns)} New York."


def _limits(low: float | None, high: float | None) -> str:
    if low is None:
        return "" if high is None else f"<= {high:g}"
    return f">= {low:g}" if high is None else f"{low:g} .. {high:g}"


def _error(value: float) -> str:
    return f"{value:.4f}" if value > 0.0 else "-"


def _when(at_ns: Nanos) -> str:
    return eastern(at_ns).strftime("%Y-%m-%d %H:%M")
