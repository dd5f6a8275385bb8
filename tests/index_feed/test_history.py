"""The vendor's REST aggregates: pages, limits, refusals, over real sockets on loopback."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from kalshi_daemon.domain.index import Channel, Index
from kalshi_daemon.ground.clock import ManualClock
from kalshi_daemon.ground.errors import ConfigurationError, ExitCode, HistoryRefused, HistoryUnavailable
from kalshi_daemon.ground.units import MILLISECOND, MINUTE, SECOND, Nanos
from kalshi_daemon.index_feed.aggregates import decode_page, target_of
from kalshi_daemon.index_feed.history import ATTEMPTS, HistoryClient
from kalshi_daemon.kalshi.transport import open_session
from kalshi_daemon.simulator.feed.feed_server import FeedServer
from tests.index_feed.feed_rig import KEY, OPEN_NS, SESSION, paths

NOON = Nanos(OPEN_NS + 150 * MINUTE + 20 * SECOND)
LAST = Nanos(OPEN_NS + 149 * MINUTE)
"""Start of the newest minute that is over."""


@dataclass
class Rig:
    server: FeedServer
    clock: ManualClock
    client: HistoryClient

    @property
    def faults(self):
        return self.server.history.faults

    async def ask(self, index: Index = Index.SPX, from_ns: Nanos = OPEN_NS, to_ns: Nanos = LAST, **more):
        """The answer, with whatever is slept on passing at once."""
        async with asyncio.TaskGroup() as group:
            asked = group.create_task(self.client.minute_bars(index, from_ns, to_ns, **more))
            while not asked.done():
                due = self.clock._sleepers.next_due()
                if due is not None:
                    self.clock.set(Nanos(due))
                await asyncio.sleep(0.001)
        return asked.result()

    async def problem(self, kind: type[Exception], **more) -> Exception:
        with pytest.raises(ExceptionGroup) as caught:
            await self.ask(**more)
        (found,) = caught.value.exceptions
        assert isinstance(found, kind), found
        assert KEY not in str(found)
        assert KEY not in repr(found)
        return found


@contextlib.asynccontextmanager
async def rig(now: Nanos = NOON, *, key: str = KEY, **more) -> AsyncIterator[Rig]:
    clock = ManualClock(now)
    server = FeedServer(paths(), clock, KEY)
    await server.start(0)
    try:
        async with open_session() as http:
            more.setdefault("timeout_s", 5.0)
            yield Rig(server, clock, HistoryClient(server.rest_url, SecretStr(key), clock, http, **more))
    finally:
        await server.aclose()


async def test_minute_bars_come_by_their_start_and_end_a_minute_later():
    async with rig() as made:
        found = await made.ask()
    assert [one.start_ns for one in found.bars] == [OPEN_NS + n * MINUTE for n in range(150)]
    assert {one.end_ns - one.start_ns for one in found.bars} == {MINUTE}
    assert {one.channel for one in found.bars} == {Channel.MINUTE}
    path = paths()[Index.SPX]
    known = path.bar(Channel.MINUTE, OPEN_NS, Nanos(OPEN_NS + MINUTE))
    assert known is not None
    assert found.bars[0] == replace(known, recv_ns=found.bars[0].recv_ns)
    assert (found.delayed, found.refused, found.pages) == (False, 0, 1)


async def test_the_running_minute_is_left_out():
    async with rig(Nanos(OPEN_NS + 2 * MINUTE + 30 * SECOND)) as made:
        assert len((await made.ask()).bars) == 2
        raw = decode_page(
            200,
            bytes(made.server.history.answer(request_of(target_of(Index.SPX, OPEN_NS, NOON))).body),
            Index.SPX,
            NOON,
            "",
        )
    assert len(raw.bars) == 3, "the vendor gives it as far as it has got"


def request_of(target: str):
    from websockets.datastructures import Headers  # noqa: PLC0415
    from websockets.http11 import Request  # noqa: PLC0415

    return Request(target, Headers({"Authorization": f"Bearer {KEY}"}))


@pytest.mark.parametrize("rows", [1, 7, 50, 149, 150, 151])
async def test_pages_are_followed_with_the_key_and_add_up(rows):
    async with rig() as made:
        whole = await made.ask()
        made.faults.rows_max = rows
        paged = await made.ask(from_ns=Nanos(OPEN_NS + (150 - min(rows * 90, 150)) * MINUTE))
        assert paged.pages == -(-min(rows * 90, 150) // rows)
    assert [one.start_ns for one in paged.bars] == [one.start_ns for one in whole.bars][-len(paged.bars) :]


async def test_pages_that_never_end_are_a_failure():
    async with rig() as made:
        made.faults.rows_max = 1
        found = await made.problem(HistoryUnavailable)
    assert "pages do not end" in str(found)


async def test_the_key_goes_to_our_host_only():
    async with rig() as made:
        await made.ask()
    assert all(KEY not in target for target in made.server.history.asked), "in a header, never in an address"
    body = {"ticker": "I:SPX", "status": "OK", "next_url": "https://elsewhere.example/v2/aggs/x?cursor=c&apiKey=leak"}
    assert decode_page(200, orjson.dumps(body), Index.SPX, NOON, "").next_target == "/v2/aggs/x?cursor=c"
    with pytest.raises(HistoryUnavailable, match="somewhere else"):
        decode_page(200, orjson.dumps(body | {"next_url": "https://elsewhere.example/v1/x"}), Index.SPX, NOON, "")


async def test_too_many_calls_are_waited_out_as_long_as_the_vendor_says():
    async with rig() as made:
        made.faults.limit_next, made.faults.retry_after = 2, "30"
        found = await made.ask()
        assert len(found.bars) == 150
        assert made.clock.now_ns() == NOON + 2 * 30 * SECOND


@pytest.mark.parametrize(
    ("said", "waited_s"), [("Wed, 21 Oct 2026 07:28:00 GMT", 15), ("1e9", 120), ("-5", 0), ("nan", 15), ("", 15)]
)
async def test_a_strange_retry_after_is_bounded(said, waited_s):
    async with rig() as made:
        made.faults.limit_next, made.faults.retry_after = 1, said
        await made.ask()
        assert made.clock.now_ns() == NOON + waited_s * SECOND


async def test_limits_without_end_are_a_failure():
    async with rig() as made:
        made.faults.limit_next = 99
        assert "429" in str(await made.problem(HistoryUnavailable))
        assert len(made.server.history.asked) == ATTEMPTS


@pytest.mark.parametrize("fault", ["fail_next", "garbage_next"])
async def test_what_may_pass_is_tried_again(fault):
    async with rig() as made:
        setattr(made.faults, fault, ATTEMPTS - 1)
        assert len((await made.ask()).bars) == 150
        setattr(made.faults, fault, ATTEMPTS)
        found = await made.problem(HistoryUnavailable)
        assert isinstance(found, HistoryUnavailable)
        assert found.exit_code is ExitCode.UNREACHABLE


async def test_a_plan_that_does_not_cover_it_is_terminal_and_quoted():
    async with rig() as made:
        made.faults.refusal = "You are not entitled to this data. Please upgrade your plan."
        found = await made.problem(HistoryRefused)
        assert len(made.server.history.asked) == 1
    assert "not entitled to this data" in str(found)
    assert isinstance(found, HistoryRefused)
    assert found.exit_code is ExitCode.CONFIG


async def test_a_wrong_key_is_terminal():
    async with rig(key="wrong-key") as made:
        found = await made.problem(HistoryRefused)
    assert "Unknown API Key" in str(found)
    assert "wrong-key" not in str(found)


async def test_a_delayed_plan_says_so_and_ends_early():
    async with rig() as made:
        made.faults.delayed = True
        found = await made.ask()
    assert found.delayed
    assert found.bars[-1].end_ns == OPEN_NS + 135 * MINUTE


async def test_missing_minutes_stay_missing():
    async with rig() as made:
        made.faults.missing = frozenset({Nanos(OPEN_NS + 7 * MINUTE)})
        found = await made.ask()
    assert len(found.bars) == 149


async def test_an_unknown_span_is_empty():
    async with rig() as made:
        found = await made.ask(from_ns=Nanos(OPEN_NS - 300 * MINUTE), to_ns=Nanos(OPEN_NS - 200 * MINUTE))
    assert found.bars == ()


async def test_nobody_there_is_a_failure_after_some_tries():
    async with rig() as made:
        await made.server.aclose()
        found = await made.problem(HistoryUnavailable, attempts=2)
    assert "not reachable" in str(found)
    assert made.client.in_flight == 0


async def test_a_host_that_does_not_answer_is_given_up():
    async def silent(_reader, writer):
        await asyncio.sleep(60)
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with open_session() as http:
        port = server.sockets[0].getsockname()[1]
        client = HistoryClient(f"http://127.0.0.1:{port}", SecretStr(KEY), ManualClock(NOON), http, timeout_s=0.1)
        with pytest.raises(HistoryUnavailable, match="no answer in time"):
            await client.minute_bars(Index.SPX, OPEN_NS, NOON, attempts=1)
    server.close()


async def test_our_own_pace_is_kept():
    async with rig(calls_per_min=5) as made:
        made.faults.rows_max = 40
        found = await made.ask()
        assert found.pages == 4
        assert made.clock.now_ns() == NOON + 3 * 12 * SECOND


async def test_an_address_that_is_none_is_refused():
    async with open_session() as http:
        with pytest.raises(ConfigurationError, match="rest_url"):
            HistoryClient("api.massive.com", SecretStr(KEY), ManualClock(NOON), http, timeout_s=1)


@pytest.mark.parametrize(
    "item",
    [
        {},
        [],
        None,
        {"o": 1.0, "h": 2.0, "l": 0.5, "c": 1.5},
        {"t": 1_795_444_200_001, "o": 1.0, "h": 2.0, "l": 0.5, "c": 1.5},
        {"t": 1_795_444_200, "o": 1.0, "h": 2.0, "l": 0.5, "c": 1.5},
        {"t": 1_795_444_200_000, "o": 1.0, "h": 0.9, "l": 0.5, "c": 1.5},
        {"t": 1_795_444_200_000, "o": 0.0, "h": 2.0, "l": 0.0, "c": 1.5},
        {"t": 1_795_444_200_000, "o": "1", "h": 2.0, "l": 0.5, "c": 1.5},
    ],
)
def test_what_is_no_bar_is_left_out_and_counted(item):
    good = {"t": 1_795_444_260_000, "o": 1.0, "h": 2.0, "l": 0.5, "c": 1.5}
    page = decode_page(200, orjson.dumps({"status": "OK", "results": [item, good]}), Index.SPX, NOON, "")
    assert (len(page.bars), page.refused) == (1, 1)


def test_a_bar_that_comes_twice_counts_once_the_last_time_it_came():
    one = {"t": 1_795_444_260_000, "o": 1.0, "h": 2.0, "l": 0.5, "c": 1.5}
    page = decode_page(200, orjson.dumps({"status": "OK", "results": [one, one | {"c": 1.25}]}), Index.SPX, NOON, "")
    assert [bar.close for bar in page.bars] == [1.25]
    assert page.refused == 0


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"status":"OK","results":{}}',
        b'{"status":"OK","ticker":"I:NDX"}',
        b'{"status":"ERROR","error":"nonsense"}',
    ],
)
def test_an_answer_that_is_none_is_a_failure(body):
    with pytest.raises(HistoryUnavailable):
        decode_page(200, body, Index.SPX, NOON, "of it")


@given(st.binary(max_size=200), st.sampled_from([200, 302, 400, 401, 403, 404, 500]))
def test_no_answer_at_all_raises_anything_else(body, status):
    with contextlib.suppress(HistoryUnavailable, HistoryRefused):
        decode_page(status, body, Index.SPX, NOON, "of it")


def test_results_may_be_absent():
    page = decode_page(200, b'{"ticker":"I:SPX","status":"OK","resultsCount":0}', Index.SPX, NOON, "")
    assert page.bars == ()


def test_golden_target():
    target = target_of(Index.NDX, SESSION.open_ns, Nanos(SESSION.open_ns + MINUTE))
    first = SESSION.open_ns // MILLISECOND
    assert target == f"/v2/aggs/ticker/I:NDX/range/1/minute/{first}/{first + 60_000}?sort=asc&limit=50000"
