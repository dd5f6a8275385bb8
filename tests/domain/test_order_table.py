"""The live orders of the table are those of a walk over all of it, whatever was done to it."""

from copy import deepcopy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_daemon.domain.order import Order, Status
from kalshi_daemon.domain.order_table import OrderTable
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.units import Count, Nanos, Price

NAMES = st.sampled_from("abcd")
CHANGES = st.one_of(
    st.tuples(st.just("set"), NAMES, st.sampled_from(Status)),
    st.tuples(st.sampled_from(["del", "pop", "default", "copy", "ask"]), NAMES, st.none()),
    st.tuples(st.just("update"), NAMES, st.sampled_from(Status)),
    st.tuples(st.sampled_from(["clear", "popitem"]), st.none(), st.none()),
)


def order(name, status):
    return Order(name, "M", "E", "S", "wide", Side.BID, Price(4_200), Count(100), status, Nanos(2), Nanos(1))


@settings(max_examples=300, deadline=None)
@given(st.lists(CHANGES, max_size=30))
def test_the_live_ones_are_those_of_a_walk_over_all(changes):
    table, plain = OrderTable(), {}
    for kind, name, status in changes:
        match kind:
            case "set":
                table[name] = plain[name] = order(name, status)
            case "update":
                table.update({name: order(name, status)})
                plain.update({name: order(name, status)})
            case "del" if name in plain:
                del table[name], plain[name]
            case "pop":
                assert table.pop(name, None) == plain.pop(name, None)
            case "default":
                resting = order(name, Status.RESTING)
                assert table.setdefault(name, resting) == plain.setdefault(name, resting)
            case "clear":
                table.clear()
                plain.clear()
            case "popitem" if plain:
                gone, _ = table.popitem()
                del plain[gone]
            case "copy":
                table = deepcopy(table)
            case _:
                pass
        assert table == plain
        assert {one.client_order_id: one for one in table.live()} == {
            key: one for key, one in plain.items() if one.status.live
        }
        for ticker in ("M", "none"):
            assert table.live_in(ticker) == tuple(one for one in table.live() if one.market_ticker == ticker)
        assert (len(table), list(table), list(table.values()), dict(table.items())) == (
            len(plain), list(plain), list(plain.values()), plain,
        )  # fmt: skip


def test_asking_again_makes_nothing_anew():
    table = OrderTable()
    table["a"] = order("a", Status.RESTING)
    table["z"] = order("z", Status.CANCELED)
    first = table.live()
    table["z"] = order("z", Status.EXPIRED)
    assert table.live() is first
    with pytest.raises(KeyError):
        table["b"]
