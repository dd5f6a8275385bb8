"""Filters, limits and answers as docs/reference/venue.md 2.2 words them: what was ignored before is looked at."""

import pytest

from kalshi_daemon.ground.units import HOUR, MINUTE, SECOND, Nanos
from tests.simulator.exchange_kit import EVENT, OTHER, RANGE_EVENT, START, TARGET, TICKER, put
from tests.simulator.server_kit import ORDERS, Venue

OPENED = (START - 60 * MINUTE) // SECOND
CLOSES = TARGET // SECOND
GROUPS = "/portfolio/order_groups"


@pytest.fixture
async def venue():
    async with Venue() as found:
        yield found


async def _tickers(venue, query):
    status, body = await venue.ask("GET", f"/markets?limit=1000&{query}", headers={})
    assert status == 200, body
    return {market["ticker"] for market in body["markets"]}


async def test_markets_are_filtered_by_creation_settlement_update_and_kind(venue):
    every = await _tickers(venue, "")
    created = OPENED - 60
    assert await _tickers(venue, f"min_created_ts={created}") == every
    assert await _tickers(venue, f"min_created_ts={created + 1}") == set()
    assert await _tickers(venue, f"max_created_ts={created}&status=open") == every
    assert await _tickers(venue, f"max_created_ts={created - 1}") == set()
    assert await _tickers(venue, "mve_filter=only") == set()
    assert await _tickers(venue, "mve_filter=exclude") == every
    assert await _tickers(venue, "min_settled_ts=0") == set()
    venue.exchange.venue.deactivate([TICKER])
    now = venue.clock.now_ns() // SECOND
    assert await _tickers(venue, f"min_updated_ts={now}&mve_filter=exclude") == {TICKER}
    venue.clock.set(Nanos(TARGET + 10 * MINUTE))
    settled = (TARGET + 125 * SECOND) // SECOND
    assert await _tickers(venue, f"min_settled_ts={settled}&max_settled_ts={settled}&status=settled") == every
    assert await _tickers(venue, f"max_settled_ts={settled - 1}") == set()


@pytest.mark.parametrize(
    "query",
    [
        "min_created_ts=1&status=closed",
        "max_created_ts=1&status=settled",
        "min_settled_ts=1&status=open",
        "min_close_ts=1&status=open",
        "min_close_ts=1&min_created_ts=1",
        "min_updated_ts=1&status=open",
        "min_updated_ts=1&series_ticker=KXINXU",
        f"min_updated_ts=1&event_ticker={EVENT}",
        "min_settled_ts=soon",
        "mve_filter=some",
    ],
)
async def test_filters_that_do_not_go_together_are_400(venue, query):
    assert (await venue.ask("GET", f"/markets?{query}", headers={}))[0] == 400


async def test_events_are_filtered_by_update_and_tell_of_milestones(venue):
    venue.exchange.venue.deactivate([f"{RANGE_EVENT}-B6862"])
    now = venue.clock.now_ns() // SECOND
    _status, body = await venue.ask("GET", f"/events?min_updated_ts={now}", headers={})
    assert [event["event_ticker"] for event in body["events"]] == [RANGE_EVENT]
    assert "milestones" not in body
    assert (await venue.ask("GET", "/events?with_milestones=true", headers={}))[1]["milestones"] == []


async def test_trades_are_filtered_by_block_and_time(venue):
    put(venue.exchange, "bob", "ask", 40)
    await venue.create("one", price="0.4000", count="1")
    for query, wanted in (("", 1), ("is_block_trade=false", 1), ("is_block_trade=true", 0), ("min_ts=9999999999", 0)):
        assert len((await venue.ask("GET", f"/markets/trades?{query}", headers={}))[1]["trades"]) == wanted
    assert (await venue.ask("GET", "/markets/trades?is_block_trade=maybe", headers={}))[0] == 400


async def test_candles_end_within_what_was_asked_for_and_may_tell_the_price_before(venue):
    put(venue.exchange, "bob", "ask", 40)
    await venue.create("one", price="0.4000", count="1")
    traded = venue.clock.now_ns() // SECOND
    path = f"/series/KXINXU/markets/{TICKER}/candlesticks"

    async def candles(start, end, more=""):
        query = f"start_ts={start}&end_ts={end}&period_interval=1{more}"
        _status, body = await venue.ask("GET", f"{path}?{query}", headers={})
        return [(row["end_period_ts"], row["price"]["close_dollars"]) for row in body["candlesticks"]]

    venue.clock.advance(Nanos(30 * MINUTE))
    end = -(-traded // 60) * 60
    assert await candles(end, end) == [(end, "0.4000")]
    assert await candles(end - 60, end - 1) == []
    assert await candles(end + 1, end + 600) == []
    assert await candles(end + 1, end + 600, "&include_latest_before_start=true") == [(end + 60, None)]
    query = f"start_ts={end + 1}&end_ts={end + 600}&include_latest_before_start=true&period_interval=5"
    _status, body = await venue.ask("GET", f"/markets/candlesticks?market_tickers={TICKER},{OTHER}&{query}", headers={})
    first, second = body["markets"]
    assert first["candlesticks"][0]["price"]["previous_dollars"] == "0.4000"
    assert second["candlesticks"] == []


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/markets/NONE", 404),
        ("/markets/NONE/orderbook", 404),
        ("/events/NONE", 404),
        ("/series/KXINXU/markets/NONE/candlesticks?start_ts=1&end_ts=2&period_interval=1", 404),
        (f"/series/KXINX/markets/{TICKER}/candlesticks?start_ts=1&end_ts=2&period_interval=1", 404),
        (f"/series/KXINXU/markets/{TICKER}/candlesticks?start_ts=1&end_ts=2&period_interval=5", 400),
        ("/markets/candlesticks?market_tickers=NONE&start_ts=1&end_ts=2&period_interval=1", 400),
        ("/markets/candlesticks?start_ts=1&end_ts=2&period_interval=1", 400),
        (f"/markets/orderbooks?tickers={TICKER}&tickers=NONE", 400),
        ("/markets?tickers=NONE", 200),
        (f"/markets/{TICKER}/orderbook?depth=-1", 200),
        (f"/markets/{TICKER}/orderbook?depth=101", 400),
    ],
)
async def test_what_is_unknown_has_the_status_that_is_documented(venue, path, status):
    assert (await venue.ask("GET", path))[0] == status


async def test_costs_name_paths_with_a_colon(venue):
    _status, body = await venue.ask("GET", "/account/endpoint_costs", headers={})
    paths = {row["path"] for row in body["endpoint_costs"]}
    assert "/trade-api/v2/portfolio/events/orders/:order_id" in paths
    assert not any("{" in path for path in paths)


@pytest.mark.parametrize(
    ("limit", "status"),
    [
        ({"contracts_limit": 1}, 201),
        ({"contracts_limit": 1_000_000}, 201),
        ({"contracts_limit_fp": "1.00"}, 201),
        ({"contracts_limit_fp": "1000000.00"}, 201),
        ({"contracts_limit": 7, "contracts_limit_fp": "7"}, 201),
        ({"contracts_limit": 0}, 400),
        ({"contracts_limit": 1_000_001}, 400),
        ({"contracts_limit_fp": "0.99"}, 400),
        ({"contracts_limit_fp": "1000000.01"}, 400),
        ({"contracts_limit_fp": 7}, 400),
        ({"contracts_limit": 7, "contracts_limit_fp": "8.00"}, 400),
        ({"contracts_limit": True}, 400),
    ],
)
async def test_group_limits_run_from_one_to_a_million_in_both_forms(venue, limit, status):
    made = await venue.ask("POST", f"{GROUPS}/create", limit)
    assert made[0] == status
    group = (await venue.ask("POST", f"{GROUPS}/create", {"contracts_limit": 5}))[1]["order_group_id"]
    assert (await venue.ask("PUT", f"{GROUPS}/{group}/limit", limit))[0] == (200 if status == 201 else 400)


async def test_an_amend_answers_what_it_caused_itself(venue):
    order_id = await venue.create("one", price="0.4000", count="10")
    put(venue.exchange, "bob", "ask", 40, 4)  # fills four of the ten before any amend

    async def amend(price, count, **more):
        change = {"ticker": TICKER, "side": "bid", "price": price, "count": count, **more}
        status, body = await venue.ask("POST", f"{ORDERS}/{order_id}/amend", change)
        assert status == 200
        keys = ("fill_count", "remaining_count", "average_fill_price", "average_fee_paid")
        return tuple(body[key] for key in keys)

    later = (venue.clock.now_ns() + HOUR) // SECOND
    assert await amend("0.4000", "10", expiration_time=later) == (None, None, None, None)
    assert await amend("0.4000", "9") == ("0.00", "5.00", None, None)
    put(venue.exchange, "bob", "ask", 42, 3)
    filled, left, price, fee = await amend("0.4300", "9")
    assert (filled, left, price) == ("3.00", "2.00", "0.4200")
    assert fee > "0.0000"
