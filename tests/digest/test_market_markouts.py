"""Fills against the others' prices: which trade is which, parts that add up, and errors by window, worked by hand."""

import math
from dataclasses import asdict, replace

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshi_daemon.artifacts.files import encode
from kalshi_daemon.artifacts.markout_lines import markout_line, read_markout
from kalshi_daemon.artifacts.paths import ArtifactPaths
from kalshi_daemon.digest.fills import fill_sums
from kalshi_daemon.digest.markouts import market_edges, market_means, markouts_of
from kalshi_daemon.digest.means import mean_of, ratio_error
from kalshi_daemon.digest.reading import read_markouts
from kalshi_daemon.digest.records import FillRecord
from kalshi_daemon.domain.markout import Markout
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.errors import MalformedData, StateCorrupt
from kalshi_daemon.ground.units import Nanos, Price, lots
from tests.digest.digest_rig import M1, M2, M3, MONDAY, at, fill, manifest, records_of, scans_of

prices = st.integers(100, 9_900).map(Price)


def seen(name: str, market: str = M1, *, when: Nanos | None = None, filled: int = 1, count: int = 1, **more) -> Markout:
    known = {"mid_at_fill": Price(4_100), "microprice_at_fill": Price(4_150)}
    later = {"mids": (Price(4_200), Price(4_050), None), "microprices": (Price(4_250), Price(4_000), None)}
    return Markout(
        f"kd-{name}", market, Side.BID, Price(4_000), lots(count), lots(filled), at(10, 10) if when is None else when,
        **(known | later | more),
    )  # fmt: skip


def record(name: str, market: str = M1, *, when: Nanos | None = None, order: str = "", **more) -> FillRecord:
    booked = fill(name, market, at(10, 10) if when is None else when, **more)
    return FillRecord(booked, "wide", 0.45, f"kd-{order or name}")


def test_half_spread_and_adverse_part_by_hand():
    edges = market_edges(record("A"), seen("A"), at(11))
    assert edges[5] is not None
    assert edges[30] is not None
    assert asdict(edges[5]) == pytest.approx({"mid": 0.02, "microprice": 0.025, "half_spread": 0.01, "adverse": 0.01})
    assert [edges[30].half_spread, edges[30].adverse] == pytest.approx([0.01, -0.005])
    assert edges[300] is None
    sold = market_edges(record("A", side=Side.ASK), seen("A"), None)[5]
    assert sold is not None
    assert [sold.mid, sold.half_spread, sold.adverse] == pytest.approx([-0.02, -0.01, -0.01])


@given(side=st.sampled_from(Side), price=prices, before=prices, mids=st.tuples(prices, prices, prices))
def test_the_parts_of_every_fill_add_up(side, price, before, mids):
    one = seen("A", mid_at_fill=before, mids=mids, microprices=mids)
    for edge in market_edges(record("A", side=side, price=price), one, None).values():
        assert edge is not None
        assert edge.half_spread + edge.adverse == pytest.approx(edge.mid, abs=1e-12)


@given(data=st.lists(st.tuples(st.sampled_from((M1, M2, M3)), st.integers(1, 9), prices, st.none() | prices, prices)))
def test_the_parts_of_the_means_add_up_over_the_same_fills(data):
    lines = []
    for market, count, price, before, later in data:
        one = seen("A", mid_at_fill=before, mids=(later, None, later), microprices=(later, None, later))
        made = record("A", market, price=price, count=count)
        lines.append((made, market_edges(made, one, None)))
    for means in market_means(lines):
        assert means.mid.fills == means.half_spread.fills == means.adverse.fills == means.microprice.fills
        assert means.half_spread.dollars + means.adverse.dollars == pytest.approx(means.mid.dollars, abs=1e-9)


def test_after_the_fixing_the_market_says_nothing():
    one = seen("A", when=at(10, 59, 40), mids=(Price(4_200),) * 3, microprices=(Price(4_200),) * 3)
    edges = market_edges(record("A", when=at(10, 59, 40)), one, at(11))
    assert edges[5] is not None
    assert (edges[30], edges[300]) == (None, None)


def test_a_trade_is_the_growth_of_its_order_that_holds_it():
    """Two trades that were seen as one growth, then one alone; another order; one of nobody's."""
    fills = [
        record("1", order="A", when=at(10, 10, 0), count=1),
        record("2", order="A", when=at(10, 10, 0.2), count=2),
        record("3", order="A", when=at(10, 12), count=1),
        record("4", order="B", when=at(10, 12), count=1),
        replace(record("5", when=at(10, 12)), client_order_id=""),
    ]
    both, later = seen("A", when=at(10, 10, 0.3), filled=3, count=3), seen("A", when=at(10, 12), filled=4)
    found = markouts_of(fills, [both, later, seen("C", when=at(10, 12))])
    assert found == {"t1": both, "t2": both, "t3": later}


def test_a_fill_that_was_heard_of_late_has_no_markouts():
    """After a restart, or a gap of the stream: the clock of its markouts began at another moment."""
    assert markouts_of([record("A")], [seen("A", when=at(10, 10, 6))]) == {}
    assert markouts_of([record("A")], [seen("A", when=at(10, 10, 4))]) != {}


def test_errors_are_those_of_windows():
    """Four fills in two windows are two observations: means -1 and 1, weights 2 and 2."""
    two = [(1.0, -1.0), (1.0, -1.0)], [(1.0, 1.0), (1.0, 1.0)]
    clusters = [[sum(count for count, _ in one), sum(value for _, value in one)] for one in two]
    assert ratio_error(clusters) == pytest.approx(math.sqrt((4 + 4) * 2 / 1) / 4)
    assert ratio_error(clusters[:1]) is None
    mean = mean_of([(record("A"), -1.0), (record("B"), -1.0), (record("C", M1.replace("H1100", "H1200")), 1.0)])
    assert (mean.windows, mean.fills, mean.missing) == (2, 3, 0)
    assert mean.per_contract == pytest.approx(-1 / 3)
    assert mean.error == pytest.approx(math.sqrt(((-2 + 2 / 3) ** 2 + (1 + 1 / 3) ** 2) * 2) / 3)
    assert mean_of([(record("A"), None)]).per_contract is None


def test_a_day_has_both_in_separate_columns():
    bought = record("A")
    records = replace(records_of(((bought.booked, "wide", 0.45),)), markouts=[seen("A")])
    records = replace(records, journal=replace(records.journal, fills=(bought,)))
    sums = fill_sums(records, scans_of(manifest(at(10, 9))))
    five, thirty, long = sums.market
    assert [five.mid.per_contract, thirty.mid.per_contract] == pytest.approx([0.02, 0.005])
    assert (long.mid.per_contract, long.mid.missing) == (None, 1)
    assert sums.markouts[0].every.missing == 1, "no scan of ours was near"


# --- the lines of the file --------------------------------------------------------------------------------------------


def test_a_line_is_read_as_it_was_written(tmp_path):
    for one in (seen("A"), seen("B", mid_at_fill=None, microprice_at_fill=None, mids=(None,) * 3)):
        assert read_markout(markout_line(one, "r1"), tmp_path) == one


@pytest.mark.parametrize(
    "harm", [{"side": "buy"}, {"mids": [None]}, {"price": "0.41x"}, {"at": "noon"}, {"count": 1}, {"schema": 2}]
)
def test_a_line_that_says_nothing_is_refused(tmp_path, harm):
    line = orjson.loads(markout_line(seen("A"), "r1")) | harm
    with pytest.raises((StateCorrupt, MalformedData)):
        read_markout(encode(line, indent=False), tmp_path)


def test_the_last_line_of_a_fill_stands_and_what_cannot_be_read_is_said(tmp_path):
    paths, notes = ArtifactPaths(tmp_path), list[str]()
    assert read_markouts(paths, MONDAY, notes, lambda: None) == ()
    assert notes == [], "a day without fills has none"
    early = replace(seen("A"), mids=(None,) * 3)
    path = paths.markouts(MONDAY.isoformat())
    path.parent.mkdir(parents=True)
    lines = [markout_line(early, "r1"), b"torn\n", markout_line(seen("A"), "r1"), markout_line(seen("B"), "r1")[:40]]
    path.write_bytes(b"".join(lines))
    assert read_markouts(paths, MONDAY, notes, lambda: None) == (seen("A"),)
    assert len(notes) == 1
    assert notes[0].startswith(f"{path}: 2 lines cannot be read; first: ")
    path.unlink()
    path.mkdir()
    assert read_markouts(paths, MONDAY, notes, lambda: None) == ()
    assert notes[1] == f"left out: {path}: Is a directory"
