"""The REST side over a real socket: codes and envelopes of docs/reference/venue.md 3, pages, limits, faults."""

import asyncio

import aiohttp
import pytest

from kalshi_daemon.ground.units import HOUR, MILLISECOND, MINUTE, SECOND, Dollars, Nanos
from kalshi_daemon.simulator.exchange.exchange import Rules
from kalshi_daemon.simulator.exchange.faults import ErrorShape, Injection, Manner, When
from kalshi_daemon.simulator.exchange.rate_buckets import TIERS
from kalshi_daemon.simulator.exchange.sim_server import ServerOptions
from tests.simulator.exchange_kit import EVENT, OTHER, RANGE_EVENT, TARGET, TICKER, put
from tests.simulator.server_kit import ORDERS, PREFIX, Venue, create_body


@pytest.fixture
async def venue():
    async with Venue() as found:
        yield found


def code_of(answer):
    status, body = answer
    return status, body["error"]["code"]


# -- writes -----------------------------------------------------------------------------------------------------


async def test_create_answers_201_flat_and_the_order_can_be_read(venue):
    status, body = await venue.ask("POST", ORDERS, create_body("a"))
    assert status == 201
    assert body["client_order_id"] == "a"
    assert (body["fill_count"], body["remaining_count"]) == ("0.00", "2.00")
    assert "average_fill_price" not in body
    assert isinstance(body["ts_ms"], int)
    status, read = await venue.ask("GET", f"/portfolio/orders/{body['order_id']}")
    assert (status, read["order"]["status"]) == (200, "resting")
    assert read["order"]["expiration_time"] is None


async def test_a_taking_create_reports_its_averages(venue):
    put(venue.exchange, "bob", "ask", 40, 1)
    put(venue.exchange, "bob", "ask", 42, 1)
    _status, body = await venue.ask("POST", ORDERS, create_body("a", count="3"))
    assert (body["fill_count"], body["remaining_count"], body["average_fill_price"]) == ("2.00", "1.00", "0.4100")
    # 0.07 x 0.40 x 0.60 = 0.0168, 0.07 x 0.42 x 0.58 = 0.017052 -> 0.0171
    assert body["average_fee_paid"] == "0.016950"


async def test_selling_averages_are_yes_prices_too(venue):
    put(venue.exchange, "bob", "bid", 40, 1)
    _status, body = await venue.ask("POST", ORDERS, create_body("a", side="ask", price="0.3900", count="1"))
    assert body["average_fill_price"] == "0.4000"


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"client_order_id": "used"}, 409, "order_already_exists"),
        ({"price": "0.5000", "post_only": True}, 400, "invalid_order"),
        ({"count": "100000"}, 400, "insufficient_balance"),
        ({"count": "0"}, 400, "invalid_order_size"),
        ({"count": "1.234"}, 400, "invalid_order_size"),
        ({"count": "-1"}, 400, "invalid_order_size"),
        ({"count": 2}, 400, "bad_request"),
        ({"price": 0.42}, 400, "bad_request"),
        ({"price": "0.4250"}, 400, "invalid_price"),
        ({"price": "0.42005"}, 400, "invalid_price"),
        ({"price": "0.0000"}, 400, "invalid_price"),
        ({"price": "1.0000"}, 400, "invalid_price"),
        ({"price": "42"}, 400, "invalid_price"),
        ({"ticker": "KXINXU-NONE"}, 404, "market_not_found"),
        ({"ticker": None}, 400, "bad_request"),
        ({"side": "yes"}, 400, "bad_request"),
        ({"time_in_force": "GTT"}, 400, "bad_request"),
        ({"time_in_force": None}, 400, "bad_request"),
        ({"self_trade_prevention_type": "none"}, 400, "bad_request"),
        ({"post_only": "yes"}, 400, "bad_request"),
        ({"reduce_only": True}, 400, "invalid_order"),
        ({"expiration_time": 1_700_000_000}, 400, "invalid_order"),
        ({"expiration_time": 1.5}, 400, "bad_request"),
        ({"expiration_time": 1_795_446_000_000}, 400, "bad_request"),
        ({"count": "٣"}, 400, "invalid_order_size"),
        ({"expiration_time": 1_900_000_000, "time_in_force": "immediate_or_cancel"}, 400, "invalid_order"),
        ({"client_order_id": "with space"}, 400, "bad_request"),
        ({"client_order_id": "x" * 65}, 400, "bad_request"),
        ({"order_group_id": "none"}, 404, "ORDER_GROUP_NOT_FOUND"),
        ({"order_group_id": 5}, 400, "bad_request"),
        ({"subaccount": 3}, 400, "bad_request"),
        ({"exchange_index": 2}, 400, "bad_request"),
        ({"exchange_index": True}, 400, "bad_request"),
    ],
)
async def test_refusals_of_create(venue, change, status, code):
    await venue.create("used")
    put(venue.exchange, "bob", "ask", 50, 1)
    answer = await venue.ask("POST", ORDERS, create_body("new") | change)
    assert code_of(answer) == (status, code)


async def test_post_only_cross_says_so_in_its_details(venue):
    put(venue.exchange, "bob", "ask", 42, 1)
    _status, body = await venue.ask("POST", ORDERS, create_body("a", post_only=True))
    assert body == {"error": {"code": "invalid_order", "message": "invalid order", "details": "post only cross"}}
    _status, batch = await venue.ask("POST", f"{ORDERS}/batched", {"orders": [create_body("b", post_only=True)]})
    assert batch["orders"][0]["error"]["details"] == "post only cross"


async def test_post_only_cross_in_the_other_mode():
    async with Venue(rules=Rules(post_only_refused=False)) as venue:
        put(venue.exchange, "bob", "ask", 42, 1)
        status, body = await venue.ask("POST", ORDERS, create_body("a", post_only=True))
        assert (status, body["remaining_count"], body["fill_count"]) == (201, "0.00", "0.00")
        _status, read = await venue.ask("GET", f"/portfolio/orders/{body['order_id']}")
        assert read["order"]["status"] == "canceled"


async def test_a_batch_answers_201_with_an_error_per_item(venue):
    items = [create_body("a"), create_body("a"), create_body("b", price="0.5555"), "nonsense", create_body("c")]
    status, body = await venue.ask("POST", f"{ORDERS}/batched", {"orders": items})
    assert status == 201
    codes = [item.get("error", {}).get("code") for item in body["orders"]]
    assert codes == [None, "order_already_exists", "invalid_price", "bad_request", None]
    assert [item["client_order_id"] for item in body["orders"]] == ["a", "a", "b", "", "c"]
    assert code_of(await venue.ask("POST", f"{ORDERS}/batched", {"orders": []})) == (400, "bad_request")
    assert code_of(await venue.ask("POST", f"{ORDERS}/batched", raw=b"{")) == (400, "bad_request")
    assert code_of(await venue.ask("POST", f"{ORDERS}/batched", raw=b"[]")) == (400, "bad_request")


async def test_cancels_single_batched_and_all(venue):
    ids = [await venue.create(f"c{n}") for n in range(5)]
    status, body = await venue.ask("DELETE", f"{ORDERS}/{ids[0]}?market_ticker={TICKER}")
    assert (status, body["order_id"], body["reduced_by"], body["client_order_id"]) == (200, ids[0], "2.00", "c0")
    assert code_of(await venue.ask("DELETE", f"{ORDERS}/{ids[0]}")) == (404, "not_found")
    assert code_of(await venue.ask("DELETE", f"{ORDERS}/{ids[1]}?exchange_index=4")) == (400, "bad_request")
    orders = [
        {"order_id": ids[1], "market_ticker": TICKER},
        {"order_id": "none"},
        {"order_id": ids[2], "subaccount": 9},
    ]
    status, body = await venue.ask("DELETE", f"{ORDERS}/batched", {"orders": orders})
    assert status == 200
    assert [item["reduced_by"] for item in body["orders"]] == ["2.00", "0.00", "0.00"]
    assert [item.get("error", {}).get("code") for item in body["orders"]] == [None, "not_found", "bad_request"]
    bad = await venue.ask("DELETE", f"{ORDERS}/batched", {"orders": [{"id": 1}]})
    assert code_of(bad) == (400, "bad_request")
    assert await venue.ask("DELETE", f"{ORDERS}?subaccount=0") == (204, None)
    assert venue.api.resting_count == 0


async def test_amend_and_decrease(venue):
    order_id = await venue.create("a", count="10")
    change = {"ticker": TICKER, "side": "bid", "price": "0.4300", "count": "8"}
    status, body = await venue.ask("POST", f"{ORDERS}/{order_id}/amend", change)
    assert (status, body["remaining_count"], body["fill_count"]) == (200, "8.00", "0.00")
    wrong = await venue.ask("POST", f"{ORDERS}/{order_id}/amend", change | {"side": "ask"})
    assert code_of(wrong) == (400, "order_side_mismatch")
    later = change | {"expiration_time": venue.clock.now_ns() // SECOND + 60}
    assert (await venue.ask("POST", f"{ORDERS}/{order_id}/amend", later))[0] == 200
    _status, read = await venue.ask("GET", f"/portfolio/orders/{order_id}")
    assert read["order"]["expiration_time"] == "2026-11-23T14:36:00Z"
    status, body = await venue.ask("POST", f"{ORDERS}/{order_id}/decrease", {"reduce_to": "3"})
    assert (status, body["remaining_count"]) == (200, "3.00")
    both = await venue.ask("POST", f"{ORDERS}/{order_id}/decrease", {"reduce_to": "3", "reduce_by": "1"})
    assert code_of(both) == (400, "bad_request")
    assert code_of(await venue.ask("POST", f"{ORDERS}/x/decrease", {"reduce_by": "1"})) == (404, "not_found")
    assert code_of(await venue.ask("POST", f"{ORDERS}/x/amend", change)) == (404, "not_found")


async def test_after_the_close_every_write_is_market_inactive(venue):
    order_id = await venue.create("a")
    venue.clock.set(TARGET)
    change = {"ticker": TICKER, "side": "bid", "price": "0.4300", "count": "8"}
    for answer in (
        await venue.ask("POST", ORDERS, create_body("b")),
        await venue.ask("DELETE", f"{ORDERS}/{order_id}"),
        await venue.ask("POST", f"{ORDERS}/{order_id}/amend", change),
        await venue.ask("POST", f"{ORDERS}/{order_id}/decrease", {"reduce_by": "1"}),
    ):
        assert code_of(answer) == (400, "MARKET_INACTIVE")


async def test_pauses_over_the_admin_api(venue):
    order_id = await venue.create("a")
    await venue.admin("POST", "/pause", {})
    assert code_of(await venue.ask("POST", ORDERS, create_body("b"))) == (400, "TRADING_PAUSED")
    _status, found = await venue.ask("GET", "/exchange/status", headers={})
    assert (found["exchange_active"], found["trading_active"]) == (True, False)
    await venue.admin("POST", "/pause", {"exchange": True})
    assert code_of(await venue.ask("DELETE", f"{ORDERS}/{order_id}")) == (503, "EXCHANGE_PAUSED")
    assert code_of(await venue.ask("DELETE", ORDERS)) == (503, "EXCHANGE_PAUSED")
    await venue.admin("POST", "/resume")
    assert (await venue.ask("DELETE", f"{ORDERS}/{order_id}"))[0] == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/portfolio/orders"),
        ("POST", "/portfolio/orders/batched"),
        ("DELETE", "/portfolio/orders/batched"),
        ("DELETE", "/portfolio/orders/abc"),
        ("POST", "/portfolio/orders/abc/amend"),
        ("POST", "/portfolio/orders/abc/decrease"),
    ],
)
async def test_legacy_writes_are_gone(venue, method, path):
    assert code_of(await venue.ask(method, path, {})) == (410, "deprecated_v1_order_endpoint")


async def test_order_groups(venue):
    status, body = await venue.ask("POST", "/portfolio/order_groups/create", {"contracts_limit_fp": "3.50"})
    assert (status, body["subaccount"]) == (201, 0)
    path = f"/portfolio/order_groups/{body['order_group_id']}"
    order_id = await venue.create("a", order_group_id=body["order_group_id"])
    _status, read = await venue.ask("GET", path)
    assert (read["orders"], read["contracts_limit_fp"]) == ([order_id], "3.50")
    assert await venue.ask("PUT", f"{path}/trigger") == (200, {})
    refused = await venue.ask("POST", ORDERS, create_body("b", order_group_id=body["order_group_id"]))
    assert code_of(refused) == (400, "EXCEEDED_ORDER_GROUP_RISK_LIMIT")
    assert await venue.ask("PUT", f"{path}/reset") == (200, {})
    assert await venue.ask("PUT", f"{path}/limit", {"contracts_limit": 9}) == (200, {})
    _status, listed = await venue.ask("GET", "/portfolio/order_groups")
    assert [group["contracts_limit_fp"] for group in listed["order_groups"]] == ["9.00"]
    assert await venue.ask("DELETE", path) == (200, {})
    assert code_of(await venue.ask("GET", path)) == (404, "ORDER_GROUP_NOT_FOUND")
    assert code_of(await venue.ask("PUT", f"{path}/reset")) == (404, "ORDER_GROUP_NOT_FOUND")
    for limit in ({"contracts_limit": 0}, {"contracts_limit": "5"}, {}):
        assert code_of(await venue.ask("POST", "/portfolio/order_groups/create", limit)) == (400, "bad_request")


# -- reads ------------------------------------------------------------------------------------------------------


async def test_orders_are_listed_newest_first_filtered_and_paged(venue):
    for n in range(7):
        await venue.create(f"o{n}", ticker=TICKER if n % 2 else OTHER, price="0.1000")
        venue.clock.advance(SECOND)
    _status, first = await venue.ask("GET", "/portfolio/orders?limit=3")
    await venue.create("late", price="0.1000")
    _status, second = await venue.ask("GET", f"/portfolio/orders?limit=3&cursor={first['cursor']}")
    _status, third = await venue.ask("GET", f"/portfolio/orders?limit=3&cursor={second['cursor']}")
    seen = [order["client_order_id"] for page in (first, second, third) for order in page["orders"]]
    assert seen == [f"o{n}" for n in reversed(range(7))], "an order placed while paging shifts nothing"
    assert third["cursor"] == ""
    _status, of_market = await venue.ask("GET", f"/portfolio/orders?ticker={OTHER}&status=resting")
    assert {order["client_order_id"] for order in of_market["orders"]} == {"o0", "o2", "o4", "o6"}
    since = venue.clock.now_ns() // SECOND - 1
    _status, recent = await venue.ask("GET", f"/portfolio/orders?min_ts={since}&event_ticker={EVENT},NONE")
    assert {order["client_order_id"] for order in recent["orders"]} == {"late", "o6"}
    _status, early = await venue.ask("GET", f"/portfolio/orders?max_ts={since - 6}")
    assert [order["client_order_id"] for order in early["orders"]] == ["o0"]
    assert code_of(await venue.ask("GET", "/portfolio/orders?status=open")) == (400, "bad_request")
    assert code_of(await venue.ask("GET", "/portfolio/orders?min_ts=soon")) == (400, "bad_request")
    assert code_of(await venue.ask("GET", "/portfolio/orders/none")) == (404, "not_found")


@pytest.mark.parametrize("limit", [1, 4, 5, 17, 1000])
async def test_market_pages_cover_everything_once(venue, limit):
    seen, cursor = [], ""
    while True:
        status, body = await venue.ask("GET", f"/markets?limit={limit}&cursor={cursor}", headers={})
        assert status == 200
        seen += [market["ticker"] for market in body["markets"]]
        cursor = body["cursor"]
        if cursor == "":
            break
    assert seen == list(venue.exchange.catalogue.markets)


async def test_limits_statuses_and_filters_of_markets(venue):
    for bad in ("limit=1001", "limit=-1", "limit=x", "status=finalized", "status=open&min_close_ts=1"):
        assert code_of(await venue.ask("GET", f"/markets?{bad}", headers={})) == (400, "bad_request")
    assert len((await venue.ask("GET", "/markets?limit=0", headers={}))[1]["markets"]) == 17
    garbage = await venue.ask("GET", "/markets?cursor=%21garbage&limit=3", headers={})
    assert garbage[0] == 200
    assert len(garbage[1]["markets"]) == 3

    async def count(query: str) -> int:
        return len((await venue.ask("GET", f"/markets?{query}", headers={}))[1]["markets"])

    assert await count("status=open") == 17
    assert await count("series_ticker=KXINX") == 6
    assert await count(f"event_ticker={EVENT}&series_ticker=KXINX") == 0
    assert await count(f"tickers={TICKER},{OTHER},NONE") == 2
    assert await count(f"min_close_ts={TARGET // SECOND}") == 17
    assert await count(f"max_close_ts={TARGET // SECOND - 1}") == 0
    venue.exchange.venue.deactivate([TICKER])
    assert await count("status=paused") == 1
    venue.clock.set(TARGET)
    assert (await count("status=open"), await count("status=closed")) == (0, 17)
    venue.clock.advance(HOUR)
    assert (await count("status=closed"), await count("status=settled")) == (0, 17)


async def test_a_market_shows_its_quotes_and_then_its_result(venue):
    put(venue.exchange, "bob", "bid", 40, 3)
    _status, body = await venue.ask("GET", f"/markets/{TICKER}", headers={})
    market = body["market"]
    assert (market["yes_bid_dollars"], market["yes_bid_size_fp"]) == ("0.4000", "3.00")
    assert (market["yes_ask_dollars"], market["yes_ask_size_fp"], market["no_bid_dollars"]) == (
        "1.0000",
        "0.00",
        "0.0000",
    )
    assert (market["floor_strike"], market["strike_type"]) == (6850, "greater_or_equal")
    assert "cap_strike" not in market
    venue.clock.set(TARGET + 5 * MINUTE)
    _status, body = await venue.ask("GET", f"/markets/{TICKER}", headers={})
    market = body["market"]
    assert (market["status"], market["result"], market["expiration_value"]) == ("finalized", "yes", "6852.34")
    assert market["settlement_value_dollars"] == "1.0000"
    assert code_of(await venue.ask("GET", "/markets/NONE", headers={})) == (404, "market_not_found")


async def test_events_series_and_their_filters(venue):
    _status, body = await venue.ask("GET", "/events?status=open&with_nested_markets=true", headers={})
    assert [(e["event_ticker"], len(e["markets"])) for e in body["events"]] == [(EVENT, 11), (RANGE_EVENT, 6)]
    _status, body = await venue.ask("GET", "/events?limit=1", headers={})
    _status, rest = await venue.ask("GET", f"/events?limit=1&cursor={body['cursor']}", headers={})
    assert [e["event_ticker"] for e in body["events"] + rest["events"]] == [EVENT, RANGE_EVENT]
    assert rest["cursor"] == ""
    _status, one = await venue.ask("GET", f"/events/{RANGE_EVENT}", headers={})
    assert (one["event"]["mutually_exclusive"], len(one["markets"])) == (True, 6)
    assert code_of(await venue.ask("GET", "/events/NONE", headers={})) == (404, "not_found")
    assert code_of(await venue.ask("GET", "/events?status=live", headers={})) == (400, "bad_request")
    assert code_of(await venue.ask("GET", "/events?limit=201", headers={})) == (400, "bad_request")
    _status, later = await venue.ask("GET", f"/events?min_close_ts={TARGET // SECOND + 1}&tickers={EVENT}", headers={})
    assert later["events"] == []
    assert code_of(await venue.ask("GET", "/series/NONE", headers={})) == (404, "not_found")
    _status, tagged = await venue.ask("GET", "/series?category=Financials&tags=Indices", headers={})
    assert len(tagged["series"]) == 4
    assert (await venue.ask("GET", "/series?category=Sports", headers={}))[1]["series"] == []
    for at, status in ((TARGET, "closed"), (Nanos(TARGET + HOUR), "settled")):
        venue.clock.set(at)
        assert len((await venue.ask("GET", f"/events?status={status}", headers={}))[1]["events"]) == 2


async def test_a_fee_change_shows_in_the_feed_and_then_in_the_series(venue):
    wish = {"series_ticker": "KXINXU", "fee_type": "quadratic_with_maker_fees", "multiplier": 0.5, "in_s": 60}
    assert (await venue.admin("POST", "/faults", {"series_fees": wish}))[0] == 200
    _status, feed = await venue.ask("GET", "/series/fee_changes?series_ticker=KXINXU", headers={})
    assert [change["fee_multiplier"] for change in feed["series_fee_change_arr"]] == [0.5]
    venue.clock.advance(61 * SECOND)
    _status, body = await venue.ask("GET", "/series/KXINXU", headers={})
    assert (body["series"]["fee_type"], body["series"]["fee_multiplier"]) == ("quadratic_with_maker_fees", 0.5)
    assert (await venue.ask("GET", "/series/fee_changes", headers={}))[1]["series_fee_change_arr"] == []
    _status, past = await venue.ask("GET", "/series/fee_changes?show_historical=true", headers={})
    assert len(past["series_fee_change_arr"]) == 1
    assert (await venue.ask("GET", "/events/fee_changes", headers={}))[1]["event_fee_changes"] == []


async def test_order_books_show_bids_of_both_sides_worst_to_best(venue):
    for cents in (40, 42, 41):
        put(venue.exchange, "bob", "bid", cents, 1)
    put(venue.exchange, "bob", "ask", 45, 2)
    put(venue.exchange, "bob", "ask", 44, 1)
    _status, body = await venue.ask("GET", f"/markets/{TICKER}/orderbook")
    assert body["orderbook_fp"] == {
        "yes_dollars": [["0.4000", "1.00"], ["0.4100", "1.00"], ["0.4200", "1.00"]],
        "no_dollars": [["0.5500", "2.00"], ["0.5600", "1.00"]],
    }
    _status, top = await venue.ask("GET", f"/markets/{TICKER}/orderbook?depth=1")
    assert top["orderbook_fp"] == {"yes_dollars": [["0.4200", "1.00"]], "no_dollars": [["0.5600", "1.00"]]}
    assert code_of(await venue.ask("GET", f"/markets/{TICKER}/orderbook?depth=101")) == (400, "bad_request")
    _status, many = await venue.ask("GET", f"/markets/orderbooks?tickers={TICKER}&tickers={OTHER}")
    assert [book["ticker"] for book in many["orderbooks"]] == [TICKER, OTHER]
    assert code_of(await venue.ask("GET", "/markets/orderbooks")) == (400, "bad_request")


async def test_queue_positions(venue):
    put(venue.exchange, "bob", "bid", 43, 5)
    put(venue.exchange, "bob", "bid", 42, 3)
    order_id = await venue.create("a")
    path = f"/portfolio/orders/{order_id}/queue_position"
    assert (await venue.ask("GET", path))[1] == {"queue_position_fp": "8.00"}
    _status, many = await venue.ask("GET", f"/portfolio/orders/queue_positions?market_tickers={TICKER}")
    assert [row["queue_position_fp"] for row in many["queue_positions"]] == ["8.00"]
    assert code_of(await venue.ask("GET", "/portfolio/orders/queue_positions")) == (400, "bad_request")
    await venue.ask("DELETE", f"{ORDERS}/{order_id}")
    assert code_of(await venue.ask("GET", path)) == (404, "not_found")


async def test_portfolio_after_a_fill_and_after_settlement(venue):
    order_id = await venue.create("a", count="10")
    put(venue.exchange, "bob", "ask", 42, 4)
    _status, fills = await venue.ask("GET", f"/portfolio/fills?ticker={TICKER},{OTHER}&order_id={order_id}")
    assert [(f["count_fp"], f["is_taker"], f["fee_cost"]) for f in fills["fills"]] == [("4.00", False, "0.000000")]
    _status, none = await venue.ask("GET", f"/portfolio/fills?min_ts={TARGET // SECOND}")
    assert none["fills"] == []
    _status, balance = await venue.ask("GET", "/portfolio/balance")
    assert (balance["balance"], balance["balance_dollars"], balance["portfolio_value"]) == (99_580, "995.8000", 168)
    _status, open_now = await venue.ask("GET", "/portfolio/positions?count_filter=position")
    assert [p["position_fp"] for p in open_now["market_positions"]] == ["4.00"]
    assert (await venue.ask("GET", "/portfolio/positions?ticker=NONE"))[1]["market_positions"] == []
    for bad in ("settlement_status=maybe", "count_filter=size", "subaccount=2"):
        assert code_of(await venue.ask("GET", f"/portfolio/positions?{bad}")) == (400, "bad_request")
    assert (await venue.ask("GET", "/portfolio/subaccounts/balances"))[1]["subaccount_balances"]
    assert (await venue.ask("GET", "/portfolio/subaccounts/netting"))[1]["netting_configs"]

    venue.clock.set(TARGET + 5 * MINUTE)
    assert (await venue.ask("GET", "/portfolio/positions"))[1]["market_positions"] == []
    _status, done = await venue.ask("GET", f"/portfolio/positions?settlement_status=settled&event_ticker={EVENT}")
    assert [p["realized_pnl_dollars"] for p in done["market_positions"]] == ["2.3200"]
    _status, paid = await venue.ask("GET", f"/portfolio/settlements?ticker={TICKER}&event_ticker={EVENT}&limit=5")
    assert [(s["revenue"], s["value"], s["yes_total_cost_dollars"]) for s in paid["settlements"]] == [
        (400, 100, "1.6800")
    ]
    assert (await venue.ask("GET", "/portfolio/balance"))[1]["balance_dollars"] == "1002.3200"


async def test_candles_and_trades(venue):
    for cents in (40, 43, 41):
        put(venue.exchange, "bob", "ask", cents, 1)
        await venue.create(f"t{cents}", price=f"0.{cents}00", count="1")
        venue.clock.advance(20 * SECOND)
    start = venue.clock.now_ns() // SECOND - 120
    query = f"start_ts={start}&end_ts={start + 7_200}&period_interval=60"
    _status, body = await venue.ask("GET", f"/series/KXINXU/markets/{TICKER}/candlesticks?{query}", headers={})
    price = body["candlesticks"][0]["price"]
    assert [price[f"{key}_dollars"] for key in ("open", "high", "low", "close")] == [
        "0.4000",
        "0.4300",
        "0.4000",
        "0.4100",
    ]
    _status, batch = await venue.ask(
        "GET", f"/markets/candlesticks?market_tickers={TICKER},{OTHER}&{query}", headers={}
    )
    assert [len(row["candlesticks"]) for row in batch["markets"]] == [1, 0]
    bad = await venue.ask("GET", f"/series/KXINXU/markets/{TICKER}/candlesticks?{query}0", headers={})
    assert code_of(bad) == (400, "bad_request")
    _status, trades = await venue.ask("GET", f"/markets/trades?ticker={TICKER}&limit=2", headers={})
    assert [trade["yes_price_dollars"] for trade in trades["trades"]] == ["0.4100", "0.4300"]
    _status, more = await venue.ask("GET", f"/markets/trades?limit=2&cursor={trades['cursor']}", headers={})
    assert [trade["yes_price_dollars"] for trade in more["trades"]] == ["0.4000"]


# -- the door ---------------------------------------------------------------------------------------------------


async def test_signed_paths_need_a_signature_and_public_ones_do_not(venue):
    assert code_of(await venue.ask("GET", "/portfolio/balance", headers={})) == (401, "authentication_error")
    assert code_of(await venue.ask("GET", f"/markets/{TICKER}/orderbook", headers={}))[0] == 401
    assert (await venue.ask("GET", "/exchange/status", headers={}))[0] == 200
    wrong = venue.headers("GET", PREFIX + "/portfolio/orders")
    assert code_of(await venue.ask("GET", "/portfolio/balance", headers=wrong))[0] == 401
    late = venue.headers("GET", PREFIX + "/portfolio/balance", skew_ms=-10_001)
    assert code_of(await venue.ask("GET", "/portfolio/balance", headers=late))[0] == 401
    assert code_of(await venue.ask("GET", "/nowhere", headers={})) == (404, "not_found")


async def test_fast_time_widens_the_tolerance():
    async with Venue(ServerOptions(speed=200.0)) as venue:
        late = venue.headers("GET", PREFIX + "/portfolio/balance", skew_ms=-1_999_000)
        assert (await venue.ask("GET", "/portfolio/balance", headers=late))[0] == 200


async def test_the_date_header_is_the_exchanges_own_time(venue):
    _answer, headers = await venue.ask_with_headers("GET", "/exchange/status", headers={})
    assert headers["Date"] == "Mon, 23 Nov 2026 14:35:00 GMT"


async def test_a_member_over_its_budget_gets_429_until_time_passes():
    async with Venue(ServerOptions(tier=TIERS["basic"])) as venue:
        for n in range(10):
            await venue.create(f"a{n}")
        status, body = await venue.ask("POST", ORDERS, create_body("b"))
        assert (status, body) == (429, {"error": "too many requests"})
        assert (await venue.ask("GET", "/portfolio/balance"))[0] == 200, "reads have their own bucket"
        venue.clock.advance(Nanos(100 * MILLISECOND))
        await venue.create("b")
        venue.clock.advance(SECOND)
        batch = {"orders": [create_body(f"c{n}") for n in range(11)]}
        answer, headers = await venue.ask_with_headers("POST", f"{ORDERS}/batched", batch)
        assert answer[0] == 429, "a batch beyond the bucket fails whole"
        assert "Retry-After" not in headers
        venue.server.faults.string_429 = False
        assert code_of(await venue.ask("POST", f"{ORDERS}/batched", batch)) == (429, "too_many_requests")


async def test_flat_envelopes_on_request(venue):
    venue.server.faults.error_shape = ErrorShape.FLAT
    assert await venue.ask("DELETE", f"{ORDERS}/x") == (404, {"code": "not_found", "message": "not found"})


# -- faults -----------------------------------------------------------------------------------------------------


async def test_refused_cancels_leave_everything_resting(venue):
    order_id = await venue.create("a")
    await venue.admin("POST", "/faults", {"refuse_cancels": True})
    for answer in (
        await venue.ask("DELETE", f"{ORDERS}/{order_id}"),
        await venue.ask("DELETE", ORDERS),
        await venue.ask("DELETE", f"{ORDERS}/batched", {"orders": [{"order_id": order_id}]}),
    ):
        assert code_of(answer) == (503, "exchange_unavailable")
    assert venue.api.resting_count == 1
    await venue.admin("POST", "/faults", {"clear": True})
    assert (await venue.ask("DELETE", f"{ORDERS}/{order_id}"))[0] == 200


@pytest.mark.parametrize(("when", "landed"), [("before", 0), ("after", 1)])
async def test_a_503_may_hide_an_order_that_was_applied(venue, when, landed):
    await venue.admin("POST", "/faults", {"inject": {"operation": "create", "when": when, "status": 503}})
    status, body = await venue.ask("POST", ORDERS, create_body("a"))
    assert (status, body["error"]["code"]) == (503, "service_unavailable")
    assert venue.api.resting_count == landed
    again = await venue.ask("POST", ORDERS, create_body("a"))
    assert again[0] == (409 if landed else 201)


@pytest.mark.parametrize("manner", [Manner.DROP, Manner.HANG])
async def test_an_answer_may_never_come_though_the_order_was_applied(venue, manner):
    venue.server.faults.injections.append(Injection("create", When.AFTER, manner))
    with pytest.raises((aiohttp.ClientError, TimeoutError)):
        async with asyncio.timeout(0.3):
            await venue.ask("POST", ORDERS, create_body("a"))
    assert venue.api.resting_count == 1


async def test_an_answer_may_be_no_json(venue):
    venue.server.faults.injections.append(Injection("create", When.AFTER, Manner.GARBAGE))
    with pytest.raises(ValueError, match="unexpected character"):
        await venue.ask("POST", ORDERS, create_body("a"))
    assert venue.api.resting_count == 1


async def test_nonsense_on_the_admin_api_is_refused(venue):
    wishes: list[object] = [
        [],
        {"inject": {}},
        {"inject": {"operation": "x", "when": "later"}},
        {"error_shape": "round"},
        {"skip_seq": 1},
    ]
    for wish in wishes:
        status, _body = await venue.admin("POST", "/faults", wish)
        assert status == 400
    assert (await venue.admin("GET", "/truth?account=nobody"))[0] == 404
    assert (await venue.admin("GET", "/health"))[1]["ok"] is True


async def test_the_truth_tells_all(venue):
    kept = await venue.create("kept", count="10", expiration_time=TARGET // SECOND)
    gone = await venue.create("gone")
    await venue.ask("DELETE", f"{ORDERS}/{gone}")
    put(venue.exchange, "bob", "ask", 42, 4)
    venue.exchange.open_account("silent", Dollars(0), keeps_history=False)
    _status, truth = await venue.admin("GET", "/truth")
    assert [(o["order_id"], o["client_order_id"], o["since_ns"]) for o in truth["resting"]] == [
        (kept, "kept", venue.clock.now_ns())
    ]
    assert (truth["cash_dollars"], truth["pnl_dollars"], truth["fees_dollars"]) == ("998.3200", "0.0000", "0.0000")
    assert truth["fills"][0]["client_order_id"] == "kept"
    assert (truth["cancels_total"], truth["contracts"], truth["orders_total"]) == (1, "4.00", 2)
    venue.clock.set(TARGET + 5 * MINUTE)
    _status, truth = await venue.admin("GET", "/truth?account=api")
    assert truth["settled_values"] == {EVENT: "6852.34", RANGE_EVENT: "6852.34"}
    assert truth["market_results"] == {TICKER: "yes"}
    assert (truth["cash_dollars"], truth["pnl_dollars"], truth["resting"]) == ("1002.3200", "2.3200", [])
    by_event = {row["event_ticker"]: row for row in truth["cutoffs"]}
    assert by_event[EVENT]["at_cutoff"] == 1
    assert by_event[EVENT]["at_target"] == 0, "it expired with the target"
    assert truth["resting_after_cutoff_max"] == 1
    assert truth["requests"]["create 201"] == 2


async def test_levers_of_the_admin_api(venue):
    await venue.create("a")
    wish = {"deactivate": [TICKER], "hold_settlement": {"event_ticker": EVENT, "for_s": 600}}
    assert (await venue.admin("POST", "/faults", wish))[0] == 200
    assert code_of(await venue.ask("POST", ORDERS, create_body("b"))) == (400, "MARKET_INACTIVE")
    await venue.admin("POST", "/faults", {"activate": [TICKER]})
    assert venue.api.resting_count == 0
    venue.clock.set(TARGET + 5 * MINUTE)
    _status, truth = await venue.admin("GET", "/truth")
    assert list(truth["settled_values"]) == [RANGE_EVENT]
