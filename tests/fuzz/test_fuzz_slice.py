"""A slice of `make fuzz` on every run, faults drawn by hypothesis; and the oracle, on what it must not let pass."""

import gc
import json
import random
import time

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz import corpus, oracle, venue_oracle
from tests.fuzz.engine import generate
from tests.fuzz.mutation import POISONS, Doubled, Raw, mutated, written
from tests.fuzz.table import TARGETS, named, shares
from tests.fuzz.target import Target, Verdict, examine

EXAMPLES = {"settings": 150, "constants": 100, "memory": 150, "journal": 100}


@pytest.mark.parametrize("target", TARGETS, ids=lambda one: one.name)
def test_what_is_almost_right_is_refused_in_documented_words(target):
    @settings(
        deadline=None,
        max_examples=EXAMPLES.get(target.name, 1_200),
        database=None,
        derandomize=True,  # `make fuzz` takes new seeds; a run of the suite can be repeated
        suppress_health_check=list(HealthCheck),
    )
    @given(turn=st.integers(0, 2**48))
    def judged(turn):
        rng = random.Random(turn)
        data = target.mutate(rng, rng.choice(target.seeds))
        verdict, took_s = examine(target, data, time.thread_time)
        assert not verdict.escape, data
        assert not verdict.wrong, data
        # A long one is asked twice: the collector's time is not the reader's.
        assert took_s < 0.05 or examine(target, data, time.thread_time)[1] < 0.05, data

    gc.collect()
    gc.freeze()  # what other tests have left behind is not looked through while a reader is timed
    try:
        judged()
    finally:
        gc.unfreeze()


@pytest.mark.parametrize("target", TARGETS, ids=lambda one: one.name)
def test_the_seeds_themselves_are_accepted_and_the_oracle_agrees(target):
    for data in target.seeds:
        assert examine(target, data, time.thread_time)[0] == Verdict(accepted=True), data


class SloppyError(Exception):
    """What a reader must not raise."""


def loose(read) -> Target:
    return Target(
        "loose", named("websocket").seeds, named("websocket").mutate, read, lambda _d, _m: None, (ValueError,), 1
    )


def test_an_escape_and_a_block_are_counted():
    def read(data: bytes) -> None:
        if b'"type":"fill"' in data:
            raise SloppyError
        json.loads(data)

    tally = generate(loose(read), 300, 1)
    assert tally.escapes.total() > 0
    assert set(tally.escapes) == {"SloppyError in test_fuzz_slice.py:read"}
    assert tally.longest_ms > 0


def test_a_complaint_that_cannot_be_said_is_an_escape():
    class UnspeakableError(ValueError):
        def __str__(self) -> str:
            raise OverflowError

    def read(_data: bytes) -> None:
        raise UnspeakableError

    verdict, _ = examine(loose(read), b"", time.thread_time)
    assert verdict.escape.endswith("of a complaint")


def test_the_same_seed_makes_the_same_inputs():
    target = named("rest")
    drawn = [[target.mutate(random.Random(turn), target.seeds[0]) for turn in range(50)] for _ in range(2)]
    assert drawn[0] == drawn[1]
    assert len(set(drawn[0])) > 40


def test_every_input_is_given_to_some_target():
    assert sum(shares(100_000, [one.name for one in TARGETS]).values()) == 100_000
    assert min(shares(1, [one.name for one in TARGETS]).values()) == 1


@pytest.mark.parametrize(
    "value",
    ["1e-1", "5E1", "NaN", "Infinity", "-0.5", "+0.5", " 0.5", "0.5\n", "0_5", "\u0660.\u0665", ".5", "5.", "1.0001",
     "0.12345", "", "0" * 40, 0.5, 1, None, True],
)  # fmt: skip
def test_the_oracle_refuses_forms_of_a_price(value):
    with pytest.raises(oracle.Refused):
        oracle.price(value)


@pytest.mark.parametrize(
    "value",
    ["1970-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "2019-12-31T23:59:59Z", "2100-01-01T00:00:00Z",
     "2026-11-23T16:00:00", "2026-11-23 16:00:00Z", "2026-02-30T00:00:00Z", "2026-11-23T25:00:00Z", 1_795_446_000],
)  # fmt: skip
def test_the_oracle_refuses_times(value):
    with pytest.raises(oracle.Refused):
        oracle.rfc3339(value)


@pytest.mark.parametrize(
    "value", [1_795_446_000, 1_795_446_000_000_000, -1, 2**64, 1.795e12, "1795446000000", True, None]
)
def test_the_oracle_refuses_another_unit(value):
    with pytest.raises(oracle.Refused):
        oracle.milliseconds(value)


@pytest.mark.parametrize("value", [0, -1, 9e15, 1_000_001, "9e15", "0", True, None, float("nan")])
def test_the_oracle_refuses_levels(value):
    with pytest.raises(oracle.Refused):
        oracle.level(value)


def test_the_oracle_refuses_a_level_twice_and_a_key_twice():
    with pytest.raises(oracle.Refused, match="level twice"):
        venue_oracle.levels([["0.1000", "1.00"], ["0.10", "2.00"]])
    doubled = Doubled(corpus.SERIES)
    doubled.twice, doubled.again = "fee_type", "flat"
    with pytest.raises(oracle.Refused, match="key twice"):
        oracle.document(written(doubled).encode())


def test_valid_documents_stay_valid_for_the_oracle():
    for tree in (*corpus.FEED, *corpus.FRAMES, *corpus.ANSWERS.values(), *corpus.MARKETS):
        assert oracle.document(orjson.dumps(tree)) == tree
    for name, one in corpus.ANSWERS.items():
        venue_oracle.answer(orjson.dumps(one), name)


@given(turn=st.integers(0, 2**32))
def test_a_mutation_leaves_its_seed_alone(turn):
    before = orjson.dumps(corpus.FRAMES)
    mutated(random.Random(turn), corpus.FRAMES[turn % len(corpus.FRAMES)])
    assert orjson.dumps(corpus.FRAMES) == before


def test_poisons_are_written_as_they_are():
    assert written({"a": Raw("1e400"), "b": [Raw("NaN")]}) == '{"a":1e400,"b":[NaN]}'
    assert len(set(POISONS)) == len(POISONS)
