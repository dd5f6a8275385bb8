"""Which alerts are sent and when: severity, repetition, quiet hours, how many an hour."""

from datetime import date, time

from kalshi_daemon.domain.alert import Alert, AlertSeverity
from kalshi_daemon.ground.new_york import eastern_ns
from kalshi_daemon.ground.units import MINUTE, Nanos
from kalshi_daemon.operations.alert_gate import HELD_MAX, REMEMBERED_MAX, AlertGate
from kalshi_daemon.settings.service import AlertSettings

NOON = eastern_ns(date(2026, 11, 23), time(12, 0))
INFO, WARNING, CRITICAL = AlertSeverity


def gate(**limits: object) -> AlertGate:
    return AlertGate(AlertSettings.model_validate(limits), "kalshi-daemon live")


def alert(at_min: float = 0.0, kind="feed_lost", subject="", severity=WARNING, *, over=False, begin=NOON) -> Alert:
    return Alert(Nanos(begin + round(at_min * MINUTE)), kind, subject, severity, f"{kind} {subject}".strip(), over)


def test_an_alert_becomes_a_message_that_says_which_daemon_and_how_much_it_matters():
    message = gate().offer(alert())
    assert message is not None
    assert (message.title, message.body) == ("kalshi-daemon live: warning: feed lost", "feed_lost")


def test_what_matters_less_than_asked_for_is_not_sent():
    one = gate(severity_min="critical")
    assert one.offer(alert()) is None
    assert one.offer(alert(severity=CRITICAL)) is not None


def test_the_same_thing_is_told_again_only_after_its_time_and_with_its_count():
    one = gate(repeat_after_min=60.0)
    assert one.offer(alert(0)) is not None
    assert [one.offer(alert(at)) for at in (1, 30, 59.9)] == [None, None, None]
    assert one.offer(alert(2, subject="KXINXU")) is not None, "of another subject"
    assert one.offer(alert(2, severity=CRITICAL)) is not None, "worse than before"
    again = one.offer(alert(60))
    assert again is not None
    assert again.body == "feed_lost (and 3 times before, since it was last told)"


def test_an_end_is_told_to_those_who_were_told_of_the_beginning():
    one = gate()
    assert one.offer(alert(0, severity=INFO, over=True)) is None
    assert one.offer(alert(1)) is not None
    assert one.offer(alert(2, severity=INFO, over=True)) is not None
    assert one.offer(alert(3, severity=INFO, over=True)) is None
    assert one.offer(alert(4)) is None, "flapping is not told of each time"
    assert one.offer(alert(5, severity=INFO, over=True)) is None


def test_an_hour_has_a_limit_and_what_is_critical_has_twice_as_much():
    one = gate(per_hour_max=3)
    sent = [one.offer(alert(number, subject=str(number))) is not None for number in range(5)]
    assert sent == [True, True, True, False, False]
    critical = [one.offer(alert(6 + n, subject=f"c{n}", severity=CRITICAL)) is not None for n in range(5)]
    assert critical == [True, True, True, False, False]
    assert one.later(Nanos(NOON + 30 * MINUTE)) is None
    kept = one.later(Nanos(NOON + 70 * MINUTE))
    assert kept is not None
    assert kept.title == "kalshi-daemon live: 4 alerts were kept"
    assert kept.body.splitlines()[0] == "12:03 feed_lost 3"
    assert kept.severity is CRITICAL
    assert one.later(Nanos(NOON + 71 * MINUTE)) is None, "once"


def test_quiet_hours_keep_what_can_wait_and_let_through_what_cannot():
    one = gate(quiet_from="22:00", quiet_until="06:30")
    night = eastern_ns(date(2026, 11, 23), time(23, 0))
    assert one.offer(alert(severity=WARNING, begin=night)) is None
    assert one.offer(alert(severity=CRITICAL, begin=night)) is not None
    assert one.later(eastern_ns(date(2026, 11, 24), time(6, 29))) is None
    morning = one.later(eastern_ns(date(2026, 11, 24), time(6, 30)))
    assert morning is not None
    assert morning.body == "23:00 feed_lost"
    assert gate(quiet_from="09:00", quiet_until="17:00").offer(alert()) is None, "of one day too"
    assert gate(quiet_from="00:00", quiet_until="00:00").offer(alert()) is not None, "equal: never"


def test_what_is_kept_and_remembered_is_bounded():
    one = gate(quiet_from="11:00", quiet_until="13:00")
    for number in range(HELD_MAX + 7):
        assert one.offer(alert(subject=str(number))) is None
    kept = one.later(Nanos(NOON + 61 * MINUTE))
    assert kept is not None
    assert kept.body.splitlines()[-1] == "and 7 more, see the log"
    for number in range(REMEMBERED_MAX * 2):
        one.offer(alert(number / 1_000, subject=f"x{number}"))
    assert len(one._told) == REMEMBERED_MAX
    assert len(one._standing) <= REMEMBERED_MAX
