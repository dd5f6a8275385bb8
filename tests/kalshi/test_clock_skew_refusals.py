"""A signature refused while the clock is proven to be off is the clock's fault, never the key's."""

import asyncio
from email.utils import formatdate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_daemon.ground.clock import ManualClock
from kalshi_daemon.ground.errors import AuthFailed, ClockSkewed, DaemonError, ExitCode
from kalshi_daemon.ground.units import MILLISECOND, SECOND, Nanos
from kalshi_daemon.kalshi.server_time import SAMPLE_LIFE, SKEW_MAX, ServerClock
from kalshi_daemon.kalshi.stream import AUTH_TRIES
from tests.kalshi.rest_stub import exchange, reply
from tests.kalshi.stream_stub import eventually, running, venue
from tests.kalshi.test_rest_client_failures import orders, refs

T0 = Nanos(1_795_446_000 * SECOND)


def refusing(status: int = 401, ahead_s: float | None = 30.0):
    """An exchange whose clock is `ahead_s` ahead of ours; None: its answers carry no readable date."""

    async def handler(_request):
        date = "today" if ahead_s is None else formatdate(T0 / SECOND + ahead_s, usegmt=True)
        return reply({"error": {"code": "unauthorized", "message": "no"}}, status, Date=date)

    return handler


async def refusal_of(handler, ask) -> DaemonError:
    async with exchange(handler, clock=ManualClock(T0)) as stub:
        with pytest.raises(DaemonError) as caught:
            await ask(stub.client)
        assert len(stub.seen) == 1, "a refusal is not asked again by the client itself"
    return caught.value


ASKS = {
    "a read": lambda client: client.balance(),
    "a list": lambda client: client.orders(status="resting"),
    "a create": lambda client: client.create_orders(orders(2)),
    "cancels": lambda client: client.cancel_orders(refs(2)),
    "a cancel-all": lambda client: client.cancel_all(),
}


@pytest.mark.parametrize("ask", ASKS.values(), ids=ASKS)
async def test_a_401_with_the_clock_off_names_the_clock_with_numbers(ask):
    problem = await refusal_of(refusing(), ask)
    assert isinstance(problem, ClockSkewed)
    assert not isinstance(problem, AuthFailed)
    assert problem.exit_code is not ExitCode.CONFIG, "78 would keep the supervisor from trying again"
    assert abs(problem.skew_ns + 30 * SECOND) <= SECOND, "the exchange is ahead: ours is behind"
    assert problem.skew_ns_max == SKEW_MAX
    assert "ms behind the exchange's, more than 1500 ms" in str(problem)
    assert "401" in str(problem)


@pytest.mark.parametrize(
    ("status", "ahead_s"),
    [(401, 0.0), (401, 1.0), (401, -1.0), (401, None), (403, 30.0)],
    ids=["clocks agree", "within the bound", "within the bound, behind", "no date", "forbidden is no signature"],
)
async def test_anything_else_is_the_keys_matter(status, ahead_s):
    problem = await refusal_of(refusing(status, ahead_s), ASKS["a read"])
    assert isinstance(problem, AuthFailed)
    assert problem.exit_code is ExitCode.CONFIG


async def test_the_bound_is_the_settings():
    clock = ServerClock(Nanos(60 * SECOND))
    async with exchange(refusing(), clock=ManualClock(T0), server_clock=clock) as stub:
        with pytest.raises(AuthFailed):
            await stub.client.balance()


@settings(deadline=None, max_examples=200)
@given(
    truth=st.integers(-10 * SECOND, 10 * SECOND),
    trips=st.lists(st.integers(0, 4 * SECOND), min_size=1, max_size=6),
    share=st.floats(0.0, 1.0),
)
def test_nothing_within_the_bound_is_ever_put_on_the_clock(truth, trips, share):
    """Slow answers make an estimate wide; the verdict may only be what every value of it agrees on."""
    clock, venue_ns = ServerClock(), int(T0)
    for trip in trips:
        venue_ns += 700 * MILLISECOND
        stamp = int(venue_ns + trip * share) // SECOND * SECOND
        sent = Nanos(venue_ns + truth)
        clock.observe(sent, Nanos(sent + trip), Nanos(stamp), SECOND)
        venue_ns += trip
    verdict = clock.beyond(Nanos(venue_ns + truth))
    assert verdict is None or abs(truth) > SKEW_MAX
    if max(trips) == 0 and abs(truth) > SKEW_MAX + 2 * SECOND:
        assert verdict is not None, "a quick answer proves a difference that large"


def test_a_measurement_of_long_ago_proves_nothing():
    clock = ServerClock()
    clock.observe(T0, T0, Nanos(T0 - 60 * SECOND), SECOND)
    assert clock.beyond(T0) is not None
    assert clock.beyond(Nanos(T0 + SAMPLE_LIFE + 1)) is None
    assert clock.beyond(Nanos(T0 - 1)) is None, "our clock was set back since"


async def test_the_stream_waits_for_the_clock_instead_of_giving_up():
    clock = ManualClock(T0)
    async with venue(clock=clock, refuse=3 * AUTH_TRIES, ahead_s=30.0) as v, running(v.stream) as task:
        while not v.events:
            await asyncio.sleep(0.002)
            clock.advance(Nanos(SECOND))
            assert not task.done()
        assert len(v.handshakes) == 3 * AUTH_TRIES + 1
        assert v.kinds() == ["StreamUp"]


async def test_the_stream_gives_up_once_the_clock_is_right_and_the_key_still_refused():
    clock = ManualClock(T0)
    async with venue(clock=clock, refuse=99, ahead_s=30.0) as v:
        task = asyncio.ensure_future(_ended(v.stream))  # noqa: TID251 - the test's own
        while len(v.handshakes) < 2 * AUTH_TRIES:
            await asyncio.sleep(0.002)
            clock.advance(Nanos(SECOND))
        v.ahead_s = 0.0
        tried = len(v.handshakes)
        while not task.done():
            await asyncio.sleep(0.002)
            clock.advance(Nanos(SECOND))
        assert isinstance(task.result(), AuthFailed)
        assert AUTH_TRIES <= len(v.handshakes) - tried <= AUTH_TRIES + 1
    await eventually(task.done)


async def _ended(stream):
    try:
        await stream.run()
    except AuthFailed as error:
        return error
