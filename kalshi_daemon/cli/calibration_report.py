"""`kalshi-daemon calibration-report`: the forecast's quality on bars of any span, as one self-contained page."""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kalshi_daemon.cli.common import Subparsers, UsageError, a_date
from kalshi_daemon.cli.output import Column, Table, show
from kalshi_daemon.domain.index import Index
from kalshi_daemon.errors import ConfigurationError, ExitCode

if TYPE_CHECKING:
    from kalshi_daemon.research.report_figures import Figures

_COLUMNS: Final = (
    Column("target", style="bold"),
    *(Column(heading, right=True) for heading in ("min", "n", "CRPS bp", "/ flat", "/ EWMA", "+-", "log gain", "+-")),
    *(Column(heading, right=True) for heading in ("t CRPS", "t log", "PIT KS", "90 %", "99 %")),
)


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "calibration-report",
        help="write the forecast's quality on bars as one page of figures and pictures",
        description="Feeds bars through the model the daemon runs, as `score` does, and writes one HTML page that "
        "loads nothing from anywhere: score table, session curve, sigma against realised moves, PIT histograms, "
        "reliability of strike probabilities, CRPS and log gain by horizon and by month, recalibration maps, and the "
        "fan chart of one day. With --skip-plots figures alone: printed, and as a page if --out is given.",
    )
    parser.add_argument("--data", metavar="PATH", type=Path, required=True, help="a bar file, or a folder of them")
    parser.add_argument("--index", type=Index, choices=tuple(Index), required=True, help="the index they stand for")
    parser.add_argument("--from", dest="first", metavar="D", type=a_date, required=True, help="first date scored")
    parser.add_argument("--to", dest="last", metavar="D", type=a_date, required=True, help="last date scored")
    parser.add_argument("--out", metavar="FILE", type=Path, help="the page; needed unless --skip-plots")
    parser.add_argument("--skip-plots", action="store_true", help="figures only")
    parser.add_argument("--day", metavar="D", type=a_date, help="day of the fan chart (default: the last of the span)")


def run(args: argparse.Namespace) -> int:
    from kalshi_daemon.research.bars import read_sample  # noqa: PLC0415 - numpy and pyarrow: `--help` need not pay
    from kalshi_daemon.research.report_figures import figures_of  # noqa: PLC0415
    from kalshi_daemon.research.report_page import cells_of, page_of  # noqa: PLC0415

    command = "kalshi-daemon calibration-report"
    if args.last < args.first:
        raise UsageError(f"--from {args.first} --to {args.last} is not a span of days", command)
    if args.out is None and not args.skip_plots:
        raise UsageError("--out FILE is needed to write the page, or --skip-plots for figures alone", command)
    if args.out is not None:
        _write(args.out, "")  # a place that cannot be written is said before the minutes of work, not after
    figures = figures_of(read_sample(args.data, args.index), args.first, args.last, fan_day=args.day)
    notes = []
    if args.out is not None:
        _write(args.out, page_of(figures, plots=not args.skip_plots))
        notes.append(f"page: {args.out}")
    show(args, _data(figures, args.out), Table(_COLUMNS, tuple(cells_of(row) for row in figures.rows), notes=notes))
    return ExitCode.OK


def _data(figures: "Figures", out: Path | None) -> dict[str, object]:
    return asdict(figures) | {"page": out}


def _write(path: Path, page: str) -> None:
    """Raises ConfigurationError naming the file when it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page)
    except OSError as problem:
        raise ConfigurationError(str(path), f"cannot be written: {problem.strerror}", "choose another --out") from None
