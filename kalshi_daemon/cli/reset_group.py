"""`kalshi-daemon reset-group PROFILE`: end the halt of a profile whose order group was triggered."""

import argparse
import contextlib
import threading
from enum import StrEnum
from pathlib import Path
from typing import Final

from kalshi_daemon.cli.common import Subparsers, load_written
from kalshi_daemon.cli.orders import existing_journal
from kalshi_daemon.cli.output import show
from kalshi_daemon.ground.clock import SystemClock, iso_utc
from kalshi_daemon.ground.errors import ExitCode
from kalshi_daemon.ground.tables import Column, Table
from kalshi_daemon.operations.group_reset import ask, request_path
from kalshi_daemon.operations.lock import running_daemon
from kalshi_daemon.orders.journal import Journal
from kalshi_daemon.settings.model import PROFILE_NAMES
from kalshi_daemon.state import GroupHalt

WAIT_S_MAX: Final = 15.0
"""How long a running daemon is given to carry the request out."""
_LOOK_EVERY_S: Final = 0.1


class Outcome(StrEnum):
    """What became of the request."""

    NOT_HALTED = "was not halted"
    RESET = "reset"
    LEFT = "left for the next start"
    WAITING = "not confirmed yet; the request stays"
    AGAIN = "still halted: triggered again"


_CODES: Final = {
    Outcome.NOT_HALTED: ExitCode.REFUSED,
    Outcome.RESET: ExitCode.OK,
    Outcome.LEFT: ExitCode.OK,
    Outcome.WAITING: ExitCode.UNREACHABLE,
    Outcome.AGAIN: ExitCode.REFUSED,
}


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "reset-group",
        help="resume quoting for a profile whose order group was triggered",
        description="A profile halts when more of its contracts trade within seconds than "
        "orders.group_contracts_limit allows; the exchange has then cancelled its orders. Find out why first. The "
        "running daemon resets the group at the exchange and resumes quoting; otherwise the next start does. Exit "
        "code 0 when reset or left for the next start, 4 when the profile was not halted or is halted again, 69 when "
        "the daemon could not confirm in time.",
    )
    parser.add_argument("profile", choices=PROFILE_NAMES, help="the profile to resume")
    parser.add_argument("--reason", default="by hand", help="reason, written to the request")


def run(args: argparse.Namespace) -> int:
    settings = load_written(args, "reset-group")
    journal = existing_journal(settings.mode_dir)
    halt = _halt(journal, args.profile)
    outcome = Outcome.NOT_HALTED
    if halt is not None:
        path = request_path(settings.mode_dir, args.profile)
        ask(path, halt.at_ns, args.reason, SystemClock().now_ns())
        outcome = Outcome.LEFT
        if running_daemon(settings.mode_dir) is not None:
            taken = _taken(path)
            outcome = Outcome.WAITING if not taken else Outcome.AGAIN if _halt(journal, args.profile) else Outcome.RESET
    since = "" if halt is None else iso_utc(halt.at_ns)
    why = "" if halt is None else halt.reason
    columns = (Column("profile"), Column("order group", style="bold"), Column("halted since"), Column("because"))
    data = {
        "mode": settings.mode.value,
        "profile": args.profile,
        "outcome": outcome.name.lower(),
        "halted_since": since or None,
        "because": why or None,
    }
    show(args, data, Table(columns, ((args.profile, outcome.value, since, why),)))
    return _CODES[outcome]


def _halt(journal: Path, profile: str) -> GroupHalt | None:
    with contextlib.closing(Journal.read(journal)) as book:
        return book.halts().get(profile)


def _taken(path: Path) -> bool:
    """Whether the daemon has dealt with the request within WAIT_S_MAX."""
    pause = threading.Event()
    for _ in range(round(WAIT_S_MAX / _LOOK_EVERY_S)):
        if not path.exists():
            return True
        pause.wait(_LOOK_EVERY_S)
    return False
