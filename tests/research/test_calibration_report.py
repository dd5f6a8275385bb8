"""The report's figures against the records they come from, and the page and command around them."""

import json
from contextlib import redirect_stdout
from dataclasses import replace
from datetime import date
from html.parser import HTMLParser
from io import StringIO

import numpy as np
import pytest

from kalshi_daemon.bars.sessions import read_sample
from kalshi_daemon.calibration.constants_file import SHIPPED, document_of
from kalshi_daemon.cli.main import main
from kalshi_daemon.domain.index import Index
from kalshi_daemon.ground.errors import ConfigurationError, ExitCode
from kalshi_daemon.research import drawing
from kalshi_daemon.research import score as harness
from kalshi_daemon.research.chart import Bars, Dots, Line
from kalshi_daemon.research.drawing import svg_of
from kalshi_daemon.research.fan_days import FAN_PROBABILITIES
from kalshi_daemon.research.report_charts import LOG_GAIN, by_horizon_pictures, pictures, pit_picture
from kalshi_daemon.research.report_figures import PIT_BINS, figures_of
from kalshi_daemon.research.report_page import cells_of, page_of
from tests.research.synthetic import write_days

pytestmark = pytest.mark.usefixtures("undrawn")

FIRST, LAST = date(2024, 4, 15), date(2024, 5, 31)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("bars")
    write_days(path / "ES_x.parquet", date(2024, 1, 2), LAST, seed=4, seconds=300)
    return path


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    """Bars enough for the commands below: the 60 days that the flat baseline needs, and the span."""
    path = tmp_path_factory.mktemp("short")
    write_days(path / "ES_x.parquet", date(2024, 2, 16), LAST, seed=4, seconds=300)
    return path


@pytest.fixture(scope="module")
def sample(folder):
    return read_sample(folder, Index.SPX)


@pytest.fixture(scope="module")
def figures(sample):
    return figures_of(sample, FIRST, LAST, fan_day=date(2024, 5, 30))


def test_the_scores_are_those_of_the_score_command(sample, figures):
    assert figures.rows == harness.score(sample, FIRST, LAST).rows
    assert (figures.first, figures.last, figures.days) == ("2024-04-15", "2024-05-31", 34)


def test_pit_counts_are_of_every_forecast(figures):
    n = {(row.target, row.horizon_min): row.n for row in figures.rows}
    for horizon, counts in figures.pits.items():
        assert len(counts) == PIT_BINS
        assert sum(counts) == n["hour", horizon]


def test_moves_come_as_large_as_they_are_forecast_where_volatility_is_constant(figures):
    for one in figures.spreads:
        assert abs(one.forecast_bp - one.realised_bp) < 4.0 * one.realised_se_bp + 0.03 * one.realised_bp
    by = {(one.target, one.horizon_min): one.realised_bp for one in figures.spreads}
    assert by["hour", 55] == pytest.approx(100.0 * np.sqrt(55 / 390), rel=0.25), "1 % a session"


def test_strikes_settle_as_often_as_they_were_given(figures):
    for one in figures.reliability:
        assert abs(one.came - one.said) < 4.5 * one.came_se + 0.01
        assert one.n > 100


def test_months_add_up_to_all_hourly_forecasts(figures):
    assert [one.month for one in figures.months] == ["2024-04", "2024-05"]
    assert sum(one.n for one in figures.months) == sum(row.n for row in figures.rows if row.target == "hour")
    for one in figures.months:
        assert abs(one.crps_ratio - 1.0) < 0.05
        assert one.crps_ratio_se > 0.0


def test_a_flat_market_has_a_flat_realised_curve(figures):
    values = [value for _, value in figures.realised_curve]
    assert np.mean(values) == pytest.approx(1.0)
    assert max(values) < 1.8
    assert len(values) == 78


def test_fans_are_made_at_their_start_and_hold_the_path_as_often_as_they_say(figures):
    fan = figures.fan
    assert fan.day == "2024-05-30"
    assert [one.start_min for one in fan.fans] == [5.0, 30.0, 90.0, 150.0, 210.0, 270.0, 330.0]
    path = dict(fan.path)
    for one in fan.fans:
        start, levels = one.steps[0]
        assert levels == (path[start],) * len(FAN_PROBABILITIES)
        widths = [after[-1] - after[0] for _, after in one.steps]
        assert 0.0 == widths[0] < widths[1] < 0.8 * widths[-1], "wider the further ahead"
        assert one.steps[-1][0] - start in {25.0, 60.0}
        assert one.fixing == (one.steps[-1][0], path[one.steps[-1][0]])


def test_the_fan_of_a_day_that_is_not_scored_is_the_same(sample, figures):
    """Its model is warmed up apart, on the days the other one has seen by then."""
    assert figures_of(sample, LAST, LAST, fan_day=date(2024, 5, 30)).fan == figures.fan


def test_a_fan_needs_its_session(sample):
    with pytest.raises(ConfigurationError, match="no session"):
        figures_of(sample, date(2024, 5, 28), LAST, fan_day=date(2024, 5, 25))
    with pytest.raises(ConfigurationError, match="nothing to score"):
        figures_of(sample, date(2024, 1, 2), date(2024, 1, 31))


class Links(HTMLParser):
    """Every attribute that could load something, and the balance of tags."""

    def __init__(self):
        super().__init__()
        self.loading: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.loading += [f"{tag} {name}={value}" for name, value in attrs if name in {"src", "href", "data", "action"}]
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_stands_alone_and_is_well_formed(figures, monkeypatch):
    monkeypatch.setattr(drawing, "svg_of", svg_of)
    page = page_of(figures)
    links = Links()
    links.feed(page)
    assert links.open == []
    assert links.loading == []
    assert "<script" not in page
    assert "@import" not in page
    assert page.count("<svg ") == len(pictures(figures)) == 15
    assert all(cell in page for row in figures.rows for cell in cells_of(row))
    assert "nan" not in page.lower().replace("finance", "")
    assert "prefers-color-scheme: dark" in page


@pytest.mark.parametrize("counts", [(2, 2, 2, 2, 2), (0, 0, 10, 0, 0), (90,) * 20])
def test_the_band_of_a_histogram_is_inside_its_frame_however_few_there_are(counts):
    chart = pit_picture(55, counts).chart
    lines = [one for one in chart.series if isinstance(one, Line)]
    heights = [height for one in lines for _, height in one.points]
    assert len(lines) == 3
    assert min(heights) == pytest.approx(2.0 - max(heights)), "around 1"
    assert 1.0 < max(heights) < chart.y.high
    assert max(height for one in chart.series if isinstance(one, Bars) for _, _, height in one.bars) < chart.y.high


def test_closes_do_not_stand_in_the_picture_of_the_hours():
    """A close of 0.4 +- 0.3 nat beside hours of 0.03; and a value without an error is no dot."""
    dots = [("hour", 55, 0.03, 0.01), ("hour", 2, 0.02, 0.0), ("close", 120, 0.4, 0.3)]
    hours, close = by_horizon_pictures(dots, LOG_GAIN, "the baseline", "note")
    assert [one.points for one in hours.chart.series if isinstance(one, Dots)] == [((55.0, 0.03),)]
    assert "full hours" in hours.chart.title
    assert [one.points for one in close.chart.series if isinstance(one, Dots)] == [((120.0, 0.4),)]
    assert 0.03 + 1.96 * 0.01 < hours.chart.y.high < 0.06, "the axis is the hours' own"
    assert 0.4 + 1.96 * 0.3 < close.chart.y.high < 1.2
    assert by_horizon_pictures([("close", 120, 0.4, 0.0)], LOG_GAIN, "the baseline", "note") == ()


def test_a_page_without_pictures_keeps_the_table(figures):
    page = page_of(figures, plots=False)
    assert "<svg" not in page
    assert cells_of(figures.rows[0])[3] in page


ARGV = ["--index", "SPX", "--from", "2024-05-20", "--to", "2024-05-31"]


@pytest.fixture(scope="module")
def plain_figures(short):
    """What the command prints of the shipped constants, figures alone."""
    printed = StringIO()
    with redirect_stdout(printed):
        assert main(["calibration-report", "--data", str(short), *ARGV, "--skip-plots", "--json"]) == ExitCode.OK
    return json.loads(printed.getvalue())


def test_the_command_writes_the_page_and_prints_the_table(short, tmp_path, capsys):
    out = tmp_path / "reports" / "spx.html"
    argv = ["calibration-report", "--data", str(short), *ARGV, "--out", str(out)]
    assert main(argv) == ExitCode.OK
    assert out.read_text().startswith("<!doctype html>")
    printed = capsys.readouterr().out
    assert f"page: {out}" in printed
    warning = f"{SHIPPED.name}, fitted until {SHIPPED.fitted_until}: FITTED ON DAYS OF THIS SPAN"
    assert warning in " ".join(printed.split())
    assert warning in out.read_text()


def test_constants_of_ones_own_speak_on_the_page(short, plain_figures, tmp_path, capsys):
    """Fitted before the span, and with an effect of their own: another forecast, and no warning."""
    mine, out = tmp_path / "mine.json", tmp_path / "spx.html"
    wider = replace(SHIPPED.residual, log_scale=(0.5, 0.0, 0.0))
    document = document_of(replace(SHIPPED, name="mine", fitted_until="2023-12-29", residual=wider))
    mine.write_text(json.dumps(document))
    argv = ["calibration-report", "--data", str(short), *ARGV, "--json", "--skip-plots"]
    assert main([*argv, "--constants", str(mine), "--out", str(out)]) == ExitCode.OK
    found = json.loads(capsys.readouterr().out)
    assert found["constants"] == "constants mine, fitted until 2023-12-29"
    assert "mine, fitted until 2023-12-29.</p>" in out.read_text()
    assert found["rows"][0]["log_gain_ewma"] != plain_figures["rows"][0]["log_gain_ewma"]


BEFORE = ("--from", "2023-11-20", "--to", "2023-12-20")


def test_skip_plots_gives_figures_alone(plain_figures):
    assert len(plain_figures["rows"]) == len(harness.keys()) - 2, "no 2 minutes in bars of five"
    assert plain_figures["page"] is None


@pytest.mark.parametrize(
    ("more", "code", "problem"),
    [
        ([], ExitCode.USAGE, "--out FILE is needed"),
        (["--out", "/proc/none/x.html"], ExitCode.CONFIG, "cannot be written"),
        (["--skip-plots", "--from", "2024-06-03"], ExitCode.USAGE, "not a span of days"),
        (["--skip-plots", "--day", "2024-05-25"], ExitCode.CONFIG, "no session"),
        (["--skip-plots", *BEFORE], ExitCode.CONFIG, "2023-12-20: nothing to score in this span (the bars are of 2024"),
    ],
)
def test_bad_requests_are_one_line(folder, capsys, more, code, problem):
    assert main(["calibration-report", "--data", str(folder), *ARGV, *more]) == code
    assert problem in capsys.readouterr().err
