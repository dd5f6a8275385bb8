"""`kalshi-daemon calibration-report`: the forecast's quality as a page of its own, on bars or from the live record."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kalshi_daemon.cli.common import (
    Subparsers,
    UsageError,
    a_date,
    a_path,
    an_index,
    check_index,
    load_table,
    load_written,
)
from kalshi_daemon.cli.output import show
from kalshi_daemon.domain.index import Index
from kalshi_daemon.ground.durable import place_for
from kalshi_daemon.ground.errors import ConfigurationError, DaemonError, ExitCode, StateTooNew
from kalshi_daemon.ground.tables import Column, Table

if TYPE_CHECKING:
    from kalshi_daemon.research.live_figures import Learnt, LiveFigures
    from kalshi_daemon.settings.model import Settings

_COMMAND: Final = "kalshi-daemon calibration-report"


class NoRecord(DaemonError):  # noqa: N818 - errors are nouns: the tree's rule
    """No forecast of the daemon has come due yet."""

    exit_code = ExitCode.REFUSED

    def __init__(self, folder: Path, which: str) -> None:
        super().__init__(str(folder), which)
        self.folder = folder
        self.which = which

    def __str__(self) -> str:
        return (
            f"{self.folder}: no forecast of {self.which} has come due in this mode, state directory and span: the "
            "record begins with the first fixing a running daemon sees"
        )


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "calibration-report",
        help="write a one-page report on forecast quality, with charts, from bars or live data",
        description="From bars (--data): runs them through the daemon's model, as `score` does, and writes one "
        "self-contained HTML page: score table, session curve, sigma against realised moves, PIT histograms, "
        "reliability of strike probabilities, CRPS and log gain by horizon and by month, recalibration maps, and the "
        "fan chart of one day. Live (--live): the same from the daemon's own forecasts and data, one page per index, "
        "with monitors, their evidence and alarms, and the market's mid prices; safe while a daemon runs. With "
        "--skip-plots numbers only. Exit code 4: nothing has been recorded yet.",
    )
    parser.add_argument("--index", metavar="NAME", type=an_index, help="the index (needed with --data, else all)")
    parser.add_argument("--from", dest="first", metavar="D", type=a_date, help="first date (needed with --data)")
    parser.add_argument("--to", dest="last", metavar="D", type=a_date, help="last date (needed with --data)")
    parser.add_argument(
        "--out",
        metavar="PATH",
        type=a_path,
        help="output file (with --data, unless --skip-plots) or directory (with --live)",
    )
    parser.add_argument("--day", metavar="D", type=a_date, help="day of the fan chart (default: the last of the span)")
    parser.add_argument("--skip-plots", action="store_true", help="numbers only, no charts")
    bars = parser.add_argument_group("on bars")
    bars.add_argument("--data", metavar="PATH", type=a_path, help="a bar file, or a directory of them")
    bars.add_argument(
        "--constants", metavar="FILE", type=a_path, help="constants file from `calibrate` (default: shipped)"
    )
    live = parser.add_argument_group("from the live record")
    live.add_argument(
        "--live", action="store_true", help="report on what the daemon of this mode and state directory recorded"
    )


def run(args: argparse.Namespace) -> int:
    from kalshi_daemon.research.report_page import drawer  # noqa: PLC0415 - `--help` need not pay

    if args.first is not None and args.last is not None and args.last < args.first:
        raise UsageError(f"--from {args.first} --to {args.last} is not a span of days", _COMMAND)
    if not args.skip_plots:
        drawer("--skip-plots for numbers alone")  # said before the minutes of work, not after
    return _live(args) if args.live else _on_bars(args)


# On bars


def _on_bars(args: argparse.Namespace) -> int:
    from kalshi_daemon.bars.sessions import read_sample  # noqa: PLC0415 - numpy and pyarrow: `--help` need not pay
    from kalshi_daemon.calibration.constants_file import SHIPPED, read_constants  # noqa: PLC0415
    from kalshi_daemon.research.report_figures import figures_of  # noqa: PLC0415
    from kalshi_daemon.research.report_page import HEADINGS, cells_of, page_of  # noqa: PLC0415

    wanted = {"--data": args.data, "--index": args.index, "--from": args.first, "--to": args.last}
    if missing := [name for name, value in wanted.items() if value is None]:
        raise UsageError(f"{', '.join(missing)} missing (or --live for the daemon's own record)", _COMMAND)
    if args.out is None and not args.skip_plots:
        raise UsageError("--out FILE is needed to write the page, or --skip-plots for figures alone", _COMMAND)
    if args.out is not None:
        _write(args.out, "")  # a place that cannot be written is said before the minutes of work, not after
    constants = SHIPPED if args.constants is None else read_constants(args.constants)
    table = load_table(args)
    check_index(args.index, table, "calibration-report")
    sample = read_sample(args.data, args.index, table)
    figures = figures_of(sample, args.first, args.last, constants=constants, fan_day=args.day)
    notes = [figures.constants]
    if args.out is not None:
        _write(args.out, page_of(figures, plots=not args.skip_plots))
        notes.append(f"page: {args.out}")
    cells = tuple(cells_of(row) for row in figures.rows)
    show(args, asdict(figures) | {"page": args.out}, Table(_columns(HEADINGS), cells, notes=notes))
    return ExitCode.OK


# Live


def _live(args: argparse.Namespace) -> int:
    from kalshi_daemon.research.live_page import HEADINGS, live_page_of, row_cells, span_of, verdict_of  # noqa: PLC0415
    from kalshi_daemon.settings.instruments import instruments_of  # noqa: PLC0415

    if args.data is not None or args.constants is not None:
        raise UsageError("--live reads the daemon's own record: --data and --constants belong to bars", _COMMAND)
    settings = load_written(args, "calibration-report")
    table = instruments_of(settings.instruments)
    check_index(args.index, table, "calibration-report")
    wanted = table.indices if args.index is None else (args.index,)
    problems: list[StateTooNew] = []
    found = {index: _figures(settings, index, args, problems) for index in wanted}
    known = {index: figures for index, figures in found.items() if figures is not None}
    which = " and ".join(index.value for index in wanted)
    if not known and problems:
        raise problems[0]
    if not known:
        raise NoRecord(_folder(settings), which)
    if args.day is not None and not any(figures.day.forecasts for figures in known.values()):
        raise NoRecord(_folder(settings), f"{which} for {args.day}")
    out = args.out or settings.mode_dir / "reports" / "calibration"
    pages, tables = {}, []
    for index, figures in known.items():
        path = out / f"{index.value}.html"
        _write(path, live_page_of(figures, plots=not args.skip_plots))
        pages[index.value] = asdict(figures) | {"page": path}
        notes = [verdict_of(figures), f"page: {path}"]
        cells = tuple(row_cells(row) for row in figures.rows)
        tables.append(Table(_columns(HEADINGS), cells, title=f"{index.value}: {span_of(figures)}", notes=notes))
    absent = [f"{index.value}: no forecast has come due" for index in wanted if index not in known]
    notes = [*absent, *dict.fromkeys(f"not read: {one}" for one in problems)]
    show(args, pages, *tables, *((Table((), (), notes=notes),) if notes else ()))
    return ExitCode.OK


def _folder(settings: "Settings") -> Path:
    from kalshi_daemon.memory.forecast_record import FOLDER  # noqa: PLC0415
    from kalshi_daemon.memory.store import FOLDER as MEMORY  # noqa: PLC0415

    return settings.mode_dir / MEMORY / FOLDER


def _figures(
    settings: "Settings", index: Index, args: argparse.Namespace, problems: list[StateTooNew]
) -> "LiveFigures | None":
    """Raises ConfigurationError when the disk does not give the record.

    problems: gets one about lines that are left out because a newer daemon wrote them.
    """
    from kalshi_daemon.memory.forecast_record import read_record  # noqa: PLC0415
    from kalshi_daemon.research.fan_days import recorded_day  # noqa: PLC0415
    from kalshi_daemon.research.live_figures import live_figures  # noqa: PLC0415

    folder = _folder(settings)
    try:
        kept = read_record(folder, index, args.first, args.last)
        # A day beside the span may be asked for, as on bars.
        of_day = () if args.day is None else read_record(folder, index, args.day, args.day).forecasts
    except OSError as problem:
        raise ConfigurationError(str(problem.filename or folder), f"cannot be read: {problem.strerror}") from None
    problems += [] if kept.newer is None else [kept.newer]
    day = None if args.day is None else recorded_day(args.day, of_day)
    return live_figures(index, kept, _learnt(settings, folder.parent / f"{index.value}.json"), day)


def _learnt(settings: "Settings", path: Path) -> "Learnt | None":
    """The model's slow parts as it last saved them; None when there is no sound memory."""
    from kalshi_daemon.calibration.constants_file import SHIPPED, read_judged_constants  # noqa: PLC0415
    from kalshi_daemon.memory.documents import BYTES_MAX, curve_and_layer, decoded  # noqa: PLC0415
    from kalshi_daemon.research.live_figures import learnt_of  # noqa: PLC0415

    try:
        with path.open("rb") as file:
            document = decoded(file.read(BYTES_MAX + 1))
        saved_ns, curve, layer = curve_and_layer(document)
    except (OSError, ValueError, KeyError):
        return None
    chosen = settings.calibration.constants_file
    constants = SHIPPED if chosen is None else read_judged_constants(chosen)
    return learnt_of(saved_ns, constants.diurnal.tolist(), curve, layer)


def _columns(headings: Sequence[tuple[str, str]]) -> tuple[Column, ...]:
    """headings: word and hint; the first names the row."""
    names = [name for name, _hint in headings]
    return (Column(names[0], style="bold"), *(Column(name, right=True) for name in names[1:]))


def _write(path: Path, page: str) -> None:
    """Raises ConfigurationError naming the file when it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        place_for(path, "the page").write_text(page)
    except OSError as problem:
        raise ConfigurationError(str(path), f"cannot be written: {problem.strerror}", "choose another --out") from None
