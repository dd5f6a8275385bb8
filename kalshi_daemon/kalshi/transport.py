"""One HTTP exchange with Kalshi: signing, tokens, deadlines, and what each failure proves.

The question that decides every error is whether bytes of the request may have left (docs/reference/venue.md 3):

* refused, unresolved, TLS or pool time-out before the request was written -> VenueUnreachable: nothing happened;
* a write without a trustworthy answer (deadline, dropped connection, 5xx, an answer that cannot be read) ->
  OrderOutcomeUnknown: never a reject;
* a read that failed on the venue's side -> VenueUnavailable: ask again.

Deadlines of the network run in real time. Waiting for tokens and back-offs run on the clock that was given, for the
venue's buckets are filled by its time. Cancelling a task inside a write leaves that write's outcome unknown.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

import aiohttp
import structlog
from yarl import URL

from kalshi_daemon.ground.backoff import doubled
from kalshi_daemon.ground.clock import Clock
from kalshi_daemon.ground.errors import (
    AuthFailed,
    ClockSkewed,
    ConfigurationError,
    MalformedData,
    OrderOutcomeUnknown,
    RateLimited,
    VenueError,
    VenueUnavailable,
    VenueUnreachable,
)
from kalshi_daemon.ground.units import MILLISECOND, SECOND, Nanos, from_ms, to_ms
from kalshi_daemon.kalshi import fields, refusals
from kalshi_daemon.kalshi.auth import Signer
from kalshi_daemon.kalshi.fields import Json
from kalshi_daemon.kalshi.rate_limit import Endpoint, Lane, RateLimiter
from kalshi_daemon.kalshi.server_time import ServerClock, date_header_ns
from kalshi_daemon.settings.model import KalshiSettings

API_ROOT: Final = "/trade-api/v2"
BODY_BYTES_MAX: Final = 32 * 1024 * 1024
"""A longer answer is not read to its end: malformed."""
READ_ATTEMPTS: Final = 3
READ_BACKOFF: Final = Nanos(200 * MILLISECOND)
READ_BACKOFF_MAX: Final = Nanos(SECOND)
_CONNECTIONS_MAX: Final = 16
_CONNECT_SHARE: Final = 0.6
"""Part of the deadline for getting a connection. Less than 1, so that a deadline that passes later means "left"."""
_TIMEOUT_S_MIN: Final = 0.001
_STILL_WANTED_EVERY: Final = Nanos(100 * MILLISECOND)
"""How often a write that waits for tokens looks whether it is still wanted."""
_OK: Final = 200
_MULTIPLE_CHOICES: Final = 300

log = structlog.get_logger()

type Gate = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Request:
    """One request below the API root: `path` with its parameters filled in, already percent-encoded."""

    endpoint: Endpoint
    path: str
    query: Mapping[str, str | int] | None = None
    body: bytes | None = None
    signed: bool = True

    @property
    def name(self) -> str:
        return self.endpoint.name.lower()

    @property
    def target(self) -> str:
        """Path and query as they go on the wire; what is signed is its path."""
        return f"{API_ROOT}{self.path}?{urlencode(self.query)}" if self.query else API_ROOT + self.path


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and body of one answer, and when its request was sent by our clock."""

    status: int
    body: bytes
    sent_ns: Nanos


class _NothingLeft(Exception):  # noqa: N818 - a fact, turned into an error of the tree by the caller
    """No byte of the request was written."""


class _NoAnswer(Exception):  # noqa: N818 - as above
    """The request may have left and no whole answer came."""

    def __init__(self, cause: str, waited_ms: int) -> None:
        super().__init__(cause)
        self.cause = cause
        self.waited_ms = waited_ms


def open_session() -> aiohttp.ClientSession:
    """A client session tuned for small JSON calls: no cookies, no inflating, no proxy from outside.

    Source: docs/reference/performance.md 3b.

    Must be called inside a running loop; the caller closes it.
    """
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=_CONNECTIONS_MAX, keepalive_timeout=30.0, ttl_dns_cache=60),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        skip_auto_headers=("User-Agent", "Accept-Encoding", "Accept", "Content-Type"),
        headers={"User-Agent": "kalshi-daemon", "Accept": "application/json", "Accept-Encoding": "identity"},
        trust_env=False,
    )


@dataclass(frozen=True, slots=True)
class WriteGate:
    """Whether requests that change orders may leave."""

    read_only: bool = False
    """Every write is refused locally, before a byte leaves."""
    may_create: Gate | None = None
    """Asked right before a create or amend leaves, after any wait for tokens; None: yes."""


OPEN: Final = WriteGate()


class Transport:
    """Sends requests for `KalshiRest`. `in_flight` counts requests on the wire (not those waiting for tokens)."""

    def __init__(
        self,
        base_url: str,
        signer: Signer | None,
        clock: Clock,
        settings: KalshiSettings,
        *,
        session: aiohttp.ClientSession,
        server_clock: ServerClock | None = None,
    ) -> None:
        self._url = URL(base_url.rstrip("/"))
        if self._url.scheme not in ("http", "https") or self._url.raw_path != API_ROOT or self._url.raw_query_string:
            raise ConfigurationError("kalshi.rest_url", f"is {base_url!r}", f"must be http(s)://HOST{API_ROOT}")
        self._origin = str(self._url.origin())
        self._signer = signer
        self._clock = clock
        self._settings = settings
        self._session = session
        # aiohttp would send PUT and DELETE a second time on its own when a kept connection turns out to be dead.
        session._retry_connection = False  # noqa: SLF001 - no public switch; a write is never sent twice here
        self.server_clock = server_clock or ServerClock()
        self._turns = {lane: asyncio.Lock() for lane in Lane}
        self.limiter = RateLimiter(settings.cancel_reserve_share, clock.mono_ns())
        self.in_flight = 0

    async def read(self, request: Request, *, accept_5xx: bool = False) -> Answer:
        """A GET, tried READ_ATTEMPTS times within `read_timeout_ms` in all. Returns a 2xx (or, if asked, a 5xx)."""
        self._need_signer(request)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._settings.read_timeout_ms / 1_000
        attempt = 1
        while True:
            try:
                return await self._read_once(request, deadline - loop.time(), accept_5xx=accept_5xx)
            except (VenueUnreachable, VenueUnavailable, RateLimited) as problem:
                if attempt == READ_ATTEMPTS:
                    raise
                await self._clock.sleep(Nanos(doubled(READ_BACKOFF, attempt - 1, READ_BACKOFF_MAX)))
                if loop.time() >= deadline:
                    raise
                attempt += 1
                log.info("kalshi.read_retried", operation=request.name, attempt=attempt, cause=str(problem))

    async def write(self, request: Request, *, items: int = 1, still_wanted: Gate | None = None) -> Answer:
        """One write, sent at most once. Returns a 2xx answer whose body the caller must still find trustworthy.

        `still_wanted` is asked during the wait for tokens and right before the first byte: a latch that closed
        meanwhile stops the request at once (VenueUnreachable: nothing left). Raises OrderOutcomeUnknown when it
        left and no trustworthy answer came, and the refusal as its VenueError.
        """
        self._need_signer(request)
        lane, cost = request.endpoint.lane, self.limiter.cost(request.endpoint, items)
        await self._admit(request.name, lane, cost, from_ms(self._settings.write_timeout_ms), still_wanted)
        try:
            answer = await self._exchange(request, self._settings.write_timeout_ms / 1_000)
        except _NothingLeft as problem:
            raise VenueUnreachable(request.name, str(problem)) from None
        except _NoAnswer as problem:
            raise OrderOutcomeUnknown(request.name, problem.cause, problem.waited_ms) from None
        refusal = self._refusal(request, answer)
        if refusal is None:
            return answer
        if _unsure(answer.status, refusal):
            raise OrderOutcomeUnknown(request.name, f"status {answer.status} {refusal.code or refusal.message}")
        raise self._rejection(request, answer, refusal, cost)

    def note_stamp(self, sent_ns: Nanos, recv_ns: Nanos, stamp_ns: Nanos, resolution_ns: Nanos) -> None:
        """Take in one stamp of the venue, and tell whoever follows our clock against it."""
        self.server_clock.tell(self.server_clock.observe(sent_ns, recv_ns, stamp_ns, resolution_ns))

    async def _read_once(self, request: Request, timeout_s: float, *, accept_5xx: bool) -> Answer:
        cost = self.limiter.cost(request.endpoint)
        await self._admit(request.name, Lane.READ, cost, from_ms(self._settings.read_timeout_ms))
        try:
            answer = await self._exchange(request, timeout_s)
        except _NothingLeft as problem:
            raise VenueUnreachable(request.name, str(problem)) from None
        except _NoAnswer as problem:
            raise VenueUnavailable(request.name, 0, f"{problem.cause} after {problem.waited_ms} ms") from None
        refusal = self._refusal(request, answer)
        if refusal is None or (accept_5xx and answer.status >= refusals.SERVER_ERROR):
            return answer
        if _unsure(answer.status, refusal):
            raise VenueUnavailable(request.name, answer.status, refusal.code or refusal.message)
        raise self._rejection(request, answer, refusal, cost)

    def _rejection(self, request: Request, answer: Answer, refusal: refusals.Refusal, cost: int) -> VenueError:
        """The typed refusal. A 401 to a signature is put on the clock as long as the clock is proven to be off."""
        error = refusals.rejection(request.name, answer.status, refusal, cost)
        if not (isinstance(error, AuthFailed) and answer.status == refusals.UNAUTHORIZED and request.signed):
            return error
        skew_ns = self.server_clock.beyond(self._clock.now_ns())
        return error if skew_ns is None else ClockSkewed(error, skew_ns, self.server_clock.skew_ns_max)

    def _refusal(self, request: Request, answer: Answer) -> refusals.Refusal | None:
        """None for a 2xx; else the parsed refusal. Keeps the limiter informed."""
        lane = request.endpoint.lane
        if answer.status == refusals.TOO_MANY_REQUESTS:
            self.limiter.refused(lane, self._clock.mono_ns())
        else:
            self.limiter.accepted(lane)
        return None if _OK <= answer.status < _MULTIPLE_CHOICES else refusals.parse_refusal(answer.body)

    async def _admit(
        self, operation: str, lane: Lane, cost: int, wait_max: Nanos, still_wanted: Gate | None = None
    ) -> None:
        """Wait for tokens, first come first served per lane; RateLimited when they do not come within `wait_max`.

        VenueUnreachable as soon as it is not wanted any more.
        """
        give_up = self._clock.mono_ns() + wait_max
        async with self._turns[lane]:
            while True:
                if still_wanted is not None and not still_wanted():
                    raise VenueUnreachable(operation, "not sent: stopped while waiting for its turn")
                now = self._clock.mono_ns()
                if self.limiter.take(lane, cost, now):
                    return
                wait = self.limiter.wait_ns(lane, cost, now)
                if now + wait > give_up:
                    raise RateLimited(operation, cost)
                await self._clock.sleep(wait if still_wanted is None else min(wait, _STILL_WANTED_EVERY))

    async def _exchange(self, request: Request, timeout_s: float) -> Answer:
        """Send, receive, measure. Raises _NothingLeft or _NoAnswer."""
        if self._session.closed:
            raise _NothingLeft("the client session is closed")
        loop = asyncio.get_running_loop()
        started, sent_ns = loop.time(), self._clock.now_ns()
        timeout_s = max(_TIMEOUT_S_MIN, timeout_s)
        self.in_flight += 1
        try:
            async with (
                asyncio.timeout(timeout_s),
                self._session.request(
                    request.endpoint.method,
                    URL(self._origin + request.target, encoded=True),
                    data=request.body,
                    headers=self._headers(request, sent_ns),
                    allow_redirects=False,
                    timeout=aiohttp.ClientTimeout(total=None, connect=timeout_s * _CONNECT_SHARE),
                ) as response,
            ):
                answer = Answer(response.status, await _bounded_body(response), sent_ns)
                stamp = date_header_ns(response.headers.get("Date"))
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL) as problem:
            raise _NothingLeft(_cause(problem)) from None
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as problem:
            raise _NoAnswer(_cause(problem), round((loop.time() - started) * 1_000)) from None
        finally:
            self.in_flight -= 1
        if stamp is not None:
            self.note_stamp(sent_ns, self._clock.now_ns(), stamp, SECOND)
        return answer

    def _headers(self, request: Request, sent_ns: Nanos) -> dict[str, str]:
        headers = {} if request.body is None else {"Content-Type": "application/json"}
        if request.signed and self._signer is not None:
            headers |= self._signer.headers(request.endpoint.method, request.target, to_ms(sent_ns))
        return headers

    def _need_signer(self, request: Request) -> None:
        if request.signed and self._signer is None:
            raise ConfigurationError("kalshi.private_key_path", f"is not set, but {request.name} must be signed")


def read_object(answer: Answer, where: str) -> Json:
    """The JSON object of a read's answer. Raises MalformedData."""
    return fields.as_object(fields.loads(answer.body, where), where)


def trusted[T](operation: str, decode: Callable[[], T]) -> T:
    """Decode the answer to a write; one that cannot be trusted is OrderOutcomeUnknown, never a reject."""
    try:
        return decode()
    except MalformedData as problem:
        raise OrderOutcomeUnknown(operation, f"answer not understood: {problem}") from problem


async def _bounded_body(response: aiohttp.ClientResponse) -> bytes:
    chunks: list[bytes] = []
    total = 0
    async for chunk in response.content.iter_any():
        total += len(chunk)
        if total > BODY_BYTES_MAX:
            raise ValueError(f"answer longer than {BODY_BYTES_MAX} bytes")
        chunks.append(chunk)
    return b"".join(chunks)


def _unsure(status: int, refusal: refusals.Refusal) -> bool:
    """Answers that prove nothing: 5xx, a proxy's time-out, redirects, and a 404 that the exchange did not write."""
    if status == refusals.NOT_FOUND:
        return not refusal.readable
    return status >= refusals.SERVER_ERROR or status < refusals.BAD_REQUEST or status == refusals.REQUEST_TIMEOUT


def _cause(problem: BaseException) -> str:
    said = str(problem)
    return f"{type(problem).__name__}: {said}" if said else type(problem).__name__


def wire_query(**values: Any) -> dict[str, str | int]:  # noqa: ANN401 - anything `urlencode` takes
    """Query parameters without the absent ones."""
    return {key: value for key, value in values.items() if value is not None}
