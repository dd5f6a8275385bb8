from collections.abc import Iterator

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from kalshi_daemon.calibration.constants_file import _Document
from kalshi_daemon.ground.errors import ConfigurationError
from kalshi_daemon.settings.loader import load_settings
from kalshi_daemon.settings.model import Settings
from kalshi_daemon.settings.validation_words import PATTERNS, wanted


def fields(model: type[BaseModel]) -> Iterator[FieldInfo]:
    for field in model.model_fields.values():
        yield field
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from fields(field.annotation)


def test_every_pattern_has_words():
    found = [
        mark.pattern
        for model in (Settings, _Document)
        for field in fields(model)
        for mark in field.metadata
        if getattr(mark, "pattern", None)
    ]
    assert found
    assert set(found) <= set(PATTERNS)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("KALSHI__KEY_ID", "two words", "letters, digits and signs of ASCII without white space"),
        ("KALSHI__KEY_ID", "x" * 201, "at most 200 characters"),
        ("INDEX_FEED__RECORD", "maybe", "a valid boolean, true or false"),
        ("MACRO__FEEDS", '{"cpi": 1}', "a valid dictionary: a table of keys"),
        ("MACRO__FEEDS", '{"cpi": {"path": 1, "age_hours_max": 3}}', "a path"),
        ("PROFILES__WIDE__SERIES", "[1]", "a valid string: text in quotes"),
        ("LOG__LEVEL", "loud", "'debug', 'info', 'warning' or 'error'"),
        ("STATE_DIR", "", "a path, not empty: leave the key out instead"),
        ("STATE_DIR", "null", "a path"),
        ("CALIBRATION__CONSTANTS_FILE", "", "a path, not empty"),
        ("MACRO__CALENDAR", "", "a path, not empty"),
        ("KALSHI__PRIVATE_KEY_PATH", "", "a path, not empty"),
        ("SIM__INDEX_REPLAY", '[""]', "a path, not empty"),
        ("MACRO__FEEDS", '{"cpi": {"path": "", "age_hours_max": 3}}', "a path, not empty"),
    ],
)
def test_what_was_wanted_is_said_in_words(name, value, words):
    with pytest.raises(ConfigurationError) as caught:
        load_settings(None, {f"KALSHI_DAEMON_{name}": value}, None, {})
    said = str(caught.value)
    assert f": wanted {words}" in said
    assert not any(word in said for word in ("String", "Input", "pathlib", "instance of", "pattern"))


def test_a_pattern_without_words_is_still_a_sentence():
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(dict[str, int]).validate_python(3)
    problem = caught.value.errors()[0]
    assert wanted(problem["type"], problem["msg"]) == "a valid dictionary: a table of keys"
    assert wanted("string_pattern_mismatch", "String should match pattern 'a+'") == "text that matches a+"
