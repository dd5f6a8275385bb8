"""A simulated exchange on loopback with an event that traded and settled, and a client of its past."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from kalshi_daemon.ground.clock import SystemClock
from kalshi_daemon.ground.units import HOUR, SECOND, Nanos
from kalshi_daemon.kalshi.history_rest import HistoryRest
from kalshi_daemon.kalshi.transport import Transport, open_session
from kalshi_daemon.research.history.venue_history import PastEvent
from kalshi_daemon.settings.model import KalshiSettings
from tests.simulator.exchange_kit import EVENT, OTHER, START, TARGET, TICKER, put
from tests.simulator.server_kit import Venue

HOURLY = PastEvent(EVENT, "2026-11-23", TARGET)
UNKNOWN = PastEvent("KXINXU-26NOV23H1100", "2026-11-23", Nanos(TARGET + HOUR))


@dataclass
class Past:
    venue: Venue
    client: HistoryRest

    @property
    def asked(self) -> dict[str, int]:
        """Requests that were answered, by operation and status."""
        return dict(self.venue.server.rest.requests)


def trade_a_lot(venue: Venue, trades: int) -> None:
    """So many trades in TICKER a second apart at 40 and 41 cents, and one in OTHER."""
    for number in range(trades):
        venue.clock.set(Nanos(venue.clock.now_ns() + SECOND))
        cents = 40 + number % 2
        put(venue.exchange, "api", "ask", cents, 1)
        put(venue.exchange, "bob", "bid", cents, 1)
    put(venue.exchange, "api", "ask", 30, 2, ticker=OTHER)
    put(venue.exchange, "bob", "bid", 30, 2, ticker=OTHER)


def settle(venue: Venue) -> None:
    venue.clock.set(Nanos(TARGET + HOUR))
    venue.exchange.run_until(venue.clock.now_ns())


@contextlib.asynccontextmanager
async def a_past(trades: int = 6, *, settled: bool = True) -> AsyncIterator[Past]:
    async with Venue() as venue, open_session() as http:
        trade_a_lot(venue, trades)
        if settled:
            settle(venue)
        settings = KalshiSettings(read_timeout_ms=2_000)
        transport = Transport(venue.urls.rest_url, None, SystemClock(), settings, session=http)
        yield Past(venue, HistoryRest(transport))


__all__ = ["EVENT", "HOURLY", "OTHER", "START", "TARGET", "TICKER", "UNKNOWN", "Past", "a_past", "settle"]
