"""Which sessions a backtest plays: made-up ones by seed, days of minute bars, recorded days."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, time
from pathlib import Path

from kalshi_daemon.backtest.recorded.day_files import recorded_days
from kalshi_daemon.backtest.recorded.recorded_world import RecordedPlan
from kalshi_daemon.bars.files import index_of
from kalshi_daemon.ground.folders import entries
from kalshi_daemon.settings.instruments import instruments_of
from kalshi_daemon.settings.model import Settings
from kalshi_daemon.simulator.latency import Latency
from kalshi_daemon.simulator.traders.regimes import regime
from kalshi_daemon.simulator.world import WorldPlan


@dataclass(frozen=True, slots=True)
class Job:
    """One session to be played."""

    name: str
    world: WorldPlan | RecordedPlan
    settings: Settings
    latency: Latency
    notes: tuple[str, ...] = ()
    warm: bool = False
    """Begins with what earlier made-up days have taught (`warm_memory`); otherwise cold."""


def made_up_jobs(
    settings: Settings,
    regime_name: str,
    *,
    hours: float,
    first_seed: int,
    day: date,
    latency: Latency,
    warm: bool = True,
) -> list[Job]:
    """Sessions of one regime from `first_seed` on, until they make up `hours`; the last one ends early.

    warm: the daemon has learnt from made-up days before them. Raises ConfigurationError.
    """
    mix, sim, table = regime(regime_name, settings.sim.regimes), settings.sim, instruments_of(settings.instruments)
    begin, end = _minute_of(sim.start), _minute_of(sim.until)
    left, jobs = round(hours * 60), list[Job]()
    while left > 0:
        minutes = max(1, min(left, end - begin))
        until = time(*divmod(begin + minutes, 60))
        seed = first_seed + len(jobs)
        world = WorldPlan(seed, 1.0, day, sim.start, until, mix=mix, table=table)
        jobs.append(Job(f"{regime_name}-{seed}", world, settings, latency, warm=warm))
        left -= minutes
    return jobs


def _minute_of(at: time) -> int:
    return at.hour * 60 + at.minute


def day_jobs(
    settings: Settings, regime_name: str, files: Mapping[str, tuple[Path, ...]], *, seed: int, latency: Latency
) -> list[Job]:
    """Days of minute bars, one value a second between them, traded by the crowd of a regime. Raises ConfigurationError.

    files: by day, YYYY-MM-DD.
    """
    mix, sim, table = regime(regime_name, settings.sim.regimes), settings.sim, instruments_of(settings.instruments)
    jobs = []
    for day, paths in files.items():
        known = {index_of(path, table)[0] for path in paths}
        absent = " and ".join(index.value for index in table.indices if index not in known)
        note = f"days without bars of {absent}: it is made up there, in step with the others"
        when = date.fromisoformat(day)
        world = WorldPlan(seed, 1.0, when, sim.start, sim.until, index_replay=paths, mix=mix, table=table)
        jobs.append(Job(f"{day}-{regime_name}", world, settings, latency, (note,) if absent else ()))
    return jobs


def recorded_jobs(
    settings: Settings, folder: Path, queue_model: str, *, seed: int, latency: Latency, minutes: int = 0
) -> list[Job]:
    """Every recorded day of a folder, or the last `minutes` of each (0: all of it). Raises ConfigurationError."""
    table = instruments_of(settings.instruments)
    return [
        Job(day, RecordedPlan(folder, day, queue_model, seed, table, minutes), settings, latency)
        for day in recorded_days(folder)
    ]


def inputs_of(job: Job) -> tuple[Path, ...]:
    """The files that a session is played from."""
    world = job.world
    if isinstance(world, WorldPlan):
        return world.index_replay
    return tuple(path for path in entries(world.folder) if path.stem.endswith(f"_{world.day}"))
