"""`kalshi-daemon fetch-history`: the exchange's settled markets, trades and candles, and the vendor's minute bars."""

import argparse
import asyncio
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Final

import orjson

from kalshi_daemon.cli.backfill import FOLDER as BARS_FOLDER
from kalshi_daemon.cli.backfill import Tally, fetch_bars, speak_on_standard_error
from kalshi_daemon.cli.common import Subparsers, UsageError, a_date, a_path, wants_json
from kalshi_daemon.cli.output import show
from kalshi_daemon.cli.progress import progress_bar
from kalshi_daemon.cli.venue import add_connect_option, open_past, settings_for_venue
from kalshi_daemon.domain.index import Series
from kalshi_daemon.domain.window import Session
from kalshi_daemon.ground.errors import ConfigurationError, ExitCode
from kalshi_daemon.ground.tables import Column, Table
from kalshi_daemon.settings.loader import Credentials
from kalshi_daemon.settings.model import Settings

if TYPE_CHECKING:
    from kalshi_daemon.research.history.venue_history import EventResult

FOLDER: Final = Path("data") / "history"
"""Below the mode's state, unless --out says otherwise."""
BARS: Final = "bars"
WHAT: Final = ("markets", "trades", "candles", BARS)
PERIODS: Final = (1, 60, 1_440)
_COMMAND: Final = "kalshi-daemon fetch-history"
_OUTCOMES: Final = ("written", "partial", "kept", "empty")
_COLUMNS: Final = (
    Column("series", style="bold"),
    *(Column(heading, right=True) for heading in ("events", *_OUTCOMES, "markets", "trades", "candles", "unreadable")),
)
_NOTES: Final = (
    "partial: not settled yet, or with records that cannot be read; it is asked for again next time.",
    "empty: the exchange knows no such event. Trades and candles are asked for of markets that traded.",
)


@dataclass(slots=True)
class SeriesTally:
    """What one series came to."""

    events: int = 0
    unreadable: int = 0
    outcomes: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_OUTCOMES, 0))
    rows: dict[str, int] = field(default_factory=lambda: dict.fromkeys(WHAT[:3], 0))

    def add(self, one: "EventResult") -> None:
        """Count one event."""
        self.events += 1
        self.unreadable += one.unreadable
        self.outcomes[one.outcome] += 1
        for kind, count in one.rows.items():
            self.rows[kind.value] += count


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "fetch-history",
        help="download the exchange's past markets, trades and candles, and the vendor's bars, as parquet files",
        description="Downloads, for every event of the series that was fixed from one date to another, its markets "
        "with strikes and results, its public trades and its candles, from the live or the historical side of the "
        "exchange, whichever has them: DIR/kind=K/series=S/year=Y/month=M/EVENT.parquet. No key is needed for that. "
        "With an API key of the index vendor its minute bars come too, as `backfill` writes them. What is on disk is "
        "skipped unless it was incomplete. One JSON line per event; at a terminal a progress bar and a table. Exit "
        "code 4 when nothing was found, 69 when the exchange cannot be reached.",
    )
    parser.add_argument("--from", dest="first", metavar="D", type=a_date, required=True, help="first date")
    parser.add_argument("--to", dest="last", metavar="D", type=a_date, required=True, help="last date")
    parser.add_argument(
        "--series", metavar="TICKER", action="append", help="a series of the table; may be given again (default: all)"
    )
    parser.add_argument(
        "--what", choices=WHAT, action="append", help="what to fetch; may be given again (default: everything)"
    )
    parser.add_argument("--period", choices=PERIODS, type=int, default=1, help="minutes of a candle (%(default)s)")
    parser.add_argument("--out", metavar="DIR", type=a_path, help="default: <state_dir>/<mode>/data/history")
    parser.add_argument("--again", action="store_true", help="download again what is on disk already")
    add_connect_option(parser)


def run(args: argparse.Namespace) -> int:
    from kalshi_daemon.windows.sessions import load_sessions  # noqa: PLC0415 - `--help` need not pay for a fetch

    first: date = args.first
    last: date = args.last
    if last < first:
        raise UsageError(f"--from {first} --to {last} is not a span of days", _COMMAND)
    settings = settings_for_venue(args, Credentials.NONE)
    series = _chosen(args.series, settings)
    what = tuple(dict.fromkeys(args.what or WHAT))
    sessions = load_sessions(first, last).sessions
    if not sessions:
        raise UsageError(f"no session from {first} to {last}", _COMMAND)
    root: Path = args.out or settings.mode_dir / FOLDER
    speak_on_standard_error()
    tallies = {one.ticker: SeriesTally() for one in series}
    bars: dict[str, Tally] = {}
    on_terminal = sys.stdout.isatty() and not wants_json(args)
    try:
        if kinds := [one for one in what if one != BARS]:
            asyncio.run(_fetch(args, settings, sessions, series, kinds, root, tallies))
        if BARS in what:
            bars = _fetch_bars(args, settings, sessions, named=args.what is not None)
    except OSError as problem:
        raise ConfigurationError(str(root), f"cannot be written: {problem.strerror}", "choose another --out") from None
    _sum_up(args, root, tallies, bars, on_terminal=on_terminal)
    found = any(sum(tally.rows.values()) for tally in tallies.values()) or any(tally.bars for tally in bars.values())
    return ExitCode.OK if found else ExitCode.REFUSED


def _chosen(names: Sequence[str] | None, settings: Settings) -> tuple[Series, ...]:
    """Raises UsageError."""
    from kalshi_daemon.settings.instruments import instruments_of  # noqa: PLC0415

    known = instruments_of(settings.instruments).series
    unknown = [name for name in names or () if name not in known]
    if unknown:
        raise UsageError(f"--series {unknown[0]}: none of {', '.join(known)}", _COMMAND)
    return tuple(one for ticker, one in known.items() if not names or ticker in names)


async def _fetch(
    args: argparse.Namespace,
    settings: Settings,
    sessions: Sequence[Session],
    series: Sequence[Series],
    kinds: Sequence[str],
    root: Path,
    tallies: dict[str, SeriesTally],
) -> None:
    from kalshi_daemon.research.history.archive import Kind  # noqa: PLC0415
    from kalshi_daemon.research.history.venue_history import Wanted, fetch_history, past_events  # noqa: PLC0415

    wanted = Wanted(tuple(map(Kind, kinds)), args.period, again=args.again)
    async with open_past(settings) as (past, clock):
        events = past_events(sessions, series, clock.now_ns())
        with _said(args, len(events)) as said:
            async for one in fetch_history(past, events, root, clock, wanted):
                tallies[one.event_ticker.partition("-")[0]].add(one)
                said(one)


@contextmanager
def _said(args: argparse.Namespace, total: int) -> "Iterator[Callable[[EventResult], None]]":
    """A bar for people; one JSON line an event for pipes and logs."""
    if sys.stdout.isatty() and not wants_json(args):
        with progress_bar("fetch-history", total) as step:
            yield lambda one: step(f"{one.event_ticker} {one.outcome}")
        return
    yield lambda one: print(orjson.dumps({"event": "fetch_history.event", **_plain(one)}).decode(), flush=True)


def _plain(one: "EventResult") -> dict[str, object]:
    rows = {kind.value: count for kind, count in one.rows.items()}
    return {"ticker": one.event_ticker, "day": one.day, "outcome": one.outcome, **rows, "unreadable": one.unreadable}


def _fetch_bars(
    args: argparse.Namespace, settings: Settings, sessions: Sequence[Session], *, named: bool
) -> dict[str, Tally]:
    """The vendor's bars, as `backfill` has them; without a key they are left out, unless they were asked for by name.

    Raises ConfigurationError.
    """
    from kalshi_daemon.ground.clock import SystemClock  # noqa: PLC0415
    from kalshi_daemon.settings.instruments import instruments_of  # noqa: PLC0415

    feed = settings.index_feed
    if not feed.rest_url or not feed.api_key.get_secret_value():
        key, problem = ("rest_url", "nobody to ask") if not feed.rest_url else ("api_key", "no key")
        if named:
            raise ConfigurationError(f"index_feed.{key}", problem, "set it, or leave out --what bars")
        print(f"{_COMMAND}: minute bars left out: index_feed.{key}: {problem}", file=sys.stderr)
        return {}
    clock = SystemClock()
    opened = [session for session in sessions if session.open_ns < clock.now_ns()]
    tallies = {index: Tally() for index in instruments_of(settings.instruments).indices}
    root = settings.mode_dir / BARS_FOLDER if args.out is None else args.out / "kind=bars"
    asyncio.run(fetch_bars(settings, clock, opened, root, tallies, lambda _day: None, again=args.again))
    return {index.value: tally for index, tally in tallies.items()}


def _sum_up(
    args: argparse.Namespace,
    root: Path,
    tallies: dict[str, SeriesTally],
    bars: dict[str, Tally],
    *,
    on_terminal: bool,
) -> None:
    if on_terminal:
        rows = tuple(
            (
                name,
                f"{tally.events}",
                *(f"{tally.outcomes[one]}" for one in _OUTCOMES),
                *(f"{tally.rows[kind]}" for kind in WHAT[:3]),
                f"{tally.unreadable}",
            )
            for name, tally in tallies.items()
        )
        some = tuple(f"bars of {name}: {tally.bars} in {tally.sessions} sessions" for name, tally in bars.items())
        show(args, {}, Table(_COLUMNS, rows, notes=(str(root), *_NOTES, *some)))
        return
    done = {
        name: {"events": tally.events, **tally.outcomes, **tally.rows, "unreadable": tally.unreadable}
        for name, tally in tallies.items()
    }
    counted = {name: {"sessions": tally.sessions, "bars": tally.bars, **tally.outcomes} for name, tally in bars.items()}
    summary = {"event": "fetch_history.done", "out": str(root), "series": done, "bars": counted}
    print(orjson.dumps(summary).decode())
