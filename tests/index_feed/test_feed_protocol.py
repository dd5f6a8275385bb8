import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_daemon.domain.index import Bar, Channel, Index, Tick
from kalshi_daemon.ground.errors import MalformedData, MalformedField, MissingField
from kalshi_daemon.ground.units import MILLISECOND, SECOND, Nanos
from kalshi_daemon.index_feed.protocol import (
    AHEAD_NS_MAX,
    FeedStatus,
    MonotonicGuard,
    Topic,
    acknowledged,
    decode,
    decode_counted,
    encode_auth,
    encode_subscribe,
    tick_of_second,
)
from kalshi_daemon.index_feed.skew import MEMORY_NS, SkewEstimate
from tests.support.instruments import INDICES

T_MS = 1_678_220_098_130
RECV = Nanos((T_MS + 200) * MILLISECOND)
VALUE = {"ev": "V", "val": 3988.5, "T": "I:SPX", "t": T_MS}
SECOND_BAR = {
    "ev": "A",
    "sym": "I:NDX",
    "op": 3985.67,
    "o": 3985.0,
    "c": 3986.5,
    "h": 3987.0,
    "l": 3984.0,
    "s": T_MS,
    "e": T_MS + 1_000,
}


def frame(*items):
    return orjson.dumps(list(items))


def read(*raw):
    """`decode`, untyped: the tests know which kind of event they put in."""
    return decode(*raw)


def without(item, key):
    return {name: value for name, value in item.items() if name != key}


def test_a_value_becomes_a_tick_with_the_vendors_stamp_and_ours():
    assert decode(frame(VALUE), RECV) == (Tick(Index.SPX, Channel.VALUE, 3988.5, Nanos(T_MS * MILLISECOND), RECV),)


@pytest.mark.parametrize(("ev", "channel"), [("A", Channel.SECOND), ("AM", Channel.MINUTE)])
def test_an_aggregate_becomes_a_bar(ev, channel):
    (bar,) = read(frame({**SECOND_BAR, "ev": ev}), RECV)
    assert bar == Bar(
        Index.NDX,
        channel,
        3985.0,
        3987.0,
        3984.0,
        3986.5,
        Nanos(T_MS * MILLISECOND),
        Nanos((T_MS + 1_000) * MILLISECOND),
        RECV,
    )


def test_the_vendors_own_sample_whose_window_has_no_length_is_taken():
    level = 3985.67
    prices = {"op": level, "o": level, "c": level, "h": level, "l": level}
    sample = frame({"ev": "A", "sym": "I:SPX", **prices, "s": 1_678_220_675_805, "e": 1_678_220_675_805})
    (bar,) = read(sample, RECV)
    assert bar.start_ns == bar.end_ns == 1_678_220_675_805 * MILLISECOND


def test_a_frame_may_hold_several_events_of_every_kind_in_its_order():
    status = {"ev": "status", "status": "success", "message": "subscribed to: V.I:SPX"}
    events = decode(frame(status, VALUE, SECOND_BAR), RECV)
    assert [type(event) for event in events] == [FeedStatus, Tick, Bar]


def test_a_bare_object_an_empty_array_and_text_are_tolerated():
    assert len(decode(orjson.dumps(VALUE), RECV)) == 1
    assert decode(b"[]", RECV) == ()
    assert decode(orjson.dumps([VALUE]).decode(), RECV) == decode(frame(VALUE), RECV)


def test_what_is_not_ours_is_ignored_and_counted():
    other = [{"ev": "NOI", "x": 1}, {**VALUE, "T": "I:DJI"}, {**SECOND_BAR, "sym": "i:ndx"}, {"ev": 7}]
    decoded = decode_counted(frame(*other, {**VALUE, "new_key": {"deep": [1]}}), RECV)
    assert len(decoded.events) == 1
    assert decoded.ignored == 4


def test_integers_that_arrive_as_floats_are_tolerated():
    (tick,) = read(frame({**VALUE, "t": float(T_MS), "val": 3988}), RECV)
    assert (tick.event_ns, tick.value) == (T_MS * MILLISECOND, 3988.0)


def test_prices_of_one_bar_may_differ_by_float_noise():
    noisy = {**SECOND_BAR, "o": 6870.11, "c": 6870.11, "h": 6870.11, "l": 6870.110000000001}
    assert len(decode(frame(noisy), RECV)) == 1


@pytest.mark.parametrize(
    ("item", "key"),
    [(VALUE, key) for key in ("ev", "val", "T", "t")]
    + [(SECOND_BAR, key) for key in ("sym", "o", "h", "l", "c", "s", "e")]
    + [({"ev": "status", "status": "success"}, "status")],
)
@pytest.mark.parametrize("null", [False, True])
def test_a_missing_required_field_is_named_and_never_zero(item, key, null):
    broken = {**item, key: None} if null else without(item, key)
    with pytest.raises(MissingField) as caught:
        decode(frame(broken), RECV)
    assert caught.value.field == key


@pytest.mark.parametrize(
    ("item", "key", "value"),
    [
        (VALUE, "val", "3988.5"),
        (VALUE, "val", True),
        (VALUE, "val", 0),
        (VALUE, "val", -1.0),
        (VALUE, "t", str(T_MS)),
        (VALUE, "t", True),
        (VALUE, "t", T_MS + 0.5),
        (VALUE, "T", 5),
        (SECOND_BAR, "o", [1]),
        (SECOND_BAR, "h", 3986.0),
        (SECOND_BAR, "l", 3986.0),
        (SECOND_BAR, "e", T_MS - 1),
        ({"ev": "status", "status": "error"}, "status", 3),
    ],
)
def test_a_field_of_the_wrong_kind_is_malformed(item, key, value):
    with pytest.raises(MalformedField):
        decode(frame({**item, key: value}), RECV)


@pytest.mark.parametrize("stamp", [0, -1, T_MS // 1_000, T_MS * 1_000, T_MS * 1_000_000, 4_102_444_800_001, 2**63])
@pytest.mark.parametrize(("item", "key"), [(VALUE, "t"), (SECOND_BAR, "s"), (SECOND_BAR, "e")])
def test_a_stamp_that_is_not_in_milliseconds_is_refused(item, key, stamp):
    with pytest.raises(MalformedField):
        decode(frame({**item, key: stamp}), RECV)


@pytest.mark.parametrize(
    "garbage", [b"", b"{", b"\xff\xfe", b"12", b"[1]", b'["x"]', b"null", b"[[]]", b"NaN", b'[{"ev":"V","val":NaN}]']
)
def test_garbage_is_malformed_data(garbage):
    with pytest.raises(MalformedData):
        decode(garbage, RECV)


def test_a_long_garbage_frame_is_quoted_shortly():
    with pytest.raises(MalformedField) as caught:
        decode("x" * 10_000, RECV)
    assert len(str(caught.value)) < 200


KEYS = st.sampled_from(["ev", "T", "t", "val", "sym", "s", "e", "o", "h", "l", "c", "status"])
LEAVES = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats() | st.text(max_size=8)
JSON = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner), max_leaves=12)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60) | JSON.map(orjson.dumps))
def test_nothing_but_malformed_data_ever_comes_out_of_strange_bytes(raw):
    try:
        events = decode(raw, RECV)
    except MalformedData:
        return
    assert all(isinstance(event, Tick | Bar | FeedStatus) for event in events)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([VALUE, SECOND_BAR]), st.data())
def test_one_changed_field_is_either_read_or_refused_never_made_up(item, data):
    key = data.draw(st.sampled_from(sorted(item)))
    changed = {**item, key: data.draw(st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(max_size=5))}
    try:
        events = decode(frame(changed), RECV)
    except MalformedData:
        return
    for event in events:
        assert isinstance(event, Tick | Bar)
        assert event.recv_ns == RECV
        prices = [event.value] if isinstance(event, Tick) else [event.open, event.high, event.low, event.close]
        assert all(price in changed.values() for price in prices)


def test_commands_have_the_vendors_form():
    topics = (Topic(Channel.VALUE, Index.SPX), Topic(Channel.MINUTE, Index.NDX))
    assert encode_auth("K") == '{"action":"auth","params":"K"}'
    assert encode_subscribe(topics) == '{"action":"subscribe","params":"V.I:SPX,AM.I:NDX"}'


@pytest.mark.parametrize(
    ("status", "message", "topic"),
    [
        ("success", "subscribed to: V.I:SPX", "V.I:SPX"),
        ("success", "unsubscribed to: V.I:SPX", None),
        ("error", "subscribed to: V.I:SPX", None),
    ],
)
def test_only_a_success_about_a_subscription_acknowledges(status, message, topic):
    assert acknowledged(FeedStatus(status, message)) == topic


def tick(stamp_s, *, index=Index.SPX, channel=Channel.VALUE, recv_s=1_000_000.0):
    return Tick(index, channel, 1.0, Nanos(int(stamp_s * SECOND)), Nanos(int(recv_s * SECOND)))


def bar(start_s, end_s, *, channel=Channel.MINUTE, recv_s=1_000_000.0):
    return Bar(
        Index.SPX, channel, 1, 1, 1, 1, Nanos(start_s * SECOND), Nanos(end_s * SECOND), Nanos(int(recv_s * SECOND))
    )


def test_the_guard_drops_repeated_and_earlier_values():
    guard = MonotonicGuard()
    assert [guard.admit(tick(stamp)) for stamp in (10, 10, 9, 11, 10.5)] == [True, False, False, True, False]


def test_the_guard_lets_a_bar_be_replaced_but_not_go_back():
    guard = MonotonicGuard()
    assert [guard.admit(bar(start, start + 60)) for start in (60, 60, 0, 120, 60)] == [True, True, False, True, False]


def test_the_guard_keeps_channels_and_indices_apart():
    guard = MonotonicGuard()
    assert guard.admit(tick(10))
    assert guard.admit(tick(5, index=Index.NDX))
    assert guard.admit(tick(5, channel=Channel.SECOND))
    assert guard.admit(bar(1, 2, channel=Channel.SECOND))


def test_a_stamp_from_the_future_is_refused_and_does_not_silence_what_follows():
    guard = MonotonicGuard()
    ahead = AHEAD_NS_MAX / SECOND
    assert not guard.admit(tick(100 + ahead + 1, recv_s=100))
    assert not guard.admit(bar(100, int(100 + ahead + 1), recv_s=100))
    assert guard.admit(tick(99, recv_s=100))
    assert guard.admit(bar(40, 100, recv_s=100))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(INDICES), st.integers(0, 20)), max_size=40))
def test_accepted_values_of_an_index_always_move_forward(arrivals):
    guard = MonotonicGuard()
    accepted: dict[Index, list[int]] = {index: [] for index in INDICES}
    for index, stamp in arrivals:
        if guard.admit(tick(stamp, index=index)):
            accepted[index].append(stamp)
    for stamps in accepted.values():
        assert stamps == sorted(set(stamps))


def test_a_second_aggregate_stands_in_for_a_value_at_its_end():
    made = tick_of_second(bar(10, 11, channel=Channel.SECOND))
    assert (made.channel, made.event_ns, made.value) == (Channel.SECOND, 11 * SECOND, 1)


def test_skew_is_the_least_distance_between_receipt_and_stamp():
    estimate = SkewEstimate()
    measured = [estimate.update(tick(at - delay, recv_s=at)) for at, delay in ((100, 0.9), (101, 0.2), (102, 0.7))]
    assert [round(each.offset_ns / SECOND, 6) for each in measured] == [0.9, 0.2, 0.2]
    assert measured[-1].measured_ns == 102 * SECOND


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(-100, 100)), min_size=1, max_size=40))
def test_skew_is_a_sliding_minimum(steps):
    estimate, now, seen = SkewEstimate(), 1_000, []
    for step, delay in steps:
        now += step
        seen.append((now, delay))
        found = estimate.update(tick(now - delay, recv_s=now))
        assert found.offset_ns // SECOND == min(each for at, each in seen if (now - at) * SECOND <= MEMORY_NS)


def test_a_clock_that_steps_back_far_is_forgotten_at_once():
    estimate = SkewEstimate()
    estimate.update(tick(1_000, recv_s=1_000))
    assert estimate.update(tick(900, recv_s=905)).offset_ns == 5 * SECOND
