"""How long messages take in the simulator: the medians of log-normal delays, one way."""

from pydantic import Field

from kalshi_daemon.settings.section import Section


class LatencySettings(Section):
    """Milliseconds, one way, each drawn from the seed; 0 is no delay at all."""

    create_ms: float = Field(20.0, ge=0.0, le=60_000.0)
    cancel_ms: float = Field(20.0, ge=0.0, le=60_000.0)
    read_ms: float = Field(20.0, ge=0.0, le=60_000.0)
    """Of every other request."""
    stream_ms: float = Field(12.0, ge=0.0, le=60_000.0)
    """Of a frame of the exchange's stream."""
    feed_ms: float = Field(30.0, ge=0.0, le=60_000.0)
    """Of a frame of the index feed."""
    spread: float = Field(0.35, ge=0.0, le=3.0)
    """Standard deviation of the logarithm."""
