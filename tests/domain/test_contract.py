from hypothesis import given
from hypothesis import strategies as st

from kalshi_daemon.domain.book import Book
from kalshi_daemon.domain.contract import Contract, PriceBand, PriceGrid, StrikeType
from kalshi_daemon.domain.index import Index
from kalshi_daemon.ground.units import Count, Level, Nanos, Price

CENTS = PriceGrid((PriceBand(Price(0), Price(10_000), Price(100)),))
TAPERED = PriceGrid(
    (
        PriceBand(Price(0), Price(1_000), Price(10)),
        PriceBand(Price(1_000), Price(9_000), Price(100)),
        PriceBand(Price(9_000), Price(10_000), Price(10)),
    )
)
grids = st.sampled_from([CENTS, TAPERED])


@given(grids, st.integers(-500, 10_500))
def test_the_grid_brackets_every_price(grid, price):
    low, high = grid.at_or_below(price), grid.at_or_above(price)
    valid = [p for p in range(1, 10_000) if grid.contains(Price(p))]
    assert low == max((p for p in valid if p <= price), default=None)
    assert high == min((p for p in valid if p >= price), default=None)


def test_next_prices_change_step_at_a_band_edge():
    assert TAPERED.below(1_000) == 990
    assert TAPERED.above(1_000) == 1_100
    assert TAPERED.above(9_000) == 9_010
    assert CENTS.below(100) is None
    assert CENTS.above(9_900) is None


def contract(lowest, highest):
    return Contract("M", "E", "KXINX", Index.SPX, StrikeType.BETWEEN, lowest, highest, Nanos(0))


def test_a_range_pays_on_both_ends():
    between = contract(Level(71_750_000), Level(71_999_900))
    assert between.pays(Level(71_750_000))
    assert between.pays(Level(71_999_900))
    assert not between.pays(Level(71_749_900))
    assert not between.pays(Level(72_000_000))


levels = st.dictionaries(st.integers(1, 9_999).map(Price), st.integers(1, 500).map(Count), max_size=8)


@given(levels, levels, st.lists(st.tuples(st.booleans(), st.integers(1, 9_999), st.integers(-500, 500)), max_size=40))
def test_a_book_of_changes_equals_the_sums(bids, asks, changes):
    book = Book("M")
    book.replace(dict(bids), dict(asks), Nanos(1), Nanos(1))
    expected = [dict(bids), dict(asks)]
    for is_bid, price, delta in changes:
        side = expected[0 if is_bid else 1]
        total = side.get(price, 0) + delta
        change = book.change_bid if is_bid else book.change_ask
        assert change(Price(price), Count(delta), Nanos(2), Nanos(2)) is (total >= 0)
        if total > 0:
            side[price] = total
        else:
            side.pop(price, None)
    assert book.bids == expected[0]
    assert book.asks == expected[1]
    assert book.best_bid == max(expected[0], default=None)
    assert book.best_ask == min(expected[1], default=None)
    assert book.two_sided is bool(expected[0] and expected[1])


def test_an_impossible_change_leaves_the_book_unsynced_until_a_snapshot():
    book = Book("M")
    book.replace({Price(4_000): Count(100)}, {}, Nanos(1), Nanos(1))
    assert not book.change_bid(Price(4_000), Count(-200), Nanos(2), Nanos(2))
    assert (book.synced, book.best_bid) == (False, None)
    book.replace({Price(4_100): Count(0)}, {Price(4_200): Count(5)}, Nanos(3), Nanos(3))
    assert (book.synced, book.best_bid) == (True, None), "a level of zero contracts is no level"
