"""How much both indices together may lose in the worst twentieth of what can happen (docs/reference/model.md 4.7, 7.4).

The exact worst case of `daily_loss` stays as it is and takes both indices at their worst. This is a second, tighter
limit that a lucky spread over many strikes cannot meet: SPX and NDX move together, so both ladders are one bet.
"""

from collections import defaultdict
from dataclasses import dataclass
from typing import ClassVar

from kalshi_daemon.calibration.joint import PRIOR, STRESS
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
    correlation is the learnt one, at least 0.8, and 0.7 as well: the worse of both counts. Instants are added up; what
    has no forecast counts with its worst case.
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
        correlations = (PRIOR, STRESS) if state.correlation is None else state.correlation.cautious
        loss = 0
        for settles_ns, group in by_instant.items():
            distributions: Forecasts = {}
            if settles_ns is not None:
                distributions = {index: view.forecast(now, settles_ns) for index, view in state.calibration.items()}
            loss += max(tail_loss(group, distributions, rho) for rho in correlations)
        note = "both indices together could lose too much"
        return answer(self, in_dollars(Dollars(loss)), limit, "dollars", passed=loss <= self.most, note=note)
