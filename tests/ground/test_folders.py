"""A folder that cannot be read is never an empty one, whoever looks into it."""

import os
import re
from datetime import date
from pathlib import Path

import pytest

from kalshi_daemon.app.simulated.previous_runs import put_earlier_run_aside
from kalshi_daemon.artifacts.paths import ArtifactPaths
from kalshi_daemon.artifacts.scan_files import scans_of_day
from kalshi_daemon.bars.sessions import indices_at, read_sample
from kalshi_daemon.digest.reading import read_tapes
from kalshi_daemon.domain.index import Index
from kalshi_daemon.ground.errors import ConfigurationError
from kalshi_daemon.ground.folders import FIX, entries, files_below, is_there
from kalshi_daemon.ground.units import Nanos
from kalshi_daemon.index_feed.day_files import recorded_days, recordings
from kalshi_daemon.operations import healthcheck
from kalshi_daemon.orders.journal import journal_path
from kalshi_daemon.retention.packing import pending
from kalshi_daemon.retention.pruning import prune
from kalshi_daemon.settings.loader import Credentials, load_settings
from kalshi_daemon.settings.model import RetentionSettings
from tests.sealed import sealed
from tests.support.instruments import INDICES

PACKAGE = Path(__file__).resolve().parents[2] / "kalshi_daemon"
NOW = Nanos(1_795_446_000_000_000_000)


def made(path: Path, *files: str) -> Path:
    before = os.umask(0o022)
    try:
        path.mkdir(parents=True)
        for name in files:
            (path / name).touch()
    finally:
        os.umask(before)
    return path


def test_what_is_not_there_is_empty_and_what_is_there_is_sorted(tmp_path):
    folder = made(tmp_path / "a", "2", "1")
    made(folder / "b", "3")
    assert [path.name for path in entries(folder)] == ["1", "2", "b"]
    assert [path.name for path in files_below(folder)] == ["1", "2", "3"]
    assert entries(tmp_path / "gone") == files_below(tmp_path / "gone") == files_below(folder / "1") == []
    with pytest.raises(NotADirectoryError):
        entries(folder / "1")
    assert (is_there(folder), is_there(tmp_path / "gone"), is_there(folder / "1" / "below")) == (True, False, False)


def test_what_cannot_be_read_is_raised_or_named(tmp_path):
    folder = made(tmp_path / "a" / "b", "1")
    with sealed(folder):
        with pytest.raises(PermissionError):
            entries(folder)
        with pytest.raises(PermissionError):
            files_below(folder.parent)
        with pytest.raises(PermissionError):
            is_there(folder / "1")
        notes: list[str] = []
        assert files_below(folder.parent, notes) == []
    assert notes == [f"{folder} cannot be read: Permission denied; {FIX}"]


def test_nobody_looks_into_folders_in_a_way_that_finds_none_where_he_may_not_look():
    silent = re.compile(r"\.(r?glob|iglob|iterdir)\(|\bos\.walk\(")
    found = [
        f"{path.relative_to(PACKAGE)}:{number} {line.strip()}"
        for path in sorted(PACKAGE.rglob("*.py"))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if silent.search(line) and path != PACKAGE / "ground" / "folders.py"
    ]
    assert found == [], "ground/folders.py looks"


# --- whoever looks


def test_index_values_of_a_day_that_cannot_be_read_are_named_in_the_digest(tmp_path):
    folder = made(tmp_path / "data" / "raw" / "2026" / "11" / "23" / "polygon_index", "20261123T150000_SPX.parquet")
    for shut in (folder, folder.parents[2]):
        notes: list[str] = []
        with sealed(shut):
            assert read_tapes(tmp_path, date(2026, 11, 23), notes, lambda: None, INDICES) == {}
            with pytest.raises(PermissionError):
                recordings(folder)
        assert len(notes) == 1
        assert str(shut) in notes[0]
        assert FIX in notes[0]


@pytest.mark.parametrize("depth", range(4))
def test_a_folder_of_recordings_that_cannot_be_read_costs_itself_and_is_named(tmp_path, depth):
    raw = tmp_path / "data" / "raw"
    folder = made(raw / "2026" / "11" / "23" / "polygon_index", "20261123T150000_SPX.parquet")
    made(raw / "2025" / "11" / "24" / "polygon_index", "20251124T150000_SPX.parquet")
    shut = folder.parents[depth - 1] if depth else folder
    notes: list[str] = []
    with sealed(shut):
        works = pending(ArtifactPaths(tmp_path), "9999-12-31", notes)
        pruned = prune(tmp_path, date(2026, 11, 25), RetentionSettings())
        if depth:
            with pytest.raises(PermissionError):
                list(recorded_days(raw))
    assert [work.day for work in works] == ["2025-11-24"]
    assert notes == [f"{shut} cannot be read: Permission denied; {FIX}"]
    assert [line for line in pruned.left if str(shut) in line] == notes, "once, though it is looked at twice"


def test_bars_that_cannot_be_read_are_refused_naming_the_folder(tmp_path):
    folder = made(tmp_path / "bars" / "2024", "SPX.parquet")
    made(tmp_path / "bars" / "2025", "SPX.parquet")
    for path, shut in ((folder.parent, folder), (folder, folder), (folder / "SPX.parquet", folder)):
        with sealed(shut):
            for look in (lambda path=path: indices_at(path), lambda path=path: read_sample(path, Index.SPX)):
                with pytest.raises(ConfigurationError, match="Permission denied") as refused:
                    look()
                assert str(folder) in str(refused.value)
                assert FIX in str(refused.value)


def test_earlier_runs_that_cannot_be_looked_at_refuse_the_start_naming_the_folder(tmp_path):
    journal = journal_path(tmp_path)
    made(journal.parent, journal.name)
    with sealed(journal.parent), pytest.raises(ConfigurationError, match="Permission denied") as refused:
        put_earlier_run_aside(tmp_path, NOW)
    assert str(journal.parent) in str(refused.value)
    runs = made(journal.parent / "earlier-runs" / "run-2026", "x").parent
    with sealed(runs), pytest.raises(ConfigurationError, match="Permission denied") as refused:
        put_earlier_run_aside(tmp_path, NOW)
    assert str(runs) in str(refused.value)
    assert journal.exists(), "it is where it was"


def test_scans_of_a_day_that_cannot_be_read_are_a_problem_of_the_day(tmp_path):
    paths = ArtifactPaths(tmp_path)
    folder = made(paths.scans / "2026-11-23" / "150000" / "KXINXU")
    with sealed(folder.parents[1]):
        found = scans_of_day(paths, "2026-11-23")
        assert list(found) == []
    assert found.problems
    assert all(str(folder.parents[1]) in line for line in found.problems)


def test_a_state_directory_that_cannot_be_read_is_said_by_the_health_check(tmp_path, capsys):
    folder = made(tmp_path / "state" / "live", "heartbeat")
    assert healthcheck.main([str(tmp_path / "state")]) == 0
    for shut in (folder.parent, folder):
        with sealed(shut):
            assert healthcheck.main([str(tmp_path / "state")]) == 1
        assert str(shut) in capsys.readouterr().err


def test_credentials_that_cannot_be_read_are_refused_naming_the_folder(tmp_path):
    folder = made(tmp_path / "credentials", "kalshi_key_id")
    with sealed(folder), pytest.raises(ConfigurationError, match="Permission denied") as refused:
        load_settings(None, {}, folder, {}, needs=Credentials.NONE)
    assert str(folder) in str(refused.value)
