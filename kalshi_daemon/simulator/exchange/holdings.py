"""What a member has in one market, and what a market paid out.

Amounts are micro-dollars. A YES and a NO of one market net at once: the pair pays its dollar when the second leg
trades.
"""

from dataclasses import dataclass

from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.units import PRICE_ONE, Count, Nanos, Price

MICROS: int = 100
"""Micro-dollars in 1/10 000 dollar."""


@dataclass(slots=True)
class Holding:
    """One account's stake in one market. `count` is signed: + YES, - NO; `cost` is what the open part cost."""

    ticker: str
    event_ticker: str
    count: Count = Count(0)
    cost: int = 0
    realized: int = 0
    """Without fees."""
    fees: int = 0
    open_fees: int = 0
    """Fees paid on the part still open."""
    traded: int = 0
    volume: Count = Count(0)
    updated_ns: Nanos = Nanos(0)
    settled: bool = False

    def apply(self, side: Side, price: Price, count: Count) -> int:
        """Book a fill and return the change of cash before fees.

        Closing comes first: the closed part gives back what it fetches now and realizes the difference to its
        average cost (rounded down on the cost side); the rest opens at its own price (NO pays 1 - price). In
        micro-dollars.
        """
        buying = side is Side.BID
        own = price if buying else PRICE_ONE - price
        closing = min(count, max(0, -self.count if buying else self.count))
        opening = count - closing
        fetched = (PRICE_ONE - own) * closing
        if closing:
            removed = self.cost * closing // abs(self.count)
            self.open_fees -= self.open_fees * closing // abs(self.count)
            self.cost -= removed
            self.realized += fetched - removed
        paid = own * opening
        self.cost += paid
        self.count = Count(self.count + (count if buying else -count))
        self.traded += own * count
        self.volume = Count(self.volume + count)
        return fetched - paid

    def settle(self, *, yes: bool) -> int:
        """Close at one dollar or nothing; returns the payment."""
        won = self.count > 0 if yes else self.count < 0
        revenue = abs(self.count) * PRICE_ONE if won else 0
        self.realized += revenue - self.cost
        self.cost = 0
        self.open_fees = 0
        self.count = Count(0)
        self.settled = True
        return revenue


@dataclass(frozen=True, slots=True)
class SettlementRecord:
    """A market that paid out to an account which had traded it. Money in micro-dollars."""

    rank: int
    ticker: str
    event_ticker: str
    result: str
    yes_count: Count
    yes_cost: int
    no_count: Count
    no_cost: int
    revenue: int
    fees: int
    settled_ns: Nanos
