"""Fills that the exchange tells of and that cannot be: not booked, counted as they are listed, and never forgotten.

One of a list keeps the reconciliation guard shut with its words until the list says something possible, says it no
more, or an operator names it in `orders.fills_accepted` or `orders.fills_dismissed`. One of the stream alone is only a
rumour: its order is in quarantine, and the list decides. What it might be counts in every worst case meanwhile: as it
is told, and its order once more in full.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import structlog

from kalshi_daemon.domain.order import Fill, Order, Status
from kalshi_daemon.ground.units import SECOND, Nanos, format_count, format_dollars, format_price
from kalshi_daemon.orders.reconcile import Act, Finding
from kalshi_daemon.state import DaemonState

log = structlog.get_logger()

STREAM: Final = "stream"
LIST: Final = "list"
"""Places a fill is told in; the list of one order's fills is named by the order's id at the exchange."""
LISTED_WITHIN: Final = Nanos(30 * SECOND)
"""A fill of the stream that the list does not have for this long was none."""
REFUSED_MAX: Final = 500
"""More are not counted one by one: the guard is shut, and every order of ours is being pulled."""


@dataclass(frozen=True, slots=True)
class _Refused:
    fill: Fill
    place: str
    name: str | None
    """The client order id of the order it was told of; None for a stranger's."""
    problem: str
    since_ns: Nanos


class RefusedFills:
    """Owns `state.refused_fills`."""

    def __init__(self, state: DaemonState) -> None:
        self._state = state
        self._refused: dict[str, _Refused] = {}
        """By trade id."""

    def add(self, fill: Fill, place: str, order: Order | None, problem: str, like: Order, now_ns: Nanos) -> None:
        """Take one in. `like`: the fill as an order that may fill."""
        known = self._refused.get(fill.trade_id)
        if known is None and len(self._refused) >= REFUSED_MAX:
            return
        if known is not None and place == STREAM:
            place = known.place  # what a list says is not outdone by the stream
        name = None if order is None else order.client_order_id
        self._refused[fill.trade_id] = _Refused(fill, place, name, problem, now_ns)
        self._state.refused_fills[fill.trade_id] = like
        if known is None or known.problem != problem:
            log.error(
                "fill.not_booked",
                trade_id=fill.trade_id,
                order_id=fill.order_id,
                client_order_id=name,
                market=fill.market_ticker,
                side=fill.side.value,
                price=format_price(fill.price),
                count=format_count(fill.count),
                fee=format_dollars(fill.fee),
                source=place,
                problem=problem,
            )

    def forget(self, trade_id: str) -> None:
        """It is booked."""
        self._refused.pop(trade_id, None)
        self._state.refused_fills.pop(trade_id, None)

    def list_read(self, place: str, told: Collection[str], now_ns: Nanos) -> None:
        """A list was read whole, with these trade ids: what it does not tell any more is no fill."""
        for trade_id, one in list(self._refused.items()):
            outdated = one.place == STREAM and place == LIST and now_ns - one.since_ns >= LISTED_WITHIN
            if trade_id not in told and (one.place == place or outdated):
                self.forget(trade_id)

    def only_orders(self, order_ids: Collection[str]) -> None:
        """The fills of these orders alone are read by order id now."""
        for trade_id, one in list(self._refused.items()):
            if one.place not in {STREAM, LIST, *order_ids}:
                self.forget(trade_id)

    def concerns(self, client_order_id: str) -> bool:
        """Whether one was told of this order."""
        return any(one.name == client_order_id for one in self._refused.values())

    @property
    def listed(self) -> bool:
        """Whether the list of all fills has any."""
        return any(one.place == LIST for one in self._refused.values())

    def findings(self) -> list[Finding]:
        """Of those that a list of the exchange tells."""
        return [
            Finding(
                Act.IMPOSSIBLE,
                f"misprint:{trade_id}",
                f"fill {trade_id} of order {one.fill.order_id} cannot be: {one.problem} (to book it as it is listed,"
                " name it in orders.fills_accepted; if it never happened, in orders.fills_dismissed)",
            )
            for trade_id, one in self._refused.items()
            if one.place != STREAM
        ]


def as_order(fill: Fill, event_ticker: str, series_ticker: str, now_ns: Nanos) -> Order:
    """A fill as the order of unknown fate that every worst case counts."""
    return Order(
        client_order_id=f"fill {fill.trade_id}",
        market_ticker=fill.market_ticker,
        event_ticker=event_ticker,
        series_ticker=series_ticker,
        profile="",
        side=fill.side,
        price=fill.price,
        count=fill.count,
        status=Status.UNKNOWN,
        expires_ns=now_ns,
        created_ns=now_ns,
        order_id=fill.order_id,
        updated_ns=now_ns,
    )
