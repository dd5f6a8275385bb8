"""The audit trail: one JSON line per action on an order, per New York day, appended and never rewritten.

    {"timestamp": "2026-11-23T15:00:01.000000Z", "mode": "sim", "run_id": "...", "action": "place_intent", ...}

A process killed in the middle of a line leaves it torn; readers skip what is not a JSON object and count it.
"""

import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson


@dataclass(frozen=True, slots=True)
class AuditTrail:
    """The lines of one day that could be read, in order, and how many could not."""

    entries: tuple[dict[str, Any], ...]
    broken: int


def read_audit(path: Path) -> AuditTrail:
    """Read one day's trail, packed or not; none is an empty one. Raises OSError when it is there and cannot be read."""
    entries: list[dict[str, Any]] = []
    broken = 0
    for line in _lines(path):
        try:
            entry = orjson.loads(line)
        except orjson.JSONDecodeError:
            entry = None
        if isinstance(entry, dict):
            entries.append(entry)
        else:
            broken += 1
    return AuditTrail(tuple(entries), broken)


def _lines(path: Path) -> Iterator[bytes]:
    packed = path.with_name(f"{path.name}.gz")
    if packed.exists():
        yield from gzip.decompress(packed.read_bytes()).splitlines()
    try:
        with path.open("rb") as file:
            yield from (line for line in file if line.strip())
    except FileNotFoundError:
        return
