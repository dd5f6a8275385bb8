"""Listing JSON to domain values: strikes, grids, fees, times."""

import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_daemon.domain.contract import FeeSchedule, FeeType, MarketStatus, StrikeType
from kalshi_daemon.domain.index import Index
from kalshi_daemon.ground.errors import MalformedData, MalformedField, MissingField, UnknownValue
from kalshi_daemon.ground.units import Level, Nanos, Price, parse_level
from kalshi_daemon.kalshi.listing_codec import (
    describe_fees,
    describe_override,
    parse_fee_schedule,
    parse_grid,
    parse_market,
    partition_problem,
)
from tests.support.data import data_dir
from tests.venue.listing_samples import CENT_GRID, INDICES, market_object, range_objects

NOW = Nanos(1_795_000_000_000_000_000)
QUADRATIC = FeeSchedule(FeeType.QUADRATIC, 1_000_000, NOW)


def ends(**changes):
    contract = parse_market(market_object(**changes), INDICES).contract
    return contract.lowest, contract.highest


@pytest.mark.parametrize(
    ("strike_type", "floor", "cap", "lowest", "highest"),
    [
        ("greater", 7844.9999, None, 7845.00, None),
        ("greater_or_equal", 7845, None, 7845.00, None),
        ("greater_or_equal", 7844.9999, None, 7845.00, None),
        ("greater", 29599.99, None, 29600.00, None),
        ("greater_or_equal", 29600, None, 29600.00, None),
        ("greater", 7845, None, 7845.01, None),
        ("less", None, 7225, None, 7224.99),
        ("less", None, 7224.9999, None, 7224.99),
        ("less_or_equal", None, 7224.9999, None, 7224.99),
        ("less_or_equal", None, 7225, None, 7225.00),
        ("between", 7175, 7199.9999, 7175.00, 7199.99),
        ("between", 25900, 25999.99, 25900.00, 25999.99),
        ("between", 7200, 7200, 7200.00, 7200.00),
    ],
)
def test_strikes_become_inclusive_ends_on_the_settlement_grid(strike_type, floor, cap, lowest, highest):
    want = tuple(None if end is None else parse_level(end) for end in (lowest, highest))
    assert ends(strike_type=strike_type, floor_strike=floor, cap_strike=cap) == want


def test_defect_08_a_range_market_pays_inside_its_range_only():
    contract = parse_market(
        market_object("KXINX-26NOV23H1600-B6862", strike_type="between", floor_strike=6850, cap_strike=6874.9999),
        INDICES,
    ).contract
    assert contract.strike_type is StrikeType.BETWEEN
    assert not contract.pays(parse_level(6849.99))
    assert contract.pays(parse_level(6850.00))
    assert contract.pays(parse_level(6874.99))
    assert not contract.pays(parse_level(6875.00))  # a survival contract would still pay here


def test_the_ticker_is_never_read_for_the_strike():
    assert ends(ticker="KXINXU-26NOV23H1100-T9999.9999", floor_strike=6850) == (parse_level(6850), None)


def test_a_market_is_read_whole():
    market = parse_market(market_object(), INDICES)
    assert market.ticker == "KXINXU-26NOV23H1100-T6849.9999"
    assert market.contract.event_ticker == "KXINXU-26NOV23H1100"
    assert market.contract.series_ticker == "KXINXU"
    assert market.contract.index == Index.SPX
    assert market.status is MarketStatus.ACTIVE
    assert market.close_ns == market.contract.settles_ns == 1_795_449_600 * 10**9
    assert market.grid.at_or_below(4_257) == Price(4_200)
    assert (market.exchange_index, market.result, market.expiration_value) == (0, "", "")


def test_optional_fields_may_be_absent():
    obj = market_object()
    del obj["exchange_index"], obj["expiration_value"], obj["market_type"]
    market = parse_market(obj, INDICES)
    assert (market.exchange_index, market.expiration_value) == (None, "")


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"strike_type": "functional"}, UnknownValue),
        ({"strike_type": None}, MissingField),
        ({"strike_type": 5}, UnknownValue),
        ({"floor_strike": None}, MissingField),
        ({"floor_strike": "seven"}, MalformedField),
        ({"floor_strike": -5}, MalformedField),
        ({"strike_type": "less"}, MissingField),
        ({"strike_type": "between", "cap_strike": 6849.0}, MalformedField),
        ({"status": "napping"}, UnknownValue),
        ({"status": None}, MissingField),
        ({"result": "maybe"}, UnknownValue),
        ({"result": "scalar"}, UnknownValue),
        ({"result": None}, MissingField),
        ({"market_type": "scalar"}, UnknownValue),
        ({"close_time": "soon"}, MalformedField),
        ({"close_time": None}, MissingField),
        ({"open_time": 1_795_449_600}, MalformedField),
        ({"price_ranges": None}, MissingField),
        ({"price_ranges": []}, MalformedField),
        ({"price_ranges": [0.01]}, MalformedField),
        ({"price_ranges": [{"start": "0.0000", "end": "1.0000"}]}, MissingField),
        ({"price_ranges": [{"start": "0.0000", "end": "1.0000", "step": "0.0000"}]}, MalformedField),
        ({"price_ranges": [{"start": "1.0000", "end": "0.0000", "step": "0.0100"}]}, MalformedField),
        ({"exchange_index": -1}, MalformedField),
        ({"exchange_index": True}, MalformedField),
        ({"event_ticker": "KXBTC-26NOV23H1100"}, UnknownValue),
        ({"event_ticker": ""}, MalformedField),
        ({"ticker": None}, MissingField),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(changes, error):
    with pytest.raises(error):
        parse_market(market_object() | changes, INDICES)


@given(
    strike=st.integers(100, 4_000_000),
    kind=st.sampled_from(["greater", "greater_or_equal", "less", "less_or_equal"]),
    off=st.integers(-199, 199),
)
@settings(max_examples=200, deadline=None)
def test_ends_agree_with_the_words_of_the_strike_type_at_every_settlement_value_nearby(strike, kind, off):
    level = strike * 100 + off  # 1/10 000 point, on and off the two-decimal grid
    text = f"{level // 10_000}.{level % 10_000:04d}"
    field = "floor_strike" if kind.startswith("greater") else "cap_strike"
    contract = parse_market(market_object(strike_type=kind, floor_strike=None) | {field: text}, INDICES).contract
    for value in range((level // 100 - 3) * 100, (level // 100 + 4) * 100, 100):
        said = {
            "greater": value > level,
            "greater_or_equal": value >= level,
            "less": value < level,
            "less_or_equal": value <= level,
        }[kind]
        assert contract.pays(Level(value)) is said


def test_the_grid_comes_from_the_ranges_whatever_the_label_says():
    obj = market_object(price_level_structure="linear_cent")
    obj["price_ranges"] = [
        {"start": "0.9000", "end": "1.0000", "step": "0.0010"},
        {"start": "0.0000", "end": "0.1000", "step": "0.0010"},
        {"start": "0.1000", "end": "0.9000", "step": "0.0100"},
    ]
    grid = parse_market(obj, INDICES).grid
    assert grid.contains(Price(1_000 - 10))
    assert not grid.contains(Price(1_010))
    assert grid.contains(Price(9_010))


def test_too_many_bands_are_refused():
    with pytest.raises(MalformedField):
        parse_grid(CENT_GRID * 33)


@pytest.mark.parametrize(
    ("fee_type", "multiplier", "ppm"),
    [("quadratic", 1, 1_000_000), ("quadratic_with_maker_fees", 0.5, 500_000), ("quadratic", 0, 0)],
)
def test_fee_schedules_we_can_price(fee_type, multiplier, ppm):
    schedule = parse_fee_schedule({"fee_type": fee_type, "fee_multiplier": multiplier}, NOW)
    assert schedule == FeeSchedule(FeeType(fee_type), ppm, NOW)


@pytest.mark.parametrize(
    ("obj", "error"),
    [
        ({"fee_type": "flat", "fee_multiplier": 1}, UnknownValue),
        ({"fee_type": "quadratic_with_combo_maker_fees", "fee_multiplier": 1}, UnknownValue),
        ({"fee_multiplier": 1}, MissingField),
        ({"fee_type": "quadratic"}, MissingField),
        ({"fee_type": "quadratic", "fee_multiplier": -1}, MalformedField),
        ({"fee_type": "quadratic", "fee_multiplier": "much"}, MalformedField),
        ({"fee_type": "quadratic", "fee_multiplier": float("nan")}, MalformedField),
        ({"fee_type": "quadratic", "fee_multiplier": [1]}, MalformedField),
    ],
)
def test_fee_schedules_we_cannot_price_are_refused(obj, error):
    with pytest.raises(error):
        parse_fee_schedule(obj, NOW)


@pytest.mark.parametrize(
    ("fee_type", "multiplier", "text"),
    [
        (None, None, ""),
        ("quadratic", 1, ""),
        (None, 1, ""),
        ("quadratic", None, ""),
        (None, 2, "inherited x2"),
        ("quadratic_with_maker_fees", None, "quadratic_with_maker_fees xinherited"),
    ],
)
def test_an_event_override_counts_only_when_it_changes_something(fee_type, multiplier, text):
    assert describe_override(fee_type, multiplier, QUADRATIC) == text


def test_an_override_that_cannot_be_read_is_one():
    assert "flat" in describe_override("flat", 1, QUADRATIC)
    assert "much" in describe_override(None, "much", QUADRATIC)
    assert describe_override("quadratic", 1, None) == "quadratic x1"


def test_a_schedule_is_described_for_alarms():
    assert describe_fees(QUADRATIC) == "quadratic x1"


def partition(low=7200, high=7300, **changes):
    return [parse_market(obj, INDICES) for obj in range_objects("KXINX-26NOV23H1600", low, high, **changes)]


def test_a_real_partition_tiles_the_line():
    assert partition_problem(partition()) == ""


@pytest.mark.parametrize(
    ("drop", "problem"),
    [(0, "nothing pays below 7200.00"), (2, "nothing pays between 7224.99 and 7250.00"), (5, "nothing pays above")],
)
def test_holes_are_named(drop, problem):
    markets = partition()
    assert problem in partition_problem(markets[:drop] + markets[drop + 1 :])


def test_overlaps_are_named():
    markets = partition()
    assert "overlap" in partition_problem([*markets, markets[2]])
    assert "overlap" in partition_problem([*markets, partition(7100, 7200)[0]])
    assert partition_problem([]) == "no markets"


@given(
    low=st.integers(40, 60), bins=st.integers(1, 12), step=st.sampled_from([25, 100]), value=st.integers(0, 1_000_000)
)
@settings(max_examples=100, deadline=None)
def test_every_settlement_value_pays_exactly_one_market_of_a_partition(low, bins, step, value):
    start = low * 100
    objects = range_objects("KXINX-26NOV23H1600", start, start + bins * step, step)
    markets = [parse_market(obj, INDICES) for obj in objects]
    assert partition_problem(markets) == ""
    assert sum(market.contract.pays(Level(value * 100)) for market in markets) == 1


needs_data = pytest.mark.skipif(data_dir() is None, reason="shared market data not found (set KALSHI_DAEMON_DATA)")


@pytest.mark.data
@needs_data
def test_the_real_2026_ladders_parse_and_step_by_five_points():
    import pyarrow.parquet as pq  # noqa: PLC0415 - only where the data is

    folder = data_dir()
    assert folder is not None
    columns = ["event_ticker", "market_ticker", "strike"]
    [path] = (folder / "kalshi_kxinxu_2026").glob("*.parquet")
    table = pq.read_table(path, columns=columns).to_pydict()
    ladders: dict[str, set[Level]] = {}
    sample = set(sorted(set(table["event_ticker"]))[::5])
    distinct = {row for row in zip(*(table[name] for name in columns), strict=True) if row[0] in sample}
    assert len(distinct) > 10_000
    for event, ticker, strike in distinct:
        market = parse_market(market_object(ticker, strike_type="greater", floor_strike=strike), INDICES)
        assert market.contract.event_ticker == event
        assert market.contract.lowest is not None
        ladders.setdefault(event, set()).add(market.contract.lowest)
    for event, strikes in ladders.items():
        ordered = sorted(strikes)
        steps = {above - below for below, above in pairwise(ordered)}
        assert all(strike % 50_000 == 0 for strike in ordered), event  # whole multiples of five points
        assert all(step % 50_000 == 0 for step in steps), event


@pytest.mark.data
@needs_data
def test_captured_grids_and_fee_fields_are_read():
    folder = data_dir()
    assert folder is not None
    captures = folder / "kalshi_ws_captures"
    for entry in json.loads((captures / "price_grids.json").read_text())["grids"]:
        grid = parse_grid(entry["price_ranges"])
        assert grid.contains(Price(5_000))
    for payload in json.loads((captures / "series_fee_fields.json").read_text())["payloads"].values():
        series = payload["series"]
        if series["fee_type"] in set(FeeType):
            assert parse_fee_schedule(series, NOW).multiplier_ppm >= 0
        else:
            with pytest.raises(MalformedData):
                parse_fee_schedule(series, NOW)
