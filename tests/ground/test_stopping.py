import asyncio

from structlog.testing import capture_logs

from kalshi_daemon.clock import ManualClock
from kalshi_daemon.state import Latch
from kalshi_daemon.stopping import StopSignal
from kalshi_daemon.units import SECOND, Nanos

START = Nanos(1_800_000_000 * SECOND)


async def test_the_first_reason_stands_and_the_latch_closes_before_anybody_is_woken():
    latch = Latch()
    stop = StopSignal(latch, ManualClock(START))
    with capture_logs() as logs:
        stop.ask("SIGTERM")
        assert latch.closed
        assert latch.closed_ns == START
        stop.ask("SIGINT")
    async with asyncio.timeout(1):
        await stop.wait()
    assert stop.reason == latch.reason == "SIGTERM"
    assert [entry["event"] for entry in logs] == ["stop.asked", "stop.asked_again"]


def test_after_the_summary_a_signal_says_nothing_and_changes_nothing():
    """The last line of the log is the summary, however often somebody presses Ctrl-C."""
    latch = Latch()
    stop = StopSignal(latch, ManualClock(START))
    stop.ask("SIGTERM")
    stop.end()
    with capture_logs() as logs:
        stop.ask("SIGINT")
    assert logs == []
    assert latch.reason == "SIGTERM"
