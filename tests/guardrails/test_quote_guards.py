"""Each guard asked about a quote: it passes, refuses at the edge of its limit, and refuses on missing data."""

from dataclasses import replace
from typing import Any

import pytest

from kalshi_daemon.domain.contract import FeeSchedule, FeeType, MarketStatus
from kalshi_daemon.domain.events import Balance
from kalshi_daemon.domain.order import Status
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.units import MILLISECOND, SECOND, Count, Dollars, Nanos, Price, lots
from kalshi_daemon.settings.model import GuardSettings, Settings
from tests.guardrails.guard_rig import (
    CLOSE,
    NOW,
    SIZE,
    TICKER,
    TICKERS,
    WIDE,
    ask_quote,
    book_of,
    chain_of,
    healthy,
    hold,
    order_of,
    plan_of,
    quote_of,
    rest,
    window_of,
)
from tests.support.instruments import KXINX

ASK: dict[str, Any] = {"side": Side.ASK, "price": Price(4_500), "fair": 0.40, "model_fair": 0.39, "ev": Price(500)}


def test_a_good_quote_passes_every_guard():
    judgement = chain_of().judge_plan(healthy(), plan_of(), NOW)
    assert [verdict.guard for verdict in judgement.quotes[0].verdicts if not verdict.passed] == []
    assert judgement.accepted == (quote_of(),)


def test_a_good_ask_passes_every_guard():
    judgement = chain_of().judge_plan(healthy(), plan_of(quote_of(**ASK)), NOW)
    assert [verdict.guard for verdict in judgement.quotes[0].verdicts if not verdict.passed] == []


# --- the market


@pytest.mark.parametrize("status", [status for status in MarketStatus if status is not MarketStatus.ACTIVE])
def test_only_active_markets_are_quoted(status):
    state = healthy()
    state.venue.markets[TICKER] = replace(state.venue.markets[TICKER], status=status)
    verdict = ask_quote(state, "market_status")
    assert (verdict.passed, verdict.measured) == (False, status.value)


@pytest.mark.parametrize(
    ("changes", "passes"),
    [
        ({"open_ns": NOW}, True),
        ({"open_ns": Nanos(NOW + 1)}, False),
        ({"close_ns": Nanos(NOW + 1)}, True),
        ({"close_ns": NOW}, False),
    ],
)
def test_only_inside_the_markets_own_hours(changes, passes):
    state = healthy()
    state.venue.markets[TICKER] = replace(state.venue.markets[TICKER], **changes)
    assert ask_quote(state, "market_status").passed is passes


def test_an_unlisted_market_is_refused_by_every_guard_that_needs_it():
    state = healthy()
    del state.venue.markets[TICKER]
    assert ask_quote(state, "market_status").measured is None
    assert ask_quote(state, "price_grid").measured is None


def test_a_quote_of_a_window_that_was_not_judged_is_refused():
    state = healthy()
    other = window_of(KXINX)
    stray = quote_of(f"{other.event_ticker}-T6800", window=other)
    assert not ask_quote(state, "market_status", stray).passed
    disguised = quote_of(f"{other.event_ticker}-T6800")
    assert not ask_quote(state, "market_status", disguised).passed


@pytest.mark.parametrize(("price", "passes"), [(4_200, True), (4_250, False), (4_201, False), (0, False)])
def test_only_prices_on_the_markets_grid(price, passes):
    assert ask_quote(healthy(), "price_grid", quote_of(price=Price(price))).passed is passes


# --- the book


@pytest.mark.parametrize(("age_ns", "passes"), [(60 * SECOND, True), (60 * SECOND + 1, False)])
def test_a_book_is_good_for_its_limit(age_ns, passes):
    state = healthy()
    state.venue.books[TICKER] = book_of(TICKER, at_ns=Nanos(NOW - age_ns))
    assert ask_quote(state, "book_sanity").passed is passes


@pytest.mark.parametrize(
    ("bid", "ask", "word"), [(None, 4_600, "one-sided"), (4_000, None, "one-sided"), (None, None, "empty")]
)
def test_a_book_without_both_sides_is_no_book(bid, ask, word):
    state = healthy()
    state.venue.books[TICKER] = book_of(TICKER, bid, ask)
    verdict = ask_quote(state, "book_sanity")
    assert (verdict.passed, verdict.measured) == (False, word)


def test_our_own_orders_do_not_make_a_book_two_sided():
    state = healthy()
    state.venue.books[TICKER] = book_of(TICKER, 4_000, 4_600)
    rest(state, order_of(price=Price(4_000), count=lots(50)))
    assert ask_quote(state, "book_sanity").measured == "one-sided"


@pytest.mark.parametrize("how", ["missing", "unsynced", "crossed"])
def test_a_book_that_cannot_be_believed_refuses(how):
    state = healthy()
    if how == "missing":
        del state.venue.books[TICKER]
    elif how == "unsynced":
        state.venue.books[TICKER].synced = False
    else:
        state.venue.books[TICKER] = book_of(TICKER, 4_600, 4_600)
    assert ask_quote(state, "book_sanity").measured is None


@pytest.mark.parametrize(("lag_ms", "passes"), [(0, True), (2_000, True), (2_001, False)])
def test_a_book_whose_last_frame_came_late_is_not_quoted_on(lag_ms, passes):
    state = healthy()
    state.venue.books[TICKER].lag_ns = Nanos(lag_ms * MILLISECOND)
    verdict = ask_quote(state, "book_sanity")
    assert verdict.passed is passes
    if not passes:
        assert (verdict.measured, verdict.limit, verdict.unit) == (lag_ms, 2_000, "ms")


def test_a_doubted_book_is_not_quoted_on_and_says_why():
    state = healthy()
    state.venue.books[TICKER].doubt = "the exchange's own book differs"
    verdict = ask_quote(state, "book_sanity")
    assert (verdict.passed, verdict.note) == (False, "the exchange's own book differs")


@pytest.mark.parametrize(("price", "passes"), [(4_500, True), (4_600, False), (4_700, False)])
def test_a_bid_stays_below_the_ask(price, passes):
    assert ask_quote(healthy(), "maker_only", quote_of(price=Price(price))).passed is passes


@pytest.mark.parametrize(("price", "passes"), [(4_100, True), (4_000, False), (3_900, False)])
def test_an_ask_stays_above_the_bid(price, passes):
    assert ask_quote(healthy(), "maker_only", quote_of(**ASK | {"price": Price(price)})).passed is passes


@pytest.mark.parametrize("how", ["missing", "unsynced"])
def test_without_a_book_nothing_can_be_called_a_maker(how):
    state = healthy()
    if how == "missing":
        del state.venue.books[TICKER]
    else:
        state.venue.books[TICKER].synced = False
    assert ask_quote(state, "maker_only").measured is None
    assert ask_quote(state, "impact_cap").measured is None


def test_nothing_facing_cannot_be_taken():
    state = healthy()
    state.venue.books[TICKER] = book_of(TICKER, 4_000, None)
    verdict = ask_quote(state, "maker_only")
    assert (verdict.passed, verdict.limit) == (True, "nothing facing")


@pytest.mark.parametrize("status", [Status.RESTING, Status.IN_FLIGHT, Status.UNKNOWN, Status.PENDING_CANCEL])
def test_our_own_order_on_the_other_side_is_not_crossed_whoever_sent_it(status):
    state = healthy()
    rest(state, order_of(side=Side.ASK, price=Price(4_200), profile="size", status=status))
    verdict = ask_quote(state, "maker_only")
    assert (verdict.passed, verdict.limit) == (False, 0.42)
    rest(state, order_of(side=Side.ASK, price=Price(4_200), profile="size", status=Status.CANCELED))
    assert ask_quote(state, "maker_only").passed


def test_two_quotes_of_one_plan_do_not_cross_each_other():
    first, second = quote_of(), quote_of(**ASK | {"price": Price(4_100)})
    verdict = ask_quote(healthy(), "maker_only", plan=plan_of(first, second))
    assert (verdict.passed, verdict.limit) == (False, 0.42)


# --- small, few, worth it


@pytest.mark.parametrize(
    ("profile", "count", "passes"),
    [
        (WIDE, 100, True),
        (WIDE, 101, False),
        (SIZE, 200, True),
        (SIZE, 201, False),
        (replace(SIZE, lots=5), 300, False),
        (WIDE, 0, False),
        (WIDE, -100, False),
    ],
)
def test_no_more_lots_than_the_profile_and_the_limit_allow(profile, count, passes):
    quote = quote_of(count=Count(count), profile=profile.name)
    verdict = ask_quote(healthy(), "lots_per_quote", plan=plan_of(quote, profile=profile))
    assert verdict.passed is passes


def test_as_many_markets_as_bins_and_no_more():
    quotes = [quote_of(ticker) for ticker in TICKERS[:5]]
    judgement = chain_of().judge_plan(healthy(), plan_of(*quotes), NOW)
    assert [one.accepted for one in judgement.quotes] == [True, True, True, True, False]
    last = {verdict.guard: verdict for verdict in judgement.quotes[-1].verdicts}["unique_bins"]
    assert (last.measured, last.limit) == (5, 4)


def test_live_orders_of_this_profile_and_event_take_bins_others_do_not():
    state = healthy()
    rest(
        state,
        *(order_of(ticker, status=Status.UNKNOWN) for ticker in TICKERS[1:4]),
        order_of(TICKERS[4], profile="size", client_order_id="other-profile"),
        order_of(f"{window_of(KXINX).event_ticker}-T6800", client_order_id="other-event"),
        order_of(TICKERS[5], status=Status.FILLED),
    )
    assert ask_quote(state, "unique_bins").measured == 4
    assert not ask_quote(state, "unique_bins", plan=plan_of(quote_of(), quote_of(TICKERS[6]))).passed


def test_orders_this_plan_cancels_free_their_bins():
    state = healthy()
    orders = [order_of(ticker) for ticker in TICKERS[1:5]]
    rest(state, *orders)
    assert not ask_quote(state, "unique_bins").passed
    plan = plan_of(quote_of(), cancel=((orders[0].client_order_id, "edge_lost"),))
    assert ask_quote(state, "unique_bins", plan=plan).passed


def test_a_second_order_of_a_profile_in_one_market_is_refused():
    state = healthy()
    rest(state, order_of(TICKER))
    assert not ask_quote(state, "unique_bins").passed
    assert not ask_quote(healthy(), "unique_bins", plan=plan_of(quote_of(), quote_of(price=Price(4_100)))).passed


@pytest.mark.parametrize(
    ("changes", "measured", "passes"),
    [
        ({"fair": 0.4251, "ev": Price(51)}, 0.0051, True),
        ({"fair": 0.425, "ev": Price(50)}, 0.005, True),
        ({"fair": 0.4249, "ev": Price(49)}, 0.0049, False),
        ({"fair": 0.50, "ev": Price(49)}, 0.0049, False),
        ({"fair": 0.43, "ev": Price(2_000)}, 0.01, True),
    ],
)
def test_the_lower_of_the_plans_ev_and_our_own_sum_counts(changes, measured, passes):
    verdict = ask_quote(healthy(), "min_ev", quote_of(**changes))
    assert verdict.passed is passes
    assert verdict.measured == pytest.approx(measured, abs=1.1e-4)


def test_a_maker_fee_is_taken_off_before_comparing():
    state = healthy()
    state.venue.fees["KXINXU"] = FeeSchedule(FeeType.QUADRATIC_WITH_MAKER_FEES, 1_000_000, NOW)
    # 0.0175 x 0.42 x 0.58 = 0.0042630, rounded up to 0.0043: 0.009 of edge leaves 0.0047.
    verdict = ask_quote(state, "min_ev", quote_of(fair=0.429, ev=Price(90)))
    assert (verdict.passed, verdict.measured) == (False, 0.0047)


@pytest.mark.parametrize("fair", [float("nan"), -0.01, 1.01])
def test_a_fair_value_that_is_none_refuses(fair):
    assert ask_quote(healthy(), "min_ev", quote_of(fair=fair)).measured is None


def test_without_a_fee_schedule_there_is_no_expected_value():
    state = healthy()
    del state.venue.fees["KXINXU"]
    assert ask_quote(state, "min_ev").measured is None


@pytest.mark.parametrize(("price", "passes"), [(3_900, True), (4_000, True), (4_500, True), (4_600, False)])
def test_a_bid_improves_by_the_cap_at_most(price, passes):
    state = healthy()
    state.venue.books[TICKER] = book_of(TICKER, 4_000, 6_000)
    assert ask_quote(state, "impact_cap", quote_of(price=Price(price))).passed is passes


@pytest.mark.parametrize(("price", "passes"), [(6_100, True), (5_500, True), (5_400, False)])
def test_an_ask_improves_by_the_cap_at_most(price, passes):
    state = healthy()
    state.venue.books[TICKER] = book_of(TICKER, 4_000, 6_000)
    assert ask_quote(state, "impact_cap", quote_of(**ASK | {"price": Price(price)})).passed is passes


def test_our_own_best_price_is_nothing_to_improve_on():
    state = healthy()
    book = book_of(TICKER, 4_000, 6_000)
    book.change_bid(Price(4_500), lots(1), NOW, NOW)
    state.venue.books[TICKER] = book
    rest(state, order_of(price=Price(4_500), profile="size"))
    verdict = ask_quote(state, "impact_cap", quote_of(price=Price(4_700)))
    assert (verdict.passed, verdict.measured) == (False, 0.07)


def test_nobody_else_on_our_side_leaves_nothing_to_measure():
    state = healthy()
    state.venue.books[TICKER] = book_of(TICKER, None, 4_600)
    assert ask_quote(state, "impact_cap").measured is None


# --- money


@pytest.mark.parametrize(("limit", "passes"), [(1.26, True), (1.25, False)])
def test_a_strike_may_lose_its_limit_and_no_more_over_all_profiles(limit, passes):
    state = healthy()
    hold(state, TICKER, 1, -4_000)
    rest(state, order_of(price=Price(4_400), profile="size"))
    chain = chain_of(Settings(guards=GuardSettings(pal_hourly_dollars=limit)))
    verdict = ask_quote(state, "pal", chain=chain)  # 0.40 held + 0.44 resting + 0.42 wanted = 1.26
    assert (verdict.passed, verdict.measured) == (passes, 1.26)


def test_closes_have_a_limit_of_their_own():
    window = window_of(KXINX)
    quote = quote_of(f"{window.event_ticker}-T6800", window=window, profile="close")
    verdict = ask_quote(healthy(), "pal", plan=plan_of(quote, profile=CLOSE, window=window))
    assert (verdict.limit, ask_quote(healthy(), "pal").limit) == (1_200.0, 1_000.0)


def test_another_strike_does_not_use_this_strikes_limit():
    state = healthy()
    hold(state, TICKERS[1], 10, -9_000 * 10)
    assert ask_quote(state, "pal").measured == 0.42


def test_books_never_compared_leave_no_room_on_a_strike():
    state = healthy()
    state.reconciliation.checked_ns = None
    assert ask_quote(state, "pal").measured is None


def test_the_quote_that_would_break_the_day_is_refused_and_nothing_is_pulled():
    state = healthy()
    hold(state, TICKERS[1], 100, -49 * 10_000 - 5_801)
    verdict = ask_quote(state, "daily_loss")  # 49.5801 + 0.42 = 50.0001
    assert (verdict.passed, verdict.closing.value) == (False, "hold")
    assert ask_quote(state, "weekly_loss").passed


def test_the_worst_case_is_exact_across_strikes_not_a_sum():
    state = healthy()
    # YES at 6800 and NO at 6805: between the two both win, elsewhere one of them always does.
    hold(state, TICKERS[0], 100, -48 * 10_000)
    hold(state, TICKERS[1], -100, 50 * 10_000)
    assert ask_quote(state, "daily_loss", quote_of(TICKERS[5])).passed


@pytest.mark.parametrize(("cash", "passes"), [(8_200, True), (8_199, False)])
def test_cash_covers_what_rests_and_what_is_wanted(cash, passes):
    state = healthy()
    state.balance = Balance(Dollars(cash), Dollars(0), NOW)
    rest(state, order_of(price=Price(4_000), profile="size"))
    verdict = ask_quote(state, "balance")  # 0.40 + 0.42
    assert verdict.passed is passes


def test_an_ask_reserves_the_price_of_no():
    state = healthy()
    state.balance = Balance(Dollars(5_500), Dollars(0), NOW)
    assert ask_quote(state, "balance", quote_of(**ASK)).measured == 0.0
    state.balance = Balance(Dollars(5_499), Dollars(0), NOW)
    assert not ask_quote(state, "balance", quote_of(**ASK)).passed


def test_the_floor_stays():
    state = healthy()
    state.balance = Balance(Dollars(100_000 + 4_200), Dollars(0), NOW)
    chain = chain_of(Settings(guards=GuardSettings(balance_floor_dollars=10.0)))
    assert ask_quote(state, "balance", chain=chain).passed
    state.balance = Balance(Dollars(100_000 + 4_199), Dollars(0), NOW)
    assert not ask_quote(state, "balance", chain=chain).passed
