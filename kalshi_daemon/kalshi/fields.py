"""Readers of single JSON fields: strict about missing and mistyped ones, silent about keys we do not know.

Every reader takes the object, the key and the place (for the error) and raises MissingField when the key is absent or
null, MalformedField when the value is of another kind or beyond its bounds (`ground.readers`: one grammar for all that
comes from outside). JSON numbers are never accepted where the venue sends strings: a number there means that we
talk to something else than we believe (docs/reference/venue.md 9).
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground import readers
from kalshi_daemon.ground.errors import (
    MalformedData,
    MalformedField,
    MissingField,
    PartlyUnreadable,
    UnknownValue,
    UnreadableRecord,
)
from kalshi_daemon.ground.units import DOLLARS_MAX, Count, Nanos, Price, parse_count, parse_price, parse_size

type Json = dict[str, Any]

_SIDES = {"bid": Side.BID, "ask": Side.ASK}
_CENT = 100
"""1 cent = 100 x 1/10 000 dollar."""
TEXT_CHARS_MAX: Final = 2_000


def loads(raw: bytes | str, where: str) -> Any:  # noqa: ANN401 - any JSON value; the readers below narrow it
    """Parse JSON in which every object names each key once. Raises MalformedField naming `where`."""
    return readers.parse_json(raw, where)


def as_object(value: object, where: str) -> Json:
    """A JSON object. Raises MalformedField."""
    if not isinstance(value, dict):
        raise MalformedField(where, value, "an object")
    return value


def as_array(value: object, where: str) -> list[Any]:
    """A JSON array. Raises MalformedField."""
    if not isinstance(value, list):
        raise MalformedField(where, value, "an array")
    return value


def need(obj: Mapping[str, Any], key: str, where: str) -> Any:  # noqa: ANN401 - narrowed by the caller
    """A field that must be there and not null. Raises MissingField."""
    value = obj.get(key)
    if value is None:
        raise MissingField(key, where)
    return value


def text(obj: Mapping[str, Any], key: str, where: str) -> str:
    """A string that is not empty, of at most TEXT_CHARS_MAX characters. Raises MalformedField and MissingField."""
    value = need(obj, key, where)
    if not isinstance(value, str) or not 0 < len(value) <= TEXT_CHARS_MAX:
        raise MalformedField(f"{where}.{key}", value, f"a string of 1 to {TEXT_CHARS_MAX} characters")
    return value


def optional_text(obj: Mapping[str, Any], key: str, where: str) -> str | None:
    """A string, or None when absent, null or empty: the venue writes "" for "none"."""
    return None if obj.get(key) in (None, "") else text(obj, key, where)


def identifier(obj: Mapping[str, Any], key: str, where: str) -> str:
    """A ticker or an id of the one form they have (`readers.identifier`)."""
    return readers.identifier(need(obj, key, where), f"{where}.{key}")


def optional_identifier(obj: Mapping[str, Any], key: str, where: str) -> str | None:
    """An id, or None when absent, null or empty: orders placed by hand have no client order id."""
    return None if obj.get(key) in (None, "") else identifier(obj, key, where)


def integer(obj: Mapping[str, Any], key: str, where: str, *, high: int = readers.INT64_MAX) -> int:
    """An integer from 0 to `high`: nothing the venue counts or numbers is negative."""
    return readers.integer(need(obj, key, where), f"{where}.{key}", high=high)


def optional_integer(obj: Mapping[str, Any], key: str, where: str) -> int | None:
    """An integer, or None where it is absent or null. Raises MalformedField."""
    return None if obj.get(key) is None else integer(obj, key, where)


def flag(obj: Mapping[str, Any], key: str, where: str) -> bool:
    """A boolean that must be there. Raises MalformedField and MissingField."""
    value = need(obj, key, where)
    if not isinstance(value, bool):
        raise MalformedField(f"{where}.{key}", value, "true or false")
    return value


def number(obj: Mapping[str, Any], key: str, where: str, *, high: float) -> float:
    """A number from 0 to `high`, integer or not."""
    return readers.finite(need(obj, key, where), f"{where}.{key}", low=0.0, high=high)


def price(obj: Mapping[str, Any], key: str, where: str) -> Price:
    """A price in dollars as text, in 1/10 000 dollar. Raises MalformedField and MissingField."""
    return parse_price(need(obj, key, where), f"{where}.{key}")


def count(obj: Mapping[str, Any], key: str, where: str) -> Count:
    """A number of contracts as text, in 1/100 contract. Raises MalformedField and MissingField."""
    return parse_count(need(obj, key, where), f"{where}.{key}")


def size(obj: Mapping[str, Any], key: str, where: str) -> Count:
    """A count that cannot be negative: a minus is no part of it, not even before a zero."""
    return parse_size(need(obj, key, where), f"{where}.{key}")


def cents(obj: Mapping[str, Any], key: str, where: str) -> int:
    """An integer of cents, in 1/10 000 dollar. The few fields that stayed in cents: docs/reference/venue.md 6."""
    low, high = -DOLLARS_MAX // _CENT, DOLLARS_MAX // _CENT
    return readers.integer(need(obj, key, where), f"{where}.{key}", low=low, high=high) * _CENT


def book_side(obj: Mapping[str, Any], where: str) -> Side:
    """The direction, from `book_side` only.

    The legacy `side` and `action` mean different things on orders and on fills (docs/reference/venue.md 2.3).
    Raises UnknownValue and MissingField.
    """
    value = text(obj, "book_side", where)
    side = _SIDES.get(value)
    if side is None:
        raise UnknownValue(f"{where}.book_side", value, tuple(_SIDES))
    return side


def ms(obj: Mapping[str, Any], key: str, where: str) -> Nanos:
    """Unix milliseconds, from 2020 to 2100."""
    return Nanos(readers.epoch_ms(need(obj, key, where), f"{where}.{key}"))


def seconds(obj: Mapping[str, Any], key: str, where: str) -> Nanos:
    """Unix seconds, from 2020 to 2100."""
    return Nanos(readers.epoch_s(need(obj, key, where), f"{where}.{key}"))


def timestamp(value: object, where: str) -> Nanos:
    """RFC 3339 with an offset to nanoseconds, from 2020 to 2100. Raises MalformedField."""
    return Nanos(readers.rfc3339(value, where))


def time_at(obj: Mapping[str, Any], key: str, where: str) -> Nanos:
    """A time, in nanoseconds since 1970. Raises MalformedField and MissingField."""
    return timestamp(need(obj, key, where), f"{where}.{key}")


def optional_time(obj: Mapping[str, Any], key: str, where: str) -> Nanos | None:
    """A time, or None where it is absent, null or empty. Raises MalformedField."""
    return None if obj.get(key) in (None, "") else time_at(obj, key, where)


# Order books repeat a few hundred price and size strings; parsing through Decimal each time costs more than the JSON.
# Bounded: least recently used entries leave. Errors are not cached.
@lru_cache(maxsize=16_384)
def book_price(wire: str) -> Price:
    """The price of a book level, in 1/10 000 dollar. Raises MalformedField."""
    return parse_price(wire, "price_dollars")


@lru_cache(maxsize=65_536)
def book_count(wire: str) -> Count:
    """The size of a book level, in 1/100 contract. Raises MalformedField."""
    return parse_count(wire, "count_fp")


def each[T](items: object, decode: Callable[[Json], T], where: str) -> list[T]:
    """Decode every object of an array. Raises PartlyUnreadable, with all that could be read, when some could not."""
    out: list[T] = []
    unreadable: list[UnreadableRecord] = []
    for position, item in enumerate(as_array(items, where)):
        try:
            out.append(decode(as_object(item, where)))
        except MalformedData as problem:
            unreadable.append(UnreadableRecord(_place(item, position, where), market_of(item), str(problem)))
    if unreadable:
        raise PartlyUnreadable(where, out, unreadable)
    return out


def _place(item: object, position: int, where: str) -> str:
    """A record's name: by its own id where that can be read, for positions move from one listing to the next."""
    if isinstance(item, dict):
        for key in ("trade_id", "order_id"):
            if name := readers.named(item.get(key)):
                return f"{where} {key} {name}"
    return f"{where}[{position}]"


def market_of(item: object) -> str:
    """The market a record or message speaks of, whatever else is in it; "" when it cannot be told."""
    if not isinstance(item, dict):
        return ""
    return readers.named(item.get("ticker") or item.get("market_ticker"))
