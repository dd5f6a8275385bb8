"""What the venue says when it says no: error bodies of every known shape -> the error tree (docs/reference/venue.md 3).

Four shapes reach a client: nested `{"error": {"code", "message", "details"}}` (every captured 4xx), flat
`{"code", "message", "details"}` (the documented one), `{"error": "too many requests"}` (429), and no JSON at all, which
comes from a proxy in front of the exchange. Kinds are told apart by status and `code`, and by text only where the code
says too little (`invalid_order` is the code of a post-only cross and of much else).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from kalshi_daemon.ground.errors import (
    AlreadyExists,
    AuthFailed,
    InsufficientBalance,
    MarketClosed,
    NotFound,
    OrderOutcomeUnknown,
    PostOnlyCross,
    RateLimited,
    VenueError,
    VenueRejected,
)

BAD_REQUEST: Final = 400
UNAUTHORIZED: Final = 401
FORBIDDEN: Final = 403
NOT_FOUND: Final = 404
REQUEST_TIMEOUT: Final = 408
TOO_MANY_REQUESTS: Final = 429
SERVER_ERROR: Final = 500

_TEXT_MAX: Final = 200
"""Longest piece of the venue's text kept, in characters."""
_ALREADY_EXISTS: Final = frozenset({"order_already_exists"})
_POST_ONLY: Final = ("post_only_cross", "post_only_would_cross")
_BALANCE: Final = frozenset({"insufficient_balance", "available_balance_too_low", "insufficient_funds"})
_CLOSED: Final = (
    "market_inactive", "market_not_active", "market_is_not_active", "market_closed", "market_is_closed",
    "market_paused", "market_not_open", "trading_paused", "trading_is_paused", "exchange_paused", "exchange_is_paused",
)  # fmt: skip
_NOT_FOUND: Final = ("not_found",)
_RATE: Final = ("too_many_requests", "rate_limit")
_UNCONFIRMED: Final = frozenset(
    {"exchange_unavailable", "service_unavailable", "internal_error", "internal_server_error", "timeout",
     "command_timeout", "gateway_timeout"}
)  # fmt: skip
"""Codes of a batch item that leave open whether the item was applied."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error body, whatever its shape. `readable` is False when it was no JSON object of a known shape."""

    code: str
    message: str
    details: str
    readable: bool


def parse_refusal(body: bytes) -> Refusal:
    """Read an error body. Never raises: a refusal that cannot be read is still a refusal."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return Refusal("", body[:_TEXT_MAX].decode("utf-8", "replace"), "", readable=False)
    if isinstance(value, dict):
        inner = value.get("error", value)
        if isinstance(inner, dict) and any(key in inner for key in ("code", "message", "details")):
            return refusal_of(inner)
        if isinstance(inner, str):
            return Refusal(_slug(inner), inner[:_TEXT_MAX], "", readable=True)
    return Refusal("", repr(value)[:_TEXT_MAX], "", readable=False)


def refusal_of(error: Mapping[str, Any] | str) -> Refusal:
    """The `error` value of a batch item or of a nested envelope."""
    if isinstance(error, str):
        return Refusal(_slug(error), error[:_TEXT_MAX], "", readable=True)
    return Refusal(_word(error.get("code")), _word(error.get("message")), _word(error.get("details")), readable=True)


def rejection(operation: str, status: int, refusal: Refusal, cost: int = 0) -> VenueError:
    """The typed error of a refusal that is known to be final.

    `status` is the HTTP status of the answer; for an item of a batch it is the batch's own (201 or 200) and only
    the code and the text decide. An unreadable 404 is not NotFound: only the exchange itself is evidence that
    something is not there, and a proxy's page is not the exchange. `cost` in tokens.
    """
    words = {_slug(refusal.code), _slug(refusal.message), _slug(refusal.details)} - {""}
    if status == TOO_MANY_REQUESTS or _any_starts(words, _RATE):
        return RateLimited(operation, cost)
    kind = _kind(status, refusal, words)
    return kind(operation, status, refusal.code or _unnamed(refusal), refusal.message, refusal.details)


def item_error(operation: str, status: int, error: object) -> VenueError:
    """The typed error of one item of a batch answer; codes that leave the outcome open are OrderOutcomeUnknown."""
    refusal = refusal_of(error) if isinstance(error, (dict, str)) else Refusal("", repr(error), "", readable=False)
    if not refusal.readable or _slug(refusal.code) in _UNCONFIRMED:
        return OrderOutcomeUnknown(operation, f"item answered {refusal.code or refusal.message[:_TEXT_MAX]}")
    return rejection(operation, status, refusal)


def _kind(status: int, refusal: Refusal, words: set[str]) -> type[VenueRejected]:
    if status in (UNAUTHORIZED, FORBIDDEN):
        return AuthFailed
    if words & _ALREADY_EXISTS:
        return AlreadyExists
    if any(mark in word for word in words for mark in _POST_ONLY):
        return PostOnlyCross
    if words & _BALANCE:
        return InsufficientBalance
    if any(mark in word for word in words for mark in _CLOSED):
        return MarketClosed
    if refusal.readable and (status == NOT_FOUND or _any_ends(words, _NOT_FOUND)):
        return NotFound
    return VenueRejected


def _unnamed(refusal: Refusal) -> str:
    return "unnamed" if refusal.readable else "unreadable"


def _word(value: object) -> str:
    return "" if value is None else str(value)[:_TEXT_MAX]


def _slug(value: str) -> str:
    """Lower case with underscores, so that "post only cross", POST_ONLY_CROSS and PostOnlyCross are one."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", value)
    return re.sub(r"[^a-z0-9]+", "_", spaced.lower()).strip("_")


def _any_starts(words: set[str], marks: tuple[str, ...]) -> bool:
    return any(word.startswith(marks) for word in words)


def _any_ends(words: set[str], marks: tuple[str, ...]) -> bool:
    return any(word.endswith(marks) for word in words)
