"""Whole processes on loopback for end-to-end tests: the simulated exchange, the daemon, and what both of them say.

Everything waits with a bound and says what it had seen so far when the bound is reached. `Processes` ends whatever it
started, by process id.
"""

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kalshi_daemon.ground.units import SECOND
from kalshi_daemon.kalshi.auth import load_signer

REPOSITORY = Path(__file__).resolve().parents[2]
START_S = 60.0
"""Bound of a start: a cold interpreter on a busy machine reads pandas and the calendar first."""
WAIT_S = 30.0
SHOWN = 12

Json = dict[str, Any]


def pause(seconds: float) -> None:
    """Between two questions to a process that does not tell by itself."""
    threading.Event().wait(seconds)


class Process:
    """One started program. Its output is read by threads, so that a full pipe never blocks it."""

    def __init__(
        self, argv: list[str], folder: Path, env: Mapping[str, str], *, stdin: int = subprocess.DEVNULL
    ) -> None:
        self.popen = subprocess.Popen(
            [sys.executable, *argv],
            cwd=folder,
            env=environment(env),
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.out: list[str] = []
        self.err: list[str] = []
        self._changed = threading.Condition()
        pairs = ((self.popen.stdout, self.out), (self.popen.stderr, self.err))
        self._readers = [threading.Thread(target=self._read, args=pair, daemon=True) for pair in pairs]
        for reader in self._readers:
            reader.start()

    def _read(self, pipe: Any, lines: list[str]) -> None:
        for line in pipe:
            with self._changed:
                lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        pipe.close()

    @property
    def pid(self) -> int:
        return self.popen.pid

    @property
    def running(self) -> bool:
        return self.popen.poll() is None

    def until[T](self, look: Callable[[], T | None], what: str, within_s: float = WAIT_S) -> T:
        """Look after every line of output until there is something. A program that ended is looked at once more."""
        deadline = time.monotonic() + within_s
        while True:
            ended = not self.running
            if ended:
                for reader in self._readers:
                    reader.join(5)
            with self._changed:
                found = look()
                if found is not None:
                    return found
                assert not ended, f"{what}: it ended with {self.popen.returncode} before that\n{self.tail()}"
                assert time.monotonic() < deadline, f"{what}: not within {within_s:g} s\n{self.tail()}"
                self._changed.wait(0.1)

    def tail(self) -> str:
        return "\n".join([*self.out[-SHOWN:], "-- standard error --", *self.err[-SHOWN:]])

    def signal(self, number: int) -> None:
        self.popen.send_signal(number)

    def wait(self, within_s: float = WAIT_S) -> int:
        """The exit code, once everything it said has been read."""
        try:
            code = self.popen.wait(within_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {within_s:g} s\n{self.tail()}") from None
        for reader in self._readers:
            reader.join(5)
        return code

    def kill(self) -> None:
        """SIGKILL, if it still runs."""
        if self.running:
            self.popen.kill()
            self.popen.wait(10)
        if self.popen.stdin is not None:
            self.popen.stdin.close()


class Simulator(Process):
    """`kalshi-daemon simulate-exchange` and its admin API."""

    ready: Json

    def wait_ready(self) -> "Simulator":
        self.ready = json.loads(self.until(lambda: self.out[0] if self.out else None, "the ready line", START_S))
        return self

    @property
    def admin_url(self) -> str:
        return str(self.ready["admin_url"])

    def admin(self, path: str, wish: Json | None = None) -> Json:
        """GET, or POST of a wish."""
        body = None if wish is None else json.dumps(wish).encode()
        request = urllib.request.Request(f"{self.admin_url}/{path}", data=body)
        with urllib.request.urlopen(request, timeout=10) as answer:
            found: Json = json.loads(answer.read())
            return found

    def truth(self) -> Json:
        return self.admin("truth")

    def resting(self) -> list[Json]:
        found: list[Json] = self.truth()["resting"]
        return found

    def faults(self, **wish: Any) -> Json:
        return self.admin("faults", wish)

    def now_ns(self) -> int:
        return int(self.admin("health")["now_ns"])

    def until_truth(self, look: Callable[[Json], bool], what: str, within_s: float = WAIT_S) -> Json:
        """Ask for the truth until it is as wanted."""
        deadline = time.monotonic() + within_s
        while True:
            truth = self.truth()
            if look(truth):
                return truth
            shown = {key: truth[key] for key in ("orders_total", "cancels_total", "requests")}
            assert time.monotonic() < deadline, f"{what}: not within {within_s:g} s: {shown}"
            pause(0.05)

    def call(self, method: str, path: str, body: Json | None = None) -> tuple[int, Json]:
        """A signed request of somebody who has the account's key, but is not the daemon."""
        signer = load_signer(Path(self.ready["private_key_path"]), self.ready["key_id"])
        full = f"/trade-api/v2{path}"
        headers = signer.headers(method, full, self.now_ns() // 1_000_000) | {"Content-Type": "application/json"}
        request = urllib.request.Request(
            self.ready["rest_url"] + path,
            method=method,
            headers=headers,
            data=None if body is None else json.dumps(body).encode(),
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, json.loads(answer.read() or b"{}")
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, json.loads(refused.read() or b"{}")

    def place_stranger(self, ticker: str, name: str, cents: int = 1) -> Json:
        """Rest one bid that is no order of any daemon's."""
        body = {
            "ticker": ticker,
            "side": "bid",
            "price": f"{cents / 100:.4f}",
            "count": "1.00",
            "client_order_id": name,
            "post_only": True,
            "time_in_force": "good_till_canceled",
            "self_trade_prevention_type": "taker_at_cross",
        }
        status, answer = self.call("POST", "/portfolio/events/orders", body)
        assert status == 201, answer
        return answer


class Daemon(Process):
    """`kalshi-daemon run`."""

    def lines(self) -> list[Json]:
        """Standard output, decoded. Every line must be a JSON object with an event."""
        found = [json.loads(line) for line in tuple(self.out)]
        assert all(isinstance(line, dict) and line["event"] for line in found)
        return found

    def events(self, name: str, **fields: Any) -> list[Json]:
        wanted = fields.items()
        return [
            line
            for line in self.lines()
            if line["event"] == name and all(line.get(key) == value for key, value in wanted)
        ]

    def event(self, name: str, within_s: float = WAIT_S, **fields: Any) -> Json:
        """The first line of that event with those fields, waited for."""
        return self.until(lambda: next(iter(self.events(name, **fields)), None), f"event {name} {fields}", within_s)

    def wait_ready(self) -> "Daemon":
        self.event("daemon.ready", START_S)
        return self

    @property
    def summary(self) -> Json:
        """The last line, which must be the summary."""
        last = self.lines()[-1]
        assert last["event"] == "session.summary", self.tail()
        return last

    def stop(self, number: int = signal.SIGTERM, within_s: float = WAIT_S) -> int:
        self.signal(number)
        return self.wait(within_s)


class Processes:
    """Starts processes and ends them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._started: list[Process] = []
        self._numbers = itertools.count(1)

    def simulator(self, *argv: str, env: Mapping[str, str] | None = None) -> Simulator:
        """Started, not yet waited for."""
        # It ends with its standard input: whatever happens to the tests, none is left behind.
        program = ["-m", "kalshi_daemon", "simulate-exchange", "--stop-with-parent", *argv]
        return self._keep(Simulator(program, self.folder, env or {}, stdin=subprocess.PIPE))

    def daemon(self, *argv: str, state: str = "", env: Mapping[str, str] | None = None) -> Daemon:
        """`run` with a state directory of its own, unless one is named."""
        state_dir = str(self.folder / (state or f"state-{next(self._numbers)}"))
        return self._keep(
            Daemon(["-m", "kalshi_daemon", "run", "--state-dir", state_dir, *argv], self.folder, env or {})
        )

    def shifted_daemon(
        self,
        sim: Simulator,
        *argv: str,
        state: str = "",
        env: Mapping[str, str] | None = None,
        ahead_s: int = 0,
    ) -> Daemon:
        """`run` in a mode that lives on the machine's clock, with that clock at the simulator's time, or ahead."""
        state_dir = str(self.folder / (state or f"state-{next(self._numbers)}"))
        offset = sim.now_ns() + ahead_s * SECOND - time.time_ns()  # noqa: TID251 - the two clocks are what is compared
        program = ["-m", "tests.support.shifted_clock", str(offset), "run", "--state-dir", state_dir, *argv]
        return self._keep(Daemon(program, self.folder, env or {}))

    def command(self, *argv: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Any command, to its end."""
        return subprocess.run(
            [sys.executable, "-m", "kalshi_daemon", *argv],
            cwd=self.folder,
            env=environment(env or {}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=START_S,
            check=False,
        )

    def close(self) -> None:
        for process in reversed(self._started):
            process.kill()

    def _keep[P: Process](self, process: P) -> P:
        self._started.append(process)
        return process


def environment(more: Mapping[str, str]) -> dict[str, str]:
    """This one without anything that would reach the daemon, and with byte code kept between the many starts."""
    ours = ("KALSHI_DAEMON_", "NOTIFY_SOCKET", "WATCHDOG_", "CREDENTIALS_DIRECTORY")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    kept = {"PYTHONPATH": str(REPOSITORY), "PYTHONDONTWRITEBYTECODE": ""}
    return clean | kept | dict(more)
