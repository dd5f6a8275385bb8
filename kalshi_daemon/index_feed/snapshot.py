"""The vendor's snapshot of index values over REST without IO: a request target out, values in.

Source: docs/reference/feed.md 2.2.

    GET /v3/snapshot/indices?ticker.any_of=I:SPX,I:NDX
    {"status": "OK", "results": [{"ticker", "value", "last_updated", "timeframe": "REAL-TIME" | "DELAYED", ...},
                                 {"ticker", "error": "NOT_FOUND" | "NOT_ENTITLED", "message"}]}

`last_updated` is in Unix NANOseconds. An index whose item cannot be read has no value; the others keep theirs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from kalshi_daemon.domain.index import Index
from kalshi_daemon.domain.instruments import SHIPPED_INSTRUMENTS
from kalshi_daemon.ground.errors import HistoryRefused, HistoryUnavailable, MalformedField
from kalshi_daemon.ground.readers import epoch_ns, level_points
from kalshi_daemon.ground.units import Nanos
from kalshi_daemon.index_feed.aggregates import object_of, words_of

ITEMS_MAX: Final = 250
"""The vendor's most per page."""
_REFUSED: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND})
_WORDS_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class SnapshotValue:
    """What the vendor's REST side said of one index; points, > 0."""

    index: Index
    value: float
    at_ns: Nanos
    """Its own stamp."""
    delayed: bool
    """The plan is a delayed one: the stamp is a quarter of an hour old."""


def snapshot_target(ours: Mapping[str, Index]) -> str:
    """Path and query for every index, by the vendor's ticker."""
    return f"/v3/snapshot/indices?ticker.any_of={','.join(ours)}&limit={len(ours)}"


def decode_snapshot(
    status: int, body: bytes, asked: str, ours: Mapping[str, Index] = SHIPPED_INSTRUMENTS.by_feed_ticker
) -> dict[Index, SnapshotValue]:
    """The values of an answer, by index. Raises HistoryRefused where the plan has none, else HistoryUnavailable."""
    found = object_of(status, body, asked, _REFUSED)
    items = found.get("results")
    if not isinstance(items, list) or len(items) > ITEMS_MAX:
        raise HistoryUnavailable(asked, words_of(found, status))
    values: dict[Index, SnapshotValue] = {}
    refusals: list[str] = []
    tickers = [_index_of(item, ours) for item in items]
    for item, index in zip(items, tickers, strict=True):
        if index is None or tickers.count(index) > 1:  # said twice is said by nobody
            continue
        if "error" in item:
            refusals.append(str(item["error"])[:_WORDS_MAX])
            continue
        value = _value(item, index)
        if value is not None:
            values[index] = value
    if not values and "NOT_ENTITLED" in refusals:
        raise HistoryRefused(asked, "NOT_ENTITLED")
    return values


def _index_of(item: object, ours: Mapping[str, Index]) -> Index | None:
    ticker = item.get("ticker") if isinstance(item, dict) else None
    return ours.get(ticker) if isinstance(ticker, str) else None


def _value(item: dict[str, Any], index: Index) -> SnapshotValue | None:
    try:
        value = level_points(item.get("value"), "snapshot.value")
        at_ns = Nanos(epoch_ns(item.get("last_updated"), "snapshot.last_updated"))
    except MalformedField:
        return None
    return SnapshotValue(index, value, at_ns, item.get("timeframe") == "DELAYED")
