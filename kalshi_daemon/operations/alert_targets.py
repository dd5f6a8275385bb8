"""Where alerts go: one thread and one bounded queue per address, so that nothing waits for a network.

The loop only puts messages into queues. A dead, slow or hanging address holds up its own thread, which is a daemon
thread: the process ends without it. The addresses hold secrets: only their number and scheme are ever said, and the
libraries underneath, which would log paths and tokens, are silent.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any, Final
from urllib.request import Request, urlopen

from kalshi_daemon.domain.alert import AlertSeverity
from kalshi_daemon.ground.errors import ConfigurationError
from kalshi_daemon.operations.alert_gate import Message
from kalshi_daemon.operations.alert_log import EndingLog

QUEUED_MAX: Final = 20
"""Messages that wait for one address; beyond it the oldest is given up."""
TARGETS_MAX: Final = 10
_BODY_MAX: Final = 3_000
_SILENCED: Final = ("apprise", "urllib3", "requests", "charset_normalizer", "markdown", "oauthlib")
_TYPES: Final = {AlertSeverity.INFO: "info", AlertSeverity.WARNING: "warning", AlertSeverity.CRITICAL: "failure"}

type Send = Callable[[Message], bool]
"""Whether it was taken. Blocks; may raise whatever a library raises."""


class Target:
    """An address with its queue and its thread."""

    def __init__(self, name: str, send: Send, within_s: float, log: EndingLog, *, changes_only: bool = False) -> None:
        """name: `1 (tgram)`. within_s: after which an answer is said to be late; the thread goes on waiting.

        changes_only: say when it begins to fail and when it is reached again, not each time.
        """
        self.name = name
        self._send = send
        self._within_s = within_s
        self._log = log
        self._changes_only = changes_only
        self._last_problem = ""
        self._queue: deque[Message] = deque()
        self._changed = threading.Condition()
        self._busy_since_s: float | None = None
        self._said_late = False
        self.sent = 0
        self.failed = 0
        threading.Thread(target=self._run, name=f"alerts.{name}", daemon=True).start()

    def put(self, message: Message) -> None:
        """Queue a message. Never waits."""
        with self._changed:
            given_up = len(self._queue) >= QUEUED_MAX
            if given_up:
                self._queue.popleft()
            self._queue.append(message)
            self._changed.notify()
        if given_up:
            self._log.warning(
                "alert.not_sent", target=self.name, problem=f"{QUEUED_MAX} messages wait: the oldest is given up"
            )

    @property
    def idle(self) -> bool:
        """Whether everything was sent, or given up."""
        with self._changed:
            return not self._queue and self._busy_since_s is None

    @property
    def problem(self) -> str:
        """Why the last message was not taken; "" when it was, or when nothing has been heard of it yet."""
        return self._last_problem

    def look(self) -> None:
        """Say it once when an answer is late."""
        with self._changed:
            since = self._busy_since_s
            late = since is not None and monotonic() - since > self._within_s and not self._said_late
            self._said_late = self._said_late or late
        if late:
            self._log.warning("alert.not_sent", target=self.name, problem=f"no answer in {self._within_s:g} s")

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._queue:
                    self._changed.wait()
                message = self._queue.popleft()
                self._busy_since_s, self._said_late = monotonic(), False
            began = monotonic()
            # An error's words may hold the address: its class alone is said.
            try:
                problem = "" if self._send(message) else "refused, or not reached"
            except Exception as raised:  # noqa: BLE001 - whatever a library raises ends this message alone
                problem = type(raised).__name__
            self._say(message, problem, round((monotonic() - began) * 1_000))
            with self._changed:
                self._busy_since_s = None

    def _say(self, message: Message, problem: str, took_ms: int) -> None:
        before, self._last_problem = self._last_problem, problem
        self.sent, self.failed = self.sent + (not problem), self.failed + bool(problem)
        if self._changes_only and problem == before:
            return
        if problem:
            self._log.warning("alert.not_sent", target=self.name, problem=problem, took_ms=took_ms)
        else:
            self._log.info("alert.sent", target=self.name, title=message.title, took_ms=took_ms)


def targets_of(addresses: str, within_s: float, log: EndingLog) -> tuple[Target, ...]:
    """A target for each address, with white space between. Raises ConfigurationError naming the one that is none."""
    return tuple(Target(name, send, within_s, log) for name, send in senders_of(addresses))


def senders_of(addresses: str) -> Sequence[tuple[str, Send]]:
    """Name and sender of each address, with white space between. Raises ConfigurationError naming one that is none."""
    words = addresses.split()
    if not words:
        return ()
    if len(words) > TARGETS_MAX:
        raise ConfigurationError("alerts.targets", f"holds {len(words)} addresses, at most {TARGETS_MAX}")
    _silence()
    import apprise  # noqa: PLC0415 - 0.4 s and 40 MB that a daemon without targets need not pay

    found = []
    for number, word in enumerate(words, start=1):
        made = apprise.Apprise.instantiate(word, suppress_exceptions=True)
        if not made:
            fix = "scheme://... as https://appriseit.com lists them; kalshi-daemon alert test"
            raise ConfigurationError("alerts.targets", f"address {number} of {len(words)} is none that is known", fix)
        holder = apprise.Apprise()
        holder.add(made)
        found.append((f"{number} ({word.partition(':')[0][:20]})", _sender(holder)))
    return found


def _sender(holder: Any) -> Send:  # noqa: ANN401 - apprise has no types for it
    def send(message: Message) -> bool:
        result = holder.notify(
            title=message.title, body=message.body[:_BODY_MAX], notify_type=_TYPES[message.severity], body_format="text"
        )
        return bool(result)  # an object that is falsy without being False (apprise 2.3)

    return send


def ping_target(url: str, within_s: float, log: EndingLog) -> Target:
    """The dead-man switch: a message is a GET of the address."""

    def ask(_message: Message) -> bool:
        # The scheme was checked with the settings.
        with urlopen(Request(url, headers={"User-Agent": "kalshi-daemon"}), timeout=within_s) as answer:  # noqa: S310
            return int(answer.status) < 300  # noqa: PLR2004 - HTTP: 2xx is success

    return Target("ping", ask, within_s, log, changes_only=True)


def _silence() -> None:
    """Their lines hold addresses and paths, and with them tokens."""
    for name in _SILENCED:
        logger = logging.getLogger(name)
        logger.setLevel(logging.CRITICAL + 1)
        logger.propagate = False
