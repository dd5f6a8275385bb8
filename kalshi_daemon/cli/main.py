"""Entry point: finds the command, runs it, and turns every error of ours into one line and its exit code."""

import errno
import importlib
import os
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Final, NamedTuple, NoReturn

from kalshi_daemon import __version__
from kalshi_daemon.cli.common import Parser, Subparsers, UsageError
from kalshi_daemon.ground.errors import ConfigurationError, DaemonError, ExitCode, StateCorrupt, leaves_of

PROGRAM: Final = "kalshi-daemon"
INTERRUPTED: Final = 130
_OF_THE_MACHINE: Final = {errno.ENOSPC, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM}
"""Errors without a file that no code of ours can be blamed for."""


class Command(NamedTuple):
    """A command by name. Its module is imported only when it is the one asked for."""

    name: str
    summary: str

    @property
    def module(self) -> str:
        return f"kalshi_daemon.cli.{self.name.replace('-', '_')}"


COMMANDS: Final = (
    Command("run", "trade a session (default mode sim: built-in exchange, no API keys)"),
    Command("simulate-exchange", "serve a simulated exchange and index feed on localhost"),
    Command("backtest", "play many simulated sessions in process and report what the fills were worth"),
    Command("replay", "replay a recorded run and compare every decision, request and book with the recording"),
    Command("sweep", "play sessions x regimes x settings on all processors or a Dask cluster, and compare"),
    Command("config", "print the effective settings and their sources, secrets redacted"),
    Command("doctor", "check clock, key, limits, feed, fees, calendar, disk, unit and state"),
    Command("status", "show how the running daemon stands: does it quote, and if not why"),
    Command("windows", "list the quoting windows between two dates, with all their times"),
    Command("orders", "list a day's orders from the journal"),
    Command("ledger", "show fills, settlements, positions and P&L from the journal; export to CSV"),
    Command("digest", "report on a trading day: P&L, fills with markouts, quoting, forecast, uptime"),
    Command("resting", "list resting orders as the exchange reports them"),
    Command("cancel-all", "cancel all orders at the exchange and verify that nothing is resting"),
    Command("kill", "engage the kill switch: cancel all resting orders, send no new ones"),
    Command("unkill", "release the kill switch"),
    Command("alert", "send a test alert, or a text, to the configured targets"),
    Command("reset-group", "resume quoting for a profile whose order group was triggered"),
    Command("why", "explain the last decision on a market, guard by guard"),
    Command("pack", "compress finished days and delete those past [retention]"),
    Command("calibration-report", "write a one-page report on forecast quality, with charts, from bars or live data"),
    Command("backfill", "download historical minute bars from the vendor as parquet files"),
    Command("fetch-history", "download the exchange's past markets, trades and candles as parquet files"),
    Command("learn", "warm up the model from historical bars"),
    Command("score", "score the model walk-forward on historical bars against two baselines"),
    Command("calibrate", "refit the model's constants and validate them out of sample"),
)

EXIT_CODES: Final = """\
exit codes:
    0  done
    1  failed; for `run`: also in sim when books differ; for `status`: the daemon is stuck
    2  wrong command line
    3  UNVERIFIED: stopped, but the exchange did not confirm that nothing rests
    4  refused: nothing found, something rests, not confirmed, a replay differs, no daemon runs (`status`), or one runs
       beside `pack` or `learn`
   69  the exchange or the feed cannot be reached
   78  configuration, key or plan is wrong; restarting cannot help
  130  interrupted
"""


def entry() -> NoReturn:
    """The console script."""
    _open_standard_files()
    # Before numpy is loaded. Our matrices are small: more threads spin, 40 % of what `calibrate` would take.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    sys.exit(main(sys.argv[1:]))


def _open_standard_files() -> None:
    """Let a closed standard file lead nowhere (`>&-`): work is done all the same, and no file of ours gets its number.

    Otherwise the next file that is opened takes it, and what is printed lands in there.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - as long as the process
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115


def main(argv: Sequence[str]) -> int:
    """Run one command line; returns the exit code. --help and --version leave by SystemExit(0), as argparse does."""
    try:
        parser = _parser(argv)
        args = parser.parse_args(argv)
        module: ModuleType | None = getattr(args, "module", None)
        if module is None:
            raise UsageError("a command is required", PROGRAM)
        code = int(module.run(args))
        sys.stdout.flush()
    except DaemonError as error:
        return _report(error, as_json="--json" in argv)
    except BaseExceptionGroup as group:
        ours = _only_ours(group)
        if ours is None:
            raise
        return _report(ours, as_json="--json" in argv)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _leave_output()  # the reader has seen enough (`| head`)
        return int(ExitCode.OK)
    except OSError as problem:
        if problem.filename is None:
            if problem.errno not in _OF_THE_MACHINE:
                raise
            _leave_output()
        return _report(_file_trouble(problem), as_json="--json" in argv)
    return code


def _leave_output() -> None:
    """Point standard output away, so that nothing fails at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _file_trouble(problem: OSError) -> DaemonError:
    """A file that no command expected to be like that, as one line: of another user, a folder, on a full disk."""
    said = problem.strerror or type(problem).__name__
    if problem.errno in {errno.EMFILE, errno.ENFILE}:
        return ConfigurationError("the process", f"may open no more files: {said}", "ulimit -n 1024, or LimitNOFILE=")
    if problem.errno == errno.ENOMEM:
        return StateCorrupt("the machine", said)
    place = "standard output" if problem.filename is None else str(problem.filename)
    if isinstance(problem, PermissionError):
        return ConfigurationError(place, f"not allowed: {said}", "run as the user that owns the state directory")
    return StateCorrupt(place, said)


def _parser(argv: Sequence[str]) -> Parser:
    """The whole parser, with the options of the one command that `argv` names and the names of all others."""
    parser = Parser(prog=PROGRAM, description=_description(), epilog=EXIT_CODES)
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    subparsers: Subparsers = parser.add_subparsers(
        title="commands", metavar="COMMAND", dest="command", parser_class=Parser
    )
    for command in COMMANDS:
        if command.name not in argv:
            subparsers.add_parser(command.name, help=command.summary, only_listed=True)
            continue
        module = importlib.import_module(command.module)
        module.add_parser(subparsers)
        subparsers.choices[command.name].set_defaults(module=module)
    return parser


def _description() -> str:
    return "Maker-only trading daemon for Kalshi's S&P 500 and Nasdaq-100 hourly ladders and 16:00 closes."


def _only_ours(group: BaseExceptionGroup[BaseException]) -> DaemonError | None:
    """The error to report for a task group that failed with errors of ours alone; None when anything else is in it."""
    leaves = leaves_of(group)
    ours = [leaf for leaf in leaves if isinstance(leaf, DaemonError)]
    return ours[0] if len(ours) == len(leaves) else None


def _report(error: DaemonError, *, as_json: bool) -> int:
    """One line on standard error: what is wrong, where, and what to do."""
    line = " ".join(str(error).split())
    if as_json:
        import json  # noqa: PLC0415 - what `--help` need not pay

        print(
            json.dumps({"error": {"type": type(error).__name__, "message": line, "exit_code": int(error.exit_code)}}),
            file=sys.stderr,
        )
    else:
        print(f"{PROGRAM}: {line}", file=sys.stderr)
    return int(error.exit_code)
