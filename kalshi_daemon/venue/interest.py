"""Which markets' books are worth streaming: those near the money, with inertia so that the set does not churn."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from kalshi_daemon.domain.contract import Contract
from kalshi_daemon.domain.window import Phase, WindowStatus
from kalshi_daemon.ground.units import MINUTE, Level, Nanos

BOOKS_PER_EVENT_MAX: Final = 120
"""Bound of one event; the contracts furthest from even odds are left out."""
NEAREST_MAX: Final = 40
"""How many strikes around the index are streamed while there is no forecast."""
ENTER_PROBABILITY: Final = 0.01
"""A contract joins inside (this, 1 - this)..."""
INERTIA: Final = 2.0
"""...and leaves when it is this many times closer to certain (or further away, without a forecast)."""
LEAD: Final = Nanos(5 * MINUTE)
"""Books are streamed from this long before a window opens."""


def wants_books(status: WindowStatus, now_ns: Nanos) -> bool:
    """Whether a window is open (any phase before its fixing) or opens soon."""
    if now_ns >= status.window.target_ns:
        return False
    if status.phase is Phase.UPCOMING:
        return status.window.opens_ns - now_ns <= LEAD
    return status.phase in {Phase.OPEN, Phase.HOLD, Phase.CUTOFF}


def near_by_probability(probabilities: Mapping[str, float], streamed: Collection[str]) -> list[str]:
    """Tickers whose probability is not all but decided, most undecided first, at most BOOKS_PER_EVENT_MAX."""
    scored = [
        (min(probability, 1.0 - probability) * (INERTIA if ticker in streamed else 1.0), ticker)
        for ticker, probability in probabilities.items()
    ]
    near = sorted((-score, ticker) for score, ticker in scored if score >= ENTER_PROBABILITY)
    return [ticker for _, ticker in near[:BOOKS_PER_EVENT_MAX]]


def near_by_distance(contracts: Sequence[Contract], level: Level, streamed: Collection[str]) -> list[str]:
    """The NEAREST_MAX tickers whose strikes are closest to the index, nearest first."""
    scored = sorted(
        (_distance(contract, level) / (INERTIA if contract.market_ticker in streamed else 1.0), contract.market_ticker)
        for contract in contracts
    )
    return [ticker for _, ticker in scored[:NEAREST_MAX]]


def _distance(contract: Contract, level: Level) -> int:
    """From the level to the nearest end at which the payoff changes, in 1/10 000 point."""
    ends = [end for end in (contract.lowest, contract.highest) if end is not None]
    return min(abs(end - level) for end in ends) if ends else 0
