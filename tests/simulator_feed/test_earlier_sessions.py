"""The days before a made-up session: in one piece with it, alike as days are, and none of them the session."""

from datetime import date
from itertools import pairwise

import numpy as np
import pytest

from kalshi_daemon.domain.index import Index
from kalshi_daemon.simulator.feed import earlier_sessions as subject
from kalshi_daemon.simulator.feed.earlier_sessions import earlier_sessions
from kalshi_daemon.simulator.feed.index_path import session_seconds
from kalshi_daemon.simulator.feed.index_synthetic import LOG_DAY_VOL_SD, log_day_vol_of, synthesize_session
from kalshi_daemon.windows.sessions import load_sessions

*BEFORE, SESSION = load_sessions(date(2026, 11, 17), date(2026, 11, 23)).sessions


def test_the_last_of_them_ends_where_the_session_begins_and_so_each():
    found = [*earlier_sessions(BEFORE, SESSION, 7), synthesize_session(SESSION, 7)]
    assert [paths[Index.SPX].session.day for paths in found] == [one.day for one in (*BEFORE, SESSION)]
    for day, after in pairwise(found):
        for index, path in day.items():
            close = path.values[session_seconds(path.session)]
            assert close == pytest.approx(after[index].previous_close, rel=1e-12)


def test_the_volatility_of_days_lasts_as_measured_up_to_the_session_itself():
    """Autocorrelation of its logarithm after 1, 5 and 22 days (docs/reference/model.md 5), over 4,000 pasts."""
    rng = np.random.default_rng(1)
    own = rng.normal(0.0, LOG_DAY_VOL_SD, 4_000)
    pasts = np.array([list(subject._log_day_vols(float(one), 23, rng)) for one in own])
    assert pasts.std(axis=0) == pytest.approx(LOG_DAY_VOL_SD, rel=0.05)
    for days, measured in ((1, 0.82), (5, 0.64), (22, 0.40)):
        assert np.corrcoef(own, pasts[:, days - 1])[0, 1] == pytest.approx(measured, abs=0.04)
        assert np.corrcoef(pasts[:, 0], pasts[:, days])[0, 1] == pytest.approx(measured, abs=0.04)


def test_no_day_is_one_that_is_played():
    made = earlier_sessions(BEFORE, SESSION, 7)[-1][Index.SPX]
    played = [synthesize_session(BEFORE[-1], seed)[Index.SPX] for seed in (7, 8)]
    moves = [np.diff(np.log(path.values)) for path in (made, *played)]
    assert all(abs(np.corrcoef(moves[0], other)[0, 1]) < 0.1 for other in moves[1:])


def test_a_volatility_that_is_given_is_all_that_changes():
    plain = synthesize_session(SESSION, 7)[Index.NDX]
    drawn = log_day_vol_of(SESSION, 7)
    same, wider = (synthesize_session(SESSION, 7, log_day_vol=one)[Index.NDX] for one in (drawn, drawn + 1.0))
    assert np.array_equal(plain.values, same.values)
    assert plain.law is not None
    assert wider.law is not None
    assert wider.law.minute_variance == pytest.approx(np.exp(2.0) * plain.law.minute_variance)
