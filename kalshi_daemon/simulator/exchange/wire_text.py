"""Numbers and times as the venue writes them: strings with fixed decimals, RFC 3339 with a Z."""

import time
from functools import lru_cache

from kalshi_daemon.ground.units import PRICE_ONE, SECOND, Level, Nanos


def price_text(price: int) -> str:
    """Four decimals of a dollar. `price` in 1/10 000 dollar."""
    return f"{price // PRICE_ONE}.{price % PRICE_ONE:04d}"


def count_text(count: int) -> str:
    """Two decimals of a contract, signed. `count` in 1/100 contract."""
    sign = "-" if count < 0 else ""
    return f"{sign}{abs(count) // 100}.{abs(count) % 100:02d}"


def micros_text(micros: int) -> str:
    """Micro-dollars as dollars: four decimals, six where four would lose something."""
    text = fee_text(micros)
    return text.removesuffix("00")


def fee_text(micros: int) -> str:
    """Micro-dollars as dollars with six decimals, as `fee_cost` is written."""
    sign = "-" if micros < 0 else ""
    whole, rest = divmod(abs(micros), 1_000_000)
    return f"{sign}{whole}.{rest:06d}"


def average_text(micros: int, count: int) -> str:
    """Micro-dollars per contract count (1/100) as dollars per contract, rounded half up to six decimals."""
    per_contract = (2 * micros * 100 + count) // (2 * count)
    return micros_text(per_contract)


def level_number(level: Level) -> int | float:
    """A strike as a JSON number: whole where it is whole."""
    whole, rest = divmod(level, PRICE_ONE)
    return whole if rest == 0 else level / PRICE_ONE


@lru_cache(maxsize=4096)
def _second_text(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def rfc3339(ns: Nanos) -> str:
    """Microseconds, trailing zeros dropped: `2026-08-07T06:46:28.97871Z`."""
    seconds, rest = divmod(int(ns), SECOND)
    micros = rest // 1_000
    if micros == 0:
        return f"{_second_text(seconds)}Z"
    return f"{_second_text(seconds)}.{micros:06d}".rstrip("0") + "Z"


def http_date(ns: Nanos) -> str:
    """The Date header, in the exchange's own time."""
    return time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(int(ns) // SECOND))
