"""The machine of the exchange and the feed, with every lever the faults pull."""

from collections.abc import Callable
from datetime import datetime
from zoneinfo import ZoneInfo

from simloop import SimLoop

from kalshi_daemon.app.clients import Endpoints
from kalshi_daemon.domain.index import Geometry, Index
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.units import SECOND, Nanos, Price, lots
from kalshi_daemon.kalshi.auth import generate_ed25519_pem, signer_from_pem
from kalshi_daemon.settings.instruments import instruments_of
from kalshi_daemon.simulator.exchange.listing import geometry_of
from kalshi_daemon.simulator.exchange.order_terms import OrderSpec
from kalshi_daemon.simulator.exchange.races import Racer
from kalshi_daemon.simulator.exchange.sim_orders import Account, SimOrder
from kalshi_daemon.simulator.exchange.sim_server import SimServer
from kalshi_daemon.simulator.feed.index_path import IndexPath
from kalshi_daemon.simulator.traders.traders import TraderMix
from kalshi_daemon.simulator.world import API_ACCOUNT, World, WorldPlan
from tests.simulation.scenario import Scenario
from tests.simulation.virtual_time import LoopClock

HOST = "exchange"
_PORT, _FEED_PORT = 8000, 8001
_KEY_ID = "simulated-key"
_PEM = generate_ed25519_pem()
_LEGS = 24
_LEGS_UNPLAYED = 2
"""Series that the scenario leaves out are listed, and nobody trades in them."""
_STEPS = {"KXINXU": 10, "KXNASDAQ100U": 40, "KXINX": 25, "KXNASDAQ100": 100}
"""Coarser than the venue's: few legs must reach from the previous close to wherever the index goes."""
_MIX = TraderMix(makers=1, strikes_per_maker=6, refresh_s=(6.0, 15.0), noise_per_minute=15.0, informed_per_minute=2.0)
_NEW_YORK = ZoneInfo("America/New_York")


class Trap(Racer):
    """A racer that also tells when a create or a cancel of the member's is about to be executed."""

    on_create: Callable[[], None] | None = None
    on_cancel: Callable[[], None] | None = None

    def before_create(self, account_name: str, spec: OrderSpec, now_ns: Nanos) -> None:
        super().before_create(account_name, spec, now_ns)
        if account_name == API_ACCOUNT and self.on_create is not None:
            sprung, self.on_create = self.on_create, None
            sprung()

    def before_cancel(self, account_name: str, order_id: str, now_ns: Nanos) -> None:
        super().before_cancel(account_name, order_id, now_ns)
        if account_name == API_ACCOUNT and self.on_cancel is not None:
            sprung, self.on_cancel = self.on_cancel, None
            sprung()


class ExchangeHost:
    """A world with few strikes and few traders, on the loop's own time."""

    def __init__(self, loop: SimLoop, scenario: Scenario) -> None:
        self.loop = loop
        self.host = loop.net.host(HOST)
        self.start_ns = Nanos(int(datetime.combine(scenario.session, scenario.start, _NEW_YORK).timestamp()) * SECOND)
        self.clock = LoopClock(loop, self.start_ns)
        table = instruments_of(scenario.instruments)
        plan = WorldPlan(
            seed=scenario.seed,
            speed=1.0,
            session_date=scenario.session,
            start=scenario.start,
            until=scenario.start.replace(hour=scenario.start.hour + 1),
            mix=_MIX,
            geometry={
                name: Geometry(
                    _STEPS.get(name, one.step), _LEGS if name in scenario.series else _LEGS_UNPLAYED, one.epsilon
                )
                for name, one in geometry_of(table).items()
            },
            table=table,
        )
        self.world = self._world(plan)
        self.exchange = self.world.exchange
        self.feed = self.world.feed
        self.account: Account = self.world.account
        self.trap = Trap(self.exchange)
        self.server = SimServer(self.exchange, self.clock)
        signer = signer_from_pem(_PEM, _KEY_ID)
        self.server.register_key(_KEY_ID, signer.public_pem, API_ACCOUNT)
        self.where = Endpoints(
            f"http://{HOST}:{_PORT}/trade-api/v2",
            f"ws://{HOST}:{_PORT}/trade-api/ws/v2",
            f"ws://{HOST}:{_FEED_PORT}/indices",
            signer,
        )
        self.feed_api_key = plan.feed_api_key
        self.feed_rest_url = f"http://{HOST}:{_FEED_PORT}"
        self._target_ns = Nanos(self.start_ns + int(scenario.fixing_s) * SECOND)
        self.series = scenario.series
        self.strangers = 0
        """Orders made by hand so far."""

    def _world(self, plan: WorldPlan) -> World:
        return World(plan, self.clock)

    @property
    def target_ns(self) -> Nanos:
        """The fixing that is played for."""
        return self._target_ns

    @property
    def events(self) -> list[str]:
        """What is fixed then, of the series that are played."""
        events = self.exchange.catalogue.events.values()
        return [e.ticker for e in events if e.settles_ns == self.target_ns and e.series_ticker in self.series]

    def path(self, index: Index) -> IndexPath:
        """The true values of the session that is on."""
        return self.world.paths[index]

    async def serve(self) -> None:
        """Until cancelled: the sockets, and the world's next second whenever it is due."""
        await self.server.start(_PORT)
        await self.feed.start(_FEED_PORT)
        while True:
            due = Nanos((self.clock.now_ns() // SECOND + 1) * SECOND)
            await self.clock.sleep_until(due)
            self.world.run_until(due)

    async def aclose(self) -> None:
        await self.server.aclose()
        await self.feed.aclose()

    def resting(self) -> list[SimOrder]:
        """Every order of the member in a book, strangers' excluded."""
        return [
            order
            for orders in self.account.resting.values()
            for order in orders.values()
            if not order.client_order_id.startswith(STRANGER)
        ]

    def place_stranger(self) -> str | None:
        """An order of the same account that no daemon made, far from the market."""
        market = self.exchange.catalogue.by_event[self.events[0]][0]
        self.strangers += 1
        name = f"{STRANGER}{self.exchange.orders_accepted}"
        spec = OrderSpec(market.spec.ticker, Side.BID, Price(100), lots(1), client_order_id=name, post_only=True)
        return self.exchange.submit(API_ACCOUNT, spec).order_id

    def forget_peer(self) -> None:
        """What a dead machine's kernel does in the end: its connections are gone."""
        self.server.hub.drop_connections()
        self.feed.abort()


STRANGER = "by-hand-"
