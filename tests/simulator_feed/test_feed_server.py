import asyncio
import contextlib
from datetime import UTC, datetime
from functools import cache

import orjson
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from kalshi_daemon.domain.index import Index
from kalshi_daemon.domain.window import Session
from kalshi_daemon.ground.clock import ManualClock
from kalshi_daemon.ground.units import HOUR, MINUTE, SECOND, Nanos, to_ms
from kalshi_daemon.simulator.feed import feed_server as feed_server_module
from kalshi_daemon.simulator.feed.feed_server import FeedServer
from kalshi_daemon.simulator.feed.index_path import AFTER_HOURS_S
from kalshi_daemon.simulator.feed.index_synthetic import synthesize_session

OPEN_NS = Nanos(int(datetime(2026, 11, 27, 14, 30, tzinfo=UTC).timestamp()) * SECOND)
SESSION = Session("2026-11-27", OPEN_NS, Nanos(OPEN_NS + HOUR), half_day=True)
CONNECTED = {"ev": "status", "status": "connected", "message": "Connected Successfully"}
AUTHENTICATED = {"ev": "status", "status": "auth_success", "message": "authenticated"}


@cache
def paths():
    return synthesize_session(SESSION, 1)


def subscribed(topic):
    return {"ev": "status", "status": "success", "message": f"subscribed to: {topic}"}


class Client:
    """A bare client: what the wire says, nothing more."""

    def __init__(self, socket):
        self.socket = socket

    async def read(self):
        async with asyncio.timeout(5):
            return orjson.loads(await self.socket.recv(decode=False))

    async def say(self, action, params):
        await self.socket.send(orjson.dumps({"action": action, "params": params}).decode())

    async def log_in(self, key="K"):
        assert await self.read() == [CONNECTED]
        await self.say("auth", key)
        return await self.read()

    async def closed(self):
        """Read to the end; the close code the server gave, None when TCP just ended."""
        try:
            while True:
                await self.read()
        except ConnectionClosed as ended:
            return None if ended.rcvd is None else ended.rcvd.code


class Rig:
    def __init__(self, server, clock, url, stack):
        self.server, self.clock, self.url, self.stack = server, clock, url, stack

    async def client(self):
        socket = await self.stack.enter_async_context(connect(self.url, compression=None, proxy=None, close_timeout=1))
        return Client(socket)

    async def subscriber(self, topics="V.I:SPX"):
        client = await self.client()
        assert await client.log_in() == [AUTHENTICATED]
        await client.say("subscribe", topics)
        assert await client.read() == [subscribed(topic) for topic in topics.split(",")]
        return client

    def to(self, offset_ns):
        self.clock.set(Nanos(OPEN_NS + offset_ns))
        self.server.publish(self.clock.now_ns())


@contextlib.asynccontextmanager
async def serving(start_ns=OPEN_NS - SECOND):
    clock = ManualClock(Nanos(start_ns))
    server = FeedServer(paths(), clock, "K")
    url = await server.start(0)
    try:
        async with contextlib.AsyncExitStack() as stack:
            yield Rig(server, clock, url, stack)
    finally:
        await server.aclose()


async def test_it_listens_on_loopback_under_the_vendors_path_only():
    async with serving() as rig:
        assert rig.url.startswith("ws://127.0.0.1:")
        assert rig.url.endswith("/indices")
        with pytest.raises(InvalidStatus):
            await connect(rig.url.replace("/indices", "/stocks"), proxy=None)


async def test_a_wrong_key_is_told_so_and_dropped_without_a_close_frame():
    async with serving() as rig:
        client = await rig.client()
        assert await client.log_in("wrong") == [
            {"ev": "status", "status": "auth_failed", "message": "authentication failed"}
        ]
        assert await client.closed() is None


async def test_every_topic_is_acknowledged_in_one_array_unknown_ones_not_at_all():
    async with serving() as rig:
        client = await rig.client()
        await client.log_in()
        await client.say("subscribe", "V.I:SPX, AS.I:SPX,AM.I:NDX,V.I:NOSUCH,X,V.")
        assert await client.read() == [subscribed("V.I:SPX"), subscribed("AM.I:NDX"), subscribed("V.I:NOSUCH")]
        await client.say("subscribe", "V.I:SPX")  # held already: not answered
        await client.say("unsubscribe", "AM.I:NDX,A.I:SPX")
        assert (await client.read())[0]["message"] == "unsubscribed to: AM.I:NDX"
        rig.to(0)
        (event,) = await client.read()  # and nothing for the ticker nobody knows
        assert (event["ev"], event["T"]) == ("V", "I:SPX")


async def test_nothing_is_obeyed_before_the_key_and_nonsense_is_ignored():
    async with serving() as rig:
        client = await rig.client()
        await client.say("subscribe", "V.I:SPX")
        for nonsense in ("not json", "[1]", '{"action":"auth"}', '{"action":"auth","params":5}'):
            await client.socket.send(nonsense)
        await client.say("dance", "V.I:SPX")
        assert await client.log_in() == [AUTHENTICATED]
        await client.say("dance", "V.I:SPX")
        rig.to(0)
        await client.say("subscribe", "V.I:SPX")
        assert await client.read() == [subscribed("V.I:SPX")]


async def test_a_binary_command_is_taken_like_a_text_one():
    async with serving() as rig:
        client = await rig.client()
        await client.socket.send(orjson.dumps({"action": "auth", "params": "K"}))
        assert [await client.read(), await client.read()] == [[CONNECTED], [AUTHENTICATED]]


async def test_values_come_once_a_second_with_the_instant_in_milliseconds():
    async with serving() as rig:
        client = await rig.subscriber("V.I:SPX,V.I:NDX")
        rig.to(2 * SECOND + 1)
        for second in range(3):
            spx, ndx = await client.read()
            at = Nanos(OPEN_NS + second * SECOND)
            assert spx == {"ev": "V", "val": paths()[Index.SPX].value_at(at), "T": "I:SPX", "t": to_ms(at)}
            assert ndx == {"ev": "V", "val": paths()[Index.NDX].value_at(at), "T": "I:NDX", "t": to_ms(at)}
        assert round(spx["val"], 2) == spx["val"]


async def test_bars_come_when_their_window_has_ended_before_the_value_of_that_instant():
    async with serving() as rig:
        client = await rig.subscriber("AM.I:SPX,A.I:SPX,V.I:SPX")
        rig.to(MINUTE)
        frames = [await client.read() for _ in range(61)]
        assert [event["ev"] for event in frames[0]] == ["V"]
        assert [event["ev"] for event in frames[1]] == ["A", "V"]
        minute, second, value = frames[60]
        part = paths()[Index.SPX].values[:60]
        assert minute == {
            "ev": "AM",
            "sym": "I:SPX",
            "op": part[0],
            "o": part[0],
            "c": part[59],
            "h": part.max(),
            "l": part.min(),
            "s": to_ms(OPEN_NS),
            "e": to_ms(OPEN_NS) + 60_000,
        }
        assert second["s"] == to_ms(OPEN_NS) + 59_000
        assert second["e"] == value["t"]
        assert second["o"] == second["c"] == part[59]


async def test_wildcards_hold_every_index():
    async with serving() as rig:
        client = await rig.subscriber("V.*")
        rig.to(0)
        assert [event["T"] for event in await client.read()] == ["I:SPX", "I:NDX"]


async def test_nothing_before_the_open_late_prints_after_the_close_then_silence():
    async with serving(start_ns=OPEN_NS - HOUR) as rig:
        client = await rig.subscriber()
        rig.to(-1)
        rig.to(HOUR + (AFTER_HOURS_S + 60) * SECOND)
        frames = [await client.read() for _ in range(3_600 + AFTER_HOURS_S + 1)]
        assert frames[0][0]["t"] == to_ms(OPEN_NS)
        assert frames[-1][0]["t"] == to_ms(Nanos(OPEN_NS + HOUR)) + AFTER_HOURS_S * 1_000
        assert frames[-1][0]["val"] != frames[3_600][0]["val"]
        assert rig.server.events_sent == len(frames)


async def test_what_was_due_before_the_server_started_or_a_client_subscribed_is_not_replayed():
    async with serving(start_ns=OPEN_NS + 10 * SECOND + 1) as rig:
        client = await rig.subscriber()
        rig.to(12 * SECOND)
        assert [(await client.read())[0]["t"] for _ in range(2)] == [to_ms(OPEN_NS) + at for at in (11_000, 12_000)]
        rig.server.publish(rig.clock.now_ns())  # again: nothing is sent twice
        late = await rig.client()
        await late.log_in()
        rig.to(13 * SECOND)
        await late.say("subscribe", "V.I:SPX")
        assert await late.read() == [subscribed("V.I:SPX")]


async def test_a_second_session_on_one_key_closes_the_older_one():
    async with serving() as rig:
        older = await rig.subscriber()
        newer = await rig.subscriber()
        (status,) = await older.read()
        assert status["status"] == "max_connections"
        assert status["message"].startswith("Maximum number of websocket connections exceeded")
        assert await older.closed() == 1008
        rig.to(0)
        assert (await newer.read())[0]["ev"] == "V"
        assert rig.server.authenticated == 1
        assert rig.server.sessions_total == 2


async def test_a_client_that_does_not_read_is_dropped(monkeypatch):
    monkeypatch.setattr(feed_server_module, "WRITE_BUFFER_MAX", 200_000)
    async with serving() as rig:
        lazy = await rig.subscriber("V.I:SPX,V.I:NDX,A.I:SPX,A.I:NDX")
        lazy.socket.transport.pause_reading()
        for minute in range(60):
            rig.to(minute * MINUTE)
        for _ in range(100):
            if rig.server.connections == 0:
                break
            rig.server.send_status("filler", "x" * 100_000)
            rig.clock.advance(SECOND)
            rig.server.publish(rig.clock.now_ns())
            await asyncio.sleep(0.001)
        assert rig.server.connections == 0


async def test_too_many_connections_are_turned_away(monkeypatch):
    monkeypatch.setattr(feed_server_module, "CLIENTS_MAX", 1)
    async with serving() as rig:
        await rig.client()
        assert await (await rig.client()).closed() == 1013


async def test_closing_the_server_closes_every_session_in_order():
    async with serving() as rig:
        client = await rig.subscriber()
        await rig.server.aclose()
        assert await client.closed() == 1001
        await rig.server.aclose()


async def test_statuses_and_close_codes_can_be_sent_at_will():
    async with serving() as rig:
        client = await rig.subscriber()
        rig.server.send_status("slow_consumer", "too slow")
        await rig.server.close_all(1008, "bye")
        assert await client.read() == [{"ev": "status", "status": "slow_consumer", "message": "too slow"}]
        assert await client.closed() == 1008


async def test_a_stall_loses_what_falls_due_and_keeps_the_connection():
    async with serving() as rig:
        client = await rig.subscriber()
        rig.server.stall(Nanos(OPEN_NS + 3 * SECOND))
        for second in range(5):
            rig.to(second * SECOND)
        assert [(await client.read())[0]["t"] - to_ms(OPEN_NS) for _ in range(2)] == [3_000, 4_000]


async def test_a_delayed_feed_sends_true_stamps_late():
    async with serving() as rig:
        client = await rig.subscriber()
        rig.server.delay(Nanos(10 * SECOND))
        rig.to(11 * SECOND)
        assert [(await client.read())[0]["t"] - to_ms(OPEN_NS) for _ in range(2)] == [0, 1_000]


async def test_frames_can_be_doubled_and_swapped():
    async with serving() as rig:
        client = await rig.subscriber()
        rig.server.duplicate(1)
        rig.to(0)
        rig.server.swap(2)
        rig.to(5 * SECOND)
        seen = [(await client.read())[0]["t"] - to_ms(OPEN_NS) for _ in range(7)]
        assert seen == [0, 0, 2_000, 1_000, 4_000, 3_000, 5_000]


async def test_connections_can_be_dropped_after_some_values():
    async with serving() as rig:
        client = await rig.subscriber("V.I:SPX,V.I:NDX")
        rig.server.abort_after(3)
        rig.to(0)
        rig.to(SECOND)
        assert await client.closed() is None


async def test_topics_can_be_refused_or_dropped_and_the_greeting_muted():
    async with serving() as rig:
        rig.server.refuse_topics(["V.I:NDX"])
        rig.server.drop_topics(["V.I:SPX"])
        client = await rig.client()
        await client.log_in()
        await client.say("subscribe", "V.I:SPX,V.I:NDX")
        assert await client.read() == [{"ev": "status", "status": "error", "message": "not authorized"}]
        rig.server.mute(greeting=True, auth_answer=True)
        silent = await rig.client()
        await silent.say("auth", "K")
        rig.server.send_raw(b"[]")
        assert await silent.read() == []
