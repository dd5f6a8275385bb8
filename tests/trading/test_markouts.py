"""Where the market went after our fills, against sums by hand; what is not known is never nothing."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from kalshi_daemon.domain.book_view import BookView
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.units import SECOND, Count, Nanos, Price, lots
from kalshi_daemon.trading.markouts import KEPT, SPANS, MarkoutWatch
from tests.guardrails.guard_rig import NOW, order_of


def at(seconds: float) -> Nanos:
    return Nanos(NOW + round(seconds * SECOND))


def test_a_bid_that_is_filled_gains_when_the_middle_rises():
    watch, order = MarkoutWatch(), order_of(side=Side.BID, price=Price(4_000), count=lots(2))
    watch.on_orders([order], lambda _t: Price(4_100), at(0))
    assert watch.recent() == ()
    watch.on_orders([replace(order, filled=Count(150))], lambda _t: Price(4_100), at(1))
    for seconds, mid in ((6, 4_050), (31, 3_900), (301, 4_300)):
        watch.look({order.market_ticker: Price(mid)}.get, at(seconds))
    (one,) = watch.recent()
    assert (one.count, one.mid_at_fill, one.mids) == (150, 4_100, (4_050, 3_900, 4_300))
    assert [one.gain(span) for span in range(3)] == [50, -100, 300]


def test_an_ask_gains_when_the_middle_falls():
    watch, order = MarkoutWatch(), order_of(side=Side.ASK, price=Price(6_000), count=lots(1))
    watch.on_orders([replace(order, filled=lots(1))], lambda _t: Price(5_900), at(0))
    watch.look(lambda _t: Price(5_700), at(5))
    assert watch.recent()[0].gain(0) == 300


def test_a_middle_that_could_not_be_read_in_time_stays_unknown():
    watch = MarkoutWatch()
    watch.on_orders([order_of(filled=lots(1))], lambda _t: None, at(0))
    watch.look(lambda _t: None, at(5))
    watch.look(lambda _t: Price(5_000), at(29))  # too late for the first span, too early for the second
    (one,) = watch.recent()
    assert (one.mid_at_fill, one.mids) == (None, (None, None, None))
    assert one.gain(0) is None


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
        watch.on_orders([replace(order, filled=Count(filled))], lambda _t: Price(5_000), at(step))
    recent = watch.recent()
    assert len(recent) == min(len(fills), KEPT)
    assert [one.count for one in recent] == fills[-KEPT:]
    assert watch.recent() is recent
    watch.look(lambda _t: Price(5_100), Nanos(recent[-1].filled_ns + SPANS[0]))
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
