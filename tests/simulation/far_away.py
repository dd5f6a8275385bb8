"""Faults of the exchange's record and of its shards, and of a clock too wrong for any signature."""

from kalshi_daemon.simulator.corrections import move_to_shard
from kalshi_daemon.units import SECOND
from tests.simulation.effect import Begin, Effect
from tests.simulation.stage import Stage

SHARD = 3
SKEW_S = (15.0, 90.0)
"""Beyond what the exchange accepts of a signature's time (10 s)."""


def _skewed_401(stage: Stage, _for_s: float) -> Effect:
    """The machine's clock is off so far that every signed request is refused, as a wrong key would be."""
    rng, requests = stage.rng, stage.exchange.server.rest.requests
    step_ns = int((int(stage.scenario.only or rng.choice((-1, 1)))) * rng.uniform(*SKEW_S) * SECOND)
    stage.daemon_clock.offset_ns += step_ns
    stage.clock_ahead_most_ns = max(stage.clock_ahead_most_ns, stage.daemon_clock.offset_ns)

    def refused() -> int:
        return sum(times for what, times in requests.items() if what.endswith(" 401"))

    before = refused()

    def end() -> None:
        stage.daemon_clock.offset_ns -= step_ns

    return Effect(lambda: refused() > before, end)


def _far_shard(stage: Stage, _for_s: float) -> Effect:
    """A ladder that we quote turns out to live on another shard, which does not trade."""
    exchange = stage.exchange.exchange
    event = stage.rng.choice(stage.exchange.events)
    tickers = [market.spec.ticker for market in exchange.catalogue.by_event[event]]
    move_to_shard(exchange, tickers, SHARD)
    exchange.venue.pause_shard(SHARD)

    def end() -> None:
        exchange.venue.resume_shard(SHARD)
        move_to_shard(exchange, tickers, 0)

    return Effect(end=end)


FAR_AWAY: dict[str, Begin] = {"skewed_401": _skewed_401, "far_shard": _far_shard}
