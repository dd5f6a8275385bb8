"""Commands of a websocket client: subscribe, update_subscription, unsubscribe, list_subscriptions.

Source: docs/reference/venue.md 5.1.
"""

from collections.abc import Callable
from typing import Any, Final

import orjson

from kalshi_daemon.ground.units import MILLISECOND
from kalshi_daemon.simulator.exchange.exchange import Exchange
from kalshi_daemon.simulator.exchange.wire_stream import snapshot_msg, ticker_msg
from kalshi_daemon.simulator.exchange.ws_subscriptions import (
    CHANNELS,
    UNFILTERED,
    Outbox,
    Subscription,
    Switchboard,
    error_frame,
)

Json = dict[str, Any]
_ACTIONS: Final = ("add_markets", "delete_markets", "get_snapshot")


class CommandError(Exception):
    """The code of the error frame that answers the command."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class CommandDesk:
    """One connection's subscriptions. Sids count from 1 per connection."""

    def __init__(
        self,
        exchange: Exchange,
        board: Switchboard,
        outbox: Outbox,
        *,
        keep_empty_sides: bool,
        withholds: Callable[[str], bool] = lambda _ticker: False,
    ) -> None:
        """`withholds`: whether the next book frame of a market is lost (a fault)."""
        self._exchange = exchange
        self._board = board
        self._outbox = outbox
        self._keep_empty_sides = keep_empty_sides
        self._withholds = withholds
        self._last_sid = 0
        self.subscriptions: dict[int, Subscription] = {}

    def handle(self, text: str | bytes) -> None:
        """Answer one command; malformed ones get an error frame, never an exception."""
        command_id: int | None = None
        try:
            command = _read(text)
            named = command.get("id")
            command_id = named if isinstance(named, int) and not isinstance(named, bool) else None
            self._dispatch(command, command_id)
        except CommandError as error:
            self._outbox.push(error_frame(error.code, command_id), None)

    def drop(self, subscription: Subscription) -> None:
        """End a subscription on the venue's side."""
        self._board.remove(subscription)
        self.subscriptions.pop(subscription.sid, None)

    def close(self) -> None:
        """End every subscription of the connection."""
        for subscription in list(self.subscriptions.values()):
            self.drop(subscription)

    def _dispatch(self, command: Json, command_id: int | None) -> None:
        handlers: dict[object, Callable[[Json, int | None], None]] = {
            "subscribe": self._subscribe,
            "unsubscribe": self._unsubscribe,
            "update_subscription": self._update,
            "list_subscriptions": self._list,
        }
        name = command.get("cmd")
        handler = handlers.get(name) if isinstance(name, str) else None
        if handler is None:
            raise CommandError(5)
        params = command.get("params")
        if not isinstance(params, dict):
            if name != "list_subscriptions":
                raise CommandError(2)
            params = {}
        handler(params, command_id)

    def _subscribe(self, params: Json, command_id: int | None) -> None:
        channels = params.get("channels")
        if not isinstance(channels, list) or not channels:
            raise CommandError(3)
        if any(not isinstance(channel, str) or channel not in CHANNELS for channel in channels):
            raise CommandError(8)
        tickers = _tickers(params)
        if "orderbook_delta" in channels and not tickers:
            raise CommandError(14)
        for channel in channels:
            self._subscribe_channel(channel, None if channel in UNFILTERED else tickers, params, command_id)

    def _subscribe_channel(self, channel: str, tickers: list[str] | None, params: Json, command_id: int | None) -> None:
        """Subscribing again merges markets into the subscription there is (since October 2025)."""
        found = next((s for s in self.subscriptions.values() if s.channel == channel), None)
        if found is None:
            self._last_sid += 1
            yes_prices = bool(params.get("use_yes_price", False))
            found = Subscription(
                self._last_sid, channel, self._outbox, set() if tickers else None, yes_prices=yes_prices
            )
            self.subscriptions[found.sid] = found
            self._board.add(found)
        answer: Json = {"type": "subscribed", "msg": {"channel": channel, "sid": found.sid}}
        self._outbox.push(orjson.dumps({"id": command_id, **answer} if command_id else answer), None)
        if tickers is None:
            found.tickers = None
            return
        added = self._add(found, tickers, command_id)
        if channel == "ticker" and params.get("send_initial_snapshot"):
            self._tickers_now(found, added)

    def _add(self, subscription: Subscription, tickers: list[str], command_id: int | None) -> list[str]:
        """Add markets and send the snapshots of those that are new; unknown ones get an error each."""
        if subscription.tickers is None:
            return []
        known = self._exchange.catalogue.markets
        for ticker in tickers:
            if ticker not in known:
                self._outbox.push(error_frame(11, command_id, market_ticker=ticker), None)
        fresh = [t for t in dict.fromkeys(tickers) if t in known and t not in subscription.tickers]
        subscription.tickers.update(fresh)
        self._board.index_books(subscription, fresh)
        if subscription.channel == "orderbook_delta":
            self._snapshots(subscription, fresh, None)
        return fresh

    def _snapshots(self, subscription: Subscription, tickers: list[str], command_id: int | None) -> None:
        now_ms = self._exchange.now() // MILLISECOND
        for ticker in tickers:
            if self._withholds(ticker):
                continue
            market = self._exchange.catalogue.markets[ticker]
            msg = snapshot_msg(market, yes_prices=subscription.yes_prices, keep_empty=self._keep_empty_sides)
            subscription.send("orderbook_snapshot", msg, now_ms, command_id)

    def _tickers_now(self, subscription: Subscription, tickers: list[str]) -> None:
        now = self._exchange.now()
        for ticker in tickers:
            subscription.send("ticker", ticker_msg(self._exchange.catalogue.markets[ticker], now), now // MILLISECOND)

    def _one(self, params: Json) -> Subscription:
        sids = params.get("sids", [params["sid"]] if "sid" in params else None)
        if not isinstance(sids, list) or len(sids) != 1:
            raise CommandError(12)
        found = self.subscriptions.get(sids[0]) if isinstance(sids[0], int) else None
        if found is None:
            raise CommandError(7)
        return found

    def _update(self, params: Json, command_id: int | None) -> None:
        """`ok` with the full list comes first, then snapshots of what was added, as captured."""
        subscription = self._one(params)
        action = params.get("action")
        if action is None:
            raise CommandError(15)
        if action not in _ACTIONS or (action == "get_snapshot" and subscription.channel != "orderbook_delta"):
            raise CommandError(13)
        tickers = _tickers(params)
        if not tickers:
            raise CommandError(14)
        known = self._exchange.catalogue.markets
        if action == "get_snapshot":
            self._snapshots(subscription, [ticker for ticker in tickers if ticker in known], command_id)
            return
        before = subscription.tickers
        if before is not None and action == "delete_markets":
            gone = before & set(tickers)
            self._board.unindex_books(subscription, gone)
            before -= gone
        after = sorted((before or set()) | {t for t in tickers if t in known and action == "add_markets"})
        skip = params.get("skip_ticker_ack", False)
        subscription.control("ok", command_id, {} if skip else {"market_tickers": after})
        if action == "add_markets":
            self._add(subscription, tickers, command_id)

    def _unsubscribe(self, params: Json, command_id: int | None) -> None:
        sids = params.get("sids")
        if not isinstance(sids, list) or not sids:
            raise CommandError(4)
        if any(not isinstance(sid, int) or sid not in self.subscriptions for sid in sids):
            raise CommandError(7)
        for sid in sids:
            subscription = self.subscriptions[sid]
            self.drop(subscription)
            subscription.control("unsubscribed", command_id)

    def _list(self, _params: Json, command_id: int | None) -> None:
        rows = [{"channel": s.channel, "sid": s.sid} for s in self.subscriptions.values()]
        self._outbox.push(orjson.dumps({"id": command_id or 0, "type": "ok", "msg": rows}), None)


def _read(text: str | bytes) -> Json:
    try:
        command = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise CommandError(1) from None
    if not isinstance(command, dict):
        raise CommandError(1)
    return command


def _tickers(params: Json) -> list[str]:
    """`market_ticker` or `market_tickers`; raises CommandError(11) for both or for something else."""
    one, many = params.get("market_ticker"), params.get("market_tickers")
    if one is not None and many is not None:
        raise CommandError(11)
    if one is not None:
        many = [one]
    if many is None:
        return []
    if not isinstance(many, list) or not all(isinstance(ticker, str) for ticker in many):
        raise CommandError(11)
    return many
