"""Where the market went after our fills: the others' mid and microprice at the fill and 5, 30 and 300 seconds later.

What a fill is measured from are the others' prices before it: whoever trades with us may take their orders too, so the
book that is there once we hear of a fill is already the one that the trade has left.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Final

from kalshi_daemon.domain.book_view import BookView
from kalshi_daemon.domain.markout import SPANS, Markout
from kalshi_daemon.domain.order import Order
from kalshi_daemon.ground.units import SECOND, Count, Nanos, Price

KEPT: Final = 256
"""Fills that are remembered, over all markets."""
_LATE: Final = Nanos(5 * SECOND)
"""Prices read later than this after a span say nothing about the span, and older ones nothing about a fill."""

OthersPrices = tuple[Price, Price]
"""Mid and microprice of the others' orders in one market."""
PricesOf = Callable[[str], OthersPrices | None]
"""Of a market now; None where its book is not believed or not two-sided."""


def others_prices(view: BookView) -> OthersPrices | None:
    """None where the book is not in sync or not two-sided."""
    mid, microprice = view.mid, view.microprice
    return None if not view.synced or mid is None or microprice is None else (mid, microprice)


class MarkoutWatch:
    """Bounded: KEPT fills; of each order that is still at hand its filled count, of each of their markets one look."""

    def __init__(self) -> None:
        self._filled: dict[str, Count] = {}
        self._seen: dict[str, tuple[Nanos, OthersPrices | None]] = {}
        """Of the markets we rest in: when we looked last, and what the others' prices were."""
        self._done: deque[Markout] = deque(maxlen=KEPT)
        self._open: deque[Markout] = deque()
        """Fills that still have prices to come, all later than those done: a look at every tick reads these alone."""
        self._all: tuple[Markout, ...] | None = ()

    def on_books(self, views: Mapping[str, BookView], now: Nanos) -> None:
        """Books of markets we rest in, without our orders: what the next fill there is measured from."""
        for ticker, view in views.items():
            self._seen[ticker] = (now, others_prices(view))

    def on_orders(self, orders: Iterable[Order], prices_of: PricesOf, now: Nanos) -> list[Markout]:
        """The fills that are new among our orders; a market never looked at before is read now."""
        filled: dict[str, Count] = {}
        tickers: set[str] = set()
        fresh: list[Markout] = []
        for order in orders:
            filled[order.client_order_id] = order.filled
            tickers.add(order.market_ticker)
            new = Count(order.filled - self._filled.get(order.client_order_id, 0))
            if new > 0:
                fresh.append(self._fill(order, new, prices_of, now))
        self._filled = filled
        self._seen = {ticker: seen for ticker, seen in self._seen.items() if ticker in tickers}
        if fresh:
            self._open.extend(fresh)
            self._all = None
        while len(self._open) > KEPT:
            self._done.append(self._open.popleft())
        return fresh

    def _fill(self, order: Order, count: Count, prices_of: PricesOf, now: Nanos) -> Markout:
        ticker = order.market_ticker
        at, before = self._seen.get(ticker, (None, None))
        if at is None or now - at > _LATE:
            before = prices_of(ticker)
        mid, microprice = before or (None, None)
        return Markout(
            order.client_order_id, ticker, order.side, order.price, count, order.filled, now, mid, microprice
        )

    def look(self, prices_of: PricesOf, now: Nanos) -> list[Markout]:
        """Read the prices whose time has come; the fills that know more than before."""
        changed: list[Markout] = []
        for place, one in enumerate(self._open):
            found = self._later(one, prices_of, now)
            if found is not one:
                self._open[place] = found
                self._all = None
                changed.append(found)
        while self._open and (self._open[0].mids[-1] is not None or now - self._open[0].filled_ns > SPANS[-1] + _LATE):
            self._done.append(self._open.popleft())
        return changed

    @staticmethod
    def _later(one: Markout, prices_of: PricesOf, now: Nanos) -> Markout:
        """The same fill with what can be read of it now; the very same when that is nothing."""
        age = now - one.filled_ns
        due = [at for at, span in enumerate(SPANS) if one.mids[at] is None and span <= age <= span + _LATE]
        prices = prices_of(one.market_ticker) if due else None
        if prices is None:
            return one
        mids, microprices = list(one.mids), list(one.microprices)
        for at in due:
            mids[at], microprices[at] = prices
        return replace(one, mids=tuple(mids), microprices=tuple(microprices))

    def recent(self) -> tuple[Markout, ...]:
        """The fills remembered, oldest first. The same object until one of them changes."""
        if self._all is None:
            self._all = (*self._done, *self._open)[-KEPT:]
        return self._all
