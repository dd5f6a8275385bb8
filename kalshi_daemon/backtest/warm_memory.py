"""What a daemon that had been there would remember at the bell of a made-up session.

Two layers, by how fast they age. What ages in months (session curve, online corrections) is learnt from many made-up
days that all sessions share, once a process. What ages in days (levels of volatility, the gap, the correlation) is
learnt from the days just before the session, which are its own (`simulator/feed/earlier_sessions`). Both are minute
bars taken in by the daemon's own models, as `kalshi-daemon learn` does it; the session's own day is none of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import lru_cache
from typing import Final

import numpy as np

from kalshi_daemon.bars.sessions import Day, Sample
from kalshi_daemon.calibration.market_record import MarketRecord
from kalshi_daemon.calibration.updater import RollingCalibration
from kalshi_daemon.domain.index import Index
from kalshi_daemon.ground.errors import ConfigurationError
from kalshi_daemon.ground.units import MINUTE, SECOND
from kalshi_daemon.memory.documents import Document, encoded, remember, restore
from kalshi_daemon.memory.models import models_of
from kalshi_daemon.memory.store import document_of
from kalshi_daemon.research.learn import learn
from kalshi_daemon.settings.instruments import instruments_of
from kalshi_daemon.settings.model import Settings
from kalshi_daemon.simulator.feed.earlier_sessions import SEEDS_FROM, earlier_sessions
from kalshi_daemon.simulator.feed.index_path import IndexPath, session_seconds
from kalshi_daemon.windows.macro import load_macro_calendar
from kalshi_daemon.windows.sessions import SessionTable, load_sessions

SHARED_SESSIONS: Final = 60
OWN_SESSIONS: Final = 10
"""Two half-lives of the slowest level of volatility."""
_SHARED_SEED: Final = SEEDS_FROM
_CALENDAR_DAYS: Final = 150
"""Have more sessions than are learnt from."""
_KEPT_MAX: Final = 128
"""Two sides of a comparison play the same sessions, one side after the other; 60 kB each."""
_MINUTE_S: Final = MINUTE // SECOND

type Memory = Mapping[Index, bytes]
"""The file of each index, as `memory/store` reads it at a start."""


@dataclass(frozen=True, slots=True)
class _Learner:
    """Who learns, and before which day; equal when what is learnt is."""

    settings: Settings = field(compare=False)
    day: date
    parts: str

    @classmethod
    def of(cls, settings: Settings, day: date) -> "_Learner":
        parts = (settings.calibration, settings.instruments, settings.macro)
        return cls(settings, day, " ".join(part.model_dump_json() for part in parts))

    @property
    def calendar(self) -> SessionTable:
        return load_sessions(self.day - timedelta(days=_CALENDAR_DAYS), self.day)

    def models(self) -> dict[Index, RollingCalibration]:
        return models_of(self.settings, self.calendar, load_macro_calendar(self.settings.macro))


def warm_memory(settings: Settings, day: date, seed: int) -> Memory:
    """What is remembered when the made-up session of this day and seed begins.

    Raises ConfigurationError: no session on that day, or constants that cannot be read.
    """
    return _warm(_Learner.of(settings, day), seed)


@lru_cache(maxsize=_KEPT_MAX)
def _warm(learner: _Learner, seed: int) -> Memory:
    table = instruments_of(learner.settings.instruments)
    *before, session = learner.calendar.sessions
    if session.day != learner.day.isoformat():
        raise ConfigurationError("backtest", f"{learner.day} is a weekend or holiday: no session")
    own, known = before[-OWN_SESSIONS:], _shared(learner)
    models = learner.models()
    for index, model in models.items():
        restore(model, known[index])
    correlations = learn(models, _samples(earlier_sessions(own, session, seed, table)), table.pairs)
    return {
        index: encoded(document_of(model, MarketRecord(), correlations.get(table.pair_of(index)), own[-1].close_ns))
        for index, model in models.items()
    }


@lru_cache(maxsize=2)
def _shared(learner: _Learner) -> Mapping[Index, Document]:
    """What the days before a session's own have taught: of a seed of their own, the same for all sessions."""
    table = instruments_of(learner.settings.instruments)
    *before, session = learner.calendar.sessions
    days = before[-OWN_SESSIONS - SHARED_SESSIONS : -OWN_SESSIONS]
    models = learner.models()
    learn(models, _samples(earlier_sessions(days, session, _SHARED_SEED, table)), table.pairs)
    return {index: remember(model) for index, model in models.items()}


def _samples(days: Sequence[Mapping[Index, IndexPath]]) -> dict[Index, Sample]:
    return {
        index: Sample(index, tuple(_minute_bars(day[index]) for day in days), cash=True, bar_seconds=_MINUTE_S)
        for index in days[0]
    }


def _minute_bars(path: IndexPath) -> Day:
    """As the feed gives them: each of what was published from its start until before its end."""
    minutes = path.values[: session_seconds(path.session)].reshape(-1, _MINUTE_S)
    starts = path.open_ns // SECOND + _MINUTE_S * np.arange(len(minutes))
    return Day(path.session, _MINUTE_S, starts, minutes[:, 0], minutes.max(axis=1), minutes.min(axis=1), minutes[:, -1])
