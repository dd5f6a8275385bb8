"""Whatever a stranger sends: a refusal or an error frame, never an exception of ours."""

import contextlib
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_daemon.simulator.exchange.order_intake import read_amend, read_create, read_decrease, read_group_limit
from kalshi_daemon.simulator.exchange.rest_call import Call, Refused, page
from kalshi_daemon.simulator.exchange.rest_orders import batch_items
from kalshi_daemon.simulator.exchange.ws_commands import CommandDesk
from kalshi_daemon.simulator.exchange.ws_subscriptions import Subscription, Switchboard
from tests.simulator.exchange_kit import TICKER, small_exchange
from tests.simulator.server_kit import create_body

LEAVES = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(max_size=8)
NUMBERS = st.sampled_from(["0.42", "0.4200", "2.00", "2", "-1", "1e3", "NaN", "", "0.425", "99999999999"])
VALUES = st.recursive(
    LEAVES | NUMBERS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
)
KEYS = st.sampled_from([*create_body("a"), "expiration_time", "post_only", "order_group_id", "subaccount", "reduce_by"])


@settings(max_examples=400, deadline=None)
@given(change=st.dictionaries(KEYS, VALUES, max_size=4), base=st.booleans())
def test_order_bodies(change, base):
    body: dict[str, Any] = (create_body("a") if base else {}) | change
    exchange, _clock = small_exchange()
    with contextlib.suppress(Refused):
        exchange.submit("ann", read_create(body))
    for reader in (read_amend, read_decrease, read_group_limit):
        with contextlib.suppress(Refused):
            reader(body)


@settings(max_examples=200, deadline=None)
@given(value=VALUES)
def test_anything_for_an_order_or_a_batch(value):
    with contextlib.suppress(Refused):
        read_create(value)
    assert batch_items(orjson.dumps(value)) >= 0
    assert batch_items(orjson.dumps({"orders": value})) >= 0


class Sink:
    account_name = "ann"

    def push(self, frame: bytes, subscription: Subscription | None) -> None:
        assert orjson.loads(frame)["type"] in (
            "error",
            "ok",
            "subscribed",
            "unsubscribed",
            "orderbook_snapshot",
            "ticker",
        )

    def overflowed(self, subscription: Subscription) -> None:
        raise AssertionError


PARAMS = st.dictionaries(
    st.sampled_from(["channels", "market_ticker", "market_tickers", "sid", "sids", "action", "use_yes_price"]),
    VALUES
    | st.sampled_from(
        [["orderbook_delta"], ["fill", "ticker"], TICKER, [TICKER, "NONE"], [1], 1, "add_markets", "get_snapshot"]
    ),
    max_size=4,
)
COMMANDS = st.fixed_dictionaries(
    {
        "id": LEAVES,
        "cmd": st.sampled_from(["subscribe", "unsubscribe", "update_subscription", "list_subscriptions"]) | VALUES,
        "params": PARAMS | VALUES,
    }
)


@settings(max_examples=300, deadline=None)
@given(commands=st.lists(COMMANDS, max_size=6))
def test_websocket_commands(commands):
    exchange, _clock = small_exchange()
    desk = CommandDesk(exchange, Switchboard(), Sink(), keep_empty_sides=False)
    for command in commands:
        desk.handle(orjson.dumps(command))
    desk.close()


@settings(max_examples=200, deadline=None)
@given(cursor=st.text(max_size=20), size=st.integers(0, 12), limit=st.integers(1, 5))
def test_any_cursor_gives_a_page(cursor, size, limit):
    exchange, clock = small_exchange()
    call = Call(exchange, clock(), None, {}, {"cursor": [cursor], "limit": [str(limit)]}, b"")
    shown, _next = page(call, list(range(size)), lambda item: item)
    assert len(shown) <= limit
