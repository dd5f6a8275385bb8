"""A run that is recorded: on a serial loop, with everything that reaches it and everything it does in one file.

What a recording needs in order to be replayed is put together here, and taken apart again by `backtest.replay`.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import structlog

from kalshi_daemon.app.clients import Endpoints
from kalshi_daemon.artifacts.noted import fingerprint
from kalshi_daemon.ground.clock import iso_utc
from kalshi_daemon.ground.errors import VenueUnreachable
from kalshi_daemon.ground.units import MEGABYTE, Nanos
from kalshi_daemon.memory.store import memory_path
from kalshi_daemon.operations.disk_watch import room_of
from kalshi_daemon.orders.journal import journal_path
from kalshi_daemon.recording.desk import Desk, Handler
from kalshi_daemon.recording.driver import Driver
from kalshi_daemon.recording.entries import Stamp
from kalshi_daemon.recording.opening import Opening, named_files, settings_without_secrets, state_files, versions
from kalshi_daemon.recording.reader import SUFFIX, recordings, recordings_folder
from kalshi_daemon.recording.writer import RecordingWriter
from kalshi_daemon.settings.instruments import instruments_of
from kalshi_daemon.settings.model import Settings
from kalshi_daemon.state import DaemonState

log = structlog.get_logger()

STOP: Final = "stop"
FAIL: Final = "fail"
ON_TIME: Final = "on_time"


@dataclass(frozen=True, slots=True)
class Recorded:
    """What is known of a run at its start, besides its settings."""

    run_id: str
    entropy: bytes
    options: dict[str, Any]
    where: Endpoints
    end_ns: Nanos | None


def books_of(state: DaemonState) -> list[Any]:
    """How the books stand: a few sums for people, and the fingerprint of orders, positions and cash."""
    ledger = state.ledger
    orders = [[name, one.status.value, one.filled, one.price, one.count] for name, one in state.orders.items()]
    positions = [[one.market_ticker, one.count, one.cash, one.fees, one.settled] for one in ledger.positions.values()]
    cash = None if state.balance is None else asdict(state.balance)
    all_of_it = [orders, positions, cash, ledger.realized_today, ledger.realized_week, ledger.fees_total]
    sums = {
        "scans": state.counters.scans,
        "placed": state.counters.orders_placed,
        "live": len(state.live_orders()),
        "fills": ledger.fills_total,
        "realized_today": ledger.realized_today,
    }
    return ["books", sums, fingerprint(all_of_it)]


def begin_recording(
    settings: Settings, driver: Driver, recorded: Recorded, started_ns: Nanos
) -> RecordingWriter | None:
    """Begin to record what the driver delivers; None, and said, where that cannot be. started_ns: the machine's time.

    To be called before the first input, under the instance lock.
    """
    try:
        writer = _writer(settings, driver, recorded, started_ns)
    except (OSError, sqlite3.Error, ValueError, RuntimeError) as problem:  # RuntimeError: no thread can be begun
        log.error("recording.not_started", problem=str(problem))  # noqa: TRY400 - its own words say it all
        return None
    driver.notes = writer
    log.info("recording.started", path=str(writer.path))
    return writer


def _writer(settings: Settings, driver: Driver, recorded: Recorded, started_ns: Nanos) -> RecordingWriter:
    mode_dir, limit, at = settings.mode_dir, settings.recording.megabytes_max * MEGABYTE, driver.stamp()
    opening = opening_for(settings, driver, recorded, at)
    make_room(mode_dir, limit)
    name = f"{iso_utc(started_ns)[:19].replace(':', '')}Z-{recorded.run_id}{SUFFIX}"
    path = recordings_folder(mode_dir) / name
    soft = settings.retention.disk_free_soft_megabytes_min * MEGABYTE
    return RecordingWriter(path, opening.packed(), at, partial(no_room, limit, soft))


def opening_for(settings: Settings, driver: Driver, recorded: Recorded, at: Stamp) -> Opening:
    """All that a run stands on. Raises OSError, sqlite3.Error, ValueError."""
    mode_dir, where = settings.mode_dir, recorded.where
    memory = [memory_path(mode_dir, index) for index in instruments_of(settings.instruments).indices]
    return Opening(
        versions=versions(),
        mode=settings.mode.value,
        run_id=recorded.run_id,
        entropy=recorded.entropy.hex(),
        now_ns=at.now_ns,
        real_ns=at.real_ns,
        clock={"origin_ns": driver.origin_ns, "rate": driver.clock.rate},
        options=recorded.options,
        where={
            "rest_url": where.rest_url,
            "ws_url": where.ws_url,
            "feed_url": where.feed_url,
            "algorithm": where.signer.algorithm,
            "fingerprint": where.signer.fingerprint,
        },
        end_ns=recorded.end_ns,
        settings=settings_without_secrets(settings),
        state=state_files(mode_dir, journal_path(mode_dir), memory),
        named=named_files(settings),
    )


def make_room(mode_dir: Path, bytes_max: int) -> None:
    """Remove the oldest recordings until the others leave room for one as long as the longest.

    bytes_max: of all together, in bytes. Raises OSError.
    """
    found = [(path, path.stat().st_size) for path in recordings(mode_dir)]
    longest = max((size for _path, size in found), default=0)
    total = sum(size for _path, size in found)
    for path, size in found:
        if total + longest <= bytes_max:
            return
        path.unlink()
        total -= size
        log.info("recording.removed", path=str(path), bytes=size)


def no_room(bytes_max: int, free_bytes_min: int, written: int, folder: Path) -> str:
    """Why no further block should be written; "" when it may be.

    bytes_max: of one recording, in bytes. Raises OSError.
    """
    if written >= bytes_max:
        return f"it has {written // MEGABYTE} MB, recording.megabytes_max is {bytes_max // MEGABYTE}"
    free = room_of(folder).free_bytes
    if free < free_bytes_min:
        return f"{free // MEGABYTE} MB are free, retention.disk_free_soft_megabytes_min is {free_bytes_min // MEGABYTE}"
    return ""


def register(desk: Desk, ask_stop: Callable[[str], object], fail: Callable[[Exception], object]) -> None:
    """What a person, a supervisor or the simulator may tell the run, as inputs."""
    desk.handlers |= {STOP: ask_stop, FAIL: lambda told: fail(VenueUnreachable(*told))}


def told_on_time(handlers: dict[str, Handler]) -> asyncio.Event:
    """An event of the serial loop that the input ON_TIME sets."""
    on_time = asyncio.Event()
    handlers[ON_TIME] = lambda _told: on_time.set()
    return on_time
