"""The last line of a session: what was done, and whether our books and the exchange's say the same."""

import asyncio
from typing import Any, Final

import structlog

from kalshi_daemon.assembly import House
from kalshi_daemon.orders.cancelling import StopResult
from kalshi_daemon.orders.proving import BooksCheck
from kalshi_daemon.units import Count, format_count, format_dollars

log = structlog.get_logger()

_ASK_WITHIN_S: Final = 10.0
"""Real time allowed for the last comparison with the exchange."""
_ASK_WITHIN_UNVERIFIED_S: Final = 3.0
"""The same with an exchange that has just failed to confirm that nothing rests: most likely it does not answer."""


async def summarise(house: House, stopped: StopResult) -> dict[str, Any]:
    """The fields of `session.summary`. Money as strings with four decimals; None where the exchange did not answer."""
    state = house.state
    check: BooksCheck | None = None
    within_s = _ASK_WITHIN_S if stopped.verified else _ASK_WITHIN_UNVERIFIED_S
    try:
        async with asyncio.timeout(within_s):
            check = await house.orders.books_equal()
    except TimeoutError:
        log.warning("shutdown.books_not_compared", waited_s=within_s)
    numbers = house.orders.summary()  # after the comparison: it may have brought the last fills
    exchange_pnl = None if check is None else check.exchange_pnl
    counters = state.counters
    return {
        "windows_scanned": len(counters.windows_scanned),
        "scans": counters.scans,
        "orders_placed": numbers.orders_placed,
        "orders_cancelled": numbers.orders_cancelled,
        "fills": numbers.fills,
        "contracts": format_count(Count(numbers.contracts)),
        "fees_dollars": format_dollars(numbers.fees),
        "pnl_dollars": format_dollars(numbers.pnl),
        "exchange_pnl_dollars": None if exchange_pnl is None else format_dollars(exchange_pnl),
        "books_equal": check is not None and check.equal,
        "books_detail": "the exchange did not answer in time" if check is None else check.detail,
        "resting_at_end": stopped.remaining,
        "resting_after_cutoff_max": counters.resting_after_cutoff_max,
        "verified": stopped.verified,
    }
