"""One exchange, one state directory, many lives: each ends by SIGKILL at a moment of its own, the last by SIGTERM.

The moments are drawn from the seed; what they hit depends on the machine, as in life.
"""

import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.e2e.quick import QUICK
from tests.kills.judge import DaemonRun, Verdict, judge
from tests.kills.record import Book, ns_of, read_journal, read_rests, trades_of
from tests.support.processes import START_S, Daemon, Json, Processes, Simulator, pause

SPEED: Final = 6.0
"""Simulated seconds per second: a start takes about a lease, so that some orders are found again and some expire."""
LEASE_S: Final = 45.0
FIRST_QUOTES_S: Final = 20.0
STARVED_MAX: Final = 10
LAST_LIFE_S: Final = 3.0
STARTS: Final = ("10:40", "11:40", "13:40", "14:40")
"""New York. Each window runs through a cutoff, a fixing and settlements when it has more than a few kills."""
_MOMENTS: Final[Mapping[str, int]] = {"starting": 3, "any": 3, "burst": 4, "create": 4, "cancel": 3, "amend": 3}
"""How often, relatively: before READY, any time, right after orders moved, or while an answer is held back."""
_OPERATIONS: Final = {"create": "batch_create", "cancel": "batch_cancel", "amend": "amend"}
_ALIVE_S_MAX: Final = 4.0
_HELD_S_MAX: Final = 6.0
"""How long a request of the wanted kind is waited for; without one the kill comes all the same."""
_LOOK_S: Final = 0.004
_JUST_AFTER_S: Final = 0.03
_AT_ONCE_CHANCE: Final = 0.5
"""That the answer is held back from the process's start on: the first request of the kind is then the one."""
_DEAF_CHANCE: Final = 0.7
"""That the stream, which would tell before the answer does, is silent about orders as well."""
_DOWN_CHANCE: Final = 0.25
LONG_DOWN_AFTER: Final = 1
LONG_DOWN_S: Final = 1.1 * LEASE_S / SPEED
_STATE: Final = "state"
_ENV: Final = QUICK | {"KALSHI_DAEMON_ORDERS__LEASE_S": f"{LEASE_S:g}"}


@dataclass(slots=True)
class Tally:
    """What one window showed."""

    seed: int
    kills: int = 0
    moments: Counter[str] = field(default_factory=Counter)
    before_ready: int = 0
    unanswered: int = 0
    """Orders intended and not answered at a kill."""
    held: int = 0
    """Orders that rested at a kill."""
    found_again: int = 0
    """Of them, those that still rested at the next READY."""
    orders: int = 0
    fills: int = 0
    starved: int = 0
    """Lives that ended in order, because the machine was too busy to follow the exchange's time: no kills."""
    verdict: Verdict = Verdict(0, "", (), (), ())
    problems: list[str] = field(default_factory=list)
    """What else was wrong: exit code, the books, refusals of used ids, rests past a cutoff."""


class Window:
    """`play` once."""

    def __init__(self, folder: Path, seed: int, kills: int, tell: Callable[[str], None]) -> None:
        self._folder = folder
        self._rng = random.Random(seed)
        self._kills = kills
        self._tell = tell
        self._tally = Tally(seed)
        self._lives: list[DaemonRun] = []
        self._start_s = 3.0
        self._left: set[str] = set()

    def play(self) -> Tally:
        """What was seen; a process that did not do what it must within its bound is one of the problems."""
        self._folder.mkdir(parents=True, exist_ok=True)
        processes = Processes(self._folder)
        try:
            start = STARTS[self._tally.seed % len(STARTS)]
            argv = ("--seed", str(self._tally.seed), "--from", start, "--until", "16:05", "--speed", str(SPEED))
            sim = processes.simulator(*argv).wait_ready()
            while self._tally.kills < self._kills and self._tally.starved <= STARVED_MAX:
                self._one_life(processes, sim, first=self._tally.kills == 0)
            self._last_life(processes, sim)
        except AssertionError as problem:
            # Something did not come within its bound: a finding like any other, told with what was seen so far.
            self._tally.problems.append(str(problem))
        finally:
            processes.close()
        return self._tally

    def _one_life(self, processes: Processes, sim: Simulator, *, first: bool) -> None:
        rng = self._rng
        moment = rng.choices([*_MOMENTS], weights=[*_MOMENTS.values()])[0]
        if first and moment == "starting":
            moment = "any"
        if self._tally.kills == LONG_DOWN_AFTER:
            pause(LONG_DOWN_S)  # longer than any lease: only the exchange's own clock ends what rests
        elif rng.random() < _DOWN_CHANCE:
            pause(rng.uniform(0.0, LEASE_S / SPEED))
        at_once = moment in _OPERATIONS and not first and rng.random() < _AT_ONCE_CHANCE
        seen = self._hold_back(sim, moment) if at_once else None
        daemon = self._begin(processes, sim)
        ready_ns = None
        if moment == "starting":
            pause(rng.uniform(0.0, self._start_s))
        else:
            ready_ns = self._ready(daemon, sim)
            if ready_ns is not None and first:
                sim.until_truth(lambda truth: bool(truth["resting"]), "the first quotes rest", FIRST_QUOTES_S)
            if ready_ns is not None:
                self._wait_for(moment, sim, seen)
        # Not later than the death: what follows it counts as nobody's.
        end_ns = sim.now_ns()
        starved_ns = None if daemon.running else _starved_ns(daemon)
        daemon.kill()
        sim.faults(clear=True)
        if starved_ns is not None:
            self._tally.starved += 1
            self._lives.append(DaemonRun(ready_ns, starved_ns))
            return
        self._lives.append(DaemonRun(ready_ns, end_ns))
        self._after_a_kill(sim, daemon, moment, ready_ns)

    def _begin(self, processes: Processes, sim: Simulator) -> Daemon:
        self._began_s = time.monotonic()
        return processes.daemon("--connect", sim.admin_url, state=_STATE, env=_ENV)

    def _ready(self, daemon: Daemon, sim: Simulator) -> int | None:
        """The exchange's time once it is READY; None when the machine was too busy to let it follow that time."""
        try:
            daemon.event("daemon.ready", START_S)
        except AssertionError:
            if daemon.running or _starved_ns(daemon) is None:
                raise
            return None
        ready_ns = sim.now_ns()
        self._start_s = time.monotonic() - self._began_s
        self._tally.found_again += len(self._left & {order["client_order_id"] for order in sim.resting()})
        self._left = set()
        return ready_ns

    def _hold_back(self, sim: Simulator, moment: str) -> int:
        """The next request of that kind will be done and not answered. Returns what shows that it was."""
        seen = _SHOWS[moment](sim.truth())
        sim.faults(inject={"operation": _OPERATIONS[moment], "when": "after", "manner": "hang"})
        if self._rng.random() < _DEAF_CHANCE:
            sim.faults(stream={"muted": ["user_orders"]})
        return seen

    def _wait_for(self, moment: str, sim: Simulator, seen: int | None) -> None:
        rng = self._rng
        if seen is None:
            pause(rng.uniform(0.0, _ALIVE_S_MAX))
        if moment == "any":
            return
        if seen is None:
            seen = self._hold_back(sim, moment) if moment in _OPERATIONS else _SHOWS[moment](sim.truth())
        deadline = time.monotonic() + _HELD_S_MAX
        while _SHOWS[moment](sim.truth()) == seen and time.monotonic() < deadline:
            pause(_LOOK_S)
        pause(rng.uniform(0.0, _JUST_AFTER_S))

    def _after_a_kill(self, sim: Simulator, daemon: Daemon, moment: str, ready_ns: int | None) -> None:
        tally, book = self._tally, self._read()
        tally.kills += 1
        tally.moments[moment] += 1
        tally.before_ready += ready_ns is None
        tally.unanswered += book.unanswered
        resting = {order["client_order_id"] for order in sim.resting()}
        tally.held += len(resting) if ready_ns is not None else 0
        self._left |= resting
        tally.problems += [f"{name} rests and the journal does not call it live" for name in resting - book.live]
        self._hear(daemon)
        self._tell(f"window {tally.seed}: kill {tally.kills} ({moment}), {len(resting)} resting")

    def _last_life(self, processes: Processes, sim: Simulator) -> None:
        daemon = self._begin(processes, sim)
        while (ready_ns := self._ready(daemon, sim)) is None:
            self._tally.starved += 1
            assert self._tally.starved <= STARVED_MAX, "this machine is too busy"
            daemon = self._begin(processes, sim)
        pause(LAST_LIFE_S)
        end_ns = sim.now_ns()
        code = daemon.stop(within_s=60)
        self._lives.append(DaemonRun(ready_ns, sim.now_ns()))
        tally, summary = self._tally, daemon.summary
        self._hear(daemon)
        if code != 0 or not (summary["verified"] and summary["books_equal"]):
            tally.problems.append(f"the last life ended with {code}, {summary}")
        truth = sim.truth()
        if truth["resting_after_cutoff_max"]:
            tally.problems.append(f"{truth['resting_after_cutoff_max']} rested after a cutoff")
        tally.problems += [f"asked {name}" for name in truth["requests"] if name.endswith(" 409")]
        rests, trades = read_rests(sim), trades_of(truth["fills"])
        if len(rests) != truth["orders_total"]:
            tally.problems.append(f"{truth['orders_total']} orders at the exchange, {len(rests)} of ours")
        tally.orders, tally.fills = len(rests), len(trades)
        book = self._read()
        tally.problems += [f"{name} is live in the journal after a verified stop" for name in book.live]
        tally.verdict = judge(rests, self._lives, book, trades, max(end_ns, int(truth["now_ns"])))

    def _read(self) -> Book:
        return read_journal(self._folder / _STATE)

    def _hear(self, daemon: Daemon) -> None:
        """An id used twice, a stack trace, or a task that died is a finding wherever it happens."""
        heard = ("order_already_exists", "daemon.task_died", "order.revived", "order.ghost_listed", "order.adopted")
        self._tally.problems += [line for line in daemon.out if any(word in line for word in heard)]
        self._tally.problems += daemon.err


def _starved_ns(daemon: Daemon) -> int | None:
    """When a daemon that ended by itself began to, if it was for losing the exchange's time; None for other ends."""
    daemon.wait()
    if not any("follow the simulator's clock" in line for line in daemon.out):
        return None
    return ns_of(daemon.events("stop.asked")[0]["ts"])


def _latest_expiry(truth: Json) -> int:
    return max((order["expires_ns"] for order in truth["resting"]), default=0)


_SHOWS: Final[Mapping[str, Callable[[Json], int]]] = {
    "burst": lambda truth: int(truth["orders_total"] + truth["cancels_total"]),
    "create": lambda truth: int(truth["orders_total"]),
    "cancel": lambda truth: int(truth["cancels"].get("", 0)),
    "amend": _latest_expiry,
}
"""What in the exchange's truth moves when a request of the kind has been done."""
