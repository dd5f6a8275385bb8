"""Whether a fill that the exchange tells of can be. Pure: every road takes the same check, stream and lists alike.

A maker's fill is at its order's price; a taker's may be better. Fees are bound by the series' own schedule and the
venue's rounding (docs/reference/venue.md 7 "Fees": the trade fee is rounded up to $0.0001, then the balance change down
to the account's precision, a cent at the coarsest). What cannot be is not what happened, whatever did.
"""

from typing import Final

from kalshi_daemon.domain.contract import FeeSchedule
from kalshi_daemon.domain.order import Fill, Order
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.units import (
    CONTRACT,
    DOLLAR,
    Count,
    Dollars,
    Price,
    format_count,
    format_dollars,
    format_price,
)
from kalshi_daemon.ladder.fees import maker_fee, taker_fee

_CENT: Final = DOLLAR // 100
"""The venue's rounding of one fill stays below it."""
_FEE_MAX: Final = 5 * _CENT // CONTRACT
"""Per 1/100 contract, where no schedule holds: more than twice the dearest fee there is, a taker's at 0.50."""


def impossible_fill(fill: Fill, order: Order | None, filled: Count, fees: FeeSchedule | None) -> str:
    """Why a new fill cannot be; "" when it can.

    `order` is what it names of ours, None for a stranger's. `filled`: what is booked of that order without this fill.
    `fees`: the schedule it was charged by, None when nobody knows.
    """
    problem = "" if order is None else _of_order(fill, order, filled)
    if problem:
        return problem
    most = _fee_max(fill, fees)
    if fill.fee > most:
        return f"fee {format_dollars(fill.fee)} for {format_count(fill.count)}, {format_dollars(most)} at the most"
    return ""


def _of_order(fill: Fill, order: Order, filled: Count) -> str:
    if (fill.market_ticker, fill.side) != (order.market_ticker, order.side):
        return f"{fill.side.value} in {fill.market_ticker} of an order {order.side.value} in {order.market_ticker}"
    if order.order_id not in {None, fill.order_id}:
        return f"of {fill.order_id}, and the order is {order.order_id}"
    if fill.price != order.price and not (fill.is_taker and _better(fill.price, order)):
        return f"at {format_price(fill.price)} of an order at {format_price(order.price)}"
    if filled + fill.count > order.count:
        return f"{format_count(Count(filled + fill.count))} of {format_count(order.count)}"
    return ""


def _better(price: Price, order: Order) -> bool:
    return price < order.price if order.side is Side.BID else price > order.price


def _fee_max(fill: Fill, fees: FeeSchedule | None) -> Dollars:
    if fees is None:
        return Dollars(_FEE_MAX * fill.count + _CENT)
    rule = taker_fee if fill.is_taker else maker_fee
    return Dollars(rule(fees, fill.price, fill.count) + _CENT)
