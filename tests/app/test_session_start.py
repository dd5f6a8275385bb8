"""A start with a clock that is off waits for the clock: it says the numbers, and never gives up for good."""

import asyncio

import pytest
from structlog.testing import capture_logs

from kalshi_daemon.app.session_start import PATIENCE_ASKED, PAUSE_MAX, PAUSE_MIN, start_when_clock_agrees
from kalshi_daemon.ground.clock import ManualClock
from kalshi_daemon.ground.errors import AuthFailed, ClockSkewed, VenueUnreachable
from kalshi_daemon.ground.units import HOUR, MINUTE, SECOND, Nanos

T0 = Nanos(1_795_446_000 * SECOND)
REFUSED = AuthFailed("orders", 401, "authentication_error", "authentication failed")


def skewed(seconds: int) -> ClockSkewed:
    return ClockSkewed(REFUSED, seconds * SECOND, 1_500_000_000)


class Exchange:
    """Refuses with what is in the script, then agrees; keeps when it was asked and what the supervisor heard."""

    def __init__(self, clock: ManualClock, script) -> None:
        self.clock = clock
        self.script = list(script)
        self.asked: list[int] = []
        self.told: list[tuple[str, Nanos]] = []

    async def start(self) -> None:
        self.asked.append(self.clock.now_ns() - T0)
        if self.script:
            raise self.script.pop(0)

    def waiting(self, status: str, within: Nanos) -> None:
        self.told.append((status, within))


async def started(exchange: Exchange) -> None:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(start_when_clock_agrees(exchange.start, exchange.clock, exchange))
        while not task.done() and exchange.clock.now_ns() - T0 < 6 * HOUR:
            for _ in range(5):
                await asyncio.sleep(0)
            exchange.clock.advance(SECOND)
        assert task.done(), "it never came to an end"


async def test_it_waits_as_long_as_the_clock_is_off_and_starts_when_it_is_right():
    exchange = Exchange(ManualClock(T0), [skewed(-30)] * 40)
    with capture_logs() as logs:
        await started(exchange)
    assert len(exchange.asked) == 41
    gaps = [later - earlier for earlier, later in zip(exchange.asked, exchange.asked[1:], strict=False)]
    assert gaps[0] >= PAUSE_MIN
    assert max(gaps) <= PAUSE_MAX + SECOND
    assert gaps[-1] >= PAUSE_MAX, "two refused requests a minute, not 150 in 40 s"
    said = [line for line in logs if line["event"] == "daemon.clock_refused"]
    assert len(said) == 40
    assert (said[0]["skew_ms"], said[0]["skew_ms_max"]) == (-30_000, 1_500)
    assert said[-1]["waited_s"] > 15 * MINUTE // SECOND
    assert "30000 ms behind" in said[0]["message"]


async def test_the_supervisor_is_told_why_and_asked_for_more_time_at_each_try():
    exchange = Exchange(ManualClock(T0), [skewed(3_600)] * 3)
    await started(exchange)
    assert len(exchange.told) == 3
    status, within = exchange.told[0]
    assert status == "waiting: our clock is 3600000 ms ahead of the exchange's, 1500 ms are allowed"
    assert within == PATIENCE_ASKED > PAUSE_MAX


@pytest.mark.parametrize("problem", [REFUSED, VenueUnreachable("start", "refused")], ids=["key", "network"])
async def test_other_ends_of_a_start_are_not_waited_out(problem):
    exchange = Exchange(ManualClock(T0), [skewed(5), problem])
    with pytest.raises(ExceptionGroup) as caught:
        await started(exchange)
    assert caught.value.exceptions == (problem,)
    assert len(exchange.asked) == 2
