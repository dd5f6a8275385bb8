"""The index feed session: connect, authenticate, subscribe, then turn frames into state. One task, forever.

Failures are of three kinds (docs/reference/feed.md 1.3, 1.7):

* terminal: `auth_failed` ends `run()` with FeedAuthFailed; a refused key is never retried;
* long: `max_connections` means another session uses our key; back off for `eviction_backoff_s`, loudly, because two
  daemons on one key evict each other for ever;
* retryable: everything else, with an exponential, jittered back-off that is reset only by a session that lived.

Ages are never stored and nothing is ever restamped: readers compute `now - event_ns` themselves. What was missed while
disconnected does not come (the vendor does not replay): whoever wants it hears of the new session and asks `history`.
"""

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Never

import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidURI, WebSocketException

from kalshi_daemon.domain.index import Bar, Channel, Index, Tick
from kalshi_daemon.ground.backoff import doubled
from kalshi_daemon.ground.clock import Clock
from kalshi_daemon.ground.errors import (
    ConfigurationError,
    FeedAuthFailed,
    FeedError,
    FeedEvicted,
    FeedProtocolError,
    MalformedData,
    leaves_of,
)
from kalshi_daemon.ground.units import SECOND, Nanos, from_s
from kalshi_daemon.ground.unreadable import UnreadableRate, UnreadableRates
from kalshi_daemon.index_feed.protocol import (
    FeedStatus,
    MonotonicGuard,
    RefusedItem,
    Topic,
    acknowledged,
    decode_counted,
    encode_auth,
    encode_subscribe,
    tick_of_second,
)
from kalshi_daemon.index_feed.skew import SkewEstimate
from kalshi_daemon.index_feed.value_intake import FeedContext, FeedListeners, ValueIntake
from kalshi_daemon.settings.model import IndexFeedSettings
from kalshi_daemon.state import DaemonState

LIVED_NS: Final = Nanos(30 * SECOND)
"""A session that delivered values for this long resets the back-off."""
UNREADABLE_RUN_MAX: Final = 20
"""Frames in a row that may hold nothing but garbage; one more ends the session."""
_ENDED_BY_SERVER: Final = frozenset({"slow_consumer", "force_disconnect"})
_QUEUE_FRAMES: Final = 1_024
_FRAME_BYTES_MAX: Final = 2**20
_KEEPALIVE_S: Final = 20
_CLOSE_S: Final = 1.0
_NETWORK_ERRORS: Final = (OSError, TimeoutError, WebSocketException)

log = structlog.get_logger()


@dataclass(slots=True)
class _Session:
    """What one connection has shown so far."""

    pending: set[Topic]
    quiet_since_ns: Nanos
    """Silence counts from here: the session's start, or the last look that found the market closed."""
    authenticated: bool = False
    connected: bool = False
    opened_mono_ns: Nanos | None = None
    values_of: set[Index] = field(default_factory=set)
    """Indices whose V topic was acknowledged or has spoken: their A closes are not ticks."""
    acked: set[Topic] = field(default_factory=set)
    delivered: int = 0
    ignored: int = 0
    unreadable_run: int = 0
    """Frames without anything good in them since the last one with."""
    rates: UnreadableRates = field(default_factory=UnreadableRates)
    silent: set[Index] = field(default_factory=set)


class IndexFeed:
    """The consumer task. Writes `state.feed`, `state.index` and `state.skew["index_feed"]`, nothing else.

    `rng` is the jitter of the back-off. Raises ConfigurationError when no topic that carries values is configured, or
    the url cannot be one.
    """

    def __init__(
        self,
        state: DaemonState,
        settings: IndexFeedSettings,
        clock: Clock,
        url: str,
        listeners: FeedListeners,
        context: FeedContext,
        *,
        rng: random.Random,
    ) -> None:
        if not {"V", "A"} & set(settings.channels):
            raise ConfigurationError("index_feed.channels", "needs V or A: minute bars alone carry no values", "add V")
        self._state = state
        self._settings = settings
        self._clock = clock
        self._url = url
        self._on_bar = listeners.on_bar
        self._session_open = context.session_open
        self._on_session = listeners.on_session
        self._rng = rng
        self._topics = tuple(Topic(Channel(name), index) for name in settings.channels for index in state.index)
        self._guard = MonotonicGuard()
        self._intake = ValueIntake(
            state, settings, listeners.on_tick, context.known, listeners.beliefs, context.outside
        )
        self._skew = SkewEstimate()
        self._failures = 0
        self._warned = ""
        self.dial: Callable[..., Any] = connect
        """Opens a connection; a backtest puts one without a wire here."""

    async def run(self) -> Never:
        """Hold a session, forever. Raises FeedAuthFailed when refused, ConfigurationError on a bad url."""
        while True:
            session = _Session(pending=set(self._topics), quiet_since_ns=self._clock.now_ns())
            try:
                try:
                    await self._hold(session)
                finally:
                    self._state.feed.connected = False  # before any back-off, not after it
            except FeedAuthFailed as refused:
                self._state.feed.problem = refused.message
                log.error("feed.auth_failed", message=refused.message)  # noqa: TRY400 - the vendor's words say it all
                raise
            except (InvalidURI, UnicodeError) as wrong:  # UnicodeError: a host name that cannot be encoded
                raise ConfigurationError("index_feed.url", str(wrong), "wss://HOST/indices") from None
            except (FeedError, *_NETWORK_ERRORS) as ended:
                await self._back_off(session, ended)

    async def _back_off(self, session: _Session, ended: BaseException) -> None:
        if (task := asyncio.current_task()) is not None and task.cancelling():
            raise asyncio.CancelledError  # a group that failed while we were being stopped must not hide the stop
        cause = _cause_of(ended)
        lived_ns = self._lived_ns(session)
        if lived_ns >= LIVED_NS and session.delivered:
            self._failures = 0
        wait_ns = self._next_wait(evicted=isinstance(ended, FeedEvicted))
        self._state.feed.problem = cause
        facts = {"cause": cause, "lived_ms": lived_ns // 1_000_000, "retry_ms": wait_ns // 1_000_000}
        if isinstance(ended, FeedEvicted):
            log.error("feed.evicted", **facts)
        elif cause != self._warned:
            log.warning("feed.session_ended", **facts)
        else:
            log.debug("feed.session_ended", **facts)
        self._warned = cause
        await self._clock.sleep(wait_ns)

    def _lived_ns(self, session: _Session) -> Nanos:
        opened = session.opened_mono_ns
        return Nanos(0) if opened is None else Nanos(self._clock.mono_ns() - opened)

    def _next_wait(self, *, evicted: bool) -> Nanos:
        """Half to all of first x 2^failures, at most `backoff_s_max`; an eviction waits at least its own time."""
        spread = 0.5 + 0.5 * self._rng.random()
        if evicted:
            return from_s(self._settings.eviction_backoff_s * (0.5 + spread))
        wait_s = doubled(self._settings.backoff_first_s, self._failures, self._settings.backoff_s_max)
        self._failures += 1
        return from_s(wait_s * spread)

    async def _hold(self, session: _Session) -> None:
        """One session from connect to its end; always raises why it ended."""
        connection = self.dial(
            self._url,
            compression=None,
            proxy=None,
            open_timeout=self._settings.ack_timeout_s,
            ping_interval=_KEEPALIVE_S,
            ping_timeout=_KEEPALIVE_S,
            close_timeout=_CLOSE_S,
            max_queue=_QUEUE_FRAMES,
            max_size=_FRAME_BYTES_MAX,
        )
        async with connection as socket:
            await self._log_in(socket, session)
            self._on_session()
            await self._subscribe(socket, session)
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._watch_silence(session), name="index_feed.silence")
                    await self._read(socket, session)
            except BaseExceptionGroup as group:
                raise _leading(group) from None

    async def _log_in(self, socket: ClientConnection, session: _Session) -> None:
        try:
            async with asyncio.timeout(self._settings.ack_timeout_s):
                while not session.connected:
                    self._take(await socket.recv(decode=False), session)
                await socket.send(encode_auth(self._settings.api_key.get_secret_value()))
                while not session.authenticated:
                    self._take(await socket.recv(decode=False), session)
        except TimeoutError:
            wanted = "auth_success" if session.connected else "connected"
            raise FeedProtocolError(f"no {wanted} within {self._settings.ack_timeout_s:g} s") from None

    async def _subscribe(self, socket: ClientConnection, session: _Session) -> None:
        """Ask for every topic at once and count the answers: an unknown topic is dropped without a word."""
        await socket.send(encode_subscribe(self._topics))
        try:
            async with asyncio.timeout(self._settings.ack_timeout_s):
                while session.pending:
                    self._take(await socket.recv(decode=False), session)
        except TimeoutError:
            missing = tuple(str(topic) for topic in self._topics if topic in session.pending)
            log.warning("feed.acks_missing", missing=missing, wanted=len(self._topics))
            self._state.feed.problem = f"not acknowledged: {', '.join(missing)}"
        unacknowledged = [index for index in self._state.index if not self._carries_values(index, session)]
        if unacknowledged:
            raise FeedProtocolError(f"no value topic acknowledged for {', '.join(unacknowledged)}")
        session.opened_mono_ns = self._clock.mono_ns()
        session.quiet_since_ns = self._clock.now_ns()
        feed = self._state.feed
        feed.connected = True
        feed.sessions += 1
        self._warned = ""
        if not session.pending:
            feed.problem = ""
        log.info("feed.session_opened", session=feed.sessions, topics=len(session.acked))

    def _carries_values(self, index: Index, session: _Session) -> bool:
        return index in session.values_of or Topic(Channel.SECOND, index) in session.acked

    async def _read(self, socket: ClientConnection, session: _Session) -> Never:
        while True:
            self._take(await socket.recv(decode=False), session)

    def _take(self, frame: bytes, session: _Session) -> None:
        """Decode one frame and apply it. What cannot be read is dropped and counted; the rest of its frame counts."""
        now = self._clock.now_ns()
        self._state.feed.last_frame_ns = now
        try:
            events, ignored, refused = decode_counted(frame, now, self._state.instruments.by_feed_ticker)
        except MalformedData as wrong:
            events, ignored, refused = (), 0, (RefusedItem(None, wrong),)
        if refused:
            self._unreadable(refused, session, nothing_good=not events and not ignored)
        else:
            session.unreadable_run = 0
        session.ignored += ignored
        for event in events:
            if isinstance(event, FeedStatus):
                self._take_status(event, session)
            elif isinstance(event, Tick):
                session.values_of.add(event.index)
                self._take_tick(event, session)
            else:
                self._take_bar(event, session)

    def _unreadable(self, refused: Sequence[RefusedItem], session: _Session, *, nothing_good: bool) -> None:
        """Count what could not be read, by index. Raises when nothing good comes any more."""
        now = self._clock.mono_ns()
        for item in refused:
            name = "" if item.index is None else item.index.value
            self._say(session.rates.note(name, now), str(item.problem))
        session.unreadable_run = session.unreadable_run + 1 if nothing_good else 0
        if session.unreadable_run > UNREADABLE_RUN_MAX:
            raise FeedProtocolError("nothing readable comes any more") from refused[0].problem

    def _say(self, rates: Sequence[UnreadableRate], problem: str) -> None:
        for rate in rates:
            figures = {"count": rate.count, "per_min": rate.per_min}
            log.warning("feed.item_unreadable", index=rate.name or None, **figures, problem=problem)

    def _take_status(self, event: FeedStatus, session: _Session) -> None:
        match event.status:
            case "connected":
                session.connected = True
            case "auth_success":
                session.authenticated = True
            case "success":
                self._take_ack(event, session)
            case "auth_failed":
                raise FeedAuthFailed(event.message)
            case "max_connections":
                raise FeedEvicted(event.message)
            case status if status in _ENDED_BY_SERVER:
                raise FeedProtocolError(f"{status}: {event.message}")
            case "error":
                self._state.feed.problem = event.message
                log.warning("feed.error_reported", message=event.message)
            case status:
                log.warning("feed.status_unknown", status=status, message=event.message)

    def _take_ack(self, event: FeedStatus, session: _Session) -> None:
        wire = acknowledged(event)
        for topic in self._topics:
            if str(topic) == wire:
                session.pending.discard(topic)
                session.acked.add(topic)
                if topic.channel is Channel.VALUE:
                    session.values_of.add(topic.index)

    def _take_tick(self, tick: Tick, session: _Session) -> None:
        index = self._state.index[tick.index]
        index.recv_ns = tick.recv_ns
        self._state.skew["index_feed"] = self._skew.update(tick)
        last = index.last
        if not self._guard.admit(tick) or (last is not None and tick.event_ns <= last.event_ns):
            index.refused += 1  # the second test: switching between V and A closes must not step back either
            return
        accepted = self._intake.take(tick)
        session.delivered += accepted
        if accepted:
            session.silent.discard(tick.index)

    def _take_bar(self, bar: Bar, session: _Session) -> None:
        index = self._state.index[bar.index]
        index.recv_ns = bar.recv_ns
        if not self._guard.admit(bar):
            index.refused += 1
            return
        if bar.channel is Channel.MINUTE:
            index.last_bar = bar
        if self._intake.take_bar(bar):
            self._on_bar(bar)
        if bar.channel is Channel.SECOND and bar.index not in session.values_of:
            self._take_tick(tick_of_second(bar), session)

    async def _watch_silence(self, session: _Session) -> Never:
        """End a session that stays silent while the market is open; name an index that falls silent alone."""
        most = from_s(self._settings.silence_s)
        while True:
            await self._clock.sleep(Nanos(most // 4))
            self._say(session.rates.due(self._clock.mono_ns()), "")
            now = self._clock.now_ns()
            if not self._session_open():
                session.quiet_since_ns = now
                continue
            heard = {index: _later(one.recv_ns, session.quiet_since_ns) for index, one in self._state.index.items()}
            if now - max(heard.values()) >= most:
                raise FeedProtocolError("silent while the market is open")
            for index, at_ns in heard.items():
                if now - at_ns >= most and index not in session.silent:
                    session.silent.add(index)
                    log.warning("feed.index_silent", index=index.value, silent_ms=(now - at_ns) // 1_000_000)


def _later(stamp: Nanos | None, floor: Nanos) -> Nanos:
    return floor if stamp is None else max(stamp, floor)


def _cause_of(ended: BaseException) -> str:
    """A short cause without anything that varies from one attempt to the next, so that a change of it is news."""
    if isinstance(ended, ConnectionClosed):
        code = None if ended.rcvd is None else ended.rcvd.code
        return "dropped without a close frame" if code is None else f"closed by the server ({code})"
    text = str(ended).splitlines()
    return f"{type(ended).__name__}: {text[0]}" if text else type(ended).__name__


def _leading(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Why a session ended when its two halves both failed: what we can act on first; anything unforeseen wins."""
    leaves = leaves_of(group)
    for leaf in leaves:
        if not isinstance(leaf, (FeedError, *_NETWORK_ERRORS)):
            return leaf
    ranked: tuple[type[BaseException], ...] = (FeedAuthFailed, FeedEvicted, FeedError)
    for kind in ranked:
        for leaf in leaves:
            if isinstance(leaf, kind):
                return leaf
    return leaves[0]
