"""A logger that ends: threads that outlive the last line of the log say nothing after it."""

from threading import RLock
from typing import Any

import structlog

_lines = structlog.get_logger()


class EndingLog:
    """Says lines until `end`; safe from any thread."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._ended = False

    def end(self) -> None:
        """What is said after this is dropped. Waits for a line that another thread is just saying."""
        with self._lock:
            self._ended = True

    def info(self, event: str, **fields: Any) -> None:  # noqa: ANN401 - any value a log line may have
        """A line of level info."""
        with self._lock:
            if not self._ended:
                _lines.info(event, **fields)

    def warning(self, event: str, **fields: Any) -> None:  # noqa: ANN401 - as above
        """A line of level warning."""
        with self._lock:
            if not self._ended:
                _lines.warning(event, **fields)
