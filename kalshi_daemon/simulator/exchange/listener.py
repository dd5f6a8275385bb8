"""What the exchange tells whoever listens (the websocket hub); called in the order things happened."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.units import Count, Nanos, Price
from kalshi_daemon.simulator.exchange.instruments import EventSpec
from kalshi_daemon.simulator.exchange.order_groups import GroupEvent, OrderGroup
from kalshi_daemon.simulator.exchange.order_terms import Reason
from kalshi_daemon.simulator.exchange.sim_fees import FeeModel
from kalshi_daemon.simulator.exchange.sim_orders import Account, FillRecord, SimMarket, SimOrder


class LifecycleEvent(StrEnum):
    """`event_type` of a market_lifecycle_v2 frame that this exchange can cause."""

    CREATED = "created"
    ACTIVATED = "activated"
    DEACTIVATED = "deactivated"
    DETERMINED = "determined"
    SETTLED = "settled"
    PRICE_LEVEL_STRUCTURE_UPDATED = "price_level_structure_updated"


@dataclass(frozen=True, slots=True)
class TradeRecord:
    """A public trade. `taker_side` is the side of the order that came second; price on the YES scale."""

    rank: int
    trade_id: str
    ticker: str
    price: Price
    count: Count
    taker_side: Side
    at_ns: Nanos


class ExchangeListener(Protocol):
    """Callbacks run inside the matching engine: they must be quick and must not call back into it."""

    def book_changed(
        self, market: SimMarket, side: Side, price: Price, delta: Count, now_ns: Nanos, cause: SimOrder
    ) -> None:
        """A level changed by a signed count; `cause` is the order whose arrival, change or end did it."""
        ...

    def traded(self, market: SimMarket, trade: TradeRecord) -> None:
        """Two orders met."""
        ...

    def filled(self, fill: FillRecord) -> None:
        """One account's side of a trade."""
        ...

    def order_changed(self, order: SimOrder, reason: Reason, now_ns: Nanos) -> None:
        """An order of an account changed, and why."""
        ...

    def position_changed(self, account: Account, market: SimMarket, now_ns: Nanos) -> None:
        """What an account holds in a market changed."""
        ...

    def market_changed(self, market: SimMarket, event: LifecycleEvent, now_ns: Nanos) -> None:
        """A step in the life of a market."""
        ...

    def event_created(self, event: EventSpec) -> None:
        """A new event is listed."""
        ...

    def event_fees_changed(self, event_ticker: str, fees: FeeModel | None) -> None:
        """An event has fees of its own from now on, or (None) no longer."""
        ...

    def group_changed(self, account: Account, group: OrderGroup, event: GroupEvent, now_ns: Nanos) -> None:
        """A step in the life of an order group."""
        ...


class NobodyListens:
    """The listener of an exchange without sockets."""

    def book_changed(
        self, market: SimMarket, side: Side, price: Price, delta: Count, now_ns: Nanos, cause: SimOrder
    ) -> None: ...
    def traded(self, market: SimMarket, trade: TradeRecord) -> None: ...
    def filled(self, fill: FillRecord) -> None: ...
    def order_changed(self, order: SimOrder, reason: Reason, now_ns: Nanos) -> None: ...
    def position_changed(self, account: Account, market: SimMarket, now_ns: Nanos) -> None: ...
    def market_changed(self, market: SimMarket, event: LifecycleEvent, now_ns: Nanos) -> None: ...
    def event_created(self, event: EventSpec) -> None: ...
    def event_fees_changed(self, event_ticker: str, fees: FeeModel | None) -> None: ...
    def group_changed(self, account: Account, group: OrderGroup, event: GroupEvent, now_ns: Nanos) -> None: ...
