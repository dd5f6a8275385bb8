"""`kalshi-daemon why TICKER` on what a session left behind."""

import contextlib
import json
import subprocess
import sys
from dataclasses import replace

import pytest

from kalshi_daemon.artifacts.files import encode, write_unsynced
from kalshi_daemon.artifacts.manifest import build_manifest
from kalshi_daemon.artifacts.paths import MANIFEST, ArtifactPaths
from kalshi_daemon.cli.main import main
from kalshi_daemon.domain.order import Status
from kalshi_daemon.domain.quote import Look
from kalshi_daemon.ground.units import MINUTE, Count, Nanos, Price
from kalshi_daemon.orders.journal import Journal, journal_path
from tests.guardrails.guard_rig import DAY, NOW, TICKER, chain_of, healthy, order_of, plan_of, quote_of


def leave_manifest(root, plan=None, orders=(), **state_changes):
    state = healthy()
    for name, value in state_changes.items():
        setattr(state, name, value)
    plan = plan or plan_of()
    manifest = build_manifest(plan, chain_of().judge_plan(state, plan, NOW), orders, run_id="r1", mode="sim")
    path = ArtifactPaths(root / "state" / "sim").scan_folder(NOW, 0, "KXINXU") / MANIFEST
    write_unsynced(path, encode(manifest))
    return path


def test_why_says_first_whether_and_why_then_guard_by_guard(elsewhere, capsys):
    path = leave_manifest(elsewhere, plan_of(quote_of(ev=Price(49))), kill_switch=True)
    assert main(["why", TICKER]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{TICKER}: not quoted: bid 1.00 at 0.4200")
    assert "was refused by kill_switch" in lines[0]
    by_guard = {line.split()[0]: line for line in lines[2:]}
    assert "NO" in by_guard["kill_switch"]
    assert by_guard["min_ev"].split()[1:5] == ["0.0049", "0.005", "dollars", "NO"]
    assert by_guard["armed"].split()[1:4] == ["yes", "yes", "yes"]
    assert lines[-1] == f"manifest {path.relative_to(elsewhere)}"
    assert "model 0.51, fair 0.5, others bid 0.4000, ask 0.4600" in lines


def test_why_as_json_holds_the_same(elsewhere, capsys):
    leave_manifest(elsewhere)
    assert main(["why", TICKER.lower(), "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert (data["quoted"], data["profile"], data["market"]) == (True, "wide", TICKER)
    assert [verdict["guard"] for verdict in data["verdicts"]][:2] == ["armed", "kill_switch"]
    assert data["quote"]["price"] == "0.4200"


@pytest.mark.parametrize(
    ("filled", "status", "reason", "said"),
    [
        (0, Status.CANCELED, "edge_lost", "; now canceled (edge_lost)"),
        (50, Status.CANCELED, "session_end", "; now canceled (session_end), 0.50 of 1.00 filled"),
        (100, Status.FILLED, "", "; now filled"),
        (0, Status.RESTING, "", "; now resting"),
    ],
)
def test_an_order_is_told_as_it_was_at_the_scan_and_as_it_is_now(elsewhere, capsys, filled, status, reason, said):
    order = order_of()
    leave_manifest(elsewhere, orders=(order,))
    assert main(["why", TICKER]) == 0
    head = capsys.readouterr().out.splitlines()[0]
    assert head.endswith(f"order {order.client_order_id} resting at the scan"), "no journal, nothing to add"
    later = replace(order, filled=Count(filled), status=status, reason=reason, updated_ns=Nanos(NOW + MINUTE))
    path = journal_path(elsewhere / "state" / "sim")
    with contextlib.closing(Journal.open(path, NOW)) as journal:
        journal.record_intents((replace(order, status=Status.INTENDED),))
        assert main(["why", TICKER, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["order_now"]["status"] == "intended"
        journal.record_outcome(later, later.updated_ns, "moved", {})
    assert main(["why", TICKER]) == 0
    assert capsys.readouterr().out.splitlines()[0] == f"{head}{said}"


def test_of_a_kept_order_too_it_says_what_became_of_it(elsewhere, capsys):
    other, ours = order_of("KXINXU-26NOV23H1200-T1"), order_of()
    kept = (other.client_order_id, ours.client_order_id)
    leave_manifest(elsewhere, plan_of(quotes=(), looks=(Look(TICKER, 0.5, 0.51, None, None, "kept"),), keep=kept))
    with contextlib.closing(Journal.open(journal_path(elsewhere / "state" / "sim"), NOW)) as journal:
        journal.record_intents(tuple(replace(one, status=Status.INTENDED) for one in (other, ours)))
        journal.record_outcome(replace(ours, status=Status.EXPIRED), NOW, "moved", {})
    assert main(["why", TICKER]) == 0
    assert capsys.readouterr().out.splitlines()[0].endswith("the resting order was kept; now expired")


def test_a_journal_without_the_order_or_unreadable_does_not_cost_the_decision(elsewhere, capsys):
    leave_manifest(elsewhere, orders=(order_of(),))
    path = journal_path(elsewhere / "state" / "sim")
    Journal.open(path, NOW).close()
    assert main(["why", TICKER]) == 0
    assert capsys.readouterr().out.splitlines()[0].endswith("resting at the scan; no longer in the journal")
    path.write_bytes(b"not a journal" * 100)
    assert main(["why", TICKER]) == 0
    assert "what became of it is not known" in capsys.readouterr().out.splitlines()[0]


def test_a_forced_guard_is_shown_as_forced(elsewhere, capsys):
    path = leave_manifest(elsewhere)
    manifest = json.loads(path.read_bytes())
    macro = next(verdict for verdict in manifest["verdicts"] if verdict["guard"] == "macro")
    macro.update(passed=False, forced=True, measured=None, limit=24.0, unit="h", note="macro feed cpi: no file")
    path.write_text(json.dumps(manifest))
    assert main(["why", TICKER]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("macro"))
    assert line.split()[:5] == ["macro", "-", "24", "h", "forced"]


def test_a_market_without_a_decision_is_one_line_and_exit_code_4(elsewhere, capsys):
    leave_manifest(elsewhere)
    assert main(["why", "KXINXU-26NOV23H1200-T1"]) == 4
    err = capsys.readouterr().err
    assert err.startswith("kalshi-daemon: state/sim/data/raw/kalshi: no scan looked at KXINXU-26NOV23H1200-T1")
    assert err.count("\n") == 1


def test_a_profile_can_be_asked_for(elsewhere, capsys):
    leave_manifest(elsewhere)
    assert main(["why", TICKER, "--profile", "wide"]) == 0
    assert f"scanned {DAY}T16:30:00.000000Z by profile wide" in capsys.readouterr().out
    assert main(["why", TICKER, "--profile", "size"]) == 4


def test_modes_are_kept_apart(elsewhere):
    leave_manifest(elsewhere)
    assert main(["why", TICKER, "--mode", "live"]) == 4


def test_a_missing_ticker_is_a_usage_error(capsys):
    assert main(["why"]) == 2
    assert "TICKER" in capsys.readouterr().err


def test_defect_17_the_real_command_says_what_is_wrong_and_leaves_with_its_code(elsewhere):
    code = "import sys; from kalshi_daemon.cli.main import main; sys.exit(main(sys.argv[1:]))"
    for arguments, expected in ((["why", "KXINXU-x"], 4), (["why", TICKER, "--target-hour", "12"], 2)):
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            cwd=elsewhere,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == expected
        assert done.stdout == ""
        assert done.stderr.startswith("kalshi-daemon: ")
        assert "Traceback" not in done.stderr
