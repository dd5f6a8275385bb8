"""Other people's clients, unchanged, against `simulate-exchange` as README offers it: they know no clock but their own.

kalshi-python-async 3.34.0 and massive 2.x; the exchange is a process of its own, on a simulated day or on the machine's
clock, with a key of either type.
"""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from kalshi_daemon.ground.clock import SystemClock
from kalshi_daemon.ground.units import MINUTE, SECOND, to_ms
from tests.support.late import Late
from tests.support.processes import Processes

kalshi: Any = Late("kalshi_python_async")
massive: Any = Late("massive")

pytestmark = [pytest.mark.conformance, pytest.mark.e2e]

ARGUMENTS = [["--key-type", "rsa"], ["--real-clock", "--key-type", "rsa"], ["--real-clock"]]


@pytest.fixture(params=ARGUMENTS, ids=[" ".join(one) for one in ARGUMENTS])
def sim(request, tmp_path):
    processes = Processes(tmp_path)
    try:
        yield processes.simulator(*request.param).wait_ready()
    finally:
        processes.close()


def pem_of(ready):
    return Path(ready["private_key_path"]).read_text()


async def test_the_official_client_trades_and_the_vendors_reads_bars(sim):
    from kalshi_python_async.auth import KalshiAuth  # noqa: PLC0415 - set_kalshi_auth() of 3.34.0 raises NameError

    ready = sim.ready
    pem = pem_of(ready)
    assert ready["key_type"] == ("rsa" if "rsa" in " ".join(sim.popen.args) else "ed25519")
    api = kalshi.ApiClient(kalshi.Configuration(host=ready["rest_url"]))
    api.kalshi_auth = KalshiAuth(ready["key_id"], pem)
    try:
        markets = (await kalshi.MarketApi(api).get_markets(series_ticker="KXINXU", status="open", limit=400)).markets
        assert len(markets) == 400
        ticker = markets[200].ticker
        made = await kalshi.OrdersApi(api).create_order_v2(
            ticker=ticker,
            client_order_id="one",
            side="bid",
            count="1",
            price="0.0100",
            time_in_force="good_till_canceled",
            self_trade_prevention_type="taker_at_cross",
            post_only=True,
        )
        listed = (await kalshi.OrdersApi(api).get_orders(status="resting")).orders
        assert [order.order_id for order in listed] == [made.order_id]
        assert sim.truth()["resting"][0]["ticker"] == ticker
        signed = api.kalshi_auth.create_auth_headers("GET", ready["ws_url"].replace("ws://", "http://"))
        async with aiohttp.ClientSession() as http, http.ws_connect(ready["ws_url"], headers=signed) as socket:
            subscribe = {"channels": ["orderbook_delta"], "market_tickers": [ticker]}
            await socket.send_json({"id": 1, "cmd": "subscribe", "params": subscribe})
            assert (await socket.receive_json())["type"] == "subscribed"
            assert (await socket.receive_json())["msg"]["yes_dollars_fp"][0][0] == "0.0100"
    finally:
        await api.close()

    now = sim.now_ns()
    client = massive.RESTClient(ready["feed_api_key"], base=ready["feed_rest_url"])
    span = (to_ms(now - 20 * MINUTE), to_ms(now))
    bars = await asyncio.to_thread(lambda: list(client.list_aggs("I:SPX", 1, "minute", *span)))
    if ready["clock"] == "machine":
        assert abs(now - SystemClock().now_ns()) < 5 * SECOND
        assert len(bars) in (20, 21)
    else:
        assert ready["clock"] == "simulated"
        assert bars == []  # the simulated day starts before its open
