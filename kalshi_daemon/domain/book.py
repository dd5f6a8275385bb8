"""One market's order book on the YES scale. Written by the venue room only; everyone else reads."""

from kalshi_daemon.ground.units import Count, Nanos, Price


class Book:
    """Bids and asks as price -> count, with the best of each side cached.

    An empty side is None, never a price. `synced` is False from a gap until the next snapshot; a book that is not
    synced must not be quoted on. `event_ns` is the venue's stamp of the last change, `recv_ns` when we saw a frame of
    this very market, `lag_ns` how late that frame came. `doubt` says why a book is not to be believed although it is in
    sync; "" when nothing speaks against it. `changes` counts the changes of its levels.
    """

    __slots__ = (
        "_asks", "_best_ask", "_best_bid", "_bids", "changes", "doubt", "event_ns", "lag_ns", "market_ticker",
        "recv_ns", "synced",
    )  # fmt: skip

    def __init__(self, market_ticker: str) -> None:
        self.market_ticker = market_ticker
        self._bids: dict[Price, Count] = {}
        self._asks: dict[Price, Count] = {}
        self._best_bid: Price | None = None
        self._best_ask: Price | None = None
        self.synced = False
        self.event_ns = Nanos(0)
        self.recv_ns = Nanos(0)
        self.lag_ns = Nanos(0)
        self.doubt = ""
        self.changes = 0

    @property
    def best_bid(self) -> Price | None:
        return self._best_bid

    @property
    def best_ask(self) -> Price | None:
        return self._best_ask

    @property
    def bids(self) -> dict[Price, Count]:
        return self._bids

    @property
    def asks(self) -> dict[Price, Count]:
        return self._asks

    @property
    def two_sided(self) -> bool:
        return self._best_bid is not None and self._best_ask is not None

    @property
    def usable(self) -> bool:
        """In sync, not crossed, and nothing speaks against it."""
        return self.synced and not self.doubt and not self.crossed

    @property
    def crossed(self) -> bool:
        return self._best_bid is not None and self._best_ask is not None and self._best_bid >= self._best_ask

    def replace(self, bids: dict[Price, Count], asks: dict[Price, Count], event_ns: Nanos, recv_ns: Nanos) -> None:
        """Take a snapshot: YES bids and YES asks (already complemented), both without zero counts."""
        self._bids = {price: count for price, count in bids.items() if count > 0}
        self._asks = {price: count for price, count in asks.items() if count > 0}
        self._best_bid = max(self._bids, default=None)
        self._best_ask = min(self._asks, default=None)
        self.changes += 1
        self.synced = True
        self.event_ns = event_ns
        self.recv_ns = recv_ns

    def change_bid(self, price: Price, delta: Count, event_ns: Nanos, recv_ns: Nanos) -> bool:
        """Add a signed change to a bid level. False when the level would go below zero: the book is then unsynced."""
        count = self._bids.get(price, 0) + delta
        self.changes += 1
        self.event_ns = event_ns
        self.recv_ns = recv_ns
        if count > 0:
            self._bids[price] = Count(count)
            if self._best_bid is None or price > self._best_bid:
                self._best_bid = price
            return True
        self._bids.pop(price, None)
        if price == self._best_bid:
            self._best_bid = max(self._bids, default=None)
        self.synced = self.synced and count == 0
        return count == 0

    def change_ask(self, price: Price, delta: Count, event_ns: Nanos, recv_ns: Nanos) -> bool:
        """Add a signed change to an ask level. False when the level would go below zero: the book is then unsynced."""
        count = self._asks.get(price, 0) + delta
        self.changes += 1
        self.event_ns = event_ns
        self.recv_ns = recv_ns
        if count > 0:
            self._asks[price] = Count(count)
            if self._best_ask is None or price < self._best_ask:
                self._best_ask = price
            return True
        self._asks.pop(price, None)
        if price == self._best_ask:
            self._best_ask = min(self._asks, default=None)
        self.synced = self.synced and count == 0
        return count == 0
