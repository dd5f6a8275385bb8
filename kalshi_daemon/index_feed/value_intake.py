"""Values into the state: judged first, shown to the guards while withheld, handed on once they are believed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Final, Protocol

import structlog

from kalshi_daemon.domain.index import Bar, Channel, Index, Tick
from kalshi_daemon.ground.units import MINUTE, SECOND, Nanos, from_s
from kalshi_daemon.index_feed.plausibility import PlausibleValues
from kalshi_daemon.index_feed.ruling import PlausibilityLimits, Ruling, Word
from kalshi_daemon.index_feed.witnesses import NOTHING_KNOWN, OutsideLevels
from kalshi_daemon.settings.model import IndexFeedSettings
from kalshi_daemon.state import DaemonState, IndexState, WithheldValue

DELAYED_NS: Final = Nanos(5 * MINUTE)
"""Values this old on arrival are no network's fault: the vendor's delayed plans are 15 minutes behind."""
DELAYED_VALUES: Final = 20

log = structlog.get_logger()


class Beliefs(Protocol):
    """Who must know how sure the values are that are handed on."""

    def on_doubt(self, index: Index) -> None:
        """What follows is believed without an independent witness: keep what was learnt up to here."""
        ...

    def on_settled(self, index: Index) -> None:
        """What was in doubt is not any more."""
        ...

    def on_retracted(self, index: Index, from_ns: Nanos, to_ns: Nanos) -> None:
        """The values with these stamps, both included, were wrong. Called before what follows is handed on."""
        ...

    def on_withheld(self, event: Tick | Bar) -> None:
        """A value or bar that is not believed, a value at least not yet."""
        ...


class Unheard:
    """Nobody learns."""

    def on_doubt(self, index: Index) -> None: ...
    def on_settled(self, index: Index) -> None: ...
    def on_retracted(self, index: Index, from_ns: Nanos, to_ns: Nanos) -> None: ...
    def on_withheld(self, event: Tick | Bar) -> None: ...


def nothing_outside(_index: Index) -> OutsideLevels:
    """Nobody else knows anything."""
    return NOTHING_KNOWN


@dataclass(frozen=True, slots=True)
class FeedListeners:
    """Who is told. Called on the loop: must be quick and must not raise."""

    on_tick: Callable[[Tick], None]
    """Every accepted value, in order."""
    on_bar: Callable[[Bar], None]
    """Every accepted A and AM aggregate that may be learnt from (a repeated start is a replacement)."""
    on_session: Callable[[], None] = lambda: None
    """A session has been let in, before its first value: what came meanwhile was missed."""
    beliefs: Beliefs = Unheard()
    """Told when values are believed on time alone, and when they are taken back."""


@dataclass(frozen=True, slots=True)
class FeedContext:
    """What the feed cannot know by itself."""

    session_open: Callable[[], bool]
    """Whether the market is open: silence only counts then."""
    known: Mapping[Index, tuple[Nanos, float]] = MappingProxyType({})
    """By index: the last value in points of an earlier life or day, and when it was."""
    outside: Callable[[Index], OutsideLevels] = nothing_outside
    """What others than the feed know about the level of an index."""


class ValueIntake:
    """The consumer's hand for values: writes `last`, `changed_ns`, `accepted`, `withheld` and `misprints` of an index.

    on_tick  called with every value believed, in the order of the stamps
    known    by index: the last value of an earlier life or day, and when it was
    beliefs  told how sure they are
    outside  what others than the feed know about the level of an index
    """

    def __init__(
        self,
        state: DaemonState,
        settings: IndexFeedSettings,
        on_tick: Callable[[Tick], None],
        known: Mapping[Index, tuple[Nanos, float]],
        beliefs: Beliefs,
        outside: Callable[[Index], OutsideLevels],
    ) -> None:
        confirm_ns = from_s(settings.jump_confirm_s)
        limits = PlausibilityLimits(settings.jump_share_min, settings.agreeing_values_min, confirm_ns)
        self._state = state
        self._on_tick = on_tick
        self._beliefs = beliefs
        self._values = {
            index: PlausibleValues(limits, known.get(index), partial(outside, index)) for index in state.index
        }
        self._delayed = 0

    def take(self, tick: Tick) -> int:
        """Judge a value that is later than all before of its index; returns how many are believed by it."""
        self._note_delay(tick)
        others = [self._values[index] for index in self._state.instruments.peers(tick.index)]
        ruling = self._values[tick.index].judge(tick, others)
        state = self._state.index[tick.index]
        self._tell(tick, state, ruling)
        self._note(tick, state, ruling)
        for believed in ruling.ticks:
            if state.last is None or believed.value != state.last.value:
                state.changed_ns = believed.event_ns
            state.last = believed
            state.accepted += 1
            self._on_tick(believed)
        return len(ruling.ticks)

    def take_bar(self, bar: Bar) -> bool:
        """Whether a bar may be learnt from. A minute bar is a witness for values, too."""
        values = self._values[bar.index]
        if bar.channel is Channel.MINUTE:
            values.note_bar(bar)
        believed = values.believes_bar(bar)
        if not believed:
            self._beliefs.on_withheld(bar)
        return believed

    def _tell(self, tick: Tick, state: IndexState, ruling: Ruling) -> None:
        """Tell who learns; a stretch that is taken back is said, with both numbers."""
        if ruling.retracted is not None:
            from_ns, to_ns = ruling.retracted
            self._beliefs.on_retracted(tick.index, from_ns, to_ns)
            log.error(
                "feed.values_retracted",
                index=tick.index.value,
                wrong=None if state.last is None else state.last.value,
                value=tick.value,
                seconds=(to_ns - from_ns) / SECOND,
                reason=ruling.reason or ruling.against,
            )
        if ruling.settled:
            self._beliefs.on_settled(tick.index)
        if ruling.doubtful:
            self._beliefs.on_doubt(tick.index)
        if ruling.word is Word.WITHHELD:
            self._beliefs.on_withheld(tick)

    def _note(self, tick: Tick, state: IndexState, ruling: Ruling) -> None:
        """Show a withheld value to the guards; say once that values are withheld, and once what became of them."""
        before = state.withheld
        if ruling.word is Word.BELIEVED:
            state.withheld = None
            state.misprints += ruling.misprints
            if before is not None and before.move > before.limit:
                log.warning(
                    "feed.values_dropped" if ruling.misprints else "feed.values_confirmed",
                    index=tick.index.value,
                    value=tick.value,
                    withheld=before.value,
                    count=ruling.misprints or len(ruling.ticks),
                    reason=ruling.reason,
                )
            return
        known = None if state.last is None else state.last.value
        since_ns = tick.event_ns if before is None else before.since_ns
        move, limit = ruling.move_share, ruling.limit_share
        state.withheld = WithheldValue(tick.value, known, abs(move), limit, since_ns, ruling.against)
        if before is None and abs(move) > limit:  # the first values of a day wait for each other: no news
            log.warning(
                "feed.values_withheld",
                index=tick.index.value,
                value=tick.value,
                known=known,
                move_percent=round(100.0 * move, 3),
                limit_percent=round(100.0 * limit, 3),
            )
        elif ruling.against and (before is None or not before.against):
            log.warning(
                "feed.values_contradicted", index=tick.index.value, value=tick.value, known=known, by=ruling.against
            )

    def _note_delay(self, tick: Tick) -> None:
        """A plan that is delayed serves values that are always as old: said once, and called so."""
        self._delayed = self._delayed + 1 if tick.recv_ns - tick.event_ns >= DELAYED_NS else 0
        if self._delayed == DELAYED_VALUES:
            behind_s = (tick.recv_ns - tick.event_ns) // SECOND
            self._state.feed.problem = f"every value is stamped {behind_s} s ago: the vendor's plan is a delayed one"
            log.error("feed.plan_delayed", behind_s=behind_s, values=DELAYED_VALUES)
