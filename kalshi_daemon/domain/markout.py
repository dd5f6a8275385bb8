"""One fill of ours, and where everybody else's prices stood just before it and some time later."""

from dataclasses import dataclass
from typing import Final

from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.units import SECOND, Count, Nanos, Price

SPANS: Final = (Nanos(5 * SECOND), Nanos(30 * SECOND), Nanos(300 * SECOND))
"""After the fill."""
_UNKNOWN: Final[tuple[Price | None, ...]] = (None,) * len(SPANS)


@dataclass(frozen=True, slots=True)
class Markout:
    """One fill, seen as an order whose filled count has grown; maker fills trade at the order's own price.

    Mids and microprices are of the others' orders, ours left out. `mids` and `microprices` have one entry a span: None
    while it has not come, or when it could not be read. What is not known is never taken for nothing.
    """

    client_order_id: str
    market_ticker: str
    side: Side
    price: Price
    count: Count
    filled: Count
    """Of the whole order, this fill included: which of its trades this is."""
    filled_ns: Nanos
    """When it was seen, by our clock."""
    mid_at_fill: Price | None
    """Just before it."""
    microprice_at_fill: Price | None = None
    mids: tuple[Price | None, ...] = _UNKNOWN
    microprices: tuple[Price | None, ...] = _UNKNOWN

    def gain(self, span: int) -> Price | None:
        """What a contract has gained against the others' mid after SPANS[span], in 1/10 000 dollar."""
        mid = self.mids[span]
        return None if mid is None else Price(self.side.sign * (mid - self.price))
