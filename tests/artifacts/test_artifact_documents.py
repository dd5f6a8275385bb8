"""The pure halves: manifest, monitors, session, report facts and their Markdown."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_daemon.artifacts.files import encode
from kalshi_daemon.artifacts.manifest import Manifest, build_manifest, outcome_of
from kalshi_daemon.artifacts.monitors import (
    IndexRecord,
    MonitorBoard,
    Stop,
    WindowVerdicts,
    go_no_go,
    record_monitors,
    status_of,
)
from kalshi_daemon.artifacts.paths import ArtifactPaths, safe_name, scan_order
from kalshi_daemon.artifacts.report import FILLS_KEPT, QUOTES_KEPT, SETTLEMENTS_KEPT, DayFacts
from kalshi_daemon.artifacts.report_markdown import render
from kalshi_daemon.artifacts.session import build_session
from kalshi_daemon.domain.forecast import Reading
from kalshi_daemon.domain.index import Index
from kalshi_daemon.domain.quote import Look
from kalshi_daemon.domain.verdict import Verdict
from kalshi_daemon.ground.documents import parse_document, read_document
from kalshi_daemon.ground.errors import StateCorrupt
from kalshi_daemon.ground.units import MINUTE, Level, Nanos, Price
from kalshi_daemon.windows.releases import Release
from tests.artifacts.artifact_rig import RUN, fill, judged, settle, totals
from tests.guardrails.guard_rig import (
    DAY,
    NOW,
    TICKER,
    TICKERS,
    WIDE,
    WINDOW,
    chain_of,
    healthy,
    plan_of,
    quote_of,
    window_of,
)
from tests.support.written import as_written


def facts() -> DayFacts:
    return DayFacts("KXINXU", DAY, "sim")


# --- manifest


def test_the_manifest_holds_inputs_probabilities_verdicts_and_orders_exactly():
    plan = plan_of(keep=("kd-1",), cancel=(("kd-2", "edge_lost"),))
    made = build_manifest(plan, judged(plan)[1], (), run_id=RUN, mode="sim")
    manifest = as_written(made)
    assert manifest["inputs"] == {"index": "SPX", "level": 6_820.0, "sigma": 0.004, "seconds_to_fixing": 1_800.0}
    assert manifest["window"]["target"] == "2026-11-23T17:00:00.000000Z"
    assert manifest["looks"][0]["best_bid"] == "0.4000"
    quote = manifest["quotes"][0]
    assert (quote["price"], quote["count"], quote["ev"], quote["fee"]) == ("0.4200", "1.00", "0.0800", "0.0000")
    assert (quote["accepted"], len(quote["verdicts"])) == (True, 13)
    assert manifest["keep"] == ["kd-1"]
    assert manifest["cancel"] == [{"client_order_id": "kd-2", "reason": "edge_lost"}]
    assert parse_document(Manifest, encode(made), Path("m.json")) == made


def test_a_look_says_for_which_values_its_market_pays():
    look = Look("KXINX-26NOV23H1600-B6812", 0.2, 0.2, None, None, "no_edge", "", Level(68_000_000), Level(68_249_900))
    open_ended = Look("KXINXU-26NOV23H1600-T6799.9999", 0.6, 0.6, None, None, "no_edge", "", Level(68_000_000))
    plan = plan_of(quotes=(), looks=(look, open_ended))
    bounded, above = as_written(build_manifest(plan, judged(plan)[1], (), run_id=RUN, mode="sim"))["looks"]
    assert (bounded["pays_from"], bounded["pays_to"]) == ("6800.00", "6824.99")
    assert (above["pays_from"], above["pays_to"]) == ("6800.00", None)


def test_numbers_we_did_not_have_are_null():
    plan = plan_of(quote_of(fair=float("nan"), ev=Price(-300)))
    written = as_written(build_manifest(plan, judged(plan)[1], (), run_id=RUN, mode="sim"))
    assert written["looks"][0]["fair"] is None
    assert written["quotes"][0]["ev"] == "-0.0300"


@pytest.mark.parametrize(
    ("plan", "kill", "word"),
    [
        (plan_of(), False, "quoted"),
        (plan_of(), True, "window_closed"),
        (plan_of(quote_of(ev=Price(0))), False, "quotes_refused"),
        (plan_of(quotes=(), keep=("kd-1",)), False, "kept"),
        (plan_of(quotes=()), False, "nothing_worth_quoting"),
    ],
)
def test_a_scan_in_one_word(plan, kill, word):
    state = healthy()
    state.kill_switch = kill
    assert outcome_of(plan, judged(plan, state)[1]) == word


# --- go/no-go and monitors


def verdicts(**changes):
    state = healthy()
    for name, value in changes.items():
        setattr(state, name, value)
    return chain_of().judge_window(state, WIDE, WINDOW, NOW)


def test_before_anything_was_judged_it_is_no_go():
    document = as_written(go_no_go({}, "now"))
    assert (document["go"], document["quoting"], document["reasons"]) == (False, False, ["no window judged yet"])


def test_an_overridden_gate_stays_no_go_while_quoting_goes_on():
    state = healthy()
    state.force_gate_pass = True
    chain = chain_of(release_near=lambda now, _before, _after: Release(now, "CPI", DAY))
    seen = WindowVerdicts(WINDOW, chain.judge_window(state, WIDE, WINDOW, NOW), NOW)
    document = as_written(go_no_go({WINDOW.event_ticker: seen}, "now"))
    assert (document["go"], document["quoting"], document["forced"]) == (False, True, ["macro"])
    assert document["windows"][WINDOW.event_ticker]["refusing"] == ["macro"]


def test_one_closed_window_is_no_go_but_the_other_may_quote():
    board = MonitorBoard()
    assert board.note(WindowVerdicts(WINDOW, verdicts(), NOW)) is False
    other = window_of(target_ns=Nanos(WINDOW.target_ns + 60 * MINUTE))
    other = replace(other, event_ticker="KXINXU-26NOV23H1300")
    assert board.note(WindowVerdicts(other, verdicts(kill_switch=True), NOW)) is True
    document, monitors = as_written(board.documents(NOW))
    assert (document["go"], document["quoting"]) == (False, True)
    assert monitors["kill_switch"]["status"] == "ALERT"
    assert set(monitors["kill_switch"]["metrics"]) == {WINDOW.event_ticker, other.event_ticker}


def test_windows_past_their_fixing_leave_the_board():
    board = MonitorBoard()
    board.note(WindowVerdicts(WINDOW, verdicts(kill_switch=True), NOW))
    later = window_of(target_ns=Nanos(WINDOW.target_ns + 60 * MINUTE))
    later = replace(later, event_ticker="KXINXU-26NOV23H1300")
    assert board.note(WindowVerdicts(later, verdicts(), WINDOW.target_ns)) is True
    assert list(board.latest) == [later.event_ticker]
    assert board.documents(WINDOW.target_ns)[0].go is True


def test_after_a_stop_every_window_is_closed_and_the_stop_is_the_first_reason():
    board = MonitorBoard()
    board.note(WindowVerdicts(WINDOW, verdicts(kill_switch=True), NOW))
    later = replace(window_of(target_ns=Nanos(WINDOW.target_ns + 60 * MINUTE)), event_ticker="KXINXU-26NOV23H1300")
    board.note(WindowVerdicts(later, verdicts(), NOW))
    closed = Verdict("latch", passed=False, measured="closed", limit="open", note="SIGTERM")
    board.note_stop(Stop(closed, NOW))
    document, monitors = as_written(board.documents(NOW))
    assert (document["go"], document["quoting"]) == (False, False)
    assert document["reasons"][0] == "stopped: SIGTERM"
    assert [reason.split(":")[0] for reason in document["reasons"]] == ["stopped", "kill_switch"]
    assert document["windows"][WINDOW.event_ticker]["refusing"] == ["kill_switch", "latch"]
    assert document["windows"][later.event_ticker]["refusing"] == ["latch"]
    assert monitors["latch"]["status"] == "ALERT"
    assert {event: one["measured"] for event, one in monitors["latch"]["metrics"].items()} == dict.fromkeys(
        (WINDOW.event_ticker, later.event_ticker), "closed"
    )
    board.note_stop(Stop(closed, WINDOW.target_ns))
    assert set(board.documents(WINDOW.target_ns)[0].windows) == {later.event_ticker}


def test_a_stop_before_anything_was_judged_is_said_too():
    board = MonitorBoard()
    board.note_stop(Stop(Verdict("latch", passed=False, measured="closed", limit="open", note="session_end"), NOW))
    document, monitors = as_written(board.documents(NOW))
    assert (document["go"], document["quoting"], document["reasons"]) == (False, False, ["stopped: session_end"])
    assert (monitors["latch"]["status"], monitors["latch"]["metrics"]) == ("ALERT", {})
    assert "session_end" in monitors["latch"]["message"]


def test_no_data_and_alert_and_the_worse_of_them():
    blind = Verdict("g", passed=False, measured=None, limit=1)
    bad = Verdict("g", passed=False, measured=2.123456789, limit=1)
    good = Verdict("g", passed=True, measured=0, limit=1)
    assert [status_of(seen) for seen in ([], [good], [good, blind], [blind, bad])] == [
        "NO_DATA",
        "OK",
        "NO_DATA",
        "ALERT",
    ]
    reasons = go_no_go({"w": WindowVerdicts(WINDOW, (blind, bad), NOW)}, "now").reasons
    assert reasons == ("g: no data against 1", "g: 2.12346 against 1")


# --- session and paths


def test_the_session_carries_the_callers_totals_after_its_own_head():
    made = as_written(build_session(totals(fills=3), run_id="r1", mode="sim", day=DAY, now_ns=NOW))
    head = ["schema", "session_id", "run_id", "mode", "session_date", "generated_at", "daemon_version"]
    assert list(made)[:7] == head
    assert (made["run_id"], made["fills"]) == ("r1", 3)
    assert list(made)[7:] == list(totals().log_fields)


@given(st.text())
@settings(max_examples=60, deadline=None)
def test_no_text_from_outside_leaves_its_folder(text):
    name = safe_name(text)
    assert name
    assert "/" not in name
    assert name not in {".", ".."}
    path = ArtifactPaths(Path("/root")).report(text, DAY)
    assert path.parent.parent.as_posix() == "/root/reports"


def test_scan_folders_sort_by_time_then_collision_number():
    names = ["113000_10", "113000", "113001", "113000_2", "notes", "113000_", "1130000"]
    ordered = sorted((order, name) for name in names if (order := scan_order(name)) is not None)
    assert [name for _order, name in ordered] == ["113000", "113000_2", "113000_10", "113001"]


# --- the report's facts


def test_facts_survive_a_round_trip():
    made = facts()
    state = healthy()
    state.kill_switch = True
    made.note_scan(*judged(), RUN)
    made.note_scan(*judged(state=state), RUN)
    made.note_audit(fill(TICKER), RUN)
    made.note_audit(settle(TICKER), RUN)
    made.note_positions((), NOW)
    assert parse_document(DayFacts, encode(made), Path("facts.json")) == made


@pytest.mark.parametrize(
    "data", [{}, {"series": "X"}, {"series": "X", "day": DAY, "fills": {}}, {"series": 1, "day": DAY, "mode": "sim"}]
)
def test_an_object_that_is_not_ours_is_refused(data):
    with pytest.raises(StateCorrupt, match=r"facts\.json: report: "):
        parse_document(DayFacts, encode(data), Path("facts.json"))


def test_facts_written_before_a_field_existed_are_taken_up():
    found = encode({"series": "KXINXU", "day": DAY, "mode": "sim", "unheard_of": 1})
    assert parse_document(DayFacts, found, Path("facts.json")) == facts()


def test_refusals_are_counted_by_guard_for_scans_and_quotes():
    made = facts()
    state = healthy()
    state.armed = False
    plan = plan_of(quote_of(ev=Price(0)), quote_of(TICKERS[1], ev=Price(0)))
    made.note_scan(*judged(plan, state), RUN)
    assert (made.refusals["armed"]["scans"], made.refusals["armed"]["quotes"]) == (1, 0)
    assert (made.refusals["min_ev"]["scans"], made.refusals["min_ev"]["quotes"]) == (0, 2)
    assert "feed_age" not in made.refusals
    text = render(made, "now")
    assert "| min_ev | 0 | 2 | 0 | 0 / 0.005 dollars | not worth the risk |" in text


def test_lists_are_bounded_and_totals_are_not():
    made = facts()
    for n in range(SETTLEMENTS_KEPT + 10):
        made.note_audit(fill(f"{TICKER}{n}"), RUN)
        made.note_audit(settle(f"{TICKER}{n}", "0.0100"), RUN)
    for _ in range(QUOTES_KEPT + 5):
        made.note_scan(*judged(), RUN)
    assert (len(made.fills), made.fills_total) == (FILLS_KEPT, SETTLEMENTS_KEPT + 10)
    assert (len(made.quotes), made.quotes_total) == (QUOTES_KEPT, QUOTES_KEPT + 5)
    assert len(made.settlements) == SETTLEMENTS_KEPT
    made.note_audit(settle(TICKER + "0", "9.0000"), RUN)
    assert made.settlements[TICKER + "0"]["profit"] == "9.0000"
    text = render(made, "now")
    assert f"## Fills (last {FILLS_KEPT} of {SETTLEMENTS_KEPT + 10}" in text
    assert f"## Quotes (last {QUOTES_KEPT} of {QUOTES_KEPT + 5}" in text


def test_an_unreadable_number_is_listed_said_and_not_taken_for_zero():
    made = facts()
    made.note_audit(fill(TICKER, count="many"), RUN)
    made.note_audit(fill(TICKER, count="2.00", fee="0.0175"), RUN)
    made.note_audit(settle(TICKER, None), RUN)
    assert (made.fills_total, made.contracts, made.fees, made.unreadable) == (2, 200, 175, 1)
    assert made.profit is None
    text = render(made, "now")
    assert "audit lines whose numbers could not be read: 1" in text
    assert "profit after fees not known" in text


def test_the_profit_of_the_day_is_the_ledgers_a_correction_included():
    made = facts()
    assert made.profit == 0
    made.note_audit(settle(TICKER, "0.5800", series_profit_today="1.1600"), RUN)
    assert made.profit == 11_600, "another market was settled before this process wrote reports"
    made.note_audit({"action": "correct", "market": TICKER, "series_profit_today": "-0.4200"}, RUN)
    assert made.profit == -4_200
    assert "profit after fees -0.4200 dollars" in render(made, "now")
    old = encode({"series": "KXINXU", "day": DAY, "mode": "sim", "settlements": {TICKER: settle(TICKER)}})
    assert parse_document(DayFacts, old, Path("facts.json")).profit is None, "written before lines said it: not zero"


def test_text_from_outside_cannot_break_the_report():
    made = facts()
    made.note_audit({"action": "fill|\n# forged", "timestamp": ""}, RUN)
    text = render(made, "now")
    assert "# forged" in text
    assert "\n# forged" not in text
    assert "fill\\|" in text


def test_a_day_on_which_nothing_happened_is_a_short_report():
    text = render(facts(), "2026-11-23T21:05:00.000000Z")
    assert text.startswith(f"# KXINXU {DAY} (sim)\n")
    assert "- scans: 0 in 0 window(s)" in text
    assert "##" not in text


def test_rendering_is_a_function_of_the_facts():
    made = facts()
    made.note_scan(*judged(), RUN)
    assert render(made, "now") == render(parse_document(DayFacts, encode(made), Path("facts.json")), "now")


def test_a_file_of_ours_that_is_no_object_is_named(tmp_path):
    (tmp_path / "list.json").write_bytes(b"[1]")
    with pytest.raises(StateCorrupt, match=r"list\.json: is not a JSON object"):
        read_document(DayFacts, tmp_path / "list.json")


# --- the record's monitors


def test_the_record_shows_value_n_and_limits_of_both_indices_in_both_documents():
    wide = Reading("rms_z", "near", 1.5, 400.4, 150.0, low=0.82, high=1.15)
    young = Reading("rms_z", "hour", None, 0.0, 200.0, low=0.77, high=1.18)
    board = MonitorBoard()
    board.records[Index.SPX] = IndexRecord(Index.SPX, (wide, young), NOW)
    board.records[Index.NDX] = IndexRecord(Index.NDX, (young,), NOW)
    go, monitors = as_written(board.documents(NOW))
    one = monitors["record_rms_z"]
    assert one["status"] == "ALERT"
    assert one["metrics"]["SPX.near"] == {
        "status": "ALERT",
        "value": 1.5,
        "n": 400.4,
        "n_min": 150.0,
        "low": 0.82,
        "high": 1.15,
    }
    assert one["message"] == "SPX.near 1.5 outside 0.82..1.15, n 400"
    assert go["record"]["SPX"]["rms_z.near"] == one["metrics"]["SPX.near"]
    assert go["record"]["NDX"]["rms_z.hour"]["status"] == "NO_DATA"


def test_a_record_that_still_learns_has_no_data_and_one_that_can_be_judged_is_ok():
    young = Reading("log_gain", "hour", 0.1, 10.0, 200.0, low=-0.02)
    records = {Index.SPX: IndexRecord(Index.SPX, (young,), NOW)}
    assert record_monitors(records, "now")["record_log_gain"].status == "NO_DATA"
    records[Index.NDX] = IndexRecord(Index.NDX, (replace(young, n=200.0),), NOW)
    assert record_monitors(records, "now")["record_log_gain"].status == "OK"
