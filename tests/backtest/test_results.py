"""The figures of a run, by hand."""

import pytest

from kalshi_daemon.backtest.measures import MeasuredFill, MeasuredWindow
from kalshi_daemon.backtest.results import SessionResult, WindowRow, figures, paired, rows_of
from kalshi_daemon.ground.units import Nanos

H15, H16, CLOSE = "KXINXU-26NOV23H1500", "KXINXU-26NOV23H1600", "KXINX-26NOV23H1600"


def fill(event=H15, contracts=2.0, edge=1.5, believed=3.0, markouts=None):
    return MeasuredFill(Nanos(0), event, f"{event}-T1", 1, 0.4, contracts, 0.0, edge, believed, 1.0, markouts or {})


def row(event=H15, edge=0.0, contracts=1.0, session="usual-1"):
    return WindowRow(session, event, 1, contracts, edge, 0.0, 0.0, 0.0, 100, 50, 10.0)


def result(*rows, hours=1.0, pnl=0.0):
    return SessionResult("usual-1", hours, rows, pnl, books_equal=True, cpu_s=2.0, events=10)


def test_a_window_sums_its_fills_by_contracts():
    window = MeasuredWindow(H15, 3_000, 1_500, 12.5)
    fills = [fill(markouts={30: 2.0}), fill(contracts=1.0, edge=-6.0, believed=None), fill(event=H16)]
    (found,) = rows_of("usual-1", [window], fills)
    assert (found.fills, found.contracts) == (2, 3.0)
    assert found.edge_dollars == pytest.approx((2 * 1.5 - 6.0) / 100)
    assert found.believed_dollars == pytest.approx(0.06)
    assert found.believed_contracts == 2.0
    assert found.markout_30s_dollars == pytest.approx(0.04)
    assert found.markout_contracts == 2.0


def test_what_nobody_believed_is_no_belief_of_zero():
    fills = [fill(), fill(contracts=1.0, believed=None)]
    rows = rows_of("usual-1", [MeasuredWindow(H15, 3_000, 1_500, 12.5)], fills)
    assert figures([result(*rows)])["believed_cents"] == pytest.approx(3.0)


def test_figures_are_an_hour_s_and_a_contract_s():
    found = figures([result(row(edge=0.30, contracts=4.0), row(H16, edge=-0.10), row(CLOSE, edge=-0.10), hours=2.0)])
    assert found["edge_dollars_per_hour"] == pytest.approx(0.05)
    assert found["edge_cents"] == pytest.approx(100 * 0.10 / 6, abs=1e-4)
    assert found["worst_hour"] == pytest.approx(-0.20), "hourly and close at one instant are one hour"
    assert found["quoting_share"] == pytest.approx(0.5)
    assert found["sd_per_hour"] == pytest.approx(0.3536, abs=1e-4)


def test_nothing_filled_has_no_edge_and_is_not_zero():
    found = figures([result()])
    assert found["edge_cents"] is None
    assert found["believed_cents"] is None
    assert found["quoting_share"] is None
    assert found["edge_dollars_per_hour"] == 0.0


def test_one_window_with_fills_has_no_error_and_windows_without_say_nothing_of_it():
    quiet = row(H16, contracts=0.0)
    assert figures([result(row(edge=0.30), quiet)])["edge_cents_se"] is None
    two = figures([result(row(edge=0.30), row(H16, edge=0.10), hours=2.0)])["edge_cents_se"]
    assert two == pytest.approx(10.0), "two windows of one contract each, 10 cents about their mean"
    assert figures([result(row(edge=0.30), row(H16, edge=0.10), quiet)])["edge_cents_se"] == two


def test_two_runs_are_compared_window_by_window():
    ours = [result(row(edge=0.30), row(H16, edge=0.20))]
    theirs = [result(row(edge=0.10), row(H16, edge=0.10))]
    found = paired(ours, theirs)
    assert found == {"ratio": 2.5, "difference": pytest.approx(0.30), "t": pytest.approx(3.0, abs=1e-3)}
    assert paired(ours, ours)["t"] is None, "no difference at all has no error either"
