"""What Kalshi's streams tell us, decoded: frozen, slotted, with the venue's time and ours.

The codec (`kalshi.ws_codec`) makes these from bytes; the venue and orders rooms consume them. Prices are always on the
YES scale here: the codec complements NO levels unless the subscription asked for the YES scale.
"""

from dataclasses import dataclass

from kalshi_daemon.domain.order import Fill
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.units import Count, Dollars, Nanos, Price


@dataclass(frozen=True, slots=True)
class BookSnapshot:
    """A whole book. `bids` and `asks` are on the YES scale; an absent side is an empty tuple."""

    sid: int
    seq: int
    market_ticker: str
    bids: tuple[tuple[Price, Count], ...]
    asks: tuple[tuple[Price, Count], ...]
    recv_ns: Nanos
    command_id: int | None = None


@dataclass(frozen=True, slots=True)
class BookDelta:
    """A signed change of one level. `side` BID changes a YES bid, ASK a YES ask, at `price` on the YES scale."""

    sid: int
    seq: int
    market_ticker: str
    side: Side
    price: Price
    delta: Count
    event_ns: Nanos | None
    recv_ns: Nanos
    own_client_order_id: str | None = None


@dataclass(frozen=True, slots=True)
class SequenceGap:
    """The stream skipped: every book of this sid is void until its next snapshot."""

    sid: int
    expected: int
    got: int
    recv_ns: Nanos


@dataclass(frozen=True, slots=True)
class BooksLost:
    """These markets are no longer streamed: the venue would not, or sent no snapshot when it was due."""

    market_tickers: tuple[str, ...]
    recv_ns: Nanos


@dataclass(frozen=True, slots=True)
class UserOrder:
    """An order of the account as the `user_orders` channel reports it."""

    order_id: str
    client_order_id: str
    market_ticker: str
    status: str
    """`resting`, `canceled` or `executed`."""
    side: Side
    price: Price
    initial: Count
    filled: Count
    remaining: Count
    event_ns: Nanos
    recv_ns: Nanos
    reason: str = ""
    """`last_update_reason`, e.g. ExpiryCancel."""


@dataclass(frozen=True, slots=True)
class FillEvent:
    """A fill from the `fill` channel."""

    fill: Fill
    recv_ns: Nanos


@dataclass(frozen=True, slots=True)
class MarketLifecycle:
    """A `market_lifecycle_v2` message; only the fields its event_type carries are set."""

    event_type: str
    market_ticker: str
    recv_ns: Nanos
    close_ns: Nanos | None = None
    result: str | None = None
    settlement_value: Price | None = None
    """What one YES contract pays, in 1/10 000 dollar (the wire's "1.0000"); not the index level."""


@dataclass(frozen=True, slots=True)
class EventFeeUpdate:
    """A fee override of one event, set or cleared (None)."""

    event_ticker: str
    fee_type: str | None
    fee_multiplier: float | None
    recv_ns: Nanos


@dataclass(frozen=True, slots=True)
class OrderGroupUpdate:
    """`order_group_updates`: created, triggered, reset, deleted, limit_updated."""

    event_type: str
    order_group_id: str
    recv_ns: Nanos


@dataclass(frozen=True, slots=True)
class StreamUp:
    """The websocket is authenticated and every subscription was acknowledged."""

    recv_ns: Nanos


@dataclass(frozen=True, slots=True)
class StreamDown:
    """The websocket ended; books are void and fills may have been missed."""

    recv_ns: Nanos
    cause: str


VenueEvent = (
    BookSnapshot
    | BookDelta
    | SequenceGap
    | BooksLost
    | UserOrder
    | FillEvent
    | MarketLifecycle
    | EventFeeUpdate
    | OrderGroupUpdate
    | StreamUp
    | StreamDown
)


@dataclass(frozen=True, slots=True)
class RemoteOrder:
    """An order as `GET /portfolio/orders` lists it."""

    order_id: str
    client_order_id: str
    market_ticker: str
    status: str
    side: Side
    price: Price
    initial: Count
    filled: Count
    remaining: Count
    expires_ns: Nanos | None
    subaccount: int | None


@dataclass(frozen=True, slots=True)
class Balance:
    """`GET /portfolio/balance`, the shard of our markets."""

    cash: Dollars
    portfolio_value: Dollars
    read_ns: Nanos


@dataclass(frozen=True, slots=True)
class ExchangeStatus:
    """`GET /exchange/status`: shard 0, and the other shards it lists."""

    exchange_active: bool
    trading_active: bool
    read_ns: Nanos
    other_shards: tuple[tuple[int, bool, bool], ...] = ()
    """(exchange_index, exchange_active, trading_active)."""

    def of_shard(self, exchange_index: int) -> tuple[bool, bool] | None:
        """(exchange active, trading active) of a shard; None when the answer does not tell.

        Nothing of the venue trades while the exchange as a whole does not: a shard's own word can only close further.
        """
        if exchange_index == 0:
            return self.exchange_active, self.trading_active
        said = {shard: (exchange, trading) for shard, exchange, trading in self.other_shards}.get(exchange_index)
        return said and (said[0] and self.exchange_active, said[1] and self.trading_active)


@dataclass(frozen=True, slots=True)
class CreateAck:
    """One accepted create."""

    client_order_id: str
    order_id: str
    filled: Count
    remaining: Count
    event_ns: Nanos


@dataclass(frozen=True, slots=True)
class CancelAck:
    """One accepted cancel; `reduced_by` is what was really removed."""

    order_id: str
    reduced_by: Count
    event_ns: Nanos
