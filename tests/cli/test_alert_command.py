import json
from threading import Event

import pytest

from kalshi_daemon.cli import alert as module
from kalshi_daemon.cli.main import main
from kalshi_daemon.operations import alert_targets

VARIABLE = "KALSHI_DAEMON_ALERTS__TARGETS"


@pytest.fixture
def sent(monkeypatch):
    found = []

    def sender(word):
        def send(message):
            found.append((word, message))
            return not word.endswith("dead")

        return send

    def senders_of(addresses):
        return [(f"{n} (x)", sender(word)) for n, word in enumerate(addresses.split(), start=1)]

    monkeypatch.setattr(alert_targets, "senders_of", senders_of)
    return found


def test_a_test_alert_goes_to_every_target_and_says_which_took_it(elsewhere, capsys, monkeypatch, sent):
    monkeypatch.setenv(VARIABLE, "x://one x://dead")
    assert main(["alert", "test", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["targets"] == [
        {"target": "1 (x)", "sent": True, "problem": ""},
        {"target": "2 (x)", "sent": False, "problem": "refused, or not reached"},
    ]
    assert {message.title for _word, message in sent} == {"kalshi-daemon sim: test"}
    monkeypatch.setenv(VARIABLE, "x://one")
    assert main(["alert", "test"]) == 0


def test_a_text_of_ones_own_is_critical(elsewhere, monkeypatch, sent):
    monkeypatch.setenv(VARIABLE, "x://one")
    assert main(["alert", "--send", "kalshi-daemon.service has failed"]) == 0
    ((_word, message),) = sent
    assert (message.body, message.severity.value) == ("kalshi-daemon.service has failed", "critical")


def test_without_targets_it_says_how_to_name_one(elsewhere, capsys):
    assert main(["alert", "test"]) == 78
    assert "alerts.targets: is not set (KALSHI_DAEMON_ALERTS__TARGETS" in capsys.readouterr().err
    assert main(["alert"]) == 2
    assert main(["alert", "--send", " "]) == 2


def test_a_target_that_hangs_does_not_hold_up_the_command(elsewhere, capsys, monkeypatch):
    gate = Event()
    monkeypatch.setattr(alert_targets, "senders_of", lambda _words: [("1 (x)", lambda _message: gate.wait(10))])
    monkeypatch.setattr(module, "_SPARE_S", -0.45)
    monkeypatch.setenv(VARIABLE, "x://one")
    monkeypatch.setenv("KALSHI_DAEMON_ALERTS__SEND_TIMEOUT_S", "0.5")
    assert main(["alert", "test"]) == 1
    assert "no answer in 0.5 s" in capsys.readouterr().out
    gate.set()
