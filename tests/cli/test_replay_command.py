"""`kalshi-daemon replay`: what it says of files that it cannot replay; tests/backtest/test_replay.py has the others."""

import os

import orjson
import pytest

from kalshi_daemon.cli.main import main
from kalshi_daemon.recording.blocks import MAGIC, BlockChain
from kalshi_daemon.recording.reader import recordings_folder

PARTLY = MAGIC + BlockChain().pack(b'{"versions":{}}')


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read: No such file"),
        (b"", "is empty"),
        (b"PAR1", "is no recording of kalshi-daemon"),
        (b"kalshi-daemon recording 9\nxyz", "this is of 'kalshi-daemon recording 1'"),
        (MAGIC, "its first block is damaged"),
        (PARTLY, "no opening"),
        (PARTLY[:-4], "its first block is damaged"),
    ],
)
def test_a_file_that_cannot_be_replayed_ends_in_one_line(tmp_path, capsys, content, words):
    path = tmp_path / "one.recording"
    if content is not None:
        path.write_bytes(content)
    assert main(["replay", str(path), "--verify"]) == 78
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert str(path) in error
    assert words in error


def test_a_path_that_is_no_regular_file_is_refused_unread(tmp_path, capsys):
    os.mkfifo(tmp_path / "pipe")
    for path, words in ((tmp_path / "pipe", "is a pipe"), ("/dev/null", "is a device"), (tmp_path, "Is a directory")):
        assert main(["replay", str(path)]) == 78
        assert words in capsys.readouterr().err
    assert main(["replay", ""]) == 2
    assert "the path is empty" in capsys.readouterr().err


def test_a_time_that_is_none_is_a_wrong_command_line(capsys):
    assert main(["replay", "latest", "--until", "25:00"]) == 2
    assert "--until '25:00' is not a time" in capsys.readouterr().err


def test_latest_without_any_says_where_it_looked(tmp_path, capsys):
    (tmp_path / "state" / "sim").mkdir(parents=True)
    assert main(["--state-dir", str(tmp_path / "state"), "--json", "replay", "latest"]) == 78
    said = orjson.loads(capsys.readouterr().err)["error"]["message"]
    assert str(recordings_folder(tmp_path / "state" / "sim")) in said
    assert "holds no recording" in said
