"""An order as the audit trail and the commands tell it. Pure."""

from typing import Any

from kalshi_daemon.domain.order import Order
from kalshi_daemon.ground.units import format_count, format_price


def order_facts(order: Order) -> dict[str, Any]:
    """What names an order and says what it is; price and counts in the venue's text form."""
    return {
        "client_order_id": order.client_order_id,
        "order_id": order.order_id,
        "market": order.market_ticker,
        "event": order.event_ticker,
        "series": order.series_ticker,
        "profile": order.profile,
        "side": order.side.value,
        "price": format_price(order.price),
        "count": format_count(order.count),
        "filled": format_count(order.filled),
    }
