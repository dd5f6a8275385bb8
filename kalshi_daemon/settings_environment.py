"""Settings from environment variables: `KALSHI_DAEMON_SECTION__KEY`, each read by the kind of the setting it names.

Numbers have the strict grammar of `readers`: digits, at most one point, a minus. Everything that Python or a parser
would also take for a number (1_000, " 5", 1e3, digits of other scripts, nan) stays text, which validation refuses with
key and variable. Lists and tables are JSON that names each key once. "null" clears a setting that may be absent.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import GenericAlias
from typing import Any, Final, get_args, get_origin

from pydantic import BaseModel

from kalshi_daemon.errors import ConfigurationError, MalformedField
from kalshi_daemon.readers import integer_text, number_text, parse_json
from kalshi_daemon.settings import Settings

ENV_PREFIX: Final = "KALSHI_DAEMON_"
NOT_SETTINGS: Final = frozenset({"KALSHI_DAEMON_CONFIG", "KALSHI_DAEMON_DATA"})
"""Variables with our prefix that are no settings: the config file's path, and where tests find market data."""


@dataclass(frozen=True, slots=True)
class Place:
    """What a dotted key names: the type of its value; `table` for a section, and for a table of the operator's."""

    kind: object
    table: bool = False


def variables(environ: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Of each variable of ours its dotted key and text."""
    return {
        name: (name.removeprefix(ENV_PREFIX).lower().replace("__", "."), text)
        for name, text in environ.items()
        if name.startswith(ENV_PREFIX) and name not in NOT_SETTINGS
    }


def place_of(key: str) -> Place | None:
    """What a dotted key names; None when there is no such setting. Below a free table the first part is a name."""
    kind: object = Settings
    free = False
    for part in key.split("."):
        if get_origin(kind) is dict:
            kind, free = get_args(kind)[1], True
        elif isinstance(kind, type) and issubclass(kind, BaseModel) and part in kind.model_fields:
            kind = kind.model_fields[part].annotation
        else:
            # What lies below a free table is judged by validation, which knows how to say what is wrong with it.
            return Place(None) if free else None
    return Place(kind, table=get_origin(kind) is dict or (isinstance(kind, type) and issubclass(kind, BaseModel)))


def value_of(name: str, key: str, text: str) -> object:
    """The value of one variable, for validation to judge. Raises ConfigurationError naming the variable."""
    place = place_of(key) or Place(None)
    if text == "null":
        return None
    if place.table or isinstance(place.kind, GenericAlias):
        return _structure(name, text, table=place.table)
    if text != text.strip():
        raise ConfigurationError(f"environment {name}", f"{key} has white space around its value", "remove it")
    return _number(text, place.kind)


def number_of(text: str, key: str) -> object:
    """`text` as the number that `key` wants; the text itself when it is none, for validation to refuse."""
    place = place_of(key)
    return text if place is None else _number(text, place.kind)


def _number(text: str, kind: object) -> object:
    try:
        if kind is int:
            return integer_text(text, "")
        if kind is float:
            return number_text(text, "")
    except MalformedField:
        pass
    return text


def _structure(name: str, text: str, *, table: bool) -> Any:  # noqa: ANN401 - any JSON value; validation narrows it
    try:
        found = parse_json(text, name)
    except (MalformedField, UnicodeEncodeError):
        found = None
    if not isinstance(found, dict if table else list):
        shape = 'a table such as {"key": 1}' if table else 'a list such as ["a", "b"]'
        raise ConfigurationError(f"environment {name}", "not JSON", f"wanted {shape}")
    return found
