"""Dates of the calendar, effects of the constants: what a session's variance is multiplied with."""

from datetime import date, time

import pytest

from kalshi_daemon.calibration.constants import EventEffect
from kalshi_daemon.calibration.session_curve import curve_of, decaying
from kalshi_daemon.domain.window import Session
from kalshi_daemon.ground.new_york import eastern_ns
from kalshi_daemon.ground.units import MINUTE, Nanos
from kalshi_daemon.windows.releases import MacroCalendar, release
from kalshi_daemon.windows.scheduled import ReleaseEvents
from tests.calibration.support import BASE_CURVE

EFFECTS = {"FOMC_STATEMENT": EventEffect(((0.0, 30.0, 5.0),)), "CPI": EventEffect(((60.0, 90.0, 1.4),))}


def session_of(day: date) -> Session:
    opening = eastern_ns(day, time(9, 30))
    return Session(day.isoformat(), opening, Nanos(opening + 390 * MINUTE), half_day=False)


def test_both_releases_of_a_day_count_from_their_own_minute():
    session = session_of(date(2024, 6, 12))
    events = ReleaseEvents(MacroCalendar(), EFFECTS)(session)
    assert [(one.start_ns - session.open_ns) // MINUTE for one in events] == [-60, 270]
    curve = curve_of(BASE_CURVE, session, events)
    plain = curve_of(BASE_CURVE, session)
    ratio = [one / other for one, other in zip(curve.rates, plain.rates, strict=True)]
    assert ratio[:30] == pytest.approx([1.4] * 30), "08:30 figures act from the open on"
    assert ratio[30:270] == pytest.approx([1.0] * 240)
    assert ratio[270:300] == pytest.approx([5.0] * 30)
    assert ratio[300:] == pytest.approx([1.0] * 90)


def test_a_kind_without_an_effect_and_a_day_without_releases_do_nothing():
    assert ReleaseEvents(MacroCalendar(), {})(session_of(date(2024, 6, 12))) == ()
    assert ReleaseEvents(MacroCalendar(), EFFECTS)(session_of(date(2024, 6, 11))) == ()


def test_the_operators_own_kind_is_dated_by_his_calendar():
    calendar = MacroCalendar([release("ISM", date(2024, 6, 3), time(10, 0))])
    (event,) = ReleaseEvents(calendar, {**EFFECTS, "ISM": decaying(2.0, 15.0)})(session_of(date(2024, 6, 3)))
    assert event.effect.decay_min == 15.0
    assert event.mean_excess(0.0, 1.0) == pytest.approx(0.968, abs=1e-3)
