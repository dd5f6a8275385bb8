"""`kalshi-daemon alert`: send a message to the configured addresses by hand, to see that it arrives."""

import argparse
from threading import Event
from time import monotonic
from typing import Final

from kalshi_daemon.cli.common import Subparsers, UsageError, load
from kalshi_daemon.cli.output import show
from kalshi_daemon.domain.alert import AlertSeverity
from kalshi_daemon.ground.errors import ConfigurationError, ExitCode
from kalshi_daemon.ground.tables import Column, Table
from kalshi_daemon.operations.alert_gate import Message
from kalshi_daemon.operations.alert_log import EndingLog
from kalshi_daemon.operations.alert_targets import Target, targets_of
from kalshi_daemon.settings.loader import Credentials

_POLL_S: Final = 0.01
_SPARE_S: Final = 0.5
_COLUMNS: Final = (Column("target"), Column("sent"), Column("problem"))


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "alert",
        help="send a test alert, or a text, to the configured targets",
        description="Sends to every address of alerts.targets at once, whatever the severity and the hour, and says "
        "which took it. Exit code 1 when one did not, 78 when there is none.",
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("test", nargs="?", choices=("test",), help="send a test message")
    what.add_argument("--send", metavar="TEXT", help="send this text; what the unit does when the daemon has failed")


def run(args: argparse.Namespace) -> int:
    if args.send is not None and not args.send.strip():
        raise UsageError("--send: the text is empty", "kalshi-daemon alert")
    settings = load(args, Credentials.NONE).settings
    within_s = settings.alerts.send_timeout_s
    log = EndingLog()
    log.end()  # the table says what became of each
    targets = targets_of(settings.alerts.targets.get_secret_value(), within_s, log)
    if not targets:
        fix = "KALSHI_DAEMON_ALERTS__TARGETS, or the credential alert_targets"
        raise ConfigurationError("alerts.targets", "is not set", fix)
    mode = settings.mode.value
    text = args.send or "A test alert: what you see here is what you will be told of."
    severity = AlertSeverity.CRITICAL if args.send else AlertSeverity.INFO
    message = Message(f"kalshi-daemon {mode}: {'alert' if args.send else 'test'}", text, severity)
    for target in targets:
        target.put(message)
    _wait(targets, within_s + _SPARE_S)
    found = [(one.name, one.sent > 0, _problem(one, within_s)) for one in targets]
    data = {"mode": mode, "targets": [{"target": name, "sent": sent, "problem": why} for name, sent, why in found]}
    show(args, data, Table(_COLUMNS, [(name, "yes" if sent else "no", why) for name, sent, why in found]))
    return ExitCode.OK if all(one.sent for one in targets) else ExitCode.FAILURE


def _problem(target: Target, within_s: float) -> str:
    if target.sent:
        return ""
    return target.problem if target.idle else f"no answer in {within_s:g} s"


def _wait(targets: tuple[Target, ...], within_s: float) -> None:
    until_s = monotonic() + within_s
    while monotonic() < until_s and not all(one.idle for one in targets):
        Event().wait(_POLL_S)
