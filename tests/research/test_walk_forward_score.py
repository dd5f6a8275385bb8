"""The harness: nothing of the future, every horizon, and figures that mean what they say."""

import json
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from kalshi_daemon.bars.sessions import Sample, read_sample
from kalshi_daemon.calibration.constants_file import SHIPPED
from kalshi_daemon.cli.main import main
from kalshi_daemon.cli.score import COLD
from kalshi_daemon.domain.index import Index
from kalshi_daemon.ground.errors import ConfigurationError, ExitCode
from kalshi_daemon.ground.units import MINUTE
from kalshi_daemon.memory.documents import remember, restore_slow_parts
from kalshi_daemon.research import score as harness
from tests.research.synthetic import write_days
from tests.support.data import data_dir

FIRST, LAST = date(2024, 4, 15), date(2024, 5, 31)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("bars")
    write_days(path / "ES_x.parquet", date(2024, 1, 2), LAST)
    return path


@pytest.fixture(scope="module")
def sample(folder):
    return read_sample(folder, Index.SPX)


@pytest.fixture(scope="module")
def rows(sample):
    return harness.score(sample, FIRST, LAST).rows


def test_every_horizon_has_its_row(rows):
    assert [(row.target, row.horizon_min) for row in rows] == list(harness.keys())
    by = {(row.target, row.horizon_min): row for row in rows}
    days = 34
    assert by["hour", 30].n == 7 * days, "at the bell for 10:00"
    assert by["hour", 45].n == 6 * days
    assert by["close", 360].n == days


def test_a_gaussian_walk_of_constant_volatility_is_forecast_as_well_as_it_can_be(rows):
    """Both baselines know the truth here, so the model may lose a little to either and no more."""
    for row in rows:
        if row.target == harness.HOURLY:
            assert 0.98 < row.crps_ratio_flat < 1.04
            assert 0.97 < row.crps_ratio_ewma < 1.03
            assert 83.0 < row.cover90 < 97.0
            assert row.crps_ratio_ewma_se < 0.02


def test_later_bars_change_no_earlier_distribution_bit_for_bit(sample):
    """The day is fed twice; from noon on the second time is another world."""
    day = sample.days[20]
    noon = day.session.open_ns + 150 * MINUTE
    late = day.start_s * 1_000_000_000 >= noon
    other = replace(
        day,
        **{
            name: np.where(late, getattr(day, name) * 0.97, getattr(day, name))
            for name in ("open", "high", "low", "close")
        },
    )
    distributions = []
    for one in (day, other):
        model = harness.model_of(sample)
        for before in sample.days[:20]:
            harness.forecasts(model, before, ())
        found = harness.forecasts(model, one, harness.marks_of(one))
        distributions.append(
            [
                (
                    distribution.level,
                    distribution.sigma,
                    distribution.residual.nodes.tolist(),
                    distribution.pit_map.knots.tolist(),
                )
                for mark, distribution in found
                if distribution.asof_ns <= noon
            ]
        )
    assert len(distributions[0]) > 15
    assert distributions[0] == distributions[1]


def test_marks_need_a_price_at_both_ends(sample):
    day = sample.days[5]
    everything = harness.marks_of(day)
    gone = 134  # the bar that ends 11:45
    keep = np.arange(len(day.start_s)) != gone
    holed = replace(day, **{name: getattr(day, name)[keep] for name in ("start_s", "open", "high", "low", "close")})
    missing = set(everything) - set(harness.marks_of(holed))
    assert {(mark.key, mark.start) for mark in missing} == {(("hour", 15), gone + 1)}


def test_cold_starts_every_morning(sample):
    records = harness.walk(sample, date(2024, 5, 30), LAST, cold=harness.Cold.ALL)
    fresh = harness.walk(Sample(sample.index, sample.days[-1:], cash=False, bar_seconds=60), LAST, LAST)
    key = ("close", 120)
    assert records[key].sigma[-1] == fresh[key].sigma[0]


@pytest.mark.parametrize(
    ("ends", "known"), [(["2023-12-31"], False), (["2024-04-15"], True), (["2023-12-31", "2024-05-01"], False)]
)
def test_constants_that_knew_the_days_are_named_so(ends, known):
    """Of several each speaks from the day after its last one on; of one alone only what lies behind it is a test."""
    said = harness.told([replace(SHIPPED, name="mine", fitted_until=end) for end in ends], FIRST)
    assert all(f"mine, fitted until {end}" in said for end in ends)
    assert ("no test of them" in said) is known


def test_cold_levels_keep_what_was_learnt_slowly_and_nothing_else(sample):
    """With layers and curve of the evening before, and the day's prices: by hand, through the daemon's own memory."""
    sample = replace(sample, days=sample.days[-30:])
    records = harness.walk(sample, LAST, LAST, cold=harness.Cold.LEVELS)
    learnt, anew = harness.model_of(sample), harness.model_of(sample)
    for day in sample.days[:-1]:
        harness.forecasts(learnt, day, ())
    restore_slow_parts(anew, remember(learnt))
    assert anew.hour_layer.scale_weight.sum() > 0.0
    last = sample.days[-1]
    distributions = {
        mark.key: distribution for mark, distribution in harness.forecasts(anew, last, harness.marks_of(last))
    }
    assert records["close", 120].sigma == [distributions["close", 120].sigma]
    everything = harness.walk(sample, LAST, LAST, cold=harness.Cold.ALL)
    assert records["close", 120].pit != everything["close", 120].pit
    assert records["close", 120].sigma != harness.walk(sample, LAST, LAST)["close", 120].sigma


def test_the_kinds_of_cold_are_those_of_the_command():
    assert tuple(harness.Cold) == COLD


def test_cash_leaves_out_the_first_minute(tmp_path):
    write_days(tmp_path / "I_SPX_x.parquet", date(2024, 1, 2), date(2024, 1, 5))
    cash = read_sample(tmp_path, Index.SPX)
    assert cash.cash
    records = harness.walk(cash, date(2024, 1, 2), date(2024, 1, 5))
    assert len(records["hour", 30].x) == 4 * 6, "none at the bell"
    assert records["close", 360].sigma[0] > 0.0


def test_nothing_to_score_is_said(sample):
    with pytest.raises(ConfigurationError, match="nothing to score"):
        harness.score(sample, date(2024, 1, 2), date(2024, 1, 31))


def test_the_command_prints_rows(folder, capsys, monkeypatch):
    argv = ["score", "--data", str(folder), "--index", "SPX", "--from", "2024-05-20", "--to", "2024-05-31", "--json"]
    found, score = [], harness.score

    def kept(*arguments, **options):
        found.append(score(*arguments, **options))
        return found[0]

    monkeypatch.setattr(harness, "score", kept)
    assert main(argv) == ExitCode.OK
    printed = json.loads(capsys.readouterr().out)
    wanted = {
        "target",
        "horizon_min",
        "n",
        "crps_ratio_flat",
        "crps_ratio_ewma",
        "log_gain_ewma",
        "dm_t_crps",
        "dm_t_log",
    }
    wanted |= {"pit_ks", "cover90", "cover99"}
    assert len(printed["rows"]) == len(harness.keys())
    assert printed["constants"] == [{"name": SHIPPED.name, "fitted_until": SHIPPED.fitted_until}]
    assert printed["cold_against_full"] == []
    assert all(wanted <= set(row) for row in printed["rows"])
    monkeypatch.setattr(harness, "score", lambda *_args, **_options: found[0])
    assert main(argv[:-1]) == ExitCode.OK, "the same once more, as a table"
    table = capsys.readouterr().out
    assert "PIT KS" in table
    assert "close" in table


@pytest.mark.parametrize(
    ("change", "code", "problem"),
    [
        ({"--data": "nowhere.parquet"}, ExitCode.CONFIG, "no such file"),
        ({"--data": "NQ_nowhere.parquet"}, ExitCode.CONFIG, "does not speak for SPX"),
        ({"--index": "NDX"}, ExitCode.CONFIG, "no bar file of NDX"),
        ({"--from": "2024-06-01"}, ExitCode.USAGE, "not a span of days"),
        ({"--from": "2023-11-20", "--to": "2023-12-20"}, ExitCode.CONFIG, "nothing to score in this span"),
        ({"--from": "2024-11-20", "--to": "2024-12-20"}, ExitCode.CONFIG, "the bars are of 2024-01-"),
        ({"--index": "DAX"}, ExitCode.USAGE, "DAX"),
    ],
)
def test_bad_requests_are_one_line(folder, capsys, change, code, problem):
    options = {"--data": str(folder), "--index": "SPX", "--from": "2024-05-20", "--to": "2024-05-31"} | change
    assert main(["score", *(word for pair in options.items() for word in pair)]) == code
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert problem in printed.err


@pytest.mark.data
def test_the_shipped_model_beats_both_baselines_on_half_a_year_it_never_saw():
    folder = data_dir()
    if folder is None:
        pytest.skip("no market data (KALSHI_DAEMON_DATA)")
    sample = read_sample(folder / "nq_1m" / "NQ1_1m_2024.parquet", Index.NDX)
    rows = harness.score(sample, date(2024, 7, 1), date(2024, 12, 31)).rows
    for row in rows:
        if row.target == harness.HOURLY:
            assert row.crps_ratio_flat < 0.975
            assert row.crps_ratio_ewma < 1.0
            assert row.log_gain_ewma > 0.0
            assert row.pit_ks < 0.05
