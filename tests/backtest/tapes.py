"""Tapes by hand, and a venue that only counts: what fills of our orders, contract by contract."""

from types import SimpleNamespace
from typing import Any

from kalshi_daemon.backtest.recorded.queue_models import QUEUE_MODELS
from kalshi_daemon.backtest.recorded.recorded_book import RecordedBook
from kalshi_daemon.backtest.recorded.tape import TapeEvent, TapeKind
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.units import CONTRACT, Count, Nanos, Price

CENT = 100


def event(kind: str, side: str, cents: int, contracts: float, order_id: int = 0, at: int = 0) -> TapeEvent:
    count = Count(round(contracts * CONTRACT))
    return TapeEvent(Nanos(at), "M", TapeKind(kind), Side(side), Price(cents * CENT), count, order_id)


class CountingVenue:
    """Orders that rest, and what was taken of them, in contracts."""

    def __init__(self) -> None:
        self.numbers = iter(range(1_000_000))
        self.filled: list[tuple[str, float]] = []
        self.own_changed: Any = None
        self.shown: dict[tuple[str, int], Any] = {}

    def rest(self, side: Side, price: Price, count: Count) -> Any:
        order = self.order(f"tape-{next(self.numbers)}", side, price, count)
        assert self.resting(side.value, price // CENT) == 0, "a level is shown once"
        self.shown[side.value, price // CENT] = order
        return order

    def order(self, name: str, side: Side, price: int, count: int) -> Any:
        return SimpleNamespace(order_id=name, side=side, price=Price(price), remaining=Count(count), booked=True)

    def resize(self, order: Any, remaining: Count) -> None:
        order.remaining, order.booked = remaining, remaining > 0

    def trade(self, maker: Any, count: Count) -> None:
        assert 0 < count <= maker.remaining
        self.resize(maker, Count(maker.remaining - count))
        if not maker.order_id.startswith("tape-"):
            self.filled.append((maker.order_id, count / CONTRACT))
            self.own_changed(maker)

    def resting(self, side: str, cents: int) -> float:
        order = self.shown.get((side, cents))
        return 0.0 if order is None or not order.booked else order.remaining / CONTRACT


class Played:
    """A recorded book with orders of ours in it."""

    def __init__(self, model: str) -> None:
        self.venue = CountingVenue()
        self.book = RecordedBook(self.venue, QUEUE_MODELS[model]())
        self.venue.own_changed = self.book.own_changed
        self.orders: dict[str, Any] = {}

    def tape(self, *events: tuple[Any, ...]) -> None:
        for one in events:
            self.book.apply(event(*one))

    def ours(self, name: str, side: str, cents: int, contracts: float) -> Any:
        order = self.orders[name] = self.venue.order(name, Side(side), cents * CENT, round(contracts * CONTRACT))
        self.book.own_changed(order)
        return order

    @property
    def fills(self) -> list[tuple[str, float]]:
        return self.venue.filled

    def ahead(self, name: str) -> float:
        return self.book.ahead_of(name) / CONTRACT
