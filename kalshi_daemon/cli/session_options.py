"""What commands that play sessions take from the command line: regimes, days, settings."""

import argparse
import tomllib
from collections.abc import Iterable
from datetime import date
from typing import TYPE_CHECKING, Any, Final

from kalshi_daemon.cli.common import UsageError, a_date, load

_NOT_HERE: Final = frozenset({"mode", "state_dir"})
"""Settings that a session played here decides itself."""

if TYPE_CHECKING:
    from kalshi_daemon.settings.model import Settings

REGIMES: Final = ("efficient", "usual", "busy", "harsh", "toxic", "noise")
"""`simulator.traders.regimes.REGIMES`; listed here too so that `--help` imports nothing heavy (a test compares)."""


def a_span(text: str) -> tuple[date, date]:
    """An argparse type: A..B, or one day."""
    first, dots, last = text.partition("..")
    span = a_date(first), a_date(last if dots else first)
    if span[1] < span[0]:
        raise argparse.ArgumentTypeError(f"{text!r} ends before it begins")
    return span


def add_cold(parser: argparse._ActionsContainer) -> None:
    """The option to begin without memory."""
    parser.add_argument(
        "--cold",
        action="store_true",
        help="made-up sessions: a daemon that remembers nothing, not one warmed on earlier made-up days",
    )


def check_cold(args: argparse.Namespace, command: str) -> None:
    """Raises UsageError: sessions that are not made up always begin cold."""
    if args.cold and (args.days is not None or getattr(args, "books", None) is not None):
        raise UsageError("--cold is of made-up sessions: days that are played back begin without memory", command)


def settings_of(args: argparse.Namespace, policy: str | None, changes: Iterable[str], command: str) -> "Settings":
    """Those of the command line, and KEY=VALUE each on top. Raises UsageError, ConfigurationError."""
    from kalshi_daemon.settings.loader import Credentials  # noqa: PLC0415
    from kalshi_daemon.trading.policy.named import build_policy  # noqa: PLC0415

    overrides: dict[str, Any] = {"trading.policy": policy}
    for change in changes:
        key, found, value = change.partition("=")
        if not found or not key:
            raise UsageError(f"--set {change!r} is not KEY=VALUE", command)
        if key in _NOT_HERE:
            raise UsageError(f"--set {change}: what is played here is simulated, in a folder of its own", command)
        overrides[key] = _value(value)
    settings = load(args, Credentials.NONE, overrides).settings
    build_policy(settings)  # each side's: a name that is none must not cost the hours of the side before it
    return settings


def _value(text: str) -> Any:  # noqa: ANN401 - of any setting
    """As in a configuration file; what is no value there is a text."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def check_regime(name: str, settings: "Settings", command: str) -> None:
    """Raises UsageError for a name that is neither shipped nor configured."""
    known = dict.fromkeys((*REGIMES, *settings.sim.regimes))
    if name not in known:
        raise UsageError(f"--regime {name}: is none of {', '.join(known)}", command)
