"""The websocket task: connects, keeps the session alive, tells the sink what happened (docs/reference/venue.md 5).

All decisions about frames and commands are in `stream_session`; here are the socket, the times and the back-off. The
sink is called synchronously, in the order of arrival, and must not block.

A connection is dead when nothing at all arrived for `stream_silence_s` of the clock **and** a ping of ours is not
answered within PROBE_TIMEOUT_S of real time: under a clock that runs faster than life the venue's own pings are too
rare to count on.
"""

import asyncio
import itertools
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Never
from urllib.parse import urlsplit

import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, WebSocketException

from kalshi_daemon.domain.events import BooksLost, StreamDown, VenueEvent
from kalshi_daemon.ground.backoff import doubled
from kalshi_daemon.ground.clock import Clock
from kalshi_daemon.ground.errors import AuthFailed, ClockSkewed, ConfigurationError, leaves_of
from kalshi_daemon.ground.units import MILLISECOND, SECOND, Nanos, from_s, to_ms
from kalshi_daemon.kalshi.auth import Signer
from kalshi_daemon.kalshi.network_time import NetworkTime
from kalshi_daemon.kalshi.refusals import FORBIDDEN, UNAUTHORIZED, parse_refusal
from kalshi_daemon.kalshi.server_time import ServerClock, date_header_ns
from kalshi_daemon.kalshi.stream_session import SessionLost, StreamSession
from kalshi_daemon.kalshi.ws_codec import any_ticker
from kalshi_daemon.settings.model import KalshiSettings

OPEN_TIMEOUT_S: Final = 10.0
CLOSE_TIMEOUT_S: Final = 2.0
PROBE_TIMEOUT_S: Final = 5.0
FRAMES_QUEUED_MAX: Final = 1_024
"""At this many unread frames the socket is not read further; the venue then answers with error 25."""
FRAME_BYTES_MAX: Final = 64 * 1024 * 1024
"""The venue's own bound; a larger frame ends the connection."""
BACKOFF_FIRST: Final = Nanos(500 * MILLISECOND)
BACKOFF_MAX: Final = Nanos(30 * SECOND)
STEADY_AFTER: Final = Nanos(60 * SECOND)
"""A session that was up for so long starts the back-off anew."""
AUTH_TRIES: Final = 3

log = structlog.get_logger()


class _Connect(connect):
    """Never follows a redirect: the signature is for the host we were told."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class _Connection(ClientConnection):
    """Notes every byte that arrives, pings included."""

    on_bytes: Callable[[], None] | None = None

    def data_received(self, data: bytes) -> None:
        if self.on_bytes is not None:
            self.on_bytes()
        super().data_received(data)


@dataclass(frozen=True, slots=True)
class StreamSink:
    """Where the stream's events go."""

    on_event: Callable[[VenueEvent], None]
    is_ours: Callable[[str], bool] = any_ticker
    """Whether a market ticker may matter to us: what is said of others need not be readable."""


class KalshiStream:
    """The account's websocket; implements `api.StreamControl`. One `run` at a time."""

    def __init__(
        self,
        ws_url: str,
        signer: Signer,
        clock: Clock,
        settings: KalshiSettings,
        sink: StreamSink,
        *,
        rng: random.Random,
        server_clock: ServerClock | None = None,
    ) -> None:
        parts = urlsplit(ws_url)
        if parts.scheme not in ("ws", "wss") or not parts.hostname or not parts.path or parts.query:
            raise ConfigurationError("kalshi.ws_url", f"is {ws_url!r}", "must be wss://HOST/trade-api/ws/v2")
        self._url = ws_url
        self._path = parts.path
        self._signer = signer
        self._clock = clock
        self._settings = settings
        self._sink = sink.on_event
        self._rng = rng
        self._server_clock = server_clock or ServerClock()
        self._is_ours = sink.is_ours
        self.dial: Callable[..., Any] = _Connect
        """Opens a connection; a backtest puts one without a wire here."""
        self._command_ids = itertools.count(1)
        self._wanted: tuple[str, ...] = ()
        self._session: StreamSession | None = None
        self._network_time: NetworkTime | None = None
        self._changed = asyncio.Event()
        self.heard_ns: Nanos | None = None
        """When anything at all last arrived on the current connection, pings included; None while there is none."""
        self.connections = 0
        self._repeated = 0

    def want_books(self, market_tickers: Sequence[str]) -> None:
        """The full set of markets whose books should be streamed; kept over reconnects."""
        self._wanted = tuple(market_tickers)
        if self._session is not None:
            self._session.want(self._wanted)
        self._changed.set()

    def request_snapshots(self, market_tickers: Sequence[str]) -> None:
        """Ask for fresh snapshots of streamed markets; without a connection there is nothing to ask."""
        if self._session is not None:
            self._session.need_snapshots(market_tickers)
        self._changed.set()

    def resubscribe(self, market_tickers: Sequence[str]) -> None:
        """Take these markets out of the subscription and in again; a new connection does so by itself."""
        if self._session is not None:
            self._session.renew(market_tickers)
        self._changed.set()

    @property
    def repeated(self) -> int:
        """Frames of all connections that were dropped because their number had passed."""
        return self._repeated + (0 if self._session is None else self._session.dropped)

    async def run(self) -> Never:
        """Connect for ever. Raises AuthFailed after AUTH_TRIES refusals in a row; every other end is retried.

        A 401 while our clock is proven to be off is the clock's: it is retried for as long as that lasts.
        """
        ends = refused = 0
        while True:
            started, asked = self._clock.mono_ns(), self._clock.now_ns()
            try:
                cause = await self._connection()
                refused = 0
                if self._clock.mono_ns() - started >= STEADY_AFTER:
                    ends = 0
            except InvalidStatus as problem:
                cause = f"handshake answered {problem.response.status_code}"
                skewed = self._clock_skewed(problem, asked)
                if skewed is not None:
                    cause, refused = str(skewed), 0
                elif problem.response.status_code in (UNAUTHORIZED, FORBIDDEN):
                    refused += 1
                else:
                    refused = 0
                if refused >= AUTH_TRIES:
                    raise _auth_failed(problem) from problem
            except (OSError, TimeoutError, InvalidHandshake, WebSocketException) as problem:
                cause = f"{type(problem).__name__}: {problem}"
            pause = Nanos(int(doubled(int(BACKOFF_FIRST), ends, int(BACKOFF_MAX)) * self._rng.uniform(0.5, 1.0)))
            log.warning("kalshi_stream.reconnecting", cause=cause, pause_ms=to_ms(pause), refused=refused)
            await self._clock.sleep(pause)
            ends += 1

    def _clock_skewed(self, problem: InvalidStatus, asked: Nanos) -> ClockSkewed | None:
        """A refused handshake as a matter of the clock, when its own `Date` or what REST measured proves it."""
        now = self._clock.now_ns()
        stamp = date_header_ns(problem.response.headers.get("Date"))
        if stamp is not None:
            self._server_clock.observe(asked, now, stamp, SECOND)
        skew_ns = self._server_clock.beyond(now)
        if skew_ns is None or problem.response.status_code != UNAUTHORIZED:
            return None
        return ClockSkewed(_auth_failed(problem), skew_ns, self._server_clock.skew_ns_max)

    async def _connection(self) -> str:
        """One connection from handshake to its end; returns why it ended. Raises what the handshake raised."""
        headers = self._signer.headers("GET", self._path, to_ms(self._clock.now_ns()))
        opening = self.dial(
            self._url,
            additional_headers=headers,
            compression=None,
            proxy=None,
            open_timeout=OPEN_TIMEOUT_S,
            close_timeout=CLOSE_TIMEOUT_S,
            ping_interval=None,
            max_size=FRAME_BYTES_MAX,
            max_queue=FRAMES_QUEUED_MAX,
            create_connection=_Connection,
        )
        async with opening as socket:
            session = StreamSession(
                self._command_ids, use_yes_price=self._settings.use_yes_price, is_ours=self._is_ours
            )
            session.want(self._wanted)
            self._session = session
            self.connections += 1
            self._hear()
            socket.on_bytes = self._hear
            log.info("kalshi_stream.session_opened", connection=self.connections)
            cause = "stopped"
            try:
                cause = await self._converse(socket, session)
            finally:
                socket.on_bytes = None
                self._repeated += session.dropped
                self._session = None
                self.heard_ns = None
                self._sink(StreamDown(self._clock.now_ns(), cause))
            log.warning("kalshi_stream.session_ended", cause=cause, was_up=session.up, dropped=session.dropped)
            return cause

    async def _converse(self, socket: _Connection, session: StreamSession) -> str:
        """Read, send and watch until one of them says that it is over."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._read(socket, session), name="kalshi_stream.read")
                group.create_task(self._send(socket, session), name="kalshi_stream.send")
                group.create_task(self._watch(socket), name="kalshi_stream.watch")
        except* (ConnectionClosed, SessionLost) as group_of_ends:
            ends = [_said(problem) for problem in leaves_of(group_of_ends)]
            cause = "; ".join(dict.fromkeys(ends))
        finally:
            self._log_notes(session)
        return cause

    async def _read(self, socket: ClientConnection, session: StreamSession) -> None:
        while True:
            raw = await socket.recv(decode=False)
            for event in session.receive(raw, self._clock.now_ns(), self._net_ns()):
                self._sink(event)
            if session.notes:
                self._log_notes(session)
            if session.stirred:
                self._changed.set()

    async def _send(self, socket: ClientConnection, session: StreamSession) -> None:
        while True:
            self._changed.clear()
            for command in session.commands(self._net_ns()):
                await socket.send(command, text=True)
            if session.lost:
                lost, session.lost = session.lost, []
                self._sink(BooksLost(tuple(lost), self._clock.now_ns()))
            with suppress(TimeoutError):
                async with asyncio.timeout(self._clock.real_seconds(session.wake_in(self._net_ns()))):
                    await self._changed.wait()

    def _net_ns(self) -> int:
        """For deadlines of the network, which run on whatever the clock does."""
        real_s = asyncio.get_running_loop().time()
        if self._network_time is None:
            self._network_time = NetworkTime(self._clock, real_s)
        return self._network_time.read(real_s)

    async def _watch(self, socket: ClientConnection) -> None:
        silence = from_s(self._settings.stream_silence_s)
        while True:
            heard = self.heard_ns
            assert heard is not None, "set for as long as the connection lives"
            await self._clock.sleep_until(Nanos(heard + silence))
            if self._clock.now_ns() - (self.heard_ns or heard) < silence:
                continue
            try:
                async with asyncio.timeout(PROBE_TIMEOUT_S):
                    await (await socket.ping())
            except TimeoutError:
                raise SessionLost(f"silent for {self._settings.stream_silence_s} s and deaf to a ping") from None
            self._hear()

    def _hear(self) -> None:
        self.heard_ns = self._clock.now_ns()

    def _log_notes(self, session: StreamSession) -> None:
        notes, session.notes = session.notes, []
        for note in notes:
            log.warning(note.event, **note.fields)


def _said(problem: BaseException) -> str:
    return str(problem) if isinstance(problem, SessionLost) else f"{type(problem).__name__}: {problem}"


def _auth_failed(problem: InvalidStatus) -> AuthFailed:
    response = problem.response
    refusal = parse_refusal(bytes(response.body or b""))
    return AuthFailed(
        "stream",
        response.status_code,
        refusal.code or "unnamed",
        refusal.message or "handshake refused",
        refusal.details,
    )
