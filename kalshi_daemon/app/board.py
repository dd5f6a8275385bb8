"""Who hears what: the parts that must hear of one another are joined through this board of late-bound callbacks."""

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


class Board:
    """Who hears what. Every listener is called in turn, synchronously: one event, one pass, no queue in between."""

    def __init__(self) -> None:
        self._learning: Learning | None = None
        self._recorder: Recorder | None = None
        self._trader: Trader | None = None
        self._monitor: VenueMonitor | None = None
        self._orders: OrderManager | None = None
        self._snapshots: SnapshotWitness | None = None

    def join(
        self,
        learning: Learning,
        recorder: Recorder | None,
        trader: Trader,
        monitor: VenueMonitor,
        orders: OrderManager,
        snapshots: SnapshotWitness | None,
    ) -> None:
        self._learning = learning
        self._recorder = recorder
        self._trader = trader
        self._monitor = monitor
        self._orders = orders
        self._snapshots = snapshots
        if recorder is not None:
            learning.keep_missed(recorder.on_missed_bar)

    def on_tick(self, tick: Tick) -> None:
        if self._learning is not None:
            self._learning.on_tick(tick)
        if self._recorder is not None:
            self._recorder.on_tick(tick)
        if self._trader is not None:
            self._trader.on_tick()

    def on_bar(self, bar: Bar) -> None:
        if self._learning is not None:
            self._learning.on_bar(bar)
        if self._recorder is not None:
            self._recorder.on_bar(bar)

    def on_session(self) -> None:
        if self._learning is not None:
            self._learning.on_session()
        if self._snapshots is not None:
            self._snapshots.on_session()

    def on_doubt(self, index: Index) -> None:
        if self._learning is not None:
            self._learning.on_doubt(index)

    def on_settled(self, index: Index) -> None:
        if self._learning is not None:
            self._learning.on_settled(index)

    def on_retracted(self, index: Index, from_ns: Nanos, to_ns: Nanos) -> None:
        if self._learning is not None:
            self._learning.on_retracted(index, from_ns, to_ns)
        if self._recorder is not None:
            self._recorder.on_retracted(index, from_ns, to_ns)

    def on_withheld(self, event: Tick | Bar) -> None:
        if self._recorder is not None:
            self._recorder.on_withheld(event)
        if self._snapshots is not None and isinstance(event, Tick):
            self._snapshots.on_withheld()

    def on_venue_event(self, event: VenueEvent) -> None:
        if self._monitor is not None:
            self._monitor.on_event(event)
        if self._orders is not None:
            self._orders.on_event(event)

    def on_orders_changed(self) -> None:
        if self._trader is not None:
            self._trader.on_orders_changed()

    def closed_guard(self, quote: Quote) -> str:
        """What forbids placing this quote now; without anybody to ask, everything does."""
        return "trader" if self._trader is None else self._trader.closed_guard(quote)

    def on_crossed(self, market_ticker: str) -> None:
        """The exchange would not rest an order of ours there."""
        if self._monitor is not None:
            self._monitor.on_post_only_reject(market_ticker)

    def renewal_allowed(self, order: Order) -> bool:
        """A lease is renewed only while every guard that could pull the order is open."""
        return self._trader is not None and self._trader.may_stay(order)

    def on_phase(self, status: WindowStatus) -> None:
        if self._trader is not None:
            self._trader.on_phase(status)
