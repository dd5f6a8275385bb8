"""`kalshi-daemon replay`: a recorded run once more, without network, and held against what it did in life."""

import argparse
import logging
import re
import tempfile
from datetime import time, timedelta
from pathlib import Path
from time import process_time
from typing import TYPE_CHECKING, Any, Final

from kalshi_daemon.cli.common import Subparsers, UsageError, a_path, load_written
from kalshi_daemon.cli.output import show
from kalshi_daemon.ground.errors import ConfigurationError, ExitCode
from kalshi_daemon.ground.new_york import eastern, eastern_ns
from kalshi_daemon.ground.tables import Column, Table
from kalshi_daemon.ground.units import Nanos

if TYPE_CHECKING:
    from kalshi_daemon.backtest.replay import Player
    from kalshi_daemon.recording.reader import Recording

_LATEST: Final = "latest"
_USAGE: Final = "kalshi-daemon replay"
_TIME: Final = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?", re.ASCII)


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "replay",
        help="replay a recorded run and compare every decision, request and book with the recording",
        description="Gives the daemon's own code everything that reached it in a recorded run, in the same order and "
        "at the same instants, without network, and compares all it does with what it did. Stops at the first "
        "difference, at --until, or at the end, and shows how things stood there. Nothing is sent anywhere, and no "
        "state of a daemon is touched. Exit code 0: equal so far; 4: there is a difference; 1: equal up to a part of "
        "the recording that is damaged.",
    )
    parser.add_argument(
        "recording", type=a_path, metavar="latest|PATH", help="a recording, or the newest one of the mode"
    )
    parser.add_argument("--until", metavar="HH:MM:SS", help="stop there (New York time), and show how things stood")
    parser.add_argument("--verify", action="store_true", help="show the verdict alone, not how things stood")
    parser.add_argument("--why", metavar="TICKER", help="also explain the last decision on this market by then")


def run(args: argparse.Namespace) -> int:
    import structlog  # noqa: PLC0415 - all of these: `--help` need not pay

    from kalshi_daemon.backtest.replay import Player  # noqa: PLC0415
    from kalshi_daemon.backtest.replay_verdict import document_of, sentence  # noqa: PLC0415
    from kalshi_daemon.recording.reader import Recording  # noqa: PLC0415

    if args.until is not None and not _TIME.fullmatch(args.until):
        raise UsageError(f"--until {args.until!r} is not a time such as 10:30:00", _USAGE)
    recording = Recording(_path_of(args))
    until = None if args.until is None else _instant(recording, args.until)
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL)
    )  # the lines were written in life
    began = process_time()
    with tempfile.TemporaryDirectory(prefix="kalshi-daemon-replay-") as folder:
        player = Player(recording, Path(folder))
        try:
            player.play(until)
            document = document_of(player.came_to(process_time() - began))
            decision = _decision(player, args.why) if args.why else None
        finally:
            player.close()
    line = sentence(document)
    tables = [_verdict(document, line)] if args.verify else [_verdict(document, line), *_standing(document)]
    show(args, {"verdict": line, **document, "why": decision}, *tables, *_why(decision))
    if not document["equal"]:
        return ExitCode.REFUSED
    torn = player.gap is not None and player.gap.torn
    return ExitCode.OK if player.gap is None or torn else ExitCode.FAILURE


def _path_of(args: argparse.Namespace) -> Path:
    """The recording that is meant. Raises ConfigurationError when there is none yet."""
    if args.recording != Path(_LATEST):
        recording: Path = args.recording
        return recording
    from kalshi_daemon.recording.reader import recordings, recordings_folder  # noqa: PLC0415 - as above

    settings = load_written(args, "replay")
    found = recordings(settings.mode_dir)
    if not found:
        where = str(recordings_folder(settings.mode_dir))
        raise ConfigurationError(where, "holds no recording", "run the daemon with recording.enabled first")
    return found[-1]


def _instant(recording: "Recording", text: str) -> Nanos:
    """The first such time of the day after the recording's start. Raises UsageError when the recording ends before."""
    from kalshi_daemon.recording.entries import Input  # noqa: PLC0415 - as above

    begin = eastern(Nanos(recording.opening.now_ns))
    day, at = begin.date(), time.fromisoformat(text)
    found = eastern_ns(day if at >= begin.time() else day + timedelta(days=1), at)
    last_ns = max((one.at.now_ns for one in recording.read() if isinstance(one, Input)), default=recording.start.now_ns)
    if found > last_ns:
        span = f"{begin:%H:%M:%S} to {eastern(Nanos(last_ns)):%H:%M:%S} New York time"
        raise UsageError(f"--until {text}: the recording is of {span}", _USAGE)
    return found


def _decision(player: "Player", ticker: str) -> Any:  # noqa: ANN401 - imported late
    from kalshi_daemon.artifacts.decision import last_decision  # noqa: PLC0415 - as above
    from kalshi_daemon.artifacts.paths import ArtifactPaths  # noqa: PLC0415
    from kalshi_daemon.cli.why import NoDecisionError  # noqa: PLC0415

    player.write_files()
    paths = ArtifactPaths(player.settings.mode_dir)
    decision = last_decision(paths, ticker.strip().upper(), None)
    if decision is None:
        raise NoDecisionError(ticker, "the replay")
    return decision


def _verdict(document: dict[str, Any], line: str) -> Table:
    names = ("recording", "mode", "from", "to", "inputs", "compared", "requests", "scans", "cpu_s", "times_life")
    rows = [(name, str(document[name])) for name in names]
    notes = [line]
    if document["gap"] is not None:
        notes.append(f"ends early: {document['gap']}")
    elif not document["ended_in_order"]:
        notes.append("stopped before its end")
    return Table((Column("replay"), Column("")), rows, notes=notes)


def _standing(document: dict[str, Any]) -> list[Table]:
    """As `status` shows it, and the orders."""
    from kalshi_daemon.operations.status_forms import tables  # noqa: PLC0415 - as above

    orders = [tuple(str(value) for value in order.values()) for order in document["orders"]]
    columns = ("market", "side", "price", "count", "filled", "status", "profile", "since")
    return [
        *(table for table in tables(document["state"]) if table.rows),
        Table([Column(name) for name in columns], orders, title=f"{len(orders)} orders that may trade"),
    ]


def _why(decision: Any) -> list[Table]:  # noqa: ANN401 - imported late
    if decision is None:
        return []
    from kalshi_daemon.cli.why import guards_table  # noqa: PLC0415 - as above

    return [guards_table(decision, "")]
