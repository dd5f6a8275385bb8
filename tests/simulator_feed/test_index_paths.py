from datetime import UTC, datetime

import numpy as np
import pytest

from kalshi_daemon.domain.index import Channel, Index
from kalshi_daemon.domain.instruments import SHIPPED_INSTRUMENTS
from kalshi_daemon.domain.window import Session
from kalshi_daemon.ground.units import HOUR, MINUTE, SECOND, Nanos
from kalshi_daemon.simulator.feed.index_path import AFTER_HOURS_S, IndexPath, as_published, session_seconds
from kalshi_daemon.simulator.feed.index_synthetic import CORRELATION, bridge_minutes, minute_shares, synthesize_session
from tests.support.instruments import DJI, INDICES, three

OPEN_NS = Nanos(int(datetime(2026, 11, 23, 14, 30, tzinfo=UTC).timestamp()) * SECOND)
FULL = Session("2026-11-23", OPEN_NS, Nanos(OPEN_NS + 13 * HOUR // 2), half_day=False)
HALF = Session("2026-11-27", OPEN_NS, Nanos(OPEN_NS + 7 * HOUR // 2), half_day=True)
SHORT = Session("2026-11-23", OPEN_NS, Nanos(OPEN_NS + MINUTE), half_day=False)


def counting(session=SHORT):
    """Level 100 at the open, one point more each second."""
    count = session_seconds(session) + AFTER_HOURS_S + 1
    return IndexPath(Index.SPX, session, 99.0, np.arange(100.0, 100.0 + count))


@pytest.mark.parametrize(
    ("offset_ns", "value"),
    [
        (-1, 99.0),
        (0, 100.0),
        (SECOND - 1, 100.0),
        (SECOND, 101.0),
        (MINUTE, 160.0),
        ((60 + AFTER_HOURS_S) * SECOND, 460.0),
        (10 * HOUR, 460.0),
    ],
)
def test_the_value_is_the_last_print_at_or_before(offset_ns, value):
    assert counting().value_at(Nanos(OPEN_NS + offset_ns)) == value


def test_defect_06_a_bar_is_known_at_its_end_and_holds_nothing_of_it():
    """The predecessor took the bar that STARTS at the target for the settlement: one minute late."""
    bar = counting().bar(Channel.MINUTE, OPEN_NS, Nanos(OPEN_NS + MINUTE))
    assert bar is not None
    assert (bar.open, bar.high, bar.low, bar.close) == (100.0, 159.0, 100.0, 159.0)
    assert counting().value_at(bar.end_ns) == 160.0


def test_windows_without_a_print_make_no_bar():
    path = counting()
    assert path.bar(Channel.SECOND, Nanos(OPEN_NS - SECOND), OPEN_NS) is None
    assert path.bar(Channel.SECOND, Nanos(path.last_ns + SECOND), Nanos(path.last_ns + 2 * SECOND)) is None
    assert path.bar(Channel.SECOND, path.last_ns, Nanos(path.last_ns + SECOND)) is not None


def test_a_path_of_the_wrong_length_or_sign_is_a_bug():
    with pytest.raises(AssertionError):
        IndexPath(Index.SPX, SHORT, 99.0, np.ones(10))
    with pytest.raises(AssertionError):
        IndexPath(Index.SPX, SHORT, 99.0, np.zeros(61 + AFTER_HOURS_S))


def test_values_cannot_be_changed_after_the_fact():
    with pytest.raises(ValueError, match="read-only"):
        counting().values[0] = 1.0


def test_spx_is_published_with_two_decimals_and_ndx_in_full():
    values = np.array([6850.123456])
    assert as_published(SHIPPED_INSTRUMENTS.rows[Index.SPX], values)[0] == 6850.12
    assert as_published(SHIPPED_INSTRUMENTS.rows[Index.NDX], values)[0] == 6850.123456


def test_the_same_seed_and_day_give_the_same_session_and_another_day_another_one():
    first, again = synthesize_session(FULL, 3), synthesize_session(FULL, 3)
    other_day = synthesize_session(Session("2026-11-24", FULL.open_ns, FULL.close_ns, half_day=False), 3)
    for index in INDICES:
        assert np.array_equal(first[index].values, again[index].values)
        assert not np.array_equal(first[index].values, other_day[index].values)
    assert not np.array_equal(first[Index.SPX].values, synthesize_session(FULL, 4)[Index.SPX].values)


@pytest.mark.parametrize("session", [FULL, HALF])
def test_a_session_has_a_print_every_second_through_the_late_ones(session):
    for path in synthesize_session(session, 1).values():
        assert len(path.values) == session_seconds(session) + AFTER_HOURS_S + 1
        assert path.last_ns == session.close_ns + AFTER_HOURS_S * SECOND


def test_the_official_close_differs_slightly_from_the_fixing():
    differ = 0
    for seed in range(20):
        path = synthesize_session(SHORT_DAY, seed)[Index.SPX]
        fixing, official = path.value_at(path.close_ns), float(path.values[-1])
        assert abs(official / fixing - 1) < 10e-4
        assert path.value_at(Nanos(path.close_ns + SECOND)) == pytest.approx(fixing, rel=5e-4)
        differ += official != fixing
    assert differ > 10


SHORT_DAY = Session("2026-11-27", OPEN_NS, Nanos(OPEN_NS + HOUR), half_day=True)


def test_shares_of_a_full_day_sum_to_one_and_have_the_shape_of_a_u():
    shares = minute_shares(390)
    assert shares.sum() == pytest.approx(1.0, abs=1e-3)
    assert shares[0] > 2 * shares[200] < shares[-1] * 2
    half = minute_shares(210)
    assert len(half) == 210
    assert half[-1] == shares[-1]
    assert half.sum() < shares.sum()


def test_seconds_add_up_to_their_minutes():
    rng = np.random.default_rng(0)
    minutes = rng.normal(0, 1e-4, 30)
    steps = bridge_minutes(minutes, np.full(30, 1e-4), rng.standard_normal(1800))
    assert np.allclose(steps.reshape(-1, 60).sum(axis=1), minutes, atol=1e-12)
    assert 0.5e-4 < steps.std() * np.sqrt(60) < 2e-4


@pytest.fixture(scope="module")
def many():
    return [synthesize_session(FULL, seed) for seed in range(120)]


def minute_returns(path):
    return np.diff(np.log(path.values[60:23_401:60]))


def test_daily_volatility_is_of_the_measured_size_and_spread(many):
    logs = [np.log(np.sqrt((minute_returns(each[Index.SPX]) ** 2).sum())) for each in many]
    assert 45e-4 < np.exp(np.median(logs)) < 80e-4
    assert 0.35 < np.std(logs) < 0.65


def test_the_two_indices_move_together_and_ndx_moves_more(many):
    pairs = [(minute_returns(each[Index.SPX]), minute_returns(each[Index.NDX])) for each in many]
    assert np.mean([np.corrcoef(spx, ndx)[0, 1] for spx, ndx in pairs]) == pytest.approx(CORRELATION, abs=0.02)
    assert np.median([ndx.std() / spx.std() for spx, ndx in pairs]) == pytest.approx(1.35, abs=0.1)


def test_minute_returns_have_fat_tails_and_a_u_shape(many):
    spx = np.array([minute_returns(each[Index.SPX]) for each in many])
    scaled = spx / spx.std(axis=1, keepdims=True)
    by_hour = np.array([scaled[:, minute : minute + 30].std() for minute in (0, 180, 359)])
    assert by_hour[0] > 1.5 * by_hour[1]
    assert by_hour[2] > 1.1 * by_hour[1]
    middle = scaled[:, 90:330].ravel() / scaled[:, 90:330].std()
    assert (middle**4).mean() > 3.5


def test_the_overnight_gap_has_a_modest_median_and_a_fat_tail(many):
    gaps = np.array([np.log(each[Index.NDX].values[60] / each[Index.NDX].previous_close) for each in many])
    assert 25e-4 < np.median(np.abs(gaps)) < 50e-4
    assert np.abs(gaps).max() > 150e-4


def test_the_first_print_is_stale_and_catches_up_within_a_minute(many):
    shares = []
    for each in many:
        path = each[Index.SPX]
        first, settled = np.log(path.values[[0, 60]] / path.previous_close)
        if abs(settled) > 50e-4:
            shares.append(first / settled)
    assert 0.05 < np.mean(shares) < 0.6


@pytest.mark.parametrize(("group", "least", "most"), [("large_caps", 0.8, 0.97), ("", -0.25, 0.25)])
def test_a_third_index_leaves_the_others_as_they_are_and_moves_with_its_group(group, least, most):
    shipped, found = synthesize_session(FULL, 3), synthesize_session(FULL, 3, three(group))
    assert [*found] == [*INDICES, DJI]
    for index in INDICES:
        assert np.array_equal(found[index].values, shipped[index].values)
    assert abs(found[DJI].previous_close / 46_000.0 - 1) <= 0.005
    spx, dji = (np.diff(np.log(found[index].values[:23_401:60])) for index in (Index.SPX, DJI))
    assert least < np.corrcoef(spx, dji)[0, 1] < most
