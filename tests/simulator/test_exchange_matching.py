"""Price-time matching, order types and changes, worked by hand."""

import pytest

from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.units import SECOND, Count, Nanos, Price, lots
from kalshi_daemon.simulator.exchange.exchange import Amendment, Exchange, Rules
from kalshi_daemon.simulator.exchange.order_terms import (
    ALREADY_EXISTS,
    EXPIRED,
    ID_MISMATCH,
    INSUFFICIENT_BALANCE,
    INVALID_PRICE,
    INVALID_SIZE,
    IOC_WITH_EXPIRY,
    MARKET_INACTIVE,
    MARKET_NOT_FOUND,
    NOT_FOUND,
    POST_ONLY_CROSS,
    POST_ONLY_NEEDS_GTC,
    REDUCE_ONLY_NEEDS_IOC,
    RISK_LIMIT,
    SIDE_MISMATCH,
    TICKER_MISMATCH,
    TOO_MANY_ORDERS,
    OrderState,
    Reason,
    SelfTrade,
    TimeInForce,
)
from tests.simulator.exchange_kit import OTHER, TARGET, TICKER, put, small_exchange, spec

IOC = TimeInForce.IMMEDIATE_OR_CANCEL
FOK = TimeInForce.FILL_OR_KILL


def levels(exchange: Exchange) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    book = exchange.book(TICKER)
    return list(book.bids), list(book.asks)


def test_an_order_rests_and_shows_in_the_book():
    exchange, _clock = small_exchange()
    receipt = put(exchange, "ann", "bid", 42, 3)
    put(exchange, "bob", "ask", 44, 2)
    put(exchange, "bob", "ask", 45, 1)
    assert (receipt.fill_count, receipt.remaining) == (0, lots(3))
    assert levels(exchange) == ([(4200, 300)], [(4500, 100), (4400, 200)])
    assert exchange.best(TICKER) == (4200, 4400)


def test_the_better_price_trades_first_then_the_earlier_order():
    exchange, _clock = small_exchange()
    late_better = put(exchange, "bob", "ask", 44, 1)
    first = put(exchange, "bob", "ask", 45, 2)
    second = put(exchange, "ann", "ask", 45, 2)
    taker = put(exchange, "cat", "bid", 46, 4)
    assert taker.fill_count == lots(4)
    trades = [(t.price, t.count) for t in exchange.matcher.trades]
    assert trades == [(4400, 100), (4500, 200), (4500, 100)]
    states = [r.order.state for r in (late_better, first, second)]
    assert states == [OrderState.EXECUTED, OrderState.EXECUTED, OrderState.RESTING]
    assert second.order.remaining == lots(1)


def test_a_taker_trades_at_the_makers_price_and_rests_what_is_left():
    exchange, _clock = small_exchange()
    put(exchange, "bob", "ask", 40, 1)
    taker = put(exchange, "ann", "bid", 50, 3)
    assert (taker.fill_count, taker.remaining, taker.fill_cost) == (lots(1), lots(2), 400_000)
    assert exchange.best(TICKER) == (5000, None)
    assert taker.order.state is OrderState.RESTING


def test_self_trade_taker_at_cross_ends_the_taker_and_keeps_its_fills():
    exchange, _clock = small_exchange()
    put(exchange, "bob", "ask", 44, 1)
    mine = put(exchange, "ann", "ask", 45, 5)
    taker = put(exchange, "ann", "bid", 46, 3)
    assert (taker.fill_count, taker.remaining) == (lots(1), 0)
    assert taker.order.state is OrderState.CANCELED
    assert taker.order.reason is Reason.SELF_TRADE
    assert mine.order.booked


def test_self_trade_maker_cancels_the_resting_order_and_goes_on():
    exchange, _clock = small_exchange()
    mine = put(exchange, "ann", "ask", 44, 5)
    put(exchange, "bob", "ask", 45, 2)
    taker = put(exchange, "ann", "bid", 46, 3, self_trade=SelfTrade.MAKER)
    assert (taker.fill_count, taker.remaining) == (lots(2), lots(1))
    assert (mine.order.state, mine.order.reason) == (OrderState.CANCELED, Reason.SELF_TRADE)


def test_immediate_or_cancel_never_rests():
    exchange, _clock = small_exchange()
    put(exchange, "bob", "ask", 44, 1)
    taker = put(exchange, "ann", "bid", 44, 3, time_in_force=IOC)
    assert (taker.fill_count, taker.order.state) == (lots(1), OrderState.CANCELED)
    assert exchange.best(TICKER) == (None, None)


@pytest.mark.parametrize(("size", "filled"), [(3, 300), (4, 0)])
def test_fill_or_kill_trades_all_or_nothing(size, filled):
    exchange, _clock = small_exchange()
    put(exchange, "bob", "ask", 44, 1)
    put(exchange, "bob", "ask", 45, 2)
    put(exchange, "bob", "ask", 47, 9)
    taker = put(exchange, "ann", "bid", 45, size, time_in_force=FOK)
    assert taker.fill_count == filled
    assert taker.order.state is (OrderState.EXECUTED if filled else OrderState.CANCELED)


def test_fill_or_kill_counts_own_orders_as_the_self_trade_rule_says():
    exchange, _clock = small_exchange()
    put(exchange, "ann", "ask", 44, 1)
    put(exchange, "bob", "ask", 45, 2)
    stops = put(exchange, "ann", "bid", 45, 2, time_in_force=FOK)
    assert stops.fill_count == 0
    passes = put(exchange, "ann", "bid", 45, 2, time_in_force=FOK, self_trade=SelfTrade.MAKER)
    assert passes.fill_count == lots(2)


def test_selling_matches_fill_or_kill_bids_downwards():
    exchange, _clock = small_exchange()
    put(exchange, "bob", "bid", 44, 1)
    put(exchange, "bob", "bid", 43, 2)
    assert put(exchange, "ann", "ask", 43, 3, time_in_force=FOK).fill_count == lots(3)


def test_reduce_only_never_opens_a_position():
    exchange, _clock = small_exchange()
    put(exchange, "bob", "ask", 40, 2)
    put(exchange, "ann", "bid", 40, 2)
    put(exchange, "bob", "bid", 39, 9)
    sold = put(exchange, "ann", "ask", 39, 5, time_in_force=IOC, reduce_only=True)
    assert sold.fill_count == lots(2)
    assert (sold.order.state, sold.order.reason) == (OrderState.CANCELED, Reason.REDUCE_ONLY)
    assert exchange.accounts["ann"].position(TICKER) == 0
    nothing = put(exchange, "ann", "ask", 39, 5, time_in_force=IOC, reduce_only=True)
    assert (nothing.fill_count, nothing.order.reason) == (0, Reason.REDUCE_ONLY)


def test_post_only_is_refused_when_it_would_cross():
    exchange, _clock = small_exchange()
    put(exchange, "bob", "ask", 44, 1)
    assert exchange.submit("ann", spec("bid", 44, post_only=True)).refusal is POST_ONLY_CROSS
    assert put(exchange, "ann", "bid", 43, post_only=True).order.booked
    assert exchange.submit("bob", spec("ask", 43, post_only=True)).refusal is POST_ONLY_CROSS


def test_post_only_in_the_other_documented_mode_is_accepted_then_canceled():
    exchange, _clock = small_exchange(rules=Rules(post_only_refused=False))
    put(exchange, "bob", "ask", 44, 1)
    receipt = put(exchange, "ann", "bid", 44, post_only=True, client_order_id="x")
    assert (receipt.fill_count, receipt.order.state) == (0, OrderState.CANCELED)
    assert receipt.order.reason is Reason.POST_ONLY_CROSS
    assert exchange.accounts["ann"].orders[receipt.order_id] is receipt.order
    assert exchange.submit("ann", spec("bid", 40, client_order_id="x")).refusal is ALREADY_EXISTS


def test_cancel_reports_what_it_took_off_and_is_not_repeatable():
    exchange, _clock = small_exchange()
    made = put(exchange, "ann", "bid", 42, 3)
    put(exchange, "bob", "ask", 42, 1)
    gone = exchange.cancel("ann", made.order_id)
    assert (gone.refusal, gone.reduced_by) == (None, lots(2))
    assert made.order.filled == lots(1)
    assert exchange.cancel("ann", made.order_id).refusal is NOT_FOUND
    assert exchange.cancel("ann", "nobody").refusal is NOT_FOUND
    assert exchange.cancel("bob", made.order_id).refusal is NOT_FOUND, "somebody else's order"


def test_decrease_keeps_the_place_in_the_queue():
    exchange, _clock = small_exchange()
    first = put(exchange, "ann", "bid", 42, 5)
    put(exchange, "bob", "bid", 42, 1)
    assert exchange.decrease("ann", first.order_id, by=lots(2)).reduced_by == lots(2)
    assert exchange.decrease("ann", first.order_id, to=lots(1)).reduced_by == lots(2)
    assert levels(exchange)[0] == [(4200, 200)]
    put(exchange, "cat", "ask", 42, 1)
    assert first.order.state is OrderState.EXECUTED, "still first in the queue"


def test_decrease_to_nothing_cancels_and_odd_requests_are_refused():
    exchange, _clock = small_exchange()
    made = put(exchange, "ann", "bid", 42, 2)
    assert exchange.decrease("ann", made.order_id).refusal is INVALID_SIZE
    assert exchange.decrease("ann", made.order_id, by=lots(1), to=lots(1)).refusal is INVALID_SIZE
    assert exchange.decrease("ann", made.order_id, by=Count(0)).refusal is INVALID_SIZE
    assert exchange.decrease("ann", made.order_id, to=lots(9)).reduced_by == 0
    assert exchange.decrease("ann", made.order_id, by=lots(9)).reduced_by == lots(2)
    assert (made.order.state, made.order.reason) == (OrderState.CANCELED, Reason.DECREASE)
    assert exchange.decrease("ann", made.order_id, by=lots(1)).refusal is NOT_FOUND


def amend(side: str = "bid", cents: int = 42, contracts: int = 5, **more: object) -> Amendment:
    return Amendment(TICKER, Side(side), Price(cents * 100), lots(contracts), **more)  # type: ignore[arg-type]


def test_amend_keeps_the_queue_for_a_smaller_size_or_an_expiry_alone():
    exchange, clock = small_exchange()
    first = put(exchange, "ann", "bid", 42, 5)
    put(exchange, "bob", "bid", 42, 1)
    exchange.amend("ann", first.order_id, amend(contracts=3))
    exchange.amend("ann", first.order_id, amend(contracts=3, expires_ns=Nanos(clock() + 60 * SECOND)))
    assert exchange.book(TICKER).ahead_of(first.order) == 0
    assert (first.order.remaining, first.order.reason) == (lots(3), Reason.AMEND)


@pytest.mark.parametrize(("cents", "contracts"), [(42, 6), (41, 5)])
def test_amend_to_another_price_or_a_larger_size_goes_to_the_back(cents, contracts):
    exchange, _clock = small_exchange()
    first = put(exchange, "ann", "bid", 42, 5)
    put(exchange, "bob", "bid", 42, 1)
    put(exchange, "bob", "bid", 41, 1)
    exchange.amend("ann", first.order_id, amend(cents=cents, contracts=contracts))
    ahead = {42: 100, 41: 200}[cents]
    assert exchange.book(TICKER).ahead_of(first.order) == ahead


def test_amend_count_is_the_total_and_may_cross_and_fill():
    exchange, _clock = small_exchange()
    mine = put(exchange, "ann", "bid", 42, 5, post_only=True)
    put(exchange, "bob", "ask", 42, 2)
    put(exchange, "bob", "ask", 45, 1)
    changed = exchange.amend("ann", mine.order_id, amend(cents=45, contracts=6))
    assert (changed.fill_count, changed.remaining) == (lots(1), lots(3))
    assert (changed.fill_cost, changed.fill_fees) == (450_000, 17_400)  # 0.07 x 0.45 x 0.55 = 0.017325
    assert mine.order.filled == lots(3)
    assert exchange.amend("ann", mine.order_id, amend(cents=45, contracts=3)).refusal is INVALID_SIZE


def test_amend_can_be_made_to_honour_post_only():
    exchange, _clock = small_exchange(rules=Rules(amend_honours_post_only=True))
    mine = put(exchange, "ann", "bid", 42, 5, post_only=True)
    put(exchange, "bob", "ask", 45, 1)
    assert exchange.amend("ann", mine.order_id, amend(cents=45)).refusal is POST_ONLY_CROSS


def test_an_amend_that_fills_everything_executes_the_order():
    exchange, _clock = small_exchange()
    mine = put(exchange, "ann", "bid", 42, 1)
    put(exchange, "bob", "ask", 45, 1)
    changed = exchange.amend("ann", mine.order_id, amend(cents=45, contracts=1))
    assert (changed.remaining, mine.order.state) == (0, OrderState.EXECUTED)


def test_amend_refuses_what_does_not_describe_the_order():
    exchange, clock = small_exchange()
    mine = put(exchange, "ann", "bid", 42, 5, client_order_id="a")
    put(exchange, "ann", "bid", 41, 5, client_order_id="b")
    order_id = mine.order_id

    def refusal(change: Amendment):
        return exchange.amend("ann", order_id, change).refusal

    assert refusal(amend(side="ask")) is SIDE_MISMATCH
    assert refusal(Amendment(OTHER, Side.BID, Price(4200), lots(5))) is TICKER_MISMATCH
    assert refusal(amend(client_order_id="b")) is ID_MISMATCH
    assert refusal(amend(updated_client_order_id="b")) is ALREADY_EXISTS
    assert refusal(Amendment(TICKER, Side.BID, Price(4250), lots(5))) is INVALID_PRICE
    assert refusal(amend(expires_ns=clock())) is EXPIRED
    assert refusal(amend(contracts=100_000)) is INSUFFICIENT_BALANCE
    assert refusal(amend(client_order_id="a", updated_client_order_id="c")) is None
    assert mine.order.client_order_id == "c"
    assert exchange.amend("ann", "nobody", amend()).refusal is NOT_FOUND
    clock.set(TARGET)
    assert refusal(amend()) is MARKET_INACTIVE


def test_amend_moves_or_clears_the_expiry():
    exchange, clock = small_exchange()
    mine = put(exchange, "ann", "bid", 42, 5, expires_ns=Nanos(clock() + 10 * SECOND))
    exchange.amend("ann", mine.order_id, amend(expires_ns=Nanos(clock() + 20 * SECOND)))
    exchange.run_until(clock.advance(10 * SECOND))
    assert mine.order.booked, "the old expiry no longer counts"
    exchange.amend("ann", mine.order_id, amend(expires_ns=Nanos(0)))
    exchange.run_until(clock.advance(10 * SECOND))
    assert mine.order.booked
    assert mine.order.expires_ns is None


def test_what_is_refused_at_the_door():
    exchange, clock = small_exchange()

    def refusal(order):
        return exchange.submit("ann", order).refusal

    now = clock()
    assert refusal(spec("bid", 42, ticker="KXINXU-NONE")) is MARKET_NOT_FOUND
    assert refusal(spec("bid", 42, 0)) is INVALID_SIZE
    assert refusal(spec("bid", 0)) is INVALID_PRICE
    assert refusal(spec("bid", 100)) is INVALID_PRICE
    assert refusal(spec("bid", 42, expires_ns=now)) is EXPIRED
    assert refusal(spec("bid", 42, expires_ns=Nanos(now + 1), time_in_force=IOC)) is IOC_WITH_EXPIRY
    assert refusal(spec("bid", 42, post_only=True, time_in_force=IOC)) is POST_ONLY_NEEDS_GTC
    assert refusal(spec("bid", 42, reduce_only=True)) is REDUCE_ONLY_NEEDS_IOC
    assert refusal(spec("bid", 42, 7_000_001)) is RISK_LIMIT
    assert refusal(spec("bid", 42, 2_500)) is INSUFFICIENT_BALANCE
    exchange.accounts["ann"].resting_count = 200_000
    assert refusal(spec("bid", 42)) is TOO_MANY_ORDERS


def test_a_client_order_id_is_never_free_again():
    exchange, _clock = small_exchange()
    made = put(exchange, "ann", "bid", 42, client_order_id="once")
    exchange.cancel("ann", made.order_id)
    assert exchange.submit("ann", spec("bid", 42, client_order_id="once")).refusal is ALREADY_EXISTS
    assert put(exchange, "bob", "bid", 42, client_order_id="once").order.booked, "ids are per account"


def test_a_refused_order_does_not_burn_its_id():
    exchange, _clock = small_exchange()
    assert exchange.submit("ann", spec("bid", 0, client_order_id="x")).refusal is INVALID_PRICE
    assert put(exchange, "ann", "bid", 42, client_order_id="x").order.booked


def test_in_process_traders_leave_nothing_behind():
    exchange, _clock = small_exchange()
    trader = exchange.open_account("maker", Price(0), keeps_history=False, checks_cash=False)  # type: ignore[arg-type]
    made = put(exchange, "maker", "ask", 44, 50)
    put(exchange, "ann", "bid", 44, 1)
    exchange.cancel("maker", made.order_id)
    assert (trader.orders, trader.fills, trader.resting_count) == ({}, [], 0)
    assert trader.position(TICKER) == -lots(1)
    with pytest.raises(ValueError, match="exists"):
        exchange.open_account("maker", Price(0))  # type: ignore[arg-type]


def test_the_same_seed_and_history_give_the_same_ids():
    ids = []
    for _run in range(2):
        exchange, _clock = small_exchange()
        ids.append([put(exchange, "ann", "bid", 42).order_id, put(exchange, "bob", "ask", 42).order_id])
    assert ids[0] == ids[1]
