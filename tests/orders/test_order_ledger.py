"""Positions, cash and profit from fills and settlements."""

from dataclasses import replace
from datetime import date, time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_daemon.domain.order import Fill
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.new_york import eastern_ns
from kalshi_daemon.ground.units import DAY, HOUR, PRICE_ONE, SECOND, Count, Dollars, Nanos, Price
from kalshi_daemon.orders.booked import BookedFill, Inherited, Result
from kalshi_daemon.orders.ledger import FLAT, Ledger, cash_of_fill, day_start, payout, revenue, week_start

EVENT = "KXINXU-26NOV23H1100"
MARKET = f"{EVENT}-T6799.9999"
NOW = eastern_ns(date(2026, 11, 25), time(12))  # a Wednesday


def fill(trade="t1", side=Side.BID, price=4200, count=100, fee=0, market=MARKET, at=NOW):
    return Fill(trade, "ex-1", market, side, Price(price), Count(count), Dollars(fee), is_taker=False, event_ns=at)


def booked(made):
    return BookedFill(made, EVENT, "KXINXU")


def ledger_of(*fills):
    ledger = Ledger()
    for made in fills:
        ledger.add_fill(booked(made))
    return ledger


# --- worked by hand ---------------------------------------------------------------------------------------------------


def test_a_bid_that_wins():
    """2 YES at 0.42, fee 0.01: 0.84 + 0.01 paid, 2.00 received, 1.15 made."""
    ledger = ledger_of(fill(count=200, fee=100))
    assert (ledger.count(MARKET), ledger.positions[MARKET].cash, ledger.exchange_cash()) == (200, -8_500, -8_500)
    assert ledger.profit(MARKET) is None
    ledger.set_result(MARKET, Result("yes", NOW))
    assert ledger.profit(MARKET) == 11_500
    assert ledger.exchange_cash() == 11_500


def test_an_ask_is_a_no_bought_at_the_complement():
    """Sell YES at 0.42 = buy NO at 0.58: the exchange takes 0.58, pays 1.00 on NO, nothing on YES."""
    ledger = ledger_of(fill(side=Side.ASK))
    assert (ledger.count(MARKET), ledger.exchange_cash()) == (-100, -5_800)
    ledger.set_result(MARKET, Result("no", NOW))
    assert (ledger.profit(MARKET), ledger.exchange_cash()) == (4_200, 4_200)
    ledger.set_result(MARKET, Result("yes", NOW))
    assert (ledger.profit(MARKET), ledger.exchange_cash()) == (-5_800, -5_800)


def test_a_pair_gives_its_dollar_back_at_once():
    """YES at 0.40, then NO at 0.55 (ask 0.45): 0.95 for a sure dollar, 0.05 made, nothing left to settle."""
    ledger = ledger_of(fill("t1", price=4000), fill("t2", Side.ASK, 4500))
    assert (ledger.count(MARKET), ledger.exchange_cash()) == (0, 500)
    assert [p.market_ticker for p in ledger.open_positions()] == [MARKET]
    ledger.set_result(MARKET, Result(FLAT, NOW))
    assert ledger.profit(MARKET) == 500
    assert list(ledger.open_positions()) == []


def test_fractional_contracts_follow_the_venues_rounding():
    """0.33 YES at 0.4255 cost 0.140415; balances are kept to 0.0001, so with the reported fee of 0.0001 (0.000085 of
    rounding, rounded up) the balance moves by exactly 0.1405."""
    assert cash_of_fill(fill(price=4255, count=33, fee=1)) == -1_405
    assert cash_of_fill(fill(price=4255, count=33, fee=2)) == -1_406


def test_a_scalar_result_pays_what_the_exchange_lists():
    ledger = ledger_of(fill(count=200))
    assert ledger.set_result(MARKET, Result("scalar", NOW))
    assert ledger.profit(MARKET) is None, "the result alone does not say"
    ledger.set_result(MARKET, Result("scalar", NOW, Dollars(9_000)))
    assert ledger.profit(MARKET) == 600


def test_a_scalar_result_of_a_short_position():
    """Short 1 at 0.42 (paid 0.58); the exchange lists 0.70 for our NO: 0.12 made."""
    ledger = ledger_of(fill(side=Side.ASK))
    ledger.set_result(MARKET, Result("scalar", NOW, Dollars(7_000)))
    assert ledger.profit(MARKET) == 1_200


@pytest.mark.parametrize(("result", "count", "paid", "got"), [("yes", 200, 20_000, 20_000), ("yes", -200, -20_000, 0),
                                                              ("no", 200, 0, 0), ("no", -200, 0, 20_000)])  # fmt: skip
def test_what_a_position_brings(result, count, paid, got):
    assert (payout(result, Count(count)), revenue(result, Count(count))) == (paid, got)


def test_a_result_that_says_nothing():
    assert (payout("void", Count(100)), revenue("void", Count(100))) == (None, None)
    assert (payout("void", Count(0)), revenue("void", Count(0))) == (0, 0)


# --- bookkeeping ------------------------------------------------------------------------------------------------------


def test_a_result_may_come_before_its_fill():
    ledger = Ledger()
    ledger.set_result(MARKET, Result("yes", NOW))
    ledger.add_fill(booked(fill()))
    assert ledger.profit(MARKET) == 5_800


def test_a_late_fill_reopens_what_was_closed_as_flat():
    ledger = ledger_of(fill("t1"), fill("t2", Side.ASK, 4500))
    ledger.set_result(MARKET, Result(FLAT, NOW))
    ledger.add_fill(booked(fill("t3")))
    assert ledger.profit(MARKET) is None
    ledger.set_result(MARKET, Result("no", NOW))
    assert ledger.profit(MARKET) == 300 - 4_200


def test_what_the_exchange_listed_is_never_overruled():
    ledger = ledger_of(fill())
    ledger.set_result(MARKET, Result("yes", NOW, Dollars(10_000)))
    assert not ledger.set_result(MARKET, Result("no", NOW))
    assert ledger.profit(MARKET) == 5_800
    assert not ledger.set_result(MARKET, Result("yes", NOW, Dollars(10_000)))


def test_inherited_positions_can_only_turn_out_better():
    ledger = Ledger()
    for count, market in ((300, MARKET), (-300, EVENT + "-T6900")):
        ledger.inherit(Inherited(market, EVENT, "KXINXU", Count(count)))
    assert ledger.positions[MARKET].cash == -30_000
    ledger.set_result(MARKET, Result("yes", NOW))
    ledger.set_result(EVENT + "-T6900", Result("no", NOW))
    assert (ledger.profit(MARKET), ledger.profit(EVENT + "-T6900")) == (0, 0)


def test_days_and_weeks_begin_at_new_york_midnights():
    monday = eastern_ns(date(2026, 11, 23), time())
    assert week_start(NOW) == monday
    assert day_start(NOW) == eastern_ns(date(2026, 11, 25), time())
    assert week_start(monday) == monday
    assert week_start(Nanos(monday - SECOND)) == eastern_ns(date(2026, 11, 16), time())


def test_a_day_of_25_hours():
    """2026-11-01: clocks go back; New York midnight to midnight is 25 hours."""
    late = eastern_ns(date(2026, 11, 1), time(23, 30))
    assert late - day_start(late) == 24 * HOUR + HOUR // 2


def test_profit_belongs_to_the_day_and_week_of_its_settlement():
    ledger = Ledger()
    for days, price in ((0, 1_000), (1, 2_000), (3, 4_000)):
        market = f"{EVENT}-T{days}"
        ledger.add_fill(booked(fill(f"t{days}", price=price, market=market)))
        ledger.set_result(market, Result("no", Nanos(NOW - days * DAY)))
    state = ledger.state(NOW)
    assert (state.realized_today, state.realized_week) == (-1_000, -3_000)
    assert (state.fills_total, state.contracts_total) == (3, 300)
    assert ledger.realized(Nanos(NOW - 3 * DAY), Nanos(NOW - 2 * DAY)) == -4_000


def test_forgetting_keeps_the_cash_and_the_open_positions():
    ledger = ledger_of(fill("t1"), fill("t2", market=EVENT + "-T1"))
    ledger.set_result(MARKET, Result("yes", Nanos(NOW - 9 * DAY)))
    before = ledger.exchange_cash()
    ledger.forget_settled(Nanos(NOW - 8 * DAY))
    assert list(ledger.positions) == [EVENT + "-T1"]
    assert ledger.exchange_cash() == before
    assert ledger.result(MARKET) is None


# --- algebra ----------------------------------------------------------------------------------------------------------

SIDES = st.sampled_from(Side)
FILLS = st.lists(
    st.tuples(SIDES, st.integers(1, 9_999), st.integers(1, 500), st.integers(0, 40), st.sampled_from("ABC")),
    max_size=12,
).map(
    lambda rows: [
        fill(f"t{i}", side, price, count, fee, f"{EVENT}-{market}")
        for i, (side, price, count, fee, market) in enumerate(rows)
    ]
)
RESULTS = st.dictionaries(st.sampled_from([f"{EVENT}-{m}" for m in "ABC"]), st.sampled_from(["yes", "no"]))


def outcome(ledger):
    state = ledger.state(NOW)
    positions = {t: (p.count, p.cash, p.fees, p.settled) for t, p in state.positions.items()}
    return positions, state.realized_today, state.fees_total, state.fills_total, ledger.exchange_cash()


@settings(max_examples=120, deadline=None)
@given(FILLS, RESULTS, st.randoms(use_true_random=False))
def test_any_order_and_any_repetition_give_the_same_ledger(fills, results, chance):
    plain = ledger_of(*fills)
    for market, result in results.items():
        plain.set_result(market, Result(result, NOW))
    steps = [*fills, *chance.choices(fills, k=len(fills)), *results.items()] if fills else list(results.items())
    chance.shuffle(steps)
    mixed = Ledger()
    for step in steps:
        if isinstance(step, Fill):
            mixed.add_fill(booked(step))
        else:
            mixed.set_result(step[0], Result(step[1], NOW))
    assert outcome(mixed) == outcome(plain)


@settings(max_examples=120, deadline=None)
@given(FILLS, RESULTS)
def test_yes_and_no_are_mirror_images(fills, results):
    """The same trades told from the other side, settled the other way, make the same money."""
    plain, mirror = ledger_of(*fills), Ledger()
    for made in fills:
        other = Side.ASK if made.side is Side.BID else Side.BID
        mirror.add_fill(booked(replace(made, side=other, price=Price(PRICE_ONE - made.price))))
    for market, result in results.items():
        plain.set_result(market, Result(result, NOW))
        mirror.set_result(market, Result("no" if result == "yes" else "yes", NOW))
    assert plain.exchange_cash() == mirror.exchange_cash()
    assert plain.realized(Nanos(0)) == mirror.realized(Nanos(0))
    for market in plain.positions:
        assert plain.count(market) == -mirror.count(market)


@settings(max_examples=120, deadline=None)
@given(FILLS, RESULTS)
def test_cash_is_what_the_exchange_keeps(fills, results):
    """The exchange's own way: net first, pay for what opens, get back what closes, micro-dollars, floored per fill."""
    cash = 0
    held: dict[str, int] = {}
    reported = []
    for made in fills:
        own = made.price if made.side is Side.BID else PRICE_ONE - made.price
        before = held.get(made.market_ticker, 0)
        closing = min(made.count, max(0, -before if made.side is Side.BID else before))
        change = (PRICE_ONE - own) * closing - own * (made.count - closing)
        floored = (change - made.fee * 100) // 100 * 100
        cash += floored
        charged = change - floored
        reported.append(replace(made, fee=Dollars(-(-charged // 100))))
        held[made.market_ticker] = before + made.side.sign * made.count
    ledger = ledger_of(*reported)
    assert ledger.exchange_cash() * 100 == cash
    for market, result in results.items():
        ledger.set_result(market, Result(result, NOW))
        count = held.get(market, 0)
        cash += abs(count) * PRICE_ONE if count and (count > 0) == (result == "yes") else 0
    assert ledger.exchange_cash() * 100 == cash
    assert ledger.exchange_cash() == ledger.tied_up() + ledger.realized(Nanos(0))
