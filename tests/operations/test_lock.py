import os
import subprocess
import sys
from pathlib import Path

import pytest

from kalshi_daemon.ground.errors import ConfigurationError, ExitCode, InstanceAlreadyRunning
from kalshi_daemon.operations.lock import InstanceLock, holder_of

HOLDER = """
import os, sys
from pathlib import Path
from kalshi_daemon.operations.lock import InstanceLock
InstanceLock(Path(sys.argv[1]), os.getpid()).acquire()
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_instance_is_refused_and_told_who_holds_the_lock(tmp_path):
    with InstanceLock(tmp_path / "sim", 4711):
        with pytest.raises(InstanceAlreadyRunning) as caught:
            InstanceLock(tmp_path / "sim", 4712).acquire()
        assert str(caught.value).startswith(f"{tmp_path / 'sim' / 'daemon.lock'}: held by process 4711")
        assert caught.value.exit_code is ExitCode.CONFIG
        assert holder_of(tmp_path / "sim" / "daemon.lock") == 4711, "the loser did not overwrite the holder"


def test_another_mode_or_directory_is_another_lock(tmp_path):
    with InstanceLock(tmp_path / "sim", 1), InstanceLock(tmp_path / "demo", 1), InstanceLock(tmp_path / "x" / "sim", 1):
        pass


def test_release_lets_the_next_one_in_and_forgets_the_pid(tmp_path):
    lock = InstanceLock(tmp_path, 1)
    lock.acquire()
    lock.release()
    lock.release()
    assert holder_of(tmp_path / "daemon.lock") is None
    with InstanceLock(tmp_path, 2):
        assert holder_of(tmp_path / "daemon.lock") == 2


def test_a_shorter_pid_replaces_a_longer_one(tmp_path):
    (tmp_path / "daemon.lock").write_text("99999999\n")
    with InstanceLock(tmp_path, 7):
        assert holder_of(tmp_path / "daemon.lock") == 7


def test_a_killed_holder_leaves_a_file_but_no_lock(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(InstanceAlreadyRunning, match=f"held by process {holder.pid}"):
            InstanceLock(tmp_path, os.getpid()).acquire()
        holder.kill()
        holder.wait(10)
    assert holder_of(tmp_path / "daemon.lock") == holder.pid, "left behind by the killed process"
    with InstanceLock(tmp_path, os.getpid()):
        pass


def test_a_holder_that_has_not_written_its_pid_yet_is_another_process(tmp_path):
    with InstanceLock(tmp_path, 1):
        (tmp_path / "daemon.lock").write_text("")
        with pytest.raises(InstanceAlreadyRunning, match="held by another process"):
            InstanceLock(tmp_path, 2).acquire()


def test_a_state_directory_that_cannot_be_written_is_a_configuration_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match=r"state_dir: .*daemon\.lock cannot be opened"):
        InstanceLock(tmp_path / "file" / "sim", 1).acquire()


def test_a_file_system_without_locks_is_refused(tmp_path, monkeypatch):
    def no_locks(descriptor: int, how: int) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("kalshi_daemon.operations.lock.fcntl.flock", no_locks)
    with pytest.raises(ConfigurationError, match="cannot be locked: Operation not supported"):
        InstanceLock(tmp_path, 1).acquire()


def test_nobody_holds_a_lock_that_does_not_exist(tmp_path):
    assert holder_of(Path(tmp_path / "daemon.lock")) is None
