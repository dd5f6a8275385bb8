"""Wrong events of the feed: values of another size, stamps in another unit, values that stand still. No sockets.

A misprint bends what is published, never the path itself: fixings, traders and the REST aggregates keep to the truth,
and so does the REST snapshot, unless a misprint names it among its channels (`snapshot`).
"""

from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from kalshi_daemon.domain.index import Index
from kalshi_daemon.simulator.exchange.poison import Poison

Event = tuple[str, Index, dict[str, Any]]
_VALUES: Final = {"V": ("val",), "A": ("o", "h", "l", "c"), "AM": ("o", "h", "l", "c"), "snapshot": ("value",)}
_STAMPS: Final = {"V": ("t",), "A": ("s", "e"), "AM": ("s", "e"), "snapshot": ("last_updated",)}


@dataclass(slots=True)
class Misprint:
    """Bends the next `times` events that fit; what is left at its default is left alone."""

    index: Index | None = None
    """None: any."""
    channels: frozenset[str] = frozenset({"V"})
    times: int = 1
    factor: float = 1.0
    """0.1 loses a digit, 1.01 is 1 % off, 0 is zero."""
    add: float = 0.0
    """Points, after the factor."""
    swapped: bool = False
    """The other index's value of this second."""
    frozen: bool = False
    """The values of the first event that fits, with fresh stamps."""
    stamp_factor: float = 1.0
    """0.001: seconds; 1 000: microseconds; 1 000 000: nanoseconds."""
    stamp_shift_ms: int = 0
    """-900 000: stamps always a quarter of an hour behind."""
    poison: Poison | None = None
    """Any field (`val`, `T`, `t`, ...) as anything (null, text, raw)."""
    hits: int = 0
    held: dict[tuple[str, Index], dict[str, Any]] = field(default_factory=dict)


def bend(events: list[Event], misprints: list[Misprint]) -> list[tuple[str, Index, bytes]]:
    """The events encoded, each after the first misprint that fits it; used-up misprints are dropped from the list."""
    values = {(channel, index): payload for channel, index, payload in events}
    bent = [
        (channel, index, _encoded((channel, index, payload), values, misprints)) for channel, index, payload in events
    ]
    misprints[:] = [one for one in misprints if one.times > 0]
    return bent


def _encoded(event: Event, values: dict[tuple[str, Index], dict[str, Any]], misprints: list[Misprint]) -> bytes:
    channel, index, payload = event
    for one in misprints:
        if one.times > 0 and channel in one.channels and one.index in (None, index):
            one.times -= 1
            one.hits += 1
            return _bent(event, values, one)
    return orjson.dumps(payload)


def _bent(event: Event, values: dict[tuple[str, Index], dict[str, Any]], one: Misprint) -> bytes:
    channel, index, payload = event
    changed = dict(payload)
    source = payload
    if one.swapped:
        other = next((found for _, found in values if found != index), index)
        source = values.get((channel, other), payload)
    if one.frozen:
        source = one.held.setdefault((channel, index), payload)
    for name in _VALUES[channel]:
        changed[name] = source[name] * one.factor + one.add
    for name in _STAMPS[channel]:
        changed[name] = int(payload[name] * one.stamp_factor) + one.stamp_shift_ms
    poisoned = None if one.poison is None else one.poison.apply(changed)
    return orjson.dumps(changed) if poisoned is None else poisoned
