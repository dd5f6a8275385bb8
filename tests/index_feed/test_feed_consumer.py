import asyncio
import random

import orjson
import pytest
from structlog.testing import capture_logs

from kalshi_daemon.domain.index import Channel, Index
from kalshi_daemon.ground.clock import ManualClock
from kalshi_daemon.ground.errors import ConfigurationError, FeedAuthFailed
from kalshi_daemon.ground.units import MINUTE, SECOND, Nanos, to_ms
from kalshi_daemon.index_feed.consumer import IndexFeed
from kalshi_daemon.index_feed.value_intake import FeedContext, FeedListeners
from kalshi_daemon.state import DaemonState
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
        stamps = [tick.event_ns for tick in feed.ticks if tick.index == Index.SPX]
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
        assert bar == next(each for each in feed.bars if each.index == Index.SPX)


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
    assert {each["message"] for each in events(logs, "feed.error_reported")} == {"not authorized"}
    assert events(logs, "feed.acks_missing")[0]["missing"] == ("V.I:SPX", "V.I:NDX")


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
    assert events(logs, "feed.acks_missing")[0]["missing"] == ("V.I:NDX",)


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


def test_a_configuration_that_carries_no_values_is_refused():
    with pytest.raises(ConfigurationError, match=r"index_feed\.channels"):
        IndexFeed(
            DaemonState(),
            feed_settings(channels=("AM",)),
            ManualClock(OPEN_NS),
            "ws://127.0.0.1:1/indices",
            FeedListeners(print, print),
            FeedContext(bool),
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
            FeedListeners(broken, print),
            FeedContext(bool),
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


def test_the_key_is_not_shown_by_the_settings():
    assert KEY not in repr(feed_settings())
