"""Subscriptions of the websocket: who hears what, numbered how. No sockets: frames go to an outbox.

`seq` counts per `sid` from 1: data frames of sequenced channels and control frames (`ok`, `unsubscribed`,
subscription-scoped `error`), while `subscribed` has none (docs/reference/venue.md 5).
"""

from collections.abc import Iterable
from typing import Any, Final, Protocol

import orjson

from kalshi_daemon.simulator.exchange.wire_stream import envelope

CHANNELS: Final = frozenset(
    {
        "orderbook_delta",
        "ticker",
        "trade",
        "fill",
        "market_positions",
        "market_lifecycle_v2",
        "multivariate_market_lifecycle",
        "communications",
        "order_group_updates",
        "user_orders",
    }
)
SEQUENCED: Final = frozenset({"orderbook_delta", "trade", "market_lifecycle_v2", "order_group_updates"})
UNFILTERED: Final = frozenset({"market_lifecycle_v2", "order_group_updates", "communications"})
"""Channels that ignore tickers."""
FRAMES_MAX: Final = 20_000
"""Frames of one subscription waiting for the socket; one more is error 25 and the end of the subscription."""

ERRORS: Final = {
    1: "Unable to process message",
    2: "Params required",
    3: "Channels required",
    4: "Subscription IDs required",
    5: "Unknown command",
    7: "Unknown subscription ID",
    8: "Unknown channel name",
    9: "Authentication required",
    10: "Channel error",
    11: "Invalid parameter",
    12: "Exactly one subscription ID is required",
    13: "Unsupported action",
    14: "Market Ticker required",
    15: "Action required",
    25: "Subscription buffer overflow",
}


class Outbox(Protocol):
    """Where a connection's frames wait for its socket."""

    account_name: str

    def push(self, frame: bytes, subscription: "Subscription | None") -> None:
        """Queue a frame of a subscription, or (None) of the connection itself."""
        ...

    def overflowed(self, subscription: "Subscription") -> None:
        """The subscription has more frames waiting than it may; drop it with error 25."""
        ...


class Subscription:
    """One channel on one connection. `tickers` None means every market."""

    __slots__ = ("channel", "outbox", "seq", "sequenced", "sid", "skip", "tickers", "waiting", "yes_prices")

    def __init__(self, sid: int, channel: str, outbox: Outbox, tickers: set[str] | None, *, yes_prices: bool) -> None:
        self.sid = sid
        self.channel = channel
        self.outbox = outbox
        self.tickers = tickers
        self.yes_prices = yes_prices
        self.sequenced = channel in SEQUENCED
        self.seq = 0
        self.skip = 0
        self.waiting = 0

    def hears(self, ticker: str) -> bool:
        """Whether this market is among those asked for."""
        return self.tickers is None or ticker in self.tickers

    def next_seq(self) -> int:
        """The number of the next frame; `skip` (a fault) leaves numbers out."""
        self.seq += 1 + self.skip
        self.skip = 0
        return self.seq

    def send(self, kind: str, msg: bytes, sending_ms: int, command_id: int | None = None) -> None:
        """Queue a data frame; at the bound the subscription ends instead."""
        if self.waiting >= FRAMES_MAX:
            self.outbox.overflowed(self)
            return
        seq = self.next_seq() if self.sequenced else None
        self.outbox.push(envelope(kind, self.sid, seq, msg, sending_ms, command_id), self)

    def control(self, kind: str, command_id: int | None, msg: dict[str, Any] | None = None) -> None:
        """Queue a control frame; it is numbered whatever the channel."""
        body: dict[str, Any] = {"type": kind, "sid": self.sid, "seq": self.next_seq()}
        if command_id:
            body = {"id": command_id, **body}
        if msg is not None:
            body["msg"] = msg
        self.outbox.push(orjson.dumps(body), self)


class Switchboard:
    """All subscriptions by channel, so that nothing is encoded when nobody listens."""

    def __init__(self) -> None:
        self._by_channel: dict[str, list[Subscription]] = {channel: [] for channel in CHANNELS}
        self._books: dict[str, list[Subscription]] = {}

    def add(self, subscription: Subscription) -> None:
        """From now on frames of its channel reach it."""
        self._by_channel[subscription.channel].append(subscription)
        self.index_books(subscription, subscription.tickers or ())

    def remove(self, subscription: Subscription) -> None:
        """Forget it; removing twice is harmless."""
        listed = self._by_channel[subscription.channel]
        if subscription in listed:
            listed.remove(subscription)
        self.unindex_books(subscription, subscription.tickers or ())

    def index_books(self, subscription: Subscription, tickers: Iterable[str]) -> None:
        """Note which books it follows."""
        if subscription.channel == "orderbook_delta":
            for ticker in tickers:
                self._books.setdefault(ticker, []).append(subscription)

    def unindex_books(self, subscription: Subscription, tickers: Iterable[str]) -> None:
        """Note which books it follows no more."""
        if subscription.channel != "orderbook_delta":
            return
        for ticker in tickers:
            listed = self._books.get(ticker, [])
            if subscription in listed:
                listed.remove(subscription)
            if not listed:
                self._books.pop(ticker, None)

    def books(self, ticker: str) -> list[Subscription] | None:
        """Subscriptions of one market's book; None when there is none."""
        return self._books.get(ticker)

    def of(self, channel: str) -> list[Subscription]:
        """The subscriptions of a channel."""
        return self._by_channel[channel]

    def private(self, channel: str, account_name: str, ticker: str) -> list[Subscription]:
        """Subscriptions of one account that hear this market."""
        return [
            subscription
            for subscription in self._by_channel[channel]
            if subscription.outbox.account_name == account_name and subscription.hears(ticker)
        ]


def error_frame(code: int, command_id: int | None, **extra: object) -> bytes:
    """A connection-level error; `extra` may name the market. `code` is the exchange's number of the error."""
    body: dict[str, Any] = {"type": "error", "msg": {"code": code, "msg": ERRORS[code], **extra}}
    if command_id:
        body = {"id": command_id, **body}
    return orjson.dumps(body)
