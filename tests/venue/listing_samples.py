"""Listing objects as the venue sends them, made by hand from the shapes of docs/reference/venue.md 9."""

from typing import Any

from tests.support.instruments import SERIES

INDICES = {ticker: series.index for ticker, series in SERIES.items()}
CENT_GRID = [{"start": "0.0000", "end": "1.0000", "step": "0.0100"}]


def market_object(ticker: str = "KXINXU-26NOV23H1100-T6849.9999", **changes: Any) -> dict[str, Any]:
    """An active `greater_or_equal` 6850 market closing 11:00 ET (16:00Z) on 2026-11-23."""
    return {
        "ticker": ticker,
        "event_ticker": ticker.rpartition("-")[0],
        "market_type": "binary",
        "open_time": "2026-11-20T21:00:00Z",
        "close_time": "2026-11-23T16:00:00Z",
        "status": "active",
        "result": "",
        "expiration_value": "",
        "strike_type": "greater_or_equal",
        "floor_strike": 6850,
        "price_level_structure": "linear_cent",
        "price_ranges": CENT_GRID,
        "exchange_index": 0,
    } | changes


def ladder_objects(event: str, low: int, high: int, step: int = 5, **changes: Any) -> list[dict[str, Any]]:
    """A `greater_or_equal` ladder with strikes low, low + step, ... high."""
    return [
        market_object(f"{event}-T{strike - 1}.9999", floor_strike=strike, **changes)
        for strike in range(low, high + 1, step)
    ]


def range_objects(event: str, low: int, high: int, step: int = 25, **changes: Any) -> list[dict[str, Any]]:
    """A partition: `less` low, bins [K, K + step - 0.0001], `greater` high - 0.0001."""
    changes = {"close_time": "2026-11-23T21:00:00Z"} | changes
    less = market_object(f"{event}-T{low}", strike_type="less", cap_strike=low, floor_strike=None, **changes)
    more = market_object(f"{event}-T{high - 1}.9999", strike_type="greater", floor_strike=high - 0.0001, **changes)
    bins = [
        market_object(
            f"{event}-B{strike + step // 2}",
            strike_type="between",
            floor_strike=strike,
            cap_strike=strike + step - 0.0001,
            **changes,
        )
        for strike in range(low, high, step)
    ]
    return [less, *bins, more]


def event_object(event: str, **changes: Any) -> dict[str, Any]:
    return {
        "event_ticker": event,
        "series_ticker": event.partition("-")[0],
        "title": "t",
        "sub_title": "",
        "collateral_return_type": "DIRECNET",
        "mutually_exclusive": False,
    } | changes
