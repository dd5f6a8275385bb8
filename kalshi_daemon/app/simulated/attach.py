"""The daemon's side of mode `sim`: start a simulator as a child process, or join one, and follow its time."""

import asyncio
import contextlib
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import aiohttp
import orjson
from pydantic import SecretStr

from kalshi_daemon.ground.clock import ElasticClock
from kalshi_daemon.ground.errors import ConfigurationError, VenueUnreachable
from kalshi_daemon.ground.units import Nanos
from kalshi_daemon.settings.environment import ENV_PREFIX
from kalshi_daemon.settings.instruments import InstrumentsSettings
from kalshi_daemon.settings.model import Settings, SimSettings

_START_TIMEOUT_S: Final = 300.0
"""Bounds of a child or an answer that hangs, wide enough for a machine with fifteen programs to each processor."""
_STOP_TIMEOUT_S: Final = 30.0
_JOIN_TIMEOUT_S: Final = 60.0
_ADDRESS_FILE: Final = "simulator.json"
_LOOPBACK: Final = ("http://127.", "http://localhost", "http://[::1]")


@dataclass(frozen=True, slots=True)
class SimAddress:
    """The simulator's ready line, decoded."""

    rest_url: str
    ws_url: str
    feed_url: str
    feed_api_key: str
    feed_rest_url: str
    """The feed's history; "" when the simulator has none."""
    admin_url: str
    key_id: str
    private_key_path: Path
    session_date: str
    speed: float
    now_ns: Nanos
    end_ns: Nanos

    @classmethod
    def from_ready_line(cls, line: bytes) -> "SimAddress":
        """Raises ConfigurationError when the line is not the simulator's."""
        try:
            found: dict[str, Any] = orjson.loads(line)
            return cls(
                rest_url=found["rest_url"],
                ws_url=found["ws_url"],
                feed_url=found["feed_url"],
                feed_api_key=found["feed_api_key"],
                feed_rest_url=found.get("feed_rest_url", ""),
                admin_url=found["admin_url"],
                key_id=found["key_id"],
                private_key_path=Path(found["private_key_path"]),
                session_date=found["session_date"],
                speed=float(found["speed"]),
                now_ns=Nanos(int(found["now_ns"])),
                end_ns=Nanos(int(found["end_ns"])),
            )
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as problem:
            raise ConfigurationError("simulator", f"not a simulator's ready line: {line[:200]!r}") from problem

    def clock(self) -> ElasticClock:
        """A clock that stands at the simulator's time until the follower steers it."""
        return ElasticClock(self.now_ns, self.speed)


def simulator_command(sim: SimSettings) -> list[str]:
    """The command line of the embedded simulator."""
    command = [sys.executable, "-m", "kalshi_daemon", "simulate-exchange", "--port", "0", "--feed-port", "0"]
    command += ["--seed", str(sim.seed), "--speed", str(sim.speed), "--stop-with-parent", "--hold", "120"]
    command += ["--from", sim.start.strftime("%H:%M"), "--until", sim.until.strftime("%H:%M")]
    if sim.session_date is not None and not sim.index_replay:
        command += ["--session-date", sim.session_date.isoformat()]
    if sim.replay_date is not None and sim.index_replay:
        command += ["--session-date", sim.replay_date.isoformat()]
    if sim.index_replay:
        command += ["--index-replay", *(str(path) for path in sim.index_replay)]
    return command


def simulator_environment(instruments: InstrumentsSettings, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of the embedded simulator: ours, with the configured rows of the table of instruments."""
    rows = instruments.model_dump(mode="json")
    told = {f"{ENV_PREFIX}INSTRUMENTS__{name.upper()}": orjson.dumps(found).decode() for name, found in rows.items()}
    return {**environ, **told}


@contextlib.asynccontextmanager
async def embedded_simulator(sim: SimSettings, instruments: InstrumentsSettings) -> AsyncIterator[SimAddress]:
    """A simulator that lives as long as the block, and dies with this process whatever happens to it."""
    with tempfile.TemporaryFile() as words:  # a file cannot fill up and block the child, as a pipe would
        child = await asyncio.create_subprocess_exec(
            *simulator_command(sim),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=words,
            env=simulator_environment(instruments, os.environ),
            start_new_session=True,  # a Ctrl-C at the terminal is for the daemon; it stops the simulator last
        )
        try:
            yield await _ready(child, words)
        finally:
            await _stop(child)


async def _ready(child: asyncio.subprocess.Process, words: IO[bytes]) -> SimAddress:
    assert child.stdout is not None, "opened as a pipe"
    try:
        async with asyncio.timeout(_START_TIMEOUT_S):
            line = await child.stdout.readline()
    except TimeoutError:
        raise ConfigurationError("simulator", f"not ready after {_START_TIMEOUT_S:.0f} s") from None
    if not line:
        words.seek(0)
        lines = words.read().decode(errors="replace").strip().splitlines()
        said = lines[-1] if lines else "it said nothing"
        raise ConfigurationError("simulator", said.removeprefix("kalshi-daemon: "))
    return SimAddress.from_ready_line(line)


async def _stop(child: asyncio.subprocess.Process) -> None:
    if child.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        child.terminate()
    try:
        async with asyncio.timeout(_STOP_TIMEOUT_S):
            await child.communicate()
    except TimeoutError:
        child.kill()
        await child.wait()


async def join(admin_url: str, mode_dir: Path | None = None) -> SimAddress:
    """The address of a simulator that is already running. Raises VenueUnreachable, or ConfigurationError.

    mode_dir: where a run may have left this address, to say so when nothing listens there any more.
    """
    if not admin_url.startswith(_LOOPBACK):
        raise ConfigurationError(
            "sim.connect", f"{admin_url} is not a loopback address", "sim never leaves this machine"
        )
    try:
        timeout = aiohttp.ClientTimeout(total=_JOIN_TIMEOUT_S)
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(f"{admin_url}/hello") as answer:
            return SimAddress.from_ready_line(await answer.read())
    except aiohttp.ClientConnectorError as problem:
        said = f"nothing listens at {admin_url}"
        if mode_dir is not None and remembered(mode_dir) == admin_url:
            said += f"; {mode_dir / _ADDRESS_FILE} is of a run that was killed, and its exchange ended with it"
        raise VenueUnreachable("join simulator", said) from problem
    except (aiohttp.ClientError, TimeoutError) as problem:
        raise VenueUnreachable("join simulator", f"{admin_url}: {problem!r}") from problem


def remember(mode_dir: Path, address: SimAddress) -> Path:
    """Write where the simulator of a run is, so that other commands find it while the run lasts."""
    path = mode_dir / _ADDRESS_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(orjson.dumps({"admin_url": address.admin_url}))
    return path


def remembered(mode_dir: Path) -> str:
    """The admin URL of the run under way in this folder; "" when there is none to be found."""
    try:
        found = orjson.loads((mode_dir / _ADDRESS_FILE).read_bytes())
        return str(found["admin_url"])
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError):
        return ""


def settings_of(settings: Settings, address: SimAddress) -> Settings:
    """Loopback addresses and the simulator's throw-away key; never a key of the operator's.

    Raises ConfigurationError for an address that is not on this machine.
    """
    addresses = (address.rest_url, address.ws_url, address.feed_url, address.feed_rest_url)
    for url in filter(None, addresses):
        host = url.split("://", 1)[-1].split("/", 1)[0].rsplit(":", 1)[0]
        if host not in {"127.0.0.1", "localhost", "[::1]"}:
            raise ConfigurationError("simulator", f"{url} is not on this machine", "mode sim talks to loopback only")
    kalshi = settings.kalshi.model_copy(
        update={
            "rest_url": address.rest_url,
            "ws_url": address.ws_url,
            "key_id": address.key_id,
            "private_key_path": address.private_key_path,
            "subaccount": 0,
        }
    )
    feed = settings.index_feed.model_copy(
        update={
            "url": address.feed_url,
            "rest_url": address.feed_rest_url,
            "api_key": SecretStr(address.feed_api_key),
        }
    )
    orders = settings.orders.model_copy(update={"journal_synchronous": "normal"})
    return settings.model_copy(update={"kalshi": kalshi, "index_feed": feed, "orders": orders})
