"""Lists of the exchange of which single records cannot be read: the others count, and the bad ones are never forgotten.

A record that cannot be read may be a fill or a position of ours, so it closes the reconciliation guard with its words
until a later list can be read whole. Records of markets that are not ours cost nothing.
"""

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from kalshi_daemon.ground.errors import PartlyUnreadable, UnreadableRecord
from kalshi_daemon.orders.order_store import in_table
from kalshi_daemon.orders.reconcile import Act, Finding
from kalshi_daemon.state import DaemonState


@dataclass(frozen=True, slots=True)
class Listed[T]:
    """What a list said: the records that could be read, and those that could not and may concern us."""

    records: list[T]
    unreadable: tuple[UnreadableRecord, ...] = ()

    @property
    def findings(self) -> list[Finding]:
        return unreadable_findings(self.unreadable)


async def read_list[T](answer: Awaitable[list[T]], state: DaemonState) -> Listed[T]:
    """Await a list of the API. Raises what it raises, except PartlyUnreadable."""
    try:
        return Listed(await answer)
    except PartlyUnreadable as partly:
        ours = tuple(record for record in partly.unreadable if _may_be_ours(record.market_ticker, state))
        return Listed(cast("list[T]", list[Any](partly.readable)), ours)


def unreadable_findings(records: Sequence[UnreadableRecord]) -> list[Finding]:
    """One finding for each record that cannot be read."""
    return [Finding(Act.UNREADABLE, f"unreadable:{record.place}", record.text) for record in records]


def _may_be_ours(market_ticker: str, state: DaemonState) -> bool:
    return not market_ticker or in_table(market_ticker, state)
