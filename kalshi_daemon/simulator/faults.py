"""What can be made to go wrong, as plain data the servers consult. Set over the admin API or by a test."""

from dataclasses import dataclass, field
from enum import StrEnum

from kalshi_daemon.simulator.sim_orders import Refusal


class When(StrEnum):
    """Whether the venue did what was asked before it failed to say so."""

    BEFORE = "before"
    AFTER = "after"


class Manner(StrEnum):
    """How the answer fails."""

    STATUS = "status"
    """An error envelope with `status`."""
    DROP = "drop"
    """The connection is closed without an answer."""
    HANG = "hang"
    """No answer until the client gives up, at most `hang_s` of real time."""
    GARBAGE = "garbage"
    """The right status and a body that is no JSON."""


@dataclass(slots=True)
class Injection:
    """Fail an operation `times` times. `operation` is a route's name, or `*`."""

    operation: str
    when: When = When.BEFORE
    manner: Manner = Manner.STATUS
    status: int = 503
    code: str = "service_unavailable"
    times: int = 1
    hang_s: float = 30.0

    def refusal(self) -> Refusal:
        return Refusal(self.status, self.code, self.code.replace("_", " "))


class ErrorShape(StrEnum):
    """The envelope of errors: NESTED is what was captured, FLAT what is documented."""

    NESTED = "nested"
    FLAT = "flat"


@dataclass(slots=True)
class Faults:
    """Owned by the admin API and tests; read by the servers at every request."""

    refuse_cancels: bool = False
    """Every kind of cancel answers 503 and does nothing."""
    refuse_streams: int = 0
    """HTTP status for websocket handshakes; 0 lets them in."""
    error_shape: ErrorShape = ErrorShape.NESTED
    string_429: bool = True
    """429 as `{"error": "too many requests"}`, the documented body."""
    injections: list[Injection] = field(default_factory=list)

    def take(self, operation: str, when: When) -> Injection | None:
        """The first injection that fits, used up once; None when nothing goes wrong."""
        for place, found in enumerate(self.injections):
            if found.when is when and found.operation in (operation, "*"):
                found.times -= 1
                if found.times <= 0:
                    del self.injections[place]
                return found
        return None
