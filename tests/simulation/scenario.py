"""What one seed plays: the window, the settings, the faults, when the daemon dies. Drawn from the seed alone."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, time
from enum import StrEnum

from kalshi_daemon.settings.instruments import CLOSE_SERIES, HOURLY_SERIES, InstrumentsSettings

SESSION = date(2026, 11, 23)


class Ending(StrEnum):
    """How one life of the daemon ends before its time."""

    KILL = "kill"
    """At an instant, wherever it is."""
    KILL_AT_CREATE = "kill_at_create"
    """When the exchange executes a create of ours: the answer is never read."""
    KILL_AT_CANCEL = "kill_at_cancel"
    STOP = "stop"
    """Asked to stop; it goes down its ladder."""


@dataclass(frozen=True, slots=True)
class Death:
    """`at_s` after the start the life ends (or the trap is armed); `down_s` later the next one begins."""

    at_s: float
    ending: Ending
    down_s: float


@dataclass(frozen=True, slots=True)
class Trouble:
    """One fault: which kind, from when, for how long."""

    at_s: float
    kind: str
    for_s: float


@dataclass(frozen=True, slots=True)
class Scenario:
    """All times in seconds after the start of the simulation."""

    seed: int
    hour: int
    """The fixing, New York."""
    minutes_before: int
    """From the start to the fixing."""
    series: tuple[str, ...]
    lease_s: float
    reconcile_every_s: float
    scan_every_s: float
    daily_loss_dollars: float
    latency_s: tuple[float, float]
    troubles: tuple[Trouble, ...]
    deaths: tuple[Death, ...]
    when_resting: bool = False
    """Faults and deaths wait until a daemon that is ready has two quotes resting."""
    ends_s: float | None = None
    """When all is left alone, paid or not; None: when all is paid."""
    only: str = ""
    """What alone the faults hit: a kind of request, channels, a clock's step in ms ...; "": drawn."""
    fee_poll_s: float = 1_800.0
    session: date = SESSION
    record: bool = False
    """Whether the daemon keeps what the feed says."""
    instruments: InstrumentsSettings = InstrumentsSettings()
    """Rows that the table has besides the shipped ones, at the daemon and at the exchange."""

    @property
    def start(self) -> time:
        minute = self.hour * 60 - self.minutes_before
        return time(minute // 60, minute % 60)

    @property
    def fixing_s(self) -> float:
        return self.minutes_before * 60.0


_DOWN_S = ((0.2, 3.0), (0.2, 3.0), (3.0, 30.0), (30.0, 200.0))
_FOR_S = ((0.5, 5.0), (5.0, 25.0), (5.0, 25.0), (25.0, 100.0))
_SLOWLY_SEEN = {
    "market_withheld": ((25.0, 60.0), (60.0, 150.0)),
    "journal_deleted": ((30.0, 60.0), (60.0, 100.0)),
    "far_shard": ((30.0, 120.0), (120.0, 240.0)),
}
"""Faults whose detectors take tens of seconds by design: a journal is looked for when something is to be written, a
listing is read every two minutes."""


def draw(seed: int, kinds: Sequence[str]) -> Scenario:
    """The scenario of a seed; `kinds` are the faults to choose from."""
    rng = random.Random(f"scenario-{seed}")
    series, hour = _market(rng)
    minutes = rng.randint(6, 11)
    busy_s = minutes * 60 - 120
    chosen = [rng.choice(kinds) for _ in range(rng.randint(4, 9))]
    troubles = [
        Trouble(rng.uniform(20, busy_s + 180), kind, _span(rng, _SLOWLY_SEEN.get(kind, _FOR_S))) for kind in chosen
    ]
    endings = (Ending.KILL, Ending.KILL, Ending.KILL_AT_CREATE, Ending.KILL_AT_CREATE, Ending.KILL_AT_CANCEL)
    deaths = [
        Death(rng.uniform(15, busy_s + 120), rng.choice(endings), _span(rng, _DOWN_S)) for _ in range(rng.randint(2, 4))
    ]
    if rng.random() < 0.3:
        deaths.append(Death(rng.uniform(60, busy_s), Ending.STOP, _span(rng, _DOWN_S)))
    slowest = rng.choice((0.004, 0.02, 0.12))
    return Scenario(
        seed=seed,
        hour=hour,
        minutes_before=minutes,
        series=series,
        lease_s=rng.choice((20.0, 45.0, 90.0, 90.0)),
        reconcile_every_s=rng.choice((15.0, 60.0)),
        scan_every_s=rng.choice((10.0, 30.0)),
        daily_loss_dollars=rng.choice((4.0, 8.0, 50.0)),
        latency_s=(0.001, slowest),
        fee_poll_s=rng.choice((15.0, 1_800.0)),
        troubles=tuple(sorted(troubles, key=lambda one: one.at_s)),
        deaths=tuple(sorted(deaths, key=lambda one: one.at_s)),
    )


def _market(rng: random.Random) -> tuple[tuple[str, ...], int]:
    turn = rng.random()
    if turn < 0.2:
        return (HOURLY_SERIES[0], CLOSE_SERIES[0]), 16
    if turn < 0.5:
        return HOURLY_SERIES, rng.randint(11, 15)
    return (rng.choice(HOURLY_SERIES),), rng.randint(11, 15)


def _span(rng: random.Random, spans: Sequence[tuple[float, float]]) -> float:
    return rng.uniform(*rng.choice(spans))
