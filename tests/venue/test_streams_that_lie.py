"""Detector, bound, action and figure of each way in which a stream of books can lie (docs/order-safety.md)."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_daemon.domain.book import Book
from kalshi_daemon.domain.events import BookDelta, BooksLost, BookSnapshot, SequenceGap, StreamDown
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.errors import MalformedData
from kalshi_daemon.ground.units import MILLISECOND, SECOND, Count, Nanos, Price
from kalshi_daemon.kalshi.rate_limit import Endpoint, RateLimiter
from kalshi_daemon.kalshi.rest_codec import order_book
from kalshi_daemon.settings.model import Settings
from kalshi_daemon.state import ClockSkew
from kalshi_daemon.venue.books import BookKeeper, Changes
from kalshi_daemon.venue.rest_cross_check import compare
from kalshi_daemon.venue.stream_care import REJECTS_MAX, SILENCE_GRACE
from tests.venue.monitor_rig import EVENT, Rig, rest_book, running

T6850 = f"{EVENT}-T6849.9999"
T6855 = f"{EVENT}-T6854.9999"
DEFAULTS = Settings()


async def streaming(rig):
    rig.window()
    rig.forecast(6850.0)
    rig.up()
    await rig.advance(6)
    for ticker in rig.stream.wanted[-1]:
        rig.book(ticker)


def change(rig, ticker=T6850, price=4000, by=100, late_ms=0):
    now = rig.clock.now_ns()
    stamp = Nanos(now - late_ms * MILLISECOND)
    rig.monitor.on_event(BookDelta(1, 9, ticker, Side.BID, Price(price), Count(by), stamp, now))


def answer(rig, ticker=T6850):
    """The snapshot that was asked for, equal to the book."""
    book = rig.state.venue.books[ticker]
    levels = tuple(book.bids.items()), tuple(book.asks.items())
    rig.monitor.on_event(BookSnapshot(1, 9, ticker, *levels, rig.clock.now_ns()))


# --- silent markets under a healthy ping


async def test_a_silent_market_is_asked_for_a_snapshot_and_given_up_without_one():
    rig = Rig()
    async with running(rig):
        await streaming(rig)
        book = rig.state.venue.books[T6850]
        await rig.advance(DEFAULTS.kalshi.book_silence_s - 1)
        assert rig.stream.asked == []
        await rig.advance(6)
        assert T6850 in rig.stream.asked[0], "quiet for longer than book_silence_s"
        assert book.synced, "a quiet market is no liar yet"
        for ticker in rig.state.venue.books:
            if ticker != T6850:
                answer(rig, ticker)
        await rig.advance(SILENCE_GRACE / SECOND + 6)
        assert bool(book.synced) is False
        assert [t for t, one in rig.state.venue.books.items() if not one.synced] == [T6850]
        assert rig.state.venue.streams.markets_silent == 1
        rig.book(T6850)
        assert book.synced


async def test_a_quiet_market_that_answers_stays():
    rig = Rig()
    async with running(rig):
        await streaming(rig)
        for _ in range(6):
            await rig.advance(15)
            for ticker in rig.state.venue.books:
                answer(rig, ticker)
        assert rig.state.venue.streams.markets_silent == 0
        assert all(book.synced for book in rig.state.venue.books.values())


async def test_a_change_answers_as_well_as_a_snapshot():
    rig = Rig()
    async with running(rig):
        await streaming(rig)
        for _ in range(10):
            await rig.advance(22)
            for ticker in rig.state.venue.books:
                change(rig, ticker)
        assert rig.state.venue.streams.markets_silent == 0


async def test_a_market_the_stream_took_out_is_closed_at_once():
    rig = Rig()
    async with running(rig):
        await streaming(rig)
        rig.monitor.on_event(BooksLost((T6850, "NEVER-FOLLOWED"), rig.clock.now_ns()))
        assert not rig.state.venue.books[T6850].synced
        assert rig.state.venue.books[T6855].synced
        assert rig.state.venue.streams.doubted == {}


# --- lagging deltas


async def test_a_late_market_is_closed_until_something_timely_comes():
    rig = Rig()
    async with running(rig):
        await streaming(rig)
        book = rig.state.venue.books[T6850]
        change(rig, late_ms=DEFAULTS.guards.book_lag_ms_max)
        await rig.advance(5)
        assert book.doubt == ""
        change(rig, late_ms=DEFAULTS.guards.book_lag_ms_max + 1)
        await rig.advance(5)
        assert "2001 ms late" in book.doubt
        assert rig.state.venue.streams.markets_lagging == 1
        assert [T6850] in rig.stream.asked
        change(rig)
        assert book.doubt == ""
        assert not rig.state.venue.streams.doubted


async def test_a_snapshot_that_comes_soon_after_it_was_asked_for_proves_that_the_lag_is_over():
    rig = Rig()
    async with running(rig):
        await streaming(rig)
        change(rig, late_ms=9_000)
        await rig.advance(5)
        await rig.advance(3)
        answer(rig)
        assert rig.state.venue.books[T6850].doubt, "three seconds for a snapshot are late, too"
        rig.stream.asked.clear()
        while not any(T6850 in asked for asked in rig.stream.asked):
            await rig.advance(1)
        answer(rig)
        assert rig.state.venue.books[T6850].doubt == ""


async def test_our_clocks_difference_is_no_lag():
    rig = Rig()
    rig.state.skew["kalshi"] = ClockSkew(Nanos(5 * SECOND), rig.clock.now_ns(), Nanos(0))
    async with running(rig):
        await streaming(rig)
        change(rig, late_ms=5_000)
        await rig.advance(5)
        assert rig.state.venue.books[T6850].doubt == ""


# --- a book that disagrees with a witness


def book_of(bids, asks):
    book = Book("M")
    book.replace(bids, asks, Nanos(0), Nanos(0))
    return book


def told(book, theirs, changes=None):
    """What a witness says that has something to say."""
    said = compare(book, theirs, changes or Changes())
    assert said is not None
    return said


def test_levels_that_stood_still_are_compared_and_no_others():
    book = book_of({Price(4000): Count(100), Price(4100): Count(50)}, {Price(5000): Count(300)})
    same = order_book(rest_book(book))
    assert told(book, same).differences == ()
    moved = Changes({(Side.BID, Price(4100))})
    theirs = ({Price(4000): Count(100)}, {Price(5000): Count(300)})
    assert told(book, theirs, moved).differences == ()
    assert told(book, theirs, moved).compared == 2
    assert told(book, theirs).differences == ("bid 0.4100: stream 0.50, exchange 0.00",)


def test_what_was_replaced_meanwhile_or_moved_everywhere_says_nothing():
    book = book_of({Price(4000): Count(100)}, {})
    assert compare(book, ({}, {}), Changes(broken=True)) is None
    assert compare(book, ({}, {}), Changes({(Side.BID, Price(4000))})) is None
    book.synced = False
    assert compare(book, ({}, {}), Changes()) is None
    assert told(book_of({}, {}), ({}, {})).differences == ()


@pytest.mark.parametrize(
    "obj",
    [
        {},
        {"yes_dollars": [["0.40", "1.00"]]},
        {"yes_dollars": [[0.4, "1.00"]], "no_dollars": []},
        {"yes_dollars": [["0.40", "0.00"]], "no_dollars": []},
        {"yes_dollars": [["0.40", "1.00"], ["0.40", "2.00"]], "no_dollars": []},
        {"yes_dollars": [], "no_dollars": [["0.40"]]},
    ],
)
def test_a_malformed_book_is_no_witness(obj):
    with pytest.raises(MalformedData):
        order_book(obj)


_steps = st.lists(
    st.tuples(st.sampled_from([Side.BID, Side.ASK]), st.integers(1, 8), st.integers(-3, 3)), min_size=1, max_size=40
)


@given(before=_steps, during=_steps, asked_after=st.integers(0, 40))
@settings(max_examples=150, deadline=None)
def test_an_honest_exchange_is_never_accused_whatever_races(before, during, asked_after):
    """The stream shows some prefix of the changes, the answer another; both within the watched time."""
    books = {"M": Book("M")}
    keeper = BookKeeper(books)
    truth: dict[Side, dict[Price, int]] = {Side.BID: {}, Side.ASK: {}}
    keeper.apply(BookSnapshot(1, 1, "M", (), (), Nanos(0)))

    def step(side, cents, by):
        price = Price(cents * 100 if side is Side.BID else 5_000 + cents * 100)
        held = truth[side].get(price, 0)
        by = max(by, -held)
        truth[side] = {p: n for p, n in {**truth[side], price: held + by}.items() if n}
        return BookDelta(1, 2, "M", side, price, Count(by), Nanos(1), Nanos(1))

    for one in before:
        keeper.apply(step(*one))
    changes = keeper.watch("M")
    states, frames = [(dict(truth[Side.BID]), dict(truth[Side.ASK]))], []
    for one in during:
        frames.append(step(*one))
        states.append((dict(truth[Side.BID]), dict(truth[Side.ASK])))
    for frame in frames:
        keeper.apply(frame)
    said = compare(books["M"], states[min(asked_after, len(during))], changes)
    assert said is None or said.differences == ()


async def test_one_disagreement_is_a_suspicion_two_close_the_market_until_it_agrees():
    rig = Rig()
    async with running(rig):
        await streaming(rig)
        streams = rig.state.venue.streams
        liar = rest_book(rig.state.venue.books[T6850])
        liar["yes_dollars"].append(["0.4300", "7.00"])
        rig.venue.books = dict.fromkeys(rig.state.venue.books, liar)
        await rig.advance(10 + 4)
        assert streams.witness_suspicions >= 1
        assert streams.witness_disagreements == 0
        assert streams.doubted == {}
        await rig.advance(10)
        assert streams.witness_disagreements >= 1
        ticker = next(iter(streams.doubted))
        assert "bid 0.4300: stream 0.00, exchange 7.00" in streams.doubted[ticker]
        assert rig.stream.renewed == [[ticker]]
        book = rig.state.venue.books[ticker]
        assert bool(book.synced) is False, "its subscription is made again"
        rig.book(ticker)
        assert bool(book.synced) is True
        assert bool(book.usable) is False, "a fresh snapshot alone does not clear a witness's word"
        rig.venue.books = {}
        await rig.advance(30)
        assert bool(book.usable) is True
        assert streams.doubted == {}


async def test_a_suspicion_that_a_second_look_does_not_share_closes_nothing():
    rig = Rig()
    async with running(rig):
        await streaming(rig)
        liar = {"yes_dollars": [["0.4300", "7.00"]], "no_dollars": []}
        rig.venue.books = dict.fromkeys(rig.state.venue.books, liar)
        await rig.advance(9)
        assert rig.state.venue.streams.witness_suspicions == 1
        rig.venue.books = {}
        await rig.advance(10)
        assert rig.state.venue.streams.witness_disagreements == 0
        assert rig.stream.renewed == []


async def test_the_witness_gets_round_and_is_far_inside_the_rate_limit():
    rig = Rig()
    async with running(rig):
        await streaming(rig)
        for _ in range(60):
            await rig.advance(10)
            for ticker in rig.state.venue.books:
                answer(rig, ticker)
        asked = [call[1] for call in rig.venue.calls if call[0] == "orderbook"]
        assert len(asked) <= 61
        assert set(asked) == set(rig.state.venue.books)
    limiter = RateLimiter(DEFAULTS.kalshi.cancel_reserve_share, Nanos(0))
    per_s = limiter.cost(Endpoint.ORDERBOOK) / DEFAULTS.kalshi.witness_every_s
    assert per_s <= 0.01 * limiter.read.refill_per_s


# --- post-only rejects


async def test_a_post_only_reject_doubts_the_book_until_a_fresh_snapshot():
    rig = Rig()
    async with running(rig):
        await streaming(rig)
        rig.monitor.on_post_only_reject(T6850)
        book = rig.state.venue.books[T6850]
        assert "would not rest" in book.doubt
        assert rig.stream.asked == [[T6850]]
        change(rig)
        assert book.doubt, "one more change proves nothing"
        answer(rig)
        assert book.doubt == ""
        assert rig.state.venue.streams.post_only_rejects == 1
        rig.monitor.on_post_only_reject("KXINXU-NOT-FOLLOWED")
        assert rig.state.venue.streams.post_only_rejects == 2


async def test_several_rejects_in_a_minute_make_the_subscription_again():
    rig = Rig()
    async with running(rig):
        await streaming(rig)
        for number in range(REJECTS_MAX):
            assert rig.stream.renewed == []
            rig.monitor.on_post_only_reject(T6850)
            if number < REJECTS_MAX - 1:
                answer(rig)
        assert rig.stream.renewed == [[T6850]]
        assert not rig.state.venue.books[T6850].synced


# --- what is said of it all


async def test_the_figures_are_logged_and_written_each_minute():
    rig = Rig()
    async with running(rig):
        await streaming(rig)
        rig.stream.repeated = 3
        rig.monitor.on_event(SequenceGap(1, 5, 7, rig.clock.now_ns()))
        change(rig)
        await rig.advance(65)
        (report,) = rig.reports
        assert report["name"] == "streams"
        assert report["status"] == "ALERT"
        figures = report["metrics"]
        assert (figures["gaps"], figures["repeated"], figures["in_sync"]) == (1, 3, 0)
        assert figures["deltas_dropped"] == 1
        for _ in range(6):
            for ticker in rig.state.venue.books:
                rig.book(ticker)
            await rig.advance(10)
        assert rig.reports[-1]["status"] == "OK"
        rig.monitor.on_event(StreamDown(rig.clock.now_ns(), "closed"))
        await rig.advance(60)
        assert rig.reports[-1]["status"] == "ALERT"
        assert rig.reports[-1]["metrics"]["up"] is False


def test_a_book_that_is_no_longer_followed_is_no_longer_doubted():
    rig = Rig()
    rig.state.venue.books["M"] = Book("M")
    rig.monitor.on_post_only_reject("M")
    assert rig.state.venue.streams.doubted
    rig.monitor.keep_books()
    assert rig.state.venue.books == {}
    assert rig.state.venue.streams.doubted == {}
