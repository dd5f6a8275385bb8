"""Watches one fault: whether everything at risk is right at every moment, what the daemon said, when it quotes again.

Safe means: nothing of ours rests, or all of this holds. A daemon lives that has taken over its journal; it knows every
order that rests; none of its orders is of unknown fate; its positions are the exchange's; its book of every market it
rests in has the exchange's best prices; and its index value is younger than TICK_AGE_S_MAX. What is wrong for
TRANSIT_S or less is on its way and does not count.
"""

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from kalshi_daemon.app.daemon import DaemonRun
from kalshi_daemon.domain.order import Status
from kalshi_daemon.ground.units import SECOND
from kalshi_daemon.simulator.exchange.sim_orders import SimOrder
from tests.simulation.effect import Effect
from tests.simulation.play import Onlooker
from tests.simulation.stage import Stage

TRANSIT_S = 1.0
TICK_AGE_S_MAX = 3.0
"""The soft limit of the feed's age, half a second more for what is under way."""
AFTER_S = 90.0
"""What goes wrong within this long after the end of the fault is still its doing."""
PULLED_WITHIN_S = 6.0
"""The slowest guard that pulls, the feed's age, takes five seconds."""
USUAL_GAP_S = 25.0
"""In quiet hours, too, nothing rests for two scans when no edge is left."""
_SAID_IN_PASSING = {"kalshi_stream.measured", "window.phase_changed", "guard.opened", "order.acked", "scan.done"}
_TOO_LATE = "too late"
"""A cancel of what had been filled or cancelled before it came: nothing odd."""
_EDGE_LOST = "order.edge_lost"
_TOLD = {"stale_book": "", "doubtful_book": "", "market_inactive": "inactive"}
"""Why a resting quote went, of what a fault can do to it, and what the line is about then."""


@dataclass(slots=True)
class Stretch:
    """A time during which one thing was wrong, or nothing rested. `until_s` None: still on."""

    what: str
    from_s: float
    until_s: float | None = None

    def lasted(self, now_s: float) -> float:
        return (now_s if self.until_s is None else self.until_s) - self.from_s


class SafetyWatch(Onlooker):
    """The first fault or death of a play, or the time from `quiet[0]` to `quiet[1]` in one without."""

    name: ClassVar[str] = "safety"

    def __init__(self, quiet: tuple[float, float] | None = None) -> None:
        self._quiet = quiet
        self.effect: Effect | None = None
        self.begun_s: float | None = None
        self.hit_s: float | None = None
        """When the fault was first felt."""
        self.ended_s: float | None = None
        self.wrong: list[Stretch] = []
        self.empty: list[Stretch] = []
        self._seen_s = 0.0
        self.said: Counter[tuple[str, str]] = Counter()
        """(event of the log, what it is about) -> how often, from the fault until AFTER_S behind its end."""
        self.counted: Counter[str] = Counter()
        """What the daemon counted of it without a line in its log, in the same time; see `_figures`."""
        self._before: deque[tuple[float, tuple[str, str]]] = deque(maxlen=100)
        """What was said since the fault began and before anything was counted as felt: it may be why."""
        self._figures: Counter[str] = Counter()
        self._life: DaemonRun | None = None
        self.alone_longest_s = 0.0
        self._alone: dict[str, float] = {}

    # --- what the play tells

    def begun(self, stage: Stage, name: str, effect: Effect) -> None:
        if self.begun_s is None:
            self.effect, self.begun_s = effect, stage.now_s
            self._note_hit(stage)

    def ended(self, stage: Stage, name: str) -> None:
        if self.ended_s is None:
            self._note_hit(stage)
            self.ended_s = stage.now_s

    def heard(self, stage: Stage, event: str, fields: Mapping[str, Any]) -> None:
        self._note_hit(stage)
        if event in _SAID_IN_PASSING or (event == _EDGE_LOST and fields["why"] not in _TOLD):
            return
        line = event, _subject(event, fields)
        if self._on(stage):
            self.said[line] += 1
        elif self.begun_s is not None and self.hit_s is None:
            self._before.append((stage.now_s, line))

    def look(self, stage: Stage) -> Iterable[str]:
        if self._quiet is not None and self.hit_s is None and stage.now_s >= self._quiet[0]:
            self.begun_s = self.hit_s = stage.now_s
            self.ended_s = self._quiet[1]
        self._note_hit(stage)
        self._count(stage)
        if not self._on(stage):
            return ()
        self._seen_s = stage.now_s
        resting = stage.exchange.resting()
        _keep(self.wrong, stage.now_s, whats_wrong(stage, resting) if resting else set())
        _keep(self.empty, stage.now_s, set() if resting else {"nothing rests"})
        loaded = stage.daemon.loaded
        alone = [o.client_order_id for o in resting if not loaded or not stage.daemon.knows(o.client_order_id)]
        self._alone = {name: self._alone.get(name, stage.now_s) for name in alone}
        longest = max((stage.now_s - since for since in self._alone.values()), default=0.0)
        self.alone_longest_s = max(self.alone_longest_s, longest)
        return ()

    # --- what is made of it

    @property
    def safe_after_s(self) -> float:
        """From the fault to the end of the last moment at which something was wrong; 0 when nothing ever was."""
        hit, _ended = self._times()
        ends = [self._seen_s if one.until_s is None else one.until_s for one in self._counted()]
        return max(ends, default=hit) - hit

    @property
    def wrongs(self) -> list[str]:
        """What was wrong, in words, and for how long in all."""
        lasted: Counter[str] = Counter()
        for one in self._counted():
            lasted[one.what] += one.lasted(self._seen_s)  # type: ignore[assignment] # a counter of seconds
        return [f"{what} {seconds:.1f} s" for what, seconds in lasted.items()]

    def _counted(self) -> list[Stretch]:
        return [one for one in self.wrong if one.lasted(self._seen_s) > TRANSIT_S]

    @property
    def quoting_after_s(self) -> float | None:
        """From the fault to the first quote after it took all of them away; 0 when it did not.

        Its doing is that nothing rests within PULLED_WITHIN_S, or for longer than USUAL_GAP_S before it is over.
        None: nothing rests any more.
        """
        hit, ended = self._times()
        gaps = [
            one
            for one in self.empty
            if one.from_s <= hit + PULLED_WITHIN_S
            or (one.from_s <= ended + TRANSIT_S and one.lasted(self._seen_s) > USUAL_GAP_S)
        ]
        if not gaps:
            return 0.0
        until = gaps[-1].until_s
        return None if until is None else until - hit

    def _times(self) -> tuple[float, float]:
        assert self.hit_s is not None, "the fault was felt"
        assert self.ended_s is not None, "the fault has ended"
        return self.hit_s, max(self.hit_s, self.ended_s)

    def _count(self, stage: Stage) -> None:
        """Counts since the fault began; another life begins to count from nothing."""
        life = stage.daemon.life
        if life is not self._life:
            self._life, self._figures = life, Counter()
        if life is not None:
            figures = _figures(life)
            if self.begun_s is not None and (self.hit_s is None or self._on(stage)):
                self.counted += figures - self._figures
            self._figures = figures

    def _note_hit(self, stage: Stage) -> None:
        if self.hit_s is None and self.effect is not None and self.ended_s is None and self.effect.hit():
            self.hit_s = stage.now_s
            self.said.update(line for at_s, line in self._before if stage.now_s - at_s <= TRANSIT_S)

    def _on(self, stage: Stage) -> bool:
        return self.hit_s is not None and (self.ended_s is None or stage.now_s <= self.ended_s + AFTER_S)


def _figures(life: DaemonRun) -> Counter[str]:
    """What was dropped without a word, by name, since the start of this life."""
    streams, indices = life.state.venue.streams, life.state.index.values()
    return Counter(
        {
            "frames": streams.repeated,
            "index values": sum(index.refused for index in indices),
            "changes of voided books": streams.deltas_dropped,
        }
    )


def whats_wrong(stage: Stage, resting: list[SimOrder]) -> set[str]:
    """In words, what makes these resting orders not safe now; empty when they are."""
    life = stage.daemon.life
    if life is None or not stage.daemon.loaded:
        return {"no daemon"}
    found = set()
    if not all(stage.daemon.knows(order.client_order_id) for order in resting):
        found.add("an order nobody knows")
    if any(order.status is Status.UNKNOWN for order in life.state.live_orders()):
        found.add("an order's fate unknown")
    found |= _positions(stage, life) | _books(stage, life, resting)
    now = stage.exchange.clock.now_ns()
    for index in {order.market.spec.index for order in resting}:
        tick = life.state.index[index].last
        if tick is None or now - tick.event_ns > TICK_AGE_S_MAX * SECOND:
            found.add("an old index value")
    return found


def _positions(stage: Stage, life: DaemonRun) -> set[str]:
    theirs = {ticker: held.count for ticker, held in stage.exchange.account.holdings.items() if not held.settled}
    ours = {ticker: position.count for ticker, position in life.state.ledger.positions.items()}
    return {"a fill unknown"} if any(ours.get(ticker, 0) != count for ticker, count in theirs.items()) else set()


def _books(stage: Stage, life: DaemonRun, resting: list[SimOrder]) -> set[str]:
    for ticker in {order.market.spec.ticker for order in resting}:
        book = life.state.venue.books.get(ticker)
        if book is None or (book.best_bid, book.best_ask) != stage.exchange.exchange.best(ticker):
            return {"a wrong book"}
    return set()


def _keep(stretches: list[Stretch], now_s: float, found: set[str]) -> None:
    on = {one.what: one for one in stretches if one.until_s is None}
    stretches += [Stretch(what, now_s) for what in sorted(found - on.keys())]
    for what, one in on.items():
        if what not in found:
            one.until_s = now_s


def _subject(event: str, fields: Mapping[str, Any]) -> str:
    """What a line is about, where its name does not say it."""
    match event:
        case "guard.refused":
            return f"{fields['closing']} {fields['guard']}"
        case "order.resolved":
            return str(fields["now"])
        case "fill.booked":
            return str(fields["source"])
        case "order.edge_lost":
            return _TOLD[fields["why"]]
        case "order.cancel_refused":
            return _TOO_LATE if "not_found" in str(fields["cause"]) else ""
        case _:
            return ""
