"""The chart writer: valid XML, round marks, everything inside the frame, nothing invented for what is not a number."""

from itertools import pairwise
from math import inf, nan
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_daemon.research.svg import BOTTOM, LEFT, RIGHT, TOP, Axis, Chart, padded, round_marks

SVG = "{http://www.w3.org/2000/svg}"


def chart(width: float = 560.0, height: float = 320.0) -> Chart:
    return Chart("A < B", Axis(0.0, 10.0, "x & more"), Axis(0.0, 2.0, "y"), width, height)


def parsed(one: Chart) -> ET.Element:
    return ET.fromstring(one.text())


@given(st.floats(-1e5, 1e5), st.floats(1e-3, 1e6))
@settings(max_examples=200, deadline=None)
def test_marks_are_few_round_and_inside(low, length):
    marks = round_marks(low, low + length)
    assert 2 <= len(marks) <= 8
    for value, text in marks:
        assert low - 1e-6 * length <= value <= low + length * (1 + 1e-6)
        assert float(text) == pytest.approx(value, abs=length / 1e3)
    assert len({text for _, text in marks}) == len(marks)


def test_marks_of_worked_cases():
    assert [text for _, text in round_marks(0.0, 1.0)] == ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]
    assert [text for _, text in round_marks(0.973, 1.008)] == ["0.98", "0.99", "1.00"]
    assert [text for _, text in round_marks(-0.03, 0.03)] == ["-0.03", "-0.02", "-0.01", "0.00", "0.01", "0.02", "0.03"]


def test_text_is_escaped_and_the_picture_has_a_name():
    root = parsed(chart())
    assert root.findtext(f"{SVG}title") == "A < B"
    assert "x & more" in [one.text for one in root.iter(f"{SVG}text")]


def test_a_line_runs_through_its_points_in_pixels_and_breaks_at_what_is_no_number():
    one = chart(width=100.0 + LEFT + RIGHT, height=200.0 + TOP + BOTTOM)
    one.line([(0.0, 0.0), (5.0, 1.0), (6.0, nan), (9.0, 2.0), (10.0, 0.0)], "c1")
    lines = [line.get("points") for line in parsed(one).iter(f"{SVG}polyline")]
    assert lines == [
        f"{LEFT:.1f},{TOP + 200:.1f} {LEFT + 50:.1f},{TOP + 100:.1f}",
        f"{LEFT + 90:.1f},{TOP:.1f} {LEFT + 100:.1f},{TOP + 200:.1f}",
    ]


def test_bars_points_and_areas_leave_out_what_is_no_number():
    one = chart()
    one.bars([(0.0, 1.0, 1.0), (1.0, 2.0, nan)], "c1")
    one.points([(1.0, 1.0), (2.0, inf)], "c2", errors=[0.5, 0.5])
    one.area([(0.0, 0.5, 1.0), (1.0, nan, 1.0), (2.0, 0.5, 1.5)], "band")
    root = parsed(one)
    assert len([rect for rect in root.iter(f"{SVG}rect") if "fill" in (rect.get("class") or "")]) == 1
    assert len(list(root.iter(f"{SVG}circle"))) == 1
    (area,) = root.iter(f"{SVG}polygon")
    assert len((area.get("points") or "").split()) == 4


def test_what_leaves_the_frame_is_clipped():
    one = chart()
    one.line([(0.0, -50.0), (10.0, 50.0)], "c1")
    root = parsed(one)
    (group,) = root.iter(f"{SVG}g")
    name = (group.get("clip-path") or "").removeprefix("url(#").removesuffix(")")
    assert name in [clip.get("id") for clip in root.iter(f"{SVG}clipPath")]
    assert [child.tag for child in group] == [f"{SVG}polyline"]


def test_a_legend_never_runs_over_itself_or_out_of_the_picture():
    one = chart(width=300.0)
    for number in range(8):
        one.line([(0.0, 1.0), (1.0, 1.0)], "c1", f"series number {number}")
    labels = [text for text in parsed(one).iter(f"{SVG}text") if (text.text or "").startswith("series")]
    places = [float(text.get("x") or 0) for text in labels]
    assert 0 < len(labels) < 8
    assert all(right - left > 6.0 * len("series number 0") for left, right in pairwise(places))
    assert places[-1] + 6.0 * len("series number 0") < 300.0


@pytest.mark.parametrize(
    ("low", "high", "log"), [(1.0, 1.0, False), (2.0, 1.0, False), (nan, 1.0, False), (0.0, 1.0, True)]
)
def test_an_axis_needs_a_length(low, high, log):
    with pytest.raises(ValueError, match="axis"):
        Axis(low, high, "x", logarithmic=log)


def test_a_logarithmic_axis_spaces_by_ratio():
    axis = Axis(1.0, 100.0, "x", logarithmic=True)
    assert axis.share(10.0) == pytest.approx(0.5)
    assert axis.share(0.0) < -1.0


def test_a_range_of_nothing_or_of_one_value_is_a_range():
    assert padded([]) == (0.0, 1.0)
    low, high = padded([3.0, nan])
    assert low < 3.0 < high
