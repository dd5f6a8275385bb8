"""Charts drawn: the figure holds every series with its points, text stays inside and apart, equal charts are equal."""

import subprocess
import sys
from itertools import pairwise
from math import inf, nan
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from kalshi_daemon.cli.main import main
from kalshi_daemon.ground.errors import ExitCode
from kalshi_daemon.research.chart import Axis, Chart, Colour
from kalshi_daemon.research.drawing import figure_of, svg_of

SVG = "{http://www.w3.org/2000/svg}"
MARKS = ((1.0, "ten"), (9.0, "eleven"), (40.0, "outside"))


def chart(width: float = 560.0, height: float = 320.0) -> Chart:
    return Chart("A < B, $1 & $2", Axis(0.0, 10.0, "x & more", ticks=MARKS), Axis(0.0, 2.0, "y"), width, height)


def test_every_series_is_in_the_figure_with_its_points():
    one = chart()
    one.band([(0.0, 0.5, 1.0), (1.0, nan, 1.0), (2.0, 0.5, 1.5)], Colour.BLUE, 0.2, "99 %")
    one.bars([(0.0, 1.0, 1.0), (1.0, 2.0, nan)], Colour.BLUE)
    one.line([(0.0, 0.0), (5.0, 1.0), (6.0, nan), (9.0, 2.0)], Colour.GREEN, "index")
    one.dots([(1.0, 1.0), (2.0, inf), (3.0, 1.0)], Colour.ORANGE, "fixing", errors=[0.5, 0.5, 0.0])
    one.level(1.0)
    (axes,) = figure_of(one).axes
    line, dots, level = axes.get_lines()
    assert [np.shape(each.get_xydata()) for each in (line, dots, level)] == [(4, 2), (3, 2), (2, 2)]
    assert (line.get_color(), dots.get_color()) == (Colour.GREEN, Colour.ORANGE)
    assert (dots.get_marker(), dots.get_linestyle()) == ("o", "None")
    assert level.is_dashed()
    assert not line.is_dashed()
    band, bars = axes.collections[0], axes.patches
    assert (band.get_paths()[0].get_extents().ymin, band.get_paths()[0].get_extents().ymax) == (0.5, 1.5)
    assert [tuple(bar.get_bbox().extents) for bar in bars if isinstance(bar, Rectangle)] == [(0.0, 0.0, 1.0, 1.0)]
    (errors,) = [each for each in axes.collections if isinstance(each, LineCollection)]
    assert errors.get_segments()[0].tolist() == [[1.0, 0.5], [1.0, 1.5]]
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["99 %", "index", "fixing"]


def test_axes_have_their_range_words_and_scale():
    one = Chart("a", Axis(1.0, 100.0, "minutes to fixing", logarithmic=True, ticks=((10.0, "10"),)), chart().y)
    (axes,) = figure_of(one).axes
    assert (axes.get_xlim(), axes.get_ylim()) == ((1.0, 100.0), (0.0, 2.0))
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("minutes to fixing", "y")
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "linear")
    assert [text.get_text() for text in axes.get_xticklabels()] == ["10"]


def test_text_is_text_and_the_picture_has_a_name():
    root = ET.fromstring(svg_of(chart()))
    assert root.findtext(f"{SVG}title") == "A < B, $1 & $2"
    words = [text.text for text in root.iter(f"{SVG}text")]
    assert {"A < B, $1 & $2", "x & more", "ten", "eleven"} <= set(words)
    assert "outside" not in words
    assert (root.get("width"), root.get("height"), root.get("role")) == ("420pt", "240pt", "img")


def test_equal_charts_are_equal_bytes_whatever_the_machine_prefers(tmp_path, monkeypatch):
    (tmp_path / "matplotlibrc").write_text("lines.linewidth: 9\nsvg.fonttype: path\n")
    monkeypatch.chdir(tmp_path)
    one = chart()
    one.line([(0.0, 0.0), (5.0, 1.0)], Colour.GREEN, "index")
    code = (
        "import sys; from kalshi_daemon.research.chart import *; from kalshi_daemon.research.drawing import svg_of\n"
        f"one = Chart({one.title!r}, {one.x!r}, {one.y!r})\n"
        "one.line([(0.0, 0.0), (5.0, 1.0)], Colour.GREEN, 'index')\n"
        "sys.stdout.write(svg_of(one))"
    )
    elsewhere = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert elsewhere.stdout == svg_of(one)
    assert not any(word in elsewhere.stdout for word in ("metadata", "atplotlib", "<?xml", "<!DOCTYPE"))


def test_charts_of_one_page_have_no_name_in_common():
    first, second = chart(), chart()
    second.title = "another"
    names = [
        [each.get("id") for each in ET.fromstring(svg_of(one)).iter() if each.get("id")] for one in (first, second)
    ]
    assert all(names)
    assert len({*names[0], *names[1]}) == len(names[0]) + len(names[1])


@pytest.mark.parametrize("width", [376.0, 560.0])
def test_title_legend_and_frame_stand_apart_and_inside(width):
    one = chart(width=width)
    for number in range(8):
        one.line([(0.0, 1.0), (1.0, 1.0)], Colour.BLUE, f"series number {number}")
    figure = figure_of(one)
    figure.draw_without_rendering()
    (axes,) = figure.axes
    legend = axes.get_legend()
    assert legend is not None
    texts = [text.get_window_extent() for text in legend.get_texts()]
    assert len(texts) == 8, "every series is named"
    assert all(box.x0 >= 0.0 and box.x1 <= figure.bbox.width for box in texts)
    assert not any(left.overlaps(right) for n, left in enumerate(texts) for right in texts[n + 1 :])
    (title,) = axes.findobj(lambda part: isinstance(part, Text) and part.get_text() == one.title)
    stacked = (axes.get_window_extent(), legend.get_window_extent(), title.get_window_extent())
    assert all(below.y1 <= above.y0 for below, above in pairwise(stacked))
    assert stacked[-1].y1 <= figure.bbox.height


def test_without_the_library_one_line_says_what_to_install(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delitem(sys.modules, "kalshi_daemon.research.drawing")
    span = ["--index", "SPX", "--from", "2024-05-20", "--to", "2024-05-31"]
    argv = ["calibration-report", "--data", str(tmp_path), *span, "--out", str(tmp_path / "page.html")]
    assert main(argv) == ExitCode.CONFIG
    said = capsys.readouterr().err
    assert "matplotlib is not installed (sh scripts/setup report, or --skip-plots for numbers alone)" in said
    assert said.count("\n") == 1
    assert not (tmp_path / "page.html").exists(), "said before the work"


def test_numbers_alone_need_no_library(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delitem(sys.modules, "kalshi_daemon.research.drawing")
    argv = ["calibration-report", "--live", "--mode", "live", "--state-dir", str(tmp_path), "--skip-plots"]
    assert main(argv) == ExitCode.REFUSED
    assert "no forecast of SPX and NDX has come due" in capsys.readouterr().err
    assert main(argv[:-1]) == ExitCode.CONFIG
