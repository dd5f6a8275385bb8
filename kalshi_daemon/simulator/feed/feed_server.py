"""The vendor's index feed, on loopback: a websocket server that speaks the Massive protocol.

Source: docs/reference/feed.md 1.2-1.8.

What it does as the vendor does: greets first; takes the key in a message; answers `auth_failed` and then drops TCP
without a close frame; acknowledges every topic of a subscribe in one array; drops unknown channels without a word;
acknowledges unknown tickers and then never sends them; does not answer for what is already held; closes the OLDER
session when a key is used twice (`max_connections`, 1008); sends arrays, several events in one frame; replays nothing.
The vendor's REST aggregates and snapshots are served on the same port (`feed_history`, `feed_snapshot`).

Cadence: each second one frame with V of both indices, preceded by the A of the second and the AM of the minute that
just ended. Values go on for five minutes after the close and differ slightly from the last print.

Faults are plain methods; each says how long it lasts.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

import orjson
from websockets.asyncio.connection import broadcast
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from kalshi_daemon.domain.index import Channel, Index
from kalshi_daemon.ground.clock import Clock
from kalshi_daemon.ground.units import MINUTE, SECOND, Nanos, to_ms
from kalshi_daemon.simulator.feed import feed_history, feed_snapshot
from kalshi_daemon.simulator.feed.feed_history import FeedHistory
from kalshi_daemon.simulator.feed.feed_snapshot import FeedSnapshot
from kalshi_daemon.simulator.feed.index_path import IndexPath, Paths
from kalshi_daemon.simulator.feed.misprints import Event, Misprint, bend

HOST: Final = "127.0.0.1"
PATH: Final = "/indices"
CLIENTS_MAX: Final = 64
"""Connections at one time; the next one is closed at once (1013)."""
WRITE_BUFFER_MAX: Final = 2**20
"""Bytes a client may leave unread before it is told `slow_consumer` and dropped."""
_FLUSH_TURNS: Final = 10
_CHANNELS: Final = {channel.value for channel in Channel}
_POLICY_VIOLATION: Final = 1008


@dataclass(slots=True, eq=False)
class _Client:
    connection: ServerConnection
    key: str | None = None
    """The key it authenticated with; None before, and again once it is evicted."""
    topics: set[str] = field(default_factory=set)
    held_back: bytes | None = None

    def wants(self, channel: str, index: Index) -> bool:
        return f"{channel}.{index.feed_ticker}" in self.topics or f"{channel}.*" in self.topics


@dataclass(slots=True)
class _Faults:
    greeting: bool = True
    auth_answer: bool = True
    auth_refusal: str = ""
    silent_topics: frozenset[str] = frozenset()
    refused_topics: frozenset[str] = frozenset()
    stalled_until_ns: int = 0
    delay_ns: int = 0
    duplicates: int = 0
    swaps: int = 0
    abort_after: int | None = None


class FeedServer:
    """Serves `paths` to whoever knows `api_key`. `publish` is called by whoever drives time."""

    def __init__(self, paths: Paths, clock: Clock, api_key: str) -> None:
        self._paths = paths
        self._clock = clock
        self._api_key = api_key
        self._clients: list[_Client] = []
        self._server: Server | None = None
        self._port = 0
        self._next_ns = 0
        self._faults = _Faults()
        self.misprints: list[Misprint] = []
        """Wrong events still to come; the first that fits an event bends it."""
        self.history = FeedHistory(clock, api_key, [paths])
        self.snapshot = FeedSnapshot(self.history, self.misprints)
        self.sessions_total = 0
        """Authenticated sessions since the start."""
        self.events_sent = 0

    # ------------------------------------------------------------------ life

    async def start(self, port: int = 0) -> str:
        """Listen (0: any free port) and return the url. What was due before this moment is never published."""
        self._next_ns = first_due(self._paths, self._clock.now_ns())
        self._port = port
        self._server = await serve(
            self._serve, HOST, port, process_request=self._over_http, compression=None, close_timeout=1.0
        )
        return self.url

    @property
    def url(self) -> str:
        """Where it listens. Only while it is started."""
        assert self._server is not None, "started"
        # A loop whose servers own no sockets (a simulated network) listens on the port it was asked for.
        sockets = tuple(self._server.sockets)
        return f"ws://{HOST}:{sockets[0].getsockname()[1] if sockets else self._port}{PATH}"

    @property
    def rest_url(self) -> str:
        """Where its REST side is. Only while it is started."""
        return self.url.removesuffix(PATH).replace("ws://", "http://", 1)

    async def aclose(self) -> None:
        """Close every session (1001) and stop listening."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    def publish(self, now_ns: Nanos) -> None:
        """Send everything due up to `now_ns`, a frame per second of the session; never sends anything twice."""
        due_ns = now_ns - self._faults.delay_ns
        last_ns = max(path.last_ns for path in self._paths.values())
        while self._next_ns <= min(due_ns, last_ns):
            second, self._next_ns = self._next_ns, self._next_ns + SECOND
            if now_ns >= self._faults.stalled_until_ns:
                self._send_to_all(events_at(self._paths, Nanos(second)))

    # ---------------------------------------------------------------- faults

    def stall(self, until_ns: Nanos) -> None:
        """Connections stay up and silent until then; what falls due meanwhile is lost."""
        self._faults.stalled_until_ns = until_ns

    def delay(self, delay_ns: Nanos) -> None:
        """Everything comes this late from now on, with its true stamp (a delayed plan). 0 ends it at once."""
        self._faults.delay_ns = delay_ns

    def duplicate(self, frames: int) -> None:
        """Send each of the next `frames` frames twice."""
        self._faults.duplicates = frames

    def swap(self, pairs: int) -> None:
        """Send the next `pairs` pairs of frames in the wrong order."""
        self._faults.swaps = 2 * pairs

    def abort(self) -> None:
        """Drop every TCP connection now, without a close frame: the common drop (docs/reference/feed.md 1.3)."""
        for client in self._clients:
            client.connection.transport.abort()

    def abort_after(self, values: int) -> None:
        """Drop every connection once `values` more V events have gone out. Happens once."""
        self._faults.abort_after = values

    def refuse_auth(self, message: str) -> None:
        """Answer every key with `auth_failed` and this message; "" takes keys again."""
        self._faults.auth_refusal = message

    def mute(self, *, greeting: bool = False, auth_answer: bool = False) -> None:
        """Leave out the greeting or the answer to auth, until called again without."""
        self._faults.greeting, self._faults.auth_answer = not greeting, not auth_answer

    def drop_topics(self, topics: Iterable[str]) -> None:
        """Treat these topics (wire form) as unknown: no acknowledgement, no data."""
        self._faults.silent_topics = frozenset(topics)

    def refuse_topics(self, topics: Iterable[str]) -> None:
        """Answer these topics with `error`, `not authorized`; the session stays open."""
        self._faults.refused_topics = frozenset(topics)

    def send_raw(self, frame: bytes | str) -> None:
        """Send anything at all to every connection."""
        broadcast([client.connection for client in self._clients], frame)

    def send_status(self, status: str, message: str) -> None:
        """Send one status to every connection."""
        self.send_raw(orjson.dumps([_status(status, message)]).decode())

    async def close_all(self, code: int, reason: str = "") -> None:
        """Close every connection with a close frame. `code` is that of RFC 6455."""
        await asyncio.gather(*(client.connection.close(code, reason) for client in tuple(self._clients)))

    # --------------------------------------------------------------- session

    @property
    def connections(self) -> int:
        return len(self._clients)

    @property
    def authenticated(self) -> int:
        return sum(client.key is not None for client in self._clients)

    async def _serve(self, connection: ServerConnection) -> None:
        if len(self._clients) >= CLIENTS_MAX:
            await connection.close(1013, "too many connections")
            return
        client = _Client(connection)
        self._clients.append(client)
        try:
            if self._faults.greeting:
                await _say(connection, _status("connected", "Connected Successfully"))
            async for message in connection:
                await self._obey(client, message)
        except ConnectionClosed:
            pass  # dropped without a close frame, by either side
        finally:
            self._clients.remove(client)

    def _over_http(self, connection: ServerConnection, request: Request) -> Response | None:
        """Everything that is no websocket: the aggregates, the snapshot, or nothing."""
        if request.path == PATH:
            return None
        if request.path.startswith(feed_history.PREFIX):
            return self.history.answer(request)
        if request.path.partition("?")[0] == feed_snapshot.PREFIX:
            return self.snapshot.answer(request)
        served = f"only {PATH}, {feed_history.PREFIX} and {feed_snapshot.PREFIX} are served\n"
        return connection.respond(HTTPStatus.NOT_FOUND, served)

    async def _obey(self, client: _Client, message: str | bytes) -> None:
        """One client command; what cannot be understood is ignored, as far as is known."""
        try:
            command = orjson.loads(message)
        except orjson.JSONDecodeError:
            return
        if not isinstance(command, dict) or not isinstance(command.get("params"), str):
            return
        params: str = command["params"]
        if command.get("action") == "auth":
            await self._authenticate(client, params)
        elif client.key is None:
            return
        elif command.get("action") == "subscribe":
            await self._subscribe(client, params)
        elif command.get("action") == "unsubscribe":
            await self._unsubscribe(client, params)

    async def _authenticate(self, client: _Client, key: str) -> None:
        if not self._faults.auth_answer:
            return
        refusal = self._faults.auth_refusal or ("" if key == self._api_key else "authentication failed")
        if refusal:
            await _say(client.connection, _status("auth_failed", refusal))
            await _flushed(client.connection)
            client.connection.transport.abort()
            return
        older = [other for other in self._clients if other.key == key and other is not client]
        client.key = key
        self.sessions_total += 1
        await _say(client.connection, _status("auth_success", "authenticated"))
        for other in older:
            other.key = None
            other.topics.clear()
            exceeded = _status("max_connections", "Maximum number of websocket connections exceeded.")
            broadcast([other.connection], orjson.dumps([exceeded]), text=True)
            await other.connection.close(_POLICY_VIOLATION)

    async def _subscribe(self, client: _Client, params: str) -> None:
        answers: list[dict[str, str]] = []
        for topic in (part.strip() for part in params.split(",")):
            channel, _, ticker = topic.partition(".")
            if channel not in _CHANNELS or not ticker or topic in self._faults.silent_topics or topic in client.topics:
                continue
            if topic in self._faults.refused_topics:
                answers.append(_status("error", "not authorized"))
                continue
            client.topics.add(topic)
            answers.append(_status("success", f"subscribed to: {topic}"))
        if answers:
            await _say(client.connection, *answers)

    async def _unsubscribe(self, client: _Client, params: str) -> None:
        held = [topic for topic in (part.strip() for part in params.split(",")) if topic in client.topics]
        client.topics.difference_update(held)
        if held:
            await _say(client.connection, *(_status("success", f"unsubscribed to: {topic}") for topic in held))

    # ---------------------------------------------------------------- frames

    def _send_to_all(self, events: list[Event]) -> None:
        bent = bend(events, self.misprints)
        for client in tuple(self._clients):
            wanted = [payload for channel, index, payload in bent if client.wants(channel, index)]
            if wanted:
                self.events_sent += len(wanted)
                for frame in self._disturbed(client, b"[" + b",".join(wanted) + b"]"):
                    _send(client, frame)
        self._faults.duplicates = max(0, self._faults.duplicates - 1)
        self._faults.swaps = max(0, self._faults.swaps - 1)
        if self._faults.abort_after is not None:
            self._faults.abort_after -= sum(channel == "V" for channel, _, _ in events)
            if self._faults.abort_after <= 0:
                self._faults.abort_after = None
                self.abort()

    def _disturbed(self, client: _Client, frame: bytes) -> list[bytes]:
        """The frames that really go out for this one, after duplication and swapping."""
        frames = [frame, frame] if self._faults.duplicates > 0 else [frame]
        if client.held_back is not None:
            frames.append(client.held_back)
            client.held_back = None
        elif self._faults.swaps > 0:
            client.held_back = frame
            return []
        return frames


def first_due(paths: Paths, now_ns: Nanos) -> Nanos:
    """The first second of the session that is still to be published: what was due before `now_ns` never is."""
    first = min(path.open_ns for path in paths.values())
    late = max(0, now_ns - first)
    return Nanos(first + -(-late // SECOND) * SECOND)


def events_at(paths: Paths, second: Nanos) -> list[Event]:
    """Everything that falls due at this second: bars that ended, then values."""
    events: list[Event] = []
    for index, path in paths.items():
        if (second - path.open_ns) % MINUTE == 0:
            events.extend(_bar_event(path, index, Channel.MINUTE, second, MINUTE))
        events.extend(_bar_event(path, index, Channel.SECOND, second, SECOND))
    for index, path in paths.items():
        if path.open_ns <= second <= path.last_ns:
            value = {"ev": "V", "val": path.value_at(second), "T": index.feed_ticker, "t": to_ms(second)}
            events.append(("V", index, value))
    return events


def _bar_event(path: IndexPath, index: Index, channel: Channel, end_ns: Nanos, length_ns: Nanos) -> list[Event]:
    """The aggregate of the window that ends now, or nothing: a window without a value makes no bar."""
    bar = path.bar(channel, Nanos(end_ns - length_ns), end_ns)
    if bar is None:
        return []
    payload = {
        "ev": channel.value,
        "sym": index.feed_ticker,
        "op": float(path.values[0]),
        "o": bar.open,
        "c": bar.close,
        "h": bar.high,
        "l": bar.low,
        "s": to_ms(bar.start_ns),
        "e": to_ms(bar.end_ns),
    }
    return [(channel.value, index, payload)]


def _send(client: _Client, frame: bytes) -> None:
    """Queue one frame; a client that does not read is told and dropped."""
    transport = client.connection.transport
    if transport.get_write_buffer_size() > WRITE_BUFFER_MAX:
        slow = orjson.dumps([_status("slow_consumer", "Slow consumer, closing connection")])
        broadcast([client.connection], slow, text=True)
        transport.abort()
        return
    broadcast([client.connection], frame, text=True)


def _status(status: str, message: str) -> dict[str, str]:
    return {"ev": "status", "status": status, "message": message}


async def _say(connection: ServerConnection, *items: dict[str, str]) -> None:
    await connection.send(orjson.dumps(list(items)), text=True)


async def _flushed(connection: ServerConnection) -> None:
    """Give the loop its turns to hand what was written to the kernel: an abort throws away what it did not."""
    for _ in range(_FLUSH_TURNS):
        await asyncio.sleep(0)
        if connection.transport.get_write_buffer_size() == 0:
            return
