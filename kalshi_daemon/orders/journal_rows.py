"""Records as rows of the journal and back. Values in the order of `journal_schema.TABLES`.

Strict on the way back: what is not of the type and range that we write raises ValueError, and is damage to the caller.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from kalshi_daemon.domain.order import Fill, Order, Status
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.units import Count, Dollars, Nanos, Price
from kalshi_daemon.orders.booked import BookedFill, Inherited, Result
from kalshi_daemon.state import GroupHalt

_TURN: Final = 10_000
"""One dollar in 1/100 cent: no price of a contract lies above it."""


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


@dataclass(frozen=True, slots=True)
class QuarantineRow:
    """An order of which the exchange said what cannot be: the word and why, and when it was said first."""

    client_order_id: str
    word: str
    problem: str
    since_ns: Nanos


@dataclass(frozen=True, slots=True)
class DisputeRow:
    """A market that has paid and is not final; `source` is `stream` or `listing`, `said` its result or status."""

    market_ticker: str
    source: str
    said: str
    since_ns: Nanos


def order_row(order: Order) -> tuple[Any, ...]:
    """An order as a row of `orders`."""
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
        float(order.fair),
        float(order.required_edge),
        order.status.value,
        order.expires_ns,
        order.order_id,
        order.filled,
        order.updated_ns,
        order.reason,
    )


def order_of_row(row: Sequence[Any]) -> Order:
    """An order from its row. Raises ValueError."""
    return Order(
        client_order_id=text(row[0]),
        market_ticker=text(row[1]),
        event_ticker=text(row[2]),
        series_ticker=text(row[3]),
        profile=text(row[4]),
        side=Side(row[5]),
        price=_price(row[6]),
        count=Count(integer(row[7])),
        created_ns=Nanos(integer(row[8])),
        fair=_finite(row[9]),
        required_edge=_finite(row[10]),
        status=Status(row[11]),
        expires_ns=Nanos(integer(row[12])),
        order_id=None if row[13] is None else text(row[13]),
        filled=Count(integer(row[14])),
        updated_ns=Nanos(integer(row[15])),
        reason=text(row[16]),
    )


def fill_of_row(row: Sequence[Any]) -> BookedFill:
    """A fill from its row. Raises ValueError."""
    if row[10] not in {0, 1}:
        raise ValueError(f"is_taker {row[10]!r:.40}")
    fill = Fill(
        trade_id=text(row[0]),
        order_id=text(row[1]),
        client_order_id=None if row[2] is None else text(row[2]),
        market_ticker=text(row[3]),
        side=Side(row[6]),
        price=_price(row[7]),
        count=Count(integer(row[8])),
        fee=Dollars(integer(row[9], signed=True)),
        is_taker=bool(row[10]),
        event_ns=Nanos(integer(row[11])),
    )
    return BookedFill(fill, event_ticker=text(row[4]), series_ticker=text(row[5]))


def event_of_row(row: Sequence[Any]) -> tuple[Nanos, str, str, dict[str, Any]]:
    """(at, event, status after it, detail)."""
    detail = json.loads(row[4])
    if not isinstance(detail, dict):
        raise ValueError(f"detail {row[4]!r:.40}")  # noqa: TRY004 - one kind for all
    return Nanos(integer(row[1])), text(row[2]), Status(row[3]).value, detail


def result_of_row(row: Sequence[Any]) -> tuple[str, Result]:
    """A market and its settlement, from the row. Raises ValueError."""
    revenue = None if row[3] is None else Dollars(integer(row[3], signed=True))
    return text(row[0]), Result(text(row[2]), Nanos(integer(row[7], signed=True)), revenue)


def correction_of_row(row: Sequence[Any]) -> tuple[str, Result]:
    """A market and its corrected settlement, from the row. Raises ValueError."""
    return text(row[0]), Result(text(row[2]), Nanos(integer(row[10])), Dollars(integer(row[3], signed=True)))


def inherited_of_row(row: Sequence[Any]) -> Inherited:
    """What was held before our first order, from its row. Raises ValueError."""
    return Inherited(text(row[0]), text(row[1]), text(row[2]), Count(integer(row[3], signed=True)))


def group_of_row(row: Sequence[Any]) -> GroupRow:
    """An order group from its row. Raises ValueError."""
    return GroupRow(text(row[0]), text(row[1]), Count(integer(row[2])), Nanos(integer(row[3])))


def group_intent_of_row(row: Sequence[Any]) -> GroupIntent:
    """The create of an order group without an answer, from its row. Raises ValueError."""
    listed = json.loads(row[2])
    if not isinstance(listed, list):
        raise ValueError(f"listed_before {row[2]!r:.40}")  # noqa: TRY004 - one kind for all
    return GroupIntent(text(row[0]), Nanos(integer(row[1])), frozenset(text(one) for one in listed))


def halt_of_row(row: Sequence[Any]) -> tuple[str, GroupHalt]:
    """A profile and its halt, from the row. Raises ValueError."""
    return text(row[0]), GroupHalt(Nanos(integer(row[1])), text(row[2]))


def quarantine_of_row(row: Sequence[Any]) -> QuarantineRow:
    """A doubt about an order, from its row. Raises ValueError."""
    return QuarantineRow(text(row[0]), text(row[1]), text(row[2]), Nanos(integer(row[3])))


def dispute_of_row(row: Sequence[Any]) -> DisputeRow:
    """A disputed settlement, from its row. Raises ValueError."""
    return DisputeRow(text(row[0]), text(row[1]), text(row[2]), Nanos(integer(row[3])))


def text(value: object) -> str:
    """A value that is text. Raises ValueError."""
    if not isinstance(value, str):
        raise ValueError(f"{value!r:.40} is not text")  # noqa: TRY004 - one kind for all
    return value


def integer(value: object, *, signed: bool = False) -> int:
    """An integer of ours; negative only where money and positions are. Raises ValueError."""
    if not isinstance(value, int) or (value < 0 and not signed):
        raise ValueError(f"{value!r:.40} is not a number of ours")
    return value


def _price(value: object) -> Price:
    if integer(value) > _TURN:
        raise ValueError(f"{value!r:.40} is not a price")
    return Price(integer(value))


def _finite(value: object) -> float:
    if not isinstance(value, float) or not math.isfinite(value):
        raise ValueError(f"{value!r:.40} is not a finite number")
    return value


def fill_row(booked: BookedFill) -> tuple[Any, ...]:
    """A booked fill as a row of `fills`."""
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
