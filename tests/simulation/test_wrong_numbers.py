"""Drawn poison: every number of a body can be hit, nothing else is, and what stands there is never a number."""

import random
import sqlite3
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshi_daemon.ground.errors import MalformedData
from kalshi_daemon.ground.readers import integer, rfc3339, scaled_decimal
from kalshi_daemon.ground.units import Nanos
from kalshi_daemon.orders.journal import Journal, journal_path
from kalshi_daemon.orders.journal_errors import StateDiskFull, StateGone, StateLocked
from tests.simulation.disk import Disk, Refusal
from tests.simulation.numbers import NONSENSE, DrawnPoison, Raw, numbers, other_unit, put

BODY = {
    "orders": [
        {"order_id": "5f1c", "count": "10.00", "ts": 1_795_000_000_000, "side": "bid", "at": "2026-11-23T15:00:00Z"},
        {"order_id": "77", "levels": [["0.4500", "3.00"]], "open": True, "none": None},
    ]
}


def test_numbers_are_found_wherever_they_stand_also_as_text():
    assert [value for _place, value in numbers(BODY)] == [
        "10.00", 1_795_000_000_000, "2026-11-23T15:00:00Z", "77", "0.4500", "3.00"
    ]  # fmt: skip


def test_every_number_is_hit_sooner_or_later_and_one_at_a_time():
    poison = DrawnPoison("", rng=random.Random(1))
    for _ in range(200):
        encoded = poison.apply(BODY)
        assert encoded is not None
    assert poison.fields == {"count", "ts", "at", "order_id", "levels"}
    assert poison.hits == 200


@given(st.recursive(st.none() | st.integers(0, 9) | st.text(max_size=3), lambda s: st.lists(s, max_size=3) |
                    st.dictionaries(st.text(max_size=2), s, max_size=3), max_leaves=8))  # fmt: skip
def test_what_is_put_somewhere_stands_there_and_changes_nothing_else(body):
    before = orjson.dumps(body)
    for place, _value in list(numbers(body)):
        changed = put(body, place, "here")
        assert [p for p, _v in numbers(put(changed, place, 1))] == [p for p, _v in numbers(body)]
        found = changed
        for key in place:
            found = found[key]
        assert found == "here"
    assert orjson.dumps(body) == before


@pytest.mark.parametrize("wrong", [one for one in NONSENSE if not isinstance(one, Raw)], ids=repr)
def test_nothing_of_it_is_a_number_that_our_readers_take(wrong):
    with pytest.raises(MalformedData):
        scaled_decimal(wrong, "field", decimals=4, low=0, high=2**62)
    with pytest.raises(MalformedData):
        integer(wrong, "field")
    with pytest.raises(MalformedData):
        rfc3339(wrong, "field")


@pytest.mark.parametrize("stamp", [1_795_000_000, 1_795_000_000_123, 1_795_000_000_123_456, 1_795_000_000_123_456_789])
def test_another_unit_is_another_unit(stamp):
    seen = {other_unit(random.Random(seed), stamp) for seed in range(50)}
    assert len(seen) == 3
    assert all(isinstance(one, int) and not stamp // 2 < one < stamp * 2 for one in seen)


@pytest.mark.parametrize("other", [True, 5, "1795000000", 1.5, 999_999_999])
def test_what_is_no_time_has_no_other_unit(other):
    assert other_unit(random.Random(0), other) is None


# --- the journal's disk


@pytest.fixture
def disk(tmp_path):
    made = Disk(tmp_path)
    with made.in_front():
        yield made


def _journal(tmp_path: Path) -> Journal:
    return Journal.open(journal_path(tmp_path / "1" / "sim"), Nanos(0))


@pytest.mark.parametrize(("refusal", "error"), [(Refusal.LOCKED, StateLocked), (Refusal.FULL, StateDiskFull)])
def test_a_write_is_refused_by_its_cause_and_leaves_nothing_behind(tmp_path, disk, refusal, error):
    journal = _journal(tmp_path)
    journal.set_cursor("fills", Nanos(1))
    disk.refusal = refusal
    with pytest.raises(error), journal.transaction():
        journal.set_cursor("fills", Nanos(2))
    with pytest.raises(error):
        journal.set_cursor("fills", Nanos(3))
    disk.refusal = None
    assert journal.cursor("fills") == 1
    assert disk.refused == 2
    journal.close()


def test_a_journal_that_is_gone_is_noticed_and_whole_when_it_is_back(tmp_path, disk):
    journal = _journal(tmp_path)
    journal.set_cursor("fills", Nanos(1))
    disk.delete(journal_path(tmp_path / "1" / "sim"))
    assert [path.name for path in disk.files_of(journal.path)] == ["journal.sqlite3", "journal.sqlite3-wal"]
    with pytest.raises(StateGone):
        journal.record_intents([])
    journal.set_cursor("fills", Nanos(2))  # into the file that has no name any more
    disk.put_back()
    journal.check_in_place()
    journal.close()
    again = _journal(tmp_path)
    assert again.cursor("fills") == 2
    again.close()


def test_other_files_are_none_of_its_business(tmp_path, disk):
    disk.refusal = Refusal.FULL
    other = sqlite3.connect(tmp_path / "other.sqlite3")
    other.execute("CREATE TABLE t (a)")
    other.execute("INSERT INTO t VALUES (1)")
    other.commit()
    other.close()
