"""What was learnt goes to bytes and back without a trace, and nothing unsound comes back."""

import hashlib
import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_daemon.calibration.constants_file import SHIPPED
from kalshi_daemon.calibration.updater import RollingCalibration
from kalshi_daemon.ground.units import Nanos
from kalshi_daemon.memory.documents import FORMAT, VERSION, decoded, encoded, fingerprint, remember, restore
from kalshi_daemon.settings.model import CalibrationSettings
from tests.calibration.support import at, bar, day_of, feed, memory, model, session, tick, walk

DAYS = (session(0), session(1, minutes=210), session(2))


def fresh() -> RollingCalibration:
    return model(*DAYS, settings=CalibrationSettings())


def prices(seed: int) -> list:
    """Three days, ticks every 40 s, with a hole, a jump and bars of one and of two minutes in them."""
    whole = walk(391, seed=seed, step_s=40)
    first: list = [one for one in whole if not (at(100) < one.event_ns < at(103) or at(200) < one.event_ns <= at(202))]
    log_fields = next(one.value for one in first if one.event_ns == at(200))
    long_bar = replace(
        bar(200, log_fields, log_fields * 1.001, log_fields * 0.999, log_fields * 1.0004), end_ns=at(202)
    )
    first.insert(next(n for n, one in enumerate(first) if one.event_ns > at(202)), long_bar)
    last = whole[-1].value
    second = walk(211, seed=seed + 1, step_s=40, day=1, level=last * 1.004)
    third = walk(150, seed=seed + 2, step_s=40, day=2, level=second[-1].value * 0.98)
    level = third[-1].value
    bars = [bar(150 + n, level, level * 1.0008, level * 0.9991, level * (1 + 1e-4 * n), day=2) for n in range(4)]
    return [*first, *second, *third, *bars, tick(156, level * 1.012, 2), tick(156.5, level * 1.011, 2)]


def take(one: RollingCalibration, event) -> None:
    if hasattr(event, "value"):
        one.on_tick(event)
    else:
        one.on_bar(event)


def through_bytes(one: RollingCalibration) -> RollingCalibration:
    again = fresh()
    restore(again, decoded(encoded(remember(one))))
    return again


def said(one: RollingCalibration, now: Nanos) -> list:
    """Every forecast and the health of an instant, comparable bit for bit."""
    found: list = [one.health(now)]
    for day, ends in ((0, (30, 90, 390)), (1, (30, 90, 210)), (2, (30, 90, 150, 390))):
        for end in ends:
            distribution = one.forecast(now, at(end, day))
            if distribution is not None:
                levels = distribution.level * np.array([0.98, 0.995, 1.0, 1.004, 1.03])
                found.append(
                    (
                        distribution.level,
                        distribution.sigma,
                        distribution.calibration_error,
                        distribution.cdf(levels).tolist(),
                    )
                )
    return found


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 1_000), data=st.data())
def test_saving_and_restoring_at_any_price_changes_no_later_forecast(seed, data):
    events = prices(seed)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(events) - 1), min_size=1, max_size=4)))
    steady, moved = fresh(), fresh()
    for number, event in enumerate(events):
        take(steady, event)
        take(moved, event)
        if number in cuts:
            moved = through_bytes(moved)
        if number % 97 == 0 or number in cuts or number == len(events) - 1:
            now = event.event_ns if hasattr(event, "value") else event.end_ns
            assert said(moved, now) == said(steady, now)
    assert memory(moved) == memory(steady)
    assert encoded(remember(moved)) == encoded(remember(steady))


def test_the_prices_of_the_property_reach_everything_that_is_kept():
    """Otherwise it would hold for a memory that forgets."""
    seen = fresh()
    for event in prices(3)[:-300]:
        take(seen, event)
    kept = remember(seen)
    for name, value in remember(fresh()).items():
        if name not in {"index", "constants"}:
            assert kept[name] != value, name
    assert kept["today"]["waiting"]
    assert kept["today"]["next_item"] > 0


def test_a_memory_of_an_older_version_with_its_count_of_misprints_is_read():
    one = feed(fresh(), walk(20, step_s=10))
    again = fresh()
    restore(again, {**remember(one), "misprints": 2})
    assert memory(again) == memory(one)


def test_a_memory_of_the_version_before_is_read_word_for_word():
    """It called the baseline's score `rival_crps`, wherever that stands."""
    seen = fresh()
    for event in prices(3)[:-300]:
        take(seen, event)
    kept = remember(seen)
    body = json.dumps(kept).replace('"baseline_crps"', '"rival_crps"').encode()
    assert b'"rival_crps"' in body
    header = {"format": FORMAT, "version": 1, "sha256": hashlib.sha256(body).hexdigest()}
    found = decoded(json.dumps(header).encode() + b"\n" + body + b"\n")
    assert json.dumps(found) == json.dumps(kept)
    again = fresh()
    restore(again, found)
    assert said(again, at(100, 2)) == said(seen, at(100, 2))


def test_a_morning_before_its_first_valid_price_is_remembered():
    one = feed(fresh(), [tick(0.3, 6_800.0), tick(0.9, 6_801.0)])
    again = through_bytes(one)
    assert day_of(again).path is None
    for other in (one, again):
        feed(other, walk(5, seed=2, start=1.2))
    assert memory(again) == memory(one)


def test_a_restart_in_the_session_goes_on_and_takes_the_time_between_for_a_gap():
    one = feed(fresh(), walk(60, step_s=10))
    again = through_bytes(one)
    assert again.health(at(60)).minutes_seen == pytest.approx(59)
    feed(again, [tick(75, 6_805.0)])
    assert again.health(at(75)).ready
    assert again.health(at(75)).minutes_seen == pytest.approx(59), "fifteen minutes nobody watched"


@pytest.fixture(scope="module")
def kept() -> dict:
    one = fresh()
    for event in prices(5)[:-300]:
        take(one, event)
    return decoded(encoded(remember(one)))


def changed(document: dict, path: str, value) -> dict:
    copy: dict = json.loads(json.dumps(document))
    *way, last = path.split(".")
    place: Any = copy
    for step in way:
        place = place[int(step) if isinstance(place, list) else step]
    place[int(last) if isinstance(place, list) else last] = value
    return copy


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("index", "NDX"),
        ("constants", "0" * 16),
        ("last_seen_ns", "yesterday"),
        ("last_seen_ns", 1.5),
        ("variance.num", [1e-6] * 7),
        ("variance.num.3", -1e-6),
        ("variance.num.3", None),
        ("variance.num.3", "1e-6"),
        ("variance.den.0", 0.0),
        ("variance.floor", 0.0),
        ("slow.num", 0.0),
        ("slow.den", -1.0),
        ("variance", {}),
        ("ratio.weight", -1.0),
        ("ratio.prior", True),
        ("daily.gap_num", math.inf),
        ("hour_layer.histogram", [[0.0] * 19] * 10),
        ("hour_layer.histogram.3.3", -1.0),
        ("close_layer.scale_prior.0", 0.0),
        ("close_layer.scale_weight.0", None),
        ("monitor.evidence", [1.0]),
        ("monitor.alarmed", 1),
        ("monitor.seen", -1),
        ("watch.near.weight", None),
        ("base.7", 0.0),
        ("base.7", 9.0),
        ("base", [1.0] * 389),
        ("closing", [1]),
        ("closing", [1, -6_800.0]),
        ("today.session.0", 0),
        ("today.session.1", 1),
        ("today.next_item", 10_000),
        ("today.next_item", -1),
        ("today.path.last", 0.0),
        ("today.path.last", 1.0),
        ("today.path.last_ns", 1),
        ("today.path.watched_min", -1.0),
        ("today.path.boundaries.5", -6_800.0),
        ("today.path.boundaries", []),
        ("today.path.squares", [0.0] * 391),
        ("today.realised", None),
        ("today.jump_limit", "none"),
        ("today.waiting", {}),
        ("today.waiting.0.0", None),
        ("today.waiting.0.1.0.bucket", 10),
        ("today.waiting.0.1.0.layer", "other"),
        ("today.waiting.0.1.0.variance", 0.0),
        ("today.waiting.0.1.0.knots.3", 0.99),
        ("today.waiting.0.1.0.knots", [0.0, 1.0]),
    ],
)
def test_what_is_not_sound_is_refused_and_changes_nothing(kept, path, value):
    one = feed(fresh(), walk(30))
    before = encoded(remember(one))
    with pytest.raises((ValueError, KeyError)):
        restore(one, changed(kept, path, value))
    assert encoded(remember(one)) == before


@pytest.mark.parametrize("name", sorted(set(remember(fresh())) - {"slow"}))
def test_a_part_that_lacks_is_refused(kept, name):
    with pytest.raises((ValueError, KeyError)):
        restore(fresh(), {key: value for key, value in kept.items() if key != name})


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_file_with_any_byte_changed_is_refused(kept, data):
    content = bytearray(encoded(kept))
    place = data.draw(st.integers(0, len(content) - 2))
    content[place] ^= 1 << data.draw(st.integers(0, 7))
    try:
        found = decoded(bytes(content))
    except ValueError:
        return
    assert found == kept, "only what says the same may pass"


@pytest.mark.parametrize("length", [0, 1, 50, 500, -2])
def test_a_file_cut_short_is_refused(kept, length):
    with pytest.raises(ValueError, match=r"JSON|digest|object"):
        decoded(encoded(kept)[:length])


def test_another_version_or_format_is_named(kept):
    content = encoded(kept)
    with pytest.raises(ValueError, match=f"version 99 instead of {VERSION}"):
        decoded(content.replace(b'"version":2', b'"version":99', 1))
    with pytest.raises(ValueError, match="not a file of ours"):
        decoded(content.replace(b"kalshi-daemon", b"other-program", 1))
    with pytest.raises(ValueError, match="too many"):
        decoded(b"x" * 5_000_000)


@pytest.mark.parametrize("line", [0, 1])
def test_a_file_that_says_a_key_twice_is_refused(kept, line):
    lines = encoded(kept).splitlines(keepends=True)
    lines[1] = lines[1] if line == 0 else b'{"index":"NDX",' + lines[1][1:]
    header = json.loads(lines[0]) | {"sha256": hashlib.sha256(lines[1].rstrip()).hexdigest()}
    lines[0] = json.dumps(header).encode() + b"\n"
    lines[0] = b'{"version": 1, ' + lines[0][1:] if line == 0 else lines[0]
    with pytest.raises(ValueError, match="each key once"):
        decoded(b"".join(lines))


def test_a_session_the_calendar_does_not_know_is_refused(kept):
    with pytest.raises(ValueError, match="no such session"):
        restore(model(session(0), settings=CalibrationSettings()), kept)


def test_constants_are_told_apart_by_their_figures():
    name = fingerprint(SHIPPED)
    assert name == fingerprint(SHIPPED)
    assert len(name) == 16


JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=5),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)


def places(value: Any, way: tuple = ()) -> list[tuple]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [way, *(found for key, one in inside for found in places(one, (*way, key)))]


@settings(max_examples=60, deadline=None)
@given(data=st.data(), junk=JUNK)
def test_junk_anywhere_is_refused_or_harmless_and_never_another_error(kept, data, junk):
    way = data.draw(st.sampled_from([one for one in places(kept) if one]))
    copy: Any = json.loads(json.dumps(kept))
    place = copy
    for key in way[:-1]:
        place = place[key]
    place[way[-1]] = junk
    one = fresh()
    before = encoded(remember(one))
    try:
        restore(one, copy)
    except (ValueError, KeyError):
        assert encoded(remember(one)) == before
    else:
        distribution = one.forecast(at(205, 1), at(210, 1))
        assert distribution is None or distribution.sigma >= 0.0


def test_numbers_of_numpy_are_written_as_they_are(kept):
    value = np.float64(0.1) + np.float64(0.2)
    assert decoded(encoded(kept | {"more": value}))["more"] == float(value)
    with pytest.raises(TypeError):
        encoded(kept | {"more": object()})
