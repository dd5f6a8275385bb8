"""Readers of single JSON fields: strict about missing and mistyped ones, silent about keys we do not know.

Every reader takes the object, the key and the place (for the error) and raises MissingField when the key is absent or
null, MalformedField when the value is of another kind. JSON numbers are never accepted where the venue sends strings:
a number there means that we talk to something else than we believe (kalshi.md section 9).
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import orjson

from kalshi_daemon.domain.quote import Side
from kalshi_daemon.errors import MalformedData, MalformedField, MissingField, UnknownValue
from kalshi_daemon.units import SECOND, Count, Nanos, Price, from_ms, parse_count, parse_price

type Json = dict[str, Any]

_SIDES = {"bid": Side.BID, "ask": Side.ASK}
_RFC3339 = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(?P<fraction>\d{1,9})\d*)?(?P<zone>Z|[+-]\d\d:\d\d)", re.ASCII
)
_CENT = 100
"""1 cent = 100 x 1/10 000 dollar."""


def loads(raw: bytes | str, where: str) -> Any:  # noqa: ANN401 - any JSON value; the readers below narrow it
    """Parse JSON. Raises MalformedField naming `where`."""
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise MalformedField(where, raw[:80], "JSON") from None


def as_object(value: object, where: str) -> Json:
    if not isinstance(value, dict):
        raise MalformedField(where, value, "an object")
    return value


def as_array(value: object, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise MalformedField(where, value, "an array")
    return value


def need(obj: Mapping[str, Any], key: str, where: str) -> Any:  # noqa: ANN401 - narrowed by the caller
    value = obj.get(key)
    if value is None:
        raise MissingField(key, where)
    return value


def text(obj: Mapping[str, Any], key: str, where: str) -> str:
    """A string that is not empty."""
    value = need(obj, key, where)
    if not isinstance(value, str) or not value:
        raise MalformedField(f"{where}.{key}", value, "a non-empty string")
    return value


def optional_text(obj: Mapping[str, Any], key: str, where: str) -> str | None:
    """A string, or None when absent, null or empty: the venue writes "" for "none"."""
    value = obj.get(key)
    if value is None:
        return None
    if not isinstance(value, str):
        raise MalformedField(f"{where}.{key}", value, "a string")
    return value or None


def integer(obj: Mapping[str, Any], key: str, where: str) -> int:
    value = need(obj, key, where)
    if isinstance(value, bool) or not isinstance(value, int):
        raise MalformedField(f"{where}.{key}", value, "an integer")
    return value


def optional_integer(obj: Mapping[str, Any], key: str, where: str) -> int | None:
    return None if obj.get(key) is None else integer(obj, key, where)


def flag(obj: Mapping[str, Any], key: str, where: str) -> bool:
    value = need(obj, key, where)
    if not isinstance(value, bool):
        raise MalformedField(f"{where}.{key}", value, "true or false")
    return value


def number(obj: Mapping[str, Any], key: str, where: str) -> float:
    value = need(obj, key, where)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise MalformedField(f"{where}.{key}", value, "a number")
    return float(value)


def price(obj: Mapping[str, Any], key: str, where: str) -> Price:
    return parse_price(need(obj, key, where), f"{where}.{key}")


def count(obj: Mapping[str, Any], key: str, where: str) -> Count:
    return parse_count(need(obj, key, where), f"{where}.{key}")


def size(obj: Mapping[str, Any], key: str, where: str) -> Count:
    """A count that cannot be negative."""
    value = count(obj, key, where)
    if value < 0:
        raise MalformedField(f"{where}.{key}", obj[key], "zero or more contracts")
    return value


def cents(obj: Mapping[str, Any], key: str, where: str) -> int:
    """An integer of cents, in 1/10 000 dollar. The few fields that stayed in cents: kalshi.md section 6."""
    return integer(obj, key, where) * _CENT


def book_side(obj: Mapping[str, Any], where: str) -> Side:
    """The direction, from `book_side` only.

    The legacy `side` and `action` mean different things on orders and on fills (kalshi.md 2.3, LEGACY TRAP).
    """
    value = text(obj, "book_side", where)
    side = _SIDES.get(value)
    if side is None:
        raise UnknownValue(f"{where}.book_side", value, tuple(_SIDES))
    return side


def ms(obj: Mapping[str, Any], key: str, where: str) -> Nanos:
    return from_ms(integer(obj, key, where))


def timestamp(value: object, where: str) -> Nanos:
    """RFC 3339 with an offset to nanoseconds; digits beyond the ninth are dropped. Raises MalformedField."""
    match = _RFC3339.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise MalformedField(where, value, "an RFC 3339 time")
    try:
        moment = datetime.fromisoformat(match["date"] + match["zone"]).astimezone(UTC)
    except (ValueError, OverflowError):
        raise MalformedField(where, value, "an RFC 3339 time") from None
    fraction = (match["fraction"] or "").ljust(9, "0")
    return Nanos(int(moment.timestamp()) * SECOND + int(fraction))


def time_at(obj: Mapping[str, Any], key: str, where: str) -> Nanos:
    return timestamp(need(obj, key, where), f"{where}.{key}")


def optional_time(obj: Mapping[str, Any], key: str, where: str) -> Nanos | None:
    return None if obj.get(key) in (None, "") else time_at(obj, key, where)


# Order books repeat a few hundred price and size strings; parsing through Decimal each time costs more than the JSON.
# Bounded: least recently used entries leave. Errors are not cached.
@lru_cache(maxsize=16_384)
def book_price(wire: str) -> Price:
    return parse_price(wire, "price_dollars")


@lru_cache(maxsize=65_536)
def book_count(wire: str) -> Count:
    return parse_count(wire, "count_fp")


def each[T](items: object, decode: Callable[[Json], T], where: str) -> list[T]:
    """Decode every object of an array; the first one that is malformed fails the whole, with its position."""
    out: list[T] = []
    for position, item in enumerate(as_array(items, where)):
        try:
            out.append(decode(as_object(item, where)))
        except MalformedData as problem:
            raise MalformedField(f"{where}[{position}]", str(problem), "what the schema says") from problem
    return out
