"""What the report draws, by hand: two sessions, three fills, four orders."""

import pytest

from kalshi_daemon.backtest.measures import MeasuredFill
from kalshi_daemon.backtest.report import report_page
from kalshi_daemon.backtest.report_charts import backtest_pictures
from kalshi_daemon.backtest.results import Law, OrderRow, SessionResult, WindowRow, figures
from kalshi_daemon.ground.units import MINUTE, Nanos
from kalshi_daemon.research.chart import Bars, Dots, Line

H15, H16 = "KXINXU-26NOV23H1500", "KXINXU-26NOV23H1600"


def fill(event, minute, sign, contracts, markout, half_spread=1.0):
    markouts = {} if markout is None else {30: markout}
    at = Nanos(minute * MINUTE)
    return MeasuredFill(at, event, f"{event}-T1", sign, 0.4, contracts, 0.0, 2.0, None, half_spread, markouts)


def order(ahead, filled):
    return OrderRow(f"{H15}-T1", Nanos(0), 60.0, 2.0, filled, ahead)


def result(name, edge, fills, orders=(), pnl=0.0):
    rows = (
        WindowRow(name, H15, 1, 1.0, edge, 0.0, 0.0, 0.0, 100, 25, 1.0),
        WindowRow(name, H16, 1, 1.0, 0.0, 0.0, 0.0, 0.0, 300, 75, 1.0),
    )
    return SessionResult(name, 1.0, rows, pnl, True, 1.0, 1, Law.EXACT, tuple(fills), tuple(orders))


SIDE = [
    result("1", 0.5, [fill(H15, 3, 1, 2.0, 4.0), fill(H16, 5, -1, 1.0, -2.0)], [order(5.0, 2.0), order(9.0, 0.0)], 3.0),
    result("2", -0.2, [fill(H15, 7, 1, 1.0, None)], [order(70.0, 1.0), order(2_000.0, 0.0)], -1.0),
]


def drawn(title, kind, sides=(SIDE,)):
    (picture,) = [one for one in backtest_pictures(sides) if one.chart.title == title]
    return [series for series in picture.chart.series if isinstance(series, kind)]


def test_equity_is_the_sum_of_what_the_fills_were_worth_and_what_was_settled():
    _zero, worth, settled = drawn("Equity", Line)
    assert [value for _, value in worth.points] == pytest.approx([0.0, 0.5, 0.3])
    assert [value for _, value in settled.points] == [0.0, 3.0, 2.0]


def test_markouts_are_means_a_contract_with_errors_by_window():
    (dots,) = drawn("Markouts", Dots)
    at_once, after_30s = dots.points
    assert at_once == (0.0, 1.0)
    assert after_30s == (2.0, pytest.approx((2 * 4.0 - 2.0) / 3))
    # two windows: 8 - 2 x 2 and -2 - 1 x 2 from the mean of 2 a contract
    assert dots.errors[1] == pytest.approx(((4.0**2 + 4.0**2) * 2) ** 0.5 / 3)


def test_inventory_steps_at_each_fill():
    _zero, first, second, third = drawn("Inventory", Line)
    assert first.points == ((0.0, 0.0), (0.0, 2.0))
    assert second.points == ((2.0, 0.0), (2.0, -1.0))
    assert third.points == ((0.0, 0.0), (0.0, 1.0))


def test_quoting_share_is_by_the_time_a_window_settles():
    (bars,) = drawn("Quoting share", Bars)
    assert [height for *_, height in bars.bars] == [25.0, 25.0]
    ours, base = drawn("Quoting share", Bars, (SIDE, SIDE))
    assert [bar[0] for bar in base.bars] == pytest.approx([bar[1] for bar in ours.bars])


def test_the_fill_model_is_by_what_stood_ahead():
    (bars,) = drawn("Fill model", Bars)
    assert [(int(left), height) for left, _, height in bars.bars] == [(0, 50.0), (2, 50.0), (6, 0.0)]


def test_nothing_to_draw_draws_nothing():
    assert backtest_pictures([[]]) == ()


def test_the_page_has_figures_of_both_sides_and_every_picture():
    data = {**figures(SIDE), "notes": ["a note <1>"], "tables": {}, "base": figures(SIDE[:1]), "t": None}
    page = report_page(data, (SIDE, SIDE[:1]))
    assert page.count("<svg") == 5
    assert "a note &lt;1&gt;" in page
    assert "<td>edge_dollars_per_hour</td><td>0.15</td><td>0.5</td>" in page
    assert "<td>t</td><td>-</td>" in page
