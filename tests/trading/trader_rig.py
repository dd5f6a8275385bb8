"""A trader on a hand-moved clock: real chain and real ladder, an order room and a disk that only take notes."""

import asyncio
import math
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from scipy.special import ndtri

from kalshi_daemon.calibration.market_record import MarketRecord
from kalshi_daemon.domain.forecast import CalibrationHealth
from kalshi_daemon.domain.index import Index
from kalshi_daemon.domain.order import Order, Status
from kalshi_daemon.domain.window import WindowStatus
from kalshi_daemon.ground.clock import ManualClock
from kalshi_daemon.ground.units import POINT, SECOND, Nanos, Price, from_s, lots
from kalshi_daemon.orders.cancelling import StopResult
from kalshi_daemon.settings.model import Settings
from kalshi_daemon.trading.loop import Trader, TraderCallbacks, TraderParts, TraderRules
from kalshi_daemon.trading.policy.named import build_policy
from tests.guardrails import guard_rig
from tests.support.instruments import INDICES


@dataclass
class BellForecast:
    """A normal distribution around `level` with a fixed sd in points."""

    index: Index
    asof_ns: Nanos
    target_ns: Nanos
    level: float
    sd: float = 12.0
    calibration_error: float = 0.01

    @property
    def sigma(self):
        return self.sd / self.level

    def cdf(self, levels):
        return np.array([0.5 * math.erfc((self.level - x) / self.sd / math.sqrt(2)) for x in levels])

    def quantiles(self, probabilities):
        return self.level + self.sd * ndtri(probabilities)

    def probability(self, contract):
        return float(self.probabilities((contract,))[0])

    def probabilities(self, contracts):
        return 1.0 - self.cdf([(contract.lowest or 0) / POINT - 0.005 for contract in contracts])


@dataclass
class MovableModel:
    """A calibration whose level the test moves."""

    index: Index
    level: float = 6_822.0
    silent: bool = False

    def forecast(self, now_ns, target_ns):
        return None if self.silent else BellForecast(self.index, now_ns, target_ns, self.level)

    def health(self, now_ns):
        return CalibrationHealth(ready=True, last_update_ns=now_ns, minutes_seen=120.0, readings=(guard_rig.GOOD,))

    def minutes(self):
        return None


class Notes:
    """Order manager and artifact writer in one: takes notes, and answers as told."""

    def __init__(self, state, clock):
        self.state = state
        self.clock = clock
        self.cancelled: list[tuple[tuple[str, ...], str]] = []
        self.events_cancelled: list[tuple[str, str, Nanos]] = []
        self.all_cancelled: list[str] = []
        self.manifests = []
        self.monitored = []
        self.recorded = {}
        self.answers: list[StopResult] = []
        self.made = 0

    async def place(self, quotes):
        orders = []
        for quote in quotes:
            self.made += 1
            order = Order(
                client_order_id=f"kd-{self.made}",
                market_ticker=quote.market_ticker,
                event_ticker=quote.window.event_ticker,
                series_ticker=quote.window.series.ticker,
                profile=quote.profile,
                side=quote.side,
                price=quote.price,
                count=quote.count,
                status=Status.RESTING,
                expires_ns=quote.window.gone_by_ns,
                created_ns=self.clock.now_ns(),
                order_id=f"x{self.made}",
            )
            self.state.orders[order.client_order_id] = order
            orders.append(order)
        return tuple(orders)

    async def cancel(self, names, reason):
        self.cancelled.append((tuple(names), reason))
        for name in names:
            self.state.orders[name] = replace(self.state.orders[name], status=Status.CANCELED)

    async def cancel_event(self, event_ticker, reason, deadline_ns):
        self.events_cancelled.append((event_ticker, reason, deadline_ns))
        for name, order in self.state.orders.items():
            if order.event_ticker == event_ticker:
                self.state.orders[name] = replace(order, status=Status.CANCELED)
        return self.answers.pop(0) if self.answers else StopResult(verified=True, remaining=0, detail="nothing rests")

    async def cancel_all(self, reason, deadline_ns):
        self.all_cancelled.append(reason)
        return StopResult(verified=True, remaining=0, detail="nothing rests")

    def manifest(self, plan, judgement, orders):
        self.manifests.append((plan, judgement, orders))

    def record(self, index, readings):
        self.recorded[index] = readings

    def monitors(self, window, verdicts):
        self.monitored.append((window.event_ticker, verdicts))


@dataclass
class Rig:
    clock: ManualClock = field(default_factory=lambda: ManualClock(guard_rig.NOW))
    policy: Any = None
    """Another than the default."""

    def __post_init__(self):
        self.state = guard_rig.healthy()
        keep = guard_rig.WINDOW.event_ticker
        for event_ticker in [name for name in self.state.windows if name != keep]:
            del self.state.windows[event_ticker]
        self.models = {index: MovableModel(index) for index in INDICES}
        self.state.calibration.update(self.models)
        self.model = self.models[Index.SPX]
        self.others_agree()
        self.notes = Notes(self.state, self.clock)
        self.progress = 0
        self.settled: list[str] = []
        settings = Settings()
        self.trader = Trader(
            TraderParts(
                market_records={index: MarketRecord() for index in INDICES},
                state=self.state,
                chain=guard_rig.chain_of(),
                orders=self.notes,  # type: ignore[arg-type]  # takes notes in its place
                artifacts=self.notes,  # type: ignore[arg-type]  # takes notes in its place
                clock=self.clock,
                policy=self.policy or build_policy(settings),
            ),
            TraderRules(
                profiles=(replace(guard_rig.WIDE, scan_every=Nanos(180 * SECOND)),),
                rescan_ns_min=from_s(settings.pricing.rescan_s_min),
            ),
            TraderCallbacks(
                plan_ids=iter(f"p{n}" for n in range(10_000)).__next__,
                on_progress=self._on_progress,
                on_settled=self.settled.append,
            ),
        )

    def others_agree(self, half_cents=8):
        """Every book of the window around the model's fair value, in whole cents, too wide to be believed alone."""
        now = self.clock.now_ns()
        distribution = self.model.forecast(now, guard_rig.TARGET)
        for ticker in self.state.venue.events[guard_rig.WINDOW.event_ticker]:
            fair = distribution.probability(self.state.venue.markets[ticker].contract)
            cents = min(max(round(fair * 100), half_cents + 1), 99 - half_cents)
            bid, ask = Price((cents - half_cents) * 100), Price((cents + half_cents) * 100)
            self.state.venue.books[ticker].replace({bid: lots(50)}, {ask: lots(50)}, now, now)

    def _on_progress(self):
        self.progress += 1

    @property
    def window(self):
        return guard_rig.WINDOW

    @property
    def event(self):
        return self.window.event_ticker

    def phase(self, phase):
        status = WindowStatus(self.window, phase)
        self.state.windows[self.event] = status
        self.trader.on_phase(status)

    def fresh(self):
        """What the other rooms would keep fresh."""
        now = self.clock.now_ns()
        state = self.state
        for index in INDICES:
            index_state = state.index[index]
            assert index_state.last is not None
            tick = replace(index_state.last, event_ns=now, recv_ns=now)
            index_state.last, index_state.changed_ns, index_state.recv_ns = tick, now, now
        assert state.venue.status is not None
        assert state.balance is not None
        state.venue.status = replace(state.venue.status, read_ns=now)
        state.balance = replace(state.balance, read_ns=now)
        state.reconciliation.checked_ns = now
        state.disk.read_ns = now
        for book in state.venue.books.values():
            book.recv_ns = now
        for series, fees in state.venue.fees.items():
            state.venue.fees[series] = replace(fees, read_ns=now)

    async def pass_time(self, seconds, *, fresh=True):
        """Second by second, with the loop run dry after each."""
        for _second in range(seconds):
            self.clock.advance(SECOND)
            if fresh:
                self.fresh()
            await self.run_dry()

    async def run_dry(self):
        for _turn in range(30):
            await asyncio.sleep(0)

    @asynccontextmanager
    async def running(self):
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self.trader.run())
            await self.run_dry()
            try:
                yield self
            finally:
                task.cancel()

    def live(self):
        return [order for order in self.state.orders.values() if order.status.live]

    def scans(self):
        return [plan.trigger for plan, _judgement, _orders in self.notes.manifests]
