import random

import orjson
from structlog.testing import capture_logs

from kalshi_daemon.domain.index import Channel, Index
from kalshi_daemon.ground.clock import ManualClock
from kalshi_daemon.ground.units import MINUTE, SECOND, Nanos, to_ms
from kalshi_daemon.index_feed.consumer import LIVED_NS, UNREADABLE_RUN_MAX, IndexFeed
from kalshi_daemon.index_feed.value_intake import FeedContext, FeedListeners
from kalshi_daemon.state import DaemonState
from tests.index_feed.feed_rig import OPEN_NS, feed_settings, paths, rig, running, sleepers, until


def events(logs, name):
    return [each for each in logs if each["event"] == name]


async def test_a_dropped_connection_is_opened_again_and_values_go_on():
    async with rig() as feed:
        await feed.opened()
        await feed.play(2)
        feed.server.abort()
        await until(lambda: not feed.state.feed.connected)
        assert feed.state.feed.problem == "dropped without a close frame"
        await feed.retry()
        await feed.opened(2)
        await feed.play(2)


async def test_a_drop_after_some_values_and_a_clean_close_are_survived_too():
    async with rig() as feed:
        await feed.opened()
        feed.server.abort_after(6)
        await feed.play(3)
        await feed.retry()
        await feed.opened(2)
        await feed.server.close_all(1000)
        await until(lambda: not feed.state.feed.connected)
        assert feed.state.feed.problem == "closed by the server (1000)"
        await feed.retry()
        await feed.opened(3)


async def test_the_back_off_doubles_to_its_most_and_a_session_that_lived_resets_it():
    with capture_logs() as logs:
        async with rig(backoff_first_s=1.0, backoff_s_max=4.0) as feed:
            for sessions in range(1, 6):
                await feed.opened(sessions)
                feed.server.abort()
                await until(lambda: not feed.state.feed.connected)
                await feed.retry()
            await feed.opened(6)
            while feed.clock.now_ns() < OPEN_NS + LIVED_NS + 20 * SECOND:
                await feed.play(1)
            feed.server.abort()
            await until(lambda: not feed.state.feed.connected)
    waits = [each["retry_ms"] for each in events(logs, "feed.session_ended")]
    most = [1_000, 2_000, 4_000, 4_000, 4_000, 1_000]
    assert len(waits) == len(most)
    assert all(top // 2 <= wait <= top for wait, top in zip(waits, most, strict=True))


async def test_an_unreachable_host_is_one_warning_until_the_cause_changes():
    clock = ManualClock(OPEN_NS)
    with capture_logs() as logs:
        async with rig(run=False) as gone:
            url = gone.url
        state = DaemonState()
        feed = IndexFeed(
            state, feed_settings(), clock, url, FeedListeners(print, print), FeedContext(bool), rng=random.Random(1)
        )
        async with running(feed.run()):
            for attempt in range(3):
                await sleepers(clock)
                clock.advance(Nanos(30 * SECOND))
                await until(lambda: len(events(logs, "feed.session_ended")) > attempt + 1)  # noqa: B023 - used at once
    levels = [each["log_level"] for each in events(logs, "feed.session_ended")]
    assert levels[:3] == ["warning", "debug", "debug"]
    assert "refused" in state.feed.problem or "Connect" in state.feed.problem
    assert not state.feed.connected


async def test_what_cannot_be_read_costs_itself_and_a_session_of_nothing_else_ends():
    with capture_logs() as logs:
        async with rig() as feed:
            await feed.opened()
            value = {"ev": "V", "T": "I:SPX", "val": 6_800.0, "t": to_ms(OPEN_NS)}
            bad = [{"ev": "V", "T": "I:SPX"}, {"ev": "V", "T": "I:NDX", "val": None}]
            feed.server.send_raw(orjson.dumps([bad[0], value, bad[1]]))
            feed.server.send_raw("not json")
            await feed.play(1)
            spx = feed.state.index[Index.SPX]
            assert (spx.accepted, spx.refused) == (1, 1), "the good item counts, so the next one repeats its stamp"
            for _ in range(UNREADABLE_RUN_MAX + 1):
                feed.server.send_raw("[")
            await until(lambda: not feed.state.feed.connected)
            assert feed.state.feed.problem == "FeedProtocolError: nothing readable comes any more"
    said = events(logs, "feed.item_unreadable")
    assert [(each["index"], each["count"]) for each in said][:3] == [("SPX", 1), ("NDX", 1), (None, 1)]
    assert len(said) < 12, "loud without flooding"


async def test_one_index_that_cannot_be_read_never_blinds_the_other_nor_ends_the_session():
    async with rig() as feed:
        await feed.opened()
        for number in range(3 * UNREADABLE_RUN_MAX):
            null = {"ev": "V", "T": "I:NDX", "val": None, "t": to_ms(OPEN_NS)}
            good = {"ev": "V", "T": "I:SPX", "val": 6_800.0, "t": to_ms(OPEN_NS) + number}
            feed.server.send_raw(orjson.dumps([null]))
            feed.server.send_raw(orjson.dumps([good]))
        await until(lambda: feed.state.index[Index.SPX].accepted == 3 * UNREADABLE_RUN_MAX)
        assert feed.state.feed.connected
        assert feed.state.feed.sessions == 1


async def test_a_frame_with_a_good_value_never_ends_the_session_however_many_bad_items_it_has():
    with capture_logs() as logs:
        async with rig() as feed:
            await feed.opened()
            null = {"ev": "V", "T": "I:NDX", "val": None, "t": to_ms(OPEN_NS)}
            good = {"ev": "V", "T": "I:SPX", "val": 6_800.0, "t": to_ms(OPEN_NS)}
            feed.server.send_raw(orjson.dumps([good, *[null] * (3 * UNREADABLE_RUN_MAX)]))
            await until(lambda: feed.state.index[Index.SPX].accepted == 1)
            await feed.play(1)
            assert feed.state.feed.sessions == 1
    said = [(each["index"], each["count"], each["per_min"]) for each in events(logs, "feed.item_unreadable")]
    assert said == [("NDX", 1, 1)], "sixty of one index are one line"


async def test_repeated_and_swapped_frames_are_refused_and_never_reach_the_listener():
    async with rig() as feed:
        await feed.opened()
        feed.server.duplicate(2)
        await feed.play(2)
        feed.server.swap(1)
        feed.second()
        feed.second()
        await feed.play(1)
        spx = feed.state.index[Index.SPX]
        assert (spx.accepted, spx.refused) == (4, 3)
        stamps = [tick.event_ns for tick in feed.ticks if tick.index == Index.SPX]
        assert stamps == sorted(set(stamps))


async def test_a_value_from_the_future_is_refused_and_the_next_honest_one_is_taken():
    async with rig() as feed:
        await feed.opened()
        poison = {"ev": "V", "T": "I:SPX", "val": 1.0, "t": to_ms(OPEN_NS) + 3_600_000}
        feed.server.send_raw(orjson.dumps([poison]))
        await feed.play(1)
        assert feed.state.index[Index.SPX].refused == 1


async def test_a_bar_that_comes_late_is_refused_and_one_that_repeats_replaces():
    async with rig() as feed:
        await feed.opened()
        await feed.play(61)
        await until(lambda: len(feed.bars) == 2)
        level = next(bar.close for bar in feed.bars if bar.index == Index.SPX)
        prices = {"o": level, "h": level + 2.0, "l": level, "c": level + 2.0}
        for start in (to_ms(OPEN_NS), to_ms(OPEN_NS) - 60_000):
            bar = {"ev": "AM", "sym": "I:SPX", **prices, "s": start, "e": start + 60_000}
            feed.server.send_raw(orjson.dumps([bar]))
        await until(lambda: feed.state.index[Index.SPX].refused == 1)
        assert feed.state.index[Index.SPX].last_bar == feed.bars[-1]
        assert feed.bars[-1].close == level + 2.0


async def test_a_bar_of_another_size_is_not_learnt_from():
    async with rig() as feed:
        await feed.opened()
        await feed.play(61)
        await until(lambda: len(feed.bars) == 2)
        prices = {"o": 25_000.0, "h": 25_001.0, "l": 25_000.0, "c": 25_000.5}
        bar = {"ev": "AM", "sym": "I:SPX", **prices, "s": to_ms(OPEN_NS), "e": to_ms(OPEN_NS) + 60_000}
        feed.server.send_raw(orjson.dumps([bar]))
        await until(lambda: getattr(feed.state.index[Index.SPX].last_bar, "close", 0.0) == 25_000.5)
        assert len(feed.bars) == 2


async def test_falling_back_to_second_closes_cannot_step_behind_the_last_value():
    async with rig(channels=("V", "A"), ack_timeout_s=0.5) as feed:
        await feed.opened()
        await feed.play(2)
        feed.server.refuse_topics(["V.I:SPX", "V.I:NDX"])
        feed.server.abort()
        await feed.retry()
        await feed.opened(2)
        prices = dict.fromkeys("ohlc", 1.0)
        old = {"ev": "A", "sym": "I:SPX", **prices, "s": to_ms(OPEN_NS) + 500, "e": to_ms(OPEN_NS) + 1_000}
        feed.server.send_raw(orjson.dumps([old]))
        await until(lambda: feed.state.index[Index.SPX].refused == 1)
        last = feed.state.index[Index.SPX].last
        assert last is not None
        assert (last.channel, last.event_ns) == (Channel.VALUE, OPEN_NS + SECOND)


async def test_silence_while_the_market_is_open_ends_the_session():
    async with rig(silence_s=20.0) as feed:
        await feed.opened()
        await feed.play(2)
        feed.server.stall(Nanos(OPEN_NS + MINUTE))
        for _ in range(30):
            await sleepers(feed.clock, feed.clock.now_ns())
            feed.second()
            if not feed.state.feed.connected:
                break
        await until(lambda: feed.state.feed.problem == "FeedProtocolError: silent while the market is open")


async def test_silence_while_the_market_is_closed_is_normal():
    async with rig(silence_s=20.0, before_open_s=7_200.0) as feed:
        feed.session_open = False
        await feed.opened()
        for _ in range(100):
            await sleepers(feed.clock, feed.clock.now_ns())
            feed.clock.advance(Nanos(10 * SECOND))
        await sleepers(feed.clock, feed.clock.now_ns())
        assert feed.state.feed.connected
        feed.session_open = True  # the count starts at the open, not at the last value
        for _ in range(3):
            await sleepers(feed.clock, feed.clock.now_ns())
            feed.clock.advance(Nanos(5 * SECOND))
        await sleepers(feed.clock, feed.clock.now_ns())
        assert feed.state.feed.connected
        assert feed.state.feed.sessions == 1


async def test_one_index_that_falls_silent_alone_is_named_once():
    spx_only = {Index.SPX: paths()[Index.SPX]}
    with capture_logs() as logs:
        async with rig(served=spx_only, silence_s=20.0) as feed:
            await feed.opened()
            await feed.play(50)
            assert feed.state.feed.connected
    assert [each["index"] for each in events(logs, "feed.index_silent")] == ["NDX"]


async def test_defect_03_a_stale_value_is_never_made_to_look_fresh():
    """The predecessor restamped old values with the time of receipt."""
    async with rig() as feed:
        feed.session_open = False
        await feed.opened()
        feed.server.delay(Nanos(900 * SECOND))  # a delayed plan: everything comes 15 minutes late
        for _ in range(905):
            feed.second()
        await until(lambda: feed.state.index[Index.SPX].accepted == 5)
        last = feed.state.index[Index.SPX].last
        assert last is not None
        assert feed.clock.now_ns() - last.event_ns >= 900 * SECOND
        assert feed.state.skew["index_feed"].offset_ns >= 900 * SECOND  # and a guard can see why


async def test_defect_04_age_is_computed_when_asked_so_frames_that_carry_no_value_cannot_freshen_it():
    """The predecessor read an age that had been stored with the data, refreshed by any frame."""
    async with rig() as feed:
        feed.session_open = False
        await feed.opened()
        await feed.play(1)
        last = feed.state.index[Index.SPX].last
        assert last is not None
        feed.clock.advance(Nanos(30 * SECOND))
        feed.server.send_status("success", "hello")
        await until(lambda: feed.state.feed.last_frame_ns == feed.clock.now_ns())
        assert feed.state.index[Index.SPX].last is last
        assert feed.clock.now_ns() - last.event_ns == 30 * SECOND
        assert not [name for name in type(last).__slots__ if "age" in name]
