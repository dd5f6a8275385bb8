"""Pairs and Holm by hand; variants in their order; what is shown of them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshi_daemon.backtest.sweep.comparison import Comparison, adjusted, compare, compare_all
from kalshi_daemon.backtest.sweep.grid import AS_SET, Cell, check_size, variants
from kalshi_daemon.backtest.sweep.report import chart_of, document, tables
from kalshi_daemon.ground.errors import ConfigurationError
from tests.sweep.tiny import jobs, result


def runs(*edges: float):
    return [result(f"s-{place}", edge) for place, edge in enumerate(edges)]


def test_a_comparison_is_paired_by_session():
    """Differences 1, 2, 3 an hour each: mean 2, sd 1, so t = 2 sqrt 3; Student with two degrees of freedom."""
    base = runs(10.0, -5.0, 0.0)
    found = compare("r", ("v", "b"), [*runs(11.0, -3.0, 3.0), result("alone", 99.0)], base)
    assert found.sessions == 3
    assert found.difference == pytest.approx(2.0)
    assert found.error == pytest.approx(1 / math.sqrt(3))
    assert found.t == pytest.approx(2 * math.sqrt(3))
    assert found.p == pytest.approx(0.0742, abs=1e-4)
    assert found.low == pytest.approx(2.0 - 4.302653 / math.sqrt(3), abs=1e-4)


@pytest.mark.parametrize("ours", [(1.0,), (1.0, 2.0)])
def test_what_says_nothing_has_no_p(ours):
    found = compare("r", ("v", "b"), runs(*ours), runs(*(edge - 1.0 for edge in ours)))
    assert (found.p, found.t, found.error) == (None, None, None)
    assert found.difference == pytest.approx(1.0)


def test_holm_by_hand():
    """p .01, .04, .03, none: times 3, 1 and 2, and never less than the one before."""
    given_p = (0.01, 0.04, 0.03, None)
    found = adjusted([Comparison("r", "v", "b", 9, 0.0, 1.0, 1.0, p) for p in given_p])
    assert [one.p_adjusted for one in found] == [pytest.approx(0.03), pytest.approx(0.06), pytest.approx(0.06), None]


@given(st.lists(st.floats(0.0, 1.0), max_size=12))
def test_adjusted_p_values_keep_their_order_and_are_no_smaller(values):
    found = adjusted([Comparison("r", "v", "b", 9, 0.0, 1.0, 1.0, p) for p in values])
    pairs = sorted((one.p, one.p_adjusted) for one in found if one.p is not None and one.p_adjusted is not None)
    assert all(p <= raised <= 1.0 for p, raised in pairs)
    assert [raised for _, raised in pairs] == sorted(raised for _, raised in pairs)


def test_each_regime_has_its_own_base_and_all_comparisons_are_one_family():
    cells = {
        ("calm", "x=1"): runs(0.0, 0.0, 0.0),
        ("calm", "x=2"): runs(1.0, 2.0, 3.0),
        ("wild", "x=1"): runs(0.0, 0.0, 0.0),
        ("wild", "x=2"): runs(-1.0, -2.0, -3.0),
    }
    calm, wild = compare_all(cells)
    assert (calm.regime, calm.variant, calm.base, wild.regime) == ("calm", "x=2", "x=1", "wild")
    assert calm.p_adjusted == pytest.approx(2 * 0.0742, abs=1e-3)
    assert wild.difference == pytest.approx(-2.0)
    shown = tables(cells, [calm, wild], "how")
    assert [table.title for table in shown] == ["Sweep", "Differences"]
    assert len(shown[0].rows) == 4
    chart = chart_of([calm, wild])
    assert [label for _, label in chart.x.ticks] == ["calm: x=2", "wild: x=2"]


def test_variants_are_every_combination_and_the_first_is_the_base():
    found = variants({"a.b": [1, 2], "c.d": ["x"]})
    assert [one.name for one in found] == ["a.b=1 c.d=x", "a.b=2 c.d=x"]
    assert found[1].changes == (("a.b", 2), ("c.d", "x"))
    assert [one.name for one in variants({})] == [AS_SET]
    for wrong in ([], [1, 1]):
        with pytest.raises(ConfigurationError, match="twice"):
            variants({"a.b": wrong})


def test_a_sweep_nobody_waits_for_is_refused(monkeypatch):
    monkeypatch.setattr("kalshi_daemon.backtest.sweep.grid.JOBS_MAX", 3)
    assert check_size([Cell("r", "v", tuple(jobs(3)))]) == 3
    with pytest.raises(ConfigurationError, match="is 4 sessions"):
        check_size([Cell("r", "v", tuple(jobs(4)))])


def test_the_document_names_method_and_cells():
    class Done:
        total, played, workers, dashboard = 3, {"a": "b"}, 2, ""

    cells = {("calm", "x=1"): runs(0.5)}
    found = document(cells, [], Done(), "how")
    assert (found["sessions"], found["played"], found["kept_from_before"], found["method"]) == (3, 1, 2, "how")
    assert found["cells"][0]["regime"] == "calm"
    assert found["cells"][0]["edge_dollars_per_hour"] == 0.5
