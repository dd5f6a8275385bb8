"""The follower's side of elastic time: steer the local clock as told, and answer once the local loop has gone quiet.

"Quiet" is QUIET_TURNS turns of the loop in a row during which no request was in flight. By then what the simulator
sent with the time has been read (loopback delivers at once, and its frames follow the word about time) and what the
local tasks do about it has either ended or shows as a request in flight. SETTLE_S_MAX bounds the wait, well below the
time after which the simulator drops a silent follower. It is measured in looks: one that took longer than TURN_S_MAX
was spent waiting for a processor, and counts as that. On a busy machine a session is slow, not out of step.

When the link ends, for whatever reason, the clock is let go: it runs on freely, so that a task that sleeps on it while
everything is being stopped wakes up instead of hanging.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final, Never

import aiohttp
import orjson
import structlog

from kalshi_daemon.ground.clock import ElasticClock
from kalshi_daemon.ground.errors import VenueUnreachable
from kalshi_daemon.ground.units import DAY, Nanos

QUIET_TURNS: Final = 10
SETTLE_S_MAX: Final = 2.0
TURN_S_MAX: Final = 0.005
BUSY_LOOK_S: Final = 0.0005
CONNECT_S_MAX: Final = 60.0
ENDED: Final = '{"ended":true}'
"""The last word of the timekeeper, which has a copy of its own (a test holds them equal)."""
_OPERATION: Final = "follow the simulator's clock"

log = structlog.get_logger()


class ClockFollower:
    """Keeps `clock` in step with the simulator whose clock is at `url` (`{admin_url}/clock`, http or ws).

    busy: whether a request of this process is in flight. on_followed: called when `followed` is set.
    """

    def __init__(
        self,
        url: str,
        clock: ElasticClock,
        *,
        busy: Callable[[], bool] = lambda: False,
        on_followed: Callable[[], None] = lambda: None,
    ) -> None:
        self._on_followed = on_followed
        self._url = url
        self._clock = clock
        self._busy = busy
        self.followed = asyncio.Event()
        """Set once the first instant has been taken over, so that the clock shows the simulator's time from then on; or
        when that will never be, because the link is over."""
        self._told = asyncio.Event()
        self._told_ns = Nanos(0)

    async def run(self) -> None:
        """Follow until the simulator says that time has ended. Raises VenueUnreachable when the link breaks."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S_MAX)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.ws_connect(self._url, max_msg_size=4_096) as socket,
            ):
                await self._follow(socket)
        except (aiohttp.ClientError, OSError, TimeoutError) as problem:
            raise VenueUnreachable(_OPERATION, f"{self._url}: {problem!r}") from problem
        finally:
            now = self._clock.now_ns()
            self._clock.steer(now, Nanos(now + DAY))
            self._say_followed()

    def _say_followed(self) -> None:
        if not self.followed.is_set():
            self.followed.set()
            self._on_followed()

    async def _follow(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Take time over the moment it is told, also while the answer to an earlier instant is still owed.

        Data of an instant must never be read on a clock that has not reached it.
        """
        broken: Exception | None = None
        async with asyncio.TaskGroup() as group:
            answering = group.create_task(self._answer(socket), name="clock.answer")
            try:
                await self._read_time(socket)
            except (VenueUnreachable, aiohttp.ClientError, OSError) as problem:
                broken = problem  # raised below, outside the group, which would wrap it
            answering.cancel()
        if broken is not None:
            raise broken

    async def _read_time(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            if message.type is not aiohttp.WSMsgType.TEXT:
                break
            if message.data == ENDED:
                log.info("simulator.session_ended")
                return
            now_ns, horizon_ns, speed = _read(message.data)
            self._clock.steer(now_ns, horizon_ns)
            if speed != self._clock.speed:  # only after steering: a lower speed must not take back time already shown
                self._clock.speed = speed
                self._clock.steer(now_ns, horizon_ns)
            self._say_followed()
            self._told_ns = now_ns
            self._told.set()
        raise VenueUnreachable(_OPERATION, f"the link broke ({socket.close_code})")

    async def _answer(self, socket: aiohttp.ClientWebSocketResponse) -> Never:
        while True:
            await self._told.wait()
            self._told.clear()
            instant = self._told_ns
            await settle(self._busy)
            with contextlib.suppress(ConnectionError):  # the link may have ended meanwhile; the reader says how
                await socket.send_str(f'{{"ack_ns":{instant}}}')


async def settle(busy: Callable[[], bool], *, turns: int = QUIET_TURNS, s_max: float = SETTLE_S_MAX) -> bool:
    """Wait until the loop has been quiet for `turns` turns; False when `s_max` of its own time passed first."""
    loop = asyncio.get_running_loop()
    seen_s, waited_s = loop.time(), 0.0
    quiet = 0
    while quiet < turns:
        now_s = loop.time()
        waited_s += min(now_s - seen_s, TURN_S_MAX)
        seen_s = now_s
        if waited_s >= s_max:
            return False
        if busy():
            quiet = 0
            await asyncio.sleep(BUSY_LOOK_S)
        else:
            quiet += 1
            await asyncio.sleep(0)
    return True


def _read(text: str) -> tuple[Nanos, Nanos, float]:
    try:
        message = orjson.loads(text)
        now_ns, horizon_ns, speed = int(message["now_ns"]), int(message["horizon_ns"]), float(message["speed"])
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        raise VenueUnreachable(_OPERATION, f"not a message about time: {text[:80]!r}") from None
    return Nanos(now_ns), Nanos(horizon_ns), speed
