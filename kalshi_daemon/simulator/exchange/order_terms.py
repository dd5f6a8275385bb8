"""The words of an order: what a create may ask for, the states and reasons it goes through, why it is refused."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.units import Count, Nanos, Price


class TimeInForce(StrEnum):
    """The three the venue knows; an expiring order is GOOD_TILL_CANCELED with an expiration time."""

    GOOD_TILL_CANCELED = "good_till_canceled"
    IMMEDIATE_OR_CANCEL = "immediate_or_cancel"
    FILL_OR_KILL = "fill_or_kill"


class SelfTrade(StrEnum):
    """Which order gives way when an account would trade with itself."""

    TAKER_AT_CROSS = "taker_at_cross"
    MAKER = "maker"


class OrderState(StrEnum):
    """`status` of an order on the wire."""

    RESTING = "resting"
    CANCELED = "canceled"
    EXECUTED = "executed"


class Reason(StrEnum):
    """`last_update_reason` of a user_order frame (docs/reference/venue.md 5). CREATED and USER are the empty string."""

    NONE = ""
    DECREASE = "Decrease"
    AMEND = "Amend"
    MARGIN_CANCEL = "MarginCancel"
    SELF_TRADE = "SelfTradeCancel"
    EXPIRY = "ExpiryCancel"
    CLOSE = "CloseCancel"
    HALT = "HaltCancel"
    TRADE = "Trade"
    POST_ONLY_CROSS = "PostOnlyCrossCancel"
    REDUCE_ONLY = "ReduceOnlyCancel"


@dataclass(frozen=True, slots=True)
class OrderSpec:
    """A create. `client_order_id` may be empty for in-process traders; times in nanoseconds."""

    ticker: str
    side: Side
    price: Price
    count: Count
    client_order_id: str = ""
    time_in_force: TimeInForce = TimeInForce.GOOD_TILL_CANCELED
    self_trade: SelfTrade = SelfTrade.TAKER_AT_CROSS
    post_only: bool = False
    reduce_only: bool = False
    cancel_on_pause: bool = False
    expires_ns: Nanos | None = None
    group_id: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The venue says no: HTTP status of a single request, code and texts of the envelope.

    Source: docs/reference/venue.md 3.
    """

    status: int
    code: str
    message: str
    details: str = ""


def bad_request(details: str) -> Refusal:
    """A body or query the venue cannot read."""
    return Refusal(400, "bad_request", "bad request", details)


def invalid_order(details: str) -> Refusal:
    """An order that contradicts itself or the market."""
    return Refusal(400, "invalid_order", "invalid order", details)


NOT_FOUND: Final = Refusal(404, "not_found", "not found")
TOO_MANY_REQUESTS: Final = Refusal(429, "too_many_requests", "too many requests")
MARKET_NOT_FOUND: Final = Refusal(404, "market_not_found", "market not found")
ALREADY_EXISTS: Final = Refusal(409, "order_already_exists", "order already exists")
POST_ONLY_CROSS: Final = invalid_order("post only cross")
INSUFFICIENT_BALANCE: Final = Refusal(400, "insufficient_balance", "insufficient balance")
INVALID_SIZE: Final = Refusal(400, "invalid_order_size", "invalid order size")
INVALID_PRICE: Final = Refusal(400, "invalid_price", "invalid price", "price is not on the market's grid")
MARKET_INACTIVE: Final = Refusal(400, "MARKET_INACTIVE", "market is not active")
TRADING_PAUSED: Final = Refusal(400, "TRADING_PAUSED", "trading is paused")
EXCHANGE_PAUSED: Final = Refusal(503, "EXCHANGE_PAUSED", "exchange is paused")
GROUP_NOT_FOUND: Final = Refusal(404, "ORDER_GROUP_NOT_FOUND", "order group not found")
GROUP_TRIGGERED: Final = Refusal(400, "EXCEEDED_ORDER_GROUP_RISK_LIMIT", "order group limit exceeded")
RISK_LIMIT: Final = Refusal(400, "EXCEEDED_PER_MARKET_RISK_LIMIT", "position limit exceeded")
TOO_MANY_ORDERS: Final = Refusal(400, "too_many_open_orders", "too many open orders")
EXPIRED: Final = invalid_order("Expiration timestamp must be in the future")
IOC_WITH_EXPIRY: Final = invalid_order("Cannot specify both immediate_or_cancel and expiration_ts")
REDUCE_ONLY_NEEDS_IOC: Final = invalid_order("reduce_only orders must be immediate_or_cancel")
POST_ONLY_NEEDS_GTC: Final = invalid_order("post_only orders must be good_till_canceled")
ID_MISMATCH: Final = Refusal(400, "order_id_and_client_order_id_mismatch", "order id and client order id mismatch")
SIDE_MISMATCH: Final = Refusal(400, "order_side_mismatch", "order side mismatch")
TICKER_MISMATCH: Final = Refusal(400, "order_ticker_mismatch", "order ticker mismatch")
