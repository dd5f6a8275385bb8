import asyncio
import json

import pytest
from structlog.testing import capture_logs

from kalshi_daemon.ground.errors import ConfigurationError
from kalshi_daemon.ground.units import SECOND, Nanos
from kalshi_daemon.operations import kill_switch
from kalshi_daemon.operations.kill_switch import (
    KillSwitch,
    KillSwitchWatch,
    engage,
    kill_switch_path,
    read_kill_switch,
    release,
)
from kalshi_daemon.state import DaemonState

WHEN = Nanos(1_795_467_600 * SECOND)


@pytest.fixture
def path(tmp_path):
    return kill_switch_path(tmp_path / "sim")


def test_the_file_lies_where_the_runbook_puts_it(path, tmp_path):
    assert path == tmp_path / "sim" / "data" / "proc" / "state" / "kill_switch"


def test_engage_and_release(path):
    assert read_kill_switch(path) == KillSwitch(engaged=False)
    engage(path, "quotes look wrong", WHEN)
    assert read_kill_switch(path) == KillSwitch(True, "quotes look wrong", "2026-11-23T21:00:00.000000Z")
    assert json.loads(path.read_text()) == {"reason": "quotes look wrong", "when": "2026-11-23T21:00:00.000000Z"}
    assert [one.name for one in path.parent.iterdir()] == ["kill_switch"], "no draft left behind"
    assert release(path)
    assert not release(path), "it was not there"
    assert not read_kill_switch(path).engaged


def test_engaging_again_replaces_the_reason_and_a_reason_is_bounded(path):
    engage(path, "first", WHEN)
    engage(path, "x" * 10_000, WHEN)
    assert read_kill_switch(path).reason == "x" * 500


@pytest.mark.parametrize("content", ["", "kill", "[1]", '{"reason": 7}', '"text"', '{"reason": "cut', "\0" * 10_000])
def test_existence_counts_whatever_the_file_holds(path, content):
    path.parent.mkdir(parents=True)
    path.write_text(content)
    assert read_kill_switch(path).engaged


def test_what_cannot_be_looked_at_is_engaged(tmp_path, path):
    path.mkdir(parents=True)
    found = read_kill_switch(path)
    assert found.engaged
    assert "cannot be looked at: Is a directory" in found.reason
    (tmp_path / "file").write_text("")
    assert read_kill_switch(tmp_path / "file" / "kill_switch").engaged


def test_files_that_cannot_be_written_or_removed_are_one_line_errors(tmp_path, path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="kill switch cannot be written: "):
        engage(tmp_path / "file" / "kill_switch", "x", WHEN)
    path.mkdir(parents=True)
    with pytest.raises(ConfigurationError, match="kill switch cannot be removed: "):
        release(path)


def test_the_state_is_closed_until_the_first_look(path):
    assert DaemonState().kill_switch


async def test_the_watch_follows_the_file_and_tells_each_change_once(path, monkeypatch):
    monkeypatch.setattr(kill_switch, "POLL_S", 0.001)
    state = DaemonState()
    told: asyncio.Queue[tuple[KillSwitch, bool]] = asyncio.Queue()
    watch = KillSwitchWatch(state, path, on_change=lambda found: told.put_nowait((found, state.kill_switch)))
    with capture_logs() as logs:
        async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
            task = tasks.create_task(watch.run())
            assert await told.get() == (KillSwitch(engaged=False), False), "the first look counts as a change"
            engage(path, "stop", WHEN)
            found, seen = await told.get()
            assert (found.engaged, found.reason, seen) == (True, "stop", True)
            release(path)
            found, seen = await told.get()
            assert (found.engaged, seen) == (False, False)
            path.mkdir()
            found, seen = await told.get()
            assert (found.engaged, seen) == (True, True), "fail closed"
            task.cancel()
    assert told.empty()
    assert [one["event"] for one in logs] == [  # nothing of the first look: nobody released anything
        "kill_switch.engaged",
        "kill_switch.released",
        "kill_switch.engaged",
    ]


def test_after_the_first_look_a_plain_touch_engages_it(tmp_path):
    path = kill_switch_path(tmp_path / "live")
    watch = KillSwitchWatch(DaemonState(), path, on_change=lambda found: None)
    watch.look()
    path.touch()
    assert watch.look().engaged


def test_looking_twice_tells_once(path):
    told: list[KillSwitch] = []
    watch = KillSwitchWatch(DaemonState(), path, on_change=told.append)
    engage(path, "a", WHEN)
    watch.look()
    engage(path, "b", WHEN)
    assert watch.look().reason == "b"
    assert [one.reason for one in told] == ["a"]
