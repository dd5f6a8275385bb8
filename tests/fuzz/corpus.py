"""Valid documents that the mutations start from; every key that a real message has, legacy ones included."""

from typing import Any, Final

Json = dict[str, Any]

_MS: Final = 1_795_446_000_000  # 2026-11-23T15:00:00Z
_TICKER: Final = "KXINXU-26NOV23H1100-T6849.9999"
_EVENT: Final = "KXINXU-26NOV23H1100"

FEED: Final[tuple[Any, ...]] = (
    [{"ev": "V", "val": 6850.25, "T": "I:SPX", "t": _MS}],
    [{"ev": "V", "val": 6850.25, "T": "I:SPX", "t": _MS}, {"ev": "V", "val": 25_010.5, "T": "I:NDX", "t": _MS + 1000}],
    [{"ev": "V", "val": 18.5, "T": "I:VIX", "t": _MS}, {"ev": "V", "val": 6850.0, "T": "I:SPX", "t": _MS}],
    [
        {
            "ev": "AM", "sym": "I:NDX", "op": 25_000.0, "o": 25_010.0, "c": 25_012.5, "h": 25_015.0, "l": 25_009.0,
            "s": _MS, "e": _MS + 60_000,
        }
    ],
    [{"ev": "A", "sym": "I:SPX", "o": 6850.0, "c": 6850.5, "h": 6851.0, "l": 6849.0, "s": _MS, "e": _MS + 1000}],
    [{"ev": "status", "status": "success", "message": "subscribed to: V.I:SPX"}],
)  # fmt: skip


def _frame(kind: str, msg: Json, **envelope: Any) -> Json:
    return {"type": kind, "sid": 2, "seq": 6, "msg": msg, **envelope}


_DELTA: Final = {
    "market_ticker": _TICKER, "market_id": "x", "price_dollars": "0.9600", "delta_fp": "-54.00", "side": "yes",
    "ts": "2026-11-23T15:00:00Z", "ts_ms": _MS, "client_order_id": "kd-1-1",
}  # fmt: skip
_FILL: Final = {
    "trade_id": "t-1", "order_id": "o-1", "market_ticker": _TICKER, "is_taker": False, "side": "yes",
    "yes_price_dollars": "0.7500", "count_fp": "2.00", "fee_cost": "0.003500", "action": "buy", "book_side": "bid",
    "outcome_side": "yes", "ts": _MS // 1000, "ts_ms": _MS, "client_order_id": "kd-1-1", "post_position_fp": "-5.00",
    "purchased_side": "yes", "subaccount": 0,
}  # fmt: skip
_ORDER_SEEN: Final = {
    "order_id": "o-1", "user_id": "u", "ticker": _TICKER, "status": "resting", "side": "yes", "is_yes": True,
    "book_side": "ask", "outcome_side": "no", "yes_price_dollars": "0.3500", "fill_count_fp": "1.00",
    "remaining_count_fp": "1.00", "initial_count_fp": "2.00", "client_order_id": "kd-1-1", "created_ts_ms": _MS,
    "last_updated_ts_ms": _MS + 5, "expiration_ts_ms": _MS + 90_000, "last_update_reason": "",
}  # fmt: skip
FRAMES: Final[tuple[Any, ...]] = (
    _frame(
        "orderbook_snapshot",
        {
            "market_ticker": _TICKER,
            "market_id": "x",
            "yes_dollars_fp": [["0.0800", "300.00"], ["0.2200", "333.00"]],
            "no_dollars_fp": [["0.5400", "20.50"], ["0.5600", "1.00"]],
        },
        id=127,
    ),
    _frame("orderbook_delta", _DELTA, sending_ts_ms=_MS),
    _frame("orderbook_delta", {key: one for key, one in _DELTA.items() if key != "ts_ms"} | {"side": "no"}),
    _frame("fill", _FILL),
    _frame("user_order", _ORDER_SEEN),
    _frame("user_order", {key: one for key, one in _ORDER_SEEN.items() if key != "last_updated_ts_ms"}),
    _frame(
        "market_lifecycle_v2", {"event_type": "close_date_updated", "market_ticker": _TICKER, "close_ts": 1795449600}
    ),
    _frame(
        "market_lifecycle_v2",
        {"event_type": "determined", "market_ticker": _TICKER, "result": "yes", "settlement_value": "1.0000",
         "determination_ts": 1795449700},
    ),
    _frame(
        "market_lifecycle_v2", {"event_type": "created", "market_ticker": "KXOTHER-26NOV23-T1", "open_ts": 1795446000}
    ),
    _frame(
        "event_fee_update",
        {"event_ticker": _EVENT, "fee_type_override": "quadratic", "fee_multiplier_override": 0.5},
    ),
    _frame("order_group_updates", {"event_type": "triggered", "order_group_id": "g-1"}),
    {"id": 1, "type": "subscribed", "msg": {"channel": "fill", "sid": 3}},
    {"id": 2, "type": "ok", "sid": 2, "seq": 7, "msg": {"market_tickers": [_TICKER]}},
    {"id": 3, "type": "error", "msg": {"code": 6, "msg": "Already subscribed", "market_ticker": _TICKER}},
)  # fmt: skip

_ORDER: Final = {
    "order_id": "o-1", "user_id": "u", "client_order_id": "kd-1-1", "ticker": _TICKER,
    "side": "yes", "action": "sell", "outcome_side": "no", "book_side": "ask", "type": "limit", "status": "resting",
    "yes_price_dollars": "0.4200", "no_price_dollars": "0.5800", "fill_count_fp": "1.50", "remaining_count_fp": "8.50",
    "initial_count_fp": "10.00", "taker_fees_dollars": "0.0000", "created_time": "2026-11-23T15:00:00Z",
    "expiration_time": "2026-11-23T15:58:00Z", "order_group_id": "", "subaccount_number": 3, "exchange_index": 0,
}  # fmt: skip
_LISTED_FILL: Final = {
    "fill_id": "f", "trade_id": "t-1", "exchange_index": 0, "order_id": "o-1", "ticker": _TICKER,
    "market_ticker": _TICKER, "side": "no", "action": "buy", "outcome_side": "no", "book_side": "ask",
    "count_fp": "2.00", "yes_price_dollars": "0.4200", "is_taker": False, "fee_cost": "0.000050",
    "created_time": "2026-11-23T15:00:00.25Z", "ts": _MS // 1000, "ts_ms": _MS, "subaccount_number": 0,
}  # fmt: skip
ANSWERS: Final[dict[str, Json]] = {
    "remote_order": _ORDER,
    "fill": _LISTED_FILL,
    "position": {
        "ticker": _TICKER, "position_fp": "-3.00", "market_exposure_dollars": "1.20", "fees_paid_dollars": "0.010000",
        "realized_pnl_dollars": "-0.123456", "total_traded_dollars": "3.00", "resting_orders_count": 0,
    },
    "settlement": {
        "ticker": _TICKER, "event_ticker": _EVENT, "market_result": "yes", "yes_count_fp": "2.00",
        "no_count_fp": "0.00", "yes_total_cost_dollars": "0.84", "revenue": 200, "fee_cost": "0.020000",
        "settled_time": "2026-11-23T16:01:00Z", "value": 100,
    },
    "balance": {
        "balance": 123_456, "balance_dollars": "1234.567800", "portfolio_value": 2_000, "updated_ts": _MS // 1000,
    },
    "exchange_status": {
        "exchange_active": True, "trading_active": True, "exchange_estimated_resume_time": None,
        "exchange_index_statuses": [
            {"exchange_index": 0, "exchange_active": True, "trading_active": True},
            {"exchange_index": 3, "exchange_active": True, "trading_active": False},
        ],
    },
    "order_book": {"yes_dollars": [["0.0800", "300.00"], ["0.2200", "5.00"]], "no_dollars": [["0.5400", "20.50"]]},
    "create_ack": {
        "order_id": "o-1", "client_order_id": "kd-1-1", "fill_count": "0.00", "remaining_count": "2.00", "ts_ms": _MS,
    },
    "cancel_ack": {"order_id": "o-1", "client_order_id": "kd-1-1", "reduced_by": "2.00", "ts_ms": _MS},
}  # fmt: skip

MARKET: Final[Json] = {
    "ticker": _TICKER, "event_ticker": _EVENT, "market_type": "binary", "open_time": "2026-11-20T21:00:00Z",
    "close_time": "2026-11-23T16:00:00Z", "status": "active", "result": "", "expiration_value": "",
    "strike_type": "greater_or_equal", "floor_strike": 6850, "price_level_structure": "linear_cent",
    "price_ranges": [{"start": "0.0000", "end": "1.0000", "step": "0.0100"}], "exchange_index": 0,
}  # fmt: skip
MARKETS: Final[tuple[Json, ...]] = (
    MARKET,
    MARKET | {"strike_type": "between", "floor_strike": 6850, "cap_strike": 6874.9999, "result": "yes"},
    MARKET | {"strike_type": "less", "floor_strike": None, "cap_strike": 6800, "status": "finalized"},
    MARKET
    | {
        "floor_strike": "6850.00",
        "price_ranges": [
            {"start": "0.0000", "end": "0.1000", "step": "0.0010"},
            {"start": "0.1000", "end": "1.0000", "step": "0.0100"},
        ],
    },
)
SERIES: Final[Json] = {"ticker": "KXINXU", "fee_type": "quadratic", "fee_multiplier": 0.5, "frequency": "hourly"}

SNAPSHOT: Final = {
    "status": "OK",
    "request_id": "r",
    "results": [
        {
            "ticker": "I:SPX",
            "name": "S&P 500",
            "type": "indices",
            "value": 6801.25,
            "last_updated": 1_795_446_001_123_456_789,
            "market_status": "open",
            "timeframe": "REAL-TIME",
            "session": {"open": 6790.0, "close": 6801.25, "change": 11.25},
        },
        {"ticker": "I:NDX", "value": 25000.5, "last_updated": 1_795_446_001_000_000_000, "timeframe": "DELAYED"},
        {"ticker": "I:DJI", "error": "NOT_FOUND", "message": "Ticker not found."},
    ],
}
