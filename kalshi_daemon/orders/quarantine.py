"""Orders of which the exchange said what cannot be: kept as they were, counted in full, asked about until it agrees.

An impossible word (more filled than was asked for, another order's id, an answer to what was never sent) proves that
something is wrong and not what: nothing of it is taken over. Until a list or a look at the order agrees with our books,
it is not renewed and counts in every worst case once more in full, as if a second order of its kind rested. The journal
keeps which orders they are (`OrderStore.doubt`): a restart clears nobody.
"""

from dataclasses import dataclass, replace
from typing import Final

import structlog

from kalshi_daemon.domain.order import Order, Status
from kalshi_daemon.ground.units import Count, Nanos, format_count
from kalshi_daemon.state import DaemonState

log = structlog.get_logger()

QUARANTINED_MAX: Final = 50
"""With more orders than this in doubt it is the exchange that is in doubt: the reconciliation guard shuts."""


@dataclass(slots=True)
class _Doubt:
    problem: str
    since_ns: Nanos
    words: int = 1
    agreed: bool = False


class Quarantine:
    """Owns `state.quarantined`. Bounded by the orders of the journal that the exchange can name."""

    def __init__(self, state: DaemonState) -> None:
        self._state = state
        self._doubts: dict[str, _Doubt] = {}

    def __contains__(self, client_order_id: str) -> bool:
        return client_order_id in self._doubts

    def __len__(self) -> int:
        return len(self._doubts)

    def names(self) -> tuple[str, ...]:
        """The client order ids in quarantine."""
        return tuple(self._doubts)

    def add(self, order: Order, word: str, problem: str, now_ns: Nanos) -> bool:
        """Take an order in because of a word of the exchange; False when it was in already."""
        name = order.client_order_id
        known = self._doubts.get(name)
        if known is not None:
            known.since_ns, known.agreed = now_ns, False
            known.words += 1
            return False
        self._doubts[name] = _Doubt(problem, now_ns)
        # On top of what the order itself counts for: the exchange may hold a second one under its name.
        self._state.quarantined[name] = replace(order, status=Status.UNKNOWN, order_id=None, filled=Count(0))
        log.error(
            "order.quarantined",
            client_order_id=name,
            market=order.market_ticker,
            status=order.status.value,
            order_id=order.order_id,
            filled=format_count(order.filled),
            count=format_count(order.count),
            word=word,
            problem=problem,
        )
        return True

    def agree(self, client_order_id: str) -> bool:
        """The exchange described the order as our books have it; True when that is news about one in quarantine."""
        doubt = self._doubts.get(client_order_id)
        if doubt is None or doubt.agreed:
            return False
        doubt.agreed = True
        return True

    def agreed_before(self, client_order_id: str, asked_ns: Nanos) -> bool:
        """Whether it was described as our books have it, and nothing odd was said since `asked_ns`."""
        doubt = self._doubts.get(client_order_id)
        return doubt is not None and doubt.agreed and doubt.since_ns <= asked_ns

    def quiet_since(self, client_order_id: str) -> Nanos:
        """When the last impossible word about it came."""
        return self._doubts[client_order_id].since_ns

    def release(self, order: Order, why: str) -> None:
        """It counts for itself again."""
        doubt = self._doubts.pop(order.client_order_id)
        self._state.quarantined.pop(order.client_order_id, None)
        log.warning(
            "order.released",
            client_order_id=order.client_order_id,
            market=order.market_ticker,
            status=order.status.value,
            why=why,
            words=doubt.words,
            problem=doubt.problem,
        )
