import json

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


def test_a_wrong_setting_stops_config_too(elsewhere, capsys):
    (elsewhere / "config.toml").write_text("[sim]\nsede = 11\n")
    assert main(["config"]) == 78
    assert capsys.readouterr().err == ("kalshi-daemon: config.toml:2: unknown key sim.sede (did you mean sim.seed?)\n")
