"""The process of a daemon: its lock, its address, its recording, and the loop that one run of it lives on.

A run lives on a serial loop (`recording.serial_loop`): everything that reaches it is one input after
another, and is recorded.
"""

import asyncio
import gc
import os
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from typing import Any

from kalshi_daemon.app.clients import endpoints_of
from kalshi_daemon.app.daemon import RunOptions, recordable_run, run_id_of
from kalshi_daemon.app.recorded import FAIL, ON_TIME, STOP, Recorded, begin_recording, told_on_time
from kalshi_daemon.app.service import Subject, serve
from kalshi_daemon.app.session_start import open_log
from kalshi_daemon.app.simulated.attach import SimAddress, embedded_simulator, join, remember, settings_of
from kalshi_daemon.app.simulated.follow import ClockFollower
from kalshi_daemon.app.simulated.previous_runs import put_earlier_run_aside
from kalshi_daemon.app.stopping import listen
from kalshi_daemon.ground.clock import Clock, SystemClock
from kalshi_daemon.ground.errors import ExitCode, VenueUnreachable
from kalshi_daemon.kalshi.transport import open_session
from kalshi_daemon.operations.lock import InstanceLock
from kalshi_daemon.recording.driver import Driver
from kalshi_daemon.recording.wire import WireDial, WireSession
from kalshi_daemon.settings.model import Mode, Settings


async def run_daemon(settings: Settings, options: RunOptions) -> ExitCode:
    """Trade until told to stop. Raises ConfigurationError and its kin before anything was sent."""
    with InstanceLock(settings.mode_dir, os.getpid()):
        async with AsyncExitStack() as stack:
            address: SimAddress | None = None
            if settings.mode is Mode.SIM:
                address = await (
                    join(settings.sim.connect)
                    if settings.sim.connect
                    else stack.enter_async_context(embedded_simulator(settings.sim, settings.instruments))
                )
                settings = settings_of(settings, address)
                stack.callback(remember(settings.mode_dir, address).unlink, missing_ok=True)
            clock: Clock = SystemClock() if address is None else (elastic := address.clock())
            entropy = os.urandom(16)
            sink = open_log(settings, clock, run_id_of(entropy), stdout=not options.show_progress)
            stack.callback(sink.close)
            driver = Driver(clock, None if address is None else SystemClock().mono_ns)
            run = recordable_run(settings, options, driver.desk, entropy, sink)
            run.clock_outside = clock
            ask = partial(driver.signal, STOP)
            listen(asyncio.get_running_loop(), run.stop, reopen_log=run.reopen_log, say_status=run.say_status, ask=ask)
            subject = Subject(settings, run.state, sink, run.status, clock)
            ending = await stack.enter_async_context(serve(subject))
            http: Any = WireSession(driver.desk, await stack.enter_async_context(open_session()))
            where = replace(endpoints_of(settings, options.environ), near=partial(WireDial, driver.desk))
            end_ns = None if address is None else address.end_ns
            if address is not None and not settings.sim.connect:
                put_earlier_run_aside(settings.mode_dir, SystemClock().now_ns())
            if settings.recording.enabled:
                told = options.recorded | {"on_time": address is not None}
                recorded = Recorded(run_id_of(entropy), entropy, told, where, end_ns)
                writer = begin_recording(settings, driver, recorded, SystemClock().now_ns())
                if writer is not None:
                    stack.callback(writer.close)
            trade = partial(run.trade, where, http, end_ns=end_ns)
            if address is not None:
                run.on_time = told_on_time(driver.desk.handlers)
            _spare_collector()
            async with asyncio.TaskGroup() as group:
                life = group.create_task(driver.live(trade), name="serial")
                if address is not None:
                    follower = ClockFollower(
                        f"{address.admin_url}/clock",
                        elastic,
                        busy=lambda: driver.busy or run.busy(),
                        on_followed=lambda: driver.signal(ON_TIME, None),
                    )
                    following = group.create_task(_follow(follower, driver), name="clock")
                    life.add_done_callback(lambda _life: following.cancel())
            ending.code = life.result()
            return ending.code


def _spare_collector() -> None:
    """Keep what was imported out of every later collection: 120,000 objects, some 50 ms of a loop that stands still."""
    gc.collect()
    gc.freeze()


async def _follow(follower: ClockFollower, driver: Driver) -> None:
    """Simulated time that ends or breaks off is one more reason to stop, and never a way around the cancelling."""
    try:
        await follower.run()
    except VenueUnreachable as problem:
        driver.signal(FAIL, [problem.operation, problem.cause])
    else:
        driver.signal(STOP, "simulated time ended")
