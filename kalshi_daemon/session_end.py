"""The last line of a session: what was done, and whether our books and the exchange's say the same."""

from typing import Any

from kalshi_daemon.assembly import House
from kalshi_daemon.errors import DaemonError
from kalshi_daemon.orders.cancelling import StopResult
from kalshi_daemon.units import format_count, format_dollars


async def summarise(house: House, stopped: StopResult) -> dict[str, Any]:
    """The fields of `session.summary`. Money as strings with four decimals; None where the exchange did not answer."""
    state = house.state
    numbers = house.orders.summary()
    equal, exchange_pnl, detail = False, None, ""
    try:
        books = await house.orders.books_equal()
        equal, exchange_pnl, detail = books.equal, books.exchange_pnl, books.detail
    except DaemonError as problem:
        detail = f"the exchange could not be asked: {problem}"
    counters = state.counters
    return {
        "windows_scanned": len(counters.windows_scanned),
        "scans": counters.scans,
        "orders_placed": numbers.orders_placed,
        "orders_cancelled": numbers.orders_cancelled,
        "fills": numbers.fills,
        "contracts": format_count(numbers.contracts),
        "fees_dollars": format_dollars(numbers.fees),
        "pnl_dollars": format_dollars(numbers.pnl),
        "exchange_pnl_dollars": None if exchange_pnl is None else format_dollars(exchange_pnl),
        "books_equal": equal,
        "books_detail": detail,
        "resting_at_end": stopped.remaining,
        "resting_after_cutoff_max": counters.resting_after_cutoff_max,
        "verified": stopped.verified,
    }
