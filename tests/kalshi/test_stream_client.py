"""The websocket task against a real server: handshake, subscriptions, losses, silence, reconnects."""

import asyncio
from random import Random

import pytest

from kalshi_daemon.domain.events import StreamDown, StreamUp
from kalshi_daemon.ground.clock import ManualClock, SystemClock
from kalshi_daemon.ground.errors import AuthFailed, ConfigurationError
from kalshi_daemon.ground.units import SECOND, Nanos
from kalshi_daemon.kalshi.api import StreamControl
from kalshi_daemon.kalshi.stream import AUTH_TRIES, KalshiStream, StreamSink
from kalshi_daemon.settings.model import KalshiSettings
from tests.kalshi.rest_stub import SIGNER
from tests.kalshi.stream_stub import eventually, running, venue

T0 = Nanos(1_795_446_000 * SECOND)


async def test_a_signed_connection_comes_up_and_streams_the_books_that_are_wanted():
    async with venue() as v:
        control: StreamControl = v.stream
        control.want_books(["A", "B"])
        async with running(v.stream):
            await eventually(lambda: v.kinds() == ["StreamUp", "BookSnapshot", "BookSnapshot"])
            assert v.handshakes == [None]
            private, books = v.peers[0].commands
            assert private["params"]["channels"] == [
                "fill",
                "user_orders",
                "market_lifecycle_v2",
                "order_group_updates",
            ]
            assert books["params"]["use_yes_price"] is False
            assert v.stream.heard_ns is not None
            control.want_books(["B"])
            await eventually(lambda: v.peers[0].listed == ["B"])
            await v.peers[0].delta("B")
            await eventually(lambda: v.kinds()[-1] == "BookDelta")
            control.request_snapshots(["B", "A"])
            await eventually(lambda: v.kinds()[-1] == "BookSnapshot")
            assert v.peers[0].commands[-1]["params"]["market_tickers"] == ["B"]
            numbers = [command["id"] for command in v.peers[0].commands]
            assert numbers == sorted(set(numbers))
        assert v.events[-1] == StreamDown(v.events[-1].recv_ns, "stopped")
        assert v.stream.heard_ns is None


async def test_asking_without_a_connection_is_remembered_or_harmless():
    async with venue() as v:
        v.stream.request_snapshots(["A"])
        v.stream.want_books(["A"])
        async with running(v.stream):
            await eventually(lambda: "BookSnapshot" in v.kinds())


async def test_a_gap_is_reported_and_repaired_with_a_snapshot():
    async with venue() as v:
        v.stream.want_books(["A"])
        async with running(v.stream):
            await eventually(lambda: v.kinds() == ["StreamUp", "BookSnapshot"])
            v.peers[0].seq += 3
            await v.peers[0].delta("A")
            expected = ["StreamUp", "BookSnapshot", "SequenceGap", "BookDelta", "BookSnapshot"]
            await eventually(lambda: v.kinds() == expected)
            assert v.peers[0].commands[-1]["params"]["action"] == "get_snapshot"


async def test_duplicates_are_not_passed_on():
    async with venue() as v:
        v.stream.want_books(["A"])
        async with running(v.stream):
            await eventually(lambda: v.kinds() == ["StreamUp", "BookSnapshot"])
            v.peers[0].seq -= 1
            await v.peers[0].snapshot("A")
            await v.peers[0].delta("A")
            await eventually(lambda: v.kinds() == ["StreamUp", "BookSnapshot", "BookDelta"])


async def test_an_overflow_subscribes_again():
    async with venue() as v:
        v.stream.want_books(["A"])
        async with running(v.stream):
            await eventually(lambda: v.kinds() == ["StreamUp", "BookSnapshot"])
            await v.peers[0].book("error", {"code": 25, "msg": "Subscription buffer overflow"})
            await eventually(lambda: v.kinds() == ["StreamUp", "BookSnapshot", "SequenceGap", "BookSnapshot"])
            assert len(v.peers) == 1


async def test_a_dropped_connection_is_down_at_once_and_comes_back_by_itself():
    clock = ManualClock(T0)
    async with venue(clock=clock) as v:
        v.stream.want_books(["A"])
        async with running(v.stream):
            await eventually(lambda: v.kinds() == ["StreamUp", "BookSnapshot"])
            v.peers[0].socket.transport.abort()
            await eventually(lambda: v.kinds()[-1] == "StreamDown")
            down = v.events[-1]
            assert isinstance(down, StreamDown)
            assert "ConnectionClosed" in down.cause
            await asyncio.sleep(0.02)
            assert len(v.peers) == 1  # the back-off runs on the clock
            clock.advance(Nanos(SECOND))
            await eventually(lambda: v.kinds()[-2:] == ["StreamUp", "BookSnapshot"])
            assert v.handshakes == [None, None]
            assert v.peers[1].commands[0]["id"] > v.peers[0].commands[-1]["id"]


async def test_the_back_off_doubles_and_has_a_top():
    clock = ManualClock(T0)
    async with venue(clock=clock) as v:
        async with running(v.stream):
            pauses = []
            for number in range(1, 10):
                await eventually(lambda: len(v.peers) == number and v.kinds()[-1:] == ["StreamUp"])  # noqa: B023 - awaited here
                v.peers[-1].socket.transport.abort()
                await eventually(lambda: v.kinds()[-1] == "StreamDown" and _backing_off(clock, v.stream))
                due = clock._sleepers.next_due()
                assert due is not None
                pauses.append((due - clock.now_ns()) / SECOND)
                clock.set(Nanos(due))
        for number, pause in enumerate(pauses):
            most = min(30.0, 0.5 * 2**number)
            assert most / 2 <= pause <= most


async def test_a_steady_connection_starts_the_back_off_anew():
    clock = ManualClock(T0)
    async with venue(clock=clock) as v, running(v.stream):
        pauses = []
        for number, steady in enumerate((0, 0, 0, 61), start=1):
            await eventually(lambda: len(v.peers) == number and v.kinds()[-1:] == ["StreamUp"])  # noqa: B023 - awaited here
            for _ in range(0, steady, 20):
                clock.advance(Nanos(20 * SECOND))
                await v.peers[-1].socket.ping()
                await eventually(lambda: v.stream.heard_ns == clock.now_ns())
            v.peers[-1].socket.transport.abort()
            await eventually(lambda: v.kinds()[-1] == "StreamDown" and _backing_off(clock, v.stream))
            due = clock._sleepers.next_due()
            assert due is not None
            pauses.append(due - clock.now_ns())
            clock.set(Nanos(due))
        assert pauses[2] >= SECOND
        assert pauses[3] <= SECOND // 2


def _backing_off(clock: ManualClock, stream: KalshiStream) -> bool:
    return stream.heard_ns is None and clock._sleepers.next_due() is not None


async def test_a_refused_handshake_is_terminal_after_three_in_a_row():
    clock = ManualClock(T0)
    async with venue(clock=clock, refuse=99) as v:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(_failing(v.stream))
            while not task.done():
                await asyncio.sleep(0.002)
                clock.advance(Nanos(SECOND))
        error = task.result()
        assert (error.status, error.code) == (401, "unauthorized")
        assert len(v.handshakes) == AUTH_TRIES
        assert v.events == []


async def _failing(stream: KalshiStream) -> AuthFailed:
    try:
        await stream.run()
    except AuthFailed as error:
        return error


async def test_a_refusal_or_two_are_overcome():
    clock = ManualClock(T0)
    async with venue(clock=clock, refuse=2) as v, running(v.stream):
        while not v.events:
            await asyncio.sleep(0.002)
            clock.advance(Nanos(SECOND))
        assert v.kinds() == ["StreamUp"]


async def test_an_unreachable_host_is_retried():
    clock = ManualClock(T0)
    heard: list = []
    stream = KalshiStream(
        "ws://127.0.0.1:1/trade-api/ws/v2", SIGNER, clock, KalshiSettings(), StreamSink(heard.append), rng=Random(1)
    )
    async with running(stream):
        for _ in range(3):
            await eventually(lambda: clock._sleepers.next_due() is not None)
            clock.advance(Nanos(30 * SECOND))
    assert heard == []


async def test_silence_alone_is_not_death_while_pings_are_answered():
    clock = ManualClock(T0)
    async with venue(clock=clock) as v, running(v.stream):
        await eventually(lambda: v.kinds() == ["StreamUp"])
        clock.advance(Nanos(31 * SECOND))
        await eventually(lambda: v.stream.heard_ns == clock.now_ns())
        assert v.kinds() == ["StreamUp"]


async def test_a_peer_that_is_silent_and_deaf_is_left(monkeypatch):
    monkeypatch.setattr("kalshi_daemon.kalshi.stream.PROBE_TIMEOUT_S", 0.05)
    monkeypatch.setattr("kalshi_daemon.kalshi.stream.CLOSE_TIMEOUT_S", 0.05)
    clock = ManualClock(T0)
    async with venue(clock=clock) as v, running(v.stream):
        await eventually(lambda: v.kinds() == ["StreamUp"])
        v.peers[0].socket.transport.pause_reading()
        clock.advance(Nanos(31 * SECOND))
        await eventually(lambda: v.kinds()[-1] == "StreamDown")
        down = v.events[-1]
        assert isinstance(down, StreamDown)
        assert down.cause == "silent for 30.0 s and deaf to a ping"
        v.peers[0].socket.transport.abort()


async def test_a_venue_that_acknowledges_nothing_is_left(monkeypatch):
    monkeypatch.setattr("kalshi_daemon.kalshi.stream_session.ACK_TIMEOUT", Nanos(SECOND // 20))
    clock = ManualClock(T0)
    async with venue(clock=clock, deaf=True) as v, running(v.stream):
        await eventually(lambda: v.kinds() == ["StreamDown"])
        down = v.events[-1]
        assert isinstance(down, StreamDown)
        assert down.cause.startswith("not acknowledged in time: fill")


async def test_a_sink_that_fails_ends_the_task_loudly():
    async with venue() as v:

        def broken(event: object) -> None:
            if isinstance(event, StreamUp):
                raise ZeroDivisionError

        v.stream._sink = broken
        with pytest.RaisesGroup(ZeroDivisionError):
            await v.stream.run()


@pytest.mark.parametrize(
    "url", ["https://x.test/trade-api/ws/v2", "ws://x.test", "wss:///trade-api/ws/v2", "ws://x.test/a?b=1"]
)
def test_a_url_that_is_no_websocket_is_refused(url):
    with pytest.raises(ConfigurationError, match="ws_url"):
        KalshiStream(url, SIGNER, SystemClock(), KalshiSettings(), StreamSink(lambda _: None), rng=Random(1))
