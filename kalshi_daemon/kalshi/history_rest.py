"""The exchange's past over REST, from whichever tier has it. Public reads: no key is needed, nothing is written."""

from collections.abc import AsyncIterator
from enum import Enum
from typing import Final
from urllib.parse import quote

from kalshi_daemon.ground.errors import MalformedField
from kalshi_daemon.ground.units import MINUTE, SECOND, Nanos
from kalshi_daemon.kalshi import fields
from kalshi_daemon.kalshi.fields import Json
from kalshi_daemon.kalshi.history_codec import Cutoff, read_cutoff
from kalshi_daemon.kalshi.rate_limit import Endpoint
from kalshi_daemon.kalshi.transport import Request, Transport, read_object, wire_query

PAGE: Final = 1_000
"""Rows a request, the most the exchange gives."""
PAGES_MAX: Final = 2_000
"""Two million rows of one market: beyond that the pages do not end."""
CANDLES_MAX: Final = 5_000
"""Asked for at once; the exchange answers 10,000 at most (docs/reference/venue.md 2.2)."""


class Tier(Enum):
    """Where the exchange keeps something."""

    LIVE = "live"
    ARCHIVE = "archive"


class HistoryRest:
    """Reads through a transport, which keeps to the limits. Every method raises VenueError and MalformedData."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def cutoff(self) -> Cutoff:
        """What is older is in the archive alone."""
        request = Request(Endpoint.CUTOFF, "/historical/cutoff", signed=False)
        return read_cutoff(read_object(await self._transport.read(request), request.name))

    async def markets(self, event_ticker: str, tier: Tier) -> list[Json]:
        """Every market of an event that the tier has; none for an event it does not know."""
        live = tier is Tier.LIVE
        endpoint = Endpoint.MARKETS if live else Endpoint.ARCHIVED_MARKETS
        query = wire_query(event_ticker=event_ticker, limit=PAGE)
        pages = self._pages(Request(endpoint, endpoint.template, query, signed=False), "markets")
        return [item async for page in pages for item in page]

    def trades(self, ticker: str, tier: Tier, from_ns: Nanos, to_ns: Nanos) -> AsyncIterator[list[Json]]:
        """The trades of a market between two instants (whole seconds, both included), page by page, newest first."""
        endpoint = Endpoint.TRADES if tier is Tier.LIVE else Endpoint.ARCHIVED_TRADES
        query = wire_query(ticker=ticker, min_ts=from_ns // SECOND, max_ts=to_ns // SECOND, limit=PAGE)
        return self._pages(Request(endpoint, endpoint.template, query, signed=False), "trades")

    async def candles(
        self, ticker: str, tier: Tier, from_ns: Nanos, to_ns: Nanos, period_min: int
    ) -> AsyncIterator[list[Json]]:
        """The candles of a market that end between two instants, in order. `period_min`: 1, 60 or 1440 minutes."""
        series, market = quote(ticker.partition("-")[0], safe=""), quote(ticker, safe="")
        if tier is Tier.LIVE:
            endpoint, path = Endpoint.CANDLES, f"/series/{series}/markets/{market}/candlesticks"
        else:
            endpoint, path = Endpoint.ARCHIVED_CANDLES, f"/historical/markets/{market}/candlesticks"
        span = CANDLES_MAX * period_min * MINUTE
        start = int(from_ns)
        while start <= to_ns:
            end = min(int(to_ns), start + span - SECOND)
            query = wire_query(start_ts=start // SECOND, end_ts=end // SECOND, period_interval=period_min)
            request = Request(endpoint, path, query, signed=False)
            obj = read_object(await self._transport.read(request), request.name)
            items = fields.as_array(fields.need(obj, "candlesticks", request.name), "candlesticks")
            yield [fields.as_object(item, "candlestick") for item in items]
            start = end + SECOND

    async def _pages(self, request: Request, key: str) -> AsyncIterator[list[Json]]:
        """Raises MalformedData when pages do not end, or the end is not marked."""
        seen: set[str] = set()
        query = dict(request.query or {})
        for _ in range(PAGES_MAX):
            page = Request(request.endpoint, request.path, query, signed=False)
            obj = read_object(await self._transport.read(page), request.name)
            items = fields.as_array(fields.need(obj, key, request.name), key)
            yield [fields.as_object(item, key) for item in items]
            cursor = fields.optional_text(obj, "cursor", request.name)
            if cursor is None:
                if "cursor" not in obj:
                    fields.need(obj, "cursor", request.name)  # a list cut short would look complete
                return
            if cursor in seen:
                raise MalformedField(f"{request.name}.cursor", cursor, "a cursor that was not given before")
            seen.add(cursor)
            query["cursor"] = cursor
        raise MalformedField(f"{request.name}.cursor", len(seen), f"a list of at most {PAGES_MAX} pages")
