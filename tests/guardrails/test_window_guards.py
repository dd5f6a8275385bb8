"""Each guard asked about a window: it passes, refuses at the edge of its limit, and refuses on missing data."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from kalshi_daemon.domain.events import Balance, ExchangeStatus
from kalshi_daemon.domain.forecast import CalibrationHealth, Forecast
from kalshi_daemon.domain.index import Channel, Index, Tick
from kalshi_daemon.domain.verdict import RefusalEffect
from kalshi_daemon.domain.window import Phase, Session, WindowStatus
from kalshi_daemon.ground.units import HOUR, MILLISECOND, MINUTE, SECOND, Dollars, Nanos
from kalshi_daemon.settings.model import GuardSettings, MacroFeed, MacroSettings, Settings
from kalshi_daemon.state import ClockSkew, DaemonState, DiskState, GroupHalt, WithheldValue
from kalshi_daemon.windows.releases import EXHAUSTED, Release
from tests.guardrails.guard_rig import (
    DAY,
    NOW,
    SESSION,
    SIZE,
    TARGET,
    TICKER,
    TICKERS,
    WIDE,
    WINDOW,
    FixedCalibration,
    ask_window,
    book_of,
    chain_of,
    healthy,
    hold,
    order_of,
    rest,
    window_of,
)
from tests.support.instruments import KXINXU


def tick_at(state: DaemonState, event_ns: int, index: Index = Index.SPX) -> None:
    state.index[index].last = Tick(index, Channel.VALUE, 6_820.0, Nanos(event_ns), NOW)


def test_a_healthy_state_passes_every_guard():
    verdicts = chain_of().judge_window(healthy(), WIDE, WINDOW, NOW)
    assert [verdict.guard for verdict in verdicts if not verdict.passed] == []
    assert all(verdict.measured is not None for verdict in verdicts)


# --- permission


def test_unarmed_refuses_and_does_not_pull():
    state = healthy()
    state.armed = False
    verdict = ask_window(state, "armed")
    assert (verdict.passed, verdict.closing) == (False, RefusalEffect.HOLD)


def test_the_kill_switch_pulls_and_counts_as_present_until_looked_at():
    state = healthy()
    state.kill_switch = DaemonState().kill_switch
    verdict = ask_window(state, "kill_switch")
    assert (verdict.passed, verdict.measured, verdict.closing) == (False, "present", RefusalEffect.PULL)


def test_a_closed_latch_refuses_with_its_reason():
    state = healthy()
    state.latch.closed, state.latch.reason = True, "SIGTERM"
    verdict = ask_window(state, "latch")
    assert (verdict.passed, verdict.note, verdict.closing) == (False, "SIGTERM", RefusalEffect.HOLD)


@pytest.mark.parametrize(("age_ns", "passes"), [(180 * SECOND, True), (180 * SECOND + 1, False)])
def test_reconciled_is_good_for_its_limit(age_ns, passes):
    state = healthy()
    state.reconciliation.checked_ns = Nanos(NOW - age_ns)
    verdict = ask_window(state, "reconciled")
    assert verdict.passed is passes
    assert verdict.closing is RefusalEffect.HOLD


def test_a_disagreement_pulls_with_both_numbers():
    state = healthy()
    state.reconciliation.agreed = False
    state.reconciliation.problem = "position 2.00 here, 3.00 there"
    verdict = ask_window(state, "reconciled")
    assert (verdict.passed, verdict.closing, verdict.note) == (
        False,
        RefusalEffect.PULL,
        "position 2.00 here, 3.00 there",
    )


def test_a_disagreement_without_words_still_says_something():
    state = healthy()
    state.reconciliation.agreed = False
    assert "disagree" in ask_window(state, "reconciled").note


def test_never_reconciled_refuses():
    state = healthy()
    state.reconciliation = DaemonState().reconciliation
    verdict = ask_window(state, "reconciled")
    assert (verdict.passed, verdict.measured, verdict.note) == (False, None, "not reconciled yet")


def test_a_triggered_group_pulls_its_own_profile_and_says_what_ends_it():
    state = healthy()
    state.order_groups.halted["wide"] = GroupHalt(NOW, "order group g-1 triggered at the exchange")
    verdict = ask_window(state, "order_group")
    assert (verdict.passed, verdict.measured, verdict.closing) == (False, "triggered", RefusalEffect.PULL)
    assert verdict.note.startswith("order group g-1 triggered")
    assert "kalshi-daemon reset-group wide" in verdict.note
    assert all(v.allows for v in chain_of().judge_window(state, SIZE, WINDOW, NOW)), "the others quote on"
    state.order_groups.required = False
    assert not ask_window(state, "order_group").allows, "switching groups off ends no halt"


def test_a_profile_without_a_group_waits_unless_groups_are_off():
    state = healthy()
    del state.order_groups.ids["wide"]
    verdict = ask_window(state, "order_group")
    assert (verdict.measured, verdict.closing) == (None, RefusalEffect.HOLD)
    state.order_groups.required = False
    assert ask_window(state, "order_group").measured == "off"
    assert not ask_window(DaemonState(), "order_group").allows, "required until somebody says otherwise"


# --- the disk

MB = 1024 * 1024


@pytest.mark.parametrize(
    ("room", "measured", "unit"),
    [
        ((200 * MB, 5_000), None, ""),
        ((200 * MB, None), None, ""),
        ((200 * MB - 1, 5_000), 199, "MB"),
        ((200 * MB, 4_999), 4_999, "inodes"),
        ((0, 0), 0, "inodes"),
        ((0, None), 0, "MB"),
    ],
)
def test_less_room_than_the_hard_limit_holds_and_shows_what_is_left(room, measured, unit):
    state = healthy()
    state.disk = DiskState(room[0], room[1], NOW, "")
    verdict = ask_window(state, "disk_free")
    assert verdict.passed is (measured is None)
    if measured is not None:
        assert (verdict.measured, verdict.unit, verdict.closing) == (measured, unit, RefusalEffect.HOLD)


@pytest.mark.parametrize(("age_ns", "passes"), [(300 * SECOND, True), (300 * SECOND + 1, False)])
def test_an_old_look_at_the_disk_is_none(age_ns, passes):
    state = healthy()
    state.disk.read_ns = Nanos(NOW - age_ns)
    verdict = ask_window(state, "disk_free")
    assert (verdict.passed, verdict.closing) == (passes, RefusalEffect.HOLD)


@pytest.mark.parametrize("disk", [DiskState(), DiskState(read_ns=NOW, problem="state/live: Input/output error")])
def test_room_that_is_not_known_refuses_with_the_reason(disk):
    state = healthy()
    state.disk = disk
    verdict = ask_window(state, "disk_free")
    assert (verdict.passed, verdict.measured, verdict.note) == (False, None, disk.problem)


# --- the exchange


@pytest.mark.parametrize(("age_ns", "passes"), [(60 * SECOND, True), (60 * SECOND + 1, False)])
def test_exchange_status_is_good_for_its_limit(age_ns, passes):
    state = healthy()
    state.venue.status = ExchangeStatus(exchange_active=True, trading_active=True, read_ns=Nanos(NOW - age_ns))
    verdict = ask_window(state, "exchange_status")
    assert (verdict.passed, verdict.closing) == (passes, RefusalEffect.HOLD)


@pytest.mark.parametrize(("active", "trading", "word"), [(True, False, "trading"), (False, True, "exchange")])
def test_a_pause_pulls(active, trading, word):
    state = healthy()
    state.venue.status = ExchangeStatus(exchange_active=active, trading_active=trading, read_ns=NOW)
    verdict = ask_window(state, "exchange_status")
    assert (verdict.passed, verdict.measured, verdict.closing) == (False, f"{word} paused", RefusalEffect.PULL)


def test_an_exchange_never_heard_of_refuses():
    state = healthy()
    state.venue.status = None
    assert ask_window(state, "exchange_status").measured is None


@pytest.mark.parametrize(
    ("shard", "said", "measured", "closing"),
    [
        (None, (), None, None),
        (0, ((1, False, False),), None, None),
        (1, (), "shard 1", RefusalEffect.HOLD),
        (1, ((1, True, True),), "shard 1", RefusalEffect.HOLD),
        (1, ((1, True, False),), "trading paused on shard 1", RefusalEffect.PULL),
        (1, ((1, False, True), (2, True, True)), "exchange paused on shard 1", RefusalEffect.PULL),
    ],
)
def test_the_shard_of_the_events_own_markets_decides(shard, said, measured, closing):
    state = healthy()
    ticker = state.venue.events[WINDOW.event_ticker][0]
    state.venue.markets[ticker] = replace(state.venue.markets[ticker], exchange_index=shard)
    state.venue.status = ExchangeStatus(True, True, NOW, said)
    verdict = ask_window(state, "exchange_status")
    assert verdict.passed == (measured is None)
    if measured is not None:
        assert (verdict.measured, verdict.closing) == (measured, closing)


def test_a_far_shard_of_another_event_does_not_count():
    state = healthy()
    for ticker, market in state.venue.markets.items():
        if market.contract.event_ticker != WINDOW.event_ticker:
            state.venue.markets[ticker] = replace(market, exchange_index=1)
    assert ask_window(state, "exchange_status").passed


@pytest.mark.parametrize(("age_s", "passes"), [(7_200, True), (7_201, False)])
def test_fees_are_good_for_their_limit(age_s, passes):
    state = healthy()
    schedule = state.venue.fees["KXINXU"]
    state.venue.fees["KXINXU"] = replace(schedule, read_ns=Nanos(NOW - age_s * SECOND))
    assert ask_window(state, "fee_schedule").passed is passes


def test_unknown_fees_refuse_whatever_other_series_cost():
    state = healthy()
    del state.venue.fees["KXINXU"]
    verdict = ask_window(state, "fee_schedule")
    assert (verdict.passed, verdict.measured, verdict.closing) == (False, None, RefusalEffect.HOLD)


@pytest.mark.parametrize("where", ["series", "event"])
def test_a_change_of_fees_pulls(where):
    state = healthy()
    if where == "series":
        state.venue.fee_alarm["KXINXU"] = "quadratic x1 -> flat"
    else:
        state.venue.event_fee_override[WINDOW.event_ticker] = "quadratic x1 -> flat"
    verdict = ask_window(state, "fee_schedule")
    assert (verdict.passed, verdict.closing, verdict.note) == (False, RefusalEffect.PULL, "quadratic x1 -> flat")


def test_another_events_override_does_not_concern_us():
    state = healthy()
    state.venue.event_fee_override["KXINXU-26NOV23H1300"] = "flat"
    assert ask_window(state, "fee_schedule").passed


# --- time


@pytest.mark.parametrize(
    ("now", "passes", "closing"),
    [
        (WINDOW.opens_ns - 1, False, RefusalEffect.PULL),
        (WINDOW.opens_ns, True, RefusalEffect.HOLD),
        (WINDOW.new_until_ns - 1, True, RefusalEffect.HOLD),
        (WINDOW.new_until_ns, False, RefusalEffect.HOLD),
        (WINDOW.cancel_at_ns - 1, False, RefusalEffect.HOLD),
        (WINDOW.cancel_at_ns, False, RefusalEffect.PULL),
        (WINDOW.target_ns, False, RefusalEffect.PULL),
    ],
)
def test_the_clock_closes_the_window_before_the_scheduler_says_so(now, passes, closing):
    verdict = ask_window(healthy(), "window_phase", now=Nanos(now))
    assert (verdict.passed, verdict.closing) == (passes, closing)


@pytest.mark.parametrize(
    ("phase", "closing"),
    [
        (Phase.HOLD, RefusalEffect.HOLD),
        (Phase.UPCOMING, RefusalEffect.PULL),
        (Phase.CUTOFF, RefusalEffect.PULL),
        (Phase.SHUT, RefusalEffect.PULL),
    ],
)
def test_the_scheduler_closes_the_window_before_the_clock_says_so(phase, closing):
    state = healthy()
    state.windows[WINDOW.event_ticker] = WindowStatus(WINDOW, phase, "why")
    verdict = ask_window(state, "window_phase")
    assert (verdict.passed, verdict.measured, verdict.closing) == (False, phase.value, closing)


def test_a_window_whose_edges_the_scheduler_moved_goes_by_the_stricter_edge():
    state = healthy()
    earlier = replace(WINDOW, new_until_ns=NOW)
    state.windows[WINDOW.event_ticker] = WindowStatus(earlier, Phase.OPEN)
    assert ask_window(state, "window_phase").measured == Phase.HOLD.value


def test_a_window_nobody_scheduled_is_closed():
    state = healthy()
    del state.windows[WINDOW.event_ticker]
    verdict = ask_window(state, "window_phase")
    assert (verdict.passed, verdict.measured, verdict.closing) == (False, None, RefusalEffect.PULL)


def test_outside_the_calendars_session_nothing_is_quoted():
    verdict = ask_window(healthy(), "session_calendar", chain_of(session_of=lambda _ns: None))
    assert (verdict.passed, verdict.measured, verdict.closing) == (False, None, RefusalEffect.PULL)


@pytest.mark.parametrize(
    "session",
    [
        Session("2026-11-24", SESSION.open_ns, SESSION.close_ns, half_day=False),
        Session(DAY, SESSION.open_ns, Nanos(TARGET - 1), half_day=True),
    ],
    ids=["another day", "closes before the fixing"],
)
def test_a_fixing_of_another_session_is_not_quoted(session):
    verdict = ask_window(healthy(), "session_calendar", chain_of(session_of=lambda _ns: session))
    assert (verdict.passed, verdict.closing) == (False, RefusalEffect.PULL)


def test_the_fixing_at_the_close_itself_belongs_to_the_session():
    closing_now = Session(DAY, SESSION.open_ns, TARGET, half_day=True)
    assert ask_window(healthy(), "session_calendar", chain_of(session_of=lambda _ns: closing_now)).passed


@pytest.mark.parametrize("venue", ["kalshi", "index_feed"])
@pytest.mark.parametrize(("offset_ms", "passes"), [(1_500, True), (-1_500, True), (1_501, False), (-1_501, False)])
def test_either_venues_clock_may_differ_by_the_limit_and_no_more(venue, offset_ms, passes):
    state = healthy()
    state.skew[venue] = ClockSkew(Nanos(offset_ms * MILLISECOND), NOW, Nanos(0))
    verdict = ask_window(state, "clock_skew")
    assert (verdict.passed, verdict.measured) == (passes, offset_ms)
    if not passes:
        assert verdict.closing is RefusalEffect.PULL
        assert ("ahead" if offset_ms > 0 else "behind") in verdict.note
        assert venue in verdict.note


@pytest.mark.parametrize("venue", ["kalshi", "index_feed"])
def test_a_clock_never_compared_refuses_and_is_named(venue):
    state = healthy()
    del state.skew[venue]
    verdict = ask_window(state, "clock_skew")
    assert (verdict.passed, verdict.measured, verdict.closing) == (False, None, RefusalEffect.HOLD)
    assert venue in verdict.note


def test_defect_16_our_clock_is_compared_with_the_venues_and_never_with_itself():
    state = healthy()
    state.skew.clear()
    state.skew["ours"] = ClockSkew(Nanos(0), NOW, Nanos(0))  # a clock that agrees with itself proves nothing
    assert not ask_window(state, "clock_skew").passed


# --- market data


@pytest.mark.parametrize(
    ("age_ms", "passes", "closing"),
    [
        (0, True, RefusalEffect.HOLD),
        (2_500, True, RefusalEffect.HOLD),
        (2_501, False, RefusalEffect.HOLD),
        (5_000, False, RefusalEffect.HOLD),
        (5_001, False, RefusalEffect.PULL),
        (13 * 3_600_000, False, RefusalEffect.PULL),
    ],
)
def test_the_value_may_be_as_old_as_its_limits(age_ms, passes, closing):
    state = healthy()
    tick_at(state, NOW - age_ms * MILLISECOND)
    verdict = ask_window(state, "feed_age")
    assert (verdict.passed, verdict.closing, verdict.measured) == (passes, closing, age_ms)


@pytest.mark.parametrize(
    ("to_fixing", "age_ms", "passes", "closing"),
    [
        (MINUTE + 1, 1_501, True, RefusalEffect.HOLD),
        (MINUTE, 1_500, True, RefusalEffect.HOLD),
        (MINUTE, 1_501, False, RefusalEffect.PULL),
        (SECOND, 1_501, False, RefusalEffect.PULL),
    ],
)
def test_in_the_last_minute_one_strict_limit_pulls(to_fixing, age_ms, passes, closing):
    now = Nanos(TARGET - to_fixing)
    state = healthy()
    tick_at(state, now - age_ms * MILLISECOND)
    verdict = ask_window(state, "feed_age", now=now)
    assert (verdict.passed, verdict.closing) == (passes, closing)


def test_the_last_minute_is_never_laxer_than_the_rest():
    lax = chain_of(Settings(guards=GuardSettings(feed_age_final_minute_ms=9_000)))
    now = Nanos(TARGET - SECOND)
    state = healthy()
    tick_at(state, now - 2_501 * MILLISECOND)
    assert not ask_window(state, "feed_age", lax, now).passed


def test_no_value_yet_pulls():
    state = healthy()
    state.index[Index.SPX].last = None
    verdict = ask_window(state, "feed_age")
    assert (verdict.passed, verdict.measured, verdict.closing) == (False, None, RefusalEffect.PULL)


def test_the_other_indexs_fresh_value_does_not_help():
    state = healthy()
    tick_at(state, NOW - HOUR, Index.SPX)
    tick_at(state, NOW, Index.NDX)
    assert not ask_window(state, "feed_age").passed


@pytest.mark.parametrize(("ahead_ms", "passes"), [(1_500, True), (1_501, False)])
def test_a_value_from_the_future_is_no_measurement(ahead_ms, passes):
    state = healthy()
    tick_at(state, NOW + ahead_ms * MILLISECOND)
    assert ask_window(state, "feed_age").passed is passes


def test_defect_03_a_value_from_last_night_is_refused_however_lately_it_arrived():
    state = healthy()
    evening = Nanos(NOW - 13 * HOUR)
    # A fixture or a fallback snapshot arrives now; only the vendor's stamp counts.
    state.index[Index.SPX].last = Tick(Index.SPX, Channel.VALUE, 5_025.0, evening, NOW)
    state.index[Index.SPX].recv_ns = NOW
    verdict = ask_window(state, "feed_age")
    assert (verdict.passed, verdict.closing) == (False, RefusalEffect.PULL)
    assert verdict.measured == 13 * 3_600_000


def test_defect_04_the_age_grows_with_the_clock_and_is_stored_nowhere():
    state = healthy()
    tick_at(state, NOW)
    assert ask_window(state, "feed_age", now=NOW).passed
    # Nothing is rewritten; four days later the very same state is four days stale.
    later = ask_window(state, "feed_age", now=Nanos(NOW + 96 * HOUR))
    assert (later.passed, later.measured) == (False, 96 * 3_600_000)


@pytest.mark.parametrize(("still_ms", "passes"), [(5_000, True), (5_001, False)])
def test_an_index_that_stands_still_while_the_other_moves_pulls(still_ms, passes):
    state = healthy()
    state.index[Index.SPX].changed_ns = Nanos(NOW - still_ms * MILLISECOND)
    verdict = ask_window(state, "feed_frozen")
    assert verdict.passed is passes
    if not passes:
        assert verdict.closing is RefusalEffect.PULL


@pytest.mark.parametrize("other", [None, Nanos(NOW - 6 * SECOND)])
def test_when_neither_index_moves_it_pulls_too(other):
    state = healthy()
    state.index[Index.SPX].changed_ns = Nanos(NOW - 6 * SECOND)
    state.index[Index.NDX].changed_ns = other
    verdict = ask_window(state, "feed_frozen")
    assert (verdict.passed, verdict.closing) == (False, RefusalEffect.PULL)


def test_a_value_that_is_not_believed_pulls_and_shows_both_numbers():
    state = healthy()
    assert ask_window(state, "index_plausible").passed
    state.index[Index.SPX].withheld = WithheldValue(25_000.0, 6_800.0, 2.676, 0.00753, NOW)
    verdict = ask_window(state, "index_plausible")
    assert (verdict.passed, verdict.closing, verdict.measured, verdict.limit) == (
        False,
        RefusalEffect.PULL,
        2.676,
        0.00753,
    )
    assert "25000" in verdict.note
    assert "6800" in verdict.note


def test_an_index_never_seen_to_change_refuses():
    state = healthy()
    state.index[Index.SPX].changed_ns = None
    assert ask_window(state, "feed_frozen").measured is None


def calibrated(**changes: object) -> DaemonState:
    state = healthy()
    health = CalibrationHealth(ready=True, last_update_ns=NOW, minutes_seen=120.0)
    state.calibration[Index.SPX] = FixedCalibration(replace(health, **changes))  # type: ignore[arg-type]
    return state


@pytest.mark.parametrize(
    ("changes", "passes"),
    [
        ({"last_update_ns": Nanos(NOW - 90 * SECOND)}, True),
        ({"last_update_ns": Nanos(NOW - 90 * SECOND - 1)}, False),
        ({"last_update_ns": None}, False),
        ({"ready": False, "minutes_seen": 1.5}, False),
        ({"alarms": ("pit_drift",)}, False),
    ],
)
def test_the_model_must_be_warm_fresh_and_without_alarms(changes, passes):
    verdict = ask_window(calibrated(**changes), "calibration")
    assert verdict.passed is passes
    if not passes:
        assert verdict.closing is RefusalEffect.PULL


def test_the_models_alarm_is_named():
    assert "pit_drift" in ask_window(calibrated(alarms=("pit_drift", "sigma")), "calibration").note


def test_no_model_of_this_index_refuses():
    state = healthy()
    del state.calibration[Index.SPX]
    assert ask_window(state, "calibration").measured is None


# --- macro


def near(event: str = "FOMC_STATEMENT", at_ns: int = NOW + 30 * SECOND):
    return chain_of(release_near=lambda _now, _before, _after: Release(Nanos(at_ns), event, DAY))


def test_the_release_lookup_is_asked_with_the_configured_blackout():
    asked = []
    chain = chain_of(release_near=lambda *args: asked.append(args))
    ask_window(healthy(), "macro", chain)
    assert asked == [(NOW, 60 * SECOND, 300 * SECOND)]


def test_a_release_near_pulls_and_is_named():
    verdict = ask_window(healthy(), "macro", near())
    assert (verdict.passed, verdict.measured, verdict.closing) == (False, 30.0, RefusalEffect.PULL)
    assert verdict.note == "FOMC_STATEMENT"


def test_an_exhausted_calendar_refuses_without_pulling():
    verdict = ask_window(healthy(), "macro", near(f"{EXHAUSTED}: CPI", NOW))
    assert (verdict.passed, verdict.measured, verdict.closing) == (False, None, RefusalEffect.HOLD)


def with_feed(tmp_path):
    feeds = {"cpi": MacroFeed(path=tmp_path / "cpi.csv", age_hours_max=24.0)}
    return chain_of(Settings(macro=MacroSettings(feeds=feeds)))


@pytest.mark.parametrize(
    ("written", "passes"),
    [
        (NOW - 24 * HOUR, True),
        (NOW - 24 * HOUR - 1, False),
        (NOW + 1_500 * MILLISECOND, True),
        (NOW + 1_501 * MILLISECOND, False),
        (None, False),
    ],
)
def test_a_configured_feed_file_must_be_there_and_fresh(tmp_path, written, passes):
    state = healthy()
    state.macro.feed_read_ns = {"cpi": written}
    verdict = ask_window(state, "macro", with_feed(tmp_path))
    assert (verdict.passed, verdict.closing) == (passes, RefusalEffect.HOLD)
    if not passes:
        assert "cpi" in verdict.note


def test_a_feed_not_looked_at_yet_refuses(tmp_path):
    assert ask_window(healthy(), "macro", with_feed(tmp_path)).measured is None


def test_force_gate_pass_lets_a_refusal_through_and_keeps_its_numbers():
    state = healthy()
    state.force_gate_pass = True
    verdict = ask_window(state, "macro", near())
    assert (verdict.passed, verdict.forced, verdict.allows, verdict.measured) == (False, True, True, 30.0)


def test_force_gate_pass_does_not_mark_what_passes_by_itself():
    state = healthy()
    state.force_gate_pass = True
    verdict = ask_window(state, "macro")
    assert (verdict.passed, verdict.forced) == (True, False)


# --- budgets as the window sees them


def test_money_already_at_risk_beyond_the_day_pulls():
    state = healthy()
    hold(state, TICKER, 100, -45 * 10_000)
    rest(state, order_of(count=1_200, price=5_000))  # 12 contracts at 0.50: 6 dollars more
    verdict = ask_window(state, "daily_loss")
    assert (verdict.passed, verdict.measured, verdict.limit, verdict.closing) == (False, 51.0, 50.0, RefusalEffect.PULL)
    assert ask_window(state, "weekly_loss").passed


def test_exactly_the_limit_passes():
    state = healthy()
    hold(state, TICKER, 100, -45 * 10_000)
    rest(state, order_of(count=1_000, price=5_000))
    assert ask_window(state, "daily_loss").measured == 50.0
    assert ask_window(state, "daily_loss").passed


def test_realised_losses_count_and_gains_are_not_lent():
    state = healthy()
    state.ledger.realized_today = Dollars(-50 * 10_000 - 1)
    state.ledger.realized_week = Dollars(-250 * 10_000 - 1)
    assert not ask_window(state, "daily_loss").passed
    assert not ask_window(state, "weekly_loss").passed
    state.ledger.realized_today = state.ledger.realized_week = Dollars(1_000 * 10_000)
    hold(state, TICKER, 100, -51 * 10_000)
    assert not ask_window(state, "daily_loss").passed


def test_books_never_compared_have_no_budget():
    state = healthy()
    state.reconciliation.checked_ns = None
    assert ask_window(state, "daily_loss").measured is None
    assert ask_window(state, "weekly_loss").measured is None


@pytest.mark.parametrize(("age_s", "measured"), [(180, 1_000.0), (181, None)])
def test_the_balance_is_good_for_its_limit(age_s, measured):
    state = healthy()
    state.balance = Balance(Dollars(1_000 * 10_000), Dollars(0), Nanos(NOW - age_s * SECOND))
    verdict = ask_window(state, "balance")
    assert (verdict.passed, verdict.measured) == (measured is not None, measured)


def test_no_balance_read_refuses():
    state = healthy()
    state.balance = None
    assert ask_window(state, "balance").measured is None


def test_the_final_minute_is_measured_against_the_window_in_question():
    # The 16:00 close and an hourly window are judged apart: only the one that is about to fix is strict.
    state = healthy()
    soon = window_of(KXINXU, Nanos(NOW + 30 * SECOND))
    tick_at(state, NOW - 2 * SECOND)
    verdicts = {v.guard: v for v in chain_of().judge_window(state, WIDE, soon, NOW)}
    assert not verdicts["feed_age"].passed
    assert ask_window(state, "feed_age").passed


def test_what_a_market_in_dispute_may_take_back_is_lost_and_gone():
    state = healthy()
    state.ledger.realized_today = state.ledger.realized_week = Dollars(2 * 10_000)
    state.ledger.disputed = Dollars(12 * 10_000)
    hold(state, TICKER, 100, -41 * 10_000)
    verdict = ask_window(state, "daily_loss")
    assert (verdict.measured, verdict.passed) == (51.0, False)
    assert "12.0000 of it paid and in dispute" in verdict.note
    assert ask_window(state, "weekly_loss").measured == 51.0
    left = [ask_window(state, "balance").measured]
    state.ledger.disputed = Dollars(0)
    left.append(ask_window(state, "balance").measured)
    assert left == [988.0, 1_000.0]


class Forecasting(FixedCalibration):
    """A model whose sigma to every fixing is given."""

    def __init__(self, answer: CalibrationHealth, sigma: float) -> None:
        super().__init__(answer)
        self.sigma = sigma

    def forecast(self, now_ns: Nanos, target_ns: Nanos) -> Forecast | None:
        return SimpleNamespace(sigma=self.sigma)


def quoted_in_books(sigma: float) -> DaemonState:
    """Books that imply about 0.3 % to the fixing, a model that says `sigma`."""
    state = healthy()
    for n, ticker in enumerate(TICKERS):
        state.venue.books[ticker] = book_of(ticker, 8_700 - 800 * n, 8_900 - 800 * n)
    state.calibration[Index.SPX] = Forecasting(state.calibration[Index.SPX].health(NOW), sigma)
    return state


@pytest.mark.parametrize(
    ("sigma", "passes"), [(0.0025, True), (0.006, True), (0.0099, False), (0.05, False), (0.0005, False)]
)
def test_a_sigma_far_from_what_the_books_imply_pulls_with_both_numbers(sigma, passes):
    verdict = ask_window(quoted_in_books(sigma), "calibration")
    assert verdict.passed is passes
    if not passes:
        assert verdict.closing is RefusalEffect.PULL
        assert f"sigma {sigma:.3%} to the fixing, the books imply 0.320%" in verdict.note


def test_books_that_say_nothing_are_no_reason_to_refuse_a_sigma():
    state = quoted_in_books(0.05)
    state.venue.books.clear()
    assert ask_window(state, "calibration").passed
