"""Targets that come from the network: index feed, websocket frames, REST answers, listed markets and fees."""

import json
import random
from typing import Any, Final

import orjson

from kalshi_daemon.domain.index import Bar, Tick
from kalshi_daemon.ground.errors import HistoryRefused, HistoryUnavailable, MalformedData
from kalshi_daemon.ground.units import MILLISECOND, Nanos
from kalshi_daemon.index_feed import protocol
from kalshi_daemon.index_feed.snapshot import decode_snapshot
from kalshi_daemon.kalshi import fields, rest_codec, ws_codec
from kalshi_daemon.kalshi import listing_codec as discovery
from tests.fuzz import corpus, venue_oracle
from tests.fuzz.mutation import mutated, noise
from tests.fuzz.oracle import must
from tests.fuzz.target import Target
from tests.support.instruments import SERIES

_RECV: Final = Nanos(1_795_446_001_000 * MILLISECOND)
_INDICES: Final = {ticker: one.index for ticker, one in SERIES.items()}


def bend_json(rng: random.Random, data: bytes) -> bytes:
    """A fault in the JSON of an input; noise where it is none any more."""
    try:
        return mutated(rng, json.loads(data))
    except (ValueError, RecursionError, OverflowError):
        return noise(rng, data)


def bend_named(rng: random.Random, data: bytes) -> bytes:
    """The same behind a first line that says what the rest is."""
    head, _, rest = data.partition(b"\n")
    return head + b"\n" + bend_json(rng, rest)


# --- index feed


def _read_feed(data: bytes) -> object:
    return protocol.decode_counted(data, _RECV).events


def _judge_feed(data: bytes, made: Any) -> None:
    """Every value that came out stands in the frame, legal and of an index of ours."""
    seen = [_seen(event) for event in made if isinstance(event, (Tick, Bar))]
    if not seen:
        return
    allowed = venue_oracle.values(data)
    for one in seen:
        must(one in allowed, f"a value of {one[0]} that must be refused")
        allowed.remove(one)


def _seen(event: Tick | Bar) -> tuple[str, str, int, float]:
    tick = isinstance(event, Tick)
    at, value = (event.event_ns, event.value) if tick else (event.start_ns, event.close)  # type: ignore[union-attr]
    return event.channel.value, event.index.value, at // MILLISECOND, value


# --- the feed's REST snapshot


def _read_snapshot(data: bytes) -> object:
    return decode_snapshot(200, data, "snapshot")


def _judge_snapshot(data: bytes, made: Any) -> None:
    """Every value that came out is that of the only item of its index, with a stamp in nanoseconds of our time."""
    items = json.loads(data)["results"]
    for index, one in made.items():
        said = [item for item in items if isinstance(item, dict) and item.get("ticker") == index.feed_ticker]
        must(len(said) == 1 and said[0]["value"] == one.value, f"a snapshot of {index.value} that must be refused")
        must(type(said[0]["last_updated"]) is int and said[0]["last_updated"] == one.at_ns, "a stamp of another unit")
        must(0.0 < one.value < 1e9 and 1_577_836_800 <= one.at_ns / 1e9 < 4_102_444_800, "a value or time of no index")


# --- websocket


def _read_frame(data: bytes) -> object:
    return ws_codec.decode_frame(data, _RECV, use_yes_price=False).body


def _judge_frame(data: bytes, made: object) -> None:
    venue_oracle.frame(data, type(made).__name__)


# --- REST

_CODECS: Final = {
    "remote_order": rest_codec.remote_order,
    "fill": rest_codec.fill,
    "position": rest_codec.position,
    "settlement": rest_codec.settlement,
    "balance": lambda obj: rest_codec.balance(obj, _RECV),
    "exchange_status": lambda obj: rest_codec.exchange_status(obj, _RECV),
    "order_book": rest_codec.order_book,
    "create_ack": lambda obj: rest_codec.create_ack(obj, "kd-1-1"),
    "cancel_ack": lambda obj: rest_codec.cancel_ack(obj, "o-1"),
}


def _read_answer(data: bytes) -> object:
    head, _, rest = data.partition(b"\n")
    codec = _CODECS.get(head.decode(errors="replace"))
    return None if codec is None else codec(fields.as_object(fields.loads(rest, "answer"), "answer"))


def _judge_answer(data: bytes, made: object) -> None:
    head, _, rest = data.partition(b"\n")
    if made is not None:
        venue_oracle.answer(rest, head.decode())


# --- listing

_LISTED: Final = {
    "market": lambda obj: discovery.parse_market(obj, _INDICES),
    "series": lambda obj: discovery.parse_fee_schedule(obj, _RECV),
}


def _read_listed(data: bytes) -> object:
    head, _, rest = data.partition(b"\n")
    codec = _LISTED.get(head.decode(errors="replace"))
    return None if codec is None else codec(fields.as_object(fields.loads(rest, "listing"), "listing"))


def _judge_listed(data: bytes, made: object) -> None:
    head, _, rest = data.partition(b"\n")
    if made is not None:
        {"market": venue_oracle.market, "series": venue_oracle.series}[head.decode()](rest)


def _named(name: str, obj: object) -> bytes:
    return name.encode() + b"\n" + orjson.dumps(obj)


CODECS: Final = (
    Target(
        "feed", [orjson.dumps(one) for one in corpus.FEED], bend_json, _read_feed, _judge_feed, (MalformedData,), 240
    ),
    Target(
        "snapshot",
        [orjson.dumps(corpus.SNAPSHOT)],
        bend_json,
        _read_snapshot,
        _judge_snapshot,
        (HistoryRefused, HistoryUnavailable),
        40,
    ),
    Target(
        "websocket",
        [orjson.dumps(one) for one in corpus.FRAMES],
        bend_json,
        _read_frame,
        _judge_frame,
        (MalformedData,),
        300,
    ),
    Target(
        "rest",
        [_named(name, one) for name, one in corpus.ANSWERS.items()],
        bend_named,
        _read_answer,
        _judge_answer,
        (MalformedData,),
        290,
    ),
    Target(
        "listing",
        [*(_named("market", one) for one in corpus.MARKETS), _named("series", corpus.SERIES)],
        bend_named,
        _read_listed,
        _judge_listed,
        (MalformedData,),
        160,
    ),
)
