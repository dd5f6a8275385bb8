"""The writer on a real disk: every scan a manifest, every action a line, nothing overwritten, nothing silently lost."""

import asyncio
import re
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from kalshi_daemon.artifacts import files
from kalshi_daemon.artifacts.markout_lines import read_markout
from kalshi_daemon.artifacts.paths import ArtifactPaths
from kalshi_daemon.artifacts.writer import BATCH_MAX, SIDE_FILES_EVERY
from kalshi_daemon.domain.index import Index
from kalshi_daemon.domain.markout import Markout
from kalshi_daemon.domain.quote import Side
from kalshi_daemon.ground.clock import ManualClock
from kalshi_daemon.ground.errors import StateCorrupt
from kalshi_daemon.ground.units import HOUR, SECOND, Nanos, Price, lots
from tests.artifacts.artifact_rig import RUN, fill, judged, manifests, read, settle, totals, writer_on
from tests.guardrails.guard_rig import (
    CLOSE,
    DAY,
    GOOD,
    NOW,
    TICKER,
    TICKERS,
    WINDOW,
    healthy,
    hold,
    order_of,
    plan_of,
    quote_of,
    window_of,
)
from tests.support.audit_trail import read_audit
from tests.support.instruments import KXINX

BOUND_S = 60.0


async def until(condition):
    async with asyncio.timeout(BOUND_S):
        while not condition():  # noqa: ASYNC110 - a thread and files, nothing signals them
            await asyncio.sleep(0.001)


@pytest.fixture
def paths(tmp_path):
    return ArtifactPaths(tmp_path)


@pytest.fixture
def broken_disk(tmp_path):
    """Makes a folder impossible to create below the root by putting a file in its place; returns the mender."""

    def break_at(relative: str):
        blocker = tmp_path / relative
        blocker.parent.mkdir(parents=True, exist_ok=True)
        blocker.write_text("in the way")
        return blocker.unlink

    return break_at


# --- manifests


async def test_a_scan_leaves_its_manifest_under_the_runbooks_name(tmp_path):
    writer = writer_on(tmp_path)
    plan, judgement = judged()
    writer.manifest(plan, judgement, (order_of(),))
    assert await writer.drain() == 0
    path = tmp_path / "data/raw/kalshi/2026-11-23/113000/KXINXU/manifest.json"
    manifest = read(path)
    assert (manifest["plan_id"], manifest["outcome"], manifest["mode"], manifest["run_id"]) == (
        "plan-1", "quoted", "sim", RUN,
    )  # fmt: skip
    assert manifest["orders"][0]["client_order_id"] == f"kd-r1-{TICKER}"
    assert writer.manifests_written == 1


async def test_scans_of_one_second_get_folders_of_their_own(tmp_path):
    for run_id in ("r1", "r2"):  # the second run stands for a session simulated again
        writer = writer_on(tmp_path, run_id=run_id)
        for _ in range(3):
            writer.manifest(*judged(), ())
        await writer.drain()
    assert [path.parts[-3] for path in manifests(tmp_path)] == ["113000"] + [f"113000_{n}" for n in range(1, 6)]
    assert [read(path)["run_id"] for path in manifests(tmp_path)] == ["r1"] * 3 + ["r2"] * 3


async def test_two_series_share_the_second_without_a_collision(tmp_path):
    writer = writer_on(tmp_path)
    other = window_of(KXINX)
    quote = quote_of(f"{other.event_ticker}-T6800", window=other, profile="close")
    writer.manifest(*judged(), ())
    writer.manifest(*judged(plan_of(quote, profile=CLOSE, window=other)), ())
    await writer.drain()
    assert {path.parts[-2:] for path in manifests(tmp_path)} == {
        ("KXINXU", "manifest.json"),
        ("KXINX", "manifest.json"),
    }
    assert {path.parts[-3] for path in manifests(tmp_path)} == {"113000"}


async def test_a_refused_scan_leaves_a_manifest_too(tmp_path):
    state = healthy()
    state.kill_switch = True
    writer = writer_on(tmp_path)
    writer.manifest(*judged(state=state), ())
    await writer.drain()
    manifest = read(manifests(tmp_path)[0])
    assert manifest["outcome"] == "window_closed"
    assert [v["guard"] for v in manifest["verdicts"] if not v["passed"]] == ["kill_switch"]


async def test_when_all_names_of_a_second_are_taken_it_is_said_and_not_overwritten(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("kalshi_daemon.artifacts.archive.COLLISIONS_MAX", 2)
    writer = writer_on(tmp_path)
    for n in range(3):
        plan, judgement = judged()
        writer.manifest(replace(plan, plan_id=f"plan-{n}"), judgement, ())
    await writer.drain()
    assert [read(path)["plan_id"] for path in manifests(tmp_path)] == ["plan-0", "plan-1"]
    assert writer.manifests_written == 2


async def test_beyond_its_bound_scans_are_dropped_counted_and_reported(tmp_path, paths):
    writer = writer_on(tmp_path, scans_max=2)
    for _ in range(5):
        writer.manifest(*judged(), ())
        writer.audit({"action": "place_intent", "market": TICKER})
    await writer.drain()
    assert (writer.manifests_written, writer.manifests_dropped) == (2, 3)
    assert "manifests dropped because the disk was slow: 3" in paths.report("KXINXU", DAY).read_text()
    assert len(read_audit(paths.audit(DAY)).entries) == 5


# --- the audit trail


async def test_audit_lines_are_appended_with_mode_run_and_time(tmp_path, paths):
    clock = ManualClock(NOW)
    writer = writer_on(tmp_path, clock)
    writer.audit({"action": "place_intent", "client_order_id": "a", "market": TICKER})
    await writer.drain()
    clock.advance(SECOND)
    writer.audit({"timestamp": "2026-11-23T16:30:09.000000Z", "action": "ack", "client_order_id": "a"})
    await writer.drain()
    trail = read_audit(paths.audit(DAY))
    assert trail.broken == 0
    assert trail.entries == (
        {
            "timestamp": "2026-11-23T16:30:00.000000Z", "mode": "sim", "run_id": RUN,
            "action": "place_intent", "client_order_id": "a", "market": TICKER,
        },
        {
            "timestamp": "2026-11-23T16:30:09.000000Z", "mode": "sim", "run_id": RUN,
            "action": "ack", "client_order_id": "a",
        },
    )  # fmt: skip


async def test_lines_go_to_the_new_york_day_they_happened_on(tmp_path, paths):
    midnight = Nanos(NOW + 12 * HOUR + HOUR // 2)  # 2026-11-24 00:00 in New York, 05:00 UTC
    clock = ManualClock(Nanos(midnight - 1))
    writer = writer_on(tmp_path, clock)
    writer.audit({"action": "cancel_intent"})
    clock.set(midnight)
    writer.audit({"action": "cancel_ack"})
    await writer.drain()
    assert [entry["action"] for entry in read_audit(paths.audit("2026-11-23")).entries] == ["cancel_intent"]
    assert [entry["action"] for entry in read_audit(paths.audit("2026-11-24")).entries] == ["cancel_ack"]


async def test_a_torn_last_line_costs_that_line_alone(tmp_path, paths):
    writer = writer_on(tmp_path)
    writer.audit({"action": "one"})
    await writer.drain()
    with paths.audit(DAY).open("ab") as file:
        file.write(b'{"action":"torn')  # killed in the middle of a write
    assert read_audit(paths.audit(DAY)).broken == 1
    again = writer_on(tmp_path, run_id="r2")
    again.audit({"action": "two"})
    await again.drain()
    trail = read_audit(paths.audit(DAY))
    assert ([entry["action"] for entry in trail.entries], trail.broken) == (["one", "two"], 1)


def test_a_day_without_a_trail_is_an_empty_one(paths):
    assert read_audit(paths.audit(DAY)).entries == ()


async def test_lines_the_disk_refuses_wait_in_order_and_are_written_later(tmp_path, paths, broken_disk):
    mend = broken_disk("data/proc/audit")
    writer = writer_on(tmp_path)
    for n in range(3):
        writer.audit({"action": f"a{n}"})
    writer.manifest(*judged(), ())
    assert await writer.drain() == 3
    assert writer.manifests_written == 1  # what can be written is
    mend()
    writer.audit({"action": "a3"})
    assert await writer.drain() == 0
    assert [entry["action"] for entry in read_audit(paths.audit(DAY)).entries] == ["a0", "a1", "a2", "a3"]


async def test_at_its_bound_the_audit_trail_stops_the_daemon_rather_than_lose_a_line(tmp_path, paths):
    writer = writer_on(tmp_path, audits_max=2)
    writer.audit({"action": "a0"})
    writer.audit({"action": "a1"})
    with pytest.raises(StateCorrupt, match="2 lines wait") as caught:
        writer.audit({"action": "a2"})
    assert caught.value.path == str(paths.audit(DAY))
    await writer.drain()
    writer.audit({"action": "a2"})


async def test_a_line_json_cannot_say_is_kept_as_text(tmp_path, paths):
    writer = writer_on(tmp_path)
    writer.audit({"action": "reject", "reason": "\ud800 half a character", "path": Path("/x")})
    await writer.drain()
    (entry,) = read_audit(paths.audit(DAY)).entries
    assert "half a character" in entry["unencodable"]


async def test_a_large_backlog_is_drained_whole_and_in_order(tmp_path, paths):
    writer = writer_on(tmp_path)
    for n in range(3 * BATCH_MAX + 7):
        writer.audit({"action": str(n)})
    writer.session(totals(fills=1))
    assert await writer.drain() == 0
    assert [int(entry["action"]) for entry in read_audit(paths.audit(DAY)).entries] == list(range(3 * BATCH_MAX + 7))
    assert paths.pilot_session.exists()


async def test_a_large_backlog_the_disk_refuses_ends_the_drain_nevertheless(tmp_path, broken_disk):
    broken_disk("data/proc/audit")
    writer = writer_on(tmp_path)
    for n in range(2 * BATCH_MAX):
        writer.audit({"action": str(n)})
    for _ in range(BATCH_MAX + 1):
        writer.manifest(*judged(), ())
    async with asyncio.timeout(BOUND_S):
        assert await writer.drain() == 2 * BATCH_MAX
    assert writer.manifests_written == BATCH_MAX + 1


# --- the task


async def test_the_task_writes_as_things_come_and_brings_reports_up_to_date_on_its_beat(tmp_path, paths):
    clock = ManualClock(NOW)
    writer = writer_on(tmp_path, clock)
    task = asyncio.ensure_future(writer.run())  # noqa: TID251 - the test is the task group
    try:
        writer.manifest(*judged(), ())
        writer.audit({"action": "place_intent", "market": TICKER})
        await until(lambda: writer.manifests_written == 1 and paths.audit(DAY).exists())
        assert not paths.report("KXINXU", DAY).exists()
        clock.advance(SIDE_FILES_EVERY)
        await until(paths.report("KXINXU", DAY).exists)
    finally:
        task.cancel()
        await asyncio.wait({task})
    assert task.cancelled()


async def test_a_backlog_is_worked_off_without_further_events(tmp_path):
    writer = writer_on(tmp_path)
    for _ in range(2 * BATCH_MAX + 1):
        writer.manifest(*judged(), ())
    task = asyncio.ensure_future(writer.run())  # noqa: TID251 - the test is the task group
    await until(lambda: writer.manifests_written == 2 * BATCH_MAX + 1)
    task.cancel()
    await asyncio.wait({task})


async def test_cancelled_in_the_middle_of_a_write_it_loses_and_doubles_nothing(tmp_path, paths):
    writer = writer_on(tmp_path)
    for n in range(50):
        writer.audit({"action": str(n)})
    task = asyncio.ensure_future(writer.run())  # noqa: TID251 - the test is the task group
    await asyncio.sleep(0)
    await asyncio.sleep(0)  # the thread has its batch now
    task.cancel()
    await asyncio.wait({task})
    await writer.drain()
    assert [int(entry["action"]) for entry in read_audit(paths.audit(DAY)).entries] == list(range(50))


async def test_the_loop_never_writes_a_file_itself(tmp_path):
    writer = writer_on(tmp_path)
    writer.manifest(*judged(), ())
    writer.audit({"action": "place_intent"})
    writer.session(totals())
    writer.report(healthy())
    writer.monitors(WINDOW, ())
    assert list(tmp_path.iterdir()) == []


# --- go/no-go and monitors


async def test_a_change_of_go_no_go_is_written_at_once_and_repetitions_are_not(tmp_path, paths):
    clock = ManualClock(NOW)
    writer = writer_on(tmp_path, clock)
    task = asyncio.ensure_future(writer.run())  # noqa: TID251 - the test is the task group
    bad = healthy()
    bad.kill_switch = True
    try:
        writer.manifest(*judged(state=bad), ())
        await until(paths.go_no_go.exists)
        first = read(paths.go_no_go)
        assert (first["go"], first["quoting"]) == (False, False)
        assert first["reasons"] == ["kill_switch: present against absent (`kalshi-daemon unkill` removes it)"]
        clock.advance(SECOND)
        writer.manifest(*judged(state=bad), ())
        await until(lambda: writer.manifests_written == 2)
        assert read(paths.go_no_go) == first
        writer.manifest(*judged(), ())
        await until(lambda: read(paths.go_no_go)["go"])
    finally:
        task.cancel()
        await asyncio.wait({task})


async def test_monitors_are_the_runbooks_schema(tmp_path, paths):
    state = healthy()
    state.skew.clear()
    writer = writer_on(tmp_path)
    writer.manifest(*judged(state=state), ())
    await writer.drain()
    skew, armed = read(paths.monitor("clock_skew")), read(paths.monitor("armed"))
    assert list(skew) == ["schema", "name", "status", "metrics", "message", "generated_at"]
    assert (skew["name"], skew["status"], armed["status"]) == ("clock_skew", "NO_DATA", "OK")
    assert "not measured yet" in skew["message"]
    assert skew["metrics"][WINDOW.event_ticker]["limit"] == 1_500
    assert armed["message"] == ""


async def test_verdicts_outside_a_scan_reach_the_monitors(tmp_path, paths):
    state = healthy()
    state.armed = False
    writer = writer_on(tmp_path)
    plan, judgement = judged(state=state)
    writer.monitors(plan.window, judgement.plan_verdicts)
    await writer.drain()
    assert read(paths.monitor("armed"))["status"] == "ALERT"
    assert manifests(tmp_path) == []


async def test_a_monitor_the_disk_refuses_is_written_when_it_can_be(tmp_path, paths, broken_disk):
    mend = broken_disk("reports")
    writer = writer_on(tmp_path)
    writer.manifest(*judged(), ())
    writer.session(totals(fills=2))
    await writer.drain()
    assert not paths.go_no_go.exists()
    mend()
    await writer.drain()
    assert read(paths.go_no_go)["go"]
    assert read(paths.pilot_session)["fills"] == 2
    assert paths.report("KXINXU", DAY).exists()


async def test_what_is_written_at_the_stop_shows_the_closed_latch(tmp_path, paths):
    state = healthy()
    writer = writer_on(tmp_path)
    writer.manifest(*judged(state=state), ())
    writer.report(state)
    await writer.drain()
    assert (read(paths.go_no_go)["go"], read(paths.monitor("latch"))["status"]) == (True, "OK"), "not stopped yet"
    state.latch.closed, state.latch.reason = True, "SIGTERM"
    writer.report(state)
    await writer.drain()
    found = read(paths.go_no_go)
    assert (found["go"], found["quoting"], found["reasons"]) == (False, False, ["stopped: SIGTERM"])
    assert (read(paths.monitor("latch"))["status"], read(paths.monitor("armed"))["status"]) == ("ALERT", "OK")


async def test_a_run_that_judged_nothing_leaves_the_record_of_the_one_before(tmp_path, paths):
    before = writer_on(tmp_path)
    before.manifest(*judged(), ())
    before.record(Index.SPX, (GOOD,))
    await before.drain()
    record = read(paths.go_no_go)["record"]
    state = healthy()
    state.latch.closed, state.latch.reason = True, "SIGTERM"
    after = writer_on(tmp_path)
    after.report(state)
    await after.drain()
    found = read(paths.go_no_go)
    assert (found["go"], found["reasons"], found["record"]) == (False, ["stopped: SIGTERM"], record)
    assert record["SPX"]


# --- session summaries


async def test_defect_18_the_pilot_session_is_the_last_one_and_every_session_is_kept(tmp_path, paths):
    for run_id, fills in (("r1", 3), ("r2", 5)):
        writer = writer_on(tmp_path, run_id=run_id)
        writer.session(totals(fills=0))
        writer.session(totals(fills=fills))
        await writer.drain()
    assert read(paths.pilot_session)["run_id"] == "r2"
    assert [read(paths.session(DAY, run))["fills"] for run in ("r1", "r2")] == [3, 5]
    first = read(paths.session(DAY, "r1"))
    assert (first["session_id"], first["mode"]) == (f"sim-{DAY}-r1", "sim")


# --- reports


async def test_defect_18_the_daily_report_adds_up_over_scans_and_restarts(tmp_path, paths):
    clock = ManualClock(NOW)
    for run_id in ("r1", "r2"):
        writer = writer_on(tmp_path, clock, run_id=run_id)
        for _ in range(2):
            writer.manifest(*judged(), ())
            writer.audit(fill(TICKER))
            await writer.drain()
            clock.advance(Nanos(180 * SECOND))
    report = paths.report("KXINXU", DAY).read_text()
    assert "- scans: 4 in 1 window(s)" in report
    assert "- quotes accepted: 4" in report
    assert "- fills: 4, 4.00 contracts" in report
    assert "| r1 |" in report
    assert "| r2 |" in report


async def test_defect_18_no_name_carries_a_date_of_its_own(tmp_path, paths):
    for days in range(3):
        clock = ManualClock(Nanos(NOW + days * 24 * HOUR))
        writer = writer_on(tmp_path, clock)
        plan, judgement = judged()
        writer.manifest(replace(plan, made_ns=clock.now_ns()), judgement, ())
        await writer.drain()
    reports = sorted((tmp_path / "reports" / "KXINXU").iterdir())
    assert [path.name for path in reports] == ["2026-11-23.md", "2026-11-24.md", "2026-11-25.md"]
    assert len(manifests(tmp_path)) == 3


async def test_defect_17_a_failing_guard_is_visible_in_every_artifact(tmp_path, paths):
    state = healthy()
    state.ledger.positions = None  # type: ignore[assignment]  # every budget raises
    writer = writer_on(tmp_path)
    writer.manifest(*judged(state=state), ())
    await writer.drain()
    said = "guard failed: AttributeError"
    verdicts = {verdict["guard"]: verdict for verdict in read(manifests(tmp_path)[0])["verdicts"]}
    assert said in verdicts["daily_loss"]["note"]
    assert read(paths.monitor("daily_loss"))["status"] == "NO_DATA"
    assert said in read(paths.monitor("daily_loss"))["message"]
    assert any(said in reason for reason in read(paths.go_no_go)["reasons"])
    assert said in paths.report("KXINXU", DAY).read_text()


async def test_defect_17_a_disk_that_refuses_is_logged_once_and_the_task_lives(tmp_path, broken_disk, capsys):
    broken_disk("data/raw/kalshi")
    writer = writer_on(tmp_path)
    for _ in range(2):
        writer.manifest(*judged(), ())
        await writer.drain()
    output = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    assert output.count("artifacts.not_written") == 1
    assert "data/raw/kalshi" in output
    assert writer.manifests_written == 0


async def test_positions_and_settlements_are_in_the_report(tmp_path, paths):
    state = healthy()
    hold(state, TICKER, 1, -4_200)
    writer = writer_on(tmp_path)
    writer.audit(fill(TICKER))
    writer.audit(settle(TICKER, None))
    writer.audit(settle(TICKER))
    writer.report(state)
    state.ledger.positions[TICKER].cash += 999_999  # type: ignore[assignment]  # the ledger goes on meanwhile
    await writer.drain()
    report = paths.report("KXINXU", DAY).read_text()
    assert f"| {TICKER} | 1.00 | -0.4200 | 0.0000 |  |" in report
    assert "- settled markets: 1, profit after fees 0.5800 dollars" in report


async def test_facts_of_a_newer_daemon_are_kept_aside_whole(tmp_path, paths):
    facts = paths.report_facts("KXINXU", DAY)
    facts.parent.mkdir(parents=True)
    facts.write_bytes(b'{"schema": 2, "series": "KXINXU"}')
    writer = writer_on(tmp_path)
    writer.manifest(*judged(), ())
    await writer.drain()
    assert facts.with_suffix(".newer.json").read_bytes() == b'{"schema": 2, "series": "KXINXU"}'
    assert "earlier facts of the day could not be read back" in paths.report("KXINXU", DAY).read_text()


async def test_facts_that_cannot_be_read_back_are_kept_aside_and_said(tmp_path, paths):
    facts = paths.report_facts("KXINXU", DAY)
    facts.parent.mkdir(parents=True)
    facts.write_bytes(b'{"series": "KXINXU", "day":')
    writer = writer_on(tmp_path)
    writer.manifest(*judged(), ())
    await writer.drain()
    assert facts.with_suffix(".broken.json").read_bytes().startswith(b'{"series"')
    report = paths.report("KXINXU", DAY).read_text()
    assert "- scans: 1 in" in report
    assert "could not be read back" in report


async def test_days_long_gone_leave_memory_after_their_report_was_written(tmp_path, paths, monkeypatch):
    monkeypatch.setattr("kalshi_daemon.artifacts.archive.DAYS_KEPT", 2)
    writer = writer_on(tmp_path)
    for series in ("KXA", "KXB", "KXC", "KXD"):
        writer.audit({"action": "ack", "series": series})
    writer.audit({"action": "ack", "series": "KXA"})
    await writer.drain()
    text = {series: paths.report(series, DAY).read_text() for series in ("KXA", "KXB", "KXC", "KXD")}
    assert "| ack | 2 |" in text["KXA"]
    assert "| ack | 1 |" in text["KXB"]


async def test_files_are_whole_or_absent_and_drafts_do_not_stay(tmp_path, monkeypatch):
    target = tmp_path / "x" / "file.json"
    files.write_unsynced(target, b"old")

    def full(*_args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space"):
        files.write_unsynced(target, b"new")
    assert target.read_bytes() == b"old"
    monkeypatch.undo()
    files.write_unsynced(target, b"new")
    assert [path.name for path in target.parent.iterdir()] == ["file.json"]
    assert stat.S_ISREG(target.stat().st_mode)


async def test_several_markets_of_a_plan_share_one_manifest(tmp_path):
    writer = writer_on(tmp_path)
    plan, judgement = judged(plan_of(*(quote_of(ticker) for ticker in TICKERS)))
    writer.manifest(plan, judgement, ())
    await writer.drain()
    manifest = read(manifests(tmp_path)[0])
    assert [quote["accepted"] for quote in manifest["quotes"]] == [True] * 4 + [False] * 6


async def test_the_forecasts_record_reaches_its_monitors_and_the_go_no_go_file(tmp_path, paths):
    writer = writer_on(tmp_path)
    writer.record(Index.SPX, (GOOD,))
    writer.record(Index.SPX, (GOOD,))
    assert len(writer._jobs) == 1, "the same answer again is no news"
    await writer.drain()
    assert read(paths.monitor("record_crps_ratio"))["metrics"]["SPX.hour"]["value"] == GOOD.value
    assert read(paths.go_no_go)["record"]["SPX"]["crps_ratio.hour"]["status"] == "OK"


# --- markouts


async def test_what_is_known_of_a_fill_is_written_each_time_on_the_day_of_the_fill(tmp_path, paths, broken_disk):
    mend = broken_disk("data/proc/markouts")
    writer = writer_on(tmp_path)
    later: tuple[Price | None, ...] = (Price(4_200), None, None)
    early = Markout("kd-1", "M", Side.BID, Price(4_000), lots(1), lots(1), NOW, Price(4_100), Price(4_100))
    known = replace(early, mids=later, microprices=later)
    writer.markout(early)
    await writer.drain()
    mend()
    writer.markout(known)
    await writer.drain()
    path = paths.markouts(DAY)
    assert [read_markout(line, path) for line in path.read_bytes().splitlines()] == [early, known]
