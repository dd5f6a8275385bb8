from dataclasses import replace

import pytest

from kalshi_daemon.domain.contract import MarketStatus
from kalshi_daemon.domain.index import Index
from kalshi_daemon.index_feed.witnesses import NOTHING_KNOWN
from kalshi_daemon.settings.model import Settings
from kalshi_daemon.trading.inputs import outside_levels, picture_of
from kalshi_daemon.trading.policy.edge import EdgePolicy
from kalshi_daemon.trading.policy.policy import ScanRequest
from tests.guardrails import guard_rig
from tests.trading.trader_rig import Rig

POLICY = EdgePolicy(Settings().pricing, Settings().guards)


@pytest.fixture
def rig():
    return Rig()


def lost(rig, *orders):
    tickers = {order.market_ticker for order in orders}
    picture = picture_of(rig.state, rig.window, rig.clock.now_ns(), tickers=tickers)
    pulls, _memory = POLICY.review(picture, orders, POLICY.initial())
    return [reason for _order, reason in pulls]


def planned(rig):
    picture = picture_of(rig.state, rig.window, rig.clock.now_ns())
    return POLICY.plan(picture, ScanRequest("p", guard_rig.WIDE, "timer"), POLICY.initial())[0]


def test_a_quote_whose_market_is_no_longer_listed_cannot_stay(rig):
    order = guard_rig.order_of()
    del rig.state.venue.markets[order.market_ticker]
    assert lost(rig, order) == ["not_listed"]


def test_a_quote_in_a_halted_market_cannot_stay(rig):
    order = guard_rig.order_of()
    market = rig.state.venue.markets[order.market_ticker]
    assert "market_inactive" not in lost(rig, order)
    rig.state.venue.markets[order.market_ticker] = replace(market, status=MarketStatus.INACTIVE)
    assert lost(rig, order) == ["market_inactive"]


def test_a_quote_whose_book_is_lost_cannot_stay(rig):
    order = guard_rig.order_of()
    rig.state.venue.books[order.market_ticker].synced = False
    assert lost(rig, order) == ["stale_book"]
    del rig.state.venue.books[order.market_ticker]
    assert lost(rig, order) == ["stale_book"]


def test_nothing_can_stay_that_cannot_be_priced(rig):
    order = guard_rig.order_of()
    rig.model.silent = True
    assert lost(rig, order) == ["cannot_price"]
    rig.model.silent = False
    rig.state.venue.fees.clear()
    assert lost(rig, order) == ["cannot_price"]
    rig.state.calibration.clear()
    assert lost(rig, order) == ["cannot_price"]


def test_a_plan_without_a_forecast_or_fees_is_empty_and_says_which_window(rig):
    assert planned(rig).looks
    rig.state.venue.fees.clear()
    empty = planned(rig)
    assert (empty.quotes, empty.looks, empty.window, empty.trigger) == ((), (), rig.window, "timer")
    rig.state.index[Index.SPX].last = None
    assert planned(rig).quotes == ()


def test_only_markets_with_a_followed_book_are_looked_at(rig):
    before = rig.state.venue.listed(rig.window.event_ticker)
    gone = before[0].ticker
    del rig.state.venue.books[gone]
    plan = planned(rig)
    assert {look.market_ticker for look in plan.looks} == {m.ticker for m in before} - {gone}


def test_the_venue_says_where_an_index_is_by_its_next_fixing(rig):
    now = rig.clock.now_ns()
    for n, ticker in enumerate(guard_rig.TICKERS):
        rig.state.venue.books[ticker] = guard_rig.book_of(ticker, 8_700 - 800 * n, 8_900 - 800 * n)
    said = outside_levels(rig.state, Settings().pricing, Index.SPX, now)
    assert said.ladder_middle == 6_822.5
    assert said.books == pytest.approx(6_823.0, abs=3.0)
    rig.state.venue.books.clear()
    assert outside_levels(rig.state, Settings().pricing, Index.SPX, now).books is None
    rig.state.windows.clear()
    assert outside_levels(rig.state, Settings().pricing, Index.SPX, now) == NOTHING_KNOWN
