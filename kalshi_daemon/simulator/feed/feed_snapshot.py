"""The vendor's REST snapshot of index values, on the feed's port (docs/reference/feed.md 2.2).

    GET /v3/snapshot/indices?ticker.any_of=I:SPX,I:NDX      one item each, in the order asked for

`last_updated` is in nanoseconds; a delayed plan is a quarter of an hour behind and says so; a ticker that is not
served, or has no value yet, comes as an item with an `error`, in a 200. Key, refusals and rate limits are those of the
aggregates (`feed_history`). A misprint with the channel `snapshot` makes it lie.
"""

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import orjson
from websockets.http11 import Request, Response

from kalshi_daemon.domain.index import Index, index_of_ticker
from kalshi_daemon.ground.units import SECOND, Nanos
from kalshi_daemon.simulator.feed.feed_history import DELAY, FeedHistory, json_response, raw_json_response
from kalshi_daemon.simulator.feed.misprints import Misprint, bend

PREFIX: Final = "/v3/snapshot/indices"
_TICKERS_MAX: Final = 250


@dataclass(slots=True)
class FeedSnapshot:
    """Answers requests from the sessions and with the key and the faults of `history`."""

    history: FeedHistory
    misprints: list[Misprint]
    refusal: str = ""
    """Answer 403 NOT_AUTHORIZED with this message: a plan with aggregates and without snapshots."""
    absent: bool = False
    """Answer 404, as a host without this endpoint."""
    asked: int = field(default=0, init=False)

    def answer(self, request: Request) -> Response:
        """The answer to a GET of PREFIX."""
        self.asked += 1
        query = parse_qs(urlsplit(request.path).query)
        refused = self.history.refused(request, query)
        if refused is not None:
            return refused
        if self.absent:
            return json_response(HTTPStatus.NOT_FOUND, {"status": "NOT_FOUND", "error": "no such endpoint"})
        if self.refusal:
            return json_response(HTTPStatus.FORBIDDEN, {"status": "NOT_AUTHORIZED", "message": self.refusal})
        wanted = ",".join(query.get("ticker.any_of", ())).split(",")
        items = b",".join(self._item(ticker) for ticker in wanted[:_TICKERS_MAX] if ticker)
        return raw_json_response(b'{"status":"OK","request_id":"simulated","results":[' + items + b"]}")

    def _item(self, ticker: str) -> bytes:
        index = index_of_ticker(ticker)
        found = None if index is None else self._value(index)
        if index is None or found is None:
            return orjson.dumps({"ticker": ticker, "error": "NOT_FOUND", "message": "Ticker not found."})
        return bend([("snapshot", index, {"ticker": ticker, "type": "indices", **found})], self.misprints)[0][2]

    def _value(self, index: Index) -> dict[str, Any] | None:
        """The newest print as far as the plan sees; None before the first."""
        delayed = self.history.faults.delayed
        now = self.history.clock.now_ns() - (DELAY if delayed else 0)
        paths = [paths[index] for paths in self.history.sessions if index in paths and paths[index].open_ns <= now]
        if not paths:
            return None
        at_ns = min(now, paths[-1].last_ns)
        return {
            "value": paths[-1].value_at(Nanos(at_ns)),
            "last_updated": at_ns - (at_ns - paths[-1].open_ns) % SECOND,
            "timeframe": "DELAYED" if delayed else "REAL-TIME",
            "market_status": "open" if at_ns < paths[-1].session.close_ns else "closed",
        }
