import json

import pytest

from kalshi_daemon.cli.main import main


def test_config_prints_every_setting_with_its_origin(elsewhere, capsys, monkeypatch):
    (elsewhere / "config.toml").write_text("[sim]\nseed = 11\n")
    monkeypatch.setenv("KALSHI_DAEMON_INDEX_FEED__API_KEY", "topsecretkey")
    assert main(["config", "--json"]) == 0
    rows = {row["key"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["sim.seed"] == {"key": "sim.seed", "value": "11", "origin": "config.toml:2"}
    assert rows["sim.speed"]["origin"] == "default"
    assert rows["index_feed.api_key"]["value"] == "(set)"
    assert rows["index_feed.api_key"]["origin"] == "environment KALSHI_DAEMON_INDEX_FEED__API_KEY"
    assert main(["config"]) == 0
    text = capsys.readouterr().out
    assert "topsecretkey" not in text
    assert text.splitlines()[0].split() == ["setting", "value", "from"]


def test_config_of_a_mode_whose_credentials_are_missing_still_prints(capsys):
    assert main(["--mode", "live", "config", "--json"]) == 0
    rows = {row["key"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["kalshi.rest_url"]["origin"] == "default of mode live"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("TRADING__POLICY", "foo", "trading.policy: 'foo' is no policy"),
        ("ALERTS__TARGETS", "nonsense", "address 1 of 1"),
    ],
)
@pytest.mark.parametrize("command", ["config", "run", "doctor"])
def test_a_name_that_run_would_refuse_is_refused_wherever_settings_are_looked_at(
    elsewhere, capsys, monkeypatch, command, name, value, words
):
    monkeypatch.setenv(f"KALSHI_DAEMON_{name}", value)
    assert main([command, *(["--connect", "http://127.0.0.1:9"] if command == "doctor" else [])]) == 78
    assert words in capsys.readouterr().err
    assert not (elsewhere / "state").exists(), "nothing was begun"


def test_a_wrong_setting_stops_config_too(elsewhere, capsys):
    (elsewhere / "config.toml").write_text("[sim]\nsede = 11\n")
    assert main(["config"]) == 78
    assert capsys.readouterr().err == ("kalshi-daemon: config.toml:2: unknown key sim.sede (did you mean sim.seed?)\n")
