"""The vendor's snapshot: read strictly, asked for seldom, and served by the simulator, truly or not."""

import asyncio
import contextlib

import orjson
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from kalshi_daemon.domain.index import Index
from kalshi_daemon.ground.clock import ManualClock
from kalshi_daemon.ground.errors import HistoryRefused, HistoryUnavailable
from kalshi_daemon.ground.units import MINUTE, SECOND, Nanos
from kalshi_daemon.index_feed.snapshot import SnapshotValue, decode_snapshot
from kalshi_daemon.index_feed.snapshot_witness import SnapshotWitness
from kalshi_daemon.simulator.feed.misprints import Misprint
from tests.index_feed.feed_rig import OPEN_NS, paths
from tests.index_feed.test_history import NOON, rig
from tests.support.instruments import INDICES

AT = Nanos(1_795_446_001_123_456_789)
SPX = {
    "ticker": "I:SPX", "name": "S&P 500", "type": "indices", "value": 6_801.25, "last_updated": AT,
    "market_status": "open", "timeframe": "REAL-TIME", "session": {"open": 6_790.0},
}  # fmt: skip
NDX = {"ticker": "I:NDX", "value": 25_000.5, "last_updated": AT, "timeframe": "DELAYED"}


def read(*items: object, status: int = 200, **more: object) -> dict[Index, SnapshotValue]:
    return decode_snapshot(status, orjson.dumps({"status": "OK", "results": items, **more}), "snapshot")


# --- the codec


def test_values_come_with_their_own_stamps():
    assert read(SPX, NDX, {"ticker": "I:DJI", "value": 1.0}) == {
        Index.SPX: SnapshotValue(Index.SPX, 6_801.25, AT, delayed=False),
        Index.NDX: SnapshotValue(Index.NDX, 25_000.5, AT, delayed=True),
    }


@pytest.mark.parametrize(
    "change",
    [
        {"value": None}, {"value": 0}, {"value": -1.0}, {"value": "6801.25"}, {"value": True}, {"value": 9e15},
        {"value": []}, {"last_updated": None}, {"last_updated": AT // 1_000_000}, {"last_updated": AT // 1_000},
        {"last_updated": 0}, {"last_updated": float(AT)}, {"last_updated": str(AT)}, {"error": "NOT_FOUND"},
        {"ticker": "I:spx"}, {"ticker": None}, {"ticker": ["I:SPX"]},
    ],
    ids=str,
)  # fmt: skip
def test_an_item_that_cannot_be_read_costs_itself(change):
    assert [*read({**SPX, **change}, NDX)] == [Index.NDX]


def test_an_index_that_comes_twice_has_no_value():
    assert [*read(SPX, NDX, {**SPX, "value": 1.0})] == [Index.NDX]


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_plan_or_host_without_snapshots_is_refused(status):
    with pytest.raises(HistoryRefused, match=str(status)):
        decode_snapshot(status, b"<html>", "snapshot")


@pytest.mark.parametrize("body", [{"status": "NOT_AUTHORIZED", "message": "upgrade"}, None], ids=["said", "inline"])
def test_a_refusal_in_a_200_is_one(body):
    inline = {"results": [{"ticker": one, "error": "NOT_ENTITLED", "message": "no"} for one in ("I:SPX", "I:NDX")]}
    with pytest.raises(HistoryRefused):
        decode_snapshot(200, orjson.dumps(inline if body is None else body), "snapshot")


@pytest.mark.parametrize(
    ("status", "body"),
    [(500, b"{}"), (200, b""), (200, b"[]"), (200, b'{"results":null}'), (200, b'{"results":{}}'), (302, b"{}"),
     (200, b'{"results":[],"results":[]}'), (200, b'{"results":[' + b"1," * 250 + b"1]}")],
    ids=["error", "empty", "list", "null", "object", "redirect", "key twice", "too many"],
)  # fmt: skip
def test_an_answer_that_is_none_is_unavailable(status, body):
    with pytest.raises(HistoryUnavailable):
        decode_snapshot(status, body, "snapshot")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
ITEM = st.dictionaries(st.sampled_from([*SPX, "error"]), JSON | st.sampled_from(["I:SPX", "I:NDX", AT, 6_800.0]))


@given(status=st.sampled_from([200, 200, 200, 403, 500]), items=st.lists(JSON | ITEM, max_size=4))
def test_whatever_comes_is_read_refused_or_unavailable(status, items):
    try:
        body = orjson.dumps({"status": "OK", "results": items})
    except TypeError:
        return  # no JSON
    with contextlib.suppress(HistoryRefused, HistoryUnavailable):
        for index, one in decode_snapshot(status, body, "snapshot").items():
            assert any(isinstance(item, dict) and item.get("ticker") == index.feed_ticker for item in items)
            assert one.value > 0.0


# --- when it is asked for


class Vendor:
    def __init__(self) -> None:
        self.asked = 0
        self.problem: Exception | None = None

    async def snapshot(self) -> dict[Index, SnapshotValue]:
        self.asked += 1
        if self.problem is not None:
            raise self.problem
        return read(SPX, NDX)


@contextlib.asynccontextmanager
async def witness():
    clock, vendor = ManualClock(AT), Vendor()
    made = SnapshotWitness(vendor, clock, Nanos(5 * SECOND))

    async def withheld(seconds: int, *, silent: bool = False) -> None:
        for _ in range(seconds):
            if not silent:
                made.on_withheld()
            for _ in range(5):
                await asyncio.sleep(0)
            clock.advance(SECOND)
        for _ in range(5):
            await asyncio.sleep(0)

    with contextlib.suppress(asyncio.CancelledError):
        async with asyncio.TaskGroup() as group:
            task = group.create_task(made.run())
            yield made, vendor, withheld
            task.cancel()


async def test_it_is_asked_for_once_a_span_while_values_are_withheld_and_not_otherwise():
    async with witness() as (made, vendor, withheld):
        await withheld(30, silent=True)
        assert (vendor.asked, made.said(Index.SPX)) == (0, None)
        await withheld(30)
        assert 5 <= vendor.asked <= 6
        before = vendor.asked
        await withheld(60, silent=True)
        assert vendor.asked <= before
        assert made.said(Index.SPX) == (AT, 6_801.25)
        assert made.said(Index.NDX) is None, "a delayed plan says nothing about now"


async def test_a_plan_without_it_is_said_once_and_left_alone_until_the_feed_connects_again():
    with structlog.testing.capture_logs() as lines:
        async with witness() as (made, vendor, withheld):
            vendor.problem = HistoryRefused("snapshot", "403 upgrade")
            await withheld(60)
            assert vendor.asked == 1
            vendor.problem = None
            made.on_session()
            await withheld(6)
            assert vendor.asked >= 2
            assert made.said(Index.SPX) is not None
    assert [line["event"] for line in lines] == ["feed.snapshot_refused"]


async def test_a_failure_is_said_once_a_stretch_and_asked_again():
    with structlog.testing.capture_logs() as lines:
        async with witness() as (made, vendor, withheld):
            vendor.problem = HistoryUnavailable("snapshot", "503")
            await withheld(30)
            assert vendor.asked >= 5
            vendor.problem = None
            await withheld(6)
            assert made.said(Index.SPX) is not None
    assert [line["event"] for line in lines] == ["feed.snapshot_failed"]


# --- over sockets


async def test_the_simulator_serves_it_truly_unless_a_misprint_names_it():
    async with rig() as made:
        spx = paths()[Index.SPX]
        found = await made.client.snapshot()
        assert found[Index.SPX] == SnapshotValue(Index.SPX, spx.value_at(NOON), NOON, delayed=False)
        made.server.misprints.append(Misprint(Index.SPX, times=3, factor=0.1))
        assert (await made.client.snapshot())[Index.SPX].value == spx.value_at(NOON)
        made.server.misprints.append(Misprint(Index.SPX, channels=frozenset({"snapshot"}), factor=0.1))
        assert (await made.client.snapshot())[Index.SPX].value == spx.value_at(NOON) * 0.1
        assert (await made.client.snapshot())[Index.SPX].value == spx.value_at(NOON)
        made.faults.delayed = True
        late = (await made.client.snapshot())[Index.NDX]
        assert (late.delayed, late.at_ns) == (True, NOON - 15 * MINUTE)
        assert made.client.in_flight == 0


async def test_before_the_first_print_there_is_no_value():
    async with rig(Nanos(OPEN_NS - SECOND)) as made:
        assert await made.client.snapshot() == {}


async def test_refusals_limits_and_failures_are_told_apart():
    async with rig() as made:
        made.server.snapshot.refusal = "You are not entitled to this data."
        with pytest.raises(HistoryRefused, match="not entitled"):
            await made.client.snapshot()
        made.server.snapshot.refusal, made.server.snapshot.absent = "", True
        with pytest.raises(HistoryRefused, match="404"):
            await made.client.snapshot()
        made.server.snapshot.absent = False
        for fault in ("limit_next", "fail_next", "garbage_next"):
            setattr(made.faults, fault, 1)
            with pytest.raises(HistoryUnavailable):
                await made.client.snapshot()
        assert made.server.snapshot.asked == 5, "each asked once: the witness asks again, in its own time"
        assert [*await made.client.snapshot()] == [*INDICES]
