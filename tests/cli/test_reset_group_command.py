import asyncio
import contextlib
import json
import threading

import pytest
from structlog.testing import capture_logs

from kalshi_daemon.cli import reset_group
from kalshi_daemon.cli.main import main
from kalshi_daemon.ground.units import Nanos
from kalshi_daemon.operations.group_reset import GroupResetWatch, ask, read_request, request_path
from kalshi_daemon.orders.journal import Journal, journal_path
from kalshi_daemon.state import GroupHalt

HALT = GroupHalt(Nanos(1_795_449_600 * 10**9), "order group g-1 triggered at the exchange")


@pytest.fixture
def book(elsewhere):
    path = journal_path(elsewhere / "state" / "sim")
    with contextlib.closing(Journal.open(path, Nanos(0))) as found:
        yield found


@pytest.fixture
def reset_request(elsewhere):
    return request_path(elsewhere / "state" / "sim", "wide")


def outcome(capsys):
    return json.loads(capsys.readouterr().out)["outcome"]


@pytest.fixture
def daemon(monkeypatch):
    """One that runs, and deals with the file as the test says."""
    monkeypatch.setattr(reset_group, "running_daemon", lambda _folder: 4711)
    monkeypatch.setattr(reset_group, "WAIT_S_MAX", 3.0)
    started = []

    def deals(work):
        thread = threading.Thread(target=work)
        thread.start()
        started.append(thread)

    yield deals
    for thread in started:
        thread.join(5)


def when_there(path, then):
    def work():
        pause = threading.Event()
        for _ in range(300):
            if path.exists():
                then()
                path.unlink()
                return
            pause.wait(0.01)

    return work


def test_without_a_daemon_the_wish_waits_for_the_next_start(book, reset_request, capsys):
    book.halt("wide", HALT)
    assert main(["reset-group", "wide", "--reason", "news explained"]) == 0
    assert "left for the next start" in capsys.readouterr().out
    assert read_request(reset_request) == HALT.at_ns
    assert json.loads(reset_request.read_text())["reason"] == "news explained"
    assert book.halts() == {"wide": HALT}, "the command itself changes nothing"


def test_a_profile_that_is_not_halted_is_4_and_leaves_no_wish(book, reset_request, capsys):
    book.halt("size", HALT)
    assert main(["reset-group", "wide", "--json"]) == 4
    assert outcome(capsys) == "not_halted"
    assert not reset_request.exists()


def test_a_running_daemon_that_resets_is_waited_for(book, reset_request, capsys, daemon, elsewhere):
    book.halt("wide", HALT)

    def ends():
        with contextlib.closing(Journal.open(journal_path(elsewhere / "state" / "sim"), Nanos(0))) as other:
            other.end_halt("wide")

    daemon(when_there(reset_request, ends))
    assert main(["reset-group", "wide", "--json"]) == 0
    assert outcome(capsys) == "reset"


def test_triggered_again_meanwhile_is_4(book, reset_request, capsys, daemon):
    book.halt("wide", HALT)
    daemon(when_there(reset_request, lambda: None))
    assert main(["reset-group", "wide", "--json"]) == 4
    assert outcome(capsys) == "again"


def test_a_daemon_that_cannot_reach_the_exchange_is_69_and_the_wish_stays(
    book, reset_request, capsys, daemon, monkeypatch
):
    monkeypatch.setattr(reset_group, "WAIT_S_MAX", 0.2)
    book.halt("wide", HALT)
    assert main(["reset-group", "wide", "--json"]) == 69
    assert outcome(capsys) == "waiting"
    assert reset_request.exists()


def test_an_unknown_profile_is_2_and_no_journal_is_4(elsewhere, capsys):
    assert main(["reset-group", "narrow"]) == 2
    assert main(["reset-group", "wide"]) == 4
    assert capsys.readouterr().err.count("\n") == 2
    assert not (elsewhere / "state").exists()


# --- the daemon's side of it


async def test_the_watch_hands_wishes_over_until_they_are_dealt_with(elsewhere, reset_request):
    asked = []
    answers = [False, True]

    async def reset(profile, halted_ns):
        asked.append((profile, halted_ns))
        return answers.pop(0)

    watch = GroupResetWatch(elsewhere / "state" / "sim", ("wide", "size"), reset)
    await watch.look()
    assert asked == []
    ask(reset_request, HALT.at_ns, "x", HALT.at_ns)
    await watch.look()
    assert reset_request.exists(), "not dealt with yet"
    await watch.look()
    assert asked == [("wide", HALT.at_ns)] * 2
    assert not reset_request.exists()


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b'{"halted_ns": "1"}', b"\xff"])
async def test_a_wish_that_names_no_halt_ends_nothing_and_is_said_once(elsewhere, reset_request, content):
    async def reset(profile, halted_ns):
        raise AssertionError("never asked")

    reset_request.parent.mkdir(parents=True)
    reset_request.write_bytes(content)
    watch = GroupResetWatch(elsewhere / "state" / "sim", ("wide",), reset)
    with capture_logs() as logs:
        await watch.look()
        await watch.look()
    assert [e["event"] for e in logs] == ["order_group.reset_request_unreadable"]


async def test_the_watch_looks_at_once_when_it_starts(elsewhere, reset_request):
    done = asyncio.Event()

    async def reset(_profile, _halted_ns):
        done.set()
        return True

    ask(reset_request, HALT.at_ns, "x", HALT.at_ns)
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        task = group.create_task(GroupResetWatch(elsewhere / "state" / "sim", ("wide",), reset).run())
        await done.wait()
        task.cancel()
