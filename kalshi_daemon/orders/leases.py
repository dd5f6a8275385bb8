"""Every order rests on a lease: its expiry is near, and a healthy daemon keeps moving it (docs/order-safety.md).

Only the expiry is amended, price and total count stay: queue priority is kept (docs/reference/venue.md 2.3). A daemon
that dies, or whose guards close, simply stops renewing. An amend without a trustworthy answer leaves the order with
either expiry: for risk the later one counts, for renewing the earlier.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from kalshi_daemon.domain.order import Order, Status
from kalshi_daemon.ground.errors import NotFound
from kalshi_daemon.ground.units import SECOND, Nanos, from_s
from kalshi_daemon.kalshi.api import OrderApi
from kalshi_daemon.orders.ambiguity import FollowUp, Meaning, Operation, rule
from kalshi_daemon.orders.deadlines import EXCHANGE_ERRORS, Backoff
from kalshi_daemon.orders.lifecycle import Renewed, advance
from kalshi_daemon.orders.order_store import OrderStore
from kalshi_daemon.orders.outcome_resolver import OutcomeResolver
from kalshi_daemon.orders.placing import new_order
from kalshi_daemon.settings.model import OrderSettings

log = structlog.get_logger()

AT_ONCE: Final = 4
"""Amends on the wire at a time: the endpoint takes one order each."""
PER_TURN: Final = 60
"""Most renewals of one turn; the most urgent first. 60 x 10 tokens is what Basic refills in 6 s."""
RENEW_AT: Final = 2
"""An order is renewed once less than 1/2 of its lease is left, so that it is done before 1/3 is left."""


class Leases:
    """Renews. `allowed` gives what says whether the guards let an order stay now; asked right before each amend."""

    def __init__(
        self,
        store: OrderStore,
        api: OrderApi,
        settings: OrderSettings,
        asker: OutcomeResolver,
        allowed: Callable[[], Callable[[Order], bool]],
    ) -> None:
        self._store = store
        self._api = api
        self._lease = from_s(settings.lease_s)
        self._asker = asker
        self._allowed = allowed
        self._pauses = Backoff(1_000, 8_000)
        self._sure_until: dict[str, Nanos] = {}
        """client_order_id -> the expiry it certainly has, while an amend's outcome is unknown."""
        self.renewed = 0

    async def turn(self) -> None:
        """Renew what is due. Never raises for trouble with the exchange: an order that cannot be renewed expires."""
        now = self._store.clock.now_ns()
        live = {order.client_order_id: order for order in self._store.live()}
        self._pauses.forget_all_but(set(live))
        self._sure_until = {name: until for name, until in self._sure_until.items() if name in live}
        allowed = self._allowed()
        due = sorted((o for o in live.values() if self._is_due(o, now, allowed)), key=self._ends)
        if not due:
            return
        changed: list[Order] = []
        queue = due[:PER_TURN]
        queue.reverse()

        async def work() -> None:
            while queue:
                await self._renew(queue.pop().client_order_id, changed)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(AT_ONCE, len(queue))):
                    group.create_task(work(), name="orders.renew")
        finally:
            self._store.renewed(changed)
        log.debug("order.renewed", due=len(due), renewed=len(changed))

    def _is_due(self, order: Order, now: Nanos, allowed: Callable[[Order], bool]) -> bool:
        ends = self._ends(order)
        return (
            order.status is Status.RESTING
            and order.client_order_id not in self._store.quarantine
            and ends - now < self._lease // RENEW_AT
            and self._new_expiry(order, now) >= ends + SECOND
            and self._pauses.due(order.client_order_id, now)
            and self._may(order, allowed)
        )

    def _ends(self, order: Order) -> Nanos:
        return self._sure_until.get(order.client_order_id, order.expires_ns)

    def _new_expiry(self, order: Order, now: Nanos) -> Nanos:
        """The earlier of cutoff and lease, on whole seconds; 0 when its window says no."""
        status = self._store.state.windows.get(order.event_ticker)
        if status is None or now >= status.window.cancel_at_ns:
            return Nanos(0)
        return Nanos(min(status.window.gone_by_ns, now + self._lease) // SECOND * SECOND)

    def _may(self, order: Order, allowed: Callable[[Order], bool]) -> bool:
        state = self._store.state
        return state.armed and not state.latch.closed and not state.kill_switch and allowed(order)

    async def _renew(self, name: str, changed: list[Order]) -> None:
        now = self._store.clock.now_ns()
        order = self._store.state.orders.get(name)
        if order is None or order.order_id is None or not self._is_due(order, now, self._allowed()):
            return
        expires = self._new_expiry(order, now)
        self._pauses.hold(name, now)
        try:
            await self._api.amend_order(
                new_order(order), order.order_id, total_count=order.count, price=order.price, expires_ns=expires
            )
        except EXCHANGE_ERRORS as problem:
            self._failed(name, order, expires, problem, changed)
        except BaseException:
            self._take(name, expires, changed)
            raise
        else:
            self.renewed += 1
            self._sure_until.pop(name, None)
            self._take(name, expires, changed)

    def _failed(self, name: str, order: Order, expires: Nanos, problem: Exception, changed: list[Order]) -> None:
        ruling = rule(Operation.AMEND, problem)
        # Not found: it has just ended, most likely filled; how is asked, and a lease that is not needed is no trouble.
        say = log.info if isinstance(problem, NotFound) else log.warning
        say("order.renewal_failed", client_order_id=name, market=order.market_ticker, problem=str(problem))
        if ruling.meaning is Meaning.UNKNOWN:
            self._sure_until.setdefault(name, order.expires_ns)
            self._take(name, expires, changed)
        if ruling.ask is FollowUp.BY_ORDER_ID:
            self._asker.want(name)

    def _take(self, name: str, expires: Nanos, changed: list[Order]) -> None:
        current = self._store.state.orders.get(name)
        if current is None:
            return
        after = advance(current, Renewed(self._store.clock.now_ns(), expires))
        if after is not current:
            self._store.state.orders[name] = after
            changed.append(after)
