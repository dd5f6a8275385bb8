"""What an answer to a write means: one table for every operation and outcome (docs/reference/venue.md 2.3, 3, 8).

The rules behind it: only an authenticated 404 means "not there", network trouble never does; a time-out is never a
refusal; anything not listed is treated as unknown, because sending is the only thing that cannot be taken back.

| answer                                | create                    | cancel            | amend of the expiry   |
|---------------------------------------|---------------------------|-------------------|-----------------------|
| no byte left (VenueUnreachable)       | not sent                  | again             | again                 |
| 429 (RateLimited): nothing applied    | not sent                  | again             | again                 |
| 409 order_already_exists              | unknown: find the earlier | again             | again                 |
| 404                                   | refused (no such market)  | gone: ask by id   | gone: ask by id       |
| market closed or paused, other 4xx    | refused                   | ask by id, again  | ask by id             |
| time-out, dropped connection, 5xx, no | unknown: list by ticker   | ask by id, again  | either expiry: again  |
|   id, malformed, about another order  |                           |                   |                       |
| anything else                         | unknown: list by ticker   | ask by id, again  | either expiry: again  |
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from kalshi_daemon.ground.errors import (
    AlreadyExists,
    MarketClosed,
    NotFound,
    PostOnlyCross,
    RateLimited,
    VenueRejected,
    VenueUnreachable,
)


class Operation(StrEnum):
    """The writes of the order path. An amend of ours moves the expiry alone."""

    CREATE = "create"
    CANCEL = "cancel"
    AMEND = "amend"


class Meaning(StrEnum):
    """What became of the request."""

    NOT_APPLIED = "not_applied"
    REFUSED = "refused"
    GONE = "gone"
    """The order is not on the book any more; how it ended must be asked."""
    UNKNOWN = "unknown"


class FollowUp(StrEnum):
    """What to ask the exchange next."""

    NOTHING = "nothing"
    BY_TICKER = "by_ticker"
    """List the market's orders and look for our client id."""
    BY_ORDER_ID = "by_order_id"


@dataclass(frozen=True, slots=True)
class Ruling:
    """What it means, and what to ask."""

    meaning: Meaning
    ask: FollowUp = FollowUp.NOTHING


_CREATE: Final[tuple[tuple[type[Exception], Ruling], ...]] = (
    (VenueUnreachable, Ruling(Meaning.NOT_APPLIED)),
    (RateLimited, Ruling(Meaning.NOT_APPLIED)),
    (AlreadyExists, Ruling(Meaning.UNKNOWN, FollowUp.BY_TICKER)),
    (VenueRejected, Ruling(Meaning.REFUSED)),
    (Exception, Ruling(Meaning.UNKNOWN, FollowUp.BY_TICKER)),
)
_CANCEL: Final[tuple[tuple[type[Exception], Ruling], ...]] = (
    (VenueUnreachable, Ruling(Meaning.NOT_APPLIED)),
    (RateLimited, Ruling(Meaning.NOT_APPLIED)),
    (NotFound, Ruling(Meaning.GONE, FollowUp.BY_ORDER_ID)),
    (AlreadyExists, Ruling(Meaning.NOT_APPLIED)),
    (VenueRejected, Ruling(Meaning.REFUSED, FollowUp.BY_ORDER_ID)),
    (Exception, Ruling(Meaning.UNKNOWN, FollowUp.BY_ORDER_ID)),
)
_AMEND: Final[tuple[tuple[type[Exception], Ruling], ...]] = (
    (VenueUnreachable, Ruling(Meaning.NOT_APPLIED)),
    (RateLimited, Ruling(Meaning.NOT_APPLIED)),
    (NotFound, Ruling(Meaning.GONE, FollowUp.BY_ORDER_ID)),
    (AlreadyExists, Ruling(Meaning.NOT_APPLIED)),
    (VenueRejected, Ruling(Meaning.REFUSED, FollowUp.BY_ORDER_ID)),
    (Exception, Ruling(Meaning.UNKNOWN)),
)
RULINGS: Final = {Operation.CREATE: _CREATE, Operation.CANCEL: _CANCEL, Operation.AMEND: _AMEND}
"""Per operation, most specific error first; the last row catches everything."""


def rule(operation: Operation, error: Exception) -> Ruling:
    """The ruling on this answer. Total: every exception has one."""
    return next(ruling for kind, ruling in RULINGS[operation] if isinstance(error, kind))


def reject_reason(error: Exception) -> str:
    """One word for journals and counters; the venue's code where it has one."""
    if isinstance(error, PostOnlyCross):
        return "post_only_cross"
    if isinstance(error, MarketClosed):
        return "market_closed"
    if isinstance(error, VenueRejected):
        return error.code or type(error).__name__
    if isinstance(error, RateLimited):
        return "rate_limited"
    if isinstance(error, VenueUnreachable):
        return "unreachable"
    return type(error).__name__
