"""Drives a serial loop inside the machine's: takes in what comes, one after another, and does what is asked for.

Everything of the network, and every thread, is on this side. An input waits in line until the one before it is worked
off; it is stamped when its turn comes.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any, Final

from kalshi_daemon.ground.clock import Clock, StampedClock
from kalshi_daemon.ground.units import SECOND, Nanos
from kalshi_daemon.recording.desk import BEGIN, CANCEL, DONE, ENDED, FAILED, HEARD, JOB, RATE, SIGNAL, TICK, Desk, Notes
from kalshi_daemon.recording.entries import CLOSING, Entry, Stamp
from kalshi_daemon.recording.problems import plain

ANSWER_BYTES_MAX: Final = 32 * 1024 * 1024 + 1
"""More of an answer is not read; those who asked refuse one that long."""
_AGAIN_MAX: Final = SECOND
"""The wall time may be stepped while somebody sleeps: looked at again that often, as the machine's clock does."""
_HEARD_EVERY: Final = Nanos(SECOND)
"""What is only there to show life is an input no more often than that."""
_LEFT_WITHIN_S: Final = 3.0
"""Real time allowed at the end for connections to be closed."""
_TIMER_SLACK_S: Final = 0.0006
"""A machine's timers count milliseconds: one that comes early would only be waited for again."""


def mono_of(at: Stamp, origin_ns: int | None) -> int:
    """What the clock inside shows as the time that never steps, in nanoseconds. origin_ns: see `Driver.origin_ns`."""
    return at.real_ns if origin_ns is None else at.now_ns - origin_ns


class SilentNotes:
    """Nobody records."""

    def note_input(self, at: Stamp, kind: str, detail: Entry, size_bytes: int = 0) -> None:
        """Nothing."""

    def note(self, entry: Entry, size_bytes: int = 0) -> None:
        """Nothing."""


class Driver:
    """One life on a serial loop. `clock`: the time outside.

    real_ns: of a clock that runs faster than life, the time of the machine that never steps; None for one that is the
    machine's, whose wall time may step, and whose other time is that.
    """

    def __init__(
        self, clock: Clock, real_ns: Callable[[], int] | None = None, *, slack_s: float = _TIMER_SLACK_S
    ) -> None:
        self._outer = asyncio.get_running_loop()
        self._clock = clock
        self._real_ns: Callable[[], int] = clock.mono_ns if real_ns is None else real_ns
        self._steps = real_ns is None
        self.origin_ns = None if real_ns is None else int(clock.now_ns() - clock.mono_ns())
        """Of a clock that never steps: what its other time counts from."""
        self._slack_s = slack_s
        self._rate = clock.real_seconds(Nanos(SECOND))
        self.clock = StampedClock(clock.now_ns(), clock.mono_ns(), self._rate)
        """The time inside."""
        self.notes: Notes = SilentNotes()
        """Who records; to be set before the first input."""
        self.desk = Desk(self.clock, self, self, self._real_ns())
        self._inbox: deque[tuple[str, Entry, int]] = deque()
        self._scheduled = False
        self._woken = False
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._sockets: dict[int, Any] = {}
        self._heard: dict[int, int] = {}
        self._results: dict[tuple[str, int], asyncio.Future[Any]] = {}
        self._looks: dict[str, Any] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._timer_ns: int | None = None
        self._sleeper: asyncio.Task[None] | None = None
        self._sleeper_ns: int | None = None
        self._sleeper_at_ns = 0
        self._living = False
        """Between the first input and the last; what comes before waits in line."""

    # -- a life

    @property
    def busy(self) -> bool:
        """Whether something waits to be worked on, or is on its way."""
        return bool(self._inbox or self._woken or self._tasks.keys() - self._sockets.keys())

    async def live[T](self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run `work` on the serial loop; its result. Raises what it raises. Cancelled, it cancels that and waits."""
        ended: asyncio.Future[None] = self._outer.create_future()
        self.desk.begin_with(work, lambda: None if ended.done() else ended.set_result(None))
        self._living = True
        self.post(BEGIN)
        try:
            await asyncio.shield(ended)
        except asyncio.CancelledError:
            if self._living:
                self.signal(CANCEL, None)
                await asyncio.wait({ended})
            raise
        finally:
            await self._end()
        assert self.desk.main is not None, "it has ended"
        result: T = self.desk.main.result()
        return result

    def abandon(self) -> None:
        """Deliver nothing any more, as if the process had been killed; who waits for `live` is cancelled next."""
        self._living, self.notes = False, SilentNotes()

    async def _end(self) -> None:
        """The last input; nothing is worked on or recorded after it, and what is still asked for is given up."""
        if self._living:
            self._deliver(CLOSING, [], 0)
        self._living, self.notes = False, SilentNotes()
        for handle in (self._timer, self._sleeper):
            if handle is not None:
                handle.cancel()
        self.desk.give_up()
        left = set(self._tasks.values())
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=_LEFT_WITHIN_S)

    def signal(self, name: str, told: Any) -> None:  # noqa: ANN401 - JSON values
        """Tell whoever is registered under this name. From any thread that runs this loop."""
        self.post(SIGNAL, name, told)

    # -- inputs

    def post(self, kind: str, *detail: Any, size_bytes: int = 0) -> None:  # noqa: ANN401 - as the kind says
        """Put an input in line."""
        self._inbox.append((kind, list(detail), size_bytes))
        self._schedule()

    def _schedule(self) -> None:
        if self._living and not self._scheduled:
            self._scheduled = True
            # A call, no task: a loop that is stepped inside a task of another one is refused by some versions.
            self._outer.call_soon(self._pump)

    def _pump(self) -> None:
        self._scheduled = False
        if not self._living:
            return
        try:
            for _ in range(len(self._inbox)):
                kind, detail, size_bytes = self._inbox.popleft()
                if self.desk.wanted(kind, detail):
                    self._woken = False
                    self._deliver(kind, detail, size_bytes)
            if self._woken or self._due():
                self._woken = False
                self._deliver(TICK, [], 0)
        finally:  # whatever an input came to, the next ones are taken
            if self._inbox or self._woken:
                self._schedule()
            if self._living:
                self._arm()

    def _deliver(self, kind: str, detail: Entry, size_bytes: int) -> None:
        rate, at = self._clock.real_seconds(Nanos(SECOND)), self.stamp()
        mono_ns = mono_of(at, self.origin_ns)
        if rate != self._rate:
            self._rate = rate
            self.desk.deliver(at, mono_ns, RATE, [rate])
        self.desk.deliver(at, mono_ns, kind, detail, size_bytes)

    # -- time

    def stamp(self) -> Stamp:
        """Both times now."""
        return Stamp(int(self._clock.now_ns()), int(self._real_ns()))

    def _due(self) -> bool:
        timer_ns = self.desk.loop.next_timer_ns()
        if timer_ns is not None and timer_ns <= self._real_ns():
            return True
        dues = self.clock.due_in(self._clock.now_ns(), self._clock.mono_ns())
        return any(due is not None and due <= 0 for due in dues)

    def _arm(self) -> None:
        """See to it that the next one who sleeps is woken."""
        timer_ns = self.desk.loop.next_timer_ns()
        if timer_ns is not None and (self._timer_ns is None or timer_ns < self._timer_ns):
            if self._timer is not None:
                self._timer.cancel()
            wait_s = max(0, timer_ns - self._real_ns()) / SECOND
            self._timer_ns, self._timer = timer_ns, self._outer.call_later(wait_s + self._slack_s, self._on_timer)
        now_ns, mono_ns = self._clock.now_ns(), self._clock.mono_ns()
        until, after = self.clock.due_in(now_ns, mono_ns)
        if until is not None and self._steps:
            until = min(until, _AGAIN_MAX)
        waits = [max(0, wait) for wait in (until, after) if wait is not None]
        if waits and (self._sleeper_ns is None or mono_ns + min(waits) < self._sleeper_ns):
            if self._sleeper is not None:
                self._sleeper.cancel()
            self._sleeper_ns, self._sleeper_at_ns = mono_ns + min(waits), now_ns + min(waits)
            self._sleeper = self._outer.create_task(self._sleep(Nanos(min(waits))), name="serial.sleep")

    def _on_timer(self) -> None:
        self._timer = self._timer_ns = None
        self._schedule()

    async def _sleep(self, wait_ns: Nanos) -> None:
        if self._steps:
            await self._clock.sleep(wait_ns)
        else:
            await self._clock.sleep_until(Nanos(self._sleeper_at_ns))
        self._sleeper = self._sleeper_ns = None
        self._schedule()

    # -- what the desk asks

    def wake(self) -> None:
        self._woken = True
        self._schedule()

    def call_from_thread(self, call: Callable[[], object]) -> None:
        self._outer.call_soon_threadsafe(call)

    def note_input(self, at: Stamp, kind: str, detail: Entry, size_bytes: int = 0) -> None:
        self.notes.note_input(at, kind, detail, size_bytes)

    def note(self, entry: Entry, size_bytes: int = 0) -> None:
        self.notes.note(entry, size_bytes)

    def ask(self, number: int, kind: str, detail: tuple[Any, ...]) -> None:
        if not self._living:
            return  # nothing is begun any more
        works: dict[str, Callable[..., Coroutine[Any, Any, None]]] = {
            "http": self._fetch,
            "dial": self._connect,
            "close": self._close,
            "ping": self._ping,
            "look": self._look,
        }
        task = self._outer.create_task(works[kind](number, *detail), name=f"serial.{kind}")
        self._tasks[number] = task
        task.add_done_callback(partial(self._done, number))

    def _done(self, number: int, task: asyncio.Task[None]) -> None:
        self._tasks.pop(number, None)
        self._sockets.pop(number, None)
        self._heard.pop(number, None)
        if not task.cancelled() and (problem := task.exception()) is not None:
            if not isinstance(problem, Exception):
                raise problem
            self.post(FAILED, number, plain(problem))

    def cancel(self, number: int) -> None:
        if number in self._tasks:
            self._tasks[number].cancel()

    def tell(self, kind: str, detail: tuple[Any, ...]) -> None:
        number, message, text = detail
        assert kind == "send", kind
        self._outer.create_task(self._send(number, message, as_text=text), name="serial.send")

    async def _fetch(self, number: int, far: Any, method: str, url: Any, options: dict[str, Any]) -> None:  # noqa: ANN401
        async with far.request(method, url, **options) as answer:
            chunks, size = [], 0
            async for chunk in answer.content.iter_any():
                chunks.append(chunk)
                size += len(chunk)
                if size >= ANSWER_BYTES_MAX:
                    break
            headers = answer.headers
            date, retry_after = headers.get("Date"), headers.get("Retry-After")
            self.post(DONE, number, answer.status, date, retry_after, b"".join(chunks), size_bytes=size)

    async def _connect(self, number: int, far: Any, url: str, options: dict[str, Any]) -> None:  # noqa: ANN401
        async with far(url, **options) as socket:
            self._sockets[number] = socket
            socket.on_bytes = partial(self._on_bytes, number)
            self.post(DONE, number, number)
            try:
                while True:
                    frame = await socket.recv(decode=False)
                    self.post("frame", number, frame, size_bytes=len(frame))
            except Exception as problem:  # noqa: BLE001 - whatever ended it, whoever reads is told
                self.post(ENDED, number, plain(problem))
                await asyncio.Event().wait()  # until it is closed from the near end

    def _on_bytes(self, number: int) -> None:
        now_ns = int(self._clock.mono_ns())
        if now_ns - self._heard.get(number, 0) >= _HEARD_EVERY:
            self._heard[number] = now_ns
            self.post(HEARD, number)

    async def _close(self, number: int, connection: int) -> None:
        task = self._tasks.get(connection)
        if task is not None:
            task.cancel()
            await asyncio.wait({task})
        self.post(DONE, number)

    async def _ping(self, number: int, connection: int) -> None:
        socket = self._sockets.get(connection)
        if socket is None:
            raise ConnectionError("the connection is gone")
        await (await socket.ping())
        self.post(DONE, number)

    async def _send(self, connection: int, message: str | bytes, *, as_text: bool | None) -> None:
        socket = self._sockets.get(connection)
        if socket is not None:
            with suppress(Exception):  # a connection that is gone: whoever reads hears of it
                await socket.send(message, text=as_text)

    async def _look(self, number: int, work: Callable[[], Any]) -> None:
        seen = await self._outer.run_in_executor(None, work)
        self.post(DONE, number, seen)

    def start_job(self, name: str, number: int, work: Callable[[], Any]) -> None:
        job = self._outer.run_in_executor(None, work)
        self._results[name, number] = job
        job.add_done_callback(lambda _done: self.post(JOB, name, number))

    def job_result(self, name: str, number: int) -> tuple[Any, Exception | None]:
        job = self._results.pop((name, number), None)
        if job is None:
            return None, None
        problem = job.exception()
        if problem is not None and not isinstance(problem, Exception):
            raise problem
        return (None if problem is not None else job.result()), problem

    def look(self, name: str, count: int, work: Callable[[], Any]) -> Any:  # noqa: ANN401 - plain values
        """Look, and note what has changed. count: of looks, from 1 on."""
        seen = work()
        if count == 1 or self._looks.get(name) != seen:
            self._looks[name] = seen
            self.note(["saw", name, count, seen])
        return seen
