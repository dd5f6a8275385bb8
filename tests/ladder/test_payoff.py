"""The exact worst case, against brute force."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_daemon.domain.index import Index
from kalshi_daemon.domain.order import Status
from kalshi_daemon.domain.quote import Quote, Side
from kalshi_daemon.ground.units import HOUR, Count, Dollars, Level, Nanos, Price
from kalshi_daemon.ladder.payoff import (
    Holding,
    Resting,
    holdings_from,
    market_worst_case,
    resting_from,
    resting_of_quote,
    worst_by_group,
    worst_case,
    worst_case_of_one,
)
from kalshi_daemon.state import Position
from tests.ladder.scan_samples import FREE, MAKER_FEES, TARGET, WINDOW, above, below, between, market, order, points


def held(contract, contracts, cash):
    return Holding(contract.market_ticker, contract, Count(contracts * 100), Dollars(cash))


def rest(contract, side, price, contracts=1, fee=0):
    return Resting(contract.market_ticker, contract, side, Price(price), Count(contracts * 100), Dollars(fee))


def test_one_long_contract_can_lose_its_premium():
    case = worst_case_of_one([held(above(6850), 2, -8_400)])
    assert (case.loss, case.at) == (8_400, None)


def test_one_short_contract_can_lose_the_rest_of_the_dollar():
    case = worst_case_of_one([held(above(6850), -1, 4_200)])
    assert (case.loss, case.at) == (5_800, points(6850))


def test_a_spread_is_netted():
    # Long >= 6850 at .60, short >= 6855 at .55: pays 1 only in between, costs .05, never pays less than nothing.
    legs = [held(above(6850), 1, -6_000), held(above(6855), -1, 5_500)]
    assert worst_case(legs) == 500


def test_a_partition_sold_whole_has_no_gap_between_its_bins():
    bins = [below(6800), between(6800, 6825), between(6825, 6850), above(6850)]
    sold = [held(contract, -1, 2_600) for contract in bins]
    case = worst_case_of_one(sold)
    assert case.pnl == 400, "one of them pays, whatever happens"
    bought = [held(contract, 1, -2_400) for contract in bins]
    assert worst_case_of_one(bought).pnl == 400, "there is no value between 6824.99 and 6825.00"


def test_an_order_counts_only_where_filling_it_hurts():
    # Holding YES at .40; resting ask at .70 would lock in a gain where YES fails and give up where it pays.
    hold, sell = held(above(6850), 1, -4_000), rest(above(6850), Side.ASK, 7_000)
    assert worst_case([hold]) == 4_000
    assert worst_case([hold], [sell]) == 4_000, "it may just not fill"
    assert worst_case([hold], [rest(above(6850), Side.BID, 3_000)]) == 7_000


def test_hourly_and_close_ladders_of_one_instant_are_one_group():
    hourly = above(6850, event="KXINXU-26NOV23H1600")
    close = between(6850, 6875)
    legs = [held(hourly, 1, -5_000), held(close, -1, 3_000)]
    assert worst_case(legs) == 2_000  # below 6850: -5000 + 3000; inside both pay and cancel
    assert len(worst_by_group(legs)) == 1


def test_other_indices_and_instants_are_added_up():
    legs = [
        held(above(6850), 1, -5_000),
        held(above(25000, index=Index.NDX), 1, -4_000),
        held(above(6850, settles=Nanos(TARGET + HOUR)), -1, 9_000),
    ]
    cases = worst_by_group(legs)
    assert sorted(case.loss for case in cases.values()) == [1_000, 4_000, 5_000]
    assert worst_case(legs) == 10_000


def test_a_group_that_cannot_lose_does_not_pay_for_another():
    sure = [held(above(6850), 1, 500)]
    risky = [held(above(25000, index=Index.NDX), 1, -4_000)]
    assert worst_case(sure + risky) == 4_000


def test_an_unknown_contract_is_judged_alone_with_both_outcomes():
    lost = Holding("GONE", None, Count(-100), Dollars(3_000))
    assert worst_case([lost, held(above(6850), 1, -5_000)]) == 7_000 + 5_000
    assert worst_case([Holding("GONE", None, Count(100), Dollars(-3_000))]) == 3_000
    assert worst_case([], [Resting("GONE", None, Side.ASK, Price(3_000), Count(100))]) == 7_000


def test_pal_looks_at_one_market_alone():
    legs = [held(above(6850), 1, -6_000), held(above(6855), -1, 5_500)]
    orders = [rest(above(6855), Side.ASK, 5_000, contracts=2, fee=88), rest(above(6850), Side.BID, 1_000)]
    assert market_worst_case(above(6855).market_ticker, legs, orders) == -(5_500 - 10_000 + 2 * (5_000 - 10_000) - 88)
    assert market_worst_case(above(6850).market_ticker, legs, orders) == 7_000
    assert market_worst_case("nothing there", legs, orders) == 0


def test_pal_does_not_count_on_an_order_that_may_not_fill():
    short, cover = held(above(6850), -1, 3_000), rest(above(6850), Side.BID, 4_000)
    assert market_worst_case(short.market_ticker, [short], [cover]) == 7_000
    long, sell = held(above(6850), 1, -7_000), rest(above(6850), Side.ASK, 6_000)
    assert market_worst_case(long.market_ticker, [long], [sell]) == 7_000


def test_fees_and_fractions_are_never_rounded_in_our_favour():
    bid = Resting("M", None, Side.BID, Price(3_301), Count(3), Dollars(5))
    assert (bid.pnl_yes, bid.pnl_no) == (300 - 100 - 5, -100 - 5)  # .009903 paid counts as .0100
    ask = Resting("M", None, Side.ASK, Price(3_301), Count(3), Dollars(5))
    assert (ask.pnl_yes, ask.pnl_no) == (99 - 300 - 5, 99 - 5)


def test_nothing_at_risk_is_nothing():
    assert worst_case([]) == 0
    assert worst_case_of_one([]).pnl == 0


def test_state_becomes_holdings_and_resting_orders():
    contract = above(6850)
    markets = {contract.market_ticker: market(contract)}
    positions = [
        Position(contract.market_ticker, "E", "KXINXU", Count(200), Dollars(-9_000)),
        Position("OLD", "E", "KXINXU", Count(100), Dollars(-100), settled="no"),
        Position("LOST", "E", "KXINXU", Count(100), Dollars(-100)),
    ]
    holdings = holdings_from(positions, markets)
    assert [(one.market_ticker, one.contract) for one in holdings] == [
        (contract.market_ticker, contract),
        ("LOST", None),
    ]
    live = order(contract.market_ticker, Side.BID, 5_000)
    done = order(contract.market_ticker, Side.BID, 5_000, status=Status.FILLED)
    [resting] = resting_from([live, done], markets, {"KXINXU": FREE})
    assert (resting.contract, resting.count, resting.fee) == (contract, 100, 0)
    [charged] = resting_from([live], markets, {})
    assert charged.fee == 44, "an unknown schedule is charged maker fees"
    [same] = resting_from([live], markets, {"KXINXU": MAKER_FEES})
    assert same.fee == 44
    quote = Quote(
        contract.market_ticker,
        Side.ASK,
        Price(5_000),
        Count(100),
        "wide",
        WINDOW,
        0.4,
        0.4,
        0.02,
        Price(100),
        Dollars(7),
    )
    assert resting_of_quote(quote, markets).pnl_yes == -5_007


STRIKES = [6840, 6845, 6850, 6855, 6860]
contracts = st.one_of(
    st.sampled_from(STRIKES).map(above),
    st.sampled_from(STRIKES).map(below),
    st.tuples(st.sampled_from(STRIKES), st.sampled_from([5, 10, 25])).map(lambda pair: between(pair[0], sum(pair))),
)
holdings_of = st.lists(st.tuples(contracts, st.integers(-5, 5), st.integers(-30_000, 30_000)), max_size=5)
orders_of = st.lists(
    st.tuples(contracts, st.sampled_from(Side), st.integers(1, 99), st.integers(1, 3), st.integers(0, 50)), max_size=4
)


@given(holdings=holdings_of, orders=orders_of)
@settings(max_examples=150, deadline=None)
def test_the_worst_case_is_the_minimum_over_every_settlement_and_every_subset_of_fills(holdings, orders):
    legs = [held(*one) for one in holdings]
    maybe = [rest(contract, side, cents * 100, count, fee) for contract, side, cents, count, fee in orders]
    values = [Level(points(strike) + off) for strike in range(6835, 6891, 5) for off in (-100, 0, 100)]

    def pnl(value, filled):
        total = sum(leg.cash + (leg.count * 100 if leg.contract.pays(value) else 0) for leg in legs)
        return total + sum(one.pnl_yes if one.contract.pays(value) else one.pnl_no for one in filled)

    subsets = [subset for size in range(len(maybe) + 1) for subset in itertools.combinations(maybe, size)]
    want = min(pnl(value, subset) for value in values for subset in subsets)
    case = worst_case_of_one(legs, maybe)
    assert case.pnl == want
    at = case.at if case.at is not None else Level(points(6835))
    assert min(pnl(at, subset) for subset in subsets) == want
    assert worst_case(legs, maybe) == max(0, -want)


@given(holdings=holdings_of, orders=orders_of)
@settings(max_examples=100, deadline=None)
def test_another_order_never_makes_it_safer(holdings, orders):
    legs = [held(*one) for one in holdings]
    maybe = [rest(contract, side, cents * 100, count, fee) for contract, side, cents, count, fee in orders]
    losses = [worst_case(legs, maybe[:size]) for size in range(len(maybe) + 1)]
    assert losses == sorted(losses)
    assert worst_case(legs, maybe) <= sum(
        market_worst_case(ticker, legs, maybe)
        for ticker in {one.market_ticker for one in legs} | {one.market_ticker for one in maybe}
    ), "netting never adds risk"


def test_a_whole_ladder_is_quick():
    import time  # noqa: PLC0415 - a coarse bound, fifty times what it takes

    legs = [held(above(6000 + 5 * step), step % 5 - 2, 100 * step) for step in range(400)]
    maybe = [rest(above(6000 + 5 * step), Side.BID, 5_000) for step in range(400)]
    started = time.process_time()
    worst_case(legs, maybe)
    assert time.process_time() - started < 0.25


@pytest.mark.parametrize("off", [0, 1, 37, 99])
def test_ends_off_the_settlement_grid_are_moved_onto_it(off):
    from dataclasses import replace  # noqa: PLC0415

    contract = replace(between(6850, 6851), lowest=Level(points(6850) + off), highest=Level(points(6850) + off))
    case = worst_case_of_one([held(contract, -1, 0)])
    assert case.loss == (10_000 if off == 0 else 0), "no two-decimal value lies inside when off the grid"
