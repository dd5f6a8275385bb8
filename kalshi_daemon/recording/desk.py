"""Where inputs come in and what is asked of the outside goes out: the same for a live run and for a replay.

Whoever lives on the serial loop asks here for what takes time outside (a request, a connection, a thread) and is given
a future; the answer is an input. Everything that goes out, and every look at what changes outside, is noted in order.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from typing import Any, Final, Protocol

import structlog

from kalshi_daemon.ground.clock import StampedClock
from kalshi_daemon.ground.units import MINUTE, Nanos
from kalshi_daemon.recording.entries import CLOSING, Entry, Stamp, bytes_of
from kalshi_daemon.recording.problems import raised
from kalshi_daemon.recording.serial_loop import SerialLoop

log = structlog.get_logger()

BEGIN: Final = "begin"
TICK: Final = "tick"
"""Time has come for somebody who sleeps, or somebody was woken from outside."""
RATE: Final = "rate"
FAILED: Final = "failed"
DONE: Final = "done"
"""What was asked for is done; its result, if any, follows."""
HEARD: Final = "heard"
ENDED: Final = "ended"
JOB: Final = "job"
SIGNAL: Final = "signal"
CANCEL: Final = "cancel"
"""A signal that is always there: the run itself is cancelled."""
INTERLEAVED: Final = "interleaved"
"""Noted beside an input: others than inputs had a hand in what follows."""

_ROUNDS_MAX: Final = 100
"""How often what ends in an orderly way, asking for more, is cancelled."""

type Handler = Callable[[Any], object]


class Outward(Protocol):
    """The way out: of a live run the machine, of a replay nothing at all."""

    def wake(self) -> None:
        """Something was scheduled between two steps."""
        ...

    def call_from_thread(self, call: Callable[[], object]) -> None:
        """Another thread, or a signal, wants this called."""
        ...

    def ask(self, number: int, kind: str, detail: tuple[Any, ...]) -> None:
        """Do it; its end comes in as DONE or FAILED with this number."""
        ...

    def cancel(self, number: int) -> None:
        """Nobody waits for it any more."""
        ...

    def tell(self, kind: str, detail: tuple[Any, ...]) -> None:
        """Do it; nobody waits."""
        ...

    def start_job(self, name: str, number: int, work: Callable[[], Any]) -> None:
        """Do it in a thread; its end comes in as JOB."""
        ...

    def job_result(self, name: str, number: int) -> tuple[Any, Exception | None]:
        """What it came to, or what it raised; asked for once. Nothing for one that was never started here."""
        ...

    def look(self, name: str, count: int, work: Callable[[], Any]) -> Any:  # noqa: ANN401 - plain values
        """What there is to see outside now, as JSON values. count: of this look, from 1 on."""
        ...


class Notes(Protocol):
    """Hears of every input, and of all that follows from it."""

    def note_input(self, at: Stamp, kind: str, detail: Entry, size_bytes: int = 0) -> None:
        """One input, before it is worked on. size_bytes: of its payload."""
        ...

    def note(self, entry: Entry, size_bytes: int = 0) -> None:
        """What followed from it."""
        ...


class Taker(Protocol):
    """The near end of a connection (`recording.wire.WireSocket`)."""

    def take(self, frame: bytes) -> None:
        """A frame has come."""
        ...

    def hear(self) -> None:
        """Something has come, a ping for example."""
        ...

    def end(self, problem: Exception) -> None:
        """Nothing comes any more."""
        ...


class Desk:
    """See above. One for each life of the daemon; it owns the serial loop."""

    def __init__(self, clock: StampedClock, outward: Outward, notes: Notes, real_ns: int) -> None:
        self.clock = clock
        self.loop = SerialLoop(self, real_ns)
        self.sockets: dict[int, Taker] = {}
        self.handlers: dict[str, Handler] = {CANCEL: lambda _told: self.main is not None and self.main.cancel()}
        """Of signals, by name: what a person, a supervisor or the simulator tells the daemon."""
        self._outward = outward
        self._notes = notes
        self._number = 0
        self._pending: dict[int, asyncio.Future[Any]] = {}
        self._jobs: dict[tuple[str, int], asyncio.Future[Any]] = {}
        self._jobs_begun: Counter[str] = Counter()
        self._looks: Counter[str] = Counter()
        self._calls: deque[Callable[[], object]] = deque()
        self._foreign = 0
        """How often something was scheduled from outside since the last input: what that was no recording tells."""
        self._begin: Callable[[], Coroutine[Any, Any, Any]] | None = None
        self._on_end: Callable[[], object] = lambda: None
        self.main: asyncio.Task[Any] | None = None
        self.books: Callable[[], Entry] | None = None
        """How the books stand, for the recording: noted every minute and at the end."""
        self._minute = 0

    # -- inputs

    def begin_with(self, work: Callable[[], Coroutine[Any, Any, Any]], on_end: Callable[[], object]) -> None:
        """What the input BEGIN starts, and who is told of its end."""
        self._begin, self._on_end = work, on_end

    def give_up(self) -> None:
        """Cancel everything that is left, and close the loop."""
        for _ in range(_ROUNDS_MAX):
            left = asyncio.all_tasks(self.loop)
            if not left:
                break
            self.loop.step(0, partial(_cancel, left))
        for task in asyncio.all_tasks(self.loop):  # waits for a thread, and nobody tells it any more
            vars_of: Any = task  # there is no other way to say that this is meant
            vars_of._log_destroy_pending = False  # noqa: SLF001 - as above
        self.loop.close()

    def wanted(self, kind: str, detail: Entry) -> bool:
        """Whether anybody still waits for this input. One that nobody waits for is left out of the recording too."""
        match kind:
            case "done" | "failed":
                future = self._pending.get(detail[0])
                return future is not None and not future.done()
            case "frame" | "heard" | "ended":
                return detail[0] in self.sockets
            case _:
                return True

    def deliver(self, at: Stamp, mono_ns: int, kind: str, detail: Entry, size_bytes: int = 0) -> None:
        """Work on one input until every task waits again. mono_ns: the clock's own that never steps."""
        self._notes.note_input(at, kind, detail, size_bytes)
        if self._foreign:
            self.note([INTERLEAVED, self._foreign])
            self._foreign = 0
        if self.books is not None and (at.now_ns // MINUTE != self._minute or kind == CLOSING):
            self._minute = at.now_ns // MINUTE
            self.note(self._books())

        def work() -> None:
            self.clock.stamp(Nanos(at.now_ns), Nanos(mono_ns))
            self._apply(kind, detail)

        self.loop.step(at.real_ns, work)

    def _books(self) -> Entry:
        """Never raises: the input that comes with it must be worked on."""
        try:
            return [] if self.books is None else self.books()
        except Exception as problem:  # noqa: BLE001 - whatever it is, a recording must not cost an input
            return ["books", "failed", type(problem).__name__]

    def _apply(self, kind: str, detail: Entry) -> None:
        match kind:
            case "frame":
                self.sockets[detail[0]].take(bytes_of(detail[1]) if not isinstance(detail[1], bytes) else detail[1])
            case "tick" | "closing":
                while self._calls:
                    self._calls.popleft()()
            case "done":
                self._settle(detail[0], detail[1:])
            case "failed":
                self._settle(detail[0], raised(detail[1]))
            case "heard":
                self.sockets[detail[0]].hear()
            case "ended":
                self.sockets[detail[0]].end(raised(detail[1]))
            case "job":
                self._end_job(detail[0], detail[1])
            case "signal":
                self.handlers[detail[0]](detail[1])
            case "rate":
                self.clock.rate = detail[0]
            case "begin":
                assert self._begin is not None, "given before the first input"
                self.main = self.loop.create_task(self._begin(), name="serial.main")
                self.main.add_done_callback(lambda _main: self._on_end())
            case _:
                raise ValueError(f"no input: {kind}")

    def _settle(self, number: int, result: Any) -> None:  # noqa: ANN401 - as it was asked for
        future = self._pending.pop(number, None)
        if future is None or future.done():
            return
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)

    def end_job(self, name: str, number: int) -> None:
        """A job of a thread is done: as the input JOB, or at the end of a replay."""
        self.loop.step(0, lambda: self._end_job(name, number))

    def _end_job(self, name: str, number: int) -> None:
        future = self._jobs.pop((name, number), None)
        result, problem = self._outward.job_result(name, number)
        if future is None or future.done():
            return
        if problem is None:
            future.set_result(result)
        else:
            future.set_exception(problem)

    # -- what goes out

    def ask(self, kind: str, said: Entry, *detail: Any) -> asyncio.Future[Any]:  # noqa: ANN401 - as the kind says
        """Ask for something; `said` is noted, `detail` is for whoever does it. A cancelled future cancels it."""
        self._number += 1
        number = self._number
        future = self._pending[number] = self.loop.create_future()
        self.note([kind, number, *said])
        future.add_done_callback(lambda done: self._dropped(number) if done.cancelled() else None)
        self._outward.ask(number, kind, detail)
        return future

    def _dropped(self, number: int) -> None:
        self._pending.pop(number, None)
        self.note(["cancel", number])
        self._outward.cancel(number)

    def tell(self, kind: str, said: Entry, *detail: Any) -> None:  # noqa: ANN401 - as the kind says
        """Have something done that nobody waits for."""
        self.note([kind, *said])
        self._outward.tell(kind, detail)

    def look(self, name: str, work: Callable[[], Any]) -> Any:  # noqa: ANN401 - plain values
        """What `work` sees outside, as JSON values; a replay sees what was seen."""
        self._looks[name] += 1
        return self._outward.look(name, self._looks[name], work)

    async def look_in_thread(self, name: str, work: Callable[[], Any]) -> Any:  # noqa: ANN401 - plain values
        """The same for what may take long."""
        (seen,) = await self.ask("look", [name], work)
        return seen

    def note(self, entry: Entry, size_bytes: int = 0) -> None:
        """Something the daemon has done, for the recording."""
        self._notes.note(entry, size_bytes)

    # -- what the loop asks

    def wake(self, *, foreign: bool) -> None:
        self._foreign += foreign
        self._outward.wake()

    def call_from_thread(self, call: Callable[[], object]) -> None:
        self._calls.append(call)
        self._outward.call_from_thread(partial(self.wake, foreign=True))

    def run_job(self, work: Callable[[], Any]) -> asyncio.Future[Any]:
        """Named after the task that wants it: what else goes on in the process changes no name."""
        task = asyncio.current_task()
        name = "" if task is None else task.get_name()
        self._jobs_begun[name] += 1
        number = self._jobs_begun[name]
        future = self._jobs[name, number] = self.loop.create_future()
        self._outward.start_job(name, number, work)
        return future


def _cancel(tasks: Iterable[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
