"""The mean loss over the worst twentieth of joint outcomes of a pair of indices at one instant. Pure.

Source: docs/reference/model.md 7.4.
"""

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kalshi_daemon.calibration.joint import ScenarioNodes, joint_scenarios, lattice
from kalshi_daemon.domain.forecast import Forecast
from kalshi_daemon.domain.index import Index
from kalshi_daemon.domain.instruments import Pair
from kalshi_daemon.ground.units import POINT, SETTLEMENT_STEP, Dollars
from kalshi_daemon.ladder.payoff import Profile

type Pnl = NDArray[np.int64]
type Forecasts = Mapping[Index, Forecast | None]

NODES: Final = ScenarioNodes.of(lattice(1_024))
TAIL_SHARE: Final = 0.05
_FAR: Final = 1e9
"""No index settles beyond; a whole number of cents of it fits 64 bits."""


def tail_loss(group: Sequence[Profile], distributions: Forecasts, rho: float, pair: Pair | None) -> Dollars:
    """Mean loss over the worst twentieth of outcomes of one instant, >= 0.

    pair: the indices of the group; one twice where it stands alone, and None where no index is known. Without a
    distribution a profile's worst case.
    """
    first, second = (None, None) if pair is None else (distributions.get(index) for index in pair)
    # One distribution alone: as if the other were its twin, of which nothing is held.
    one, other = first or second, second or first
    known = [profile for profile in group if profile.index is not None and distributions.get(profile.index) is not None]
    surely = sum(profile.loss for profile in group if profile not in known)
    if pair is None or one is None or other is None or not known:
        return Dollars(surely)
    levels = joint_scenarios(one, other, rho, NODES)
    pnl: Pnl = np.zeros(len(levels), np.int64)
    for profile in known:
        pnl += _pnl(profile, levels[:, 0 if profile.index == pair[0] else 1])
    count = ceil(TAIL_SHARE * len(pnl))
    worst = np.partition(pnl, count - 1)[:count]
    return Dollars(surely + max(0, ceil(-float(worst.mean()))))


def _pnl(profile: Profile, levels: NDArray[np.float64]) -> Pnl:
    step = POINT / SETTLEMENT_STEP
    settled = np.rint(np.clip(levels, 0.0, _FAR) * step).astype(np.int64) * SETTLEMENT_STEP
    found: Pnl = np.array(profile.values, np.int64)[np.searchsorted(np.array(profile.edges), settled, side="right")]
    return found
