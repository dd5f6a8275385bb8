"""Minute bars of the past, and snapshots, from the vendor's REST side: pages, limits, errors told apart.

What can be tried again is (429 after its Retry-After, 5xx, network, an answer that is none), ATTEMPTS times in all;
what was refused (key, plan) is not. Time-outs run in real time, waiting on the clock that was given.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from math import isfinite
from typing import Final

import aiohttp
import structlog
from pydantic import SecretStr
from yarl import URL

from kalshi_daemon.domain.index import Bar, Index
from kalshi_daemon.domain.instruments import SHIPPED_INSTRUMENTS
from kalshi_daemon.ground.backoff import doubled
from kalshi_daemon.ground.clock import Clock, iso_utc
from kalshi_daemon.ground.errors import ConfigurationError, HistoryUnavailable
from kalshi_daemon.ground.units import MILLISECOND, MINUTE, SECOND, Nanos, from_s
from kalshi_daemon.index_feed.aggregates import Page, decode_page, target_of
from kalshi_daemon.index_feed.snapshot import SnapshotValue, decode_snapshot, snapshot_target
from kalshi_daemon.settings.model import IndexFeedSettings

ATTEMPTS: Final = 4
BACKOFF: Final = Nanos(SECOND)
BACKOFF_MAX: Final = Nanos(30 * SECOND)
RETRY_AFTER_USUAL: Final = Nanos(15 * SECOND)
"""Waited after a 429 that does not say: the small plan allows five calls a minute."""
RETRY_AFTER_MAX: Final = Nanos(120 * SECOND)
PAGES_MAX: Final = 100
DELAY: Final = Nanos(15 * MINUTE)
"""How far a delayed plan is behind."""
BODY_BYTES_MAX: Final = 16 * 1024 * 1024

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class History:
    """What the vendor has of a span."""

    bars: tuple[Bar, ...]
    """By start, each start once; only minutes that were over when they were asked for."""
    delayed: bool
    """The plan is a delayed one: the newest quarter of an hour may be missing for that reason alone."""
    refused: int
    """Bars left out because they are none."""
    pages: int


class _RateLimitedError(Exception):
    def __init__(self, wait_ns: Nanos) -> None:
        super().__init__(wait_ns)
        self.wait_ns = wait_ns


class HistoryClient:
    """Asks one host with one key. `in_flight` counts requests on the wire.

    calls_per_min: our own pace, 0 for none. ours: the indices by the vendor's ticker.
    Raises ConfigurationError for an address that is none.
    """

    def __init__(
        self,
        base_url: str,
        api_key: SecretStr,
        clock: Clock,
        session: aiohttp.ClientSession,
        *,
        timeout_s: float,
        calls_per_min: int = 0,
        ours: Mapping[str, Index] = SHIPPED_INSTRUMENTS.by_feed_ticker,
    ) -> None:
        try:
            self._base = URL(base_url).origin()
        except ValueError as wrong:
            raise ConfigurationError("index_feed.rest_url", str(wrong), "https://HOST") from None
        self._key = api_key
        self._clock = clock
        self._session = session
        self._timeout_s = timeout_s
        self._ours = ours
        self._pause = Nanos(MINUTE // calls_per_min) if calls_per_min else Nanos(0)
        self._next_call_ns = Nanos(0)
        self.in_flight = 0

    async def minute_bars(self, index: Index, from_ns: Nanos, to_ns: Nanos, *, attempts: int = ATTEMPTS) -> History:
        """Every minute bar that starts in [from, to] and is over. Raises HistoryRefused, HistoryUnavailable."""
        asked = f"of {index.value} {iso_utc(from_ns)[:16]}..{iso_utc(to_ns)[:16]}"
        bars: dict[Nanos, Bar] = {}
        delayed, refused, seen = False, 0, set[str]()
        target: str | None = target_of(index, from_ns, to_ns)
        while target is not None:
            if target in seen or len(seen) >= PAGES_MAX:
                raise HistoryUnavailable(asked, f"its pages do not end ({len(seen)} read)")
            seen.add(target)
            page = await self._page(target, index, asked, attempts)
            bars |= {bar.start_ns: bar for bar in page.bars}
            delayed, refused, target = delayed or page.delayed, refused + page.refused, page.next_target
        # The newest bar of a plan that is behind is the minute that was running then.
        behind = DELAY if delayed else 0
        whole = tuple(
            bar
            for _, bar in sorted(bars.items())
            if from_ns <= bar.start_ns <= to_ns and bar.end_ns <= bar.recv_ns - behind
        )
        return History(whole, delayed, refused, len(seen))

    async def snapshot(self) -> dict[Index, SnapshotValue]:
        """The newest value of each index that has one; asked once. Raises HistoryRefused, HistoryUnavailable."""
        asked = "snapshot"
        try:
            status, body, _sent_ns = await self._ask(snapshot_target(self._ours), asked)
        except _RateLimitedError:
            raise HistoryUnavailable(asked, "rate limited (429)") from None
        return decode_snapshot(status, body, asked, self._ours)

    async def _page(self, target: str, index: Index, asked: str, attempts: int) -> Page:
        for attempt in range(attempts):
            last = attempt == attempts - 1
            try:
                status, body, sent_ns = await self._ask(target, asked)
                return decode_page(status, body, index, sent_ns, asked)
            except _RateLimitedError as limited:
                if last:
                    raise HistoryUnavailable(asked, "rate limited (429)") from None
                wait, why = limited.wait_ns, "rate limited (429)"
            except HistoryUnavailable as problem:
                if last:
                    raise
                wait, why = Nanos(doubled(BACKOFF, attempt, BACKOFF_MAX)), problem.cause
            log.info("history.rate_limited", asked=asked, why=why, wait_ms=wait // MILLISECOND)
            await self._clock.sleep(wait)
        raise AssertionError("the last attempt returns or raises")

    async def _ask(self, target: str, asked: str) -> tuple[int, bytes, Nanos]:
        """Status and body of the answer, and when it was asked for."""
        due_ns = max(self._next_call_ns, self._clock.now_ns())
        self._next_call_ns = Nanos(due_ns + self._pause)  # before the wait: two may ask at the same time
        await self._clock.sleep_until(due_ns)
        sent_ns = self._clock.now_ns()
        self.in_flight += 1
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await self._session.get(
                    self._base.join(URL(target, encoded=True)),
                    headers={"Authorization": f"Bearer {self._key.get_secret_value()}"},
                    allow_redirects=False,
                )
                async with answer:
                    if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
                        raise _RateLimitedError(_retry_after(answer.headers.get("Retry-After")))
                    body = await answer.content.read(BODY_BYTES_MAX + 1)
                    while len(body) <= BODY_BYTES_MAX and (more := await answer.content.read(BODY_BYTES_MAX)):
                        body += more
        except (aiohttp.ClientError, OSError, TimeoutError) as problem:
            cause = "no answer in time" if isinstance(problem, TimeoutError) else f"{type(problem).__name__}: {problem}"
            raise HistoryUnavailable(asked, f"{self._base.host} not reachable: {cause}") from None
        finally:
            self.in_flight -= 1
        if len(body) > BODY_BYTES_MAX:
            raise HistoryUnavailable(asked, f"an answer of more than {BODY_BYTES_MAX} bytes")
        return answer.status, body, sent_ns


def _retry_after(text: str | None) -> Nanos:
    """Seconds of the header, bounded; a date or nonsense counts as usual."""
    try:
        seconds = float(text or "")
    except ValueError:
        return RETRY_AFTER_USUAL
    if not isfinite(seconds):
        return RETRY_AFTER_USUAL
    return Nanos(max(0, min(RETRY_AFTER_MAX, from_s(seconds))))


def history_of(
    settings: IndexFeedSettings,
    clock: Clock,
    session: aiohttp.ClientSession,
    ours: Mapping[str, Index] = SHIPPED_INSTRUMENTS.by_feed_ticker,
) -> HistoryClient | None:
    """The history that the settings name; None when nobody is to be asked. Raises ConfigurationError."""
    if not (settings.gap_fill and settings.rest_url):
        return None
    return HistoryClient(
        settings.rest_url,
        settings.api_key,
        clock,
        session,
        timeout_s=settings.rest_timeout_s,
        calls_per_min=settings.rest_calls_per_min,
        ours=ours,
    )
