"""An order manager on the fake venue and a clock of our own."""

import asyncio
import itertools
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from kalshi_daemon.domain.quote import Quote, Side
from kalshi_daemon.domain.window import Phase, Window, WindowStatus
from kalshi_daemon.ground.clock import ManualClock
from kalshi_daemon.ground.units import MILLISECOND, MINUTE, SECOND, Dollars, Nanos, Price, lots
from kalshi_daemon.orders.ids import ClientOrderIds
from kalshi_daemon.orders.journal import Journal
from kalshi_daemon.orders.manager import OrderCallbacks, OrderManager, OrderPorts
from kalshi_daemon.settings.model import OrderSettings
from kalshi_daemon.state import DaemonState
from tests.guardrails.guard_rig import market_of
from tests.orders.fake_venue import FakeVenue, Group
from tests.support.instruments import KXINXU

TARGET = Nanos(1_795_449_600 * SECOND)
"""2026-11-23 11:00 in New York."""
START = Nanos(TARGET - 40 * MINUTE)
EVENT = "KXINXU-26NOV23H1100"
FAR = 3
OTHER_EVENT = "KXINXU-26NOV23H1200"


def window(event=EVENT, target=TARGET):
    return Window(
        KXINXU,
        event,
        "2026-11-23",
        opens_ns=Nanos(target - 120 * MINUTE),
        new_until_ns=Nanos(target - 5 * MINUTE),
        cancel_at_ns=Nanos(target - 130 * SECOND),
        gone_by_ns=Nanos(target - 120 * SECOND),
        target_ns=target,
    )


PROFILES = ("wide", "size")
WINDOW = window()
OTHER_WINDOW = window(OTHER_EVENT, Nanos(TARGET + 60 * MINUTE))


def ticker(strike=6800, event=EVENT):
    return f"{event}-T{strike - 0.0001:.4f}"


def quote(strike=6800, side=Side.BID, price=4200, contracts=1, where=WINDOW, profile="wide"):
    return Quote(
        market_ticker=ticker(strike, where.event_ticker),
        side=side,
        price=Price(price),
        count=lots(contracts),
        profile=profile,
        window=where,
        fair=0.45,
        model_fair=0.45,
        required_edge=0.02,
        ev=Price(300),
        fee=Dollars(0),
    )


def quotes(number, where=WINDOW):
    return [quote(6800 + 5 * step, where=where) for step in range(number)]


@dataclass
class Rig:
    """One life of the daemon. `reborn` starts the next on the same journal and venue."""

    folder: Path
    clock: ManualClock
    venue: FakeVenue
    settings: OrderSettings = OrderSettings()
    entropy: bytes = b"01234567"
    state: DaemonState = field(init=False)
    manager: OrderManager = field(init=False)
    journal: Journal = field(init=False)
    audit: list[dict] = field(default_factory=list)
    changes: int = 0
    renewing: bool = True
    closed_guard: str = ""
    braked: bool = True
    """The profiles have their order groups already; False: they are for `start` to find or make one."""

    def __post_init__(self):
        self.state = DaemonState(armed=True, kill_switch=False)
        if self.braked:
            for profile in PROFILES:
                self.venue.groups.setdefault(f"group-{profile}", Group(lots(20)))
                self.state.order_groups.ids[profile] = f"group-{profile}"
        for where in (WINDOW, OTHER_WINDOW):
            self.state.windows[where.event_ticker] = WindowStatus(where, Phase.OPEN)
        self.journal = Journal.open(self.folder / "proc" / "journal.sqlite3", self.clock.now_ns(), synchronous="normal")
        self.manager = OrderManager(
            self.state,
            OrderPorts(self.venue, self.journal, self.clock, self.audit.append, ClientOrderIds(self.entropy)),
            self.settings,
            OrderCallbacks(
                self._changed,
                renewals_allowed=lambda: lambda _order: self.renewing,
                closed_guard=lambda _quote: self.closed_guard,
            ),
            profiles=PROFILES,
        )
        self.venue.listener = self.manager.on_event

    def _changed(self):
        self.changes += 1

    def reborn(self):
        """Kill and start again: nothing but the journal and the exchange remain."""
        self.journal.close()
        self.venue.listener = None
        entropy = next(_lives).to_bytes(8)
        return Rig(self.folder, self.clock, self.venue, self.settings, entropy=entropy, braked=self.braked)

    @asynccontextmanager
    async def running(self, *, started=True):
        """`run` in the background, cancelled at the end; its errors are raised here."""
        if started:
            await drive(self.clock, self.manager.start())
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self.manager.run())
            await spin()
            yield self
            task.cancel()

    async def pass_time(self, seconds, step_ms=250):
        """Let time run in small steps, and everybody work between them."""
        for _ in range(round(seconds * 1000 / step_ms)):
            self.clock.advance(Nanos(step_ms * MILLISECOND))
            self.venue.expire()
            await spin()

    @property
    def orders(self):
        return list(self.state.orders.values())

    def only(self):
        (order,) = self.orders
        return order

    def said(self, action):
        return [line for line in self.audit if line["action"] == action]

    def sent(self, operation):
        return [argument for name, argument in self.venue.calls if name == operation]


_lives = itertools.count(1)


async def spin(turns=25):
    """Everybody who can run, runs."""
    for _ in range(turns):
        await asyncio.sleep(0)


async def drive(clock, work, *, step_ms=50, s_max=120):
    """Await `work` while time runs. Fails when it takes longer than `s_max` of the clock."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(work)
        for _ in range(round(s_max * 1000 / step_ms)):
            await spin()
            if task.done():
                break
            clock.advance(Nanos(step_ms * MILLISECOND))
        else:
            task.cancel()
            raise AssertionError(f"not done after {s_max} s")
    return task.result()


def move_market(rig, strike=6800, shard=FAR):
    """One of our window's markets lives on another shard."""
    name = ticker(strike)
    market = replace(market_of(WINDOW, strike), exchange_index=shard)
    rig.state.venue.markets[name] = replace(market, contract=replace(market.contract, market_ticker=name))
    rig.state.venue.events[EVENT] = (name,)
