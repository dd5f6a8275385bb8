"""A recorded day as the world of a session: the venue's books and the index as they were, second fractions and all.

Listed is what was recorded and nothing else. Fees, ticks, order groups, rate limits and settlement are today's. Each
value of the index is published at the full second after it was seen.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kalshi_daemon.backtest.recorded.queue_models import QUEUE_MODELS
from kalshi_daemon.backtest.recorded.recorded_book import RecordedBook
from kalshi_daemon.backtest.recorded.recorded_day import RecordedDay
from kalshi_daemon.domain.instruments import Instruments
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.clock import Clock
from kalshi_daemon.ground.units import DOLLAR, MINUTE, SECOND, Count, Dollars, Nanos, Price
from kalshi_daemon.simulator.exchange.exchange import Exchange
from kalshi_daemon.simulator.exchange.listener import ExchangeListener
from kalshi_daemon.simulator.exchange.order_terms import Reason, SelfTrade, TimeInForce
from kalshi_daemon.simulator.exchange.sim_orders import SimMarket, SimOrder
from kalshi_daemon.simulator.world import API_ACCOUNT

RECORDED: Final = "recorded"
"""The account that everybody who was recorded trades with."""
_START_CASH: Final = Dollars(10_000 * DOLLAR)
_AFTER_CLOSE: Final = Nanos(5 * MINUTE)


@dataclass(frozen=True, slots=True)
class RecordedPlan:
    """Which recorded day to play, and how our orders fill in it."""

    folder: Path
    day: str
    """YYYY-MM-DD."""
    queue_model: str
    seed: int
    """Of ids and delays."""
    table: Instruments
    minutes: int = 0
    """Only the last so many before the close; 0: all."""


class _Hand:
    """The recording's side of the exchange, in one market."""

    def __init__(self, exchange: Exchange, market: SimMarket, now: Callable[[], Nanos]) -> None:
        self._exchange = exchange
        self._market = market
        self._now = now
        self._account = exchange.accounts[RECORDED]

    def rest(self, side: Side, price: Price, count: Count) -> SimOrder:
        order = self._order(side, price, count, TimeInForce.GOOD_TILL_CANCELED)
        self._exchange.matcher.rest(order, self._now())
        return order

    def resize(self, order: SimOrder, remaining: Count) -> None:
        self._exchange.matcher.resize(order, remaining, self._now())

    def trade(self, maker: SimOrder, count: Count) -> None:
        side = Side.ASK if maker.side is Side.BID else Side.BID
        taker = self._order(side, maker.price, count, TimeInForce.IMMEDIATE_OR_CANCEL)
        self._exchange.matcher.meet(taker, maker, count, self._now())

    def _order(self, side: Side, price: Price, count: Count, time_in_force: TimeInForce) -> SimOrder:
        now = self._now()
        return SimOrder(
            order_id=self._exchange.new_id(),
            rank=0,
            account=self._account,
            market=self._market,
            side=side,
            price=price,
            initial=count,
            remaining=count,
            client_order_id="",
            time_in_force=time_in_force,
            self_trade=SelfTrade.TAKER_AT_CROSS,
            post_only=False,
            cancel_on_pause=False,
            expires_ns=None,
            group_id="",
            created_ns=now,
            updated_ns=now,
        )


class _Overheard:
    """Passes everything on to who listens, and tells the recorded books of our orders."""

    def __init__(self, inner: ExchangeListener, own_changed: Callable[[SimOrder], None]) -> None:
        self._inner = inner
        self._own_changed = own_changed
        self.book_changed = inner.book_changed
        self.traded = inner.traded
        self.filled = inner.filled
        self.position_changed = inner.position_changed
        self.market_changed = inner.market_changed
        self.event_created = inner.event_created
        self.event_fees_changed = inner.event_fees_changed
        self.group_changed = inner.group_changed

    def order_changed(self, order: SimOrder, reason: Reason, now_ns: Nanos) -> None:
        self._own_changed(order)
        self._inner.order_changed(order, reason, now_ns)


class RecordedWorld:
    """What `simulator.world.World` is to a made-up session."""

    def __init__(self, plan: RecordedPlan, day: RecordedDay, time_of: Clock) -> None:
        self.day = day
        self.session = self.day.session
        self.paths = self.day.paths
        self.start_ns, self.end_ns = span_of(self.day, plan.minutes)
        self.distributions = None
        """Nobody knows the law that a real index was drawn from."""
        self.exchange = Exchange(time_of.now_ns, plan.seed, self._value_at, self.day.listing)
        self.account = self.exchange.open_account(API_ACCOUNT, _START_CASH)
        self.exchange.open_account(RECORDED, Dollars(0), keeps_history=False, checks_cash=False)
        self._now = self.start_ns
        model = QUEUE_MODELS[plan.queue_model]
        self._books = {
            ticker: RecordedBook(_Hand(self.exchange, market, lambda: self._now), model())
            for ticker, market in self.exchange.catalogue.markets.items()
        }
        self._next = 0
        self.publish: Callable[[Nanos], None] = _unheard

    def set_listener(self, listener: ExchangeListener) -> None:
        """Who hears what happens at the exchange, from now on."""
        self.exchange.set_listener(_Overheard(listener, self._own_changed))

    def next_instant(self, now_ns: Nanos) -> Nanos:
        """When something happens next: a recorded event, or a second."""
        second = Nanos(now_ns - now_ns % SECOND + SECOND)
        if self._next == len(self.day.events):
            return second
        return min(second, self.day.events[self._next].at_ns) if self.day.events[self._next].at_ns > now_ns else second

    def run_until(self, now_ns: Nanos) -> None:
        """Let everything happen up to and including `now_ns`, in the order it was recorded."""
        events = self.day.events
        while self._next < len(events) and events[self._next].at_ns <= now_ns:
            event = events[self._next]
            self._next += 1
            self._now = Nanos(max(self._now, event.at_ns))
            self.exchange.run_until(self._now)
            if self.exchange.catalogue.markets[event.ticker].trades_at(self._now):
                self._books[event.ticker].apply(event)
        self._now = now_ns
        self.exchange.run_until(now_ns)
        if now_ns % SECOND == 0:
            self.publish(now_ns)

    def ahead_of(self, order: SimOrder) -> float:
        """Contracts believed ahead of an order of ours, in 1/100; 0 when it does not rest."""
        return self._books[order.market.spec.ticker].ahead_of(order.order_id)

    def _own_changed(self, order: SimOrder) -> None:
        self._books[order.market.spec.ticker].own_changed(order)

    def _value_at(self, index: object, at_ns: Nanos) -> float:
        return next(path for one, path in self.paths.items() if one == index).value_at(at_ns)


def span_of(day: RecordedDay, minutes: int) -> tuple[Nanos, Nanos]:
    """From the first second of which index and books are known (or the last `minutes`) until after the close."""
    begin = Nanos(day.known_from_ns - day.known_from_ns % SECOND)
    if minutes:
        begin = Nanos(max(begin, day.session.close_ns - minutes * MINUTE))
    return begin, Nanos(day.session.close_ns + _AFTER_CLOSE)


def _unheard(_now_ns: Nanos) -> None:
    return None
