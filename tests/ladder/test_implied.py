"""What books imply: found again from prices in whole cents, and no opinion where they do not say."""

from math import log
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshi_daemon.domain.contract import Contract, StrikeType
from kalshi_daemon.domain.index import Index
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.units import CONTRACT, POINT, Level, Nanos, Price, lots
from kalshi_daemon.ladder.implied import (
    EVENTS_MAX,
    ImpliedDistributions,
    books_distribution,
    implied_distribution,
    ladder_middle,
)
from kalshi_daemon.settings.model import PricingSettings
from tests.guardrails.guard_rig import STRIKES, TICKERS, WINDOW, book_of, healthy, order_of, rest

PRICING = PricingSettings()


def contract(low: float | None, high: float | None) -> Contract:
    kind = StrikeType.BETWEEN if low and high else StrikeType.GREATER_OR_EQUAL if low else StrikeType.LESS_OR_EQUAL
    ends = [None if end is None else Level(round(end * POINT)) for end in (low, high)]
    return Contract("T", "E", "KXINXU", Index.SPX, kind, ends[0], ends[1], Nanos(0))


def quoted(ends: list[tuple[float | None, float | None]], level: float, sigma: float) -> list[tuple[Contract, float]]:
    distribution = NormalDist(log(level), sigma)
    found = []
    for low, high in ends:
        p = (1.0 if high is None else distribution.cdf(log(high))) - (
            0.0 if low is None else distribution.cdf(log(low))
        )
        found.append((contract(low, high), round(p, 2)))
    return found


def strikes(first: int, step: int, count: int, *, above: bool) -> list[tuple[float | None, float | None]]:
    return [(first + step * n, None) if above else (None, first + step * n) for n in range(count)]


@given(level=st.floats(6_700.0, 6_900.0), sigma=st.floats(0.0015, 0.02), above=st.booleans())
def test_strikes_give_median_and_sigma_back(level, sigma, above):
    found = implied_distribution(quoted(strikes(6_000, 5, 400, above=above), level, sigma))
    assert found is not None
    assert log(found.median / level) == pytest.approx(0.0, abs=0.05 * sigma)
    assert found.sigma == pytest.approx(sigma, rel=0.05)


@given(level=st.floats(6_700.0, 6_900.0), sigma=st.floats(0.004, 0.012))
def test_bins_give_median_and_sigma_back(level, sigma):
    found = implied_distribution(quoted([(6_000 + 25 * n, 6_025 + 25 * n) for n in range(64)], level, sigma))
    assert found is not None
    assert log(found.median / level) == pytest.approx(0.0, abs=0.15 * sigma)
    assert found.sigma == pytest.approx(sigma, rel=0.25)


@pytest.mark.parametrize(
    "ends",
    [
        [],
        strikes(6_795, 5, 3, above=True),
        strikes(6_799, 1, 5, above=True),
        strikes(5_000, 5, 100, above=True),
        [(6_795.0, 6_800.0), (6_800.0, 6_805.0), (6_805.0, 6_810.0)],
        [(6_790.0, 6_800.0), (6_800.0, 6_805.0), (6_805.0, 6_815.0), (6_815.0, 6_820.0)],
        [(6_900.0 + 5 * n, 6_905.0 + 5 * n) for n in range(8)],
    ],
    ids=["nothing", "too few", "all near the middle", "all certain", "too few bins", "bins of two widths", "one side"],
)
def test_what_does_not_say_is_no_opinion(ends):
    assert implied_distribution(quoted(ends, 6_800.0, 0.008)) is None


def test_equal_prices_are_no_opinion():
    assert implied_distribution([(contract(6_700 + 5 * n, None), 0.5) for n in range(10)]) is None


def test_books_that_are_missing_wide_one_sided_or_out_of_sync_do_not_count():
    state = healthy()
    for n, ticker in enumerate(TICKERS):
        state.venue.books[ticker] = book_of(ticker, 8_700 - 800 * n, 8_900 - 800 * n)
    distribution = books_distribution(state, WINDOW.event_ticker, PRICING)
    assert distribution is not None
    assert 6_800.0 < distribution.median < 6_850.0
    for ticker in TICKERS[:3]:
        del state.venue.books[ticker]
    state.venue.books[TICKERS[3]] = book_of(TICKERS[3], 5_000, 7_500)
    state.venue.books[TICKERS[4]] = book_of(TICKERS[4], None, 6_000)
    state.venue.books[TICKERS[5]].synced = False
    still = books_distribution(state, WINDOW.event_ticker, PRICING)
    assert still is not None
    assert still.sigma == pytest.approx(distribution.sigma, rel=0.3)
    del state.venue.books[TICKERS[6]]
    assert books_distribution(state, WINDOW.event_ticker, PRICING) is None
    assert books_distribution(state, "UNLISTED", PRICING) is None


def test_the_middle_of_the_listed_strikes():
    assert ladder_middle(healthy(), WINDOW.event_ticker) == (STRIKES[0] + STRIKES[-1]) / 2
    assert ladder_middle(healthy(), "UNLISTED") is None


# --- worked out once


def laddered():
    state = healthy()
    for n, ticker in enumerate(TICKERS):
        state.venue.books[ticker] = book_of(ticker, 8_700 - 800 * n, 8_900 - 800 * n)
    return state


def test_the_distribution_is_not_worked_out_again_while_nothing_changes():
    state, distributions = laddered(), ImpliedDistributions()
    for _ in range(50):
        assert distributions.distribution(state, WINDOW.event_ticker, PRICING) == books_distribution(
            state, WINDOW.event_ticker, PRICING
        )
    assert distributions.computed == 1


def _bid(state):
    book = state.venue.books[TICKERS[2]]
    book.change_bid(Price(book.best_bid + 50), CONTRACT, Nanos(1), Nanos(1))


def _ask(state):
    book = state.venue.books[TICKERS[2]]
    book.change_ask(Price(book.best_ask - 50), CONTRACT, Nanos(1), Nanos(1))


def _snapshot(state):
    state.venue.books[TICKERS[2]].replace({}, {Price(7_000): CONTRACT}, Nanos(1), Nanos(1))


def _unsynced(state):
    state.venue.books[TICKERS[2]].synced = False


def _doubted(state):
    state.venue.books[TICKERS[2]].doubt = "repeated"


def _gone(state):
    del state.venue.books[TICKERS[2]]


def _replaced(state):
    state.venue.books[TICKERS[2]] = book_of(TICKERS[2], 7_000, 7_200)


def _unlisted(state):
    del state.venue.markets[TICKERS[2]]


def _own(state):
    book = state.venue.books[TICKERS[2]]
    rest(state, order_of(TICKERS[2], side=Side.BID, price=book.best_bid, count=lots(50)))


@pytest.mark.parametrize(
    "change",
    [_bid, _ask, _snapshot, _unsynced, _doubted, _gone, _replaced, _unlisted, _own],
    ids=lambda one: one.__name__,
)
def test_the_distribution_is_worked_out_again_when_anything_it_depends_on_changes(change):
    state, distributions = laddered(), ImpliedDistributions()
    before = distributions.distribution(state, WINDOW.event_ticker, PRICING)
    change(state)
    now = books_distribution(state, WINDOW.event_ticker, PRICING)
    assert now != before
    assert distributions.distribution(state, WINDOW.event_ticker, PRICING) == now
    assert distributions.computed == 2


def test_as_many_distributions_are_kept_as_there_may_be_windows():
    state, distributions = laddered(), ImpliedDistributions()
    for n in range(3 * EVENTS_MAX):
        distributions.distribution(state, f"E{n}", PRICING)
    assert len(distributions._found) == EVENTS_MAX
