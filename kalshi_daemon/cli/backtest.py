"""`kalshi-daemon backtest`: the daemon's own core against the simulated exchange, in one process and virtual time."""

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from kalshi_daemon.cli.common import Subparsers, UsageError, a_path, wants_json
from kalshi_daemon.cli.progress import progress_bar
from kalshi_daemon.cli.session_options import REGIMES, a_span, add_cold, check_cold, check_regime, settings_of
from kalshi_daemon.ground.errors import ConfigurationError, ExitCode

if TYPE_CHECKING:
    from kalshi_daemon.backtest.jobs import Job
    from kalshi_daemon.backtest.results import SessionResult
    from kalshi_daemon.settings.model import Settings

QUEUE_MODELS: Final = ("risk-adverse", "log-prob", "power-prob", "l3-fifo")
"""`backtest.recorded.queue_models.QUEUE_MODELS`, likewise."""
_COMMAND: Final = "kalshi-daemon backtest"
_DAY: Final = date(2026, 11, 23)
_HOURS: Final = 6.5
_WORKERS_MAX: Final = 64
_HOURS_MAX: Final = 100_000.0


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "backtest",
        help="play many simulated sessions with the daemon's own core, and report what its fills were worth",
        description="Plays sessions against the simulated exchange in this process: no sockets, no waiting. Made-up "
        "ones by seed (--regime), days of minute bars with simulated traders (--days), or recorded real books "
        "(--books), in which a queue model fills our orders. Every fill is measured against the distribution the index "
        "was drawn from (edge), as far as that is known, and against the others' mid later on. With --against, both "
        "policies play the same sessions and the difference is given with its t by window. Nothing is sent anywhere, "
        "and no state of a daemon is touched. Interrupted, it keeps in --out what is done: run it again to go on.",
    )
    what = parser.add_argument_group("what to play")
    named = f"{', '.join(REGIMES)}, or one of sim.regimes"
    what.add_argument("--regime", metavar="R", help=f"who trades in the market: {named} (default: {REGIMES[0]})")
    what.add_argument("--hours", metavar="N", type=float, help=f"made-up hours in all (default: {_HOURS:g})")
    what.add_argument("--first-seed", metavar="K", type=int, default=1, help="seed of the first session (%(default)s)")
    what.add_argument("--days", metavar="A..B", type=a_span, help="days of minute bars, first and last (needs --data)")
    what.add_argument("--data", metavar="DIR", type=a_path, help="bar files, as `backfill` writes them or your own")
    what.add_argument("--books", metavar="DIR", type=a_path, help="recorded books (files: docs/laboratory.md)")
    what.add_argument(
        "--queue-model", choices=QUEUE_MODELS, help=f"of our orders in recorded books (default: {QUEUE_MODELS[0]})"
    )
    how = parser.add_argument_group("with which settings")
    how.add_argument("--policy", metavar="P", help="policy to play (default: trading.policy of the settings)")
    how.add_argument("--against", metavar="Q", help="also play this policy on the same sessions, and compare")
    for name, whose in (("--set", "a setting, e.g. pricing.x=0.5"), ("--against-set", "one of the other side alone")):
        how.add_argument(name, metavar="KEY=VALUE", action="append", default=[], help=whose)
    add_cold(how)
    parser.add_argument("--workers", metavar="N", type=int, default=1, help="processes (%(default)s)")
    parser.add_argument(
        "--out", metavar="DIR", type=a_path, help="keep results and tables (parquet) here, and go on from them"
    )
    parser.add_argument("--report", action="store_true", help="also write DIR/report.html, with charts")


def run(args: argparse.Namespace) -> int:
    from kalshi_daemon.backtest.results import figures, paired  # noqa: PLC0415 - numpy: `--help` need not pay
    from kalshi_daemon.backtest.runner import quiet  # noqa: PLC0415
    from kalshi_daemon.cli.output import to_json  # noqa: PLC0415

    _check(args)
    quiet()
    _check_report(args)
    sides = _sides(args)
    jobs = [_jobs(args, settings) for settings in sides]
    without = jobs[0][1]
    if without:
        print(f"kalshi-daemon: {args.data}: days without bars, left out: {without}", file=sys.stderr)
    played: list[list[SessionResult]] = [[] for _ in sides]
    try:
        _play(args, [todo for todo, _ in jobs], played)
    except KeyboardInterrupt:
        kept = f"kept in {args.out}: run it again to go on" if args.out else "not kept: --out keeps them"
        count = sum(len(todo) for todo, _ in jobs)
        print(f"kalshi-daemon: interrupted, {sum(map(len, played))} of {count} sessions {kept}", file=sys.stderr)
        raise
    finally:
        tables = _write_tables(args, sides, played)
    ours, *others = played
    data: dict[str, Any] = {**figures(ours), "notes": _notes(ours, without), "tables": tables}
    if others:
        data = {**data, "base": figures(others[0]), **paired(ours, others[0])}
    if args.report:
        data["report"] = _write_report(args, data, played)
    if wants_json(args):
        print(to_json(data))
    else:
        for key, value in data.items():
            print(f"{key:>24}  {value}")
    return ExitCode.OK


def _check(args: argparse.Namespace) -> None:
    """Raises UsageError for what does not go together or is out of range."""
    if args.books is not None and (args.days is not None or args.regime is not None):
        raise UsageError("--books brings its own days and traders: no --days, no --regime", _COMMAND)
    if (args.days is None) != (args.data is None):
        raise UsageError("--days and --data belong together", _COMMAND)
    if args.hours is not None and (args.books is not None or args.days is not None):
        raise UsageError("--hours is of made-up sessions: days are played whole", _COMMAND)
    check_cold(args, _COMMAND)
    if args.queue_model is not None and args.books is None:
        raise UsageError("--queue-model is of recorded books (--books)", _COMMAND)
    hours = _HOURS if args.hours is None else args.hours
    if not 0.0 < hours <= _HOURS_MAX:
        raise UsageError(f"--hours {hours:g} is not above 0 and at most {_HOURS_MAX:g}", _COMMAND)
    if not 0 <= args.first_seed <= 4_294_967_295:  # noqa: PLR2004 - as sim.seed
        raise UsageError(f"--first-seed {args.first_seed} is not between 0 and 4294967295", _COMMAND)
    if not 1 <= args.workers <= _WORKERS_MAX:
        raise UsageError(f"--workers {args.workers} is not between 1 and {_WORKERS_MAX}", _COMMAND)
    if args.report and args.out is None:
        raise UsageError("--report is written to --out, which is missing", _COMMAND)
    if getattr(args, "mode", None) not in (None, "sim"):
        raise UsageError("--mode: a backtest is simulated, there is no other", _COMMAND)
    args.mode = "sim"


def _check_report(args: argparse.Namespace) -> None:
    """What cannot be written or drawn is said before the hours of work, not after."""
    if args.report:
        from kalshi_daemon.research.report_page import drawer  # noqa: PLC0415

        drawer("without --report for numbers alone")
    if args.out is not None:
        try:
            (args.out / _SESSIONS).mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            where = f"cannot be written: {problem.strerror}"
            raise ConfigurationError(str(args.out), where, "choose another --out") from None


_SESSIONS: Final = "sessions"


def _sides(args: argparse.Namespace) -> list["Settings"]:
    """Our settings and, when there is something to compare with, the other side's."""
    ours = settings_of(args, args.policy, args.set, _COMMAND)
    if args.against is None and not args.against_set:
        return [ours]
    return [ours, settings_of(args, args.against or args.policy, [*args.set, *args.against_set], _COMMAND)]


def _jobs(args: argparse.Namespace, settings: "Settings") -> tuple[list["Job"], str]:
    """The sessions, and the days that have no data in one line."""
    from kalshi_daemon.backtest.bar_days import bar_days  # noqa: PLC0415
    from kalshi_daemon.backtest.jobs import day_jobs, made_up_jobs, recorded_jobs  # noqa: PLC0415
    from kalshi_daemon.settings.instruments import instruments_of  # noqa: PLC0415
    from kalshi_daemon.simulator.latency import latency_of  # noqa: PLC0415
    from kalshi_daemon.windows.sessions import load_sessions  # noqa: PLC0415

    latency, seed, regime = (
        latency_of(settings.sim.latency),
        args.first_seed,
        REGIMES[0] if args.regime is None else args.regime,
    )
    check_regime(regime, settings, _COMMAND)
    if args.books is not None:
        model = args.queue_model or QUEUE_MODELS[0]
        return recorded_jobs(settings, args.books, model, seed=seed, latency=latency), ""
    if args.days is not None:
        sessions = load_sessions(*args.days).sessions
        days = bar_days(args.data, sessions, instruments_of(settings.instruments))
        return day_jobs(settings, regime, days.files, seed=seed, latency=latency), days.missing
    hours = _HOURS if args.hours is None else args.hours
    return made_up_jobs(
        settings, regime, hours=hours, first_seed=seed, day=_DAY, latency=latency, warm=not args.cold
    ), ""


def _play(args: argparse.Namespace, jobs: "list[list[Job]]", played: "list[list[SessionResult]]") -> None:
    """Play all, side by side, into `played`; what is done when it is interrupted is in there."""
    from kalshi_daemon.backtest.runner import results  # noqa: PLC0415

    folder: Path | None = None if args.out is None else args.out / _SESSIONS
    with _progress(sum(map(len, jobs))) as said:
        for todo, done in zip(jobs, played, strict=True):
            for result in results(todo, args.workers, folder):
                done.append(result)
                said(result)


@contextmanager
def _progress(total: int) -> "Iterator[Callable[[SessionResult], None]]":
    """A bar on standard error where a person watches; nothing otherwise."""
    if not sys.stderr.isatty():
        yield lambda _result: None
        return
    with progress_bar("backtest", total) as step:
        yield lambda result: step(result.session)


def _write_tables(
    args: argparse.Namespace, sides: "list[Settings]", played: "list[list[SessionResult]]"
) -> dict[str, str]:
    """Rows of everything that is done, also when it was interrupted."""
    if args.out is None:
        return {}
    from kalshi_daemon.backtest.row_tables import Run, write_tables  # noqa: PLC0415

    names = ("ours", "base")[: len(sides)]
    runs = [
        Run(name, settings.trading.policy, tuple(done))
        for name, settings, done in zip(names, sides, played, strict=True)
    ]
    try:
        return write_tables(args.out, runs)
    except OSError as problem:
        raise ConfigurationError(
            str(args.out), f"cannot be written: {problem.strerror}", "choose another --out"
        ) from None


def _write_report(args: argparse.Namespace, data: dict[str, Any], played: "list[list[SessionResult]]") -> str:
    from kalshi_daemon.backtest.report import report_page  # noqa: PLC0415
    from kalshi_daemon.ground.durable import write_whole  # noqa: PLC0415

    path: Path = args.out / "report.html"
    write_whole(path, report_page(data, played).encode(), "the report")
    return str(path)


def _notes(played: "list[SessionResult]", without: str) -> list[str]:
    notes = [note for result in played for note in result.notes]
    return [*dict.fromkeys(notes), *([f"days without bars: {without}"] if without else [])]
