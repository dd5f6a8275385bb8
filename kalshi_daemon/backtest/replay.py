"""Plays a recording: the same run of the daemon, given input after input, and held against what it did in life.

Nothing leaves the process and nothing waits: files go to a folder of the replay's own, threads' work is done where it
is handed over, and its end comes when the recording says.
"""

from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from kalshi_daemon.app.clients import Endpoints
from kalshi_daemon.app.daemon import DaemonRun, RunOptions, recordable_run
from kalshi_daemon.app.recorded import told_on_time
from kalshi_daemon.backtest.replay_verdict import Counts, Difference, Replayed
from kalshi_daemon.ground.clock import StampedClock
from kalshi_daemon.ground.errors import ConfigurationError
from kalshi_daemon.ground.units import Nanos
from kalshi_daemon.operations.logging import LineSink
from kalshi_daemon.recording.desk import INTERLEAVED, Desk
from kalshi_daemon.recording.driver import mono_of
from kalshi_daemon.recording.entries import Entry, Input, Stamp
from kalshi_daemon.recording.opening import Opening, unpack, versions
from kalshi_daemon.recording.reader import Gap, Recording
from kalshi_daemon.recording.wire import WireDial, WireSession
from kalshi_daemon.settings.model import Settings

_SAW = "saw"


class RecordedSigner:
    """Signs nothing: there is nobody to check it."""

    def __init__(self, algorithm: str, fingerprint: str) -> None:
        self.algorithm = algorithm
        self.fingerprint = fingerprint

    def headers(self, _method: str, _path: str, _timestamp_ms: int) -> dict[str, str]:
        """None."""
        return {}


class Player:
    """One replay below `folder`, which is empty. Raises ConfigurationError for a recording of other versions."""

    def __init__(self, recording: Recording, folder: Path) -> None:
        opening = recording.opening
        _check_versions(recording)
        self.recording = recording
        self._origin_ns: int | None = opening.clock["origin_ns"]
        at = recording.start
        self.clock = StampedClock(Nanos(at.now_ns), Nanos(mono_of(at, self._origin_ns)), float(opening.clock["rate"]))
        self.desk = Desk(self.clock, self, self, at.real_ns)
        self.settings = settings_of(recording, folder)
        self.run: DaemonRun = _run_of(opening, self.settings, self.desk)
        self.counts = Counts()
        self.difference: Difference | None = None
        self.gap: Gap | None = None
        self.last: Input | None = None
        self._expected: deque[Entry] = deque()
        self._seen: dict[str, deque[tuple[int, Any]]] = {}
        self._sees: dict[str, Any] = {}
        self._results: dict[tuple[str, int], tuple[Any, Exception | None]] = {}

    def play(self, until_ns: Nanos | None = None) -> None:
        """To the first difference, the first gap, the end, or the last input up to `until_ns`."""
        for found in self.recording.read():
            if isinstance(found, Gap):
                self.gap = found
                return
            if until_ns is not None and found.at.now_ns > until_ns:
                return
            self._play(found)
            if self.difference is not None:
                return

    def came_to(self, cpu_s: float) -> Replayed:
        """How far it came, and how things stand there. cpu_s: what it took."""
        return Replayed(
            self.recording,
            self.counts,
            self.difference,
            self.gap,
            self.last,
            self.run.state,
            self.run.status(),
            self.clock.now_ns(),
            cpu_s,
        )

    def write_files(self) -> None:
        """Put the artifacts of all decisions so far into the folder."""
        components = self.run.components
        if components is None:
            return
        drain = components.files.artifacts.drain
        self.desk.loop.step(0, lambda: self.desk.loop.create_task(drain(), name="replay.files"))
        while self._results:
            for name, number in list(self._results):
                self.desk.end_job(name, number)
                self._results.pop((name, number), None)

    def close(self) -> None:
        """Give up what still runs."""
        self.desk.give_up()
        if self.run.components is not None:
            self.run.components.files.journal.close()

    def _play(self, found: Input) -> None:
        self.last = found
        self.counts.inputs += 1
        self._expected = deque(entry for entry in found.followed if entry[0] != INTERLEAVED)
        self.counts.interleaved += len(self._expected) < len(found.followed)
        for entry in self._expected:
            if entry[0] == _SAW:
                self._seen.setdefault(entry[1], deque()).append((entry[2], entry[3]))
        self.desk.deliver(found.at, mono_of(found.at, self._origin_ns), found.kind, found.detail)
        if self._expected and self.difference is None:
            self._differs(self._expected[0], None)

    def _differs(self, expected: Entry | None, came: Entry | None) -> None:
        assert self.last is not None, "nothing comes before the first input"
        self.difference = Difference(self.last.number, Nanos(self.last.at.now_ns), self.last.kind, expected, came)

    # -- what the daemon does, held against what it did

    def note_input(self, at: Stamp, kind: str, detail: Entry, size_bytes: int = 0) -> None:
        """It is the recording's own."""

    def note(self, entry: Entry, size_bytes: int = 0) -> None:  # noqa: ARG002 - as a writer's
        """The next thing that follows from the input."""
        if self.difference is not None:
            return
        came = plain(entry)
        expected = self._expected.popleft() if self._expected else None
        if expected != came:
            self._differs(expected, came)
            return
        self.counts.compared += 1
        self.counts.scans += came[0] == "scan"
        self.counts.requests += came[0] == "http"

    # -- the outside, of which there is none

    def wake(self) -> None:
        """The next input comes anyway."""

    def call_from_thread(self, call: Callable[[], object]) -> None:
        """There are no threads."""

    def ask(self, number: int, kind: str, detail: tuple[Any, ...]) -> None:
        """Its answer is an input."""

    def cancel(self, number: int) -> None:
        """Nothing is under way."""

    def tell(self, kind: str, detail: tuple[Any, ...]) -> None:
        """Nobody is told."""

    def start_job(self, name: str, number: int, work: Callable[[], Any]) -> None:
        try:
            self._results[name, number] = (work(), None)
        except Exception as problem:  # noqa: BLE001 - whoever awaits it is told
            self._results[name, number] = (None, problem)

    def job_result(self, name: str, number: int) -> tuple[Any, Exception | None]:
        return self._results.pop((name, number), (None, None))

    def look(self, name: str, count: int, _work: Callable[[], Any]) -> Any:  # noqa: ANN401 - JSON values
        """What was seen at this look. count: of looks, from 1 on."""
        changes = self._seen.get(name)
        while changes and changes[0][0] <= count:
            change, seen = changes.popleft()
            self._sees[name] = seen
            if change == count:
                self.note([_SAW, name, count, seen])
        if name not in self._sees:
            self._differs(None, [_SAW, name, count])
            raise LookupError(f"{name} was not looked at in life")
        return self._sees[name]


def plain(entry: Entry) -> Entry:
    """An entry as it comes back from a file."""
    return [_plain(value) for value in entry]


def _plain(value: Any) -> Any:  # noqa: ANN401 - JSON values
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    return str(value) if isinstance(value, str) else value


def settings_of(recording: Recording, folder: Path) -> Settings:
    """The settings of the run, with every file below `folder`. Raises ConfigurationError."""
    opening, path = recording.opening, str(recording.path)
    try:
        named = {name: str(where) for name, where in unpack(opening.named, folder / "named").items()}
        settings = Settings.model_validate(_renamed(opening.settings, named) | {"state_dir": str(folder / "state")})
        unpack(opening.state, settings.mode_dir)
    except (ValidationError, ValueError, OSError) as problem:
        said = str(problem).splitlines()[0]
        raise ConfigurationError(path, f"its opening cannot be used: {said}", "replay another one") from None
    orders = settings.orders.model_copy(update={"journal_synchronous": "off"})
    return settings.model_copy(update={"orders": orders})


def _renamed(value: Any, names: dict[str, str]) -> Any:  # noqa: ANN401 - JSON values
    if isinstance(value, dict):
        return {key: _renamed(one, names) for key, one in value.items()}
    return names.get(value, value) if isinstance(value, str) else value


def _run_of(opening: Opening, settings: Settings, desk: Desk) -> DaemonRun:
    told = opening.options
    options = RunOptions(told["armed"], told["force_gate_pass"], show_progress=False, environ={})
    sink = LineSink(stdout=False, path=None, bytes_max=1_000)
    run = recordable_run(settings, options, desk, bytes.fromhex(opening.entropy), sink)
    if told["on_time"]:
        run.on_time = told_on_time(desk.handlers)
    address = opening.where
    signer: Any = RecordedSigner(address["algorithm"], address["fingerprint"])
    where = Endpoints(
        address["rest_url"],
        address["ws_url"],
        address["feed_url"],
        signer,
        near=partial(WireDial, desk),
    )
    http: Any = WireSession(desk, None)
    end_ns = None if opening.end_ns is None else Nanos(opening.end_ns)
    desk.begin_with(partial(run.trade, where, http, end_ns=end_ns), lambda: None)
    return run


def _check_versions(recording: Recording) -> None:
    ours, theirs = versions(), recording.opening.versions
    for name, version in theirs.items():
        if ours.get(name) != version:
            problem = f"was made by {name} {version}, this is {ours.get(name)}: other numbers come of other versions"
            raise ConfigurationError(str(recording.path), problem, f"replay it with {name} {version}")
