"""Our orders, fills and positions as values. The transition table lives in `orders.lifecycle`."""

from dataclasses import dataclass
from enum import StrEnum

from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.units import Count, Dollars, Nanos, Price


class Status(StrEnum):
    """Where an order of ours stands. UNKNOWN and in-flight states count as resting for every risk sum."""

    INTENDED = "intended"
    """Journalled, not sent."""
    IN_FLIGHT = "in_flight"
    RESTING = "resting"
    PENDING_CANCEL = "pending_cancel"
    UNKNOWN = "unknown"
    """A create was sent and no trustworthy answer came back; the exchange may have it."""
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REJECTED = "rejected"

    @property
    def live(self) -> bool:
        """May still trade, as far as we can prove."""
        return self in _LIVE


_LIVE = frozenset({Status.INTENDED, Status.IN_FLIGHT, Status.RESTING, Status.PENDING_CANCEL, Status.UNKNOWN})


@dataclass(frozen=True, slots=True)
class Order:
    """One order of ours. `client_order_id` is made before sending and never reused; counts in 1/100 contract."""

    client_order_id: str
    market_ticker: str
    event_ticker: str
    series_ticker: str
    profile: str
    side: Side
    price: Price
    count: Count
    status: Status
    expires_ns: Nanos
    created_ns: Nanos
    order_id: str | None = None
    filled: Count = Count(0)
    updated_ns: Nanos = Nanos(0)
    reason: str = ""
    """Why it ended, in the venue's or our word."""
    fair: float = 0.0
    required_edge: float = 0.0

    @property
    def leaves(self) -> Count:
        """What may still fill."""
        return Count(self.count - self.filled) if self.status.live else Count(0)


@dataclass(frozen=True, slots=True)
class Fill:
    """One trade of ours. `price` is on the YES scale; `fee` in 1/10 000 dollar."""

    trade_id: str
    order_id: str
    market_ticker: str
    side: Side
    price: Price
    count: Count
    fee: Dollars
    is_taker: bool
    event_ns: Nanos
    client_order_id: str | None = None
    post_position: Count | None = None
    """The venue's net position after this fill, when the stream told us."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """A market of ours that paid out, as the venue reports it."""

    market_ticker: str
    event_ticker: str
    result: str
    yes_count: Count
    no_count: Count
    revenue: Dollars
    fee: Dollars
    settled_ns: Nanos


@dataclass(frozen=True, slots=True)
class VenuePosition:
    """A position as the venue reports it; `count` is signed, + YES, - NO."""

    market_ticker: str
    count: Count
    fees: Dollars
    realized_pnl: Dollars


@dataclass(frozen=True, slots=True)
class NewOrder:
    """A create as it will be sent. Always good_till_canceled, post_only, cancel_order_on_pause, self-trade guarded."""

    client_order_id: str
    market_ticker: str
    side: Side
    price: Price
    count: Count
    expires_ns: Nanos
    """Rounded down to whole seconds on the wire."""
    order_group_id: str | None = None


@dataclass(frozen=True, slots=True)
class OrderRef:
    """What the venue needs to find an order; the ticker routes it to its shard."""

    order_id: str
    market_ticker: str
