"""The whole check-up against the simulated exchange and a vendor on this machine."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from kalshi_daemon.cli.main import main
from tests.support.exchange_thread import KEY_ID, exchange_thread


class Vendor:
    """Answers the snapshot of the indices."""

    def __init__(self) -> None:
        self.timeframe = "REAL-TIME"
        self.status = 200
        here = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                stamp = 1_795_446_300_000_000_000
                one = {"value": 6_870.5, "last_updated": stamp, "timeframe": here.timeframe, "type": "indices"}
                results = [{**one, "ticker": ticker} for ticker in ("I:SPX", "I:NDX")]
                body = json.dumps({"status": "OK", "request_id": "x", "results": results}).encode()
                self.send_response(here.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_args) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()


@pytest.fixture
def vendor():
    made = Vendor()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def demo(elsewhere, vendor, monkeypatch):
    with exchange_thread(elsewhere) as exchange:
        for name, text in {
            "MODE": "demo",
            "KALSHI__REST_URL": exchange.rest_url,
            "KALSHI__KEY_ID": KEY_ID,
            "KALSHI__PRIVATE_KEY_PATH": str(exchange.key_path),
            "INDEX_FEED__API_KEY": "k",
            "INDEX_FEED__REST_URL": f"http://127.0.0.1:{vendor.server.server_port}",
            "PROFILES": '{"size": {"enabled": false}, "close": {"enabled": false}, "wide": {"series": ["KXINXU"]}}',
        }.items():
            monkeypatch.setenv(f"KALSHI_DAEMON_{name}", text)
        yield exchange


def doctor(capsys) -> tuple[int, dict[str, dict[str, str]]]:
    code = main(["doctor", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert all(set(one) == {"name", "verdict", "detail", "remedy"} for one in found["checks"])
    return code, {one["name"]: one for one in found["checks"]}


def test_all_is_well_and_nothing_was_changed(demo, capsys):
    code, checks = doctor(capsys)
    assert code == 0, checks
    assert {one["verdict"] for one in checks.values()} <= {"PASS", "WARN"}
    for name in ("exchange", "key", "limits", "fees KXINXU", "clock", "feed"):
        assert checks[name]["verdict"] == "PASS", checks[name]
    assert "$10,000.00" in checks["key"]["detail"]
    assert demo.resting() == set()


def test_a_wrong_key_and_a_delayed_plan_are_failures_of_configuration(demo, vendor, capsys, monkeypatch):
    monkeypatch.setenv("KALSHI_DAEMON_KALSHI__KEY_ID", "another")
    vendor.timeframe = "DELAYED"
    code, checks = doctor(capsys)
    assert code == 78
    assert [name for name, one in checks.items() if one["verdict"] == "FAIL"] == ["key", "feed"]
    assert all(checks[name]["remedy"] for name in ("key", "feed"))


def test_a_plan_that_is_refused_says_so(demo, vendor, capsys):
    vendor.status = 403
    code, checks = doctor(capsys)
    assert (code, checks["feed"]["verdict"]) == (78, "FAIL")


def test_an_exchange_that_is_not_reached_is_69(demo, capsys, monkeypatch):
    monkeypatch.setenv("KALSHI_DAEMON_KALSHI__REST_URL", "http://127.0.0.1:1/trade-api/v2")
    code, checks = doctor(capsys)
    assert code == 69
    assert checks["exchange"]["verdict"] == "FAIL"
    assert checks["clock"]["verdict"] == "WARN"


def test_in_sim_it_asks_the_simulated_exchange(demo, capsys, monkeypatch):
    monkeypatch.setenv("KALSHI_DAEMON_MODE", "sim")
    for name in ("KALSHI__REST_URL", "INDEX_FEED__REST_URL", "KALSHI__PRIVATE_KEY_PATH"):
        monkeypatch.delenv(f"KALSHI_DAEMON_{name}")
    assert main(["doctor", "--connect", demo.admin_url]) == 0
    shown = capsys.readouterr().out
    assert "reached, trading is active" in shown
    assert "feed " not in shown
    assert "simulated time passes at its own speed" in shown, "a good clock is not called wrong by a simulated one"
