"""The Massive (Polygon) indices protocol without IO: bytes in, events out (docs/reference/feed.md 1.2-1.5).

Every server frame is a JSON array of objects; a bare object is tolerated. Three things are read, anything else is
ignored and counted:

| ev     | ticker key | fields read                      | becomes    |
|--------|------------|----------------------------------|------------|
| status |            | status, message                  | FeedStatus |
| V      | T          | val, t                           | Tick       |
| A, AM  | sym        | o, h, l, c, s, e                 | Bar        |

Stamps are Unix milliseconds. A number that cannot be a millisecond stamp of this century is refused instead of being
guessed at: a feed that switches its unit must stop us, not shift us. The ticker is read first and the values after, and
an item that cannot be read costs itself: what is wrong with one index, or with one that is not ours, blinds no other.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import orjson

from kalshi_daemon.domain.index import Bar, Channel, Index, Tick
from kalshi_daemon.domain.instruments import SHIPPED_INSTRUMENTS
from kalshi_daemon.ground.errors import MalformedData, MalformedField, MissingField
from kalshi_daemon.ground.readers import epoch_ms, level_points, parse_json
from kalshi_daemon.ground.units import SECOND, Nanos

AHEAD_NS_MAX: Final = Nanos(60 * SECOND)
"""A stamp further ahead of our clock than this is refused: accepting it would silence the index until it came true."""

_BAR_CHANNELS: Final = {"A": Channel.SECOND, "AM": Channel.MINUTE}
_FLOAT_NOISE: Final = 1e-9
"""Relative slack between the four prices of a bar: the vendor sends 6870.110000000001 beside 6870.11."""


@dataclass(frozen=True, slots=True)
class FeedStatus:
    """A status of the vendor; those known: docs/reference/feed.md 1.3. The message is prose: log it verbatim."""

    status: str
    message: str


FeedEvent = Tick | Bar | FeedStatus


class Decoded(NamedTuple):
    """The events of one frame, in its order; items that were none of our business; items that could not be read."""

    events: tuple[FeedEvent, ...]
    ignored: int
    refused: tuple["RefusedItem", ...]


@dataclass(frozen=True, slots=True)
class RefusedItem:
    """An item that could not be read, and whose it was; None: it could not be told."""

    index: Index | None
    problem: MalformedData


@dataclass(frozen=True, slots=True, order=True)
class Topic:
    """What can be subscribed to: one channel of one index. `str()` is the wire form, e.g. `V.I:SPX`."""

    channel: Channel
    index: Index

    def __str__(self) -> str:
        return f"{self.channel.value}.{self.index.feed_ticker}"


def decode(frame: bytes | str, recv_ns: Nanos) -> tuple[FeedEvent, ...]:
    """The events of one frame. Raises MalformedData when the frame, or any item of it, cannot be read."""
    decoded = decode_counted(frame, recv_ns)
    if decoded.refused:
        raise decoded.refused[0].problem
    return decoded.events


def decode_counted(
    frame: bytes | str, recv_ns: Nanos, ours: Mapping[str, Index] = SHIPPED_INSTRUMENTS.by_feed_ticker
) -> Decoded:
    """What of a frame can be read, item by item. Raises MalformedField when it is no JSON, or has no objects.

    ours: the indices by the vendor's ticker; items of any other are counted and left out.
    """
    parsed = parse_json(frame, "frame")
    items = parsed if isinstance(parsed, list) else [parsed]
    events: list[FeedEvent] = []
    refused: list[RefusedItem] = []
    for item in items:
        if not isinstance(item, dict):
            refused.append(RefusedItem(None, MalformedField("frame", item, "an array of objects")))
            continue
        try:
            event = _decode_item(item, recv_ns, ours)
        except MalformedData as problem:
            refused.append(RefusedItem(_index_of(item, ours), problem))
        else:
            if event is not None:
                events.append(event)
    return Decoded(tuple(events), len(items) - len(events) - len(refused), tuple(refused))


def _index_of(item: dict[str, Any], ours: Mapping[str, Index]) -> Index | None:
    ticker = item.get("T" if item.get("ev") == "V" else "sym")
    return ours.get(ticker) if isinstance(ticker, str) else None


def encode_auth(api_key: str) -> str:
    """The authentication command: the key travels in the message, never in the URL."""
    return orjson.dumps({"action": "auth", "params": api_key}).decode()


def encode_subscribe(topics: tuple[Topic, ...]) -> str:
    """The subscribe command for every topic at once. Never re-send what is held: it is not answered."""
    return orjson.dumps({"action": "subscribe", "params": ",".join(str(topic) for topic in topics)}).decode()


_SUBSCRIBED: Final = "subscribed to: "


def acknowledged(status: FeedStatus) -> str | None:
    """The topic a `success` status acknowledges, in wire form; None when it is about something else."""
    if status.status != "success" or not status.message.startswith(_SUBSCRIBED):
        return None
    return status.message.removeprefix(_SUBSCRIBED).strip()


class MonotonicGuard:
    """Drops what is late, repeated or from the future, per kind, channel and index.

    * ticks: the stamp must be later than the last one accepted;
    * bars: the start must not be earlier than the last one accepted; the same start replaces
      (docs/reference/feed.md 4);
    * both: not more than AHEAD_NS_MAX after the time of receipt.

    It lives as long as the task, not as long as a session: a reconnect cannot bring old values back.
    """

    def __init__(self) -> None:
        self._last: dict[tuple[type[Tick | Bar], Channel, Index], Nanos] = {}

    def admit(self, event: Tick | Bar) -> bool:
        """Whether the event moves its series forward; remembers it when it does."""
        key = (type(event), event.channel, event.index)
        last = self._last.get(key)
        stamp, newest = (event.event_ns, event.event_ns) if isinstance(event, Tick) else (event.start_ns, event.end_ns)
        if newest > event.recv_ns + AHEAD_NS_MAX:
            return False
        if last is not None and (stamp < last or (stamp == last and isinstance(event, Tick))):
            return False
        self._last[key] = stamp
        return True


def tick_of_second(bar: Bar) -> Tick:
    """A second aggregate's close as a value, stamped with the window's end; for sessions without V."""
    return Tick(bar.index, bar.channel, bar.close, bar.end_ns, bar.recv_ns)


def _decode_item(item: dict[str, Any], recv_ns: Nanos, ours: Mapping[str, Index]) -> FeedEvent | None:
    kind = _required(item, "ev", "event")
    if kind == "status":
        return FeedStatus(_text(item, "status", "status"), _optional_text(item, "message"))
    if kind == "V":
        index = ours.get(_text(item, "T", "V"))  # tickers are case-sensitive
        return None if index is None else _tick(item, index, recv_ns)
    channel = _BAR_CHANNELS.get(kind) if isinstance(kind, str) else None
    if channel is None:
        return None
    index = ours.get(_text(item, "sym", channel.value))
    return None if index is None else _bar(item, channel, index, recv_ns)


def _tick(item: dict[str, Any], index: Index, recv_ns: Nanos) -> Tick:
    return Tick(index, Channel.VALUE, _level(item, "val", "V"), _stamp(item, "t", "V"), recv_ns)


def _bar(item: dict[str, Any], channel: Channel, index: Index, recv_ns: Nanos) -> Bar:
    where = channel.value
    start, end = _stamp(item, "s", where), _stamp(item, "e", where)
    if end < start:  # equal is legal: the vendor's own sample has s == e
        raise MalformedField(f"{where}.e", item["e"], f"at or after s ({item['s']})")
    first, high, low, last = prices_of(item, where)
    return Bar(index, channel, first, high, low, last, start, end, recv_ns)


def prices_of(item: dict[str, Any], where: str) -> tuple[float, float, float, float]:
    """Open, high, low, close of an aggregate's `o, h, l, c`. Raises MissingField, MalformedField."""
    first, high = _level(item, "o", where), _level(item, "h", where)
    low, last = _level(item, "l", where), _level(item, "c", where)
    slack = high * _FLOAT_NOISE
    if not low - slack <= min(first, last) <= max(first, last) <= high + slack:
        raise MalformedField(f"{where}.h/l", (high, low), f"a range holding open {first} and close {last}")
    return first, high, low, last


def stamp_of(item: dict[str, Any], key: str, where: str) -> Nanos:
    """A millisecond stamp of this century. Raises MissingField, MalformedField."""
    return _stamp(item, key, where)


def _required(item: dict[str, Any], key: str, where: str) -> Any:  # noqa: ANN401 - a JSON value
    value = item.get(key)
    if value is None:
        raise MissingField(key, where)
    return value


def _text(item: dict[str, Any], key: str, where: str) -> str:
    value = _required(item, key, where)
    if not isinstance(value, str):
        raise MalformedField(f"{where}.{key}", value, "a string")
    return value


def _optional_text(item: dict[str, Any], key: str) -> str:
    return "" if item.get(key) is None else str(item[key])


def _level(item: dict[str, Any], key: str, where: str) -> float:
    return level_points(_required(item, key, where), f"{where}.{key}")


def _stamp(item: dict[str, Any], key: str, where: str) -> Nanos:
    value = _required(item, key, where)
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # integers have arrived as 12.0 (docs/reference/feed.md 1.5)
    return Nanos(epoch_ms(value, f"{where}.{key}"))
