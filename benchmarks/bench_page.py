"""What looking at a run costs its loop: CPU of the loop's thread with 1 and with 20 readers of the page, and without.

The run is a day at 11:30 with the real models of both indices, two windows open, ladders, orders and guards; the index
moves each second, so nearly everything of a frame changes. Readers are another process. Without readers the loop does
what is done in any case: the status each second, for alerts. The shares are of one core, and of what a tick, a second's
model update for both indices and the status cost (`without`), as a ratio.
"""

import asyncio
import sys
import tempfile
from pathlib import Path
from time import thread_time

from kalshi_daemon.calibration.updater import RollingCalibration
from kalshi_daemon.domain.index import Channel, Tick
from kalshi_daemon.ground.units import SECOND, Nanos
from kalshi_daemon.operations.page import serve_page
from kalshi_daemon.operations.page_frames import Frames
from kalshi_daemon.settings.model import CalibrationSettings
from kalshi_daemon.settings.service import PageSettings
from tests.guardrails.guard_rig import SESSION, in_session
from tests.operations.page_rig import LEVELS, NOW, Day, a_day

SECONDS = 15
GOALS = {1: 2.0, 20: 5.0}
READER = """
import asyncio, sys
async def read(host, port):
    source, sink = await asyncio.open_connection(host, port)
    sink.write(f"GET /events HTTP/1.1\\r\\nHost: {host}\\r\\n\\r\\n".encode())
    while await source.read(65536):
        pass
async def main(host, port, number):
    await asyncio.gather(*(read(host, port) for _ in range(number)), return_exceptions=True)
asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
"""


def move(day: Day, models: dict[str, RollingCalibration], second: int) -> None:
    """A second passes: each index has a new value."""
    day.now_ns = Nanos(NOW + second * SECOND)
    for number, (index, level) in enumerate(LEVELS.items()):
        value = level * (1.0 + 0.00002 * ((second * (7 + number)) % 11 - 5))
        tick = Tick(index, Channel.VALUE, value, day.now_ns, day.now_ns)
        day.state.index[index].last = tick
        models[index].on_tick(tick)


async def loop_ms(day: Day, models: dict[str, RollingCalibration], readers: int, first: int) -> float:
    """CPU milliseconds of the loop a second, while so many read."""
    async with serve_page(PageSettings(bind="127.0.0.1:0"), day.shown) as url:
        host, port = url.removeprefix("http://").rstrip("/").split(":")
        reading = await asyncio.create_subprocess_exec(sys.executable, "-c", READER, host, port, str(readers))
        await asyncio.sleep(2.0)
        began = thread_time()
        for second in range(SECONDS):
            move(day, models, first + second)
            day.look()
            await asyncio.sleep(1.0)
        spent = thread_time() - began
        if reading.returncode is None:
            reading.terminate()
        await reading.wait()
    return spent / SECONDS * 1_000.0


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        day = Day(a_day(), Path(folder) / "kill_switch")
        models = {index: RollingCalibration(index, CalibrationSettings(), in_session) for index in LEVELS}
        for second in range((NOW - SESSION.open_ns) // SECOND):
            for index, level in LEVELS.items():
                at = Nanos(SESSION.open_ns + second * SECOND)
                models[index].on_tick(Tick(index, Channel.VALUE, level * (1.0 + 1e-6 * (second % 97)), at, at))
        day.state.calibration.update(models)
        without = await loop_ms(day, models, 0, 1)
        size = len(day_frame(day))
        print(f"without readers: {without:.2f} ms of CPU a second; a whole frame has {size / 1024:.1f} KB")
        for number, (readers, goal) in enumerate(GOALS.items(), start=1):
            spent = await loop_ms(day, models, readers, 1 + number * SECONDS)
            more = (spent - without) / 10.0
            print(
                f"{readers:>2} readers: {spent:.2f} ms a second, {more:.2f} % of a core more; goal {goal:g} %", end=""
            )
            print(f"; ratio to without {spent / without:.1f}")


def day_frame(day: Day) -> bytes:
    return Frames(day.document).current().whole


if __name__ == "__main__":
    asyncio.run(main())
