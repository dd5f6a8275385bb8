"""The task that tells, against real addresses on this machine: one that takes, one that is dead, one that hangs."""

import asyncio
import json
import socket
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import monotonic

import pytest
import structlog

from kalshi_daemon.ground.errors import ConfigurationError
from kalshi_daemon.operations import alert_targets, alerts
from kalshi_daemon.operations.alert_log import EndingLog
from kalshi_daemon.operations.alert_targets import QUEUED_MAX, Target
from kalshi_daemon.operations.alerts import Alerts
from kalshi_daemon.settings.service import AlertSettings
from tests.operations.test_status import running, trading

SECRET = "s3cr3t-t0k3n"


class Listener:
    """An HTTP address: what was sent to it, and what it answers with."""

    def __init__(self) -> None:
        self.posted: list[dict] = []
        self.asked: list[str] = []
        self.status = 200
        self.gate = threading.Event()
        self.gate.set()
        here = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                here.posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self._answer()

            def do_GET(self) -> None:
                here.asked.append(self.path)
                self._answer()

            def _answer(self) -> None:
                here.gate.wait(10)
                self.send_response(here.status)
                self.end_headers()

            def log_message(self, *_args) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def url(self, scheme: str) -> str:
        return f"{scheme}://127.0.0.1:{self.server.server_port}/{SECRET}"


@pytest.fixture
def listener():
    made = Listener()
    yield made
    made.gate.set()
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def dead() -> str:
    """An address that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"json://127.0.0.1:{taken.getsockname()[1]}/{SECRET}"


@pytest.fixture
def lines():
    """What is logged, from whatever thread."""
    before = structlog.get_config()
    with structlog.testing.capture_logs() as found:
        yield found
    structlog.configure(**before)


def made(**limits: object) -> Alerts:
    state = trading()
    return Alerts(AlertSettings.model_validate(limits), state, lambda: running(state))


async def settled(one: Alerts) -> None:
    await all_idle(*one._all())


async def all_idle(*targets: Target) -> None:
    for _ in range(2_000):
        if all(target.idle for target in targets):
            return
        await asyncio.sleep(0.005)
    raise AssertionError("still busy after 10 s")


async def test_an_event_of_the_log_reaches_the_address_once(listener, lines):
    one = made(targets=listener.url("json"))
    for _ in range(3):
        one.hear("order_group.halted", {"profile": "wide", "reason": "21 contracts"})
        one.hear("scan.done", {"profile": "wide"})
    one.turn()
    one.turn()
    await settled(one)
    (posted,) = listener.posted
    assert posted["title"] == "kalshi-daemon: critical: group triggered"
    assert "profile wide, reason 21 contracts" in posted["message"]
    assert posted["type"] == "failure"
    assert [line["event"] for line in lines] == ["alert.sent"], "what came from the log is not said twice"
    assert [alert.kind for alert in one._state.alerts] == ["group_triggered"]


async def test_a_dead_address_is_named_never_shown_and_holds_up_no_other(listener, dead, lines):
    one = made(targets=f"{dead} {listener.url('json')}")
    one.hear("feed.evicted", {})
    began = monotonic()
    one.turn()
    assert monotonic() - began < 0.5, "nothing is waited for"
    await settled(one)
    assert len(listener.posted) == 1
    (failed,) = [line for line in lines if line["event"] == "alert.not_sent"]
    assert (failed["target"], failed["problem"]) == ("1 (json)", "refused, or not reached")
    assert SECRET not in json.dumps(lines, default=str)


async def test_an_address_that_refuses_has_not_taken_it(listener, lines):
    listener.status = 500
    one = made(targets=listener.url("json"))
    one.hear("feed.evicted", {})
    one.turn()
    await settled(one)
    assert [line["event"] for line in lines] == ["alert.not_sent"]


async def test_a_hanging_address_is_said_to_be_late_once_and_delays_the_end_by_its_patience_alone(
    listener, lines, monkeypatch
):
    monkeypatch.setattr(alerts, "LAST_WORDS_S", 0.1)
    listener.gate.clear()
    one = made(targets=listener.url("json"), send_timeout_s=0.5)
    one.targets[0]._within_s = 0.01
    one.hear("feed.evicted", {})
    one.turn()
    await asyncio.sleep(0.05)
    one.turn()
    one.turn()
    late = [line for line in lines if line["event"] == "alert.not_sent"]
    assert [line["problem"] for line in late] == ["no answer in 0.01 s"]
    began = monotonic()
    await one.last_words(78, running(trading()).now_ns)
    assert monotonic() - began < 1.0
    assert one._state.alerts[-1].kind == "exit_78"
    listener.gate.set()
    await settled(one)


async def test_the_last_words_arrive_and_nothing_is_logged_after_the_last_line(listener, lines):
    one = made(targets=listener.url("json"))
    one.hear("session.summary", {"stop_reason": "SIGTERM", "verified": False})
    await one.last_words(3, running(trading()).now_ns)
    assert [post["title"].rpartition(": ")[2] for post in listener.posted] == ["stopped", "exited"]
    assert lines == []


async def test_the_dead_man_switch_is_asked_on_its_timer_and_only_while_the_loop_turns(listener, lines, monkeypatch):
    state, age_ms = trading(), 400

    def look():
        status = running(state)
        return status if age_ms == 400 else alert_status(status, age_ms)

    limits = AlertSettings.model_validate({"ping_url": listener.url("http"), "ping_every_s": 60.0})
    one, now_s = Alerts(limits, state, look), 1_000.0
    monkeypatch.setattr(alerts, "monotonic", lambda: now_s)
    for now_s in (1_000.0, 1_030.0, 1_061.0):  # noqa: B007 - the clock
        one.turn()
        await settled(one)
    assert listener.asked == [f"/{SECRET}"] * 2
    age_ms, now_s = 31_000, 1_200.0
    one.turn()
    age_ms, state.latch.closed, state.latch.reason = 400, True, "SIGTERM"
    one.turn()
    await settled(one)
    assert len(listener.asked) == 2
    assert [line["event"] for line in lines if "stalled" not in str(line)] == []


def alert_status(status, age_ms):
    return replace(status, facts=replace(status.facts, progress_age_ms=age_ms))


async def test_a_ping_that_fails_is_said_when_it_begins_and_when_it_ends(listener, lines):
    ping = alert_targets.ping_target(listener.url("http"), 5.0, EndingLog())
    for status in (500, 500, 200, 200):
        listener.status = status
        ping.put(alerts._PING)
        await all_idle(ping)
    assert [line["event"] for line in lines] == ["alert.not_sent", "alert.sent"]
    assert SECRET not in json.dumps(lines, default=str)


async def test_a_queue_is_bounded_and_the_oldest_goes(lines):
    gate = threading.Event()
    target = Target("1 (x)", lambda _message: gate.wait(10), 5.0, EndingLog())
    for _ in range(QUEUED_MAX + 3):
        target.put(alerts._PING)
    assert len(target._queue) <= QUEUED_MAX
    assert "the oldest is given up" in str(lines)
    gate.set()
    await all_idle(target)


async def test_what_no_line_of_the_log_said_is_said(lines):
    state = trading()
    one = Alerts(AlertSettings(), state, lambda: alert_status(running(state), 31_000))
    one.turn()
    one.turn()
    assert [(line["event"], line["kind"]) for line in lines] == [("alert.raised", "stalled")]


async def test_a_bug_here_is_said_once_and_ends_nothing(lines):
    def broken():
        raise ZeroDivisionError

    one = Alerts(AlertSettings(), trading(), broken)
    one.turn()
    one.turn()
    assert [line["event"] for line in lines] == ["alert.failed"]


@pytest.mark.parametrize("addresses", ["nonsense", "json://ok/x tgram://", " ".join(["json://a"] * 11)])
def test_an_address_that_is_none_is_refused_without_showing_it(addresses):
    with pytest.raises(ConfigurationError, match=r"^alerts\.targets: ") as caught:
        made(targets=addresses)
    assert addresses not in str(caught.value)
