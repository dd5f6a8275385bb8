"""The status of a running daemon, over a unix socket in its state directory: `<mode_dir>/status.sock`, mode 0600.

Who connects is sent one JSON document and the end of the stream; nothing is read. The lock of the directory says whose
socket it is: the daemon that holds it replaces one that was left behind, and a client that finds the lock held and
gets no answer knows that the daemon is stuck. A path longer than a socket address may be (107 bytes) goes through
/proc/self/fd, which Linux resolves.
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import Any, Final, cast

import orjson
import structlog

from kalshi_daemon.ground.errors import DaemonError, ExitCode, MalformedField
from kalshi_daemon.ground.readers import parse_json
from kalshi_daemon.operations.lock import running_daemon

SOCKET_NAME: Final = "status.sock"
READERS_MAX: Final = 8
"""More at once are turned away."""
WRITE_WITHIN_S: Final = 2.0
"""A reader that has not taken its answer by then is cut off."""
ANSWER_WITHIN_S: Final = 5.0
"""Real time a client waits: a loop that turns answers within milliseconds."""
_ADDRESS_BYTES_MAX: Final = 107
_ANSWER_BYTES_MAX: Final = 4 * 1024 * 1024
_OWNER_ONLY: Final = 0o600

log = structlog.get_logger()


class NoDaemon(DaemonError):  # noqa: N818 - errors are nouns: the tree's rule
    """No daemon runs on this state directory in this mode."""

    exit_code = ExitCode.REFUSED


class DaemonStuck(DaemonError):  # noqa: N818 - as above
    """A daemon holds the lock and does not answer."""


class _Answering(asyncio.Protocol):
    """One connection: the answer, then the end."""

    def __init__(self, open_now: set["_Answering"], answer: Callable[[], bytes]) -> None:
        self._open_now = open_now
        self._answer = answer
        self._late: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if len(self._open_now) >= READERS_MAX:
            self.cut()
            return
        self._open_now.add(self)
        self._late = asyncio.get_running_loop().call_later(WRITE_WITHIN_S, self.cut)
        self._transport.write(self._answer())
        self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._open_now.discard(self)
        if self._late is not None:
            self._late.cancel()

    def cut(self) -> None:
        """Let go at once, whatever was not taken."""
        if self._transport is not None:
            self._transport.abort()


@asynccontextmanager
async def serve_status(mode_dir: Path, answer: Callable[[], bytes]) -> AsyncIterator[None]:
    """Answer on the directory's socket for as long as the context lasts.

    answer: called for each connection; makes the document and never raises. The lock of the directory is held by the
    caller. A socket that cannot be made is said and costs nothing else: the daemon trades without.
    """
    open_now: set[_Answering] = set()
    try:
        listening = _bound(mode_dir)
    except OSError as problem:
        log.warning("status.not_served", path=str(mode_dir / SOCKET_NAME), problem=str(problem))
        yield
        return
    server = await asyncio.get_running_loop().create_unix_server(
        lambda: _Answering(open_now, answer), sock=listening, backlog=READERS_MAX
    )
    try:
        yield
    finally:
        server.close()
        for one in tuple(open_now):
            one.cut()
        with suppress(OSError):
            (mode_dir / SOCKET_NAME).unlink()


def _bound(mode_dir: Path) -> socket.socket:
    """A socket bound to its place, mode 0600 from its first moment. Raises OSError."""
    with suppress(FileNotFoundError):
        (mode_dir / SOCKET_NAME).unlink()
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        os.fchmod(made.fileno(), _OWNER_ONLY)  # Linux gives the file this mode, so there is no moment with another
        with _address(mode_dir) as address:
            made.bind(address)
    except OSError:
        made.close()
        raise
    return made


@contextmanager
def _address(mode_dir: Path) -> Iterator[str]:
    """The socket's path, or one through the folder's descriptor where that is too long. Raises OSError."""
    path = str(mode_dir.absolute() / SOCKET_NAME)
    if len(os.fsencode(path)) <= _ADDRESS_BYTES_MAX:
        yield path
        return
    folder = os.open(mode_dir, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{SOCKET_NAME}"
    finally:
        os.close(folder)


def ask_status(mode_dir: Path, within_s: float = ANSWER_WITHIN_S) -> dict[str, Any]:
    """The document of the daemon that runs on a mode's directory. Blocks for `within_s` seconds at the most.

    Raises NoDaemon when none runs, DaemonStuck when it gives no answer in time, MalformedField for an answer that is
    not JSON.
    """
    try:
        raw = _read(mode_dir, within_s)
    except (FileNotFoundError, ConnectionRefusedError) as problem:
        pid = running_daemon(mode_dir)
        if pid is None:
            raise NoDaemon(f"no daemon runs on {mode_dir}") from None
        words = "it starts, stops, or is of an older version"
        raise DaemonStuck(
            f"process {pid} runs on {mode_dir} and serves no status ({words}): {problem.strerror}"
        ) from None
    except TimeoutError:
        pid = running_daemon(mode_dir)
        who = "a process" if pid is None else f"process {pid}"
        raise DaemonStuck(f"{who} took the question and gave no answer in {within_s:g} s: it is stuck") from None
    except OSError as problem:
        raise DaemonStuck(f"{mode_dir / SOCKET_NAME}: {problem.strerror or type(problem).__name__}") from None
    found = parse_json(raw.decode("utf-8", "replace"), "status")
    if not isinstance(found, dict):
        raise MalformedField("status", found, "a JSON object")
    if "error" in found:
        raise DaemonStuck(f"the daemon on {mode_dir} could not make its status: {found['error']} (see its log)")
    return found


def _read(mode_dir: Path, within_s: float) -> bytes:
    """All that the daemon says. Raises OSError, TimeoutError among them."""
    until_s = monotonic() + within_s
    pieces: list[bytes] = []
    size = 0
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.settimeout(within_s)
        with _address(mode_dir) as address:
            asking.connect(address)
        while size <= _ANSWER_BYTES_MAX:
            asking.settimeout(max(0.001, until_s - monotonic()))
            piece = asking.recv(65_536)
            if not piece:
                break
            pieces.append(piece)
            size += len(piece)
    if not pieces:
        raise ConnectionAbortedError(0, "turned away: too many readers at once")
    return b"".join(pieces)


def to_bytes(found: dict[str, Any]) -> bytes:
    """A document as it goes over the socket."""
    return orjson.dumps(found, default=str) + b"\n"
