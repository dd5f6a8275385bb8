"""Exact worst case over every settlement value, for positions that are certain and orders that may or may not fill.

Contracts that settle on the same index at the same instant (the hourly 16:00 ladder and the 16:00 ranges, say) are step
functions of one number, so their joint profit is constant between strikes: the worst case is a minimum over at most
two cells per contract plus one, found with one running sum. An order may fill or not, so in each cell it adds the
smaller of 0 and its profit if filled; a partial fill lies between the two. Different indices or instants are added up,
worst with worst: the joint distribution of two indices is not assumed to help us.

Cells start on the venue's two-decimal settlement grid: there is no value between 7199.99 and 7200.00 to lose at.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from kalshi_daemon.domain.contract import Contract, FeeSchedule, FeeType, Market
from kalshi_daemon.domain.index import Index
from kalshi_daemon.domain.order import Order
from kalshi_daemon.domain.quote import Quote, Side
from kalshi_daemon.ground.units import (
    CONTRACT,
    PRICE_ONE,
    SETTLEMENT_STEP,
    Count,
    Dollars,
    Level,
    Nanos,
    Price,
    cost_ceil,
    cost_floor,
)
from kalshi_daemon.ladder.fees import maker_fee
from kalshi_daemon.state import Position

FEES_WHEN_UNKNOWN: Final = FeeSchedule(FeeType.QUADRATIC_WITH_MAKER_FEES, 1_000_000, Nanos(0))
"""What a resting order is charged here while its series' schedule is unknown: missing is never zero."""

_PAYS: Final = PRICE_ONE // CONTRACT
"""What 1/100 contract pays, in 1/10 000 dollar."""


@dataclass(frozen=True, slots=True)
class Holding:
    """A certain position. `count` is signed, + YES; `cash` is what its fills did to our cash, fees included.

    `contract` None means we do not know what the market pays on: it is then judged alone, both outcomes possible.
    """

    market_ticker: str
    contract: Contract | None
    count: Count
    cash: Dollars


@dataclass(frozen=True, slots=True)
class Resting:
    """An order that may fill or not: `count` is what may still fill, `fee` what that would cost (>= 0)."""

    market_ticker: str
    contract: Contract | None
    side: Side
    price: Price
    count: Count
    fee: Dollars = Dollars(0)

    @property
    def pnl_yes(self) -> Dollars:
        """Profit if filled and YES pays."""
        if self.side is Side.BID:
            return Dollars(self.count * _PAYS - cost_ceil(self.price, self.count) - self.fee)
        return Dollars(cost_floor(self.price, self.count) - self.count * _PAYS - self.fee)

    @property
    def pnl_no(self) -> Dollars:
        """Profit if filled and NO pays."""
        if self.side is Side.BID:
            return Dollars(-cost_ceil(self.price, self.count) - self.fee)
        return Dollars(cost_floor(self.price, self.count) - self.fee)


@dataclass(frozen=True, slots=True)
class WorstCase:
    """The worst settlement of one group of contracts."""

    pnl: Dollars
    """Profit there; positive when even the worst settlement wins."""
    at: Level | None
    """The lowest settlement value of the worst cell; None for the cell that is open below."""

    @property
    def loss(self) -> Dollars:
        return Dollars(max(0, -self.pnl))


def worst_case(holdings: Sequence[Holding], resting: Sequence[Resting] = ()) -> Dollars:
    """The most that all of it together can lose by settlement, >= 0, in 1/10 000 dollar.

    Groups (same index, same instant) are worst-cased exactly and added; a group that cannot lose counts as 0, its sure
    gain does not pay for another group's risk.
    """
    return Dollars(sum(case.loss for case in worst_by_group(holdings, resting).values()))


def worst_by_group(holdings: Sequence[Holding], resting: Sequence[Resting] = ()) -> dict[str, WorstCase]:
    """The exact worst case of each group, keyed "SPX@<settles_ns>", or by ticker where the contract is unknown."""
    held: defaultdict[str, list[Holding]] = defaultdict(list)
    offered: defaultdict[str, list[Resting]] = defaultdict(list)
    for holding in holdings:
        held[_group(holding.market_ticker, holding.contract)].append(holding)
    for order in resting:
        offered[_group(order.market_ticker, order.contract)].append(order)
    return {key: worst_case_of_one(held[key], offered[key]) for key in sorted({*held, *offered})}


@dataclass(frozen=True, slots=True)
class Profile:
    """Profit by settlement value of contracts that settle on one number."""

    index: Index | None
    """None, as `settles_ns`: we do not know what the market pays on."""
    settles_ns: Nanos | None
    edges: tuple[int, ...]
    """Settlement values, ascending, in 1/10 000 point; from each on (included) the next value holds."""
    values: tuple[int, ...]
    """In 1/10 000 dollar, one more than edges."""

    @property
    def loss(self) -> Dollars:
        """The worst case."""
        return Dollars(max(0, -min(self.values)))


def profiles(holdings: Sequence[Holding], resting: Sequence[Resting]) -> tuple[Profile, ...]:
    """One per group of `worst_by_group`; orders count in each cell with the smaller of 0 and their profit if filled."""
    contracts: dict[str, Contract | None] = {}
    steps: defaultdict[str, _Steps] = defaultdict(_Steps)
    everything: list[Holding | Resting] = [*holdings, *resting]
    for one in everything:
        key = _group(one.market_ticker, one.contract)
        contracts[key] = one.contract
        _add(steps[key], one)
    found = []
    for key, contract in sorted(contracts.items()):
        index, settles_ns = (None, None) if contract is None else (contract.index, contract.settles_ns)
        found.append(Profile(index, settles_ns, *steps[key].cells()))
    return tuple(found)


def worst_case_of_one(holdings: Sequence[Holding], resting: Sequence[Resting] = ()) -> WorstCase:
    """The exact worst case of contracts that settle on one number. O(n log n) in their number."""
    steps = _Steps()
    everything: list[Holding | Resting] = [*holdings, *resting]
    for one in everything:
        _add(steps, one)
    return steps.worst()


def _add(steps: "_Steps", one: Holding | Resting) -> None:
    if isinstance(one, Holding):
        steps.base += one.cash
        steps.add(one.contract, inside=one.count * _PAYS, outside=0)
    else:
        steps.add(one.contract, inside=min(0, one.pnl_yes), outside=min(0, one.pnl_no))


def market_worst_case(market_ticker: str, holdings: Sequence[Holding], resting: Sequence[Resting]) -> Dollars:
    """The most one market alone can lose by settlement, positions and resting orders together: the PAL of a strike."""
    pnl = [0, 0]
    for holding in holdings:
        if holding.market_ticker == market_ticker:
            pnl[0] += holding.cash + holding.count * _PAYS
            pnl[1] += holding.cash
    for order in resting:
        if order.market_ticker == market_ticker:
            pnl[0] += min(0, order.pnl_yes)
            pnl[1] += min(0, order.pnl_no)
    return Dollars(max(0, -min(pnl)))


def holdings_from(positions: Iterable[Position], markets: Mapping[str, Market]) -> tuple[Holding, ...]:
    """Unsettled positions as holdings (settled ones are realised). A market no longer listed has contract None."""
    return tuple(
        Holding(position.market_ticker, _contract(position.market_ticker, markets), position.count, position.cash)
        for position in positions
        if not position.settled
    )


def resting_from(
    orders: Iterable[Order], markets: Mapping[str, Market], fees: Mapping[str, FeeSchedule]
) -> tuple[Resting, ...]:
    """Whatever of these orders may still fill. `fees` is by series; an unknown one is charged FEES_WHEN_UNKNOWN."""
    return tuple(
        Resting(
            order.market_ticker,
            _contract(order.market_ticker, markets),
            order.side,
            order.price,
            order.leaves,
            maker_fee(fees.get(order.series_ticker, FEES_WHEN_UNKNOWN), order.price, order.leaves),
        )
        for order in orders
        if order.leaves > 0
    )


def resting_of_quote(quote: Quote, markets: Mapping[str, Market]) -> Resting:
    """A quote as the order it would become."""
    contract = _contract(quote.market_ticker, markets)
    return Resting(quote.market_ticker, contract, quote.side, quote.price, quote.count, quote.fee)


def _contract(market_ticker: str, markets: Mapping[str, Market]) -> Contract | None:
    market = markets.get(market_ticker)
    return None if market is None else market.contract


def _group(market_ticker: str, contract: Contract | None) -> str:
    return market_ticker if contract is None else f"{contract.index.value}@{contract.settles_ns}"


class _Steps:
    """A sum of step functions of the settlement value: the value below the first edge, and a jump at each edge."""

    __slots__ = ("base", "jumps")

    def __init__(self) -> None:
        self.base = 0
        self.jumps: defaultdict[int, int] = defaultdict(int)

    def add(self, contract: Contract | None, *, inside: int, outside: int) -> None:
        """Add `inside` where the contract pays YES and `outside` elsewhere. An unknown contract: anything goes."""
        if contract is None:
            # Judged alone: a made-up strike gives the two outcomes, and which side is which does not matter.
            low: int | None = SETTLEMENT_STEP
            end: int | None = None
        else:
            low = None if contract.lowest is None else -(-contract.lowest // SETTLEMENT_STEP) * SETTLEMENT_STEP
            end = None if contract.highest is None else (contract.highest // SETTLEMENT_STEP + 1) * SETTLEMENT_STEP
        self.base += outside
        if low is not None and end is not None and low >= end:
            return  # no two-decimal value inside: it never pays
        if low is None:
            self.base += inside - outside
        else:
            self.jumps[low] += inside - outside
        if end is not None:
            self.jumps[end] += outside - inside

    def cells(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The edges, and the value below the first and from each on."""
        edges = tuple(sorted(self.jumps))
        return edges, tuple(accumulate((self.jumps[edge] for edge in edges), initial=self.base))

    def worst(self) -> WorstCase:
        running = lowest = self.base
        at: int | None = None
        for edge in sorted(self.jumps):
            running += self.jumps[edge]
            if running < lowest:
                lowest, at = running, edge
        return WorstCase(Dollars(lowest), None if at is None else Level(at))
