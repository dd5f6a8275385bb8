"""The status of a running daemon over its socket: whose it is, how long it takes, and what it may not hold up."""

import asyncio
import os
import socket
import stat
import threading

import orjson
import pytest

from kalshi_daemon.ground.errors import MalformedField
from kalshi_daemon.operations import status_socket
from kalshi_daemon.operations.lock import InstanceLock
from kalshi_daemon.operations.status_socket import (
    READERS_MAX,
    SOCKET_NAME,
    DaemonStuck,
    NoDaemon,
    ask_status,
    serve_status,
)


async def asked(mode_dir, within_s: float = 5.0):
    return await asyncio.to_thread(ask_status, mode_dir, within_s)


def hello() -> bytes:
    return b'{"mode": "sim"}\n'


async def test_it_answers_is_the_owners_alone_and_goes_with_the_daemon(tmp_path):
    async with serve_status(tmp_path, hello):
        assert await asked(tmp_path) == {"mode": "sim"}
        mode = (tmp_path / SOCKET_NAME).stat().st_mode
        assert (stat.S_ISSOCK(mode), stat.S_IMODE(mode)) == (True, 0o600)
    assert not (tmp_path / SOCKET_NAME).exists()


async def test_a_path_longer_than_a_socket_address_is_no_obstacle(tmp_path):
    folder = tmp_path / ("a" * 120) / ("b" * 120)
    folder.mkdir(parents=True)
    async with serve_status(folder, hello):
        assert await asked(folder) == {"mode": "sim"}
        assert stat.S_IMODE((folder / SOCKET_NAME).stat().st_mode) == 0o600


async def test_a_socket_left_behind_is_told_from_a_live_one_and_replaced(tmp_path):
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(tmp_path / SOCKET_NAME))
    left.listen()
    left.close()  # as a process that died leaves it
    assert (tmp_path / SOCKET_NAME).exists()
    with pytest.raises(NoDaemon, match=f"no daemon runs on {tmp_path}"):
        ask_status(tmp_path)
    async with serve_status(tmp_path, hello):
        assert await asked(tmp_path) == {"mode": "sim"}


def test_nothing_there_is_no_daemon_and_a_held_lock_without_a_socket_is_said(tmp_path):
    with pytest.raises(NoDaemon):
        ask_status(tmp_path)
    with InstanceLock(tmp_path, 4711), pytest.raises(DaemonStuck, match=r"process 4711 runs on .* serves no status"):
        ask_status(tmp_path)


def test_a_daemon_that_is_stuck_is_said_to_be_so(tmp_path):
    with InstanceLock(tmp_path, 4711), socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / SOCKET_NAME))
        silent.listen()
        with pytest.raises(DaemonStuck, match=r"process 4711 took the question and gave no answer in 0.05 s"):
            ask_status(tmp_path, 0.05)


async def test_an_answer_that_drips_does_not_last_longer_than_the_patience(tmp_path):
    with socket.socket(socket.AF_UNIX) as slow:
        slow.bind(str(tmp_path / SOCKET_NAME))
        slow.listen()

        def drip() -> None:
            taken, _who = slow.accept()
            with taken:
                for _ in range(20):
                    try:
                        taken.send(b" ")
                    except OSError:
                        return
                    threading.Event().wait(0.02)

        dripping = threading.Thread(target=drip)
        dripping.start()
        with pytest.raises(DaemonStuck):
            await asked(tmp_path, 0.1)
        dripping.join()


async def test_readers_that_stall_are_cut_off_and_hold_up_nobody(tmp_path, monkeypatch):
    monkeypatch.setattr(status_socket, "WRITE_WITHIN_S", 0.1)
    big = orjson.dumps({"text": "x" * 3_000_000})
    async with serve_status(tmp_path, lambda: big):
        stalled = [socket.socket(socket.AF_UNIX) for _ in range(READERS_MAX)]
        for one in stalled:
            one.setblocking(True)
            one.connect(str(tmp_path / SOCKET_NAME))
        await asyncio.sleep(0.05)
        with pytest.raises(DaemonStuck):
            await asked(tmp_path, 1)  # one too many is turned away at once
        await asyncio.sleep(0.15)
        found = await asked(tmp_path)
        assert len(found["text"]) == 3_000_000
        for one in stalled:
            one.close()


async def test_a_place_where_no_socket_can_be_made_costs_the_status_alone(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(
        status_socket.log, "warning", lambda event, **fields: said.append((event, fields)), raising=False
    )
    async with serve_status(tmp_path / "absent", hello):
        pass
    assert [event for event, _fields in said] == ["status.not_served"]


async def test_an_answer_that_is_none_is_refused(tmp_path):
    async with serve_status(tmp_path, lambda: b"what"):
        with pytest.raises(MalformedField):
            await asked(tmp_path)
    async with serve_status(tmp_path, lambda: b"[]"):
        with pytest.raises(MalformedField, match="a JSON object"):
            await asked(tmp_path)


def test_a_folder_of_another_user_is_said(tmp_path):
    if os.geteuid() == 0:
        pytest.skip("root may look everywhere")
    tmp_path.chmod(0)
    with pytest.raises(DaemonStuck, match="Permission denied"):
        ask_status(tmp_path)
