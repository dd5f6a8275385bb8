"""A chart as data: what it is given is what it holds, and what has no place is refused."""

from math import inf, nan

import pytest

from kalshi_daemon.research.chart import Axis, Band, Bars, Chart, Colour, Dots, Line, padded


def test_a_chart_holds_what_it_was_given_in_order():
    chart = Chart("a", Axis(0.0, 10.0, "x"), Axis(0.0, 2.0, "y"))
    chart.band([(0.0, 0.5, 1.0)], Colour.BLUE, 0.2, "99 %")
    chart.bars([(0.0, 1.0, 1.0)], Colour.BLUE)
    chart.line([(0.0, 0.0), (5.0, nan)], Colour.GREEN, "index")
    chart.level(1.0)
    chart.dots([(1.0, 1.0)], Colour.ORANGE, "fixing", [0.5])
    band, bars, line, level, dots = chart.series
    assert band == Band(((0.0, 0.5, 1.0),), Colour.BLUE, 0.2, "99 %", 0.2)
    assert bars == Bars(((0.0, 1.0, 1.0),), Colour.BLUE)
    assert isinstance(line, Line)
    assert len(line.points) == 2
    assert level == Line(((0.0, 1.0), (10.0, 1.0)), Colour.GREY, dashed=True)
    assert dots == Dots(((1.0, 1.0),), Colour.ORANGE, "fixing", (0.5,))


def test_every_point_has_its_error_or_none_has():
    chart = Chart("a", Axis(0.0, 10.0, "x"), Axis(0.0, 2.0, "y"))
    with pytest.raises(ValueError, match="2 points with 1 errors"):
        chart.dots([(1.0, 1.0), (2.0, 1.0)], Colour.BLUE, errors=[0.5])


@pytest.mark.parametrize(
    ("low", "high", "log"),
    [(1.0, 1.0, False), (2.0, 1.0, False), (nan, 1.0, False), (0.0, inf, False), (0.0, 1.0, True)],
)
def test_an_axis_needs_a_length(low, high, log):
    with pytest.raises(ValueError, match="axis"):
        Axis(low, high, "x", logarithmic=log)


def test_a_range_of_nothing_or_of_one_value_is_a_range():
    assert padded([]) == (0.0, 1.0)
    low, high = padded([3.0, nan])
    assert low < 3.0 < high
