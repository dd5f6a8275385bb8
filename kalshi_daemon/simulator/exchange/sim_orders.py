"""Orders, whose they are and where they rest. Account, market and order hold one another, so they share a file.

Amounts are micro-dollars, counts 1/100 contract. Everything is fully funded: a bid reserves price x count, an ask
(1 - price) x count, except for what would only close the position (docs/reference/venue.md 7.3).
"""

from collections import Counter
from dataclasses import dataclass, field

from kalshi_daemon.domain.contract import MarketStatus, PriceGrid
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.units import PRICE_ONE, Count, Dollars, Level, Nanos, Price
from kalshi_daemon.simulator.exchange.holdings import MICROS, Holding, SettlementRecord
from kalshi_daemon.simulator.exchange.instruments import MarketSpec
from kalshi_daemon.simulator.exchange.order_terms import OrderState, Reason, Refusal, SelfTrade, TimeInForce
from kalshi_daemon.simulator.exchange.sim_book import SimBook
from kalshi_daemon.simulator.exchange.sim_fees import CENTICENT, FeeModel


@dataclass(slots=True, eq=False)
class SimMarket:
    """The moving part of a market. Money in micro-dollars, counts in 1/100 contract."""

    spec: MarketSpec
    market_id: str
    book: "SimBook[SimOrder]"
    fees: FeeModel
    grid: PriceGrid
    grid_label: str
    rank: int
    """Place in the listing, for stable pagination."""
    updated_ns: Nanos
    inactive: bool = False
    determined_ns: Nanos | None = None
    settled_ns: Nanos | None = None
    disputed: bool = False
    """Determined, and the settlement held."""
    amended: bool = False
    """Settled a second time, by another result."""
    shard: int = 0
    """`exchange_index`."""
    result: str = ""
    settlement_value: Level | None = None
    last_price: Price = Price(0)
    last_count: Count = Count(0)
    volume: Count = Count(0)
    dollar_volume: int = 0
    open_interest: Count = Count(0)
    static_json: dict[str, object] = field(default_factory=dict)
    """Filled by the wire encoder once: the fields that never move."""

    def status(self, now_ns: Nanos) -> MarketStatus:
        """By the clock: there is no event at open or close (docs/reference/venue.md 5)."""
        if self.settled_ns is not None:
            return MarketStatus.AMENDED if self.amended else MarketStatus.FINALIZED
        if self.determined_ns is not None:
            return MarketStatus.DISPUTED if self.disputed else MarketStatus.DETERMINED
        if now_ns >= self.spec.close_ns:
            return MarketStatus.CLOSED
        if now_ns < self.spec.open_ns:
            return MarketStatus.INITIALIZED
        return MarketStatus.INACTIVE if self.inactive else MarketStatus.ACTIVE

    def trades_at(self, now_ns: Nanos) -> bool:
        """Whether orders can trade at this instant."""
        return self.spec.open_ns <= now_ns < self.spec.close_ns and not self.inactive


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
    resting: dict[str, dict[str, "SimOrder"]] = field(default_factory=dict)
    """Ticker -> order id -> order, in order of acceptance."""
    reserves: dict[str, int] = field(default_factory=dict)
    orders: dict[str, "SimOrder"] = field(default_factory=dict)
    """Every order ever (resting ones only without history)."""
    client_ids: set[str] = field(default_factory=set)
    fills: list["FillRecord"] = field(default_factory=list)
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
        """The stake in a market, made when there is none."""
        found = self.holdings.get(ticker)
        if found is None:
            found = self.holdings[ticker] = Holding(ticker, event_ticker)
        return found

    def position(self, ticker: str) -> Count:
        """Net contracts in a market, in 1/100: + YES, - NO."""
        held = self.holdings.get(ticker)
        return Count(0) if held is None else held.count

    def realized(self) -> int:
        """Profit of everything closed, in micro-dollars, without fees."""
        return sum(held.realized for held in self.holdings.values())

    def add_resting(self, order: "SimOrder") -> None:
        """An order begins to rest."""
        spec = order.market.spec
        self.resting.setdefault(spec.ticker, {})[order.order_id] = order
        self.resting_count += 1
        self.resting_by_event[spec.event_ticker] += 1
        self.orders[order.order_id] = order

    def drop_resting(self, order: "SimOrder") -> None:
        """An order rests no more."""
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


@dataclass(slots=True, eq=False)
class SimOrder:
    """An accepted order. Costs and fees in micro-dollars."""

    order_id: str
    rank: int
    """Acceptance order, for pagination."""
    account: Account
    market: SimMarket
    side: Side
    price: Price
    initial: Count
    remaining: Count
    client_order_id: str
    time_in_force: TimeInForce
    self_trade: SelfTrade
    post_only: bool
    cancel_on_pause: bool
    expires_ns: Nanos | None
    group_id: str
    created_ns: Nanos
    updated_ns: Nanos
    state: OrderState = OrderState.RESTING
    reason: Reason = Reason.NONE
    filled: Count = Count(0)
    taker_cost: int = 0
    maker_cost: int = 0
    taker_fees: int = 0
    maker_fees: int = 0
    fee_accumulated: int = 0
    held_back: Count = Count(0)
    """The part of a reduce_only order that would open a position: never traded."""
    booked: bool = False
    """In the book now."""

    @property
    def cost(self) -> int:
        return self.taker_cost + self.maker_cost

    @property
    def fees(self) -> int:
        return self.taker_fees + self.maker_fees


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
class Receipt:
    """The answer to a create or an amend: an order, or why not. Figures are those at the time of the answer."""

    order: SimOrder | None
    refusal: Refusal | None
    fill_count: Count = Count(0)
    remaining: Count = Count(0)
    fill_cost: int = 0
    """Signed-free cost of what this request filled, micro-dollars on the order's own side of the YES price."""
    fill_fees: int = 0
    at_ns: Nanos = Nanos(0)

    @property
    def order_id(self) -> str | None:
        """The id of an accepted order; None when refused."""
        return None if self.order is None else self.order.order_id


@dataclass(frozen=True, slots=True)
class CancelReceipt:
    """The answer to a cancel or a decrease. `reduced_by` is what was actually taken off."""

    order: SimOrder | None
    refusal: Refusal | None
    reduced_by: Count = Count(0)
    at_ns: Nanos = Nanos(0)
