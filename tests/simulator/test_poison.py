"""Fields of answers and frames replaced by what they should never hold, and create answers that lie."""

import aiohttp
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshi_daemon.simulator.exchange.poison import Poison, poison_of
from tests.simulator.exchange_kit import OTHER, TICKER
from tests.simulator.server_kit import ORDERS, Venue, create_body

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abx"), inner, max_size=3),
    max_leaves=12,
)


def _places(body, name):
    if isinstance(body, list):
        return sum(_places(one, name) for one in body)
    if not isinstance(body, dict):
        return 0
    return sum(1 if key == name else _places(value, name) for key, value in body.items())


@given(_JSON, _JSON.filter(lambda value: _places(value, "x") == 0))
def test_every_place_of_the_field_and_nothing_else_is_replaced(body, value):
    poisoned = Poison("x", value).apply(body)
    found = _places(body, "x")
    assert (poisoned is None) == (found == 0)
    if poisoned is not None:
        changed = orjson.loads(poisoned)
        assert _places(changed, "x") == found
        assert Poison("x", None).apply(changed) == Poison("x", None).apply(body)


def test_a_poison_reaches_one_item_or_one_object_and_writes_what_json_cannot():
    body = {"markets": [{"ticker": "A", "close": {"ts": 1}}, {"ticker": "B", "close": {"ts": 2}}]}
    assert Poison("ts", raw="1e400", item=2).apply(body) == (
        b'{"markets":[{"ticker":"A","close":{"ts":1}},{"ticker":"B","close":{"ts":1e400}}]}'
    )
    of_b = orjson.loads(Poison("ts", "x", of="B").apply(body) or b"")
    assert [one["close"]["ts"] for one in of_b["markets"]] == [1, "x"]
    assert Poison("absent").use(body) is None
    with pytest.raises(KeyError):
        poison_of({"value": 1})


async def test_an_answer_holds_a_poisoned_field_as_often_as_asked_for():
    async with Venue() as venue:
        poison = {"field": "balance_dollars", "value": "1e3"}
        wish = {"inject": {"operation": "balance", "when": "after", "manner": "poison", "poison": poison, "times": 2}}
        await venue.admin("POST", "/faults", wish)
        told = [(await venue.ask("GET", "/portfolio/balance"))[1]["balance_dollars"] for _ in range(3)]
        assert told == ["1e3", "1e3", "1000.0000"]


async def test_frames_hold_a_poisoned_field():
    async with Venue() as venue, venue.connect() as socket:
        params = {"channels": ["orderbook_delta"], "market_tickers": [TICKER, OTHER]}
        await socket.send_bytes(orjson.dumps({"id": 1, "cmd": "subscribe", "params": params}))
        for _ in range(3):
            await _next(socket)
        poison = {"channel": "orderbook_delta", "field": "delta_fp", "raw": "NaN", "of": OTHER}
        await venue.admin("POST", "/faults", {"stream": {"poisons": [poison]}})
        await venue.create("one", ticker=TICKER)
        await venue.create("two", ticker=OTHER)
        await venue.create("three", ticker=OTHER, price="0.4300")
        texts = [await _text(socket) for _ in range(3)]
        assert ['"delta_fp":NaN' in text for text in texts] == [False, True, False]
        assert venue.server.faults.stream.affected == 1


async def test_a_frame_that_nothing_caused_is_said_in_its_number():
    async with Venue() as venue, venue.connect() as socket:
        params = {"channels": ["market_lifecycle_v2"]}
        await socket.send_bytes(orjson.dumps({"id": 1, "cmd": "subscribe", "params": params}))
        await _next(socket)
        msg = {"event_type": "determined", "market_ticker": "FOREIGN-1", "settlement_value": "0.123456"}
        wish = {"say": {"channel": "market_lifecycle_v2", "msg": msg}}
        assert (await venue.admin("POST", "/faults", wish))[1]["said"] == 1
        frame = await _next(socket)
        assert (frame["type"], frame["seq"], frame["msg"]) == ("market_lifecycle_v2", 1, msg)


async def test_create_answers_share_an_order_id_or_tell_that_of_another_order():
    async with Venue() as venue:
        known = await venue.create("known")
        venue_faults = {"operation": "batch_create", "when": "after"}
        batch = {"orders": [create_body("a", price="0.4000"), create_body("b", price="0.4100")]}
        await venue.admin("POST", "/faults", {"inject": {**venue_faults, "manner": "shared_id"}})
        _status, body = await venue.ask("POST", f"{ORDERS}/batched", batch)
        assert len({item["order_id"] for item in body["orders"]}) == 1
        assert [item["client_order_id"] for item in body["orders"]] == ["a", "b"]
        assert len(venue.api.orders) == 3

        for manner, poison, wanted in (
            ("other_id", {}, list(venue.api.orders)[-1]),
            ("other_id", {"poison": {"field": "order_id", "value": known}}, known),
        ):
            name = "c" if not poison else "d"
            await venue.admin("POST", "/faults", {"inject": {**venue_faults, "manner": manner, **poison}})
            _status, body = await venue.ask("POST", f"{ORDERS}/batched", {"orders": [create_body(name)]})
            assert body["orders"][0]["order_id"] == wanted
            assert body["orders"][0]["order_id"] != list(venue.api.orders)[-1]


async def _text(socket):
    while True:
        message = await socket.receive()
        if message.type is aiohttp.WSMsgType.TEXT:
            return message.data


async def _next(socket):
    return orjson.loads(await _text(socket))
