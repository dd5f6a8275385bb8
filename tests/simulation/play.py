"""Plays one seed: two machines on one simulated loop, faults and deaths as drawn, checkers all the way."""

import asyncio
import gc
import random
import shutil
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import structlog
from simloop import SimLoop

from kalshi_daemon.app.daemon import DaemonRun
from kalshi_daemon.domain.order import Order
from kalshi_daemon.ground.clock import iso_utc
from kalshi_daemon.operations.log_outlets import LEVEL_NAMES
from kalshi_daemon.operations.logging import _line
from kalshi_daemon.settings.model import Settings
from tests.simulation.checkers import Checker, all_checkers
from tests.simulation.daemon_host import DaemonHost
from tests.simulation.effect import Effect
from tests.simulation.exchange_host import ExchangeHost
from tests.simulation.far_away import NOT_BEFORE
from tests.simulation.scenario import Death, Ending, Scenario, Trouble, draw
from tests.simulation.settings_of import settings_of
from tests.simulation.stage import Stage
from tests.simulation.steady_loop import NumberedTasks, Steps, drain
from tests.simulation.troubles import KINDS
from tests.simulation.virtual_time import LoopClock

_LOOK_S = 0.25
_COLLECT_S = 300.0
_QUIET_S = 30.0
"""After the last fault and the settlement, before the last stop."""
_SETTLED_S = 130.0
"""From the fixing to the money, without a hold."""
_READY_WITHIN_S = 240.0
_TRAP_S = 60.0
_STOP_WITHIN_S = 120.0
_SAID_MAX = 5
_EXCHANGE_LIBRARY = {"web_protocol.py"}
"""aiohttp's server does not expect a connection to die between two of its steps; the exchange side only."""
_SHARED_MEMORY = Path("/dev/shm")
_SEVERITIES = {name: number for number, name in LEVEL_NAMES.items()}
Say = Callable[[str], None]


@dataclass(slots=True)
class Outcome:
    """What one seed did and showed."""

    seed: int
    violations: list[str] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    crashes: int = 0
    stops: int = 0
    lives: int = 0
    orders: int = 0
    fills: int = 0
    simulated_s: float = 0.0
    alone_longest_s: float = 0.0
    fingerprint: int = 0
    """Equal for equal runs: every step of the loop is in it."""


class Onlooker(Checker):
    """A checker that is also told of the faults and of every line of the log."""

    name: ClassVar[str] = "onlooker"

    def begun(self, stage: Stage, name: str, effect: Effect) -> None:
        """A fault or a death begins."""

    def ended(self, stage: Stage, name: str) -> None:
        """It is over; what it does to the daemon may not be."""

    def heard(self, stage: Stage, event: str, fields: Mapping[str, Any]) -> None:
        """A line of the daemon's log."""


def play(
    seed: int,
    *,
    say: Say | None = None,
    scenario: Scenario | None = None,
    onlooker: Onlooker | None = None,
    kinds: Sequence[str] = (),
    exchange: Callable[[SimLoop, Scenario], ExchangeHost] = ExchangeHost,
) -> Outcome:
    """Play a seed, or a scenario made by hand. `say` hears every line of both machines' logs.

    kinds: the only faults to draw from; none: all. exchange: makes the other machine.
    """
    loop = SimLoop(seed)
    loop.set_task_factory(NumberedTasks())
    steps = Steps()
    loop._recorder = steps  # type: ignore[assignment] # the loop's own keeps every event for ever
    folder = Path(tempfile.mkdtemp(prefix="kd-sim-", dir=_SHARED_MEMORY if _SHARED_MEMORY.is_dir() else None))
    outcome = Outcome(seed)
    gc.collect()
    gc.disable()  # collected at fixed simulated times: finalizers must not depend on what ran before
    try:
        drawn = scenario or draw(seed, kinds or tuple(KINDS))
        playing = _Play(exchange(loop, drawn), drawn, folder, outcome, say, onlooker or Onlooker())
        loop.set_exception_handler(playing.unheard)
        with playing.files():
            loop.run_until_complete(playing.run())
        outcome.fingerprint = steps.digest & 0xFFFF_FFFF
    finally:
        drain(loop)
        loop.close()
        gc.enable()
        structlog.reset_defaults()
        shutil.rmtree(folder, ignore_errors=True)
    return outcome


@dataclass(eq=False, slots=True)
class _Open:
    """A fault that is on. `felt`: a daemon lived when it began; what nobody feels is not counted."""

    trouble: Trouble
    effect: Effect
    felt: bool


class _Play:
    """The driver of one seed. Runs on no machine."""

    def __init__(
        self,
        exchange: ExchangeHost,
        scenario: Scenario,
        folder: Path,
        outcome: Outcome,
        say: Say | None,
        onlooker: Onlooker,
    ) -> None:
        loop = self._loop = exchange.loop
        self._outcome = outcome
        self._say = say
        loop.net.set_defaults(latency=scenario.latency_s)
        clock = LoopClock(loop, exchange.start_ns)
        self._settings = settings_of(scenario, exchange)

        def settings_in(state: Path) -> Settings:
            return self._settings.model_copy(update={"state_dir": state})

        daemon = DaemonHost(loop, folder, settings_in, exchange.where, clock, self._on_intent, self._sink_said)
        self._stage = Stage(loop, scenario, random.Random(f"play-{scenario.seed}"), exchange, daemon, clock)
        self._onlooker = onlooker
        self._checkers: list[Checker] = [*all_checkers(), onlooker]
        self._lookers = [one for one in self._checkers if type(one).look is not Checker.look]
        self._open: list[_Open] = []
        self._waiting: set[Trouble] = set()
        structlog.configure(processors=[structlog.processors.add_log_level, self._hear])

    def files(self) -> AbstractContextManager[None]:
        """Whatever is done within goes through the simulated machine's files."""
        return self._stage.daemon.disk.in_front()

    async def run(self) -> None:
        stage, scenario = self._stage, self._stage.scenario
        serving = stage.exchange.host.create_task(stage.exchange.serve(), name="exchange")
        await asyncio.sleep(0.5)
        stage.daemon.begin()
        for trouble in scenario.troubles:
            self._at(trouble.at_s, self._begin_trouble, trouble)
        for death in scenario.deaths:
            self._at(death.at_s, self._die, death)
        looking = asyncio.get_running_loop().create_task(self._look_on())
        await asyncio.sleep(scenario.fixing_s + _SETTLED_S if scenario.ends_s is None else scenario.ends_s)
        while scenario.ends_s is None and not self._paid():  # noqa: ASYNC110 - simulated time costs nothing
            await asyncio.sleep(5.0)
        while self._open or (self._waiting and scenario.ends_s is None):  # noqa: ASYNC110
            await asyncio.sleep(1.0)
        while scenario.ends_s is None and not self._paid():  # noqa: ASYNC110 - simulated time costs nothing
            await asyncio.sleep(5.0)
        await self._calm()
        looking.cancel()
        serving.cancel()
        self._sum_up()
        await stage.exchange.aclose()

    def _paid(self) -> bool:
        markets = self._stage.exchange.exchange.catalogue.by_event
        return all(markets[event][0].settled_ns is not None for event in self._stage.exchange.events)

    async def _calm(self) -> None:
        """Nothing goes wrong any more: the daemon must become ready, stay so, and stop in order."""
        stage = self._stage
        waited = 0.0
        while not stage.daemon.ready and waited < _READY_WITHIN_S:
            await asyncio.sleep(1.0)
            waited += 1.0
        stage.ready_at_end = stage.daemon.ready
        await asyncio.sleep(_QUIET_S)
        stage.daemon.stop()
        try:
            async with asyncio.timeout(_STOP_WITHIN_S):
                await stage.daemon.over()
        except TimeoutError:
            self._found("health", "the last stop did not end")
        self._look()

    # --- what goes wrong

    def _at(self, when_s: float, act: Callable[..., None], *args: Any) -> None:
        self._loop.call_at(when_s, act, *args)

    def _too_early(self, act: Callable[..., None], *args: Any, unless: Callable[[Stage], bool] | None = None) -> bool:
        """Whether the scenario wants quotes resting first, or the fault something else; `act` is then called again."""
        stage = self._stage
        early = stage.scenario.when_resting and not (stage.daemon.ready and len(stage.exchange.resting()) > 1)
        early = early if unless is None else not unless(stage)
        if early:
            self._at(stage.now_s + _LOOK_S, act, *args)
        return early

    def _begin_trouble(self, trouble: Trouble) -> None:
        self._waiting.add(trouble)
        if self._too_early(self._begin_trouble, trouble, unless=NOT_BEFORE.get(trouble.kind)):
            return
        self._waiting.discard(trouble)
        effect = KINDS[trouble.kind](self._stage, trouble.for_s)
        entry = _Open(trouble, effect, felt=self._stage.daemon.life is not None)
        self._open.append(entry)
        self._onlooker.begun(self._stage, trouble.kind, effect)
        self._note(f"fault {trouble.kind} for {trouble.for_s:.1f} s")
        self._at(self._loop.time() + trouble.for_s, self._end_trouble, entry)

    def _end_trouble(self, entry: _Open) -> None:
        self._open.remove(entry)
        felt = entry.felt or self._stage.daemon.life is not None
        if entry.effect.hit() and felt:
            self._stage.faults[entry.trouble.kind] += 1
        entry.effect.end()
        self._onlooker.ended(self._stage, entry.trouble.kind)
        self._note(f"fault {entry.trouble.kind} ends")

    def _die(self, death: Death) -> None:
        daemon, trap = self._stage.daemon, self._stage.exchange.trap
        if daemon.life is None or self._too_early(self._die, death):
            return
        self._note(f"death {death.ending.value}, down for {death.down_s:.1f} s")
        match death.ending:
            case Ending.KILL:
                self._kill(death.down_s)
            case Ending.KILL_AT_CREATE:
                trap.on_create = lambda: self._spring(death.down_s)
                self._at(self._loop.time() + _TRAP_S, self._disarm)
            case Ending.KILL_AT_CANCEL:
                trap.on_cancel = lambda: self._spring(death.down_s)
                self._at(self._loop.time() + _TRAP_S, self._disarm)
            case Ending.STOP:
                self._onlooker.begun(self._stage, "death", Effect())
                daemon.stop()
                asyncio.get_running_loop().create_task(self._after_stop(death.down_s))

    def _spring(self, down_s: float) -> None:
        self._loop.call_soon(self._kill, down_s)

    def _disarm(self) -> None:
        trap = self._stage.exchange.trap
        trap.on_create = trap.on_cancel = None

    def _kill(self, down_s: float) -> None:
        daemon = self._stage.daemon
        if daemon.life is None:
            return
        self._note("killed")
        self._onlooker.begun(self._stage, "death", Effect())
        daemon.kill()
        self._at(self._loop.time() + min(0.1, down_s / 2), self._stage.exchange.forget_peer)
        self._at(self._loop.time() + down_s, self._boot)

    def _boot(self) -> None:
        self._stage.daemon.reboot()
        self._stage.daemon.begin()
        self._onlooker.ended(self._stage, "death")

    async def _after_stop(self, down_s: float) -> None:
        daemon = self._stage.daemon
        lives = daemon.lives
        await daemon.over()
        await asyncio.sleep(down_s)
        if daemon.life is None and daemon.lives == lives:
            daemon.begin()
            self._onlooker.ended(self._stage, "death")

    # --- what is looked at

    async def _look_on(self) -> None:
        collected = 0.0
        while True:
            await asyncio.sleep(_LOOK_S)
            self._look()
            if self._loop.time() - collected >= _COLLECT_S:
                collected = self._loop.time()
                gc.collect()

    def _look(self) -> None:
        if self._stage.daemon.sink is not None:
            self._stage.daemon.sink.pump()
        for checker in self._lookers:
            self._found(checker.name, *checker.look(self._stage))

    def _on_intent(self, life: DaemonRun, order: Order) -> None:
        for checker in self._checkers:
            self._found(checker.name, *checker.intent(self._stage, life, order))

    def _found(self, checker: str, *sentences: str) -> None:
        for sentence in sentences:
            said = [line for line in self._outcome.violations if line.split(" ", 2)[1] == f"{checker}:"]
            if len(said) >= _SAID_MAX or any(line.endswith(sentence) for line in said):
                continue
            line = f"t={self._loop.time():.1f} {checker}: {sentence}"
            self._outcome.violations.append(line)
            self._note(f"VIOLATION {line}")

    def _sum_up(self) -> None:
        stage, outcome = self._stage, self._outcome
        for checker in self._checkers:
            self._found(checker.name, *checker.end(stage))
            outcome.alone_longest_s = max(outcome.alone_longest_s, getattr(checker, "longest_s", 0.0))
        outcome.faults = stage.faults
        outcome.crashes, outcome.stops, outcome.lives = stage.daemon.crashes, stage.daemon.stops, stage.daemon.lives
        outcome.orders = len(stage.exchange.account.orders)
        outcome.fills = len(stage.exchange.account.fills)
        outcome.simulated_s = self._loop.time()

    # --- what is said

    def unheard(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        problem = context.get("exception")
        if problem is not None:
            frames = traceback.extract_tb(problem.__traceback__)[-3:]
            if frames and Path(frames[-1].filename).name in _EXCHANGE_LIBRARY:
                return
            where = " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(frames))
            self._found("health", f"nobody heard {problem!r} of {where}: {context.get('message')}")

    def _hear(self, _logger: object, _method: str, event: MutableMapping[str, Any]) -> Any:
        name = str(event.get("event"))
        self._stage.daemon.on_resolved(name, event)
        self._onlooker.heard(self._stage, name, event)
        if self._say is not None:
            self._note(" ".join(f"{key}={value}" for key, value in _ordered(event)))
        if self._stage.daemon.sink is not None:
            self._stage.daemon.sink.write(_line(event), _SEVERITIES.get(event.get("level", ""), 20))
        raise structlog.DropEvent

    def _sink_said(self, event: str, fields: Mapping[str, Any]) -> None:
        self._onlooker.heard(self._stage, event, fields)
        self._note(f"{event} {dict(fields)}")

    def _note(self, text: str) -> None:
        if self._say is not None:
            clock = self._stage.exchange.clock
            self._say(f"{self._loop.time():9.3f} {iso_utc(clock.now_ns())[11:23]} {text}")


def _ordered(event: MutableMapping[str, Any]) -> Iterable[tuple[str, Any]]:
    head = ("level", "event")
    return [(key, event[key]) for key in head if key in event] + [(k, v) for k, v in event.items() if k not in head]
