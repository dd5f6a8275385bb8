"""Settings of what a run tells and shows of itself: alerts, and the page with its metrics."""

from datetime import time
from typing import Literal

from pydantic import Field, SecretStr

from kalshi_daemon.settings.section import Section


class AlertSettings(Section):
    """Whom to tell, and when. Addresses are secrets: for the environment or the credentials directory."""

    targets: SecretStr = SecretStr("")
    """Addresses of apprise (https://appriseit.com), with white space between: tgram://... ntfys://... mailtos://..."""
    ping_url: SecretStr = SecretStr("")
    """Asked on a timer while the decision loop turns: a dead-man switch of another machine. http or https."""
    ping_every_s: float = Field(60.0, ge=5.0, le=3_600.0)
    severity_min: Literal["info", "warning", "critical"] = "info"
    """What matters less is not sent."""
    quiet_from: time = time(0, 0)
    quiet_until: time = time(0, 0)
    """New York. From the one to the other what matters less than `quiet_severity_min` waits; equal: never."""
    quiet_severity_min: Literal["info", "warning", "critical"] = "critical"
    repeat_after_min: float = Field(60.0, ge=1.0, le=1_440.0)
    """The same thing is not told again sooner."""
    per_hour_max: int = Field(20, ge=1, le=1_000)
    """Of any hour; what is critical may be twice as many."""
    send_timeout_s: float = Field(10.0, ge=0.5, le=120.0)
    guard_closed_min: float = Field(10.0, ge=0.5, le=240.0)
    """A guard that is closed for this long in an open window is told of."""
    feed_lost_s: float = Field(60.0, ge=5.0, le=3_600.0)
    """The session is open and the index feed has been silent for this long."""
    memory_megabytes_max: int = Field(800, ge=100, le=1_000_000)
    """Of the process; the unit ends it at 1024 (MemoryMax)."""


class PageSettings(Section):
    """The page of a running daemon, with /metrics, /healthz and /readyz."""

    bind: str = Field("127.0.0.1:8484", max_length=100)
    """host:port; port 0: any that is free. Empty: off. Not this machine alone: `token` must be set."""
    token: SecretStr = SecretStr("")
    """Demanded as `Authorization: Bearer`; at least 16 characters."""
    sim: bool = False
    """Serve it in mode sim too."""
