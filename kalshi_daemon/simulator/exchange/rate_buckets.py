"""Token buckets of a member, in the exchange's own time (docs/reference/venue.md 4)."""

from dataclasses import dataclass
from typing import Final

from kalshi_daemon.ground.units import SECOND, Nanos

DEFAULT_COST: Final = 10
CANCEL_COST: Final = 2
COSTS: Final[dict[tuple[str, str], int]] = {
    ("DELETE", "/portfolio/events/orders"): CANCEL_COST,
    ("DELETE", "/portfolio/events/orders/{order_id}"): CANCEL_COST,
    ("DELETE", "/portfolio/events/orders/batched"): CANCEL_COST,
    ("GET", "/portfolio/orders/{order_id}"): 2,
}
"""Everything that does not cost DEFAULT_COST; batches cost per order."""


@dataclass(frozen=True, slots=True)
class Tier:
    """Tokens per second and burst, reads and writes."""

    name: str
    read_rate: int
    read_capacity: int
    write_rate: int
    write_capacity: int

    def limits_json(self) -> dict[str, object]:
        """The answer of `/account/limits`."""
        return {
            "usage_tier": self.name,
            "read": {"refill_rate": self.read_rate, "bucket_capacity": self.read_capacity},
            "write": {"refill_rate": self.write_rate, "bucket_capacity": self.write_capacity},
            "grants": [],
        }


TIERS: Final = {
    tier.name: tier
    for tier in (
        Tier("basic", 200, 400, 100, 100),
        Tier("advanced", 300, 600, 300, 600),
        Tier("expert", 600, 600, 600, 1_200),
        Tier("premier", 1_200, 1_200, 1_200, 2_400),
        Tier("paragon", 2_400, 2_400, 2_400, 4_800),
        Tier("prime", 4_800, 4_800, 4_800, 9_600),
    )
}


class TokenBucket:
    """Continuous refill; a request is admitted when the bucket holds its whole cost. Tokens in billionths."""

    def __init__(self, rate_per_s: int, capacity: int, now_ns: Nanos) -> None:
        self._rate = rate_per_s
        self._capacity = capacity * int(SECOND)
        self._tokens = self._capacity
        self._then = int(now_ns)

    def take(self, cost: int, now_ns: Nanos) -> bool:
        """Take `cost` tokens, or nothing and False: a refused request costs nothing."""
        passed = max(0, now_ns - self._then)
        self._then = max(self._then, int(now_ns))
        self._tokens = min(self._capacity, self._tokens + passed * self._rate)
        if self._tokens < cost * SECOND:
            return False
        self._tokens -= cost * SECOND
        return True


class RateBuckets:
    """One member's two independent buckets."""

    def __init__(self, tier: Tier, now_ns: Nanos) -> None:
        self.tier = tier
        self._read = TokenBucket(tier.read_rate, tier.read_capacity, now_ns)
        self._write = TokenBucket(tier.write_rate, tier.write_capacity, now_ns)

    def admit(self, method: str, cost: int, now_ns: Nanos) -> bool:
        """GETs use the read bucket, everything else the write bucket. `cost` in tokens."""
        return (self._read if method == "GET" else self._write).take(cost, now_ns)


def cost_of(method: str, template: str, items: int) -> int:
    """Tokens of a request by its route; a batch pays for each item and at least for one."""
    return COSTS.get((method, template), DEFAULT_COST) * max(1, items)
