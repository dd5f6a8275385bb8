"""What the books of one ladder imply about the fixing: its median and its sigma. Pure; no opinion rather than a guess.

Only books that are two-sided without us, in sync and tight count (`fair.believable_mid`). Strikes that are open on one
side give points of the distribution: normal quantiles against log strikes lie on a line. Bins of one width give its
density: log probabilities against log levels lie on a parabola. Both take the distribution for a normal one, which is
good to a few per cent within the span that is used, and far finer than what this is held against.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import exp, log, sqrt
from statistics import NormalDist, linear_regression, median
from typing import Final

import numpy as np

from kalshi_daemon.domain.contract import Contract
from kalshi_daemon.ground.units import POINT
from kalshi_daemon.ladder.fair import believable_mid
from kalshi_daemon.settings.model import PricingSettings
from kalshi_daemon.state import DaemonState

PROBABILITY_MIN: Final = 0.05
"""Nearer to 0 or 1 the tick is too coarse to say how far out a strike is."""
STRIKES_MIN: Final = 4
SPAN_MIN: Final = 0.7
"""The strikes must spread over this many standard deviations to say how wide one is."""
EVENTS_MAX: Final = 16
"""Laws kept: more than there are windows at one time."""
_NORMAL: Final = NormalDist()
_WIDTHS_TOLERANCE: Final = 1.01


@dataclass(frozen=True, slots=True)
class ImpliedDistribution:
    """Points; sigma of ln(fixing), as `Forecast.sigma`."""

    median: float
    sigma: float


def implied_distribution(quoted: Iterable[tuple[Contract, float]]) -> ImpliedDistribution | None:
    """The distribution that contracts and the mids of their books (probabilities of YES) imply.

    None when they do not say.
    """
    inside = [(c, p) for c, p in quoted if PROBABILITY_MIN <= p <= 1.0 - PROBABILITY_MIN]
    return _of_strikes(inside) or _of_bins(inside)


def books_distribution(state: DaemonState, event_ticker: str, pricing: PricingSettings) -> ImpliedDistribution | None:
    """The distribution that the books of a listed event imply now, our own orders left out."""
    quoted: list[tuple[Contract, float]] = []
    for market, book in state.venue.followed(event_ticker):
        mid = believable_mid(state.others_view(book), pricing)
        if mid is not None:
            quoted.append((market.contract, mid))
    return implied_distribution(quoted)


class ImpliedDistributions:
    """`books_distribution` of the events asked for last, worked out again when something it depends on has changed.

    Guards ask on every look, several times a second, and most looks find the same books.
    """

    def __init__(self) -> None:
        self._found: dict[str, tuple[tuple[object, ...], ImpliedDistribution | None]] = {}
        self.computed = 0

    def distribution(
        self, state: DaemonState, event_ticker: str, pricing: PricingSettings
    ) -> ImpliedDistribution | None:
        """What `books_distribution` says now."""
        key = _depends_on(state, event_ticker, pricing)
        kept = self._found.get(event_ticker)
        if kept is not None and kept[0] == key:
            return kept[1]
        found = books_distribution(state, event_ticker, pricing)
        self.computed += 1
        self._found[event_ticker] = key, found
        if len(self._found) > EVENTS_MAX:
            del self._found[next(iter(self._found))]
        return found


def _depends_on(state: DaemonState, event_ticker: str, pricing: PricingSettings) -> tuple[object, ...]:
    """Everything `books_distribution` reads.

    Our orders, the listing, and of each book its levels, by their count of changes.
    """
    followed = state.venue.followed(event_ticker)
    books = tuple((book.changes, book.synced, book.doubt) for _market, book in followed)
    return state.live_orders(), pricing, followed, books


def ladder_middle(state: DaemonState, event_ticker: str) -> float | None:
    """The middle of the event's listed strikes, points; None when none are listed."""
    ends = [
        end / POINT
        for market in state.venue.listed(event_ticker)
        for end in (market.contract.lowest, market.contract.highest)
        if end is not None
    ]
    return median(ends) if ends else None


def _of_strikes(quoted: Sequence[tuple[Contract, float]]) -> ImpliedDistribution | None:
    points = [
        (_NORMAL.inv_cdf(1.0 - p), contract.lowest)
        if contract.lowest is not None
        else (_NORMAL.inv_cdf(p), contract.highest)
        for contract, p in quoted
        if (contract.lowest is None) != (contract.highest is None)
    ]
    found = [(z, log(level / POINT)) for z, level in points if level is not None and level > 0]
    if len(found) < STRIKES_MIN:
        return None
    z, levels = zip(*found, strict=True)
    if max(z) - min(z) < SPAN_MIN:
        return None
    sigma, middle = linear_regression(z, levels)
    return ImpliedDistribution(exp(middle), sigma) if sigma > 0.0 else None


def _of_bins(quoted: Sequence[tuple[Contract, float]]) -> ImpliedDistribution | None:
    bins = [
        (contract.lowest / POINT, contract.highest / POINT, p)
        for contract, p in quoted
        if contract.lowest is not None and contract.highest is not None and contract.lowest > 0
    ]
    if len(bins) < STRIKES_MIN:
        return None
    widths = [high - low for low, high, _ in bins]
    if max(widths) > _WIDTHS_TOLERANCE * min(widths):
        return None
    origin = log(bins[0][0])
    x = [log((low + high) / 2.0) - origin for low, high, _ in bins]
    square, slope, _ = np.polyfit(x, [log(p) for _, _, p in bins], 2).tolist()
    if square >= 0.0:
        return None
    middle, sigma = -slope / (2.0 * square), sqrt(-0.5 / square)
    outside = not min(x) <= middle <= max(x)  # beyond what was seen it is no more than a guess
    return None if outside else ImpliedDistribution(exp(origin + middle), sigma)
