"""The pure comparison of our books with the exchange's lists."""

from dataclasses import replace

import pytest

from kalshi_daemon.domain.events import RemoteOrder
from kalshi_daemon.domain.order import Fill, Order, Settlement, Status, VenuePosition
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.units import Count, Dollars, Nanos, Price
from kalshi_daemon.orders.reconcile import (
    Act,
    compare_balance,
    compare_filled,
    compare_fills,
    compare_orders,
    compare_positions,
    compare_settlement,
    disagreements,
)

NAME = "kd-0011223344556677-1"
TICKER = "KXINXU-26NOV23H1100-T6799.9999"


def order(name=NAME, **changes):
    made = Order(
        client_order_id=name,
        market_ticker=TICKER,
        event_ticker="KXINXU-26NOV23H1100",
        series_ticker="KXINXU",
        profile="wide",
        side=Side.BID,
        price=Price(4200),
        count=Count(200),
        status=Status.RESTING,
        expires_ns=Nanos(90),
        created_ns=Nanos(1),
        order_id="ex-1",
    )
    return replace(made, **changes)


def remote(name=NAME, **changes):
    made = RemoteOrder(
        "ex-1", name, TICKER, "resting", Side.BID, Price(4200), Count(200), Count(0), Count(200), None, 0
    )
    return replace(made, **changes)


def compare(ours=(), ended=(), moving=(), listed=(), scope="account"):
    found = compare_orders(
        {o.client_order_id: o for o in ours}, {o.client_order_id: o for o in ended}, set(moving), listed, scope
    )
    return [(finding.act, finding.key) for finding in found]


def test_both_sides_know_it():
    assert compare([order()], listed=[remote()]) == [(Act.UPDATE, f"update:{NAME}")]


def test_absence_from_the_list_is_asked_about_never_concluded():
    assert compare([order()]) == [(Act.ASK, f"ask:{NAME}")]


def test_our_id_without_a_journal_entry_is_adopted_in_either_scope():
    for scope in ("account", "own"):
        assert compare(listed=[remote()], scope=scope) == [(Act.ADOPT, f"adopt:{NAME}")]


@pytest.mark.parametrize(("scope", "act"), [("account", Act.CANCEL_FOREIGN), ("own", Act.REPORT_FOREIGN)])
@pytest.mark.parametrize("name", ["", "by-hand", "kd-somebody"])
def test_foreign_orders_are_cancelled_or_reported_by_scope(scope, act, name):
    assert compare(listed=[remote(name)], scope=scope) == [(act, "foreign:ex-1")]


def test_ended_here_and_resting_there_is_a_ghost():
    assert compare(ended=[order(status=Status.CANCELED)], listed=[remote()]) == [(Act.CANCEL_GHOST, f"ghost:{NAME}")]
    refused = order(status=Status.REJECTED, order_id=None)
    assert compare(ended=[refused], listed=[remote()]) == [(Act.CANCEL_GHOST, f"ghost:{NAME}")]


def test_what_moved_during_the_read_is_not_compared():
    assert compare(moving=[NAME], listed=[remote()]) == []


@pytest.mark.parametrize(
    "changes",
    [{"price": Price(4300)}, {"side": Side.ASK}, {"initial": Count(100)}, {"market_ticker": "M"}, {"order_id": "ex-2"}],
)
def test_different_terms_are_a_disagreement_with_both_sides(changes):
    (finding,) = compare_orders({NAME: order()}, {}, set(), [remote(**changes)], "account")
    assert finding.act is Act.DISAGREE
    assert "we have bid 2.00 at 0.4200" in finding.text
    assert "the exchange" in finding.text


def test_an_order_of_ours_without_an_id_takes_the_listed_one():
    assert compare([order(order_id=None)], listed=[remote()]) == [(Act.UPDATE, f"update:{NAME}")]


def fill(trade="t1", at=100, **changes):
    made = Fill(
        trade, "ex-1", TICKER, Side.BID, Price(4200), Count(100), Dollars(0), is_taker=False, event_ns=Nanos(at)
    )
    return replace(made, **changes)


def test_fills_we_lack_are_handed_back():
    missed, findings = compare_fills({"t1": fill()}, [fill(), fill("t2")], Nanos(0), Nanos(1_000))
    assert [made.trade_id for made in missed] == ["t2"]
    assert findings == []


def test_a_fill_only_we_know_is_disputed_once_it_should_be_listed():
    for until, keys in ((1_000, ["fill:t1"]), (100, [])):
        _missed, findings = compare_fills({"t1": fill()}, [], Nanos(0), Nanos(until))
        assert list(disagreements(findings)) == keys


@pytest.mark.parametrize(
    "changes", [{"count": Count(200)}, {"price": Price(1)}, {"fee": Dollars(1)}, {"side": Side.ASK}]
)
def test_one_trade_id_with_two_stories_is_disputed(changes):
    _missed, findings = compare_fills({"t1": fill()}, [fill(**changes)], Nanos(0), Nanos(1_000))
    assert list(disagreements(findings)) == ["fill:t1"]


def position(ticker, count):
    return VenuePosition(ticker, Count(count), Dollars(0), Dollars(0))


def test_positions_name_both_numbers():
    findings = compare_positions(
        {"A": Count(100), "B": Count(-200), "D": Count(0)}, [position("A", 100), position("C", 5)], ()
    )
    assert disagreements(findings) == {
        "position:B": "position in B: ours -2.00, exchange 0.00",
        "position:C": "position in C: ours 0.00, exchange 0.05",
    }


def test_positions_that_cannot_be_compared_are_left_out():
    assert compare_positions({"A": Count(100)}, [position("B", 5)], {"A", "B"}) == []


def settlement(result="yes", yes=200, no=0, revenue=20_000):
    return Settlement("M", "E", result, Count(yes), Count(no), Dollars(revenue), Dollars(0), Nanos(1))


@pytest.mark.parametrize(
    ("listed", "count", "keys"),
    [
        (settlement(), 200, []),
        (settlement("no", revenue=0), 200, []),
        (settlement("no", yes=0, no=300, revenue=30_000), -300, []),
        (settlement(), 100, ["settled:M"]),
        (settlement(revenue=10_000), 200, ["revenue:M"]),
        (settlement(yes=233, revenue=23_300), 233, []),
        (settlement("scalar", revenue=12_345), 200, []),
    ],
)
def test_settlements_against_what_we_held(listed, count, keys):
    assert list(disagreements(compare_settlement(listed, Count(count)))) == keys


def test_a_cut_cent_of_a_fractional_settlement_is_not_disputed():
    """2.335 contracts do not exist, but 2.33 x $1 in whole cents may be shown rounded."""
    assert compare_settlement(settlement(yes=233, revenue=23_250), Count(233)) == []


def test_cash_names_both_amounts():
    assert compare_balance(Dollars(5), Dollars(5)) == []
    (finding,) = compare_balance(Dollars(10_000), Dollars(9_999))
    assert finding.text == "cash: our fills and settlements leave 1.0000, exchange 0.9999"


def test_orders_that_traded_more_than_their_fills():
    done = order(filled=Count(200), status=Status.FILLED)
    assert compare_filled([done], {NAME: Count(200)}) == []
    (finding,) = compare_filled([done], {})
    assert "exchange says 2.00 filled, its fills add up to 0.00" in finding.text
    assert compare_filled([order(status=Status.REJECTED, filled=Count(1))], {}) == []
