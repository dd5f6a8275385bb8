import asyncio
import random

import orjson
import pytest
from structlog.testing import capture_logs

from kalshi_daemon.clock import ManualClock
from kalshi_daemon.domain.index import Channel, Index
from kalshi_daemon.errors import ConfigurationError, FeedAuthFailed
from kalshi_daemon.index_feed.consumer import LIVED_NS, MALFORMED_MOST, IndexFeed
from kalshi_daemon.state import DaemonState
from kalshi_daemon.units import MINUTE, SECOND, Nanos, to_ms
from tests.index_feed.feed_rig import KEY, OPEN_NS, feed_settings, paths, rig, running, sleepers, until


def events(logs, name):
    return [each for each in logs if each["event"] == name]


async def test_a_session_opens_and_its_values_reach_the_state_in_order():
    async with rig() as feed:
        await feed.opened()
        await feed.play(3)
        await until(lambda: feed.state.index[Index.NDX].accepted == 3)
        spx = feed.state.index[Index.SPX]
        assert (spx.accepted, spx.refused) == (3, 0)
        assert spx.last is not None
        assert (spx.last.event_ns, spx.last.channel) == (OPEN_NS + 2 * SECOND, Channel.VALUE)
        assert spx.last.value == paths()[Index.SPX].value_at(spx.last.event_ns)
        assert spx.recv_ns == spx.changed_ns == OPEN_NS + 2 * SECOND
        assert feed.state.feed.problem == ""
        assert feed.state.feed.last_frame_ns == OPEN_NS + 2 * SECOND
        stamps = [tick.event_ns for tick in feed.ticks if tick.index is Index.SPX]
        assert stamps == [OPEN_NS, OPEN_NS + SECOND, OPEN_NS + 2 * SECOND]


async def test_a_value_that_repeats_is_accepted_but_does_not_count_as_a_change():
    async with rig() as feed:
        await feed.opened()
        await feed.play(1)
        spx = feed.state.index[Index.SPX]
        first = spx.last
        assert first is not None
        repeat = {"ev": "V", "T": "I:SPX", "val": first.value, "t": to_ms(first.event_ns) + 500}
        feed.server.send_raw(orjson.dumps([repeat]))
        await until(lambda: spx.accepted == 2)
        assert spx.changed_ns == first.event_ns


async def test_minute_bars_reach_the_state_and_the_listener():
    async with rig() as feed:
        await feed.opened()
        await feed.play(61)
        await until(lambda: len(feed.bars) == 2)
        bar = feed.state.index[Index.SPX].last_bar
        assert bar is not None
        assert (bar.start_ns, bar.end_ns) == (OPEN_NS, OPEN_NS + MINUTE)
        assert bar == next(each for each in feed.bars if each.index is Index.SPX)


async def test_the_vendors_clock_is_measured():
    async with rig() as feed:
        await feed.opened()
        feed.server.delay(Nanos(2 * SECOND))
        for _ in range(4):
            feed.second()
        await until(lambda: feed.state.index[Index.SPX].accepted == 2)
        skew = feed.state.skew["index_feed"]
        assert 2 * SECOND <= skew.offset_ns <= 4 * SECOND


@pytest.mark.parametrize(
    "message", ["authentication failed", "Your plan doesn't include websocket access. Visit https://polygon.io/pricing"]
)
async def test_a_refused_key_ends_the_task_for_good_with_the_vendors_words(message):
    async with rig(run=False) as feed:
        feed.server.refuse_auth(message)
        with pytest.raises(FeedAuthFailed, match=message[:20]):
            await feed.feed.run()
        assert feed.state.feed.problem == message
        assert not feed.state.feed.connected


async def test_a_wrong_key_is_refused_and_never_written_to_a_log():
    async with rig(run=False) as feed:
        wrong = feed_settings().model_copy(update={"api_key": type(feed_settings().api_key)("wrong-secret")})
        with capture_logs() as logs, pytest.raises(FeedAuthFailed):
            await feed.new_feed(feed.state, wrong).run()
        assert "wrong-secret" not in str(logs)


async def test_an_evicted_session_stays_away_for_long_and_says_so():
    with capture_logs() as logs:
        async with rig(eviction_backoff_s=60.0) as feed:
            feed.session_open = False  # nothing is published here, and silence must not end the newcomer
            await feed.opened()
            other = DaemonState()
            async with running(feed.new_feed(other, feed_settings()).run()):
                await until(lambda: other.feed.connected)
                await until(lambda: events(logs, "feed.evicted"))
                assert "Maximum number" in feed.state.feed.problem
                feed.clock.advance(Nanos(59 * SECOND))
                for _ in range(20):
                    await asyncio.sleep(0)
                assert feed.server.sessions_total == 2
                assert other.feed.connected
                feed.clock.advance(Nanos(31 * SECOND))
                await feed.opened(2)
    evicted = events(logs, "feed.evicted")[0]
    assert evicted["log_level"] == "error"
    assert evicted["retry_ms"] >= 60_000


@pytest.mark.parametrize("status", ["slow_consumer", "force_disconnect"])
async def test_a_session_the_vendor_ends_is_tried_again(status):
    async with rig() as feed:
        await feed.opened()
        feed.server.send_status(status, "bye")
        await until(lambda: not feed.state.feed.connected)
        assert feed.state.feed.problem.startswith("FeedProtocolError")
        await feed.retry()
        await feed.opened(2)
        assert feed.state.feed.problem == ""


async def test_a_status_nobody_has_heard_of_changes_nothing_but_is_logged():
    with capture_logs() as logs:
        async with rig() as feed:
            await feed.opened()
            feed.server.send_status("auth_timeout", "hm")
            feed.server.send_status("success", "unsubscribed to: V.I:SPX")
            await feed.play(2)
            assert feed.state.feed.connected
    assert [each["status"] for each in events(logs, "feed.status_unknown")] == ["auth_timeout"]


async def test_topics_the_plan_does_not_cover_are_reported_and_second_closes_stand_in_for_values():
    with capture_logs() as logs:
        async with rig(channels=("V", "A"), ack_timeout_s=0.5) as feed:
            feed.server.refuse_topics(["V.I:SPX", "V.I:NDX"])
            await feed.opened()
            await feed.play(0)
            for _ in range(3):
                feed.second()
            await until(lambda: feed.state.index[Index.SPX].accepted == 2)
            last = feed.state.index[Index.SPX].last
            assert last is not None
            assert (last.channel, last.event_ns) == (Channel.SECOND, OPEN_NS + 2 * SECOND)
            assert last.value == paths()[Index.SPX].value_at(Nanos(OPEN_NS + SECOND))
            assert feed.state.feed.problem == "not acknowledged: V.I:SPX, V.I:NDX"
    assert {each["message"] for each in events(logs, "feed.vendor_error")} == {"not authorized"}
    assert events(logs, "feed.acks_short")[0]["missing"] == ("V.I:SPX", "V.I:NDX")


async def test_second_closes_are_not_values_while_values_flow():
    async with rig(channels=("V", "A")) as feed:
        await feed.opened()
        await feed.play(4)
        assert {tick.channel for tick in feed.ticks} == {Channel.VALUE}
        await until(lambda: len(feed.bars) == 6)
        assert feed.state.index[Index.SPX].last_bar is None


async def test_an_index_without_any_value_topic_is_a_failed_session():
    with capture_logs() as logs:
        async with rig(ack_timeout_s=0.5) as feed:
            feed.server.drop_topics(["V.I:NDX"])
            await sleepers(feed.clock)
            assert not feed.state.feed.connected
            assert feed.state.feed.problem == "FeedProtocolError: no value topic acknowledged for NDX"
            assert feed.state.feed.sessions == 0
            feed.server.drop_topics([])
            await feed.retry()
            await feed.opened(1)
    assert events(logs, "feed.acks_short")[0]["missing"] == ("V.I:NDX",)


@pytest.mark.parametrize(("muted", "wanted"), [("greeting", "connected"), ("auth_answer", "auth_success")])
async def test_a_server_that_does_not_answer_is_given_up_after_the_deadline(muted, wanted):
    async with rig(run=False, ack_timeout_s=0.5) as feed:
        feed.server.mute(**{muted: True})
        async with running(feed.feed.run()):
            await sleepers(feed.clock)
            assert feed.state.feed.problem == f"FeedProtocolError: no {wanted} within 0.5 s"
            feed.server.mute()
            await feed.retry()
            await feed.opened()


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
        async with rig(backoff_first_s=1.0, backoff_most_s=4.0) as feed:
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
            state, feed_settings(), clock, url, on_tick=print, on_bar=print, session_open=bool, rng=random.Random(1)
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


async def test_garbage_is_dropped_whole_and_too_much_of_it_ends_the_session():
    with capture_logs() as logs:
        async with rig() as feed:
            await feed.opened()
            value = {"ev": "V", "T": "I:SPX", "val": 6_800.0, "t": to_ms(OPEN_NS)}
            feed.server.send_raw(orjson.dumps([value, {"ev": "V", "T": "I:SPX"}]))
            feed.server.send_raw("not json")
            await feed.play(1)
            assert feed.state.index[Index.SPX].accepted == 1  # nothing of the half-broken frame was taken
            for _ in range(MALFORMED_MOST - 1):
                feed.server.send_raw("[")
            await until(lambda: not feed.state.feed.connected)
            assert feed.state.feed.problem == "FeedProtocolError: too many malformed frames"
    assert len(events(logs, "feed.frame_malformed")) == MALFORMED_MOST + 1


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
        stamps = [tick.event_ns for tick in feed.ticks if tick.index is Index.SPX]
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
        prices = {"o": 1.0, "h": 2.0, "l": 1.0, "c": 2.0}
        for start in (to_ms(OPEN_NS), to_ms(OPEN_NS) - 60_000):
            bar = {"ev": "AM", "sym": "I:SPX", **prices, "s": start, "e": start + 60_000}
            feed.server.send_raw(orjson.dumps([bar]))
        await until(lambda: feed.state.index[Index.SPX].refused == 1)
        assert feed.state.index[Index.SPX].last_bar == feed.bars[-1]
        assert feed.bars[-1].close == 2.0


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


def test_a_configuration_that_carries_no_values_is_refused():
    with pytest.raises(ConfigurationError, match=r"index_feed\.channels"):
        IndexFeed(
            DaemonState(),
            feed_settings(channels=("AM",)),
            ManualClock(OPEN_NS),
            "ws://127.0.0.1:1/indices",
            on_tick=print,
            on_bar=print,
            session_open=bool,
            rng=random.Random(1),
        )


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/indices", "nonsense", f"ws://{'x' * 70}.example/indices"])
async def test_a_url_that_cannot_be_one_is_a_configuration_error(url):
    async with rig(run=False) as feed:
        feed.url = url
        with pytest.raises(ConfigurationError, match=r"index_feed\.url"):
            await feed.new_feed(feed.state, feed_settings()).run()


async def test_a_wrong_path_is_retried_with_the_answer_as_cause():
    async with rig(run=False) as feed:
        feed.url = feed.url.replace("/indices", "/stocks")
        async with running(feed.new_feed(feed.state, feed_settings()).run()):
            await sleepers(feed.clock)
            assert "404" in feed.state.feed.problem


async def test_a_listener_that_raises_is_a_bug_and_is_not_swallowed():
    def broken(tick):
        raise ZeroDivisionError

    async with rig(run=False) as feed:
        task = IndexFeed(
            feed.state,
            feed_settings(),
            feed.clock,
            feed.url,
            on_tick=broken,
            on_bar=print,
            session_open=bool,
            rng=random.Random(1),
        )

        async def publish():
            await feed.opened()
            feed.second()

        ended = await asyncio.gather(task.run(), publish(), return_exceptions=True)
        assert isinstance(ended[0], ZeroDivisionError)


async def test_a_stop_while_connected_is_prompt_and_leaves_the_state_honest():
    async with rig() as feed:
        await feed.opened()
        await feed.play(1)
    assert not feed.state.feed.connected


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


def test_the_key_is_not_shown_by_the_settings():
    assert KEY not in repr(feed_settings())
