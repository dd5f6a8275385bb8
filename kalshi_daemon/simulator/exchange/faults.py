"""What can be made to go wrong, as plain data the servers consult. Set over the admin API or by a test."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from kalshi_daemon.simulator.exchange.order_terms import Refusal
from kalshi_daemon.simulator.exchange.poison import Poison


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
    LATE = "late"
    """Everything as asked, but only after `hang_s` of real time; nothing if the client has given up by then."""
    GARBAGE = "garbage"
    """The right status and a body that is no JSON."""
    CUT = "cut"
    """Headers and half of the body, then the connection dies."""
    LACK = "lack"
    """The right answer without the field `lacks`, wherever it stands in it."""
    POISON = "poison"
    """The right answer with a field that holds something else: see `poison`."""
    SHARED_ID = "shared_id"
    """Every item of the answer carries the first one's `order_id`."""
    OTHER_ID = "other_id"
    """The answer's `order_id` is that of another order of the account: the newest it had before, or `poison.value`."""


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
    lacks: str = ""
    poison: Poison | None = None

    def refusal(self) -> Refusal:
        """The refusal it answers with."""
        return Refusal(self.status, self.code, self.code.replace("_", " "))


@dataclass(slots=True)
class StreamFaults:
    """What happens to websocket frames that carry data; pings and answers to commands go on as ever."""

    muted: frozenset[str] = frozenset()
    """Channels whose frames are lost; their numbers are used up, so the first frame afterwards shows a gap."""
    withheld: frozenset[str] = frozenset()
    """Markets whose book frames are lost without using up numbers: no gap ever shows it."""
    lag_s: float = 0.0
    """Real seconds by which every frame comes late, in order."""
    duplicates: int = 0
    """Frames still to be sent twice."""
    swaps: int = 0
    """Pairs of frames still to be sent in the wrong order."""
    poisons: list[Poison] = field(default_factory=list)
    """Fields still to be replaced in data frames."""
    affected: int = 0
    """Frames that any of this has happened to."""


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
    stream: StreamFaults = field(default_factory=StreamFaults)

    def take(self, operation: str, when: When) -> Injection | None:
        """The first injection that fits, used up once; None when nothing goes wrong."""
        for place, found in enumerate(self.injections):
            if found.when is when and found.operation in (operation, "*"):
                found.times -= 1
                if found.times <= 0:
                    del self.injections[place]
                return found
        return None


def with_ids(body: Any, order_ids: Iterator[str]) -> Any:  # noqa: ANN401 - JSON
    """An answer to creates with other order ids, one for each item; items that were refused keep having none."""
    if isinstance(body, dict):
        if "orders" in body:
            return body | {"orders": [with_ids(item, order_ids) for item in body["orders"]]}
        return body | {"order_id": next(order_ids)} if "order_id" in body else body
    return body


def without(body: Any, field_name: str) -> Any:  # noqa: ANN401 - JSON
    """JSON without one field, at every depth."""
    if isinstance(body, dict):
        return {key: without(value, field_name) for key, value in body.items() if key != field_name}
    if isinstance(body, list):
        return [without(value, field_name) for value in body]
    return body
