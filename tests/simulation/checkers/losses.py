"""The most that settlement can cost stays within the daily budget, worked out here from the exchange's own books.

By brute force: every value between two strikes, every resting order filled exactly where that hurts.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import ClassVar

from kalshi_daemon.domain.index import Index
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.units import DAY, DOLLAR, PRICE_ONE, Level, Nanos
from kalshi_daemon.simulator.exchange.holdings import MICROS
from kalshi_daemon.simulator.exchange.instruments import pays
from kalshi_daemon.simulator.exchange.sim_orders import SimMarket
from tests.simulation.checkers.checker import Checker
from tests.simulation.stage import Stage

_EVERY = 4
_ROUNDING = 100
"""Micro-dollars per market that averaging costs may lose."""


class WithinBudget(Checker):
    name: ClassVar[str] = "losses"

    def __init__(self) -> None:
        self._looks = 0
        self._seen: object = None

    def look(self, stage: Stage) -> Iterable[str]:
        self._looks += 1
        if self._looks % _EVERY:
            return
        account = stage.exchange.account
        resting = tuple((o.order_id, o.remaining) for orders in account.resting.values() for o in orders.values())
        books = (len(account.fills), sum(held.settled for held in account.holdings.values()), resting)
        if books == self._seen:
            return  # nothing that a loss is made of has changed
        self._seen = books
        budget = round(stage.scenario.daily_loss_dollars * DOLLAR) * MICROS
        loss = worst_loss(stage)
        if loss > budget:
            yield f"${loss / 1e6:.2f} may be lost of ${budget / 1e6:.2f}"


def worst_loss(stage: Stage) -> int:
    """Losses settled today plus the worst case of everything held and resting, in micro-dollars.

    What pairs have paid back in a market that is still open is part of that market's result.
    """
    account = stage.exchange.account
    markets = stage.exchange.exchange.catalogue.markets
    today = stage.exchange.clock.now_ns() // DAY  # New York's sessions lie within a day of UTC
    settled = [t for t, held in account.holdings.items() if held.settled and held.updated_ns // DAY == today]
    lost = max(0, -sum(_result(stage, markets[ticker]) for ticker in settled))
    held_on = {ticker for ticker, held in account.holdings.items() if not held.settled}
    offered_on = {ticker for ticker, orders in account.resting.items() if orders}
    exposed: defaultdict[tuple[Index, Nanos], list[SimMarket]] = defaultdict(list)
    for ticker in sorted(held_on | offered_on):
        market = markets[ticker]
        # The hourly ladder and the ranges of 16:00 settle on one and the same value.
        exposed[market.spec.index, market.spec.settles_ns].append(market)
    known = fixed_values(markets.values()) | stage.fixed_first
    return lost + sum(_fixing_loss(stage, together, known.get(fixing)) for fixing, together in exposed.items())


def _result(stage: Stage, market: SimMarket) -> int:
    """What a settled market brought in; of an exchange that decided twice, the better of its two words.

    The budget is a promise about values of the index. An exchange that decides one ladder against another, or turns
    every result over, takes what no value could; and what it gave, it gave before the next quote.
    """
    account, ticker = stage.exchange.account, market.spec.ticker
    held = account.holdings[ticker]
    said = held.realized - held.fees
    value = stage.fixed_first.get((market.spec.index, market.spec.settles_ns))
    if value is None:
        return said
    paid = PRICE_ONE if pays(market.spec, value) else 0
    ours = [fill for fill in account.fills if fill.order.market.spec.ticker == ticker]
    signed = [(1 if fill.order.side is Side.BID else -1, fill) for fill in ours]
    return max(said, sum(sign * (paid - fill.price) * fill.count - fill.fee for sign, fill in signed))


def fixed_values(markets: Iterable[SimMarket]) -> dict[tuple[Index, Nanos], Level]:
    """What is fixed already: the ladders of one fixing are paid one after the other, and nothing is open between."""
    return {
        (market.spec.index, market.spec.settles_ns): market.settlement_value
        for market in markets
        if market.settlement_value is not None
    }


def _fixing_loss(stage: Stage, markets: list[SimMarket], fixed: Level | None) -> int:
    edges = {edge for market in markets for edge in (market.spec.floor, market.spec.cap) if edge is not None}
    values = sorted({Level(edge + step) for edge in edges for step in (-1, 0, 1)}) if fixed is None else [fixed]
    return max(0, *(-sum(_profit(stage, market, value) + _ROUNDING for market in markets) for value in values))


def _profit(stage: Stage, market: SimMarket, value: Level) -> int:
    account, ticker = stage.exchange.account, market.spec.ticker
    paid = PRICE_ONE if pays(market.spec, value) else 0
    total = 0
    held = account.holdings.get(ticker)
    if held is not None:
        won = held.count * paid if held.count > 0 else -held.count * (PRICE_ONE - paid)
        total += won - held.cost + held.realized - held.fees
    for order in account.resting.get(ticker, {}).values():
        one = paid - order.price if order.side is Side.BID else order.price - paid
        total += min(0, one * order.remaining)
    return total
