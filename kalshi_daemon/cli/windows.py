"""`kalshi-daemon windows`: the window table of any span of days, from the calendar alone."""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from itertools import groupby
from typing import Any, Final

from kalshi_daemon.cli.common import Subparsers, UsageError, a_date, load
from kalshi_daemon.cli.output import show
from kalshi_daemon.domain.window import Session, Window
from kalshi_daemon.ground.clock import SystemClock
from kalshi_daemon.ground.errors import ExitCode
from kalshi_daemon.ground.new_york import eastern, eastern_clock, eastern_day, eastern_zone
from kalshi_daemon.ground.tables import Column, Table
from kalshi_daemon.ground.units import Nanos
from kalshi_daemon.settings.loader import Credentials
from kalshi_daemon.windows.sessions import SessionTable, load_sessions
from kalshi_daemon.windows.table import build_windows, enabled_series, span_of_days

type Planned = Mapping[str, Sequence[Window]]

_DAYS_SHOWN: Final = 7
_DAYS_MAX: Final = 3_700
_COLUMNS: Final = (
    Column("date", style="bold"),
    Column("session"),
    Column("series"),
    Column("opens"),
    Column("quoting ends"),
    Column("cancel start"),
    Column("cutoff"),
    Column("fixing", style="bold"),
)


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "windows",
        help="list the quoting windows between two dates, with all their times",
        description="Prints every window of the enabled series between two dates: when it opens, when quoting ends, "
        "when cancelling starts, the cutoff, at which nothing of it may rest any more, and the fixing. New York "
        "times. Half days and holidays come from the trading calendar; Kalshi's listing is checked while trading.",
    )
    parser.add_argument(
        "--from", dest="first", metavar="D", type=a_date, help="first date, YYYY-MM-DD (default: today)"
    )
    parser.add_argument("--to", dest="last", metavar="D", type=a_date, help="last date (default: six days later)")


def run(args: argparse.Namespace) -> int:
    settings = load(args, Credentials.NONE).settings
    first: date = args.first or eastern_day(SystemClock().now_ns())
    last: date = args.last or first + timedelta(days=_DAYS_SHOWN - 1)
    if not timedelta(0) <= last - first <= timedelta(days=_DAYS_MAX):
        raise UsageError(
            f"--from {first} --to {last} is not a span of at most {_DAYS_MAX} days", "kalshi-daemon windows"
        )
    sessions = load_sessions(first, last)
    series = enabled_series(settings)
    planned = {session.day: build_windows(session, settings.windows, series) for session in sessions.sessions}
    rows = tuple(_rows(sessions, planned, first, last))
    notes = () if rows else ("no weekday in this span",)
    show(args, _data(sessions, planned, first, last), Table(_COLUMNS, rows, notes=notes))
    return ExitCode.OK


def _rows(sessions: SessionTable, planned: Planned, first: date, last: date) -> Iterator[tuple[str, ...]]:
    holidays = set(sessions.holidays(first, last))
    for day in span_of_days(first, last):
        name = f"{day:%a} {day}"
        session = sessions.session_on(day)
        if session is None:
            if day in holidays:
                yield (name, "holiday", "", "", "", "", "", "")
            continue
        windows = planned[session.day]
        if not windows:
            yield (name, _hours(session), "none", "", "", "", "", "")
        for number, (edges, same) in enumerate(groupby(windows, key=_edges)):
            tickers = " ".join(window.series.ticker for window in same)
            marks = (name, _hours(session)) if number == 0 else ("", "")
            yield (*marks, tickers, *(eastern_clock(edge) for edge in edges))


def _data(sessions: SessionTable, planned: Planned, first: date, last: date) -> dict[str, Any]:
    return {
        "from": first,
        "to": last,
        "holidays": sessions.holidays(first, last),
        "sessions": [
            {
                "date": session.day,
                "half_day": session.half_day,
                "opens": _stamp(session.open_ns),
                "closes": _stamp(session.close_ns),
                "windows": [_window(window) for window in planned[session.day]],
            }
            for session in sessions.sessions
        ],
    }


def _window(window: Window) -> dict[str, Any]:
    return {
        "series": window.series.ticker,
        "event_ticker": window.event_ticker,
        "opens": _stamp(window.opens_ns),
        "new_until": _stamp(window.new_until_ns),
        "cancel_at": _stamp(window.cancel_at_ns),
        "gone_by": _stamp(window.gone_by_ns),
        "fixing": _stamp(window.target_ns),
    }


def _edges(window: Window) -> tuple[Nanos, ...]:
    return (window.opens_ns, window.new_until_ns, window.cancel_at_ns, window.gone_by_ns, window.target_ns)


def _hours(session: Session) -> str:
    opens, closes = eastern(session.open_ns), eastern(session.close_ns)
    half = " half day" if session.half_day else ""
    return f"{opens:%H:%M}-{closes:%H:%M} {eastern_zone(session.open_ns)}{half}"


def _stamp(ns: Nanos) -> str:
    return eastern(ns).isoformat()
