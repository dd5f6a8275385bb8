"""The task that tells: hears the log, looks at the status each second, and hands what is worth it to the targets.

Everything here is bounded and none of it waits: hearing puts a line's fields into a queue, sending happens in threads
(`alert_targets`). Whatever goes wrong is said and costs an alert, never the trading or the stop.
"""

import asyncio
import os
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import Any, Final, Never

from kalshi_daemon.domain.alert import Alert, AlertSeverity
from kalshi_daemon.ground.units import Nanos
from kalshi_daemon.operations.alert_gate import AlertGate, Message
from kalshi_daemon.operations.alert_log import EndingLog
from kalshi_daemon.operations.alert_rules import EVENTS, StatusWatch, alert_of, alert_of_exit, megabytes_of
from kalshi_daemon.operations.alert_targets import Target, ping_target, targets_of
from kalshi_daemon.operations.status import DaemonStatus
from kalshi_daemon.settings.service import AlertSettings
from kalshi_daemon.state import DaemonState

LOOK_EVERY_S: Final = 1.0
"""Real seconds."""
LAST_WORDS_S: Final = 1.5
"""Real time at the very end for what is still on its way."""
HEARD_MAX: Final = 200
"""Events between two looks."""
SHOWN_MAX: Final = 20
"""Alerts that the status shows."""
_LAST_LINE: Final = "session.summary"
_POLL_S: Final = 0.02
_MEMORY: Final = Path("/proc/self/statm")
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
_PING: Final = Message("", "", AlertSeverity.INFO)


class Alerts:
    """Owns `state.alerts`. Made before anything is sent; raises ConfigurationError for an address that is none."""

    def __init__(
        self, limits: AlertSettings, state: DaemonState, look: Callable[[], DaemonStatus], title: str = "kalshi-daemon"
    ) -> None:
        self._limits = limits
        self._state = state
        self._look = look
        self._gate = AlertGate(limits, title)
        self._watch = StatusWatch(limits)
        self._heard: deque[tuple[str, dict[str, Any]]] = deque(maxlen=HEARD_MAX)
        self._lock = Lock()
        self._log = EndingLog()
        self._problem = ""
        self._next_ping_s = 0.0
        within_s = limits.send_timeout_s
        self.targets: tuple[Target, ...] = targets_of(limits.targets.get_secret_value(), within_s, self._log)
        url = limits.ping_url.get_secret_value()
        self._ping = ping_target(url, within_s, self._log) if url else None

    def hear(self, event: str, fields: Mapping[str, Any]) -> None:
        """A line of the log, in whatever thread. Never waits, never raises; what nobody is told of costs a look-up."""
        if event not in EVENTS:
            return
        with self._lock:
            self._heard.append((event, dict(fields)))
        if event == _LAST_LINE:
            self._log.end()  # nothing follows it: what becomes of an alert after it is not said

    async def run(self) -> Never:
        """Look each second of real time, until cancelled."""
        while True:
            self.turn()
            await asyncio.sleep(LOOK_EVERY_S)

    def turn(self) -> None:
        """One look. Never raises: a bug here is said once and costs alerts."""
        try:
            status = self._look()
            with self._lock:
                heard = tuple(self._heard)
                self._heard.clear()
            found = [one for event, fields in heard if (one := alert_of(event, fields, status.now_ns))]
            for alert in found:
                self._raise(alert)
            for alert in self._watch.look(status, _megabytes()):
                if self._raise(alert):
                    self._say(alert)
            self._send(self._gate.later(status.now_ns))
            for target in self._all():
                target.look()
            self._ask_ping(status)
        except Exception as problem:  # noqa: BLE001 - whatever it is, who tells must not end who trades
            if type(problem).__name__ != self._problem:
                self._log.warning("alert.failed", error=type(problem).__name__)
            self._problem = type(problem).__name__

    async def last_words(self, code: int, now_ns: Nanos) -> None:
        """Tell of the exit code `code`, and wait for what is on its way: LAST_WORDS_S of real time at the most."""
        self.turn()
        last = alert_of_exit(code, now_ns)
        if last is not None:
            self._raise(last)
        for _ in range(round(LAST_WORDS_S / _POLL_S)):
            if all(target.idle for target in self.targets):
                break
            await asyncio.sleep(_POLL_S)

    def _raise(self, alert: Alert) -> bool:
        """Whether it is told now."""
        message = self._gate.offer(alert)
        if message is None:
            return False
        self._state.alerts = (*self._state.alerts[-SHOWN_MAX + 1 :], alert)
        self._send(message)
        return True

    def _say(self, alert: Alert) -> None:
        """In the log, which has no line of its own for it; what was heard there is not said twice."""
        self._log.info(
            "alert.raised", kind=alert.kind, severity=alert.severity.value, subject=alert.subject, text=alert.text
        )

    def _send(self, message: Message | None) -> None:
        if message is not None:
            for target in self.targets:
                target.put(message)

    def _ask_ping(self, status: DaemonStatus) -> None:
        """Only while the decision loop turns: who stops hearing from us is told by another machine."""
        now_s = monotonic()
        if self._ping is None or now_s < self._next_ping_s or not status.progressing or status.stopping:
            return
        self._next_ping_s = now_s + self._limits.ping_every_s
        if self._ping.idle:
            self._ping.put(_PING)

    def _all(self) -> tuple[Target, ...]:
        return self.targets if self._ping is None else (*self.targets, self._ping)


def _megabytes() -> int | None:
    with suppress(OSError):
        return megabytes_of(_MEMORY.read_text(), _PAGE_BYTES)
    return None
