"""Minutes of a session from end to end: quotes, fills, a cutoff, a settlement, and both sides' books."""

import json
import os
from collections import defaultdict
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from kalshi_daemon.ground.units import Nanos
from kalshi_daemon.orders.journal import Journal
from tests.e2e.quick import SLICE
from tests.support.data import data_dir
from tests.support.processes import Daemon, Processes, Simulator

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

FIELDS = {
    "windows_scanned",
    "scans",
    "orders_placed",
    "orders_cancelled",
    "fills",
    "contracts",
    "fees_dollars",
    "pnl_dollars",
    "exchange_pnl_dollars",
    "books_equal",
    "resting_at_end",
    "resting_after_cutoff_max",
    "verified",
}
SLICE_S = 400.0
"""Half a minute of a processor, on a machine that has ten other things to do: what takes longer hangs."""


def summary_of(daemon: Daemon) -> dict[str, Any]:
    """The end of a session in order: exit 0, nothing on standard error, and the last line as it must be."""
    assert daemon.wait(SLICE_S) == 0, daemon.tail()
    assert daemon.err == []
    summary = daemon.summary
    assert summary.keys() >= FIELDS
    assert summary["verified"] is True
    assert summary["books_equal"] is True, summary["books_detail"]
    assert summary["resting_at_end"] == 0
    assert summary["resting_after_cutoff_max"] == 0
    assert summary["pnl_dollars"] == summary["exchange_pnl_dollars"]
    assert summary["windows_scanned"] > 0
    assert summary["orders_placed"] > 0
    return summary


def agree(sim: Simulator, summary: dict[str, Any]) -> dict[str, Any]:
    """The exchange's own record says the same as the summary."""
    truth = sim.truth()
    assert truth["resting"] == []
    cutoffs = [row for row in truth["cutoffs"] if row["cutoff_ns"] <= truth["now_ns"]]
    assert cutoffs, "a cutoff lies in the slice"
    assert {row["most_after"] for row in cutoffs} == {0}
    assert truth["orders_total"] == summary["orders_placed"]
    assert len(truth["fills"]) == summary["fills"]
    assert truth["contracts"] == summary["contracts"]
    assert float(truth["fees_dollars"]) == float(summary["fees_dollars"])
    assert float(truth["pnl_dollars"]) == float(summary["pnl_dollars"])
    return truth


def beside(processes: Processes, *span: str, env: dict[str, str] = SLICE, state: str = "") -> tuple[Simulator, Daemon]:
    """An exchange and a daemon as two programs; time stands still until the daemon follows."""
    sim = processes.simulator(*span, "--speed", "200", "--hold", "60").wait_ready()
    return sim, processes.daemon("--connect", sim.admin_url, env=env, state=state)


def test_an_hour_ends_on_the_built_in_exchange(processes):
    span = ("--from", "14:51", "--until", "15:03", "--speed", "200", "--seed", "3")
    daemon = processes.daemon(*span, env=SLICE, state="again")
    summary = summary_of(daemon)
    assert summary["stop_reason"] == "session_end"
    assert summary["fills"] > 0
    assert [line["event"] for line in daemon.lines()].count("session.summary") == 1
    assert daemon.events("simulator.earlier_run_moved_aside") == []
    # The same day once more in the same place: the exchange is a new one that reuses every id of the first.
    again = processes.daemon(*span, env=SLICE, state="again")
    assert summary_of(again)["fills"] > 0
    aside = Path(again.event("simulator.earlier_run_moved_aside")["path"])
    with closing(Journal.read(aside / "journal.sqlite3")) as journal:
        assert len(journal.fills_since(Nanos(0))) == summary["fills"], "it is the first run's"


def net_contracts(fills: list[dict[str, Any]]) -> dict[str, Decimal]:
    """Ticker -> contracts held after these fills, YES positive; what was bought and sold again is not in it."""
    held: defaultdict[str, Decimal] = defaultdict(Decimal)
    for fill in fills:
        held[fill["ticker"]] += Decimal(fill["count_fp"]) * (1 if fill["book_side"] == "bid" else -1)
    return {ticker: count for ticker, count in held.items() if count}


def digest_agrees(processes: Processes, daemon: Daemon, summary: dict[str, Any], truth: dict[str, Any]) -> None:
    """The digest of the day says the same as the summary and as the exchange, asked for and as the daemon wrote it."""
    asked = processes.command("digest", "--json", "--state-dir", "same")
    assert asked.returncode == 0, asked.stderr
    found = json.loads(asked.stdout)
    assert found["date"] == "2026-11-23"
    assert found["fills"]["count"] == summary["fills"] == len(truth["fills"]) > 0
    assert found["fills"]["contracts"] == summary["contracts"] == truth["contracts"]
    assert found["fills"]["fees_dollars"] == summary["fees_dollars"]
    assert float(found["fills"]["fees_dollars"]) == float(truth["fees_dollars"])
    assert found["money"]["profit_dollars"] == summary["pnl_dollars"]
    assert float(found["money"]["profit_dollars"]) == float(truth["pnl_dollars"])
    assert found["quoting"]["orders_placed"] == summary["orders_placed"] == truth["orders_total"]
    assert found["quoting"]["orders_cancelled"] == summary["orders_cancelled"]
    assert (found["quoting"]["windows_scanned"], found["quoting"]["scans"]) == (
        summary["windows_scanned"], summary["scans"],
    )  # fmt: skip
    for parts in ("by_series", "by_window", "by_profile"):
        total = sum(Decimal(part["profit_dollars"]) for part in found["money"][parts])
        assert total == Decimal(summary["pnl_dollars"]), parts
    held = {line["market"]: Decimal(line["count"]) for line in found["money"]["open"]}
    assert held == {ticker: count for ticker, count in net_contracts(truth["fills"]).items() if "H1500" not in ticker}
    assert found["fills"]["maker_share"] == 1.0
    assert found["fills"]["expected_edge"]["missing"] == 0
    assert all(fixing["disagree"] == [] for fixing in found["money"]["fixings"])
    assert found["service"]["cutoffs_verified"] == len(daemon.events("window.cutoff_verified"))
    assert found["service"]["runs"][0]["stop_reason"] == summary["stop_reason"]
    assert found["notes"] == []
    written = daemon.event("digest.written")
    own = json.loads((processes.folder / "same/sim/reports/_artifacts/digest_2026-11-23.json").read_bytes())
    assert own["money"] == found["money"], "what the daemon wrote at its stop says the same"
    # Its markouts end at the moment of the stop, those of the command at the last instant that was recorded.
    for name in ("count", "contracts", "fees_dollars", "maker_share", "expected_edge", "realised_edge"):
        assert own["fills"][name] == found["fills"][name], name
    assert (processes.folder / written["page"]).read_text().startswith("# Digest of Monday 2026-11-23")


def test_an_hour_ends_on_an_exchange_in_a_process_of_its_own(processes):
    # Two programs share no order of events: which orders fill differs from run to run (10 to 17 fills in this half
    # hour), so what must be paid is worked out from the fills.
    sim, daemon = beside(processes, "--from", "14:31", "--until", "15:03", state="same")
    summary = summary_of(daemon)
    truth = agree(sim, summary)
    assert truth["fills"], "half an hour of quoting trades"
    paid = {row["ticker"]: Decimal(row["yes_count_fp"]) - Decimal(row["no_count_fp"]) for row in truth["settlements"]}
    held = net_contracts(truth["fills"])
    assert paid == {ticker: count for ticker, count in held.items() if "H1500" in ticker}
    verified = {line["window"] for line in daemon.events("window.cutoff_verified")}
    assert verified == {"KXINXU-26NOV23H1500", "KXNASDAQ100U-26NOV23H1500"}
    digest_agrees(processes, daemon, summary, truth)


def test_a_daemon_started_after_the_sessions_end_still_knows_its_books(processes):
    # 13:55: quoting the 14:00 ladders is over, what was bought there is held; after the second end it has been paid.
    sim, daemon = beside(processes, "--from", "13:40", "--until", "14:02", state="same")
    held = summary_of(daemon)
    assert held["fills"] > 0
    late = processes.daemon("--connect", sim.admin_url, env=SLICE, state="same")
    assert late.wait() == 0, late.tail()
    assert late.event("journal.loaded")["open_positions"] >= 0
    summary = late.summary
    assert summary["verified"] is True
    assert summary["books_equal"] is True, summary["books_detail"]
    assert summary["orders_placed"] == summary["fills"] == 0, "it did nothing itself"
    assert summary["stop_reason"] in {"session_end", "simulated time ended"}


def test_a_half_day_ends_at_13(processes):
    sim, daemon = beside(processes, "--session-date", "2026-11-27", "--from", "12:51", "--until", "13:03")
    summary = summary_of(daemon)
    agree(sim, summary)
    planned = daemon.event("calendar.session_planned")
    assert planned["half_day"] is True
    windows = {line["window"] for line in daemon.events("window.phase_changed")}
    assert {window[-5:] for window in windows if "26NOV27" in window} == {"H1000", "H1100", "H1200", "H1300"}


@pytest.mark.parametrize(("day", "name"), [("2026-11-26", "Thanksgiving"), ("2026-11-28", "a Saturday")])
def test_a_day_without_a_session_is_one_line_and_78(processes, day, name):
    daemon = processes.daemon("--session-date", day)
    assert daemon.wait() == 78, name
    assert daemon.out == []
    assert len(daemon.err) == 1
    assert daemon.err[0].startswith("kalshi-daemon: simulator: --session-date: " + day)


@pytest.mark.data
@pytest.mark.parametrize(
    ("day", "files"),
    [
        ("2025-10-31", ("polygon_index_minutes/*SPX*2025-10-31*", "polygon_index_minutes/*NDX*2025-10-31*")),
        ("2025-03-04", ("es_1m/*2025-06.parquet", "nq_1m/*2025H1.parquet")),
    ],
)
def test_real_bars_are_played_and_both_books_agree(processes, day, files):
    data = data_dir()
    if data is None:
        pytest.skip("no market data (KALSHI_DAEMON_DATA or ../shared/data)")
    paths = [str(path) for pattern in files for path in sorted(data.glob(pattern))]
    assert len(paths) == 2, paths
    replay = ("--index-replay", *paths, "--session-date", day)
    sim, daemon = beside(processes, *replay, "--from", "10:51", "--until", "11:03")
    assert sim.ready["session_date"] == day
    agree(sim, summary_of(daemon))


@pytest.mark.skipif("KALSHI_DAEMON_FULL" not in os.environ, reason="takes minutes: KALSHI_DAEMON_FULL=1")
@pytest.mark.timeout(900)
def test_a_whole_session_with_the_shipped_settings(processes):
    sim, daemon = beside(processes, "--from", "09:25", "--until", "16:05", env={})
    assert daemon.wait(500) == 0
    summary = summary_of(daemon)
    truth = agree(sim, summary)
    assert summary["windows_scanned"] == 16
    assert len(truth["cutoffs"]) == 16
    assert summary["fills"] > 0
    assert truth["settlements"]
