"""The one picture of a run: what it says, and that its forms say the same."""

from dataclasses import replace

import orjson
import pytest

from kalshi_daemon.domain.alert import Alert, AlertSeverity
from kalshi_daemon.domain.index import Channel, Index, Tick
from kalshi_daemon.domain.window import Phase, WindowStatus
from kalshi_daemon.ground.tables import plain
from kalshi_daemon.ground.units import SECOND, Count, Dollars, Nanos
from kalshi_daemon.operations import status as module
from kalshi_daemon.operations.status import STALLED_AFTER_MS, DaemonStatus, RunFacts, status_of
from kalshi_daemon.operations.status_forms import document, log_fields, tables
from kalshi_daemon.state import DaemonState, GroupHalt, Position
from tests.guardrails.guard_rig import NOW as RIG_NOW
from tests.guardrails.guard_rig import SIZE, WIDE, WINDOW, chain_of, healthy, order_of

NOW = Nanos(1_795_446_300 * SECOND)
STARTING = RunFacts("sim", "0", "r", ready=False)
RUNNING = RunFacts("live", "0.1.0", "abc", ready=True, progress_age_ms=400, chain=chain_of(), profiles=(WIDE, SIZE))


def running(state: DaemonState, now: Nanos = RIG_NOW) -> DaemonStatus:
    return status_of(state, now, RUNNING)


def trading() -> DaemonState:
    """Every guard passes, and one window is open."""
    state = healthy()
    state.windows = {WINDOW.event_ticker: WindowStatus(WINDOW, Phase.OPEN)}
    return state


def test_a_status_is_plain_values_and_says_null_for_what_is_not_known():
    status = log_fields(status_of(DaemonState(), NOW, STARTING))
    assert orjson.loads(orjson.dumps(status)) == status
    assert status["index_age_ms"] == {"SPX": None, "NDX": None}
    assert (status["armed"], status["reconciled"], status["orders_live"]) == (False, False, 0)


def test_a_status_carries_ages_money_and_the_reason_of_a_stop():
    state = DaemonState()
    state.index[Index.SPX].last = Tick(Index.SPX, Channel.VALUE, 6_870.0, Nanos(NOW - 1_500_000_000), NOW)
    state.latch.closed, state.latch.reason = True, "SIGTERM"
    state.ledger.positions["A"] = Position("A", "E", "S", count=Count(-250))
    state.ledger.positions["B"] = Position("B", "E", "S", count=Count(700), settled="yes")
    state.ledger.realized_today = Dollars(-12_345)
    state.ledger.disputed = Dollars(10_000)
    status = log_fields(status_of(state, NOW, STARTING))
    assert status["index_age_ms"] == {"SPX": 1_500, "NDX": None}
    assert (status["stopping"], status["contracts_held"], status["pnl_today_dollars"]) == ("SIGTERM", "2.50", "-1.2345")
    assert (status["in_dispute_dollars"], status["orders_quarantined"]) == ("1.0000", 0)


def test_it_quotes_when_no_guard_of_an_open_window_refuses():
    status = running(trading())
    assert (status.quoting, status.why_not, status.closed) == (True, (), ())
    assert [(one.event_ticker, one.quoting) for one in status.windows] == [(WINDOW.event_ticker, True)]


def test_why_it_does_not_quote_is_every_guard_with_its_numbers():
    state = trading()
    state.kill_switch, state.venue.stream_up = True, False
    tick = state.index[WINDOW.series.index].last
    assert tick is not None
    late = Nanos(tick.event_ns + 7 * SECOND)
    status = running(state, late)
    assert status.why_not[0] == "the kill switch is engaged (kalshi-daemon unkill)"
    assert any(one.startswith("feed_age: 7000 against ") for one in status.why_not)
    assert not any(one.startswith("kill_switch") for one in status.why_not), "said once"
    (window,) = status.windows
    assert {"kill_switch", "feed_age"} <= set(window.closed)
    assert not window.quoting
    found = {one["guard"]: one for one in document(status)["guards_closed"]}
    assert (found["feed_age"]["measured"], found["feed_age"]["windows"]) == (7000, [WINDOW.event_ticker])


def test_a_closed_guard_says_since_when_it_was_seen_closed():
    state = trading()
    state.venue.status = None
    first = running(state)
    (closed,) = first.closed
    assert closed.since_ns == RIG_NOW
    facts = replace(RUNNING, closed_since={closed.guard: Nanos(RIG_NOW - 90 * SECOND), "armed": RIG_NOW})
    again = status_of(state, Nanos(RIG_NOW + SECOND), facts)
    assert document(again)["guards_closed"][0]["since"] == "2026-11-23T16:28:30.000000Z"


def test_every_guard_that_was_asked_either_passes_or_is_closed():
    state = trading()
    state.venue.status = None
    found = document(running(state))
    passing, closed = ([one["guard"] for one in found[key]] for key in ("guards_passing", "guards_closed"))
    assert sorted((*passing, *closed)) == sorted(guard.name for guard in chain_of().window_guards)
    assert {one["window"] for one in found["guards_passing"]} == {WINDOW.event_ticker}
    state.windows.clear()
    assert document(running(state))["guards_passing"] == [], "asked while a window is open"


@pytest.mark.parametrize(
    ("phase", "said"),
    [(Phase.UPCOMING, "no window takes new quotes now; the next opens "), (Phase.HOLD, "no window takes new quotes")],
)
def test_outside_of_windows_it_says_when_the_next_one_opens(phase, said):
    state = trading()
    state.windows = {WINDOW.event_ticker: WindowStatus(WINDOW, phase)}
    assert running(state).why_not[0].startswith(said)


def test_before_it_is_ready_nothing_is_quoted_whatever_the_guards_say():
    status = status_of(trading(), RIG_NOW, RunFacts("live", "0", "r", ready=False, chain=chain_of(), profiles=(WIDE,)))
    assert not status.quoting
    assert status.why_not[0].startswith("starting: ")


@pytest.mark.parametrize(
    ("age_ms", "ready", "progressing"),
    [(0, True, True), (STALLED_AFTER_MS, True, True), (STALLED_AFTER_MS + 1, True, False), (0, False, False)],
)
def test_a_loop_that_does_not_turn_is_seen(age_ms, ready, progressing):
    status = status_of(DaemonState(), NOW, RunFacts("sim", "0", "r", ready=ready, progress_age_ms=age_ms))
    assert status.progressing is progressing
    assert document(status)["ages"]["decision_loop"] == age_ms


def test_budgets_are_what_the_guards_judge():
    state = trading()
    order = order_of()
    state.orders[order.client_order_id] = order
    state.ledger.realized_today, state.ledger.realized_week = Dollars(-100_000), Dollars(-150_000)
    verdicts = {one.guard: one for one in chain_of().judge_window(state, WIDE, WINDOW, RIG_NOW)}
    budgets = document(running(state))["budgets"]
    for name in ("daily_loss", "weekly_loss"):
        assert float(budgets[name]["used_dollars"]) == pytest.approx(verdicts[name].measured)
        assert float(budgets[name]["limit_dollars"]) == verdicts[name].limit
    assert float(budgets["daily_loss"]["used_dollars"]) > float(budgets["daily_loss"]["lost_dollars"]) == 10.0
    state.reconciliation.checked_ns = None
    assert document(running(state))["budgets"] == {}, "books that were never compared have no figure"


def test_what_is_listed_is_bounded_and_counted_in_full(monkeypatch):
    monkeypatch.setattr(module, "ROWS_MAX", 2)
    state = trading()
    for number in range(5):
        state.ledger.positions[f"M{number}"] = Position(f"M{number}", "E", "S", count=Count(100))
    found = document(running(state))
    assert (len(found["positions"]), found["positions_total"], found["contracts_held"]) == (2, 5, "5.00")


def test_the_document_has_the_promised_keys_and_is_plain():
    state = trading()
    order = order_of()
    state.orders[order.client_order_id] = order
    state.order_groups.halted["wide"] = GroupHalt(RIG_NOW, "21 contracts within 15 s")
    state.alerts = (Alert(RIG_NOW, "feed_lost", "", AlertSeverity.WARNING, "the index feed is gone for 60 s"),)
    found = document(running(state))
    assert orjson.loads(orjson.dumps(found)) == found
    promised = "mode armed quoting why_not windows resting positions pnl_dollars budgets ages alerts"
    assert set(promised.split()) <= set(found)
    assert (found["mode"], found["armed"], found["resting"][0]["market"]) == ("live", True, order.market_ticker)
    shown = "\n".join(plain(one) for one in tables(found))
    for word in (WINDOW.event_ticker, "the index feed is gone for 60 s", "21 contracts within 15 s", "daily_loss"):
        assert word in shown
