"""Books from stream events: gaps, negative levels, crosses, own quotes taken out."""

import gzip
import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_daemon.domain.book import Book
from kalshi_daemon.domain.book_view import own_excluded
from kalshi_daemon.domain.events import BookDelta, BookSnapshot, SequenceGap, StreamDown
from kalshi_daemon.domain.order import Order, Status
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.units import SECOND, Count, Nanos, Price, complement, parse_count, parse_price
from kalshi_daemon.venue.books import CROSS_MAX, BookKeeper
from tests.support.data import data_dir

T0 = 1_000 * SECOND


def snapshot(ticker="M", *, bids=(), asks=(), sid=1, seq=1, at=T0):
    return BookSnapshot(
        sid,
        seq,
        ticker,
        tuple((Price(price), Count(count)) for price, count in bids),
        tuple((Price(price), Count(count)) for price, count in asks),
        Nanos(at),
    )


def delta(side, price, change, *, ticker="M", sid=1, seq=2, at=T0, stamp=0):
    event_ns = None if stamp is None else Nanos(stamp or at)
    return BookDelta(sid, seq, ticker, side, Price(price), Count(change), event_ns, Nanos(at))


def keeper_of(*tickers):
    books = {ticker: Book(ticker) for ticker in tickers}
    return BookKeeper(books), books


def order(side, price, count, *, filled=0, status=Status.RESTING, ticker="M", profile="wide"):
    return Order(
        client_order_id=f"{side}{price}{count}",
        market_ticker=ticker,
        event_ticker="E",
        series_ticker="KXINXU",
        profile=profile,
        side=side,
        price=Price(price),
        count=Count(count),
        status=status,
        expires_ns=Nanos(0),
        created_ns=Nanos(0),
        filled=Count(filled),
    )


def test_a_book_follows_snapshot_and_deltas():
    keeper, books = keeper_of("M")
    assert keeper.apply(snapshot(bids=[(4000, 500)], asks=[(4400, 700)])) == ()
    assert keeper.apply(delta(Side.BID, 4100, 200)) == ()
    assert keeper.apply(delta(Side.ASK, 4400, -700)) == ()
    book = books["M"]
    assert (book.best_bid, book.best_ask, book.synced) == (4100, None, True)


def test_deltas_before_the_snapshot_are_dropped():
    keeper, books = keeper_of("M")
    assert keeper.apply(delta(Side.BID, 4100, 200)) == ()
    assert not books["M"].synced
    assert books["M"].best_bid is None
    assert keeper.dropped == 1


def test_a_gap_voids_every_book_of_its_sid_and_no_other():
    keeper, books = keeper_of("A", "B", "C")
    for ticker, sid in (("A", 1), ("B", 1), ("C", 2)):
        keeper.apply(snapshot(ticker, bids=[(4000, 100)], asks=[(5000, 100)], sid=sid))
    assert keeper.apply(SequenceGap(1, 7, 9, Nanos(T0))) == ("A", "B")
    assert [books[ticker].synced for ticker in "ABC"] == [False, False, True]
    keeper.apply(delta(Side.BID, 4100, 100, ticker="A"))
    assert books["A"].best_bid == 4000, "a delta after a gap means nothing until the snapshot"
    keeper.apply(snapshot("A", bids=[(4200, 100)], asks=[(5000, 100)]))
    assert books["A"].synced
    assert not books["B"].synced


def test_a_level_below_zero_voids_that_book_alone():
    keeper, books = keeper_of("A", "B")
    for ticker in "AB":
        keeper.apply(snapshot(ticker, bids=[(4000, 100)], asks=[(5000, 100)]))
    assert keeper.apply(delta(Side.BID, 4000, -101, ticker="A")) == ("A",)
    assert keeper.apply(delta(Side.ASK, 5000, -50, ticker="B")) == ()
    assert (books["A"].synced, books["B"].synced) == (False, True)


def test_a_cross_within_one_stamp_of_the_venue_is_not_an_error_but_is_not_quotable():
    keeper, books = keeper_of("M")
    keeper.apply(snapshot(bids=[(1200, 1000)], asks=[(1300, 500)]))
    assert keeper.apply(delta(Side.ASK, 1200, 10_000, stamp=T0 + 5)) == ()
    assert books["M"].crossed
    assert not own_excluded(books["M"], []).synced
    assert keeper.apply(delta(Side.BID, 1200, -1000, stamp=T0 + 5)) == ()
    assert books["M"].synced
    assert own_excluded(books["M"], []).synced
    assert keeper.apply(delta(Side.BID, 1100, 100, stamp=T0 + 9)) == ()
    assert keeper.overdue(Nanos(T0 + 10 * SECOND)) == ()


def test_a_cross_that_outlives_its_stamp_voids_the_book():
    keeper, books = keeper_of("M")
    keeper.apply(snapshot(bids=[(1200, 1000)], asks=[(1300, 500)]))
    keeper.apply(delta(Side.ASK, 1200, 10_000, stamp=T0 + 5))
    assert keeper.apply(delta(Side.BID, 1000, 100, stamp=T0 + 6)) == ("M",)
    assert not books["M"].synced


def test_a_cross_without_stamps_or_without_a_sequel_is_voided_by_our_own_time():
    keeper, _ = keeper_of("M")
    keeper.apply(snapshot(bids=[(1200, 1000)], asks=[(1300, 500)]))
    keeper.apply(delta(Side.ASK, 1200, 100, stamp=None))
    assert keeper.apply(delta(Side.ASK, 1200, 100, stamp=None, at=T0 + CROSS_MAX)) == ()
    assert keeper.apply(delta(Side.ASK, 1200, 100, stamp=None, at=T0 + CROSS_MAX + 1)) == ("M",)
    keeper.apply(snapshot(bids=[(1200, 1000)], asks=[(1300, 500)]))
    keeper.apply(delta(Side.ASK, 1100, 100))
    assert keeper.overdue(Nanos(T0 + CROSS_MAX)) == ()
    assert keeper.overdue(Nanos(T0 + CROSS_MAX + 1)) == ("M",)
    assert keeper.overdue(Nanos(T0 + CROSS_MAX + 2)) == ()


def test_a_crossed_snapshot_is_asked_for_again():
    keeper, books = keeper_of("M")
    assert keeper.apply(snapshot(bids=[(5000, 100)], asks=[(5000, 100)])) == ("M",)
    assert not books["M"].synced


def test_a_lost_stream_voids_everything():
    keeper, books = keeper_of("A", "B")
    keeper.apply(snapshot("A", bids=[(4000, 100)], asks=[(5000, 100)]))
    assert keeper.apply(StreamDown(Nanos(T0), "closed")) == ()
    assert not books["A"].synced
    assert keeper.apply(SequenceGap(1, 2, 4, Nanos(T0))) == ()


def test_only_its_own_frames_keep_a_book_fresh():
    keeper, books = keeper_of("A", "B")
    keeper.apply(snapshot("A", at=T0))
    keeper.apply(snapshot("B", at=T0))
    keeper.apply(delta(Side.BID, 4000, 100, ticker="B", at=T0 + 9 * SECOND))
    assert books["A"].recv_ns == T0
    assert books["B"].recv_ns == T0 + 9 * SECOND


def test_how_late_a_delta_came_is_kept_per_market_with_the_clocks_difference_taken_out():
    keeper, books = keeper_of("A", "B")
    keeper.clock_ahead_ns = 300
    for ticker in books:
        keeper.apply(snapshot(ticker))
    keeper.apply(delta(Side.BID, 4000, 100, ticker="A", at=T0 + 5_300, stamp=T0))
    keeper.apply(delta(Side.BID, 4000, 100, ticker="B", at=T0 + 5_400, stamp=T0 + 5_200))
    assert (books["A"].lag_ns, books["B"].lag_ns) == (5_000, 0), "a stamp ahead of us is not late"
    assert keeper.lag_ns_max == 5_000
    keeper.apply(delta(Side.BID, 4000, 100, ticker="A", at=T0 + 6_000, stamp=None))
    assert books["A"].lag_ns == 5_000, "without a stamp nothing is learned"


def test_a_snapshot_that_differs_from_a_book_in_sync_is_said_and_believed():
    said = []
    books = {"M": Book("M")}
    keeper = BookKeeper(books, on_difference=lambda *what: said.append(what))
    keeper.apply(snapshot(bids=[(4000, 100)], asks=[(5000, 100)]))
    keeper.apply(delta(Side.BID, 4100, 50))
    keeper.apply(snapshot(bids=[(4000, 100), (4100, 50)], asks=[(5000, 100)]))
    assert said == []
    keeper.apply(snapshot(bids=[(4000, 300)], asks=[(5000, 100)]))
    assert said == [("M", "bid 0.4000: book 1.00, snapshot 3.00; bid 0.4100: book 0.50, snapshot 0.00")]
    assert books["M"].bids == {4000: 300}
    keeper.apply(SequenceGap(1, 5, 7, Nanos(T0)))
    keeper.apply(snapshot(bids=[(3900, 100)]))
    assert len(said) == 1, "after a gap it may differ"


def test_a_watch_notes_levels_and_what_broke_it():
    keeper, _books = keeper_of("M")
    keeper.apply(snapshot(bids=[(4000, 100)]))
    changes = keeper.watch("M")
    keeper.apply(delta(Side.BID, 4100, 50))
    keeper.apply(snapshot(bids=[(4000, 100), (4100, 50)]))
    assert (changes.levels, changes.broken) == ({(Side.BID, 4100)}, False), "a snapshot that says the same is no change"
    keeper.apply(snapshot(bids=[(4000, 100)]))
    assert changes.broken
    keeper.unwatch("M")
    again = keeper.watch("M")
    keeper.void("M")
    assert again.broken


def test_markets_nobody_follows_are_ignored():
    keeper, books = keeper_of("M")
    assert keeper.apply(snapshot("X", bids=[(5000, 1)], asks=[(4000, 1)])) == ()
    assert keeper.apply(delta(Side.BID, 4000, -1, ticker="X")) == ()
    keeper.apply(snapshot("M", bids=[(4000, 100)]))
    keeper.forget(["M", "never"])
    assert books == {}


def test_a_delta_without_a_stamp_keeps_the_old_one():
    keeper, books = keeper_of("M")
    keeper.apply(snapshot(bids=[(4000, 100)], asks=[(5000, 100)], at=T0))
    keeper.apply(delta(Side.BID, 4100, 100, stamp=None, at=T0 + 5))
    assert books["M"].event_ns == T0
    assert books["M"].recv_ns == T0 + 5


levels = st.dictionaries(st.integers(1, 99), st.integers(1, 50), max_size=8)


@given(
    bids=levels,
    asks=levels,
    changes=st.lists(st.tuples(st.sampled_from(list(Side)), st.integers(1, 99), st.integers(-20, 20)), max_size=30),
)
@settings(max_examples=150, deadline=None)
def test_snapshot_and_deltas_equal_the_book_rebuilt(bids, asks, changes):
    """Whatever the keeper still believes is exactly what adding up the numbers gives."""
    bids = {price: count for price, count in bids.items() if price < 50}
    asks = {price: count for price, count in asks.items() if price >= 50}
    keeper, books = keeper_of("M")
    keeper.apply(snapshot(bids=bids.items(), asks=asks.items()))
    want = {Side.BID: dict(bids), Side.ASK: dict(asks)}
    for step, (side, price, change) in enumerate(changes):
        keeper.apply(delta(side, price, change, at=T0 + step, stamp=T0 + step))
        if not books["M"].synced:
            return
        level = want[side].get(price, 0) + change
        want[side][price] = level
        if level == 0:
            del want[side][price]
        book = books["M"]
        assert (book.bids, book.asks) == (want[Side.BID], want[Side.ASK])
        assert book.best_bid == max(want[Side.BID], default=None)
        assert book.best_ask == min(want[Side.ASK], default=None)


def book_of(bids, asks):
    book = Book("M")
    book.replace(
        {Price(p): Count(c) for p, c in bids.items()}, {Price(p): Count(c) for p, c in asks.items()}, Nanos(1), Nanos(2)
    )
    return book


def test_own_quotes_are_taken_out_of_the_view():
    book = book_of({4200: 100, 4100: 500}, {4400: 300, 4500: 900})
    view = own_excluded(
        book,
        [
            order(Side.BID, 4200, 100),
            order(Side.ASK, 4400, 300, filled=100),
            order(Side.ASK, 4500, 900, status=Status.CANCELED),
            order(Side.BID, 4100, 400, ticker="other"),
        ],
    )
    assert (view.best_bid, view.bid_size) == (4100, 500)
    assert (view.best_ask, view.ask_size) == (4400, 100)
    assert (view.full_bid, view.full_ask) == (4200, 4400)
    assert (view.mid, view.width, view.two_sided) == (4250, 300, True)


def test_an_order_not_yet_in_the_book_never_makes_a_negative_level():
    view = own_excluded(book_of({4200: 100}, {4400: 100}), [order(Side.BID, 4200, 200, status=Status.IN_FLIGHT)])
    assert (view.best_bid, view.bid_size, view.two_sided) == (None, 0, False)
    assert (view.mid, view.width) == (None, None)


def test_defect_09_an_empty_book_has_no_mid():
    view = own_excluded(book_of({}, {}), [])
    assert (view.mid, view.width, view.best_bid, view.best_ask) == (None, None, None, None)


@given(
    bids=levels,
    asks=levels,
    own=st.lists(st.tuples(st.sampled_from(list(Side)), st.integers(1, 99), st.integers(1, 60)), max_size=6),
)
@settings(max_examples=100, deadline=None)
def test_the_view_is_the_book_minus_our_orders(bids, asks, own):
    view = own_excluded(book_of(bids, asks), [order(*one) for one in own])
    for side, levels_of, best in ((Side.BID, dict(bids), max), (Side.ASK, dict(asks), min)):
        for own_side, price, count in own:
            if own_side is side and price in levels_of:
                levels_of[price] -= count
        others = {price: count for price, count in levels_of.items() if count > 0}
        seen = (view.best_bid, view.bid_size) if side is Side.BID else (view.best_ask, view.ask_size)
        want = best(others, default=None)
        assert seen == (want, 0 if want is None else others[want])


# One recorded hour. The bodies are wrapped: `payload_json` is the frame's msg, `sequence_number` its seq. Used: the
# snapshots with levels (each the first frame of its subscription, seq 1), every delta of the same market, and the empty
# snapshots of a subscription that outlived its market's close. NO levels are on the NO scale.


def captured_events(name):
    folder = data_dir()
    if folder is None:
        pytest.skip("shared market data not found (set KALSHI_DAEMON_DATA)")
    path = folder / "kalshi_ws_captures" / f"btc15m_2026-05-12T01_orderbook_{name}"
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
        for line in lines:
            yield json.loads(line)


def captured_snapshot(frame):
    msg = frame["payload_json"]
    bids = tuple((parse_price(price), parse_count(count)) for price, count in msg.get("yes_dollars_fp", ()))
    asks = tuple((complement(parse_price(price)), parse_count(count)) for price, count in msg.get("no_dollars_fp", ()))
    return BookSnapshot(2, frame["sequence_number"], msg["market_ticker"], bids, asks, Nanos(frame["local_recv_ns"]))


def captured_delta(frame):
    msg = frame["payload_json"]
    price = parse_price(msg["price_dollars"])
    side = Side.BID if msg["side"] == "yes" else Side.ASK
    return BookDelta(
        2,
        frame["sequence_number"],
        msg["market_ticker"],
        side,
        price if side is Side.BID else complement(price),
        parse_count(msg["delta_fp"]),
        Nanos(msg["ts_ms"] * 1_000_000),
        Nanos(frame["local_recv_ns"]),
    )


@pytest.mark.data
def test_an_hour_of_real_deltas_never_leaves_a_crossed_book_and_ends_at_the_venues_own_snapshot():
    started = [event for event in map(captured_snapshot, captured_events("snapshot.ndjson")) if event.bids]
    ended = [event for event in map(captured_snapshot, captured_events("snapshot.ndjson")) if not event.bids]
    assert len(started) == 2
    keeper, books = keeper_of(*(event.market_ticker for event in started))
    pending = {event.market_ticker: event for event in started}
    stamp: dict[str, int] = {}
    crossed_within_a_stamp = applied = 0
    for event in map(captured_delta, captured_events("delta.ndjson.gz")):
        first = pending.pop(event.market_ticker, None)
        if first is not None:
            assert keeper.apply(first) == ()
        book = books.get(event.market_ticker)
        if book is None:
            continue  # its snapshot lies before the recording
        assert not (book.crossed and (event.event_ns or 0) > stamp[event.market_ticker]), "crossed at rest"
        assert keeper.apply(event) == ()
        applied += 1
        stamp[event.market_ticker] = event.event_ns or 0
        crossed_within_a_stamp += book.crossed
    assert applied == 116_142
    assert 0 < crossed_within_a_stamp < 50
    assert keeper.voided == 0
    finals = {event.market_ticker: event for event in ended}
    closed = started[0].market_ticker
    assert (dict(finals[closed].bids), dict(finals[closed].asks)) == (books[closed].bids, books[closed].asks)
    assert books[started[1].market_ticker].two_sided


@pytest.mark.data
def test_a_snapshot_rebuilt_in_the_middle_of_real_deltas_changes_nothing():
    """Void at a random point, rebuild from a second keeper's book, and end with equal books."""
    first = next(event for event in map(captured_snapshot, captured_events("snapshot.ndjson")) if event.bids)
    deltas = [
        event
        for event in map(captured_delta, captured_events("delta.ndjson.gz"))
        if event.market_ticker == first.market_ticker
    ][:20_000]
    at = random.Random(5).randrange(5_000, 15_000)
    whole, whole_books = keeper_of(first.market_ticker)
    broken, broken_books = keeper_of(first.market_ticker)
    whole.apply(first)
    broken.apply(first)
    for position, event in enumerate(deltas):
        whole.apply(event)
        if position == at:
            assert broken.apply(SequenceGap(2, 1, 3, event.recv_ns)) == (first.market_ticker,)
        broken.apply(event)
        if position == at + 100:
            book = whole_books[first.market_ticker]
            bids, asks = tuple(book.bids.items()), tuple(book.asks.items())
            broken.apply(BookSnapshot(2, event.seq, first.market_ticker, bids, asks, event.recv_ns))
    assert broken.dropped == 101
    assert broken_books[first.market_ticker].bids == whole_books[first.market_ticker].bids
    assert broken_books[first.market_ticker].asks == whole_books[first.market_ticker].asks
