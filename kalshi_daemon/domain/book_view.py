"""A book as a quoter sees it: without our own resting orders."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from kalshi_daemon.domain.book import Book
from kalshi_daemon.domain.order import Order
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.units import Count, Nanos, Price

_VIEWS_KEPT: Final = 2048
"""More books than are followed at one time; beyond, all are forgotten together."""


@dataclass(frozen=True, slots=True)
class BookView:
    """The top of a book without our own resting quotes, beside the top of the full book.

    Missing sides are None. `best_*` and `*_size` leave our own orders out (what the others offer); `full_*` is the book
    as the venue matches it (what an order of ours would trade with). `synced` is False for a crossed or doubted book
    too.
    """

    market_ticker: str
    synced: bool
    recv_ns: Nanos
    best_bid: Price | None
    bid_size: Count
    best_ask: Price | None
    ask_size: Count
    full_bid: Price | None
    full_ask: Price | None

    @property
    def two_sided(self) -> bool:
        return self.best_bid is not None and self.best_ask is not None

    @property
    def mid(self) -> Price | None:
        """Middle of the others' best prices, rounded down to 1/10 000 dollar; None unless two-sided."""
        if self.best_bid is None or self.best_ask is None:
            return None
        return Price((self.best_bid + self.best_ask) // 2)

    @property
    def microprice(self) -> Price | None:
        """The others' middle weighted towards the thinner side, rounded down to 1/10 000 dollar; None unless two-sided.

        (bid x ask size + ask x bid size) / (both sizes): Stoikov (2018), "The micro-price", its first estimate.
        """
        if self.best_bid is None or self.best_ask is None:
            return None
        sizes = self.bid_size + self.ask_size
        return Price((self.best_bid * self.ask_size + self.best_ask * self.bid_size) // sizes) if sizes else self.mid

    @property
    def width(self) -> Price | None:
        """Distance between the others' best prices; None unless two-sided."""
        if self.best_bid is None or self.best_ask is None:
            return None
        return Price(self.best_ask - self.best_bid)


def own_excluded(book: Book, own_orders: Sequence[Order]) -> BookView:
    """The book without our own resting quotes, never below zero.

    Every order that may still trade is taken out, also one whose create is not confirmed: at worst the others look
    thinner than they are, which makes our quotes shier.
    """
    own_bids: dict[Price, int] = {}
    own_asks: dict[Price, int] = {}
    for order in own_orders:
        if order.market_ticker == book.market_ticker and order.leaves > 0:
            own = own_bids if order.side is Side.BID else own_asks
            own[order.price] = own.get(order.price, 0) + order.leaves
    best_bid, bid_size = _best_of_others(book.bids, own_bids, book.best_bid, highest=True)
    best_ask, ask_size = _best_of_others(book.asks, own_asks, book.best_ask, highest=False)
    return BookView(
        market_ticker=book.market_ticker,
        synced=book.usable,
        recv_ns=book.recv_ns,
        best_bid=best_bid,
        bid_size=bid_size,
        best_ask=best_ask,
        ask_size=ask_size,
        full_bid=book.best_bid,
        full_ask=book.best_ask,
    )


class BookViews:
    """`own_excluded` of the books asked for, worked out again only when the book or our orders in it have changed."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: dict[str, tuple[tuple[object, ...], BookView]] = {}

    def of(self, book: Book, own: tuple[Order, ...]) -> BookView:
        """The book without `own`, our orders in this market that may still trade."""
        made_of = (book, book.changes, book.recv_ns, book.synced, book.doubt, own)
        kept = self._kept.get(book.market_ticker)
        if kept is not None and kept[0] == made_of:
            return kept[1]
        if len(self._kept) >= _VIEWS_KEPT:
            self._kept.clear()
        view = own_excluded(book, own)
        self._kept[book.market_ticker] = made_of, view
        return view


def _best_of_others(
    levels: dict[Price, Count], own: dict[Price, int], best: Price | None, *, highest: bool
) -> tuple[Price | None, Count]:
    if best is None:
        return None, Count(0)
    if best not in own:
        return best, levels[best]
    for price in sorted(levels, reverse=highest):
        others = levels[price] - own.get(price, 0)
        if others > 0:
            return price, Count(others)
    return None, Count(0)
