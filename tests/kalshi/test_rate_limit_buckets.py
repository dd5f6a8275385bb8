"""Token buckets: never more than the venue refills, always room for cancels."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_daemon.ground.errors import MalformedData
from kalshi_daemon.ground.units import MILLISECOND, SECOND, Nanos
from kalshi_daemon.kalshi.rate_limit import BACKOFF_FIRST, BACKOFF_MAX, Endpoint, Lane, RateLimiter

LIMITS = {
    "usage_tier": "advanced",
    "read": {"refill_rate": 300, "bucket_capacity": 600},
    "write": {"refill_rate": 300, "bucket_capacity": 600},
    "grants": [],
}
COSTS = {
    "default_cost": 10,
    "endpoint_costs": [
        {"method": "DELETE", "path": "/trade-api/v2/portfolio/events/orders/batched", "cost": 2},
        {"method": "DELETE", "path": "/trade-api/v2/portfolio/events/orders", "cost": 2},
        {"method": "GET", "path": "/trade-api/v2/portfolio/orders/:order_id", "cost": 3},
    ],
}


def limiter(share: float = 0.4) -> RateLimiter:
    return RateLimiter(share, Nanos(0))


def test_basic_admits_six_creates_at_once_and_keeps_forty_tokens_for_cancels():
    bucket = limiter()
    assert bucket.largest_batch(Endpoint.CREATE_BATCH) == 6
    assert bucket.largest_batch(Endpoint.CANCEL_BATCH) == 50
    assert bucket.take(Lane.CREATE, 60, Nanos(0))
    assert not bucket.take(Lane.CREATE, 10, Nanos(0))
    assert bucket.take(Lane.CANCEL, 40, Nanos(0))
    assert not bucket.take(Lane.CANCEL, 2, Nanos(0))


def test_the_wait_is_exact():
    bucket = limiter()
    bucket.take(Lane.CREATE, 60, Nanos(0))
    assert bucket.wait_ns(Lane.CREATE, 10, Nanos(0)) == 100 * MILLISECOND
    assert not bucket.take(Lane.CREATE, 10, Nanos(100 * MILLISECOND - 1))
    assert bucket.take(Lane.CREATE, 10, Nanos(100 * MILLISECOND))


def test_reads_and_writes_do_not_share_tokens():
    bucket = limiter()
    assert bucket.take(Lane.READ, 400, Nanos(0))
    assert bucket.take(Lane.CREATE, 60, Nanos(0))
    assert bucket.wait_ns(Lane.READ, 10, Nanos(0)) == 50 * MILLISECOND


def test_the_reserve_always_leaves_room_for_one_create():
    bucket = limiter(0.9)
    assert bucket.reserve == 90
    bucket.write.capacity = 12
    assert bucket.reserve == 2
    bucket.write.capacity = 5
    assert bucket.reserve == 0
    assert bucket.largest_batch(Endpoint.CREATE_BATCH) == 1


def test_a_request_larger_than_the_bucket_waits_for_a_full_one_only():
    bucket = limiter()
    bucket.take(Lane.CANCEL, 100, Nanos(0))
    assert bucket.wait_ns(Lane.CANCEL, 1_000, Nanos(0)) == SECOND
    assert bucket.take(Lane.CANCEL, 1_000, Nanos(SECOND))


def test_what_the_account_is_told_replaces_the_defaults_and_keeps_what_was_spent():
    bucket = limiter()
    bucket.take(Lane.CREATE, 60, Nanos(0))
    bucket.load(LIMITS, COSTS, Nanos(0))
    assert bucket.write.capacity == 600
    assert bucket.wait_ns(Lane.CANCEL, 540, Nanos(0)) == 0
    assert bucket.wait_ns(Lane.CANCEL, 541, Nanos(0)) > 0
    assert bucket.cost(Endpoint.CANCEL_BATCH, 7) == 14
    assert bucket.cost(Endpoint.CANCEL_ALL) == 2
    assert bucket.cost(Endpoint.ORDER) == 3
    assert bucket.cost(Endpoint.CREATE_BATCH, 3) == 30


@pytest.mark.parametrize(
    ("limits", "costs"),
    [
        ({}, COSTS),
        ({"read": {}, "write": {}}, COSTS),
        (LIMITS | {"write": {"refill_rate": 0, "bucket_capacity": 10}}, COSTS),
        (LIMITS | {"read": {"refill_rate": "200", "bucket_capacity": 10}}, COSTS),
        (LIMITS, {"endpoint_costs": []}),
        (LIMITS, {"default_cost": 0, "endpoint_costs": []}),
        (LIMITS, {"default_cost": 10}),
        (LIMITS, {"default_cost": 10, "endpoint_costs": [{"method": "GET", "path": "/x", "cost": -1}]}),
        (LIMITS, {"default_cost": 10, "endpoint_costs": [{"method": "GET"}]}),
    ],
)
def test_malformed_limits_change_nothing(limits, costs):
    bucket = limiter()
    with pytest.raises(MalformedData):
        bucket.load(limits, costs, Nanos(0))
    assert (bucket.write.capacity, bucket.cost(Endpoint.ORDER), bucket.cost(Endpoint.SERIES)) == (100, 2, 10)


def test_a_refused_create_holds_back_creates_longer_each_time_and_never_the_reserve():
    bucket = limiter()
    now = Nanos(10 * SECOND)
    for expected in (250, 500, 1_000, 2_000, 4_000, 5_000, 5_000):
        bucket.refused(Lane.CREATE, now)
        wait = bucket.wait_ns(Lane.CREATE, 10, now)
        assert wait == max(expected, 100) * MILLISECOND
        assert bucket.wait_ns(Lane.CANCEL, 40, now) == 0
        now = Nanos(now + wait + SECOND)
    bucket.accepted(Lane.CREATE)
    bucket.refused(Lane.CREATE, now)
    assert bucket.wait_ns(Lane.CREATE, 10, now) == BACKOFF_FIRST
    assert BACKOFF_MAX == 5 * SECOND


def test_a_refused_cancel_waits_for_refill_only_and_holds_back_creates():
    bucket = limiter()
    bucket.refused(Lane.CANCEL, Nanos(0))
    assert bucket.wait_ns(Lane.CANCEL, 2, Nanos(0)) == 20 * MILLISECOND
    assert bucket.wait_ns(Lane.CREATE, 10, Nanos(0)) >= BACKOFF_FIRST


def test_a_refused_read_empties_the_read_bucket():
    bucket = limiter()
    bucket.refused(Lane.READ, Nanos(0))
    assert bucket.wait_ns(Lane.READ, 10, Nanos(0)) == BACKOFF_FIRST
    assert bucket.wait_ns(Lane.CREATE, 10, Nanos(0)) == 0


def test_lanes_follow_from_the_method():
    assert Endpoint.ORDERS.lane is Lane.READ
    assert Endpoint.AMEND.lane is Lane.CREATE
    assert {e.lane for e in (Endpoint.CANCEL_ALL, Endpoint.CANCEL_BATCH, Endpoint.GROUP_DELETE)} == {Lane.CANCEL}


STEPS = st.lists(
    st.tuples(st.sampled_from(list(Lane)), st.integers(1, 60), st.integers(0, 300 * MILLISECOND)), max_size=80
)


@settings(deadline=None, max_examples=80)
@given(steps=STEPS, share=st.floats(0, 0.9))
def test_what_is_spent_never_exceeds_capacity_plus_refill(steps, share):
    bucket = limiter(share)
    now = 0
    spent = {Lane.READ: 0, Lane.CREATE: 0, Lane.CANCEL: 0}
    for lane, cost, pause in steps:
        now += pause
        if bucket.take(lane, cost, Nanos(now)):
            spent[lane] += cost
        assert spent[Lane.READ] <= 400 + 200 * now / SECOND + 1e-6
        assert spent[Lane.CREATE] + spent[Lane.CANCEL] <= 100 + 100 * now / SECOND + 1e-6


@settings(deadline=None, max_examples=80)
@given(steps=STEPS, refusals=st.integers(0, 3))
def test_whatever_creates_do_the_reserve_is_there_for_cancels(steps, refusals):
    bucket = limiter(0.4)
    now = 0
    for _ in range(refusals):
        bucket.refused(Lane.CREATE, Nanos(now))
    for lane, cost, pause in steps:
        now += pause
        if lane is not Lane.CANCEL:
            bucket.take(lane, cost, Nanos(now))
        assert bucket.wait_ns(Lane.CANCEL, bucket.reserve, Nanos(now)) == 0


@settings(deadline=None, max_examples=80)
@given(lane=st.sampled_from(list(Lane)), first=st.integers(1, 100), cost=st.integers(1, 60), at=st.integers(0, SECOND))
def test_after_the_wait_the_tokens_are_there_and_a_moment_earlier_they_are_not(lane, first, cost, at):
    bucket = limiter()
    bucket.take(lane, first, Nanos(0))
    wait = bucket.wait_ns(lane, cost, Nanos(at))
    if wait > 0:
        assert not bucket.take(lane, cost, Nanos(at + wait - 1))
    assert bucket.take(lane, cost, Nanos(at + wait))


def test_a_clock_that_steps_back_refills_nothing():
    bucket = limiter()
    bucket.take(Lane.CANCEL, 100, Nanos(SECOND))
    assert not bucket.take(Lane.CANCEL, 2, Nanos(0))
    assert bucket.wait_ns(Lane.CANCEL, 2, Nanos(SECOND)) == 20 * MILLISECOND
