"""An exchange and a feed over several trading days: ladders of every day, one path a day that begins where the last one
ended, nights in which nothing is published.
"""

import dataclasses
from collections.abc import Sequence
from datetime import date
from functools import partial

from simloop import SimLoop

from kalshi_daemon.domain.index import Index
from kalshi_daemon.domain.instruments import SHIPPED_INSTRUMENTS
from kalshi_daemon.ground.clock import Clock
from kalshi_daemon.ground.units import HOUR, MINUTE, Nanos
from kalshi_daemon.simulator.exchange.instruments import Listing, contract_of
from kalshi_daemon.simulator.exchange.listing import session_listing
from kalshi_daemon.simulator.feed.feed_history import FeedHistory
from kalshi_daemon.simulator.feed.feed_server import FeedServer
from kalshi_daemon.simulator.feed.index_path import IndexPath, Paths, as_published
from kalshi_daemon.simulator.feed.index_synthetic import synthesize_session
from kalshi_daemon.simulator.traders.crowd import Crowd
from kalshi_daemon.simulator.traders.traders import Ladder, Law
from kalshi_daemon.simulator.traders.true_distribution import TrueDistribution
from kalshi_daemon.simulator.world import World, WorldPlan
from kalshi_daemon.windows.sessions import load_sessions
from tests.simulation.exchange_host import ExchangeHost
from tests.simulation.scenario import Scenario
from tests.support.instruments import INDICES

_TRADES_BEFORE = Nanos(HOUR + 10 * MINUTE)


class LongFeed(FeedServer):
    """One day's paths after the other."""

    def __init__(self, days: Sequence[Paths], clock: Clock, api_key: str) -> None:
        super().__init__(days[0], clock, api_key)
        self._later = list(days[1:])
        self.history = FeedHistory(clock, api_key, [days[0]])

    def publish(self, now_ns: Nanos) -> None:
        super().publish(now_ns)
        while self._later and now_ns >= min(path.open_ns for path in self._later[0].values()):
            self._paths = self._later.pop(0)
            self._next_ns = min(path.open_ns for path in self._paths.values())
            self.history.add(self._paths)
            super().publish(now_ns)


class LongWorld(World):
    """A world of several sessions. Everything that a World makes of its one session is made anew of all of them."""

    def __init__(self, plan: WorldPlan, time_of: Clock, days: Sequence[date]) -> None:
        self._dates = days
        self.days: list[Paths] = []
        super().__init__(plan, time_of)
        self.feed = LongFeed(self.days, self.told, plan.feed_api_key)
        self.publish = self.feed.publish
        distributions = [{index: TrueDistribution(path) for index, path in day.items()} for day in self.days]

        def law(index: Index, now: Nanos, target: Nanos) -> Law:
            return distributions[self._day_of(index, now)][index].to(now, target)

        ladders = [
            Ladder.of([contract_of(m) for m in e.markets], e.settles_ns, Nanos(e.settles_ns - _TRADES_BEFORE))
            for e in self._all.events
        ]
        values = {index: partial(self._value_at, index) for index in INDICES}
        self._crowd = Crowd(ladders, plan.mix, plan.seed, dict(values), law)

    def path(self, index: Index, at_ns: Nanos) -> IndexPath:
        return self.days[self._day_of(index, at_ns)][index]

    def _listing(self) -> Listing:
        found = load_sessions(self._dates[0], self._dates[-1])
        self.days = [self.paths]
        for day in self._dates[1:]:
            session = found.session_on(day)
            assert session is not None, f"{day} is a trading day"
            made, before = synthesize_session(session, self.plan.seed), self.days[-1]
            self.days.append({index: _moved(path, float(before[index].values[-1])) for index, path in made.items()})
        listings = [
            session_listing(day, {index: path.previous_close for index, path in paths.items()}, self.plan.geometry)
            for day, paths in zip(self._dates, self.days, strict=True)
        ]
        self._all = Listing(listings[0].series, tuple(event for one in listings for event in one.events))
        return self._all

    def _value_at(self, index: Index, at_ns: Nanos) -> float:
        return self.path(index, at_ns).value_at(at_ns)

    def _day_of(self, index: Index, at_ns: Nanos) -> int:
        """The last day that had begun; the first one before it."""
        begun = [number for number, day in enumerate(self.days) if day[index].open_ns <= at_ns]
        return begun[-1] if begun else 0


def _moved(path: IndexPath, close_before: float) -> IndexPath:
    """The same day from another level."""
    values = as_published(SHIPPED_INSTRUMENTS.rows[path.index], path.values * (close_before / path.previous_close))
    return dataclasses.replace(path, previous_close=round(close_before, 2), values=values)


class WeekHost(ExchangeHost):
    """The exchange's machine for as many days as `days`; what is played for is the next fixing there is."""

    def __init__(self, loop: SimLoop, scenario: Scenario, days: Sequence[date]) -> None:
        self._days = days
        super().__init__(loop, scenario)
        events = self.exchange.catalogue.events.values()
        self._fixings = sorted({event.settles_ns for event in events if event.series_ticker in scenario.series})

    def _world(self, plan: WorldPlan) -> World:
        return LongWorld(plan, self.clock, self._days)

    @property
    def target_ns(self) -> Nanos:
        now = self.clock.now_ns()
        return next((fixing for fixing in self._fixings if fixing > now), self._fixings[-1])

    def path(self, index: Index) -> IndexPath:
        assert isinstance(self.world, LongWorld)
        return self.world.path(index, self.clock.now_ns())
