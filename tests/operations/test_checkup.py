"""Each verdict of the check-up that this machine alone can tell, driven to every outcome it has."""

import sqlite3
from contextlib import closing
from datetime import date
from pathlib import Path

import pytest

from kalshi_daemon.domain.index import Index
from kalshi_daemon.ground.errors import ExitCode
from kalshi_daemon.ground.units import MEGABYTE, MILLISECOND, Nanos
from kalshi_daemon.index_feed.snapshot import SnapshotValue
from kalshi_daemon.operations.checkup import (
    CheckVerdict,
    calendar_check,
    clock_check,
    disk_check,
    exit_code_of,
    failed,
    feed_check,
    limits_check,
    local,
    passed,
    releases_check,
    unit_check,
    version_check,
    warned,
)
from kalshi_daemon.operations.disk_watch import Room
from kalshi_daemon.orders.journal_file import DAEMON_VERSION
from kalshi_daemon.settings.model import RetentionSettings, Settings

PASS, WARN, FAIL = CheckVerdict


def value(*, delayed: bool = False) -> SnapshotValue:
    return SnapshotValue(Index.SPX, 6_870.0, Nanos(0), delayed)


@pytest.mark.parametrize(
    ("check", "verdict"),
    [
        (clock_check(Nanos(1_500 * MILLISECOND), Nanos(1_500 * MILLISECOND)), PASS),
        (clock_check(Nanos(-1_501 * MILLISECOND), Nanos(1_500 * MILLISECOND)), FAIL),
        (clock_check(None, Nanos(1)), WARN),
        (feed_check({"SPX": value()}, ("SPX",)), PASS),
        (feed_check({"SPX": value(delayed=True)}, ("SPX",)), FAIL),
        (feed_check({"SPX": value()}, ("SPX", "NDX")), FAIL),
        (limits_check("basic", 10), PASS),
        (limits_check("", 9), WARN),
        (calendar_check(date(2026, 12, 31), date(2026, 11, 30)), PASS),
        (calendar_check(date(2026, 12, 30), date(2026, 11, 30)), WARN),
        (calendar_check(date(2026, 11, 29), date(2026, 11, 30)), FAIL),
        (releases_check({"FOMC": date(2026, 12, 31)}, date(2026, 11, 30)), PASS),
        (releases_check({"FOMC": date(2027, 12, 31), "CPI": date(2026, 12, 30)}, date(2026, 11, 30)), WARN),
        (releases_check({"FOMC": date(2026, 11, 30)}, date(2026, 11, 30)), WARN),
        (releases_check({"FOMC": date(2026, 11, 29)}, date(2026, 11, 30)), FAIL),
        (releases_check({}, date(2026, 11, 30)), PASS),
        (disk_check(Room(50_000 * MEGABYTE, 1_000_000), RetentionSettings()), PASS),
        (disk_check(Room(900 * MEGABYTE, None), RetentionSettings()), WARN),
        (disk_check(Room(100 * MEGABYTE, None), RetentionSettings()), FAIL),
    ],
)
def test_a_verdict_with_its_numbers_and_a_remedy_where_it_is_not_fine(check, verdict):
    assert check.verdict is verdict
    assert check.detail
    assert bool(check.remedy) is (verdict is not PASS)


def test_the_exit_code_is_the_worst():
    ok, look = passed("a", "x"), warned("b", "x", "y")
    one, gone, config = (
        failed("c", "x", "y", code) for code in (ExitCode.FAILURE, ExitCode.UNREACHABLE, ExitCode.CONFIG)
    )
    assert exit_code_of((ok, look)) is ExitCode.OK
    assert exit_code_of((ok, one)) is ExitCode.FAILURE
    assert exit_code_of((one, gone)) is ExitCode.UNREACHABLE
    assert exit_code_of((gone, config, one)) is ExitCode.CONFIG


def journal(path, version: int):
    with closing(sqlite3.connect(path)) as made:
        made.execute(f"PRAGMA user_version = {version}")
        made.execute("CREATE TABLE t (x)")
    return path


def test_state_of_a_newer_daemon_is_a_failure_and_of_an_older_one_is_fine(tmp_path):
    assert version_check(tmp_path / "none").verdict is PASS
    assert version_check(journal(tmp_path / "old", DAEMON_VERSION - 1)).verdict is PASS
    newer = version_check(journal(tmp_path / "new", 20_304))
    assert (newer.verdict, newer.exit_code) == (FAIL, ExitCode.CONFIG)
    assert "was written by 2.3.4" in newer.detail
    (tmp_path / "damaged").write_bytes(b"not a database, by far" * 100)
    assert version_check(tmp_path / "damaged").verdict is FAIL


def test_the_unit_is_there_and_has_what_safety_stands_on(tmp_path):
    unit, runs = tmp_path / "kalshi-daemon.service", tmp_path / "system"
    assert unit_check(unit, runs).detail == "systemd does not run here"
    runs.mkdir()
    assert unit_check(unit, runs).verdict is WARN
    shipped = Path(__file__).resolve().parents[2] / "deploy" / "kalshi-daemon.service"
    unit.write_text(shipped.read_text())
    assert unit_check(unit, runs).verdict is PASS
    unit.write_text(shipped.read_text().replace("\nWatchdogSec=", "\n#WatchdogSec="))
    assert "lacks WatchdogSec=" in unit_check(unit, runs).detail


def test_a_state_directory_that_others_may_look_at_is_said(tmp_path):
    settings = Settings(state_dir=tmp_path / "state")
    found = {one.name: one for one in local(settings)}
    assert {"state", "disk", "version", "unit", "alerts", "daemon"} == set(found)
    assert "is not there yet" in found["state"].detail
    settings.mode_dir.mkdir(parents=True)
    settings.mode_dir.chmod(0o755)
    settings.state_dir.chmod(0o755)
    assert (seen := next(local(settings))).verdict is WARN
    assert seen.detail.endswith("others may read it")
    settings.mode_dir.chmod(0o757)
    settings.state_dir.chmod(0o757)
    assert next(local(settings)).detail.endswith("others may change it")
    settings.state_dir.chmod(0o700)
    assert next(local(settings)).verdict is PASS
