"""Delays by operation, drawn from the seed: as numbers, and as a client of the exchange's sockets feels them."""

import asyncio
import statistics

import pytest

from kalshi_daemon.ground.units import MILLISECOND, Nanos
from kalshi_daemon.settings.latency import LatencySettings
from kalshi_daemon.simulator.exchange.rate_buckets import TIERS
from kalshi_daemon.simulator.exchange.sim_server import ServerOptions
from kalshi_daemon.simulator.latency import Delays, Latency, latency_of
from tests.simulator.server_kit import ORDERS, Venue, create_body

EACH = Latency(create_ms=40.0, cancel_ms=5.0, read_ms=80.0, stream_ms=0.0, feed_ms=30.0)


@pytest.mark.parametrize(("method", "median"), [("POST", 40.0), ("PUT", 40.0), ("DELETE", 5.0), ("GET", 80.0)])
def test_each_operation_has_its_own_median(method, median):
    delays = Delays(EACH, 3)
    drawn = [delays.request_ns(method) / MILLISECOND for _ in range(2_000)]
    assert statistics.median(drawn) == pytest.approx(median, rel=0.05)
    assert min(drawn) < 0.5 * median < 2.0 * median < max(drawn), "a distribution, not a number"


def test_a_seed_says_everything_and_no_delay_draws_nothing():
    def some(seed):
        delays = Delays(EACH, seed)
        return [(delays.request_ns("GET"), delays.stream_ns(), delays.feed_ns()) for _ in range(5)]

    assert some(3) == some(3) != some(4)
    assert all(stream == 0 for _, stream, _ in some(3))


def test_the_settings_are_the_defaults():
    assert latency_of(LatencySettings()) == Latency()


async def test_over_sockets_request_and_answer_take_time_of_the_exchange_s_clock():
    """Nothing is handled, and nothing answered, before the clock has gone on by what was drawn."""
    options = ServerOptions(tier=TIERS["prime"], delays=Delays(Latency(create_ms=100.0, spread=0.0), 1))
    async with Venue(options) as venue:
        asked = asyncio.get_running_loop().create_task(venue.ask("POST", ORDERS, create_body("one")))

        async def waiting() -> None:
            async with asyncio.timeout(10):
                while venue.clock.next_due() is None:  # noqa: ASYNC110 - bytes of a socket, nothing signals them
                    await asyncio.sleep(0.001)

        await waiting()
        assert venue.api.orders == {}, "on its way"
        venue.clock.advance(Nanos(100 * MILLISECOND))
        await waiting()
        assert len(venue.api.orders) == 1
        assert not asked.done(), "its answer is on its way"
        venue.clock.advance(Nanos(100 * MILLISECOND))
        async with asyncio.timeout(10):
            await asked
