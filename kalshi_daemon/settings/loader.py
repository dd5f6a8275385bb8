"""From files and environment to frozen settings, with where each value came from.

config.toml < environment (`KALSHI_DAEMON_SECTION__KEY`) < credentials directory < command line. Unknown keys are errors
in the file and in the environment, a named file that is missing is an error, and no message ever contains a value: a
value in the wrong place may be a secret. Every error is a ConfigurationError (exit code 78) of one line.
"""

import re
import tomllib
from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import Flag, auto
from pathlib import Path
from typing import Any, Final, cast

from pydantic import BaseModel, SecretStr, ValidationError

from kalshi_daemon.ground.errors import ConfigurationError, LiveNotAcknowledged
from kalshi_daemon.ground.folders import FIX, entries
from kalshi_daemon.ground.named_files import read_named
from kalshi_daemon.settings.contradictions import check_instruments
from kalshi_daemon.settings.environment import ENV_PREFIX, number_of, place_of, value_of, variables
from kalshi_daemon.settings.instruments import InstrumentsSettings
from kalshi_daemon.settings.model import Mode, Settings
from kalshi_daemon.settings.renamed import new_name
from kalshi_daemon.settings.rules import check_rules, with_default_hosts
from kalshi_daemon.settings.validation_words import wanted

ACKNOWLEDGEMENT: Final = "I understand this trades real money"

DEFAULT: Final = "default"
COMMAND_LINE: Final = "command line"
CREDENTIALS: Final = "credentials directory"

_CREDENTIAL_FILES: Final = {
    "polygon_api_key": "index_feed.api_key",
    "kalshi_key_id": "kalshi.key_id",
    "kalshi_private_key": "kalshi.private_key_path",
    "alert_targets": "alerts.targets",
    "alert_ping_url": "alerts.ping_url",
    "page_token": "page.token",
}
_SEVERAL_WORDS: Final = frozenset({"alerts.targets"})
_TABLE_PREFIX: Final = f"{ENV_PREFIX}INSTRUMENTS__"
_CREDENTIAL_BYTES_MAX: Final = 4_096
_FILE_BYTES_MAX: Final = 1_000_000
_SHOWN_KEY_ID: Final = 4
_KEY_MATERIAL: Final = "-----BEGIN"
_TOML_POSITION: Final = re.compile(r"\s*\(at (?:line (\d+), column (\d+)|end of document)\)$")
_TOML_TABLE: Final = re.compile(r"^\s*\[([^\[\]]+)\]\s*(?:#.*)?$")
_TOML_KEY: Final = re.compile(r"^\s*([A-Za-z0-9_.\-]+)\s*=")


class Credentials(Flag):
    """What a command needs to be able to talk to whom. In `sim` nothing is ever demanded."""

    NONE = 0
    KALSHI = auto()
    FEED = auto()
    ALL = KALSHI | FEED


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """The effective settings, and for each dotted key (`kalshi.key_id`) where its value came from."""

    settings: Settings
    origins: Mapping[str, str]
    config_path: Path | None

    def rows(self) -> Iterator[tuple[str, str, str]]:
        """(key, redacted value, origin) of every key, in the order of the sections."""
        for key, value in _leaves(self.settings):
            yield key, _redacted(key, value), self.origins.get(key, DEFAULT)


def load_settings(
    config_path: Path | None,
    environ: Mapping[str, str],
    credentials_dir: Path | None,
    overrides: Mapping[str, Any],
    *,
    needs: Credentials = Credentials.ALL,
) -> LoadedSettings:
    """Read, merge, validate and check the settings.

    overrides: dotted key -> value from the command line; None values are ignored. needs: the credentials that must be
    there outside `sim` (those given are checked anyway). Raises ConfigurationError.
    """
    file_values, lines = _read_file(config_path)
    layers: list[tuple[dict[str, Any], dict[str, str]]] = [
        (file_values, {key: _place(config_path, _line_of(key, lines)) for key, _ in _flat(file_values)}),
        _read_environment(environ),
        _read_credentials(credentials_dir),
        _read_overrides(overrides),
    ]
    merged = Settings().model_dump()
    origins: dict[str, str] = {}
    for values, places in layers:
        _merge(merged, values)
        origins.update(places)
    settings = _validate(merged, origins)
    settings, defaulted = with_default_hosts(settings)
    origins.update(dict.fromkeys(defaulted, f"default of mode {settings.mode.value}"))
    check_rules(
        settings,
        origins,
        kalshi=Credentials.KALSHI in needs,
        feed=Credentials.FEED in needs,
        credentials_dir=credentials_dir,
    )
    return LoadedSettings(settings, origins, config_path)


def load_instruments(config_path: Path | None, environ: Mapping[str, str]) -> InstrumentsSettings:
    """The table of instruments alone, for commands that need no other setting. Raises ConfigurationError."""
    found, lines = _read_file(config_path)
    origins = {key: _place(config_path, _line_of(key, lines)) for key, _ in _flat(found)}
    values, places = _read_environment({name: text for name, text in environ.items() if name.startswith(_TABLE_PREFIX)})
    merged = Settings().model_dump()
    for layer in (found, values):
        _merge(merged, {"instruments": layer.get("instruments", {})})
    table = _validate(merged, origins | places).instruments
    check_instruments(table, origins | places)
    return table


def require_live_acknowledgement(settings: Settings) -> None:
    """Arming in mode `live` asks for the sentence in the configuration. Raises LiveNotAcknowledged."""
    if settings.mode is Mode.LIVE and settings.live.acknowledgement != ACKNOWLEDGEMENT:
        raise LiveNotAcknowledged(
            "live.acknowledgement", "live trading is not acknowledged", f'set it to "{ACKNOWLEDGEMENT}", or drop --arm'
        )


# ---- the file ------------------------------------------------------------------------------------------------------


def _read_file(path: Path | None) -> tuple[dict[str, Any], dict[str, int]]:
    if path is None:
        return {}, {}
    try:
        if _is_missing(path):
            raise ConfigurationError(str(path), "no such file", "check --config and KALSHI_DAEMON_CONFIG")
        content, _mode = read_named(path, _FILE_BYTES_MAX, str(path), "not a configuration of ours")
        # Editors of other systems begin a file with a byte order mark; tomllib would call it an invalid statement.
        text = content.removeprefix(BOM_UTF8).decode()
    except UnicodeDecodeError as error:
        raise ConfigurationError(str(path), f"not UTF-8 text (byte {error.start})", "save it as UTF-8") from error
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        position = _TOML_POSITION.search(str(error))
        problem = str(error)[: position.start()] if position else str(error)
        at = f":{position[1]}:{position[2]}" if position and position[1] else f":{len(text.splitlines())}"
        raise ConfigurationError(f"{path}{at}", f"not valid TOML: {_safe(problem)}") from None
    except (ValueError, RecursionError):  # an integer of thousands of digits, tables or lists in thousands of others
        raise ConfigurationError(str(path), "holds a number or nesting beyond any setting") from None
    lines = _line_numbers(text)
    for key, value in _flat(values):
        where = _place(path, _line_of(key, lines))
        _refuse_unknown(key, where, key)
        _refuse_key_material(value, where)
    return values, lines


def _is_missing(path: Path) -> bool:
    try:
        path.stat()
    except FileNotFoundError:
        return True
    except OSError:
        return False  # reading says why
    return False


def _line_numbers(text: str) -> dict[str, int]:
    """Dotted key -> line, for keys written one to a line; a key we miss is reported without its line."""
    found: dict[str, int] = {}
    table = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _TOML_TABLE.match(line):
            table = header[1].strip() + "."
            found.setdefault(header[1].strip(), number)
        elif key := _TOML_KEY.match(line):
            found.setdefault(table + key[1], number)
    return found


def _line_of(key: str, lines: Mapping[str, int]) -> int | None:
    """The line of a key, or of the table or inline table it stands in."""
    while key and key not in lines:
        key = key.rpartition(".")[0]
    return lines.get(key)


def _safe(problem: str) -> str:
    """A parser's message without quoted pieces of the file, which may be pieces of a secret."""
    return re.sub(r"'[^']{3,}'", "'...'", problem)


def _place(path: Path | None, line: int | None) -> str:
    return f"{path}:{line}" if line else f"{path}"


# ---- the environment -----------------------------------------------------------------------------------------------


def _read_environment(environ: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    values: dict[str, Any] = {}
    places: dict[str, str] = {}
    for name, (key, text) in variables(environ).items():
        where = f"environment {name}"
        if key in {"kalshi.private_key", "kalshi.private_key_pem"}:
            raise ConfigurationError(
                where, "a private key never travels in the environment", f"{ENV_PREFIX}KALSHI__PRIVATE_KEY_PATH"
            )
        _refuse_unknown(key, where, name)
        _refuse_key_material(text, where)
        found: dict[str, Any] = {}
        _put(found, key, value_of(name, key, text))
        _merge(values, found)
        places.update({one: where for one, _ in _flat(found)})
    return values, places


# ---- credentials and command line ----------------------------------------------------------------------------------


def _read_credentials(folder: Path | None) -> tuple[dict[str, Any], dict[str, str]]:
    """Each holds one word, or several addresses; of `kalshi_private_key` only the path is taken."""
    values: dict[str, Any] = {}
    places: dict[str, str] = {}
    if folder is None:
        return values, places
    try:
        if not folder.is_dir():
            raise ConfigurationError(CREDENTIALS, f"{folder} is not a directory")
        present = {path.name for path in entries(folder)}
    except OSError as problem:
        raise ConfigurationError(CREDENTIALS, f"{folder} cannot be read: {problem.strerror}", FIX) from problem
    for name, key in _CREDENTIAL_FILES.items():
        path = folder / name
        if name not in present:
            continue
        secret = path if key == "kalshi.private_key_path" else _read_secret(path, several=key in _SEVERAL_WORDS)
        _put(values, key, secret)
        places[key] = f"{CREDENTIALS} ({name})"
    return values, places


def _read_secret(path: Path, *, several: bool) -> str:
    where = f"{CREDENTIALS}: {path}"
    try:
        content, _mode = read_named(path, _CREDENTIAL_BYTES_MAX, where, "must hold exactly one word")
        text = content.decode("ascii").strip()
    except UnicodeDecodeError:
        raise ConfigurationError(where, "not plain text") from None
    if not text or (not several and len(text.split()) != 1):
        raise ConfigurationError(where, "must hold exactly one word")
    return text


def _read_overrides(overrides: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    values: dict[str, Any] = {}
    places: dict[str, str] = {}
    for key, value in overrides.items():
        if value is not None:
            _refuse_unknown(key, COMMAND_LINE, key)
            _put(values, key, number_of(value, key) if isinstance(value, str) else value)
            places[key] = COMMAND_LINE
    return values, places


# ---- validation ----------------------------------------------------------------------------------------------------


def _validate(merged: dict[str, Any], origins: Mapping[str, str]) -> Settings:
    try:
        return Settings.model_validate(merged)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False, include_context=False)
        first = problems[0]
        # Dict keys and list positions are part of the path; the innermost key we know names the origin.
        key = ".".join(str(part) for part in first["loc"])
        where = _origin_of(key, origins)
        more = f"; {len(problems) - 1} more" if len(problems) > 1 else ""
        raise ConfigurationError(where, f"{_problem(key, first['type'], first['msg'])}{more}") from None


def _problem(key: str, kind: str, message: str) -> str:
    if kind == "extra_forbidden":
        return f"unknown key {key}"
    if kind == "missing":
        return f"{key} is required"
    return f"{key}: wanted {wanted(kind, message)}"


def _origin_of(key: str, origins: Mapping[str, str]) -> str:
    """Where the value at `key` came from, or the nearest one around it: a missing key is missing somewhere."""
    parts = key.split(".")
    for depth in range(len(parts), 0, -1):
        around = ".".join(parts[:depth])
        for one, origin in origins.items():
            if one == around or one.startswith(around + "."):
                return origin
    return "settings"


def _refuse_unknown(key: str, where: str, name: str) -> None:
    """Raise unless `key` leads to a setting (or below a free table such as macro.feeds)."""
    renamed = new_name(key)
    if renamed:
        shown = ENV_PREFIX + renamed.upper().replace(".", "__") if name.startswith(ENV_PREFIX) else renamed
        raise ConfigurationError(where, f"{name} is called {shown} since 0.1.0", "rename it")
    if place_of(key) is not None:
        return
    near = get_close_matches(key, [known for known, _ in _leaves(Settings())], n=1, cutoff=0.75)
    if near and name.startswith(ENV_PREFIX):
        near = [ENV_PREFIX + near[0].upper().replace(".", "__")]
    raise ConfigurationError(where, f"unknown key {name}", f"did you mean {near[0]}?" if near else "")


def _refuse_key_material(value: object, where: str) -> None:
    if isinstance(value, str) and _KEY_MATERIAL in value:
        raise ConfigurationError(
            where, "holds key material", "put the key in a file of mode 0600 and name it in kalshi.private_key_path"
        )


# ---- small helpers over nested dicts -------------------------------------------------------------------------------


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted key and value of every leaf; an empty table is a leaf, so that a misspelt section is seen too."""
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _leaves(section: BaseModel, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _merge(into: dict[str, Any], values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value


def _redacted(key: str, value: object) -> str:
    """A value for people. Secrets say only whether they are set, the key id shows its last four characters."""
    if isinstance(value, SecretStr):
        return "(set)" if value.get_secret_value() else ""
    if key == "kalshi.key_id":
        return f"...{str(value)[-4:]}" if len(str(value)) > _SHOWN_KEY_ID * 2 else "(set)" if value else ""
    if isinstance(value, tuple):
        return ", ".join(str(one) for one in value)
    if isinstance(value, dict):
        return ", ".join(sorted(value))
    return "" if value is None else str(value)


def _put(values: dict[str, Any], key: str, value: object) -> None:
    *sections, name = key.split(".")
    for section in sections:
        values = cast("dict[str, Any]", values.setdefault(section, {}))
    values[name] = value
