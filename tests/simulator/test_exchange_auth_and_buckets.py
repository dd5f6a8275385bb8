"""Signatures and token buckets, as pure rules."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_daemon.ground.units import MILLISECOND, SECOND, Nanos
from kalshi_daemon.simulator.exchange.faults import Faults, Injection, When
from kalshi_daemon.simulator.exchange.order_terms import Refusal
from kalshi_daemon.simulator.exchange.rate_buckets import TIERS, RateBuckets, TokenBucket, cost_of
from kalshi_daemon.simulator.exchange.sim_auth import KeyRing, StampClock
from tests.simulator.key_kit import ed25519_key, ed25519_pair, pair, rsa_key, rsa_pair, signed

PATH = "/trade-api/v2/portfolio/orders"
NOW = 1_795_444_500_000
CLOCKS = (StampClock(lambda: Nanos(NOW * MILLISECOND), 10_000),)


def ring() -> KeyRing:
    keys = KeyRing()
    keys.register("ed", ed25519_pair()[1], "ann")
    keys.register("rsa", rsa_pair()[1], "bob")
    return keys


@pytest.mark.parametrize(("key", "key_id", "account"), [(ed25519_key(), "ed", "ann"), (rsa_key(), "rsa", "bob")])
def test_both_kinds_of_key_open_their_account(key, key_id, account):
    headers = signed(key, key_id, "GET", PATH, NOW)
    assert ring().check(headers, "get", PATH, CLOCKS) == account


@pytest.mark.parametrize(
    ("change", "details"),
    [
        ({"KALSHI-ACCESS-KEY": ""}, "missing"),
        ({"KALSHI-ACCESS-SIGNATURE": ""}, "missing"),
        ({"KALSHI-ACCESS-TIMESTAMP": ""}, "missing"),
        ({"KALSHI-ACCESS-KEY": "other"}, "not found"),
        ({"KALSHI-ACCESS-KEY": "rsa"}, "incorrect"),
        ({"KALSHI-ACCESS-TIMESTAMP": "12.5"}, "milliseconds"),
        ({"KALSHI-ACCESS-TIMESTAMP": str(NOW + 1)}, "incorrect"),
        ({"KALSHI-ACCESS-TIMESTAMP": str(NOW // 1000)}, "too far"),
        ({"KALSHI-ACCESS-SIGNATURE": "***"}, "incorrect"),
    ],
)
def test_what_does_not_fit_is_401(change, details):
    headers = signed(ed25519_key(), "ed", "GET", PATH, NOW) | change
    refused = ring().check(headers, "GET", PATH, CLOCKS)
    assert isinstance(refused, Refusal)
    assert refused.status == 401
    assert details in refused.details


@pytest.mark.parametrize(("method", "path"), [("POST", PATH), ("GET", PATH + "?limit=1"), ("GET", "/portfolio/orders")])
def test_method_and_path_are_part_of_what_is_signed(method, path):
    headers = signed(ed25519_key(), "ed", method, path, NOW)
    assert isinstance(ring().check(headers, "GET", PATH, CLOCKS), Refusal)


@pytest.mark.parametrize(("skew", "passes"), [(10_000, True), (-10_000, True), (10_001, False), (-10_001, False)])
def test_the_clock_may_be_off_by_ten_seconds(skew, passes):
    headers = signed(ed25519_key(), "ed", "GET", PATH, NOW + skew)
    assert (ring().check(headers, "GET", PATH, CLOCKS) == "ann") is passes


MACHINE = NOW + 7 * 86_400_000


@pytest.mark.parametrize(
    ("stamp", "passes"),
    [
        (NOW, True),
        (MACHINE - 10_000, True),
        (MACHINE + 10_001, False),
        ((NOW + MACHINE) // 2, False),
        ("9" * 19, False),
    ],
)
def test_a_stamp_may_be_of_either_clock_and_of_no_other(stamp, passes):
    clocks = (*CLOCKS, StampClock(lambda: Nanos(MACHINE * MILLISECOND), 10_000))
    headers = signed(ed25519_key(), "ed", "GET", PATH, int(stamp))
    assert (ring().check(headers, "GET", PATH, clocks) == "ann") is passes


def test_a_revoked_key_and_a_foreign_kind_of_key():
    keys = ring()
    keys.revoke("ed")
    assert isinstance(keys.check(signed(ed25519_key(), "ed", "GET", PATH, NOW), "GET", PATH, CLOCKS), Refusal)
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    with pytest.raises(TypeError, match="RSA or Ed25519"):
        keys.register("ec", pair(ec.generate_private_key(ec.SECP256R1()))[1], "ann")  # type: ignore[arg-type]


def test_a_bucket_holds_its_capacity_and_refills_with_time():
    bucket = TokenBucket(100, 100, Nanos(0))
    assert [bucket.take(10, Nanos(0)) for _request in range(11)] == [True] * 10 + [False]
    assert not bucket.take(10, Nanos(99 * MILLISECOND))
    assert bucket.take(10, Nanos(100 * MILLISECOND))
    assert [bucket.take(50, Nanos(3600 * SECOND)) for _request in range(3)] == [True, True, False]


def test_reads_and_writes_have_their_own_bucket():
    buckets = RateBuckets(TIERS["basic"], Nanos(0))
    assert buckets.admit("POST", 100, Nanos(0))
    assert not buckets.admit("DELETE", 2, Nanos(0))
    assert buckets.admit("GET", 400, Nanos(0))
    assert not buckets.admit("GET", 1, Nanos(0))


@pytest.mark.parametrize(
    ("method", "path", "items", "cost"),
    [
        ("POST", "/portfolio/events/orders", 1, 10),
        ("POST", "/portfolio/events/orders/batched", 7, 70),
        ("DELETE", "/portfolio/events/orders/batched", 7, 14),
        ("DELETE", "/portfolio/events/orders/{order_id}", 1, 2),
        ("DELETE", "/portfolio/events/orders", 1, 2),
        ("GET", "/portfolio/orders/{order_id}", 1, 2),
        ("GET", "/markets", 1, 10),
        ("POST", "/portfolio/events/orders/batched", 0, 10),
    ],
)
def test_costs(method, path, items, cost):
    assert cost_of(method, path, items) == cost


@settings(max_examples=80, deadline=None)
@given(steps=st.lists(st.tuples(st.integers(0, 2_000), st.integers(1, 60)), max_size=80))
def test_never_more_than_capacity_plus_refill(steps):
    bucket = TokenBucket(100, 100, Nanos(0))
    now, spent = 0, 0
    for wait_ms, cost in steps:
        now += wait_ms * MILLISECOND
        if bucket.take(cost, Nanos(now)):
            spent += cost
        assert spent <= 100 + 100 * now / SECOND


def test_injections_are_used_up_in_order():
    faults = Faults(injections=[Injection("create", times=2), Injection("*", when=When.AFTER)])
    assert faults.take("cancel", When.BEFORE) is None
    assert faults.take("create", When.BEFORE) is not None
    assert faults.take("create", When.BEFORE) is not None
    assert faults.take("create", When.BEFORE) is None
    assert faults.take("cancel", When.AFTER) is not None
    assert faults.injections == []
