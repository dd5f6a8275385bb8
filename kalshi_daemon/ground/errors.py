"""Every error of the product, one tree. The class says what went wrong, fields hold the facts, `str()` the sentence.

DaemonError
|- ConfigurationError          bad settings, keys or files: exit code 78, no restart
|  |- LiveNotAcknowledged
|  `- InstanceAlreadyRunning
|- MalformedData               bytes that do not say what the venue's schema says
|  |- MalformedField
|  |- MissingField
|  |- UnknownValue             an enum value, fee type or strike type we do not know
|  `- PartlyUnreadable         a list of which some records cannot be read; it carries the others
|- FeedError                   the index feed
|  |- FeedAuthFailed           terminal
|  |- FeedEvicted              terminal for long: another session uses the key
|  |- FeedProtocolError        retryable
|  |- HistoryRefused           the vendor's history: key or plan, terminal
|  `- HistoryUnavailable       the vendor's history: no usable answer, ask again later
|- VenueError                  Kalshi answered, or did not
|  |- VenueUnreachable         no bytes left: the request did not happen
|  |- OrderOutcomeUnknown      bytes left and no trustworthy answer came back
|  |- VenueRejected            an authenticated refusal, with status and code
|  |  |- NotFound  |- AlreadyExists  |- PostOnlyCross  |- InsufficientBalance  |- MarketClosed  |- AuthFailed
|  |  `- ClockSkewed          a refused signature while our clock is proven to be off
|  |- RateLimited              429, or our own bucket said no
|  `- VenueUnavailable         5xx on a read: nothing changed, ask again
|- IllegalTransition           a bug in the order path: cancel everything, exit
`- StateCorrupt                a file of ours that cannot be read back or written
   |- StateTooNew              a newer daemon wrote it
   `- StateLocked, StateDiskFull, StateIoError, StateGone, StateDamaged (orders/journal_errors.py)
"""

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

_SHOWN_MAX = 80


class ExitCode(IntEnum):
    """What the process says when it ends. 78 stops systemd from restarting (RestartPreventExitStatus)."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    UNVERIFIED = 3
    """Stopped, but the exchange did not confirm that nothing rests."""
    REFUSED = 4
    """The command understood you and said no; EXIT_CODES in cli/main.py lists why."""
    UNREACHABLE = 69
    CONFIG = 78


class DaemonError(Exception):
    """Base of everything the daemon raises on purpose."""

    exit_code: ExitCode = ExitCode.FAILURE


class ConfigurationError(DaemonError):
    """Something the operator wrote is wrong; `where` names the place, `fix` what to do."""

    exit_code = ExitCode.CONFIG

    def __init__(self, where: str, problem: str, fix: str = "") -> None:
        super().__init__(where, problem, fix)
        self.where = where
        self.problem = problem
        self.fix = fix

    def __str__(self) -> str:
        tail = f" ({self.fix})" if self.fix else ""
        return f"{self.where}: {self.problem}{tail}"


class LiveNotAcknowledged(ConfigurationError):
    """`live` was asked to trade without the acknowledgement in the configuration."""


class InstanceAlreadyRunning(ConfigurationError):
    """Another process holds the lock of this mode and state directory."""


class UnreadableRecord(NamedTuple):
    """One record of a list that could not be read."""

    place: str
    """Its list and id, or where it stood: `fills trade_id 7f3`, `positions[3]`."""
    market_ticker: str
    """Its market, or "" when not even that could be read."""
    problem: str

    @property
    def text(self) -> str:
        of = f" ({self.market_ticker})" if self.market_ticker else ""
        return f"{self.place}{of}: {self.problem}"


class MalformedData(DaemonError):
    """Bytes from outside do not say what their schema says."""


class MalformedField(MalformedData):
    """A field is there but its value cannot be what it should be."""

    def __init__(self, field: str, value: object, wanted: str) -> None:
        super().__init__(field, value, wanted)
        self.field = field
        self.value = value
        self.wanted = wanted

    def __str__(self) -> str:
        return f"{self.field}: {_short(self.value)} is not {self.wanted}"


class MissingField(MalformedData):
    """A required field is absent. Missing is never zero."""

    def __init__(self, field: str, where: str = "") -> None:
        super().__init__(field, where)
        self.field = field
        self.where = where

    def __str__(self) -> str:
        return f"{self.where or 'message'}: required field {self.field!r} is missing"


class UnknownValue(MalformedData):
    """A value outside the closed set we know how to trade on."""

    def __init__(self, field: str, value: object, known: tuple[str, ...]) -> None:
        super().__init__(field, value, known)
        self.field = field
        self.value = value
        self.known = known

    def __str__(self) -> str:
        return f"{self.field}: unknown value {_short(self.value)}; known: {', '.join(self.known)}"


class PartlyUnreadable(MalformedData):
    """A list of which some records could not be read.

    `readable` holds the others, decoded; `unreadable` says of each bad one which it is and what is wrong with it. A
    reader that does not know this error has read nothing: a list is never shortened in silence.
    """

    def __init__(self, where: str, readable: Sequence[object], unreadable: Sequence[UnreadableRecord]) -> None:
        super().__init__(where, readable, unreadable)
        self.where = where
        self.readable = readable
        self.unreadable = unreadable

    def __str__(self) -> str:
        listed = len(self.readable) + len(self.unreadable)
        return f"{self.where}: {len(self.unreadable)} of {listed} records cannot be read; {self.unreadable[0].text}"


class FeedError(DaemonError):
    """The index feed."""


class FeedAuthFailed(FeedError):
    """The vendor refused the key, the plan or the host. Terminal: never hot-retried."""

    exit_code = ExitCode.CONFIG

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def __str__(self) -> str:
        return f"index feed refused the session: {self.message} (wrong key, plan, or host for the plan)"


class FeedEvicted(FeedError):
    """The vendor closed us because another session uses the same key."""


class FeedProtocolError(FeedError):
    """The session ended or spoke nonsense; worth a new session after a back-off."""


class HistoryRefused(FeedError):
    """The vendor does not let this key see what was asked for (401, 403, NOT_AUTHORIZED). Never retried."""

    exit_code = ExitCode.CONFIG

    def __init__(self, asked: str, message: str) -> None:
        super().__init__(asked, message)
        self.asked = asked
        self.message = message

    def __str__(self) -> str:
        return f"index history {self.asked}: refused: {self.message} (index_feed.api_key, or its plan)"


class HistoryUnavailable(FeedError):
    """No usable answer about history: network, rate limit, or an answer that is none. Nothing was invented."""

    exit_code = ExitCode.UNREACHABLE

    def __init__(self, asked: str, cause: str) -> None:
        super().__init__(asked, cause)
        self.asked = asked
        self.cause = cause

    def __str__(self) -> str:
        return f"index history {self.asked}: {self.cause}"


class VenueError(DaemonError):
    """Kalshi."""


class VenueUnreachable(VenueError):
    """No request left: name resolution, refused connection, TLS. Nothing happened at the venue."""

    exit_code = ExitCode.UNREACHABLE

    def __init__(self, operation: str, cause: str) -> None:
        super().__init__(operation, cause)
        self.operation = operation
        self.cause = cause

    def __str__(self) -> str:
        return f"{self.operation}: exchange not reachable: {self.cause}"


class OrderOutcomeUnknown(VenueError):
    """A request that changes orders left, and no trustworthy answer came back. Never a reject."""

    def __init__(self, operation: str, cause: str, waited_ms: int = 0) -> None:
        super().__init__(operation, cause, waited_ms)
        self.operation = operation
        self.cause = cause
        self.waited_ms = waited_ms

    def __str__(self) -> str:
        return f"{self.operation}: outcome unknown after {self.waited_ms} ms ({self.cause}); asking the exchange"


class VenueRejected(VenueError):
    """An authenticated answer that says no."""

    def __init__(self, operation: str, status: int, code: str, message: str, details: str = "") -> None:
        super().__init__(operation, status, code, message, details)
        self.operation = operation
        self.status = status
        self.code = code
        self.message = message
        self.details = details

    def __str__(self) -> str:
        tail = f": {self.details}" if self.details else ""
        return f"{self.operation}: refused with {self.status} {self.code} ({self.message}{tail})"


class NotFound(VenueRejected):
    """An authenticated 404. The only evidence that something is not there."""


class AlreadyExists(VenueRejected):
    """409 order_already_exists: an earlier attempt with this client order id landed."""


class PostOnlyCross(VenueRejected):
    """The quote would have traded: evidence of a stale book."""


class InsufficientBalance(VenueRejected):
    """The account cannot fund the order."""


class MarketClosed(VenueRejected):
    """The market is past its close or paused; every order operation fails."""


class AuthFailed(VenueRejected):
    """401 or 403: key, signature, clock or scope."""

    exit_code = ExitCode.CONFIG


class ClockSkewed(VenueRejected):
    """A signature was refused while our clock and the exchange's were proven to differ by more than is allowed.

    The signed text holds our time, so a clock that is off looks exactly like a wrong key. Waiting can help, and so can
    another life: never exit code 78. `skew_ns` is positive when our clock is ahead; `skew_ns_max` is what is allowed.
    """

    exit_code = ExitCode.UNREACHABLE

    def __init__(self, refused: VenueRejected, skew_ns: int, skew_ns_max: int) -> None:
        super().__init__(refused.operation, refused.status, refused.code, refused.message, refused.details)
        self.skew_ns = skew_ns
        self.skew_ns_max = skew_ns_max

    def __str__(self) -> str:
        ahead = "ahead of" if self.skew_ns > 0 else "behind"
        return (
            f"{super().__str__()}; our clock is {abs(self.skew_ns) // 1_000_000} ms {ahead} the exchange's, more than "
            f"{self.skew_ns_max // 1_000_000} ms: a matter of the clock before it is one of the key (timedatectl)"
        )


class RateLimited(VenueError):
    """429, or our own bucket had no room within the allowed wait. Nothing was applied."""

    def __init__(self, operation: str, cost: int) -> None:
        super().__init__(operation, cost)
        self.operation = operation
        self.cost = cost

    def __str__(self) -> str:
        return f"{self.operation}: rate limited (cost {self.cost} tokens)"


class VenueUnavailable(VenueError):
    """A read failed on the venue's side or timed out; nothing changed, ask again."""

    exit_code = ExitCode.UNREACHABLE

    def __init__(self, operation: str, status: int, cause: str) -> None:
        super().__init__(operation, status, cause)
        self.operation = operation
        self.status = status
        self.cause = cause

    def __str__(self) -> str:
        return f"{self.operation}: exchange unavailable ({self.status or 'no answer'}: {self.cause})"


class IllegalTransition(DaemonError):
    """An order was told something its state does not allow: a bug. Cancel everything, then exit."""

    def __init__(self, client_order_id: str, status: str, event: str) -> None:
        super().__init__(client_order_id, status, event)
        self.client_order_id = client_order_id
        self.status = status
        self.event = event

    def __str__(self) -> str:
        return f"order {self.client_order_id}: {self.event} is not legal in state {self.status}"


class StateCorrupt(DaemonError):
    """A file the daemon wrote cannot be read back."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(path, problem)
        self.path = path
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}"


class StateTooNew(StateCorrupt):
    """A newer daemon wrote the file, in a schema this one does not know. The file is healthy."""

    exit_code = ExitCode.CONFIG

    def __init__(self, path: str, what: str, schema: int, known: int) -> None:
        super().__init__(
            path, f"{what} has schema {schema}, this daemon knows {known}: use a newer daemon with the same file"
        )


def _short(value: object) -> str:
    """A value for a sentence. Never raises: a complaint about nonsense must not be the thing that ends the process."""
    if isinstance(value, str | bytes):
        value = value[:_SHOWN_MAX]
    try:
        text = repr(value)
    except Exception as problem:  # noqa: BLE001 - integers of over 4,300 digits, and whatever a repr of others does
        text = f"<{type(value).__name__}: {type(problem).__name__}>"
    return text if len(text) <= _SHOWN_MAX else f"{text[: _SHOWN_MAX - 3]}..."


def leaves_of(group: BaseExceptionGroup[BaseException]) -> tuple[BaseException, ...]:
    """The errors of a task group that are no groups themselves, in the order they stand in it. Never empty."""
    found: list[BaseException] = []
    for one in group.exceptions:
        found.extend(leaves_of(one) if isinstance(one, BaseExceptionGroup) else (one,))
    return tuple(found)
