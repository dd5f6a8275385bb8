"""Policy `reservation` in the loop: two sides, asked again every few seconds, shy where it has been hurt."""

from dataclasses import replace

import pytest

from kalshi_daemon.domain.book import Book
from kalshi_daemon.domain.index import Index
from kalshi_daemon.domain.markout import Markout
from kalshi_daemon.domain.order import Order, Status
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.domain.window import Phase
from kalshi_daemon.ground.units import SECOND, Count, Dollars, Nanos, Price, lots
from kalshi_daemon.settings.model import Settings, TradingSettings
from kalshi_daemon.state import Position
from kalshi_daemon.trading.inputs import picture_of
from kalshi_daemon.trading.policy.named import build_policy
from kalshi_daemon.trading.policy.policy import ScanRequest
from tests.guardrails import guard_rig
from tests.trading.trader_rig import Rig

SETTINGS = Settings(trading=TradingSettings(policy="reservation"))
PROFILE = replace(guard_rig.WIDE, min_ev=Price(50), bins=40)


@pytest.fixture
def rig():
    made = Rig(policy=build_policy(SETTINGS))
    made.state.ledger.positions.clear()
    for order in list(made.state.orders):
        del made.state.orders[order]
    made.others_agree(5)
    return made


def plan_of(rig, *, markouts=(), memory=None, at=None):
    policy = build_policy(SETTINGS)
    picture = picture_of(rig.state, rig.window, at or rig.clock.now_ns(), markouts=markouts)
    return policy.plan(picture, ScanRequest("p", PROFILE, "timer"), memory or policy.initial())


def even(rig):
    """The market nearest to even odds."""
    forecast = rig.model.forecast(rig.clock.now_ns(), rig.window.target_ns)
    markets = rig.state.venue.listed(rig.event)
    return min(markets, key=lambda market: abs(forecast.probability(market.contract) - 0.5))


def priced(plan, ticker):
    return {quote.side: quote.price for quote in plan.quotes if quote.market_ticker == ticker}


def fill(rig, side, seconds_ago, *, moved=0, ticker=""):
    at = Nanos(rig.clock.now_ns() - seconds_ago * SECOND)
    mid = Price(5_000)
    later = Price(mid + moved)
    return Markout(
        "c", ticker or even(rig).ticker, side, Price(mid - 200 * side.sign), lots(1), lots(1), at, mid, mid,
        (later, later, None), (later, later, None),
    )  # fmt: skip


def test_both_sides_of_the_markets_it_is_in(rig):
    plan, _memory = plan_of(rig)
    sides = {ticker: set(priced(plan, ticker)) for ticker in {quote.market_ticker for quote in plan.quotes}}
    assert 1 <= len(sides) <= PROFILE.bins
    assert any(both == set(Side) for both in sides.values())


def test_what_is_held_makes_it_shy_of_more_of_the_same(rig):
    market = even(rig)
    before, _ = plan_of(rig)
    held = Position(market.ticker, rig.event, rig.window.series.ticker, Count(1_000), Dollars(-50_000))
    rig.state.ledger.positions[market.ticker] = held
    after, _ = plan_of(rig)
    bid, bid_before = priced(after, market.ticker).get(Side.BID), priced(before, market.ticker)[Side.BID]
    assert bid is None or bid < bid_before
    assert priced(after, market.ticker)[Side.ASK] < priced(before, market.ticker)[Side.ASK], "keener to be rid of it"


def test_no_more_than_the_fixing_may_lose(rig):
    market = even(rig)
    held = Position(market.ticker, rig.event, rig.window.series.ticker, Count(2_400), Dollars(-120_000))
    rig.state.ledger.positions[market.ticker] = held
    plan, _ = plan_of(rig)
    assert Side.BID not in priced(plan, market.ticker), "12 dollars are lost already if it does not pay"


def test_fills_one_way_within_seconds_close_that_way_for_a_while(rig):
    fills = (fill(rig, Side.BID, 4), fill(rig, Side.BID, 2))
    plan, memory = plan_of(rig, markouts=fills)
    assert {quote.side for quote in plan.quotes} == {Side.ASK}
    later = Nanos(rig.clock.now_ns() + 29 * SECOND)
    rig.clock.advance(Nanos(29 * SECOND))
    rig.fresh()
    assert {quote.side for quote in plan_of(rig, memory=memory, at=later)[0].quotes} == {Side.ASK}
    rig.clock.advance(Nanos(2 * SECOND))
    rig.fresh()
    assert {quote.side for quote in plan_of(rig, memory=memory)[0].quotes} == set(Side)


def test_a_window_that_opens_ends_no_pause(rig):
    """What is listed is looked at whenever a window opens, of either index."""
    _plan, memory = plan_of(rig, markouts=(fill(rig, Side.BID, 4), fill(rig, Side.BID, 2)))
    kept = build_policy(SETTINGS).forget(memory, rig.state.venue.markets)
    assert kept.paused == memory.paused != {}
    assert kept.levels == memory.levels != {}


def test_one_fill_each_way_closes_nothing(rig):
    plan, memory = plan_of(rig, markouts=(fill(rig, Side.BID, 4), fill(rig, Side.ASK, 2)))
    assert {quote.side for quote in plan.quotes} == set(Side)
    assert not memory.paused


def test_fills_that_went_bad_are_paid_for_by_those_to_come(rig):
    ticker = even(rig).ticker
    bad = tuple(fill(rig, Side.BID, 60 + second, moved=-400) for second in range(20))
    plain, hurt = plan_of(rig)[0], plan_of(rig, markouts=bad)[0]
    assert priced(hurt, ticker).get(Side.BID, Price(0)) < priced(plain, ticker)[Side.BID]
    good = tuple(fill(rig, Side.BID, 60 + second, moved=400) for second in range(20))
    assert priced(plan_of(rig, markouts=good)[0], ticker) == priced(plain, ticker), "luck is no licence"


def test_an_index_that_has_just_moved_against_a_side_costs_that_side(rig):
    _plan, memory = plan_of(rig)
    rig.clock.advance(Nanos(4 * SECOND))
    rig.fresh()
    rig.model.level -= 3.0
    rig.others_agree(5)
    ticker = even(rig).ticker
    calm, moved = plan_of(rig)[0], plan_of(rig, memory=replace(memory, last_mids={}))[0]
    assert priced(moved, ticker).get(Side.BID, Price(0)) < priced(calm, ticker)[Side.BID]
    assert priced(moved, ticker)[Side.ASK] == priced(calm, ticker)[Side.ASK]


def test_so_near_to_the_fixing_only_what_makes_a_position_smaller(rig):
    near = Nanos(rig.window.target_ns - 100 * SECOND)
    rig.clock.set(near)
    rig.fresh()
    rig.others_agree(5)
    plan, _ = plan_of(rig)
    assert plan.quotes == ()
    assert {look.outcome for look in plan.looks} & {"last_minutes"}


def spoil_crossed(book: Book, now):
    book.replace({Price(5_200): lots(5)}, {Price(5_000): lots(5)}, now, now)


def spoil_one_sided(book: Book, now):
    book.replace({Price(4_500): lots(5)}, {}, now, now)


def spoil_stale(book: Book, now):
    book.recv_ns = Nanos(now - 120 * SECOND)


def spoil_doubted(book: Book, _now):
    book.doubt = "disagrees with the exchange"


def spoil_unsynced(book: Book, _now):
    book.synced = False


@pytest.mark.parametrize("spoil", [spoil_crossed, spoil_one_sided, spoil_stale, spoil_doubted, spoil_unsynced])
def test_a_book_that_says_nothing_is_not_quoted_on_and_what_rests_goes(rig, spoil):
    now = rig.clock.now_ns()
    plan, memory = plan_of(rig)
    ticker = plan.quotes[0].market_ticker
    resting = _order(rig, ticker)
    rig.state.orders[resting.client_order_id] = resting
    spoil(rig.state.venue.books[ticker], now)
    after, _ = plan_of(rig, memory=memory)
    assert not priced(after, ticker)
    assert resting.client_order_id in {name for name, _reason in after.cancel}


def _order(rig, ticker):
    return Order(
        "kd-x", ticker, rig.event, rig.window.series.ticker, "wide", Side.BID, Price(1_000), lots(1), Status.RESTING,
        rig.window.gone_by_ns, rig.clock.now_ns(), "x",
    )  # fmt: skip


def test_without_a_forecast_nothing_is_planned_and_everything_is_pulled(rig):
    resting = [_order(rig, even(rig).ticker)]
    rig.model.silent = True
    assert plan_of(rig)[0].quotes == ()
    policy = build_policy(SETTINGS)
    picture = picture_of(rig.state, rig.window, rig.clock.now_ns(), tickers=())
    assert policy.review(picture, resting, policy.initial())[0] == ((resting[0], "cannot_price"),)


async def test_the_loop_asks_every_few_seconds_and_writes_down_what_changed(rig):
    async with rig.running():
        rig.phase(Phase.OPEN)
        await rig.pass_time(1)
        assert {order.side for order in rig.live()} == set(Side)
        first = len(rig.scans())
        await rig.pass_time(30)
        assert len(rig.scans()) == first, "nothing changed, nothing is written"
        assert rig.state.counters.scans >= first + 5
        rig.model.level += 40.0
        rig.others_agree(5)
        rig.trader.on_tick(Index.SPX)
        await rig.pass_time(12)
        assert "requote" in rig.scans() or "edge_lost" in rig.scans()
        assert rig.live(), "it is back at the new level before the timer"
