"""The ladders of a session: tickers, strikes, hours; and the same geometry in the real listing of 2026."""

import re
from collections import Counter, defaultdict
from datetime import date, datetime, time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_daemon.domain.contract import StrikeType
from kalshi_daemon.domain.index import Index
from kalshi_daemon.ground.new_york import NEW_YORK
from kalshi_daemon.ground.units import Level, Nanos
from kalshi_daemon.simulator.exchange.instruments import contract_of, pays
from kalshi_daemon.simulator.exchange.listing import (
    ladder_event,
    new_york,
    range_event,
    session_hours,
    session_listing,
)
from tests.simulator.exchange_kit import small_listing
from tests.support.data import data_dir
from tests.support.instruments import DJI, GEOMETRY, SPECS, three

SPOT = {Index.SPX: 6850.3, Index.NDX: 25_204.0}
DAY = date(2026, 11, 23)


def by_ticker(day=DAY):
    return {event.ticker: event for event in session_listing(day, SPOT).events}


def test_a_whole_session_lists_seven_hours_and_the_close():
    events = by_ticker()
    hours = [f"KX{name}-26NOV23H{hour}00" for name in ("INXU", "NASDAQ100U") for hour in range(10, 17)]
    assert list(events) == [*hours, "KXINX-26NOV23H1600", "KXNASDAQ100-26NOV23H1600"]
    assert [len(events[t].markets) for t in hours] == [400] * 6 + [60] + [400] * 6 + [60]
    assert [len(events[t].markets) for t in ("KXINX-26NOV23H1600", "KXNASDAQ100-26NOV23H1600")] == [30, 30]


def test_a_half_day_ends_at_one_and_a_holiday_has_nothing():
    assert sorted(by_ticker(date(2026, 11, 27))) == sorted(
        [f"KX{name}-26NOV27H{hour}00" for name in ("INXU", "NASDAQ100U") for hour in range(10, 14)]
        + ["KXINX-26NOV27H1300", "KXNASDAQ100-26NOV27H1300"]
    )
    assert by_ticker(date(2026, 11, 26)) == {}
    assert session_hours(date(2026, 11, 28)) is None
    hours = session_hours(date(2026, 11, 27))
    assert hours is not None
    assert (hours.previous, hours.close_hour) == (date(2026, 11, 25), 13)


def test_hours_are_new_yorks_on_both_sides_of_the_clock_change():
    for day, utc_hour in ((date(2026, 10, 30), 14), (date(2026, 11, 2), 15)):
        first = next(iter(session_listing(day, SPOT).events))
        assert first.markets[0].close_ns // 3_600_000_000_000 % 24 == utc_hour


def test_open_times_as_observed():
    events = by_ticker()
    friday = date(2026, 11, 20)
    assert events["KXINXU-26NOV23H1000"].markets[0].open_ns == new_york(friday, time(16))
    assert events["KXINXU-26NOV23H1600"].markets[0].open_ns == new_york(DAY, time(3, 10))
    assert events["KXINX-26NOV23H1600"].markets[0].open_ns == new_york(date(2026, 11, 22), time(22, 30))


def test_tickers_and_strikes_have_the_venues_form():
    events = by_ticker()
    spx = {m.ticker: m for m in events["KXINXU-26NOV23H1000"].markets}
    leg = spx["KXINXU-26NOV23H1000-T6849.9999"]
    assert (leg.strike_type, leg.floor, leg.cap) == (StrikeType.GREATER_OR_EQUAL, 68_500_000, None)
    assert leg.yes_sub_title == "6,850 or above"
    ndx = {m.ticker for m in events["KXNASDAQ100U-26NOV23H1600"].markets}
    assert "KXNASDAQ100U-26NOV23H1600-T25199.99" in ndx
    bins = events["KXINX-26NOV23H1600"].markets
    assert bins[0].strike_type is StrikeType.LESS
    assert bins[0].yes_sub_title == "6,499.9999 or below"
    assert (bins[1].ticker, bins[1].floor, bins[1].cap) == ("KXINX-26NOV23H1600-B6512", 65_000_000, 65_249_999)
    assert (bins[-1].strike_type, bins[-1].ticker) == (StrikeType.GREATER, "KXINX-26NOV23H1600-T7199.9999")
    assert events["KXINX-26NOV23H1600"].mutually_exclusive
    assert not events["KXINXU-26NOV23H1000"].mutually_exclusive
    assert "KXNASDAQ100-26NOV23H1600-B25950" in {m.ticker for m in events["KXNASDAQ100-26NOV23H1600"].markets}


@settings(max_examples=200, deadline=None)
@given(cents=st.integers(600_000, 760_000))
def test_exactly_one_bin_of_a_partition_pays_and_the_domain_agrees(cents):
    target = new_york(DAY, time(16))
    event = range_event(SPECS[2], GEOMETRY["KXINX"], 6850.3, Nanos(0), target)
    value = Level(cents * 100)
    assert sum(pays(market, value) for market in event.markets) == 1
    for market in event.markets:
        assert contract_of(market).pays(value) is pays(market, value)


@settings(max_examples=200, deadline=None)
@given(cents=st.integers(680_000, 690_000))
def test_a_ladder_pays_up_to_the_value_and_the_domain_agrees(cents):
    value = Level(cents * 100)
    legs = small_listing().events[0].markets
    paid = [pays(market, value) for market in legs]
    assert paid == sorted(paid, reverse=True)
    assert [contract_of(market).pays(value) for market in legs] == paid


@pytest.mark.parametrize("kind", [StrikeType.LESS_OR_EQUAL, StrikeType.GREATER])
def test_the_other_strike_types_pay_as_they_are_worded(kind):
    from dataclasses import replace  # noqa: PLC0415

    leg = small_listing().events[0].markets[0]
    strike = Level(68_500_000)
    spec = replace(
        leg,
        strike_type=kind,
        floor=strike if kind is StrikeType.GREATER else None,
        cap=strike if kind is StrikeType.LESS_OR_EQUAL else None,
    )
    expected = {StrikeType.LESS_OR_EQUAL: [True, True, False], StrikeType.GREATER: [False, False, True]}[kind]
    values = [Level(strike - 100), strike, Level(strike + 100)]
    assert [pays(spec, value) for value in values] == expected
    assert [contract_of(spec).pays(value) for value in values] == expected


@pytest.mark.data
def test_every_real_ladder_of_early_2026_is_one_of_ours():
    folder = data_dir()
    if folder is None:
        pytest.skip("the shared market data is not here (KALSHI_DAEMON_DATA)")
    from pyarrow import parquet  # noqa: PLC0415

    found = parquet.read_table(
        folder / "kalshi_kxinxu_2026" / "kxinxu_hourly_2026-02-17_2026-04-21.parquet",
        columns=["event_ticker", "market_ticker", "strike"],
    ).to_pylist()
    strikes: dict[str, dict[str, float]] = defaultdict(dict)
    for row in found:
        strikes[row["event_ticker"]][row["market_ticker"]] = row["strike"]
    assert len(strikes) == 314
    hourly = GEOMETRY["KXINXU"]
    assert hourly.closing is not None
    forms: Counter[tuple[int, int, int]] = Counter()
    for event, theirs in strikes.items():
        shape = hourly.closing if event.endswith("H1600") else hourly
        lowest = min(theirs.values()) + 0.0001
        centre = lowest + shape.step * shape.legs // 2
        assert centre % hourly.anchor == pytest.approx(0.0, abs=1e-6), event
        at = datetime.strptime(event, "KXINXU-%y%b%dH%H%M").replace(tzinfo=NEW_YORK)
        target = new_york(at.date(), at.time())
        ours = ladder_event(SPECS[0], shape, round(centre), Nanos(0), target)
        assert ours.ticker == event
        assert {market.ticker: (market.floor - 1) / 10_000 for market in ours.markets if market.floor} == theirs
        forms[at.hour, len(theirs), shape.step] += 1
    assert forms == {(16, 60, 25): 44} | {(hour, 400, 5): 45 for hour in range(10, 16)}


def test_ladders_lie_around_a_round_level_near_the_index():
    events = by_ticker()
    for ticker, lowest, highest in (
        ("KXINXU-26NOV23H1000", 5_850, 7_845),
        ("KXINXU-26NOV23H1600", 6_100, 7_575),
        ("KXNASDAQ100U-26NOV23H1500", 23_200, 27_190),
        ("KXNASDAQ100U-26NOV23H1600", 22_200, 28_100),
    ):
        floors = [int(market.floor or 0) // 10_000 for market in events[ticker].markets]
        assert (floors[0], floors[-1]) == (lowest, highest), ticker


_EXAMPLE = re.compile(r"(KX[A-Z0-9]+-26NOV23H\d{4})-[TB]\d+(?:\.\d+)?")


def test_every_example_ticker_of_the_documents_is_listed_on_that_day():
    """The index of the made-up session opens near these levels, so what the documents show can be asked for."""
    root = Path(__file__).resolve().parents[2]
    listed = {market.ticker for event in by_ticker().values() for market in event.markets}
    texts = [
        root / "README.md",
        *sorted((root / "docs").rglob("*.md")),
        *sorted((root / "kalshi_daemon").rglob("*.py")),
    ]
    shown = {found[0]: path.name for path in texts for found in _EXAMPLE.finditer(path.read_text())}
    assert len(shown) >= 3
    assert {ticker: where for ticker, where in shown.items() if ticker not in listed} == {}


def test_a_row_of_the_table_is_listed_from_its_first_fixing_on():
    listing = session_listing(date(2026, 11, 23), SPOT | {DJI: 46_010.0}, table=three())
    shipped = session_listing(date(2026, 11, 23), SPOT)
    mine = [event for event in listing.events if event.index == DJI]
    assert [event.ticker for event in mine] == [f"KXDJIH-26NOV23H{hour}00" for hour in range(11, 17)]
    assert len(mine[0].markets) == 400
    assert mine[0].title == "Dow Jones on Nov 23, 2026 at 11:00 AM EST?"
    assert [event for event in listing.events if event.index != DJI] == list(shipped.events)
