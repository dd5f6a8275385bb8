"""What a policy is shown: one window at one instant, frozen. Nothing in it is asked for again later."""

from collections.abc import Mapping
from dataclasses import dataclass

from kalshi_daemon.domain.book_view import BookView
from kalshi_daemon.domain.contract import FeeSchedule, Market
from kalshi_daemon.domain.forecast import Forecast
from kalshi_daemon.domain.markout import Markout
from kalshi_daemon.domain.order import Order
from kalshi_daemon.domain.window import Window
from kalshi_daemon.ground.units import Count, Nanos
from kalshi_daemon.ladder.payoff import Holding, Resting


@dataclass(frozen=True, slots=True)
class Picture:
    """One window at `now_ns`. Prices are on the YES scale in 1/10 000 dollar, counts in 1/100 contract."""

    now_ns: Nanos
    window: Window
    markets: tuple[Market, ...]
    """The listed markets the question is about; those without a book are in it too."""
    views: Mapping[str, BookView]
    """Books without any order of ours (best prices, sizes, mid, microprice); one that is not followed is absent."""
    doubted: frozenset[str]
    """Markets whose book is in sync and not believed."""
    forecast: Forecast | None
    """The distribution of the index at the fixing; None while there is none."""
    model: Mapping[str, float]
    """P(YES pays) of the forecast by market ticker; empty without a forecast."""
    fees: FeeSchedule | None
    """None while they are not known."""
    own: tuple[Order, ...]
    """Every order of ours that may still trade, of every profile and series."""
    inventory: Mapping[str, Count]
    """Net position by market ticker of every market that is not settled, of every series: + YES, - NO."""
    holdings: tuple[Holding, ...]
    """Every position that is not settled, as what it pays; empty in a look at resting orders."""
    offered: tuple[Resting, ...]
    """Whatever of our orders may still fill, as we can prove; empty likewise."""
    markouts: tuple[Markout, ...]
    """Our latest fills and where the others' middle went after them, oldest first."""
    tick_age_ns: Nanos
    """now minus the index value's own time; a day when there is no value."""

    @property
    def followed(self) -> tuple[Market, ...]:
        """The markets that have a book."""
        return tuple(market for market in self.markets if market.ticker in self.views)
