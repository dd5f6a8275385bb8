"""The vendor's own websocket client, unchanged, against our feed server."""

import asyncio
import threading
from datetime import UTC, datetime
from typing import Any

import pytest

from kalshi_daemon.domain.index import Index
from kalshi_daemon.domain.window import Session
from kalshi_daemon.ground.clock import ManualClock
from kalshi_daemon.ground.units import HOUR, MINUTE, SECOND, Nanos, to_ms
from kalshi_daemon.simulator.feed.feed_server import FeedServer
from kalshi_daemon.simulator.feed.index_synthetic import synthesize_session
from tests.support.late import Late

massive: Any = Late("massive")

pytestmark = pytest.mark.conformance

OPEN_NS = Nanos(int(datetime(2026, 11, 27, 14, 30, tzinfo=UTC).timestamp()) * SECOND)
SESSION = Session("2026-11-27", OPEN_NS, Nanos(OPEN_NS + HOUR), half_day=True)
TOPICS = ["V.I:SPX", "V.I:NDX", "A.I:SPX", "AM.I:NDX"]
PATIENCE_S = 20.0


class Vendor(threading.Thread):
    """Runs the blocking client; its time is bounded by the thread that waits for it."""

    def __init__(self, server, key="K", *, topics=TOPICS):
        super().__init__(daemon=True)
        host = server.url.removeprefix("ws://").removesuffix("/indices")
        self.client = massive.WebSocketClient(key, feed=host, market="indices", secure=False, subscriptions=topics)
        self.seen: list = []
        self.error: BaseException | None = None

    def run(self):
        try:
            self.client.run(self.seen.extend, proxy=None)
        except BaseException as error:  # noqa: BLE001 - handed to the test
            self.error = error


async def until(condition):
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - the other side is a thread of foreign code
            await asyncio.sleep(0.005)


@pytest.fixture
async def server():
    clock = ManualClock(Nanos(OPEN_NS - SECOND))
    made = FeedServer(synthesize_session(SESSION, 1), clock, "K")
    await made.start(0)
    yield made
    await made.aclose()


async def ended(vendor, server):
    """A clean close makes the vendor's client return; then its thread must be gone."""
    await server.close_all(1000)
    await until(lambda: not vendor.is_alive())


async def held(server, topics):
    await until(lambda: any(len(client.topics) == topics for client in server._clients))


async def test_the_vendors_client_reads_values_seconds_and_minutes(server):
    vendor = Vendor(server)
    vendor.start()
    await held(server, 4)
    server.publish(Nanos(OPEN_NS + MINUTE))
    await until(lambda: len(vendor.seen) == 61 * 2 + 60 + 1)
    await ended(vendor, server)
    assert vendor.error is None
    values = [each for each in vendor.seen if each.event_type == "V"]
    spx = [each for each in values if each.ticker == "I:SPX"]
    path = server._paths[Index.SPX]
    assert [each.timestamp for each in spx] == [to_ms(OPEN_NS) + 1_000 * second for second in range(61)]
    assert [each.value for each in spx] == [float(value) for value in path.values[:61]]
    (minute,) = [each for each in vendor.seen if each.event_type == "AM"]
    assert (minute.symbol, minute.start_timestamp, minute.end_timestamp) == (
        "I:NDX",
        to_ms(OPEN_NS),
        to_ms(OPEN_NS) + 60_000,
    )
    assert minute.official_open_price == float(server._paths[Index.NDX].values[0])
    assert sum(each.event_type == "A" for each in vendor.seen) == 60


async def test_the_vendors_client_reads_the_wildcard(server):
    vendor = Vendor(server, topics=["V.*"])
    vendor.start()
    await held(server, 1)
    server.publish(OPEN_NS)
    await until(lambda: len(vendor.seen) == 2)
    await ended(vendor, server)
    assert {each.ticker for each in vendor.seen} == {"I:SPX", "I:NDX"}


@pytest.mark.parametrize("message", ["", "Your plan doesn't include websocket access."])
async def test_the_vendors_client_recognises_a_refused_key(server, message):
    server.refuse_auth(message)
    vendor = Vendor(server, key="wrong")
    vendor.start()
    await until(lambda: not vendor.is_alive())
    assert type(vendor.error).__name__ == "AuthError"
    assert str(vendor.error) == (message or "authentication failed")


async def test_the_vendors_client_comes_back_after_a_drop(server):
    vendor = Vendor(server)
    vendor.start()
    await held(server, 4)
    server.abort()
    await until(lambda: server.sessions_total == 2)
    await held(server, 4)
    server.publish(OPEN_NS)
    await until(lambda: len(vendor.seen) == 2)
    await ended(vendor, server)
    assert vendor.error is None


async def test_the_vendors_own_rest_client_reads_our_aggregates_page_by_page():
    clock = ManualClock(Nanos(OPEN_NS + 30 * MINUTE))
    server = FeedServer(synthesize_session(SESSION, 1), clock, "K")
    await server.start(0)
    server.history.faults.rows_max = 7
    client = massive.RESTClient("K", base=server.rest_url)
    span = (to_ms(OPEN_NS), to_ms(Nanos(OPEN_NS + 20 * MINUTE)))
    found = await asyncio.to_thread(lambda: list(client.list_aggs("I:SPX", 1, "minute", *span)))
    await server.aclose()
    assert [one.timestamp for one in found] == [span[0] + 60_000 * n for n in range(21)]
    assert len(server.history.asked) == 3
    path = synthesize_session(SESSION, 1)[Index.SPX]
    assert found[0].open == path.values[0]
    assert found[0].high == path.values[:60].max()
