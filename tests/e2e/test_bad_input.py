"""Wrong input of every kind to the whole program: one line that names the place, the right exit code, nothing sent."""

import signal
import time

import pytest

from tests.e2e.quick import QUICK, stopping_within
from tests.e2e.test_modes_of_the_machines_clock import addresses
from tests.support.liar import liar
from tests.support.processes import Daemon, Processes, Simulator

pytestmark = pytest.mark.e2e

NOBODY = "127.0.0.1:9"
"""The discard port: nothing listens there."""
_FEW_LINES = 8
KEYS = {"KALSHI_DAEMON_KALSHI__KEY_ID": "k", "KALSHI_DAEMON_INDEX_FEED__API_KEY": "f"}


@pytest.mark.parametrize(
    ("config", "argv", "env", "says"),
    [
        ("mode = \n", (), {}, "config.toml:1:8: not valid TOML"),
        ("[guards]\ndaily_los_dollars = 5\n", (), {}, "config.toml:2: unknown key guards.daily_los_dollars"),
        ("[guards]\ndaily_loss_dollars = 'many'\n", (), {}, "config.toml:2: guards.daily_loss_dollars"),
        ("", (), {"KALSHI_DAEMON_GUARDS__DAILY_LOS": "5"}, "environment KALSHI_DAEMON_GUARDS__DAILY_LOS"),
        ("", (), {"KALSHI_DAEMON_PROFILES__WIDE__LOTS": "two"}, "environment KALSHI_DAEMON_PROFILES__WIDE__LOTS"),
        ("", ("--config", "none.toml"), {}, "none.toml: no such file"),
        ("", ("--mode", "demo"), {**KEYS, "KALSHI_DAEMON_KALSHI__PRIVATE_KEY_PATH": "none.pem"}, "none.pem"),
        ("", ("--mode", "demo"), {**KEYS, "KALSHI_DAEMON_KALSHI__PRIVATE_KEY_PATH": "open.pem"}, "0644"),
        ("", ("--index-replay", "I_SPX_cut.parquet"), {}, "I_SPX_cut.parquet"),
        ("", ("--connect", f"http://{NOBODY}/admin"), {}, "join simulator"),
        ("", ("--connect", "http://192.0.2.1/admin"), {}, "sim.connect"),
    ],
)  # fmt: skip
def test_what_the_operator_wrote_wrong_is_one_line(processes, config, argv, env, says):
    folder = processes.folder
    (folder / "config.toml").write_text(config)
    (folder / "open.pem").write_text("whatever")
    (folder / "open.pem").chmod(0o644)
    (folder / "I_SPX_cut.parquet").write_bytes(b"PAR1" + bytes(200))
    done = processes.command("run", "--state-dir", "s", *argv, env=env)
    assert done.returncode == (69 if "join" in says else 78), done.stderr
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("kalshi-daemon: ")
    assert says in done.stderr


def test_an_exchange_out_of_reach_is_69_and_bounded(processes, sim):
    env = addresses(sim) | {"KALSHI_DAEMON_KALSHI__REST_URL": f"http://{NOBODY}/trade-api/v2"} | stopping_within(4)
    daemon = processes.shifted_daemon(sim, "--mode", "demo", env=env)
    code = daemon.wait(90)
    assert daemon.events("order.start_failed"), "it goes on asking: systemd gives up on what fails fast"
    assert not daemon.events("daemon.ready")
    assert daemon.err == []
    assert code == 69, daemon.tail()
    assert "not reachable" in daemon.events("daemon.failed")[0]["message"]


def test_a_feed_out_of_reach_keeps_the_guards_shut_and_the_daemon_up(processes, sim):
    env = addresses(sim) | {"KALSHI_DAEMON_INDEX_FEED__URL": f"ws://{NOBODY}/indices"}
    daemon = processes.shifted_daemon(sim, "--mode", "demo", env=env).wait_ready()
    daemon.event("feed.session_ended")
    daemon.event("guard.refused", guard="feed_age")
    scans = len(daemon.events("scan.done"))
    daemon.until(lambda: len(daemon.events("scan.done")) >= scans + 4 or None, "goes on looking")
    assert daemon.stop() == 0
    assert sim.truth()["orders_total"] == 0
    assert daemon.summary["orders_placed"] == 0


@pytest.mark.parametrize(
    ("variable", "event", "says"),
    [
        ("KALSHI_DAEMON_KALSHI__KEY_ID", "daemon.failed", "401"),
        ("KALSHI_DAEMON_INDEX_FEED__API_KEY", "feed.auth_failed", ""),
    ],
)
def test_a_refused_key_is_78_and_nothing_was_sent(processes, sim, variable, event, says):
    env = addresses(sim) | {variable: "wrong"} | stopping_within(4)
    daemon = processes.shifted_daemon(sim, "--mode", "demo", env=env)
    assert daemon.wait(60) == 78
    assert says in daemon.events(event)[0]["message"]
    assert not daemon.events("daemon.task_died"), "no traceback"
    if "KALSHI__" in variable:
        assert len(daemon.err) == 1, "one line on standard error"
        assert "401" in daemon.err[0]
        assert len(daemon.lines()) <= _FEW_LINES, "nothing is owned: nothing is asked for again and again"
        assert sum(n for name, n in sim.truth()["requests"].items() if name.endswith(" 401")) == 1
    else:
        assert daemon.err == []
        assert daemon.summary["verified"] is True, "the exchange is still asked to take everything down"
    assert sim.truth()["orders_total"] == 0


def test_a_clock_that_is_off_is_waited_for_and_never_taken_for_a_wrong_key(processes, sim):
    env = addresses(sim) | stopping_within(4)
    daemon = processes.shifted_daemon(sim, "--mode", "demo", env=env, ahead_s=3_600)
    said = daemon.event("daemon.clock_refused")
    assert abs(said["skew_ms"] - 3_600_000) < 120_000
    assert said["skew_ms_max"] == 1_500
    daemon.until(lambda: len(daemon.events("daemon.clock_refused")) >= 2 or None, "it goes on trying")
    assert daemon.running
    assert not daemon.events("daemon.ready")
    assert daemon.stop() == 3, "it could not ask the exchange: unverified, and worth another life"
    assert sim.truth()["orders_total"] == 0


def test_unknown_fee_and_strike_types_are_never_traded_and_the_rest_is(processes, sim):
    strange = []

    def edit(path, body):
        for series in [*body.get("series", []), body.get("series", {})] if "series" in path else []:
            if isinstance(series, dict) and series.get("ticker") == "KXNASDAQ100U":
                series["fee_type"] = "by_the_moon"
        for market in body.get("markets", []):
            # Every other strike of the S&P ladder: the daemon would otherwise quote some of them.
            if market["ticker"].startswith("KXINXU-") and int(market["floor_strike"]) // 5 % 2:
                market["strike_type"] = "greater_on_sundays"
                strange.append(market["ticker"])
        return body

    with liar(sim, edit) as middle:
        daemon = processes.daemon("--connect", middle.url, env=QUICK).wait_ready()
        daemon.event("order.acked")
        daemon.until(lambda: len(daemon.events("order.acked")) >= 2 or None, "the rest is quoted")
        assert daemon.stop() == 0
    quoted = {line["market"] for line in daemon.events("order.acked")}
    assert strange
    assert not quoted & set(strange)
    assert not [ticker for ticker in quoted if ticker.startswith("KXNASDAQ100U")]
    assert sim.truth()["orders_total"] == len(daemon.events("order.acked"))
    loud = [line for line in daemon.lines() if line["level"] in {"warning", "error"}]
    assert any("by_the_moon" in str(line) for line in loud)
    assert any("greater_on_sundays" in str(line) for line in loud)


def test_frames_that_say_nothing_are_survived(processes, sim):
    with liar(sim) as middle:
        daemon = processes.daemon("--connect", middle.url, env=QUICK).wait_ready()
        daemon.event("order.acked")
        nonsense = (
            "{", "[]", "null", "[[[[", '"text"', '{"type":"orderbook_delta"}',
            '{"type":"fill","sid":1,"seq":9,"msg":{}}',
            '[{"ev":"V","T":"I:SPX","t":"now"}]', '[{"ev":"V"}]', '{"ev":"V","T":"I:SPX","val":1e308,"t":1}',
        )  # fmt: skip
        for frame in nonsense:
            assert middle.say("feed", frame) == 1
            middle.say("exchange", frame)
        # The next minute of values would be refused if one of them had moved the clock of the feed.
        scans = len(daemon.events("scan.done"))
        daemon.until(lambda: len(daemon.events("scan.done")) >= scans + 6 or None, "goes on looking")
        assert daemon.running
        levels = {line["window"].split("-")[0]: line["index_level"] for line in daemon.events("scan.done")[-4:]}
        assert levels
        assert all(4_000 < level < 40_000 for level in levels.values()), "no value of the nonsense was taken"
        assert daemon.stop() == 0
    assert daemon.events("feed.item_unreadable")
    assert not daemon.events("daemon.task_died")
    assert daemon.err == []
    truth = sim.truth()
    assert truth["resting"] == []
    assert len(truth["fills"]) == daemon.summary["fills"]
    assert daemon.summary["books_equal"] is True


def test_a_second_daemon_of_the_same_state_is_told_who_holds_it(processes, sim):
    first = processes.daemon("--connect", sim.admin_url, state="one").wait_ready()
    second = processes.daemon("--connect", sim.admin_url, state="one")
    assert second.wait() == 78
    assert second.out == []
    assert len(second.err) == 1
    assert f"process {first.pid}" in second.err[0]
    assert first.running
    assert first.stop(signal.SIGTERM) == 0


def crashed(processes: Processes, sim: Simulator) -> Daemon:
    daemon = processes.daemon("--connect", sim.admin_url, state="crash", env=QUICK).wait_ready()
    sim.until_truth(lambda truth: len(truth["resting"]) >= 4, "something rests")
    daemon.kill()
    return daemon


def test_after_a_crash_the_book_is_known_before_ready_and_the_books_agree(processes, sim):
    first = crashed(processes, sim)
    left = {order["client_order_id"] for order in sim.resting()}
    assert left, "a crash leaves its orders behind"
    began = time.monotonic()
    second = processes.daemon("--connect", sim.admin_url, state="crash", env=QUICK).wait_ready()
    ready_s = time.monotonic() - began
    lines = second.lines()
    at_ready = next(place for place, line in enumerate(lines) if line["event"] == "daemon.ready")
    loaded = next(line for line in lines[:at_ready] if line["event"] == "journal.loaded")
    assert loaded["live"] >= len(left), "it remembers what it had sent"
    assert lines[at_ready]["reconciled"] is True
    assert ready_s < 30
    second.until(lambda: len(second.events("scan.done")) >= 8 or None, "it goes on")
    assert second.stop() == 0
    truth = sim.truth()
    assert truth["resting"] == []
    assert not [name for name in truth["requests"] if name.endswith(" 409")], "no client id was used twice"
    sent = [line["client_order_id"] for each in (first, second) for line in each.events("order.acked")]
    assert len(sent) == len(set(sent))
    assert truth["orders_total"] >= len(sent)
    assert second.summary["verified"] is True
    assert second.summary["books_equal"] is True, second.summary["books_detail"]
