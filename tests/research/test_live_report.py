"""A live report says what the record says: figures by hand and against the monitors, alarms, page and command."""

import json
from dataclasses import replace
from datetime import date
from html import escape
from math import log, sqrt

import numpy as np
import pytest

from kalshi_daemon.calibration.market_record import MarketRecord, Pair, Pending
from kalshi_daemon.cli.main import main
from kalshi_daemon.domain.forecast import Reading
from kalshi_daemon.domain.index import Index
from kalshi_daemon.ground.clock import ManualClock
from kalshi_daemon.ground.errors import ExitCode
from kalshi_daemon.ground.units import DAY, MINUTE, Nanos
from kalshi_daemon.memory.forecast_record import Kept, append, read_record
from kalshi_daemon.memory.record_rows import FixingRow, ForecastRow, MarketRow, to_line
from kalshi_daemon.memory.store import CalibrationStore, Keeping
from kalshi_daemon.research import drawing, metrics
from kalshi_daemon.research.drawing import svg_of
from kalshi_daemon.research.live_charts import live_pictures
from kalshi_daemon.research.live_figures import DAYS_MAX, alarms_of, live_figures, pit_bins
from kalshi_daemon.research.live_page import live_page_of, reading_cells, row_cells, verdict_of
from kalshi_daemon.settings.model import CalibrationSettings
from kalshi_daemon.windows.sessions import SessionTable
from tests.calibration.support import at, feed, model, session, walk
from tests.research.test_calibration_report import Links

pytestmark = pytest.mark.usefixtures("undrawn")

DAYS = tuple(session(day) for day in range(5))
FIRST, LAST = "2025-11-24", "2025-11-28"


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    """The state directory of a daemon that watched a week of the S&P, with the market beside it."""
    folder = tmp_path_factory.mktemp("state")
    watched = model(*DAYS, settings=CalibrationSettings())
    clock = ManualClock(at(392, 4))
    table = SessionTable(DAYS, start_ns=at(-570), end_ns=at(2_000, 4))
    store = CalibrationStore(folder / "live", clock, {Index.SPX: watched}, table, Keeping(3, 30, Nanos(MINUTE)))
    for day in range(5):
        feed(watched, [*walk(390, step_s=15, day=day, seed=day), *walk(1, step_s=15, start=390.2, day=day)])
        meet_the_market(store.records[Index.SPX], day)
    store.save()
    return folder


class Determined:
    def __init__(self, result: str) -> None:
        self.result = result


def meet_the_market(record: MarketRecord, day: int) -> None:
    rng = np.random.default_rng(day)
    for hour in range(1, 7):
        pairs = tuple(Pair(f"{n}", p, p + 0.02) for n, p in enumerate((0.2, 0.5, 0.8)))
        record.pending[f"E{day}{hour}"] = Pending(at(30 + 60 * hour, day), {"early": pairs}, DAYS[day].day)
        results = {f"{n}": Determined("yes" if rng.uniform() < p else "no") for n, p in enumerate((0.2, 0.5, 0.8))}
        record.resolve(results, at(31 + 60 * hour, day))  # type: ignore[arg-type]  # results are all that is read


@pytest.fixture(scope="module")
def kept(state):
    return read_record(state / "live" / "calibration" / "record", Index.SPX)


@pytest.fixture(scope="module")
def figures(kept):
    found = live_figures(Index.SPX, kept, None)
    assert found is not None
    return found


def test_rows_are_means_over_the_record(figures, kept):
    rows = {(row.target, row.horizon_min): row for row in figures.rows}
    fives = [one for one in kept.forecasts if one.bucket == 1]
    row = rows["hour", 5]
    assert row.n == len(fives) == 35
    assert row.crps_ratio == pytest.approx(sum(one.crps for one in fives) / sum(one.baseline_crps for one in fives))
    assert row.log_gain == pytest.approx(np.mean([one.log_gain for one in fives]))
    assert row.rms_z == pytest.approx(sqrt(np.mean([one.square for one in fives])))
    assert row.cover90 == pytest.approx(100 * np.mean([abs(one.pit - 0.5) <= 0.45 for one in fives]))
    assert row.pit_ks == metrics.ks_distance(np.array([one.pit for one in fives]))
    assert rows["close", 5].n == rows["close", 240].n == 5
    assert ("hour", 120) not in rows
    assert (figures.first, figures.last, figures.sessions) == (FIRST, LAST, 5)
    assert (figures.live, figures.again) == (len(kept.forecasts), 0)


def test_errors_are_clustered_by_session_and_by_fixing_while_there_are_few(figures, kept):
    fives = [one for one in kept.forecasts if one.bucket == 1]
    days = np.array([one.target_ns // DAY for one in fives])
    gains = np.array([one.log_gain for one in fives])
    (row,) = (row for row in figures.rows if (row.target, row.horizon_min) == ("hour", 5))
    assert row.log_gain_se == metrics.clustered_mean(gains, days)[1]
    before = tuple(one for one in kept.forecasts if one.session < LAST)
    few = live_figures(Index.SPX, replace(kept, forecasts=before), None)
    assert few is not None
    (row,) = (row for row in few.rows if (row.target, row.horizon_min) == ("hour", 5))
    assert row.log_gain_se == metrics.clustered_mean(gains[:28], np.arange(28))[1]


def test_the_last_monitors_and_their_evidence_are_shown(figures, kept):
    assert figures.readings == (*kept.fixings[-1].readings, *kept.markets[-1].readings)
    assert [one.value for one in figures.evidence] == [one.evidence for one in kept.fixings]
    assert [day for _, day in figures.days] == [one.day for one in DAYS]
    assert [place for place, _ in figures.days] == [0, 7, 14, 21, 28]
    assert [one.place for one in figures.market_evidence[:3]] == [1, 2, 3], "the market's begin at 11:00"


def test_days_are_shown_while_they_are_few(figures, kept):
    assert [one.month for one in figures.periods] == [one.day for one in DAYS]
    assert not figures.by_month
    hourly = [one for one in kept.forecasts if one.horizon_min <= 60]
    assert sum(one.n for one in figures.periods) == len(hourly)
    sessions = [f"20{25 + n // 360:02d}-{n // 30 % 12 + 1:02d}-{n % 30 + 1:02d}" for n in range(DAYS_MAX + 1)]
    many = tuple(replace(hourly[0], session=day, target_ns=Nanos(n)) for n, day in enumerate(sessions))
    found = live_figures(Index.SPX, Kept(many, (), (), 0), None)
    assert found is not None
    assert [one.month for one in found.periods] == ["2025-01", "2025-02", "2025-03", "2025-04"]


def test_the_market_is_compared_event_by_event(figures, kept):
    (span,) = figures.market.spans
    assert (span.name, span.n) == ("early", 30)
    gains = []
    for row in kept.markets:
        logs = [log((p if came else 1 - p) / (m if came else 1 - m)) for p, m, came in row.spans["early"]]
        gains.append(np.mean(logs))
    assert span.log_gain == pytest.approx(np.mean(gains))
    assert [one.n for one in figures.market.ours] == [30, 30, 30]
    assert [one.said for one in figures.market.mids] == pytest.approx([0.22, 0.52, 0.82])


def test_a_histogram_has_ten_forecasts_a_bin_on_average():
    assert [pit_bins(n) for n in (9, 10, 59, 60, 199, 200, 9_000)] == [0, 5, 5, 10, 10, 20, 20]


def fixing(number: int, value: float | None, n: float = 200.0) -> FixingRow:
    readings = (Reading("rms_z", "near", value, n, 150.0, 0.8, 1.2),)
    return FixingRow(Index.SPX, FIRST, at(30 + 60 * number), live=True, evidence=1.0, alarmed=False, readings=readings)


def test_alarms_are_stretches_with_their_worst_value():
    values = (1.0, 1.3, 1.5, 1.25, 1.1, 0.7, 0.75)
    first, second = alarms_of([fixing(n, value) for n, value in enumerate(values)])
    assert (first.first_ns, first.last_ns, first.open, first.worst) == (at(90), at(210), False, 1.5)
    assert (second.first_ns, second.last_ns, second.open, second.worst) == (at(330), at(390), True, 0.7)
    assert alarms_of([fixing(0, 2.0, n=10.0), fixing(1, None)]) == (), "too few to say anything"
    assert alarms_of([]) == ()


def test_the_page_stands_alone_and_is_well_formed(figures, monkeypatch):
    monkeypatch.setattr(drawing, "svg_of", svg_of)
    page = live_page_of(figures)
    links = Links()
    links.feed(page)
    assert (links.open, links.loading) == ([], [])
    assert "<script" not in page
    assert page.count("<svg ") == len(live_pictures(figures)) == 18
    assert all(cell in page for row in figures.rows for cell in row_cells(row))
    assert all(escape(cell) in page for one in figures.readings for cell in reading_cells(one))
    assert "nan" not in page.lower()
    assert "<svg" not in live_page_of(figures, plots=False)


def test_alarms_stand_on_the_page_and_in_its_first_line(figures):
    bad = Reading("cover90", "near", 0.5, 200.0, 150.0, 0.845, 0.955)
    shown = replace(figures, readings=(bad,), alarms=alarms_of([fixing(0, 1.5)]))
    assert verdict_of(shown).startswith("Outside the limits: cover90 near")
    page = live_page_of(shown)
    assert "2025-11-24 10:00" in page
    assert "still" in page
    assert '<tr class="alert">' in page


def test_a_handful_of_forecasts_makes_a_page_too(kept):
    """The first hour of a first day: one fixing, no market, no memory."""
    first = Kept(kept.forecasts[:4], kept.fixings[:1], (), 0)
    found = live_figures(Index.SPX, first, None)
    assert found is not None
    page = live_page_of(found)
    assert "nan" not in page.lower()
    assert "No event with a two-sided book" in page
    assert live_figures(Index.SPX, Kept((), (), (), 0), None) is None


def test_a_lone_forecast_whose_fixing_came_where_it_stood_makes_a_page_too(kept):
    """A move of nought has no place on a logarithmic axis; the table has it."""
    one = kept.forecasts[0]
    still = live_figures(Index.SPX, Kept((replace(one, fixing=one.level),), kept.fixings[:1], (), 0), None)
    assert still is not None
    assert [spread.realised_bp for spread in still.spreads] == [0.0]
    assert "Sigma by minutes" not in live_page_of(still)
    other = next(row for row in kept.forecasts if (row.close, row.horizon_min) != (one.close, one.horizon_min))
    both = live_figures(Index.SPX, Kept((replace(one, fixing=one.level), other), kept.fixings[:1], (), 0), None)
    assert both is not None
    assert "Sigma by minutes" in live_page_of(both)


# The command


def live(state, *more: str) -> list[str]:
    return ["calibration-report", "--live", "--mode", "live", "--state-dir", str(state), *more]


@pytest.fixture(autouse=True)
def no_settings_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_the_command_writes_a_page_per_index_with_the_models_memory(state, tmp_path, capsys):
    assert main(live(state, "--out", str(tmp_path / "pages"))) == ExitCode.OK
    said = capsys.readouterr().out
    assert f"page: {tmp_path / 'pages' / 'SPX.html'}" in said
    assert "NDX: no forecast has come due" in said
    page = (tmp_path / "pages" / "SPX.html").read_text()
    assert "Recalibration maps" in page
    assert "Session curve" in page
    assert not (tmp_path / "pages" / "NDX.html").exists()


def test_by_default_it_lies_with_the_reports_and_prints_json(state, capsys):
    assert main(live(state, "--index", "SPX", "--skip-plots", "--from", LAST, "--json")) == ExitCode.OK
    said = json.loads(capsys.readouterr().out)["SPX"]
    assert (said["first"], said["sessions"]) == (LAST, 1)
    path = state / "live" / "reports" / "calibration" / "SPX.html"
    assert said["page"] == str(path)
    assert "<svg" not in path.read_text()


def test_a_memory_that_cannot_be_read_costs_its_pictures_only(state, tmp_path, capsys):
    folder = tmp_path / "live" / "calibration"
    rows = [json.loads(line) for path in (state / "live/calibration/record").glob("*.jsonl") for line in path.open()]
    append(folder / "record", {FIRST: [json.dumps(row).encode() + b"\n" for row in rows]})
    (folder / "SPX.json").write_text("no memory")
    assert main(live(tmp_path)) == ExitCode.OK
    page = (tmp_path / "live" / "reports" / "calibration" / "SPX.html").read_text()
    assert "Recalibration maps" not in page
    assert "No memory of the model could be read" in page


def test_lines_of_a_newer_daemon_are_named_with_what_to_do_and_alone_are_a_refusal(state, tmp_path, capsys):
    rows = [json.loads(line) for path in (state / "live/calibration/record").glob("*.jsonl") for line in path.open()]
    folder, newer = tmp_path / "live/calibration/record", json.dumps({"v": 9}).encode() + b"\n"
    append(folder, {FIRST: [newer]})
    assert main(live(tmp_path)) == ExitCode.CONFIG
    said = capsys.readouterr().err
    assert f"{FIRST}.jsonl: forecast record has schema 9, this daemon knows 3: use a newer daemon" in said
    assert said.count("\n") == 1
    append(folder, {FIRST: [json.dumps(row).encode() + b"\n" for row in rows]})
    assert main(live(tmp_path)) == ExitCode.OK
    assert capsys.readouterr().out.count("forecast record has schema 9, this daemon knows 3") == 1


@pytest.mark.parametrize(
    ("more", "code", "problem"),
    [
        (["--index", "NDX"], ExitCode.REFUSED, "no forecast of NDX has come due"),
        (["--from", "2025-12-01"], ExitCode.REFUSED, "no forecast of SPX and NDX"),
        (["--from", "2025-12-02", "--to", "2025-12-01"], ExitCode.USAGE, "not a span of days"),
        (["--data", "x"], ExitCode.USAGE, "belong to bars"),
        (["--constants", "x"], ExitCode.USAGE, "belong to bars"),
        (["--day", "2025-11-22"], ExitCode.REFUSED, "no forecast of SPX and NDX for 2025-11-22 has come due"),
        (["--index", "SPX", "--day", "2025-12-01"], ExitCode.REFUSED, "no forecast of SPX for 2025-12-01"),
        (["--day", "yesterday"], ExitCode.USAGE, "--day"),
        (["--out", "/proc/none"], ExitCode.CONFIG, "cannot be written"),
    ],
)
def test_bad_requests_are_one_line(state, capsys, more, code, problem):
    assert main(live(state, *more)) == code
    said = capsys.readouterr().err
    assert problem in said
    assert said.count("\n") == 1


def test_without_live_bars_are_needed(capsys):
    assert main(["calibration-report", "--index", "SPX"]) == ExitCode.USAGE
    assert "--data, --from, --to missing" in capsys.readouterr().err


def test_rows_of_another_index_stay_out(tmp_path, kept):
    other: tuple[ForecastRow | MarketRow, ...] = (replace(kept.forecasts[0], index=Index.NDX), kept.markets[0])
    append(tmp_path, {FIRST: [to_line(row) for row in other]})
    found = read_record(tmp_path, Index.NDX, first=date(2025, 11, 24))
    assert (len(found.forecasts), len(found.markets)) == (1, 0)
