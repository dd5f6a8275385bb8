"""`kalshi-daemon calibrate`: fits the model's constants anew and writes them if they do not score worse."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import date
from typing import TYPE_CHECKING, Final

from kalshi_daemon import __version__
from kalshi_daemon.cli.common import Subparsers, a_date, a_path, an_index, check_index, load_table
from kalshi_daemon.cli.output import show
from kalshi_daemon.domain.index import Index
from kalshi_daemon.ground.errors import ExitCode
from kalshi_daemon.ground.tables import Column, Table

if TYPE_CHECKING:
    from kalshi_daemon.bars.sessions import Sample
    from kalshi_daemon.calibration.constants import ModelConstants
    from kalshi_daemon.research.calibrate import Fit, Verdict
    from kalshi_daemon.research.effects import Multiplier

_HOLD_OUT: Final = 250
_SCORES: Final = (
    Column("target", style="bold"),
    Column("min", right=True, style="bold"),
    Column("n", right=True),
    Column("log gain", right=True),
    Column("CRPS ratio", right=True),
)
_EFFECTS: Final = (
    Column("event", style="bold"),
    *(Column(heading, right=True) for heading in ("from", "to", "days", "measured", "+-", "used")),
)


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "calibrate",
        help="refit the model's constants and validate them out of sample",
        description="Fits session curve, effects of releases and half days, variance coefficients and residual shape "
        "on minute bars up to --until. The same fit is first made without the last --hold-out sessions and scored on "
        "them against the current constants; if it scores worse, nothing is written (exit code 4). "
        "Use the file with calibration.constants_file, or score it with `score --constants`.",
    )
    parser.add_argument(
        "--data", metavar="PATH", type=a_path, required=True, help="a file of minute bars, or a directory"
    )
    parser.add_argument(
        "--index", metavar="NAME", type=an_index, default=Index("NDX"), help="index the bars belong to (NDX)"
    )
    parser.add_argument("--until", metavar="D", type=a_date, required=True, help="last date used")
    parser.add_argument("--out", metavar="FILE", type=a_path, help="write the constants here (default: only print)")
    parser.add_argument("--name", help="name of the constants (default: index and date)")
    parser.add_argument("--against", metavar="FILE", type=a_path, help="constants to beat (default: the shipped ones)")
    parser.add_argument(
        "--hold-out",
        metavar="N",
        type=int,
        default=_HOLD_OUT,
        help="sessions held out for validation (250); 0 skips it: `score` accepts such a file, the daemon does not",
    )


def run(args: argparse.Namespace) -> int:
    from kalshi_daemon.bars.sessions import read_sample  # noqa: PLC0415
    from kalshi_daemon.calibration.constants_file import (  # noqa: PLC0415 - `--help` need not pay
        SHIPPED,
        document_of,
        read_constants,
    )
    from kalshi_daemon.cli.output import to_json  # noqa: PLC0415
    from kalshi_daemon.ground.durable import place_for, write_whole  # noqa: PLC0415
    from kalshi_daemon.research.calibrate import fit, held_back, judge  # noqa: PLC0415

    table = load_table(args)
    check_index(args.index, table, "calibrate")
    until: date = args.until
    reference = SHIPPED if args.against is None else read_constants(args.against)
    sample = read_sample(args.data, args.index, table).until(until)
    verdict = None
    if args.hold_out != 0:
        earlier, first, last = held_back(sample, args.hold_out)
        candidate = fit(earlier, reference, "candidate").constants
        verdict = judge(sample, candidate, reference, first, last)
        if verdict.worse:
            _show(args, reference, verdict, None)
            return ExitCode.REFUSED
    found = fit(sample, reference, args.name or f"{args.index.lower()}-{until}")
    settled = replace(found.constants, provenance=_provenance(args, sample, reference, verdict, found))
    if args.out is not None:
        write_whole(
            place_for(args.out, "the constants file"),
            to_json(document_of(settled)).encode() + b"\n",
            "the constants file",
        )
    _show(args, reference, verdict, found)
    return ExitCode.OK


def _provenance(
    args: argparse.Namespace, sample: "Sample", reference: "ModelConstants", verdict: "Verdict | None", found: "Fit"
) -> Mapping[str, object]:
    return {
        "command": f"calibrate --index {args.index} --until {args.until} --hold-out {args.hold_out}",
        "version": __version__,
        "files": list(sample.files),
        "span": [sample.days[0].session.day, sample.days[-1].session.day],
        "sessions": len(sample.days),
        "bars": sum(len(day.start_s) for day in sample.days),
        "forecasts": found.forecasts,
        "against": {"name": reference.name, "fitted_until": reference.fitted_until},
        "held_back": None if verdict is None else asdict(verdict),
        "event_errors": {kind: _errors(multipliers) for kind, multipliers in found.events.items()},
        "half_day_errors": _errors(found.half_day),
    }


def _errors(multipliers: Sequence["Multiplier"]) -> list[dict[str, float]]:
    return [
        {"from": one.start, "measured": round(one.measured, 3), "error": round(one.error, 3), "days": one.days}
        for one in multipliers
    ]


def _show(
    args: argparse.Namespace, reference: "ModelConstants", verdict: "Verdict | None", found: "Fit | None"
) -> None:
    data = {
        "accepted": found is not None,
        "written": args.out if found is not None else None,
        "against": reference.name,
        "held_back": None if verdict is None else asdict(verdict),
        "events": {} if found is None else {kind: _errors(rows) for kind, rows in found.events.items()},
        "half_day": [] if found is None else _errors(found.half_day),
    }
    total = "not judged: nothing was held back."
    rows: tuple[tuple[str, int, int, float, float], ...] = ()
    if verdict is not None:
        rows = verdict.rows
        total = (
            f"held back {verdict.first} .. {verdict.last}: log gain {verdict.log_gain:+.5f} "
            f"+- {verdict.log_gain_se:.5f} nat per forecast over {reference.name}, "
            f"mean CRPS ratio {verdict.crps_ratio:.5f}."
        )
    last = "REFUSED: it scores worse than the constants in use." if found is None else f"written: {args.out}"
    scores = Table(
        _SCORES,
        tuple((target, f"{h}", f"{n}", f"{gain:+.4f}", f"{ratio:.4f}") for target, h, n, gain, ratio in rows),
        notes=(total, last),
    )
    tables = [] if found is None else [Table(_EFFECTS, tuple(_effect_rows(found)))]
    show(args, data, *tables, scores)


def _effect_rows(found: "Fit") -> list[tuple[str, ...]]:
    kinds = {**found.events, "half day": found.half_day}
    return [
        (
            kind,
            f"{one.start}",
            f"{one.end}",
            f"{one.days}",
            f"{one.measured:.2f}",
            f"{one.error:.2f}",
            f"{one.shrunk:.2f}",
        )
        for kind, rows in kinds.items()
        for one in rows
    ]
