"""What can come of a write, as errors of `kalshi.rest` (its own tests hold which answer becomes which)."""

from kalshi_daemon.ground.errors import (
    AlreadyExists,
    AuthFailed,
    InsufficientBalance,
    MalformedField,
    MarketClosed,
    NotFound,
    OrderOutcomeUnknown,
    PostOnlyCross,
    RateLimited,
    VenueRejected,
    VenueUnavailable,
    VenueUnreachable,
)


def rejected(kind: type[VenueRejected], code: str, status: int = 400) -> VenueRejected:
    return kind("write", status, code, "")


OUTCOMES: dict[str, Exception] = {
    "connection refused, no byte left": VenueUnreachable("write", "refused"),
    "time-out after the bytes left": OrderOutcomeUnknown("write", "time-out"),
    "connection dropped before or in the middle of the answer": OrderOutcomeUnknown("write", "dropped"),
    "400 post only cross": rejected(PostOnlyCross, "invalid_order"),
    "400 insufficient balance": rejected(InsufficientBalance, "insufficient_balance"),
    "400 market closed or paused": rejected(MarketClosed, "market_inactive"),
    "any other 4xx": rejected(VenueRejected, "invalid_price"),
    "401 or 403": rejected(AuthFailed, "unauthorized", 401),
    "404 in the exchange's own words": rejected(NotFound, "not_found", 404),
    "404 that cannot be read (a proxy's page)": rejected(VenueRejected, "unreadable", 404),
    "409 order_already_exists": rejected(AlreadyExists, "order_already_exists", 409),
    "410 deprecated endpoint": rejected(VenueRejected, "deprecated_v1_order_endpoint", 410),
    "429": RateLimited("write", 10),
    "5xx, applied or not": OrderOutcomeUnknown("write", "503"),
    "2xx without an order id": OrderOutcomeUnknown("write", "no order_id"),
    "2xx about another order": OrderOutcomeUnknown("write", "another order"),
    "2xx with a malformed body": OrderOutcomeUnknown("write", "malformed"),
    "anything else": RuntimeError("a bug"),
}
"""By its name in docs/order-safety.md."""
ODDITIES: dict[str, Exception] = {
    "of a read: 5xx": VenueUnavailable("write", 503, "body"),
    "of a read: malformed": MalformedField("order_id", None, "a text"),
    "of the socket": ConnectionResetError(),
}
"""What a write should never raise, and what is ruled all the same."""
EVERYTHING: dict[str, Exception] = OUTCOMES | ODDITIES
