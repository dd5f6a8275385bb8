"""The finer levers: answers cut short or lacking a field, streams that lie, races lost on purpose."""

import asyncio

import aiohttp
import orjson
import pytest

from kalshi_daemon.simulator.exchange.faults import Injection, Manner, When, without
from kalshi_daemon.simulator.exchange.order_terms import OrderState
from kalshi_daemon.simulator.exchange.races import Racer
from tests.simulator.exchange_kit import TICKER, put, small_exchange, spec
from tests.simulator.server_kit import Venue


def test_without_drops_a_field_at_every_depth():
    assert without({"a": 1, "b": [{"a": 2, "c": {"a": 3, "d": 4}}]}, "a") == {"b": [{"c": {"d": 4}}]}


async def test_an_answer_is_cut_after_the_order_was_taken():
    async with Venue() as venue:
        venue.server.faults.injections.append(Injection("create", When.AFTER, Manner.CUT))
        with pytest.raises(aiohttp.ClientPayloadError):
            await venue.create("one")
        assert [order.client_order_id for order in venue.api.orders.values()] == ["one"]


async def test_an_answer_lacks_one_field_and_is_otherwise_whole():
    async with Venue() as venue:
        wish = {"inject": {"operation": "balance", "when": "after", "manner": "lack", "lacks": "balance"}}
        await venue.admin("POST", "/faults", wish)
        status, body = await venue.ask("GET", "/portfolio/balance")
        assert status == 200
        assert "balance" not in body
        _status, whole = await venue.ask("GET", "/portfolio/balance")
        assert whole.keys() > body.keys()


async def _next(socket):
    while True:
        message = await socket.receive()
        if message.type is aiohttp.WSMsgType.TEXT:
            return orjson.loads(message.data)


@pytest.mark.parametrize(
    ("wish", "numbers"),
    [
        ({}, [2, 3, 4, 5]),
        ({"duplicates": 2}, [2, 2, 3, 3, 4]),
        ({"swaps": 1}, [3, 2, 4, 5]),
        ({"muted": ["orderbook_delta"]}, []),
        ({"lag_s": 0.05}, [2, 3, 4, 5]),
        ({"withheld": [TICKER]}, []),
    ],
)
async def test_frames_of_data_are_bent_as_asked(wish, numbers):
    async with Venue() as venue:
        params = {"channels": ["orderbook_delta"], "market_tickers": [TICKER]}
        async with venue.connect() as socket:  # the snapshot itself is data: let it pass before the lever is set
            await socket.send_str(orjson.dumps({"id": 1, "cmd": "subscribe", "params": params}).decode())
            while (await _next(socket))["type"] != "orderbook_snapshot":
                pass
            status, _done = await venue.admin("POST", "/faults", {"stream": wish})
            assert status == 200
            seen: list[int] = []
            for number in range(4):
                await venue.create(f"order-{number}")
            try:
                while len(seen) < max(1, len(numbers)):
                    seen.append((await asyncio.wait_for(_next(socket), 1.0))["seq"])
            except TimeoutError:
                pass
            assert seen == numbers
            assert (venue.server.faults.stream.affected > 0) is bool(wish)


async def test_what_was_withheld_used_up_no_number_and_no_snapshot_tells_it_meanwhile():
    async with Venue() as venue:
        params = {"channels": ["orderbook_delta"], "market_tickers": [TICKER]}
        async with venue.connect() as socket:
            await socket.send_str(orjson.dumps({"id": 1, "cmd": "subscribe", "params": params}).decode())
            while (await _next(socket))["type"] != "orderbook_snapshot":
                pass
            await venue.admin("POST", "/faults", {"stream": {"withheld": [TICKER]}})
            await venue.create("lost")
            ask = {"sid": 1, "action": "get_snapshot", "market_tickers": [TICKER]}
            await socket.send_str(orjson.dumps({"id": 2, "cmd": "update_subscription", "params": ask}).decode())
            while not venue.server.faults.stream.affected >= 2:  # noqa: ASYNC110 - the change, then the snapshot
                await asyncio.sleep(0.01)
            await venue.admin("POST", "/faults", {"clear": True})
            await venue.create("seen")
            frame = await asyncio.wait_for(_next(socket), 5.0)
            assert (frame["type"], frame["seq"]) == ("orderbook_delta", 2), "no gap, and no snapshot"


async def test_a_clear_ends_every_bend():
    async with Venue() as venue:
        bend = {"muted": ["fill"], "lag_s": 3, "duplicates": 4, "swaps": 5}
        await venue.admin("POST", "/faults", {"stream": bend})
        stream = venue.server.faults.stream
        assert (stream.muted, stream.lag_s, stream.duplicates, stream.swaps) == (frozenset({"fill"}), 3.0, 4, 5)
        await venue.admin("POST", "/faults", {"clear": True})
        assert (stream.muted, stream.lag_s, stream.duplicates, stream.swaps) == (frozenset(), 0.0, 0, 0)


def test_a_create_loses_the_race_for_its_price():
    exchange, _clock = small_exchange()
    racer = Racer(exchange)
    racer.crossings = 1
    refused = exchange.submit("ann", spec("bid", 40, post_only=True))
    assert refused.refusal is not None
    assert refused.refusal.details == "post only cross"
    assert racer.won == 1
    put(exchange, "ann", "bid", 39, post_only=True)


@pytest.mark.parametrize(("part", "filled"), [(False, 400), (True, 200)])
def test_a_cancel_meets_a_trade(part, filled):
    exchange, _clock = small_exchange()
    racer = Racer(exchange)
    put(exchange, "bob", "bid", 41, 3)
    put(exchange, "bob", "bid", 40, 2)
    mine = put(exchange, "ann", "bid", 40, 4)
    racer.takes, racer.part = 1, part
    receipt = exchange.cancel("ann", mine.order_id)
    assert mine.order.filled == filled
    assert (receipt.refusal is None) is part
    assert mine.order.state is (OrderState.CANCELED if part else OrderState.EXECUTED)
    assert receipt.reduced_by == (200 if part else 0)
    assert racer.won == 1


def test_nobody_races_the_other_traders():
    exchange, _clock = small_exchange()
    racer = Racer(exchange)
    racer.crossings = racer.takes = 1
    exchange.open_account("crowd", exchange.accounts["ann"].cash_dollars, keeps_history=False)
    receipt = exchange.submit("crowd", spec("bid", 40))
    assert receipt.order_id is not None
    exchange.cancel("crowd", receipt.order_id)
    assert (racer.crossings, racer.takes, racer.won) == (1, 1, 0)


async def test_races_are_asked_for_over_the_admin_side():
    async with Venue() as venue:
        await venue.admin("POST", "/faults", {"races": {"crossings": 1}})
        await venue.admin("POST", "/faults", {"races": {"takes": 2, "part": True}})
        racer = venue.server.exchange.races
        assert isinstance(racer, Racer)
        assert (racer.crossings, racer.takes, racer.part) == (1, 2, True)
