"""The official client (kalshi-python-async 3.34.0), unchanged, against the simulated exchange.

Its models are strict: a missing key, an int for a string or an unknown enum value raises.
"""

import sys
from datetime import timedelta
from typing import Any

import pytest

from kalshi_daemon.domain.index import Geometry
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.clock import SystemClock
from kalshi_daemon.ground.units import HOUR, MINUTE, Dollars, Level, Nanos, Price, lots
from kalshi_daemon.simulator.exchange.exchange import Exchange
from kalshi_daemon.simulator.exchange.instruments import Listing
from kalshi_daemon.simulator.exchange.listing import ladder_event, range_event
from kalshi_daemon.simulator.exchange.order_terms import OrderSpec, TimeInForce
from kalshi_daemon.simulator.exchange.rate_buckets import TIERS
from kalshi_daemon.simulator.exchange.sim_server import ServerOptions, SimServer
from tests.simulator.key_kit import ed25519_pair, rsa_pair
from tests.support.instruments import SPECS
from tests.support.late import Late

pytestmark = [
    pytest.mark.conformance,
    pytest.mark.skipif(sys.version_info < (3, 13), reason="kalshi-python-async 3.34.0 needs Python 3.13"),
]
kalshi: Any = Late("kalshi_python_async")


class OrderStore:
    """A running exchange on the machine's time, one API account, one market maker in process."""

    def __init__(self, pair) -> None:
        self.clock = SystemClock()
        self.api: Any = None
        now = self.clock.now_ns()
        self.target = Nanos((now // MINUTE + 90) * MINUTE)
        opens = Nanos(now - HOUR)
        listing = Listing(
            SPECS,
            (
                ladder_event(SPECS[0], Geometry(5, 20, Level(1)), 6850.0, opens, self.target),
                ladder_event(SPECS[1], Geometry(10, 20, Level(100)), 25_200.0, opens, self.target),
                range_event(SPECS[2], Geometry(25, 30, Level(1)), 6850.0, opens, self.target),
            ),
        )
        self.exchange = Exchange(self.clock.now_ns, 7, lambda index, _ns: 6851.37, listing)
        self.exchange.open_account("api", Dollars(1_000 * 10_000))
        self.exchange.open_account("maker", Dollars(0), keeps_history=False, checks_cash=False)
        self.server = SimServer(self.exchange, self.clock, ServerOptions(tier=TIERS["premier"]))
        private, public = pair
        self.private = private
        self.server.register_key("key-1", public, "api")
        self.event = listing.events[0].ticker
        self.tickers = [market.ticker for market in listing.events[0].markets]

    async def client(self):
        urls = await self.server.start()
        configuration = kalshi.Configuration(host=urls.rest_url)
        client = kalshi.ApiClient(configuration)
        from kalshi_python_async.auth import KalshiAuth  # noqa: PLC0415 - set_kalshi_auth() of 3.34.0 raises NameError

        client.kalshi_auth = KalshiAuth("key-1", self.private.decode())
        return client


@pytest.fixture(params=["ed25519", "rsa"])
async def desk(request):
    found = OrderStore(ed25519_pair() if request.param == "ed25519" else rsa_pair())
    found.api = await found.client()
    yield found
    await found.api.close()
    await found.server.aclose()


async def test_lists_the_exchange_its_series_events_markets_and_books(desk):
    exchange = kalshi.ExchangeApi(desk.api)
    status = await exchange.get_exchange_status()
    assert status.exchange_active
    assert status.trading_active
    assert (await exchange.get_exchange_schedule()).schedule.standard_hours
    assert (await exchange.get_user_data_timestamp()).as_of_time is not None
    assert (await exchange.get_series_fee_changes()).series_fee_change_arr == []

    market = kalshi.MarketApi(desk.api)
    series = (await market.get_series("KXINXU")).series
    assert (series.fee_type, series.fee_multiplier) == ("quadratic", 1)
    assert {s.ticker for s in (await market.get_series_list()).series} >= {"KXINXU", "KXNASDAQ100"}

    events = kalshi.EventsApi(desk.api)
    page = await events.get_events(series_ticker="KXINXU", status="open", with_nested_markets=True)
    assert [event.event_ticker for event in page.events] == [desk.event]
    assert len(page.events[0].markets) == 20
    assert (await events.get_event(desk.event)).event.series_ticker == "KXINXU"

    first = await market.get_markets(event_ticker=desk.event, limit=12)
    second = await market.get_markets(event_ticker=desk.event, limit=12, cursor=first.cursor)
    assert [m.ticker for m in first.markets + second.markets] == desk.tickers
    assert second.cursor == ""
    one = (await market.get_market(desk.tickers[3])).market
    assert one.status == "active"
    assert one.strike_type == "greater_or_equal"
    assert one.price_ranges[0].step == "0.0100"
    for other in ("KXNASDAQ100U", "KXINX"):
        assert (await market.get_markets(series_ticker=other)).markets

    desk.exchange.submit("maker", OrderSpec(desk.tickers[3], Side.BID, Price(4200), lots(3)))
    book = (await market.get_market_orderbook(desk.tickers[3])).orderbook_fp
    assert book.yes_dollars == [["0.4200", "3.00"]]
    assert book.no_dollars == []
    assert (await market.get_market_orderbooks(tickers=desk.tickers[:2])).orderbooks[0].ticker == desk.tickers[0]


async def test_creates_reads_amends_decreases_and_cancels_orders(desk):
    orders = kalshi.OrdersApi(desk.api)
    made = await orders.create_order_v2(**_request(desk.tickers[5], "c-1", price="0.4000", count="10"))
    assert (made.fill_count, made.remaining_count) == ("0.00", "10.00")
    read = (await orders.get_order(made.order_id)).order
    assert (read.status, read.book_side, read.yes_price_dollars) == ("resting", "bid", "0.4000")
    assert (await orders.get_order_queue_position(made.order_id)).queue_position_fp == "0.00"

    amended = await orders.amend_order_v2(made.order_id, ticker=desk.tickers[5], side="bid", price="0.4100", count="8")
    assert amended.remaining_count == "8.00"
    decreased = await orders.decrease_order_v2(made.order_id, reduce_by="3")
    assert decreased.remaining_count == "5.00"
    gone = await orders.cancel_order_v2(made.order_id, market_ticker=desk.tickers[5])
    assert gone.reduced_by == "5.00"

    with pytest.raises(kalshi.exceptions.NotFoundException):
        await orders.cancel_order_v2(made.order_id)
    with pytest.raises(kalshi.exceptions.ConflictException):
        await orders.create_order_v2(**_request(desk.tickers[5], "c-1", price="0.4000", count="10"))


async def test_batches_answer_each_item(desk):
    orders = kalshi.OrdersApi(desk.api)
    requests = [_request(desk.tickers[n], f"b-{n}", price="0.3000", count="1") for n in range(4)]
    made = await orders.batch_create_orders_v2(
        orders=[*requests, _request(desk.tickers[0], "b-0", price="0.3000", count="1")]
    )
    assert [item.error is None for item in made.orders] == [True] * 4 + [False]
    listed = await orders.get_orders(status="resting", limit=3)
    rest = await orders.get_orders(status="resting", limit=3, cursor=listed.cursor)
    assert {o.client_order_id for o in listed.orders + rest.orders} == {f"b-{n}" for n in range(4)}
    gone = await orders.batch_cancel_orders_v2(orders=[{"order_id": made.orders[0].order_id}, {"order_id": "nobody"}])
    assert [(item.reduced_by, item.error is None) for item in gone.orders] == [("1.00", True), ("0.00", False)]
    await orders.cancel_all_orders()
    assert (await orders.get_orders(status="resting")).orders == []


async def test_order_groups(desk):
    groups = kalshi.OrderGroupsApi(desk.api)
    made = await groups.create_order_group(contracts_limit=5)
    group_id = made.order_group_id
    await kalshi.OrdersApi(desk.api).create_order_v2(
        **_request(desk.tickers[1], "g-1", price="0.2000", count="1", order_group_id=group_id)
    )
    assert len((await groups.get_order_group(group_id)).orders) == 1
    await groups.trigger_order_group(group_id)
    assert (await groups.get_order_group(group_id)).orders == []
    await groups.reset_order_group(group_id)
    await groups.update_order_group_limit(group_id, contracts_limit=7)
    assert (await groups.get_order_groups()).order_groups[0].contracts_limit_fp == "7.00"
    await groups.delete_order_group(group_id)
    with pytest.raises(kalshi.exceptions.NotFoundException):
        await groups.get_order_group(group_id)


async def test_reads_fills_positions_balance_and_settlements(desk):
    ticker = desk.tickers[5]
    orders = kalshi.OrdersApi(desk.api)
    portfolio = kalshi.PortfolioApi(desk.api)
    made = await orders.create_order_v2(**_request(ticker, "f-1", price="0.4000", count="10"))
    desk.exchange.submit(
        "maker",
        OrderSpec(ticker, Side.ASK, Price(4000), lots(4), time_in_force=TimeInForce.IMMEDIATE_OR_CANCEL),
    )
    fills = (await portfolio.get_fills(order_id=made.order_id)).fills
    assert [(f.count_fp, f.is_taker, f.book_side, f.fee_cost) for f in fills] == [("4.00", False, "bid", "0.000000")]
    positions = await portfolio.get_positions()
    assert [(p.ticker, p.position_fp, p.market_exposure_dollars) for p in positions.market_positions] == [
        (ticker, "4.00", "1.6000")
    ]
    assert positions.event_positions[0].event_ticker == desk.event
    balance = await portfolio.get_balance()
    assert (balance.balance_dollars, balance.balance) == ("996.0000", 99_600)  # 1.60 paid, 2.40 held for the rest
    assert (await portfolio.get_portfolio_resting_order_total_value()).total_resting_order_value == 240
    assert (await kalshi.MarketApi(desk.api).get_trades(ticker=ticker)).trades[0].taker_book_side == "ask"
    start, end = desk.clock.now_ns() // 1_000_000_000 - 60, desk.clock.now_ns() // 1_000_000_000 + 60
    candles = await kalshi.MarketApi(desk.api).get_market_candlesticks("KXINXU", ticker, start, end, 1)
    assert candles.candlesticks[0].price.close_dollars == "0.4000"

    desk.exchange.run_until(Nanos(desk.target + 5 * MINUTE))
    settled = (await portfolio.get_settlements()).settlements
    # 6,851.37 against the sixth strike (6,825): yes pays 4 x 1.00
    assert [(s.ticker, s.market_result, s.yes_count_fp, s.revenue) for s in settled] == [(ticker, "yes", "4.00", 400)]
    assert (await portfolio.get_balance()).balance_dollars == "1002.4000"
    market = (await kalshi.MarketApi(desk.api).get_market(ticker)).market
    assert (market.status, market.result, market.expiration_value) == ("finalized", "yes", "6851.37")
    assert market.settlement_ts - market.close_time < timedelta(days=1)
    with pytest.raises(kalshi.exceptions.ApiException):
        await orders.create_order_v2(**_request(ticker, "late", price="0.4000", count="1"))

    archive = kalshi.HistoricalApi(desk.api)
    assert (await archive.get_historical_markets(event_ticker=desk.event)).markets == []
    desk.exchange.archived_before_ns = desk.exchange.now()
    assert (await archive.get_historical_cutoff()).market_settled_ts > market.settlement_ts
    assert (await archive.get_historical_market(ticker)).market.result == "yes"
    assert len((await archive.get_historical_markets(event_ticker=desk.event)).markets) == len(desk.tickers)
    assert [one.yes_price_dollars for one in (await archive.get_trades_historical(ticker=ticker)).trades] == ["0.4000"]
    past = await archive.get_market_candlesticks_historical(ticker, start, end, 1)
    assert [(one.price.close, one.volume) for one in past.candlesticks] == [("0.4000", "4.00")]
    with pytest.raises(kalshi.exceptions.ApiException):
        await kalshi.MarketApi(desk.api).get_market(ticker)


async def test_account_limits_and_costs(desk):
    account = kalshi.AccountApi(desk.api)
    limits = await account.get_account_api_limits()
    assert (limits.usage_tier, limits.write.refill_rate) == ("premier", 1_200)
    costs = await account.get_account_endpoint_costs()
    assert costs.default_cost == 10
    assert {row.cost for row in costs.endpoint_costs} == {2}


def _request(ticker: str, client_order_id: str, *, price: str, count: str, **more: str):
    return {
        "ticker": ticker,
        "client_order_id": client_order_id,
        "side": "bid",
        "count": count,
        "price": price,
        "time_in_force": "good_till_canceled",
        "self_trade_prevention_type": "taker_at_cross",
        "post_only": True,
        **more,
    }
