"""The vendor's REST aggregates, on the feed's port: minute bars of the session as far as it has gone (polygon.md 2).

What it does as the vendor does: takes the key as a bearer or in the query; gives bars by their START in milliseconds,
none for a minute without a value, and the running minute as far as it has got; pages with a `next_url` that lacks the
key; says `DELAYED` and stops a quarter of an hour early for a delayed plan; answers 403 `NOT_AUTHORIZED` for what the
plan does not cover, 401 for an unknown key, 429 with Retry-After over the plan's calls.

Bars reach back as far as sessions were added. Faults are plain fields; each says what it does.
"""

import re
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import orjson
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from kalshi_daemon.clock import Clock
from kalshi_daemon.domain.index import Channel, Index
from kalshi_daemon.simulator.index_path import Paths
from kalshi_daemon.units import MILLISECOND, MINUTE, Nanos, to_ms

PREFIX: Final = "/v2/aggs/"
DELAY: Final = Nanos(15 * MINUTE)
_ROWS_MOST: Final = 50_000
_ROWS_USUAL: Final = 5_000
_SESSIONS_MOST: Final = 64
_TARGET: Final = re.compile(r"/v2/aggs/ticker/(I:[A-Za-z0-9]+)/range/1/minute/(\d+)/(\d+)\Z")
_INDEX_OF: Final = {index.feed_ticker: index for index in Index}


@dataclass(slots=True)
class HistoryFaults:
    """What goes wrong with the next answers."""

    delayed: bool = False
    """A delayed plan."""
    refusal: str = ""
    """Answer 403 NOT_AUTHORIZED with this message."""
    fail_next: int = 0
    """Answer this many requests with 503."""
    limit_next: int = 0
    """Answer this many requests with 429."""
    retry_after: str = "1"
    garbage_next: int = 0
    """Answer this many requests with bytes that are no JSON."""
    missing: frozenset[Nanos] = frozenset()
    """Starts of minutes that have no bar."""
    rows_most: int = _ROWS_MOST
    """Bars per page, whatever was asked for."""


@dataclass(slots=True)
class FeedHistory:
    """Answers requests; `asked` are the targets so far, the newest last, at most a thousand."""

    clock: Clock
    api_key: str
    sessions: list[Paths] = field(default_factory=list)
    """Oldest first."""
    faults: HistoryFaults = field(default_factory=HistoryFaults)
    asked: list[str] = field(default_factory=list)

    def add(self, paths: Paths) -> None:
        """One more session, later than those before it."""
        self.sessions = [*self.sessions, paths][-_SESSIONS_MOST:]

    def answer(self, request: Request) -> Response:
        """The answer to a GET below PREFIX."""
        self.asked = [*self.asked, request.path][-1_000:]
        faults, parts = self.faults, urlsplit(request.path)
        query = parse_qs(parts.query)
        if self.api_key not in {_bearer(request), *query.get("apiKey", ())}:
            return _json(HTTPStatus.UNAUTHORIZED, {"status": "ERROR", "error": "Unknown API Key"})
        if faults.limit_next > 0:
            faults.limit_next -= 1
            error = {"status": "ERROR", "error": "You've exceeded the maximum requests per minute"}
            return _json(HTTPStatus.TOO_MANY_REQUESTS, error, {"Retry-After": faults.retry_after})
        if faults.fail_next > 0:
            faults.fail_next -= 1
            return _json(HTTPStatus.SERVICE_UNAVAILABLE, {"status": "ERROR", "error": "try again"})
        if faults.garbage_next > 0:
            faults.garbage_next -= 1
            return _response(HTTPStatus.OK, b"<html>maintenance</html>", {})
        if faults.refusal:
            refused = {"status": "NOT_AUTHORIZED", "request_id": "r", "message": faults.refusal}
            return _json(HTTPStatus.FORBIDDEN, refused)
        matched = _TARGET.match(parts.path)
        if matched is None:
            return _json(HTTPStatus.NOT_FOUND, {"status": "NOT_FOUND", "error": "no such aggregates"})
        ticker, from_ms, to_ms_ = matched[1], int(matched[2]), int(matched[3])
        return self._page(request, ticker, from_ms, to_ms_, min(faults.rows_most, _limit(query)))

    def _page(self, request: Request, ticker: str, from_ms: int, until_ms: int, rows: int) -> Response:
        found = self._bars(ticker, from_ms, until_ms)
        body: dict[str, Any] = {
            "ticker": ticker,
            "status": "DELAYED" if self.faults.delayed else "OK",
            "request_id": "simulated",
            "queryCount": len(found),
            "resultsCount": min(len(found), rows),
        }
        if found:
            body["results"] = found[:rows]
        if len(found) > rows:
            host = request.headers.get("Host", "127.0.0.1")
            rest = f"{PREFIX}ticker/{ticker}/range/1/minute/{found[rows]['t']}/{until_ms}?sort=asc&limit={rows}"
            body["next_url"] = f"http://{host}{rest}"
        return _json(HTTPStatus.OK, body)

    def _bars(self, ticker: str, from_ms: int, until_ms: int) -> list[dict[str, float]]:
        index = _INDEX_OF.get(ticker)
        seen_ns = self.clock.now_ns() - (DELAY if self.faults.delayed else 0)
        found: list[dict[str, float]] = []
        for paths in self.sessions:
            path = None if index is None else paths.get(index)
            if path is None:
                continue
            first = max(path.open_ns, from_ms * MILLISECOND // MINUTE * MINUTE)
            for start in range(first, min(path.last_ns, until_ms * MILLISECOND, seen_ns) + 1, MINUTE):
                end = min(start + MINUTE, seen_ns + 1)
                if start < from_ms * MILLISECOND or start in self.faults.missing:
                    continue
                bar = path.bar(Channel.MINUTE, Nanos(start), Nanos(end))
                if bar is not None:
                    prices = {"o": bar.open, "c": bar.close, "h": bar.high, "l": bar.low}
                    found.append({**prices, "t": to_ms(Nanos(start))})
        return found


def _limit(query: dict[str, list[str]]) -> int:
    text = query.get("limit", [str(_ROWS_USUAL)])[0]
    return max(1, min(_ROWS_MOST, int(text))) if text.isdecimal() else _ROWS_USUAL


def _bearer(request: Request) -> str:
    return request.headers.get("Authorization", "").removeprefix("Bearer ")


def _json(status: HTTPStatus, body: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    return _response(status, orjson.dumps(body), {"Content-Type": "application/json", **(headers or {})})


def _response(status: HTTPStatus, body: bytes, headers: dict[str, str]) -> Response:
    every = {"Connection": "close", "Content-Length": str(len(body)), **headers}
    return Response(status.value, status.phrase, Headers(every), body)
