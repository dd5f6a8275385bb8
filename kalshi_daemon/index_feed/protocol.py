"""The Massive (Polygon) indices protocol without IO: bytes in, events out (polygon.md 1.2-1.5).

Every server frame is a JSON array of objects; a bare object is tolerated. Three things are read, anything else is
ignored and counted:

| ev     | ticker key | fields read                      | becomes    |
|--------|------------|----------------------------------|------------|
| status |            | status, message                  | FeedStatus |
| V      | T          | val, t                           | Tick       |
| A, AM  | sym        | o, h, l, c, s, e                 | Bar        |

Stamps are Unix milliseconds. A number that cannot be a millisecond stamp of this century is refused instead of being
guessed at: a feed that switches its unit must stop us, not shift us.
"""

import math
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import orjson

from kalshi_daemon.domain.index import Bar, Channel, Index, Tick
from kalshi_daemon.errors import MalformedField, MissingField
from kalshi_daemon.units import MILLISECOND, SECOND, Nanos

STAMP_LEAST_MS: Final = 946_684_800_000
"""2000-01-01. Seconds (1.7e9) lie below."""
STAMP_MOST_MS: Final = 4_102_444_800_000
"""2100-01-01. Microseconds (1.7e15) and nanoseconds lie above."""
AHEAD_MOST_NS: Final = Nanos(60 * SECOND)
"""A stamp further ahead of our clock than this is refused: accepting it would silence the index until it came true."""

_INDEX_OF_TICKER: Final = {index.feed_ticker: index for index in Index}
_BAR_CHANNELS: Final = {"A": Channel.SECOND, "AM": Channel.MINUTE}
_SHOWN_MOST: Final = 40
_FLOAT_NOISE: Final = 1e-9
"""Relative slack between the four prices of a bar: the vendor sends 6870.110000000001 beside 6870.11."""


@dataclass(frozen=True, slots=True)
class FeedStatus:
    """A status of the vendor; the known ones are listed in polygon.md 1.3. The message is prose: log it verbatim."""

    status: str
    message: str


FeedEvent = Tick | Bar | FeedStatus


class Decoded(NamedTuple):
    """The events of one frame, in its order, and how many items were none of our business."""

    events: tuple[FeedEvent, ...]
    ignored: int


@dataclass(frozen=True, slots=True, order=True)
class Topic:
    """What can be subscribed to: one channel of one index. `str()` is the wire form, e.g. `V.I:SPX`."""

    channel: Channel
    index: Index

    def __str__(self) -> str:
        return f"{self.channel.value}.{self.index.feed_ticker}"


def decode(frame: bytes | str, recv_ns: Nanos) -> tuple[FeedEvent, ...]:
    """The events of one frame. Raises MalformedData (MissingField, MalformedField) for the frame as a whole."""
    return decode_counted(frame, recv_ns).events


def decode_counted(frame: bytes | str, recv_ns: Nanos) -> Decoded:
    """`decode`, and the number of items ignored (unknown ev, other tickers).

    One bad item refuses its whole frame: what else that frame says is not worth trusting.
    """
    try:
        parsed = orjson.loads(frame)
    except orjson.JSONDecodeError:
        raise MalformedField("frame", _shown(frame), "JSON") from None
    items = parsed if isinstance(parsed, list) else [parsed]
    events: list[FeedEvent] = []
    for item in items:
        if not isinstance(item, dict):
            raise MalformedField("frame", item, "an array of objects")
        event = _decode_item(item, recv_ns)
        if event is not None:
            events.append(event)
    return Decoded(tuple(events), len(items) - len(events))


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
    * bars: the start must not be earlier than the last one accepted; the same start replaces (polygon.md section 4);
    * both: not more than AHEAD_MOST_NS after the time of receipt.

    It lives as long as the task, not as long as a session: a reconnect cannot bring old values back.
    """

    def __init__(self) -> None:
        self._last: dict[tuple[type[Tick | Bar], Channel, Index], Nanos] = {}

    def admit(self, event: Tick | Bar) -> bool:
        """Whether the event moves its series forward; remembers it when it does."""
        key = (type(event), event.channel, event.index)
        last = self._last.get(key)
        stamp, newest = (event.event_ns, event.event_ns) if isinstance(event, Tick) else (event.start_ns, event.end_ns)
        if newest > event.recv_ns + AHEAD_MOST_NS:
            return False
        if last is not None and (stamp < last or (stamp == last and isinstance(event, Tick))):
            return False
        self._last[key] = stamp
        return True


def tick_of_second(bar: Bar) -> Tick:
    """A second aggregate's close as a value, stamped with the window's end; for sessions without V."""
    return Tick(bar.index, bar.channel, bar.close, bar.end_ns, bar.recv_ns)


def _decode_item(item: dict[str, Any], recv_ns: Nanos) -> FeedEvent | None:
    kind = _required(item, "ev", "event")
    if kind == "status":
        return FeedStatus(_text(item, "status", "status"), _optional_text(item, "message"))
    if kind == "V":
        index = _index(item, "T", "V")
        return None if index is None else _tick(item, index, recv_ns)
    channel = _BAR_CHANNELS.get(kind) if isinstance(kind, str) else None
    if channel is None:
        return None
    index = _index(item, "sym", channel.value)
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


def _index(item: dict[str, Any], key: str, where: str) -> Index | None:
    """The index of a ticker; None for a ticker that is not ours. Tickers are case-sensitive."""
    return _INDEX_OF_TICKER.get(_text(item, key, where))


def _level(item: dict[str, Any], key: str, where: str) -> float:
    value = _required(item, key, where)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise MalformedField(f"{where}.{key}", value, "a number")
    if not (math.isfinite(value) and value > 0):
        raise MalformedField(f"{where}.{key}", value, "a positive level")
    return float(value)


def _stamp(item: dict[str, Any], key: str, where: str) -> Nanos:
    value = _required(item, key, where)
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # integers have arrived as 12.0 (polygon.md 1.5)
    if isinstance(value, bool) or not isinstance(value, int):
        raise MalformedField(f"{where}.{key}", value, "an integer")
    if not STAMP_LEAST_MS <= value <= STAMP_MOST_MS:
        raise MalformedField(f"{where}.{key}", value, "a Unix time in milliseconds")
    return Nanos(value * MILLISECOND)


def _shown(frame: bytes | str) -> str:
    text = frame.decode(errors="replace") if isinstance(frame, bytes) else frame
    return text if len(text) <= _SHOWN_MOST else f"{text[:_SHOWN_MOST]}..."
