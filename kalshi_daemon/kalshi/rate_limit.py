"""Token buckets that stay inside the venue's (docs/reference/venue.md 4). Pure: time comes in, decisions come out.

Two buckets, read and write, refilled continuously. A share of the write bucket is kept back: creates and amends are
admitted only while the reserve stays untouched, cancels may use all of it, so there is always room to pull quotes.
A batch must fit whole, or the venue rejects the whole of it: callers split by `largest_batch`. Levels are counted in
1/10^9 token, so that tokens per second times nanoseconds is exact.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from kalshi_daemon.ground.backoff import doubled
from kalshi_daemon.ground.errors import MalformedField
from kalshi_daemon.ground.units import MILLISECOND, Nanos
from kalshi_daemon.kalshi import fields
from kalshi_daemon.kalshi.fields import Json

_TOKENS_MAX: Final = 1_000_000_000
"""Of any limit or cost; the highest tier has thousands."""
_UNIT: Final = 1_000_000_000
_ROOT: Final = "/trade-api/v2"
_PARAMETER: Final = re.compile(r"\{[^}]*\}|:[^/]+|<[^>]*>")
BACKOFF_FIRST: Final = Nanos(250 * MILLISECOND)
BACKOFF_MAX: Final = Nanos(5_000 * MILLISECOND)


class Lane(Enum):
    """Which bucket a request draws from, and whether the reserve is open to it."""

    READ = "read"
    CREATE = "create"
    """Every write that adds or keeps risk: create, amend, order groups."""
    CANCEL = "cancel"


class Endpoint(Enum):
    """Every endpoint this client uses: method and path template below the API root."""

    STATUS = ("GET", "/exchange/status")
    SERIES = ("GET", "/series/{series_ticker}")
    EVENTS = ("GET", "/events")
    MARKETS = ("GET", "/markets")
    TRADES = ("GET", "/markets/trades")
    CANDLES = ("GET", "/series/{series_ticker}/markets/{ticker}/candlesticks")
    CUTOFF = ("GET", "/historical/cutoff")
    ARCHIVED_MARKETS = ("GET", "/historical/markets")
    ARCHIVED_TRADES = ("GET", "/historical/trades")
    ARCHIVED_CANDLES = ("GET", "/historical/markets/{ticker}/candlesticks")
    ORDERBOOK = ("GET", "/markets/{ticker}/orderbook")
    LIMITS = ("GET", "/account/limits")
    COSTS = ("GET", "/account/endpoint_costs")
    ORDERS = ("GET", "/portfolio/orders")
    ORDER = ("GET", "/portfolio/orders/{order_id}")
    FILLS = ("GET", "/portfolio/fills")
    POSITIONS = ("GET", "/portfolio/positions")
    SETTLEMENTS = ("GET", "/portfolio/settlements")
    BALANCE = ("GET", "/portfolio/balance")
    GROUPS = ("GET", "/portfolio/order_groups")
    CREATE_BATCH = ("POST", "/portfolio/events/orders/batched")
    AMEND = ("POST", "/portfolio/events/orders/{order_id}/amend")
    CANCEL_BATCH = ("DELETE", "/portfolio/events/orders/batched")
    CANCEL_ALL = ("DELETE", "/portfolio/events/orders")
    GROUP_CREATE = ("POST", "/portfolio/order_groups/create")
    GROUP_RESET = ("PUT", "/portfolio/order_groups/{order_group_id}/reset")
    GROUP_DELETE = ("DELETE", "/portfolio/order_groups/{order_group_id}")

    @property
    def method(self) -> str:
        return self.value[0]

    @property
    def template(self) -> str:
        return self.value[1]

    @property
    def lane(self) -> Lane:
        if self.method == "GET":
            return Lane.READ
        # Deleting a group cancels its orders: it is a cancel.
        return Lane.CANCEL if self.method == "DELETE" else Lane.CREATE


DEFAULT_COST: Final = 10
KNOWN_COSTS: Final[Mapping[Endpoint, int]] = {
    Endpoint.ORDER: 2,
    Endpoint.CANCEL_BATCH: 2,
    Endpoint.CANCEL_ALL: 2,
}
"""What the venue documented, until its own table is read. Batch costs are per item."""


@dataclass(slots=True)
class TokenBucket:
    """One bucket: `refill_per_s` and `capacity` in tokens, `level` in 1/10^9 token as of `at_ns`."""

    refill_per_s: int
    capacity: int
    level: int
    at_ns: int

    @classmethod
    def full(cls, refill_per_s: int, capacity: int, now: Nanos) -> "TokenBucket":
        """A bucket that holds all it can."""
        return cls(refill_per_s, capacity, capacity * _UNIT, int(now))

    def advance(self, now: Nanos) -> None:
        """Refill up to `now`; a clock that steps back refills nothing."""
        elapsed = max(0, now - self.at_ns)
        self.level = min(self.capacity * _UNIT, self.level + elapsed * self.refill_per_s)
        self.at_ns = max(self.at_ns, int(now))

    def wait_ns(self, need: int, now: Nanos) -> Nanos:
        """How long until the level reaches `need` (in 1/10^9 token), rounded up; 0 when it is there."""
        self.advance(now)
        return Nanos(-(-max(0, need - self.level) // self.refill_per_s))


class RateLimiter:
    """The account's two buckets, the cost table, and what a 429 does to them.

    Starts with the Basic tier's numbers, full; `load` puts in what the venue says about the account.
    """

    def __init__(self, cancel_reserve_share: float, now: Nanos) -> None:
        self._share = cancel_reserve_share
        self.read = TokenBucket.full(200, 400, now)
        self.write = TokenBucket.full(100, 100, now)
        self._default_cost = DEFAULT_COST
        self._costs: dict[tuple[str, str], int] = {
            _route(endpoint.method, endpoint.template): cost for endpoint, cost in KNOWN_COSTS.items()
        }
        self._held_until: dict[Lane, int] = {}
        self._refusals: dict[Lane, int] = {}

    @property
    def reserve(self) -> int:
        """Tokens of the write bucket only cancels may use; always leaves room for one create."""
        wanted = int(self.write.capacity * self._share)
        return max(0, min(wanted, self.write.capacity - self.cost(Endpoint.CREATE_BATCH)))

    def load(self, limits: Json, costs: Json, now: Nanos) -> None:
        """Take `GET /account/limits` and `GET /account/endpoint_costs`. Raises MalformedData and changes nothing then.

        The buckets keep what was already spent: levels are capped to the new capacity, never topped up.
        """
        buckets = {name: _limit(limits, name) for name in ("read", "write")}
        default = fields.integer(costs, "default_cost", "endpoint_costs", high=_TOKENS_MAX)
        table = dict(fields.each(costs.get("endpoint_costs"), _cost_row, "endpoint_costs"))
        if default < 1:
            raise MalformedField("endpoint_costs.default_cost", default, "a positive cost")
        for bucket, (refill, capacity) in ((self.read, buckets["read"]), (self.write, buckets["write"])):
            bucket.advance(now)
            spent = bucket.capacity * _UNIT - bucket.level
            bucket.refill_per_s, bucket.capacity = refill, capacity
            bucket.level = max(0, capacity * _UNIT - spent)
        self._default_cost = default
        self._costs = table

    def cost(self, endpoint: Endpoint, items: int = 1) -> int:
        """Tokens of one request; a batch costs per item."""
        return self._costs.get(_route(endpoint.method, endpoint.template), self._default_cost) * items

    def largest_batch(self, endpoint: Endpoint) -> int:
        """Most items a batch may hold so that a full bucket admits it whole; at least 1."""
        room = self.write.capacity - (self.reserve if endpoint.lane is Lane.CREATE else 0)
        return max(1, room // max(1, self.cost(endpoint)))

    def wait_ns(self, lane: Lane, cost: int, now: Nanos) -> Nanos:
        """How long `cost` tokens must wait; 0 = `take` will admit it now.

        A cost larger than the bucket ever holds waits for a full bucket only: the venue shall say no, not we forever.
        """
        bucket, floor = self._bucket(lane)
        need = min(cost + floor, bucket.capacity) * _UNIT
        held = Nanos(max(0, self._held_until.get(lane, 0) - now))
        return max(bucket.wait_ns(need, now), held)

    def take(self, lane: Lane, cost: int, now: Nanos) -> bool:
        """Spend `cost` tokens if they are there."""
        if self.wait_ns(lane, cost, now) > 0:
            return False
        bucket, _ = self._bucket(lane)
        bucket.level = max(0, bucket.level - cost * _UNIT)
        return True

    def refused(self, lane: Lane, now: Nanos) -> None:
        """The venue answered 429: our picture of the bucket was too rosy.

        A read empties the read bucket. A create leaves at most the reserve and holds back creates, doubling up to
        BACKOFF_MAX while refusals follow each other. A cancel empties the bucket (a cancel costs little, so it waits
        for milliseconds of refill) and is never held back itself, nor is the reserve ever taken from it by a create.
        """
        bucket, floor = self._bucket(lane)
        bucket.advance(now)
        bucket.level = min(bucket.level, floor * _UNIT)
        times = self._refusals.get(lane, 0)
        self._refusals[lane] = times + 1
        held = Lane.CREATE if lane is Lane.CANCEL else lane
        wait = doubled(int(BACKOFF_FIRST), times, int(BACKOFF_MAX))
        self._held_until[held] = max(self._held_until.get(held, 0), now + wait)

    def accepted(self, lane: Lane) -> None:
        """The venue let a request of this lane through: the next refusal starts from the first back-off again."""
        self._refusals.pop(lane, None)

    def _bucket(self, lane: Lane) -> tuple[TokenBucket, int]:
        if lane is Lane.READ:
            return self.read, 0
        return self.write, self.reserve if lane is Lane.CREATE else 0


def _limit(limits: Json, name: str) -> tuple[int, int]:
    bucket = fields.as_object(fields.need(limits, name, "limits"), f"limits.{name}")
    refill = fields.integer(bucket, "refill_rate", f"limits.{name}", high=_TOKENS_MAX)
    capacity = fields.integer(bucket, "bucket_capacity", f"limits.{name}", high=_TOKENS_MAX)
    if refill < 1 or capacity < 1:
        raise MalformedField(f"limits.{name}", bucket, "a bucket with tokens")
    return refill, capacity


def _cost_row(row: Json) -> tuple[tuple[str, str], int]:
    cost = fields.integer(row, "cost", "endpoint_cost", high=_TOKENS_MAX)
    return _route(fields.text(row, "method", "endpoint_cost"), fields.text(row, "path", "endpoint_cost")), cost


def _route(method: str, path: str) -> tuple[str, str]:
    """A key that does not depend on the API root or on how path parameters are written."""
    return method.upper(), _PARAMETER.sub("{}", path.removeprefix(_ROOT)).rstrip("/")
