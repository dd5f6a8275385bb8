"""The fan chart of a day from the live record: known rows give known bands and points, and what is missing is said."""

import json
from dataclasses import replace
from datetime import date
from math import isnan

import pytest

from kalshi_daemon.calibration.recalibration import BUCKET_CENTRES_MIN
from kalshi_daemon.cli.main import main
from kalshi_daemon.domain.index import Index
from kalshi_daemon.ground.errors import ExitCode
from kalshi_daemon.memory.forecast_record import append
from kalshi_daemon.memory.record_rows import BANDS, ForecastRow, to_line
from kalshi_daemon.research.chart import Band, Colour, Dots, Line, Series
from kalshi_daemon.research.drawing import svg_of
from kalshi_daemon.research.fan_charts import fan_picture, recorded_pictures, what_is_missing
from kalshi_daemon.research.fan_days import Fan, FanDay, recorded_day
from kalshi_daemon.research.picture import Picture
from tests.calibration.support import at

pytestmark = pytest.mark.usefixtures("undrawn")

MONDAY = date(2025, 11, 24)


def row(fixing_min: int, before_min: float, level: float, *, fixing: float = 6_810.0, **changes) -> ForecastRow:
    """A forecast `before_min` before a fixing, with quantiles 3, 2, 1 times `before_min` points around the level."""
    reach = tuple(level + before_min * side for side in (-3, -2, -1, 0, 1, 2, 3))
    made = ForecastRow(
        Index.SPX,
        MONDAY.isoformat(),
        at(fixing_min),
        close=fixing_min == 390,
        bucket=BUCKET_CENTRES_MIN.index(before_min),
        live=True,
        level=level,
        fixing=fixing,
        sigma=0.002,
        spread=0.002,
        crps=0.0005,
        baseline_crps=0.0005,
        log_gain=0.0,
        pit=0.5,
        square=1.0,
        bins=(),
        quantiles=reach,
    )
    return replace(made, **changes)


HOUR = (row(90, 55.0, 6_800.0), row(90, 30.0, 6_806.0), row(90, 2.0, 6_809.0))
CLOSE = (row(390, 360.0, 6_790.0, fixing=6_850.0), row(390, 55.0, 6_840.0, fixing=6_850.0))


def drawn[T: Series](picture: Picture, kind: type[T], colour: Colour = Colour.BLUE) -> list[T]:
    return [one for one in picture.chart.series if isinstance(one, kind) and one.colour is colour]


def bands_by_depth(picture: Picture) -> list[int]:
    """How many of 99, 90 and 50 %."""
    return [sum(one.opacity == opacity for one in drawn(picture, Band)) for opacity in (0.10, 0.18, 0.30)]


def bands(picture: Picture) -> list[tuple[float, float, float]]:
    return [edge for one in drawn(picture, Band) for edge in one.edges]


def test_a_known_record_gives_known_bands_and_points():
    day = recorded_day(MONDAY, HOUR)
    assert day.path == ((35.0, 6_800.0), (60.0, 6_806.0), (88.0, 6_809.0), (90.0, 6_810.0))
    (fan,) = day.hours
    assert fan.fixing == (90.0, 6_810.0)
    assert fan.start_min == 35.0
    assert [minute for minute, _ in fan.steps] == [35.0, 60.0, 88.0]
    assert fan.steps[1][1] == (6_716.0, 6_746.0, 6_776.0, 6_806.0, 6_836.0, 6_866.0, 6_896.0)
    assert all(len(levels) == len(BANDS) for _, levels in fan.steps)
    assert (day.close, day.forecasts, day.without_bands, day.again) == (None, 3, 0, 0)


def test_the_close_is_an_hour_and_a_fan_of_its_own():
    day = recorded_day(MONDAY, (*HOUR, *CLOSE))
    assert [one.fixing for one in day.hours] == [(90.0, 6_810.0), (390.0, 6_850.0)]
    assert [[minute for minute, _ in one.steps] for one in day.hours] == [[35.0, 60.0, 88.0], [335.0]]
    assert day.close is not None
    assert [minute for minute, _ in day.close.steps] == [30.0, 335.0]
    assert (30.0, 6_790.0) in day.path


def test_another_day_and_the_order_of_lines_change_nothing():
    tuesday = replace(HOUR[0], session="2025-11-25", target_ns=at(90, 1))
    assert recorded_day(MONDAY, (tuesday, *reversed(HOUR))) == recorded_day(MONDAY, HOUR)


def test_every_forecast_is_drawn_where_it_was_made_and_the_line_where_it_fixed():
    hours, close = recorded_pictures(recorded_day(MONDAY, (*HOUR, *CLOSE)))
    upright = [one.points for one in drawn(hours, Line) if one.faint]
    assert [[minute for minute, _ in ends] for ends in upright] == [[m] * 2 for m in (35.0, 60.0, 88.0, 335.0)]
    assert upright[1] == ((60.0, 6_716.0), (60.0, 6_896.0)), "from the lowest level to the highest"
    assert bands_by_depth(hours) == [2, 2, 2]
    fixed = [one.points for one in drawn(hours, Line, Colour.ORANGE)]
    assert fixed == [((35.0, 6_810.0), (90.0, 6_810.0)), ((335.0, 6_850.0), (390.0, 6_850.0))]
    assert bands_by_depth(close) == [1, 1, 1]
    assert "2025-11-24" in close.chart.title
    assert (hours.chart.x.low, hours.chart.x.high) == (0.0, 390.0)
    assert hours.chart.y.low < min(level for _, low, high in bands(hours) for level in (low, high))
    assert hours.chart.y.high > max(level for _, low, high in bands(hours) for level in (low, high))


def test_a_path_is_not_drawn_over_hours_without_a_word():
    """From 11:00 to 15:05 the record says nothing."""
    (hours,) = recorded_pictures(recorded_day(MONDAY, (*HOUR, row(390, 55.0, 6_840.0, fixing=6_850.0))))
    (index,) = [one.points for one in drawn(hours, Line) if not one.faint]
    assert [minute for minute, level in index if isnan(level)] == [90.0]
    assert [minute for minute, level in index if not isnan(level)] == [35.0, 60.0, 88.0, 90.0, 335.0, 390.0]


def test_lines_without_bands_leave_the_path_and_say_so():
    old = tuple(replace(one, quantiles=()) for one in HOUR)
    day = recorded_day(MONDAY, old)
    assert (day.hours, day.close, len(day.path), day.without_bands) == ((), None, 4, 3)
    (picture,) = recorded_pictures(day)
    assert drawn(picture, Band) == []
    assert "before bands were kept" in picture.note
    assert "upright" not in picture.note, "no word of what is not there"
    (dots,) = drawn(picture, Dots)
    assert dots.points == day.path
    mixed = recorded_day(MONDAY, (*old[:1], *HOUR[1:]))
    assert [minute for minute, _ in mixed.hours[0].steps] == [60.0, 88.0]
    assert "1 of 3 forecasts were written before bands were kept" in what_is_missing(mixed)


def test_forecasts_made_again_are_counted():
    day = recorded_day(MONDAY, (replace(HOUR[0], live=False), *HOUR[1:]))
    assert "1 of 3 were made again" in recorded_pictures(day)[0].note
    assert what_is_missing(recorded_day(MONDAY, HOUR)) == ""


def test_a_day_without_any_forecast_has_no_picture_and_a_sentence():
    day = recorded_day(date(2025, 11, 26), HOUR)
    assert (day.path, day.hours, day.close, day.forecasts) == ((), (), None, 0)
    assert recorded_pictures(day) == ()
    assert "No forecast of 2025-11-26 has come due" in what_is_missing(day)


def test_the_first_forecast_of_a_day_is_a_picture_too():
    (picture,) = recorded_pictures(recorded_day(MONDAY, (row(30, 2.0, 6_800.0),)))
    assert bands_by_depth(picture) == [1, 1, 1]
    assert drawn(picture, Band)[0].edges[0][0] < 28.0 < drawn(picture, Band)[0].edges[-1][0], "as wide as can be seen"
    assert "nan" not in svg_of(picture.chart)


def test_bars_and_record_draw_the_same_bands():
    fan = Fan(tuple((float(m), HOUR[0].quantiles) for m in (35, 90)), (90.0, 6_810.0))
    bars = fan_picture(FanDay("2025-11-24", ((0.0, 6_800.0), (90.0, 6_810.0)), (fan,)))
    assert bands_by_depth(bars) == [1, 1, 1]
    words = [one.label for one in bars.chart.series] + [word for _, word in bars.chart.x.ticks]
    assert {"99 %", "90 %", "50 %", "median", "fixing", "09:30", "10:00"} <= set(words)


# The command


@pytest.fixture
def state(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "live" / "calibration" / "record"
    tuesday = [replace(one, session="2025-11-25", target_ns=at(90, 1)) for one in HOUR]
    other = [replace(one, index=Index.NDX) for one in HOUR]
    days = {"2025-11-24": [*HOUR, *CLOSE, *other], "2025-11-25": tuesday}
    append(folder, {day: [to_line(one) for one in rows] for day, rows in days.items()})
    return tmp_path


def report(state, *more: str) -> list[str]:
    return ["calibration-report", "--live", "--mode", "live", "--state-dir", str(state), "--out", str(state), *more]


def test_the_last_recorded_day_is_drawn_unless_another_is_chosen(state):
    assert main(report(state)) == ExitCode.OK
    assert "Full hours of 2025-11-25" in (state / "SPX.html").read_text()
    assert "Full hours of 2025-11-24" in (state / "NDX.html").read_text(), "its own last one"
    assert main(report(state, "--day", "2025-11-24", "--from", "2025-11-25")) == ExitCode.OK
    page = (state / "SPX.html").read_text()
    assert "Full hours of 2025-11-24" in page, "a day beside the span may be chosen, as on bars"
    assert "Close of 2025-11-24" in page


def test_an_index_without_that_day_says_so_on_its_page(state, capsys):
    assert main(report(state, "--day", "2025-11-25", "--json")) == ExitCode.OK
    assert "No forecast of 2025-11-25 has come due in this record" in (state / "NDX.html").read_text()
    said = json.loads(capsys.readouterr().out)
    assert (said["SPX"]["day"]["forecasts"], said["NDX"]["day"]["forecasts"]) == (3, 0)
    assert said["SPX"]["day"]["hours"][0]["fixing"] == [90.0, 6_810.0]


def test_a_day_of_neither_index_is_refused_and_no_page_is_written(state, capsys):
    assert main(report(state, "--day", "2025-11-26")) == ExitCode.REFUSED
    said = capsys.readouterr().err
    assert "no forecast of SPX and NDX for 2025-11-26 has come due" in said
    assert said.count("\n") == 1
    assert not (state / "SPX.html").exists()
