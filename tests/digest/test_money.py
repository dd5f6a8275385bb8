"""Money by series, window and profile; open positions; budgets; fixings."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_daemon.digest.money import NO_PROFILE, NOT_ONE_PROFILE, money
from kalshi_daemon.digest.scans import ScanDay
from kalshi_daemon.domain.index import Index
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.units import Dollars
from kalshi_daemon.orders.booked import Result
from tests.digest.digest_rig import M1, M2, M3, at, fill, look, manifest, quote, records_of, scans_of, tape, verdict

WON, LOST = Result("yes", at(11, 2)), Result("no", at(11, 2))


def parts(found):
    return {part.name: (part.profit, part.fees, part.fills, part.contracts, len(part.markets)) for part in found}


def test_two_profiles_in_one_market_share_its_profit_by_what_each_traded():
    records = records_of(
        (
            (fill("A", M1, at(10, 10), count=2, fee=30), "size", 0.45),  # -0.8030, pays 2
            (fill("B", M1, at(10, 12), side=Side.ASK, price=5_000), "wide", 0.45),  # +0.5000, pays -1
            (fill("C", M2, at(10, 20), price=3_000), "wide", 0.35),  # -0.3000, pays 0
        ),
        results={M1: WON, M2: LOST},
    )
    found = money(records, ScanDay())
    assert found.profit == 11_970 - 5_000 - 3_000
    assert parts(found.by_profile) == {"size": (11_970, 30, 1, 200, 1), "wide": (-8_000, 0, 2, 200, 2)}
    assert parts(found.by_series) == {"KXINXU": (3_970, 30, 3, 400, 2)}
    assert parts(found.by_window) == {"KXINXU-26NOV23H1100": (3_970, 30, 3, 400, 2)}


def test_what_no_profile_earned_alone_stands_apart_and_the_parts_add_up():
    """Both profiles together were flat: the one bought what the other sold."""
    records = records_of(
        (
            (fill("A", M1, at(10, 10)), "size", 0.45),
            (fill("B", M1, at(10, 12), side=Side.ASK, price=5_000), "wide", 0.45),
            (fill("C", M2, at(10, 20)), "", None),
        ),
        results={M1: Result("flat", at(11, 2)), M2: WON},
    )
    found = money(records, ScanDay())
    assert parts(found.by_profile)[NOT_ONE_PROFILE] == (1_000, 0, 0, 0, 1)
    assert parts(found.by_profile)[NO_PROFILE] == (6_000, 0, 1, 100, 1)
    assert sum(part.profit for part in found.by_profile) == found.profit == 7_000


def test_open_positions_at_our_last_fair_and_unknown_when_one_has_none():
    records = records_of(
        ((fill("A", M1, at(10, 10), count=2, fee=10), "wide", 0.45), (fill("B", M2, at(10, 20)), "wide", 0.45))
    )
    scans = scans_of(manifest(at(10, 15), look(M1, 0.50)), manifest(at(10, 40), look(M1, 0.60), look(M2, None)))
    found = money(records, scans)
    second, first = found.open  # by name
    assert first.fair == 0.60
    assert first.profit == pytest.approx(2 * 0.60 - 0.8010)
    assert (second.fair, second.profit) == (None, None)
    assert found.open_profit is None
    both = money(records, scans_of(manifest(at(10, 40), look(M1, 0.60), look(M2, 0.30))))
    assert both.open_profit == pytest.approx(2 * 0.60 - 0.8010 + 0.30 - 0.40)


def test_budget_peaks_leave_out_what_a_refused_quote_would_have_used():
    refused = quote(M1, verdict("daily_loss", passed=False, measured=51.6, limit=50.0))
    allowed = quote(M1, verdict("daily_loss", measured=48.0, limit=50.0), accepted=True)
    scans = scans_of(
        manifest(at(10, 15), verdicts=(verdict("daily_loss", measured=40.0, limit=50.0),), quotes=(refused, allowed)),
        manifest(at(10, 18), verdicts=(verdict("weekly_loss", measured=None, limit=250.0, passed=False),)),
    )
    [peak] = money(records_of(), scans).peaks
    assert (peak.guard, peak.measured, peak.limit, peak.at_ns) == ("daily_loss", 48.0, 50.0, at(10, 15))


def test_a_fixing_shows_our_value_and_names_results_that_are_not_what_it_says():
    records = records_of(
        ((fill("A", M1, at(10, 10)), "wide", 0.45), (fill("B", M2, at(10, 20)), "wide", 0.45)),
        results={M1: WON, M2: LOST},
        tapes={Index.SPX: tape((at(10, 59, 58), 6_822.0), (at(11, 0, 1), 1.0))},
    )
    scans = scans_of(manifest(at(10, 15), look(M1, 0.5), look(M2, 0.6, low="6810.00"), look(M3, 0.1)))
    [fixing] = money(records, scans).fixings
    assert (fixing.index, fixing.yes, fixing.no) == (6_822.0, 1, 1)
    assert fixing.disagree == (M2,), "6822 is above 6810, and the exchange said no"
    assert (fixing.paid, fixing.profit) == (10_000, 2_000)


def test_a_fixing_to_come_is_not_shown_and_one_without_a_value_disagrees_with_nothing():
    scans = scans_of(manifest(at(10, 15), look(M1, 0.5)))
    assert money(records_of(now=at(10, 59)), scans).fixings == ()
    records = records_of(((fill("A", M1, at(10, 10)), "wide", 0.45),), results={M1: WON})
    [fixing] = money(records, scans).fixings
    assert (fixing.index, fixing.disagree) == (None, ())


@settings(max_examples=60, deadline=None)
@given(
    trades=st.lists(
        st.tuples(
            st.sampled_from((M1, M2, M3)), st.sampled_from(Side), st.integers(1, 99), st.integers(1, 3),
            st.sampled_from(("wide", "size", "")), st.integers(0, 200),
        ),
        max_size=12,
    ),
    results=st.fixed_dictionaries({}, optional=dict.fromkeys((M1, M2, M3), st.sampled_from(("yes", "no", "flat")))),
)  # fmt: skip
def test_every_way_to_divide_the_days_profit_adds_up_to_it(trades, results):
    fills = tuple(
        (fill(str(at_), market, at(10, 1, at_), side=side, price=cents * 100, count=count, fee=fee), profile, 0.5)
        for at_, (market, side, cents, count, profile, fee) in enumerate(trades)
    )
    found = money(records_of(fills, results={m: Result(said, at(11, 2)) for m, said in results.items()}), ScanDay())
    for division in (found.by_series, found.by_window, found.by_profile):
        assert sum(part.profit for part in division) == found.profit
        assert sum(part.fees for part in division) == found.fees
        assert sum(part.fills for part in division) == len(trades)


def test_a_correction_counts_by_series_window_and_profile_and_the_parts_add_up():
    fills = (
        (fill("A", M1, at(10, 10), count=2), "size", 0.45),
        (fill("B", M1, at(10, 12), side=Side.ASK, price=5_000), "wide", 0.45),
    )
    records = records_of(fills, results={M1: WON}, corrections={M1: [Result("no", at(15), Dollars(0))]})
    found = money(records, ScanDay())
    assert found.profit == sum(part.profit for part in found.by_profile) == -2 * 4_000 + 5_000
    assert parts(found.by_profile)["size"][0] == -8_000
    assert parts(found.by_profile)["wide"][0] == 5_000
    assert parts(found.by_series)["KXINXU"][0] == found.profit
    assert [(one.result, one.profit) for one in found.corrections] == [("no", -10_000)]
