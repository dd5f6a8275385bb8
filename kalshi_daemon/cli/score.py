"""`kalshi-daemon score`: how good the forecasts were on bars of any span, walk-forward, against two baselines."""

import argparse
from dataclasses import asdict
from datetime import date
from typing import Final

from kalshi_daemon.cli.common import Subparsers, UsageError, a_date, a_path, an_index, check_index, load_table
from kalshi_daemon.cli.output import show
from kalshi_daemon.ground.errors import ExitCode
from kalshi_daemon.ground.tables import Column, Table

_NOTES: Final = (
    "/ flat, / EWMA: CRPS ratio to the 60-day Gaussian and to the tuned EWMA x session curve; below 1 is better.",
    "log gain: nats per forecast over the EWMA baseline. Errors and t are clustered by day. rms: of x / sigma.",
)
DAYS: Final = ("regular", "half", "fomc", "fomc-minutes", "cpi", "nfp", "claims")
"""`research.selection.NAMES`; listed here too so that `--help` imports nothing heavy (a test compares)."""
COLD: Final = ("all", "levels")
"""`research.score.Cold`, for the same reason."""


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "score",
        help="score the model walk-forward on historical bars against two baselines",
        description="Runs bars through the daemon's model and scores every forecast against the settlement value: "
        "hourly 55..2 minutes ahead, the close 360..2 minutes ahead. There is no look-ahead: a bar counts from its "
        "end, baselines are fitted on earlier data only. Bars before --from warm up the model (at most 250 sessions); "
        "the flat baseline needs 60 of them.",
    )
    parser.add_argument("--data", metavar="PATH", type=a_path, required=True, help="a bar file, or a directory of them")
    parser.add_argument("--index", metavar="NAME", type=an_index, required=True, help="index the bars belong to")
    parser.add_argument("--from", dest="first", metavar="D", type=a_date, required=True, help="first date scored")
    parser.add_argument("--to", dest="last", metavar="D", type=a_date, required=True, help="last date scored")
    parser.add_argument(
        "--days",
        choices=(*DAYS,),
        default=DAYS[0],
        help="regular days (default), half days, or the days of a release: settlements after 14:00 for FOMC "
        "releases, 10:00 for morning releases",
    )
    parser.add_argument(
        "--constants",
        metavar="FILE",
        type=a_path,
        nargs="+",
        help="constants file from `calibrate` (default: shipped); with several, each applies from the day after its "
        "fit ends",
    )
    parser.add_argument(
        "--cold",
        nargs="?",
        choices=COLD,
        const=COLD[0],
        help="restart the model cold each morning and compare it with full history from 09:45: all (the default) keeps "
        "only the constants and the day's bars; levels also keeps the session curve and the online "
        "corrections learned before",
    )


def run(args: argparse.Namespace) -> int:
    from kalshi_daemon.bars.sessions import read_sample  # noqa: PLC0415 - numpy and pyarrow: `--help` need not pay
    from kalshi_daemon.calibration.constants_file import SHIPPED, read_constants  # noqa: PLC0415
    from kalshi_daemon.research.cold import cold_against_full  # noqa: PLC0415
    from kalshi_daemon.research.report_page import HEADINGS, cells_of  # noqa: PLC0415
    from kalshi_daemon.research.score import Cold, score, told  # noqa: PLC0415
    from kalshi_daemon.research.selection import selection_of  # noqa: PLC0415

    first: date = args.first
    last: date = args.last
    if last < first:
        raise UsageError(f"--from {first} --to {last} is not a span of days", "kalshi-daemon score")
    table = load_table(args)
    check_index(args.index, table, "score")
    sample = read_sample(args.data, args.index, table)
    constants = [SHIPPED] if args.constants is None else [read_constants(path) for path in args.constants]
    cold = None if args.cold is None else Cold(args.cold)
    found = score(sample, first, last, constants=constants, cold=cold, selection=selection_of(args.days))
    against = () if cold is None else cold_against_full(sample, first, last, cold=cold, constants=constants)
    data = {
        "data": args.data,
        "index": args.index,
        "from": first,
        "to": last,
        "cold": args.cold,
        "days": args.days,
        "constants": [{"name": one.name, "fitted_until": one.fitted_until} for one in constants],
        "rows": [asdict(row) for row in found.rows],
        "pooled": asdict(found.pooled),
        "cold_against_full": [asdict(row) for row in against],
    }
    pooled = found.pooled
    together = (
        f"all fixings at most an hour ahead: {pooled.n} forecasts on {pooled.days} days, rms of x / sigma "
        f"{pooled.residual_rms:.3f}, coverage {pooled.cover90:.1f} and {pooled.cover99:.1f} %."
    )
    lost = tuple(
        f"cold / full history from 09:45, {row.target} {row.horizon_min}: {row.crps_ratio_full:.4f} "
        f"+- {row.crps_ratio_full_se:.4f} (n {row.n})"
        for row in against
    )
    names = [*(name for name, _hint in HEADINGS), "rms"]
    columns = [
        Column(name, right=at > 0, style="bold" if name in {"target", "min"} else "") for at, name in enumerate(names)
    ]
    cells = [(*cells_of(row), f"{row.residual_rms:.3f}") for row in found.rows]
    show(args, data, Table(columns, cells, notes=(*_NOTES, together, told(constants, first), *lost)))
    return ExitCode.OK
