"""The exchange's past from both tiers, whole, once, and again only where it was not whole."""

from datetime import date

import pyarrow.parquet as pq
import pytest
from pyarrow import dataset

from kalshi_daemon.ground.clock import ManualClock, SystemClock
from kalshi_daemon.ground.errors import MalformedField, MissingField, VenueRejected, VenueUnavailable
from kalshi_daemon.ground.units import HOUR, SECOND, Nanos
from kalshi_daemon.kalshi import history_rest
from kalshi_daemon.kalshi.history_codec import read_candle, read_past_trade
from kalshi_daemon.kalshi.history_rest import Tier
from kalshi_daemon.research.history import venue_history
from kalshi_daemon.research.history.archive import Kind, path_of, stored
from kalshi_daemon.research.history.venue_history import Wanted, fetch_history, past_events
from kalshi_daemon.simulator.exchange.faults import Injection, Manner, When
from kalshi_daemon.simulator.exchange.poison import Poison
from kalshi_daemon.windows.sessions import load_sessions
from tests.research.history.past_kit import EVENT, HOURLY, OTHER, START, TARGET, TICKER, UNKNOWN, a_past, settle
from tests.support.instruments import SERIES

ALL = Wanted((Kind.MARKETS, Kind.TRADES, Kind.CANDLES))


async def fetched(past, root, *events, wanted=ALL):
    found = fetch_history(past.client, events or (HOURLY,), root, SystemClock(), wanted)
    return [one async for one in found]


def table(root, kind, event=HOURLY):
    return pq.read_table(path_of(root, kind, event.ticker, event.day, 1)).to_pylist()


@pytest.fixture(autouse=True)
def no_waits(monkeypatch):
    monkeypatch.setattr(venue_history, "_WAIT_FIRST", Nanos(1_000_000))


@pytest.mark.parametrize("archived_ns", [0, START + 3 * SECOND, TARGET + 2 * HOUR])
async def test_an_event_is_the_same_whichever_tier_has_it(tmp_path, archived_ns):
    """All on the live side; trades on both, the market still live; everything in the archive."""
    async with a_past() as past:
        if archived_ns:
            past.venue.exchange.archived_before_ns = Nanos(archived_ns)
        (one,) = await fetched(past, tmp_path)
        record = list(past.venue.exchange.matcher.trades)
    assert (one.outcome, one.unreadable) == ("written", 0)
    assert one.rows == {Kind.MARKETS: 11, Kind.TRADES: 7, Kind.CANDLES: 2}
    trades = table(tmp_path, Kind.TRADES)
    assert [row["trade_id"] for row in trades if row["ticker"] == TICKER] == [one.trade_id for one in record[:6]]
    assert [row["price"] for row in trades[:6]] == [0.40, 0.41] * 3
    assert {(row["taker_side"], row["contracts"], row["block"]) for row in trades[:6]} == {("bid", 1.0, False)}
    markets = {row["ticker"]: row for row in table(tmp_path, Kind.MARKETS)}
    assert (markets[TICKER]["result"], markets[TICKER]["floor_strike"], markets[OTHER]["result"]) == (
        "yes",
        6_850,
        "no",
    )
    assert markets[TICKER]["volume"] == 6.0
    assert markets[TICKER]["settlement_time"] is not None
    candle = next(row for row in table(tmp_path, Kind.CANDLES) if row["ticker"] == TICKER)
    assert (candle["price_open"], candle["price_close"], candle["price_high"], candle["volume"]) == (
        0.40,
        0.41,
        0.41,
        6,
    )


async def test_what_is_whole_is_not_asked_for_again(tmp_path):
    async with a_past() as past:
        await fetched(past, tmp_path)
        asked = past.asked
        (one,) = await fetched(past, tmp_path)
        assert past.asked == asked
        assert (one.outcome, one.rows) == ("kept", {Kind.MARKETS: 11, Kind.TRADES: 7, Kind.CANDLES: 2})
        (again,) = await fetched(past, tmp_path, wanted=Wanted(ALL.kinds, again=True))
        assert again.outcome == "written"
        assert past.asked != asked


async def test_what_is_not_settled_yet_is_asked_for_again(tmp_path):
    async with a_past(settled=False) as past:
        (one,) = await fetched(past, tmp_path)
        assert one.outcome == "partial"
        settle(past.venue)
        (one,) = await fetched(past, tmp_path)
        assert one.outcome == "written"
    assert {row["result"] for row in table(tmp_path, Kind.MARKETS)} == {"yes", "no"}


async def test_a_damaged_file_is_asked_for_again(tmp_path):
    async with a_past() as past:
        await fetched(past, tmp_path)
        path = path_of(tmp_path, Kind.TRADES, EVENT, HOURLY.day, 1)
        path.write_bytes(path.read_bytes()[:50])
        assert stored(path) is None
        (one,) = await fetched(past, tmp_path)
        assert one.outcome == "written"
    assert len(table(tmp_path, Kind.TRADES)) == 7


async def test_an_event_the_exchange_does_not_know_is_empty_and_leaves_nothing(tmp_path):
    async with a_past() as past:
        (one,) = await fetched(past, tmp_path, UNKNOWN)
    assert (one.outcome, one.rows) == ("empty", {})
    assert list(tmp_path.rglob("*.parquet")) == []


async def test_pages_are_joined(tmp_path, monkeypatch):
    monkeypatch.setattr(history_rest, "PAGE", 4)
    async with a_past(trades=11) as past:
        past.venue.exchange.archived_before_ns = Nanos(START + 5 * SECOND)
        (one,) = await fetched(past, tmp_path)
        assert past.asked["trades 200"] + past.asked["historical_trades 200"] > 4
        assert past.asked["markets 200"] == 3
    assert one.rows[Kind.TRADES] == 12


async def test_pages_that_do_not_end_are_no_list(tmp_path, monkeypatch):
    monkeypatch.setattr(history_rest, "PAGE", 4)
    monkeypatch.setattr(history_rest, "PAGES_MAX", 2)
    async with a_past(trades=11) as past:
        with pytest.raises(MalformedField, match="at most 2 pages"):
            await fetched(past, tmp_path)


async def test_a_list_whose_end_is_not_marked_is_not_taken_for_whole(tmp_path):
    async with a_past() as past:
        past.venue.server.faults.injections.append(Injection("trades", When.AFTER, Manner.LACK, lacks="cursor"))
        with pytest.raises(MissingField, match="cursor"):
            await fetched(past, tmp_path)


async def test_long_spans_of_candles_are_asked_for_in_parts(monkeypatch):
    monkeypatch.setattr(history_rest, "CANDLES_MAX", 30)
    async with a_past() as past:
        begin, end = Nanos(START - HOUR), Nanos(TARGET)
        pages = [page async for page in past.client.candles(TICKER, Tier.LIVE, begin, end, 1)]
    assert len(pages) == 3
    assert [len(page) for page in pages] == [0, 0, 1]


@pytest.mark.parametrize(
    "fault",
    [
        Injection("trades", times=2),
        Injection("markets", manner=Manner.CUT),
        Injection("candles", manner=Manner.DROP, times=3),
        Injection("historical_cutoff", status=429, code="too_many_requests"),
    ],
)
async def test_an_exchange_that_stumbles_is_asked_again(tmp_path, fault):
    async with a_past() as past:
        past.venue.server.faults.injections.append(fault)
        (one,) = await fetched(past, tmp_path)
    assert (one.outcome, one.rows[Kind.TRADES]) == ("written", 7)


async def test_an_exchange_that_stays_away_ends_it_and_what_came_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(venue_history, "TRIES", 2)
    async with a_past() as past:
        past.venue.server.faults.injections.append(Injection("candles", times=1_000))
        with pytest.raises(VenueUnavailable):
            await fetched(past, tmp_path)
        past.venue.server.faults.injections.clear()
        before = past.asked["trades 200"]
        (one,) = await fetched(past, tmp_path)
        assert one.outcome == "written"
        assert past.asked["trades 200"] == before, "trades were there already"


async def test_a_refusal_is_not_asked_again(tmp_path):
    async with a_past() as past:
        past.venue.server.faults.injections.append(Injection("trades", status=400, code="bad_request", times=1_000))
        with pytest.raises(VenueRejected):
            await fetched(past, tmp_path)
        assert past.asked["trades 400"] == 1


async def test_a_record_that_makes_no_sense_costs_itself_and_is_asked_for_again(tmp_path):
    async with a_past() as past:
        poison = Poison("yes_price_dollars", "4O.00", item=1)
        past.venue.server.faults.injections.append(Injection("trades", When.AFTER, Manner.POISON, poison=poison))
        (one,) = await fetched(past, tmp_path)
        assert (one.outcome, one.unreadable, one.rows[Kind.TRADES]) == ("partial", 1, 6)
        (one,) = await fetched(past, tmp_path)
        assert (one.outcome, one.unreadable, one.rows[Kind.TRADES]) == ("written", 0, 7)


async def test_any_reader_of_partitions_reads_it_all(tmp_path):
    async with a_past() as past:
        await fetched(past, tmp_path)
    found = dataset.dataset(tmp_path / "kind=trades", partitioning="hive").to_table()
    assert set(found["series"].to_pylist()) == {"KXINXU"}
    assert set(found["month"].to_pylist()) == {11}


def test_events_are_those_of_the_calendar_that_have_been_fixed():
    sessions = load_sessions(HOURLY_DAY, HOURLY_DAY).sessions
    noon = Nanos(TARGET + 2 * HOUR)
    found = past_events(sessions, [SERIES["KXINXU"], SERIES["KXINX"]], ManualClock(noon).now_ns())
    assert [event.ticker for event in found] == [f"KXINXU-26NOV23H{hour}00" for hour in (10, 11, 12)]
    later = past_events(sessions, [SERIES["KXINX"]], Nanos(TARGET + 8 * HOUR))
    assert [event.ticker for event in later] == ["KXINX-26NOV23H1600"]


HOURLY_DAY = date(2026, 11, 23)


def test_the_archive_s_shorter_names_say_the_same():
    live = {
        "end_period_ts": 1_795_447_800,
        "yes_bid": {f"{name}_dollars": "0.4000" for name in ("open", "low", "high", "close")},
        "yes_ask": {f"{name}_dollars": "0.4200" for name in ("open", "low", "high", "close")},
        "price": {f"{name}_dollars": None for name in ("open", "low", "high", "close", "mean")}
        | {"previous_dollars": "0.4100"},
        "volume_fp": "0.00",
        "open_interest_fp": "7.00",
    }
    past = {
        key.removesuffix("_fp"): {name.removesuffix("_dollars"): text for name, text in value.items()}
        if isinstance(value, dict)
        else value
        for key, value in live.items()
    }
    assert read_candle("T", live) == read_candle("T", past)
    assert read_candle("T", past)["price_open"] is None
    assert read_candle("T", past)["price_previous"] == 0.41


@pytest.mark.parametrize(
    ("sides", "taker"),
    [({"taker_book_side": "ask"}, "ask"), ({"taker_side": "yes"}, "bid"), ({"taker_side": "no"}, "ask")],
)
def test_an_old_trade_says_its_side_by_the_outcome(sides, taker):
    trade = {
        "trade_id": "t",
        "ticker": TICKER,
        "count_fp": "2.00",
        "yes_price_dollars": "0.4200",
        "created_time": "2026-11-23T14:40:00Z",
    }
    assert read_past_trade(trade | sides).taker_side == taker
