"""Asking the exchange what became of an order: UNKNOWN creates, orders gone without a word, orders past their expiry.

Found means believed. Not found means something only as an authenticated answer, and for a create only after
`PATIENCE`: portfolio reads lag the engine (docs/reference/venue.md 2.1).
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

import structlog

from kalshi_daemon.domain.events import RemoteOrder
from kalshi_daemon.domain.order import Order, Status
from kalshi_daemon.ground.errors import NotFound, PartlyUnreadable
from kalshi_daemon.ground.units import MILLISECOND, MINUTE, SECOND, Nanos, format_count
from kalshi_daemon.kalshi.api import PortfolioApi
from kalshi_daemon.orders.deadlines import EXCHANGE_ERRORS, Backoff
from kalshi_daemon.orders.lifecycle import (
    Disowned,
    Event,
    Lapsed,
    NotFoundAuthenticated,
    ReportedCanceled,
    ReportedExecuted,
    ReportedResting,
)
from kalshi_daemon.orders.order_store import OrderStore
from kalshi_daemon.settings.model import OrderSettings

log = structlog.get_logger()

PATIENCE: Final = Nanos(10 * SECOND)
"""From when a create is over on our side until "not found" is believed: the slowest write plus the reads' lag."""
LAPSE_GRACE: Final = Nanos(3 * SECOND)
"""How long after its expiry an order may still be reported by the stream before we ask."""
MARKETS_ONE_BY_ONE: Final = 3
"""Up to this many markets are listed each; more are found in one listing of all of them."""
DOUBTED_ASKED: Final = 10
"""Ended orders in quarantine that are asked about in one turn."""
_LOOK_BACK: Final = MINUTE
_PAUSE_MS_MAX: Final = 5_000


class OutcomeResolver:
    """Reads only; what it finds goes to the store."""

    def __init__(self, store: OrderStore, api: PortfolioApi, settings: OrderSettings) -> None:
        self._store = store
        self._api = api
        self._after = Nanos(settings.unknown_ask_after_ms * MILLISECOND)
        self._pauses = Backoff(max(100, settings.unknown_ask_after_ms), _PAUSE_MS_MAX)
        self._wanted: dict[str, None] = {}

    def want(self, client_order_id: str) -> None:
        """Ask about this order at the next turn. Bounded by the number of live orders."""
        self._wanted[client_order_id] = None

    async def turn(self) -> None:
        """One round over everything that is due. Never raises for trouble with the exchange: it asks again later."""
        now = self._store.clock.now_ns()
        live = {order.client_order_id: order for order in self._store.live()}
        live |= self._in_doubt(live)
        self._pauses.forget_all_but(set(live))
        self._wanted = {name: None for name in self._wanted if name in live}
        due = [order for order in live.values() if self._is_due(order, now)]
        for order in due:
            self._pauses.hold(order.client_order_id, now)
        await self.ask([order for order in due if order.status is Status.UNKNOWN and order.order_id is None])
        for order in due:
            if order.order_id is not None:
                await self.ask_one(order)

    def _in_doubt(self, live: Mapping[str, Order]) -> dict[str, Order]:
        """Orders in quarantine that have ended in our books: at the exchange they may not have."""
        names = [name for name in self._store.quarantine.names() if name not in live][:DOUBTED_ASKED]
        found = ((name, self._store.find(name, None)) for name in names)
        return {name: order for name, order in found if order is not None}

    def _is_due(self, order: Order, now: Nanos) -> bool:
        if order.status is Status.UNKNOWN:
            since = self._store.unknown_since.get(order.client_order_id, Nanos(0))
            wanted = now - since >= self._after
        elif order.order_id is None:
            wanted = False  # in flight: its own answer comes first; or it ended without ever having an id
        elif order.client_order_id in self._store.quarantine:
            wanted = True
        else:
            wanted = order.client_order_id in self._wanted or now >= order.expires_ns + LAPSE_GRACE
        return wanted and self._pauses.due(order.client_order_id, now)

    async def ask(self, orders: Sequence[Order]) -> None:
        """Look for creates without an answer by their client ids."""
        by_market: defaultdict[str | None, list[Order]] = defaultdict(list)
        for order in orders:
            by_market[order.market_ticker].append(order)
        if len(by_market) > MARKETS_ONE_BY_ONE:
            by_market = defaultdict(list, {None: list(orders)})
        for market, lost in by_market.items():
            since = Nanos(min(order.created_ns for order in lost) - _LOOK_BACK)
            try:
                listed = await self._api.orders(market_ticker=market, min_ts_ns=since)
            except EXCHANGE_ERRORS as problem:
                log.warning("order.ask_failed", orders=len(lost), problem=str(problem))
                if isinstance(problem, PartlyUnreadable):
                    self._learn_found(lost, problem.readable)
                continue
            self.learn(lost, listed)

    def learn(self, lost: Sequence[Order], listed: Sequence[RemoteOrder]) -> None:
        """Apply a listing that would contain these orders if the exchange had them."""
        by_name = {remote.client_order_id: remote for remote in listed}
        for order in lost:
            remote = by_name.get(order.client_order_id)
            if remote is not None:
                self.believe(remote, order)
            else:
                self._not_listed(order)

    def _learn_found(self, lost: Sequence[Order], listed: Sequence[object]) -> None:
        """Of a list with records that cannot be read, what is there is believed; what is not may be one of those."""
        by_name = {order.client_order_id: order for order in lost}
        for remote in listed:
            if isinstance(remote, RemoteOrder) and remote.client_order_id in by_name:
                self.believe(remote, by_name[remote.client_order_id])

    def _not_listed(self, order: Order) -> None:
        now = self._store.clock.now_ns()
        since = self._store.unknown_since.get(order.client_order_id)
        if since is None:
            return  # it has got its answer meanwhile
        after = self._store.apply(order.client_order_id, NotFoundAuthenticated(now, since, PATIENCE))
        if not after.status.live:
            log.info("order.not_found", client_order_id=order.client_order_id, market=order.market_ticker)

    async def ask_one(self, order: Order) -> None:
        """Ask by the exchange's id. An authenticated 404 ends it only when its expiry has passed as well."""
        assert order.order_id is not None
        name = order.client_order_id
        try:
            remote = await self._api.order(order.order_id)
        except NotFound:
            now = self._store.clock.now_ns()
            current = self._store.state.orders.get(name, order)
            if now >= current.expires_ns + LAPSE_GRACE and current.status in {Status.RESTING, Status.PENDING_CANCEL}:
                self._store.apply(name, Lapsed(now))
            return
        except EXCHANGE_ERRORS as problem:
            log.warning("order.ask_failed", orders=1, problem=str(problem))
            return
        self._wanted.pop(name, None)
        self.believe(remote, order)

    def believe(self, remote: RemoteOrder, order: Order) -> None:
        """Take over what the exchange says about an order of ours, unless it cannot be."""
        store, name = self._store, order.client_order_id
        before = store.state.orders.get(name, order)
        now = store.clock.now_ns()
        if remote.client_order_id and remote.client_order_id != name:
            cause = f"{remote.order_id} is order {remote.client_order_id} at the exchange"
            store.doubt(before, "listed", cause)
            if before.order_id == remote.order_id:
                store.apply(name, Disowned(now, cause))
            return
        if (remote.market_ticker, remote.side) != (before.market_ticker, before.side):
            store.doubt(before, "listed", f"{remote.side.value} in {remote.market_ticker} at the exchange")
            return
        event = report_of(remote, before, now)
        sound = not store.impossible(before, event)
        after = store.apply(name, event)
        if sound and (remote.price, remote.initial) == (before.price, before.count) and store.quarantine.agree(name):
            store.on_missed_fill()  # have the lists read: they must not show a second one
        if after.status is not before.status:
            log.info(
                "order.resolved",
                client_order_id=order.client_order_id,
                market=order.market_ticker,
                was=before.status.value,
                now=after.status.value,
                filled=format_count(after.filled),
            )


def report_of(remote: RemoteOrder, order: Order, now: Nanos) -> Event:
    """A listed order as an event. The list gives no reason: gone after its expiry is taken for expired."""
    if remote.status == "resting":
        return ReportedResting(now, remote.order_id, remote.filled, remote.expires_ns)
    if remote.status == "executed":
        return ReportedExecuted(now, remote.order_id, remote.filled)
    expiry = order.expires_ns if remote.expires_ns is None else remote.expires_ns
    expired = now >= expiry and order.status is not Status.PENDING_CANCEL
    return ReportedCanceled(now, remote.order_id, remote.filled, expired=expired)
