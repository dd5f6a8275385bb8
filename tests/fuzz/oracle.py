"""What may be accepted, written down a second time and without the product's readers: RFCs, the venue's schema, sense.

It judges in one direction only. Refused is raised for what must not be accepted; nothing follows from its silence.
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from math import isfinite
from typing import Any, Final

INT64: Final = 2**63 - 1
_DECIMAL: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_TIME: Final = re.compile(
    r"(20[2-9][0-9])-([0-9]{2})-([0-9]{2})[Tt]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.[0-9]{1,18})?"
    r"(?:[Zz]|[+-]([0-9]{2}):([0-9]{2}))"
)
_YEAR_2020_S: Final = int(datetime(2020, 1, 1, tzinfo=UTC).timestamp())
_YEAR_2100_S: Final = int(datetime(2100, 1, 1, tzinfo=UTC).timestamp())
_LENGTH_MAX: Final = 32
_DEPTH_MAX: Final = 32
_LEVEL_MAX: Final = 1_000_000
"""Points; no index quoted on the venue comes near."""


class Refused(Exception):  # noqa: N818 - a verdict
    """This must not be accepted."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Refused("a key twice")
    return found


def _no_number(text: str) -> Any:
    raise Refused(f"{text} is no number")


def document(raw: bytes) -> Any:
    """RFC 8259 with unique keys, not absurdly deep."""
    try:
        found = json.loads(raw.decode(), object_pairs_hook=_once, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise Refused("no JSON") from None
    if _depth(found) > _DEPTH_MAX:
        raise Refused("too deep")
    return found


def _depth(value: Any) -> int:
    below = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(_depth, below), default=0) if isinstance(value, (dict, list)) else 0


def must(true: bool, why: str) -> None:
    if not true:
        raise Refused(why)


def thing(value: Any) -> Mapping[str, Any]:
    must(isinstance(value, dict), "no object")
    found: Mapping[str, Any] = value
    return found


def text(value: Any) -> str:
    must(isinstance(value, str) and value != "", "no text")
    return str(value)


def optional_text(value: Any) -> None:
    must(value is None or isinstance(value, str), "no text")


def decimal(value: Any, decimals: int, low: Decimal | int, high: Decimal | int) -> Decimal:
    must(isinstance(value, str) and len(value) <= _LENGTH_MAX, "no short text")
    must(_DECIMAL.fullmatch(value) is not None, "no decimal")
    number = Decimal(value)
    fraction = value.partition(".")[2].rstrip("0")
    must(len(fraction) <= decimals, "too fine")
    must(low <= number <= high and not (low == 0 and value.startswith("-")), "out of range")
    return number


def price(value: Any) -> Decimal:
    return decimal(value, 4, 0, 1)


_CENTICOUNTS: Final = Decimal(INT64) / 100
_MONEY: Final = Decimal(INT64) / 10_000


def size(value: Any) -> Decimal:
    return decimal(value, 2, 0, _CENTICOUNTS)


def count(value: Any) -> Decimal:
    return decimal(value, 2, -_CENTICOUNTS, _CENTICOUNTS)


def money(value: Any) -> Decimal:
    return decimal(value, 6, -_MONEY, _MONEY)


def whole(value: Any, low: int = 0, high: int = INT64) -> int:
    must(isinstance(value, int) and not isinstance(value, bool), "no integer")
    must(low <= value <= high, "out of range")
    return int(value)


def cents(value: Any) -> None:
    whole(value, -(INT64 // 100), INT64 // 100)


def flag(value: Any) -> None:
    must(isinstance(value, bool), "neither true nor false")


def seconds(value: Any) -> None:
    must(_YEAR_2020_S <= whole(value) < _YEAR_2100_S, "no time in seconds")


def milliseconds(value: Any) -> None:
    must(_YEAR_2020_S * 1000 <= whole(value) < _YEAR_2100_S * 1000, "no time in milliseconds")


def rfc3339(value: Any) -> None:
    must(isinstance(value, str), "no text")
    found = _TIME.fullmatch(value)
    must(found is not None, "no time of this century")
    assert found is not None
    try:
        datetime(*(int(part) for part in found.groups()[:6]), tzinfo=UTC)  # type: ignore[misc, arg-type] # six integers
    except ValueError:
        raise Refused("no such instant") from None
    must(int(found[7] or 0) < 24 and int(found[8] or 0) < 60, "no such offset")


def number(value: Any, low: float, high: float) -> float:
    must(isinstance(value, (int, float)) and not isinstance(value, bool), "no number")
    must(not isinstance(value, float) or isfinite(value), "not finite")
    must(low <= value <= high, "out of range")
    return float(value)


def level(value: Any) -> None:
    if isinstance(value, str):
        must(decimal(value, 4, 0, _LEVEL_MAX) > 0, "no level")
    else:
        must(number(value, 0.0, _LEVEL_MAX) > 0.0, "no level")


def points(value: Any) -> None:
    must(number(value, 0.0, _LEVEL_MAX) > 0.0, "no level")


def among(*known: str) -> Any:
    def one_of(value: Any) -> None:
        must(isinstance(value, str) and value in known, "unknown")

    return one_of


def maybe(check: Any, *nothing: Any) -> Any:
    """`check`, or absent, null or one of `nothing`."""

    def judged(value: Any) -> None:
        if value is not None and not any(type(value) is type(one) and value == one for one in nothing):
            check(value)

    return judged


def fields(obj: Any, checks: Mapping[str, Any]) -> Mapping[str, Any]:
    """Every named field by its check; an absent one is judged as None."""
    found = thing(obj)
    for name, check in checks.items():
        try:
            check(found.get(name))
        except Refused as verdict:
            raise Refused(f"{name}: {verdict}") from None
    return found
