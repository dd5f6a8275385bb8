"""Spans, dates and order of the vendor's aggregates, as its own REST client asks for them."""

import asyncio
from datetime import date, time

import pytest

from kalshi_daemon.domain.index import Index
from kalshi_daemon.domain.window import Session
from kalshi_daemon.ground.clock import ManualClock
from kalshi_daemon.ground.units import HOUR, MINUTE, SECOND, Nanos, to_ms
from kalshi_daemon.simulator.exchange.listing import new_york
from kalshi_daemon.simulator.feed.feed_server import FeedServer
from kalshi_daemon.simulator.feed.index_synthetic import synthesize_session

massive = pytest.importorskip("massive")

DAYS = (date(2026, 11, 24), date(2026, 11, 25))
MIDNIGHT = [new_york(day, time(0)) for day in DAYS]


def _paths(day):
    opened = new_york(day, time(9, 30))
    return synthesize_session(Session(day.isoformat(), opened, new_york(day, time(16)), half_day=False), 1)


@pytest.fixture
async def feed():
    clock = ManualClock(new_york(DAYS[1], time(12, 10)))
    made = FeedServer(_paths(DAYS[0]), clock, "K")
    made.history.add(_paths(DAYS[1]))
    await made.start(0)
    yield made
    await made.aclose()


async def _ask(feed, multiplier, unit, start, end, **more):
    client = massive.RESTClient("K", base=feed.rest_url, retries=0)
    return await asyncio.to_thread(lambda: list(client.list_aggs("I:SPX", multiplier, unit, start, end, **more)))


async def test_days_are_asked_for_by_date_both_included(feed):
    bars = await _ask(feed, 1, "day", DAYS[0].isoformat(), DAYS[1])
    assert [bar.timestamp for bar in bars] == [to_ms(one) for one in MIDNIGHT]
    first = feed.history.sessions[0][Index.SPX].values
    assert (bars[0].open, bars[0].high, bars[0].low, bars[0].close) == (
        first[0],
        first.max(),
        first.min(),
        first[-1],
    )
    assert len(await _ask(feed, 1, "day", DAYS[0], DAYS[0])) == 1
    (both,) = await _ask(feed, 30, "day", date(2026, 10, 31), DAYS[1])
    assert (both.open, both.close) == (bars[0].open, bars[1].close)
    assert (both.high, both.low) == (max(bars[0].high, bars[1].high), min(bars[0].low, bars[1].low))


async def test_hours_and_many_minutes_start_where_the_clock_does(feed):
    hours = await _ask(feed, 1, "hour", DAYS[1], DAYS[1])
    assert [(bar.timestamp * 1_000_000 - MIDNIGHT[1]) // HOUR for bar in hours] == [9, 10, 11, 12]
    path = feed.history.sessions[1][Index.SPX]
    assert hours[0].open == path.values[0]
    assert hours[1].close == path.value_at(Nanos(MIDNIGHT[1] + 11 * HOUR - SECOND))
    halves = await _ask(feed, 30, "minute", to_ms(MIDNIGHT[1]), to_ms(Nanos(MIDNIGHT[1] + 11 * HOUR)))
    assert [(bar.timestamp * 1_000_000 - MIDNIGHT[1]) / HOUR for bar in halves] == [9.5, 10, 10.5, 11]


async def test_the_newest_come_first_where_asked_and_pages_keep_the_order(feed):
    feed.history.faults.rows_max = 50
    oldest = [bar.timestamp for bar in await _ask(feed, 1, "minute", DAYS[1], DAYS[1])]
    asked = len(feed.history.asked)
    newest = [bar.timestamp for bar in await _ask(feed, 1, "minute", DAYS[1], DAYS[1], sort="desc")]
    assert newest == oldest[::-1]
    assert len(newest) == 161
    assert len(feed.history.asked) - asked == 4


async def test_a_limit_counts_the_minutes_that_bars_are_made_of(feed):
    bars = await _ask(feed, 30, "minute", DAYS[0], DAYS[0], limit=60)
    assert len(bars) == 14, "all of them, two a page: the late prints after 16:00 make one more"
    assert len(feed.history.asked) == 7


@pytest.mark.parametrize(
    ("multiplier", "unit", "start", "end", "more"),
    [
        (1, "week", "2026-11-24", "2026-11-25", {}),
        (1, "day", "2026-11-25", "2026-11-24", {}),
        (1, "day", "2026-11-31", "2026-12-01", {}),
        (1, "minute", "2026-11-24", "2026-11-25", {"sort": "up"}),
    ],
)
async def test_what_makes_no_sense_is_400(feed, multiplier, unit, start, end, more):
    with pytest.raises(massive.exceptions.BadResponse, match="ERROR"):
        await _ask(feed, multiplier, unit, start, end, **more)


async def test_seconds_of_one_minute(feed):
    start = new_york(DAYS[0], time(10))
    bars = await _ask(feed, 10, "second", to_ms(start), to_ms(Nanos(start + MINUTE - SECOND)))
    assert [bar.timestamp - to_ms(start) for bar in bars] == [0, 10_000, 20_000, 30_000, 40_000, 50_000]
