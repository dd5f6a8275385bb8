"""A venue made of dictionaries, a recording stream and a monitor between them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import numpy as np

from kalshi_daemon.domain.book import Book
from kalshi_daemon.domain.events import BookSnapshot, ExchangeStatus, StreamUp
from kalshi_daemon.domain.index import Channel, Index, Tick
from kalshi_daemon.domain.window import Phase, Window, WindowStatus
from kalshi_daemon.ground.clock import ManualClock
from kalshi_daemon.ground.units import (
    HOUR,
    MINUTE,
    SECOND,
    Count,
    Nanos,
    Price,
    complement,
    format_count,
    format_price,
)
from kalshi_daemon.settings.model import ProfileSettings, ProfilesSettings, Settings
from kalshi_daemon.state import CalibrationView, DaemonState
from kalshi_daemon.venue.monitor import MonitorCallbacks, VenueMonitor
from kalshi_daemon.windows.table import enabled_series
from tests.support.instruments import KXINXU
from tests.support.written import as_written
from tests.venue.listing_samples import event_object, ladder_objects

TEN_ET = Nanos(1_795_446_000 * SECOND)
"""2026-11-23 10:00 in New York."""
EVENT = "KXINXU-26NOV23H1100"
TARGET = Nanos(TEN_ET + HOUR)


class FakeVenue:
    """MarketDataApi. `failures` are raised once each, in order, by the next call of that name."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.listed: dict[str, list[dict[str, Any]]] = {"open": [event_object(EVENT)]}
        self.ladders: dict[str, list[dict[str, Any]]] = {EVENT: ladder_objects(EVENT, 6700, 7000)}
        self.fees: dict[str, dict[str, Any]] = {}
        self.books: dict[str, dict[str, Any]] = {}
        """What REST says of a market's book, if it is not `honest`."""
        self.honest: Any = None
        self.failures: dict[str, list[Exception]] = {}
        self.calls: list[tuple[str, ...]] = []
        self.during_markets: list[Any] = []

    def _called(self, *what: str) -> None:
        self.calls.append(what)
        failures = self.failures.get(what[0])
        if failures:
            raise failures.pop(0)

    async def exchange_status(self) -> ExchangeStatus:
        self._called("status")
        return ExchangeStatus(exchange_active=True, trading_active=True, read_ns=self.clock.now_ns())

    async def series(self, series_ticker: str) -> dict[str, Any]:
        self._called("series", series_ticker)
        return self.fees.get(series_ticker, {"ticker": series_ticker, "fee_type": "quadratic", "fee_multiplier": 1})

    async def events(self, series_ticker: str, status: str | None = None) -> list[dict[str, Any]]:
        self._called("events", series_ticker, str(status))
        listed = self.listed.get(str(status), [])
        return [obj for obj in listed if str(obj.get("event_ticker")).partition("-")[0] in (series_ticker, "None")]

    async def markets(self, event_ticker: str) -> list[dict[str, Any]]:
        self._called("markets", event_ticker)
        for hook in self.during_markets:
            hook()
        return self.ladders[event_ticker]

    async def orderbook(self, market_ticker: str) -> dict[str, Any]:
        self._called("orderbook", market_ticker)
        return self.books[market_ticker] if market_ticker in self.books else self.honest(market_ticker)


def rest_book(book: Book) -> dict[str, Any]:
    """A book as REST shows it: bids of both sides, NO levels in NO prices."""
    sides = (book.bids, {complement(price): count for price, count in book.asks.items()})
    yes, no = ([[format_price(p), format_count(n)] for p, n in sorted(side.items())] for side in sides)
    return {"yes_dollars": yes, "no_dollars": no}


class FakeStream:
    """StreamControl."""

    def __init__(self) -> None:
        self.wanted: list[list[str]] = []
        self.asked: list[list[str]] = []
        self.renewed: list[list[str]] = []
        self.repeated = 0

    def want_books(self, market_tickers: Any) -> None:
        self.wanted.append(list(market_tickers))

    def request_snapshots(self, market_tickers: Any) -> None:
        self.asked.append(list(market_tickers))

    def resubscribe(self, market_tickers: Any) -> None:
        self.renewed.append(list(market_tickers))


class FlatForecast:
    """P(X >= K) falls from 1 at level - 100 points to 0 at level + 100."""

    def __init__(self, level: float = 6850.0) -> None:
        self.level = level

    def forecast(self, _now: Nanos, _target: Nanos) -> "FlatForecast | None":
        return self

    def probabilities(self, contracts: Any) -> Any:
        strikes = np.array([contract.lowest / 10_000 for contract in contracts])
        return np.clip((self.level + 100 - strikes) / 200, 0.0, 1.0)


class Rig:
    def __init__(self, *, now: Nanos = TEN_ET, series: tuple[str, ...] = ("KXINXU",)) -> None:
        self.clock = ManualClock(now)
        self.state = DaemonState()
        self.venue = FakeVenue(self.clock)
        self.stream = FakeStream()
        self.changes = 0
        self.venue.honest = lambda ticker: rest_book(self.state.venue.books[ticker])
        profile = ProfileSettings(series=series, lots=1, bins=4, impact_cap=0.05)
        off = ProfileSettings(enabled=False, series=("unheard of",), lots=1, bins=1, impact_cap=0.05)
        self.settings = Settings(profiles=ProfilesSettings(wide=profile, size=off, close=off))
        self.reports: list[dict[str, Any]] = []
        self.monitor = VenueMonitor(
            self.state,
            self.venue,
            self.stream,
            self.clock,
            self.settings,
            enabled_series(self.settings),
            MonitorCallbacks(self.changed, lambda made: self.reports.append(as_written(made))),
        )

    def changed(self) -> None:
        self.changes += 1

    def window(self, phase: Phase = Phase.OPEN, event: str = EVENT, opens: Nanos = TEN_ET) -> None:
        window = Window(
            KXINXU,
            event,
            "2026-11-23",
            opens,
            Nanos(TARGET - 5 * MINUTE),
            Nanos(TARGET - 130 * SECOND),
            Nanos(TARGET - 120 * SECOND),
            TARGET,
        )
        self.state.windows[event] = WindowStatus(window, phase)

    def tick(self, value: float) -> None:
        now = self.clock.now_ns()
        self.state.index[Index.SPX].last = Tick(Index.SPX, Channel.VALUE, value, now, now)

    def forecast(self, level: float = 6850.0) -> None:
        self.state.calibration[Index.SPX] = cast(CalibrationView, FlatForecast(level))  # only what is asked here

    def book(self, ticker: str, *, sid: int = 1, bid: int = 4000, ask: int = 4400, at: Nanos | None = None) -> None:
        recv = self.clock.now_ns() if at is None else at
        levels = ((Price(bid), Count(100)),), ((Price(ask), Count(100)),)
        self.monitor.on_event(BookSnapshot(sid, 1, ticker, *levels, recv))

    def up(self) -> None:
        self.monitor.on_event(StreamUp(self.clock.now_ns()))

    async def advance(self, seconds: float, step: float = 1.0) -> None:
        for _ in range(round(seconds / step)):
            self.clock.advance(Nanos(round(step * SECOND)))
            await settle()

    def called(self, name: str) -> int:
        return sum(call[0] == name for call in self.venue.calls)


async def settle() -> None:
    """Let every task that can run do so; nothing in the fakes waits longer than one turn."""
    for _ in range(30):
        await asyncio.sleep(0)


@asynccontextmanager
async def running(rig: Rig) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(rig.monitor.run(), name="monitor")
        await settle()
        yield
        task.cancel()
