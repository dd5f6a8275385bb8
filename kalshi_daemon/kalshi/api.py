"""What the rest of the house may ask of Kalshi's REST API, as protocols; `kalshi.rest.KalshiRest` is the real one.

Raw JSON objects (dict) are returned for listings, whose meaning belongs to `venue.listing`; everything about orders
and money is decoded. Every method raises only errors of `kalshi_daemon.ground.errors`:

* reads: VenueUnreachable, VenueUnavailable (5xx, time-out), RateLimited, VenueRejected and its kinds, MalformedData
* writes: VenueUnreachable (nothing left), OrderOutcomeUnknown (bytes left, no trustworthy answer: time-out, dropped
  connection, 5xx, malformed 2xx, a response about another order), RateLimited, VenueRejected and its kinds
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from kalshi_daemon.domain.events import Balance, CancelAck, CreateAck, ExchangeStatus, RemoteOrder
from kalshi_daemon.domain.order import Fill, NewOrder, OrderRef, Settlement, VenuePosition
from kalshi_daemon.ground.errors import VenueError
from kalshi_daemon.ground.units import Count, Nanos, Price

Json = dict[str, Any]


class MarketDataApi(Protocol):
    """Public reads."""

    async def exchange_status(self) -> ExchangeStatus:
        """Whether exchange and trading are open, of every shard. Raises VenueError, MalformedData."""
        ...

    async def series(self, series_ticker: str) -> Json:
        """The series as the exchange describes it, fees included. Raises VenueError, MalformedData."""
        ...

    async def events(self, series_ticker: str, status: str | None = None) -> list[Json]:
        """Every page. `status` is unopened, open, closed or settled."""
        ...

    async def markets(self, event_ticker: str) -> list[Json]:
        """Every page of one event's markets."""
        ...

    async def orderbook(self, market_ticker: str) -> Json:
        """Bids of both sides, as the exchange writes them. Raises VenueError, MalformedData."""
        ...


class OrderApi(Protocol):
    """Writes: V2 endpoints only."""

    async def create_orders(self, orders: Sequence[NewOrder]) -> list[CreateAck | VenueError]:
        """Batched create; one result per order, in order. Raises when the batch as a whole failed."""
        ...

    async def cancel_orders(self, orders: Sequence[OrderRef]) -> list[CancelAck | VenueError]:
        """Batched cancel; one result per order, in order. Raises when the batch as a whole failed."""
        ...

    async def amend_order(
        self, order: NewOrder, order_id: str, *, total_count: Count, price: Price, expires_ns: Nanos
    ) -> None:
        """Amend; with price and total count unchanged only the expiry moves and queue priority is kept."""
        ...

    async def cancel_all(self) -> None:
        """Cancel everything on the subaccount, every market (the venue may also cancel for a minute after)."""
        ...

    async def create_order_group(self, contracts_limit: Count) -> str:
        """A new group; its id. The limit is what may trade in 15 s before all is cancelled. Raises VenueError."""
        ...

    async def reset_order_group(self, order_group_id: str) -> None:
        """Let a group that was triggered take orders again. Raises VenueError."""
        ...

    async def delete_order_group(self, order_group_id: str) -> None:
        """Remove a group, and cancel its orders. Raises VenueError."""
        ...

    async def order_groups(self) -> list[Json]:
        """The groups of the account. Raises VenueError, MalformedData."""
        ...


class PortfolioApi(Protocol):
    """Authenticated reads."""

    async def orders(
        self, *, status: str | None = None, market_ticker: str | None = None, min_ts_ns: Nanos | None = None
    ) -> list[RemoteOrder]:
        """Every page. `status` is resting, canceled or executed."""
        ...

    async def order(self, order_id: str) -> RemoteOrder:
        """One order by the exchange's id. Raises NotFound and other VenueErrors, MalformedData."""
        ...

    async def fills(self, *, min_ts_ns: Nanos | None = None, order_id: str | None = None) -> list[Fill]:
        """Every page of our fills, since a time or of one order. Raises VenueError, MalformedData."""
        ...

    async def positions(self) -> list[VenuePosition]:
        """Every page of what the account holds. Raises VenueError, MalformedData."""
        ...

    async def settlements(self, *, min_ts_ns: Nanos | None = None) -> list[Settlement]:
        """Every page of what was paid, since a time. Raises VenueError, MalformedData."""
        ...

    async def balance(self, exchange_index: int | None = 0) -> Balance:
        """The cash of one shard: collateral is per shard."""
        ...

    async def account_limits(self) -> Json:
        """The tier's token buckets. Raises VenueError, MalformedData."""
        ...

    async def endpoint_costs(self) -> Json:
        """The tokens a request of each kind costs. Raises VenueError, MalformedData."""
        ...


class StreamControl(Protocol):
    """What the venue room may ask of the websocket."""

    def want_books(self, market_tickers: Sequence[str]) -> None:
        """The full set of markets whose books should be streamed; differences are sent as add/delete."""
        ...

    def request_snapshots(self, market_tickers: Sequence[str]) -> None:
        """Ask for fresh snapshots (get_snapshot) after a gap."""
        ...

    def resubscribe(self, market_tickers: Sequence[str]) -> None:
        """Take these markets out of the subscription and in again: a snapshot alone would not revive a dead one."""
        ...

    @property
    def repeated(self) -> int:
        """Frames dropped because their number had passed."""
        ...


Headers = Mapping[str, str]
