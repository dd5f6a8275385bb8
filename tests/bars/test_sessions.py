"""Bars of any file or folder of the shared shape, by session."""

from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kalshi_daemon.bars.sessions import read_sample
from kalshi_daemon.domain.index import Index
from kalshi_daemon.ground.errors import ConfigurationError
from kalshi_daemon.ground.units import MINUTE, SECOND
from tests.research.synthetic import write_days
from tests.support.data import data_dir


def test_a_half_day_ends_at_one(tmp_path):
    write_days(tmp_path / "ES_x.parquet", date(2024, 11, 27), date(2024, 12, 2))
    days = read_sample(tmp_path, Index.SPX).days
    assert [(day.session.day, day.slots, day.session.half_day) for day in days] == [
        ("2024-11-27", 390, False),
        ("2024-11-29", 210, True),
        ("2024-12-02", 390, False),
    ]


def test_prices_stand_at_the_end_of_their_bars(tmp_path):
    write_days(tmp_path / "ES_x.parquet", date(2024, 11, 27), date(2024, 11, 27))
    day = read_sample(tmp_path, Index.SPX).days[0]
    prices = day.prices()
    assert prices[0] == day.open[0]
    assert prices[1] == day.close[0]
    assert prices[390] == day.close[-1]
    bars = list(day.bars(Index.SPX))
    assert bars[0].start_ns == day.session.open_ns
    assert bars[0].end_ns == day.session.open_ns + MINUTE
    assert bars[-1].end_ns == day.session.close_ns
    bell = day.bell(Index.SPX)
    assert bell is not None
    assert (bell.event_ns, bell.value) == (day.session.open_ns, day.open[0])


def test_the_print_at_the_close_and_bars_of_the_night_are_left_out(tmp_path):
    path = write_days(tmp_path / "I_SPX_x.parquet", date(2024, 11, 27), date(2024, 11, 27))
    table = pq.read_table(path)
    start = table["timestamp"].to_pylist()[-1]
    one = table.slice(0, 1)
    extra = pa.concat_tables(
        [
            table,
            one.set_column(
                0, "timestamp", pa.array([start.replace(minute=0, hour=start.hour + 1)], pa.timestamp("ms", "UTC"))
            ),
            one.set_column(0, "timestamp", pa.array([start.replace(hour=8)], pa.timestamp("ms", "UTC"))),
        ]
    )
    pq.write_table(extra, path)
    day = read_sample(path, Index.SPX).days[0]
    assert len(day.start_s) == 390
    assert int(day.start_s[-1]) * SECOND + MINUTE == day.session.close_ns


def test_several_files_are_one_series(tmp_path):
    write_days(tmp_path / "ES_b.parquet", date(2024, 11, 26), date(2024, 11, 26), seed=2)
    write_days(tmp_path / "ES_a.parquet", date(2024, 11, 27), date(2024, 11, 27))
    write_days(tmp_path / "NQ_a.parquet", date(2024, 11, 25), date(2024, 11, 25))
    (tmp_path / "sub").mkdir()
    write_days(tmp_path / "sub" / "ES_c.parquet", date(2024, 12, 2), date(2024, 12, 2))
    (tmp_path / "other.parquet").write_bytes(b"not bars")
    sample = read_sample(tmp_path, Index.SPX)
    assert [day.session.day for day in sample.days] == ["2024-11-26", "2024-11-27", "2024-12-02"]
    assert not sample.cash
    assert np.all(np.diff([day.start_s[0] for day in sample.days]) > 0)


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({"ES_a": {}, "SPY_b": {"seed": 2}}, "two different bars that start at 2024-11-27T14:30"),
        ({"ES_a": {}, "I_SPX_b": {"seed": 2}}, "the index and a stand-in side by side"),
        ({"ES_a": {}, "ES_b": {"seconds": 300}}, "bars of"),
    ],
)
def test_instruments_are_not_mixed(tmp_path, files, problem):
    for name, options in files.items():
        write_days(tmp_path / f"{name}.parquet", date(2024, 11, 27), date(2024, 11, 27), **options)
    with pytest.raises(ConfigurationError, match=problem):
        read_sample(tmp_path, Index.SPX)


def test_a_longer_file_may_lie_beside_a_shorter_one(tmp_path):
    write_days(tmp_path / "ES_2024H2.parquet", date(2024, 11, 26), date(2024, 11, 26))
    once = read_sample(tmp_path, Index.SPX)
    write_days(tmp_path / "ES_2024.parquet", date(2024, 11, 26), date(2024, 11, 26))
    twice = read_sample(tmp_path, Index.SPX)
    assert len(twice.days) == 1
    assert np.array_equal(twice.days[0].start_s, once.days[0].start_s)
    assert np.array_equal(twice.days[0].close, once.days[0].close)


def test_a_file_that_names_no_index_is_a_stand_in_of_the_one_asked_for(tmp_path):
    path = write_days(tmp_path / "later-bars.parquet", date(2024, 11, 27), date(2024, 11, 27))
    for source in (path, tmp_path):
        sample = read_sample(source, Index.NDX)
        assert len(sample.days) == 1
        assert not sample.cash
    write_days(tmp_path / "NQ_a.parquet", date(2024, 11, 26), date(2024, 11, 26))
    assert read_sample(tmp_path, Index.NDX).files == ("NQ_a.parquet",), "beside a named one it is a stranger"


def test_a_file_of_the_other_index_is_refused(tmp_path):
    path = write_days(tmp_path / "ES_a.parquet", date(2024, 11, 27), date(2024, 11, 27))
    with pytest.raises(ConfigurationError, match="does not speak for NDX"):
        read_sample(path, Index.NDX)


def test_a_file_without_a_session_is_refused(tmp_path):
    path = write_days(tmp_path / "ES_a.parquet", date(2024, 11, 27), date(2024, 11, 27))
    table = pq.read_table(path)
    shifted = pa.array([stamp.replace(day=28) for stamp in table["timestamp"].to_pylist()], pa.timestamp("ms", "UTC"))
    pq.write_table(table.set_column(0, "timestamp", shifted), path)
    with pytest.raises(ConfigurationError, match="inside a session"):
        read_sample(path, Index.SPX)


@pytest.mark.data
@pytest.mark.parametrize(
    ("folder", "index", "cash", "seconds", "days"),
    [
        ("es_1m", Index.SPX, False, 60, 130),
        ("spx_5m", Index.SPX, True, 300, 1_100),
        ("spy_1m", Index.SPX, False, 60, 250),
    ],
)
def test_the_shared_files_are_read(folder, index, cash, seconds, days):
    root = data_dir()
    if root is None:
        pytest.skip("no market data (KALSHI_DAEMON_DATA)")
    sample = read_sample(root / folder, index)
    assert (sample.cash, sample.bar_seconds) == (cash, seconds)
    assert len(sample.days) >= days
    assert "2024-05-30" not in [day.session.day for day in sample.days] or not cash
