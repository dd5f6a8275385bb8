"""Which contract a recorded book was of, when the recording does not say: the one its prices fit. Pure.

A bracket's price is about P(lowest <= value < highest) of a normal law whose width shrinks with the root of the time
left. Of all brackets on the grid and all widths of the law, the one nearest to the mids wins; a runner-up that is
nearly as near makes it undecided.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

CLEARLY: Final = 1.5
"""The runner-up's mean squared distance over the winner's; below this it is undecided."""
MIDS_MIN: Final = 30
_DAILY_SIGMAS: Final = np.geomspace(0.003, 0.04, 40)
_REACH_POINTS: Final = 200


@dataclass(frozen=True, slots=True)
class Fit:
    """The best bracket. `rms_cents`: how far the mids are from it; `ratio`: by how much the next one is worse."""

    lowest: int
    width: int
    rms_cents: float
    ratio: float


def infer_bracket(mids: Sequence[tuple[float, float, float]], widths: Sequence[int]) -> Fit | None:
    """The bracket that fits best; None when there are fewer mids than MIDS_MIN.

    mids: (index value, share of the session left, mid in dollars). widths: in points; a bracket begins at a multiple
    of its own.
    """
    if len(mids) < MIDS_MIN:
        return None
    value, left, mid = (np.array(column, dtype=np.float64) for column in zip(*mids, strict=True))
    scale = np.outer(_DAILY_SIGMAS, value * np.sqrt(np.maximum(left, 1e-4)))
    found: list[tuple[float, int, int]] = []
    for width in widths:
        first = int(value.min() - _REACH_POINTS) // width * width
        starts = range(first, int(value.max()) + _REACH_POINTS, width)
        found += [(_distance(value, scale, mid, (lowest, lowest + width)), lowest, width) for lowest in starts]
    (best, lowest, width), (second, *_) = sorted(found)[:2]
    return Fit(lowest, width, 100.0 * best**0.5, second / max(best, 1e-12))


def _distance(
    value: NDArray[np.float64], scale: NDArray[np.float64], mid: NDArray[np.float64], span: tuple[int, int]
) -> float:
    fair = ndtr((span[1] - value) / scale) - ndtr((span[0] - value) / scale)
    return float(np.min(np.mean((fair - mid) ** 2, axis=1)))
