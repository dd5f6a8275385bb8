"""The near ends of the network on a serial loop: what aiohttp and websockets are to our clients.

Nothing of the network runs on that loop. A request is asked for and its answer is an input; so is every frame. Only the
parts of both libraries that our clients use are here.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Final, Self

from yarl import URL

from kalshi_daemon.recording.desk import Desk
from kalshi_daemon.recording.entries import bytes_of, text_of

HTTP: Final = "http"
DIAL: Final = "dial"
CLOSE: Final = "close"
PING: Final = "ping"
SEND: Final = "send"
_STARS: Final = "**********"
"""What stands for a secret; also what the settings of a replay hold in its place."""


class WireResponse:
    """The part of aiohttp's response that our clients read: status, two headers, a body that is all there."""

    def __init__(self, status: int, date: str | None, retry_after: str | None, body: bytes) -> None:
        named = {"Date": date, "Retry-After": retry_after}
        self.status = status
        self.headers: Mapping[str, str] = {name: value for name, value in named.items() if value is not None}
        self.content = self
        self._left = body

    async def read(self, most: int) -> bytes:
        """Up to `most` bytes; none at the end."""
        taken, self._left = self._left[:most], self._left[most:]
        return taken

    async def iter_any(self) -> AsyncIterator[bytes]:
        """What is left, at once."""
        if self._left:
            yield self._left

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_problem: object) -> None:
        return None


class _Request:
    """`async with session.request(...) as response`, and `await session.get(...)`."""

    def __init__(self, answered: Callable[[], Awaitable[WireResponse]]) -> None:
        self._answered = answered

    def __await__(self) -> Any:  # noqa: ANN401 - a generator, as the protocol has it
        return self._answered().__await__()

    async def __aenter__(self) -> WireResponse:
        return await self._answered()

    async def __aexit__(self, *_problem: object) -> None:
        return None


class WireSession:
    """Stands for aiohttp's client session. `far`: the real one, which only the outside sees."""

    closed = False

    def __init__(self, desk: Desk, far: Any) -> None:  # noqa: ANN401 - or None in a replay
        self._desk = desk
        self._far = far

    @property
    def _retry_connection(self) -> bool:
        return False

    @_retry_connection.setter
    def _retry_connection(self, value: bool) -> None:
        """The client's switch (`kalshi.transport`) is the real session's."""
        if self._far is not None:
            self._far._retry_connection = value  # noqa: SLF001 - passed on

    def request(self, method: str, url: URL, *, data: bytes | None = None, **options: Any) -> _Request:  # noqa: ANN401
        """As aiohttp's. Headers are not noted: they hold a signature that is another one each time."""

        async def answered() -> WireResponse:
            said = [method, str(url), None if data is None else text_of(data)]
            asked = self._desk.ask(HTTP, said, self._far, method, url, {"data": data, **options})
            status, date, retry_after, found = await asked
            return WireResponse(status, date, retry_after, found if isinstance(found, bytes) else bytes_of(found))

        return _Request(answered)

    def get(self, url: URL, **options: Any) -> _Request:  # noqa: ANN401 - as aiohttp's
        """As aiohttp's."""
        return self.request("GET", url, **options)


class WireSocket:
    """The part of a websockets connection that our clients use."""

    def __init__(self, desk: Desk, number: int, secret: str) -> None:
        self._desk = desk
        self._number = number
        self._secret = secret
        self._frames: deque[bytes] = deque()
        self._problem: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None
        self.on_bytes: Callable[[], None] | None = None

    def take(self, frame: bytes) -> None:
        self._frames.append(frame)
        self.hear()
        self._wake()

    def hear(self) -> None:
        if self.on_bytes is not None:
            self.on_bytes()

    def end(self, problem: Exception) -> None:
        self._problem = problem
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def recv(self, decode: bool | None = None) -> bytes:  # noqa: ARG002, FBT001 - websockets' signature
        """The next frame. Raises what ended the connection, once everything that came before was taken."""
        while not self._frames:
            if self._problem is not None:
                raise self._problem
            self._waiter = self._desk.loop.create_future()
            await self._waiter
        return self._frames.popleft()

    async def send(self, message: str | bytes, text: bool | None = None) -> None:  # noqa: FBT001 - websockets'
        """In order, at once. That the connection is gone is told to whoever reads. Raises what ended it."""
        if self._problem is not None:
            raise self._problem
        said = message if isinstance(message, str) else message.decode()
        if self._secret:
            said = said.replace(self._secret, _STARS)
        self._desk.tell(SEND, [self._number, said], self._number, message, text)

    async def ping(self) -> asyncio.Future[Any]:
        """A future that is done when the answer is there."""
        return self._desk.ask(PING, [self._number], self._number)


class WireDial:
    """Stands for `websockets.connect`: `async with dial(url, ...) as socket`. `far`: the real one.

    secret: text that is not to be noted.
    """

    def __init__(self, desk: Desk, far: Any, secret: str = "") -> None:  # noqa: ANN401 - or None in a replay
        self._desk = desk
        self._far = far
        self._secret = secret

    def __call__(self, url: str, **options: Any) -> "_Connection":  # noqa: ANN401 - websockets' own
        return _Connection(self._desk, self._far, url, options, self._secret)


class _Connection:
    def __init__(self, desk: Desk, far: Any, url: str, options: Mapping[str, Any], secret: str) -> None:  # noqa: ANN401
        self._desk = desk
        self._far = far
        self._url = url
        self._options = options
        self._secret = secret
        self._number = 0

    async def __aenter__(self) -> WireSocket:
        (self._number,) = await self._desk.ask(DIAL, [self._url], self._far, self._url, self._options)
        socket = WireSocket(self._desk, self._number, self._secret)
        self._desk.sockets[self._number] = socket
        return socket

    async def __aexit__(self, *_problem: object) -> None:
        self._desk.sockets.pop(self._number, None)
        await self._desk.ask(CLOSE, [self._number], self._number)
