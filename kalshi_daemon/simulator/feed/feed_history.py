"""The vendor's REST aggregates, on the feed's port: bars of the sessions as far as they have gone.

Source: docs/reference/feed.md 2.

What it does as the vendor does: takes the key as a bearer or in the query; bars of any number of seconds, minutes,
hours or days, from and to a date (in New York, the last one included) or an instant in milliseconds, in either order;
gives bars by their START in milliseconds, none for a span without a value, and the running one as far as it has got;
counts `limit` in the minutes (seconds, days) that bars are made of; pages with a `next_url` that lacks the
key; says `DELAYED` and stops a quarter of an hour early for a delayed plan; answers 403 `NOT_AUTHORIZED` for what the
plan does not cover, 401 for an unknown key, 429 with Retry-After over the plan's calls.

Bars reach back as far as sessions were added; weeks and longer spans are a 400. Faults are plain fields; each says what
it does.
"""

import re
from dataclasses import dataclass, field
from datetime import date, time, timedelta
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

import orjson
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from kalshi_daemon.domain.index import Channel, index_of_ticker
from kalshi_daemon.ground.clock import Clock
from kalshi_daemon.ground.units import DAY, HOUR, MILLISECOND, MINUTE, SECOND, Nanos, to_ms
from kalshi_daemon.simulator.exchange.listing import new_york
from kalshi_daemon.simulator.feed.index_path import IndexPath, Paths

PREFIX: Final = "/v2/aggs/"
DELAY: Final = Nanos(15 * MINUTE)
_ROWS_MAX: Final = 50_000
_ROWS_USUAL: Final = 5_000
_SESSIONS_MAX: Final = 64
_TARGET: Final = re.compile(
    r"/v2/aggs/ticker/(I:[A-Za-z0-9]+)/range/([1-9]\d{0,4})/([a-z]+)/([\d-]{1,14})/([\d-]{1,14})\Z", re.ASCII
)
_UNITS: Final = {"second": SECOND, "minute": MINUTE, "hour": HOUR, "day": DAY}
_BASE: Final = {"second": SECOND, "minute": MINUTE, "hour": MINUTE, "day": DAY}
"""What `limit` counts: bars are made of these."""
_BARS_MAX: Final = 200_000
"""Of one session, looked at for one answer; seconds of a whole session are 23 701."""


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
    rows_max: int = _ROWS_MAX
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
        self.sessions = [*self.sessions, paths][-_SESSIONS_MAX:]

    def answer(self, request: Request) -> Response:
        """The answer to a GET below PREFIX."""
        self.asked = [*self.asked, request.path][-1_000:]
        parts = urlsplit(request.path)
        query = parse_qs(parts.query)
        refused = self.refused(request, query)
        if refused is not None:
            return refused
        matched = _TARGET.match(unquote(parts.path))
        if matched is None:
            return json_response(HTTPStatus.NOT_FOUND, {"status": "NOT_FOUND", "error": "no such aggregates"})
        span = _span(matched[2], matched[3], matched[4], matched[5], query)
        if isinstance(span, str):
            return json_response(HTTPStatus.BAD_REQUEST, {"status": "ERROR", "error": span})
        per_bar = span.length_ns // _BASE[span.unit]
        return self._page(request, matched[1], span, min(self.faults.rows_max, max(1, _limit(query) // per_bar)))

    def refused(self, request: Request, query: dict[str, list[str]]) -> Response | None:
        """What any request gets instead of its answer: a wrong key's or a fault's; None when it is to be answered."""
        faults = self.faults
        if self.api_key not in {_bearer(request), *query.get("apiKey", ())}:
            return json_response(HTTPStatus.UNAUTHORIZED, {"status": "ERROR", "error": "Unknown API Key"})
        if faults.limit_next > 0:
            faults.limit_next -= 1
            error = {"status": "ERROR", "error": "You've exceeded the maximum requests per minute"}
            return json_response(HTTPStatus.TOO_MANY_REQUESTS, error, {"Retry-After": faults.retry_after})
        if faults.fail_next > 0:
            faults.fail_next -= 1
            return json_response(HTTPStatus.SERVICE_UNAVAILABLE, {"status": "ERROR", "error": "try again"})
        if faults.garbage_next > 0:
            faults.garbage_next -= 1
            return _response(HTTPStatus.OK, b"<html>maintenance</html>", {})
        if faults.refusal:
            refused = {"status": "NOT_AUTHORIZED", "request_id": "r", "message": faults.refusal}
            return json_response(HTTPStatus.FORBIDDEN, refused)
        return None

    def _page(self, request: Request, ticker: str, span: "_Span", rows: int) -> Response:
        found = self._bars(ticker, span)
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
            ends = (span.from_ms, found[rows]["t"]) if span.newest_first else (found[rows]["t"], span.to_ms)
            order = f"sort={'desc' if span.newest_first else 'asc'}&limit={rows * span.length_ns // _BASE[span.unit]}"
            rest = f"{PREFIX}ticker/{ticker}/range/{span.multiplier}/{span.unit}/{ends[0]}/{ends[1]}?{order}"
            body["next_url"] = f"http://{host}{rest}"
        return json_response(HTTPStatus.OK, body)

    def _bars(self, ticker: str, span: "_Span") -> list[dict[str, float]]:
        index = index_of_ticker(ticker)
        seen_ns = self.clock.now_ns() - (DELAY if self.faults.delayed else 0)
        found: list[dict[str, float]] = []
        for paths in self.sessions:
            path = None if index is None else paths.get(index)
            if path is None:
                continue
            end_ns = min(path.last_ns, span.to_ms * MILLISECOND, seen_ns)
            for start in span.starts(path, end_ns):
                wanted = span.from_ms * MILLISECOND <= start <= span.to_ms * MILLISECOND
                if not wanted or start in self.faults.missing:
                    continue
                bar = path.bar(Channel.MINUTE, Nanos(start), Nanos(min(start + span.length_ns, seen_ns + 1)))
                if bar is not None:
                    prices = {"o": bar.open, "c": bar.close, "h": bar.high, "l": bar.low}
                    _append(found, {**prices, "t": to_ms(Nanos(start))})
        return found[::-1] if span.newest_first else found


def _append(found: list[dict[str, float]], bar: dict[str, float]) -> None:
    """A span of several days is one bar, however many sessions it has."""
    if found and found[-1]["t"] == bar["t"]:
        whole = found[-1]
        whole |= {"c": bar["c"], "h": max(whole["h"], bar["h"]), "l": min(whole["l"], bar["l"])}
        return
    found.append(bar)


@dataclass(frozen=True, slots=True)
class _Span:
    """What is asked for. Both ends in milliseconds and included."""

    multiplier: int
    unit: str
    from_ms: int
    to_ms: int
    newest_first: bool

    @property
    def length_ns(self) -> int:
        return self.multiplier * _UNITS[self.unit]

    def starts(self, path: IndexPath, end_ns: int) -> range:
        """Starts of the bars of one session: counted from midnight in New York, of its day or the first of its days."""
        day = date.fromisoformat(path.session.day)
        if self.unit == "day":
            day -= timedelta(days=day.toordinal() % self.multiplier)
        midnight = new_york(day, time(0))
        asked = max(path.open_ns, self.from_ms * MILLISECOND // self.length_ns * self.length_ns)
        first = midnight if self.unit == "day" else midnight + (asked - midnight) // self.length_ns * self.length_ns
        last = min(end_ns, first + _BARS_MAX * self.length_ns)
        return range(first, first + 1 if self.unit == "day" else last + 1, self.length_ns)


def _span(multiplier: str, unit: str, start: str, end: str, query: dict[str, list[str]]) -> _Span | str:
    """The span, or what is wrong with it."""
    order = query.get("sort", ["asc"])[0]
    from_ms, to_ms_ = _instant(start, last=False), _instant(end, last=True)
    if unit not in _UNITS:
        return f"timespan {unit} is not served"
    if order not in ("asc", "desc"):
        return "sort must be asc or desc"
    if from_ms is None or to_ms_ is None:
        return "from and to must be dates or milliseconds"
    if to_ms_ < from_ms:
        return "the 'to' time must not be before the 'from' time"
    return _Span(int(multiplier), unit, from_ms, to_ms_, order == "desc")


def _instant(text: str, *, last: bool) -> int | None:
    """A date in New York, to its last millisecond if it is the end, or milliseconds."""
    if text.isdecimal():
        return int(text)
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return to_ms(new_york(day + timedelta(days=1), time(0))) - 1 if last else to_ms(new_york(day, time(0)))


def _limit(query: dict[str, list[str]]) -> int:
    text = query.get("limit", [str(_ROWS_USUAL)])[0]
    return max(1, min(_ROWS_MAX, int(text))) if text.isdecimal() else _ROWS_USUAL


def _bearer(request: Request) -> str:
    return request.headers.get("Authorization", "").removeprefix("Bearer ")


def json_response(status: HTTPStatus, body: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    """An answer with a JSON body."""
    return _response(status, orjson.dumps(body), {"Content-Type": "application/json", **(headers or {})})


def raw_json_response(body: bytes) -> Response:
    """An answer whose JSON was written before."""
    return _response(HTTPStatus.OK, body, {"Content-Type": "application/json"})


def _response(status: HTTPStatus, body: bytes, headers: dict[str, str]) -> Response:
    every = {"Connection": "close", "Content-Length": str(len(body)), **headers}
    return Response(status.value, status.phrase, Headers(every), body)
