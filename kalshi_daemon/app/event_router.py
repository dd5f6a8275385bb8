"""Which part each event goes to: the one typed place through which the parts hear of one another."""

from collections.abc import Callable
from dataclasses import dataclass

from kalshi_daemon.domain.events import VenueEvent
from kalshi_daemon.domain.index import Bar, Index, Tick
from kalshi_daemon.domain.order import Order
from kalshi_daemon.domain.quote import Quote
from kalshi_daemon.domain.window import WindowStatus
from kalshi_daemon.ground.units import Nanos
from kalshi_daemon.index_feed.recorder import Recorder
from kalshi_daemon.index_feed.snapshot_witness import SnapshotWitness
from kalshi_daemon.memory.models import Learning
from kalshi_daemon.orders.manager import OrderManager
from kalshi_daemon.trading.loop import Trader
from kalshi_daemon.venue.monitor import VenueMonitor


@dataclass(frozen=True, slots=True)
class Listeners:
    """The parts that events go to."""

    learning: Learning
    trader: Trader
    monitor: VenueMonitor
    orders: OrderManager
    recorder: Recorder | None
    """None: index values are not kept."""
    snapshots: SnapshotWitness | None
    """None: nobody to ask for a snapshot."""


class EventRouter:
    """Every listener is called in turn, synchronously: one event, one pass, no queue in between.

    Parts are made with the router's methods in hand and joined once. Whatever asks or tells before that is a mistake
    in the order of construction and raises RuntimeError.
    """

    def __init__(self) -> None:
        self._listeners: Listeners | None = None

    def join(self, listeners: Listeners) -> None:
        """From now on events have somewhere to go. Raises RuntimeError the second time."""
        if self._listeners is not None:
            raise RuntimeError("the parts are joined already")
        self._listeners = listeners
        if listeners.recorder is not None:
            listeners.learning.keep_missed(listeners.recorder.on_missed_bar)

    @property
    def _to(self) -> Listeners:
        if self._listeners is None:
            raise RuntimeError("an event before the parts were joined")
        return self._listeners

    # -- the index feed

    def on_tick(self, tick: Tick) -> None:
        """A value that is believed."""
        to = self._to
        to.learning.on_tick(tick)
        if to.recorder is not None:
            to.recorder.on_tick(tick)
        to.trader.on_tick(tick.index)

    def on_bar(self, bar: Bar) -> None:
        """A minute bar that is believed."""
        to = self._to
        to.learning.on_bar(bar)
        if to.recorder is not None:
            to.recorder.on_bar(bar)

    def on_session(self) -> None:
        """The feed has opened a session."""
        to = self._to
        to.learning.on_session()
        if to.snapshots is not None:
            to.snapshots.on_session()

    def on_doubt(self, index: Index) -> None:
        """What follows is believed on time alone."""
        self._to.learning.on_doubt(index)

    def on_settled(self, index: Index) -> None:
        """The doubt about an index is over: it was right."""
        self._to.learning.on_settled(index)

    def on_retracted(self, index: Index, from_ns: Nanos, to_ns: Nanos) -> None:
        """The prices of [from, to] were wrong."""
        to = self._to
        to.learning.on_retracted(index, from_ns, to_ns)
        if to.recorder is not None:
            to.recorder.on_retracted(index, from_ns, to_ns)

    def on_withheld(self, event: Tick | Bar) -> None:
        """A value or bar that is not believed for now."""
        to = self._to
        if to.recorder is not None:
            to.recorder.on_withheld(event)
        if to.snapshots is not None and isinstance(event, Tick):
            to.snapshots.on_withheld()

    # -- the exchange

    def on_venue_event(self, event: VenueEvent) -> None:
        """A frame of the exchange's stream."""
        to = self._to
        to.monitor.on_event(event)
        to.orders.on_event(event)

    def on_crossed(self, market_ticker: str) -> None:
        """The exchange would not rest an order of ours there."""
        self._to.monitor.on_post_only_reject(market_ticker)

    # -- our own

    def on_orders_changed(self) -> None:
        """An order, fill or settlement of ours changed."""
        self._to.trader.on_orders_changed()

    def on_phase(self, status: WindowStatus) -> None:
        """A window changed phase."""
        self._to.trader.on_phase(status)

    def closed_guard(self, quote: Quote) -> str:
        """The guard that forbids placing this quote now; "" when none does."""
        return self._to.trader.closed_guard(quote)

    def renewals_allowed(self) -> Callable[[Order], bool]:
        """A lease is renewed only while every guard that could pull the order is open: the rule of this instant."""
        return self._to.trader.may_stay()
