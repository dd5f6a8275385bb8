"""A session around the present instant, for bots that know no clock but the machine's: at any time of any day.

It is as long as a trading day: it opened half an hour before the full hour that has just passed and ends six hours
after it, at the last of six fixings. Tickers carry the New York time of their fixing whatever the hour.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from kalshi_daemon.domain.index import Geometry, Index
from kalshi_daemon.domain.instruments import SHIPPED_INSTRUMENTS, Instruments
from kalshi_daemon.domain.window import Session
from kalshi_daemon.ground.new_york import NEW_YORK
from kalshi_daemon.ground.units import HOUR, MINUTE, SECOND, Nanos
from kalshi_daemon.simulator.exchange.instruments import Listing
from kalshi_daemon.simulator.exchange.listing import events_of, geometry_of, specs_of

HOURS: Final = 6


def session_around(now_ns: Nanos) -> Session:
    """The session that `now_ns` lies in: the first of its fixings is the next full hour."""
    hour = now_ns - now_ns % HOUR
    opened, closes = Nanos(hour - 30 * MINUTE), Nanos(hour + HOURS * HOUR)
    day = datetime.fromtimestamp(now_ns // SECOND, NEW_YORK).date().isoformat()
    return Session(day, opened, closes, half_day=False)


def listing_until(
    session: Session,
    spot: Mapping[Index, float],
    geometry: Mapping[str, Geometry] | None = None,
    table: Instruments = SHIPPED_INSTRUMENTS,
) -> Listing:
    """A ladder of each hourly series at every full hour of the session, and the partitions of the last."""
    first = session.close_ns - (HOURS - 1) * HOUR
    spans = [(session.open_ns, Nanos(first + place * HOUR)) for place in range(HOURS)]
    return Listing(
        specs_of(table), tuple(events_of(spans, session.open_ns, spot, geometry or geometry_of(table), table))
    )
