"""Which alerts are sent, and when: severity, repetition, quiet hours, and how many an hour. Pure."""

from collections import deque
from dataclasses import dataclass
from typing import Final

from kalshi_daemon.domain.alert import Alert, AlertSeverity
from kalshi_daemon.ground.new_york import eastern
from kalshi_daemon.ground.units import HOUR, Nanos, from_s
from kalshi_daemon.settings.service import AlertSettings

REMEMBERED_MAX: Final = 500
"""Things told of that are remembered, to know their repetitions."""
HELD_MAX: Final = 30
"""Texts that quiet hours, or the limit of an hour, keep for later; the others are counted."""
_CRITICAL_FACTOR: Final = 2
_S_PER_MIN: Final = 60

type Key = tuple[str, str, AlertSeverity]


@dataclass(frozen=True, slots=True)
class Message:
    """What goes out."""

    title: str
    body: str
    severity: AlertSeverity


@dataclass(slots=True)
class _Told:
    at_ns: Nanos
    repeats: int = 0


class AlertGate:
    """Remembers what was told. Time is the alerts' own, and what `later` is given."""

    def __init__(self, limits: AlertSettings, title: str) -> None:
        """title: begins each message's title: which daemon it is."""
        self._limits = limits
        self._title = title
        self._told: dict[Key, _Told] = {}
        self._standing: set[tuple[str, str]] = set()
        self._sent: deque[Nanos] = deque(maxlen=limits.per_hour_max * _CRITICAL_FACTOR)
        self._held: list[Alert] = []
        self._held_more = 0

    def offer(self, alert: Alert) -> Message | None:
        """The message to send at once; None: not worth it, told already, or kept for later."""
        if alert.severity.rank < AlertSeverity(self._limits.severity_min).rank:
            return None
        repeats = self._repeats(alert)
        if repeats is None:
            return None
        if self._must_wait(alert):
            self._hold(alert)
            return None
        self._sent.append(alert.at_ns)
        again = f" (and {repeats} times before, since it was last told)" if repeats else ""
        title = f"{self._title}: {alert.severity.value}: {alert.kind.replace('_', ' ')}"
        return Message(title, alert.text + again, alert.severity)

    def later(self, now_ns: Nanos) -> Message | None:
        """What was kept, in one message, once it may be told; None while there is nothing or it may not."""
        if not self._held or self._is_quiet(now_ns) or self._sent_within_hour(now_ns) >= self._limits.per_hour_max:
            return None
        held, more = self._held, self._held_more
        self._held, self._held_more = [], 0
        self._sent.append(now_ns)
        lines = [f"{eastern(one.at_ns):%H:%M} {one.text}" for one in held]
        lines += [f"and {more} more, see the log"] if more else []
        worst = max((one.severity for one in held), key=lambda severity: severity.rank)
        title = f"{self._title}: {len(held) + more} alerts were kept"
        return Message(title, "\n".join(lines), worst)

    def _repeats(self, alert: Alert) -> int | None:
        """How often it came untold since it was last told; None: not to be told now either."""
        standing = (alert.kind, alert.subject)
        if alert.over:
            if standing not in self._standing:
                return None
            self._standing.discard(standing)
            return 0
        key = (*standing, alert.severity)
        before = self._told.get(key)
        patience = from_s(self._limits.repeat_after_min * _S_PER_MIN)
        if before is not None and alert.at_ns - before.at_ns < patience:
            before.repeats += 1
            return None
        self._told.pop(key, None)
        self._told[key] = _Told(alert.at_ns)
        self._standing.add(standing)
        while len(self._told) > REMEMBERED_MAX:
            kind, subject, _severity = oldest = next(iter(self._told))
            del self._told[oldest]
            self._standing.discard((kind, subject))
        return 0 if before is None else before.repeats

    def _must_wait(self, alert: Alert) -> bool:
        if self._is_quiet(alert.at_ns) and alert.severity.rank < AlertSeverity(self._limits.quiet_severity_min).rank:
            return True
        factor = _CRITICAL_FACTOR if alert.severity is AlertSeverity.CRITICAL else 1
        return self._sent_within_hour(alert.at_ns) >= self._limits.per_hour_max * factor

    def _hold(self, alert: Alert) -> None:
        if len(self._held) < HELD_MAX:
            self._held.append(alert)
        else:
            self._held_more += 1

    def _sent_within_hour(self, now_ns: Nanos) -> int:
        return sum(now_ns - at < HOUR for at in self._sent)

    def _is_quiet(self, now_ns: Nanos) -> bool:
        begins, ends = self._limits.quiet_from, self._limits.quiet_until
        at = eastern(now_ns).time()
        if begins <= ends:
            return begins <= at < ends
        return at >= begins or at < ends
