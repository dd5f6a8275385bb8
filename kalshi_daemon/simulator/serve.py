"""Serves a World on loopback sockets until told to stop: the body of `kalshi-daemon simulate-exchange`."""

import asyncio
import contextlib
import gc
import signal
import sys
import tempfile
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import orjson
from aiohttp import web

from kalshi_daemon.ground.clock import SystemClock
from kalshi_daemon.kalshi.auth import generate_ed25519_pem, generate_rsa_pem, signer_from_pem
from kalshi_daemon.simulator.exchange.sim_server import ServerOptions, SimServer, SimUrls
from kalshi_daemon.simulator.latency import Delays
from kalshi_daemon.simulator.time.timekeeper import Timekeeper
from kalshi_daemon.simulator.world import API_ACCOUNT, World

KEY_ID: Final = "simulated-key"
_KEY_FILE: Final = "kalshi_private_key.pem"


class KeyType(StrEnum):
    """Of the throw-away key; some clients read RSA keys only."""

    RSA = "rsa"
    ED25519 = "ed25519"


async def serve(
    world: World, *, port: int, feed_port: int, stop_with_parent: bool, key_type: KeyType = KeyType.ED25519
) -> None:
    """Print the ready line, then drive time and serve until SIGTERM, SIGINT, or (if asked) the end of standard input.

    Raises OSError when a port is taken.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    with tempfile.TemporaryDirectory(prefix="kalshi-daemon-sim-") as folder:
        key_path = Path(folder) / _KEY_FILE
        pem = generate_rsa_pem() if key_type is KeyType.RSA else generate_ed25519_pem()
        key_path.touch(mode=0o600)
        key_path.write_bytes(pem)
        keeper = Timekeeper(
            world.clock,
            world.plan.speed,
            world.run_until,
            world.end_ns,
            hold_for_follower_s=world.plan.hold_for_follower_s,
        )
        ready: dict[str, Any] = {}

        async def hello(_request: web.Request) -> web.Response:
            fresh = ready | {"now_ns": world.told.now_ns()}
            return web.Response(body=orjson.dumps(fresh), content_type="application/json")

        routes = (web.RouteDef("GET", "/clock", keeper.handle_follow, {}), web.RouteDef("GET", "/hello", hello, {}))
        server = SimServer(
            world.exchange,
            world.told,
            ServerOptions(speed=world.plan.speed, delays=_delays(world)),
            extra_routes=routes,
            feed=world.feed,
            machine_now=SystemClock().now_ns,
        )
        server.register_key(KEY_ID, signer_from_pem(pem, KEY_ID).public_pem, API_ACCOUNT)
        urls = await server.start(port)
        feed_url = await world.feed.start(feed_port)
        ready.update(_ready(world, urls, feed_url, key_path) | {"key_type": key_type.value})
        sys.stdout.buffer.write(orjson.dumps(ready) + b"\n")
        sys.stdout.buffer.flush()
        # Built once and kept: the collector need not walk the listing again and again.
        gc.collect()
        gc.freeze()
        try:
            await _run(keeper, stop, stop_with_parent=stop_with_parent)
        finally:
            await keeper.aclose()
            await server.aclose()
            await world.feed.aclose()


def _delays(world: World) -> Delays | None:
    return None if world.plan.latency is None else Delays(world.plan.latency, world.plan.seed)


async def _run(keeper: Timekeeper, stop: asyncio.Event, *, stop_with_parent: bool) -> None:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_drive(keeper), name="timekeeper")]
        if stop_with_parent:
            tasks.append(group.create_task(_stop_at_end_of_input(stop), name="parent"))
        await stop.wait()
        for task in tasks:
            task.cancel()


async def _drive(keeper: Timekeeper) -> None:
    await keeper.run()
    await keeper.run_overtime()


async def _stop_at_end_of_input(stop: asyncio.Event) -> None:
    """The parent holds our standard input open; however it ends, the pipe closes."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    transport, _protocol = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    with contextlib.closing(transport):
        while await reader.read(1024):
            pass
    stop.set()


def _ready(world: World, urls: SimUrls, feed_url: str, key_path: Path) -> dict[str, Any]:
    return {
        "rest_url": urls.rest_url,
        "ws_url": urls.ws_url,
        "feed_url": feed_url,
        "feed_api_key": world.plan.feed_api_key,
        "feed_rest_url": world.feed.rest_url,
        "admin_url": urls.admin_url,
        "key_id": KEY_ID,
        "private_key_path": str(key_path),
        "session_date": world.session.day,
        "speed": world.plan.speed,
        "now_ns": world.told.now_ns(),
        "end_ns": world.end_ns,
        "clock": "machine" if world.plan.real_clock else "simulated",
    }
