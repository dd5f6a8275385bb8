"""A run on a serial loop inside the machine's: requests, frames, threads and signals are inputs, one after another."""

import asyncio
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosedError
from yarl import URL

from kalshi_daemon.ground.clock import SystemClock
from kalshi_daemon.ground.units import MILLISECOND, SECOND, Nanos
from kalshi_daemon.recording.driver import Driver
from kalshi_daemon.recording.wire import WireDial, WireSession

ANSWER = b'{"fine":true}'


class Notes:
    """What a recording would hold."""

    def __init__(self) -> None:
        self.inputs: list[list[Any]] = []
        self.followed: list[list[Any]] = []

    def note_input(self, _at, kind, detail, size_bytes=0):
        self.inputs.append([kind, *detail])

    def note(self, entry, size_bytes=0):
        self.followed.append(entry)

    def kinds(self) -> list[str]:
        return [one[0] for one in self.inputs]


class Answer:
    status = 200
    headers = {"Date": "Mon, 23 Nov 2026 14:45:00 GMT"}  # noqa: RUF012 - as aiohttp's

    def __init__(self):
        self.content = self

    async def iter_any(self):
        yield ANSWER


class Http:
    """A far end that answers at once, never, or with an error."""

    def __init__(self, problem: Exception | None = None, *, hangs=False):
        self.problem = problem
        self.hangs = hangs
        self.cancelled = 0

    @asynccontextmanager
    async def request(self, _method, _url, **_options):
        if self.hangs:
            try:
                await asyncio.Event().wait()
            finally:
                self.cancelled += 1
        if self.problem is not None:
            raise self.problem
        yield Answer()


class Socket:
    on_bytes = None

    def __init__(self, frames):
        self.frames = list(frames)
        self.sent: list[str] = []

    async def recv(self, decode=None):
        if self.frames:
            return self.frames.pop(0)
        raise ConnectionClosedError(None, None, None)

    async def send(self, message, text=None):
        self.sent.append(message)


async def lived(work, notes=None):
    driver = Driver(SystemClock())
    if notes is not None:
        driver.notes = notes
    return await driver.live(lambda: work(driver))


def run(work, notes=None):
    return asyncio.run(lived(work, notes))


async def fetched(driver, http):
    session: Any = WireSession(driver.desk, http)
    async with session.request("GET", URL("http://x/y")) as answer:
        return answer.status, answer.headers["Date"], await answer.content.read(1_000)


def test_an_answer_is_an_input_and_the_result_comes_back():
    notes = Notes()
    assert run(lambda driver: fetched(driver, Http()), notes) == (200, Answer.headers["Date"], ANSWER)
    assert notes.followed[0] == ["http", 1, "GET", "http://x/y", None]
    assert notes.inputs[1] == ["done", 1, 200, Answer.headers["Date"], None, ANSWER]
    assert notes.kinds()[0] == "begin"
    assert notes.kinds()[-1] == "closing"


def test_a_problem_of_the_network_is_raised_where_the_answer_was_awaited():
    with pytest.raises(OSError, match="reset by peer"):
        run(lambda driver: fetched(driver, Http(ConnectionResetError(104, "reset by peer"))))


def test_a_request_nobody_waits_for_any_more_is_let_go():
    http, notes = Http(hangs=True), Notes()

    async def work(driver):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await fetched(driver, http)
        return "late"

    assert run(work, notes) == "late"
    assert http.cancelled == 1
    assert ["cancel", 1] in notes.followed


def test_time_stands_while_an_input_is_worked_on_and_moves_with_the_next():
    async def work(driver):
        first = driver.clock.now_ns()
        busy = SystemClock().mono_ns() + 3 * MILLISECOND
        while SystemClock().mono_ns() < busy:
            pass
        same = driver.clock.now_ns()
        await driver.clock.sleep(Nanos(20 * MILLISECOND))
        later = driver.clock.now_ns()
        await driver.clock.sleep_until(Nanos(later + 10 * MILLISECOND))
        await asyncio.sleep(0.01)
        return first, same, later, driver.clock.now_ns()

    first, same, later, last = run(work)
    assert first == same
    assert 20 * MILLISECOND <= later - first < SECOND
    assert last - later >= 20 * MILLISECOND


def test_frames_come_in_order_then_the_end_and_secrets_are_not_noted():
    notes, socket = Notes(), Socket([b"one", b"two", b"\xff"])

    @asynccontextmanager
    async def dial(_url, **_options):
        yield socket

    async def work(driver):
        frames = []
        async with WireDial(driver.desk, dial, "s3cret")("ws://x") as near:
            await near.send("let me in: s3cret")
            frames += [await near.recv(decode=False) for _ in range(3)]
            with pytest.raises(ConnectionClosedError):
                await near.recv(decode=False)
            with pytest.raises(ConnectionClosedError):
                await near.send("too late")
        return frames

    assert run(work, notes) == [b"one", b"two", b"\xff"]
    assert socket.sent == ["let me in: s3cret"]
    assert ["send", 1, "let me in: **********"] in notes.followed
    assert "s3cret" not in str(notes.followed)
    assert notes.kinds().count("frame") == 3


def test_threads_and_signals_are_inputs_too():
    notes = Notes()

    async def work(driver):
        told: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        driver.desk.handlers["hello"] = told.set_result
        driver.signal("hello", "you")
        done = await asyncio.to_thread(lambda: 41 + 1)
        seen = driver.desk.look("file", lambda: ["x", None])
        again = driver.desk.look("file", lambda: ["x", None])
        room = await driver.desk.look_in_thread("disk", lambda: [5])
        return await told, done, seen, again, room

    assert run(work, notes) == ("you", 42, ["x", None], ["x", None], [5])
    assert ["signal", "hello", "you"] in notes.inputs
    assert [one for one in notes.followed if one[0] == "saw"] == [["saw", "file", 1, ["x", None]]]
    assert "job" in notes.kinds()


def test_what_others_schedule_between_inputs_is_told_as_interleaved():
    notes = Notes()

    async def outer():
        driver, gate = Driver(SystemClock()), asyncio.Event()
        driver.notes = notes
        asyncio.get_running_loop().call_later(0.02, gate.set)
        await driver.live(gate.wait)

    asyncio.run(outer())
    assert ["interleaved", 1] in notes.followed


def test_cancelled_from_outside_it_ends_in_order_first():
    ended = []

    async def work(driver):
        try:
            await asyncio.Event().wait()
        finally:
            await driver.clock.sleep(Nanos(10 * MILLISECOND))
            ended.append("in order")

    async def outer():
        async with asyncio.timeout(0.05):
            await lived(work)

    with pytest.raises(TimeoutError):
        asyncio.run(outer())
    assert ended == ["in order"]


def test_what_hangs_outside_at_the_end_is_given_up():
    http = Http(hangs=True)

    async def work(driver):
        asyncio.get_running_loop().create_task(fetched(driver, http), name="left")
        await asyncio.sleep(0.01)
        return "over"

    assert run(work) == "over"
    assert http.cancelled == 1


def test_books_that_cannot_be_noted_cost_no_input():
    notes = Notes()

    async def outer():
        driver = Driver(SystemClock())
        driver.notes = notes
        driver.desk.books = lambda: [1 / 0]
        return await driver.live(lambda: fetched(driver, Http()))

    assert asyncio.run(outer())[0] == 200
    assert ["books", "failed", "ZeroDivisionError"] in notes.followed


def test_an_input_that_fails_does_not_keep_the_next_ones_waiting():
    async def work(driver):
        told: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        driver.desk.handlers |= {"bad": lambda _told: 1 / 0, "good": told.set_result}
        driver.signal("bad", None)
        driver.signal("good", "heard")
        return await told

    async def outer():
        asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
        return await lived(work)

    assert asyncio.run(outer()) == "heard"
