"""What stands in a recording's blocks: entries in the order of life, as one JSON array a block. Pure.

Two kinds of entry:

    [ns, skew_ns, kind, ...]   an input: what reached the daemon. `ns` since the input before by its clock, `skew_ns`
                               how much more or less passed meanwhile by the clock that never steps
    [kind, ...]                what the daemon did or saw while it worked on the input before this entry

A block begins with both stamps of the last input before it, so that each can be read alone.
"""

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

type Entry = list[Any]

CLOSING: Final = "closing"
"""The last input of a recording that was ended in order."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """When an input was taken: the clock's time, which may step, and the one that never does."""

    now_ns: int
    real_ns: int


@dataclass(frozen=True, slots=True)
class Input:
    """One input with all that followed from it."""

    number: int
    """From 1 on, within the recording."""
    at: Stamp
    kind: str
    detail: Entry
    followed: tuple[Entry, ...]


def line_of(entry: Entry) -> bytes:
    """One entry. Raises TypeError for what has no form in JSON."""
    return orjson.dumps(entry, default=_plain)


def joined(before: Stamp, lines: Sequence[bytes]) -> bytes:
    """The content of a block. `before`: the stamp of the last input of the block before it."""
    return b"[%d,%d,[%b]]" % (before.now_ns, before.real_ns, b",".join(lines))


def encoded(before: Stamp, entries: Sequence[Entry]) -> bytes:
    """The same of entries."""
    return joined(before, [line_of(entry) for entry in entries])


def decoded(raw: bytes) -> tuple[Stamp, list[Entry]]:
    """The other way. Raises ValueError for what `encoded` never makes."""
    try:
        now_ns, real_ns, entries = orjson.loads(raw)
        stamp = Stamp(int(now_ns), int(real_ns))
    except (TypeError, ValueError) as problem:
        raise ValueError(f"not the content of a block: {problem}") from None
    if not isinstance(entries, list) or not all(isinstance(one, list) and one for one in entries):
        raise ValueError("not the content of a block: no list of entries")
    return stamp, entries


def text_of(content: bytes) -> str | dict[str, str]:
    """Bytes of the network as JSON: text where they are that, which is nearly always."""
    try:
        return content.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(content).decode()}


def bytes_of(value: Any) -> bytes:  # noqa: ANN401 - what JSON gives
    """The other way. Raises ValueError."""
    if isinstance(value, str):
        return value.encode()
    try:
        return base64.b64decode(value["base64"], validate=True)
    except (TypeError, KeyError) as problem:
        raise ValueError(f"no bytes: {problem}") from None


def inputs(before: Stamp, entries: Sequence[Entry], number: int) -> Iterator[Input]:
    """The inputs of a block; the first is number `number`. Raises ValueError for what `encoded` never makes."""
    now_ns, real_ns = before.now_ns, before.real_ns
    first = 0
    while first < len(entries):
        head = entries[first]
        last = first + 1
        while last < len(entries) and isinstance(entries[last][0], str):
            last += 1
        now_ns += int(head[0])  # a text where a number should be: not what `encoded` makes
        real_ns += head[0] + head[1]
        yield Input(number, Stamp(now_ns, real_ns), head[2], head[3:], tuple(entries[first + 1 : last]))
        number += 1
        first = last


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return text_of(value)
    raise TypeError(f"no plain value: {type(value).__name__}")
