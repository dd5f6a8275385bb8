"""One loopback port with the exchange's REST and websocket sides and the admin API."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from kalshi_daemon.ground.clock import Clock
from kalshi_daemon.ground.units import Nanos
from kalshi_daemon.simulator.exchange.admin import Admin
from kalshi_daemon.simulator.exchange.exchange import Exchange
from kalshi_daemon.simulator.exchange.faults import Faults
from kalshi_daemon.simulator.exchange.rate_buckets import TIERS, Tier
from kalshi_daemon.simulator.exchange.rest_call import PREFIX
from kalshi_daemon.simulator.exchange.rest_server import RestServer
from kalshi_daemon.simulator.exchange.sim_auth import KeyRing, StampClock
from kalshi_daemon.simulator.exchange.ws_server import PATH, PING_S, StreamHub
from kalshi_daemon.simulator.feed.feed_server import FeedServer
from kalshi_daemon.simulator.latency import Delays

ADMIN: Final = "/admin"
_LOOPBACK: Final = "127.0.0.1"
_TOLERANCE_MS: Final = 10_000
_SHUTDOWN_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class SimUrls:
    """Where clients find the exchange. `rest_url` ends in /trade-api/v2."""

    rest_url: str
    ws_url: str
    admin_url: str


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """How the server behaves."""

    speed: float = 1.0
    """Widens the signature's tolerance and quickens pings: both are in the clock's time."""
    tier: Tier = TIERS["basic"]
    ping_floor_s: float = 0.05
    keep_empty_sides: bool = False
    delays: Delays | None = None
    """Of requests and their answers, in the clock's time; None: none but the machine's own."""


DEFAULT_OPTIONS: Final = ServerOptions()


class SimServer:
    """Owns the sockets.

    extra_routes: more aiohttp routes below the admin path, `web.RouteDef("GET", "/clock", keeper.handle_follow, {})`;
    their paths are given without the admin prefix. feed: the feed that the admin API may bend.
    machine_now: a clock whose timestamps are accepted as well as the exchange's, for clients that know no other.
    """

    def __init__(
        self,
        exchange: Exchange,
        clock: Clock,
        options: ServerOptions = DEFAULT_OPTIONS,
        *,
        faults: Faults | None = None,
        extra_routes: Iterable[web.RouteDef] = (),
        feed: FeedServer | None = None,
        machine_now: Callable[[], Nanos] | None = None,
    ) -> None:
        self.exchange = exchange
        self.keys = KeyRing()
        self.faults = faults or Faults()
        clocks = [StampClock(clock.now_ns, round(_TOLERANCE_MS * max(1.0, options.speed)))]
        if machine_now is not None:
            clocks.append(StampClock(machine_now, _TOLERANCE_MS))
        delays = options.delays

        async def on_its_way(method: str) -> None:
            if delays is not None:
                await clock.sleep(delays.request_ns(method))

        self.rest = RestServer(
            exchange, self.keys, self.faults, clocks, tier=options.tier, on_its_way=on_its_way if delays else None
        )
        self.hub = StreamHub(
            exchange,
            self.keys,
            self.faults,
            clocks,
            ping_every_s=max(options.ping_floor_s, PING_S / max(1.0, options.speed)),
            keep_empty_sides=options.keep_empty_sides,
        )
        exchange.set_listener(self.hub)
        self._extra_routes = tuple(extra_routes)
        self._feed = feed
        self._runner: web.AppRunner | None = None

    def register_key(self, key_id: str, public_pem: bytes, account_name: str) -> None:
        """Let a key sign for an account. Raises KeyError for an unknown account, TypeError for a wrong key type."""
        self.keys.register(key_id, public_pem, self.exchange.accounts[account_name].name)

    async def start(self, port: int = 0) -> SimUrls:
        """Listen on 127.0.0.1; port 0 takes any free one. Raises OSError when the port is taken."""
        app = web.Application(client_max_size=16 * 1024 * 1024)
        app.add_routes(self.rest.routes())
        app.router.add_get(PATH, self.hub.serve)
        app.add_routes(Admin(self.exchange, self.rest, self.hub, self.faults, self._feed).routes(ADMIN))
        for route in self._extra_routes:
            app.router.add_route(route.method, ADMIN + route.path, route.handler, **route.kwargs)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_S)
        await self._runner.setup()
        await web.TCPSite(self._runner, _LOOPBACK, port).start()
        # A loop whose servers own no sockets (a simulated network) listens on the port it was asked for.
        bound = self._runner.addresses[0][1] if self._runner.addresses else port
        base = f"{_LOOPBACK}:{bound}"
        return SimUrls(f"http://{base}{PREFIX}", f"ws://{base}{PATH}", f"http://{base}{ADMIN}")

    async def aclose(self) -> None:
        """Cut the websockets, let hanging answers go, stop listening. Closing twice is harmless."""
        self.rest.close()
        self.hub.drop_connections()
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()
