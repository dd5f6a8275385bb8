"""From inserts, cancels and trades to what happened at each level. Pure.

An insert that crosses is a trade with what rests there, level by level, and what is left of it rests. A recording that
tells trades says so itself.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from kalshi_daemon.backtest.recorded.day_files import CANCEL, TRADE, EventColumns
from kalshi_daemon.backtest.recorded.tape import TapeEvent, TapeKind
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.units import CONTRACT, Count, Nanos, Price

CENT: Final = 100
"""Of a price, in 1/10 000 dollar."""


def tape_of(columns: EventColumns, names: Sequence[str] | None, only: str) -> Iterator[TapeEvent]:
    """Every event of the day. `names`: the tickers row by row; None: all are of the market `only`."""
    books: dict[str, _Depth] = {}
    words, ids = columns.operation, columns.order_id
    rows = zip(columns.at_ns, words, ids, columns.bid, columns.volume, columns.cents, strict=True)
    for row, (at, operation, order_id, bid, volume, cents) in enumerate(rows):
        ticker = only if names is None else names[row]
        depth = books.setdefault(ticker, _Depth())
        at_ns, side = Nanos(int(at)), Side.BID if bid else Side.ASK
        if operation in (CANCEL, TRADE):
            depth.take(side, cents, volume)
            kind = TapeKind.CANCEL if operation == CANCEL else TapeKind.TRADE
            yield TapeEvent(at_ns, ticker, kind, side, Price(cents * CENT), _count(volume), order_id)
            continue
        other, left = Side.ASK if bid else Side.BID, volume
        while left and (best := depth.best(other)) is not None and (best <= cents if bid else best >= cents):
            taken = depth.take(other, best, left)
            left -= taken
            yield TapeEvent(at_ns, ticker, TapeKind.TRADE, other, Price(best * CENT), _count(taken))
        if left:
            depth.add(side, cents, left)
            yield TapeEvent(at_ns, ticker, TapeKind.ADD, side, Price(cents * CENT), _count(left), order_id)


class _Depth:
    """Contracts by cents, both sides."""

    def __init__(self) -> None:
        self._sides: dict[Side, dict[int, int]] = {Side.BID: {}, Side.ASK: {}}

    def best(self, side: Side) -> int | None:
        return (max if side is Side.BID else min)(self._sides[side], default=None)

    def add(self, side: Side, cents: int, volume: int) -> None:
        levels = self._sides[side]
        levels[cents] = levels.get(cents, 0) + volume

    def take(self, side: Side, cents: int, volume: int) -> int:
        levels = self._sides[side]
        there = levels.get(cents, 0)
        if there > volume:
            levels[cents] = there - volume
            return volume
        levels.pop(cents, None)
        return there


def _count(volume: int) -> Count:
    return Count(volume * CONTRACT)
