"""What the exchange refuses at the door, in the order it looks. Pure: a refusal or None."""

from typing import Final

from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.units import Count, Nanos, Price
from kalshi_daemon.simulator.exchange.order_terms import (
    ALREADY_EXISTS,
    EXPIRED,
    ID_MISMATCH,
    INSUFFICIENT_BALANCE,
    INVALID_PRICE,
    INVALID_SIZE,
    IOC_WITH_EXPIRY,
    POST_ONLY_NEEDS_GTC,
    REDUCE_ONLY_NEEDS_IOC,
    RISK_LIMIT,
    SIDE_MISMATCH,
    TICKER_MISMATCH,
    TOO_MANY_ORDERS,
    OrderSpec,
    Refusal,
    TimeInForce,
)
from kalshi_daemon.simulator.exchange.sim_fees import fee_max
from kalshi_daemon.simulator.exchange.sim_orders import Account, SimMarket, SimOrder

OPEN_ORDERS_MAX: Final = 200_000
"""Per user (legacy create page)."""
POSITION_MAX: Final = Count(7_000_000 * 100)
"""$7,000,000 per member and contract (contract terms since November 2024)."""


def refuse_create(account: Account, market: SimMarket, spec: OrderSpec, now_ns: Nanos) -> Refusal | None:
    """Everything about a create but the state of the exchange, the market's hours and the cross of a post_only."""
    if spec.client_order_id and spec.client_order_id in account.client_ids:
        return ALREADY_EXISTS  # for ever: the id of a canceled order is not free again
    if spec.count <= 0:
        return INVALID_SIZE
    if not market.grid.contains(spec.price):
        return INVALID_PRICE
    if (refusal := _refuse_terms(spec, now_ns)) is not None:
        return refusal
    if account.resting_count >= OPEN_ORDERS_MAX:
        return TOO_MANY_ORDERS
    if abs(account.position(spec.ticker)) + spec.count > POSITION_MAX:
        return RISK_LIMIT
    return None if affordable(account, market, spec.side, spec.price, spec.count) else INSUFFICIENT_BALANCE


def _refuse_terms(spec: OrderSpec, now_ns: Nanos) -> Refusal | None:
    resting = spec.time_in_force is TimeInForce.GOOD_TILL_CANCELED
    if spec.expires_ns is not None:
        if not resting:
            return IOC_WITH_EXPIRY
        if spec.expires_ns <= now_ns:
            return EXPIRED
    if spec.post_only and not resting:
        return POST_ONLY_NEEDS_GTC
    if spec.reduce_only and spec.time_in_force is not TimeInForce.IMMEDIATE_OR_CANCEL:
        return REDUCE_ONLY_NEEDS_IOC
    return None


def affordable(
    account: Account, market: SimMarket, side: Side, price: Price, count: Count, *, without: str = ""
) -> bool:
    """Whether free cash covers the collateral the order adds, and the fee if it would trade at once."""
    if not account.checks_cash:
        return True
    ticker = market.spec.ticker
    added = account.reserve_of(ticker, (side, price, count), without) - account.reserves.get(ticker, 0)
    if market.book.would_cross(side, price):
        added += fee_max(market.fees, count)
    return added <= account.available


def refuse_amend(
    order: SimOrder, *, ticker: str, side: Side, client_order_id: str | None, updated_client_order_id: str | None
) -> Refusal | None:
    """An amend must describe the order it means (docs/reference/venue.md 3)."""
    if order.market.spec.ticker != ticker:
        return TICKER_MISMATCH
    if order.side is not side:
        return SIDE_MISMATCH
    if client_order_id is not None and client_order_id != order.client_order_id:
        return ID_MISMATCH
    if updated_client_order_id and updated_client_order_id in order.account.client_ids:
        return ALREADY_EXISTS
    return None
