"""Known answers: tapes by hand, and what each queue model fills of our order, to the contract."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_daemon.backtest.recorded.queue_models import QUEUE_MODELS
from tests.backtest.tapes import Played

MODELS = ("risk-adverse", "log-prob", "power-prob", "l3-fifo")
BID = ("add", "bid", 40, 100)


def test_the_conservative_model_is_the_first():
    assert tuple(QUEUE_MODELS) == MODELS


@pytest.mark.parametrize("model", MODELS)
def test_trades_alone_fill_what_reaches_past_the_queue(model):
    """100 ahead, 50 behind: 60, 39 and 1 trade before it is our turn; then 3 of 5, then 2."""
    played = Played(model)
    played.tape(BID)
    played.ours("us", "bid", 40, 5)
    played.tape(("add", "bid", 40, 50), ("trade", "bid", 40, 60), ("trade", "bid", 40, 39), ("trade", "bid", 40, 1))
    assert played.fills == []
    played.tape(("trade", "bid", 40, 3))
    assert played.fills == [("us", 3.0)]
    played.tape(("trade", "bid", 40, 30))
    assert played.fills == [("us", 3.0), ("us", 2.0)]


@pytest.mark.parametrize(
    ("model", "ahead"),
    [
        ("risk-adverse", 100.0),  # as long as there is anybody behind, it was he
        ("log-prob", 100 - 30 * (1 - 3.7136 / (3.7136 + 4.6151))),  # f(40), f(100) of log(1 + x)
        ("power-prob", 100 - 30 * (1 - 64_000 / 1_064_000)),
        ("l3-fifo", 70.0),  # the newest order of exactly 30 stood ahead of us
    ],
)
def test_a_cancel_is_somebody_s(model, ahead):
    """70 and 30 ahead, 40 behind, and 30 are taken off."""
    played = Played(model)
    played.tape(("add", "bid", 40, 70), ("add", "bid", 40, 30))
    played.ours("us", "bid", 40, 5)
    played.tape(("add", "bid", 40, 40), ("cancel", "bid", 40, 30))
    assert played.ahead("us") == pytest.approx(ahead, abs=0.01)


@pytest.mark.parametrize(
    ("model", "fills"),
    [
        ("risk-adverse", []),  # all 40 stood behind: 80 ahead
        ("log-prob", [1.67]),  # f(40) / (f(40) + f(80)) = .458 of them did: 58.3203 ahead
        ("power-prob", [15.55]),  # .111 of them did: 44.44 ahead
        ("l3-fifo", [20.0]),  # it was the first order in the queue: 40 ahead
    ],
)
def test_the_same_tape_fills_each_model_s_own_contracts(model, fills):
    """40 and 40 ahead of our 30, 40 behind; the first cancels, then 60 trade."""
    played = Played(model)
    played.tape(("add", "bid", 40, 40, 11), ("add", "bid", 40, 40, 12))
    played.ours("us", "bid", 40, 30)
    played.tape(("add", "bid", 40, 40, 13), ("cancel", "bid", 40, 40, 11), ("trade", "bid", 40, 60))
    assert [count for _, count in played.fills] == fills


def test_order_ids_say_whose_cancel_it_was():
    played = Played("l3-fifo")
    played.tape(("add", "bid", 40, 20, 1), ("add", "bid", 40, 20, 2))
    played.ours("us", "bid", 40, 5)
    played.tape(("add", "bid", 40, 20, 3), ("cancel", "bid", 40, 20, 1))
    assert played.ahead("us") == 20.0
    played.tape(("cancel", "bid", 40, 20, 3))
    assert played.ahead("us") == 20.0
    played.tape(("trade", "bid", 40, 20), ("add", "bid", 40, 50, 4), ("trade", "bid", 40, 1))
    assert played.fills == [("us", 1.0)]


@pytest.mark.parametrize("model", MODELS)
def test_nobody_ahead_once_the_level_was_empty(model):
    played = Played(model)
    played.tape(BID)
    played.ours("us", "bid", 40, 5)
    played.tape(("cancel", "bid", 40, 100), ("add", "bid", 40, 500))
    assert played.ahead("us") == 0.0
    played.tape(("trade", "bid", 40, 2))
    assert played.fills == [("us", 2.0)]


@given(
    st.sampled_from(MODELS),
    st.lists(st.tuples(st.sampled_from(["add", "cancel", "trade"]), st.integers(1, 60)), max_size=40),
)
@settings(max_examples=150, deadline=None)
def test_what_is_ahead_is_never_more_than_the_level_and_never_grows(model, happened):
    played = Played(model)
    played.tape(BID)
    order, level, before = played.ours("us", "bid", 40, 1_000_000), 100.0, 100.0
    for kind, contracts in happened:
        taken = contracts if kind == "add" else min(contracts, level)
        if taken:
            played.tape((kind, "bid", 40, taken))
        level += taken if kind == "add" else -taken
        ahead = played.ahead("us")
        assert 0.0 <= ahead <= min(before, level) + 1e-6
        before = ahead
        assert played.venue.resting("bid", 40) == pytest.approx(level)
    assert order.booked
