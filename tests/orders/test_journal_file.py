"""The journal's file: every failure told by its cause, and no damage that is read as something else."""

import contextlib
import os
import shutil
import sqlite3
import time
from contextlib import closing
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_daemon import __version__
from kalshi_daemon.domain.order import Settlement, Status
from kalshi_daemon.ground.errors import StateCorrupt, StateTooNew
from kalshi_daemon.ground.units import Count, Dollars, Nanos
from kalshi_daemon.orders import journal_file
from kalshi_daemon.orders.booked import Inherited, Result
from kalshi_daemon.orders.journal import Journal, journal_path
from kalshi_daemon.orders.journal_errors import (
    StateDamaged,
    StateDiskFull,
    StateGone,
    StateIoError,
    StateLocked,
)
from kalshi_daemon.orders.journal_file import cause_of
from kalshi_daemon.orders.journal_rows import GroupIntent, GroupRow
from kalshi_daemon.orders.journal_schema import MIGRATIONS, row_crc
from kalshi_daemon.state import GroupHalt
from tests.orders.test_order_journal import EVENT, NOW, booked, order


@pytest.fixture
def path(tmp_path):
    return journal_path(tmp_path / "sim")


def fill_journal(journal, *, corrected=True):
    """Something of every table."""
    journal.record_intents([order(seq) for seq in range(1, 6)])
    journal.record_outcome(order(1, status=Status.RESTING, order_id="ex-1", reason="r"), NOW, "Acked", {"n": 1})
    journal.add_fill(booked("t1"), NOW)
    journal.add_fill(booked("t2", market="M2", order_id="ex-2"), NOW)
    journal.add_result("M1", EVENT, Result("yes", NOW), NOW)
    listed = Settlement("M2", EVENT, "no", Count(0), Count(100), Dollars(10_000), Dollars(3), NOW)
    journal.add_settlement(listed, NOW)
    if corrected:
        journal.add_correction(replace(listed, result="yes", revenue=Dollars(0)), Result("no", NOW), NOW)
    journal.inherit([Inherited("M3", EVENT, "KXINXU", Count(-300))])
    journal.set_cursor("fills", NOW)
    journal.record_group(GroupRow("g-1", "wide", Count(1000), NOW))
    journal.intend_group(GroupIntent("wide", NOW, frozenset({"g-0"})))
    journal.halt("wide", GroupHalt(NOW, "triggered"))


def facts(journal):
    return (
        journal.live_orders(),
        journal.orders_since(Nanos(0), 100),
        [journal.history(order(seq).client_order_id) for seq in range(1, 6)],
        [journal.order(order(seq).client_order_id) for seq in range(1, 6)],
        journal.order_of("ex-1"),
        journal.fills_since(Nanos(0)),
        journal.filled_total("ex-1"),
        journal.fills_that_matter(Nanos(0)),
        journal.results_since(Nanos(0)),
        journal.corrections(),
        journal.inherited(Nanos(0)),
        journal.cursor("fills"),
        journal.groups(),
        journal.group_intents(),
        journal.halts(),
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A journal's bytes, its facts, and where it has bytes that are used."""
    path = journal_path(tmp_path_factory.mktemp("whole"))
    with closing(Journal.open(path, NOW)) as journal:
        fill_journal(journal)
        known = facts(journal)
    content = path.read_bytes()
    return content, known, [at for at, byte in enumerate(content) if byte]


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("damaged")


def same_or_refused(scratch, content, known):
    path = scratch / "journal.sqlite3"
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    path.write_bytes(content)
    try:
        with closing(Journal.open(path, NOW)) as journal:
            found = facts(journal)
    except StateCorrupt:
        return
    assert found == known


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_a_damaged_journal_is_refused_or_read_as_it_was(whole, scratch, data):
    content, known, used = bytearray(whole[0]), whole[1], whole[2]
    # By number: a strategy that samples from thousands of places is looked through for each example.
    for place in data.draw(st.lists(st.integers(0, len(used) - 1), min_size=1, max_size=3)):
        content[used[place]] = data.draw(st.integers(0, 255))
    same_or_refused(scratch, bytes(content), known)


WAL_HEADER, FRAME_HEADER = 32, 24


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """The files of a journal whose process was killed, and its facts after each commit, the last ones first."""
    path = journal_path(tmp_path_factory.mktemp("killed"))
    with closing(Journal.open(path, NOW)) as journal:
        fill_journal(journal)
        last = facts(journal)
        files = {end: path.with_name(path.name + end).read_bytes() for end in ("", "-wal", "-shm")}
        page = journal._db.execute("PRAGMA page_size").fetchone()[0]
    known = [last]
    scratch = tmp_path_factory.mktemp("commits")
    for size in range(len(files["-wal"]), WAL_HEADER - 1, -(page + FRAME_HEADER)):
        found = facts_of(scratch, files | {"-wal": files["-wal"][:size]})
        if found is not None and found not in known:
            known.append(found)
    return files, known


def facts_of(folder, files):
    """What a journal of these files says; None when it is refused."""
    path = folder / "journal.sqlite3"
    for end in ("", "-wal", "-shm"):
        path.with_name(path.name + end).unlink(missing_ok=True)
        path.with_name(path.name + end).write_bytes(files[end])
    try:
        with closing(Journal.open(path, NOW)) as journal:
            return facts(journal)
    except StateCorrupt:
        return None


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_damage_in_the_write_ahead_log_costs_the_last_commits_at_most(killed, scratch, data):
    """Each frame has a checksum: what follows a damaged one is as if it had not come to the disk, and nothing else."""
    files, known = killed
    assert len(known) > 10, "a commit for each thing that was written"
    end = data.draw(st.sampled_from(("-wal", "-wal", "-wal", "-shm")))
    content = bytearray(files[end])
    places = st.integers(0, len(content) - 1) | st.integers(0, min(len(content), 4_000) - 1)
    if data.draw(st.booleans()):
        content = content[: data.draw(places)]
    else:
        for at in data.draw(st.lists(places, min_size=1, max_size=3)):
            content[at] = data.draw(st.integers(0, 255))
    found = facts_of(scratch, files | {end: bytes(content)})
    assert found is None or found in (known if end == "-wal" else known[:1])


def test_a_digit_changed_in_a_value_is_damage(path):
    with closing(Journal.open(path, NOW)) as journal:
        fill_journal(journal)
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE fills SET price = price + 1 WHERE trade_id = 't1'")
        db.commit()
    with closing(Journal.open(path, NOW)) as journal, pytest.raises(StateDamaged, match="checksum"):
        journal.fills_since(Nanos(0))


@pytest.mark.parametrize("name", [b"fillt", b"\xc0ills"])
def test_a_damaged_name_of_a_cursor_is_damage_and_not_a_list_never_read(path, name):
    with closing(Journal.open(path, NOW)) as journal:
        fill_journal(journal)
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE cursors SET name = CAST(? AS TEXT) WHERE name = 'fills'", (name,))
        db.commit()
    with closing(Journal.open(path, NOW)) as journal, pytest.raises(StateDamaged):
        journal.cursor("fills")


def test_an_index_that_no_longer_names_a_live_order_is_damage(path):
    with closing(Journal.open(path, NOW)) as journal:
        journal.record_intents([order(seq, reason="r") for seq in range(1, 40)])
        root = journal._db.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'orders_by_status'").fetchone()[0]
        size = journal._db.execute("PRAGMA page_size").fetchone()[0]
    content = bytearray(path.read_bytes())
    at = content.index(b"intended", (root - 1) * size, root * size)
    content[at : at + 8] = b"canceled"
    path.write_bytes(bytes(content))
    with pytest.raises(StateDamaged):
        Journal.open(path, NOW)


def test_an_outcome_does_not_seal_a_damaged_row_anew(path):
    with closing(Journal.open(path, NOW)) as journal:
        journal.record_intents([order()])
        with closing(sqlite3.connect(path)) as db:
            db.execute("UPDATE orders SET price = price + 1")
            db.commit()
        with pytest.raises(StateDamaged):
            journal.record_outcome(order(status=Status.RESTING, order_id="ex-1"), NOW, "Acked", {})
        with pytest.raises(StateDamaged):
            journal.record_expiries([order()])


@pytest.mark.parametrize(
    "change",
    ["side = 'buy'", "status = 'restless'", "price = 10001", "count = -1", "filled = -1", "created_ns = -1"],
)
def test_a_value_that_is_never_written_is_damage_even_when_its_checksum_fits(path, change):
    with closing(Journal.open(path, NOW)) as journal:
        journal.record_intents([order()])
    with closing(sqlite3.connect(path)) as db:
        db.create_function("row_crc", -1, row_crc)
        db.execute(f"UPDATE orders SET {change}")
        db.executescript(MIGRATIONS[2].split(";")[1])
    with closing(Journal.open(path, NOW)) as journal, pytest.raises(StateDamaged):
        journal.orders_since(Nanos(0), 10)


def test_a_journal_of_before_the_checksums_is_read_and_sealed(path):
    with closing(Journal.open(path, NOW)) as journal:
        fill_journal(journal, corrected=False)
        known = facts(journal)
    with closing(sqlite3.connect(path)) as db:
        for later in ("settlement_corrections", "quarantined_orders", "disputes"):
            db.execute(f"DROP TABLE {later}")
        for (table,) in db.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name != 'schema'"
        ).fetchall():
            db.execute(f"ALTER TABLE {table} DROP COLUMN crc")
        db.execute("DELETE FROM schema WHERE version >= 3")
        db.commit()
    with closing(Journal.read(path)) as reader:
        assert facts(reader) == known
    with closing(Journal.open(path, NOW)) as journal:
        assert facts(journal) == known
        assert journal._version() == len(MIGRATIONS)


def test_a_lock_is_waited_for_once_and_called_so(path, monkeypatch):
    monkeypatch.setattr(journal_file, "BUSY_MS_MAX", 100)
    with closing(Journal.open(path, NOW)) as journal, closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StateLocked, match=r"healthy.*same file") as caught:
            journal.record_intents([order()])
        assert "move" not in str(caught.value)
        assert journal._db.execute("PRAGMA busy_timeout").fetchone() == (0,), "the stop does not wait again"
        started = time.monotonic()
        with pytest.raises(StateLocked):
            journal.set_cursor("fills", NOW)
        assert time.monotonic() - started < 0.1
        other.execute("ROLLBACK")
        journal.record_intents([order()])


@pytest.mark.parametrize("how", ["deleted", "replaced"])
def test_a_journal_whose_file_is_gone_takes_no_intents(path, how):
    with closing(Journal.open(path, NOW)) as journal:
        if how == "deleted":
            path.unlink()
        else:
            shutil.copy(path, path.with_name("other"))
            os.replace(path.with_name("other"), path)  # noqa: PTH105 - the same inode would be no test
        with pytest.raises(StateGone, match=how):
            journal.record_intents([order()])
        assert journal.live_orders() == []


def test_a_full_disk_is_called_so(path):
    with closing(Journal.open(path, NOW)) as journal:
        pages = journal._db.execute("PRAGMA page_count").fetchone()[0]
        journal._db.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(StateDiskFull, match=r"full.*make room") as caught:
            journal.record_intents([order(seq) for seq in range(500)])
        assert "move" not in str(caught.value)
        assert journal.live_orders() == []


def test_a_newer_schema_is_a_matter_of_the_daemon_not_of_the_file(path):
    Journal.open(path, NOW).close()
    with closing(sqlite3.connect(path)) as db:
        db.execute("INSERT INTO schema VALUES (99, 0)")
        db.commit()
    with pytest.raises(StateTooNew, match="newer daemon") as caught:
        Journal.open(path, NOW)
    assert caught.value.exit_code == 78


def test_a_refusal_of_the_operating_system_says_nothing_about_the_content(path):
    path.mkdir(parents=True)
    with pytest.raises(StateIoError, match="mount"):
        Journal.open(path, NOW)
    assert isinstance(cause_of(path, PermissionError(13, "denied"), "opened"), StateIoError)


def test_text_that_is_no_utf8_is_damage(path):
    with closing(Journal.open(path, NOW)) as journal:
        journal.record_intents([order()])
        with closing(sqlite3.connect(path)) as db:
            db.execute("UPDATE orders SET reason = CAST(X'ff41' AS TEXT)")
            db.commit()
        with pytest.raises(StateDamaged):
            journal.live_orders()


def test_the_journal_says_which_version_opened_it_last(tmp_path):
    major, minor, patch = (int(part) for part in __version__.split("."))
    path = journal_path(tmp_path)
    for before in (0, 7):  # never stamped, stamped by another version
        Journal.open(path, Nanos(0), synchronous="normal").close()
        with contextlib.closing(sqlite3.connect(path)) as db:
            assert db.execute("PRAGMA user_version").fetchone() == (10_000 * major + 100 * minor + patch,), before
            db.execute("PRAGMA user_version = 7")
