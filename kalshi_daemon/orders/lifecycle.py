"""The life of one order as a table. Every (status, event) pair is listed; what the table forbids is a bug of ours.

A word of the exchange that the table forbids cannot be meant (`impossible`): it is not applied, and is no bug of ours.

Information about an order reaches us by several roads (answers to writes, stream frames, REST reads) in any order, late
and more than once. So an event carries what it knows in cumulative form, and `advance` takes the larger of two counts:
hearing something twice or late changes nothing. Only events that are our own doing (Sent, CancelSent) can be illegal
for their timing.

Statuses that end an order absorb everything but two kinds of stronger evidence:
* all of it traded: FILLED, whatever we thought had ended it;
* the exchange shows an order that we believed refused or never arrived: it lives again (UNKNOWN or RESTING). Belief
  never outranks the exchange's own word.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from kalshi_daemon.domain.order import Order, Status
from kalshi_daemon.ground.errors import IllegalTransition
from kalshi_daemon.ground.units import Count, Nanos, format_count

# --- events -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sent:
    """The create is about to leave; from here on the exchange may have it."""

    at_ns: Nanos


@dataclass(frozen=True, slots=True)
class NotSent:
    """Nothing left the machine, or the exchange said it applied nothing (429)."""

    at_ns: Nanos
    reason: str


@dataclass(frozen=True, slots=True)
class Acked:
    """The create was accepted. `remaining` 0 with less than all filled: the exchange cancelled it on arrival."""

    at_ns: Nanos
    order_id: str
    filled: Count
    remaining: Count


@dataclass(frozen=True, slots=True)
class Rejected:
    """An authenticated refusal of the create."""

    at_ns: Nanos
    reason: str


@dataclass(frozen=True, slots=True)
class OutcomeUnknown:
    """The create may or may not have been applied."""

    at_ns: Nanos
    cause: str


@dataclass(frozen=True, slots=True)
class ReportedResting:
    """The exchange shows it resting (`user_orders` or REST), with `filled` in total."""

    at_ns: Nanos
    order_id: str
    filled: Count
    expires_ns: Nanos | None = None


@dataclass(frozen=True, slots=True)
class ReportedExecuted:
    """The exchange says it is done by trading."""

    at_ns: Nanos
    order_id: str
    filled: Count


@dataclass(frozen=True, slots=True)
class ReportedCanceled:
    """The exchange says it is gone with `filled` traded; `expired` when its own expiry ended it."""

    at_ns: Nanos
    order_id: str
    filled: Count
    reason: str = ""
    expired: bool = False


@dataclass(frozen=True, slots=True)
class FillSeen:
    """The fills known of this order, deduplicated by trade id, now sum up to `total`."""

    at_ns: Nanos
    order_id: str
    total: Count


@dataclass(frozen=True, slots=True)
class CancelSent:
    """A cancel is about to leave."""

    at_ns: Nanos
    reason: str


@dataclass(frozen=True, slots=True)
class CancelAcked:
    """The exchange took `reduced_by` > 0 off the book."""

    at_ns: Nanos
    reduced_by: Count


@dataclass(frozen=True, slots=True)
class CancelRefused:
    """The cancel did not (provably) take anything off: ask how the order stands, or try again."""

    at_ns: Nanos
    cause: str


@dataclass(frozen=True, slots=True)
class NotFoundAuthenticated:
    """An authenticated look found no such order. Reads lag writes, so before `patience_ns` it proves nothing."""

    at_ns: Nanos
    unknown_since_ns: Nanos
    """When the create was certainly over on our side."""
    patience_ns: Nanos


@dataclass(frozen=True, slots=True)
class Renewed:
    """Its expiry may now be as late as `expires_ns`."""

    at_ns: Nanos
    expires_ns: Nanos


@dataclass(frozen=True, slots=True)
class Lapsed:
    """Past its expiry the exchange does not know it any more (authenticated 404)."""

    at_ns: Nanos


@dataclass(frozen=True, slots=True)
class Disowned:
    """The exchange's id that we took for this order's is another order's: which one is ours is to be found out."""

    at_ns: Nanos
    cause: str


Event = (
    Sent
    | NotSent
    | Acked
    | Rejected
    | OutcomeUnknown
    | ReportedResting
    | ReportedExecuted
    | ReportedCanceled
    | FillSeen
    | CancelSent
    | CancelAcked
    | CancelRefused
    | NotFoundAuthenticated
    | Renewed
    | Lapsed
    | Disowned
)
_WORDS: Final = (
    Acked, Rejected, ReportedResting, ReportedExecuted, ReportedCanceled, FillSeen, CancelAcked, CancelRefused,
    NotFoundAuthenticated,
)  # fmt: skip
"""Events that are the exchange's own words; the others are our doing, or what we conclude."""

# --- the table --------------------------------------------------------------------------------------------------------

_LETTERS: Final = {
    "I": Status.INTENDED,
    "S": Status.IN_FLIGHT,
    "R": Status.RESTING,
    "P": Status.PENDING_CANCEL,
    "U": Status.UNKNOWN,
    "F": Status.FILLED,
    "C": Status.CANCELED,
    "E": Status.EXPIRED,
    "X": Status.REJECTED,
}
_ROWS: Final[Mapping[type[Event], str]] = {
    # in status            I S R P U  F C E X      "=" stays, "." illegal
    Sent:                 "S . . . .  . . . .",
    NotSent:              "X X = = =  = = = =",
    Acked:                ". R = = R  = = = .",
    Rejected:             ". X = = =  = = = =",
    OutcomeUnknown:       "U U = = =  = = = .",
    ReportedResting:      ". R R = R  = = = R",
    ReportedExecuted:     ". F F F F  = F F F",
    ReportedCanceled:     ". C C C C  = = = C",
    FillSeen:             ". = = = =  = = = U",
    CancelSent:           ". . P = .  . . . .",
    CancelAcked:          ". . C C C  = = = .",
    CancelRefused:        ". . = = =  = = = =",
    NotFoundAuthenticated:". = = = X  = = = =",
    Renewed:              ". . = = =  = = = .",
    Lapsed:               ". . E E .  = = = .",
    Disowned:             ". U U U U  = = = =",
}  # fmt: skip


def _table() -> dict[tuple[Status, type[Event]], Status | None]:
    table: dict[tuple[Status, type[Event]], Status | None] = {}
    for event, row in _ROWS.items():
        for status, letter in zip(_LETTERS.values(), row.split(), strict=True):
            table[status, event] = status if letter == "=" else _LETTERS.get(letter)
    return table


TRANSITIONS: Final[Mapping[tuple[Status, type[Event]], Status | None]] = _table()
"""(status, event type) -> next status; None is illegal. Totality is held by a test.

Two cells depend on the event: NotFoundAuthenticated before its patience leaves UNKNOWN as it is, and ReportedCanceled
with `expired` leads to EXPIRED instead of CANCELED. And in any status, once all is filled the order is FILLED.
"""


def impossible(order: Order, event: Event) -> str:
    """Why the exchange cannot mean this of this order; "" when it can, and for what is not a word of the exchange."""
    if not isinstance(event, _WORDS):
        return ""
    if TRANSITIONS[order.status, type(event)] is None:
        return f"{type(event).__name__} of an order that is {order.status.value}"
    named = getattr(event, "order_id", None)
    if named is not None and order.order_id not in {None, named}:
        return f"it is {order.order_id} in our books and {named} at the exchange"
    if isinstance(event, CancelAcked) and order.order_id is None:
        return "a cancel was taken of an order whose id is not known"
    said = Count(_said(event) + (event.remaining if isinstance(event, Acked) else 0))
    if said > order.count:
        return f"{format_count(said)} of {format_count(order.count)}"
    return ""


def advance(order: Order, event: Event) -> Order:
    """The order after the event; the same object when nothing changed.

    Raises IllegalTransition on a pair the table forbids, on more filled than was asked for, and on a second exchange
    id for one client id.
    """
    target = TRANSITIONS[order.status, type(event)]
    if target is None:
        raise IllegalTransition(order.client_order_id, order.status.value, type(event).__name__)
    order_id = _order_id(order, event)
    filled = _filled(order, event)
    status = _refine(order, event, target, filled)
    expires_ns = _expires(order, event)
    reason = _reason(order, event, status)
    news = (status, order_id, filled, expires_ns, reason)
    if news == (order.status, order.order_id, order.filled, order.expires_ns, order.reason):
        return order
    return replace(
        order,
        status=status,
        order_id=order_id,
        filled=filled,
        expires_ns=expires_ns,
        reason=reason,
        updated_ns=Nanos(max(order.updated_ns, event.at_ns)),
    )


def not_found_is_final(event: NotFoundAuthenticated) -> bool:
    """Whether enough time has passed for the exchange's reads to show an order that had arrived.

    Source: docs/reference/venue.md 2.1.
    """
    return event.at_ns - event.unknown_since_ns >= event.patience_ns


def _refine(order: Order, event: Event, target: Status, filled: Count) -> Status:
    if order.status is not Status.INTENDED and filled == order.count:
        return Status.FILLED
    if isinstance(event, NotFoundAuthenticated) and order.status is Status.UNKNOWN:
        # Something of it traded, so it did arrive; how it ended is still to be found out.
        return target if not_found_is_final(event) and filled == 0 else Status.UNKNOWN
    if isinstance(event, Acked) and target is Status.RESTING and event.remaining == 0:
        return Status.CANCELED
    if isinstance(event, ReportedCanceled) and event.expired and target is not order.status:
        return Status.EXPIRED
    return target


def _order_id(order: Order, event: Event) -> str | None:
    if isinstance(event, Disowned) and order.status.live:
        return None
    if not isinstance(event, (Acked, ReportedResting, ReportedExecuted, ReportedCanceled, FillSeen)):
        return order.order_id
    if order.order_id is not None and event.order_id != order.order_id:
        # The exchange holds two orders under one client id: our books can no longer be trusted.
        raise IllegalTransition(order.client_order_id, f"{order.status.value} as {order.order_id}", event.order_id)
    return event.order_id


def _filled(order: Order, event: Event) -> Count:
    if isinstance(event, Disowned) and order.status.live:
        return Count(0)  # what was said of the other order
    filled = max(order.filled, _said(event))
    if filled > order.count:
        raise IllegalTransition(order.client_order_id, order.status.value, f"filled {filled} of {order.count}")
    return filled


def _said(event: Event) -> Count:
    """How much has traded in all, as the event tells; 0 when it does not."""
    match event:
        case Acked(filled=said) | ReportedResting(filled=said) | ReportedCanceled(filled=said):
            return said
        case ReportedExecuted(filled=said) | FillSeen(total=said):
            return said
        case _:
            return Count(0)


def _expires(order: Order, event: Event) -> Nanos:
    """The latest instant it may rest. A report may move it either way, a renewal only later."""
    if isinstance(event, Renewed) and order.status.live:
        return Nanos(max(order.expires_ns, event.expires_ns))
    if isinstance(event, ReportedResting) and event.expires_ns is not None and order.status.live:
        return Nanos(max(order.expires_ns, event.expires_ns))
    return order.expires_ns


def _reason(order: Order, event: Event, status: Status) -> str:
    if status is order.status:
        return order.reason
    match event:
        case NotSent(reason=said) | Rejected(reason=said) | CancelSent(reason=said):
            return said
        case OutcomeUnknown(cause=said) | Disowned(cause=said):
            return said
        case ReportedCanceled(reason=said, expired=expired):
            return said or (order.reason if expired or order.status is Status.PENDING_CANCEL else "at_exchange")
        case NotFoundAuthenticated():
            return "not_found"
        case Acked() if status is Status.CANCELED:
            return "canceled_on_arrival"
        case _:
            return "" if status is Status.FILLED else order.reason
