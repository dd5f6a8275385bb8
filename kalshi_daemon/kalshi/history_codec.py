"""What the exchange says of the past, as rows: settled markets, public trades, candles. No IO.

Sources: docs/reference/venue.md 2.2; the live and the historical tier write the same under different names.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from kalshi_daemon.ground.errors import UnknownValue
from kalshi_daemon.ground.units import CONTRACT, DOLLAR, Count, Nanos, Price
from kalshi_daemon.kalshi import fields
from kalshi_daemon.kalshi.fields import Json

SETTLED: Final = frozenset({"settled", "finalized"})
"""Statuses of a market that will not change any more, but for an amended settlement."""
_OUTCOMES: Final = {"yes": "bid", "no": "ask"}


@dataclass(frozen=True, slots=True)
class Cutoff:
    """What is older is in the historical tier alone."""

    markets_ns: Nanos
    """By settlement; their candles go with them."""
    trades_ns: Nanos
    """By execution."""


@dataclass(frozen=True, slots=True)
class PastMarket:
    """A market, as far as it matters afterwards. Strikes in points, as the exchange wrote them."""

    ticker: str
    event_ticker: str
    status: str
    strike_type: str
    floor_strike: float | None
    cap_strike: float | None
    open_ns: Nanos
    close_ns: Nanos
    settled_ns: Nanos | None
    result: str
    expiration_value: str
    volume: Count
    open_interest: Count

    @property
    def settled(self) -> bool:
        return self.status in SETTLED


@dataclass(frozen=True, slots=True)
class PastTrade:
    """A public trade. Price on the YES scale."""

    trade_id: str
    ticker: str
    at_ns: Nanos
    price: Price
    count: Count
    taker_side: str
    """`bid`: somebody bought YES or sold NO."""
    block: bool


def read_cutoff(obj: Json) -> Cutoff:
    """Raises MissingField and MalformedField."""
    where = "historical_cutoff"
    return Cutoff(fields.time_at(obj, "market_settled_ts", where), fields.time_at(obj, "trades_created_ts", where))


def read_past_market(obj: Json) -> PastMarket:
    """Raises MissingField and MalformedField: nothing is guessed."""
    ticker = fields.identifier(obj, "ticker", "market")
    return PastMarket(
        ticker=ticker,
        event_ticker=fields.identifier(obj, "event_ticker", ticker),
        status=fields.text(obj, "status", ticker),
        strike_type=fields.optional_text(obj, "strike_type", ticker) or "",
        floor_strike=_strike(obj, "floor_strike", ticker),
        cap_strike=_strike(obj, "cap_strike", ticker),
        open_ns=fields.time_at(obj, "open_time", ticker),
        close_ns=fields.time_at(obj, "close_time", ticker),
        settled_ns=fields.optional_time(obj, "settlement_ts", ticker),
        result=fields.optional_text(obj, "result", ticker) or "",
        expiration_value=fields.optional_text(obj, "expiration_value", ticker) or "",
        volume=fields.size(obj, "volume_fp", ticker),
        open_interest=fields.size(obj, "open_interest_fp", ticker),
    )


def _strike(obj: Json, name: str, where: str) -> float | None:
    return None if obj.get(name) is None else fields.number(obj, name, where, high=_STRIKE_MAX)


_STRIKE_MAX: Final = 1e9


def read_past_trade(obj: Json) -> PastTrade:
    """Raises MissingField, MalformedField, UnknownValue."""
    where = "trade"
    side = obj.get("taker_book_side")
    if side is None:  # archives from before the field: the side of the outcome says the same
        outcome = fields.text(obj, "taker_side", where)
        side = _OUTCOMES.get(outcome, outcome)
    if side not in _OUTCOMES.values():
        raise UnknownValue("trade.taker_book_side", side, tuple(_OUTCOMES.values()))
    return PastTrade(
        trade_id=fields.identifier(obj, "trade_id", where),
        ticker=fields.identifier(obj, "ticker", where),
        at_ns=fields.time_at(obj, "created_time", where),
        price=fields.price(obj, "yes_price_dollars", where),
        count=fields.size(obj, "count_fp", where),
        taker_side=side,
        block=bool(obj.get("is_block_trade")),
    )


PRICES: Final = ("open", "low", "high", "close", "mean", "previous")
QUOTES: Final = ("open", "low", "high", "close")


def read_candle(ticker: str, obj: Json) -> dict[str, Any]:
    """One candle as a row: dollars and contracts; None where nothing traded. Raises MissingField and MalformedField."""
    row: dict[str, Any] = {"ticker": ticker, "end_ns": fields.seconds(obj, "end_period_ts", ticker)}
    for side, names in (("yes_bid", QUOTES), ("yes_ask", QUOTES), ("price", PRICES)):
        part = fields.as_object(fields.need(obj, side, ticker), side)
        row |= {f"{side}_{name}": _dollars(part, name, side) for name in names}
    for name in ("volume", "open_interest"):
        key = f"{name}_fp" if f"{name}_fp" in obj else name
        row[name] = fields.size(obj, key, ticker) / CONTRACT
    return row


def _dollars(part: Mapping[str, Any], name: str, where: str) -> float | None:
    """`open_dollars` on the live side, `open` in the archive."""
    key = f"{name}_dollars" if f"{name}_dollars" in part else name
    return None if part.get(key) is None else fields.price(part, key, where) / DOLLAR
