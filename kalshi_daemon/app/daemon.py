"""One process, one loop: starts the tasks under one TaskGroup and owns the shutdown sequence.

Every end goes the same way, whoever asks for it (SIGTERM, SIGINT, the end of a simulated session, a task that died):
the latch blocks new orders, the tasks are stopped, everything is cancelled, the exchange is asked until it lists
nothing, the books are brought up to date, state is written, and the exit code says whether that was verified.
"""

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

import aiohttp
import structlog

from kalshi_daemon import __version__
from kalshi_daemon.app.assembly import Components, build_components
from kalshi_daemon.app.clients import Endpoints
from kalshi_daemon.app.core import Note, Plan, profiles_of
from kalshi_daemon.app.recorded import books_of, register
from kalshi_daemon.app.session_end import Steps, exit_code, first_failure, say_failure, summarise, unsummarised
from kalshi_daemon.app.session_start import open_log, start_when_clock_agrees
from kalshi_daemon.app.stopping import StopSignal
from kalshi_daemon.digest.keeper import DigestKeeper
from kalshi_daemon.digest.making import Source
from kalshi_daemon.ground.clock import Clock
from kalshi_daemon.ground.errors import AuthFailed, ExitCode, VenueUnreachable
from kalshi_daemon.ground.sight import PLAIN_SIGHT, Sight
from kalshi_daemon.ground.units import MILLISECOND, SECOND, Nanos, from_s
from kalshi_daemon.operations.healthcheck import HEARTBEAT_NAME
from kalshi_daemon.operations.logging import LineSink
from kalshi_daemon.operations.notify import Notifier
from kalshi_daemon.operations.status import DaemonStatus, RunFacts, status_of
from kalshi_daemon.operations.status_forms import log_fields
from kalshi_daemon.orders.cancelling import StopResult
from kalshi_daemon.recording.desk import Desk
from kalshi_daemon.settings.instruments import instruments_of
from kalshi_daemon.settings.model import Settings
from kalshi_daemon.state import DaemonState

SESSION_END: Final = "session_end"
"""Why a simulated session stops that ran to its end."""

log = structlog.get_logger()

FILES_WITHIN_S: Final = 5.0
"""Real time allowed for the last files; the batch a disk has taken by then is waited for."""
ANSWER_WITHIN: Final = SECOND
"""How long a stop waits for the answer to a create before it lets it go. Cancelling begins after that."""
_HEARTBEAT_EVERY: Final = Nanos(5 * SECOND)


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What the command line adds to the settings."""

    armed: bool
    force_gate_pass: bool
    show_progress: bool
    """Draw a table on the terminal; the JSON lines then go to the file only."""
    environ: Mapping[str, str]
    write_digest: bool = False
    """Write the day's digest after each session and at the stop."""
    keep_tidy: bool = False
    """Pack finished days, and let go what is kept no longer."""

    @property
    def recorded(self) -> dict[str, bool]:
        """What a replay has to be told of them."""
        return {"armed": self.armed, "force_gate_pass": self.force_gate_pass}


class _Stop(Exception):  # noqa: N818 - not an error: how the working group is told to end
    """The stop was asked for."""


def run_id_of(entropy: bytes) -> str:
    """The name of a run."""
    return entropy[:6].hex()


class DaemonRun:
    """One life of the daemon. `entropy` names the run and its orders: 16 random bytes, never the same twice.

    Who runs it on a loop without signals or with a log of its own says so: it calls `stop.ask`, and passes `sink`.
    """

    def __init__(
        self,
        settings: Settings,
        options: RunOptions,
        clock: Clock,
        *,
        entropy: bytes | None = None,
        sink: LineSink | None = None,
        sight: Sight = PLAIN_SIGHT,
        note: Note | None = None,
    ) -> None:
        self._sight = sight
        self._note = note
        self._settings = settings
        self._options = options
        self._clock = clock
        self.state = DaemonState(instruments_of(settings.instruments))
        self._entropy = entropy or os.urandom(16)
        self._run_id = run_id_of(self._entropy)
        self.sink = sink or open_log(settings, clock, self._run_id, stdout=not options.show_progress)
        self._notifier = Notifier(options.environ, os.getpid())
        self.stop = StopSignal(self.state.latch, clock)
        self._heartbeat = settings.mode_dir / HEARTBEAT_NAME
        self._beat_ns = Nanos(0)
        self._turned_ns: Nanos | None = None
        self.clock_outside = clock
        """For those who look from outside: of a run on a serial loop, the time that also passes between inputs."""
        self.components: Components | None = None
        """Its parts, once they are built."""
        self._digest: DigestKeeper | None = None
        self.on_time: asyncio.Event | None = None
        """Set once the clock shows the exchange's time; None: it always does. Nothing is asked before: a request signed
        by a clock that still stands where it was built is refused like a wrong key.
        """
        self._failure: Exception | None = None
        self._was_ready = False
        self._heartbeat_problem = ""
        self._closed_since: dict[str, Nanos] = {}
        self._steps = Steps()

    def reopen_log(self) -> None:
        """SIGHUP: the log file was moved away, write to its path again."""
        if not self.stop.ended:
            self.sink.reopen()
            log.info("log.reopened")

    def say_status(self) -> None:
        """SIGUSR1: one line that says how things stand."""
        if self.stop.ended:
            return
        said = self._steps.take("status", lambda: log_fields(self.status()))
        log.info("daemon.status", **(said or {}))

    def status(self) -> DaemonStatus:
        """How it stands now."""
        turned, parts, clock = self._turned_ns, self.components, self.clock_outside
        facts = RunFacts(
            self._settings.mode.value,
            __version__,
            self._run_id,
            self._was_ready,
            None if turned is None else (clock.mono_ns() - turned) // MILLISECOND,
            None if parts is None else parts.core.trader.chain,
            profiles_of(self._settings),
            self._closed_since,
        )
        status = status_of(self.state, clock.now_ns(), facts)
        self._closed_since = {one.guard: one.since_ns for one in status.closed}
        return status

    def fail(self, problem: Exception) -> None:
        """Something outside the working tasks broke: stop in order, and let the exit code tell why."""
        self._failure = self._failure or problem
        self.stop.ask(f"failed: {type(problem).__name__}")

    def busy(self) -> bool:
        """Whether an answer is on its way: simulated time then waits for it."""
        return self.components is not None and self.components.awaiting

    async def trade(self, where: Endpoints, http: aiohttp.ClientSession, *, end_ns: Nanos | None) -> ExitCode:
        """Build, work, stop, sum up. Raises AuthFailed for a key refused at a start that owns nothing."""
        plan = Plan(
            run_id=self._run_id,
            entropy=self._entropy,
            armed=self._options.armed,
            force_gate_pass=self._options.force_gate_pass,
            on_progress=self._on_progress,
            sight=self._sight,
            note=self._note,
        )
        components = build_components(self._settings, plan, self._clock, where, http, self.state)
        self.components = components
        if self._options.write_digest:
            whole_account = self._settings.orders.scope == "account"
            mode = self._settings.mode.value
            source = Source(self._settings.mode_dir, mode, whole_account, self.state.instruments)
            self._digest = DigestKeeper(source, self._clock, components.core.sessions)
        log.info(
            "daemon.starting",
            version=__version__,
            armed=plan.armed,
            force_gate_pass=plan.force_gate_pass,
            rest_url=where.rest_url,
            feed_url=where.feed_url,
            key_algorithm=where.signer.algorithm,
            key_fingerprint=where.signer.fingerprint[:16],
            watchdog_s=None if self._notifier.watchdog_ns is None else self._notifier.watchdog_ns // SECOND,
        )
        failure = await self._work(components, end_ns)
        if isinstance(failure, AuthFailed) and not self._was_ready and not self.state.live_orders():
            # A key that never opened anything: nothing is ours there, and asking on with it only repeats the refusal.
            self.stop.end()
            self._steps.take("journal_close", components.files.journal.close)
            raise failure
        self._notifier.stopping("cancelling everything")
        stopped = await self._clear(components)
        code = await self._finish(components, stopped, failure)
        self._steps.take("journal_close", components.files.journal.close)
        return code

    # -- work

    async def _work(self, components: Components, end_ns: Nanos | None) -> Exception | None:
        """Run the tasks until the stop is asked for or one of them dies; returns what it died of."""
        failure: Exception | None = None
        try:
            # First of all: a stop asked for before READY, or a session that is over already, knows its own books too.
            components.core.orders.load()
            async with asyncio.TaskGroup() as group:
                # A task of its own, so that a stop asked for before READY is heard at once.
                group.create_task(self._start(components, group), name="start")
                if end_ns is not None:
                    group.create_task(self._end_at(end_ns), name="session_end")
                await self.stop.wait()
                await self._steps.wait_for("create_answers", self._await_creates(components))
                raise _Stop  # noqa: TRY301 - ends the group: every task is cancelled
        except* _Stop:
            pass
        except* Exception as died:  # noqa: BLE001 - whatever a task died of, the shutdown is the same
            failure = first_failure(died)
        failure = failure or self._failure
        if failure is not None:
            if not self.state.latch.closed:
                self.stop.ask(f"task died: {type(failure).__name__}")
            say_failure(failure)
        return failure

    async def _await_creates(self, components: Components) -> None:
        """Give a create on the wire the time of an answer: let go it is unknown, and that may take ten seconds."""
        if not await components.core.orders.answered(Nanos(self._clock.now_ns() + ANSWER_WITHIN)):
            log.warning("stop.create_unanswered", waited_ms=ANSWER_WITHIN // MILLISECOND)

    async def _start(self, components: Components, group: asyncio.TaskGroup) -> None:
        """Reconcile before READY; nothing is quoted earlier."""
        group.create_task(components.files.artifacts.run(), name="artifacts")
        components.watches.kill_switch.look()
        if self.on_time is not None:
            await self.on_time.wait()
        await components.watches.disk.look()
        # First, because it goes on asking for half a minute: systemd gives up on starts that fail fast.
        await start_when_clock_agrees(components.core.orders.start, self._clock, self._notifier)
        await components.wire.rest.load_limits()
        for name, work in (
            ("index_feed", components.wire.feed.run()),
            ("recorder", components.files.recorder.run()),
            ("kalshi.stream", components.wire.stream.run()),
            ("venue", components.core.monitor.run()),
            ("windows", components.core.scheduler.run()),
            ("macro", components.watches.macro.run()),
            ("kill_switch", components.watches.kill_switch.run()),
            ("disk", components.watches.disk.run()),
            ("group_resets", components.watches.group_resets.run()),
            ("orders", components.core.orders.run()),
            ("trader", components.core.trader.run()),
            ("calibration_store", components.core.learning.memory.run()),
        ):
            group.create_task(work, name=name)
        if components.core.learning.gaps is not None:
            group.create_task(components.core.learning.gaps.run(), name="gap_fill")
        if components.core.snapshots is not None:
            group.create_task(components.core.snapshots.run(), name="snapshots")
        if self._digest is not None:
            group.create_task(self._digest.run(), name="digest")
        if self._options.keep_tidy:
            group.create_task(components.files.retention.run(), name="retention")
        if self._options.show_progress:
            from kalshi_daemon.operations.progress import on_terminal  # noqa: PLC0415 - rich, only for people

            group.create_task(on_terminal(self.status), name="progress")
        self._notifier.ready("reconciled, watching" if not self._options.armed else "reconciled, quoting")
        self._was_ready = True
        log.info("daemon.ready", reconciled=self.state.reconciliation.agreed)

    async def _end_at(self, end_ns: Nanos) -> None:
        await self._clock.sleep_until(end_ns)
        self.stop.ask(SESSION_END)

    def _on_progress(self) -> None:
        """Called by the decision loop at every turn: feeds the watchdog and touches the heartbeat."""
        self._notifier.alive()
        now = self._turned_ns = self._clock.mono_ns()
        if now - self._beat_ns >= _HEARTBEAT_EVERY:
            self._beat_ns = now
            self._touch()

    def _touch(self) -> None:
        """A disk that refuses is said once: the heartbeat is for a container's health check, not for trading."""
        try:
            self._heartbeat.touch()
        except OSError as refused:
            if str(refused) != self._heartbeat_problem:
                log.warning("daemon.heartbeat_failed", problem=str(refused))
            self._heartbeat_problem = str(refused)
        else:
            self._heartbeat_problem = ""

    # -- the shutdown sequence

    async def _clear(self, components: Components) -> StopResult:
        deadline = Nanos(self._clock.now_ns() + from_s(self._settings.orders.stop_deadline_s))
        started = self._clock.mono_ns()
        if not self._options.armed:
            return StopResult(verified=True, remaining=0, detail="not armed: nothing was ever sent")
        live = len(self.state.live_orders())
        unknown = StopResult(verified=False, remaining=live, detail="cancelling everything failed")
        work = components.core.orders.cancel_all(self.stop.reason, deadline)
        result = await self._steps.wait_for("cancel_all", work) or unknown
        took_ms = (self._clock.mono_ns() - started) // MILLISECOND
        level = log.info if result.verified else log.error
        level(
            "stop.verified" if result.verified else "stop.unverified",
            remaining=result.remaining,
            detail=result.detail,
            took_ms=took_ms,
        )
        return result

    async def _finish(self, components: Components, stopped: StopResult, failure: Exception | None) -> ExitCode:
        """Bring the books up to date, write what is left, print the summary last. No step depends on one before."""
        steps = self._steps
        steps.take("memory", components.core.learning.memory.save)
        summed_up = await steps.wait_for("summary", summarise(components.core.orders, self.state, stopped))
        summary = summed_up or unsummarised(self.state, stopped)
        steps.take("archive", components.core.orders.archive)
        steps.take("report", lambda: components.files.artifacts.report(self.state))
        steps.take("session", lambda: components.files.artifacts.session(summary))
        await steps.wait_for("files", self._write_files(components))
        if self._digest is not None:
            await steps.wait_for("digest", self._digest.at_stop())
        if self._options.keep_tidy and self.stop.reason == SESSION_END and not self._settings.sim.connect:
            await steps.wait_for("retention", components.files.retention.at_stop())
        if self._options.show_progress:
            self.sink.show()
        self.stop.end()
        self.sink.expect_last_line()
        log.info("session.summary", **summary.log_fields, stop_reason=self.stop.reason)
        owned = steps.take("journal_orders", components.files.journal.live_orders)
        if isinstance(failure, VenueUnreachable) and not self._was_ready and owned is not None and not owned:
            # Never spoke with the exchange and owns nothing there: what is wrong is the way to it.
            return failure.exit_code
        return exit_code(self._settings, stopped, failure, summary)

    async def _write_files(self, components: Components) -> None:
        try:
            async with asyncio.timeout(FILES_WITHIN_S):
                await components.files.recorder.flush()
                await components.files.artifacts.drain()
        except TimeoutError:
            log.warning("stop.files_not_written", waited_s=FILES_WITHIN_S)


def recordable_run(settings: Settings, options: RunOptions, desk: Desk, entropy: bytes, sink: LineSink) -> DaemonRun:
    """A run that lives on the serial loop of `desk`: live, or in a replay."""
    run = DaemonRun(settings, options, desk.clock, entropy=entropy, sink=sink, sight=desk, note=desk.note)
    register(desk, run.stop.ask, run.fail)
    desk.books = partial(books_of, run.state)
    return run
