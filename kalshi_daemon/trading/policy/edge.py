"""Policy `edge`: one side of a market, a fixed lot, wherever the better side has the edge it must have (`ladder`)."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from kalshi_daemon.domain.order import Order
from kalshi_daemon.domain.quote import QuotePlan
from kalshi_daemon.ground.units import Nanos, Price, from_s
from kalshi_daemon.ladder.selection import lost_edge, mids, propose
from kalshi_daemon.settings.model import GuardSettings, PricingSettings
from kalshi_daemon.trading.policy.judging import nothing_to_plan, scan_inputs, unpriced
from kalshi_daemon.trading.policy.picture import Picture
from kalshi_daemon.trading.policy.policy import Pulls, ScanRequest

NAME: Final = "edge"


@dataclass(frozen=True, slots=True)
class EdgeMemory:
    """(profile, market ticker) -> the others' mid at that profile's previous scan."""

    last_mids: Mapping[tuple[str, str], Price] = field(default_factory=lambda: MappingProxyType({}))


class EdgePolicy:
    """See `ladder.selection`, which holds the rules; this is what joins them to the loop."""

    name = NAME
    requote_ns: Nanos | None = None

    def __init__(self, pricing: PricingSettings, guards: GuardSettings) -> None:
        self._pricing = pricing
        self._book_age_ns_max = from_s(guards.book_age_s_max)

    def initial(self) -> EdgeMemory:
        return EdgeMemory()

    def plan(self, picture: Picture, request: ScanRequest, memory: EdgeMemory) -> tuple[QuotePlan, EdgeMemory]:
        inputs = scan_inputs(picture, request, memory.last_mids, self._pricing, self._book_age_ns_max)
        if inputs is None:
            return nothing_to_plan(picture, request), memory
        plan = propose(inputs)
        return plan, EdgeMemory({**memory.last_mids, **mids(plan)})

    def review(self, picture: Picture, resting: Sequence[Order], memory: EdgeMemory) -> tuple[Pulls, EdgeMemory]:
        found = ((order, self._problem(picture, order)) for order in resting)
        return tuple((order, reason) for order, reason in found if reason), memory

    def forget(self, memory: EdgeMemory, listed: Collection[str]) -> EdgeMemory:
        return EdgeMemory({key: mid for key, mid in memory.last_mids.items() if key[1] in listed})

    def _problem(self, picture: Picture, order: Order) -> str:
        """Why a resting order should go, or ""."""
        found = unpriced(picture, order, self._pricing)
        if isinstance(found, str):
            return found
        fees = picture.fees
        assert fees is not None, "an order was priced"
        return lost_edge(order, found, fees, self._pricing.keep_edge_share)
