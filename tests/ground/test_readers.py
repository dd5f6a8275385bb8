"""One grammar for what comes from outside: what is accepted is exact and within bounds, all else is refused by name."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshi_daemon.ground import readers
from kalshi_daemon.ground.errors import MalformedField
from kalshi_daemon.ground.readers import INT64_MAX, LEVEL_MAX, TIME_MAX_NS, TIME_MIN_NS, Rounding

NOT_DECIMALS: tuple[object, ...] = (
    "", " ", "1e3", "1E-2", "NaN", "nan", "Infinity", "inf", "-inf", "1_000", "+1", " 1", "1 ", "1\n", "\u0661",
    "\uff11", "½", "1,5",
    "0x1", ".5", "1.", "--1", "1.2.3", "-", "9" * 16, "0." + "1" * 10, None, 1, 1.0, True, [], b"1",
)  # fmt: skip

EVERYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40) | st.binary(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def price(value: object, rounding: Rounding = Rounding.EXACT, low: int = -10_000) -> int:
    return readers.scaled_decimal(value, "f", decimals=4, low=low, high=10_000, rounding=rounding)


@pytest.mark.parametrize("value", NOT_DECIMALS, ids=repr)
def test_what_is_no_plain_decimal_is_refused_by_name(value):
    with pytest.raises(MalformedField, match=r"^f: "):
        price(value)


@given(number=st.integers(-10_000, 10_000), decimals=st.integers(4, 9))
def test_every_decimal_of_the_range_is_read_exactly(number, decimals):
    assert price(f"{Decimal(number) / 10_000:.{decimals}f}") == number


def test_worked_cases_of_decimals():
    assert price("0.4200") == 4_200
    assert price("-0.5") == -5_000
    assert price("0.123456", Rounding.UP) == 1_235
    assert price("0.123456", Rounding.DOWN) == 1_234
    assert price("-0.123456", Rounding.UP) == -1_234
    assert price("-0.123456", Rounding.DOWN) == -1_235
    for finer in ("0.12345", "1.00001", "-1.0001"):
        with pytest.raises(MalformedField):
            price(finer)
    with pytest.raises(MalformedField):
        price("-0.1", low=0)


@given(micros=st.integers(-990_000, 990_000))
def test_rounding_brackets_the_value(micros):
    text = f"{Decimal(micros) / 1_000_000:.6f}"
    down, up = price(text, Rounding.DOWN), price(text, Rounding.UP)
    assert down * 100 <= micros <= up * 100
    assert up - down == (micros % 100 != 0)


@pytest.mark.parametrize("value", [True, 1.0, "1", None, -1, 2**63, 2**200, []], ids=repr)
def test_what_is_no_integer_of_the_range_is_refused(value):
    with pytest.raises(MalformedField, match=r"^f: "):
        readers.integer(value, "f")


def test_integers_of_the_range():
    assert readers.integer(INT64_MAX, "f") == INT64_MAX
    assert readers.integer(-3, "f", low=-5, high=5) == -3


@pytest.mark.parametrize(
    ("value", "ns"),
    [
        ("2026-11-23T15:00:00Z", 1_795_446_000_000_000_000),
        ("2026-11-23T10:00:00-05:00", 1_795_446_000_000_000_000),
        ("2026-11-23t15:00:00.000184z", 1_795_446_000_000_184_000),
        ("2026-11-23T15:00:00.1234567899Z", 1_795_446_000_123_456_789),
    ],
)
def test_times_are_read_to_the_nanosecond(value, ns):
    assert readers.rfc3339(value, "f") == ns


@pytest.mark.parametrize(
    "value",
    [
        "0001-01-01T00:00:00Z", "2019-12-31T23:59:59Z", "2100-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59",
        "2026-02-30T00:00:00Z", "2026-11-23T15:00:00", "2026-11-23 15:00:00Z", "2026-11-23T15:00:00+0000",
        "2026-11-23T24:01:00Z", "2026-11-23T15:00:00+99:00", "\uff12026-11-23T15:00:00Z", "", None, 1_795_446_000,
    ],
    ids=repr,
)  # fmt: skip
def test_times_outside_the_century_or_the_grammar_are_refused(value):
    with pytest.raises(MalformedField, match=r"^f: "):
        readers.rfc3339(value, "f")


def test_an_epoch_in_another_unit_is_refused():
    seconds = 1_795_446_000
    assert readers.epoch_s(seconds, "f") == readers.epoch_ms(seconds * 1_000, "f") == seconds * 1_000_000_000
    for value in (0, seconds * 1_000, seconds * 1_000_000, -seconds, float(seconds), str(seconds), True, None, 10**30):
        with pytest.raises(MalformedField, match=r"^f: "):
            readers.epoch_s(value, "f")
    for value in (0, seconds, seconds * 1_000_000, seconds * 1_000_000_000):
        with pytest.raises(MalformedField, match=r"^f: "):
            readers.epoch_ms(value, "f")


def test_levels_are_bounded_and_noise_is_rounded():
    assert readers.level(7844.999900000001, "f") == 78_449_999
    assert readers.level("7844.9999", "f") == 78_449_999
    assert readers.level(7845, "f") == 78_450_000
    assert readers.level_points(6870.11, "f") == 6870.11
    for value in (0, -1, 1e-9, 9e15, 10**400, float("nan"), float("inf"), "7845e0", "NaN", True, None, "0"):
        with pytest.raises(MalformedField, match=r"^f: "):
            readers.level(value, "f")


@given(value=EVERYTHING)
def test_any_value_is_read_within_bounds_or_refused_with_a_sentence(value):
    bounds = {
        price: (-10_000, 10_000),
        lambda v: readers.integer(v, "f"): (0, INT64_MAX),
        lambda v: readers.epoch_ms(v, "f"): (TIME_MIN_NS, TIME_MAX_NS),
        lambda v: readers.epoch_s(v, "f"): (TIME_MIN_NS, TIME_MAX_NS),
        lambda v: readers.rfc3339(v, "f"): (TIME_MIN_NS, TIME_MAX_NS),
        lambda v: readers.level(v, "f"): (1, LEVEL_MAX),
        lambda v: readers.finite(v, "f", low=-1.0, high=1.0): (-1, 1),
    }
    for read, (low, high) in bounds.items():
        try:
            got = read(value)
        except MalformedField as problem:
            sentence = str(problem)
            assert len(sentence) < 300
        else:
            assert low <= got <= high


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)


@given(value=JSON_VALUES, spaced=st.booleans(), as_text=st.booleans())
def test_json_without_repeated_keys_is_read_as_ever(value, spaced, as_text):
    wire = json.dumps(value, ensure_ascii=False, separators=(" , ", " : ") if spaced else (",", ":"))
    assert readers.parse_json(wire if as_text else wire.encode(), "frame") == value


@given(before=JSON_VALUES, key=st.text(max_size=6), other=JSON_VALUES)
def test_a_repeated_key_is_refused_wherever_it_stands(before, key, other):
    name = json.dumps(key, ensure_ascii=False)
    wire = f'[{json.dumps(before)},{{{name}:{json.dumps(other)},"{"x" * 9}":[],{name}:1}}]'
    with pytest.raises(MalformedField, match="each key once"):
        readers.parse_json(wire.encode(), "frame")


@given(
    space=st.sampled_from(["", " ", "\n", "\t", "\r", " \n"]),
    string=st.sampled_from([":", ':"', "", '":', "\\:", "a:"]),
    strings=st.integers(0, 3),
)
def test_strings_that_look_like_the_end_of_a_key_hide_no_repeated_one(space, string, strings):
    others = json.dumps([string] * strings, separators=(",", ":"))
    once = f'{{"a"{space}:1,"b":{others}}}'
    assert readers.parse_json(once.encode(), "frame") == {"a": 1, "b": [string] * strings}
    with pytest.raises(MalformedField, match="each key once"):
        readers.parse_json(f'{{"a"{space}:1,"b":{others},"a":2}}'.encode(), "frame")


@pytest.mark.parametrize("wire", [b"", b"{", b"NaN", b'{"a":Infinity}', b"[1,]", b"\xff", b"[" * 40 + b"]" * 40])
def test_what_is_no_json_of_ours_is_refused(wire):
    with pytest.raises(MalformedField, match=r"^frame: "):
        readers.parse_json(wire, "frame")


def test_a_complaint_about_a_huge_integer_is_a_sentence():
    assert str(MalformedField("f", 10**5_000, "an integer")) == "f: <int: ValueError> is not an integer"
