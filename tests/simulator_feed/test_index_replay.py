import itertools
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_daemon.bars.files import index_of, read_bars
from kalshi_daemon.domain.index import Channel, Index
from kalshi_daemon.domain.window import Session
from kalshi_daemon.ground.errors import ConfigurationError
from kalshi_daemon.ground.units import MINUTE, SECOND, Nanos
from kalshi_daemon.simulator.feed.index_path import AFTER_HOURS_S
from kalshi_daemon.simulator.feed.index_replay import bridge_bar, load_replay
from tests.support.data import data_dir
from tests.support.instruments import DJI, INDICES, three

NEW_YORK = ZoneInfo("America/New_York")


def ns(day, clock):
    at = datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=NEW_YORK)
    return Nanos(int(at.timestamp()) * SECOND)


def calendar(day):
    """Weekdays; 2025-03-05 is a holiday, 2025-03-06 a half day."""
    if datetime.fromisoformat(day).replace(tzinfo=UTC).weekday() > 4 or day == "2025-03-05":
        return None
    half = day == "2025-03-06"
    return Session(day, ns(day, "09:30"), ns(day, "13:00" if half else "16:00"), half_day=half)


def write(path, days, *, length=60, start="09:30", count=390, level=6_000.0, drop=(), vendor=False, change=None):
    """A bar file of a slow sine wave; `drop` are bar numbers left out of every day."""
    starts, prices = [], []
    for day in days:
        first = ns(day, start) // SECOND
        for number in range(count):
            if number in drop:
                continue
            a, b = (level + 10 * np.sin((number + step) / 20) for step in (0, 1))
            starts.append(first + number * length)
            prices.append((round(a, 2), round(max(a, b) + 1, 2), round(min(a, b) - 1, 2), round(b, 2)))
    columns = dict(zip(("open", "high", "low", "close"), zip(*prices, strict=True), strict=True))
    if change:
        change(starts, columns)
    if vendor:
        stamps = pa.array([second * 1_000_000 for second in starts], pa.timestamp("us", tz="UTC"))
        table = pa.table({"timestamp": stamps, **{name: pa.array(values) for name, values in columns.items()}})
    else:
        scaled = {
            name: pa.array([round(value * 100) for value in values], pa.int32()) for name, values in columns.items()
        }
        table = pa.table({"ts": pa.array(starts, pa.int64()), **scaled}).replace_schema_metadata({"price_scale": "100"})
    pq.write_table(table, path)
    return path


# ---------------------------------------------------------------- one bar


@settings(max_examples=200, deadline=None)
@given(
    st.tuples(*[st.integers(1, 100_000)] * 4).map(sorted),
    st.permutations([1, 2]),
    st.sampled_from([4, 5, 60, 300]),
    st.integers(0, 2**32),
)
def test_a_bridged_bar_opens_touches_closes_and_stays_inside(levels, middle, count, seed):
    low, high = levels[0] / 100, levels[3] / 100
    first, last = levels[middle[0]] / 100, levels[middle[1]] / 100
    values = bridge_bar((first, high, low, last), count, np.random.default_rng(seed))
    assert len(values) == count
    assert (values[0], values[-1]) == (first, last)
    assert (values.min(), values.max()) == (low, high)


def test_a_flat_bar_is_flat():
    assert set(bridge_bar((5.0, 5.0, 5.0, 5.0), 60, np.random.default_rng(0))) == {5.0}


def test_a_bridge_moves_like_a_market_not_like_a_ramp():
    values = bridge_bar((100.0, 101.0, 99.0, 100.0), 60, np.random.default_rng(0))
    assert len(set(np.sign(np.diff(values)))) > 1
    assert np.abs(np.diff(values)).max() < 1.5


# ------------------------------------------------------------- file names


@pytest.mark.parametrize(
    ("name", "index", "factor"),
    [
        ("I_SPX_2025-10-31.parquet", Index.SPX, 1.0),
        ("I_NDX_2025-10-31.parquet", Index.NDX, 1.0),
        ("NQ1_1m_2025H1.parquet", Index.NDX, 1.0),
        ("ES1_1m_2024-12_2025-06.parquet", Index.SPX, 1.0),
        ("SPX_5m_2020-11_2025-06.parquet", Index.SPX, 1.0),
        ("SPY_1m_2024-03_2025-04_rth.parquet", Index.SPX, 10.0),
        ("qqq_1m.parquet", Index.NDX, 41.0),
    ],
)
def test_the_index_is_read_from_the_file_name(name, index, factor):
    assert index_of(Path(name)) == (index, factor)


def test_a_row_of_the_table_brings_its_own_words():
    assert index_of(Path("dia_1m.parquet"), three()) == (DJI, 100.0)
    assert index_of(Path("I_DJI_2025-10-31.parquet"), three()) == (DJI, 1.0)
    with pytest.raises(ConfigurationError, match="names no index"):
        index_of(Path("dia_1m.parquet"))


def test_a_file_name_without_an_index_is_refused():
    with pytest.raises(ConfigurationError, match=r"bars\.parquet.*names no index"):
        index_of(Path("bars.parquet"))


# ------------------------------------------------------------------ replay


@pytest.mark.parametrize("vendor", [True, False])
@pytest.mark.parametrize("length", [60, 300])
def test_every_bar_comes_back_out_of_the_path_it_went_into(tmp_path, vendor, length):
    count = 23_400 // length
    path = write(tmp_path / "I_SPX.parquet", ["2025-03-04"], length=length, count=count, vendor=vendor)
    replay = load_replay([path], calendar, seed=1)
    bars, spx = read_bars(path), replay.paths[Index.SPX]
    assert replay.session == calendar("2025-03-04")
    assert replay.missing == {Index.SPX: 0}
    for number, start in enumerate(bars.start_s):
        made = spx.bar(Channel.MINUTE, Nanos(int(start) * SECOND), Nanos(int(start + length) * SECOND))
        assert made is not None
        assert made.open == pytest.approx(bars.open[number], abs=1e-9)
        assert made.high == pytest.approx(bars.high[number], abs=1e-9)
        assert made.low == pytest.approx(bars.low[number], abs=1e-9)
        assert made.close == pytest.approx(bars.close[number], abs=1e-9)


def test_defect_06_the_value_at_a_fixing_is_not_the_close_of_the_bar_that_starts_there(tmp_path):
    path = write(tmp_path / "SPX.parquet", ["2025-03-04"])
    bars, spx = read_bars(path), load_replay([path], calendar).paths[Index.SPX]
    noon = 150  # minutes after 09:30
    assert spx.value_at(ns("2025-03-04", "12:00")) == pytest.approx(bars.open[noon])
    assert spx.value_at(Nanos(ns("2025-03-04", "12:00") - SECOND)) == pytest.approx(bars.close[noon - 1])


def test_the_last_session_bar_settles_the_close_and_later_bars_are_late_prints(tmp_path):
    def jump(_starts, columns):
        for name, values in columns.items():
            columns[name] = [*values[:390], *(value + 25 for value in values[390:])]

    path = write(tmp_path / "SPX.parquet", ["2025-03-04"], count=393, change=jump)
    bars, spx = read_bars(path), load_replay([path], calendar).paths[Index.SPX]
    assert spx.value_at(spx.close_ns) == pytest.approx(bars.close[389])
    late = spx.values[-AFTER_HOURS_S - 1 :]
    assert late[59] == pytest.approx(bars.close[390])
    assert late[180:] == pytest.approx(np.full(121, bars.close[392]))


def test_the_previous_close_is_the_last_bar_before_the_open(tmp_path):
    path = write(tmp_path / "SPX.parquet", ["2025-03-03", "2025-03-04"], count=391)
    bars = read_bars(path)
    spx = load_replay([path], calendar).paths[Index.SPX]
    assert spx.previous_close == pytest.approx(bars.close[390])
    alone = load_replay([path], calendar, day="2025-03-03").paths[Index.SPX]
    assert alone.previous_close == pytest.approx(bars.open[0])


def test_the_last_whole_session_is_taken_and_any_other_can_be_named(tmp_path):
    days = ["2025-03-03", "2025-03-04", "2025-03-05"]
    path = write(tmp_path / "SPX.parquet", days)
    assert load_replay([path], calendar).session.day == "2025-03-04"  # the 5th is a holiday
    assert load_replay([path], calendar, day="2025-03-03").session.day == "2025-03-03"
    with pytest.raises(ConfigurationError, match="2025-03-05 is not a trading day"):
        load_replay([path], calendar, day="2025-03-05")
    with pytest.raises(ConfigurationError, match="does not cover the session of 2025-03-07"):
        load_replay([path], calendar, day="2025-03-07")


def test_a_half_day_ends_at_one(tmp_path):
    path = write(tmp_path / "SPX.parquet", ["2025-03-06"], start="08:00", count=600)
    spx = load_replay([path], calendar).paths[Index.SPX]
    assert spx.close_ns == ns("2025-03-06", "13:00")
    assert len(spx.values) == 210 * 60 + AFTER_HOURS_S + 1


def test_missing_minutes_carry_on_flat_and_are_counted(tmp_path):
    path = write(tmp_path / "SPX.parquet", ["2025-03-04"], drop={0, 100, 101})
    replay = load_replay([path], calendar)
    spx, bars = replay.paths[Index.SPX], read_bars(path)
    assert replay.missing == {Index.SPX: 3}
    gap = spx.bar(Channel.MINUTE, Nanos(spx.open_ns + 100 * MINUTE), Nanos(spx.open_ns + 102 * MINUTE))
    assert gap is not None
    assert gap.high == gap.low == pytest.approx(bars.close[98])
    assert spx.values[0] == spx.values[59] == pytest.approx(bars.open[0])


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"start": "11:45", "count": 20}, "the first bar comes 135 min after the open"),
        ({"count": 100}, "the last bar ends 290 min before the close"),
        ({"drop": set(range(10, 200))}, "190 of 390 bars are missing"),
        ({"start": "17:00", "count": 60}, "no bar in it"),
    ],
)
def test_bars_that_are_not_the_whole_session_are_refused_with_the_reason(tmp_path, change, problem):
    path = write(tmp_path / "SPX.parquet", ["2025-03-04"], **change)
    with pytest.raises(ConfigurationError, match=problem) as caught:
        load_replay([path], calendar)
    assert str(path) in str(caught.value)
    with pytest.raises(ConfigurationError, match=problem):
        load_replay([path], calendar, day="2025-03-04")


def test_the_index_without_a_file_is_made_from_the_other_one(tmp_path):
    rng = np.random.default_rng(0)

    def rough(_starts, columns):
        level = 6_000 * np.exp(np.cumsum(rng.normal(0, 3e-4, 391)))
        columns["open"], columns["close"] = list(level[:-1]), list(level[1:])
        columns["high"] = [max(pair) + 0.5 for pair in itertools.pairwise(level)]
        columns["low"] = [min(pair) - 0.5 for pair in itertools.pairwise(level)]

    for name, made in (("SPX", Index.NDX), ("NDX", Index.SPX)):
        path = write(tmp_path / f"{name}.parquet", ["2025-03-04"], change=rough)
        replay = load_replay([path], calendar, seed=1)
        assert replay.synthesised == (made,)
        assert set(replay.missing) == {index for index in INDICES if index != made}
        spx, ndx = (np.diff(np.log(replay.paths[index].values[:23_401:60])) for index in INDICES)
        assert np.corrcoef(spx, ndx)[0, 1] == pytest.approx(0.9, abs=0.04)
        assert ndx.std() / spx.std() == pytest.approx(1.35, abs=0.2)


def test_two_files_make_two_real_paths_and_the_seed_alone_decides_the_seconds(tmp_path):
    files = [
        write(tmp_path / "SPX.parquet", ["2025-03-04"]),
        write(tmp_path / "NQ.parquet", ["2025-03-04"], level=20_000),
    ]
    one, same, other = (
        load_replay(order, calendar, seed=seed) for order, seed in ((files, 1), (files[::-1], 1), (files, 2))
    )
    assert one.synthesised == ()
    for index in INDICES:
        assert np.array_equal(one.paths[index].values, same.paths[index].values)
        assert not np.array_equal(one.paths[index].values, other.paths[index].values)


def test_sessions_that_no_file_shares_are_refused(tmp_path):
    files = [write(tmp_path / "SPX.parquet", ["2025-03-03"]), write(tmp_path / "NQ.parquet", ["2025-03-04"])]
    with pytest.raises(ConfigurationError, match="no day in common"):
        load_replay(files, calendar)


def test_no_files_and_two_files_of_one_index_are_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="no bar file given"):
        load_replay([], calendar)
    files = [write(tmp_path / f"{name}.parquet", ["2025-03-04"]) for name in ("SPX", "SPY")]
    with pytest.raises(ConfigurationError, match=r"SPX\.parquet, SPY\.parquet"):
        load_replay(files, calendar)


# ---------------------------------------------------------------- bad files


def no_scale(path):
    table = pq.read_table(path)
    pq.write_table(table.replace_schema_metadata({}), path)


def zero_scale(path):
    pq.write_table(pq.read_table(path).replace_schema_metadata({"price_scale": "0"}), path)


def no_columns(path):
    pq.write_table(pa.table({"ts": [1]}), path)


def truncated(path):
    path.write_bytes(path.read_bytes()[:-100])


def empty(path):
    path.write_bytes(b"")


def no_rows(path):
    pq.write_table(pq.read_table(path).slice(0, 0), path)


def one_row(path):
    pq.write_table(pq.read_table(path).slice(0, 1), path)


def twice(path):
    table = pq.read_table(path)
    pq.write_table(pa.concat_tables([table, table.slice(5, 1)]), path)


def upside_down(path):
    table = pq.read_table(path)
    swapped = table.rename_columns(["ts", "open", "low", "high", "close"])
    pq.write_table(swapped.replace_schema_metadata(table.schema.metadata), path)


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (Path.unlink, "no such file"),
        (truncated, "not a readable parquet file"),
        (empty, "not a readable parquet file"),
        (no_scale, "no price_scale"),
        (zero_scale, "price_scale 0"),
        (no_columns, "no bars in it"),
        (no_rows, "it holds no bars"),
        (one_row, "bars of 0 s"),
        (twice, "two bars with the same start"),
        (upside_down, "does not hold its own open and close"),
    ],
)
def test_a_spoilt_file_is_one_line_that_names_it(tmp_path, spoil, problem):
    path = write(tmp_path / "SPX.parquet", ["2025-03-04"])
    spoil(path)
    with pytest.raises(ConfigurationError, match=problem) as caught:
        load_replay([path], calendar)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_prices_are_refused(tmp_path):
    def with_nan(_starts, columns):
        columns["close"] = [*columns["close"][:-1], float("nan")]

    path = write(tmp_path / "SPX.parquet", ["2025-03-04"], vendor=True, change=with_nan)
    with pytest.raises(ConfigurationError, match="2025-03-04T20:59"):
        load_replay([path], calendar)


# ------------------------------------------------------------------ real data

REAL = [
    (
        ["polygon_index_minutes/I_SPX_2025-10-31.parquet", "polygon_index_minutes/I_NDX_2025-10-31.parquet"],
        "2025-10-31",
    ),
    (["es_1m/ES1_1m_2024-12_2025-06.parquet", "nq_1m/NQ1_1m_2025H1.parquet"], "2025-04-09"),
    (["spx_5m/SPX_5m_2020-11_2025-06.parquet"], "2025-05-07"),
    (["spy_1m/SPY_1m_2024-03_2025-04_rth.parquet"], "2024-07-18"),
]


@pytest.mark.data
@pytest.mark.parametrize(("names", "day"), REAL)
def test_real_days_are_bridged_bar_for_bar(names, day):
    root = data_dir()
    if root is None:
        pytest.skip("the shared market data is not here (KALSHI_DAEMON_DATA)")
    replay = load_replay([root / name for name in names], calendar, day=day, seed=1)
    for name in names:
        bars = read_bars(root / name)
        path = replay.paths[bars.index]
        inside = bars.between(path.open_ns // SECOND, path.close_ns // SECOND)
        assert replay.missing[bars.index] == 0
        for number, start in enumerate(inside.start_s):
            end = int(start) + bars.bar_seconds
            made = path.bar(Channel.MINUTE, Nanos(int(start) * SECOND), Nanos(end * SECOND))
            assert made is not None
            found = (made.open, made.high, made.low, made.close)
            real = tuple(column[number] for column in (inside.open, inside.high, inside.low, inside.close))
            assert found == pytest.approx(real, abs=0.006)
        assert path.value_at(path.close_ns) == pytest.approx(inside.close[-1], abs=0.006)


@pytest.mark.data
def test_a_real_twenty_minute_window_is_not_a_session():
    root = data_dir()
    if root is None:
        pytest.skip("the shared market data is not here (KALSHI_DAEMON_DATA)")
    with pytest.raises(ConfigurationError, match="the first bar comes 135 min after the open"):
        load_replay([root / "polygon_index_minutes/I_SPX_2024-04-19_noon.parquet"], calendar)
