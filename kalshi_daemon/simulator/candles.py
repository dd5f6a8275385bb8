"""Minimal candlesticks: prices from remembered trades, quotes as they are now (the book keeps no history)."""

from collections.abc import Iterable
from typing import Any

from kalshi_daemon.simulator.instruments import SimMarket
from kalshi_daemon.simulator.listener import TradeRecord
from kalshi_daemon.simulator.wire import top_of
from kalshi_daemon.simulator.wire_text import count_text, price_text
from kalshi_daemon.units import MINUTE, SECOND, Nanos

_CANDLES_MOST = 10_000
"""Older trades are left out beyond this many periods."""


def candles_json(
    market: SimMarket, trades: Iterable[TradeRecord], start_ns: Nanos, end_ns: Nanos, period_min: int
) -> list[dict[str, Any]]:
    """One candle per period with a trade, oldest first; `end_period_ts` is the period's inclusive end."""
    period = period_min * MINUTE
    grouped: dict[int, list[TradeRecord]] = {}
    for trade in trades:
        if trade.ticker == market.spec.ticker and start_ns <= trade.at_ns <= end_ns:
            end = -(-trade.at_ns // period) * period
            grouped.setdefault(end, []).append(trade)
    bid, _bid_size, ask, _ask_size = top_of(market.book)
    rows = []
    previous: str | None = None
    for end, of in list(grouped.items())[-_CANDLES_MOST:]:
        prices = [trade.price for trade in of]
        count = sum(trade.count for trade in of)
        mean = sum(trade.price * trade.count for trade in of) // count
        rows.append(
            {
                "end_period_ts": end // SECOND,
                "yes_bid": _flat(bid),
                "yes_ask": _flat(ask),
                "price": {
                    "open_dollars": price_text(prices[0]),
                    "low_dollars": price_text(min(prices)),
                    "high_dollars": price_text(max(prices)),
                    "close_dollars": price_text(prices[-1]),
                    "mean_dollars": price_text(mean),
                    "previous_dollars": previous,
                    "min_dollars": price_text(min(prices)),
                    "max_dollars": price_text(max(prices)),
                },
                "volume_fp": count_text(count),
                "open_interest_fp": count_text(market.open_interest),
            }
        )
        previous = price_text(prices[-1])
    return rows


def _flat(price: int) -> dict[str, str]:
    text = price_text(price)
    return {"open_dollars": text, "low_dollars": text, "high_dollars": text, "close_dollars": text}
