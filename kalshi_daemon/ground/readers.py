"""Strict readers of numbers, times and JSON from outside: one grammar for REST, websocket, listing and index feed.

A plausible shape is not yet a plausible value: every reader bounds the length of what it reads before it computes
with it, and the range of what comes out, so that nothing read here can hold the loop, overflow a column of the journal,
or be of another unit than its name says. All raise MalformedField with the field's name and nothing else.

| form    | accepted                                                                                        |
|---------|-------------------------------------------------------------------------------------------------|
| decimal | a string of ASCII digits with at most one point; a minus where the field may be negative         |
| integer | a JSON integer within the field's range, at most 64 bits                                         |
| time    | RFC 3339 with an offset, or an epoch in the unit the field has; from 2020 to 2100                 |
| level   | a JSON number or a decimal string, above 0 and at most LEVEL_MAX                                  |
| id      | 1 to ID_CHARS_MAX printable ASCII characters without white space                                  |
| JSON    | RFC 8259 without repeated keys, at most JSON_DEPTH_MAX deep                                       |

Exponents, NaN, infinities, underscores, plus signs, white space and digits of other scripts are in none of them.
"""

import math
import re
from datetime import UTC, datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from enum import Enum
from typing import Any, Final

import orjson

from kalshi_daemon.ground.errors import MalformedField

INT64_MAX: Final = 2**63 - 1
"""The widest integer the journal (SQLite) can hold."""
LEVEL_MAX: Final = 10_000_000_000
"""A million index points, in 1/10 000 point: twenty times the highest index quoted anywhere on the venue."""
LEVEL_SCALE: Final = 10_000
TIME_MIN_NS: Final = 1_577_836_800 * 1_000_000_000
"""2020-01-01, before the venue existed. An epoch in a smaller unit read as a larger one lies below."""
TIME_MAX_NS: Final = 4_102_444_800 * 1_000_000_000
"""2100-01-01. An epoch in a larger unit read as a smaller one lies above."""
JSON_DEPTH_MAX: Final = 32
ID_CHARS_MAX: Final = 200
"""Tickers, order ids, trade ids: the longest seen has 48 characters (docs/reference/venue.md 7)."""

_DECIMAL: Final = re.compile(r"(-?)([0-9]{1,15})(?:\.([0-9]{1,9}))?", re.ASCII)
_ID: Final = re.compile(rf"[!-~]{{1,{ID_CHARS_MAX}}}", re.ASCII)
_INTEGER: Final = re.compile(r"-?[0-9]{1,19}", re.ASCII)
_RFC3339: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9})[0-9]{0,9})?"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})",
    re.ASCII,
)
# A string, and whether a colon makes it a key. Strings are consumed whole, so that what one contains is never counted.
_SPACE_AFTER_QUOTE: Final = (b'" ', b'"\n', b'"\t', b'"\r')
_STRING_OR_KEY: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"([ \t\r\n]*:)?', re.DOTALL)


class Rounding(Enum):
    """What becomes of digits finer than the unit."""

    EXACT = "exact"
    UP = ROUND_CEILING
    DOWN = ROUND_FLOOR


def scaled_decimal(
    value: object,
    field: str,
    *,
    decimals: int,
    low: int,
    high: int,
    rounding: Rounding = Rounding.EXACT,
    finest: int = 9,
) -> int:
    """A decimal string as an integer of 10**-`decimals`, within `low`..`high` (in that unit, both included).

    A minus is part of the grammar only when `low` is negative. Finer digits are refused, or rounded as `rounding`
    says; more than `finest` decimals are refused whatever they are, for the field has no more. Raises
    MalformedField.
    """
    match = _DECIMAL.fullmatch(value) if isinstance(value, str) else None
    if match is None or (match[1] and low >= 0):
        raise MalformedField(field, value, "a decimal string")
    sign, whole, fraction = match[1], match[2], match[3] or ""
    finer = fraction[decimals:].strip("0")
    size = int(whole + fraction[:decimals].ljust(decimals, "0"))
    if len(fraction) > max(finest, decimals):
        raise MalformedField(field, value, f"a decimal of at most {finest} decimals")
    if finer and rounding is Rounding.EXACT:
        raise MalformedField(field, value, f"a decimal of at most {decimals} decimals")
    number = -size if sign else size
    if finer and (rounding is Rounding.UP) != bool(sign):
        number += 1 if rounding is Rounding.UP else -1
    if not low <= number <= high:
        raise MalformedField(field, value, f"from {_plain(low, decimals)} to {_plain(high, decimals)}")
    return number


def integer(value: object, field: str, *, low: int = 0, high: int = INT64_MAX) -> int:
    """A JSON integer within `low`..`high`; booleans and floats are none. Raises MalformedField."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise MalformedField(field, value, "an integer")
    if not low <= value <= high:
        raise MalformedField(field, value, f"an integer from {low} to {high}")
    return value


def finite(value: object, field: str, *, low: float, high: float) -> float:
    """A JSON number, integer or not, within `low`..`high`. Raises MalformedField."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise MalformedField(field, value, "a number")
    if not low <= value <= high:  # refuses NaN too; integers compare exactly, whatever their size
        raise MalformedField(field, value, f"a number from {low} to {high}")
    return float(value)


def integer_text(text: str, field: str, *, low: int = -INT64_MAX, high: int = INT64_MAX) -> int:
    """A decimal integer written as text, as in an environment variable or an argument.

    Within `low`..`high`, both included. Raises MalformedField.
    """
    if not _INTEGER.fullmatch(text):
        raise MalformedField(field, text, "an integer")
    return integer(int(text), field, low=low, high=high)


def number_text(text: str, field: str) -> float:
    """A decimal number written as text: digits with at most one point, a minus where it is negative.

    Raises MalformedField.
    """
    if not _DECIMAL.fullmatch(text):
        raise MalformedField(field, text, "a decimal number")
    return float(text)


def identifier(value: object, field: str) -> str:
    """A ticker or an id: printable ASCII characters without white space. Raises MalformedField."""
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise MalformedField(field, value, f"an id of 1 to {ID_CHARS_MAX} printable ASCII characters")
    return value


def named(value: object) -> str:
    """`value` when it can be an id, "" when it cannot: for saying which record a complaint is about."""
    return value if isinstance(value, str) and _ID.fullmatch(value) else ""


def level(value: object, field: str) -> int:
    """An index level or strike, a JSON number or a decimal string, in 1/10 000 point, rounded half to even.

    Numbers carry the noise of binary fractions (7844.999900000001 has been seen) and are rounded; strings are
    exact. Raises MalformedField.
    """
    if isinstance(value, str):
        return scaled_decimal(value, field, decimals=4, low=1, high=LEVEL_MAX)
    number = finite(value, field, low=0.0, high=LEVEL_MAX / LEVEL_SCALE)
    scaled = int((Decimal(repr(number)) * LEVEL_SCALE).to_integral_value(rounding=ROUND_HALF_EVEN))
    if scaled < 1:
        raise MalformedField(field, value, "above 0")
    return scaled


def level_points(value: object, field: str) -> float:
    """An index value of the feed, a JSON number of points above 0. Raises MalformedField."""
    number = finite(value, field, low=0.0, high=LEVEL_MAX / LEVEL_SCALE)
    if not number > 0.0 or not math.isfinite(number):
        raise MalformedField(field, value, "above 0")
    return number


def epoch_ms(value: object, field: str) -> int:
    """Unix milliseconds in nanoseconds."""
    return _epoch(value, field, 1_000_000, "milliseconds")


def epoch_ns(value: object, field: str) -> int:
    """Unix nanoseconds."""
    return _epoch(value, field, 1, "nanoseconds")


def epoch_s(value: object, field: str) -> int:
    """Unix seconds in nanoseconds."""
    return _epoch(value, field, 1_000_000_000, "seconds")


def rfc3339(value: object, field: str) -> int:
    """RFC 3339 with an offset, in nanoseconds; digits beyond the ninth are dropped. Raises MalformedField."""
    match = _RFC3339.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise MalformedField(field, value, "an RFC 3339 time")
    try:
        moment = datetime.fromisoformat(f"{match[1]}T{match[2]}{match[4].upper()}").astimezone(UTC)
    except (ValueError, OverflowError):
        raise MalformedField(field, value, "an RFC 3339 time") from None
    ns = int(moment.timestamp()) * 1_000_000_000 + int((match[3] or "").ljust(9, "0"))
    return _in_time(ns, value, field)


def parse_json(raw: bytes | str, where: str) -> Any:  # noqa: ANN401 - any JSON value; the callers narrow it
    """JSON whose objects name each key once, at most JSON_DEPTH_MAX deep.

    Parsers keep the last of two equal keys without a word (orjson 3.11 and json both): a message that says two
    things is not one to trade on. The keys written are counted in the bytes and compared with the keys that came
    out. Raises MalformedField.
    """
    try:
        parsed = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise MalformedField(where, raw[:80], "JSON") from None
    data = raw if isinstance(raw, bytes) else raw.encode()
    keys = _keys(parsed, where)
    if not _each_once_at_a_glance(data, keys) and sum(map(bool, _STRING_OR_KEY.findall(data))) != keys:
        raise MalformedField(where, raw[:80], "JSON with each key once")
    return parsed


def _each_once_at_a_glance(data: bytes, keys: int) -> bool:
    """Where no white space follows a quote, every written key leaves one `":`; as many as came out are all there were.

    Other places may leave one too (a string that begins with a colon): then the count is higher, and says nothing.
    """
    if data.count(b'":') != keys:
        return False
    for space in _SPACE_AFTER_QUOTE:  # noqa: SIM110 - no generator: this is asked of every frame
        if space in data:
            return False
    return True


def _keys(parsed: object, where: str) -> int:
    """How many keys all objects of a parsed value have together."""
    keys = 0
    layer = [parsed]
    for _ in range(JSON_DEPTH_MAX):
        below: list[object] = []
        for node in layer:  # every frame passes here: types are compared, which a parser's own types allow
            kind = type(node)
            if kind is dict:
                keys += len(node)  # type: ignore[arg-type]
                children = node.values()  # type: ignore[attr-defined]
            elif kind is list:
                children = node
            else:
                continue
            below += [child for child in children if type(child) is dict or type(child) is list]
        if not below:
            return keys
        layer = below
    raise MalformedField(where, f"over {JSON_DEPTH_MAX} levels", f"JSON at most {JSON_DEPTH_MAX} levels deep")


def _epoch(value: object, field: str, unit_ns: int, unit: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise MalformedField(field, value, f"a Unix time in {unit}, an integer")
    return _in_time(value * unit_ns, value, field, f"a Unix time in {unit} from 2020 to 2100")


def _in_time(ns: int, value: object, field: str, wanted: str = "a time from 2020 to 2100") -> int:
    if not TIME_MIN_NS <= ns < TIME_MAX_NS:
        raise MalformedField(field, value, wanted)
    return ns


def _plain(number: int, decimals: int) -> str:
    sign, size = "-" if number < 0 else "", abs(number)
    return f"{sign}{size // 10**decimals}.{size % 10**decimals:0{decimals}d}" if decimals else f"{number}"
