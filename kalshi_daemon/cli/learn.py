"""`kalshi-daemon learn`: the memory a daemon would have had it watched these bars, for a start that is not cold."""

import argparse
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kalshi_daemon.cli.common import Subparsers, UsageError, a_path, load
from kalshi_daemon.cli.output import show
from kalshi_daemon.cli.running_daemons import alone
from kalshi_daemon.domain.index import Index
from kalshi_daemon.ground.errors import ConfigurationError, DaemonError, ExitCode
from kalshi_daemon.ground.tables import Column, Table

if TYPE_CHECKING:
    from kalshi_daemon.bars.sessions import Sample
    from kalshi_daemon.domain.instruments import Instruments

SESSIONS: Final = 250
_SESSIONS_MAX: Final = 2_000
_COLUMNS: Final = (
    Column("index", style="bold"),
    *(Column(heading, right=True) for heading in ("sessions", "first", "last", "own forecasts resolved")),
)


class MemoryThere(DaemonError):  # noqa: N818 - errors are nouns: the tree's rule
    """A memory would be lost."""

    exit_code = ExitCode.REFUSED

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self.path = path

    def __str__(self) -> str:
        return f"{self.path}: there is a memory already; --replace puts the one of these bars in its place"


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "learn",
        help="warm up the model from historical bars",
        description="Runs historical index bars (download them with `backfill`) through the same models, settings and "
        "constants as the daemon, and saves the learned state where the daemon loads it at startup: session curve, "
        "online corrections, volatility, forecast record and correlation. Use it before the first start, after losing "
        "the saved state, and after changing the constants, which invalidates it. The daemon of this mode and state "
        "directory must not be running. Exit code 4: there is saved state already (see --replace).",
    )
    parser.add_argument("--data", metavar="PATH", type=a_path, required=True, help="a bar file, or a directory of them")
    parser.add_argument(
        "--sessions", metavar="N", type=int, default=SESSIONS, help=f"use only the last N sessions ({SESSIONS})"
    )
    parser.add_argument(
        "--replace", action="store_true", help="replace existing saved state; the old file is kept beside it"
    )


def run(args: argparse.Namespace) -> int:
    from kalshi_daemon.calibration.market_record import MarketRecord  # noqa: PLC0415 - `--help` need not pay
    from kalshi_daemon.ground.clock import SystemClock  # noqa: PLC0415
    from kalshi_daemon.ground.durable import write_whole  # noqa: PLC0415
    from kalshi_daemon.memory.documents import encoded  # noqa: PLC0415
    from kalshi_daemon.memory.models import models_of  # noqa: PLC0415
    from kalshi_daemon.memory.store import document_of, memory_path, put_aside  # noqa: PLC0415
    from kalshi_daemon.research.learn import learn, lessons_of, table_of  # noqa: PLC0415
    from kalshi_daemon.research.releases import research_calendar  # noqa: PLC0415
    from kalshi_daemon.settings.instruments import instruments_of  # noqa: PLC0415
    from kalshi_daemon.settings.loader import Credentials  # noqa: PLC0415

    if not 1 <= args.sessions <= _SESSIONS_MAX:
        raise UsageError(f"--sessions {args.sessions} is not within 1..{_SESSIONS_MAX}", "kalshi-daemon learn")
    settings = load(args, Credentials.NONE).settings
    with alone(settings.mode_dir):
        table = instruments_of(settings.instruments)
        samples = _samples(args.data, args.sessions, table)
        paths = {index: memory_path(settings.mode_dir, index) for index in samples}
        for path in paths.values():
            if path.exists() and not args.replace:
                raise MemoryThere(path)
        models = models_of(settings, table_of(samples), research_calendar())
        correlations = learn(models, samples, table.pairs)
        saved_ns = SystemClock().now_ns()
        replaced: dict[Index, Path] = {}
        for index, path in paths.items():
            if path.exists():
                try:
                    replaced[index] = put_aside(path, "replaced", saved_ns)
                except OSError as error:
                    raise ConfigurationError(str(path), f"cannot be put aside: {error.strerror}") from error
            document = document_of(models[index], MarketRecord(), correlations.get(table.pair_of(index)), saved_ns)
            write_whole(path, encoded(document), "what the model has learnt")
    found = [lessons_of(models[index], sample) for index, sample in samples.items()]
    rows = tuple((one.index, f"{one.sessions}", one.first, one.last, f"{one.resolved_weight:.0f}") for one in found)
    note = (
        f"A start before {settings.calibration.memory_sessions_max + 1} more sessions have closed goes on from it; a "
        "later one takes the session curve and the online corrections."
    )
    kept = [f"{index.value}: the memory before it is kept as {path}" for index, path in replaced.items()]
    left = [f"{index.value}: no bars, its memory is as it was" for index in table.indices if index not in paths]
    data = {one.index: asdict(one) | {"replaced": replaced.get(Index(one.index))} for one in found}
    show(args, data, Table(_COLUMNS, rows, notes=(*map(str, paths.values()), *kept, *left, note)))
    return ExitCode.OK


def _samples(path: Path, sessions: int, table: "Instruments") -> "dict[Index, Sample]":
    """The last sessions of each index that has bars there. Raises ConfigurationError: none has, or not its own."""
    from kalshi_daemon.bars.sessions import (  # noqa: PLC0415 - numpy and pyarrow: `--help` need not pay
        indices_at,
        read_sample,
    )

    wanted = indices_at(path, table)
    advice = f"bars of {' and '.join(table.indices)} by `backfill`"
    if not wanted:
        raise ConfigurationError(str(path), "no bar file that names an index", advice)
    found = {index: read_sample(path, index, table) for index in table.indices if index in wanted}
    for sample in found.values():
        if not sample.cash:
            names = ", ".join(sample.files[:3])
            raise ConfigurationError(str(path), f"{names}: not the index itself", advice)
    return {index: replace(sample, days=sample.days[-sessions:]) for index, sample in found.items()}
