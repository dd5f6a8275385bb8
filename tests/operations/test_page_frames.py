"""The page's event stream: one frame a second for all, nothing kept for who is slow, and an end to readers."""

import asyncio
import socket
from typing import Any

import aiohttp
import orjson
import pytest

from kalshi_daemon.operations import page, page_frames
from kalshi_daemon.operations.page import Shown, serve_page
from kalshi_daemon.operations.page_frames import EVERY_S, READERS_MAX, Frames
from tests.operations.test_alert_rules import CALM
from tests.operations.test_page import HERE, NOWHERE


def read(raw: bytes) -> tuple[str, dict[str, Any]]:
    """Kind and data of one event."""
    head, _, data = raw.partition(b"data: ")
    assert raw.endswith(b"\n\n")
    assert b"\n" not in data[:-2], "an event of one line"
    return head.split(b"\n")[0].removeprefix(b"event: ").decode(), orjson.loads(data)


class Source:
    """A document that a test changes, on a clock that it moves."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.made = 0
        self.found: dict[str, Any] = {"at": 1, "resting": [1, 2], "mode": "sim"}
        self.broken = False

    def document(self) -> dict[str, Any]:
        self.made += 1
        if self.broken:
            raise ZeroDivisionError
        return dict(self.found)


def test_a_frame_is_made_once_a_second_whoever_asks():
    source = Source()
    frames = Frames(source.document, lambda: source.now_s)
    first = frames.current()
    assert all(frames.current() is first for _ in range(20))
    source.now_s += EVERY_S - 0.01
    assert frames.current() is first
    assert frames.next_in_s == pytest.approx(0.01)
    source.now_s += 0.02
    assert frames.current().number == first.number + 1
    assert source.made == 2


def test_a_frame_says_what_changed_to_who_has_the_one_before_and_all_to_others():
    source = Source()
    frames = Frames(source.document, lambda: source.now_s)
    first = frames.current()
    assert read(first.whole) == ("whole", source.found)
    source.found |= {"at": 2, "resting": []}
    source.now_s += 1
    second = frames.current()
    assert read(second.after(first.number)) == ("changed", {"at": 2, "resting": []})
    assert read(second.after(first.number - 1)) == ("whole", source.found)
    source.now_s += 1
    third = frames.current()
    assert read(third.after(second.number)) == ("changed", {})
    assert read(third.after(first.number)) == ("whole", source.found)


def test_a_picture_that_cannot_be_made_is_said_once_and_followed_by_a_whole_one(monkeypatch):
    said = []
    monkeypatch.setattr(page_frames.log, "exception", lambda event, **fields: said.append(fields), raising=False)
    source = Source()
    frames = Frames(source.document, lambda: source.now_s)
    frames.current()
    source.broken = True
    for _ in range(3):
        source.now_s += 1
        assert read(frames.current().after(frames.current().number - 1)) == ("failed", {"error": "ZeroDivisionError"})
    source.broken = False
    source.now_s += 1
    last = frames.current()
    assert read(last.after(last.number - 1)) == ("whole", source.found)
    assert said == [{"path": "/events", "error": "ZeroDivisionError"}]


async def events(answer: aiohttp.ClientResponse, number: int) -> list[tuple[str, dict[str, Any]]]:
    """The next events of a stream."""
    found: list[tuple[str, dict[str, Any]]] = []
    async with asyncio.timeout(20):
        while len(found) < number:
            raw = await answer.content.readuntil(b"\n\n")
            if raw.startswith(b"event:"):
                found.append(read(raw))
    return found


async def test_readers_share_frames_and_the_last_one_ends_the_work(monkeypatch):
    monkeypatch.setattr(page_frames, "EVERY_S", 0.05)
    source = Source()
    shown = Shown(lambda: CALM, source.document, NOWHERE)
    async with serve_page(HERE, shown) as url, aiohttp.ClientSession() as session:
        answers = [await session.get(f"{url}events") for _ in range(5)]
        assert answers[0].content_type == "text/event-stream"
        for kinds in [[kind for kind, _ in await events(answer, 3)] for answer in answers]:
            assert kinds[0] == "whole"
        assert source.made <= 3 * 5, "not one for each reader"
        for answer in answers:
            answer.close()
        await asyncio.sleep(0.3)
        made = source.made
        await asyncio.sleep(0.2)
        assert source.made == made, "nobody reads: nothing is made"


async def test_one_reader_too_many_is_turned_away_and_the_others_stay(monkeypatch):
    monkeypatch.setattr(page_frames, "READERS_MAX", 2)
    shown = Shown(lambda: CALM, Source().document, NOWHERE)
    async with serve_page(HERE, shown) as url, aiohttp.ClientSession() as session:
        first, second = await session.get(f"{url}events"), await session.get(f"{url}events")
        async with session.get(f"{url}events") as third:
            assert (third.status, third.headers["Retry-After"]) == (503, "10")
        second.close()
        assert (await events(first, 1))[0][0] == "whole"
    assert READERS_MAX == 32


async def test_readers_do_not_use_up_what_others_may_ask(monkeypatch):
    monkeypatch.setattr(page, "REQUESTS_MAX", 1)
    shown = Shown(lambda: CALM, Source().document, NOWHERE)
    async with (
        serve_page(HERE, shown) as url,
        aiohttp.ClientSession() as session,
        session.get(f"{url}events"),
        session.get(f"{url}healthz") as answer,
    ):
        assert answer.status == 200


async def test_a_reader_that_stalls_is_let_go_and_holds_nobody_up(monkeypatch):
    lost = []
    monkeypatch.setattr(page_frames, "EVERY_S", 0.02)
    monkeypatch.setattr(page_frames, "WRITE_WITHIN_S", 0.3)
    monkeypatch.setattr(page_frames.log, "info", lambda event, **fields: lost.append(event), raising=False)
    source = Source()

    def document() -> dict[str, Any]:
        return source.document() | {"bulk": str(source.made % 10) * 200_000}

    async with serve_page(HERE, Shown(lambda: CALM, document, NOWHERE)) as url:
        host, port = url.removeprefix("http://").rstrip("/").split(":")
        with socket.create_connection((host, int(port))) as stalled:
            stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            stalled.setblocking(False)
            await asyncio.get_running_loop().sock_sendall(
                stalled, f"GET /events HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
            )
            async with aiohttp.ClientSession(read_bufsize=2**20) as session, session.get(f"{url}events") as reader:
                for _ in range(100):
                    assert await events(reader, 1)
                    if lost:
                        break
            assert lost == ["page.reader_lost"]


async def test_the_end_of_the_run_ends_the_streams_at_once():
    async with aiohttp.ClientSession() as session:
        async with serve_page(HERE, Shown(lambda: CALM, Source().document, NOWHERE)) as url:
            answer = await session.get(f"{url}events")
            await events(answer, 1)
            started = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - started < 0.45, "not cut off after the time allowed"
        assert not await answer.content.read()
