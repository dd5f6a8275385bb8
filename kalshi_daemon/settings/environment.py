"""Settings from environment variables: `KALSHI_DAEMON_SECTION__KEY`, each read by the kind of the setting it names.

Numbers have the strict grammar of `readers`: digits, at most one point, a minus. Everything that Python or a parser
would also take for a number (1_000, " 5", 1e3, digits of other scripts, nan) stays text, which validation refuses with
key and variable. Lists and tables are JSON that names each key once. pydantic-settings finds the place of a variable.
"null" clears a setting that may be absent.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import GenericAlias
from typing import Any, Final, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict
from pydantic_settings.exceptions import SettingsError

from kalshi_daemon.ground.errors import ConfigurationError, MalformedField
from kalshi_daemon.ground.readers import integer_text, number_text, parse_json
from kalshi_daemon.settings.model import Settings

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


class _Shape(BaseSettings, Settings):
    """Settings as pydantic-settings wants to see them; used for its reading of the environment only."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True)


class _Variable(EnvSettingsSource):
    """The library's reader over one variable that is handed in, so that an error names it."""

    def __init__(self, name: str, text: str) -> None:
        self._variable = {name.lower(): text}
        super().__init__(_Shape)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return self._variable

    def decode_complex_value(self, field_name: str, _field: FieldInfo, value: str) -> object:
        """The library's parser takes a repeated key, NaN and any depth. Raises MalformedField."""
        return parse_json(value, field_name)


def value_of(name: str, key: str, text: str) -> object:
    """The value of one variable, for validation to judge. Raises ConfigurationError naming the variable."""
    place = place_of(key) or Place(None)
    if text == "null":
        return None
    wanted = dict if place.table else list if isinstance(place.kind, GenericAlias) else None
    if wanted is None and text != text.strip():
        raise ConfigurationError(f"environment {name}", f"{key} has white space around its value", "remove it")
    try:
        found: Any = _Variable(name, text)()
        for part in key.split("."):
            found = found[part]
    except (SettingsError, MalformedField, UnicodeEncodeError, KeyError, TypeError):
        found = None if wanted else text
    if wanted and not isinstance(found, wanted):
        shape = 'a table such as {"key": 1}' if place.table else 'a list such as ["a", "b"]'
        raise ConfigurationError(f"environment {name}", "not JSON", f"wanted {shape}")
    return _number(found, place.kind) if isinstance(found, str) else found


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
