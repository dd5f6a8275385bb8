"""How long a message takes between daemon and venue: a distribution for each operation, drawn from the seed."""

import math
import random
from dataclasses import dataclass

from kalshi_daemon.ground.units import MILLISECOND, Nanos
from kalshi_daemon.settings.latency import LatencySettings


@dataclass(frozen=True, slots=True)
class Latency:
    """Log-normal one-way delays, in milliseconds; median 0 is no delay at all.

    Round trips as seen from one place are in docs/reference/performance.md 3b; a trader's own server has others.
    """

    create_ms: float = 20.0
    """Median, of a create, amend or decrease, and of its answer, each."""
    cancel_ms: float = 20.0
    """Median, of a cancel, and of its answer."""
    read_ms: float = 20.0
    """Median, of any other request, and of its answer."""
    stream_ms: float = 12.0
    """Median, of a frame of the exchange's stream."""
    feed_ms: float = 30.0
    """Median, of a frame of the index feed."""
    spread: float = 0.35
    """Standard deviation of the logarithm."""


def latency_of(settings: LatencySettings) -> Latency:
    """As configured."""
    return Latency(**settings.model_dump())


class Delays:
    """Draws them. One per session."""

    def __init__(self, latency: Latency, seed: int) -> None:
        self._latency = latency
        self._by_method = {"POST": latency.create_ms, "PUT": latency.create_ms, "DELETE": latency.cancel_ms}
        self._rng = random.Random(seed)  # noqa: S311 - a simulation, reproducible on purpose

    def request_ns(self, method: str) -> Nanos:
        """Of a request by this HTTP method, or of its answer."""
        return self._draw(self._by_method.get(method, self._latency.read_ms))

    def stream_ns(self) -> Nanos:
        """Of a frame of the exchange's stream."""
        return self._draw(self._latency.stream_ms)

    def feed_ns(self) -> Nanos:
        """Of a frame of the index feed."""
        return self._draw(self._latency.feed_ms)

    def _draw(self, median_ms: float) -> Nanos:
        if median_ms == 0:
            return Nanos(0)
        return Nanos(int(median_ms * math.exp(self._rng.gauss(0.0, self._latency.spread)) * MILLISECOND))
