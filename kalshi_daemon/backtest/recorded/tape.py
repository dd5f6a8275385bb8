"""What happened in a recorded book, in order. Pure.

Three things happen to a level: contracts are added, are taken off unfilled, or trade. Our own orders are in none of it.
"""

from dataclasses import dataclass
from enum import StrEnum

from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.units import Count, Nanos, Price


class TapeKind(StrEnum):
    """What happened."""

    ADD = "add"
    CANCEL = "cancel"
    TRADE = "trade"


@dataclass(frozen=True, slots=True)
class TapeEvent:
    """One change of one level. Prices on the YES scale."""

    at_ns: Nanos
    ticker: str
    kind: TapeKind
    side: Side
    """Of the resting contracts; of a trade too: `BID` means that somebody sold into the bids."""
    price: Price
    count: Count
    order_id: int = 0
    """Of the order that was added or taken off, where the recording says so; 0: it does not."""


class TapeLevel:
    """The recorded contracts at one price, ours left out, in the order they came. Counts in 1/100 contract."""

    __slots__ = ("_by_id", "_orders", "_rank", "total")

    def __init__(self) -> None:
        self.total = 0
        self._orders: dict[int, int] = {}
        """Rank of arrival -> what is left of it."""
        self._by_id: dict[int, int] = {}
        self._rank = 0

    @property
    def last_rank(self) -> int:
        """Of the newest order; 0 when there was none."""
        return self._rank

    def add(self, count: int, order_id: int = 0) -> None:
        """An order of `count` 1/100 contracts joins the back. `order_id`: its number, 0 when it has none."""
        self._rank += 1
        self._orders[self._rank] = count
        if order_id:
            self._by_id[order_id] = self._rank
        self.total += count

    def cancel(self, count: int, order_id: int = 0) -> int:
        """Take off `count` 1/100 contracts unfilled; returns how many there were to take.

        Whose they were the recording may say by the order's number (`order_id`, 0: it does not). Otherwise: of the
        newest order of exactly that size, or else from the back.
        """
        rank = self._by_id.get(order_id) if order_id else None
        if rank is None:
            rank = next((rank for rank in reversed(self._orders) if self._orders[rank] == count), None)
        before = self.total
        if rank is not None and rank in self._orders:
            count -= self._take(rank, count)
        while count > 0 and self._orders:
            count -= self._take(next(reversed(self._orders)), count)
        return before - self.total

    def trade(self, count: int) -> int:
        """The oldest orders trade, `count` 1/100 contracts in all; returns how much there was to trade."""
        before = self.total
        while count > 0 and self._orders:
            count -= self._take(next(iter(self._orders)), count)
        return before - self.total

    def ahead_of(self, rank: int) -> int:
        """What is left of the orders that came up to this rank."""
        found = 0
        for one, count in self._orders.items():
            if one > rank:
                break
            found += count
        return found

    def _take(self, rank: int, count: int) -> int:
        taken = min(self._orders[rank], count)
        self.total -= taken
        if taken == self._orders[rank]:
            del self._orders[rank]
        else:
            self._orders[rank] -= taken
        return taken
