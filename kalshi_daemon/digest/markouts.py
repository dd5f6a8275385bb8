"""What fills were worth to the market: against the others' mid and microprice some time later. Pure.

Half-spread earned is the distance of our price from their mid just before the fill; the adverse part is how far that
mid went for or against us afterwards. Both together are the markout against the mid, fill by fill. What happened after
the fixing is no markout: nobody trades there.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from kalshi_daemon.digest.means import Mean, mean_of
from kalshi_daemon.digest.records import FillRecord
from kalshi_daemon.domain.markout import SPANS, Markout
from kalshi_daemon.ground.units import PRICE_ONE, SECOND, Nanos, Price

SEEN_WITHIN: Final = Nanos(5 * SECOND)
"""A fill that we heard of later than this after it happened has markouts of another moment."""
HORIZONS: Final = tuple(span // SECOND for span in SPANS)
"""Seconds after a fill."""


@dataclass(frozen=True, slots=True)
class MarketEdge:
    """Of one fill at one horizon, dollars a contract before fees; `half_spread + adverse` is `mid`."""

    mid: float
    microprice: float
    half_spread: float
    adverse: float


@dataclass(frozen=True, slots=True)
class MarketMeans:
    """Of all fills at one horizon, over the same fills: the parts add up."""

    horizon_s: int
    mid: Mean
    microprice: Mean
    half_spread: Mean
    adverse: Mean


MarketEdges = Mapping[int, MarketEdge | None]
"""By horizon in seconds; None where the market is not known."""


def markouts_of(fills: Sequence[FillRecord], seen: Iterable[Markout]) -> dict[str, Markout]:
    """Trade id -> where the market went after it. A fill that was seen late, or never, is left out.

    The daemon sees an order's filled count grow; the trade that its growth contains is the one it saw. `fills`: also
    those of earlier days, so that an order's trades are counted from its first.
    """
    by_order: defaultdict[str, list[Markout]] = defaultdict(list)
    for one in seen:
        by_order[one.client_order_id].append(one)
    filled: defaultdict[str, int] = defaultdict(int)
    found: dict[str, Markout] = {}
    for record in sorted(fills, key=lambda one: (one.booked.fill.event_ns, one.booked.fill.trade_id)):
        fill, name = record.booked.fill, record.client_order_id
        if not name:
            continue
        filled[name] += fill.count
        for one in by_order.get(name, ()):
            holds = one.filled - one.count < filled[name] <= one.filled
            if holds and abs(one.filled_ns - fill.event_ns) <= SEEN_WITHIN:
                found[fill.trade_id] = one
                break
    return found


def market_edges(record: FillRecord, seen: Markout | None, target_ns: Nanos | None) -> MarketEdges:
    """What is known of one fill. `target_ns`: the fixing, None when no scan looked at its window."""
    return {horizon: _edge(record, seen, at, target_ns) for at, horizon in enumerate(HORIZONS)}


def _edge(record: FillRecord, seen: Markout | None, at: int, target_ns: Nanos | None) -> MarketEdge | None:
    if seen is None or seen.mid_at_fill is None:
        return None
    mid, microprice, moment = seen.mids[at], seen.microprices[at], seen.filled_ns + SPANS[at]
    if mid is None or microprice is None or (target_ns is not None and moment >= target_ns):
        return None
    fill, before = record.booked.fill, seen.mid_at_fill

    def gained(later: Price, since: Price) -> float:
        return fill.side.sign * (later - since) / PRICE_ONE

    return MarketEdge(
        gained(mid, fill.price), gained(microprice, fill.price), gained(before, fill.price), gained(mid, before)
    )


def market_means(lines: Sequence[tuple[FillRecord, MarketEdges]]) -> tuple[MarketMeans, ...]:
    """One for each horizon."""
    return tuple(
        MarketMeans(
            horizon,
            _mean(lines, horizon, lambda one: one.mid),
            _mean(lines, horizon, lambda one: one.microprice),
            _mean(lines, horizon, lambda one: one.half_spread),
            _mean(lines, horizon, lambda one: one.adverse),
        )
        for horizon in HORIZONS
    )


def _mean(lines: Sequence[tuple[FillRecord, MarketEdges]], horizon: int, part: Callable[[MarketEdge], float]) -> Mean:
    known = ((record, edges[horizon]) for record, edges in lines)
    return mean_of((record, None if one is None else part(one)) for record, one in known)
