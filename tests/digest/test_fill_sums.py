"""Edges and markouts, worked by hand."""

import math

import pytest

from kalshi_daemon.digest.fills import DELTA, FAIR, SETTLED, fill_sums
from kalshi_daemon.domain.index import Index
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.units import Nanos
from kalshi_daemon.orders.booked import Result
from tests.digest.digest_rig import M1, M2, M3, at, fill, look, manifest, records_of, scans_of, tape

DENSITY_AT_HALF = 0.3520653267642995
"""Of the standard normal distribution at 0.5: the strike 6820 is half a width (10 points) above 6815."""


def three_fills():
    """A buys M1 at 0.40 before good news, B sells M2 at 0.70 two minutes before the fixing, C is a stranger's."""
    bought = fill("A", M1, at(10, 10), count=2, fee=50)
    sold = fill("B", M2, at(10, 58), side=Side.ASK, price=7_000)
    strange = fill("C", M3, at(10, 30), side=Side.ASK, price=3_000, count=3, taker=True)
    scans = scans_of(
        manifest(at(10, 10, 4), look(M1, 0.47), look(M3, 0.30)),
        manifest(at(10, 15, 10), look(M1, 0.52)),
    )
    records = records_of(
        ((bought, "size", 0.45), (sold, "wide", 0.66), (strange, "", None)),
        results={M1: Result("yes", at(11, 2)), M2: Result("no", at(11, 2))},
        tapes={Index.SPX: tape((at(10, 10, 29), 6_816.0), (at(10, 59), 6_900.0))},
    )
    return fill_sums(records, scans)


def test_counts_fees_and_maker_share():
    found = three_fills()
    assert (found.count, found.contracts, found.fees) == (3, 600, 50)
    assert found.maker_share == 0.5


def test_the_expected_edge_is_signed_by_side_and_a_missing_decision_is_not_zero():
    found = three_fills()
    assert [line.expected for line in found.lines] == [pytest.approx(0.05), None, pytest.approx(0.04)]
    assert found.expected.per_contract == pytest.approx((2 * 0.05 + 0.04) / 3)
    assert (found.expected.fills, found.expected.missing) == (2, 1)


def test_markouts_say_where_they_are_from():
    found = three_fills()
    first, strange, last = found.lines
    assert first.markouts[5] is not None
    assert first.markouts[5].source == FAIR
    assert first.markouts[5].edge == pytest.approx(0.47 - 0.40)
    assert first.markouts[30] is not None
    assert first.markouts[30].source == DELTA
    # one point up since the fair of 10:10:04, density 0.352 over a width of 10 points
    assert first.markouts[30].edge == pytest.approx(0.47 + DENSITY_AT_HALF / 10 * 1.0 - 0.40)
    assert first.markouts[300] is not None
    assert (first.markouts[300].source, first.markouts[300].edge) == (FAIR, pytest.approx(0.52 - 0.40))
    assert strange.markouts == {5: None, 30: None, 300: None}, "a fair, but no index value near"
    assert last.markouts[5] is None
    assert last.markouts[300] is not None
    assert (last.markouts[300].source, last.markouts[300].edge) == (SETTLED, pytest.approx(0.70))


def test_means_are_weighted_by_contracts_and_count_what_is_missing():
    five, thirty, long = three_fills().markouts
    assert (five.every.per_contract, five.every.missing) == (pytest.approx(0.07), 2)
    assert (thirty.every.per_contract, thirty.every.missing) == (pytest.approx(0.07 + DENSITY_AT_HALF / 10), 2)
    assert long.every.per_contract == pytest.approx((2 * 0.12 + 0.70) / 3)
    assert long.every.dollars == pytest.approx(0.94)
    assert {source: mean.fills for source, mean in long.by_source.items()} == {FAIR: 1, SETTLED: 1}


def test_the_edge_at_settlement():
    found = three_fills()
    assert found.realised.per_contract == pytest.approx((2 * 0.60 + 0.70) / 3)
    assert (found.realised.fills, found.realised.missing) == (2, 1)
    assert found.worst == (), "nothing lost"


def test_the_worst_fills_by_what_is_known_last():
    lost = fill("A", M1, at(10, 10), count=2)
    fading = fill("B", M2, at(10, 20), price=5_000)
    fine = fill("C", M3, at(10, 30), price=1_000)
    scans = scans_of(manifest(at(10, 25), look(M2, 0.20)))
    records = records_of(
        ((lost, "wide", 0.45), (fading, "wide", 0.55), (fine, "wide", 0.15)), results={M1: Result("no", at(11, 2))}
    )
    worst = fill_sums(records, scans).worst
    assert [line.record.booked.fill.trade_id for line in worst] == ["tA", "tB"]
    assert worst[1].realised is None


def test_nothing_that_has_not_happened_yet_is_a_markout():
    records = records_of(((fill("A", M1, at(10, 10)), "wide", 0.45),), now=at(10, 10, 20))
    scans = scans_of(manifest(at(10, 10, 5), look(M1, 0.47)), manifest(at(10, 10, 30), look(M1, 0.99)))
    [line] = fill_sums(records, scans).lines
    assert line.markouts[5] is not None
    assert line.markouts[30] is None


def test_after_the_fixing_only_the_settlement_counts():
    records = records_of(((fill("A", M1, at(10, 57)), "wide", 0.45),))
    scans = scans_of(manifest(at(10, 56), look(M1, 0.47)))
    [line] = fill_sums(records, scans).lines
    assert line.markouts[300] is None, "11:02, and not settled yet"


def test_a_position_closed_before_the_fixing_has_no_edge_at_settlement():
    records = records_of(((fill("A", M1, at(10, 10)), "wide", 0.45),), results={M1: Result("flat", at(11, 2))})
    found = fill_sums(records, scans_of())
    assert found.realised.missing == 1
    assert found.realised.per_contract is None


@pytest.mark.parametrize(("level", "value"), [(1_000.0, 0.0), (20_000.0, 1.0)])
def test_a_delta_stays_a_probability(level, value):
    bought = fill("A", M1, at(10, 10), price=4_000)
    scans = scans_of(manifest(at(10, 9), look(M1, 0.47)))
    records = records_of(((bought, "wide", 0.45),), tapes={Index.SPX: tape((at(10, 10, 4), level))})
    markout = fill_sums(records, scans).lines[0].markouts[5]
    assert markout is not None
    assert markout.edge == pytest.approx(value - 0.40)


def test_the_delta_of_a_range_market_falls_above_it_and_rises_below():
    width = 10.0
    edges = (6_820.0, 6_844.99)
    expected = sum(
        sign * math.exp(-0.5 * ((edge - 6_815.0) / width) ** 2) / math.sqrt(2 * math.pi) / width
        for sign, edge in zip((1, -1), edges, strict=True)
    )
    scans = scans_of(manifest(at(10, 9), look(M1, 0.30, low="6820.00", high="6844.99")))
    assert scans.fairs[M1][0].delta == pytest.approx(expected)
    below = scans_of(manifest(at(10, 9), look(M1, 0.30, low=None, high="6810.00")))
    falls = below.fairs[M1][0].delta
    assert falls is not None
    assert falls < 0


def test_a_manifest_that_does_not_say_what_pays_gives_no_delta():
    scans = scans_of(manifest(at(10, 9), look(M1, 0.47, low=None)))
    records = records_of(
        ((fill("A", M1, at(10, 10)), "wide", 0.45),), tapes={Index.SPX: tape((at(10, 10, 4), 6_816.0))}
    )
    assert fill_sums(records, scans).lines[0].markouts[5] is None


def test_an_old_fair_or_an_old_index_value_is_no_base():
    bought = fill("A", M1, at(10, 40))
    old_fair = scans_of(manifest(at(10, 9), look(M1, 0.47)))
    fresh = {Index.SPX: tape((at(10, 40, 4), 6_816.0))}
    assert fill_sums(records_of(((bought, "wide", 0.45),), tapes=fresh), old_fair).lines[0].markouts[5] is None
    recent_fair = scans_of(manifest(at(10, 39), look(M1, 0.47)))
    assert fill_sums(records_of(((bought, "wide", 0.45),), tapes=fresh), recent_fair).lines[0].markouts[5] is not None
    stale = {Index.SPX: tape((Nanos(at(10, 39)), 6_816.0))}
    assert fill_sums(records_of(((bought, "wide", 0.45),), tapes=stale), recent_fair).lines[0].markouts[5] is None
