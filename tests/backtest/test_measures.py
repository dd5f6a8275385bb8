"""The others' mid, by hand."""

from types import SimpleNamespace
from typing import Any

import pytest

from kalshi_daemon.backtest.measures import others_mid
from kalshi_daemon.ground.units import Count, Price
from kalshi_daemon.simulator.exchange.sim_book import SimBook


def book(*orders):
    made: Any = SimBook()
    for number, (account, is_bid, price) in enumerate(orders):
        half = made.bids if is_bid else made.asks
        owner = SimpleNamespace(name=account)
        half.add(SimpleNamespace(order_id=str(number), account=owner, price=Price(price), remaining=Count(100)))
    return made


@pytest.mark.parametrize(
    ("orders", "mid"),
    [
        ([("them", True, 4_000), ("them", False, 5_000)], 0.45),
        ([("us", True, 4_400), ("them", True, 4_000), ("them", False, 5_000)], 0.45),
        ([("us", True, 4_400), ("them", True, 4_400), ("them", False, 5_000)], 0.47),
        ([("them", True, 4_000), ("us", False, 4_500), ("them", False, 5_200)], 0.46),
        ([("us", True, 4_400), ("them", False, 5_000)], None),
        ([], None),
    ],
)
def test_our_own_orders_are_left_out_of_the_mid(orders, mid):
    assert others_mid(book(*orders), "us") == (None if mid is None else pytest.approx(mid))
