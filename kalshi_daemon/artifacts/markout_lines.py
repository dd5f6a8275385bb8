"""The markouts of a day's fills as lines of JSON: one each time that more of a fill is known; the last one stands.

Prices are in the venue's text form; those of a span that has not come, or could not be read, are null.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from kalshi_daemon.artifacts.files import encode
from kalshi_daemon.domain.markout import SPANS, Markout
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.clock import iso_utc
from kalshi_daemon.ground.documents import parse_document
from kalshi_daemon.ground.errors import MalformedField
from kalshi_daemon.ground.units import Price, format_count, format_price, parse_count, parse_price
from kalshi_daemon.kalshi.fields import timestamp

MarkoutKey = tuple[str, int]
"""Our order, and how much of it was filled then, in 1/100 contract: one fill."""


@dataclass(frozen=True, slots=True)
class MarkoutLine:
    """One line. `mids` and `microprices` by span: 5, 30 and 300 seconds."""

    WHAT: ClassVar[str] = "markout"
    SCHEMA: ClassVar[int] = 1

    run_id: str
    client_order_id: str
    market: str
    side: str
    price: str
    count: str
    filled: str
    at: str
    mid_at_fill: str | None
    microprice_at_fill: str | None
    mids: list[str | None]
    microprices: list[str | None]
    schema: int = SCHEMA


def markout_line(one: Markout, run_id: str) -> bytes:
    """What is known of a fill so far, with its newline."""
    line = MarkoutLine(
        run_id=run_id,
        client_order_id=one.client_order_id,
        market=one.market_ticker,
        side=one.side.value,
        price=format_price(one.price),
        count=format_count(one.count),
        filled=format_count(one.filled),
        at=iso_utc(one.filled_ns),
        mid_at_fill=_text(one.mid_at_fill),
        microprice_at_fill=_text(one.microprice_at_fill),
        mids=[_text(mid) for mid in one.mids],
        microprices=[_text(price) for price in one.microprices],
    )
    return encode(line, indent=False)


def read_markout(raw: bytes, path: Path) -> Markout:
    """Raises StateTooNew, StateCorrupt and MalformedData."""
    line = parse_document(MarkoutLine, raw, path)
    if len(line.mids) != len(SPANS) or len(line.microprices) != len(SPANS):
        raise MalformedField("mids, microprices", (line.mids, line.microprices), f"{len(SPANS)} prices each")
    if line.side not in set(Side):
        raise MalformedField("side", line.side, "bid or ask")
    return Markout(
        client_order_id=line.client_order_id,
        market_ticker=line.market,
        side=Side(line.side),
        price=parse_price(line.price),
        count=parse_count(line.count),
        filled=parse_count(line.filled),
        filled_ns=timestamp(line.at, "at"),
        mid_at_fill=_price(line.mid_at_fill),
        microprice_at_fill=_price(line.microprice_at_fill),
        mids=tuple(map(_price, line.mids)),
        microprices=tuple(map(_price, line.microprices)),
    )


def key_of(one: Markout) -> MarkoutKey:
    """Which fill it is."""
    return one.client_order_id, one.filled


def _text(price: Price | None) -> str | None:
    return None if price is None else format_price(price)


def _price(text: str | None) -> Price | None:
    return None if text is None else parse_price(text)
