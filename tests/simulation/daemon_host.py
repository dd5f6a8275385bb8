"""The machine the daemon runs on: lives that begin, are killed without a word, and begin again on the same journal.

A kill is a copy of the journal's files as they are at that instant; then the host goes silent and its tasks are
cancelled. Whatever they write on their way out goes to files that nobody reads again: the next life gets the copy.
"""

import asyncio
import hashlib
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simloop import SimLoop

from kalshi_daemon.app.clients import Endpoints
from kalshi_daemon.app.daemon import DaemonRun, RunOptions
from kalshi_daemon.domain.order import Order, Status
from kalshi_daemon.ground.errors import DaemonError, ExitCode
from kalshi_daemon.kalshi.transport import open_session
from kalshi_daemon.operations.kill_switch import engage, kill_switch_path
from kalshi_daemon.orders.journal import journal_path
from kalshi_daemon.settings.model import Settings
from tests.simulation.disk import Disk
from tests.simulation.log_volume import Hear, SteppedSink, Volume
from tests.simulation.virtual_time import LoopClock

HOST = "daemon"
_RESTART_S = 2.0
"""systemd's RestartSec for a life that ended by itself."""


@dataclass(frozen=True, slots=True)
class LastBooks:
    """What a life that ended in order said of money: open positions, moved cash (1/10 000 dollar), its own check."""

    positions: dict[str, int]
    cash: int
    proved: bool
    detail: str


IntentWatch = Callable[[DaemonRun, Order], None]


class DaemonHost:
    """Owns the lives. `settings_in(folder)` makes the settings of a life whose state is below `folder`."""

    def __init__(
        self,
        loop: SimLoop,
        folder: Path,
        settings_in: Callable[[Path], Settings],
        where: Endpoints,
        clock: LoopClock,
        on_intent: IntentWatch,
        on_log: Hear,
    ) -> None:
        self._loop = loop
        self._folder = folder
        self._copy = folder / "copy" / journal_path(folder).name
        """The journal of the last life, to look into."""
        self._settings_in = settings_in
        self._where = where
        self._clock = clock
        self._on_intent = on_intent
        self._host = loop.net.host(HOST)
        self._on_log = on_log
        self.volume = Volume()
        self.sink: SteppedSink | None = None
        """The log of the last life that began."""
        self.disk = Disk(folder)
        self.folder: Path | None = None
        """Where the state of that life is."""
        self.ended_of: Counter[str] = Counter()
        """By name: the errors that lives ended of."""
        self._held = False
        self._task: asyncio.Task[None] | None = None
        self._on_disk: frozenset[str] = frozenset()
        self.life: DaemonRun | None = None
        """The life that is on; None while the machine is down."""
        self._loaded_life: DaemonRun | None = None
        self._settings: Settings | None = None
        self.lives = 0
        self.crashes = 0
        self.stops = 0
        self.kill_switch = False
        self.problems: list[str] = []
        """Ends that no fault explains."""
        self.last_exit: ExitCode | None = None
        self.last_books: LastBooks | None = None
        self.verified_life = 0
        """The life that last said zero; 0 while none has, or another is on."""
        self._not_compared_life = 0
        """The life that last got no answer to compare its books with."""
        self.fills_misprinted_until_s = 0.0
        """Until when the exchange's list of fills tells every one of them wrong, with time for a read on its way."""

    # --- what the checkers ask

    @property
    def loaded(self) -> bool:
        """Whether a life is on that has taken over the journal."""
        life = self.life
        return life is not None and life is self._loaded_life

    @property
    def ready(self) -> bool:
        """Whether a life is on that has agreed with the exchange."""
        return self.loaded and self.life is not None and self.life.state.reconciliation.agreed

    def knows(self, client_order_id: str) -> bool:
        """Whether our books, in memory or else on disk, hold this order as live."""
        if self.life is None or not self.loaded:
            return client_order_id in self._on_disk
        order = self.life.state.orders.get(client_order_id)
        return order is not None and order.status.live

    def on_resolved(self, event: str, fields: Mapping[str, Any]) -> None:
        """A line of the log of the life that is on."""
        if event == "journal.loaded":
            self._loaded_life = self.life
            self.verified_life = 0
        elif event == "stop.verified":
            self.verified_life = self.lives
        elif event == "stop.accounts_not_compared":
            self._not_compared_life = self.lives
        elif event == "session.summary" and self.life is not None and self.life.components is not None:
            ledger = self.life.components.core.orders._bookkeeping.ledger
            open_positions = {p.market_ticker: int(p.count) for p in ledger.open_positions() if p.count}
            proved, detail = bool(fields["books_equal"]), str(fields["books_detail"])
            self.last_books = LastBooks(open_positions, int(ledger.exchange_cash()), proved, detail)

    # --- lives

    def begin(self) -> None:
        """Start a life on what the last one left on disk."""
        if self.life is not None:
            return
        if self.disk.gone is not None:
            self._held = True  # until the operator has put the journal back
            return
        self.lives += 1
        folder = self.folder = self._folder / str(self.lives)
        if self.lives > 1:
            shutil.copytree(self._folder / "disk", journal_path(folder / "sim").parent)
        else:
            (folder / "sim").mkdir(parents=True)
        settings = self._settings = self._settings_in(folder)
        entropy = hashlib.sha256(f"{self._loop.seed} {self.lives}".encode()).digest()[:16]
        self.sink = SteppedSink(folder, self.volume, self._on_log)
        self.life = DaemonRun(settings, _OPTIONS, self._clock, entropy=entropy, sink=self.sink)
        self.set_kill_switch(engaged=self.kill_switch)
        self._task = self._host.create_task(self._live(self.life), name="life")

    def kill(self) -> None:
        """kill -9."""
        life = self.life
        if life is None:
            return
        self.crashes += 1
        self._keep_disk()
        self.life = None
        self._loop.net.crash(HOST)

    def reboot(self) -> None:
        """Bring the killed machine back; `begin` starts the next life."""
        self._loop.net.restart(HOST)

    def put_journal_back(self) -> None:
        """The operator has found the file, and starts a daemon that ended of its loss."""
        self.disk.put_back()
        if self._held:
            self._held = False
            self.begin()

    def stop(self) -> None:
        """SIGTERM."""
        if self.life is not None:
            self.stops += 1
            self.life.stop.ask("SIGTERM")

    async def over(self) -> None:
        """Wait for the end of the life that is on."""
        if self._task is not None and self.life is not None:
            await asyncio.wait({self._task})

    def set_kill_switch(self, *, engaged: bool) -> None:
        self.kill_switch = engaged
        if self.life is None:
            return
        path = kill_switch_path(self._folder / str(self.lives) / "sim")
        if engaged:
            path.parent.mkdir(parents=True, exist_ok=True)
            engage(path, "a fault", self._clock.now_ns())
        else:
            path.unlink(missing_ok=True)

    async def _live(self, life: DaemonRun) -> None:
        asked = False
        try:
            async with open_session() as http, asyncio.TaskGroup() as group:
                group.create_task(self._watch_intents(life))
                code = await life.trade(self._where, http, end_ns=None)
            self._ended(life, code)
            asked = life.stop.reason == "SIGTERM"
        except* Exception as problems:  # noqa: BLE001 - whatever it was, it is a finding
            problem = problems.exceptions[0]
            self._ended(life, problem.exit_code if isinstance(problem, DaemonError) else ExitCode.FAILURE, problem)
        if not asked:
            self._loop.call_later(_RESTART_S, self.begin)

    def _ended(self, life: DaemonRun, code: ExitCode, problem: Exception | None = None) -> None:
        if self.life is not life:
            return  # it was killed while it ended
        self._keep_disk()
        self.life = None
        self.last_exit = code
        died = _died_of(life, problem)
        self.ended_of[died] += bool(died)
        if not self._explained(life, code, problem, died):
            said = problem or died
            self.problems.append(f"life {self.lives} ended {code.name} of {said!r}, asked by {life.stop.reason!r}")

    def _explained(self, life: DaemonRun, code: ExitCode, problem: Exception | None, died: str) -> bool:
        """Whether a fault explains this end. What is heard from outside ends no process, whatever its exit code."""
        if died in _JOURNAL_ENDS:
            return self._loop.time() < self.disk.troubled_until_s and code in {ExitCode.FAILURE, ExitCode.UNVERIFIED}
        if died in _OUTSIDE_OR_BUG or code in {ExitCode.USAGE, ExitCode.CONFIG, ExitCode.REFUSED}:
            return False
        # A stop that verified zero and then found no answer to compare the books with says so and fails, as it must.
        silent = life.stop.reason == "SIGTERM" and self._not_compared_life == self.lives
        # A stop whose journal takes nothing cannot bring the books up to date: it says so and fails, as it must.
        unwritten = life.stop.reason == "SIGTERM" and self._loop.time() < self.disk.troubled_until_s
        # A stop that is told other fills than it has booked says that its books differ and fails, as it must.
        misled = (
            life.stop.reason == "SIGTERM"
            and self._loop.time() < self.fills_misprinted_until_s
            and self.last_books is not None
            and not self.last_books.proved
        )
        return code is not ExitCode.FAILURE or isinstance(problem, DaemonError) or silent or unwritten or misled

    async def _watch_intents(self, life: DaemonRun) -> None:
        """Hear of every intent at the instant it is written down."""
        while life.components is None:  # noqa: ASYNC110 - `trade` builds the components in its first step
            await asyncio.sleep(0)
        journal = life.components.files.journal
        record = journal.record_intents

        def recorded(orders: Any) -> None:
            record(orders)
            for order in orders:
                if order.status is Status.INTENDED:
                    self._on_intent(life, order)

        journal.record_intents = recorded  # type: ignore[method-assign] # the one place every intent passes

    # --- disk

    def fills_on_disk(self) -> dict[str, tuple[str, str, int, int, int]]:
        """Trade id -> (order id, side, price, count, fee), as the last life left the journal."""
        connection = sqlite3.connect(self._copy)
        try:
            rows = connection.execute("SELECT trade_id, order_id, side, price, count, fee FROM fills").fetchall()
        finally:
            connection.close()
        return {row[0]: tuple(row[1:]) for row in rows}

    def _keep_disk(self) -> None:
        assert self._settings is not None, "there was a life"
        journal = journal_path(self._settings.mode_dir)
        for target in (self._folder / "disk", self._copy.parent):
            shutil.rmtree(target, ignore_errors=True)
            target.mkdir(parents=True)
            for path in self.disk.files_of(journal):
                shutil.copyfile(path, target / path.name)
        self._on_disk = _live_ids(self._copy)


def _died_of(life: DaemonRun, problem: Exception | None) -> str:
    """The name of the error that a life ended of; "" when it was asked to stop."""
    if problem is not None:
        return type(problem).__name__
    reason = life.stop.reason
    return reason.removeprefix("task died: ") if reason.startswith("task died: ") else ""


def _live_ids(path: Path) -> frozenset[str]:
    """What the journal calls live. Reads a copy of its own, for reading recovers the write-ahead log."""
    if not path.exists():
        return frozenset()
    marks = ",".join(f"'{status.value}'" for status in Status if status.live)
    connection = sqlite3.connect(path)
    try:
        rows = connection.execute(f"SELECT client_order_id FROM orders WHERE status IN ({marks})").fetchall()
    except sqlite3.OperationalError:
        rows = []  # killed before the schema was written
    finally:
        connection.close()
    return frozenset(name for (name,) in rows)


_JOURNAL_ENDS = {"StateLocked", "StateDiskFull", "StateGone"}
_OUTSIDE_OR_BUG = {
    *("MalformedData", "MalformedField", "MissingField", "UnknownValue", "PartlyUnreadable", "IllegalTransition"),
    *("ValueError", "TypeError", "KeyError", "IndexError", "AttributeError", "OverflowError", "AssertionError"),
    *("Overflow", "InvalidOperation", "UnicodeDecodeError", "UnicodeEncodeError", "RecursionError", "StateCorrupt"),
}
_ENVIRON: Mapping[str, str] = {}
_OPTIONS = RunOptions(armed=True, force_gate_pass=False, show_progress=False, environ=_ENVIRON)
