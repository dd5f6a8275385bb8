"""The last lines of the log, for who looks at the run: name, level and numbers, short, and no more than a few."""

from collections import deque
from collections.abc import Callable, Mapping
from threading import Lock
from typing import Any, Final

from kalshi_daemon.ground.clock import iso_utc
from kalshi_daemon.ground.units import Nanos

KEPT_MAX: Final = 40
TEXT_MAX: Final = 240
_FIELDS_MAX: Final = 10
_VALUE_MAX: Final = 120
_HEAD: Final = frozenset({"event", "level", "exc_info", "exception", "stack_info"})


class RecentEvents:
    """Heard from the log, in whatever thread; never waits and never raises. `now_ns` is the daemon's clock."""

    def __init__(self, now_ns: Callable[[], Nanos]) -> None:
        self._now_ns = now_ns
        self._kept: deque[dict[str, str]] = deque(maxlen=KEPT_MAX)
        self._lock = Lock()

    def hear(self, event: str, fields: Mapping[str, Any]) -> None:
        """Take down one line."""
        try:
            found = {
                "at": iso_utc(self._now_ns()),
                "level": str(fields.get("level", "info")),
                "event": event,
                "text": _text(fields),
            }
        except Exception as problem:  # noqa: BLE001 - a value whose own words raise costs its line here, not in the log
            found = {"at": "", "level": "error", "event": event, "text": f"not shown: {type(problem).__name__}"}
        with self._lock:
            self._kept.append(found)

    def rows(self) -> list[dict[str, str]]:
        """The newest last."""
        with self._lock:
            return list(self._kept)


def _text(fields: Mapping[str, Any]) -> str:
    """`window KXINXU-26NOV23H1200, phase open`: what has no value is left out."""
    parts = []
    for name, value in fields.items():
        if name in _HEAD or value is None or value == "":
            continue
        parts.append(f"{name} {_shown(value)}")
        if len(parts) == _FIELDS_MAX:
            break
    return ", ".join(parts)[:TEXT_MAX]


def _shown(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)[:_VALUE_MAX]
