"""How far a resting order has come in its queue, when the recording shows no more than levels. Pure.

Names and meaning are those of hftbacktest (docs.rs/hftbacktest, `backtest::models`): `risk-adverse` its
RiskAdverseQueueModel, `log-prob` and `power-prob` its ProbQueueModel with LogProbQueueFunc and PowerProbQueueFunc,
`l3-fifo` its L3FIFOQueueModel. Trades at our price always shorten the queue ahead; they differ in what a decrease
without a trade, a cancel, takes from it.

A trade that reaches past what is ahead fills us by what is left of it, to the contract. So do an order that arrives at
our price or beyond it and a trade at a worse price, which hftbacktest takes to fill us whole.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from kalshi_daemon.backtest.recorded.tape import TapeLevel
from kalshi_daemon.ground.units import Count


@dataclass(slots=True)
class QueuePlace:
    """Where one order of ours stands. Counts in 1/100 contract; a model may know parts of one."""

    ahead: float
    traded: float = 0.0
    """Traded at our price since the level last changed: no cancel."""
    rank: int = 0
    """Of the newest recorded order ahead of us."""


class QueueModel(Protocol):
    """Where an order stands, from joining to its fill."""

    def joined(self, level: TapeLevel) -> QueuePlace:
        """An order of ours has come to rest at the back of the level."""
        ...

    def traded(self, place: QueuePlace, count: Count) -> None:
        """So much trades at our price (in 1/100 contract), and the level has not been told yet."""
        ...

    def changed(self, place: QueuePlace, before: Count, level: TapeLevel) -> None:
        """The level held `before`, in 1/100 contract, and holds what it holds now."""
        ...


class RiskAdverse:
    """Whoever cancels stood behind us, as long as there is anybody. The latest fill that is possible: the default."""

    def joined(self, level: TapeLevel) -> QueuePlace:
        return QueuePlace(float(level.total))

    def traded(self, place: QueuePlace, count: Count) -> None:
        place.ahead -= count

    def changed(self, place: QueuePlace, before: Count, level: TapeLevel) -> None:  # noqa: ARG002 - the protocol's
        place.ahead = min(place.ahead, float(level.total))


class Prob:
    """A cancel is one behind us with probability f(behind) / (f(behind) + f(ahead)), and counts by its mean."""

    def __init__(self, weight: Callable[[float], float]) -> None:
        self._weight = weight
        """Of contracts, not of hundredths."""

    def joined(self, level: TapeLevel) -> QueuePlace:
        return QueuePlace(float(level.total))

    def traded(self, place: QueuePlace, count: Count) -> None:
        place.ahead -= count
        place.traded += count

    def changed(self, place: QueuePlace, before: Count, level: TapeLevel) -> None:
        canceled = before - level.total - place.traded
        place.traded = 0.0
        ahead, behind = place.ahead, before - place.ahead
        front, back = self._weight(max(0.0, ahead) / _HUNDRED), self._weight(max(0.0, behind) / _HUNDRED)
        if canceled > 0 and front + back > 0:
            share = back / (front + back)
            ahead += min(0.0, behind - share * canceled) - (1.0 - share) * canceled
        # hftbacktest 2.4.4 lets the mean go below nobody ahead. Its log-prob then takes the logarithm of what is
        # negative, and the order is the last of its queue again.
        place.ahead = min(max(0.0, ahead), float(level.total))


class L3FIFO:
    """Order by order: who came before us is ahead, until he trades or cancels (`TapeLevel.cancel` says whose it is)."""

    def joined(self, level: TapeLevel) -> QueuePlace:
        return QueuePlace(float(level.total), rank=level.last_rank)

    def traded(self, place: QueuePlace, count: Count) -> None:
        place.ahead -= count

    def changed(self, place: QueuePlace, before: Count, level: TapeLevel) -> None:  # noqa: ARG002 - the protocol's
        place.ahead = float(level.ahead_of(place.rank))


def reaches(place: QueuePlace) -> int:
    """How much of the last trade went past what was ahead, in whole 1/100 contract."""
    return max(0, math.floor(-place.ahead))


_HUNDRED: Final = 100.0
_POWER: Final = 3.0
"""Of `power-prob`: as in hftbacktest's own examples."""

QUEUE_MODELS: Final[Mapping[str, Callable[[], QueueModel]]] = {
    "risk-adverse": RiskAdverse,
    "log-prob": lambda: Prob(math.log1p),
    "power-prob": lambda: Prob(lambda contracts: contracts**_POWER),
    "l3-fifo": L3FIFO,
}
"""By the name on the command line; the first one is the default."""
