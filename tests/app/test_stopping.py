import asyncio
import signal

import pytest
from structlog.testing import capture_logs

from kalshi_daemon.app import stopping
from kalshi_daemon.app.stopping import StopSignal, deafen, listen
from kalshi_daemon.ground.clock import ManualClock
from kalshi_daemon.ground.units import SECOND, Nanos
from kalshi_daemon.state import Latch

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


@pytest.fixture
def _handlers_as_before():
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("_handlers_as_before")
async def test_only_sigterm_and_sigint_stop_and_none_ends_the_process_after_its_loop():
    said: list[str] = []
    stop = StopSignal(Latch(), ManualClock(START))
    loop = asyncio.get_running_loop()
    listen(loop, stop, reopen_log=lambda: said.append("reopened"), say_status=lambda: said.append("status"))
    for number in (signal.SIGHUP, signal.SIGUSR1):
        signal.raise_signal(number)
    await asyncio.sleep(0)
    assert (said, stop.reason) == (["reopened", "status"], "")
    signal.raise_signal(signal.SIGTERM)
    await asyncio.sleep(0)
    assert stop.reason == "SIGTERM"
    stop.end()
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
        signal.raise_signal(number)
    await asyncio.sleep(0)
    assert said == ["reopened", "status"], "after the last line nothing is said"
    deafen()
    assert signal.getsignal(signal.SIGTERM) == signal.getsignal(signal.SIGHUP) == signal.SIG_IGN


@pytest.mark.usefixtures("_handlers_as_before")
def test_a_signal_for_a_loop_that_is_closed_raises_nothing():
    loop = asyncio.new_event_loop()
    listen(loop, StopSignal(Latch(), ManualClock(START)), reopen_log=lambda: None, say_status=lambda: None)
    loop.close()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
        signal.raise_signal(number)


async def test_a_log_that_raises_does_not_keep_the_stop_from_being_heard(monkeypatch):
    class Broken:
        def info(self, *_args: object, **_fields: object) -> None:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(stopping, "log", Broken())
    latch = Latch()
    stop = StopSignal(latch, ManualClock(START))
    with pytest.raises(OSError, match="No space"):
        stop.ask("SIGTERM")
    assert latch.closed
    async with asyncio.timeout(1):
        await stop.wait()
