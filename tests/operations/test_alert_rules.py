"""What calls for an alert: each kind is driven to come once."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from kalshi_daemon.domain.alert import AlertSeverity
from kalshi_daemon.domain.window import Phase
from kalshi_daemon.ground.units import DAY, SECOND, Dollars, Nanos
from kalshi_daemon.operations.alert_rules import EVENTS, StatusWatch, alert_of, alert_of_exit, megabytes_of
from kalshi_daemon.operations.status import BudgetStanding, DaemonStatus, IndexStanding
from kalshi_daemon.settings.service import AlertSettings
from kalshi_daemon.state import DaemonState
from tests.guardrails.guard_rig import NOW, WINDOW
from tests.operations import test_status
from tests.operations.test_status import running

LIMITS = AlertSettings(guard_closed_min=10.0, feed_lost_s=60.0, memory_megabytes_max=500)


def trading() -> DaemonState:
    state = test_status.trading()
    state.feed.connected = True
    return state


CALM = running(trading())


def told(watch: StatusWatch, status: DaemonStatus, megabytes: int | None = 100) -> list[tuple[str, str, str]]:
    return [(one.kind, one.subject, one.severity.value) for one in watch.look(status, megabytes)]


def at(seconds: float, status: DaemonStatus = CALM) -> DaemonStatus:
    return replace(status, now_ns=Nanos(NOW + round(seconds * SECOND)))


def test_every_event_told_of_is_logged_and_has_the_fields():
    """By the page that another test holds equal to the source."""
    page = (Path(__file__).resolve().parents[2] / "docs" / "log-events.md").read_text()
    rows = dict(re.findall(r"^\| `([a-z_.]+)` \| [a-z, ]+ \| (.*?) \|", page, re.MULTILINE))
    for name, rule in EVENTS.items():
        assert name in rows, name
        if not rows[name].endswith("..."):
            missing = {*rule.fields, rule.subject} - {"", *re.findall(r"`([a-z_]+)`", rows[name])}
            assert missing == set(), f"{name} has no {missing}"


@pytest.mark.parametrize("event", sorted(EVENTS))
def test_each_event_is_an_alert_with_its_words_and_numbers(event):
    rule = EVENTS[event]
    fields = {name: f"<{name}>" for name in (*rule.fields, rule.subject)}
    found = alert_of(event, fields, NOW)
    assert found is not None
    assert (found.kind, found.severity, found.over) == (rule.kind, rule.severity, rule.over)
    assert found.text.startswith(rule.words)
    assert all(f"{name} <{name}>" in found.text for name in rule.fields)
    bare = alert_of(event, {}, NOW)
    assert bare is not None
    assert bare.text == rule.words


def test_other_lines_are_none_and_long_ones_are_cut():
    assert alert_of("scan.done", {}, NOW) is None
    found = alert_of("daemon.failed", {"error": "x" * 10_000, "message": "y" * 10_000}, NOW)
    assert found is not None
    assert len(found.text) <= 500


def test_the_exit_code_is_the_last_word():
    assert alert_of_exit(0, NOW) is None
    seventy_eight, three, one = (alert_of_exit(code, NOW) for code in (78, 3, 1))
    assert seventy_eight is not None
    assert three is not None
    assert one is not None
    assert (seventy_eight.kind, three.kind, one.kind) == ("exit_78", "exited", "exited")
    assert "cancel-all" in three.text


def test_a_guard_closed_for_long_in_an_open_window_is_told_once_and_its_opening_too():
    watch, state = StatusWatch(LIMITS), trading()
    state.venue.status = None
    closed = running(state)
    assert [one.guard for one in closed.closed] == ["exchange_status"]
    assert told(watch, at(0, closed)) == []
    assert told(watch, at(599, closed)) == []
    (alert,) = watch.look(at(600, closed), None)
    assert (alert.kind, alert.subject, alert.severity) == ("guard_closed", "exchange_status", AlertSeverity.WARNING)
    assert "closed for 10 min" in alert.text
    assert WINDOW.event_ticker in alert.text
    assert told(watch, at(900, closed)) == [], "once"
    assert told(watch, at(901)) == [("guard_closed", "exchange_status", "info")]
    assert told(watch, at(902, closed)) == [], "and anew only after it has lasted again"


def test_a_guard_that_opens_in_between_begins_anew():
    watch, state = StatusWatch(LIMITS), trading()
    state.venue.status = None
    closed = running(state)
    assert told(watch, at(0, closed)) + told(watch, at(400)) + told(watch, at(401, closed)) == []
    assert told(watch, at(1_000, closed)) == []
    assert len(told(watch, at(1_001, closed))) == 1


@pytest.mark.parametrize("phase", [Phase.HOLD, Phase.UPCOMING, Phase.CUTOFF])
def test_guards_of_windows_that_are_not_open_are_nobodys_alarm(phase):
    watch, state = StatusWatch(LIMITS), trading()
    state.venue.status = None
    closed = running(state)
    closed = replace(closed, windows=tuple(replace(one, phase=phase) for one in closed.windows))
    assert told(watch, at(0, closed)) + told(watch, at(10_000, closed)) == []


def test_what_the_operator_asked_for_is_not_told_as_a_closed_guard():
    watch, state = StatusWatch(LIMITS), trading()
    state.armed, state.kill_switch = False, True
    closed = running(state)
    assert {"armed", "kill_switch"} == {one.guard for one in closed.closed}
    assert told(watch, at(0, closed)) + told(watch, at(10_000, closed)) == []


def silent(age_s: float) -> DaemonStatus:
    return replace(
        CALM, session_open=True, indices={"SPX": IndexStanding(6_800.0, round(age_s * 1_000), withheld=False)}
    )


def test_a_silent_feed_is_told_once_it_has_lasted_and_when_it_is_back():
    watch = StatusWatch(LIMITS)
    assert told(watch, at(0, silent(0.5))) + told(watch, at(11, silent(11))) + told(watch, at(70, silent(70))) == []
    assert told(watch, at(71, silent(71))) == [("feed_lost", "", "warning")]
    assert told(watch, at(90, silent(90))) == []
    assert told(watch, at(91, silent(0.5))) == [("feed_lost", "", "info")]


def test_the_first_seconds_of_a_session_are_no_loss():
    watch = StatusWatch(LIMITS)
    yesterday = silent(60_000)
    assert told(watch, at(0, yesterday)) + told(watch, at(2, yesterday)) + told(watch, at(3, silent(0.1))) == []


def test_a_feed_session_that_is_gone_is_told_after_its_patience():
    watch = StatusWatch(LIMITS)
    gone = replace(silent(1), feed_connected=False, feed_problem="evicted")
    assert told(watch, at(0, gone)) + told(watch, at(59, gone)) == []
    (alert,) = watch.look(at(60, gone), None)
    assert alert.text.endswith("; evicted")


def test_outside_the_session_a_silent_feed_is_no_loss():
    watch = StatusWatch(LIMITS)
    gone = replace(silent(5_000), feed_connected=False, session_open=False)
    assert told(watch, at(0, gone)) + told(watch, at(5_000, gone)) == []


def spent(percent: int) -> DaemonStatus:
    return replace(CALM, budgets={"daily_loss": BudgetStanding(Dollars(0), Dollars(percent * 5_000), Dollars(500_000))})


def test_a_budget_is_told_at_each_step_once_a_day():
    watch = StatusWatch(LIMITS)
    percents = (49, 50, 79, 60, 85, 70, 85, 100, 120)
    seen = [told(watch, at(second, spent(percent))) for second, percent in enumerate(percents)]
    assert seen == [
        [],
        [("budget", "daily_loss 50", "info")],
        [],
        [],
        [("budget", "daily_loss 80", "warning")],
        [],
        [],
        [("budget", "daily_loss 100", "critical")],
        [],
    ]
    assert told(watch, at(DAY / SECOND, spent(55))) == [("budget", "daily_loss 50", "info")]


def test_a_jump_over_steps_is_one_alert():
    assert told(StatusWatch(LIMITS), at(0, spent(130))) == [("budget", "daily_loss 100", "critical")]


def test_memory_is_told_once_until_it_has_gone_down():
    watch = StatusWatch(LIMITS)
    seen = [told(watch, CALM, megabytes) for megabytes in (500, 501, 600, 460, 501, 440, 501, None)]
    assert [len(found) for found in seen] == [0, 1, 0, 0, 0, 0, 1, 0]


def test_a_loop_that_stands_is_told_once():
    watch = StatusWatch(LIMITS)
    stuck = replace(CALM, facts=replace(CALM.facts, progress_age_ms=31_000))
    assert told(watch, stuck) == [("stalled", "", "critical")]
    assert told(watch, stuck) == []


def test_before_it_is_ready_and_while_it_stops_windows_and_feed_are_not_judged():
    for status in (
        replace(silent(900), facts=replace(CALM.facts, ready=False)),
        replace(silent(900), stopping="SIGTERM"),
    ):
        assert told(StatusWatch(LIMITS), status) == []


def test_resident_memory_is_read_from_its_line():
    assert megabytes_of("90000 25600 8000 1 0 40000 0", 4096) == 100
    assert megabytes_of("", 4096) is None
    assert megabytes_of("1 x", 4096) is None
