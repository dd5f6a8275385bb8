"""One simulated session, put together: index paths, exchange, traders, feed, and time that drives them all.

Everything inside happens in simulated-time order, second by second: what the exchange has due, then the index print of
that second, then the traders. Orders of connected clients arrive in between, at the exchange's present.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from itertools import islice
from pathlib import Path
from typing import Final

from kalshi_daemon.domain.index import Geometry, Index
from kalshi_daemon.domain.instruments import SHIPPED_INSTRUMENTS, Instruments
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.domain.window import Session
from kalshi_daemon.ground.clock import Clock, ElasticClock, SystemClock
from kalshi_daemon.ground.errors import ConfigurationError
from kalshi_daemon.ground.new_york import NEW_YORK
from kalshi_daemon.ground.units import DOLLAR, HOUR, MINUTE, SECOND, Count, Dollars, Nanos, Price
from kalshi_daemon.simulator.exchange.exchange import DEFAULT_RULES, Exchange, Rules
from kalshi_daemon.simulator.exchange.instruments import Listing, contract_of
from kalshi_daemon.simulator.exchange.listener import ExchangeListener
from kalshi_daemon.simulator.exchange.listing import session_listing
from kalshi_daemon.simulator.exchange.order_terms import OrderSpec, TimeInForce
from kalshi_daemon.simulator.exchange.sim_orders import SimOrder
from kalshi_daemon.simulator.feed.feed_server import FeedServer
from kalshi_daemon.simulator.feed.index_path import AFTER_HOURS_S, IndexPath, Paths
from kalshi_daemon.simulator.feed.index_replay import load_replay
from kalshi_daemon.simulator.feed.index_synthetic import synthesize_session
from kalshi_daemon.simulator.latency import Latency
from kalshi_daemon.simulator.time.real_time import listing_until, session_around
from kalshi_daemon.simulator.traders.crowd import Crowd
from kalshi_daemon.simulator.traders.traders import Ladder, MarketAccess, TraderMix
from kalshi_daemon.simulator.traders.true_distribution import TrueDistribution
from kalshi_daemon.windows.sessions import load_sessions

API_ACCOUNT: Final = "api"
START_CASH: Final = Dollars(10_000 * DOLLAR)
_TRADES_BEFORE_OPEN: Final = Nanos(10 * MINUTE)
"""Traders turn to an event this long before it becomes the next one of its series."""


@dataclass(frozen=True, slots=True)
class WorldPlan:
    """What to play."""

    seed: int
    speed: float
    session_date: date | None
    start: time
    until: time
    index_replay: tuple[Path, ...] = ()
    feed_api_key: str = "simulated-feed-key"
    mix: TraderMix = TraderMix()
    latency: Latency | None = None
    """Of requests over sockets, in simulated time; None: none but the machine's own."""
    rules: Rules = DEFAULT_RULES
    table: Instruments = SHIPPED_INSTRUMENTS
    geometry: Mapping[str, Geometry] | None = None
    """Other ladders than the table has; None: its own."""
    hold_for_follower_s: float = 0.0
    real_clock: bool = False
    """The exchange's time is the machine's, and the session lies around it; date, start, until and speed are unused."""


class _Access:
    """The exchange as in-process traders see it, acting at the world's instant."""

    def __init__(self, exchange: Exchange, now: Callable[[], Nanos]) -> None:
        self._exchange = exchange
        self._now = now
        self._trades = 0

    def best(self, market_ticker: str) -> tuple[Price | None, Price | None]:
        return self._exchange.best(market_ticker)

    def rest(self, account: str, market_ticker: str, side: Side, price: Price, count: Count) -> str | None:
        spec = OrderSpec(market_ticker, side, price, count, post_only=True)
        return self._exchange.submit(account, spec, self._now()).order_id

    def take(self, account: str, market_ticker: str, side: Side, price: Price, count: Count) -> Count:
        spec = OrderSpec(market_ticker, side, price, count, time_in_force=TimeInForce.IMMEDIATE_OR_CANCEL)
        return self._exchange.submit(account, spec, self._now()).fill_count

    def cancel(self, account: str, order_id: str) -> None:
        self._exchange.cancel(account, order_id, self._now())

    def remaining(self, account: str, order_id: str) -> Count:
        order = self._exchange.accounts[account].orders.get(order_id)
        return Count(0) if order is None or not order.booked else order.remaining

    def traded(self) -> tuple[str, ...]:
        matcher = self._exchange.matcher
        fresh = min(matcher.trade_count - self._trades, len(matcher.trades))
        self._trades = matcher.trade_count
        return tuple(dict.fromkeys(trade.ticker for trade in islice(reversed(matcher.trades), fresh)))


class World:
    """Everything but the sockets. `run_until(now)` is what the timekeeper drives."""

    def __init__(self, plan: WorldPlan, time_of: Clock | None = None) -> None:
        """`time_of` is the time the exchange and the feed tell; None: the elastic `clock`, which somebody steers."""
        self.plan = plan
        if plan.real_clock:
            time_of = time_of or SystemClock()
            self.start_ns = time_of.now_ns()
            self.session = session_around(self.start_ns)
            self.paths: Paths = synthesize_session(self.session, plan.seed, plan.table)
            self.end_ns = Nanos(self.session.close_ns + AFTER_HOURS_S * SECOND)
        else:
            self.session, self.paths = _paths(plan)
            day = date.fromisoformat(self.session.day)
            self.start_ns = _new_york(day, plan.start)
            self.end_ns = _new_york(day, plan.until)
        if self.end_ns <= self.start_ns:
            raise ConfigurationError("--until", f"{plan.until} is not after --from {plan.start}")
        self.clock = ElasticClock(self.start_ns, plan.speed)
        listing = self._listing()
        self.told: Clock = time_of or self.clock
        """What the exchange and the feed take for the time."""
        self.exchange = Exchange(self.told.now_ns, plan.seed, self._value_at, listing, rules=plan.rules)
        self.account = self.exchange.open_account(API_ACCOUNT, START_CASH)
        self.distributions = {index: TrueDistribution(path) for index, path in self.paths.items()}
        """What the market knows of each index."""
        self._crowd = Crowd(
            [
                Ladder.of(
                    [contract_of(market) for market in event.markets],
                    event.settles_ns,
                    Nanos(event.settles_ns - HOUR - _TRADES_BEFORE_OPEN),
                )
                for event in listing.events
            ],
            plan.mix,
            plan.seed,
            {index: path.value_at for index, path in self.paths.items()},
            lambda index, now, target: self.distributions[index].to(now, target),
        )
        for name in self._crowd.accounts:
            self.exchange.open_account(name, Dollars(0), keeps_history=False, checks_cash=False)
        self._now = self.start_ns
        self._access: MarketAccess = _Access(self.exchange, lambda: self._now)
        self.feed = FeedServer(self.paths, self.told, plan.feed_api_key)
        self.publish: Callable[[Nanos], None] = self.feed.publish
        """Sends the index values that are due; who serves them otherwise puts its own here."""

    def _listing(self) -> Listing:
        plan, spot = self.plan, {index: path.previous_close for index, path in self.paths.items()}
        if plan.real_clock:
            return listing_until(self.session, spot, plan.geometry, plan.table)
        return session_listing(date.fromisoformat(self.session.day), spot, plan.geometry, plan.table)

    def set_listener(self, listener: ExchangeListener) -> None:
        """Who hears what happens at the exchange, from now on."""
        self.exchange.set_listener(listener)

    def ahead_of(self, order: SimOrder) -> float:
        """What trades before a resting order, in 1/100 contract."""
        return self.exchange.book(order.market.spec.ticker).ahead_of(order)

    def next_instant(self, now_ns: Nanos) -> Nanos:
        """When something happens next: the next full second."""
        return Nanos(now_ns - now_ns % SECOND + SECOND)

    def run_until(self, now_ns: Nanos) -> None:
        """Execute everything up to and including `now_ns`, one second after the other."""
        second = self.next_instant(self._now)
        while second <= now_ns:
            self._now = Nanos(second)
            self.exchange.run_until(self._now)
            self._crowd.act(self._now, self._access)
            second = Nanos(second + SECOND)
        self._now = now_ns
        self.exchange.run_until(now_ns)
        self.publish(now_ns)

    def _value_at(self, index: Index, at_ns: Nanos) -> float:
        return self.paths[index].value_at(at_ns)


def start_of(plan: WorldPlan) -> Nanos:
    """When the world of this plan begins. Raises ConfigurationError as World does."""
    day = plan.session_date or date.fromisoformat(_paths(plan)[0].day)
    return _new_york(day, plan.start)


def _paths(plan: WorldPlan) -> tuple[Session, dict[Index, IndexPath]]:
    if plan.index_replay:
        day = plan.session_date.isoformat() if plan.session_date else None
        replay = load_replay(plan.index_replay, _session_on, day=day, seed=plan.seed, table=plan.table)
        return replay.session, replay.paths
    if plan.session_date is None:
        raise ConfigurationError("--session-date", "a made-up session needs a date", "e.g. --session-date 2026-11-23")
    session = _session_on(plan.session_date.isoformat())
    if session is None:
        raise ConfigurationError(
            "--session-date", f"{plan.session_date} is a weekend or holiday: no session", "see kalshi-daemon windows"
        )
    return session, synthesize_session(session, plan.seed, plan.table)


def _session_on(day: str) -> Session | None:
    when = date.fromisoformat(day)
    return load_sessions(when, when).session_on(when)


def _new_york(day: date, at: time) -> Nanos:
    return Nanos(int(datetime.combine(day, at, NEW_YORK).timestamp()) * SECOND)
