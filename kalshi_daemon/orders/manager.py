"""The order manager: the one task of this room, and the one door other rooms use.

`start` makes our books and the exchange's agree before anything is quoted. `run` keeps it that way: stream events in
order, answers that are owed, leases, reconciliation, settlements, each in a loop of its own so that nothing urgent
waits behind something slow. `place`, `cancel`, `cancel_event` and `cancel_all` may be called at any time, also
after `run` has ended.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Never

import structlog

from kalshi_daemon.domain.events import (
    FillEvent,
    MarketLifecycle,
    OrderGroupUpdate,
    StreamDown,
    StreamUp,
    UserOrder,
    VenueEvent,
)
from kalshi_daemon.domain.order import Order, Status
from kalshi_daemon.domain.quote import Quote
from kalshi_daemon.ground.clock import Clock
from kalshi_daemon.ground.errors import (
    AuthFailed,
    ClockSkewed,
    DaemonError,
    MalformedData,
    VenueError,
    VenueUnreachable,
)
from kalshi_daemon.ground.units import MILLISECOND, SECOND, Nanos
from kalshi_daemon.orders.account_audit import AccountAudit, BooksCheck, SessionTotals
from kalshi_daemon.orders.bookkeeping import Bookkeeping
from kalshi_daemon.orders.cancelling import Canceller, StopResult, VenueOrders
from kalshi_daemon.orders.deadlines import DeadlinePassed, within
from kalshi_daemon.orders.groups import Groups
from kalshi_daemon.orders.ids import is_ours
from kalshi_daemon.orders.journal import Journal
from kalshi_daemon.orders.leases import Leases
from kalshi_daemon.orders.lifecycle import Event, ReportedCanceled, ReportedExecuted, ReportedResting
from kalshi_daemon.orders.order_store import Audit, OrderStore
from kalshi_daemon.orders.outcome_resolver import OutcomeResolver
from kalshi_daemon.orders.placing import Placer
from kalshi_daemon.orders.reconciling import Reconciler
from kalshi_daemon.orders.settling import Settler
from kalshi_daemon.settings.model import PROFILE_NAMES, OrderSettings
from kalshi_daemon.state import DaemonState

log = structlog.get_logger()

BEAT: Final = Nanos(500 * MILLISECOND)
"""How often the loops look whether something is due."""
EVENTS_MAX: Final = 10_000
"""Stream events waiting; beyond it the oldest is dropped and everything is read from the exchange's lists instead."""
START_WITHIN: Final = Nanos(30 * SECOND)
START_PAUSE: Final = SECOND
_EXPIRED: Final = "ExpiryCancel"
_CROSSED: Final = "PostOnlyCrossCancel"
"""The other way in which a post-only order is refused: taken, then cancelled (docs/reference/venue.md 3)."""
_Wanted = FillEvent | UserOrder | MarketLifecycle | OrderGroupUpdate | StreamUp | StreamDown
_WANTED: Final = (FillEvent, UserOrder, MarketLifecycle, OrderGroupUpdate, StreamUp, StreamDown)


@dataclass(frozen=True, slots=True)
class OrderPorts:
    """What the order path stands on."""

    api: VenueOrders
    journal: Journal
    clock: Clock
    audit: Audit
    """Gets one flat dict per action."""
    ids: Callable[[], str]
    """A new client order id, never the same twice."""


def _always(_order: Order) -> bool:
    return True


def _none_closed(_quote: Quote) -> str:
    return ""


def _nobody(_market_ticker: str) -> None:
    """Nobody listens."""


@dataclass(frozen=True, slots=True)
class OrderCallbacks:
    """What the order path tells others, and what it asks them right before it acts."""

    on_change: Callable[[], None]
    """Called after anything readers of the state care about."""
    renewals_allowed: Callable[[], Callable[[Order], bool]] = lambda: _always
    """Whether the lease of an order may be renewed."""
    closed_guard: Callable[[Quote], str] = _none_closed
    """The guard that forbids a quote at this instant; "" when none does."""
    on_crossed: Callable[[str], None] = _nobody
    """Told the market ticker when the exchange would not rest an order of ours because it would have crossed."""


class OrderManager:
    """Owns `state.orders`, `ledger`, `reconciliation`, `balance`, `order_groups` and the order counters.

    `profiles` are the enabled ones: each gets an order group at the exchange.
    """

    def __init__(
        self,
        state: DaemonState,
        ports: OrderPorts,
        settings: OrderSettings,
        callbacks: OrderCallbacks,
        profiles: Sequence[str] = PROFILE_NAMES,
    ) -> None:
        api = ports.api
        self._state = state
        self._clock = ports.clock
        self._whole_account = settings.scope == "account"
        self._store = OrderStore(state, ports.journal, ports.clock, ports.audit, callbacks.on_change)
        self._bookkeeping = Bookkeeping(
            self._store,
            settings.scope,
            settings.archive_after_days,
            settings.fills_accepted,
            settings.fills_dismissed,
        )
        self._asker = OutcomeResolver(self._store, api, settings)
        self._groups = Groups(self._store, api, settings, profiles)
        self._placer = Placer(self._store, api, settings, ports.ids, self._groups, callbacks.closed_guard)
        self._placer.on_crossed = self._on_crossed = callbacks.on_crossed
        self._canceller = Canceller(self._store, api, settings, self._asker, self._placer)
        self._settler = Settler(self._store, self._bookkeeping, api)
        self._reconciler = Reconciler(
            self._store,
            self._bookkeeping,
            api,
            settings,
            self._asker,
            self._canceller,
            self._settler,
        )
        self._leases = Leases(self._store, api, settings, self._asker, callbacks.renewals_allowed)
        self._store.on_missed_fill = self._look_soon
        self._prover = AccountAudit(self._store, self._bookkeeping, api, self._reconciler, self._settler)
        self._events: deque[_Wanted] = deque(maxlen=EVENTS_MAX)
        self._dropped = 0
        self._loaded = False
        self._arrived = asyncio.Event()
        self._beats: list[asyncio.Event] = []

    # --- life ---------------------------------------------------------------------------------------------------------

    def load(self) -> None:
        """Take the journal over. Local and quick: also a daemon that is stopped before it is ready has done this.

        A second call does nothing. Raises StateCorrupt.
        """
        if self._loaded:
            return
        orders = self._store.load()
        self._bookkeeping.load()
        self._groups.load()
        self._loaded = True
        log.info("journal.loaded", live=orders, open_positions=len(list(self._bookkeeping.ledger.open_positions())))

    async def start(self) -> None:
        """Load the journal and make it and the exchange agree. To be awaited before anything is quoted.

        Returns also on a confirmed disagreement: `state.reconciliation` then keeps the guards shut. Raises
        StateCorrupt, AuthFailed, ClockSkewed (call it again once the clock is right), ConfigurationError when the
        exchange refuses order groups, VenueUnreachable when it could not be read within START_WITHIN, whatever it said
        instead.
        """
        self.load()
        deadline = Nanos(self._clock.now_ns() + START_WITHIN)
        problem: Exception | None = None
        while self._clock.now_ns() < deadline:
            try:
                await within(self._clock, deadline, self._first_look())
            except (AuthFailed, ClockSkewed):
                raise
            except (VenueError, MalformedData) as trouble:
                problem = trouble
                log.warning("order.start_failed", problem=str(trouble))
            except DeadlinePassed as trouble:
                problem = problem or trouble
                log.warning("order.start_failed", problem=str(trouble) or "no answer in time")
            else:
                problem = None
                if self._state.reconciliation.checked_ns is not None:
                    break
            await self._clock.sleep(START_PAUSE)
        if problem is not None:
            within_s = START_WITHIN // SECOND
            raise VenueUnreachable("start", f"not read within {within_s} s: {str(problem) or 'no answer'}") from problem
        await self._groups.start()
        await self._prover.begin()

    async def _first_look(self) -> None:
        unknown = [order for order in self._store.live() if order.status is Status.UNKNOWN and order.order_id is None]
        await self._asker.ask(unknown)
        await self._reconciler.look()
        await self._asker.turn()
        await self._canceller.turn()

    async def run(self) -> Never:
        """Until cancelled. IllegalTransition (our bug) and StateCorrupt end it: the daemon stops by its ladder."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._take_events(), name="orders.events")
            for name, turn in (
                ("cancels", self._canceller.turn),
                ("asking", self._asker.turn),
                ("leases", self._leases.turn),
                ("groups", self._groups.turn),
                ("look", self._look),
            ):
                group.create_task(self._loop(turn), name=f"orders.{name}")
            group.create_task(self._beat(), name="orders.beat")
        raise AssertionError("the order manager's tasks never return")

    async def _beat(self) -> Never:
        while True:
            await self._clock.sleep(BEAT)
            for beat in self._beats:
                beat.set()

    async def _loop(self, turn: Callable[[], Awaitable[None]]) -> Never:
        beat = asyncio.Event()
        self._beats.append(beat)
        while True:
            await beat.wait()
            beat.clear()
            await turn()

    async def _look(self) -> None:
        await self._reconciler.turn()
        await self._settler.turn()

    def _look_soon(self) -> None:
        self._reconciler.soon()

    # --- what other rooms ask -----------------------------------------------------------------------------------------

    async def place(self, quotes: Sequence[Quote]) -> tuple[Order, ...]:
        """Send what latch, arming, kill switch and window allow right now; the orders made, as they stand afterwards.

        Refused quotes are logged and left out. Raises StateCorrupt (nothing of the batch was sent) and
        IllegalTransition.
        """
        return await self._placer.place(quotes)

    async def answered(self, deadline_ns: Nanos) -> bool:
        """Wait until every create has its answer; False: the deadline came first. To be asked with the latch closed."""
        try:
            await within(self._clock, deadline_ns, self._placer.answered())
        except DeadlinePassed:
            return False
        return True

    async def cancel(self, client_order_ids: Iterable[str], reason: str) -> None:
        """Cancel and go on trying until the exchange says they are gone. Strangers and ended orders are skipped."""
        await self._canceller.cancel(client_order_ids, reason)

    async def cancel_event(self, event_ticker: str, reason: str, deadline_ns: Nanos) -> StopResult:
        """Cancel all of one event and verify with the exchange; tries until the deadline, at least for two seconds."""
        return await self._canceller.cancel_event(event_ticker, reason, deadline_ns)

    async def cancel_all(self, reason: str, deadline_ns: Nanos) -> StopResult:
        """Cancel everything in scope and verify with the exchange. Always returns, at the latest at the deadline."""
        return await self._canceller.cancel_all(reason, deadline_ns)

    async def reset_group(self, profile: str, halted_ns: Nanos) -> bool:
        """End the halt of a profile that began at `halted_ns`, because a person asked. False: ask again later."""
        return await self._groups.reset(profile, halted_ns)

    def archive(self) -> None:
        """Move what ended long ago out of the journal: at the start, at New York midnights, and at a session's end."""
        if self._loaded:
            self._bookkeeping.archive()

    def summary(self) -> SessionTotals:
        """The session's numbers so far."""
        return self._prover.totals()

    async def books_equal(self) -> BooksCheck:
        """Our fills, fees, positions, settlements and cash against the exchange's own. Never raises.

        Books that were never looked at since the start (a stop before READY) are first made to agree as at a start.
        """
        if not self._loaded:
            return self._prover.not_compared("the journal was not loaded")
        try:
            self._take_waiting()
        except DaemonError as problem:  # a journal that cannot be written, above all
            return self._prover.not_compared(str(problem))
        return await self._prover.books_equal()

    # --- the stream ---------------------------------------------------------------------------------------------------

    def on_event(self, event: VenueEvent) -> None:
        """Take note of a stream event; it is worked on in order by `run`. Never blocks, never raises."""
        if not isinstance(event, _WANTED):
            return
        if len(self._events) == EVENTS_MAX:
            self._dropped += 1
        self._events.append(event)
        self._arrived.set()

    async def _take_events(self) -> Never:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            self._take_waiting()

    def _take_waiting(self) -> None:
        if self._dropped:
            log.error("order.events_dropped", dropped=self._dropped, most=EVENTS_MAX)
            self._dropped = 0
            self._look_soon()
        while self._events:
            self._take(self._events.popleft())

    def _take(self, event: _Wanted) -> None:
        match event:
            case FillEvent():
                self._take_fill(event)
            case UserOrder():
                self._take_order(event)
            case MarketLifecycle():
                self._settler.on_lifecycle(event)
            case OrderGroupUpdate():
                self._groups.on_update(event)
            case StreamUp() | StreamDown():
                # What happened while nobody listened is in the exchange's lists.
                self._look_soon()

    def _take_fill(self, event: FillEvent) -> None:
        fill = event.fill
        new = self._bookkeeping.book_fill(fill, "stream")
        if new and fill.post_position is not None and fill.post_position != self._bookkeeping.net(fill.market_ticker):
            self._look_soon()

    def _take_order(self, event: UserOrder) -> None:
        order = self._store.find(event.client_order_id, event.order_id)
        if order is None:
            if event.status == "resting" and (self._whole_account or is_ours(event.client_order_id)):
                log.warning("order.foreign_seen", order_id=event.order_id, client_order_id=event.client_order_id)
                self._look_soon()
            return
        if (event.market_ticker, event.side) != (order.market_ticker, order.side):
            self._store.doubt(order, "user_order", f"{event.side.value} in {event.market_ticker} at the exchange")
            return
        if event.reason == _CROSSED and order.status.live:
            self._on_crossed(event.market_ticker)
        self._store.apply(order.client_order_id, _report_of(event), _facts_of(event))


def _report_of(event: UserOrder) -> Event:
    if event.status == "resting":
        return ReportedResting(event.recv_ns, event.order_id, event.filled)
    if event.status == "executed":
        return ReportedExecuted(event.recv_ns, event.order_id, event.filled)
    return ReportedCanceled(event.recv_ns, event.order_id, event.filled, event.reason, expired=event.reason == _EXPIRED)


def _facts_of(event: UserOrder) -> dict[str, Any]:
    return {"source": "stream", "venue_reason": event.reason, "event_ns": event.event_ns}
