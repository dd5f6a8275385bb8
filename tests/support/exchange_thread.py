"""A simulated exchange on loopback in a thread of its own, for commands that run their own event loop."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from aiohttp import web

from kalshi_daemon.domain.index import Geometry
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.clock import SystemClock
from kalshi_daemon.ground.units import HOUR, MINUTE, SECOND, Dollars, Level, Nanos, Price, lots
from kalshi_daemon.kalshi.auth import generate_ed25519_pem, signer_from_pem
from kalshi_daemon.simulator.exchange.exchange import Exchange
from kalshi_daemon.simulator.exchange.faults import Faults
from kalshi_daemon.simulator.exchange.instruments import Listing
from kalshi_daemon.simulator.exchange.listing import ladder_event
from kalshi_daemon.simulator.exchange.order_terms import OrderSpec
from kalshi_daemon.simulator.exchange.rate_buckets import TIERS
from kalshi_daemon.simulator.exchange.sim_server import ServerOptions, SimServer
from tests.support.instruments import SPECS

KEY_ID = "key-of-the-tests"
_OURS = "kd-00000000000000aa-"


class ExchangeThread:
    """The exchange on the machine's time, one member `api` with a key in `key_path`."""

    def __init__(self, folder: Path) -> None:
        clock = SystemClock()
        now = clock.now_ns()
        listing = Listing(
            SPECS,
            (
                ladder_event(
                    SPECS[0],
                    Geometry(5, 20, Level(1)),
                    6850.0,
                    Nanos(now - HOUR),
                    Nanos((now // MINUTE + 90) * MINUTE),
                ),
            ),
        )
        self.tickers = [market.ticker for market in listing.events[0].markets]
        self.faults = Faults()
        self.exchange = Exchange(clock.now_ns, 7, lambda _index, _ns: 6851.37, listing)
        self.exchange.open_account("api", Dollars(10_000 * 10_000))
        self.now_ns = clock.now_ns
        self.key_path = folder / "key.pem"
        pem = generate_ed25519_pem()
        self.key_path.touch(mode=0o600)
        self.key_path.write_bytes(pem)
        self._public = signer_from_pem(pem, KEY_ID).public_pem
        self.rest_url = self.admin_url = ""
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self.thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def on_loop[T](self, work: Callable[[], T]) -> T:
        """Run `work` where the exchange lives."""
        assert self._loop is not None

        async def there() -> T:
            return work()

        return asyncio.run_coroutine_threadsafe(there(), self._loop).result(10)

    def rest(self, contracts: int = 1, *, place: int = 0, cents: int = 10, name: str = "", expires_s: int = 0) -> str:
        """Put one bid of the member on the book; returns its client order id, one of ours unless named."""
        client_id = name or f"{_OURS}{self.exchange.orders_accepted + 1}"
        expires = Nanos(self.now_ns() + expires_s * SECOND) if expires_s else None
        ticker = self.tickers[place % len(self.tickers)]
        spec = OrderSpec(
            ticker, Side.BID, Price(cents * 100), lots(contracts), client_order_id=client_id, expires_ns=expires
        )
        receipt = self.on_loop(lambda: self.exchange.submit("api", spec))
        assert receipt.refusal is None
        return client_id

    def resting(self) -> set[str | None]:
        """The exchange's own truth."""
        account = self.exchange.accounts["api"]
        return self.on_loop(
            lambda: {order.client_order_id for orders in account.resting.values() for order in orders.values()}
        )

    def stop(self) -> None:
        if self._loop is not None and self._stop is not None and self.thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self.thread.join(10)

    def start(self) -> None:
        self.thread.start()
        assert self._ready.wait(10), "the exchange did not start"

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        routes = (web.RouteDef("GET", "/hello", self._hello, {}),)
        server = SimServer(
            self.exchange, SystemClock(), ServerOptions(tier=TIERS["premier"]), faults=self.faults, extra_routes=routes
        )
        server.register_key(KEY_ID, self._public, "api")
        urls = await server.start()
        self.rest_url, self.admin_url = urls.rest_url, urls.admin_url
        self._ready.set()
        await self._stop.wait()
        await server.aclose()

    async def _hello(self, _request: web.Request) -> web.Response:
        ready = {
            "rest_url": self.rest_url,
            "ws_url": "",
            "feed_url": "",
            "feed_api_key": "",
            "admin_url": self.admin_url,
            "key_id": KEY_ID,
            "private_key_path": str(self.key_path),
            "session_date": "2026-11-23",
            "speed": 1.0,
            "now_ns": self.now_ns(),
            "end_ns": self.now_ns() + HOUR,
        }
        return web.json_response(ready)


@contextlib.contextmanager
def exchange_thread(folder: Path) -> Iterator[ExchangeThread]:
    found = ExchangeThread(folder)
    found.start()
    try:
        yield found
    finally:
        found.stop()
