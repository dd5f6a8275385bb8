import asyncio
import json

import aiohttp
import pytest
from structlog.testing import capture_logs

from kalshi_daemon.app.service import Subject, serve
from kalshi_daemon.cli.main import main
from kalshi_daemon.ground.clock import ManualClock
from kalshi_daemon.ground.units import SECOND, Nanos
from kalshi_daemon.operations.kill_switch import kill_switch_path
from kalshi_daemon.operations.lock import InstanceLock
from kalshi_daemon.operations.logging import LineSink
from kalshi_daemon.operations.status import RunFacts, status_of
from kalshi_daemon.operations.status_socket import ask_status, serve_status
from kalshi_daemon.settings.model import Settings
from kalshi_daemon.settings.service import PageSettings
from kalshi_daemon.state import DaemonState

NOW = Nanos(1_795_446_300 * SECOND)


def look():
    return status_of(DaemonState(), NOW, RunFacts("sim", "0", "r", ready=False))


def subject(settings, looking):
    return Subject(settings, DaemonState(), LineSink(stdout=False, path=None, bytes_max=1), looking, ManualClock(NOW))


@pytest.fixture
def settings(elsewhere):
    made = Settings(state_dir=elsewhere / "state")
    made.mode_dir.mkdir(parents=True)
    return made


async def test_it_shows_what_the_daemon_says(settings, capsys):
    async with serve(subject(settings, look)):
        assert await asyncio.to_thread(main, ["status"]) == 0
        shown = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
        assert shown[1:3] == ["mode sim, not armed", "quoting no"]
        assert await asyncio.to_thread(main, ["status", "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
    assert (found["mode"], found["quoting"]) == ("sim", False)
    assert {"session", "paths", "fans", "ladders", "filled", "calibration", "events"} <= found.keys(), "the page's too"


async def test_the_page_shows_the_same_picture_and_what_was_logged(settings):
    settings = settings.model_copy(update={"page": PageSettings(bind="127.0.0.1:0", sim=True)})
    run = subject(settings, look)
    with capture_logs() as lines:
        async with serve(run), aiohttp.ClientSession() as session:
            assert run.sink.hear is not None
            run.sink.hear("book.lost", {"level": "warning", "market": "A"})
            (url,) = [line["url"] for line in lines if line["event"] == "page.served"]
            async with session.get(f"{url}events") as answer:
                await answer.content.readuntil(b"data: ")
                shown = json.loads(await answer.content.readline())
            asked = await asyncio.to_thread(ask_status, settings.mode_dir)
            headers = {"Origin": url.rstrip("/")}
            async with session.post(f"{url}kill", json={"word": "kill"}, headers=headers) as answer:
                assert answer.status == 200
    assert [(one["event"], one["text"]) for one in shown["events"]] == [("book.lost", "market A")]
    assert shown == asked
    assert kill_switch_path(settings.mode_dir).exists(), "where the command kill writes it"


def test_without_a_daemon_it_is_refused_and_names_the_one_that_was_meant(settings, capsys):
    with InstanceLock(settings.state_dir / "live", 4711):
        assert main(["status"]) == 4
    err = capsys.readouterr().err
    assert err.startswith("kalshi-daemon: no daemon runs on state/sim; a daemon of mode live runs (process 4711)")


async def test_a_status_that_cannot_be_made_is_said_and_ends_nothing(settings, capsys):
    def broken():
        raise ZeroDivisionError

    async with serve(subject(settings, broken)):
        assert await asyncio.to_thread(main, ["status"]) == 1
    assert "ZeroDivisionError" in capsys.readouterr().err


async def test_a_daemon_of_another_version_is_shown_as_json_alone(settings, capsys):
    async with serve_status(settings.mode_dir, lambda: b'{"schema": 99}'):
        assert await asyncio.to_thread(main, ["status"]) == 1
        assert "schema of the daemon's status: unknown value 99; known: 1" in capsys.readouterr().err
        assert await asyncio.to_thread(main, ["status", "--json"]) == 0
