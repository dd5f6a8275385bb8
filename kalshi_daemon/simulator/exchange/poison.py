"""One field of an answer, a frame or an event replaced by something it should never hold. Plain data and pure code.

A value that JSON can carry is given as `value`; one that Python's JSON cannot write (`1e400`, a duplicate key's second
value, an unquoted word) is given as `raw`, the very text that stands in its place.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any, Final

import orjson

_MARK: Final = "poison:8b1f0d5c"
_QUOTED: Final = orjson.dumps(_MARK)


@dataclass(slots=True)
class Poison:
    """`field`, at every depth, becomes `value` (or the text `raw`).

    of: only in objects that hold this text as one of their values (a ticker, an order id); "" for all.
    item: only the n-th place found, counted from 1; 0 for all.
    """

    field: str
    value: Any = None
    raw: str = ""
    of: str = ""
    item: int = 0
    times: int = 1
    """Answers or frames still to be poisoned."""
    channel: str = ""
    """Of frames: the subscription's channel; "" for any."""
    hits: int = 0
    """Answers and frames in which the field was found and replaced."""

    def apply(self, body: Any) -> bytes | None:  # noqa: ANN401 - JSON
        """The encoded body with the field replaced; None when it has no such place."""
        seen = _Seen()
        put = _MARK if self.raw else self.value
        changed = _replaced(body, self, put, seen, inside=not self.of)
        if not seen.replaced:
            return None
        self.hits += 1
        encoded = orjson.dumps(changed)
        return encoded.replace(_QUOTED, self.raw.encode()) if self.raw else encoded

    def use(self, body: Any) -> bytes | None:  # noqa: ANN401 - JSON
        """As `apply`, used up once where it did something."""
        if self.times <= 0:
            return None
        encoded = self.apply(body)
        self.times -= encoded is not None
        return encoded


@dataclass(slots=True)
class _Seen:
    places: int = 0
    replaced: int = 0


def _replaced(body: Any, poison: Poison, put: Any, seen: _Seen, *, inside: bool) -> Any:  # noqa: ANN401 - JSON
    if isinstance(body, list):
        return [_replaced(one, poison, put, seen, inside=inside) for one in body]
    if not isinstance(body, dict):
        return body
    here = inside or poison.of in [value for value in body.values() if isinstance(value, str)]
    changed = {}
    for key, value in body.items():
        if key == poison.field and here:
            seen.places += 1
            if poison.item in (0, seen.places):
                seen.replaced += 1
                changed[key] = put
                continue
        changed[key] = _replaced(value, poison, put, seen, inside=here)
    return changed


def poison_of(wish: dict[str, Any]) -> Poison:
    """From the admin API's JSON. Raises TypeError for unknown keys, KeyError without a field."""
    wish["field"]  # a poison names its field
    return Poison(**{name: wish[name] for name in wish if name in _NAMES})


_NAMES: Final = frozenset(one.name for one in dataclasses.fields(Poison)) - {"hits"}
