"""The shipped unit under a real systemd: `make service-test`. Prints one line per check and, last, one JSON line.

Each step leaves the unit stopped or running as its name says, and names the figures it saw. The first failure prints
what the unit and systemd said and ends the run.
"""

import json
import signal
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.service.container import (
    EXCHANGE,
    UNIT,
    Container,
    ServiceTestError,
    booted,
    is_log_line,
    stopwatch,
    wait_in_vain,
    wait_until,
)

_EXPOSURE_MAX: Final = 1.5
_START_S_MAX: Final = 60.0
_QUOTES_WITHIN_S: Final = 150.0
"""After a cancel-all the exchange takes no new orders of the account for a minute."""
_STOP_S_MAX: Final = 5.0
_LADDER_S_MAX: Final = 40.0
_WATCHDOG_S: Final = 30.0
_BATCH_S_MAX: Final = 2.0
_START_LIMIT_S: Final = 120.0
_START_LIMIT_BURST: Final = 5
_RESTART_S: Final = 5.0
_CONFIG: Final = "78"
_JOURNAL: Final = "/var/lib/kalshi-daemon/demo/data/proc/journal.sqlite3"
_LOG: Final = "/var/lib/kalshi-daemon/demo/logs/kalshi_daemon.jsonl"
_SIGNAL_S_MAX: Final = 10.0
_UNVERIFIED: Final = "3"


class Drive:
    """The steps, in order; they share the container and the count of checks."""

    def __init__(self, container: Container) -> None:
        self.box = container
        self.checks = 0
        self.figures: dict[str, float | int | str] = {}
        self._mark = 0

    # -- saying and measuring

    def check(self, name: str, holds: object, seen: str = "") -> None:
        if not holds:
            raise ServiceTestError(f"{name}: {seen or 'does not hold'}")
        self.checks += 1
        say(f"ok    {name:<66} {seen}")

    def equal(self, name: str, found: object, wanted: object) -> None:
        self.check(name, found == wanted, f"{found}" if found == wanted else f"found {found!r}, wanted {wanted!r}")

    def mark(self) -> None:
        """From here on `events` looks at newer lines only."""
        self._mark = len(self.box.journal())

    def events(self) -> list[dict[str, Any]]:
        """JSON lines since the mark. A line of another form is left out: only `logs` judges that."""
        return [json.loads(line) for line in self.box.journal()[self._mark :] if line.startswith("{")]

    def event(self, name: str) -> dict[str, Any] | None:
        return next((line for line in self.events() if line["event"] == name), None)

    def await_state(self, wanted: str, within_s: float) -> None:
        wait_until(f"{UNIT} {wanted}", lambda: self.box.show("ActiveState") == wanted, within_s)

    def await_quotes(self) -> int:
        """Quotes rest and no batch is on its way: an order whose answer was cut off takes ten seconds to disprove."""
        wait_until("orders of ours on the exchange", self.box.resting, _QUOTES_WITHIN_S, 0.5)
        wait_in_vain(_BATCH_S_MAX)
        return len(self.box.resting())

    # -- the life of the unit

    def start(self) -> None:
        """READY is held back until the exchange's list of orders was read and agrees."""
        self.hold_activating()
        wait_in_vain(3.0)
        self.equal("not READY while the exchange's orders cannot be read", self.box.show("ActiveState"), "activating")
        self.box.admin("POST", "/faults", {"clear": True})
        with stopwatch() as took:
            self.await_state("active", _START_S_MAX)
        self.check("READY once reconciled", self.event("daemon.ready"), f"{took():.1f} s after the list could be read")
        self.check("READY says reconciled", (self.event("daemon.ready") or {}).get("reconciled"), self.status())

    def hold_activating(self) -> None:
        """Start the unit while the exchange refuses to list orders."""
        self.mark()
        self.box.admin("POST", "/faults", {"inject": {"operation": "orders", "status": 503, "times": 1_000_000}})
        self.box.run("systemctl", "start", "--no-block", UNIT)
        wait_until("a failed first look", lambda: self.event("order.start_failed"), _START_S_MAX)

    def logs(self) -> None:
        """Every line of the unit is one JSON object with the common fields."""
        lines = self.box.journal()
        bad = [line for line in lines if not is_log_line(line)]
        self.check("journald holds JSON lines only", lines and not bad, bad[0] if bad else f"{len(lines)} lines")

    def secrets(self) -> None:
        """The service's copies of the credentials, seen through its own root."""
        folder = f"/proc/{self.box.show('MainPID')}/root/run/credentials/{UNIT}"
        mode, uid = self.box.run("stat", "-c", "%a %u", f"{folder}/kalshi_private_key").split()
        owner = self.box.run("stat", "-c", "%u", f"/proc/{self.box.show('MainPID')}").strip()
        source = self.box.stage / "etc" / "credentials" / "kalshi_private_key"
        self.equal("the key's source stays root:root 0600", stat.filemode(source.stat().st_mode), "-rw-------")
        self.check("the key's copy is nobody else's", mode in {"400", "440"}, f"mode 0{mode}, uid {uid}")
        self.check("the daemon is not root", owner != "0", f"uid {owner}")
        self.figures["credential_mode"] = f"0{mode}"
        text = source.read_text().splitlines()[1]
        self.check("no key material in the journal", all(text not in line for line in self.box.journal()))

    def exposure(self) -> None:
        said = self.box.run("systemd-analyze", "security", "--no-pager", UNIT).strip().splitlines()[-1]
        level = float(said.split(":")[1].split()[0])
        self.figures["exposure"] = level
        self.check("exposure of the running unit", level <= _EXPOSURE_MAX, f"{level} (at most {_EXPOSURE_MAX})")

    def signals(self) -> None:
        """`systemctl reload` follows an outside rotation, SIGUSR1 writes one line, and neither ends the daemon."""
        pid = self.box.show("MainPID")
        self.mark()
        self.box.run("mv", _LOG, f"{_LOG}.moved")
        self.box.run("systemctl", "reload", UNIT)
        wait_until("log.reopened", lambda: self.event("log.reopened"), _SIGNAL_S_MAX)
        wait_until("a new log file", lambda: self.box.run("cat", _LOG, check=False), _SIGNAL_S_MAX)
        self.box.run("systemctl", "kill", "-s", "USR1", "--kill-who=main", UNIT)
        status = wait_until("daemon.status", lambda: self.event("daemon.status"), _SIGNAL_S_MAX)
        self.check("SIGUSR1: one line of status", status["ready"] and status["armed"], f"{len(status)} fields")
        for _ in range(20):
            self.box.run("systemctl", "kill", "-s", "HUP", "--kill-who=main", UNIT)
        found = (self.box.show("ActiveState"), self.box.show("MainPID"), self.box.show("NRestarts"))
        self.equal("SIGHUP never stops: the same process", found, ("active", pid, "0"))
        self.equal("no core file is left", self.box.show("LimitCORE"), "0")

    def stop(self) -> None:
        """SIGTERM while quotes rest: everything off the book, verified, success."""
        resting = self.await_quotes()
        self.mark()
        with stopwatch() as took:
            self.box.run("systemctl", "stop", UNIT)
        seconds = took()
        self.equal("stop: Result", self.box.show("Result"), "success")
        self.equal("stop: exit code", self.box.show("ExecMainStatus"), "0")
        self.check("stop: in time", seconds <= _STOP_S_MAX, f"{seconds:.2f} s with {resting} resting")
        self.equal("stop: nothing rests, says the exchange", len(self.box.resting()), 0)
        verified = self.event("stop.verified")
        self.check("stop: cancel-all verified", verified, f"{(verified or {}).get('took_ms')} ms")
        last = self.events()[-1]
        self.equal("stop: the last line is the summary", last["event"], "session.summary")
        self.equal("stop: the books are equal", (last["books_equal"], last["verified"]), (True, True))
        self.figures["stop_s"] = round(seconds, 2)

    def start_again(self) -> None:
        """State below StateDirectory outlives the life; the next one reads it."""
        before = self.state_files()
        self.mark()
        with stopwatch() as took:
            self.box.run("systemctl", "start", UNIT)
        self.figures["start_s"] = round(took(), 2)
        kept = before.keys() & self.state_files().keys()
        self.check("state is kept across lives", before and kept == before.keys(), f"{len(kept)} files")
        self.equal("state belongs to one user", len({*before.values(), *self.state_files().values()}), 1)
        mode = self.box.run("stat", "-L", "-c", "%a", "/var/lib/kalshi-daemon").strip()
        self.equal("the state directory's mode", mode, "700")
        loaded = self.event("journal.loaded")
        self.check("the journal was read before READY", loaded, f"started in {self.figures['start_s']} s")

    def restart(self) -> None:
        resting = self.await_quotes()
        self.mark()
        with stopwatch() as took:
            self.box.run("systemctl", "restart", UNIT)
        names = [line["event"] for line in self.events()]
        order = [names.index(one) for one in ("stop.verified", "session.summary", "daemon.ready")]
        self.check("restart: verified, summed up, READY", order == sorted(order), f"{took():.1f} s, {resting} rested")
        self.equal("restart: not counted as a failure", self.box.show("NRestarts"), "0")

    def kill_nine(self) -> None:
        """SIGKILL while quotes rest: restarted, and what was left behind is known again."""
        self.await_quotes()
        left = self.box.resting_ids()
        self.mark()
        with stopwatch() as took:
            self.box.run("systemctl", "kill", "-s", "KILL", "--kill-who=main", UNIT)
            wait_until("systemd noticed", lambda: self.box.show("NRestarts") == "1", 30)
            self.await_state("active", _START_S_MAX)
        seconds = took()
        self.check("kill -9: restarted and READY again", seconds >= _RESTART_S, f"{seconds:.1f} s, {len(left)} left")
        ready = self.event("daemon.ready") or {}
        self.check("kill -9: reconciled before READY", ready.get("reconciled"))
        adopted = left & self.box.resting_ids()
        self.figures["kill9_to_ready_s"] = round(seconds, 1)
        self.check("kill -9: quotes again", self.await_quotes(), f"{len(adopted)} adopted, {len(left - adopted)} gone")
        # Stopped first: the journal is then complete and the exchange holds still.
        self.box.run("systemctl", "stop", UNIT)
        known, truth = self.known_orders(), self.box.admin("GET", "/truth")
        filled = {fill["client_order_id"] for fill in truth["fills"]}
        self.check("kill -9: no order or fill unknown to the journal", left | filled <= known, f"{len(filled)} filled")
        self.equal("kill -9: the books are equal at the stop", self.events()[-1]["books_equal"], wanted=True)
        self.box.run("systemctl", "start", UNIT)

    def starve_watchdog(self) -> None:
        """A process that no longer turns is aborted and replaced."""
        self.await_quotes()
        before = int(self.box.show("NRestarts"))
        self.mark()
        self.box.run("systemctl", "kill", "-s", "STOP", "--kill-who=main", UNIT)
        with stopwatch() as took:
            wait_until(
                "the watchdog", lambda: "Watchdog timeout" in self.box.said_by_systemd(), _WATCHDOG_S + 15, every_s=0.5
            )
            starved = took()
            wait_until("the restart", lambda: int(self.box.show("NRestarts")) == before + 1, 30)
            self.await_state("active", _START_S_MAX)
        said = self.box.said_by_systemd()
        self.check("watchdog: Result", "Failed with result 'watchdog'" in said, f"starved {starved:.1f} s")
        self.check("watchdog: restarted, reconciled, READY", self.event("daemon.ready"), f"{took():.1f} s in all")
        self.figures["watchdog_s"] = round(starved, 1)
        self.check("watchdog: quotes again", self.await_quotes())

    def silence(self) -> None:
        """Feed and exchange hang: the loop turns on, so the watchdog stays quiet; the stop is bounded and honest."""
        before = self.box.show("NRestarts"), self.box.show("MainPID")
        self.await_quotes()
        self.mark()
        self.box.run("systemctl", "kill", "-s", "STOP", EXCHANGE)
        wait_in_vain(_WATCHDOG_S + 5)
        self.equal("silent feed: alive, no watchdog", (self.box.show("NRestarts"), self.box.show("MainPID")), before)
        with stopwatch() as took:
            self.box.run("systemctl", "stop", UNIT)
        seconds = took()
        self.equal("exchange hangs: ended by itself, not killed", self.box.show("Result"), "exit-code")
        self.equal("exchange hangs: exit code says UNVERIFIED", self.box.show("ExecMainStatus"), _UNVERIFIED)
        self.check("exchange hangs: the stop is bounded", seconds <= _LADDER_S_MAX, f"{seconds:.1f} s")
        self.check("exchange hangs: the log says UNVERIFIED", self.event("stop.unverified"))
        self.figures["stop_while_exchange_hangs_s"] = round(seconds, 1)

    def unreachable(self) -> None:
        """No exchange at the start: failures come so slowly that systemd never gives up."""
        self.box.run("systemctl", "kill", "-s", "KILL", EXCHANGE)
        self.box.run("systemctl", "reset-failed", UNIT, check=False)
        with stopwatch() as took:
            self.box.run("systemctl", "start", "--no-block", UNIT)
            wait_until("the restart", lambda: self.box.show("NRestarts") == "1", 90)
        cycle, least = took(), _START_LIMIT_S / _START_LIMIT_BURST
        self.check("no exchange: tried again, slowly enough to go on for ever", cycle > least, f"every {cycle:.0f} s")
        self.figures["start_without_exchange_s"] = round(cycle, 1)
        self.box.run("systemctl", "stop", UNIT)

    def stop_while_starting(self) -> None:
        """SIGTERM before READY is heard at once."""
        self.box.run("systemctl", "reset-failed", UNIT, check=False)
        self.box.start_exchange()
        self.hold_activating()
        with stopwatch() as took:
            self.box.run("systemctl", "stop", UNIT)
        seconds = took()
        self.box.admin("POST", "/faults", {"clear": True})
        self.check("stop before READY: ended by itself", self.box.show("Result") != "timeout", self.box.show("Result"))
        self.check("stop before READY: bounded", seconds <= _LADDER_S_MAX, f"{seconds:.1f} s")
        self.figures["stop_before_ready_s"] = round(seconds, 1)

    # -- what restarting cannot help

    def refusals(self) -> None:
        """Wrong configuration or credentials: one line, exit 78, no restart, nothing sent."""
        self.box.run("systemctl", "reset-failed", UNIT, check=False)
        config = self.box.stage / "etc" / "config.toml"
        good = config.read_text()
        for name, text in {
            "broken TOML": "mode = \n",
            "unknown key": good + "\n[guards]\nfeed_age_softly_ms = 1\n",
            "wrong type": good + '\n[orders]\nlease_s = "long"\n',
        }.items():
            config.write_text(text)
            self.refused(name)
        config.write_text(good)
        key = (self.box.stage / "etc" / "credentials" / "kalshi_private_key").read_text()
        self.box.credential("kalshi_private_key", "not a key\n")
        self.refused("a key that is none")
        self.box.credential("kalshi_private_key", key)
        self.box.credential("kalshi_key_id", "somebody-else")
        self.refused("a key id the exchange does not know")
        self.box.credential("kalshi_key_id", "simulated-key")
        loose = self.box.stage / "staged" / "loose.pem"
        loose.write_text(key)
        loose.chmod(0o644)
        self.box.drop_in("zz-loose", _LOOSE_KEY)
        self.refused("a key file others may read")
        self.box.drop_in("zz-loose", None)
        self.missing_credential(key)

    def missing_credential(self, key: str) -> None:
        """systemd itself refuses to start: its code 243 is not worth a restart either."""
        source = self.box.stage / "etc" / "credentials" / "kalshi_private_key"
        source.unlink()
        self.box.run("systemctl", "start", UNIT, check=False)
        wait_in_vain(1.0)
        self.equal("a missing credential: exit code", self.box.show("ExecMainStatus"), "243")
        self.equal("a missing credential: not restarted", self.box.show("NRestarts"), "0")
        self.box.run("systemctl", "reset-failed", UNIT, check=False)
        self.box.credential("kalshi_private_key", key)

    def refused(self, name: str) -> None:
        self.mark()
        self.box.run("systemctl", "start", UNIT, check=False)
        wait_in_vain(1.0)
        found = (self.box.show("ExecMainStatus"), self.box.show("NRestarts"), self.box.show("ActiveState"))
        self.equal(f"{name}: exit 78, no restart, failed", found, (_CONFIG, "0", "failed"))
        lines = self.box.journal()[self._mark :]
        self.check(f"{name}: no traceback, one line that says it", _says_once(lines), lines[-1][:90] if lines else "")
        self.equal(f"{name}: no order was sent", len(self.box.resting()), 0)
        self.box.run("systemctl", "reset-failed", UNIT)

    def last_start(self) -> None:
        """After all that the same unit still works."""
        self.box.run("systemctl", "start", UNIT)
        self.check("put right, it starts and quotes", self.await_quotes())
        self.box.run("systemctl", "stop", UNIT)
        self.equal("and stops with success", self.box.show("Result"), "success")
        self.equal("nothing rests", len(self.box.resting()), 0)

    # -- looking inside

    def status(self) -> str:
        return self.box.show("StatusText")

    def state_files(self) -> dict[str, str]:
        """Path -> user id of what lies in the state directory, without what comes and goes."""
        listed = self.box.run("find", "-L", "/var/lib/kalshi-daemon", "-type", "f", "-printf", "%P %U\n")
        rows = [line.rsplit(" ", 1) for line in listed.splitlines()]
        return {path: user for path, user in rows if not path.endswith(("-wal", "-shm", ".tmp", ".draft"))}

    def known_orders(self) -> set[str]:
        """Client order ids in the journal. The unit must be stopped: nothing is locked and nothing is written."""
        program = (
            "import sqlite3, sys\n"
            "for row in sqlite3.connect(f'file:{sys.argv[1]}?immutable=1', uri=True).execute("
            "'select client_order_id from orders'): print(row[0])"
        )
        return set(self.box.run(sys.executable, "-c", program, _JOURNAL).split())


STEPS: Final[tuple[Callable[[Drive], None], ...]] = (
    Drive.start,
    Drive.logs,
    Drive.secrets,
    Drive.exposure,
    Drive.signals,
    Drive.stop,
    Drive.start_again,
    Drive.restart,
    Drive.kill_nine,
    Drive.starve_watchdog,
    Drive.silence,
    Drive.unreachable,
    Drive.stop_while_starting,
    Drive.refusals,
    Drive.last_start,
)
_LOOSE_KEY: Final = """[Service]
LoadCredential=
Environment=KALSHI_DAEMON_KALSHI__PRIVATE_KEY_PATH=/opt/service-test/loose.pem
Environment=KALSHI_DAEMON_KALSHI__KEY_ID=simulated-key KALSHI_DAEMON_INDEX_FEED__API_KEY=simulated-feed-key
"""


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the container is taken down with us
    with stopwatch() as took:
        try:
            with booted() as container:
                drive = Drive(container)
                say(f"ok    systemd is up in its namespace{'':<34} {took():.1f} s")
                container.start_exchange()
                failed = _steps(drive)
        except ServiceTestError as problem:
            say(f"FAIL  {problem}")
            return 1
    summary = {"checks": drive.checks, "failed": failed, **drive.figures, "wall_s": round(took(), 1)}
    say(json.dumps(summary))
    return 1 if failed else 0


def _steps(drive: Drive) -> int:
    wanted = sys.argv[1:] or [step.__name__ for step in STEPS]
    for step in (step for step in STEPS if step.__name__ in wanted):
        try:
            step(drive)
        except ServiceTestError as problem:
            say(f"FAIL  {step.__name__}: {problem}")
            say("---- the unit said, last:", *(line[:400] for line in drive.box.journal()[-15:]))
            say("---- systemd said, last:", *drive.box.said_by_systemd().splitlines()[-15:])
            return 1
    return 0


def say(*lines: str) -> None:
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def _says_once(lines: list[str]) -> bool:
    """At least one line, no Python traceback in any."""
    return bool(lines) and not any("Traceback" in line for line in lines)


if __name__ == "__main__":
    sys.exit(main())
