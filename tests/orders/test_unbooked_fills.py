"""What is known to have traded counts in every worst case until its fills are booked."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_daemon.domain.order import Fill, Status
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.clock import ManualClock
from kalshi_daemon.ground.units import Count, Dollars, Price
from kalshi_daemon.guardrails.exposure import Exposure, ExposureMemo
from kalshi_daemon.orders.booked import BookedFill
from kalshi_daemon.orders.journal import Journal
from kalshi_daemon.orders.ledger import Ledger
from kalshi_daemon.orders.lifecycle import Acked, ReportedExecuted, ReportedResting, Sent
from kalshi_daemon.orders.order_store import OrderStore
from kalshi_daemon.state import DaemonState
from tests.orders.test_order_journal import EVENT, NOW, order

_NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("unbooked")


def book(store, ledger, one, trade, count):
    fill = Fill(
        f"t-{trade}", "ex-1", one.market_ticker, one.side, one.price, Count(count), Dollars(0), is_taker=False,
        event_ns=NOW, client_order_id=one.client_order_id,
    )  # fmt: skip
    booked = BookedFill(fill, EVENT, "KXINXU")
    store.journal.add_fill(booked, NOW)
    store.fill_booked(store.find(one.client_order_id, None), fill)
    ledger.add_fill(booked)
    store.state.ledger = ledger.state(NOW)


@settings(max_examples=60, deadline=None)
@given(
    side=st.sampled_from(Side),
    price=st.integers(1, 99),
    parts=st.lists(st.integers(1, 300), min_size=1, max_size=4),
    said=st.integers(0, 4),
)
def test_no_worst_case_is_smaller_than_the_loss_that_is_coming(folder, side, price, parts, said):
    """`said`: how many of the parts the exchange has told in the order itself before the first fill arrives."""
    journal = Journal.open(folder / f"{next(_NUMBERS)}.sqlite3", NOW, synchronous="normal")
    state, ledger, memo = DaemonState(), Ledger(), ExposureMemo()
    store = OrderStore(state, journal, ManualClock(NOW), lambda _facts: None, lambda: None)
    one = order(side=side, price=Price(price * 100), count=Count(sum(parts)), filled=Count(0))
    coming = one.price if side is Side.BID else 10_000 - one.price
    loss = sum(parts) * coming // 100
    store.intend([one])
    store.apply(one.client_order_id, Sent(NOW))
    store.apply(one.client_order_id, Acked(NOW, "ex-1", Count(0), one.count))
    told = Count(sum(parts[:said]))
    if told == one.count:
        store.apply(one.client_order_id, ReportedExecuted(NOW, "ex-1", told))
    elif told:
        store.apply(one.client_order_id, ReportedResting(NOW, "ex-1", told, one.expires_ns))
    for number, part in enumerate(parts):
        assert Exposure.of(state).worst_loss >= loss
        assert memo.of(state) == Exposure.of(state)
        book(store, ledger, one, number, part)
    assert state.orders[one.client_order_id].status is Status.FILLED
    assert state.unbooked == {}
    assert Exposure.of(state).worst_loss == loss
    journal.close()
