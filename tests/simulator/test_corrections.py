"""What the venue takes back, and markets of another shard: in Python and over the admin API."""

import pytest

from kalshi_daemon.ground.units import MINUTE, SECOND, Count, Dollars, Nanos
from kalshi_daemon.simulator.exchange.corrections import (
    amend_settlement,
    change_cash,
    determine_again,
    dispute,
    move_to_shard,
)
from kalshi_daemon.simulator.exchange.order_groups import OrderGroup
from kalshi_daemon.simulator.exchange.order_terms import TRADING_PAUSED
from tests.simulator.exchange_kit import EVENT, OTHER, TARGET, TICKER, put, small_exchange, spec
from tests.simulator.server_kit import ORDERS, Venue, create_body

DETERMINED = 66 * SECOND
SETTLED = 5 * MINUTE
FEE = 67_200
"""The taker's, in micro-dollars."""


def _settled(value=6852.34):
    """`ann` holds four YES of TICKER (6,850 or above) at 40 cents, `bob` the other side."""
    exchange, clock = small_exchange(value=value)
    put(exchange, "ann", "bid", 40, 4)
    put(exchange, "bob", "ask", 40, 4)
    return exchange, clock


def _status(exchange, clock, ticker=TICKER):
    return exchange.catalogue.markets[ticker].status(clock()).value


def test_an_amended_settlement_pays_again_and_says_so():
    exchange, clock = _settled()
    exchange.run_until(clock.set(TARGET + SETTLED))
    ann, bob = exchange.accounts["ann"], exchange.accounts["bob"]
    assert (ann.cash, bob.cash) == (1_002_400_000, 997_600_000 - FEE)
    assert amend_settlement(exchange, EVENT, points=6849.99) == [TICKER]
    assert (ann.cash, bob.cash) == (998_400_000, 1_001_600_000 - FEE)
    assert [(paid.ticker, paid.result, paid.revenue) for paid in ann.settlements] == [(TICKER, "no", 0)]
    assert ann.realized() == ann.cash - ann.start_cash
    assert _status(exchange, clock) == "amended"
    assert _status(exchange, clock, OTHER) == "finalized"
    assert amend_settlement(exchange, EVENT, points=6849.99) == []


def test_a_second_result_comes_before_the_settlement():
    exchange, clock = _settled()
    exchange.run_until(clock.set(TARGET + DETERMINED))
    assert exchange.catalogue.markets[TICKER].result == "yes"
    assert determine_again(exchange, EVENT, results={TICKER: "no"}) == [TICKER]
    exchange.run_until(clock.set(TARGET + SETTLED))
    assert exchange.accounts["ann"].cash == 998_400_000
    with pytest.raises(ValueError, match="settlement"):
        determine_again(exchange, EVENT)


def test_a_dispute_holds_the_settlement():
    exchange, clock = _settled()
    with pytest.raises(ValueError, match="determination"):
        dispute(exchange, EVENT, Nanos(MINUTE))
    exchange.run_until(clock.set(TARGET + DETERMINED))
    dispute(exchange, EVENT, Nanos(30 * MINUTE))
    exchange.run_until(clock.advance(29 * MINUTE))
    assert _status(exchange, clock) == "disputed"
    assert exchange.accounts["ann"].cash == 998_400_000
    exchange.run_until(clock.advance(2 * MINUTE))
    assert _status(exchange, clock) == "finalized"
    assert exchange.accounts["ann"].cash == 1_002_400_000


def test_cash_changes_without_a_message():
    exchange, _clock = _settled()
    change_cash(exchange, "ann", Dollars(-123_400))
    assert exchange.accounts["ann"].cash == 998_400_000 - 12_340_000
    assert exchange.accounts["ann"].settlements == []


def test_a_paused_shard_pauses_its_markets_and_no_others():
    exchange, clock = small_exchange()
    group = exchange.groups.create(exchange.accounts["ann"], Count(100 * 100), clock())
    assert isinstance(group, OrderGroup)
    kept = put(exchange, "ann", "bid", 10, cancel_on_pause=True)
    gone = put(exchange, "ann", "bid", 10, ticker=OTHER, cancel_on_pause=True)
    move_to_shard(exchange, [OTHER], 3)
    exchange.venue.pause_shard(3)
    assert (kept.order.booked, gone.order.booked) == (True, False)
    assert exchange.submit("ann", spec("bid", 10, ticker=OTHER)).refusal == TRADING_PAUSED
    assert exchange.submit("ann", spec("bid", 11)).refusal is None
    exchange.venue.resume_shard(3)
    assert exchange.submit("ann", spec("bid", 10, ticker=OTHER)).refusal is None
    refused = exchange.submit("ann", spec("bid", 12, ticker=OTHER, group_id=group.group_id)).refusal
    assert refused is not None
    assert refused.code == "ORDER_GROUP_NOT_FOUND"


async def test_a_far_shard_shows_in_every_answer():
    async with Venue() as venue:
        near = await venue.create("near")
        wish = {"shard": {"tickers": [OTHER], "exchange_index": 3}, "pause_shard": {"exchange_index": 3}}
        assert (await venue.admin("POST", "/faults", wish))[0] == 200
        _status, body = await venue.ask("GET", "/exchange/status")
        assert body["trading_active"]
        assert [(one["exchange_index"], one["trading_active"]) for one in body["exchange_index_statuses"]] == [
            (0, True),
            (3, False),
        ]
        _status, body = await venue.ask("GET", f"/markets/{OTHER}")
        assert body["market"]["exchange_index"] == 3
        status, body = await venue.ask("POST", ORDERS, create_body("far", ticker=OTHER))
        assert (status, body["error"]["code"]) == (400, "TRADING_PAUSED")
        await venue.admin("POST", "/faults", {"resume_shard": {"exchange_index": 3}})
        far = await venue.create("far", ticker=OTHER)
        wrong = await venue.ask("POST", ORDERS, create_body("wrong", ticker=OTHER, exchange_index=0))
        assert (wrong[0], wrong[1]["error"]["code"]) == (404, "market_not_found")
        for number, wanted in ((0, near), (3, far)):
            _status, body = await venue.ask("GET", f"/portfolio/orders?exchange_index={number}")
            assert [(one["order_id"], one["exchange_index"]) for one in body["orders"]] == [(wanted, number)]
        assert (await venue.ask("GET", "/portfolio/balance?exchange_index=3"))[1]["balance_dollars"] == "0.0000"
        assert (await venue.ask("GET", "/portfolio/balance?exchange_index=4"))[0] == 400
        assert (await venue.ask("DELETE", f"{ORDERS}/{far}"))[0] == 404
        assert (await venue.ask("DELETE", f"{ORDERS}/{far}?market_ticker={OTHER}"))[0] == 200


async def test_the_admin_api_amends_a_settlement_and_moves_cash():
    async with Venue() as venue:
        await venue.create("one")
        venue.clock.advance(Nanos(TARGET + SETTLED - venue.clock.now_ns()))
        wish = {"settlement": {"act": "amended", "event_ticker": EVENT, "points": 6849.0, "silent": True}}
        assert (await venue.admin("POST", "/faults", wish))[1]["settlement"] == [TICKER]
        await venue.admin("POST", "/faults", {"cash": {"dollars": -1.25}})
        assert (await venue.admin("GET", "/truth"))[1]["cash_dollars"] == "998.7500"
        for nonsense in (
            {"settlement": {"act": "forgotten", "event_ticker": EVENT}},
            {"settlement": {"act": "amended", "event_ticker": "NONE"}},
            {"cash": {"dollars": 1, "account": "nobody"}},
            {"pause_shard": {"exchange_index": 0}},
            {"feed": {"stall_s": 1}},
        ):
            assert (await venue.admin("POST", "/faults", nonsense))[0] == 400
