"""The models of all indices, joined with what they remember and with those who tell them what they missed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog

from kalshi_daemon.calibration.constants import ModelConstants
from kalshi_daemon.calibration.constants_file import SHIPPED, read_judged_constants
from kalshi_daemon.calibration.resolving import OwnRecord
from kalshi_daemon.calibration.session_curve import decaying
from kalshi_daemon.calibration.updater import RollingCalibration
from kalshi_daemon.domain.index import Bar, Index, Tick
from kalshi_daemon.domain.instruments import SHIPPED_INSTRUMENTS, Instruments
from kalshi_daemon.ground.clock import Clock, iso_utc
from kalshi_daemon.ground.units import Nanos, from_s
from kalshi_daemon.index_feed.history import HistoryClient
from kalshi_daemon.memory.gap_fill import GapFiller
from kalshi_daemon.memory.gap_replay import CorrelationReplay, GapReplay
from kalshi_daemon.memory.store import CalibrationStore, Keeping
from kalshi_daemon.settings.instruments import instruments_of
from kalshi_daemon.settings.model import Settings
from kalshi_daemon.windows.releases import MacroCalendar
from kalshi_daemon.windows.scheduled import ReleaseEvents
from kalshi_daemon.windows.sessions import SessionTable

log = structlog.get_logger()


@dataclass(slots=True)
class Learning:
    """What learns from prices. Prices come in by `on_tick` and `on_bar`, in order."""

    models: dict[Index, RollingCalibration]
    memory: CalibrationStore
    replays: dict[Index, GapReplay]
    history: HistoryClient | None
    """None: nobody to ask, or not wanted."""
    gaps: GapFiller | None
    together: CorrelationReplay
    """For prices in doubt; the gap filler has one of its own."""
    instruments: Instruments = SHIPPED_INSTRUMENTS

    def on_tick(self, tick: Tick) -> None:
        """A value that is believed."""
        if self.gaps is not None:
            self.gaps.on_tick(tick)
        self.replays[tick.index].on_tick(tick)
        self._follow(tick.index)

    def on_bar(self, bar: Bar) -> None:
        """A bar that is believed."""
        self.replays[bar.index].on_bar(bar)
        self._follow(bar.index)

    def _follow(self, index: Index) -> None:
        pair = self.instruments.pair_of(index)
        correlation = self.memory.correlations.get(pair)
        if correlation is not None:
            correlation.follow(*(self.models[one].today for one in pair))

    def keep_missed(self, keep: Callable[[Bar], None]) -> None:
        """Have the bars kept that history gave for what was missed."""
        if self.gaps is not None:
            self.gaps.on_bar = keep

    def on_session(self) -> None:
        """The feed has opened a session: what came before its first value was missed."""
        if self.gaps is not None:
            self.gaps.on_session()

    def on_doubt(self, index: Index) -> None:
        """The feed believes what follows on time alone: what was learnt before is kept until it is settled."""
        self.replays[index].doubt()
        self.together.arm()

    def on_settled(self, index: Index) -> None:
        """The doubt about an index is over: what was learnt meanwhile stays."""
        self.replays[index].settle()
        if all(replay.confirmed is None for replay in self.replays.values()):
            self.together.drop()

    def on_retracted(self, index: Index, from_ns: Nanos, to_ns: Nanos) -> None:
        """The prices of [from, to] were wrong: they are taken out of what was learnt."""
        done = self.replays[index].retract(from_ns, to_ns)
        if done:
            self.together.healed()
            if self.gaps is not None:
                self.gaps.on_unlearnt(index, to_ns)
        say = log.warning if done else log.error
        say(
            "calibration.prices_removed" if done else "calibration.prices_not_removed",
            index=index.value,
            first=iso_utc(from_ns),
            last=iso_utc(to_ns),
        )

    @property
    def in_flight(self) -> int:
        """Requests on the wire."""
        return 0 if self.history is None else self.history.in_flight


def build_learning(
    settings: Settings, clock: Clock, history: HistoryClient | None, sessions: SessionTable, macro: MacroCalendar
) -> Learning:
    """Make the models and bring back what they had learnt.

    history: whom to ask for minutes that were missed, None for nobody. Raises ConfigurationError for settings, never
    for what was remembered.
    """
    chosen, feed = settings.calibration, settings.index_feed
    instruments = instruments_of(settings.instruments)
    models = models_of(settings, sessions, macro)
    memory = CalibrationStore(
        settings.mode_dir,
        clock,
        models,
        sessions,
        Keeping(chosen.memory_sessions_max, chosen.memory_slow_days_max, from_s(chosen.memory_save_s)),
        instruments,
    )
    memory.recall()
    replays = {index: GapReplay(model) for index, model in models.items()}
    memory.recomputed = lambda index, at_ns: replays[index].recomputed(at_ns)
    memory.confirmed = lambda index: replays[index].confirmed
    together = [
        (correlation, (models[one], models[other])) for (one, other), correlation in memory.correlations.items()
    ]
    doubts = CorrelationReplay(together)
    if history is None:
        return Learning(models, memory, replays, None, None, doubts, instruments)
    gaps = GapFiller(
        replays,
        history,
        sessions.sessions,
        clock,
        warm_up_sessions=chosen.warm_up_sessions,
        jump_min=feed.jump_share_min,
        together=CorrelationReplay(together),
    )
    return Learning(models, memory, replays, history, gaps, doubts, instruments)


def constants_of(settings: Settings, index: Index) -> ModelConstants:
    """The constants of an index: its own file's, else those for all. Raises ConfigurationError."""
    own = instruments_of(settings.instruments).rows[index].constants_file
    if own is not None:
        return read_judged_constants(own, f"instruments.indices.{index}.constants_file")
    chosen = settings.calibration.constants_file
    return SHIPPED if chosen is None else read_judged_constants(chosen)


def models_of(settings: Settings, sessions: SessionTable, macro: MacroCalendar) -> dict[Index, RollingCalibration]:
    """New models of all indices, each with its constants. Raises ConfigurationError."""
    chosen, instruments = settings.calibration, instruments_of(settings.instruments)
    own = {kind: decaying(event.multiplier, event.decay_min) for kind, event in chosen.events.items()}
    models: dict[Index, RollingCalibration] = {}
    for index in instruments.indices:
        constants = constants_of(settings, index)
        models[index] = RollingCalibration(
            index,
            chosen,
            sessions.session_of,
            events=ReleaseEvents(macro, {**constants.events, **own}),
            constants=constants,
            record=OwnRecord(instruments.strike_step(index)),
        )
    return models


def last_prices(models: Mapping[Index, RollingCalibration]) -> dict[Index, tuple[Nanos, float]]:
    """The newest price each model believes, with its time: of the day under way, else the last close."""
    found: dict[Index, tuple[Nanos, float]] = {}
    for index, model in models.items():
        path = None if model.today is None else model.today.path
        price = model.closing if path is None else (path.last_ns, path.last)
        if price is not None:
            found[index] = price
    return found
