"""Sums over flow by hand, the recorded books, and the crowd that is fitted to them."""

from datetime import date, time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kalshi_daemon.ground.units import SECOND, Nanos
from kalshi_daemon.simulator.traders.regimes import regime
from tests.backtest.flow import FlowTally, Top, Trade
from tests.backtest.flow_sources import recorded_flow, simulated_flow
from tests.support.data import data_dir

DAY = date(2026, 11, 23)


def at(seconds: float) -> Nanos:
    return Nanos(round((1_000_000 + seconds) * SECOND))


def by_hand() -> FlowTally:
    """An hour at 40/44, half an hour at 41/43; bought at 44 while the index was rising, and the mid rose for good."""
    tally = FlowTally(lambda _m, ns: float(ns > at(3_599)), lambda _m, _ns: True)
    tally.top(at(0), "M", Top(40.0, 100.0, 44.0, 300.0))
    tally.place(1, 41.0, Top(40.0, 100.0, 44.0, 300.0))
    tally.place(-1, 44.0, Top(40.0, 100.0, 44.0, 300.0))
    tally.trade(Trade(at(3_600), "M", 1, 44.0, 30.0, 42.0, informed=True))
    tally.cancel(at(3_601), "M", -1)
    tally.top(at(3_610), "M", Top(44.0, 200.0, 46.0, 200.0))
    tally.trade(Trade(at(5_000), "M", -1, 44.0, 10.0, 45.0, informed=False))
    tally.top(at(5_410), "M", None)
    return tally


def test_sums_by_hand():
    flow = by_hand().figures(at(9_000))
    assert flow.market_hours == pytest.approx(5_410 / 3_600)
    assert flow.spread_cents == pytest.approx((3_610 * 4 + 1_800 * 2) / 5_410)
    assert flow.touch_contracts == 200.0
    assert flow.trades_per_hour == pytest.approx(2 * 3_600 / 5_410)
    assert (flow.size_mean, flow.informed_share) == (20.0, 0.5)
    assert (flow.against_share, flow.with_share) == (0.5, 0.0), "the second trade met an index that stood still"
    assert (flow.in_front_share, flow.cancels_per_trade) == (0.5, 0.5)
    assert flow.half_spread.cents == pytest.approx((30 * 2 + 10 * 1) / 40)
    assert flow.after_5s.cents == pytest.approx((30 * 2 + 10 * 1) / 40)
    assert flow.after_30s.cents == pytest.approx((30 * (44 - 45) + 10 * 1) / 40)
    assert flow.pulled == pytest.approx(0.5 / (0.5 / 5_410 * 2))


def test_nothing_two_sided_is_no_flow():
    with pytest.raises(ValueError, match="two-sided"):
        FlowTally(lambda _m, _ns: None, lambda _m, _ns: None).figures(at(1))


def test_a_recorded_insert_that_crosses_is_a_trade(tmp_path):
    rows = [
        (0, "Insert", "B", 100, 40), (0, "Insert", "A", 50, 44), (1, "Insert", "A", 80, 43), (2, "Cancel", "B", 1, 12),
        (60, "Insert", "B", 100, 43), (61, "Cancel", "A", 50, 44), (62, "Insert", "A", 10, 46),
        (120, "Cancel", "A", 10, 46),
    ]  # fmt: skip
    seconds, operation, side, volume, price = zip(*rows, strict=True)
    stamp = pa.timestamp("us", tz="UTC")
    events = {"ts": pa.array([int(at(one)) // 1_000 for one in seconds], stamp), "Operation": operation, "Side": side,
              "Volume": volume, "price_cents": price}  # fmt: skip
    pq.write_table(pa.table(events), tmp_path / "book_events_D.parquet")
    spx = {
        "ts": pa.array([int(at(one)) // 1_000 for one in range(121)], stamp),
        "spx": [float(n) for n in range(121)],
    }
    pq.write_table(pa.table(spx), tmp_path / "SPX_1hz_D.parquet")
    flow = recorded_flow(tmp_path, "D")
    assert flow.trades_per_hour * flow.market_hours == pytest.approx(1)
    assert (flow.size_mean, flow.half_spread.cents) == (80.0, 1.5)
    assert flow.cancels_per_trade == 2.0, "of what is not there nothing is cancelled"


@pytest.mark.data
@pytest.mark.parametrize(("day", "spread"), [("2023-04-10", 2.51), ("2023-04-13", 3.13)])
def test_the_books_of_2023_are_read_as_they_were_measured_before(day, spread):
    root = data_dir()
    if root is None:
        pytest.skip("no market data (KALSHI_DAEMON_DATA)")
    flow = recorded_flow(root / "kalshi_inx_2023", day)
    assert flow.spread_cents == pytest.approx(spread, abs=0.05)
    assert 4_000 < flow.contracts_per_hour < 5_700
    assert 0.9 < flow.half_spread.cents < 1.2
    assert abs(flow.after_30s.cents) < 0.7


def test_in_the_efficient_market_the_average_maker_earns_nothing_after_half_a_minute():
    """`make flow` says it over whole sessions, with its error."""
    flow = simulated_flow(regime("efficient"), 3, DAY, time(12, 30), time(13, 0))
    assert flow.half_spread.cents > 0.8
    assert flow.after_30s.error < 0.6
    assert abs(flow.after_30s.cents) < 2 * flow.after_30s.error
    assert 1.8 < flow.spread_cents < 3.6, "as in 2023: 2.5 and 3.1"
    assert 120 < flow.touch_contracts < 400, "as in 2023: 250"
