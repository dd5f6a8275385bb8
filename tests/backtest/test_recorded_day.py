"""A recorded day is read whole or refused with the place: what happened at each level, the index, the contract."""

import os
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.special import ndtr

from kalshi_daemon.backtest.recorded.bracket import infer_bracket
from kalshi_daemon.backtest.recorded.day_files import recorded_days
from kalshi_daemon.backtest.recorded.recorded_day import read_day
from kalshi_daemon.backtest.recorded.tape import TapeKind
from kalshi_daemon.domain.instruments import SHIPPED_INSTRUMENTS
from kalshi_daemon.ground.errors import ConfigurationError
from tests.backtest.recordings import BRACKET, DAY, OPEN, busy_book, index_values, insert, write_recording

ROOT: Final = Path(__file__).resolve().parents[2]
ROWS = [
    insert(500, 1, "B", 10, 40),
    insert(499, 2, "B", 20, 41),
    insert(498, 3, "A", 25, 40),  # sells 20 at 41 and 5 at 40
    insert(497, 4, "A", 7, 45),
    insert(496, 5, "B", 9, 46),  # buys the 7 at 45; 2 rest at 46
    (insert(495, 1, "B", 3, 40)[0], "Cancel", 1, "B", 3, 40),
]


def read(folder):
    return read_day(folder, DAY, SHIPPED_INSTRUMENTS)


def test_an_insert_that_crosses_is_a_trade_level_by_level_and_the_rest_of_it_rests(tmp_path):
    day = read(write_recording(tmp_path, ROWS))
    found = [(one.kind.value, one.side.value, one.price // 100, one.count // 100, one.order_id) for one in day.events]
    assert found == [
        ("add", "bid", 40, 10, 1),
        ("add", "bid", 41, 20, 2),
        ("trade", "bid", 41, 20, 0),
        ("trade", "bid", 40, 5, 0),
        ("add", "ask", 45, 7, 4),
        ("trade", "ask", 45, 7, 0),
        ("add", "bid", 46, 2, 5),
        ("cancel", "bid", 40, 3, 1),
    ]
    (event,) = day.listing.events
    (market,) = event.markets
    assert (event.ticker, market.ticker) == ("KXINX-23APR10H1600", "KXINX-23APR10H1600-B4075")
    assert (market.floor, market.cap) == (40_500_000, 40_999_999)
    assert {one.ticker for one in day.events} == {market.ticker}


def test_a_recording_may_tell_its_trades_itself(tmp_path):
    rows = [insert(500, 1, "B", 10, 40), insert(499, 2, "A", 10, 44)]
    rows.append((insert(498, 0, "B", 4, 40)[0], "Trade", 0, "B", 4, 40))
    found = [(one.kind.value, one.side.value, one.count // 100) for one in read(write_recording(tmp_path, rows)).events]
    assert found == [("add", "bid", 10), ("add", "ask", 10), ("trade", "bid", 4)]


def test_each_second_has_the_last_value_that_was_seen(tmp_path):
    values = index_values()
    day = read(write_recording(tmp_path, ROWS, values=values))
    (path,) = day.paths.values()
    assert path.values[100] == values[99], "seen 0.3 s after the second before"
    assert path.value_at(path.close_ns) == values[23_399]
    assert day.known_from_ns == day.events[0].at_ns, "nothing is played before both are known"


def test_several_markets_are_told_apart_by_name(tmp_path):
    hourly = {"ticker": "above", "index": "SPX", "lowest": 4_080, "highest": None, "settles": "15:00"}
    folder = write_recording(tmp_path, ROWS, markets=[{**BRACKET, "ticker": "bin"}, hourly])
    path = folder / f"book_events_{DAY}.parquet"
    table = pq.read_table(path).append_column("Ticker", pa.array(["bin", "above", "bin", "above", "bin", "above"]))
    pq.write_table(table, path)
    day = read(folder)
    assert [event.ticker for event in day.listing.events] == ["KXINX-23APR10H1600", "KXINXU-23APR10H1500"]
    assert [one.ticker.rpartition("-")[2] for one in day.events[:2]] == ["B4075", "T4080"]
    pq.write_table(table.set_column(6, "Ticker", pa.array(["bin", "else"] * 3)), path)
    with pytest.raises(ConfigurationError, match="no market 'else'"):
        read(folder)


@pytest.mark.parametrize(("lowest", "width", "found"), [(4_050, 50, (4_050, 50)), (4_100, 25, (4_100, 25))])
def test_the_bracket_is_the_one_its_prices_fit(lowest, width, found):
    rng = np.random.default_rng(3)
    level = 4_090.0 + np.cumsum(rng.normal(0.0, 1.2, 380))
    left = np.linspace(0.99, 0.02, 380)
    scale = 0.01 * level * np.sqrt(left)
    mids = ndtr((lowest + width - level) / scale) - ndtr((lowest - level) / scale) + rng.normal(0.0, 0.02, 380)
    fit = infer_bracket(list(zip(level, left, mids, strict=True)), (25, 50))
    assert fit is not None
    assert (fit.lowest, fit.width) == found
    assert fit.ratio > 1.5


def test_without_prices_nobody_can_tell_which_contract_it_was(tmp_path):
    with pytest.raises(ConfigurationError, match=r"markets_2023-04-10.json: no such file, and which contract"):
        read(write_recording(tmp_path, ROWS, markets=None))


def _with(column, row, value):
    def spoil(folder):
        path = folder / f"book_events_{DAY}.parquet"
        table = pq.read_table(path)
        values = table[column].to_pylist()
        values[row] = value
        place = table.column_names.index(column)
        pq.write_table(table.set_column(place, column, pa.array(values, table[column].type)), path)

    return spoil


def _truncate(folder):
    path = folder / f"book_events_{DAY}.parquet"
    path.write_bytes(path.read_bytes()[:-40])


def _values(values):
    return lambda folder: write_recording(folder, ROWS, values=values)


def _holiday(folder):
    (folder / f"book_events_{DAY}.parquet").rename(folder / "book_events_2023-04-07.parquet")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_truncate, "not a readable parquet file"),
        (_with("Side", 2, "X"), "row 2: Side 'X' is none of B, A"),
        (_with("Operation", 0, "Fill"), "row 0: Operation 'Fill' is none of Insert, Cancel, Trade"),
        (_with("Volume", 3, 0), "row 3: Volume 0 is not between 1 and"),
        (_with("price_cents", 1, 100), "row 1: price_cents 100 is not between 1 and 99"),
        (_with("ts", 4, OPEN), "row 4: time goes back"),
        (_with("OrderId", 4, None), "OrderId: int64, or empty, is no whole number"),
        (lambda folder: (folder / f"SPX_1hz_{DAY}.parquet").unlink(), "SPX_1hz_2023-04-10.parquet: no such file"),
        (lambda folder: (folder / f"markets_{DAY}.json").write_text("{"), "not a list of markets"),
        (lambda folder: (folder / f"markets_{DAY}.json").write_text("[]"), "which contract it was cannot be told"),
        (_values(index_values()[:20_000]), "no values for 3400 s from 2023-04-10T19:03:19"),
        (_values(np.where(np.arange(23_401) == 7, -1.0, index_values())), "row 7: spx -1.0 is no level"),
        (_holiday, "2023-04-07 is not a trading day"),
    ],
)
def test_what_is_damaged_is_one_line_with_the_place(tmp_path, spoil, words):
    folder = write_recording(tmp_path, ROWS)
    spoil(folder)
    with pytest.raises(ConfigurationError, match=words.replace("(", r"\(")) as refused:
        read_day(folder, recorded_days(folder)[0], SHIPPED_INSTRUMENTS)
    assert str(folder) in str(refused.value)


def test_a_folder_without_days_says_what_belongs_in_it(tmp_path):
    with pytest.raises(ConfigurationError, match="no recorded day in it"):
        recorded_days(tmp_path)
    with pytest.raises(ConfigurationError, match="no such folder"):
        recorded_days(tmp_path / "none")


def test_the_days_are_those_with_books(tmp_path):
    write_recording(tmp_path, busy_book(40, 48, seconds=2))
    (tmp_path / "notes.txt").write_text("")
    assert recorded_days(tmp_path) == (DAY,)


@pytest.mark.data
@pytest.mark.parametrize(
    ("day", "bounds", "traded"), [("2023-04-10", (4_050, 4_100), 36_076), ("2023-04-13", (4_100, 4_150), 30_031)]
)
def test_the_days_of_2023_are_read_as_they_lie(day, bounds, traded):
    folder = Path(os.environ.get("KALSHI_DAEMON_DATA") or ROOT / "../shared/data") / "kalshi_inx_2023"
    if not folder.exists():
        pytest.skip("the shared market data is not here (KALSHI_DAEMON_DATA)")
    found = read_day(folder, day, SHIPPED_INSTRUMENTS)
    (event,) = found.listing.events
    (market,) = event.markets
    assert (market.floor, market.cap) == (bounds[0] * 10_000, bounds[1] * 10_000 - 1)
    assert sum(one.count for one in found.events if one.kind is TapeKind.TRADE) == 100 * traded
    assert "the recording names no contract" in found.notes[0]
