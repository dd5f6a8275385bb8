import os
import socket

import pytest

from kalshi_daemon.bars.files import read_bars
from kalshi_daemon.calibration.constants_file import read_constants, read_judged_constants
from kalshi_daemon.cli.main import main
from kalshi_daemon.ground.errors import ConfigurationError, ExitCode
from kalshi_daemon.ground.named_files import read_named
from kalshi_daemon.kalshi.auth import load_signer
from kalshi_daemon.settings.loader import load_settings
from kalshi_daemon.settings.model import MacroSettings
from kalshi_daemon.windows.macro import load_macro_calendar


@pytest.fixture
def pipe(tmp_path):
    path = tmp_path / "SPX"  # a name that speaks for an index, for bar files
    os.mkfifo(path)
    return path


READERS = {
    "config": lambda path: load_settings(path, {}, None, {}),
    "constants": read_judged_constants,
    "constants to score": read_constants,
    "calendar": lambda path: load_macro_calendar(MacroSettings(calendar=path)),
    "key": lambda path: load_signer(path, "id"),
    "bars": read_bars,
}


@pytest.mark.timeout(10)
@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_a_pipe_that_nobody_writes_into_is_refused_at_once(pipe, read):
    with pytest.raises(ConfigurationError, match="is a pipe, not a regular file"):
        read(pipe)


@pytest.mark.timeout(10)
def test_a_credential_that_is_a_pipe_is_refused_at_once(pipe):
    pipe.rename(pipe.with_name("kalshi_key_id"))
    with pytest.raises(ConfigurationError, match="is a pipe, not a regular file"):
        load_settings(None, {}, pipe.parent, {})


def test_what_is_no_regular_file_is_named_by_kind(tmp_path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        for path, kind in ((os.devnull, "is a device"), (tmp_path, "Is a directory"), (tmp_path / "s", "is a socket")):
            with pytest.raises(ConfigurationError, match=kind) as caught:
                read_named(tmp_path / path, 10, "macro.calendar")
            assert str(caught.value).startswith(f"macro.calendar: {tmp_path / path} ")


def test_a_file_is_read_to_its_bound_and_no_further(tmp_path):
    (tmp_path / "x").write_bytes(b"0123456789")
    (tmp_path / "x").chmod(0o640)
    assert read_named(tmp_path / "x", 10, "key") == (b"0123456789", 0o640)
    with pytest.raises(ConfigurationError, match=r"is larger than 9 bytes \(no such thing\)"):
        read_named(tmp_path / "x", 9, "key", "no such thing")


def test_a_bad_constants_file_names_its_key_and_ends_the_start_at_once(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path, problem in (("none.json", "cannot be read: No such file"), (os.devnull, "is a device")):
        monkeypatch.setenv("KALSHI_DAEMON_CALIBRATION__CONSTANTS_FILE", path)
        assert main(["run"]) == ExitCode.CONFIG
        assert f"calibration.constants_file: {path}: {problem}" in capsys.readouterr().err
    assert not (tmp_path / "state").exists()
