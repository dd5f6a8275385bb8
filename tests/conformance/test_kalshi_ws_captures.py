"""Frames and bodies that the venue really sent, through our codec (data: kalshi_ws_captures).

The books built from them must never cross and every frame must decode: a codec that only reads its own simulator's
frames proves nothing.
"""

import gzip
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from kalshi_daemon.domain.book import Book
from kalshi_daemon.domain.events import BookDelta, BookSnapshot
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.units import Nanos, Price, complement
from kalshi_daemon.kalshi import rest_codec, sequence, ws_codec
from tests.support.data import data_dir

pytestmark = pytest.mark.data

HOUR = "btc15m_2026-05-12T01"


@pytest.fixture(scope="module")
def captures() -> Path:
    folder = data_dir()
    if folder is None or not (folder / "kalshi_ws_captures").is_dir():
        pytest.skip("needs the shared market data: set KALSHI_DAEMON_DATA or place it at ../shared/data")
    return folder / "kalshi_ws_captures"


def decode(frame: dict, recv_ns: int = 0) -> ws_codec.Frame:
    return ws_codec.decode_frame(orjson.dumps(frame), Nanos(recv_ns), use_yes_price=False)


def apply(book: Book, body: BookSnapshot | BookDelta) -> bool:
    stamp = Nanos(0)
    if isinstance(body, BookSnapshot):
        book.replace(dict(body.bids), dict(body.asks), stamp, body.recv_ns)
        return True
    change = book.change_bid if body.side is Side.BID else book.change_ask
    return change(body.price, body.delta, stamp, body.recv_ns)


def test_every_raw_frame_decodes_and_the_numbers_have_no_gap(captures):
    frames = orjson.loads((captures / "ws_orderbook_stream.json").read_bytes())["frames"]
    tracker = sequence.SequenceTracker()
    books: dict[str, Book] = {}
    kinds: dict[str, int] = {}
    for item in frames:
        frame = decode(item["frame"], item["received_ms"] * 1_000_000)
        kinds[item["frame"]["type"]] = kinds.get(item["frame"]["type"], 0) + 1
        if isinstance(frame.body, ws_codec.Subscribed):
            tracker.start(frame.body.sid)
        if frame.sid is not None and frame.seq is not None:
            assert tracker.observe(frame.sid, frame.seq, Nanos(0)) is sequence.Order.NEXT
        if isinstance(frame.body, (BookSnapshot, BookDelta)):
            ticker = frame.body.market_ticker
            assert apply(books.setdefault(ticker, Book(ticker)), frame.body)
            assert books[ticker].synced
            assert not books[ticker].crossed
    assert kinds == {"subscribed": 1, "orderbook_snapshot": 12, "ok": 11, "orderbook_delta": 245}
    assert len(books) == 12
    assert all(book.two_sided for book in books.values())


def wrapped(path: Path) -> Iterator[dict]:
    """The recorder kept `msg` as `payload_json` beside our receive time; wrapped back, it is the frame of the wire."""
    raw = path.read_bytes()
    for line in (gzip.decompress(raw) if path.suffix == ".gz" else raw).splitlines():
        if line.strip():
            record = orjson.loads(line)
            yield {
                "type": record["event_type"],
                "sid": 1,
                "seq": record["sequence_number"],
                "msg": record["payload_json"],
                "recv_ns": record["local_recv_ns"],
            }


def test_an_hour_of_deltas_builds_books_that_never_rest_crossed(captures):
    """Three connections, one market each. The first was joined without its snapshot: counted, but no book.

    The venue reports one matching step level by level, so a book may cross between deltas of one stamp; at the next
    stamp it must be whole again.
    """
    frames = [
        *wrapped(captures / f"{HOUR}_orderbook_snapshot.ndjson"),
        *wrapped(captures / f"{HOUR}_orderbook_delta.ndjson.gz"),
    ]
    frames.sort(key=lambda frame: (frame["recv_ns"], frame["seq"]))
    books: dict[str, Book] = {}
    tracker = sequence.SequenceTracker()
    connections = deltas = applied = crossings = 0
    crossed_at: int | None = None
    ticker = ""
    for raw in frames:
        body = decode(raw, raw["recv_ns"]).body
        assert isinstance(body, (BookSnapshot, BookDelta))
        if body.market_ticker != ticker:
            ticker = body.market_ticker
            connections += 1
            tracker.start(body.sid)
        assert tracker.observe(body.sid, body.seq, body.recv_ns) is sequence.Order.NEXT
        deltas += isinstance(body, BookDelta)
        if isinstance(body, BookSnapshot) and ticker not in books:
            books[ticker] = Book(ticker)
        if ticker in books:
            assert apply(books[ticker], body), f"level below zero at seq {body.seq}"
            applied += 1
            stamp = body.event_ns if isinstance(body, BookDelta) else None
            assert not books[ticker].crossed or crossed_at in (None, stamp), f"still crossed at seq {body.seq}"
            crossings += books[ticker].crossed and crossed_at is None
            crossed_at = stamp if books[ticker].crossed else None
    assert (connections, deltas, crossings) == (3, 116_743, 18)
    assert applied == 116_743 - 601 + 4  # the last snapshot of the first market is its empty book after the close
    assert sorted(len(book.bids) + len(book.asks) for book in books.values())[:2] == [0, 0]


def test_the_deltas_carry_the_venue_s_time_and_both_sides(captures):
    sides = {Side.BID: 0, Side.ASK: 0}
    for number, raw in enumerate(wrapped(captures / f"{HOUR}_orderbook_delta.ndjson.gz")):
        body = decode(raw, raw["recv_ns"]).body
        assert isinstance(body, BookDelta)
        assert body.event_ns is not None
        assert abs(body.recv_ns - body.event_ns) < 60_000_000_000
        sides[body.side] += 1
        wire = raw["msg"]["price_dollars"]
        expected = Price(round(float(wire) * 10_000))
        assert body.price == (expected if body.side is Side.BID else complement(expected))
        if number == 5_000:
            break
    assert min(sides.values()) > 100


def test_the_acknowledgements_of_the_hour_decode(captures):
    for line in (captures / f"{HOUR}_ws_subscribed.ndjson").read_bytes().splitlines():
        if line.strip():
            frame = decode(orjson.loads(line)["payload_json"])
            assert isinstance(frame.body, ws_codec.Subscribed)
    for raw in wrapped(captures / f"{HOUR}_ticker.ndjson"):
        assert decode(raw).body == ws_codec.Ignored("ticker")


def test_the_venue_s_own_examples_of_answers_decode(captures):
    path = captures.parent.parent / "spec" / "kalshi-rest-examples.json"
    if not path.is_file():
        pytest.skip("needs ../shared/spec/kalshi-rest-examples.json")
    examples = orjson.loads(path.read_bytes())
    order = rest_codec.remote_order(examples["order"])
    assert (order.side, order.price, order.remaining, order.expires_ns) == (Side.BID, 4_200, 1_000, None)
    fill = rest_codec.fill(examples["fill"])
    assert (fill.side, fill.price, fill.count, fill.fee) == (Side.BID, 4_200, 100, 0)
    assert rest_codec.position(examples["market_position"]).count == 100
    assert rest_codec.settlement(examples["settlement"]).revenue == 10_000
    assert rest_codec.balance(examples["balance"], Nanos(0)).cash == 1_000_000
    assert rest_codec.exchange_status(examples["exchange_status"], Nanos(0)).trading_active
