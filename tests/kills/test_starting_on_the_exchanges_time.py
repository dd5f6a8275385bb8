"""A daemon that starts slowly signs with the exchange's present, not with the time it was told when it joined.

Found by killing: a start on a busy machine signed half a minute late and took the refusal for a wrong key.
"""

import asyncio
import socket
from pathlib import Path

import pytest

from kalshi_daemon import daemon
from kalshi_daemon.clock import ElasticClock
from kalshi_daemon.errors import ExitCode, VenueUnreachable
from kalshi_daemon.kalshi.auth import generate_ed25519_pem
from kalshi_daemon.settings import Settings
from kalshi_daemon.simulator.attach import SimAddress
from kalshi_daemon.simulator.follow import ClockFollower
from kalshi_daemon.units import SECOND, Nanos

START = Nanos(1_795_449_600 * SECOND)
LATER = Nanos(START + 30 * SECOND)


def address(folder: Path) -> SimAddress:
    key = folder / "key.pem"
    key.touch(mode=0o600)
    key.write_bytes(generate_ed25519_pem())
    said = {
        "rest_url": "http://127.0.0.1:9",
        "ws_url": "ws://127.0.0.1:9",
        "feed_url": "ws://127.0.0.1:9",
        "feed_api_key": "k",
        "feed_rest_url": "",
        "admin_url": "http://127.0.0.1:9/admin",
        "key_id": "k",
        "private_key_path": key,
        "session_date": "2026-11-23",
        "speed": 1.0,
        "now_ns": START,
        "end_ns": Nanos(START + 3_600 * SECOND),
    }
    return SimAddress(**said)  # type: ignore[arg-type] # as decoded


async def test_nothing_is_asked_before_the_clock_shows_the_exchanges_time(monkeypatch, tmp_path):
    seen = []

    class Slow:
        """A link that is there only after a while."""

        def __init__(self, _url, clock, *, busy):
            self.clock, self.followed = clock, asyncio.Event()

        async def run(self):
            for _ in range(50):
                await asyncio.sleep(0)
            self.clock.steer(LATER, LATER)
            self.followed.set()
            await asyncio.Event().wait()

    async def trade(life, _where, _http, *, end_ns):
        seen.append(life._clock.now_ns())
        return ExitCode.OK

    async def joined(_url):
        return address(tmp_path)

    monkeypatch.setattr(daemon, "ClockFollower", Slow)
    monkeypatch.setattr(daemon, "join", joined)
    monkeypatch.setattr(daemon.Life, "trade", trade)
    settings = Settings.model_validate({"state_dir": tmp_path, "sim": {"connect": "http://127.0.0.1:9/admin"}})
    options = daemon.RunOptions(armed=True, force_gate_pass=False, show_progress=False, environ={})
    assert await daemon.run_daemon(settings, options) is ExitCode.OK
    assert seen == [LATER]


async def test_whoever_waits_for_a_link_that_cannot_be_made_is_let_go():
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        follower = ClockFollower(f"http://127.0.0.1:{nobody.getsockname()[1]}/clock", ElasticClock(START, 1.0))
        with pytest.raises(VenueUnreachable):
            await follower.run()
    assert follower.followed.is_set()
