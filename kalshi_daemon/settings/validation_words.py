"""What a value should have been, in words: pydantic's own speak of its classes, patterns and conversions."""

import re
from collections.abc import Mapping
from typing import Final

PATTERNS: Final[Mapping[str, str]] = {
    r"^[!-~]*$": "letters, digits and signs of ASCII without white space",
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$": "a date such as 2026-11-23",
}
"""By the pattern of the field."""
_KINDS: Final[Mapping[str, str]] = {
    "bool_parsing": "a valid boolean, true or false",
    "bool_type": "a valid boolean, true or false",
    "dict_type": "a valid dictionary: a table of keys",
    "model_type": "a valid dictionary: a table of keys",
    "model_attributes_type": "a valid dictionary: a table of keys",
    "path_type": "a path",
    "string_type": "a valid string: text in quotes",
    "tuple_type": 'a list such as ["a", "b"]',
}
_PATTERN: Final = re.compile(r"String should match pattern '(.*)'", re.DOTALL)
_LENGTH: Final = re.compile(r"(?:[A-Z][a-z]+|Input) should have (at (?:most|least) [0-9]+ [a-z]+)")


def wanted(kind: str, message: str) -> str:
    """`kind` and `message` of a validation error as what follows "wanted ". Never holds the value."""
    if pattern := _PATTERN.fullmatch(message):
        return PATTERNS.get(pattern[1], f"text that matches {pattern[1]}")
    if length := _LENGTH.match(message):
        return length[1]
    return _KINDS.get(kind) or message.removeprefix("Input should be ")
