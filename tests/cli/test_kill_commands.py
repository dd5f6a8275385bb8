import json
import subprocess
import sys

from kalshi_daemon.cli.main import main
from kalshi_daemon.operations.kill_switch import kill_switch_path, read_kill_switch
from kalshi_daemon.operations.lock import InstanceLock


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


def test_a_slip_in_the_state_directory_is_no_kill(elsewhere, capsys):
    for command in ("kill", "unkill"):
        assert main([command, "--state-dir", str(elsewhere / "stat")]) == 2
        assert "no such folder" in capsys.readouterr().err
    assert not (elsewhere / "stat").exists()


def test_kill_needs_no_credentials_in_any_mode(elsewhere):
    (elsewhere / "s").mkdir()
    for mode in ("sim", "demo", "live"):
        assert main(["kill", "--mode", mode, "--state-dir", str(elsewhere / "s")]) == 0
        assert kill_switch_path(elsewhere / "s" / mode).exists()


def test_a_state_directory_that_cannot_be_written_is_one_line(elsewhere, capsys):
    (elsewhere / "state").write_text("a file")
    assert main(["kill"]) == 78
    err = capsys.readouterr().err
    assert err.startswith("kalshi-daemon: state/sim/data/proc/state/kill_switch: kill switch cannot be written")
    assert err.count("\n") == 1


def test_kill_says_which_file_and_which_daemon_hears_it(elsewhere, capsys):
    path = kill_switch_path(elsewhere / "state" / "live")
    with InstanceLock(elsewhere / "state" / "live", 4711):
        assert main(["kill", "--mode", "live"]) == 0
        _heading, row, *notes = capsys.readouterr().out.splitlines()
        assert row.split()[-1] == str(path), "absolute, though the setting is not"
        assert notes == ["a daemon of this mode runs (process 4711)"]
        assert main(["unkill", "--mode", "live", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["path"], found["daemon_pid"], found["other_daemons"]) == (str(path), 4711, {})


def test_a_kill_nobody_hears_says_so_and_names_the_daemon_that_was_meant(elsewhere, capsys):
    with InstanceLock(elsewhere / "state" / "live", 4711):
        assert main(["kill"]) == 0
        assert capsys.readouterr().out.splitlines()[2:] == [
            "no daemon of this mode and state directory runs: the switch holds for the next start",
            "a daemon of mode live runs (process 4711): --mode live",
        ]
        assert main(["kill", "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert (found["engaged"], found["daemon_pid"], found["other_daemons"]) == (True, None, {"live": 4711})
        assert main(["unkill"]) == 0
        assert capsys.readouterr().out.splitlines()[2:] == [
            "no daemon of this mode and state directory runs",
            "a daemon of mode live runs (process 4711): --mode live",
        ]
    assert not read_kill_switch(kill_switch_path(elsewhere / "state" / "live")).engaged


def test_a_lock_left_behind_is_no_daemon(elsewhere, capsys):
    folder = elsewhere / "state" / "sim"
    folder.mkdir(parents=True)
    (folder / "daemon.lock").write_text("4711\n")
    assert main(["kill", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["daemon_pid"] is None


def test_kill_does_not_wait_for_the_http_client_to_load():
    code = "import sys; import kalshi_daemon.cli.kill; print('aiohttp' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
