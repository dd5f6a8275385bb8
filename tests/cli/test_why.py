"""`kalshi-daemon why TICKER` on what a session left behind."""

import json
import subprocess
import sys

from kalshi_daemon.artifacts.files import encode, write_whole
from kalshi_daemon.artifacts.manifest import build_manifest
from kalshi_daemon.artifacts.paths import MANIFEST, ArtifactPaths
from kalshi_daemon.cli.main import main
from kalshi_daemon.units import Price
from tests.guardrails.guard_rig import DAY, NOW, TICKER, chain_of, healthy, plan_of, quote_of


def leave_manifest(root, plan=None, **state_changes):
    state = healthy()
    for name, value in state_changes.items():
        setattr(state, name, value)
    plan = plan or plan_of()
    manifest = build_manifest(plan, chain_of().judge_plan(state, plan, NOW), (), run_id="r1", mode="sim")
    path = ArtifactPaths(root / "state" / "sim").scan_folder(NOW, 0, "KXINXU") / MANIFEST
    write_whole(path, encode(manifest))
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
