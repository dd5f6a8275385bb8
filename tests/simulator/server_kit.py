"""A running server with one signed-in member, a hand-set clock and a client for tests."""

from typing import Any, Self

import aiohttp
import orjson

from kalshi_daemon.ground.clock import ManualClock
from kalshi_daemon.ground.units import MILLISECOND, Dollars
from kalshi_daemon.simulator.exchange.exchange import DEFAULT_RULES, Exchange, Rules
from kalshi_daemon.simulator.exchange.rate_buckets import TIERS
from kalshi_daemon.simulator.exchange.sim_server import ServerOptions, SimServer, SimUrls
from tests.simulator.exchange_kit import START, TICKER, small_listing
from tests.simulator.key_kit import ed25519_key, ed25519_pair, signed

PREFIX = "/trade-api/v2"
ORDERS = "/portfolio/events/orders"


def create_body(client_order_id: str, **more: object) -> dict[str, object]:
    return {
        "ticker": TICKER,
        "client_order_id": client_order_id,
        "side": "bid",
        "count": "2.00",
        "price": "0.4200",
        "time_in_force": "good_till_canceled",
        "self_trade_prevention_type": "taker_at_cross",
        **more,
    }


PRIME = ServerOptions(tier=TIERS["prime"])


class Venue:
    """The exchange, its server, and `ask` to talk to it as the member `api`."""

    def __init__(self, options: ServerOptions = PRIME, *, rules: Rules = DEFAULT_RULES, **parts: Any) -> None:
        self.clock = ManualClock(START)
        self.exchange = Exchange(self.clock.now_ns, 7, lambda _index, _ns: 6852.34, small_listing(), rules=rules)
        self.api = self.exchange.open_account("api", Dollars(1_000 * 10_000))
        self.exchange.open_account("bob", Dollars(1_000 * 10_000))
        self.server = SimServer(self.exchange, self.clock, options, **parts)
        self.server.register_key("key", ed25519_pair()[1], "api")
        self.urls: SimUrls
        self._session: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        self.urls = await self.server.start()
        self._session = aiohttp.ClientSession()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self._session.close()
        await self.server.aclose()

    def headers(self, method: str, path: str, *, skew_ms: int = 0) -> dict[str, str]:
        return signed(ed25519_key(), "key", method, path, self.clock.now_ns() // MILLISECOND + skew_ms)

    async def ask(
        self, method: str, path: str, body: object = None, *, headers: dict[str, str] | None = None, raw: bytes = b""
    ) -> tuple[int, Any]:
        """(status, JSON or None). `path` may carry a query; it is signed without."""
        answer, _headers = await self.ask_with_headers(method, path, body, headers=headers, raw=raw)
        return answer

    async def ask_with_headers(
        self, method: str, path: str, body: object = None, *, headers: dict[str, str] | None = None, raw: bytes = b""
    ) -> tuple[tuple[int, Any], Any]:
        if headers is None:
            headers = self.headers(method, PREFIX + path.partition("?")[0])
        data = orjson.dumps(body) if body is not None else raw or None
        async with self._session.request(method, self.urls.rest_url + path, data=data, headers=headers) as response:
            text = await response.read()
            return (response.status, orjson.loads(text) if text else None), response.headers

    async def admin(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        data = orjson.dumps(body) if body is not None else None
        async with self._session.request(method, self.urls.admin_url + path, data=data) as response:
            return response.status, orjson.loads(await response.read())

    async def create(self, client_order_id: str, **more: object) -> str:
        status, body = await self.ask("POST", ORDERS, create_body(client_order_id, **more))
        assert status == 201, body
        return str(body["order_id"])

    def connect(self) -> Any:
        """A signed websocket, as aiohttp's context manager."""
        path = "/trade-api/ws/v2"
        return self._session.ws_connect(self.urls.ws_url, headers=self.headers("GET", path), autoping=False)
