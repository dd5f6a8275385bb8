"""Orders and fills as rows of the journal and back. Columns in the order of the values."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from kalshi_daemon.domain.order import Fill, Order, Status
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.orders.ledger import BookedFill
from kalshi_daemon.units import Count, Dollars, Nanos, Price

ORDER_COLUMNS: Final = (
    "client_order_id, market_ticker, event_ticker, series_ticker, profile, side, price, count, created_ns, fair,"
    " required_edge, status, expires_ns, order_id, filled, updated_ns, reason"
)
FILL_COLUMNS: Final = (
    "trade_id, order_id, client_order_id, market_ticker, event_ticker, series_ticker, side, price, count, fee,"
    " is_taker, event_ns"
)


@dataclass(frozen=True, slots=True)
class GroupRow:
    """An order group of ours at the exchange; the limit in 1/100 contract."""

    order_group_id: str
    profile: str
    contracts_limit: Count
    created_ns: Nanos


@dataclass(frozen=True, slots=True)
class GroupIntent:
    """A group create about to be sent, and which groups there were before it."""

    profile: str
    at_ns: Nanos
    listed_before: frozenset[str]


def order_row(order: Order) -> tuple[Any, ...]:
    return (
        order.client_order_id,
        order.market_ticker,
        order.event_ticker,
        order.series_ticker,
        order.profile,
        order.side.value,
        order.price,
        order.count,
        order.created_ns,
        order.fair,
        order.required_edge,
        order.status.value,
        order.expires_ns,
        order.order_id,
        order.filled,
        order.updated_ns,
        order.reason,
    )


def order_of_row(row: Sequence[Any]) -> Order:
    return Order(
        client_order_id=row[0],
        market_ticker=row[1],
        event_ticker=row[2],
        series_ticker=row[3],
        profile=row[4],
        side=Side(row[5]),
        price=Price(row[6]),
        count=Count(row[7]),
        created_ns=Nanos(row[8]),
        fair=row[9],
        required_edge=row[10],
        status=Status(row[11]),
        expires_ns=Nanos(row[12]),
        order_id=row[13],
        filled=Count(row[14]),
        updated_ns=Nanos(row[15]),
        reason=row[16],
    )


def fill_of_row(row: Sequence[Any]) -> BookedFill:
    fill = Fill(
        trade_id=row[0],
        order_id=row[1],
        client_order_id=row[2],
        market_ticker=row[3],
        side=Side(row[6]),
        price=Price(row[7]),
        count=Count(row[8]),
        fee=Dollars(row[9]),
        is_taker=bool(row[10]),
        event_ns=Nanos(row[11]),
    )
    return BookedFill(fill, event_ticker=row[4], series_ticker=row[5])


def fill_row(booked: BookedFill) -> tuple[Any, ...]:
    fill = booked.fill
    return (
        fill.trade_id,
        fill.order_id,
        fill.client_order_id,
        fill.market_ticker,
        booked.event_ticker,
        booked.series_ticker,
        fill.side.value,
        fill.price,
        fill.count,
        fill.fee,
        int(fill.is_taker),
        fill.event_ns,
    )
