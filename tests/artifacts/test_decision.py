"""Which decision `why` finds, and the sentence it says about it."""

import os
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from kalshi_daemon.artifacts import decision as decision_module
from kalshi_daemon.artifacts.decision import Decision, comparison, decide, last_decision
from kalshi_daemon.artifacts.files import encode
from kalshi_daemon.artifacts.manifest import Manifest, build_manifest
from kalshi_daemon.artifacts.paths import ArtifactPaths
from kalshi_daemon.domain.quote import Look
from kalshi_daemon.domain.verdict import Verdict
from kalshi_daemon.ground.documents import parse_document
from kalshi_daemon.ground.errors import StateCorrupt
from kalshi_daemon.ground.units import HOUR, Nanos, Price
from kalshi_daemon.retention.packing import Work, pack
from kalshi_daemon.state import DaemonState
from kalshi_daemon.windows.releases import Release
from tests.artifacts.artifact_rig import RUN, judged
from tests.guardrails.guard_rig import (
    DAY,
    NOW,
    SIZE,
    TICKER,
    TICKERS,
    chain_of,
    healthy,
    order_of,
    plan_of,
    quote_of,
)


def manifest_of(plan=None, state: DaemonState | None = None, orders=()) -> Manifest:
    """As it is read again: what JSON cannot say is not there any more."""
    plan, judgement = judged(plan, state)
    made = build_manifest(plan, judgement, orders, run_id=RUN, mode="sim")
    return parse_document(Manifest, encode(made), Path("m.json"))


def explain(manifest: Manifest, ticker: str = TICKER) -> Decision:
    found = decide(manifest, ticker, Path("m.json"))
    assert found is not None
    return found


def looked_at(outcome: str, detail: str = "") -> Manifest:
    look = Look(TICKER, 0.5, 0.51, Price(4_000), None, outcome, detail)
    return manifest_of(plan_of(quotes=(), looks=(look,)))


def test_a_quote_that_was_sent():
    found = explain(manifest_of(orders=(order_of(),)))
    assert found.quoted
    said = f"quoted: bid 1.00 at 0.4200 (fair 0.5000, ev 0.0800), order kd-r1-{TICKER} resting at the scan"
    assert found.headline == said
    assert found.client_order_ids == (f"kd-r1-{TICKER}",)
    assert len(found.verdicts) == 21 + 13


def test_a_quote_accepted_but_not_sent_says_so():
    assert explain(manifest_of()).headline.endswith("accepted by every guard, but no order was sent")


def test_a_closed_window_is_named_before_the_quotes_own_refusals():
    state = healthy()
    state.kill_switch = True
    state.armed = False
    found = explain(manifest_of(plan_of(quote_of(ev=Price(0))), state))
    assert not found.quoted
    assert "was refused by armed (no, limit yes: start with --arm to trade) and 2 more" in found.headline


def test_a_refused_quote_names_the_guard_and_its_numbers():
    found = explain(manifest_of(plan_of(quote_of(ev=Price(49)))))
    assert found.headline.endswith("was refused by min_ev (0.0049 dollars, limit 0.005 dollars: not worth the risk)")


def test_a_quote_without_a_fair_value():
    found = explain(manifest_of(plan_of(quote_of(fair=float("nan")))))
    assert "(fair unknown, ev 0.0800) was refused by min_ev (nothing measured, limit 0.005 dollars" in found.headline


@pytest.mark.parametrize(
    ("manifest", "headline"),
    [
        (looked_at("one_sided"), "not quoted: one_sided"),
        (looked_at("no_edge", "required 0.0312"), "not quoted: no_edge (required 0.0312)"),
        (looked_at("kept", "required 0.03"), "not quoted anew: the resting order was kept (required 0.03)"),
    ],
)
def test_a_market_that_was_looked_at_and_not_proposed(manifest, headline):
    assert explain(manifest).headline == headline


def test_a_market_not_proposed_in_a_closed_window_tells_both():
    state = healthy()
    state.latch.closed = True
    look = Look(TICKER, 0.5, 0.51, None, None, "stale_book")
    found = explain(manifest_of(plan_of(quotes=(), looks=(look,)), state))
    assert found.headline == "not quoted: stale_book; the window was closed as well, by latch (closed, limit open)"


def test_a_forced_guard_is_not_what_refused():
    state = healthy()
    state.force_gate_pass = True
    chain = chain_of(release_near=lambda now, _before, _after: Release(now, "CPI", DAY))
    plan = plan_of(quote_of(ev=Price(0)))
    manifest = build_manifest(plan, chain.judge_plan(state, plan, NOW), (), run_id=RUN, mode="sim")
    assert "macro" not in explain(manifest).headline


def test_a_market_nobody_looked_at_has_no_decision():
    assert decide(manifest_of(), TICKERS[5], Path("m.json")) is None


def test_a_quote_without_a_look_is_still_a_decision():
    assert explain(manifest_of(plan_of(looks=()))).look is None


@pytest.mark.parametrize(("limit", "text"), [(None, "3 ms"), (5, "3 ms, limit 5 ms")])
def test_a_comparison_as_a_phrase(limit, text):
    assert comparison(Verdict("g", passed=True, measured=3, limit=limit, unit="ms")) == text


# --- finding it


def put(root: Path, manifest: Manifest | None, name: str, day: str = DAY, age_s: int = 0) -> Path:
    path = root / "data/raw/kalshi" / day / name / "KXINXU" / "manifest.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(encode(manifest))
    stamp = 1_800_000_000 - age_s
    os.utime(path, (stamp, stamp))
    return path


def test_the_newest_manifest_that_holds_the_market(tmp_path):
    old = manifest_of()
    new = manifest_of(plan_of(quote_of(TICKERS[1])))
    put(tmp_path, old, "113000", age_s=10)
    put(tmp_path, new, "113300")
    paths = ArtifactPaths(tmp_path)
    found = last_decision(paths, TICKER)
    assert found is not None
    assert found.manifest.parts[-3] == "113000"
    assert last_decision(paths, TICKERS[9]) is None


def test_a_session_simulated_again_shows_its_own_decision_although_its_clock_is_earlier(tmp_path):
    put(tmp_path, manifest_of(), "115900", age_s=100)
    put(tmp_path, manifest_of(plan_of(quote_of(ev=Price(0)))), "113000_1", age_s=1)
    found = last_decision(ArtifactPaths(tmp_path), TICKER)
    assert found is not None
    assert not found.quoted


def test_of_two_written_at_one_instant_the_later_name_is_newer(tmp_path):
    put(tmp_path, manifest_of(plan_of(quote_of(ev=Price(0)))), "113000_9")
    put(tmp_path, manifest_of(), "113000_10")
    found = last_decision(ArtifactPaths(tmp_path), TICKER)
    assert found is not None
    assert found.quoted


def test_the_later_day_first_and_one_profile_alone_when_asked(tmp_path):
    put(tmp_path, manifest_of(), "113000", "2026-11-20")
    newer = plan_of(quote_of(profile="size"), profile=SIZE)
    put(tmp_path, manifest_of(replace(newer, made_ns=Nanos(NOW + HOUR))), "093000", age_s=5_000)
    paths = ArtifactPaths(tmp_path)
    found = last_decision(paths, TICKER)
    assert found is not None
    assert (found.profile, found.at) == ("size", "2026-11-23T17:30:00.000000Z")
    found = last_decision(paths, TICKER, "wide")
    assert found is not None
    assert (found.profile, found.manifest.parts[-4]) == ("wide", "2026-11-20")


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"{}", b'{"looks": 3, "quotes": []}', b'{"looks": [1], "quotes": []}']
)
def test_what_a_crash_or_a_stranger_left_is_passed_over(tmp_path, content):
    put(tmp_path, manifest_of(), "113000", age_s=10)
    broken = put(tmp_path, None, "113300")
    broken.write_bytes(content)
    (tmp_path / "data/raw/kalshi/2026-11-23/113600/KXINXU").mkdir(parents=True)
    (tmp_path / "data/raw/kalshi/2026-11-23/notes").mkdir()
    (tmp_path / "data/raw/kalshi/1999").mkdir()
    found = last_decision(ArtifactPaths(tmp_path), TICKER)
    assert found is not None
    assert found.manifest.parts[-3] == "113000"


def test_nothing_written_yet_is_no_decision(tmp_path):
    assert last_decision(ArtifactPaths(tmp_path), TICKER) is None


def test_the_search_is_bounded(tmp_path, monkeypatch):
    put(tmp_path, manifest_of(), "113000", age_s=10)
    put(tmp_path, manifest_of(plan_of(quote_of(TICKERS[1]))), "113300")
    monkeypatch.setattr(decision_module, "MANIFESTS_MAX", 1)
    assert last_decision(ArtifactPaths(tmp_path), TICKER) is None
    assert last_decision(ArtifactPaths(tmp_path), TICKERS[1]) is not None


def test_a_ticker_cannot_walk_out_of_its_folder(tmp_path):
    put(tmp_path, manifest_of(), "113000")
    assert last_decision(ArtifactPaths(tmp_path), "../../../KXINXU-x") is None


# --- a packed day


def test_a_packed_day_tells_the_same_and_names_scan_and_pack(tmp_path):
    put(tmp_path, manifest_of(), "113000", age_s=10)
    put(tmp_path, manifest_of(plan_of(quote_of(TICKERS[1]))), "113300")
    paths = ArtifactPaths(tmp_path)
    before = [last_decision(paths, ticker) for ticker in TICKERS[:3]]
    pack(paths, Work(DAY, "scans", "KXINXU"))
    after = [last_decision(paths, ticker) for ticker in TICKERS[:3]]
    packed = paths.scans / DAY / "KXINXU.jsonl.gz"
    assert [one.manifest for one in after if one] == [packed, packed]
    assert [one.scan for one in after if one] == ["113000", "113300"]
    assert [one and replace(one, manifest=packed, scan="") for one in before] == [
        one and replace(one, scan="") for one in after
    ]


def test_of_a_day_in_both_forms_the_newest_counts(tmp_path):
    paths = ArtifactPaths(tmp_path)
    put(tmp_path, manifest_of(plan_of(quote_of(ev=Price(0)))), "115900", age_s=100)
    put(tmp_path, manifest_of(), "120000", age_s=90)
    pack(paths, Work(DAY, "scans", "KXINXU"))
    put(tmp_path, manifest_of(plan_of(quote_of(ev=Price(0)))), "113000", age_s=1)
    found = last_decision(paths, TICKER)
    assert found is not None
    assert (found.quoted, found.scan) == (False, ""), "simulated again, with an earlier clock"
    os.utime(found.manifest, (1_000_000_000, 1_000_000_000))
    found = last_decision(paths, TICKER)
    assert found is not None
    assert (found.quoted, found.scan) == (True, "120000")


def test_what_stands_before_the_damage_of_a_pack_is_found(tmp_path):
    paths = ArtifactPaths(tmp_path)
    for minute in range(60):
        put(tmp_path, manifest_of(), f"11{minute:02}00")
    pack(paths, Work(DAY, "scans", "KXINXU"))
    path = paths.scans / DAY / "KXINXU.jsonl.gz"
    path.write_bytes(path.read_bytes()[:-40])
    found = last_decision(paths, TICKER)
    assert found is not None
    (problem,) = found.problems
    assert problem.startswith(str(path)), "a newer one may stand behind the damage"
    path.write_bytes(b"not packed at all")
    with pytest.raises(StateCorrupt, match=path.name):
        last_decision(paths, TICKER)


# --- what another version wrote


def changed(path: Path, **changes: object) -> None:
    stat = path.stat()
    path.write_bytes(encode({**orjson.loads(path.read_bytes()), **changes}))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def test_a_manifest_of_a_newer_daemon_is_named_with_what_to_do_and_an_older_one_tells(tmp_path):
    old = put(tmp_path, manifest_of(), "113000", age_s=10)
    newer = put(tmp_path, manifest_of(plan_of(quote_of(ev=Price(0)))), "113300")
    changed(newer, schema=2, verdicts="in another form")
    found = last_decision(ArtifactPaths(tmp_path), TICKER)
    assert found is not None
    assert (found.quoted, found.manifest) == (True, old)
    (problem,) = found.problems
    assert problem == f"{newer}: manifest has schema 2, this daemon knows 1: use a newer daemon with the same file"
    old.unlink()
    with pytest.raises(StateCorrupt, match="use a newer daemon"):
        last_decision(ArtifactPaths(tmp_path), TICKER)


def test_a_manifest_that_lacks_a_field_is_named_with_it(tmp_path):
    put(tmp_path, manifest_of(), "113000", age_s=10)
    broken = put(tmp_path, manifest_of(), "113300")
    changed(broken, window={"event_ticker": "E"})
    found = last_decision(ArtifactPaths(tmp_path), TICKER)
    assert found is not None
    assert found.problems == (f"{broken}: manifest: required field 'window.session' is missing, and 4 more",)
