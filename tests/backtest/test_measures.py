"""The others' mid, by hand."""

from types import SimpleNamespace
from typing import Any

import pytest

from kalshi_daemon.backtest.measures import SessionMeasures, others_mid
from kalshi_daemon.domain.order import Order, Status
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.units import SECOND, Count, Nanos, Price
from kalshi_daemon.simulator.exchange.sim_book import SimBook
from kalshi_daemon.state import DaemonState


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


def test_a_fill_of_an_order_that_is_gone_keeps_what_was_believed_of_it():
    """The daemon keeps its last 400 ended orders; the fill is looked at a second later."""
    account: Any = SimpleNamespace(name="us", fills=[], resting={})
    market = SimpleNamespace(spec=SimpleNamespace(ticker="E-T1", event_ticker="E"))
    world: Any = SimpleNamespace(account=account, distributions=None, exchange=SimpleNamespace(book=lambda _: book()))
    state = DaemonState()
    measures = SessionMeasures(world, state)
    terms = Side.BID, Price(4_000), Count(100), Status.RESTING, Nanos(0), Nanos(0)
    state.orders["a"] = Order("a", "E-T1", "E", "S", "wide", *terms, fair=0.43)
    measures.look(Nanos(SECOND))
    del state.orders["a"]
    for name in ("a", "never ours"):
        order = SimpleNamespace(client_order_id=name, market=market, side=Side.BID)
        account.fills.append(SimpleNamespace(order=order, price=4_000, count=100, fee=0, at_ns=Nanos(SECOND + 1)))
    measures.look(Nanos(2 * SECOND))
    assert [fill.believed for fill in measures.fills] == [pytest.approx(3.0), None]
