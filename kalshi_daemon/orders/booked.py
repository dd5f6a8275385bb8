"""What the books are made of: fills with what they belong to, positions that were there before, results of markets."""

from dataclasses import dataclass

from kalshi_daemon.domain.order import Fill
from kalshi_daemon.ground.units import Count, Dollars, Nanos


@dataclass(frozen=True, slots=True)
class BookedFill:
    """A fill with the event and series its market belongs to."""

    fill: Fill
    event_ticker: str
    series_ticker: str


@dataclass(frozen=True, slots=True)
class Inherited:
    """A position the account held before the first fill we know of; what it cost is not known.

    Its cost is taken at the worst: a dollar per contract either way, so that it can only turn out better.
    """

    market_ticker: str
    event_ticker: str
    series_ticker: str
    count: Count


@dataclass(frozen=True, slots=True)
class Result:
    """How a market ended: `yes`, `no`, `flat`, or a result that only the listed revenue explains (scalar, void)."""

    result: str
    at_ns: Nanos
    """When the market was paid; of a correction, when it was booked."""
    revenue: Dollars | None = None
    """What the exchange says our position paid; None while only the market's result is known."""
