"""What every command shares: the global options, the settings they lead to, and usage errors as errors of ours."""

import argparse
import os
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn, cast

from kalshi_daemon.ground.errors import ConfigurationError, DaemonError, ExitCode

if TYPE_CHECKING:
    from kalshi_daemon.domain.index import Index
    from kalshi_daemon.domain.instruments import Instruments
    from kalshi_daemon.settings.loader import Credentials, LoadedSettings
    from kalshi_daemon.settings.model import Settings

type Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - argparse names it nowhere else

CONFIG_VARIABLE: Final = "KALSHI_DAEMON_CONFIG"
DEFAULT_CONFIG: Final = Path("config.toml")
MODES: Final = ("sim", "demo", "live")
_YEARS: Final = range(1990, 2100)


class UsageError(DaemonError):
    """The command line itself is wrong."""

    exit_code = ExitCode.USAGE

    def __init__(self, problem: str, command: str) -> None:
        super().__init__(problem, command)
        self.problem = problem
        self.command = command

    def __str__(self) -> str:
        return f"command line: {self.problem} (see {self.command} --help)"


class Parser(argparse.ArgumentParser):
    """No abbreviations, errors raised instead of printed, and the global options on every command.

    The options are suppressed when absent, so that a command's parser does not overwrite what stood before its name:
    `kalshi-daemon -c x windows` and `kalshi-daemon windows -c x` say the same.
    """

    def __init__(
        self,
        *args: Any,  # noqa: ANN401 - argparse's own signature
        only_listed: bool = False,
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        """only_listed: a command that the line does not name, shown in the list of all and never parsed: no options."""
        kwargs.setdefault("allow_abbrev", False)
        kwargs.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        kwargs.setdefault("add_help", not only_listed)
        super().__init__(*args, **kwargs)
        if not only_listed:
            self._add_global_options()

    def error(self, message: str) -> NoReturn:
        """Raises UsageError where argparse would print and exit."""
        raise UsageError(message, self.prog)

    def _add_global_options(self) -> None:
        group = self.add_argument_group("global options (before or after the command)")
        group.add_argument(
            "-c",
            "--config",
            metavar="PATH",
            type=a_path,
            default=argparse.SUPPRESS,
            help=f"settings file (default: ${CONFIG_VARIABLE}, else ./config.toml if present)",
        )
        group.add_argument("--mode", choices=MODES, default=argparse.SUPPRESS, help="override the setting")
        group.add_argument(
            "--state-dir", metavar="DIR", type=a_path, default=argparse.SUPPRESS, help="override the setting"
        )
        group.add_argument(
            "--json",
            action="store_true",
            default=argparse.SUPPRESS,
            help="JSON on standard output; an error is one line of JSON on standard error",
        )


def config_path(args: argparse.Namespace, environ: Mapping[str, str]) -> Path | None:
    """--config, else the environment, else ./config.toml if it is there. Existence of a named file is checked later.

    Raises ConfigurationError when the variable is empty.
    """
    named = getattr(args, "config", None)
    if named is not None:
        return cast("Path", named)
    if (variable := environ.get(CONFIG_VARIABLE)) is not None:
        if not variable.strip():
            where = f"environment {CONFIG_VARIABLE}"
            raise ConfigurationError(where, "is empty", "name a file, or leave the variable out")
        return Path(variable)
    return DEFAULT_CONFIG if DEFAULT_CONFIG.exists() else None


def load(
    args: argparse.Namespace,
    needs: "Credentials",
    overrides: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
) -> "LoadedSettings":
    """The effective settings of a command: file, environment, credentials, global options, then `overrides`.

    needs: which credentials the command cannot do without. overrides: dotted key -> value; None is ignored. Raises
    ConfigurationError.
    """
    from kalshi_daemon.settings.loader import load_settings  # noqa: PLC0415 - 0.4 s that `--help` need not pay

    env = os.environ if environ is None else environ
    credentials = env.get("CREDENTIALS_DIRECTORY")
    options = {"mode": getattr(args, "mode", None), "state_dir": getattr(args, "state_dir", None)}
    return load_settings(
        config_path(args, env),
        env,
        Path(credentials) if credentials else None,
        options | dict(overrides or {}),
        needs=needs,
    )


def load_table(args: argparse.Namespace, *, named_only: bool = False) -> "Instruments":
    """The table of instruments alone, for commands that need no other setting. Raises ConfigurationError.

    named_only: ./config.toml is not looked at, which beside another bot may be that bot's.
    """
    from kalshi_daemon.settings.instruments import instruments_of  # noqa: PLC0415 - as above
    from kalshi_daemon.settings.loader import load_instruments  # noqa: PLC0415

    named = getattr(args, "config", None) is not None or CONFIG_VARIABLE in os.environ
    path = None if named_only and not named else config_path(args, os.environ)
    return instruments_of(load_instruments(path, os.environ))


def check_index(index: "Index | None", table: "Instruments", command: str) -> None:
    """Raise UsageError for an index that is not in the table; None is none."""
    if index is not None and index not in table.rows:
        known = ", ".join(table.indices)
        raise UsageError(f"--index {index}: not in the table of instruments ({known})", f"kalshi-daemon {command}")


def an_index(text: str) -> "Index":
    """An argparse type: the name of an index; `check_index` says whether it is one of the table."""
    from kalshi_daemon.domain.index import Index  # noqa: PLC0415 - as above

    try:
        return Index(text)
    except ValueError as problem:
        raise argparse.ArgumentTypeError(str(problem)) from None


def load_written(args: argparse.Namespace, command: str) -> "Settings":
    """The settings of a command that reads what a daemon wrote.

    Raises UsageError for a --state-dir that is not there or cannot be looked into, ConfigurationError for one of the
    settings. The default one may be absent: then nothing ever ran here, which every command says in its own words.
    """
    from kalshi_daemon.settings.loader import COMMAND_LINE, Credentials  # noqa: PLC0415 - as above

    loaded = load(args, Credentials.NONE)
    settings = loaded.settings
    origin = loaded.origins.get("state_dir")
    for folder in (settings.state_dir, settings.mode_dir):
        problem = _problem_of(folder, may_be_absent=origin is None or folder == settings.mode_dir)
        if problem and origin == COMMAND_LINE:
            raise UsageError(f"--state-dir: {problem}", f"kalshi-daemon {command}")
        if problem:
            raise ConfigurationError(origin or "state_dir", problem, "the state directory that the daemon writes to")
    return settings


def check_state_dir(args: argparse.Namespace, command: str) -> None:
    """Raise UsageError for a --state-dir that is not there: a slip of the finger must not look like work done."""
    named: Path | None = getattr(args, "state_dir", None)
    if named is not None and (problem := _problem_of(named, may_be_absent=False)):
        raise UsageError(f"--state-dir: {problem}", f"kalshi-daemon {command}")


def _problem_of(folder: Path, *, may_be_absent: bool) -> str:
    """Why a folder cannot be looked into; "" when it can."""
    try:
        with os.scandir(folder):
            return ""
    except FileNotFoundError:
        return "" if may_be_absent else f"{folder}: no such folder"
    except OSError as problem:
        return f"{folder} cannot be read: {problem.strerror}"


def wants_json(args: argparse.Namespace) -> bool:
    """Whether --json was given."""
    return bool(getattr(args, "json", False))


def a_path(text: str) -> Path:
    """An argparse type. Empty text is refused: Path takes it for the working directory."""
    if not text.strip():
        raise argparse.ArgumentTypeError("the path is empty")
    return Path(text)


def a_date(text: str) -> date:
    """An argparse type: YYYY-MM-DD, within the years the exchange calendar speaks about."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a date such as 2026-11-27") from None
    if day.year not in _YEARS:
        raise argparse.ArgumentTypeError(f"{text} is not between {_YEARS[0]} and {_YEARS[-1]}")
    return day
