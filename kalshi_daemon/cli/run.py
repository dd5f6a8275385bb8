"""`kalshi-daemon run`: the daemon. In mode sim it brings its own exchange; a full session takes about two minutes."""

import argparse
import os
import signal
import sys

from kalshi_daemon.app.daemon import RunOptions
from kalshi_daemon.app.named_parts import check_named_parts
from kalshi_daemon.app.process import run_daemon
from kalshi_daemon.app.stopping import deafen
from kalshi_daemon.cli.common import Subparsers, a_date, a_path, load, wants_json
from kalshi_daemon.ground.errors import ExitCode
from kalshi_daemon.memory.models import constants_of
from kalshi_daemon.settings.instruments import instruments_of
from kalshi_daemon.settings.loader import Credentials, require_live_acknowledgement
from kalshi_daemon.settings.model import Mode, Settings
from kalshi_daemon.windows.macro import load_macro_calendar


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "run",
        help="trade a session (default mode sim: built-in exchange, no API keys)",
        description="Quotes until stopped. On SIGTERM or Ctrl-C it blocks new orders, cancels everything, verifies "
        "that with the exchange and logs a summary as the last line. Exit code 0 only if verified, 3 if not.",
    )
    parser.add_argument(
        "--arm",
        action="store_true",
        help="mode live: send real orders (the configuration must acknowledge it); not needed in sim and demo",
    )
    parser.add_argument(
        "--force-gate-pass", action="store_true", help="override the macro freshness guard, and no other; logged"
    )
    group = parser.add_argument_group("mode sim")
    group.add_argument("--connect", metavar="ADMIN_URL", help="use a running simulate-exchange and follow its clock")
    group.add_argument("--seed", metavar="S", help="random seed of the simulated session")
    group.add_argument("--speed", metavar="X", help="maximum speed, in simulated seconds per second")
    group.add_argument("--session-date", type=a_date, metavar="D", help="session date, or date of the bars to replay")
    group.add_argument("--from", dest="start", metavar="HH:MM", help="start of the simulation, New York time")
    group.add_argument("--until", metavar="HH:MM", help="end of the simulation, New York time")
    group.add_argument(
        "--index-replay", type=a_path, nargs="+", metavar="FILE", help="replay index bars from these files"
    )


def run(args: argparse.Namespace) -> int:
    # Until the daemon listens: their default would end the process, and a supervisor takes that for a clean exit.
    for number in (signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    settings = load(args, Credentials.ALL, _overrides(args)).settings
    # Read again when the parts are built; a bad one need not wait for the simulator, or for the exchange's clock.
    for index in instruments_of(settings.instruments).indices:
        constants_of(settings, index)
    load_macro_calendar(settings.macro)
    check_named_parts(settings)
    if args.arm and settings.mode is Mode.LIVE:
        require_live_acknowledgement(settings)
    options = RunOptions(
        armed=_armed(args, settings),
        force_gate_pass=args.force_gate_pass,
        show_progress=sys.stdout.isatty() and not wants_json(args),
        environ=os.environ,
        write_digest=True,
        keep_tidy=True,
    )
    import uvloop  # noqa: PLC0415 - after the settings: a bad one need not wait for it

    try:
        code: ExitCode = uvloop.run(run_daemon(settings, options))
    finally:
        deafen()
    return code


def _armed(args: argparse.Namespace, settings: Settings) -> bool:
    """Demo and sim trade play money; live needs to be told on the command line and in the configuration."""
    return settings.mode is not Mode.LIVE or bool(args.arm)


def _overrides(args: argparse.Namespace) -> dict[str, object]:
    replay = tuple(args.index_replay) if args.index_replay else None
    return {
        "sim.connect": args.connect,
        "sim.seed": args.seed,
        "sim.speed": args.speed,
        "sim.session_date": None if replay else args.session_date,
        "sim.replay_date": args.session_date if replay else None,
        "sim.start": args.start,
        "sim.until": args.until,
        "sim.index_replay": replay,
    }
