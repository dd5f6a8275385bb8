"""Brings the archive of the exchange's past up to what was asked for, event by event, from whichever tier has it.

An event is one request for its markets and a few for each market that traded. Every event is written as soon as it has
come, so that a run that was broken off goes on where it was. Tickers of events are known beforehand: series and fixing.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import structlog

from kalshi_daemon.domain.index import Series
from kalshi_daemon.domain.window import Session
from kalshi_daemon.ground.backoff import doubled
from kalshi_daemon.ground.clock import Clock
from kalshi_daemon.ground.errors import MalformedData, RateLimited, VenueUnavailable, VenueUnreachable
from kalshi_daemon.ground.new_york import event_stamp
from kalshi_daemon.ground.units import CONTRACT, DOLLAR, HOUR, SECOND, Nanos
from kalshi_daemon.kalshi.fields import Json
from kalshi_daemon.kalshi.history_codec import (
    Cutoff,
    PastMarket,
    PastTrade,
    read_candle,
    read_past_market,
    read_past_trade,
)
from kalshi_daemon.kalshi.history_rest import Tier
from kalshi_daemon.research.history.archive import Kind, path_of, stored, write_event
from kalshi_daemon.windows.table import fixings

log = structlog.get_logger()

KEPT, WRITTEN, PARTIAL, EMPTY = "kept", "written", "partial", "empty"
TRIES: Final = 6
_WAIT_FIRST: Final = Nanos(2 * SECOND)
_WAIT_MAX: Final = Nanos(60 * SECOND)
_AFTER_CLOSE: Final = Nanos(HOUR)
"""Trades and candles are asked for until this long after the close: nothing comes later."""


@dataclass(frozen=True, slots=True)
class PastEvent:
    """An event that has been fixed. `day`: New York, YYYY-MM-DD."""

    ticker: str
    day: str
    target_ns: Nanos


@dataclass(frozen=True, slots=True)
class EventResult:
    """What became of one event."""

    event_ticker: str
    day: str
    outcome: str
    """`kept` was there, `written` is whole, `partial` is not settled yet, `empty` the exchange does not know."""
    rows: Mapping[Kind, int]
    unreadable: int = 0
    """Records of the exchange that nobody could make sense of: left out, and the event is asked for again."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to keep of each event. `period_min`: of candles, in minutes. `again`: also what is there."""

    kinds: tuple[Kind, ...]
    period_min: int = 1
    again: bool = False


class Past(Protocol):
    """Who knows it: `kalshi.history_rest.HistoryRest`."""

    async def cutoff(self) -> Cutoff:
        """What is older is in the archive alone."""
        ...

    async def markets(self, event_ticker: str, tier: Tier) -> list[Json]:
        """Every market of an event that the tier has."""
        ...

    def trades(self, ticker: str, tier: Tier, from_ns: Nanos, to_ns: Nanos) -> AsyncIterator[list[Json]]:
        """The trades of a market between two instants, page by page."""
        ...

    def candles(
        self, ticker: str, tier: Tier, from_ns: Nanos, to_ns: Nanos, period_min: int
    ) -> AsyncIterator[list[Json]]:
        """The candles of a market, `period_min` minutes each."""
        ...


def past_events(sessions: Iterable[Session], series: Iterable[Series], now_ns: Nanos) -> list[PastEvent]:
    """Every event of these sessions that has been fixed by now, in the order of their fixings."""
    found = [
        PastEvent(f"{one.ticker}-{event_stamp(target)}", session.day, target)
        for session in sessions
        for one in series
        for target in fixings(session, one)
        if target <= now_ns
    ]
    return sorted(found, key=lambda event: (event.target_ns, event.ticker))


async def fetch_history(
    past: Past, events: Sequence[PastEvent], root: Path, clock: Clock, wanted: Wanted
) -> AsyncIterator[EventResult]:
    """Every event in turn; what was yielded is on disk.

    Raises VenueError when the exchange refuses, or does not answer TRIES times with growing waits between; OSError.
    """
    fetcher = _Fetcher(past, root, clock, wanted)
    for event in events:
        yield await fetcher.fetch(event)


class _Fetcher:
    """One run. The cutoff is read once: an event that moves to the archive meanwhile is found there all the same."""

    def __init__(self, past: Past, root: Path, clock: Clock, wanted: Wanted) -> None:
        self._past = past
        self._root = root
        self._clock = clock
        self._wanted = wanted
        self._cutoff: Cutoff | None = None
        self._unreadable = 0

    async def fetch(self, event: PastEvent) -> EventResult:
        places = {
            kind: path_of(self._root, kind, event.ticker, event.day, self._wanted.period_min)
            for kind in self._wanted.kinds
        }
        there = {kind: None if self._wanted.again else stored(path) for kind, path in places.items()}
        missing = [kind for kind, found in there.items() if found is None or not found.final]
        rows = {kind: found.rows for kind, found in there.items() if found is not None}
        if not missing:
            return EventResult(event.ticker, event.day, KEPT, rows)
        self._unreadable = 0
        tier, markets = await self._markets(event)
        if not markets:
            return EventResult(event.ticker, event.day, EMPTY, {}, self._unreadable)
        for kind in missing:
            found = await self._rows(kind, tier, markets)
            final = self._unreadable == 0 and all(market.settled for market in markets)
            write_event(places[kind], kind, found, final=final)
            rows[kind] = len(found)
        whole = self._unreadable == 0 and all(market.settled for market in markets)
        return EventResult(event.ticker, event.day, WRITTEN if whole else PARTIAL, rows, self._unreadable)

    async def _markets(self, event: PastEvent) -> tuple[Tier, list[PastMarket]]:
        """From the tier that should have it, else from the other one: the cutoff is of settlements, not of fixings."""
        cutoff = await self._known_cutoff()
        first = Tier.ARCHIVE if event.target_ns < cutoff.markets_ns else Tier.LIVE
        for tier in (first, Tier.LIVE if first is Tier.ARCHIVE else Tier.ARCHIVE):
            found = await self._patiently(lambda tier=tier: self._past.markets(event.ticker, tier))  # type: ignore[misc]
            if found:
                markets = [one for one in map(self._market, found) if one is not None]
                return tier, [one for one in markets if one.event_ticker == event.ticker]
        return first, []

    async def _known_cutoff(self) -> Cutoff:
        if self._cutoff is None:
            self._cutoff = await self._patiently(self._past.cutoff)
        return self._cutoff

    async def _rows(self, kind: Kind, tier: Tier, markets: Sequence[PastMarket]) -> list[dict[str, Any]]:
        if kind is Kind.MARKETS:
            return [_market_row(market) for market in markets]
        rows: list[dict[str, Any]] = []
        for market in markets:
            if market.volume == 0:
                continue  # nothing traded, and nobody's candle says more than that
            if kind is Kind.TRADES:
                rows += map(_trade_row, await self._trades(market))
            else:
                rows += await self._candles(market, tier)
        return rows

    async def _trades(self, market: PastMarket) -> list[PastTrade]:
        """From both sides of the cutoff, oldest first, each once."""
        cutoff, end = (await self._known_cutoff()).trades_ns, Nanos(market.close_ns + _AFTER_CLOSE)
        spans = [
            (Tier.ARCHIVE, market.open_ns, min(end, cutoff)),
            (Tier.LIVE, Nanos(max(market.open_ns, cutoff - cutoff % SECOND)), end),
        ]
        found: dict[str, PastTrade] = {}
        for tier, begin, until in spans:
            if begin <= until:
                items = await self._patiently(
                    lambda tier=tier, begin=begin, until=until: _joined(  # type: ignore[misc]
                        self._past.trades(market.ticker, tier, begin, until)
                    )
                )
                read = [one for one in map(self._trade, items) if one is not None]
                found.update((one.trade_id, one) for one in read if one.ticker == market.ticker)
        return sorted(found.values(), key=lambda trade: (trade.at_ns, trade.trade_id))

    async def _candles(self, market: PastMarket, tier: Tier) -> list[dict[str, Any]]:
        period, end = self._wanted.period_min, Nanos(market.close_ns + _AFTER_CLOSE)
        items = await self._patiently(
            lambda: _joined(self._past.candles(market.ticker, tier, market.open_ns, end, period))
        )
        rows = []
        for item in items:
            row = self._readable(lambda item=item: read_candle(market.ticker, item))  # type: ignore[misc]
            if row is not None:
                rows.append(row | {"end_time": row["end_ns"]})
        return rows

    def _market(self, item: Json) -> PastMarket | None:
        return self._readable(lambda: read_past_market(item))

    def _trade(self, item: Json) -> PastTrade | None:
        return self._readable(lambda: read_past_trade(item))

    def _readable[T](self, read: Callable[[], T]) -> T | None:
        """What cannot be read costs itself: it is counted, and its event is asked for again."""
        try:
            return read()
        except MalformedData as problem:
            self._unreadable += 1
            log.warning("venue_history.record_unreadable", problem=str(problem))
            return None

    async def _patiently[T](self, ask: Callable[[], Awaitable[T]]) -> T:
        """Asked again after growing waits; a fetch of hours outlives a minute without the exchange."""
        for attempt in range(TRIES):
            try:
                return await ask()
            except (VenueUnreachable, VenueUnavailable, RateLimited) as problem:
                if attempt == TRIES - 1:
                    raise
                wait = Nanos(doubled(_WAIT_FIRST, attempt, _WAIT_MAX))
                log.warning("venue_history.waited", problem=str(problem), wait_s=wait / SECOND, attempt=attempt + 1)
                await self._clock.sleep(wait)
        raise AssertionError("the last attempt returns or raises")


async def _joined(pages: AsyncIterator[list[Json]]) -> list[Json]:
    return [item async for page in pages for item in page]


def _market_row(market: PastMarket) -> dict[str, Any]:
    return {
        "ticker": market.ticker,
        "event_ticker": market.event_ticker,
        "status": market.status,
        "strike_type": market.strike_type,
        "floor_strike": market.floor_strike,
        "cap_strike": market.cap_strike,
        "open_time": market.open_ns,
        "close_time": market.close_ns,
        "settlement_time": market.settled_ns,
        "result": market.result,
        "expiration_value": market.expiration_value,
        "volume": market.volume / CONTRACT,
        "open_interest": market.open_interest / CONTRACT,
    }


def _trade_row(trade: PastTrade) -> dict[str, Any]:
    return {
        "trade_id": trade.trade_id,
        "ticker": trade.ticker,
        "time": trade.at_ns,
        "price": trade.price / DOLLAR,
        "contracts": trade.count / CONTRACT,
        "taker_side": trade.taker_side,
        "block": trade.block,
    }
