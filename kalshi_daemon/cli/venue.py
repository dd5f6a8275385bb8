"""The exchange for one command: whom to ask, as whom, and with which clock. Nothing here needs a running daemon."""

import argparse
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import structlog

from kalshi_daemon.app.simulated.attach import join, remembered
from kalshi_daemon.cli.common import load
from kalshi_daemon.ground.clock import Clock, SystemClock
from kalshi_daemon.ground.errors import ConfigurationError
from kalshi_daemon.ground.new_york import eastern, eastern_zone
from kalshi_daemon.ground.units import DAY, Nanos, from_ms
from kalshi_daemon.kalshi.auth import Signer, load_signer
from kalshi_daemon.kalshi.history_rest import HistoryRest
from kalshi_daemon.kalshi.rest import KalshiRest
from kalshi_daemon.kalshi.server_time import ServerClock
from kalshi_daemon.kalshi.transport import Transport, WriteGate, open_session
from kalshi_daemon.settings.loader import Credentials
from kalshi_daemon.settings.model import Mode, Settings
from kalshi_daemon.settings.rules import is_loopback

_SILENT: Final = 50
"""Critical, which nothing here logs: what goes wrong is said by the command itself, in one line."""


@dataclass(frozen=True, slots=True)
class _Access:
    """One exchange as one member. `clock` is the exchange's time: signatures and token buckets go by it."""

    rest_url: str
    signer: Signer
    clock: Clock


def add_connect_option(parser: argparse.ArgumentParser) -> None:
    """The option --connect of commands that ask the exchange."""
    parser.add_argument(
        "--connect",
        metavar="ADMIN_URL",
        help="mode sim: the simulated exchange to ask, by the admin_url of its ready line (default: sim.connect, else "
        "that of the run under way in the state directory)",
    )


def settings_for_venue(args: argparse.Namespace, needs: Credentials = Credentials.KALSHI) -> Settings:
    """The settings of a command that asks the exchange. Raises ConfigurationError; in `sim` an address is needed."""
    settings = load(args, needs, {"sim.connect": args.connect}).settings
    if settings.mode is Mode.SIM and not settings.sim.connect:
        running = remembered(settings.mode_dir)
        if running:
            return settings.model_copy(update={"sim": settings.sim.model_copy(update={"connect": running})})
        raise ConfigurationError(
            "sim.connect",
            "no simulated exchange is named, and no run is under way in this state directory",
            "--connect ADMIN_URL of a simulate-exchange, or --mode demo/live",
        )
    return settings


@contextlib.asynccontextmanager
async def open_venue(
    settings: Settings, *, read_only: bool = False, server_clock: ServerClock | None = None
) -> AsyncIterator[KalshiRest]:
    """An authenticated client for as long as the block lasts; `server_clock` hears the stamps of its answers.

    Raises ConfigurationError (key file, address), and VenueUnreachable when a simulator does not answer; a wrong key id
    shows at the first request, as AuthFailed.
    """
    # Standard output holds the table or the JSON alone.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(_SILENT))
    access = await _simulated(settings) if settings.mode is Mode.SIM else _real(settings)
    async with open_session() as session:
        yield KalshiRest(
            access.rest_url,
            access.signer,
            access.clock,
            settings.kalshi,
            session=session,
            writes=WriteGate(read_only=read_only),
            server_clock=server_clock or ServerClock(from_ms(settings.guards.clock_skew_ms_max)),
        )


@contextlib.asynccontextmanager
async def open_past(settings: Settings) -> AsyncIterator[tuple[HistoryRest, Clock]]:
    """The exchange's past and its time, for as long as the block lasts. Public reads: signed by nobody.

    Raises ConfigurationError (address) and VenueUnreachable when a simulator does not answer.
    """
    access = await _simulated(settings) if settings.mode is Mode.SIM else None
    url, clock = (settings.kalshi.rest_url, SystemClock()) if access is None else (access.rest_url, access.clock)
    async with open_session() as session:
        yield HistoryRest(Transport(url, None, clock, settings.kalshi, session=session)), clock


def _real(settings: Settings) -> _Access:
    path = settings.kalshi.private_key_path
    assert path is not None, "demanded by the rules outside sim"
    return _Access(settings.kalshi.rest_url, load_signer(path, settings.kalshi.key_id), SystemClock())


async def _simulated(settings: Settings) -> _Access:
    """The simulator's own key, never a real one, and its time as of now.

    The clock then runs freely instead of following: a follower holds time up. Signatures stay good for ten seconds of
    life even if the simulator's time stands still meanwhile, for their tolerance grows with its speed.
    """
    address = await join(settings.sim.connect.rstrip("/"), settings.mode_dir)
    if not is_loopback(urlsplit(address.rest_url).hostname or ""):
        raise ConfigurationError("simulator", f"{address.rest_url} is not this machine", "sim talks to loopback only")
    clock = address.clock()
    clock.steer(address.now_ns, Nanos(address.now_ns + DAY))
    return _Access(address.rest_url, load_signer(address.private_key_path, address.key_id), clock)


def eastern_stamp(ns: Nanos) -> str:
    """Date and time in New York, for people: "2026-11-23 09:58:00 EST"."""
    return f"{eastern(ns):%Y-%m-%d %H:%M:%S} {eastern_zone(ns)}"
