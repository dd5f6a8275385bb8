"""Integers for money, counts, index levels and time; every rounding has a name.

| type    | unit                    | wire form            |
|---------|-------------------------|----------------------|
| Price   | 1/10 000 dollar         | "0.4200"             |
| Count   | 1/100 contract          | "2.00"               |
| Dollars | 1/10 000 dollar         | "12.3456"            |
| Level   | 1/10 000 index point    | 7844.9999 (a number) |
| Nanos   | nanoseconds (Unix epoch, or a duration) | ms, s or RFC 3339 |

A price is on the YES scale unless its name says otherwise. Floats appear only inside the probability maths.
"""

from decimal import ROUND_FLOOR, Decimal
from typing import Final, NewType

from kalshi_daemon.ground.readers import Rounding, level, scaled_decimal

Price = NewType("Price", int)
Count = NewType("Count", int)
Dollars = NewType("Dollars", int)
Level = NewType("Level", int)
Nanos = NewType("Nanos", int)

PRICE_ONE: Final = Price(10_000)
"""One dollar, what a contract pays when it is right."""
CONTRACT: Final = Count(100)
DOLLAR: Final = Dollars(10_000)
POINT: Final = Level(10_000)
SETTLEMENT_STEP: Final = Level(100)
"""Settlement values are published with two decimals (docs/reference/venue.md 7)."""
COUNT_MAX: Final = Count(1_000_000_000 * 100)
"""A billion contracts: beyond anything a market of the venue has traded."""
DOLLARS_MAX: Final = Dollars(1_000_000_000 * 10_000)
"""A billion dollars. Products of a count and a price within these bounds stay below 2**63."""

MEGABYTE: Final = 1024 * 1024
"""Bytes, as `df -m` counts; what settings and log lines call a megabyte."""

MICROSECOND: Final = Nanos(1_000)
MILLISECOND: Final = Nanos(1_000_000)
SECOND: Final = Nanos(1_000_000_000)
MINUTE: Final = Nanos(60 * SECOND)
HOUR: Final = Nanos(60 * MINUTE)
DAY: Final = Nanos(24 * HOUR)

_TEN_THOUSAND: Final = Decimal(10_000)


def parse_price(text: object, field: str = "price") -> Price:
    """Read a dollar price string such as "0.4200". Raises MalformedField when finer than 1/10 000 or outside 0..1."""
    return Price(scaled_decimal(text, field, decimals=4, low=0, high=PRICE_ONE))


def parse_count(text: object, field: str = "count") -> Count:
    """Read a contract count such as "2.00" (may be negative in deltas and positions). Raises MalformedField."""
    return Count(scaled_decimal(text, field, decimals=2, low=-COUNT_MAX, high=COUNT_MAX))


def parse_size(text: object, field: str = "count") -> Count:
    """Read a contract count that cannot be negative. Raises MalformedField."""
    return Count(scaled_decimal(text, field, decimals=2, low=0, high=COUNT_MAX))


def parse_dollars(text: object, field: str = "dollars") -> Dollars:
    """Read an exact dollar amount. Raises MalformedField when finer than 1/10 000 dollar."""
    return Dollars(scaled_decimal(text, field, decimals=4, low=-DOLLARS_MAX, high=DOLLARS_MAX))


def parse_dollars_ceil(text: object, field: str = "dollars") -> Dollars:
    """Read a dollar amount of up to six decimals, rounded up: the venue rounds trade fees up to $0.0001."""
    high = DOLLARS_MAX
    return Dollars(scaled_decimal(text, field, decimals=4, low=-high, high=high, rounding=Rounding.UP, finest=6))


def parse_dollars_floor(text: object, field: str = "dollars") -> Dollars:
    """Read a dollar amount of up to six decimals, rounded down: never more than there is."""
    high = DOLLARS_MAX
    return Dollars(scaled_decimal(text, field, decimals=4, low=-high, high=high, rounding=Rounding.DOWN, finest=6))


def parse_level(number: object, field: str = "level") -> Level:
    """Read an index level or strike given as a JSON number (or string), to 1/10 000 point. Raises MalformedField."""
    return Level(level(number, field))


def format_price(price: Price) -> str:
    """The wire form of a price, four decimals: Price(4200) -> "0.4200"."""
    return f"{price // 10_000}.{price % 10_000:04d}"


def format_count(count: Count) -> str:
    """The wire form of a count, two decimals: Count(200) -> "2.00"."""
    sign = "-" if count < 0 else ""
    size = abs(count)
    return f"{sign}{size // 100}.{size % 100:02d}"


def format_dollars(amount: Dollars) -> str:
    """A dollar amount with four decimals: Dollars(-15000) -> "-1.5000"."""
    sign = "-" if amount < 0 else ""
    size = abs(amount)
    return f"{sign}{size // 10_000}.{size % 10_000:04d}"


def format_level(level: Level) -> str:
    """An index level with two decimals, as the venue publishes settlement values."""
    return f"{Decimal(level) / _TEN_THOUSAND:.2f}"


def complement(price: Price) -> Price:
    """The NO price of a YES price and the other way round."""
    return Price(PRICE_ONE - price)


def cost_floor(price: Price, count: Count) -> Dollars:
    """price x count rounded down to 1/10 000 dollar (exact for whole contracts)."""
    return Dollars(price * count // CONTRACT)


def cost_ceil(price: Price, count: Count) -> Dollars:
    """price x count rounded up to 1/10 000 dollar (exact for whole contracts)."""
    return Dollars(-(-price * count // CONTRACT))


def dollars_from_float(amount: float) -> Dollars:
    """A configured dollar amount (50.0) as an integer, rounded down. Configuration only: never for venue data."""
    return Dollars(int((Decimal(str(amount)) * _TEN_THOUSAND).to_integral_value(rounding=ROUND_FLOOR)))


def price_from_float(amount: float) -> Price:
    """A configured price or price distance (0.05) as an integer, rounded down. Configuration only.

    `amount` in dollars.
    """
    return Price(int((Decimal(str(amount)) * _TEN_THOUSAND).to_integral_value(rounding=ROUND_FLOOR)))


def lots(contracts: int) -> Count:
    """Whole contracts as a Count."""
    return Count(contracts * CONTRACT)


def from_ms(ms: int) -> Nanos:
    """Milliseconds as nanoseconds."""
    return Nanos(ms * MILLISECOND)


def from_s(seconds: float) -> Nanos:
    """Seconds as nanoseconds, rounded to the nearest."""
    return Nanos(round(seconds * SECOND))


def to_ms(ns: Nanos) -> int:
    """Whole milliseconds, rounded down."""
    return ns // MILLISECOND


def to_s(ns: Nanos) -> float:
    """Nanoseconds as seconds: to show and to log, never to calculate with."""
    return ns / SECOND
