"""What the files of this room share: our orders in memory and in the journal, always both, and who hears about it.

`OrderStore` is synchronous: every change of an order happens here, between two awaits of somebody else. It owns
`state.orders`. An order is in memory while it is live and for as long as it is among the last ENDED_KEPT ended ones;
after that the journal still knows it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any, Final

import structlog

from kalshi_daemon.domain.order import Fill, Order, Status
from kalshi_daemon.ground.clock import Clock, iso_utc
from kalshi_daemon.ground.errors import StateCorrupt
from kalshi_daemon.ground.units import Count, Nanos
from kalshi_daemon.orders.journal import Journal
from kalshi_daemon.orders.journal_rows import QuarantineRow
from kalshi_daemon.orders.lifecycle import (
    Acked,
    CancelAcked,
    CancelRefused,
    CancelSent,
    Disowned,
    Event,
    FillSeen,
    NotFoundAuthenticated,
    OutcomeUnknown,
    Rejected,
    Sent,
    advance,
    impossible,
)
from kalshi_daemon.orders.log_fields import order_facts
from kalshi_daemon.orders.quarantine import Quarantine
from kalshi_daemon.state import DaemonState

log = structlog.get_logger()

ENDED_KEPT: Final = 400
"""Ended orders kept in memory; the oldest is dropped first."""
Audit = Callable[[dict[str, Any]], None]
_UNJOURNALLED: Final = (Sent,)
"""Events whose loss changes nothing: after a crash an intent counts as sent anyway."""
_ACTIONS: Final[dict[Status, str]] = {
    Status.RESTING: "ack",
    Status.UNKNOWN: "unknown",
    Status.REJECTED: "reject",
    Status.PENDING_CANCEL: "cancel_intent",
    Status.CANCELED: "cancel_ack",
    Status.EXPIRED: "expire",
    Status.FILLED: "filled",
}


def event_of(market_ticker: str, state: DaemonState) -> str:
    """The event of a market: as listed, else the ticker without its last part (docs/reference/venue.md 7)."""
    market = state.venue.markets.get(market_ticker)
    return market_ticker.rpartition("-")[0] if market is None else market.contract.event_ticker


def series_of(market_ticker: str, state: DaemonState) -> str:
    """The series of a market: as listed, else the first part of its ticker."""
    market = state.venue.markets.get(market_ticker)
    return market_ticker.partition("-")[0] if market is None else market.contract.series_ticker


def in_table(market_ticker: str, state: DaemonState) -> bool:
    """Whether a market is of a series of ours; what is of another is a stranger's business."""
    return series_of(market_ticker, state) in state.instruments.series


class OrderStore:
    """Our orders. `audit` gets one flat dict per action, `on_change` is called after anything readers care about."""

    def __init__(
        self, state: DaemonState, journal: Journal, clock: Clock, audit: Audit, on_change: Callable[[], None]
    ) -> None:
        self.state = state
        self.journal = journal
        self.clock = clock
        self.on_change = on_change
        self.on_id_learned: Callable[[str], None] = _nothing
        """Called with the exchange id an order of ours has just been given."""
        self.on_missed_fill: Callable[[], None] = _nobody
        """Called when an order has traded more than the fills we know of."""
        self._audit = audit
        self._by_exchange_id: dict[str, str] = {}
        self._fill_totals: dict[str, Count] = {}
        self._live: dict[str, None] = {}
        self._ended: dict[str, None] = {}
        self.unknown_since: dict[str, Nanos] = {}
        """client_order_id -> since when its create is certainly over on our side."""
        self.quarantine = Quarantine(state)
        self.tolerant = False
        """While stopping: a journal that cannot be written is logged and no longer stops anything."""

    # --- taking orders in ---------------------------------------------------------------------------------------------

    def load(self) -> int:
        """Take the journal's live orders over; the ones without an answer become UNKNOWN. Returns how many."""
        orders = self.journal.live_orders()
        now = self.clock.now_ns()
        for order in orders:
            self._take_in(order)
            self._note_unbooked(order)
            if order.status in {Status.INTENDED, Status.IN_FLIGHT}:
                self.apply(order.client_order_id, OutcomeUnknown(now, "restart"))
            if order.status is Status.UNKNOWN:
                self.unknown_since[order.client_order_id] = now
        self._load_quarantine()
        return len(orders)

    def _load_quarantine(self) -> None:
        """Orders that earlier lives doubted. One that is not in the journal any more ended long ago."""
        for row in self.journal.quarantined():
            order = self.find(row.client_order_id, None)
            if order is None:
                self.journal.end_quarantine(row.client_order_id)
            else:
                self.quarantine.add(order, row.word, row.problem, self.clock.now_ns())

    def intend(self, orders: Sequence[Order]) -> None:
        """Write intents down, then show them. Raises StateCorrupt, and then nothing may be sent."""
        self.journal.record_intents(orders)
        for order in orders:
            self._take_in(order)
            self.say("place_intent", order)

    def adopt(self, order: Order) -> None:
        """Take in an order of ours that the exchange knows and the journal does not."""
        with self.journal.transaction():
            self.journal.record_intents([order])
            self.journal.record_outcome(order, order.created_ns, "Adopted", {})
        self._take_in(order)
        self._note_unbooked(order)
        self.state.counters.orders_placed += 1
        self.say("adopt", order)

    def _take_in(self, order: Order) -> None:
        self.state.orders[order.client_order_id] = order
        if order.status.live:
            self._live[order.client_order_id] = None
        if order.order_id is not None:
            self._learn_id(order)

    # --- changing them ------------------------------------------------------------------------------------------------

    def apply(self, client_order_id: str, event: Event, detail: dict[str, Any] | None = None) -> Order:
        """Advance one order and write it down; what the exchange cannot mean is not applied and quarantines the order.

        Raises IllegalTransition (a bug of ours), StateCorrupt, KeyError for a stranger.
        """
        before = self.state.orders.get(client_order_id) or self._recall(client_order_id)
        problem = self.impossible(before, event)
        if problem:
            return self._doubt_word(before, event, problem)
        after = advance(before, event)
        if after is before:
            return before
        self._write(after, event, detail or {})
        self.state.orders[client_order_id] = after
        if after.order_id is None and before.order_id is not None:
            self._by_exchange_id.pop(before.order_id, None)
            self._fill_totals.pop(client_order_id, None)
        if after.order_id is not None and before.order_id is None:
            self._learn_id(after)
            self.state.counters.orders_placed += 1
            self.on_id_learned(after.order_id)
        self._note_unknown(after, event)
        self._note_unbooked(after)
        if after.status is not before.status:
            self._note_status(before, after)
        self.on_change()
        return self.state.orders.get(client_order_id, after)

    def impossible(self, order: Order, event: Event) -> str:
        """Why the exchange cannot mean this of this order, other orders' ids included; "" when it can."""
        problem = impossible(order, event)
        named = getattr(event, "order_id", None)
        if problem or named is None or order.order_id is not None:
            return problem
        try:
            owner = self.find(None, named)
        except StateCorrupt:
            return ""  # the journal cannot be read: the write that follows says so
        if owner is None or owner.client_order_id == order.client_order_id:
            return ""
        said = "answered as" if isinstance(event, Acked) else "named"
        return f"{said} {named}, which is {owner.client_order_id}"

    def _doubt_word(self, order: Order, event: Event, problem: str) -> Order:
        self.doubt(order, type(event).__name__, problem)
        if isinstance(event, (Acked, Rejected)) and order.status is Status.IN_FLIGHT:
            # The create is over on our side, and nobody knows what became of it.
            return self.apply(order.client_order_id, OutcomeUnknown(event.at_ns, problem))
        return self.state.orders.get(order.client_order_id, order)

    def doubt(self, order: Order, word: str, problem: str) -> None:
        """The exchange said of this order what cannot be: quarantine it and have the lists read."""
        now, name = self.clock.now_ns(), order.client_order_id
        if name not in self.quarantine:
            self.guarded(lambda: self._write_doubt(order, QuarantineRow(name, word, problem, now)))
        if not self.quarantine.add(order, word, problem, now):
            return
        self.say("quarantine", order, word=word, problem=problem)
        self.on_missed_fill()
        self.on_change()

    def _write_doubt(self, order: Order, row: QuarantineRow) -> None:
        """Before anything is done about it: what a crash forgets was not acted upon either."""
        with self.journal.transaction():
            self.journal.quarantine(row)
            self.journal.record_outcome(order, row.since_ns, "Quarantined", {"word": row.word, "problem": row.problem})

    def release(self, order: Order, why: str) -> None:
        """Nothing speaks against an order in quarantine any more."""
        self.guarded(lambda: self.journal.end_quarantine(order.client_order_id))
        self.quarantine.release(order, why)

    def renewed(self, orders: Sequence[Order]) -> None:
        """Write down the moved expiries of orders that are in the state already.

        Only names are taken from `orders`: while a turn of renewals runs, one of its orders may be cancelled or filled,
        and what it was before must not come back over what it is now.
        """
        now = [self.state.orders[o.client_order_id] for o in orders if o.client_order_id in self.state.orders]
        self.guarded(lambda: self.journal.record_expiries(now))

    @contextmanager
    def one_commit(self) -> Iterator[None]:
        """Several changes, one disk flush. Nothing in it may raise half-way: memory is not rolled back."""
        try:
            with ExitStack() as stack:
                self.guarded(lambda: stack.enter_context(self.journal.transaction()))
                yield
        except StateCorrupt as problem:  # the commit failed: inside, every write is guarded on its own
            self._tolerate(problem)

    def _write(self, order: Order, event: Event, detail: dict[str, Any]) -> None:
        if isinstance(event, _UNJOURNALLED):
            return
        facts = {**_facts(event), **detail}
        name = type(event).__name__
        self.guarded(lambda: self.journal.record_outcome(order, event.at_ns, name, facts))

    def guarded(self, write: Callable[[], None]) -> None:
        """Write to the journal. Raises StateCorrupt; while stopping it is logged instead."""
        try:
            write()
        except StateCorrupt as problem:
            self._tolerate(problem)

    def _tolerate(self, problem: StateCorrupt) -> None:
        if not self.tolerant:
            raise problem
        log.error("journal.write_failed", path=problem.path, problem=problem.problem)

    def _note_unknown(self, order: Order, event: Event) -> None:
        if order.status is Status.UNKNOWN:
            self.unknown_since.setdefault(order.client_order_id, event.at_ns)
        else:
            self.unknown_since.pop(order.client_order_id, None)

    def _note_unbooked(self, order: Order) -> None:
        booked = 0
        try:
            booked = self.fill_total(order) if order.filled else 0
        except StateCorrupt as problem:  # while stopping: what cannot be looked up counts as not booked
            self._tolerate(problem)
        missing = order.filled - booked
        if missing > 0:
            part = replace(order, status=Status.UNKNOWN, count=Count(missing), filled=Count(0))
            self.state.unbooked[order.client_order_id] = part
        else:
            self.state.unbooked.pop(order.client_order_id, None)

    def _note_status(self, before: Order, after: Order) -> None:
        if before.status in {Status.FILLED, Status.CANCELED, Status.EXPIRED, Status.REJECTED} and after.status.live:
            self._ended.pop(after.client_order_id, None)
            self._live[after.client_order_id] = None
            log.warning("order.revived", client_order_id=after.client_order_id, was=before.status.value)
        if after.status is Status.CANCELED:
            self.state.counters.orders_cancelled += 1
        if after.status in _ACTIONS:
            self.say(_ACTIONS[after.status], after)
        if not after.status.live:
            self._live.pop(after.client_order_id, None)
            if after.filled != self.fill_total(after):
                self.on_missed_fill()
            self._ended[after.client_order_id] = None
            self._prune()

    def _prune(self) -> None:
        while len(self._ended) > ENDED_KEPT:
            name = next(iter(self._ended))
            del self._ended[name]
            order = self.state.orders.pop(name, None)
            if order is not None and order.order_id is not None:
                self._by_exchange_id.pop(order.order_id, None)
            self._fill_totals.pop(name, None)

    # --- finding them -------------------------------------------------------------------------------------------------

    def find(self, client_order_id: str | None, order_id: str | None) -> Order | None:
        """By either id, in memory or in the journal; None for a stranger."""
        if client_order_id and client_order_id in self.state.orders:
            return self.state.orders[client_order_id]
        if order_id and order_id in self._by_exchange_id:
            return self.state.orders[self._by_exchange_id[order_id]]
        found = self.journal.order(client_order_id) if client_order_id else None
        return found or (self.journal.order_of(order_id) if order_id else None)

    def live(self, event_ticker: str | None = None) -> list[Order]:
        """Our live orders, of one event or all, oldest first."""
        orders = (self.state.orders[name] for name in self._live)
        return [order for order in orders if event_ticker is None or order.event_ticker == event_ticker]

    def ended(self, client_order_ids: Iterable[str]) -> dict[str, Order]:
        """Which of these ids are orders of ours that ended."""
        found = ((name, self.find(name, None)) for name in client_order_ids if name)
        return {name: order for name, order in found if order is not None and not order.status.live}

    def fill_total(self, order: Order) -> Count:
        """The sum of the fills booked of an order."""
        if order.order_id is None:
            return Count(0)
        name = order.client_order_id
        if name not in self._fill_totals:
            self._fill_totals[name] = self.journal.filled_total(order.order_id)
        return self._fill_totals[name]

    def fill_booked(self, order: Order, fill: Fill) -> None:
        """The journal has taken `fill`, which is new and of `order`: let the order know."""
        total = self.journal.filled_total(fill.order_id)
        if order.order_id in {None, fill.order_id}:
            self._fill_totals[order.client_order_id] = total
        # Before the event: an order that has said so itself does not change by it any more.
        self._note_unbooked(self.state.orders.get(order.client_order_id, order))
        self.apply(order.client_order_id, FillSeen(fill.event_ns, fill.order_id, total), {"trade_id": fill.trade_id})

    def _recall(self, client_order_id: str) -> Order:
        order = self.journal.order(client_order_id)
        if order is None:
            raise KeyError(client_order_id)
        self._take_in(order)
        self._ended[client_order_id] = None
        return order

    def _learn_id(self, order: Order) -> None:
        assert order.order_id is not None
        self._by_exchange_id[order.order_id] = order.client_order_id

    # --- telling ------------------------------------------------------------------------------------------------------

    def say(self, action: str, order: Order, **more: str | int | None) -> None:
        """One audit line about an order."""
        self.audit(
            {
                "action": action,
                **order_facts(order),
                "probability": order.fair,
                "expires": iso_utc(order.expires_ns),
                "reason": order.reason,
                **more,
            }
        )

    def audit(self, facts: dict[str, Any]) -> None:
        """One audit line with the time in front. StateCorrupt: too many lines wait; tolerated while stopping."""
        self.guarded(lambda: self._audit({"timestamp": iso_utc(self.clock.now_ns()), **facts}))


def _nobody() -> None:
    """Nobody listens yet."""


def _nothing(_order_id: str) -> None:
    """Nobody listens yet."""


def _facts(event: Event) -> dict[str, Any]:
    """What an event adds to the order's own row, for the history."""
    match event:
        case OutcomeUnknown(cause=cause) | CancelRefused(cause=cause) | Disowned(cause=cause):
            return {"cause": cause}
        case CancelAcked(reduced_by=taken):
            return {"reduced_by": taken}
        case Acked(remaining=remaining):
            return {"remaining": remaining}
        case CancelSent(reason=reason):
            return {"reason": reason}
        case NotFoundAuthenticated(unknown_since_ns=since):
            return {"unknown_since_ns": since}
        case _:
            return {}
