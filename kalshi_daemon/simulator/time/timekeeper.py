"""Drives elastic time: `speed` times life, but never further than LEAD_QUANTA quanta beyond the slowest follower.

Time moves in quanta of clamp(speed x 2 ms, 20 ms, 1 s) of simulated time. At each step the clock is steered to the new
instant, every follower is told, and everything due is executed (`run_until`). The word is

    {"now_ns": ..., "horizon_ns": ..., "speed": ...}

It answers {"ack_ns": ...} once its loop has gone quiet at that instant, and leaves on {"ended": true}. Between steps
clocks run on by themselves, up to the horizon, which is the next step. A follower that owes an answer for
SILENCE_S_MAX of real time is dropped and time goes on, so that a stopped daemon cannot freeze the exchange for good; a
dead one is gone with its connection. A daemon that only waits for a processor answers within that time. Without
followers time simply runs.

Time lost to a follower (or to a busy machine) is made up step by step, but not more than CATCH_UP_S_MAX of it.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import orjson
import structlog
from aiohttp import WSMsgType, web

from kalshi_daemon.ground.clock import ElasticClock
from kalshi_daemon.ground.units import MILLISECOND, SECOND, Nanos

QUANTUM_WALL_NS: Final = 2 * MILLISECOND
QUANTUM_NS_MIN: Final = 20 * MILLISECOND
QUANTUM_NS_MAX: Final = SECOND
LEAD_QUANTA: Final = 2
SILENCE_S_MAX: Final = 60.0
CATCH_UP_S_MAX: Final = 1.0
FOLLOWERS_MAX: Final = 16
MESSAGE_BYTES_MAX: Final = 4_096
ENDED: Final = '{"ended":true}'
"""The last message: time ends in order, and the follower leaves."""
_SEND_S_MAX: Final = 1.0
_LEAVE_S_MAX: Final = 20.0
"""An abort throws away what a follower has not read yet: one that waits for a processor must get to the last word."""
_LIFE: Final = 1.0

log = structlog.get_logger()


def quantum_ns(speed: float) -> Nanos:
    """Simulated time between steps: 2 ms of real time, at least 20 ms, at most one second.

    `speed`: simulated seconds in a real one.
    """
    return Nanos(min(max(int(speed * QUANTUM_WALL_NS), QUANTUM_NS_MIN), QUANTUM_NS_MAX))


@dataclass(slots=True, eq=False)
class _Follower:
    socket: web.WebSocketResponse
    transport: asyncio.Transport | None
    acked_ns: int
    told_ns: int
    waiting_since_s: float | None = None
    """Real time since which it owes an answer; None when it owes none."""

    def take_ack(self, ack_ns: int, real_s: float) -> None:
        """Nobody can acknowledge what was not told; an older answer changes nothing but shows life."""
        self.acked_ns = max(self.acked_ns, min(ack_ns, self.told_ns))
        self.waiting_since_s = None if self.acked_ns >= self.told_ns else real_s


class Timekeeper:
    """Owns the simulator's clock. `run_until(now)` must execute everything due up to `now`, synchronously.

    hold_for_follower_s: real seconds to hold time at its start until the first follower arrives; 0 starts at once.
    """

    def __init__(
        self,
        clock: ElasticClock,
        speed: float,
        run_until: Callable[[Nanos], None],
        end_ns: Nanos,
        *,
        hold_for_follower_s: float = 0.0,
        silence_s_max: float = SILENCE_S_MAX,
        leave_s_max: float = _LEAVE_S_MAX,
    ) -> None:
        self._clock = clock
        self._speed = speed
        self._run_until = run_until
        self._end_ns = int(end_ns)
        self._hold_s = hold_for_follower_s
        self._silence_s = silence_s_max
        self._leave_s = leave_s_max
        self._now_ns = int(clock.now_ns())
        self._horizon_ns = self._now_ns
        self._quantum_ns = int(quantum_ns(speed))
        self._followers: list[_Follower] = []
        self._changed = asyncio.Event()

    @property
    def followers(self) -> int:
        return len(self._followers)

    async def run(self) -> None:
        """Drive time to `end_ns`, then return; time stands still afterwards unless `run_overtime` is run."""
        await self._first_follower()
        await self._drive(self._end_ns)
        log.info("timekeeper.ended", now_ns=self._now_ns, followers=len(self._followers))

    async def run_overtime(self) -> None:
        """Go on at life's speed, forever: whoever still waits for the clock (a stop under way) is not left hanging."""
        self._speed = self._clock.speed = _LIFE
        self._quantum_ns = int(quantum_ns(_LIFE))
        await self._drive(None)

    async def handle_follow(self, request: web.Request) -> web.StreamResponse:
        """The websocket a follower opens, to be mounted at `{admin_url}/clock`."""
        if len(self._followers) >= FOLLOWERS_MAX:
            return web.Response(status=503, text=f"{FOLLOWERS_MAX} followers already\n")
        socket = web.WebSocketResponse(compress=False, max_msg_size=MESSAGE_BYTES_MAX, timeout=1.0)
        await socket.prepare(request)
        follower = _Follower(socket, request.transport, self._now_ns, self._now_ns)
        self._followers.append(follower)
        self._changed.set()
        log.info("timekeeper.follower_joined", followers=len(self._followers))
        try:
            await self._tell(follower)
            async for message in socket:
                if message.type is not WSMsgType.TEXT or not self._take(follower, message.data):
                    break
        finally:
            self._forget(follower)
        return socket

    async def aclose(self) -> None:
        """Tell every follower that time ends here and wait until they have left, _LEAVE_S_MAX at most."""
        for follower in tuple(self._followers):
            await self._send(follower, ENDED)
        try:
            async with asyncio.timeout(self._leave_s):
                while self._followers:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            for follower in tuple(self._followers):
                self._abort(follower)

    # ----------------------------------------------------------------- steps

    async def _first_follower(self) -> None:
        if self._hold_s <= 0:
            return
        try:
            async with asyncio.timeout(self._hold_s):
                while not self._followers:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            log.warning("timekeeper.nobody_follows", held_s=self._hold_s)

    async def _drive(self, end_ns: int | None) -> None:
        loop = asyncio.get_running_loop()
        anchor_s, anchor_ns = loop.time(), self._now_ns
        while end_ns is None or self._now_ns < end_ns:
            next_ns = self._now_ns + self._quantum_ns
            if end_ns is not None:
                next_ns = min(next_ns, end_ns)
            early_s = anchor_s + (next_ns - anchor_ns) / self._speed / SECOND - loop.time()
            if early_s < -CATCH_UP_S_MAX:
                anchor_s -= early_s + CATCH_UP_S_MAX  # forgive the rest
            await asyncio.sleep(max(0.0, early_s))
            await self._allowed(next_ns)
            self._advance(next_ns, end_ns)
            # Followers hear of the instant before anything of it is sent: their stamps of receipt must not lie before
            # the venue's stamps.
            for follower in tuple(self._followers):
                await self._tell(follower)
            self._run_until(Nanos(next_ns))
            self._clock.steer(Nanos(next_ns), Nanos(self._horizon_ns))

    def _advance(self, next_ns: int, end_ns: int | None) -> None:
        self._now_ns = next_ns
        horizon = next_ns + self._quantum_ns
        self._horizon_ns = horizon if end_ns is None else min(horizon, end_ns)
        for follower in self._followers:
            self._horizon_ns = min(self._horizon_ns, max(next_ns, self._limit(follower)))
        self._clock.steer(Nanos(next_ns), Nanos(next_ns))  # stands still at this instant until it is executed

    def _limit(self, follower: _Follower) -> int:
        return follower.acked_ns + LEAD_QUANTA * self._quantum_ns

    async def _allowed(self, next_ns: int) -> None:
        """Hold until no follower is left further behind than the lead; drop those that stay silent too long."""
        loop = asyncio.get_running_loop()
        while behind := [each for each in self._followers if self._limit(each) < next_ns]:
            now_s = loop.time()
            left_s = [self._silence_s - (now_s - (each.waiting_since_s or now_s)) for each in behind]
            for follower, left in zip(behind, left_s, strict=True):
                if left <= 0:
                    log.warning("timekeeper.follower_dropped", behind_ms=(next_ns - follower.acked_ns) // MILLISECOND)
                    self._abort(follower)
            if min(left_s) <= 0:
                continue
            self._changed.clear()
            try:
                async with asyncio.timeout(min(left_s)):
                    await self._changed.wait()
            except TimeoutError:
                continue

    # ------------------------------------------------------------- followers

    async def _tell(self, follower: _Follower) -> None:
        message = {"now_ns": self._now_ns, "horizon_ns": self._horizon_ns, "speed": self._speed}
        follower.told_ns = self._now_ns
        if follower.waiting_since_s is None:
            follower.waiting_since_s = asyncio.get_running_loop().time()
        await self._send(follower, orjson.dumps(message).decode())

    async def _send(self, follower: _Follower, text: str) -> None:
        try:
            async with asyncio.timeout(_SEND_S_MAX):
                await follower.socket.send_str(text)
        except (ConnectionError, RuntimeError, TimeoutError):  # RuntimeError: aiohttp's word for a closing socket
            self._abort(follower)

    def _take(self, follower: _Follower, text: str) -> bool:
        """Note an acknowledgement; False when it is not one, which ends the follower."""
        try:
            ack = orjson.loads(text)["ack_ns"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            return False
        if not isinstance(ack, int) or isinstance(ack, bool):
            return False
        follower.take_ack(ack, asyncio.get_running_loop().time())
        self._changed.set()
        return True

    def _abort(self, follower: _Follower) -> None:
        if follower.transport is not None:
            follower.transport.abort()
        self._forget(follower)

    def _forget(self, follower: _Follower) -> None:
        if follower in self._followers:
            self._followers.remove(follower)
            self._changed.set()
            log.info("timekeeper.follower_left", followers=len(self._followers))
