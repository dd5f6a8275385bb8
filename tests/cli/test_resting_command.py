import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kalshi_daemon.cli.main import main
from kalshi_daemon.simulator.exchange.faults import Injection, Manner
from tests.support.exchange_thread import KEY_ID, exchange_thread

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def exchange(tmp_path):
    with exchange_thread(tmp_path) as found:
        yield found


@pytest.fixture
def demo(exchange, monkeypatch):
    """The environment of mode demo, pointed at the exchange on loopback."""
    monkeypatch.setenv("KALSHI_DAEMON_MODE", "demo")
    monkeypatch.setenv("KALSHI_DAEMON_KALSHI__REST_URL", exchange.rest_url)
    monkeypatch.setenv("KALSHI_DAEMON_KALSHI__KEY_ID", KEY_ID)
    monkeypatch.setenv("KALSHI_DAEMON_KALSHI__PRIVATE_KEY_PATH", str(exchange.key_path))
    return exchange


def failure(capsys) -> str:
    """The one line of a command that failed: nothing on standard output, no traceback."""
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    line: str = said.err
    return line.removeprefix("kalshi-daemon: ")


def test_lists_what_the_exchange_has_ours_and_foreign_ones(demo, capsys):
    demo.rest(3, place=1, cents=42, name="somebody-else")
    ours = demo.rest(2, place=0, cents=10, expires_s=600)
    assert main(["resting"]) == 0
    heading, first, second, total = capsys.readouterr().out.splitlines()
    assert " ".join(heading.split()) == "market side price count remaining client order id ours expires"
    cells = first.split()
    assert cells[:7] == [demo.tickers[0], "bid", "0.1000", "2.00", "2.00", ours, "yes"]
    assert cells[-1] in {"EST", "EDT"}
    assert second.split() == [demo.tickers[1], "bid", "0.4200", "3.00", "3.00", "somebody-else", "no", "never"]
    assert total == "2 resting, 1 of them ours"
    assert demo.resting() == {ours, "somebody-else"}, "asking changes nothing"


def test_partly_filled_orders_show_what_remains(demo, capsys):
    demo.rest(5, name="mine")
    account = demo.exchange.accounts["api"]
    order = next(iter(account.orders.values()))
    demo.on_loop(lambda: demo.exchange.decrease("api", order.order_id, by=200))
    assert main(["resting", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["orders"][0]
    assert listed["remaining"] == "3.00"
    assert listed["client_order_id"] == "mine"
    assert listed["expires"] is None


def test_every_page_is_read(demo, capsys, monkeypatch):
    monkeypatch.setattr("kalshi_daemon.kalshi.rest._PAGE", 2)
    names = {demo.rest(place=n) for n in range(7)}
    assert main(["resting", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {order["client_order_id"] for order in found["orders"]} == names
    assert (found["total"], found["ours"]) == (7, 7)


def test_expect_none_is_4_when_something_rests_and_0_when_not(demo, capsys):
    assert main(["resting", "--expect-none"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "0 resting, 0 of them ours"
    demo.rest()
    assert main(["resting", "--expect-none"]) == 4
    assert main(["resting"]) == 0


def test_mode_sim_asks_the_simulator_it_is_told(exchange, capsys, monkeypatch):
    name = exchange.rest()
    assert main(["resting", "--connect", exchange.admin_url + "/", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["orders"][0]["client_order_id"] == name
    monkeypatch.setenv("KALSHI_DAEMON_SIM__CONNECT", exchange.admin_url)
    assert main(["resting"]) == 0


@pytest.mark.parametrize("command", ["resting", "cancel-all"])
def test_mode_sim_without_a_simulator_says_how_to_name_one(command, capsys):
    assert main([command]) == 78
    line = failure(capsys)
    assert line.startswith("sim.connect: no simulated exchange is named")
    assert "--connect ADMIN_URL" in line


@pytest.mark.parametrize("command", ["resting", "cancel-all"])
def test_connect_never_leaves_this_machine_and_belongs_to_sim(command, demo, capsys):
    assert main([command, "--mode", "sim", "--connect", "http://127.evil.example/admin"]) == 78
    assert "is not this machine" in failure(capsys)
    assert main([command, "--connect", demo.admin_url]) == 78
    assert "has no meaning in mode demo" in failure(capsys)


def test_an_exchange_that_cannot_be_reached_is_69(demo, capsys):
    demo.stop()
    assert main(["resting"]) == 69
    assert failure(capsys).startswith("orders: exchange not reachable: ")
    assert main(["resting", "--mode", "sim", "--connect", demo.admin_url]) == 69
    assert failure(capsys) == f"join simulator: exchange not reachable: nothing listens at {demo.admin_url}\n"


@pytest.mark.parametrize("command", ["resting", "cancel-all"])
def test_the_address_a_killed_run_left_behind_is_named(command, exchange, tmp_path, capsys):
    left = tmp_path / "sim" / "simulator.json"
    left.parent.mkdir(exist_ok=True)
    left.write_text(json.dumps({"admin_url": exchange.admin_url}))
    assert main(["resting", "--state-dir", str(tmp_path)]) == 0, "while it lives its exchange is asked"
    capsys.readouterr()
    exchange.stop()
    assert main([command, "--state-dir", str(tmp_path)]) == 69
    line = failure(capsys)
    assert f"nothing listens at {exchange.admin_url}; {left} is of a run that was killed" in line
    assert "Client" not in line


@pytest.mark.parametrize("command", ["resting", "cancel-all"])
def test_wrong_credentials_are_78(command, demo, capsys, monkeypatch):
    monkeypatch.setenv("KALSHI_DAEMON_KALSHI__KEY_ID", "somebody-elses-key")
    assert main([command]) == 78
    assert "refused with 401" in failure(capsys)


def test_a_key_file_others_can_read_is_78_and_nothing_is_asked(demo, capsys):
    demo.key_path.chmod(0o644)
    assert main(["resting", "--json"]) == 78
    said = json.loads(failure(capsys))["error"]
    assert said["exit_code"] == 78
    assert "0644" in said["message"]


def test_an_answer_that_is_no_listing_is_an_error_not_an_empty_table(demo, capsys):
    demo.rest()
    demo.faults.injections.append(Injection("orders", manner=Manner.GARBAGE, times=9))
    assert main(["resting", "--expect-none"]) == 1
    assert "orders" in failure(capsys)


@pytest.mark.e2e
def test_against_a_real_simulator_process_in_its_own_time(tmp_path, elsewhere):
    env = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    program = [sys.executable, "-m", "kalshi_daemon"]
    with subprocess.Popen(
        [*program, "simulate-exchange", "--speed", "50", "--stop-with-parent"],
        cwd=tmp_path,
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as simulator:
        try:
            assert simulator.stdout is not None
            admin_url = json.loads(simulator.stdout.readline())["admin_url"]
            for command in ("resting", "cancel-all"):
                done = subprocess.run(
                    [*program, command, "--connect", admin_url, "--json"],
                    cwd=tmp_path,
                    env=env,
                    capture_output=True,
                    text=True,
                    timeout=60,
                    check=False,
                )
                assert (done.returncode, done.stderr) == (0, "")
                assert json.loads(done.stdout)["orders"] == []
        finally:
            simulator.terminate()
            simulator.wait(30)
