"""The archive of minute bars: what is asked, what lies on disk afterwards, and who can read it."""

import asyncio
import contextlib
import json
import threading
from datetime import date

import pyarrow.parquet as pq
import pytest
import structlog
from pyarrow import dataset
from pydantic import SecretStr

from kalshi_daemon.bars.archive import path_of, stored
from kalshi_daemon.bars.backfill import OVER_AFTER, backfill
from kalshi_daemon.bars.sessions import read_sample
from kalshi_daemon.cli.main import main
from kalshi_daemon.domain.index import Channel, Index
from kalshi_daemon.ground.clock import ManualClock
from kalshi_daemon.ground.errors import ExitCode, HistoryRefused
from kalshi_daemon.ground.units import HOUR, MILLISECOND, MINUTE, Nanos
from kalshi_daemon.index_feed import history
from kalshi_daemon.index_feed.history import HistoryClient
from kalshi_daemon.kalshi.transport import open_session
from kalshi_daemon.simulator.feed.feed_history import FeedHistory
from kalshi_daemon.simulator.feed.feed_server import FeedServer
from kalshi_daemon.simulator.feed.index_replay import load_replay
from kalshi_daemon.simulator.feed.index_synthetic import synthesize_session
from kalshi_daemon.windows.sessions import load_sessions

KEY = "a-key"
TABLE = load_sessions(date(2026, 6, 29), date(2026, 7, 2))
SESSIONS = TABLE.sessions
"""Monday to Thursday; July begins on Wednesday."""
PATHS = [synthesize_session(one, 3) for one in SESSIONS]
LATER = Nanos(SESSIONS[-1].close_ns + 20 * HOUR)


@contextlib.asynccontextmanager
async def vendor(now=LATER):
    """A server that knows four days, and a client of it."""
    clock = ManualClock(now)
    server = FeedServer(PATHS[0], clock, KEY)
    for paths in PATHS[1:]:
        server.history.add(paths)
    await server.start(0)
    try:
        async with open_session() as http:
            yield server.history, clock, HistoryClient(server.rest_url, SecretStr(KEY), clock, http, timeout_s=10.0)
    finally:
        await server.aclose()


async def fetch(client, clock, root, sessions=SESSIONS, **more):
    return [one async for one in backfill(client, Index.SPX, sessions, root, clock, **more)]


async def test_every_day_gets_a_file_and_a_month_one_request(tmp_path):
    async with vendor() as (past, clock, client):
        found = await fetch(client, clock, tmp_path)
        assert len(past.asked) == 2
    assert [(one.day, one.outcome, one.bars, one.missing) for one in found] == [
        (one.day, "written", 390, 0) for one in SESSIONS
    ]
    names = [str(path.relative_to(tmp_path)) for path in sorted(tmp_path.rglob("*.parquet"))]
    assert names == [
        "index=I:SPX/year=2026/month=06/SPX-2026-06-29.parquet",
        "index=I:SPX/year=2026/month=06/SPX-2026-06-30.parquet",
        "index=I:SPX/year=2026/month=07/SPX-2026-07-01.parquet",
        "index=I:SPX/year=2026/month=07/SPX-2026-07-02.parquet",
    ]
    assert not list(tmp_path.rglob("*.draft"))


async def test_what_is_there_is_not_asked_for_again(tmp_path):
    async with vendor() as (past, clock, client):
        await fetch(client, clock, tmp_path, SESSIONS[:3])
        before = {path: path.read_bytes() for path in tmp_path.rglob("*.parquet")}
        asked = len(past.asked)
        found = await fetch(client, clock, tmp_path)
        assert len(past.asked) == asked + 1
        assert [one.outcome for one in found] == ["kept", "kept", "kept", "written"]
        assert [one.bars for one in found] == [390] * 4
        assert {path: path.read_bytes() for path in before} == before
        again = await fetch(client, clock, tmp_path, again=True)
        assert [one.outcome for one in again] == ["written"] * 4


async def test_a_session_that_is_not_over_is_fetched_again(tmp_path):
    today = SESSIONS[1]
    async with vendor(Nanos(today.open_ns + 100 * MINUTE)) as (past, clock, client):
        (found,) = await fetch(client, clock, tmp_path, [today])
        assert (found.outcome, found.bars, found.missing) == ("partial", 100, 290)
        clock.set(Nanos(today.close_ns + OVER_AFTER - 1))
        (found,) = await fetch(client, clock, tmp_path, [today])
        assert (found.outcome, found.bars) == ("partial", 390)
        clock.set(Nanos(today.close_ns + OVER_AFTER))
        (found,) = await fetch(client, clock, tmp_path, [today])
        assert (found.outcome, found.bars) == ("written", 390)
        asked = len(past.asked)
        (found,) = await fetch(client, clock, tmp_path, [today])
        assert (found.outcome, len(past.asked)) == ("kept", asked)


async def test_a_delayed_plan_is_said_and_its_day_is_not_over_too_early(tmp_path):
    today = SESSIONS[1]
    async with vendor(Nanos(today.close_ns + 5 * MINUTE)) as (past, clock, client):
        past.faults.delayed = True
        (found,) = await fetch(client, clock, tmp_path, [today])
        assert (found.outcome, found.bars, found.delayed) == ("partial", 380, True)


async def test_missing_minutes_are_counted_and_not_made_up(tmp_path):
    session = SESSIONS[0]
    gone = frozenset(Nanos(session.open_ns + n * MINUTE) for n in (3, 4, 200))
    async with vendor() as (past, clock, client):
        past.faults.missing = gone
        (found,) = await fetch(client, clock, tmp_path, [session])
        assert (found.outcome, found.bars, found.missing) == ("written", 387, 3)
        (kept,) = await fetch(client, clock, tmp_path, [session])
        assert (kept.outcome, kept.bars, kept.missing) == ("kept", 387, 3)
    starts = pq.read_table(path_of(tmp_path, Index.SPX, session.day))["timestamp"].to_pylist()
    seen = {int(one.timestamp()) * 10**9 for one in starts}
    assert not seen & gone
    assert len(starts) == len(seen) == 387 + 6, "six minutes of late prints; the sixth holds the last one"


async def test_days_the_vendor_does_not_have_are_empty_and_stay_without_a_file(tmp_path):
    (friday,) = load_sessions(date(2026, 6, 26), date(2026, 6, 26)).sessions
    async with vendor() as (_, clock, client):
        (found,) = await fetch(client, clock, tmp_path, [friday])
    assert (found.outcome, found.bars, found.missing) == ("empty", 0, 390)
    assert not list(tmp_path.rglob("*.parquet"))


async def test_a_handful_of_stray_bars_is_no_day(tmp_path):
    session = SESSIONS[0]
    every = {Nanos(session.open_ns + n * MINUTE) for n in range(400)}
    async with vendor() as (past, clock, client):
        past.faults.missing = frozenset(every - {Nanos(session.open_ns + n * MINUTE) for n in (1, 50, 99)})
        (found,) = await fetch(client, clock, tmp_path, [session])
    assert (found.outcome, found.bars) == ("empty", 3)
    assert not list(tmp_path.rglob("*.parquet"))


async def test_what_came_before_a_failure_stays_and_the_rest_is_asked_next_time(tmp_path):
    done = []
    async with vendor() as (past, clock, client):

        async def until_refused() -> None:
            async for one in backfill(client, Index.SPX, SESSIONS, tmp_path, clock):
                done.append(one.day)
                past.faults.refusal = "Your plan doesn't include this data timeframe."

        with pytest.raises(HistoryRefused):
            await until_refused()
        assert done == ["2026-06-29", "2026-06-30"]
        past.faults.refusal = ""
        found = await fetch(client, clock, tmp_path)
    assert [one.outcome for one in found] == ["kept", "kept", "written", "written"]


@pytest.mark.parametrize("content", [b"", b"PAR1 but not really", b"x" * 1_000])
async def test_a_damaged_file_is_fetched_again(tmp_path, content):
    async with vendor() as (_, clock, client):
        await fetch(client, clock, tmp_path, SESSIONS[:1])
        path = path_of(tmp_path, Index.SPX, SESSIONS[0].day)
        path.write_bytes(content)
        assert stored(path) is None
        (found,) = await fetch(client, clock, tmp_path, SESSIONS[:1])
    assert found.outcome == "written"


async def test_score_and_replay_read_the_files(tmp_path):
    async with vendor() as (_, clock, client):
        await fetch(client, clock, tmp_path)
    sample = read_sample(tmp_path, Index.SPX)
    assert sample.cash
    assert [day.session.day for day in sample.days] == [one.day for one in SESSIONS]
    assert [len(day.start_s) for day in sample.days] == [390] * 4
    path = PATHS[1][Index.SPX]
    known = path.bar(Channel.MINUTE, SESSIONS[1].open_ns, Nanos(SESSIONS[1].open_ns + MINUTE))
    assert known is not None
    assert (sample.days[1].open[0], sample.days[1].high[0], sample.days[1].close[0]) == (
        known.open,
        known.high,
        known.close,
    )
    replay = load_replay([path_of(tmp_path, Index.SPX, SESSIONS[1].day)], TABLE.session_on)
    assert replay.missing == {Index.SPX: 0}
    assert replay.paths[Index.SPX].value_at(SESSIONS[1].close_ns) > 0


async def test_readers_of_partitions_find_index_year_and_month(tmp_path):
    async with vendor() as (_, clock, client):
        await fetch(client, clock, tmp_path)
    rows = dataset.dataset(tmp_path, partitioning="hive").to_table(filter=dataset.field("month") == 7)
    assert set(rows["year"].to_pylist()) == {2026}
    assert set(rows["index"].to_pylist()) == {"I:SPX"}
    assert {one.day for one in rows["timestamp"].to_pylist()} == {1, 2}


# The command


class ServerThread:
    """The vendor for a command that runs a loop of its own."""

    def __init__(self) -> None:
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(20)

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        server = FeedServer(PATHS[0], ManualClock(LATER), KEY)
        for paths in PATHS[1:]:
            server.history.add(paths)
        await server.start(0)
        self.history: FeedHistory = server.history
        self.url = server.rest_url
        self._stop = asyncio.Event()
        self._ready.set()
        await self._stop.wait()
        await server.aclose()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(20)
        self._loop.close()


@pytest.fixture
def served():
    found = ServerThread()
    yield found
    found.close()


@pytest.fixture
def command(served, tmp_path, monkeypatch, capfd):
    """Run `kalshi-daemon backfill` with these options; exit code, lines of JSON, standard error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KALSHI_DAEMON_INDEX_FEED__REST_URL", served.url)
    monkeypatch.setenv("KALSHI_DAEMON_INDEX_FEED__API_KEY", KEY)
    # Sessions of another year than the machine's: the command compares with its own clock.
    days = ("--from", "2026-06-29", "--to", "2026-07-02")

    def run(*options: str):
        code = main(["backfill", *days, *options])
        said = capfd.readouterr()
        assert KEY not in said.out + said.err
        structlog.reset_defaults()
        return code, [json.loads(line) for line in said.out.splitlines()], said.err

    return run


def test_both_indices_are_fetched_and_told_line_by_line(command, tmp_path):
    code, lines, _ = command("--out", str(tmp_path / "bars"))
    assert code == ExitCode.OK
    assert [line["event"] for line in lines] == ["backfill.day"] * 8 + ["backfill.done"]
    assert lines[0]["index"] == "SPX"
    assert lines[-1]["NDX"] == {
        "sessions": 4,
        "bars": 1_560,
        "missing": 0,
        "delayed": False,
        "outcomes": {"written": 4, "partial": 0, "kept": 0, "empty": 0},
    }
    code, lines, _ = command("--out", str(tmp_path / "bars"), "--index", "NDX")
    assert lines[-1]["NDX"]["outcomes"]["kept"] == 4
    assert len(lines) == 5


def test_by_default_the_files_lie_below_the_modes_state(command, tmp_path):
    command("--index", "SPX")
    assert len(list((tmp_path / "state" / "sim" / "data" / "bars").rglob("*.parquet"))) == 4


def test_a_refused_plan_is_78_and_quotes_the_vendor(command, served):
    served.history.faults.refusal = "You are not entitled to this data."
    code, _, err = command()
    assert code == ExitCode.CONFIG
    assert "You are not entitled to this data." in err
    assert len(err.splitlines()) == 1


def test_a_wrong_key_is_78(command, monkeypatch):
    monkeypatch.setenv("KALSHI_DAEMON_INDEX_FEED__API_KEY", "not-the-key")
    code, _, err = command()
    assert code == ExitCode.CONFIG
    assert "Unknown API Key" in err
    assert "not-the-key" not in err


def test_nobody_there_is_69(command, served, monkeypatch):
    monkeypatch.setenv("KALSHI_DAEMON_INDEX_FEED__REST_URL", "http://127.0.0.1:9")
    monkeypatch.setattr(history, "BACKOFF", MILLISECOND)
    code, _, err = command("--index", "SPX")
    assert code == ExitCode.UNREACHABLE
    *waits, last = err.splitlines()
    assert [json.loads(line)["event"] for line in waits] == ["history.rate_limited"] * 3
    assert "not reachable" in last


def test_nothing_found_is_4(command, served):
    served.history.sessions = []
    code, lines, _ = command()
    assert code == ExitCode.REFUSED
    assert lines[-1]["SPX"]["outcomes"]["empty"] == 4


def test_without_an_address_there_is_nobody_to_ask(command, monkeypatch):
    monkeypatch.delenv("KALSHI_DAEMON_INDEX_FEED__REST_URL")
    code, _, err = command()
    assert code == ExitCode.CONFIG
    assert "nobody to ask" in err


@pytest.mark.parametrize(("first", "last"), [("2026-07-02", "2026-06-29"), ("2026-07-04", "2026-07-05")])
def test_a_span_without_sessions_is_a_wrong_command_line(command, first, last):
    code, _, _ = command("--from", first, "--to", last)
    assert code == ExitCode.USAGE


@pytest.mark.parametrize("mode", ["sim", "live"])
def test_a_day_that_is_simulated_is_no_day_of_the_vendors(command, mode):
    days = ("--from", "2026-07-04", "--to", "2026-07-05")
    code, _, err = command(*days, "--mode", mode)
    assert code == ExitCode.USAGE
    assert "no session has opened from 2026-07-04 to 2026-07-05" in err
    assert ("the day of simulate-exchange is simulated time" in err) == (mode == "sim")


def test_a_folder_that_cannot_be_written_is_named(command, tmp_path):
    (tmp_path / "bars").write_text("in the way")
    code, _, err = command("--out", str(tmp_path / "bars"))
    assert code == ExitCode.CONFIG
    assert "bars: cannot be written" in err
