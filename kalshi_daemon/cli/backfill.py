"""`kalshi-daemon backfill`: the vendor's minute bars of past sessions, as parquet files that other commands read."""

import argparse
import asyncio
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Final

import orjson

from kalshi_daemon.cli.common import Subparsers, UsageError, a_date, a_path, load, wants_json
from kalshi_daemon.cli.output import show
from kalshi_daemon.cli.progress import progress_bar
from kalshi_daemon.domain.index import Index
from kalshi_daemon.domain.window import Session
from kalshi_daemon.ground.errors import ConfigurationError, ExitCode
from kalshi_daemon.ground.tables import Column, Table
from kalshi_daemon.settings.model import Mode, Settings

if TYPE_CHECKING:
    from kalshi_daemon.bars.backfill import DayResult
    from kalshi_daemon.ground.clock import Clock

ALL: Final = ("all", "both")
FOLDER: Final = Path("data") / "bars"
"""Below the mode's state, unless --out says otherwise."""
_OUTCOMES: Final = ("written", "partial", "kept", "empty")
_COLUMNS: Final = (
    Column("index", style="bold"),
    *(Column(heading, right=True) for heading in ("sessions", *_OUTCOMES, "bars", "missing")),
)
_NOTES: Final = (
    "partial: the session was not over; it is asked for again next time. empty: the vendor has no bars of it.",
    "missing: minutes the vendor has no bar for; nothing is put in their place.",
)


@dataclass(slots=True)
class Tally:
    """What one index came to."""

    sessions: int = 0
    bars: int = 0
    missing: int = 0
    delayed: bool = False
    outcomes: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_OUTCOMES, 0))

    def add(self, one: "DayResult") -> None:
        """Count one day."""
        self.sessions += 1
        self.bars += one.bars
        self.missing += one.missing if one.outcome != "empty" else 0
        self.delayed = self.delayed or one.delayed
        self.outcomes[one.outcome] += 1


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "backfill",
        help="download historical minute bars from the vendor as parquet files",
        description="Downloads minute bars from the index vendor's REST API (index_feed.rest_url, "
        "index_feed.api_key), a month at a time, one file per session: "
        "DIR/index=I:SPX/year=Y/month=M/SPX-DATE.parquet. Sessions already on disk are skipped unless they were "
        "incomplete. `score --data` and --index-replay read the files. One JSON line per session; at a terminal a "
        "progress bar and a table. Exit code 4 when the vendor has no bars in the range, 69 when it cannot be "
        "reached, 78 when it rejects the key or plan.",
    )
    parser.add_argument(
        "--index", metavar="NAME", default=ALL[0], help="SPX, NDX, ... or `all` (default; `both` is the same)"
    )
    parser.add_argument("--from", dest="first", metavar="D", type=a_date, required=True, help="first date")
    parser.add_argument("--to", dest="last", metavar="D", type=a_date, required=True, help="last date")
    parser.add_argument("--out", metavar="DIR", type=a_path, help="default: <state_dir>/<mode>/data/bars")
    parser.add_argument("--again", action="store_true", help="download again what is on disk already")


def run(args: argparse.Namespace) -> int:
    from kalshi_daemon.ground.clock import SystemClock  # noqa: PLC0415 - `--help` need not pay for what a fetch needs
    from kalshi_daemon.settings.loader import Credentials  # noqa: PLC0415
    from kalshi_daemon.windows.sessions import load_sessions  # noqa: PLC0415

    first: date = args.first
    last: date = args.last
    if last < first:
        raise UsageError(f"--from {first} --to {last} is not a span of days", "kalshi-daemon backfill")
    settings = load(args, Credentials.FEED).settings
    indices = _chosen(args.index, settings)
    if not settings.index_feed.rest_url:
        problem = f"mode {settings.mode.value} has nobody to ask"
        raise ConfigurationError("index_feed.rest_url", problem, "--mode live or demo, or set the address")
    clock = SystemClock()
    now = clock.now_ns()
    sessions = [session for session in load_sessions(first, last).sessions if session.open_ns < now]
    if not sessions:
        simulated = " by this machine's clock: the day of simulate-exchange is simulated time"
        hint = simulated if settings.mode is Mode.SIM else ""
        raise UsageError(f"no session has opened from {first} to {last}{hint}", "kalshi-daemon backfill")
    root: Path = args.out or settings.mode_dir / FOLDER
    tallies = {index: Tally() for index in indices}
    speak_on_standard_error()
    on_terminal = sys.stdout.isatty() and not wants_json(args)
    hear = _drawing if on_terminal else _telling
    with hear(len(sessions) * len(indices)) as said:
        asyncio.run(fetch_bars(settings, clock, sessions, root, tallies, said, again=args.again))
    _sum_up(args, root, tallies, on_terminal=on_terminal)
    return ExitCode.OK if any(tally.bars for tally in tallies.values()) else ExitCode.REFUSED


def _chosen(name: str, settings: Settings) -> tuple[Index, ...]:
    """Raises UsageError."""
    from kalshi_daemon.settings.instruments import instruments_of  # noqa: PLC0415

    table = instruments_of(settings.instruments)
    if name not in ALL and name not in table.rows:
        known = ", ".join((*table.indices, *ALL))
        raise UsageError(f"--index {name}: none of {known}", "kalshi-daemon backfill")
    return table.indices if name in ALL else (Index(name),)


def speak_on_standard_error() -> None:
    """Waits and retries, as JSON lines beside the results."""
    import structlog  # noqa: PLC0415

    structlog.configure(
        processors=[structlog.processors.add_log_level, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


async def fetch_bars(
    settings: Settings,
    clock: "Clock",
    sessions: Sequence[Session],
    root: Path,
    tallies: dict[Index, Tally],
    said: Callable[["DayResult"], None],
    *,
    again: bool,
) -> None:
    """Bring the archive at `root` up to these sessions, counting into `tallies`. Raises ConfigurationError."""
    from kalshi_daemon.bars.backfill import backfill  # noqa: PLC0415
    from kalshi_daemon.index_feed.history import HistoryClient  # noqa: PLC0415
    from kalshi_daemon.kalshi.transport import open_session  # noqa: PLC0415

    feed = settings.index_feed
    async with open_session() as http:
        past = HistoryClient(
            feed.rest_url,
            feed.api_key,
            clock,
            http,
            timeout_s=feed.rest_timeout_s,
            calls_per_min=feed.rest_calls_per_min,
        )
        for index, tally in tallies.items():
            try:
                async for one in backfill(past, index, sessions, root, clock, again=again):
                    tally.add(one)
                    said(one)
            except OSError as problem:
                raise ConfigurationError(str(root), f"cannot be written: {problem.strerror}") from problem


@contextmanager
def _telling(_total: int) -> "Iterator[Callable[[DayResult], None]]":
    """One JSON line per session, for pipes and logs."""
    yield lambda one: print(orjson.dumps({"event": "backfill.day", **asdict(one)}).decode(), flush=True)


@contextmanager
def _drawing(total: int) -> "Iterator[Callable[[DayResult], None]]":
    """A progress bar on standard error, for people."""
    with progress_bar("backfill", total) as step:
        yield lambda one: step(f"{one.index.value} {one.day} {one.outcome}")


def _sum_up(args: argparse.Namespace, root: Path, tallies: dict[Index, Tally], *, on_terminal: bool) -> None:
    if on_terminal:
        rows = tuple(
            (
                index.value,
                f"{tally.sessions}",
                *(f"{tally.outcomes[name]}" for name in _OUTCOMES),
                f"{tally.bars}",
                f"{tally.missing}",
            )
            for index, tally in tallies.items()
        )
        delayed = ("The plan is a delayed one: the newest quarter of an hour comes later.",)
        some = delayed if any(tally.delayed for tally in tallies.values()) else ()
        show(args, {}, Table(_COLUMNS, rows, notes=(str(root), *_NOTES, *some)))
        return
    done = {index.value: asdict(tally) for index, tally in tallies.items()}
    print(orjson.dumps({"event": "backfill.done", "out": str(root), **done}).decode())
