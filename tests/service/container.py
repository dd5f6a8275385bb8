"""A throw-away systemd in a namespace, made of this machine's own /usr, with the shipped unit installed in it.

Only /usr is the machine's (read-only); /etc, /var and the rest are a fresh tmpfs, and the network is a loopback of its
own. Needs root and systemd-nspawn. Everything ends with `close`, also the container of a driver that died.
"""

import contextlib
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

REPOSITORY: Final = Path(__file__).resolve().parents[2]
HERE: Final = Path(__file__).resolve().parent
UNIT: Final = "kalshi-daemon.service"
EXCHANGE: Final = "exchange.service"
APP: Final = "/opt/kalshi-daemon"
STAGED: Final = "/opt/service-test"
ADMIN: Final = "http://127.0.0.1:8401/admin"
LIFE_S_MAX: Final = 1_800
"""The container is killed after this, whatever happens to the driver."""
_LOG_FIELDS: Final = ("ts", "level", "event", "run_id", "mode")
_ANSWER_S_MAX: Final = 30.0
_KEPT_OUT: Final = ("systemd-firstboot", "systemd-networkd", "postgresql", "docker")
_HIDDEN_BY_PROTECT_HOME: Final = ("/root", "/home", "/run/user")
_HIDDEN_BY_PRIVATE_TMP: Final = ("/tmp", "/var/tmp")


class ServiceTestError(Exception):
    """The container or something in it did not do what was waited for."""


def wait_until[T](what: str, look: Callable[[], T | None], within_s: float, every_s: float = 0.1) -> T:
    """The first true value of `look`. Raises ServiceTestError after `within_s`."""
    pause = threading.Event()
    for _ in range(max(1, round(within_s / every_s))):
        if found := look():
            return found
        pause.wait(every_s)
    raise ServiceTestError(f"not within {within_s:g} s: {what}")


def wait_in_vain(seconds: float) -> None:
    """Give something that must not happen the time to happen."""
    threading.Event().wait(seconds)


@contextlib.contextmanager
def stopwatch() -> Iterator[Callable[[], float]]:
    """Seconds since the block was entered."""
    began = time.monotonic()
    yield lambda: time.monotonic() - began


class Container:
    """Boot with `with booted() as container`."""

    def __init__(self, stage: Path) -> None:
        self.stage = stage
        self._process: subprocess.Popen[bytes] | None = None
        self._leader = 0

    # -- life

    def boot(self) -> None:
        log = (self.stage / "console.log").open("wb")
        command = ["timeout", "--kill-after=5", str(LIFE_S_MAX), "nice", "-n", "5", *self._nspawn()]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._leader = wait_until("the container's first process", self._find_leader, 20)
        wait_until("systemd in the container", self._running, 60)
        # The driver joins the container's network: it talks to the exchange's admin address as the daemon does.
        with Path(f"/proc/{self._leader}/ns/net").open() as network:
            os.setns(network.fileno(), os.CLONE_NEWNET)

    def close(self) -> None:
        process = self._process
        if process is None:
            return
        if self._leader and process.poll() is None:
            self.run("systemctl", "poweroff", check=False)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.terminate()  # `timeout` passes it on
            process.wait()

    def _nspawn(self) -> list[str]:
        binds = {
            str(REPOSITORY): str(REPOSITORY),
            sys.base_prefix: sys.base_prefix,
            str(_venv()): f"{APP}/.venv",
            str(self.stage / "etc"): "/etc/kalshi-daemon",
            str(self.stage / "drop-in"): f"/etc/systemd/system/{UNIT}.d",
            str(self.stage / "staged"): STAGED,
            str(REPOSITORY / "deploy" / UNIT): f"/etc/systemd/system/{UNIT}",
            str(HERE / EXCHANGE): f"/etc/systemd/system/{EXCHANGE}",
        }
        if not _venv().is_relative_to(REPOSITORY):
            binds[str(_venv())] = str(_venv())
        if sys.base_prefix.startswith("/usr"):
            del binds[sys.base_prefix]
        return [
            *("systemd-nspawn", "-q", "-b", "-D", "/", "--volatile=yes", "--register=no", "--keep-unit"),
            *("--private-network", f"--machine=kd{os.getpid()}", "--console=pipe"),
            *(f"--bind-ro={source}:{target}" for source, target in binds.items()),
            *(f"--bind-ro=/dev/null:/etc/systemd/system/{name}.service" for name in _KEPT_OUT),
            # The machine's enabled services stay out.
            "systemd.unit=basic.target",
        ]

    def _find_leader(self) -> int | None:
        assert self._process is not None, "booting"
        if self._process.poll() is not None:
            said = (self.stage / "console.log").read_text(errors="replace").strip()
            raise ServiceTestError(f"the container did not boot: {said}")
        pending = [self._process.pid]
        while pending:
            for child in _children(pending.pop()):
                if _name(child) == "systemd":
                    return child
                pending.append(child)
        return None

    def _running(self) -> bool:
        return self.run("systemctl", "is-system-running", check=False).strip() in {"running", "degraded"}

    # -- inside

    def run(self, *command: str, check: bool = True, within_s: float = 90) -> str:
        """Standard output of a command in the container. Raises ServiceTestError when it fails and `check`."""
        done = subprocess.run(
            ["nsenter", "-t", str(self._leader), "-m", "-u", "-i", "-n", "-p", "-C", "--", *command],
            capture_output=True,
            text=True,
            timeout=within_s,
            check=False,
        )
        if check and done.returncode:
            raise ServiceTestError(f"{' '.join(command)}: rc {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def show(self, name: str, unit: str = UNIT) -> str:
        """One property of a unit, e.g. ActiveState, Result, NRestarts."""
        return self.run("systemctl", "show", unit, "-p", name, "--value").strip()

    def journal(self) -> list[str]:
        """Everything the daemon's unit printed, line by line (systemd's own words about it are left out)."""
        return self.run("journalctl", "-t", "kalshi-daemon", "-o", "cat", "--no-pager").splitlines()

    def said_by_systemd(self) -> str:
        return self.run("journalctl", "_PID=1", "-u", UNIT, "-o", "cat", "--no-pager")

    def drop_in(self, name: str, text: str | None) -> None:
        """Add, replace or (None) remove a drop-in of the unit."""
        path = self.stage / "drop-in" / f"{name}.conf"
        if text is None:
            path.unlink(missing_ok=True)
        else:
            path.write_text(text)
        self.run("systemctl", "daemon-reload")

    # -- the exchange

    def start_exchange(self) -> dict[str, Any]:
        """A new exchange with a new account: its key becomes the daemon's credential, its time the daemon's clock.

        What the daemon knew of an earlier exchange is removed: to this one it would be a lie. The unit must be stopped.
        """
        self.run("systemctl", "clean", "--what=state", UNIT)
        self.run("systemctl", "restart", EXCHANGE)

        def ready() -> dict[str, Any] | None:
            text = self.run("cat", "/run/exchange.json", check=False)
            return dict(json.loads(text)) if text.endswith("\n") else None

        found = wait_until("the exchange's ready line", ready, 60)
        self.credential("kalshi_private_key", self.run("cat", str(found["private_key_path"])))
        self.credential("kalshi_key_id", str(found["key_id"]))
        self.credential("polygon_api_key", str(found["feed_api_key"]))
        self.set_clock()
        return found

    def credential(self, name: str, text: str) -> None:
        path = self.stage / "etc" / "credentials" / name
        path.touch(mode=0o600)
        path.write_text(text)

    def set_clock(self) -> None:
        """Move the daemon's next life to the exchange's present."""
        now_ns = int(self.admin("GET", "/hello")["now_ns"])
        real_ns = int(self.run("date", "+%s%N"))
        (self.stage / "staged" / "shift_ns").write_text(str(now_ns - real_ns))

    def admin(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        asked = urllib.request.Request(f"{ADMIN}{path}", data=data, method=method)
        try:
            with urllib.request.urlopen(asked, timeout=_ANSWER_S_MAX) as answer:
                return dict(json.loads(answer.read()))
        except OSError as problem:
            said = self.run("journalctl", "-t", "exchange", "-o", "cat", "-n", "5", "--no-pager")
            raise ServiceTestError(f"the exchange does not answer {path}: {problem}; it said: {said}") from problem

    def resting_ids(self) -> set[str]:
        return {str(one["client_order_id"]) for one in self.resting()}

    def resting(self) -> list[dict[str, Any]]:
        """What rests for us, in the exchange's own books."""
        return list(self.admin("GET", "/truth")["resting"])


@contextlib.contextmanager
def booted() -> Iterator[Container]:
    """A running container with the unit, its drop-in and the settings installed; the exchange not yet started."""
    refuse_hidden({"checkout": REPOSITORY, "environment": _venv(), "interpreter": Path(sys.base_prefix)})
    stage = Path(tempfile.mkdtemp(prefix="kalshi-daemon-service-"))
    container = Container(stage)
    try:
        for name in ("etc/credentials", "drop-in", "staged"):
            (stage / name).mkdir(parents=True)
        stage.chmod(0o755)
        (stage / "etc" / "credentials").chmod(0o700)
        shutil.copy(HERE / "demo.toml", stage / "etc" / "config.toml")
        (stage / "drop-in" / "test.conf").write_text(_drop_in())
        container.boot()
        yield container
    finally:
        container.close()
        shutil.rmtree(stage)


def refuse_hidden(places: Mapping[str, Path]) -> None:
    """Raises ServiceTestError for a place that the unit could not see or enter: systemd says 203/EXEC and no more."""
    for what, place in places.items():
        path = place.resolve()
        if any(path.is_relative_to(folder) for folder in _HIDDEN_BY_PRIVATE_TMP):
            raise ServiceTestError(
                f"the {what} ({path}) is in a folder that the unit hides (PrivateTmp=): clone to /opt"
            )
        if not path.stat().st_mode & stat.S_IXOTH:
            raise ServiceTestError(f"the {what} ({path}) is closed to the unit's user: chmod o+rx {path}")


def is_log_line(line: str) -> bool:
    """Whether a line of the journal is one of the daemon's own form."""
    try:
        found = json.loads(line)
    except json.JSONDecodeError:
        return False
    return isinstance(found, dict) and all(field in found for field in _LOG_FIELDS)


def _drop_in() -> str:
    """What differs from production: where Python is on this machine, the clock of the session."""
    lines = [
        "[Service]",
        f"Environment=PYTHONPATH={HERE / 'hooks'} SERVICE_TEST_SHIFT={STAGED}/shift_ns",
    ]
    hidden = {path for path in (sys.base_prefix, str(REPOSITORY), str(_venv())) if _below_home(path)}
    if hidden:
        lines += ["ProtectHome=tmpfs", f"BindReadOnlyPaths={' '.join(sorted(hidden))}"]
    return "\n".join(lines) + "\n"


def _below_home(path: str) -> bool:
    return any(Path(path).is_relative_to(home) for home in _HIDDEN_BY_PROTECT_HOME)


def _venv() -> Path:
    return Path(sys.prefix)


def _children(pid: int) -> list[int]:
    try:
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""
