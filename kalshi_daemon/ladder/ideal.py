"""The best price one side of one market may be quoted at, and what stands in the way when there is none."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from kalshi_daemon.domain.book_view import BookView
from kalshi_daemon.domain.contract import Contract, FeeSchedule, PriceGrid
from kalshi_daemon.domain.order import Order
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.units import CONTRACT, PRICE_ONE, SETTLEMENT_STEP, Count, Dollars, Price, complement
from kalshi_daemon.ladder.fair import edge
from kalshi_daemon.ladder.fees import maker_fee

_DUST: Final = 1e-9
"""Dollars: 0.70 - 0.68 is 0.01999999... in floats and must still be two cents."""
_FEE_STEPS_MAX: Final = 512
"""Grid steps taken to make room for the fee; a maker fee of any sane multiplier needs a handful."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What a quote of one market must satisfy. Dollars as floats, prices as integers."""

    fair: float
    model_fair: float
    required: float
    """Required edge in dollars per contract, without the fee."""
    min_ev: Price
    impact_cap: Price
    count: Count
    fees: FeeSchedule

    @property
    def edge_min(self) -> float:
        return max(self.required, self.min_ev / PRICE_ONE)


@dataclass(frozen=True, slots=True)
class SidePrice:
    """A price for one side, or None with the one-word reason why there is none."""

    side: Side
    price: Price | None
    reason: str = ""
    ev: Price = Price(0)
    """Expected value per contract after the fee, rounded down to 1/10 000 dollar."""
    fee: Dollars = Dollars(0)
    behind: Price = Price(0)
    """How far the price stands behind the others' best of its own side; 0 when it joins or improves it."""

    @property
    def score(self) -> int:
        """What candidates are ranked by: the expected value, less what must be swept before the quote is reached.

        A stand-in for the fill rate of docs/reference/model.md 7.4. By expected value alone the quotes furthest from
        fair, which never fill, would take the bins.
        """
        return self.ev - self.behind


def best_price(side: Side, grid: PriceGrid, view: BookView, needs: Needs, own: Sequence[Order]) -> SidePrice:
    """The most eager grid price of `side` that keeps every rule, for a two-sided view.

    Rules: strictly inside the full book's other side and our own other side; improves the others' best price of its own
    side by at most the impact cap; fair - price - fee (mirrored for an ask) at least max(min_ev, required edge); and
    the model alone must see a profit too (docs/reference/model.md 7.3).
    An ask is priced as the bid of the complement, so that both sides are one arithmetic.
    """
    if view.best_bid is None or view.best_ask is None:
        return SidePrice(side, None, "one_sided")
    if not math.isfinite(needs.edge_min):
        return SidePrice(side, None, "no_edge")
    limits = [_eagerness(side, needs.fair) + (_DUST - needs.edge_min) * PRICE_ONE]
    others = view.best_bid if side is Side.BID else complement(view.best_ask)
    limits.append(others + needs.impact_cap)
    facing = [view.full_ask if side is Side.BID else view.full_bid]
    facing += [
        order.price
        for order in own
        if order.market_ticker == view.market_ticker and order.side is not side and order.status.live
    ]
    limits += [_flip(side, price) - 1 for price in facing if price is not None]
    at = _on_grid(side, grid, int(min(limits) // 1))
    for _ in range(_FEE_STEPS_MAX):
        if at is None:
            break
        fee = maker_fee(needs.fees, at, needs.count)
        contracts = needs.count / CONTRACT
        gain = edge(side, at, needs.fair, fee, contracts) + _DUST
        if gain >= needs.edge_min:
            if edge(side, at, needs.model_fair, fee, contracts) <= _DUST:
                return SidePrice(side, None, "model_disagrees")
            behind = Price(max(0, others - _flip(side, at)))
            return SidePrice(side, at, "", Price(int(gain * PRICE_ONE // 1)), fee, behind)
        at = grid.below(at) if side is Side.BID else grid.above(at)
    return SidePrice(side, None, "no_edge")


def tick_at(grid: PriceGrid, price: Price) -> int:
    """The grid's step around a price: to the next price up, or down at the top; 0 when it stands alone."""
    above, below = grid.above(price), grid.below(price)
    if above is not None:
        return above - price
    return 0 if below is None else price - below


def certain_loss(first: tuple[Contract, Side, Price], second: tuple[Contract, Side, Price]) -> bool:
    """Whether two fills together can never win, whatever the settlement (docs/reference/model.md 7.4, coherence).

    Covered: buying A and selling B at or below its price where A implies B (the same market included); buying two that
    exclude each other for a dollar or more; selling two of which one must pay for a dollar or less. Three legs and more
    (bins against a threshold, sums over a partition) are not looked at; the worst-case budget bounds those.
    """
    a, side_a, price_a = first
    b, side_b, price_b = second
    if (a.index, a.settles_ns) != (b.index, b.settles_ns):
        return False
    if side_a is not side_b:
        bid, ask = (first, second) if side_a is Side.BID else (second, first)
        return bid[2] >= ask[2] and _implies(bid[0], ask[0])
    if side_a is Side.BID:
        return price_a + price_b >= PRICE_ONE and _exclude(a, b)
    return price_a + price_b <= PRICE_ONE and _cover(a, b)


def _eagerness(side: Side, fair: float) -> float:
    """Fair value of what the side buys (YES or NO), in 1/10 000 dollar."""
    return (fair if side is Side.BID else 1.0 - fair) * PRICE_ONE


def _flip(side: Side, price: Price) -> int:
    return price if side is Side.BID else complement(price)


def _on_grid(side: Side, grid: PriceGrid, limit: int) -> Price | None:
    """The most eager grid price (YES scale) whose cost to the side is at most `limit`."""
    return grid.at_or_below(limit) if side is Side.BID else grid.at_or_above(PRICE_ONE - limit)


def _implies(a: Contract, b: Contract) -> bool:
    """Whether B pays wherever A does."""
    low = b.lowest is None or (a.lowest is not None and a.lowest >= b.lowest)
    return low and (b.highest is None or (a.highest is not None and a.highest <= b.highest))


def _exclude(a: Contract, b: Contract) -> bool:
    """Whether A and B never pay together."""
    return _ends_before(a, b) or _ends_before(b, a)


def _ends_before(a: Contract, b: Contract) -> bool:
    return a.highest is not None and b.lowest is not None and a.highest < b.lowest


def _cover(a: Contract, b: Contract) -> bool:
    """Whether at least one of A and B always pays."""
    return _joined(a, b) or _joined(b, a)


def _joined(low: Contract, high: Contract) -> bool:
    """Open below, open above, and no settlement value in between."""
    if low.lowest is not None or high.highest is not None:
        return False
    if low.highest is None or high.lowest is None:
        return True
    return high.lowest <= low.highest + SETTLEMENT_STEP
