"""`kalshi-daemon digest`: a trading day at a glance, from what the daemon wrote. Nobody is asked."""

import argparse
from datetime import date

from kalshi_daemon.cli.common import Subparsers, a_date, a_path, load_written, wants_json
from kalshi_daemon.cli.output import show
from kalshi_daemon.digest.document import document
from kalshi_daemon.digest.making import Source, digest_of
from kalshi_daemon.digest.sections import markdown, sections
from kalshi_daemon.ground.clock import SystemClock
from kalshi_daemon.ground.durable import place_for, write_whole
from kalshi_daemon.ground.errors import ExitCode
from kalshi_daemon.ground.new_york import eastern_day
from kalshi_daemon.settings.instruments import instruments_of
from kalshi_daemon.settings.model import Mode

TODAY = "today"


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "digest",
        help="report on a trading day: P&L, fills with markouts, quoting, forecast, uptime",
        description="Sums up a New York day from journal, manifests, recorded index values and log; safe while a "
        "daemon runs. Edges are in dollars per contract before fees; positive is good. Exit code 4: no journal, or "
        "nothing of that day.",
    )
    parser.add_argument(
        "--date",
        type=_a_day,
        metavar="D",
        help="YYYY-MM-DD or `today`, New York (default: the last day in the journal)",
    )
    parser.add_argument("--skip-slo", action="store_true", help="skip the uptime section and do not read the log")
    parser.add_argument("--out", type=a_path, metavar="FILE.md", help="also write it as Markdown, overwriting the file")


def run(args: argparse.Namespace) -> int:
    settings = load_written(args, "digest")
    source = Source(
        settings.mode_dir, settings.mode.value, settings.orders.scope == "account", instruments_of(settings.instruments)
    )
    now = None if settings.mode is Mode.SIM else SystemClock().now_ns()  # simulated sessions have dates of their own
    day = args.date
    if day == TODAY:
        day = None if now is None else eastern_day(now)
    made = digest_of(source, day, now, _go_on, with_service=not args.skip_slo)
    if args.out is not None:
        write_whole(place_for(args.out, "Markdown", settings.state_dir), markdown(made).encode(), "Markdown")
    show(args, document(made) if wants_json(args) else None, *sections(made))
    return ExitCode.OK


def _a_day(text: str) -> date | str:
    return TODAY if text == TODAY else a_date(text)


def _go_on() -> None:
    """Nobody waits: a person has Ctrl-C."""
