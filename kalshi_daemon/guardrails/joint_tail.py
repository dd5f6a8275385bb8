"""How much all indices together may lose in the worst twentieth of what can happen (docs/reference/model.md 4.7, 7.4).

The exact worst case of `daily_loss` stays as it is and takes every index at its worst. This is a second, tighter limit
that a lucky spread over many strikes cannot meet: SPX and NDX move together, so both ladders are one bet. Pairs, and
indices without a partner, are added up: a mean over the worst share of a sum is never more than the sum of such means,
however the parts hang together.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from kalshi_daemon.calibration.joint import PRIOR, STRESS
from kalshi_daemon.domain.instruments import Instruments, Pair
from kalshi_daemon.domain.quote import Quote
from kalshi_daemon.domain.verdict import Verdict
from kalshi_daemon.ground.units import Dollars, Nanos
from kalshi_daemon.guardrails.guard import QuoteContext, answer, in_dollars, refuse
from kalshi_daemon.ladder.joint_tail import Forecasts, tail_loss
from kalshi_daemon.ladder.payoff import Profile, profiles
from kalshi_daemon.state import DaemonState


@dataclass(frozen=True, slots=True)
class JointTail:
    """Refuse a quote after which the mean loss over the worst 5 % of joint outcomes would exceed the limit.

    All positions, live orders of every profile, accepted quotes and this one; orders fill where that is worse. The
    correlation of a pair is the learnt one, at least 0.8, and 0.7 as well: the worse of both counts. Instants, pairs
    and indices without a partner are added up; what has no forecast counts with its worst case.
    """

    most: Dollars
    name: ClassVar[str] = "joint_tail"
    pulls: ClassVar[bool] = False

    def judge_quote(self, state: DaemonState, _quote: Quote, context: QuoteContext, now: Nanos) -> Verdict:
        limit = in_dollars(self.most)
        if state.reconciliation.checked_ns is None:
            return refuse(self, None, limit, "dollars", note="our books were never compared with the exchange's")
        exposure = context.exposure()
        by_instant: defaultdict[Nanos | None, list[Profile]] = defaultdict(list)
        for profile in profiles(exposure.holdings, exposure.resting):
            by_instant[profile.settles_ns].append(profile)
        loss = 0
        for settles_ns, group in by_instant.items():
            distributions: Forecasts = {}
            if settles_ns is not None:
                distributions = {index: view.forecast(now, settles_ns) for index, view in state.calibration.items()}
            for pair, part in _by_pair(group, state.instruments).items():
                correlations = _correlations(state, pair)
                loss += max(tail_loss(part, distributions, rho, pair) for rho in correlations)
        note = "all indices together could lose too much"
        return answer(self, in_dollars(Dollars(loss)), limit, "dollars", passed=loss <= self.most, note=note)


def _by_pair(group: Sequence[Profile], instruments: Instruments) -> Mapping[Pair | None, Sequence[Profile]]:
    """What is one bet, by its pair of indices; None: of no index that is known."""
    parts: defaultdict[Pair | None, list[Profile]] = defaultdict(list)
    for profile in group:
        parts[None if profile.index is None else instruments.pair_of(profile.index)].append(profile)
    return parts


def _correlations(state: DaemonState, pair: Pair | None) -> tuple[float, float]:
    """The two that the loss of a pair is taken under; for one index alone they change nothing."""
    learnt = None if pair is None else state.correlations.get(pair)
    return (PRIOR, STRESS) if learnt is None else learnt.cautious
