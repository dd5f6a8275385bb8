"""Each trading day finds its bar files, or is named with the reason; nothing is guessed."""

from datetime import date, datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kalshi_daemon.backtest.bar_days import bar_days
from kalshi_daemon.backtest.jobs import day_jobs, inputs_of
from kalshi_daemon.domain.instruments import SHIPPED_INSTRUMENTS
from kalshi_daemon.ground.errors import ConfigurationError
from kalshi_daemon.ground.new_york import NEW_YORK
from kalshi_daemon.settings.loader import load_settings
from kalshi_daemon.simulator.latency import Latency
from kalshi_daemon.simulator.world import WorldPlan
from kalshi_daemon.windows.sessions import load_sessions


def write_bars(path, *days, minutes=390, first=0):
    """Flat minute bars at 5 000 of whole sessions, or of part of them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    opens = [int(datetime.fromisoformat(f"{day}T09:30").replace(tzinfo=NEW_YORK).timestamp()) for day in days]
    stamps = np.concatenate([start + 60 * np.arange(first, minutes) for start in opens])
    columns = {name: np.full(len(stamps), 5_000.0) for name in ("open", "high", "low", "close")}
    pq.write_table(pa.table({"timestamp": pa.array(stamps, pa.timestamp("s", "UTC")), **columns}), path)


def found(folder, first, last):
    sessions = load_sessions(date.fromisoformat(first), date.fromisoformat(last)).sessions
    return bar_days(folder, sessions, SHIPPED_INSTRUMENTS)


def test_a_file_a_day_and_a_file_of_many_days_are_the_same(tmp_path):
    one = tmp_path / "index=I:SPX" / "year=2024" / "SPX-2024-04-19.parquet"
    write_bars(one, "2024-04-19")
    write_bars(tmp_path / "NQ1_1m_2024.parquet", "2024-04-18", "2024-04-19")
    days = found(tmp_path, "2024-04-18", "2024-04-22")
    many = tmp_path / "NQ1_1m_2024.parquet"
    assert days.files == {"2024-04-18": (many,), "2024-04-19": (one, many)}
    assert days.missing == "2024-04-22 (no bars)"


def test_the_index_itself_comes_before_what_stands_in_for_it(tmp_path):
    for name in ("ES1_1m_2024.parquet", "SPX-2024-04-19.parquet"):
        write_bars(tmp_path / name, "2024-04-19")
    assert found(tmp_path, "2024-04-19", "2024-04-19").files["2024-04-19"] == (tmp_path / "SPX-2024-04-19.parquet",)


def test_a_day_that_is_only_begun_is_named_with_the_reason(tmp_path):
    write_bars(tmp_path / "SPX-2024-04-19.parquet", "2024-04-19")
    write_bars(tmp_path / "SPX-2024-04-22.parquet", "2024-04-22", minutes=200)
    days = found(tmp_path, "2024-04-19", "2024-04-22")
    assert list(days.files) == ["2024-04-19"]
    assert days.missing == "2024-04-22 (SPX-2024-04-22.parquet: the last bar ends 190 min before the close)"


@pytest.mark.parametrize(
    ("name", "words"),
    [("bars.parquet", "no bar file in it"), ("SPX-2024-04-19.parquet", "not a readable parquet file")],
)
def test_what_is_no_bar_file_is_one_line_with_its_place(tmp_path, name, words):
    (tmp_path / name).write_bytes(b"PAR1")
    with pytest.raises(ConfigurationError, match=words) as refused:
        found(tmp_path, "2024-04-19", "2024-04-19")
    assert str(tmp_path) in str(refused.value)


def test_each_day_is_a_job_that_says_which_index_was_made_up(tmp_path):
    write_bars(tmp_path / "SPX-2024-04-19.parquet", "2024-04-19")
    files = found(tmp_path, "2024-04-19", "2024-04-19").files
    settings = load_settings(None, {}, None, {}).settings
    (job,) = day_jobs(settings, "efficient", files, seed=4, latency=Latency())
    assert isinstance(job.world, WorldPlan)
    assert (job.name, job.world.session_date, job.world.seed) == ("2024-04-19-efficient", date(2024, 4, 19), 4)
    assert inputs_of(job) == files["2024-04-19"]
    assert job.notes == ("days without bars of NDX: it is made up there, in step with the others",)
