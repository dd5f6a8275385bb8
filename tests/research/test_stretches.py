"""Several constants files in turn, and what a start without memory costs."""

import json
from dataclasses import replace
from datetime import date, timedelta

import pytest

from kalshi_daemon.bars.sessions import read_sample
from kalshi_daemon.calibration.constants_file import SHIPPED, document_of
from kalshi_daemon.cli.main import main
from kalshi_daemon.domain.index import Index
from kalshi_daemon.ground.errors import ConfigurationError, ExitCode
from kalshi_daemon.ground.units import MINUTE
from kalshi_daemon.research import score as harness
from kalshi_daemon.research.cold import COLD_MIN, cold_against_full
from kalshi_daemon.research.stretches import stretches
from tests.research.synthetic import write_days

FIRST, TURN, LAST = date(2024, 4, 15), date(2024, 4, 19), date(2024, 4, 26)


def until(day):
    return replace(SHIPPED, name=day, fitted_until=day)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("bars")
    write_days(path / "ES_x.parquet", date(2024, 1, 16), LAST)
    return path


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    path = tmp_path_factory.mktemp("few")
    write_days(path / "ES_x.parquet", date(2024, 4, 8), LAST)
    return read_sample(path, Index.SPX)


def test_each_speaks_from_the_day_after_its_last_one():
    old, new, unused = until("2023-12-31"), until(TURN.isoformat()), until("2024-06-30")
    found = stretches((unused, new, old), FIRST, LAST)
    assert found == ((old, FIRST, TURN), (new, TURN + timedelta(days=1), LAST))
    assert stretches((new, old), TURN + timedelta(days=1), LAST) == ((new, TURN + timedelta(days=1), LAST),)


def test_one_alone_speaks_for_any_span():
    late = until("2030-01-01")
    assert stretches(late, FIRST, LAST) == stretches((late,), FIRST, LAST) == ((late, FIRST, LAST),)


@pytest.mark.parametrize("days", [("2024-04-15", "2024-04-30"), ("2024-01-01", "2024-01-01"), ()])
def test_no_day_goes_without_constants_fitted_before_it(days):
    with pytest.raises(ConfigurationError, match="different days before 2024-04-15"):
        stretches([until(day) for day in days], FIRST, LAST)


def test_every_stretch_is_the_walk_of_its_own_constants(sample):
    twice = replace(
        SHIPPED,
        name="wide",
        fitted_until=TURN.isoformat(),
        variance=replace(SHIPPED.variance, intercept=(0.7, 0.0, 0.0)),
    )
    before = until("2023-12-31")
    whole = harness.walks(sample, FIRST, LAST, constants=(before, twice))
    early, late = (
        harness.walk(sample, FIRST, TURN, constants=before),
        harness.walk(sample, TURN + timedelta(days=1), LAST, constants=twice),
    )
    for key, record in whole.items():
        assert record.row == early[key].row + late[key].row
        assert record.sigma == early[key].sigma + late[key].sigma
        assert record.crps == early[key].crps + late[key].crps


def test_a_cold_start_is_compared_forecast_by_forecast_after_the_first_quarter_of_an_hour(sample):
    rows = {(row.target, row.horizon_min): row for row in cold_against_full(sample, FIRST, LAST)}
    days = 10
    assert rows["hour", 55].n == 6 * days
    assert rows["hour", 30].n == 6 * days, "the forecast at the bell is left out"
    assert rows["hour", 15].n == 7 * days
    assert rows["close", 120].n == days
    assert COLD_MIN == 15 * MINUTE
    cold, full = (harness.walk(sample, FIRST, LAST, cold=one) for one in (harness.Cold.ALL, None))
    ratio = sum(cold["close", 120].crps) / sum(full["close", 120].crps)
    assert rows["close", 120].crps_ratio_full == pytest.approx(ratio)
    assert rows["close", 120].crps_ratio_full_se > 0.0
    assert 0.95 < rows["hour", 30].crps_ratio_full < 1.10, "a constant volatility is soon known"


def test_the_command_takes_several_files_and_says_what_cold_costs(folder, tmp_path, capsys):
    files = []
    for day in ("2023-12-31", "2024-04-24"):
        files.append(tmp_path / f"{day}.json")
        files[-1].write_text(json.dumps(document_of(until(day))))
    span = ["--from", "2024-04-23", "--to", "2024-04-26"]
    argv = ["score", "--data", str(folder), "--index", "SPX", *span, "--cold", "--constants", *map(str, files)]
    assert main(argv) == ExitCode.OK
    printed = capsys.readouterr().out
    assert "fitted until 2023-12-31; 2024-04-24, fitted until 2024-04-24" in printed
    assert "cold / full history from 09:45, close 120: " in printed
