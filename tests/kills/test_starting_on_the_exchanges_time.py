"""A daemon that starts slowly signs with the exchange's present, not with the time it was told when it joined.

Found by killing: a start on a busy machine signed half a minute late and took the refusal for a wrong key.
"""

import asyncio
import socket
from types import SimpleNamespace
from typing import Any

import pytest

from kalshi_daemon.app import daemon
from kalshi_daemon.app.simulated.follow import ClockFollower
from kalshi_daemon.ground.clock import ElasticClock
from kalshi_daemon.ground.errors import VenueUnreachable
from kalshi_daemon.ground.units import SECOND, Nanos
from kalshi_daemon.operations.logging import LineSink
from kalshi_daemon.settings.model import Settings

START = Nanos(1_795_449_600 * SECOND)
LATER = Nanos(START + 30 * SECOND)


class AskedError(Exception):
    """The first request."""


async def first_request_at(tmp_path, on_time):
    """When a daemon whose clock stands at START asks its first question; the link moves it to LATER after a while."""
    clock = ElasticClock(START, 1.0)
    options = daemon.RunOptions(armed=True, force_gate_pass=False, show_progress=False, environ={})
    sink = LineSink(stdout=False, path=None, bytes_max=1_000)
    life = daemon.DaemonRun(Settings.model_validate({"state_dir": tmp_path}), options, clock, sink=sink)
    life.on_time = on_time

    async def ask():
        raise AskedError(clock.now_ns())

    async def write():
        for _ in range(50):
            await asyncio.sleep(0)
        clock.steer(LATER, LATER)
        if on_time is not None:
            on_time.set()

    async def nothing():
        pass

    components: Any = SimpleNamespace(
        files=SimpleNamespace(artifacts=SimpleNamespace(run=write)),
        watches=SimpleNamespace(kill_switch=SimpleNamespace(look=lambda: None), disk=SimpleNamespace(look=nothing)),
        core=SimpleNamespace(orders=SimpleNamespace(start=ask)),
    )
    with pytest.raises(ExceptionGroup) as ended:
        async with asyncio.TaskGroup() as group:
            group.create_task(life._start(components, group))
    (asked,) = ended.value.exceptions
    return asked.args[0]


async def test_nothing_is_asked_before_the_clock_shows_the_exchanges_time(tmp_path):
    assert await first_request_at(tmp_path, asyncio.Event()) == LATER


async def test_a_clock_that_always_does_is_not_waited_for(tmp_path):
    assert await first_request_at(tmp_path, None) < LATER


async def test_whoever_waits_for_a_link_that_cannot_be_made_is_let_go():
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        follower = ClockFollower(f"http://127.0.0.1:{nobody.getsockname()[1]}/clock", ElasticClock(START, 1.0))
        with pytest.raises(VenueUnreachable):
            await follower.run()
    assert follower.followed.is_set()
