"""Modes demo and live, told by the environment where the exchange is, on the machine's clock moved to the session."""

import contextlib
import socket
import threading
from pathlib import Path

import pytest

from kalshi_daemon.backtest.replay import Player
from kalshi_daemon.orders.journal import journal_path
from kalshi_daemon.recording.reader import Recording, recordings
from tests.e2e.quick import QUICK
from tests.support.processes import Simulator

pytestmark = pytest.mark.e2e

ACKNOWLEDGED = {"KALSHI_DAEMON_LIVE__ACKNOWLEDGEMENT": "I understand this trades real money"}
WRITES = ("create", "batch_create", "cancel", "batch_cancel", "cancel_all", "amend", "decrease")


def addresses(sim: Simulator) -> dict[str, str]:
    ready = sim.ready
    return QUICK | {
        "KALSHI_DAEMON_KALSHI__REST_URL": ready["rest_url"],
        "KALSHI_DAEMON_KALSHI__WS_URL": ready["ws_url"],
        "KALSHI_DAEMON_KALSHI__KEY_ID": ready["key_id"],
        "KALSHI_DAEMON_KALSHI__PRIVATE_KEY_PATH": ready["private_key_path"],
        "KALSHI_DAEMON_INDEX_FEED__URL": ready["feed_url"],
        "KALSHI_DAEMON_INDEX_FEED__API_KEY": ready["feed_api_key"],
    }


class Supervisor:
    """systemd's side of the notification socket."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "notify"
        self.messages: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self.path))
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while (message := self._socket.recv(4_096)) != b"end":
            self.messages.append(message.decode())

    def close(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.sendto(b"end", str(self.path))
        self._reader.join(5)
        self._socket.close()


def test_demo_reconciles_then_is_ready_quotes_and_stops_clean(processes, sim):
    with contextlib.closing(Supervisor(processes.folder)) as systemd:
        env = addresses(sim) | {"NOTIFY_SOCKET": str(systemd.path), "WATCHDOG_USEC": "30000000"}
        daemon = processes.shifted_daemon(sim, "--mode", "demo", state="both", env=env).wait_ready()
        order = [line["event"] for line in daemon.lines()]
        assert order.index("reconciliation.agreed") < order.index("daemon.ready")
        daemon.event("order.acked")
        assert {line["mode"] for line in daemon.lines()} == {"demo"}
        assert daemon.stop() == 0
    assert systemd.messages[0].startswith("READY=1\n"), "nothing is said before READY"
    assert "WATCHDOG=1" in systemd.messages
    assert [message for message in systemd.messages if message.startswith("STOPPING=1\n")]
    assert daemon.err == []
    truth = sim.truth()
    assert truth["orders_total"] > 0
    assert truth["resting"] == []
    assert daemon.summary["verified"] is True
    assert daemon.summary["books_equal"] is True
    assert sorted(each.name for each in (processes.folder / "both").iterdir()) == ["demo"], "state is kept per mode"
    assert journal_path(processes.folder / "both" / "demo").exists()
    (recording,) = recordings(processes.folder / "both" / "demo")
    player = Player(Recording(recording), processes.folder / "replay")
    player.play()
    player.close()
    assert player.difference is None, "what life did, its replay does"
    assert player.gap is None
    assert player.counts.scans > 0
    assert player.counts.interleaved == 0


def test_live_without_arming_plans_and_never_sends_even_with_strangers_on_the_account(processes, sim):
    _status, listed = sim.call("GET", "/markets?event_ticker=KXINXU-26NOV23H1600&limit=5")
    sim.place_stranger(listed["markets"][0]["ticker"], "by-hand-1")
    before = sim.truth()
    daemon = processes.shifted_daemon(sim, "--mode", "live", env=addresses(sim)).wait_ready()
    # It plans: scans end with quotes that every guard but the arming would let through.
    daemon.until(
        lambda: next((scan for scan in daemon.events("scan.done") if scan["proposed"]), None), "a scan with quotes"
    )
    assert daemon.events("guard.refused", guard="armed")
    assert daemon.events("order.foreign_listed"), "it says what it sees"
    assert daemon.stop() == 0
    after = sim.truth()
    assert after["orders_total"] == before["orders_total"] == 1
    assert after["cancels_total"] == 0
    assert [order["client_order_id"] for order in after["resting"]] == ["by-hand-1"]
    sent = {name.split()[0] for name in (after["requests"].keys() - before["requests"].keys())}
    assert not sent & set(WRITES), sent
    assert daemon.summary["orders_placed"] == 0


def test_live_armed_and_acknowledged_trades_on_loopback_and_takes_the_book_down(processes, sim):
    env = addresses(sim) | ACKNOWLEDGED
    daemon = processes.shifted_daemon(sim, "--mode", "live", "--arm", env=env).wait_ready()
    daemon.event("order.acked")
    assert daemon.stop() == 0
    truth = sim.truth()
    assert truth["orders_total"] > 0
    assert truth["resting"] == []


def test_live_armed_without_the_sentence_is_refused_in_one_line(processes):
    done = processes.command(
        "run", "--mode", "live", "--arm", "--state-dir", "s",
        env={
            "KALSHI_DAEMON_KALSHI__KEY_ID": "k",
            "KALSHI_DAEMON_KALSHI__PRIVATE_KEY_PATH": _key(processes.folder),
            "KALSHI_DAEMON_INDEX_FEED__API_KEY": "f",
        },
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (78, "")
    assert done.stderr.startswith("kalshi-daemon: live.acknowledgement: ")
    assert done.stderr.count("\n") == 1


def _key(folder: Path) -> str:
    path = folder / "key.pem"
    path.touch(mode=0o600)
    path.write_text("not looked into before the acknowledgement")
    return str(path)
