"""Wrong events of the feed, in Python and as the admin API asks for them."""

import orjson
import pytest

from kalshi_daemon.domain.index import Index
from kalshi_daemon.ground.clock import ManualClock
from kalshi_daemon.ground.units import MINUTE, SECOND, Nanos, to_ms
from kalshi_daemon.simulator.exchange.exchange import Exchange
from kalshi_daemon.simulator.exchange.levers import pull_levers
from kalshi_daemon.simulator.exchange.poison import Poison
from kalshi_daemon.simulator.exchange.sim_server import SimServer
from kalshi_daemon.simulator.feed.feed_server import FeedServer, events_at
from kalshi_daemon.simulator.feed.misprints import Misprint, bend
from tests.simulator.exchange_kit import small_listing
from tests.simulator_feed.test_feed_server import OPEN_NS, paths

FIRST = Nanos(OPEN_NS + MINUTE)


@pytest.fixture
def feed():
    return FeedServer(paths(), ManualClock(OPEN_NS), "K")


def _bent(*misprints, second=FIRST):
    left = list(misprints)
    found = bend(events_at(paths(), second), left)
    return {(channel, index): orjson.loads(payload) for channel, index, payload in found}, left


def test_truth_is_left_alone():
    told, _left = _bent()
    assert told == {(channel, index): payload for channel, index, payload in events_at(paths(), FIRST)}


@pytest.mark.parametrize(
    ("misprint", "wanted"),
    [
        (Misprint(Index.SPX, factor=0.1), lambda spx, _ndx: spx * 0.1),
        (Misprint(Index.SPX, factor=0.0), lambda _spx, _ndx: 0.0),
        (Misprint(Index.SPX, factor=1.0, add=68.0), lambda spx, _ndx: spx + 68.0),
        (Misprint(Index.SPX, swapped=True), lambda _spx, ndx: ndx),
        (Misprint(Index.SPX, poison=Poison("val")), lambda _spx, _ndx: None),
        (Misprint(Index.SPX, poison=Poison("val", "6850.00")), lambda _spx, _ndx: "6850.00"),
    ],
)
def test_one_value_is_wrong_and_everything_else_true(misprint, wanted):
    true, _left = _bent()
    told, left = _bent(misprint)
    value = told.pop(("V", Index.SPX))
    spx = true.pop(("V", Index.SPX))
    assert value["val"] == wanted(spx["val"], true["V", Index.NDX]["val"])
    assert {**value, "val": 0} == {**spx, "val": 0}
    assert told == true
    assert left == []


def test_stamps_come_in_another_unit_or_behind():
    ms = to_ms(FIRST)
    for misprint, stamp in (
        (Misprint(stamp_factor=0.001), ms // 1_000),
        (Misprint(stamp_factor=1_000), ms * 1_000),
        (Misprint(stamp_shift_ms=-900_000), ms - 900_000),
    ):
        told, _left = _bent(misprint)
        assert {payload["t"] for (channel, _index), payload in told.items() if channel == "V"} == {stamp, ms}
    told, _left = _bent(Misprint(channels=frozenset({"AM"}), stamp_factor=0.001, times=9))
    assert told["AM", Index.NDX]["e"] == ms // 1_000


def test_a_frozen_index_keeps_its_value_and_stamps_anew():
    frozen = Misprint(Index.SPX, frozen=True, times=3)
    values = []
    for step in range(4):
        told, _left = _bent(frozen, second=Nanos(FIRST + step * 7 * SECOND))
        values.append(told["V", Index.SPX])
    assert len({value["val"] for value in values[:3]}) == 1
    assert len({value["t"] for value in values}) == 4
    assert values[3]["val"] == paths()[Index.SPX].value_at(Nanos(FIRST + 21 * SECOND))


async def test_the_admin_api_bends_the_feed(feed):
    clock = ManualClock(OPEN_NS)
    exchange = Exchange(clock.now_ns, 7, lambda _index, _ns: 1.0, small_listing())
    hub = SimServer(exchange, clock).hub
    wish = {"misprints": [{"index": "NDX", "factor": 1.01, "times": 2}, {"poison": {"field": "t", "raw": "1e9"}}]}
    pull_levers(exchange, hub, feed, {"feed": {**wish, "delay_s": 900, "delayed_history": True}})
    assert [one.index for one in feed.misprints] == [Index.NDX, None]
    assert feed._faults.delay_ns == 15 * MINUTE
    assert feed.history.faults.delayed
    values = {index: raw for channel, index, raw in bend(events_at(paths(), FIRST), feed.misprints) if channel == "V"}
    assert b'"t":1e9' in values[Index.SPX]
    pull_levers(exchange, hub, feed, {"feed": {"clear": True}})
    assert not feed.misprints
    assert not feed.history.faults.delayed
    for nonsense in ({"misprints": [{"index": "DAX"}]}, {"misprints": [{"unknown": 1}]}):
        with pytest.raises((TypeError, ValueError)):
            pull_levers(exchange, hub, feed, {"feed": nonsense})
