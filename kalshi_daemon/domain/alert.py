"""An alert: what a person is told who is not looking."""

from dataclasses import dataclass
from enum import StrEnum

from kalshi_daemon.ground.units import Nanos


class AlertSeverity(StrEnum):
    """How much it matters, the least first."""

    INFO = "info"
    """To know."""
    WARNING = "warning"
    """To look at when there is time."""
    CRITICAL = "critical"
    """To look at now: money, or a promise, may be at stake."""

    @property
    def rank(self) -> int:
        return _ORDER.index(self)


_ORDER = (AlertSeverity.INFO, AlertSeverity.WARNING, AlertSeverity.CRITICAL)


@dataclass(frozen=True, slots=True)
class Alert:
    """One thing said once. Two with the same `kind` and `subject` are the same one repeated."""

    at_ns: Nanos
    kind: str
    """A word of the table in docs/operations.md: `guard_closed`."""
    subject: str
    """What it is about: a window, a profile, a budget; "" when the kind says it all."""
    severity: AlertSeverity
    text: str
    """One sentence with its numbers."""
    over: bool = False
    """Whether it is the end of something: told of only to those who were told that it began."""
