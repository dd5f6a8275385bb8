import socket

import pytest

from kalshi_daemon.ground.clock import SystemClock
from kalshi_daemon.ground.units import SECOND, Nanos
from kalshi_daemon.operations.notify import Notifier

PID = 4711


@pytest.fixture
def supervisor(tmp_path):
    """The supervisor's end of the socket, as systemd would hold it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.settimeout(5)
        sock.bind(str(tmp_path / "notify"))
        yield sock


def notifier(sock: socket.socket, **more: str) -> Notifier:
    return Notifier({"NOTIFY_SOCKET": sock.getsockname()} | more, PID)


def heard(sock: socket.socket) -> str:
    return sock.recv(4096).decode()


def test_each_word_is_one_datagram_in_sd_notify_form(supervisor):
    told = notifier(supervisor)
    assert told.enabled
    told.ready("reconciled, quoting")
    assert heard(supervisor) == "READY=1\nSTATUS=reconciled, quoting"
    told.alive()
    assert heard(supervisor) == "WATCHDOG=1"
    told.stopping("cancelling everything")
    assert heard(supervisor) == "STOPPING=1\nSTATUS=cancelling everything"


def test_an_address_that_begins_with_an_at_sign_is_abstract(tmp_path):
    name = f"kalshi-daemon-test-{tmp_path}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.settimeout(5)
        sock.bind(f"\0{name}")
        Notifier({"NOTIFY_SOCKET": f"@{name}"}, PID).alive()
        assert heard(sock) == "WATCHDOG=1"


def test_without_a_supervisor_nothing_is_sent_and_nothing_is_asked():
    told = Notifier({}, PID)
    assert not told.enabled
    assert told.watchdog_ns is None
    told.ready("quoting")
    told.alive()
    told.stopping("over")


def test_a_supervisor_that_went_away_stops_nobody(tmp_path):
    told = Notifier({"NOTIFY_SOCKET": str(tmp_path / "nobody")}, PID)
    told.ready("quoting")
    told.alive()


def test_a_full_socket_never_blocks_the_loop(supervisor):
    """A supervisor that no longer reads (stopped, or starved itself) must not stop us from trading or cancelling."""
    told = notifier(supervisor)
    for _ in range(5_000):  # far more than net.unix.max_dgram_qlen
        told.alive()
    began = SystemClock().mono_ns()
    told.stopping("cancelling everything")
    assert SystemClock().mono_ns() - began < 3 * SECOND, "a word that matters is given a second, not more"
    assert heard(supervisor) == "WATCHDOG=1"


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({"WATCHDOG_USEC": "30000000"}, Nanos(30 * SECOND)),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(PID)}, Nanos(30 * SECOND)),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": ""}, None),
        ({}, None),
    ],
    ids=["asked for", "asked of us", "asked of another process", "not a number", "empty", "not asked for"],
)
def test_the_watchdog_interval_is_read_when_it_is_meant_for_us(supervisor, environ, wanted):
    assert notifier(supervisor, **environ).watchdog_ns == wanted


def test_an_interval_without_a_socket_is_nothing():
    assert Notifier({"WATCHDOG_USEC": "30000000"}, PID).watchdog_ns is None
