"""Order groups: a brake on contracts matched within a rolling fifteen seconds (docs/reference/venue.md 2.4)."""

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from kalshi_daemon.ground.units import SECOND, Count, Nanos

WINDOW: Final = Nanos(15 * SECOND)
LIMIT_MIN: Final = Count(1 * 100)
LIMIT_MAX: Final = Count(1_000_000 * 100)
GROUPS_MAX: Final = 100_000
"""Per user; one more is refused."""


class GroupEvent(StrEnum):
    """`event_type` of an order_group_updates frame."""

    CREATED = "created"
    TRIGGERED = "triggered"
    RESET = "reset"
    DELETED = "deleted"
    LIMIT_UPDATED = "limit_updated"


@dataclass(slots=True)
class OrderGroup:
    """`limit` in 1/100 contract. A triggered group refuses new orders until it is reset."""

    group_id: str
    limit: Count
    triggered: bool = False
    matched: int = 0
    shard: int = 0
    """Orders of other shards cannot join."""
    _recent: deque[tuple[int, int]] = field(default_factory=deque)

    def record(self, count: Count, now_ns: Nanos) -> bool:
        """Count a match; True when the rolling total now exceeds the limit (one fill may overshoot it)."""
        self._recent.append((int(now_ns), int(count)))
        self.matched += count
        return self.exceeded(now_ns)

    def exceeded(self, now_ns: Nanos) -> bool:
        """Whether the contracts matched in the last fifteen seconds exceed the limit."""
        while self._recent and self._recent[0][0] <= now_ns - WINDOW:
            self.matched -= self._recent.popleft()[1]
        return self.matched > self.limit

    def reset(self) -> None:
        """Start counting afresh and accept orders again."""
        self.triggered = False
        self.matched = 0
        self._recent.clear()
