"""Quotes into resting orders: the submit path. The last look at the latch is here, right before an intent is written.

One batch at a time; batches never wait for cancels and cancels never for them. Whatever happens to a batch, each of its
orders ends the call with its own outcome in the journal: acked, refused, not sent, or UNKNOWN.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, assert_never

import structlog

from kalshi_daemon.domain.events import CreateAck
from kalshi_daemon.domain.order import NewOrder, Order, Status
from kalshi_daemon.domain.quote import Quote
from kalshi_daemon.ground.errors import IllegalTransition, OrderOutcomeUnknown, PostOnlyCross, VenueError
from kalshi_daemon.ground.units import SECOND, Nanos, format_count, format_price, from_s
from kalshi_daemon.kalshi.api import OrderApi
from kalshi_daemon.orders.ambiguity import Meaning, Operation, reject_reason, rule
from kalshi_daemon.orders.deadlines import EXCHANGE_ERRORS
from kalshi_daemon.orders.groups import Groups
from kalshi_daemon.orders.lifecycle import Acked, Event, NotSent, OutcomeUnknown, Rejected, Sent
from kalshi_daemon.orders.order_store import OrderStore
from kalshi_daemon.settings.model import OrderSettings

log = structlog.get_logger()

SHORTEST_LIFE: Final = Nanos(2 * SECOND)
"""An order that would rest shorter than this is not worth a request, and its expiry could be past on arrival."""


class Placer:
    """Sends creates. `events_closed` and `blackout_until` are set by the cancelling side.

    closed_guard: the guard that forbids a quote at this instant, "" when none does.
    """

    def __init__(
        self,
        store: OrderStore,
        api: OrderApi,
        settings: OrderSettings,
        ids: Callable[[], str],
        groups: Groups,
        closed_guard: Callable[[Quote], str],
    ) -> None:
        self._store = store
        self._api = api
        self._settings = settings
        self._ids = ids
        self._groups = groups
        self._closed_guard = closed_guard
        self._lock = asyncio.Lock()
        self.events_closed: dict[str, str] = {}
        """Event -> why nothing is placed in it while it is being cleared."""
        self.on_crossed: Callable[[str], None] = _nobody
        """Called with the market of an order that would have crossed: its book is not the one we see."""
        self.blackout_until = Nanos(0)
        """After a cancel-all the venue may cancel new orders for a minute (docs/reference/venue.md 2.3)."""

    def refusal(self, quote: Quote) -> str:
        """Why this quote must not be sent now; "" when it may. Asked right before the intent is written."""
        state, now = self._store.state, self._store.clock.now_ns()
        if state.latch.closed:
            return "latch_closed"
        if not state.armed:
            return "not_armed"
        if state.kill_switch:
            return "kill_switch"
        if now < self.blackout_until:
            return "cancel_all_blackout"
        if quote.profile in state.order_groups.halted:
            return "order_group_triggered"
        if state.order_groups.required and quote.profile not in state.order_groups.ids:
            return "no_order_group"
        if state.order_groups.required and state.venue.shard_of(quote.market_ticker):
            return "no_order_group_on_shard"
        window = quote.window
        if window.event_ticker in self.events_closed:
            return f"event_closed_{self.events_closed[window.event_ticker]}"
        if not window.opens_ns <= now < window.new_until_ns:
            return "outside_window"
        if self._expiry(quote, now) - now < SHORTEST_LIFE:
            return "too_late"
        guard = self._closed_guard(quote)
        return f"guard_{guard}" if guard else ""

    async def place(self, quotes: Sequence[Quote]) -> tuple[Order, ...]:
        """Send what may be sent, in batches; the orders as they stand afterwards, in the order of the quotes."""
        names: list[str] = []
        async with self._lock:
            most = self._settings.batch_max
            for start in range(0, len(quotes), most):
                orders = self._intend(quotes[start : start + most])
                if orders:
                    names += [order.client_order_id for order in orders]
                    await self._send(orders)
        return tuple(self._store.state.orders[name] for name in names if name in self._store.state.orders)

    async def answered(self) -> None:
        """Until no create is on the wire or waits for its turn. Returns at once when none does."""
        async with self._lock:
            pass

    def _expiry(self, quote: Quote, now: Nanos) -> Nanos:
        """The earlier of the window's cutoff and the end of the lease, on the wire's grid of whole seconds."""
        latest = min(quote.window.gone_by_ns, now + from_s(self._settings.lease_s))
        return Nanos(latest // SECOND * SECOND)

    def _intend(self, quotes: Sequence[Quote]) -> list[Order]:
        now = self._store.clock.now_ns()
        orders: list[Order] = []
        for quote in quotes:
            refusal = self.refusal(quote)
            if refusal:
                log.warning("order.not_sent", market=quote.market_ticker, side=quote.side.value, reason=refusal)
                continue
            orders.append(
                Order(
                    client_order_id=self._ids(),
                    market_ticker=quote.market_ticker,
                    event_ticker=quote.window.event_ticker,
                    series_ticker=quote.window.series.ticker,
                    profile=quote.profile,
                    side=quote.side,
                    price=quote.price,
                    count=quote.count,
                    status=Status.INTENDED,
                    expires_ns=self._expiry(quote, now),
                    created_ns=now,
                    updated_ns=now,
                    fair=quote.fair,
                    required_edge=quote.required_edge,
                )
            )
        if orders:
            self._store.intend(orders)
        return orders

    async def _send(self, orders: Sequence[Order]) -> None:
        for order in orders:
            self._store.apply(order.client_order_id, Sent(self._store.clock.now_ns()))
        results: Sequence[CreateAck | Exception]
        try:
            results = await self._api.create_orders([self._wired(order) for order in orders])
        except EXCHANGE_ERRORS as problem:
            results = [problem] * len(orders)
        except BaseException as problem:
            # Cancelled or a bug: the bytes may have left. Say so before passing it on.
            self._record(orders, [OrderOutcomeUnknown("create", type(problem).__name__)] * len(orders))
            raise
        if len(results) != len(orders):
            count = f"{len(results)} answers to {len(orders)} orders"
            results = [OrderOutcomeUnknown("create", count)] * len(orders)
        self._record(orders, results)

    def _wired(self, order: Order) -> NewOrder:
        """Groups do not span shards, and ours are on shard 0 (docs/reference/venue.md 2.4)."""
        state = self._store.state
        group = state.order_groups.ids.get(order.profile) if state.venue.shard_of(order.market_ticker) == 0 else None
        return replace(new_order(order), order_group_id=group)

    def _record(self, orders: Sequence[Order], results: Sequence[CreateAck | Exception]) -> None:
        """Every order's own outcome, whatever the others' are. Raises the first IllegalTransition after all of them."""
        bugs: list[IllegalTransition] = []
        with self._store.one_commit():
            for order, result in zip(orders, results, strict=True):
                try:
                    event = self._event(order, result)
                    after = self._store.apply(order.client_order_id, event)
                    if isinstance(result, CreateAck) and isinstance(event, OutcomeUnknown):
                        self._store.doubt(after, "Acked", event.cause)
                except IllegalTransition as bug:
                    bugs.append(bug)
                    continue
                self._say(after, event, result)
        for order, result in zip(orders, results, strict=True):
            if isinstance(result, Exception):
                self._groups.on_refused(order, result)
            if isinstance(result, PostOnlyCross):
                self.on_crossed(order.market_ticker)
        if bugs:
            raise bugs[0]

    def _event(self, order: Order, result: CreateAck | Exception) -> Event:
        now = self._store.clock.now_ns()
        if isinstance(result, CreateAck):
            if result.client_order_id != order.client_order_id:
                return OutcomeUnknown(now, f"answer about {result.client_order_id}")
            return Acked(now, result.order_id, result.filled, result.remaining)
        match rule(Operation.CREATE, result).meaning:
            case Meaning.NOT_APPLIED:
                return NotSent(now, reject_reason(result))
            case Meaning.REFUSED:
                return Rejected(now, reject_reason(result))
            case Meaning.UNKNOWN | Meaning.GONE:
                return OutcomeUnknown(now, str(result))
            case never:
                assert_never(never)

    def _say(self, order: Order, event: Event, result: CreateAck | Exception) -> None:
        facts = {
            "client_order_id": order.client_order_id,
            "market": order.market_ticker,
            "side": order.side.value,
            "price": format_price(order.price),
            "count": format_count(order.count),
        }
        if isinstance(event, Acked) and order.order_id == event.order_id:
            log.info("order.acked", **facts, order_id=event.order_id, filled=format_count(event.filled))
        elif order.status is Status.UNKNOWN:
            log.warning("order.unknown", **facts, cause=order.reason)
        elif order.status is not Status.REJECTED:
            # No answer, or none to believe, but the stream has spoken meanwhile.
            cause = event.cause if isinstance(event, OutcomeUnknown) else str(result)
            if isinstance(event, Acked):
                cause = f"answered as {event.order_id}"
            log.warning("order.answer_lost", **facts, status=order.status.value, cause=cause)
        else:
            known = isinstance(result, VenueError)
            log.warning("order.refused", **facts, reason=order.reason, detail=str(result), venue=known)


def _nobody(_market_ticker: str) -> None:
    """Nobody listens yet."""


def new_order(order: Order) -> NewOrder:
    """An order as it goes to the wire; a create adds the group of its profile."""
    return NewOrder(
        client_order_id=order.client_order_id,
        market_ticker=order.market_ticker,
        side=order.side,
        price=order.price,
        count=order.count,
        expires_ns=order.expires_ns,
    )
