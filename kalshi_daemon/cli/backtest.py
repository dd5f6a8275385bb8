"""`kalshi-daemon backtest`: the daemon's own core against the simulated exchange, in one process and virtual time."""

import argparse
import sys
import tomllib
from datetime import date
from typing import Any, Final

from kalshi_daemon.cli.common import Subparsers, UsageError, a_path, load, wants_json
from kalshi_daemon.ground.errors import ExitCode

REGIMES: Final = ("efficient", "usual", "busy", "harsh", "toxic", "noise")
"""`backtest.regimes.REGIMES`; listed here too so that `--help` imports nothing heavy (a test compares)."""
_DAY: Final = date(2026, 11, 23)
_WORKERS_MAX: Final = 64
_HOURS_MAX: Final = 100_000.0


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "backtest",
        help="play many simulated sessions with the daemon's own core, and report what its fills were worth",
        description="Plays made-up sessions, seed by seed, against the simulated exchange in this process: no sockets, "
        "no waiting. Every fill is measured against the true distribution of the made-up index (edge) and against the "
        "others' mid half a minute later. With --against, both policies play the same sessions and the difference is "
        "given with its t by window. Nothing is sent anywhere, and no state of a daemon is touched.",
    )
    parser.add_argument("--regime", choices=REGIMES, default=REGIMES[0], help="who trades in the market (%(default)s)")
    parser.add_argument("--hours", metavar="N", type=float, default=6.5, help="simulated hours in all (%(default)s)")
    parser.add_argument(
        "--first-seed", metavar="K", type=int, default=1, help="seed of the first session (%(default)s)"
    )
    parser.add_argument("--policy", metavar="P", help="policy to play (default: trading.policy of the settings)")
    parser.add_argument("--against", metavar="Q", help="also play this policy on the same sessions, and compare")
    parser.add_argument(
        "--set", dest="changes", metavar="KEY=VALUE", action="append", default=[], help="a setting, e.g. pricing.x=0.5"
    )
    parser.add_argument("--workers", metavar="N", type=int, default=1, help="processes (%(default)s)")
    parser.add_argument(
        "--out", metavar="DIR", type=a_path, help="keep every session's result here, and go on from them"
    )


def run(args: argparse.Namespace) -> int:
    from kalshi_daemon.backtest.latency import Latency  # noqa: PLC0415 - numpy: `--help` need not pay
    from kalshi_daemon.backtest.results import figures, paired  # noqa: PLC0415
    from kalshi_daemon.backtest.runner import made_up_jobs, quiet, results  # noqa: PLC0415
    from kalshi_daemon.cli.output import to_json  # noqa: PLC0415

    _check(args)
    quiet()
    folder = args.out
    found: dict[str, list[Any]] = {}
    for name in dict.fromkeys((args.policy, *([args.against] if args.against else []))):
        settings = _settings(args, name)
        jobs = made_up_jobs(
            settings, args.regime, hours=args.hours, first_seed=args.first_seed, day=_DAY, latency=Latency()
        )
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        found[name or settings.trading.policy] = _played(results(jobs, args.workers, folder), len(jobs))
    ours, *others = found.values()
    data: dict[str, Any] = figures(ours)
    if args.against:
        base = others[0] if others else ours
        data = {**data, "base": figures(base), **paired(ours, base)}
    if wants_json(args):
        print(to_json(data))
    else:
        for key, value in data.items():
            print(f"{key:>24}  {value}")
    return ExitCode.OK


def _check(args: argparse.Namespace) -> None:
    usage = "kalshi-daemon backtest"
    if not 0.0 < args.hours <= _HOURS_MAX:
        raise UsageError(f"--hours {args.hours:g} is not between 0 and {_HOURS_MAX:g}", usage)
    if not 0 <= args.first_seed <= 4_294_967_295:  # noqa: PLR2004 - as sim.seed
        raise UsageError(f"--first-seed {args.first_seed} is not between 0 and 4294967295", usage)
    if not 1 <= args.workers <= _WORKERS_MAX:
        raise UsageError(f"--workers {args.workers} is not between 1 and {_WORKERS_MAX}", usage)


def _settings(args: argparse.Namespace, policy: str | None) -> Any:  # noqa: ANN401 - imported late
    from kalshi_daemon.settings.loader import Credentials  # noqa: PLC0415

    overrides: dict[str, Any] = {"trading.policy": policy}
    for change in args.changes:
        key, found, value = change.partition("=")
        if not found or not key:
            raise UsageError(f"--set {change!r} is not KEY=VALUE", "kalshi-daemon backtest")
        overrides[key] = _value(value)
    if getattr(args, "mode", None) not in (None, "sim"):
        raise UsageError("--mode: a backtest is simulated, there is no other", "kalshi-daemon backtest")
    args.mode = "sim"
    return load(args, Credentials.NONE, overrides).settings


def _value(text: str) -> Any:  # noqa: ANN401 - of any setting
    """As in a configuration file; what is no value there is a text."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _played(results: Any, count: int) -> list[Any]:  # noqa: ANN401 - an iterator of SessionResult, imported late
    """All of them, with a line on standard error for each where a person watches."""
    done = []
    for result in results:
        done.append(result)
        if sys.stderr.isatty():
            print(f"\r{len(done)} of {count} sessions", end="", file=sys.stderr, flush=True)
    if sys.stderr.isatty():
        print(file=sys.stderr)
    return done
