"""A recorded run, replayed: the same requests, decisions and books, byte for byte; the first difference is named."""

import asyncio
import logging
import random
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date, time
from typing import Any

import aiohttp
import pytest
import structlog
from websockets.exceptions import ConnectionClosedError

from kalshi_daemon.backtest.local_http import LocalResponse
from kalshi_daemon.backtest.replay import Player
from kalshi_daemon.backtest.replay_verdict import document_of, sentence
from kalshi_daemon.backtest.session import SessionPlan
from kalshi_daemon.cli.main import main
from kalshi_daemon.ground.errors import ConfigurationError, ExitCode
from kalshi_daemon.ground.units import SECOND, Nanos
from kalshi_daemon.recording.blocks import MAGIC, Block, BlockChain, blocks
from kalshi_daemon.recording.entries import decoded, encoded
from kalshi_daemon.recording.opening import opening_of
from kalshi_daemon.recording.reader import Recording
from kalshi_daemon.settings.loader import load_settings
from kalshi_daemon.simulator.latency import Latency
from kalshi_daemon.simulator.traders.regimes import regime
from kalshi_daemon.simulator.world import WorldPlan, start_of
from tests.support.recorded_session import Lives, record_session

SETTINGS = load_settings(
    None,
    {},
    None,
    {
        "calibration.ready_after_minutes": 0,
        "guards.sigma_books_ratio_max": 100,
        **{f"profiles.{name}.scan_every_s": 10 for name in ("wide", "size", "close")},
    },
).settings
WORLD = WorldPlan(3, 1.0, date(2026, 11, 23), time(14, 50), time(14, 52), mix=regime("busy"))
PLAN = SessionPlan(WORLD, SETTINGS, Latency())


class Faulty:
    """A client session to an exchange that now and then loses an answer, answers with 503, or has it late."""

    def __init__(self, far):
        self.far = far
        self.rng = random.Random(5)
        self.felt = 0

    @asynccontextmanager
    async def request(self, method, url, **options):
        luck = self.rng.random()
        async with self.far.request(method, url, **options) as answer:
            self.felt += luck < 0.12
            if luck < 0.04:
                raise aiohttp.ServerDisconnectedError
            if luck < 0.08:
                yield LocalResponse(503, b"<html>busy</html>", answer.headers["Date"])
                return
            if luck < 0.12:
                await asyncio.sleep(12.0)
            yield answer


class Dropping:
    """A way to connect whose connections end after some frames, as a network drops them."""

    def __init__(self, far):
        self.far = far
        self.rng = random.Random(7)
        self.dropped = 0

    def __call__(self, url, **options):
        return self._connection(url, options)

    @asynccontextmanager
    async def _connection(self, url, options):
        async with self.far(url, **options) as socket:
            left, recv = self.rng.randrange(40, 400), socket.recv

            async def counted(decode=None):
                nonlocal left
                left -= 1
                if not left:
                    self.dropped += 1
                    raise ConnectionClosedError(None, None)
                return await recv(decode)

            socket.recv = counted
            yield socket


def replayed(path, folder, until_ns=None):
    player = Player(Recording(path), folder)
    try:
        player.play(until_ns)
        return document_of(player.came_to(1.0))
    finally:
        player.close()


@pytest.fixture(scope="module", autouse=True)
def _quiet():
    """What the daemon logs is not the subject."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.configure(**before)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    (lived,) = record_session(PLAN, tmp_path_factory.mktemp("recorded"))
    assert lived.code is ExitCode.OK
    return lived.recording


def test_a_session_gives_the_same_requests_decisions_and_books(recorded, tmp_path):
    found = replayed(recorded, tmp_path)
    assert found["first_difference"] is None
    assert found["ended_in_order"]
    assert found["gap"] is None
    assert found["interleaved"] == 0
    assert found["scans"] >= 3
    assert found["requests"] > 50
    assert sentence(found).startswith("equal: ")


def test_faults_and_a_kill_in_the_middle_are_replayed_life_by_life(tmp_path):
    faulty, dropping = [], []

    def wrap_http(far):
        faulty.append(Faulty(far))
        return faulty[0]

    def wrap_dial(far):
        dropping.append(Dropping(far))
        return dropping[-1]

    killed = Nanos(start_of(WORLD) + 60 * SECOND)
    first, second = record_session(PLAN, tmp_path / "lives", Lives((killed,), wrap_http, wrap_dial))
    assert first.code is None
    assert faulty[0].felt > 3
    assert sum(one.dropped for one in dropping) > 1
    for number, lived in enumerate((first, second)):
        found = replayed(lived.recording, tmp_path / str(number))
        assert found["first_difference"] is None, sentence(found)
        assert found["ended_in_order"] is (lived is second)
        assert found["inputs"] > 500


def test_until_a_time_outside_of_the_recording_is_refused_with_its_span(recorded, capsys):
    for until in ("12:00:00", "23:59:59"):
        assert main(["replay", str(recorded), "--until", until]) == 2
        said = capsys.readouterr().err
        assert f"--until {until}: the recording is of 14:5" in said
        assert "New York time" in said


def test_until_an_instant_shows_how_things_stood(recorded, tmp_path):
    at = Nanos(start_of(WORLD) + 70 * SECOND)
    found = replayed(recorded, tmp_path, until_ns=at)
    assert found["first_difference"] is None
    assert not found["ended_in_order"]
    assert found["scans"] > 0
    assert found["state"]["at"] == found["to"]
    assert found["state"]["reconciled"]
    assert found["to"].startswith("2026-11-23T19:51:")


def edited(recording, target, edit, *, opening=False):
    """A copy of a recording whose entries (or opening) went through `edit`; chained and whole."""
    chain, file = BlockChain(), MAGIC
    for block in blocks(recording.read_bytes()):
        assert isinstance(block, Block)
        raw = block.raw
        if block.number == 0 and opening:
            raw = edit(opening_of(raw)).packed()
        elif block.number and not opening:
            before, entries = decoded(raw)
            raw = encoded(before, edit(entries))
        file += chain.pack(raw)
    target.write_bytes(file)
    return target


def test_the_first_difference_is_named_with_input_time_and_both_sides(recorded, tmp_path):
    changed: list[Any] = []

    def edit(entries):
        for entry in entries:
            if entry[0] == "scan" and not changed:
                changed.append(entry[-1])
                entry[-1] = "0" * 16
        return entries

    found = replayed(edited(recorded, tmp_path / "edited.recording", edit), tmp_path / "replay")
    difference = found["first_difference"]
    assert not found["equal"]
    assert difference["expected"][-1] == "0" * 16
    assert difference["came"][-1] == changed[0]
    assert sentence(found).startswith(f"DIFFERS at input {difference['input']} ")
    assert difference["at"] in sentence(found)


@pytest.mark.parametrize("kind", ["http", "scan", "books"])
def test_what_did_not_follow_in_life_and_what_did_not_come_are_differences(recorded, tmp_path, kind):
    gone: list[Any] = []

    def drop(entries):
        which = [entry for entry in entries if entry[0] == kind][:1] if not gone else []
        gone.extend(which)
        return [entry for entry in entries if entry not in which]

    found = replayed(edited(recorded, tmp_path / "edited.recording", drop), tmp_path / "replay")
    assert found["first_difference"]["came"] == gone[0]
    assert found["first_difference"]["expected"] != gone[0]


def test_a_lost_input_shows(recorded, tmp_path):
    gone: list[Any] = []

    def drop(entries):
        for at, entry in enumerate(entries):
            if not gone and entry[2:3] == ["done"] and isinstance(entry[0], int) and len(entry) > 5:
                gone.append(entry)
                entries[at] = [entry[0], entry[1], "tick"]
        return entries

    assert not replayed(edited(recorded, tmp_path / "edited.recording", drop), tmp_path / "replay")["equal"]


def test_a_torn_end_is_left_out_and_a_damaged_block_ends_the_comparison(recorded, tmp_path):
    content = recorded.read_bytes()
    found = [one for one in blocks(content) if isinstance(one, Block)]
    torn = tmp_path / "torn.recording"
    torn.write_bytes(content[:-100])
    document = replayed(torn, tmp_path / "a")
    assert document["equal"]
    assert "torn" in document["gap"]
    damaged = tmp_path / "damaged.recording"
    middle = found[len(found) // 2].offset + 200
    damaged.write_bytes(content[:middle] + b"?" + content[middle + 1 :])
    document = replayed(damaged, tmp_path / "b")
    assert document["equal"]
    assert "bytes are damaged" in document["gap"]
    assert 0 < document["inputs"] < Counted(recorded).inputs
    kept = [one for one in Recording(damaged).read() if hasattr(one, "kind")]
    assert len(kept) > document["inputs"], "what follows the damage can be read"


class Counted:
    """How many inputs a recording has."""

    def __init__(self, path):
        self.inputs = sum(1 for _ in Recording(path).read())


def test_other_versions_are_refused_with_both(recorded, tmp_path):
    def older(opening):
        return replace(opening, versions={**opening.versions, "kalshi-daemon": "0.0.1"})

    path = edited(recorded, tmp_path / "old.recording", older, opening=True)
    with pytest.raises(ConfigurationError, match=r"was made by kalshi-daemon 0\.0\.1, this is"):
        Player(Recording(path), tmp_path / "replay")


def test_no_file_of_an_opening_leads_out_of_the_folder(recorded, tmp_path):
    def edit(opening):
        return replace(opening, state={"../../evil": "eA=="})

    path = edited(recorded, tmp_path / "evil.recording", edit, opening=True)
    with pytest.raises(ConfigurationError, match="leads out of the folder"):
        Player(Recording(path), tmp_path / "replay")
    assert not (tmp_path / "evil").exists()
