"""What an earlier run on the built-in exchange left is put aside whole, and the last few of them are kept."""

from contextlib import closing

import pytest

from kalshi_daemon.app.simulated.previous_runs import KEPT, put_earlier_run_aside
from kalshi_daemon.ground.errors import ConfigurationError
from kalshi_daemon.ground.units import SECOND, Nanos
from kalshi_daemon.orders.journal import Journal, journal_path
from kalshi_daemon.orders.journal_archive import archive_folder, earlier_runs

NOW = Nanos(1_763_900_000 * SECOND)


def test_nothing_is_done_where_nothing_ran(tmp_path):
    assert put_earlier_run_aside(tmp_path, NOW) is None
    assert list(tmp_path.iterdir()) == []


def test_journal_log_and_archives_go_together_and_a_new_journal_is_empty(tmp_path):
    path = journal_path(tmp_path)
    archive_folder(path).mkdir(parents=True)
    (archive_folder(path) / "journal-2026-11.sqlite3").write_bytes(b"archived")
    with closing(Journal.open(path, NOW)) as journal:
        journal.set_cursor("fills", NOW)
        names = {part.name for part in path.parent.iterdir()}
        assert names >= {"journal.sqlite3", "journal.sqlite3-wal"}, "as a killed daemon leaves it"
        aside = put_earlier_run_aside(tmp_path, NOW)
    assert aside is not None
    assert {part.name for part in path.parent.iterdir()} == {aside.parent.name}
    assert (aside / "archive" / "journal-2026-11.sqlite3").read_bytes() == b"archived"
    with closing(Journal.read(aside / path.name)) as old, closing(Journal.open(path, NOW)) as new:
        assert (old.cursor("fills"), new.cursor("fills")) == (NOW, None)


def test_the_last_few_are_kept(tmp_path):
    path = journal_path(tmp_path)
    path.parent.mkdir(parents=True)
    made = []
    for run in range(KEPT + 2):
        path.write_bytes(b"%d" % run)
        made.append(put_earlier_run_aside(tmp_path, Nanos(NOW + run * SECOND)))
    assert earlier_runs(journal_path(tmp_path)) == made[-KEPT:]
    assert (earlier_runs(journal_path(tmp_path))[-1] / path.name).read_bytes() == b"%d" % (KEPT + 1)


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    path = journal_path(tmp_path)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    (path.parent / "earlier-runs").write_bytes(b"a file where the folder should be")
    with pytest.raises(ConfigurationError, match="earlier-runs"):
        put_earlier_run_aside(tmp_path, NOW)
    assert path.exists()
