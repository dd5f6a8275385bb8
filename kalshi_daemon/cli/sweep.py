"""`kalshi-daemon sweep`: many settings on the same sessions of many regimes, on all processors or a cluster."""

import argparse
import sys
import time
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from kalshi_daemon.cli.common import Subparsers, UsageError, a_path, wants_json
from kalshi_daemon.cli.session_options import REGIMES, a_span, add_cold, check_cold, check_regime, settings_of
from kalshi_daemon.ground.errors import ConfigurationError, ExitCode
from kalshi_daemon.ground.folders import entries

if TYPE_CHECKING:
    from kalshi_daemon.backtest.jobs import Job
    from kalshi_daemon.backtest.sweep.grid import Cell
    from kalshi_daemon.settings.model import Settings

_DAY: Final = date(2026, 11, 23)
_COMMAND: Final = "kalshi-daemon sweep"
_WORKERS_MAX: Final = 64
_HOURS_MAX: Final = 100_000.0
_HOURS: Final = 65.0
_HOW: Final = (
    "paired by session against the first variant of its regime; p-values of all comparisons by Holm, which holds "
    "however they depend on one another"
)


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "sweep",
        help="play sessions x regimes x settings on all processors or a Dask cluster, and compare",
        description="Plays every combination of the --vary values on the same made-up sessions of every regime, and "
        "compares each with the first, paired by session and adjusted for their number (Holm). Results land in --out, "
        "each once; what is there is not played again, so a sweep that was stopped goes on. Needs the extra `sweep` "
        "(dask.distributed); --plots also `report`.",
    )
    parser.add_argument("--regime", metavar="R", action="append", help="who trades; may be given again (efficient)")
    parser.add_argument("--hours", metavar="N", type=float, help=f"made-up hours a regime (default: {_HOURS:g})")
    parser.add_argument(
        "--first-seed", metavar="K", type=int, default=1, help="seed of the first session (%(default)s)"
    )
    parser.add_argument(
        "--days", metavar="A..B", type=a_span, help="days of minute bars, first and last (needs --data)"
    )
    parser.add_argument("--data", metavar="DIR", type=a_path, help="bar files; every worker has to see them here")
    parser.add_argument(
        "--vary", metavar="KEY=V1,V2", action="append", default=[], help="values of a setting; may be given again"
    )
    parser.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="a setting of all, as in backtest",
    )
    add_cold(parser)
    parser.add_argument("--out", metavar="DIR", type=a_path, required=True, help="where results are kept")
    parser.add_argument("--workers", metavar="N", type=int, default=2, help="processes on this machine (%(default)s)")
    parser.add_argument("--scheduler", metavar="tcp://HOST:PORT", default="", help="a Dask scheduler that runs already")
    parser.add_argument("--plots", action="store_true", help="also draw the differences as DIR/sweep.svg")


def run(args: argparse.Namespace) -> int:
    from kalshi_daemon.backtest.runner import read_result, result_path  # noqa: PLC0415
    from kalshi_daemon.backtest.sweep.comparison import compare_all  # noqa: PLC0415 - `--help` need not pay for it
    from kalshi_daemon.backtest.sweep.grid import check_size  # noqa: PLC0415
    from kalshi_daemon.backtest.sweep.report import chart_of, document, tables  # noqa: PLC0415
    from kalshi_daemon.cli.output import show  # noqa: PLC0415

    _check(args)
    cells = _cells(args)
    count = check_size(cells)
    began = time.monotonic()
    where = _where(args)
    args.out.mkdir(parents=True, exist_ok=True)
    jobs = {result_path(args.out, job): job for cell in cells for job in cell.jobs}
    progress = _play(jobs, args.out, where, count)
    wall_s = time.monotonic() - began
    found = {
        (cell.regime, cell.variant): [read_result(result_path(args.out, job)) for job in cell.jobs] for cell in cells
    }
    comparisons = compare_all(found)
    data = document(found, comparisons, progress, _HOW)
    data["wall_s"] = round(wall_s, 2)
    if args.plots:
        data["plot"] = str(_draw(chart_of(comparisons), args.out))
    show(args, data if wants_json(args) else None, *tables(found, comparisons, _HOW))
    return ExitCode.OK


def _cells(args: argparse.Namespace) -> list["Cell"]:
    """Cells of every regime and variant. Raises UsageError, ConfigurationError."""
    from kalshi_daemon.backtest.sweep.grid import Cell, variants  # noqa: PLC0415

    varied: dict[str, list[str]] = {}
    for one in args.vary:
        key, found, values = one.partition("=")
        if not found or not key or key in varied:
            raise UsageError(f"--vary {one!r} is not KEY=V1,V2, each key once", _COMMAND)
        varied[key] = values.split(",")
    cells = []
    for regime in dict.fromkeys(args.regime or [REGIMES[0]]):
        for variant in variants(varied):
            changes = [*args.set, *(f"{key}={value}" for key, value in variant.changes)]
            settings = settings_of(args, None, changes, _COMMAND)
            check_regime(regime, settings, _COMMAND)
            cells.append(Cell(regime, variant.name, tuple(_jobs(args, regime, settings))))
    return cells


def _jobs(args: argparse.Namespace, regime: str, settings: "Settings") -> list["Job"]:
    from kalshi_daemon.backtest.bar_days import bar_days  # noqa: PLC0415
    from kalshi_daemon.backtest.jobs import day_jobs, made_up_jobs  # noqa: PLC0415
    from kalshi_daemon.settings.instruments import instruments_of  # noqa: PLC0415
    from kalshi_daemon.simulator.latency import latency_of  # noqa: PLC0415
    from kalshi_daemon.windows.sessions import load_sessions  # noqa: PLC0415

    seed, latency = args.first_seed, latency_of(settings.sim.latency)
    if args.days is None:
        hours = _HOURS if args.hours is None else args.hours
        return made_up_jobs(
            settings, regime, hours=hours, first_seed=seed, day=_DAY, latency=latency, warm=not args.cold
        )
    files = bar_days(args.data, load_sessions(*args.days).sessions, instruments_of(settings.instruments)).files
    return day_jobs(settings, regime, files, seed=seed, latency=latency)


def _where(args: argparse.Namespace) -> Any:  # noqa: ANN401 - of the extra
    try:
        from kalshi_daemon.backtest.sweep.cluster import Where  # noqa: PLC0415
    except ModuleNotFoundError as problem:
        if (problem.name or "").partition(".")[0] not in {"dask", "distributed"}:
            raise
        raise ConfigurationError("sweep", f"{problem.name} is not installed", "sh scripts/setup sweep") from None
    return Where(args.scheduler, args.workers)


def _play(jobs: "dict[Path, Job]", folder: Path, where: Any, count: int) -> Any:  # noqa: ANN401 - as above
    """On standard error where the cluster can be watched, and how far it is."""
    from kalshi_daemon.backtest.runner import keep_result, play_checked  # noqa: PLC0415
    from kalshi_daemon.backtest.sweep.cluster import Progress, Work, play_all  # noqa: PLC0415

    began, shown = time.monotonic(), ""

    def tell(progress: Progress) -> None:
        nonlocal shown
        if progress.dashboard != shown:
            shown = progress.dashboard
            print(f"dashboard: {shown}", file=sys.stderr, flush=True)
        if sys.stderr.isatty():
            spent = time.monotonic() - began
            fresh = len(progress.played)
            left = f", {spent / fresh * (progress.total - progress.done):.0f} s left" if fresh else ""
            line = f"\r{progress.done} of {count} sessions, {progress.workers} workers{left}   "
            print(line, end="", file=sys.stderr, flush=True)

    try:
        return play_all(jobs, where, tell, Work(play_checked, keep_result))
    except KeyboardInterrupt:
        kept = sum(path.suffix == ".json" for path in entries(folder))
        print(f"\nstopped: {kept} results are kept in {folder}; the same command goes on", file=sys.stderr)
        raise
    finally:
        if sys.stderr.isatty():
            print(file=sys.stderr)


def _draw(chart: Any, folder: Path) -> Path:  # noqa: ANN401 - of an optional part
    from kalshi_daemon.ground.durable import write_whole  # noqa: PLC0415

    try:
        from kalshi_daemon.research.drawing import svg_of  # noqa: PLC0415
    except ModuleNotFoundError as problem:
        raise ConfigurationError(
            "--plots", f"{problem.name} is not installed", "sh scripts/setup report, or without --plots"
        ) from None
    path = folder / "sweep.svg"
    write_whole(path, svg_of(chart).encode(), "the plot")
    return path


def _check(args: argparse.Namespace) -> None:
    if (args.days is None) != (args.data is None):
        raise UsageError("--days and --data belong together", _COMMAND)
    if args.days is not None and args.hours is not None:
        raise UsageError("--hours is of made-up sessions: days are played whole", _COMMAND)
    check_cold(args, _COMMAND)
    hours = _HOURS if args.hours is None else args.hours
    if not 0.0 < hours <= _HOURS_MAX:
        raise UsageError(f"--hours {hours:g} is not between 0 and {_HOURS_MAX:g}", _COMMAND)
    if not 0 <= args.first_seed <= 4_294_967_295:  # noqa: PLR2004 - as sim.seed
        raise UsageError(f"--first-seed {args.first_seed} is not between 0 and 4294967295", _COMMAND)
    if not 1 <= args.workers <= _WORKERS_MAX:
        raise UsageError(f"--workers {args.workers} is not between 1 and {_WORKERS_MAX}", _COMMAND)
    if args.scheduler and not args.scheduler.startswith(("tcp://", "tls://")):
        raise UsageError(f"--scheduler {args.scheduler} is not tcp://HOST:PORT", _COMMAND)
    if getattr(args, "mode", None) not in (None, "sim"):
        raise UsageError("--mode: a sweep is simulated, there is no other", _COMMAND)
    args.mode = "sim"
