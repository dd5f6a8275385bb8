"""Wrong numbers, drawn: any number of any answer, frame or event becomes something that is none, or of another unit."""

import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from kalshi_daemon.simulator.exchange.poison import Poison

type Place = tuple[str | int, ...]
"""Where a value stands: keys and positions from the root."""
Bend = Callable[[random.Random, Any], "object | None"]
"""What a number becomes; `Raw` for text that JSON cannot say; None: this one is left alone."""

_DECIMAL = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T")
_MARK = "simulation:6e1d0c"
_QUOTED = orjson.dumps(_MARK)


@dataclass(frozen=True, slots=True)
class Raw:
    """Text in place of a JSON value."""

    text: str


NONSENSE: tuple[object, ...] = (
    *(Raw(text) for text in ("NaN", "Infinity", "1e400", "-1e400", "9" * 40, "-9223372036854775809", "0.1e-7")),
    *("NaN", "inf", "1e2", "0x10", "1_0", "+1", " 1", "1 ", "\u0663", "\uff11", "", "-", ".", "1.2.3", "9" * 60),
    *("0001-01-01T00:00:00Z", "2026-13-01T00:00:00Z", "9999-12-31T23:59:60Z", True, [], {}, "null"),
)
"""Nothing here is a number, a price, a count or a time that a venue or a vendor may send."""


def nonsense(rng: random.Random, _value: Any) -> object:
    return rng.choice(NONSENSE)


def other_unit(rng: random.Random, value: Any) -> object | None:
    """A time stamp in seconds, milliseconds, microseconds or nanoseconds instead of what it is; None for others."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1_000_000_000:
        return None
    seconds = value
    while seconds >= 10_000_000_000:
        seconds //= 1_000
    forms = [seconds * unit for unit in (1, 1_000, 1_000_000, 1_000_000_000)]
    return rng.choice([form for form in forms if not value // 2 < form < value * 2])


def numbers(body: Any, place: Place = ()) -> Iterator[tuple[Place, Any]]:
    """Every number and time of a JSON value, also those written as text, with its place."""
    if isinstance(body, dict | list):
        for key, value in body.items() if isinstance(body, dict) else enumerate(body):
            yield from numbers(value, (*place, key))
    elif (isinstance(body, int | float) and not isinstance(body, bool)) or (
        isinstance(body, str) and (_DECIMAL.fullmatch(body) or _TIME.match(body))
    ):
        yield place, body


def put(body: Any, place: Place, value: object) -> Any:
    """The same JSON value with another one at that place."""
    if not place:
        return value
    copy: Any = dict(body) if isinstance(body, dict) else list(body)
    copy[place[0]] = put(copy[place[0]], place[1:], value)
    return copy


@dataclass(slots=True)
class DrawnPoison(Poison):
    """A poison that draws its place and what stands there for each answer, frame or event anew."""

    rng: random.Random = field(default_factory=lambda: random.Random(0))
    bend: Bend = nonsense
    fields: set[str] = field(default_factory=set)
    """Names of the fields it has hit."""

    def apply(self, body: Any) -> bytes | None:
        found = [(place, bent) for place, value in numbers(body) if (bent := self.bend(self.rng, value)) is not None]
        if not found:
            return None
        place, bent = self.rng.choice(found)
        self.hits += 1
        self.fields.add(next((str(key) for key in reversed(place) if isinstance(key, str)), ""))
        if isinstance(bent, Raw):
            return orjson.dumps(put(body, place, _MARK)).replace(_QUOTED, bent.text.encode())
        return orjson.dumps(put(body, place, bent))
