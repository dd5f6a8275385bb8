"""What one more contract is worth to who holds what we hold: expected log growth over the settlement values. Pure.

All contracts of one fixing are functions of one number, so the line is cut into cells at every strike; with the
forecast's mass f_j of a cell and our wealth W_j there, one more dollar in cell j is worth f_j / W_j (log utility). The
reservation price of a contract is its share of that: sum of f_j / W_j where it pays, over the sum of all. With nothing
held it is the fair value; it falls with every contract bought, and with every one that pays where this one does.
Source: docs/reference/model.md 7.4.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kalshi_daemon.domain.contract import Contract
from kalshi_daemon.domain.forecast import Forecast
from kalshi_daemon.ground.units import DOLLAR, POINT, SETTLEMENT_STEP
from kalshi_daemon.ladder.payoff import Holding, Resting, profiles

Floats = NDArray[np.float64]
_HALF_STEP: Final = SETTLEMENT_STEP // 2
WEALTH_SHARE_MIN: Final = 0.05
"""Wealth of a cell is never taken for less than this share of the bank: beyond, budgets decide, not prices."""


@dataclass(frozen=True, slots=True)
class Reservation:
    """Of each contract asked for, in the order asked; probabilities, that is dollars a contract."""

    fair: Floats
    """The forecast's masses where it pays, shape (n,)."""
    price: Floats
    """The reservation price, shape (n,)."""
    masses: Floats
    """Of the cells, adding up to 1."""


def reservation(
    contracts: Sequence[Contract],
    forecast: Forecast,
    holdings: Sequence[Holding],
    resting: Sequence[Resting],
    bank_dollars: float,
) -> Reservation:
    """Reservation prices of contracts of one index at one fixing, by what is held and offered at that fixing.

    Orders count where a fill of them would lose (they may fill or not). Holdings and orders of another index or
    instant are left out: what they can do to us does not depend on this settlement value.
    `bank_dollars` > 0: the wealth that stands behind, a quarter of the bankroll for a quarter of Kelly's bets.
    """
    held = [one for one in holdings if _here(one.contract, forecast)]
    offered = [one for one in resting if _here(one.contract, forecast)]
    (wealth_of,) = profiles(held, offered) or (None,)
    spans = [_span(contract) for contract in contracts]
    ends = {end for span in spans for end in span if end is not None}
    edges = np.array(sorted(ends | set(() if wealth_of is None else wealth_of.edges)), np.int64)
    below = np.concatenate(([0.0], forecast.cdf((edges - _HALF_STEP) / POINT), [1.0]))
    masses = np.maximum(np.diff(np.maximum.accumulate(below)), 0.0)
    wealth = np.full(len(masses), float(bank_dollars))
    if wealth_of is not None:
        starts = np.searchsorted(np.array(wealth_of.edges, np.int64), edges, side="right")
        places = np.concatenate(([0], starts))
        wealth += np.array(wealth_of.values, np.float64)[places] / DOLLAR
    weights = masses / np.maximum(wealth, WEALTH_SHARE_MIN * bank_dollars)
    total_mass, total_weight = _running(masses), _running(weights)
    first = np.array([0 if low is None else np.searchsorted(edges, low) + 1 for low, _high in spans], np.int64)
    last = np.array([len(masses) if high is None else np.searchsorted(edges, high) + 1 for _l, high in spans], np.int64)
    last = np.maximum(first, last)
    return Reservation(
        fair=total_mass[last] - total_mass[first],
        price=(total_weight[last] - total_weight[first]) / total_weight[-1],
        masses=masses,
    )


def _running(values: Floats) -> Floats:
    return np.concatenate(([0.0], np.cumsum(values)))


def _here(contract: Contract | None, forecast: Forecast) -> bool:
    return contract is not None and (contract.index, contract.settles_ns) == (forecast.index, forecast.target_ns)


def _span(contract: Contract) -> tuple[int | None, int | None]:
    """From which settlement value on it pays and from which on no more; None: open. Cut as in `ladder.payoff`."""
    low = None if contract.lowest is None else -(-contract.lowest // SETTLEMENT_STEP) * SETTLEMENT_STEP
    high = None if contract.highest is None else (contract.highest // SETTLEMENT_STEP + 1) * SETTLEMENT_STEP
    return low, high
