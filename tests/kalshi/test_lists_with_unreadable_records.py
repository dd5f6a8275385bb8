"""Any value in any field of any record: read within its bounds, or that record is named and the others are kept."""

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshi_daemon.ground import readers
from kalshi_daemon.ground.errors import MalformedData, PartlyUnreadable
from kalshi_daemon.ground.readers import INT64_MAX
from kalshi_daemon.kalshi import fields, rest_codec
from tests.kalshi.test_rest_bodies_and_answers import FILL, ORDER

POSITION: dict[str, Any] = {
    "ticker": "M",
    "position_fp": "-2.00",
    "fees_paid_dollars": "0.010000",
    "realized_pnl_dollars": "0.000000",
}
SETTLEMENT: dict[str, Any] = {
    "ticker": "M", "event_ticker": "E", "market_result": "yes", "yes_count_fp": "2.00", "no_count_fp": "0.00",
    "revenue": 200, "fee_cost": "0.0000", "settled_time": "2026-11-23T16:03:00Z",
}  # fmt: skip
KINDS: dict[str, tuple[dict[str, Any], Callable[[dict[str, Any]], Any]]] = {
    "orders": (ORDER, rest_codec.remote_order),
    "fills": (FILL | {"ts_ms": 1_795_446_000_250}, rest_codec.fill),
    "positions": (POSITION, rest_codec.position),
    "settlements": (SETTLEMENT, rest_codec.settlement),
}
LONG = 5_000_000_000
"""Nanoseconds: far above what one record takes on a busy machine, far below a loop held up by a number."""

NASTY: st.SearchStrategy[Any] = st.sampled_from([
    "1e5", "1E2", "NaN", "Infinity", "-Infinity", "1_0", "+1", " 1", "1 ", "\u0661", "-0", "-0.00", "-1.00",
    "0.0000001", "9" * 40, "", "x" * 3_000, "a b", "\ud800", 0, -1, 2**63, 2**70, 10**4_400, 1.5, 1e308,
    float("nan"), True, None,
    [], {}, [[]], {"a": 1}, 1_795_446_000, 1_795_446_000_250_000, "2026-11-23", "9999-12-31T23:59:59-23:59",
    "2026-11-23T15:00:00", "0001-01-01T00:00:00Z",
])  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_any_value_in_any_field_costs_at_most_its_own_record(kind, data):
    sound, decode = KINDS[kind]
    bad = sound | {data.draw(st.sampled_from(sorted(sound))): data.draw(NASTY | JSON)}
    began = time.perf_counter_ns()
    try:
        record = decode(bad)
    except MalformedData as refused:
        problem = str(refused)
        with pytest.raises(PartlyUnreadable) as caught:
            fields.each([sound, bad, sound], decode, kind)
        assert list(caught.value.readable) == [decode(sound)] * 2
        (named,) = caught.value.unreadable
        assert problem in named.text
        assert named.text in str(caught.value)
    else:
        _within_bounds(record)
        assert fields.each([sound, bad], decode, kind) == [decode(sound), record]
    assert time.perf_counter_ns() - began < LONG


def _within_bounds(record):
    for value in dataclasses.asdict(record).values():
        if isinstance(value, int):
            assert abs(value) <= INT64_MAX
        elif isinstance(value, str):
            assert len(value) <= readers.ID_CHARS_MAX
            assert value == "" or (value.isascii() and value.isprintable())


@pytest.mark.parametrize(
    ("kind", "field", "wrong"),
    [
        ("orders", "fill_count_fp", "-0.00"),
        ("fills", "count_fp", "-0"),
        ("fills", "fee_cost", "0.0000001"),
        ("fills", "ts_ms", 1_795_446_000_250_000),
        ("fills", "count_fp", "1e5"),
        ("positions", "position_fp", "9" * 15),
        ("positions", "fees_paid_dollars", "0.0000001"),
        ("settlements", "revenue", 2**63),
        ("settlements", "settled_time", "1970-01-01T00:00:00Z"),
    ],
)
def test_what_is_refused_is_named_by_its_field(kind, field, wrong):
    sound, decode = KINDS[kind]
    with pytest.raises(MalformedData, match=field):
        decode(sound | {field: wrong})


def test_a_record_is_named_by_its_id_and_its_market():
    with pytest.raises(PartlyUnreadable) as caught:
        fields.each([FILL | {"count_fp": "NaN"}, 7], rest_codec.fill, "fills")
    first, second = caught.value.unreadable
    assert (first.place, first.market_ticker) == ("fills trade_id t-1", "M")
    assert (second.place, second.market_ticker) == ("fills[1]", "")
