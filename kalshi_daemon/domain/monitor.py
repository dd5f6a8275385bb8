"""A monitor: how one thing that is watched stands, as a person or a script reads it."""

from dataclasses import dataclass
from typing import Any, ClassVar

from kalshi_daemon.domain.forecast import Standing


@dataclass(frozen=True, slots=True, kw_only=True)
class Monitor:
    """The document `monitors/<name>.json`."""

    WHAT: ClassVar[str] = "monitor"
    SCHEMA: ClassVar[int] = 1

    schema: int = SCHEMA
    name: str
    status: Standing
    metrics: dict[str, Any]
    """What was measured, by place; of a guard a `Verdict` by event, of a figure of the record a `ReadingLine`."""
    message: str
    """"" while nothing is wrong."""
    generated_at: str
