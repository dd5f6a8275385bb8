"""What was recorded goes on as if we had not been there, and no recorded contract fills two of ours."""

import pytest

from tests.backtest.tapes import Played


def book(model="risk-adverse"):
    played = Played(model)
    played.tape(("add", "bid", 40, 100), ("add", "ask", 44, 100))
    return played


def test_a_trade_at_a_worse_price_fills_the_better_order_first_and_no_more_than_it_was():
    played = book()
    played.ours("us", "bid", 42, 5)
    played.tape(("trade", "bid", 40, 3))
    assert played.fills == [("us", 3.0)]
    assert played.venue.resting("bid", 40) == 97.0, "the recording goes on without us"
    played.tape(("trade", "bid", 40, 30))
    assert played.fills == [("us", 3.0), ("us", 2.0)]


def test_a_trade_through_two_of_ours_fills_the_best_price_first():
    played = book()
    for name, cents in (("low", 41), ("high", 42)):
        played.ours(name, "bid", cents, 5)
    played.tape(("trade", "bid", 40, 7))
    assert played.fills == [("high", 5.0), ("low", 2.0)]


def test_two_orders_at_one_price_share_what_reaches_them():
    played = book()
    played.ours("first", "bid", 40, 5)
    played.ours("second", "bid", 40, 5)
    played.tape(("add", "bid", 40, 50), ("trade", "bid", 40, 103))
    assert played.fills == [("first", 3.0)]
    played.tape(("trade", "bid", 40, 4))
    assert played.fills == [("first", 3.0), ("first", 2.0), ("second", 2.0)]


def test_an_order_at_our_price_trades_with_us_before_it_rests():
    """Of 8 asked at 42, where we bid for 5, three are left to be shown; they go when the recording's 8 go."""
    played = book()
    played.ours("us", "bid", 42, 5)
    played.tape(("add", "ask", 42, 8))
    assert played.fills == [("us", 5.0)]
    assert played.venue.resting("ask", 42) == 3.0
    played.tape(("cancel", "ask", 42, 2))
    assert played.venue.resting("ask", 42) == 1.0
    played.tape(("cancel", "ask", 42, 6))
    assert played.venue.resting("ask", 42) == 0.0
    played.tape(("add", "ask", 42, 4))
    assert played.venue.resting("ask", 42) == 4.0, "what we took is over with the order it was"


def test_an_order_beyond_ours_fills_no_more_than_there_was():
    played = book()
    played.ours("us", "ask", 42, 5)
    played.tape(("add", "bid", 43, 2))
    assert played.fills == [("us", 2.0)]
    assert played.venue.resting("bid", 43) == 0.0
    played.tape(("add", "bid", 43, 1))
    assert played.fills == [("us", 2.0), ("us", 1.0)]


@pytest.mark.parametrize(("price", "contracts", "ahead"), [(40, 3, 60.0), (40, 8, 160.0), (41, 5, 0.0)])
def test_an_amend_keeps_the_place_only_for_less_at_the_same_price(price, contracts, ahead):
    played = book()
    order = played.ours("us", "bid", 40, 5)
    played.tape(("trade", "bid", 40, 40), ("add", "bid", 40, 100))
    assert played.ahead("us") == 60.0
    order.price, order.remaining = price * 100, contracts * 100
    played.book.own_changed(order)
    assert played.ahead("us") == ahead


def test_a_canceled_order_is_forgotten():
    played = book()
    order = played.ours("us", "bid", 42, 5)
    order.booked = False
    played.book.own_changed(order)
    played.tape(("trade", "bid", 40, 50))
    assert played.fills == []


def test_what_somebody_took_of_a_shown_level_stays_taken():
    """An order of ours that takes: what it took is not shown again with the level's next change."""
    played = book()
    played.venue.shown["ask", 44].remaining -= 3_000
    played.tape(("add", "ask", 44, 10))
    assert played.venue.resting("ask", 44) == 80.0


def test_more_taken_off_than_there_was_is_counted():
    played = book()
    played.tape(("cancel", "bid", 40, 130), ("trade", "ask", 44, 101))
    assert played.book.short == 3_100
