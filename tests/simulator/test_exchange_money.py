"""Cash, collateral, positions: worked cases, then the sums that must hold whatever happens."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.units import MINUTE, Count, Dollars, Nanos, Price, lots
from kalshi_daemon.simulator.exchange.exchange import Amendment
from kalshi_daemon.simulator.exchange.holdings import Holding
from kalshi_daemon.simulator.exchange.order_terms import (
    INSUFFICIENT_BALANCE,
    OrderSpec,
    OrderState,
    SelfTrade,
    TimeInForce,
)
from kalshi_daemon.simulator.exchange.sim_fees import CENT
from kalshi_daemon.simulator.exchange.sim_orders import Account
from tests.simulator.exchange_kit import OTHER, TARGET, TICKER, put, small_exchange, spec

DOLLAR = 1_000_000
"""In micro-dollars, the unit of the accounts."""


def test_a_bid_reserves_its_price_and_an_ask_the_complement():
    exchange, _clock = small_exchange()
    ann = exchange.accounts["ann"]
    put(exchange, "ann", "bid", 42, 10)
    assert ann.reserved == 4.2 * DOLLAR
    put(exchange, "ann", "ask", 90, 10)
    assert ann.reserved == 5.2 * DOLLAR
    assert ann.available == 994.8 * DOLLAR
    exchange.cancel_all("ann")
    assert ann.reserved == 0


def test_an_order_that_only_closes_needs_no_collateral():
    exchange, _clock = small_exchange()
    put(exchange, "bob", "ask", 40, 10)
    put(exchange, "ann", "bid", 40, 10)
    ann, bob = exchange.accounts["ann"], exchange.accounts["bob"]
    put(exchange, "ann", "ask", 60, 10)
    assert ann.reserved == 0
    put(exchange, "ann", "ask", 70, 1)
    assert ann.reserved == 0.3 * DOLLAR, "the position is already log_fields for"
    put(exchange, "bob", "bid", 30, 4)
    assert bob.reserved == 0


def test_orders_beyond_the_cash_are_refused():
    exchange, _clock = small_exchange(cash=10)
    put(exchange, "ann", "bid", 50, 19)
    assert exchange.submit("ann", spec("bid", 51, 1)).refusal is INSUFFICIENT_BALANCE
    assert put(exchange, "ann", "bid", 50, 1).order.booked
    assert exchange.accounts["ann"].available == 0


def test_a_crossing_order_must_also_cover_its_fee():
    exchange, _clock = small_exchange(cash=10)
    put(exchange, "bob", "ask", 50, 20)
    assert exchange.submit("ann", spec("bid", 50, 20)).refusal is INSUFFICIENT_BALANCE
    assert put(exchange, "ann", "bid", 50, 19).fill_count == lots(19)


def test_buying_then_selling_realizes_the_difference():
    held = Holding("t", "e")
    assert held.apply(Side.BID, Price(4000), lots(10)) == -4 * DOLLAR
    assert held.apply(Side.ASK, Price(5000), lots(4)) == 2 * DOLLAR
    assert (held.count, held.cost, held.realized) == (lots(6), 2.4 * DOLLAR, 0.4 * DOLLAR)


def test_selling_what_one_does_not_have_buys_no():
    held = Holding("t", "e")
    assert held.apply(Side.ASK, Price(4000), lots(10)) == -6 * DOLLAR
    assert (held.count, held.cost) == (-lots(10), 6 * DOLLAR)
    assert held.apply(Side.BID, Price(3000), lots(10)) == 7 * DOLLAR
    assert (held.count, held.cost, held.realized) == (0, 0, DOLLAR)


def test_a_fill_may_close_and_open_at_once():
    held = Holding("t", "e")
    held.apply(Side.BID, Price(4000), lots(2))
    change = held.apply(Side.ASK, Price(5000), lots(5))
    assert change == 2 * 500_000 - 3 * 500_000
    assert (held.count, held.cost, held.realized) == (-lots(3), 1.5 * DOLLAR, 0.2 * DOLLAR)


def test_maker_pays_nothing_and_taker_the_quadratic_on_the_index_series():
    exchange, _clock = small_exchange()
    put(exchange, "bob", "ask", 52, 1)
    taken = put(exchange, "ann", "bid", 52, 1)
    ann, bob = exchange.accounts["ann"], exchange.accounts["bob"]
    assert (ann.cash, bob.cash) == (1000 * DOLLAR - 520_000 - 17_500, 1000 * DOLLAR - 480_000)
    assert (ann.fees, bob.fees, taken.fill_fees) == (17_500, 0, 17_500)
    assert ann.cash_dollars == Dollars(9_994_625)


def test_a_member_with_cent_balances_pays_rounding_fees_on_fractions():
    exchange, _clock = small_exchange()
    exchange.open_account("broker", Dollars(100 * 10_000), precision=CENT)
    put(exchange, "bob", "ask", 50, 1)
    exchange.submit("broker", OrderSpec(TICKER, Side.BID, Price(5000), Count(30)))
    fill = exchange.accounts["broker"].fills[0]
    assert fill.fee == 10_000  # 0.0053 trade fee, 0.0047 rounding: the balance moves by 16 cents
    assert exchange.accounts["broker"].cash == 100 * DOLLAR - 160_000


def test_positions_follow_the_fills():
    exchange, _clock = small_exchange()
    put(exchange, "bob", "ask", 44, 3)
    put(exchange, "ann", "bid", 44, 2)
    ann, bob = exchange.accounts["ann"], exchange.accounts["bob"]
    assert [f.post_position for f in ann.fills + bob.fills] == [lots(2), -lots(2)]
    assert ann.fills[0].trade_id == bob.fills[0].trade_id
    market = exchange.catalogue.markets[TICKER]
    assert (market.open_interest, market.volume, market.last_price) == (lots(2), lots(2), 4400)
    put(exchange, "bob", "bid", 43, 2)
    put(exchange, "ann", "ask", 43, 2)
    assert market.open_interest == 0, "both closed"


# -- whatever happens -------------------------------------------------------------------------------------------

NAMES = ("ann", "bob", "cat")
ORDERS = st.tuples(
    st.just("order"),
    st.sampled_from(NAMES),
    st.sampled_from(list(Side)),
    st.integers(30, 70),
    st.integers(1, 900),
    st.sampled_from(list(TimeInForce)),
    st.sampled_from(list(SelfTrade)),
    st.booleans(),
    st.sampled_from([TICKER, OTHER]),
)
CHANGES = st.tuples(
    st.sampled_from(["cancel", "decrease", "amend"]),
    st.integers(0, 40),
    st.integers(30, 70),
    st.integers(1, 900),
)
STEPS = st.lists(st.one_of(ORDERS, CHANGES), max_size=60)


def drive(exchange, steps):
    """Run steps; yields after each."""
    made = []
    for step in steps:
        if step[0] == "order":
            _kind, name, side, cents, size, tif, stp, post, ticker = step
            resting = tif is TimeInForce.GOOD_TILL_CANCELED
            receipt = exchange.submit(
                name,
                OrderSpec(
                    ticker,
                    side,
                    Price(cents * 100),
                    Count(size),
                    time_in_force=tif,
                    self_trade=stp,
                    post_only=post and resting,
                ),
            )
            if receipt.order is not None:
                made.append(receipt.order)
        elif made:
            kind, place, cents, size = step
            order = made[place % len(made)]
            if kind == "cancel":
                exchange.cancel(order.account.name, order.order_id)
            elif kind == "decrease":
                exchange.decrease(order.account.name, order.order_id, by=Count(size))
            else:
                change = Amendment(order.market.spec.ticker, order.side, Price(cents * 100), Count(order.filled + size))
                exchange.amend(order.account.name, order.order_id, change)
        yield made


def total_cash(exchange) -> int:
    return sum(account.cash + account.fees - account.start_cash for account in exchange.accounts.values())


def check_sums(exchange) -> None:
    for ticker in (TICKER, OTHER):
        assert sum(a.position(ticker) for a in exchange.accounts.values()) == 0, "every YES has its NO"
        longs = sum(max(0, a.position(ticker)) for a in exchange.accounts.values())
        assert exchange.catalogue.markets[ticker].open_interest == longs
    pairs = sum(max(0, h.count) * 10_000 for a in exchange.accounts.values() for h in a.holdings.values())
    # What members paid and did not get back is a dollar for every open pair, and nothing else.
    assert total_cash(exchange) == -pairs


def check_books(exchange) -> None:
    for ticker in (TICKER, OTHER):
        book = exchange.book(ticker)
        bid, ask = book.best_bid, book.best_ask
        assert bid is None or ask is None or bid < ask, "never crossed"
        for half, best in ((book.bids, bid), (book.asks, ask)):
            prices = list(half.levels)
            assert best == (max if half.is_bid else min)(prices, default=None)
            for level in half.levels.values():
                assert level.total == sum(order.remaining for order in level.orders.values()) > 0
    booked = {order.order_id for t in (TICKER, OTHER) for order in exchange.book(t).orders()}
    resting = {o for a in exchange.accounts.values() for orders in a.resting.values() for o in orders}
    assert booked == resting


def check_account(account: Account) -> None:
    assert account.available >= 0
    assert account.cash >= 0
    assert account.reserved == sum(account.reserve_of(t) for t in (TICKER, OTHER))
    assert account.resting_count == sum(len(orders) for orders in account.resting.values())
    assert account.fees == sum(fill.fee for fill in account.fills) == sum(h.fees for h in account.holdings.values())
    for order in account.orders.values():
        assert (order.state is OrderState.RESTING) == order.booked
        assert order.filled == sum(f.count for f in account.fills if f.order is order)
    held_cost = sum(h.cost for h in account.holdings.values())
    assert account.cash - account.start_cash == account.realized() - account.fees - held_cost


@settings(max_examples=120, deadline=None)
@given(steps=STEPS)
def test_money_positions_and_books_add_up_after_every_step(steps):
    exchange, _clock = small_exchange(cash=20)
    for _made in drive(exchange, steps):
        check_sums(exchange)
        check_books(exchange)
        for account in exchange.accounts.values():
            check_account(account)


@settings(max_examples=60, deadline=None)
@given(steps=STEPS, value=st.sampled_from([6_840.0, 6_850.0, 6_852.5, 6_990.0]))
def test_after_settlement_what_one_lost_another_won_but_for_the_fees(steps, value):
    exchange, _clock = small_exchange(cash=20, value=value)
    for _made in drive(exchange, steps):
        pass
    exchange.run_until(Nanos(TARGET + 10 * MINUTE))
    assert total_cash(exchange) == 0
    for account in exchange.accounts.values():
        assert account.reserved == 0
        assert account.cash == account.start_cash + account.realized() - account.fees


@settings(max_examples=60, deadline=None)
@given(steps=STEPS)
def test_orders_of_one_price_trade_first_in_first_out(steps):
    exchange, _clock = small_exchange(cash=10_000)
    for _made in drive(exchange, steps):
        for ticker in (TICKER, OTHER):
            book = exchange.book(ticker)
            for half in (book.bids, book.asks):
                for level in half.levels.values():
                    ahead = [book.ahead_of(order) for order in level.orders.values()]
                    assert ahead == sorted(ahead), "queue positions grow along the queue"


@pytest.mark.parametrize("side", ["bid", "ask"])
def test_the_first_of_equals_is_filled_before_the_second_starts(side):
    exchange, _clock = small_exchange()
    first = put(exchange, "ann", side, 50, 2)
    second = put(exchange, "bob", side, 50, 2)
    for filled in ((1, 0), (2, 0), (2, 1), (2, 2)):
        put(exchange, "cat", "ask" if side == "bid" else "bid", 50, 1)
        assert (first.order.filled, second.order.filled) == tuple(lots(n) for n in filled)
