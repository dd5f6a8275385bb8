"""Inputs that are almost right: a valid document in which one to three values are not, written as text.

Values no serialiser would write (a number with an exponent, a repeated key, NaN) are put in as text.
"""

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

BYTES_MAX: Final = 200_000

_NUMBERS: Final = (
    "0", "-0", "1", "-1", "1.5", "-0.5", "1e2", "1E-2", "1e400", "-1e400", "NaN", "Infinity", "-Infinity", "1e-9",
    "6850", "6850.25", "68.5", "685000", "0.0001", "999999.99", "1000001", "9e15", "9007199254740993",
    "9223372036854775807", "9223372036854775808", "-9223372036854775808", "18446744073709551616", "1" + "0" * 40,
    "1795446000", "1795446000000", "1795446000000000", "1795446000000000000", "-62135596800", "00", "01", "+1", ".5",
    "5.", "1_000", "0x10",
)  # fmt: skip
_TEXTS: Final = (
    "", " ", "0", "1", "0.5", "0.4200", "0.42005", "0.420050", "1.0000", "1.0001", "-0.5", "-0", "+0.5", " 0.5", "0.5 ",
    "0_5", "0.5_0", "1e-1", "5E-1", "NaN", "nan", "Infinity", "-inf", ".5", "5.", "00.5", "0x1", "0,5", "0.5\n",
    "\u0660.\u0665", "\uff10.\uff15", "0.5\u00a0", "1.00", "1.001", "99999999999999999.00", "2.00", "-2.00",
    "92233720368547758.07", "92233720368547758.08", "6850.01", "9e15", "1" * 30, "0." + "3" * 30,
    "2026-11-23T16:00:00Z", "2026-11-23T16:00:00.123456789Z", "2026-11-23T11:00:00-05:00", "2026-11-23 16:00:00Z",
    "2026-11-23T16:00:00", "2026-11-23", "1970-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-14:00", "2026-02-30T00:00:00Z", "2026-11-23T24:00:00Z",
    "2026-11-23T16:00:60Z", "2019-12-31T23:59:59Z", "2100-01-01T00:00:00Z", "\u0662026-11-23T16:00:00Z",
    "yes", "no", "bid", "ask", "active", "resting", "executed", "scalar", "void", "I:SPX", "I:NDX", "I:VIX",
    "KXINXU-26NOV23H1100-T6849.9999", "KXOTHER-26NOV23-T1", "x" * 300, "\u0000",
)  # fmt: skip
_OTHERS: Final = ("null", "true", "false", "[]", "{}", "[[]]", '{"a":1}', "[null]", '"\\ud800"', "[" * 40 + "]" * 40)
POISONS: Final = (*_NUMBERS, *(json.dumps(text) for text in _TEXTS), *_OTHERS)
"""Texts that may stand where a value stands; some of them are no JSON at all."""


@dataclass(frozen=True, slots=True)
class Raw:
    """Text that stands for itself."""

    text: str


class Doubled(dict[str, Any]):
    """An object whose key `twice` is written a second time, with the value `again`."""

    twice: str = ""
    again: Any = None


def written(value: Any) -> str:
    """JSON with Raw and Doubled in it."""
    if isinstance(value, Raw):
        return value.text
    if isinstance(value, dict):
        pairs = [f"{json.dumps(key)}:{written(one)}" for key, one in value.items()]
        if isinstance(value, Doubled):
            pairs.append(f"{json.dumps(value.twice)}:{written(value.again)}")
        return "{" + ",".join(pairs) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(written, value)) + "]"
    return json.dumps(value)


def bent(rng: random.Random, value: Any) -> Any:
    """A value near `value`: another unit, one character more, a sign, an exponent."""
    if isinstance(value, bool) or value is None:
        return Raw(rng.choice(POISONS))
    if isinstance(value, int):
        return rng.choice((value * 1000, value // 1000, -value, value + 1, value * 10, float(value), str(value)))
    if isinstance(value, float):
        return rng.choice((value * 10, value / 10, -value, value * 1.01, str(value), Raw(f"{value}e2"), int(value)))
    if isinstance(value, str):
        at = rng.randint(0, len(value))
        drawn = rng.choice(("0", "9", "-", "+", " ", "_", ".", "e1", "\u0663", "\n", "T", "Z", "x"))
        return rng.choice((value[:at] + drawn + value[at:], value[:at] + value[at + 1 :], value + drawn, drawn + value))
    return Raw(rng.choice(POISONS))


def mutated(rng: random.Random, tree: Any) -> bytes:
    """`tree`, which is not changed, with one to three faults, as bytes."""
    root = [_copied(tree)]
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        _fault(rng, root)
    data = written(root[0]).encode(errors="surrogatepass")
    return noise(rng, data) if rng.random() < 0.03 else data


def noise(rng: random.Random, data: bytes) -> bytes:
    """A byte changed, some cut off, or some said twice."""
    if not data:
        return bytes([rng.randrange(256)])
    at = rng.randrange(len(data))
    until = min(len(data), at + rng.randint(1, 16))
    turn = rng.random()
    if turn < 0.5:
        return data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]
    return data[:at] + data[until:] if turn < 0.8 else data[:until] + data[at:]


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(one) for key, one in value.items()}
    return [_copied(one) for one in value] if isinstance(value, list) else value


def _places(node: Any, found: list[tuple[Any, Any]]) -> None:
    keys: Sequence[Any] = list(node) if isinstance(node, dict) else range(len(node))
    for key in keys:
        found.append((node, key))
        if isinstance(node[key], (dict, list)):
            _places(node[key], found)


def _fault(rng: random.Random, root: list[Any]) -> None:
    found: list[tuple[Any, Any]] = []
    _places(root, found)
    parent, key = rng.choice(found)
    fault = rng.choice(_FAULTS)
    (_null if parent is root and fault is _leave_out else fault)(rng, parent, key)


def _replace(rng: random.Random, parent: Any, key: Any) -> None:
    parent[key] = Raw(rng.choice(POISONS))


def _bend(rng: random.Random, parent: Any, key: Any) -> None:
    parent[key] = bent(rng, parent[key])


def _leave_out(rng: random.Random, parent: Any, key: Any) -> None:
    del parent[key]


def _null(rng: random.Random, parent: Any, key: Any) -> None:
    parent[key] = None


def _twice(rng: random.Random, parent: Any, key: Any) -> None:
    """A list names an item twice, an object a key."""
    if isinstance(parent, list):
        parent.insert(rng.randint(0, len(parent)), _copied(parent[key]))
    elif isinstance(parent[key], dict) and parent[key] and not isinstance(parent[key], Doubled):
        doubled = Doubled(parent[key])
        doubled.twice = rng.choice(list(doubled))
        doubled.again = rng.choice((doubled[doubled.twice], Raw(rng.choice(POISONS))))
        parent[key] = doubled


_FAULTS: Final[tuple[Callable[[random.Random, Any, Any], None], ...]] = (
    _replace, _replace, _replace, _bend, _bend, _bend, _leave_out, _null, _twice, _twice,
)  # fmt: skip
