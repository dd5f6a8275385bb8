from datetime import date, time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_daemon.domain.window import Phase, Session
from kalshi_daemon.ground.errors import ConfigurationError
from kalshi_daemon.ground.new_york import eastern, eastern_ns
from kalshi_daemon.ground.units import DAY, HOUR, MINUTE, SECOND, Nanos, from_s
from kalshi_daemon.settings.model import ProfileSettings, ProfilesSettings, Settings, WindowSettings
from kalshi_daemon.windows.table import (
    build_windows,
    edges_of,
    enabled_series,
    fixings,
    next_edge_after,
    span_of_days,
)
from tests.support.instruments import KXINX, KXINXU, KXNASDAQ100U, SERIES, three

DEFAULTS = WindowSettings()
ALL = tuple(SERIES.values())


def at(day: str, hour: int, minute: int = 0, second: int = 0) -> Nanos:
    return eastern_ns(date.fromisoformat(day), time(hour, minute, second))


def a_session(day: str = "2026-11-23", close: int = 16) -> Session:
    return Session(day, at(day, 9, 30), at(day, close), half_day=close < 16)


def test_the_hourly_windows_of_a_day_by_hand():
    found = build_windows(a_session(), DEFAULTS, [KXINXU])
    assert [w.event_ticker for w in found] == [f"KXINXU-26NOV23H{hour}00" for hour in range(10, 17)]
    first, second = found[0], found[1]
    assert first.opens_ns == at("2026-11-23", 9, 35)
    assert first.new_until_ns == at("2026-11-23", 9, 55)
    assert first.cancel_at_ns == at("2026-11-23", 9, 57, 50)
    assert first.gone_by_ns == at("2026-11-23", 9, 58)
    assert first.target_ns == at("2026-11-23", 10)
    assert second.opens_ns == at("2026-11-23", 10), "at the fixing before it"
    assert second.session == "2026-11-23"


def test_the_close_is_quoted_for_the_last_hour_only():
    (window,) = build_windows(a_session(), DEFAULTS, [KXINX])
    assert window.event_ticker == "KXINX-26NOV23H1600"
    assert (window.opens_ns, window.target_ns) == (at("2026-11-23", 15), at("2026-11-23", 16))
    earlier = WindowSettings(close_opens_before_s=12 * 3_600)
    (window,) = build_windows(a_session(), earlier, [KXINX])
    assert window.opens_ns == at("2026-11-23", 9, 35), "never before the first quotes of the day"


def test_a_half_day_ends_at_1300_for_both_cadences():
    found = build_windows(a_session("2026-11-27", 13), DEFAULTS, ALL)
    assert {w.event_ticker for w in found if w.series is KXINXU} == {
        f"KXINXU-26NOV27H{hour}00" for hour in (10, 11, 12, 13)
    }
    (close,) = [w for w in found if w.series is KXINX]
    assert close.event_ticker == "KXINX-26NOV27H1300"
    assert close.opens_ns == at("2026-11-27", 12)


def test_a_session_that_closes_off_the_hour_has_no_hourly_fixing_there():
    session = Session("2026-11-23", at("2026-11-23", 9, 30), at("2026-11-23", 12, 30), half_day=True)
    assert fixings(session, KXINXU) == tuple(at("2026-11-23", hour) for hour in (10, 11, 12))
    assert fixings(session, KXINX) == (at("2026-11-23", 12, 30),)


def test_a_fixing_that_leaves_no_time_to_quote_has_no_window():
    late = WindowSettings(first_quotes=time(9, 56))
    assert build_windows(a_session(), late, [KXINXU])[0].target_ns == at("2026-11-23", 11)
    exactly = WindowSettings(first_quotes=time(9, 55))
    assert build_windows(a_session(), exactly, [KXINXU])[0].target_ns == at("2026-11-23", 11)


def test_no_new_quotes_after_cancelling_starts_whatever_the_settings_say():
    wrong = WindowSettings(new_quotes_until_s=60, gone_by_s=120, cancel_lead_s=10)
    (window, *_) = build_windows(a_session(), wrong, [KXINXU])
    assert window.new_until_ns == window.cancel_at_ns == at("2026-11-23", 9, 57, 50)


def test_every_half_hour_of_four_years_aims_at_the_next_fixing_strictly_after_now(sessions):
    """Across clock changes, half days and holidays: at any instant at most one window per series is live."""
    for session in sessions.sessions:
        windows = build_windows(session, DEFAULTS, [KXINXU])
        last_hour = 13 if session.half_day else 16
        assert [eastern(w.target_ns).hour for w in windows] == list(range(10, last_hour + 1))
        for minute in range(9 * 60, 17 * 60, 30):
            now = at(session.day, *divmod(minute, 60))
            live = [w for w in windows if w.opens_ns <= now < w.target_ns]
            expected = -(-(minute + 1) // 60) * 60  # the next full hour strictly after now, in minutes
            if minute < 9 * 60 + 35 or expected > last_hour * 60:
                assert live == []
            else:
                assert [w.target_ns for w in live] == [at(session.day, expected // 60)]


def test_defect_01_the_target_is_never_the_hour_that_has_passed():
    # From :00 to :54 the predecessor aimed at the current hour, 55 minutes of every 60 wrong.
    windows = build_windows(a_session(), DEFAULTS, [KXINXU, KXNASDAQ100U])
    start = at("2026-11-23", 9, 35)
    for minute in range(6 * 60 + 25):
        now = Nanos(start + minute * MINUTE)
        live = [w for w in windows if w.phase_at(now) not in (Phase.UPCOMING, Phase.SETTLING)]
        assert len(live) == 2, "one per series"
        for window in live:
            assert now < window.target_ns <= now + HOUR
    assert all(w.phase_at(at("2026-11-23", 16)) is Phase.SETTLING for w in windows)


SETTINGS = st.builds(
    lambda first, gone, lead, slack, close: WindowSettings(
        first_quotes=first,
        gone_by_s=gone,
        cancel_lead_s=lead,
        new_quotes_until_s=gone + lead + slack,
        close_opens_before_s=close,
    ),
    st.times(time(9, 30), time(12)),
    st.floats(2, 600),
    st.floats(1, 60),
    st.floats(0, 1_500),
    st.floats(60, 30_000),
)


@settings(deadline=None, max_examples=150)
@given(SETTINGS, st.sampled_from([13, 16]), st.sampled_from(["2026-03-06", "2026-03-09", "2026-10-30", "2026-11-02"]))
def test_edges_are_ordered_and_windows_of_a_series_never_overlap(chosen, close, day):
    found = build_windows(a_session(day, close), chosen, ALL)
    for window in found:
        assert window.opens_ns < window.new_until_ns <= window.cancel_at_ns < window.gone_by_ns < window.target_ns
        assert window.opens_ns >= eastern_ns(date.fromisoformat(day), chosen.first_quotes)
        assert window.target_ns - window.gone_by_ns == from_s(chosen.gone_by_s)
    for series in ALL:
        mine = [w for w in found if w.series is series]
        for before, after in pairwise(mine):
            assert before.target_ns <= after.opens_ns
    assert len({w.event_ticker for w in found}) == len(found)


@settings(deadline=None, max_examples=150)
@given(SETTINGS, st.integers(-int(DAY), int(DAY)))
def test_the_phase_is_constant_until_the_next_edge_and_changes_there(chosen, offset):
    windows = build_windows(a_session(), chosen, ALL)
    now = Nanos(at("2026-11-23", 12) + offset)
    edge = next_edge_after(windows, now)
    if edge is None:
        assert all(w.phase_at(now) is Phase.SETTLING for w in windows)
        return
    assert edge > now
    phases = [w.phase_at(now) for w in windows]
    assert [w.phase_at(Nanos(edge - 1)) for w in windows] == phases
    assert [w.phase_at(edge) for w in windows] != phases


def test_edges_of_a_window_are_the_instants_its_phase_changes():
    window = build_windows(a_session(), DEFAULTS, [KXINXU])[0]
    seen = [window.phase_at(edge) for edge in edges_of(window)]
    assert seen == [Phase.OPEN, Phase.HOLD, Phase.CUTOFF, Phase.SETTLING]
    assert next_edge_after([], Nanos(0)) is None
    assert next_edge_after([window], Nanos(window.opens_ns - SECOND)) == window.opens_ns
    assert next_edge_after([window], window.target_ns) is None


def test_an_hourly_series_begins_with_the_first_fixing_of_its_row():
    windows = build_windows(a_session(), DEFAULTS, [three().series["KXDJIH"]])
    assert [window.target_ns for window in windows] == [at("2026-11-23", hour) for hour in range(11, 17)]
    assert windows[0].opens_ns == at("2026-11-23", 9, 35)


def test_series_come_from_the_enabled_profiles():
    assert enabled_series(Settings()) == ALL
    off = ProfileSettings(enabled=False, series=("KXINX",), lots=1, bins=1, impact_cap=0.02)
    one = ProfileSettings(series=("KXNASDAQ100U",), lots=1, bins=1, impact_cap=0.02)
    assert enabled_series(Settings(profiles=ProfilesSettings(wide=one, size=one, close=off))) == (KXNASDAQ100U,)


def test_a_series_that_is_not_ours_is_a_configuration_error():
    profile = ProfileSettings(series=("KXDJI",), lots=1, bins=1, impact_cap=0.02)
    with pytest.raises(ConfigurationError, match=r"profiles\.wide\.series: unknown series 'KXDJI'"):
        enabled_series(Settings(profiles=ProfilesSettings(wide=profile)))


def test_a_span_of_days_includes_both_ends():
    assert span_of_days(date(2026, 2, 27), date(2026, 3, 1)) == (
        date(2026, 2, 27),
        date(2026, 2, 28),
        date(2026, 3, 1),
    )
    assert span_of_days(date(2026, 3, 2), date(2026, 3, 1)) == ()
