"""Everything that can still lose money, gathered once per judgement: all positions, all live orders, accepted quotes.

All profiles and all series together. The predecessor kept its budgets per process and reset them at every scan, so two
profiles spent the same money twice (docs/reference/predecessor.md 9.13).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from kalshi_daemon.domain.contract import Market
from kalshi_daemon.domain.order import Order
from kalshi_daemon.domain.quote import Quote, Side
from kalshi_daemon.ground.units import Dollars, complement, cost_ceil
from kalshi_daemon.ladder.payoff import (
    Holding,
    Resting,
    holdings_from,
    market_worst_case,
    resting_from,
    resting_of_quote,
    worst_case,
)
from kalshi_daemon.state import DaemonState


@dataclass(frozen=True)  # no slots: the worst case is worked out once and kept
class Exposure:
    """Certain holdings, and orders that may or may not fill. Orders being cancelled count: they may fill first."""

    holdings: tuple[Holding, ...]
    resting: tuple[Resting, ...]

    @classmethod
    def of(cls, state: DaemonState) -> "Exposure":
        """What is held and what may still trade, as far as we can prove (unknown and in-flight orders included).

        What an order has traded counts as that order until its fills are booked: between the two it is in neither. An
        order in quarantine counts once more in full, a fill that cannot be as it was told.
        """
        venue = state.venue
        return cls(
            holdings_from(state.ledger.positions.values(), venue.markets),
            resting_from(_may_cost(state), venue.markets, venue.fees),
        )

    def with_quotes(self, quotes: Iterable[Quote], markets: Mapping[str, Market]) -> "Exposure":
        """The same with these resting too."""
        return Exposure(self.holdings, (*self.resting, *(resting_of_quote(quote, markets) for quote in quotes)))

    @cached_property
    def worst_loss(self) -> Dollars:
        """The most that settlement can cost, >= 0: exact per index and instant, worst with worst across them."""
        return worst_case(self.holdings, self.resting)

    def market_loss(self, market_ticker: str) -> Dollars:
        """The most one strike alone can cost, >= 0."""
        return market_worst_case(market_ticker, self.holdings, self.resting)

    @cached_property
    def collateral(self) -> Dollars:
        """What the venue reserves for the orders if all of them rest: price x count of the side bought, plus fees.

        docs/reference/venue.md 7.3: fully funded, a bid reserves P x C and an ask (1-P) x C. Netting against positions
        would only lower it and is not assumed.
        """
        total = 0
        for order in self.resting:
            paid = order.price if order.side is Side.BID else complement(order.price)
            total += cost_ceil(paid, order.count) + order.fee
        return Dollars(total)


class ExposureMemo:
    """The last `Exposure.of`, used again while nothing it was made of has changed.

    A look at resting quotes asks for it per window and tick, and summing up costs more than all other guards together.
    What it was made of is compared by value, not by time or count, so the answer is always that of `Exposure.of`;
    orders and markets are frozen and mostly the very same objects, which makes the comparison quick.
    """

    __slots__ = ("_exposure", "_made_of")

    def __init__(self) -> None:
        self._made_of: tuple[object, ...] | None = None
        self._exposure = Exposure((), ())

    def of(self, state: DaemonState) -> Exposure:
        """Positions and resting orders of this state; made anew only after one of them has changed."""
        markets, fees = state.venue.markets, state.venue.fees
        positions = tuple(
            (one.market_ticker, one.count, one.cash, markets.get(one.market_ticker))
            for one in state.ledger.positions.values()
            if not one.settled
        )
        orders = _may_cost(state)
        terms = tuple((markets.get(one.market_ticker), fees.get(one.series_ticker)) for one in orders)
        made_of = (positions, orders, terms)
        if made_of != self._made_of:
            self._exposure = Exposure.of(state)
            self._made_of = made_of
        return self._exposure


def _may_cost(state: DaemonState) -> tuple[Order, ...]:
    told = state.refused_fills.values()
    return (*state.live_orders(), *state.unbooked.values(), *told, *state.quarantined.values())
