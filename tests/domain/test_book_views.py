"""A view that is kept is the one worked out anew, whatever happened to the book and to our orders in it."""

from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_daemon.domain.book import Book
from kalshi_daemon.domain.book_view import own_excluded
from kalshi_daemon.domain.order import Order, Status
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.units import Count, Nanos, Price
from kalshi_daemon.state import DaemonState

PRICES = st.integers(min_value=40, max_value=44).map(lambda cents: Price(100 * cents))
CHANGES = st.one_of(
    st.tuples(st.sampled_from(["bid", "ask"]), PRICES, st.integers(min_value=-300, max_value=300)),
    st.tuples(st.sampled_from(["order", "ended"]), PRICES, st.integers(min_value=1, max_value=300)),
    st.tuples(st.sampled_from(["doubt", "void", "snapshot", "seen"]), PRICES, st.just(100)),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(CHANGES, max_size=30), st.sampled_from(Side))
def test_a_view_that_is_kept_is_the_one_worked_out_anew(changes, side):
    state, book = DaemonState(), Book("M")
    for number, (kind, price, count) in enumerate(changes):
        now = Nanos(number)
        match kind:
            case "bid":
                book.change_bid(price, Count(count), now, now)
            case "ask":
                book.change_ask(price, Count(count), now, now)
            case "order" | "ended":
                status = Status.RESTING if kind == "order" else Status.CANCELED
                state.orders["a"] = Order("a", "M", "E", "S", "wide", side, price, Count(count), status, now, now)
            case "doubt":
                book.doubt = "" if book.doubt else "late"
            case "void":
                book.synced = False
            case "snapshot":
                book.replace({price: Count(count)}, {}, now, now)
            case _:
                book.recv_ns = now
        assert state.others_view(book) == own_excluded(book, state.live_orders())
    assert state.others_view(book) is state.others_view(book)
