"""Faults of the exchange's record and of its shards, and of a clock too wrong for any signature."""

from collections.abc import Callable

from kalshi_daemon.ground.units import POINT, SECOND, Nanos
from kalshi_daemon.simulator.exchange.corrections import amend_settlement, determine_again, dispute, move_to_shard
from kalshi_daemon.simulator.exchange.sim_orders import SimMarket
from tests.simulation.effect import Begin, Effect
from tests.simulation.stage import Stage

SHARD = 3
BOOKED_AFTER_S = 30
SKEW_S = (15.0, 90.0)
"""Beyond what the exchange accepts of a signature's time (10 s)."""


def _skewed_401(stage: Stage, _for_s: float) -> Effect:
    """The machine's clock is off so far that every signed request is refused, as a wrong key would be."""
    rng, requests = stage.rng, stage.exchange.server.rest.requests
    step_ns = int((int(stage.scenario.only or rng.choice((-1, 1)))) * rng.uniform(*SKEW_S) * SECOND)
    stage.daemon_clock.offset_ns += step_ns
    stage.clock_ahead_ns_max = max(stage.clock_ahead_ns_max, stage.daemon_clock.offset_ns)

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


# --- settlements that are not final: their kinds wait in `NOT_BEFORE` until there is something to correct


def _determined(stage: Stage) -> list[str]:
    return [event for event, market in _first_markets(stage) if market.determined_ns and market.settled_ns is None]


def _settled(stage: Stage) -> list[str]:
    return [event for event, market in _first_markets(stage) if market.settled_ns is not None]


def _first_markets(stage: Stage) -> list[tuple[str, SimMarket]]:
    by_event = stage.exchange.exchange.catalogue.by_event
    return [(event, by_event[event][0]) for event in stage.exchange.events]


def _points(stage: Stage, event: str) -> float | None:
    """A level near by, in points; None: every result is turned over."""
    market = stage.exchange.exchange.catalogue.by_event[event][0]
    assert market.settlement_value is not None, "it is determined"
    return market.settlement_value / POINT * stage.rng.uniform(0.99, 1.01) if stage.rng.random() < 0.5 else None


def _remember(stage: Stage, events: list[str]) -> None:
    """Keep what was fixed at first: a ladder turned over, or decided apart from its twin, is paid by no one value."""
    for event in events:
        market = stage.exchange.exchange.catalogue.by_event[event][0]
        assert market.settlement_value is not None, "it is determined"
        stage.fixed_first.setdefault((market.spec.index, market.spec.settles_ns), market.settlement_value)


def _disputed(stage: Stage, for_s: float) -> Effect:
    events = _determined(stage)
    for event in events:
        dispute(stage.exchange.exchange, event, Nanos(int(for_s * SECOND)))
    return Effect(lambda: bool(events))


def _determined_again(stage: Stage, _for_s: float) -> Effect:
    exchange, events = stage.exchange.exchange, _determined(stage)
    _remember(stage, events)
    changed = [ticker for event in events for ticker in determine_again(exchange, event, points=_points(stage, event))]
    return Effect(lambda: any(ticker in stage.exchange.account.holdings for ticker in changed))


def _amended(stage: Stage, _for_s: float) -> Effect:
    """Paid again by another value, with new frames and without, called amended or not."""
    rng, account = stage.rng, stage.exchange.account
    before = account.cash
    _remember(stage, _settled(stage))
    for event in _settled(stage):
        silent, finalized = rng.random() < 0.5, rng.random() < 0.5
        points = _points(stage, event)
        amend_settlement(stage.exchange.exchange, event, points=points, silent=silent, finalized=finalized)
    moved = account.cash != before
    return Effect(lambda: moved)


def _all_settled(stage: Stage) -> bool:
    return len(_settled(stage)) == len(stage.exchange.events)


def _booked(stage: Stage) -> bool:
    """All are settled, and the daemon has had the time to book that."""
    paid = [market.settled_ns for _event, market in _first_markets(stage)]
    now = stage.exchange.clock.now_ns()
    return all(at is not None and now - at > BOOKED_AFTER_S * SECOND for at in paid)


NOT_BEFORE: dict[str, Callable[[Stage], bool]] = {
    "settlement_disputed": lambda stage: bool(_determined(stage)) or _all_settled(stage),
    "settlement_redetermined": lambda stage: bool(_determined(stage)) or _all_settled(stage),
    "settlement_amended": _booked,
}
"""Faults that wait for this."""
FAR_AWAY: dict[str, Begin] = {
    "skewed_401": _skewed_401,
    "far_shard": _far_shard,
    "settlement_disputed": _disputed,
    "settlement_redetermined": _determined_again,
    "settlement_amended": _amended,
}
