"""The vendor's aggregates over REST without IO: request targets out, pages of bytes in (docs/reference/feed.md 2.1).

    GET /v2/aggs/ticker/I:SPX/range/1/minute/{from}/{to}?sort=asc&limit=50000
    {"ticker", "status": "OK" | "DELAYED", "results": [{"o", "h", "l", "c", "t"}], "next_url"}

`t` is a bar's START in Unix milliseconds. `results` may be absent, minutes without a value have no bar, a bar may come
twice (the last one counts), and the minute that is running comes as far as it has got.
"""

from collections.abc import Container
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from kalshi_daemon.domain.index import Bar, Channel, Index
from kalshi_daemon.ground.errors import HistoryRefused, HistoryUnavailable, MalformedData, MalformedField
from kalshi_daemon.ground.readers import parse_json
from kalshi_daemon.ground.units import MINUTE, Nanos, to_ms
from kalshi_daemon.index_feed.protocol import prices_of, stamp_of

ROWS_MAX: Final = 50_000
"""The vendor's most per page: 128 sessions of minutes."""
_GOOD: Final = frozenset({"OK", "DELAYED"})
_REFUSED: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
_KEY_NAMES: Final = frozenset({"apikey"})
_WORDS_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class Page:
    """One answer."""

    bars: tuple[Bar, ...]
    """By start, each start once."""
    next_target: str | None
    """Path and query of the next page; the host and the key are ours."""
    delayed: bool
    """The plan sees the last quarter of an hour not yet."""
    refused: int
    """Bars that are none: left out."""


def target_of(index: Index, from_ns: Nanos, to_ns: Nanos) -> str:
    """Path and query for the minute bars that START in [from, to], both ends included."""
    span = f"{to_ms(from_ns)}/{to_ms(to_ns)}"
    return f"/v2/aggs/ticker/{index.feed_ticker}/range/1/minute/{span}?sort=asc&limit={ROWS_MAX}"


def decode_page(status: int, body: bytes, index: Index, recv_ns: Nanos, asked: str) -> Page:
    """The page of an answer. Raises HistoryRefused for a key or plan that may not, HistoryUnavailable for the rest."""
    found = object_of(status, body, asked, _REFUSED)
    if found.get("status") not in _GOOD:
        raise HistoryUnavailable(asked, words_of(found, status))
    results = found.get("results")
    if results is None:
        results = []
    if not isinstance(results, list) or found.get("ticker", index.feed_ticker) != index.feed_ticker:
        raise HistoryUnavailable(asked, "an answer about something else")
    bars: dict[Nanos, Bar] = {}
    for item in results:
        bar = _bar(item, index, recv_ns)
        if bar is not None:
            bars[bar.start_ns] = bar
    refused = sum(_bar(item, index, recv_ns) is None for item in results) if len(bars) < len(results) else 0
    in_order = tuple(bars[start] for start in sorted(bars))
    return Page(in_order, _next_target(found.get("next_url"), asked), found["status"] == "DELAYED", refused)


def object_of(status: int, body: bytes, asked: str, refusals: Container[int]) -> dict[str, Any]:
    """The JSON object of a 200 of the vendor's REST side.

    refusals: status codes by which a key or a plan is refused. Raises HistoryRefused for those, HistoryUnavailable for
    any other answer.
    """
    try:
        found = parse_json(body, "answer")
    except MalformedField:
        found = None
    if status in refusals or (isinstance(found, dict) and found.get("status") == "NOT_AUTHORIZED"):
        raise HistoryRefused(asked, words_of(found, status))
    if status != HTTPStatus.OK or not isinstance(found, dict):
        raise HistoryUnavailable(asked, words_of(found, status))
    return found


def _bar(item: object, index: Index, recv_ns: Nanos) -> Bar | None:
    """None for what is no minute bar: a missing or impossible price, a start that is no whole minute."""
    if not isinstance(item, dict):
        return None
    try:
        start_ns = stamp_of(item, "t", "aggregate")
        first, high, low, last = prices_of(item, "aggregate")
    except MalformedData:
        return None
    if start_ns % MINUTE:
        return None
    return Bar(index, Channel.MINUTE, first, high, low, last, start_ns, Nanos(start_ns + MINUTE), recv_ns)


def _next_target(url: object, asked: str) -> str | None:
    if url is None or url == "":
        return None
    try:
        parts = urlsplit(str(url))
    except ValueError:
        raise HistoryUnavailable(asked, "next_url is no address") from None
    if not parts.path.startswith("/v2/aggs/"):
        raise HistoryUnavailable(asked, "next_url leads somewhere else")
    query = [(name, value) for name, value in parse_qsl(parts.query) if name.lower() not in _KEY_NAMES]
    return f"{parts.path}?{urlencode(query)}" if query else parts.path


def words_of(found: Any, status: int) -> str:  # noqa: ANN401 - whatever the answer was
    """What the vendor says about it; its prose, cut, in one line."""
    said = ""
    if isinstance(found, dict):
        said = str(found.get("message") or found.get("error") or found.get("status") or "")
    return f"{status} {' '.join(said.split())[:_WORDS_MAX]}".strip() if said else f"{status} without a usable answer"
