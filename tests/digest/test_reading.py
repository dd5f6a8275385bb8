"""Reading back what a daemon wrote, also when parts of it are cut, damaged or missing."""

import asyncio
import contextlib
import json
from dataclasses import replace
from datetime import date

import pytest

from kalshi_daemon.artifacts.files import encode, write_unsynced
from kalshi_daemon.digest import keeper as keeping
from kalshi_daemon.digest import reading
from kalshi_daemon.digest.document import SCHEMA, document
from kalshi_daemon.digest.keeper import DigestKeeper
from kalshi_daemon.digest.making import NoSuchDay, Source, digest_of, write_digest
from kalshi_daemon.digest.sections import markdown, sections
from kalshi_daemon.domain.index import Channel, Index, Tick
from kalshi_daemon.domain.order import Status
from kalshi_daemon.domain.window import Session
from kalshi_daemon.ground.clock import ManualClock, iso_utc
from kalshi_daemon.ground.errors import StateCorrupt
from kalshi_daemon.ground.units import DAY, HOUR, MINUTE, SECOND, Nanos
from kalshi_daemon.index_feed.recorder import Columns, write_files
from kalshi_daemon.operations.logging import log_path, rotated_path
from kalshi_daemon.orders.booked import Result
from kalshi_daemon.orders.journal import Journal, journal_path
from kalshi_daemon.orders.journal_archive import archive_folder
from kalshi_daemon.windows.sessions import SessionTable
from tests.digest.digest_rig import (
    M1,
    M2,
    MONDAY,
    at,
    fill,
    go_no_go,
    log_line,
    look,
    manifest,
    order,
    reading_line,
    verdict,
    write_manifest,
)
from tests.retention.day_rig import DayRig, killed_at

NOW = at(17)


def nobody_waits():
    """No bound."""


@pytest.fixture
def root(tmp_path):
    """A Monday: two orders, both filled, one market settled; scans, ticks, a log, the monitors."""
    with contextlib.closing(Journal.open(journal_path(tmp_path), Nanos(0))) as journal:
        journal.record_intents([order("A", made=at(10, 10)), order("B", M2, made=at(10, 20), profile="size", fair=0.5)])
        for name, market, minute in (("A", M1, 10), ("B", M2, 20)):
            resting = order(name, market, made=at(10, minute), status=Status.RESTING)
            journal.record_outcome(resting, at(10, minute, 0.2), "Acked", {})
            journal.record_outcome(
                replace(resting, status=Status.FILLED, updated_ns=at(10, minute + 2)),
                at(10, minute + 2),
                "FillSeen",
                {},
            )
            journal.add_fill(fill(name, market, at(10, minute + 2)), at(10, minute + 2))
        journal.add_result(M1, M1.rpartition("-")[0], Result("yes", at(11, 2)), at(11, 2))
    write_manifest(tmp_path, manifest(at(10, 9), look(M1, 0.45), verdicts=(verdict("daily_loss"),)), "100900")
    write_manifest(tmp_path, manifest(at(10, 17, 10), look(M1, 0.50), plan_id="r1-2"), "101710")
    columns = Columns()
    columns.add_tick(Tick(Index.SPX, Channel.VALUE, 6_821.0, at(10, 59, 59), at(10, 59, 59.5)))
    write_files(tmp_path / "data" / "raw", at(11), {Index.SPX: columns})
    log = log_path(tmp_path)
    log.parent.mkdir()
    log.write_bytes(
        log_line(Nanos(at(10) - DAY), "daemon.ready", run_id="yesterday")
        + log_line(at(9, 30), "daemon.ready")
        + log_line(at(10, 17, 10.3), "scan.done", plan_id="r1-2")
        + log_line(at(10, 57), "window.cutoff_verified", window="W", early_ms=8_800)
    )
    record = {"SPX": {"crps_ratio.near": reading_line(0.98), "asked_at": iso_utc(at(10, 17))}}
    write_unsynced(tmp_path / "reports" / "_artifacts" / "go_no_go.json", encode(go_no_go(record)))
    return tmp_path


def source(root):
    return Source(root, "sim", whole_account=True)


def made(root, day=None, *, now=NOW, with_service=True):
    return digest_of(source(root), day, now, nobody_waits, with_service=with_service)


def test_a_whole_day(root):
    found = document(made(root))
    assert found["date"] == "2026-11-23"
    assert (found["money"]["profit_dollars"], found["fills"]["count"], found["fills"]["contracts"]) == (
        "0.6000", 2, "2.00",
    )  # fmt: skip
    assert [part["name"] for part in found["money"]["by_profile"]] == ["size", "wide"]
    first, second = found["fills"]["lines"]
    assert (first["expected_edge"], first["markouts"]["300s"]) == (0.05, {"edge": 0.1, "source": "fair"})
    assert (second["fair"], second["expected_edge"], second["realised_edge"]) == (0.5, 0.1, None)
    assert (found["quoting"]["orders_placed"], found["quoting"]["orders_by_status"]) == (2, {"filled": 2})
    assert found["money"]["fixings"][0]["our_last_value"] == 6_821.0
    assert found["forecast"]["readings"]["SPX"]["crps_ratio.near"]["value"] == 0.98
    assert found["service"]["order_ack_ms"] == {"n": 2, "p50": 200.0, "p99": 200.0, "most": 200.0}
    assert found["service"]["scan_ms"]["p50"] == 300.0
    assert found["service"]["smallest_early_ms"] == {"early_ms": 8_800, "window": "W"}
    assert [run["run_id"] for run in found["service"]["runs"]] == ["r1"], "yesterday's line is not of the day"
    assert found["notes"] == []
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize("killed_after", [3, 7, 999])
def test_a_packed_day_and_one_that_is_half_packed_have_the_same_digest(root, killed_after):
    before = document(made(root))
    rig = DayRig(root)
    with killed_at(killed_after):
        rig.pack()
    assert document(made(root)) == before
    assert (rig.paths.scans / "2026-11-23" / "KXINXU.jsonl.gz").exists() is (killed_after == 999)
    assert len(made(root).scans.plans) == 2


def test_without_the_service_part_no_log_is_read(root):
    log_path(root).unlink()
    found = made(root, with_service=False)
    assert found.service is None
    assert found.records.notes == ()
    assert "Service" not in {section.title for section in sections(found)}


def test_what_is_cut_damaged_or_missing_is_said_and_left_out(root):
    log = log_path(root)
    log.write_bytes(log.read_bytes() + b"not json\n" + b'["a list"]\n' + log_line(at(11), "scan.done")[:-20])
    write_manifest(root, {"schema": 1, "looks": 3}, "103000")
    write_manifest(root, manifest(at(10, 31)), "103100").write_bytes(b'{"schema": 1, "pla')
    (root / "data" / "raw" / "kalshi" / "2026-11-23" / "103200" / "KXINXU").mkdir(parents=True)
    ticks = next((root / "data" / "raw" / "2026").rglob("*_SPX.parquet"))
    ticks.with_name("20261123T110001_SPX.parquet").write_bytes(ticks.read_bytes()[:60])
    ticks.with_name("20261123T110002_GOLD.parquet").write_bytes(b"")
    (archive_folder(journal_path(root))).mkdir()
    (archive_folder(journal_path(root)) / "journal-2026-10.sqlite3").write_bytes(b"nothing of ours")
    found = document(made(root))
    assert found["service"]["log_unreadable"] == 3
    assert found["money"]["profit_dollars"] == "0.6000"
    archive, values, manifests = found["notes"]
    assert "journal-2026-10.sqlite3" in archive
    assert "1 files of index values" in values
    assert manifests.startswith("2 manifests cannot be read")


def test_a_day_with_nothing_but_the_journal(root):
    for name in ("reports", "logs", "data/raw"):
        (root / name).rename(root / f"away-{name.replace('/', '-')}")
    found = document(made(root))
    assert found["money"]["profit_dollars"] == "0.6000"
    assert found["forecast"]["readings"] is None
    assert found["notes"] == ["no log: the service part has the journal's figures only"]
    assert found["fills"]["markouts"][0]["per_contract_dollars"] is None
    assert "not recorded" in markdown(made(root))


def test_a_log_that_was_rotated_in_the_day_says_where_it_begins(root):
    log = log_path(root)
    log.replace(rotated_path(log))
    rotated_path(log).write_bytes(log_line(at(12), "daemon.ready"))
    log.write_bytes(log_line(at(13), "stop.asked", reason="SIGTERM"))
    found = document(made(root))
    assert found["notes"] == [
        "the log begins at 2026-11-23T17:00:00.000000Z: the service part says nothing about before"
    ]
    assert found["service"]["runs"][0]["stop_reason"] == "SIGTERM"


def test_a_day_without_fills_says_so(root):
    for table in ("fills", "settlements"):
        with contextlib.closing(Journal.open(journal_path(root), Nanos(0))) as journal, journal.transaction():
            journal._do(f"DELETE FROM {table}")
    found = made(root)
    overview = {row[0]: row[1] for row in sections(found)[0].rows}
    assert (overview["fills"], overview["maker share"], overview["open positions at our fairs"]) == (
        "no fills", "-", "none",
    )  # fmt: skip


def test_fills_of_strangers_count_as_they_do_for_the_daemon(root):
    with contextlib.closing(Journal.open(journal_path(root), Nanos(0))) as journal:
        journal.add_fill(fill("stranger", M1, at(10, 40)), at(10, 40))
    assert made(root).fills.count == 3
    own = Source(root, "sim", whole_account=False)
    found = digest_of(own, None, NOW, nobody_waits, with_service=False)
    assert found.fills.count == 2


def test_no_such_day_and_no_journal_are_refusals(root, tmp_path_factory):
    with pytest.raises(NoSuchDay, match="nothing of 2026-11-20"):
        made(root, date(2026, 11, 20))
    with pytest.raises(NoSuchDay, match="no journal"):
        made(tmp_path_factory.mktemp("empty"))
    bare = tmp_path_factory.mktemp("bare")
    Journal.open(journal_path(bare), Nanos(0)).close()
    with pytest.raises(NoSuchDay, match="there is no day"):
        made(bare)


def test_an_unarmed_day_has_scans_only_and_is_a_day(tmp_path):
    Journal.open(journal_path(tmp_path), Nanos(0)).close()
    write_manifest(tmp_path, manifest(at(10, 9), look(M1, 0.45)), "100900")
    found = made(tmp_path)
    assert found.records.day == MONDAY
    assert (found.quoting.scans, found.fills.count) == (1, 0)


def test_a_damaged_journal_is_an_error_of_its_own(root):
    journal_path(root).write_bytes(b"x" * 5_000)
    for more in ("-wal", "-shm"):
        journal_path(root).with_name(f"journal.sqlite3{more}").unlink(missing_ok=True)
    with pytest.raises(StateCorrupt):
        made(root)


def test_yesterdays_monitors_are_not_todays(root):
    write_digest(source(root).paths, made(root))
    later = {"SPX": {"crps_ratio.near": reading_line(2.0), "asked_at": iso_utc(Nanos(at(10) + DAY))}}
    write_unsynced(source(root).paths.go_no_go, encode(go_no_go(later)))
    kept = document(made(root))["forecast"]["readings"]
    assert kept["SPX"]["crps_ratio.near"]["value"] == 0.98, "as the digest of the day had them"
    source(root).paths.digest("2026-11-23").unlink()
    assert document(made(root))["forecast"]["readings"] is None


def test_a_digest_of_the_first_schema_is_still_read(root):
    own = source(root)
    write_digest(own.paths, made(root))
    own.paths.go_no_go.unlink()
    path = own.paths.digest("2026-11-23")
    older = {name: part for name, part in json.loads(path.read_bytes()).items() if name != "schema"}
    for known in ({"schema": 1}, {}):
        path.write_bytes(json.dumps(older | known).encode())
        assert document(made(root))["forecast"]["readings"]["SPX"]["crps_ratio.near"]["value"] == 0.98
    path.write_bytes(json.dumps(older | {"schema": SCHEMA + 1}).encode())
    assert f"digest has schema {SCHEMA + 1}, this daemon knows {SCHEMA}" in document(made(root))["notes"][0]


def test_without_a_clock_of_its_own_the_last_recorded_instant_is_now(root):
    found = made(root, now=None)
    assert found.records.now_ns == at(11, 2)


def test_what_a_newer_daemon_wrote_is_one_note_each_with_what_to_do(root):
    before = document(made(root))
    lacking = manifest(at(10, 30), look(M1, 0.5))
    del lacking["inputs"]
    write_manifest(root, lacking, "103000")
    newer = write_manifest(root, {"schema": 2, "looks": "in another form"}, "103100")
    go = source(root).paths.go_no_go
    write_unsynced(go, encode({"schema": 7}))
    found = document(made(root))
    manifests, other = found["notes"]
    assert other == f"left out: {go}: go/no-go has schema 7, this daemon knows 1: use a newer daemon with the same file"
    assert manifests == (
        f"2 manifests cannot be read, 0 were too many; first: {newer}: manifest has schema 2, this daemon knows 1: "
        "use a newer daemon with the same file"
    )
    assert (found["money"], found["quoting"]) == (before["money"], before["quoting"])
    assert found["forecast"]["readings"] is None


def test_outside_text_cannot_break_the_page(root):
    (root / "reports" / "_artifacts" / "go_no_go.json").write_text(
        json.dumps(go_no_go({"S|X": {"a\nb": reading_line(1.0), "asked_at": iso_utc(at(10))}}))
    )
    page = markdown(made(root))
    assert "S\\|X" in page
    assert "a b" in page


def test_the_reader_asks_whether_to_go_on(root, monkeypatch):
    """Between manifests, files of values, orders and lines."""
    monkeypatch.setattr(reading, "LINES_A_BREATH", 1)
    asked = []
    digest_of(source(root), None, NOW, lambda: asked.append(1), with_service=True)
    assert len(asked) == 2 + 2 + 1 + 4


def test_a_log_that_cannot_be_opened_is_a_note(root):
    log = log_path(root)
    log.unlink()
    log.mkdir()
    found = document(made(root))
    assert found["notes"][0] == f"{log}: Is a directory"


def test_open_positions_with_a_fair_are_worth_something(root):
    write_manifest(root, manifest(at(10, 30), look(M2, 0.55), plan_id="r1-3"), "103000")
    overview = {row[0]: row[1] for row in sections(made(root))[0].rows}
    assert overview["open positions at our fairs"] == "0.1500 in 1 markets"


# --- the daemon's own -------------------------------------------------------------------------------------------------


def sessions_of(*closes):
    sessions = [
        Session(f"2026-11-{23 + at_}", Nanos(close - 6 * HOUR), close, half_day=False)
        for at_, close in enumerate(closes)
    ]
    return SessionTable(sessions, start_ns=Nanos(at(0) - DAY), end_ns=Nanos(at(0) + 9 * DAY))


def kept(root, clock, *closes):
    return DigestKeeper(source(root), clock, sessions_of(*(closes or (at(16),))))


async def test_the_daemon_writes_the_digest_at_its_stop(root):
    await kept(root, ManualClock(NOW)).at_stop()
    assert (root / "reports" / "2026-11-23-digest.md").read_text().startswith("# Digest of Monday 2026-11-23")
    found = json.loads((root / "reports" / "_artifacts" / "digest_2026-11-23.json").read_bytes())
    assert found["money"]["profit_dollars"] == "0.6000"


async def test_and_half_an_hour_after_each_session(root):
    clock = ManualClock(at(15))
    page = root / "reports" / "2026-11-23-digest.md"
    task = asyncio.ensure_future(kept(root, clock, at(16), Nanos(at(16) + DAY)).run())  # noqa: TID251 - a test's own task
    try:
        await asyncio.sleep(0)
        clock.advance(Nanos(80 * MINUTE))
        await asyncio.sleep(0.05)
        assert not page.exists()
        clock.advance(Nanos(11 * MINUTE))
        async with asyncio.timeout(20):
            while not page.exists():  # noqa: ASYNC110 - a file has no event
                await asyncio.sleep(0.01)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_day_before_this_process_is_left_alone(root):
    await kept(root, ManualClock(Nanos(NOW + DAY))).at_stop()
    assert not (root / "reports" / "2026-11-23-digest.md").exists()


@pytest.mark.parametrize("harm", ["no journal", "damaged", "no room"])
async def test_a_stop_never_fails_for_a_digest(root, harm):
    if harm == "no journal":
        journal_path(root).rename(root / "away")
    elif harm == "damaged":
        journal_path(root).write_bytes(b"x" * 5_000)
    else:
        (root / "reports" / "2026-11-23-digest.md").mkdir()
    await kept(root, ManualClock(NOW)).at_stop()


async def test_a_stop_waits_no_longer_than_its_bound_and_the_thread_gives_up(root, monkeypatch):
    """The reader is asked at the next file whether to go on, and then it must not."""
    asked = []

    def slow(_source, _day, _now, go_on, **_more):
        while True:
            asked.append(1)
            go_on()

    monkeypatch.setattr(keeping, "digest_of", slow)
    monkeypatch.setattr(keeping, "AT_STOP_WITHIN_S", 0.05)
    await kept(root, ManualClock(NOW)).at_stop()
    async with asyncio.timeout(10):
        await asyncio.get_running_loop().shutdown_default_executor()
    assert asked
    assert not (root / "reports" / "2026-11-23-digest.md").exists()


def test_seconds_are_what_they_say():
    assert keeping.AT_STOP_WITHIN_S < 10
    assert keeping.AFTER_CLOSE >= 20 * 60 * SECOND, "settlements take twenty minutes at times"
