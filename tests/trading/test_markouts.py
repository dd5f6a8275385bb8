"""Where the market went after our fills, against sums by hand; what is not known is never nothing."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from kalshi_daemon.domain.book_view import BookView
from kalshi_daemon.domain.markout import SPANS
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.units import SECOND, Count, Nanos, Price, lots
from kalshi_daemon.trading.markouts import KEPT, MarkoutWatch
from tests.guardrails.guard_rig import NOW, order_of


def at(seconds: float) -> Nanos:
    return Nanos(NOW + round(seconds * SECOND))


def prices(mid: int, microprice: int | None = None):
    """Of every market."""
    both = (Price(mid), Price(mid if microprice is None else microprice))
    return lambda _ticker: both


def view(ticker: str, bid: int, ask: int, *, synced: bool = True, sizes: tuple[int, int] = (1, 1)) -> BookView:
    counts = [lots(size) for size in sizes]
    return BookView(ticker, synced, NOW, Price(bid), counts[0], Price(ask), counts[1], Price(bid), Price(ask))


def test_a_bid_that_is_filled_gains_when_the_middle_rises():
    watch, order = MarkoutWatch(), order_of(side=Side.BID, price=Price(4_000), count=lots(2))
    watch.on_orders([order], prices(4_100), at(0))
    assert watch.recent() == ()
    watch.on_orders([replace(order, filled=Count(150))], prices(4_100), at(1))
    for seconds, mid in ((6, 4_050), (31, 3_900), (301, 4_300)):
        watch.look({order.market_ticker: (Price(mid), Price(mid + 10))}.get, at(seconds))
    (one,) = watch.recent()
    assert (one.count, one.mid_at_fill, one.mids) == (150, 4_100, (4_050, 3_900, 4_300))
    assert one.microprices == (4_060, 3_910, 4_310)
    assert (one.client_order_id, one.filled) == (order.client_order_id, 150)
    assert [one.gain(span) for span in range(3)] == [50, -100, 300]


def test_an_ask_gains_when_the_middle_falls():
    watch, order = MarkoutWatch(), order_of(side=Side.ASK, price=Price(6_000), count=lots(1))
    watch.on_orders([replace(order, filled=lots(1))], prices(5_900), at(0))
    watch.look(prices(5_700), at(5))
    assert watch.recent()[0].gain(0) == 300


def test_a_middle_that_could_not_be_read_in_time_stays_unknown():
    watch = MarkoutWatch()
    watch.on_orders([order_of(filled=lots(1))], lambda _t: None, at(0))
    watch.look(lambda _t: None, at(5))
    watch.look(prices(5_000), at(29))  # too late for the first span, too early for the second
    (one,) = watch.recent()
    assert (one.mid_at_fill, one.mids) == (None, (None, None, None))
    assert one.gain(0) is None


def test_a_fill_is_measured_from_the_prices_before_it():
    """Whoever trades with us takes others' orders too: the book that follows is not the one we were filled in."""
    watch, order = MarkoutWatch(), order_of(side=Side.BID, price=Price(4_000), count=lots(2))
    ticker, after = order.market_ticker, prices(3_500)
    watch.on_orders([order], after, at(0))
    watch.on_books({ticker: view(ticker, 3_900, 4_300, sizes=(3, 1))}, at(1))
    (one,) = watch.on_orders([replace(order, filled=lots(1))], after, at(2))
    assert (one.mid_at_fill, one.microprice_at_fill) == (4_100, 4_200)
    (late,) = watch.on_orders([replace(order, filled=lots(2))], after, at(8))
    assert late.mid_at_fill == 3_500, "a look of seven seconds ago says nothing: what is there now has to do"


def test_before_a_fill_an_untrue_or_one_sided_book_is_unknown():
    watch, order = MarkoutWatch(), order_of(count=lots(2))
    ticker = order.market_ticker
    watch.on_orders([order], prices(5_000), at(0))
    watch.on_books({ticker: view(ticker, 3_900, 4_300, synced=False)}, at(1))
    assert watch.on_orders([replace(order, filled=lots(1))], prices(5_000), at(2))[0].mid_at_fill is None
    watch.on_books({ticker: replace(view(ticker, 3_900, 4_300), best_ask=None)}, at(3))
    assert watch.on_orders([replace(order, filled=lots(2))], prices(5_000), at(4))[0].mid_at_fill is None


def test_a_look_says_what_it_has_learnt_and_says_it_once():
    watch = MarkoutWatch()
    assert len(watch.on_orders([order_of(filled=lots(1))], prices(5_000), at(0))) == 1
    assert watch.look(prices(5_100), at(4)) == []
    assert [one.mids for one in watch.look(prices(5_100), at(5))] == [(5_100, None, None)]
    assert watch.look(prices(5_100), at(6)) == []


def test_an_order_that_is_forgotten_and_comes_back_whole_is_no_new_order():
    watch, order = MarkoutWatch(), order_of(filled=lots(1))
    watch.on_orders([order], lambda _t: None, at(0))
    watch.on_orders([order], lambda _t: None, at(1))
    assert len(watch.recent()) == 1


@given(fills=st.lists(st.integers(1, 100), min_size=1, max_size=KEPT + 60))
def test_every_contract_is_counted_once_and_memory_is_bounded(fills):
    watch, filled = MarkoutWatch(), 0
    order = order_of(count=Count(sum(fills)))
    for step, count in enumerate(fills):
        filled += count
        watch.on_orders([replace(order, filled=Count(filled))], prices(5_000), at(step))
    recent = watch.recent()
    assert len(recent) == min(len(fills), KEPT)
    assert [one.count for one in recent] == fills[-KEPT:]
    assert watch.recent() is recent
    watch.look(prices(5_100), Nanos(recent[-1].filled_ns + SPANS[0]))
    assert watch.recent()[-1].mids[0] == 5_100


@given(
    bid=st.integers(100, 4_900),
    width=st.integers(100, 5_000),
    sizes=st.tuples(st.integers(0, 9_999), st.integers(0, 9_999)),
)
def test_the_microprice_lies_between_the_prices_and_leans_to_the_thinner_side(bid, width, sizes):
    ask = bid + width
    view = BookView("M", True, NOW, Price(bid), Count(sizes[0]), Price(ask), Count(sizes[1]), Price(bid), Price(ask))
    micro, mid = view.microprice, view.mid
    assert micro is not None
    assert mid is not None
    assert bid <= micro <= ask
    if sizes[0] > sizes[1]:
        assert micro >= mid
    elif sizes[0] < sizes[1]:
        assert micro <= mid
    assert replace(view, best_bid=None).microprice is None


def test_the_microprice_by_hand():
    view = BookView("M", True, NOW, Price(4_000), lots(3), Price(5_000), lots(1), Price(4_000), Price(5_000))
    assert view.microprice == 4_750
