"""Members' money: cash, collateral held for resting orders, positions, fills, settlements.

Amounts are micro-dollars. Everything is fully funded: a bid reserves price x count, an ask (1 - price) x count, except
for what would only close the position (docs/reference/venue.md 7.3). A YES and a NO of one market net at once: the pair
pays its dollar when the second leg trades.
"""

from collections import Counter
from dataclasses import dataclass, field

from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.units import PRICE_ONE, Count, Dollars, Nanos, Price
from kalshi_daemon.simulator.exchange.sim_fees import CENTICENT
from kalshi_daemon.simulator.exchange.sim_orders import SimOrder

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

        Closing comes first: the closed part gives back what it fetches now and realizes the difference to its average
        cost (rounded down on the cost side); the rest opens at its own price (NO pays 1 - price).
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
class FillRecord:
    """One account's side of a trade. `fee` in micro-dollars; `post_position` is the net position after it."""

    rank: int
    trade_id: str
    order: SimOrder
    price: Price
    count: Count
    is_taker: bool
    fee: int
    post_position: Count
    at_ns: Nanos


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


@dataclass(slots=True, eq=False)
class Account:
    """A member. In-process traders keep no history and may be exempt from the cash check."""

    name: str
    user_id: str
    cash: int
    start_cash: int
    keeps_history: bool
    checks_cash: bool
    precision: int = CENTICENT
    fees: int = 0
    reserved: int = 0
    holdings: dict[str, Holding] = field(default_factory=dict)
    resting: dict[str, dict[str, SimOrder]] = field(default_factory=dict)
    """Ticker -> order id -> order, in order of acceptance."""
    reserves: dict[str, int] = field(default_factory=dict)
    orders: dict[str, SimOrder] = field(default_factory=dict)
    """Every order ever (resting ones only without history)."""
    client_ids: set[str] = field(default_factory=set)
    fills: list[FillRecord] = field(default_factory=list)
    settlements: list[SettlementRecord] = field(default_factory=list)
    resting_count: int = 0
    resting_by_event: Counter[str] = field(default_factory=Counter)
    cancels: Counter[str] = field(default_factory=Counter)
    """How orders ended other than by a fill, by reason."""
    blackout_until_ns: Nanos = Nanos(0)

    @property
    def available(self) -> int:
        return self.cash - self.reserved

    @property
    def cash_dollars(self) -> Dollars:
        """Cash in 1/10 000 dollar, exact: balances are kept to that precision or a coarser one."""
        whole, rest = divmod(self.cash, MICROS)
        assert rest == 0, "balances are multiples of $0.0001"
        return Dollars(whole)

    def holding(self, ticker: str, event_ticker: str) -> Holding:
        found = self.holdings.get(ticker)
        if found is None:
            found = self.holdings[ticker] = Holding(ticker, event_ticker)
        return found

    def position(self, ticker: str) -> Count:
        held = self.holdings.get(ticker)
        return Count(0) if held is None else held.count

    def realized(self) -> int:
        return sum(held.realized for held in self.holdings.values())

    def add_resting(self, order: SimOrder) -> None:
        spec = order.market.spec
        self.resting.setdefault(spec.ticker, {})[order.order_id] = order
        self.resting_count += 1
        self.resting_by_event[spec.event_ticker] += 1
        self.orders[order.order_id] = order

    def drop_resting(self, order: SimOrder) -> None:
        spec = order.market.spec
        of_market = self.resting[spec.ticker]
        del of_market[order.order_id]
        if not of_market:
            del self.resting[spec.ticker]
        self.resting_count -= 1
        self.resting_by_event[spec.event_ticker] -= 1
        if not self.keeps_history:
            del self.orders[order.order_id]

    def reserve_of(self, ticker: str, extra: tuple[Side, Price, Count] | None = None, without: str = "") -> int:
        """Collateral this market's resting orders need, with one more order (last in time) or without one.

        Orders that would close the position need none, first come first served.
        """
        if not self.checks_cash:
            return 0
        position = self.position(ticker)
        closable = {Side.BID: max(0, -position), Side.ASK: max(0, position)}
        asked = [(o.side, o.price, o.remaining) for o in self.resting.get(ticker, {}).values() if o.order_id != without]
        if extra is not None:
            asked.append(extra)
        need = 0
        for side, price, count in asked:
            covered = min(closable[side], count)
            closable[side] -= covered
            need += (price if side is Side.BID else PRICE_ONE - price) * (count - covered)
        return need

    def refresh_reserve(self, ticker: str) -> None:
        """Recompute what this market holds back, after its orders or position changed."""
        if not self.checks_cash:
            return
        need = self.reserve_of(ticker)
        self.reserved += need - self.reserves.get(ticker, 0)
        if need:
            self.reserves[ticker] = need
        else:
            self.reserves.pop(ticker, None)
