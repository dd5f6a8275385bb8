"""Commands that read what a daemon wrote say when the folder is not there, or cannot be looked into."""

import pytest

from kalshi_daemon.cli.main import main
from kalshi_daemon.ground.errors import ExitCode
from kalshi_daemon.ground.units import Nanos
from kalshi_daemon.orders.journal import Journal, journal_path
from kalshi_daemon.orders.journal_archive import archive_folder

READERS = (
    ("orders",),
    ("ledger",),
    ("why", "KXINXU-26NOV23H1200-T1"),
    ("digest",),
    ("reset-group", "wide"),
    ("calibration-report", "--live"),
    ("pack",),
)


@pytest.mark.parametrize("argv", READERS, ids=[argv[0] for argv in READERS])
def test_a_state_directory_that_is_not_there_is_no_empty_one(elsewhere, capsys, monkeypatch, argv):
    assert main([*argv, "--state-dir", "nowhere"]) == ExitCode.USAGE
    assert "command line: --state-dir: nowhere: no such folder" in capsys.readouterr().err
    monkeypatch.setenv("KALSHI_DAEMON_STATE_DIR", "nowhere")
    assert main([*argv]) == ExitCode.CONFIG
    assert "environment KALSHI_DAEMON_STATE_DIR: nowhere: no such folder" in capsys.readouterr().err
    assert not (elsewhere / "nowhere").exists()


@pytest.mark.parametrize("argv", READERS, ids=[argv[0] for argv in READERS])
def test_a_state_directory_that_cannot_be_looked_into_is_named(elsewhere, capsys, argv):
    (elsewhere / "state").write_text("")
    assert main([*argv, "--state-dir", "state"]) == ExitCode.USAGE
    assert "--state-dir: state cannot be read: Not a directory" in capsys.readouterr().err
    (elsewhere / "state").unlink()
    (elsewhere / "state").mkdir()
    (elsewhere / "state" / "sim").write_text("")
    assert main([*argv]) == ExitCode.CONFIG
    assert "state/sim cannot be read: Not a directory" in capsys.readouterr().err


def test_the_default_one_may_not_be_there_yet(elsewhere, capsys):
    assert main(["orders"]) == ExitCode.REFUSED
    assert "no journal: there is no folder state here (--state-dir or --config?)" in capsys.readouterr().err
    (elsewhere / "state").mkdir()
    assert main(["ledger"]) == ExitCode.REFUSED
    assert "no order was ever placed" in capsys.readouterr().err


def test_a_record_of_forecasts_that_cannot_be_read_is_not_an_empty_one(elsewhere, capsys):
    folder = elsewhere / "state" / "sim" / "calibration"
    folder.mkdir(parents=True)
    (folder / "record").write_text("")
    assert main(["calibration-report", "--live"]) == ExitCode.CONFIG
    assert "state/sim/calibration/record: cannot be read: Not a directory" in capsys.readouterr().err


def test_archives_that_cannot_be_read_are_not_left_out_of_the_ledger(elsewhere, capsys):
    path = journal_path(elsewhere / "state" / "sim")
    path.parent.mkdir(parents=True)
    Journal.open(path, Nanos(0)).close()
    archive_folder(path).write_text("")
    assert main(["ledger"]) == ExitCode.FAILURE
    assert "proc/archive: Not a directory" in capsys.readouterr().err
