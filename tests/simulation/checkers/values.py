"""No order is made on an index value that was never true, nor on one that has stood still for too long, nor at a price
far from what the contract is worth.

The true path is the exchange's; what the feed publishes of it may be bent (misprints.py).
"""

import math
from collections.abc import Iterable
from typing import ClassVar

from kalshi_daemon.app.daemon import DaemonRun
from kalshi_daemon.domain.index import Index
from kalshi_daemon.domain.order import Order
from kalshi_daemon.ground.units import MILLISECOND, POINT, SECOND
from kalshi_daemon.simulator.exchange.sim_orders import SimMarket
from kalshi_daemon.simulator.feed.misprints import Misprint
from kalshi_daemon.simulator.traders.true_distribution import TrueDistribution
from tests.simulation.checkers.checker import Checker
from tests.simulation.stage import Stage
from tests.support.instruments import INDICES

VALUE_OFF_MAX = 0.002
"""A share. Well above what an index moves within a second, well below any misprint that is drawn."""
STILL_SLACK_S = 5.0
"""Beyond the guard's own limit: a clock of ours that steps, and what was on its way."""
FAIR_OFF_MAX = 0.35
"""In dollars. A sigma three times too wide or too narrow makes 0.25 at most."""


class TrueValues(Checker):
    name: ClassVar[str] = "values"

    def __init__(self) -> None:
        self._distributions: dict[tuple[Index, str], TrueDistribution] = {}
        self._still_since: dict[Index, float] = {}

    def look(self, stage: Stage) -> Iterable[str]:
        frozen = {
            index
            for index in INDICES
            if (one := _first_of(stage.exchange.feed.misprints, index)) is not None and one.frozen and one.hits
        }
        self._still_since = {index: self._still_since.get(index, stage.now_s) for index in frozen}
        return ()

    def intent(self, stage: Stage, life: DaemonRun, order: Order) -> Iterable[str]:
        market = stage.exchange.exchange.catalogue.markets[order.market_ticker]
        index, now = market.spec.index, stage.exchange.clock.now_ns()
        tick = life.state.index[index].last
        if tick is None:
            yield f"{order.client_order_id} was made without any value of {index.value}"
            return
        path = stage.exchange.path(index)
        frozen_for_s = stage.now_s - self._still_since.get(index, stage.now_s)
        assert life.components is not None, "somebody made the intent"
        bound_s = life.components.settings.guards.feed_age_pull_ms * MILLISECOND / SECOND + STILL_SLACK_S
        if frozen_for_s > bound_s:
            yield f"{order.client_order_id} was made on {index.value} frozen for {frozen_for_s:.1f} s"
        true = path.value_at(tick.event_ns)
        if index not in self._still_since and abs(tick.value / true - 1.0) > VALUE_OFF_MAX:
            yield f"{order.client_order_id} was made on {index.value} at {tick.value:g}, and it was {true:g}"
        distribution = index, path.session.day
        if distribution not in self._distributions:
            self._distributions[distribution] = TrueDistribution(path)
        worth = worth_of(
            market, path.value_at(now), self._distributions[distribution].sigma(now, market.spec.settles_ns)
        )
        if abs(order.fair - worth) > FAIR_OFF_MAX:
            yield f"{order.client_order_id} was made for a worth of {order.fair:.2f}, and it is {worth:.2f}"


def _first_of(misprints: list[Misprint], index: Index) -> Misprint | None:
    """The misprint that bends this index's next value."""
    return next(
        (one for one in misprints if one.times > 0 and "V" in one.channels and one.index in (None, index)), None
    )


def worth_of(market: SimMarket, value: float, sigma: float) -> float:
    """The probability that YES is paid, in dollars, of a log-normal end."""
    floor, cap = market.spec.floor, market.spec.cap
    above_cap = 0.0 if cap is None else _above(cap, value, sigma)
    return (1.0 if floor is None else _above(floor, value, sigma)) - above_cap


def _above(edge: int, value: float, sigma: float) -> float:
    return 0.5 * math.erfc(math.log(edge / POINT / value) / (max(sigma, 1e-9) * math.sqrt(2.0)))
