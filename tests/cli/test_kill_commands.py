import json

from kalshi_daemon.cli.main import main
from kalshi_daemon.operations.kill_switch import kill_switch_path, read_kill_switch


def test_kill_and_unkill_work_while_the_daemon_is_down(elsewhere, capsys):
    path = kill_switch_path(elsewhere / "state" / "live")
    assert main(["kill", "--mode", "live", "--reason", "odd fills", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["engaged"] is True
    assert read_kill_switch(path).reason == "odd fills"
    assert not read_kill_switch(kill_switch_path(elsewhere / "state" / "sim")).engaged, "kept apart per mode"
    assert main(["unkill", "--mode", "live"]) == 0
    assert "released" in capsys.readouterr().out
    assert not path.exists()
    assert main(["unkill", "--mode", "live"]) == 4
    assert "was not engaged" in capsys.readouterr().out


def test_kill_needs_no_credentials_in_any_mode(elsewhere):
    for mode in ("sim", "demo", "live"):
        assert main(["kill", "--mode", mode, "--state-dir", str(elsewhere / "s")]) == 0
        assert kill_switch_path(elsewhere / "s" / mode).exists()


def test_a_state_directory_that_cannot_be_written_is_one_line(elsewhere, capsys):
    (elsewhere / "state").write_text("a file")
    assert main(["kill"]) == 78
    err = capsys.readouterr().err
    assert err.startswith("kalshi-daemon: state/sim/data/proc/state/kill_switch: kill switch cannot be written")
    assert err.count("\n") == 1
