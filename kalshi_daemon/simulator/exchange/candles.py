"""Minimal candlesticks: prices from remembered trades, quotes as they are now (the book keeps no history)."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from kalshi_daemon.ground.units import MINUTE, SECOND, Nanos
from kalshi_daemon.simulator.exchange.listener import TradeRecord
from kalshi_daemon.simulator.exchange.sim_orders import SimMarket
from kalshi_daemon.simulator.exchange.wire import top_of
from kalshi_daemon.simulator.exchange.wire_text import count_text, price_text

CANDLES_MAX: Final = 10_000
"""Of one answer; older ones of a market are left out."""
_PRICES: Final = ("open", "low", "high", "close", "mean", "previous", "min", "max")


@dataclass(frozen=True, slots=True)
class CandleSpan:
    """Candles that end from `start_ns` to `end_ns`, both included."""

    start_ns: Nanos
    end_ns: Nanos
    period_min: int
    latest_before: bool = False
    """Put a candle without prices first, whose `previous` is the last price before the start."""


def candles_json(market: SimMarket, trades: Iterable[TradeRecord], span: CandleSpan) -> list[dict[str, Any]]:
    """One candle per period with a trade, oldest first; `end_period_ts` is the period's inclusive end."""
    period = span.period_min * MINUTE
    grouped: dict[int, list[TradeRecord]] = {}
    for trade in trades:
        if trade.ticker == market.spec.ticker:
            grouped.setdefault(-(-trade.at_ns // period) * period, []).append(trade)
    shown = {end: of for end, of in grouped.items() if span.start_ns <= end <= span.end_ns}
    before = [of for end, of in grouped.items() if end < span.start_ns]
    previous = price_text(before[-1][-1].price) if before else None
    rows = []
    first = -(-span.start_ns // period) * period
    if span.latest_before and previous is not None and first not in shown:
        rows.append(_row(market, first, dict.fromkeys(_PRICES) | {"previous": previous}, 0))
    for end, of in list(shown.items())[-CANDLES_MAX:]:
        count = sum(trade.count for trade in of)
        rows.append(_row(market, end, _traded(of, count) | {"previous": previous}, count))
        previous = price_text(of[-1].price)
    return rows


def _traded(of: list[TradeRecord], count: int) -> dict[str, str | None]:
    prices = [trade.price for trade in of]
    low, high = price_text(min(prices)), price_text(max(prices))
    mean = price_text(sum(trade.price * trade.count for trade in of) // count)
    ends = {"open": price_text(prices[0]), "close": price_text(prices[-1])}
    return {**ends, "low": low, "high": high, "mean": mean, "min": low, "max": high}


def _row(market: SimMarket, end: int, prices: dict[str, str | None], count: int) -> dict[str, Any]:
    bid, _bid_size, ask, _ask_size = top_of(market.book)
    return {
        "end_period_ts": end // SECOND,
        "yes_bid": _flat(bid),
        "yes_ask": _flat(ask),
        "price": {f"{name}_dollars": prices[name] for name in _PRICES},
        "volume_fp": count_text(count),
        "open_interest_fp": count_text(market.open_interest),
    }


def _flat(price: int) -> dict[str, str]:
    text = price_text(price)
    return {"open_dollars": text, "low_dollars": text, "high_dollars": text, "close_dollars": text}
